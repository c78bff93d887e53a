//! What is accepted, what is refused, and where.

use super::*;

fn errors(source: &str) -> Vec<(usize, String)> {
    let file = SourceFile::new("t", source);
    let (_, found) = parse_file(&file);
    found.iter().map(|d| (d.span.as_ref().map_or(0, |s| s.start().line), d.code.clone())).collect()
}

#[test]
fn valid_files_have_no_findings() {
    for source in [
        "",
        "a=1",
        "a = 1 # c\n// d\n/* e\n*/\nb \"x\" y { c = 2 }\nd {\n}\ne {}\n",
        "a = [\n1,\n2, # x\n]\nb = {\n c = 1\n \"d\" : 2, (e) = 3\n}\n",
        "a = <<EOF\nx ${y} $${z}\nEOF\nb = <<-EOF\n    x\n      y\n    EOF\n",
        "a = b ? c : d\ne = f(\n g,\n h...\n)\ni = j[*].k.l[0]\nm = n.*.o\np = q.0.1\n",
        "a = [for k, v in b : k if v]\nc = {for v in d : v => v...}\ne = \"%{ if a ~} x %{ else }y%{ endif }\"\n",
        "a = \"x\\u00e9\\U0001F600\\\"\"\r\nb = !c && -d > e\r\n",
        "\u{feff}a = 1\n",
        "a = (\n1 +\n2\n)\n",
    ] {
        assert_eq!(errors(source), [], "{source:?}");
    }
}

#[test]
fn mistakes_are_told_where_they_are_and_the_rest_is_read() {
    for (source, expected) in [
        ("a {\n  b = 1\n", vec![(1, "hcl/unclosed-block")]),
        ("a {\n  b = \n}\nc = 'x'\nd = 1\n", vec![(2, "hcl/expression-expected"), (4, "hcl/single-quote")]),
        (
            "a \"b\" = {\n c = 1\n}\nd = [1, 2\n",
            vec![(1, "hcl/block-with-equals"), (4, "hcl/unclosed-bracket")],
        ),
        ("a = \"C:\\windows\"\n", vec![(1, "hcl/escape")]),
        ("a = 1 b = 2\n", vec![(1, "hcl/line-break-expected")]),
        ("a = 1\na = 2\n", vec![(2, "hcl/duplicate-argument")]),
        ("a = <<EOF\ntext\n}\n", vec![(4, "hcl/unclosed-text")]),
        ("\"a\" = 1\nb = c.\nd = 1\n", vec![(1, "hcl/quoted-name"), (2, "hcl/attribute-expected")]),
        (
            "a = \"${b\"\nc = \"%{ if x }y\"\n",
            vec![(1, "hcl/unclosed-text"), (1, "hcl/unclosed-interpolation")],
        ),
        ("a = [for x in y x]\nb = {for x in y : x}\n", vec![(1, "hcl/for"), (2, "hcl/for")]),
        ("}\na = 1 & 2\n", vec![(1, "hcl/extra-brace"), (2, "hcl/invalid-character")]),
    ] {
        let found = errors(source);
        for (line, code) in expected {
            assert!(found.contains(&(line, code.to_owned())), "{source:?}: no {code} at {line} in {found:?}");
        }
    }
}

#[test]
fn a_mistake_is_told_once_and_what_follows_is_read() {
    for (source, expected) in [
        // A brace on a line of its own.
        ("a\n{\n  b = 1\n}\n", vec![(2, "hcl/block-expected")]),
        ("a \"x\"\n{\n  b = 1\n}\nc = \n", vec![(2, "hcl/block-expected"), (5, "hcl/expression-expected")]),
        // Brackets that the broken value opened are closed with it.
        ("a {\n  b = { c = 1, d }\n  e = 1\n}\n", vec![(2, "hcl/object-item")]),
        ("a {\n  b = [for c in d : e => f]\n  g = f(h..., 1)\n}\n", vec![(2, "hcl/for"), (3, "hcl/expand")]),
        (
            "a {\n  b = [1, 2 3]\n  c = (1 + 2\n}\n",
            vec![(2, "hcl/unclosed-bracket"), (3, "hcl/unclosed-bracket")],
        ),
        ("a { b = 1 c = 2 }\nd = 1\n", vec![(1, "hcl/single-line-block")]),
        // What swallows the rest of the file also swallows braces.
        ("a {\n  b = \"c\n}\n", vec![(2, "hcl/line-break-in-text")]),
        ("a {\n  b = <<EOF\nEOF;\n}\n", vec![(5, "hcl/unclosed-text")]),
        ("a {\n  b = \"${c\"\n}\n", vec![(2, "hcl/unclosed-interpolation")]),
        ("a = b[*\nc = 1\n", vec![(1, "hcl/splat-unclosed")]),
        ("a = [for \"b\" in c : d]\n", vec![(1, "hcl/for")]),
    ] {
        let file = SourceFile::new("t", source);
        let (_, found) = parse_file(&file);
        let told: Vec<(usize, &str)> = found
            .iter()
            .filter(|d| !d.is_echo)
            .map(|d| (d.span.as_ref().map_or(0, |s| s.start().line), d.code.as_str()))
            .collect();
        assert_eq!(told, expected, "{source:?}");
    }
}

#[test]
fn heredocs_lose_what_they_are_told_to() {
    let text = |source: &str| {
        let file = SourceFile::new("t", source);
        let (body, found) = parse_file(&file);
        assert!(found.is_empty(), "{found:?}");
        body.attributes[0].expr.literal_text().expect("a literal")
    };
    assert_eq!(text("a = <<-EOF\n    x\n\n      y\n    EOF\n"), "x\n\n  y\n");
    assert_eq!(text("a = <<EOF\n  $${x}\nEOF\n"), "  ${x}\n");
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{a=", "}"),
        ("f(", ")"),
        ("-", ""),
        ("!", ""),
        ("\"${", "}\""),
        ("1+(", ")"),
        ("a?b:", ""),
    ] {
        let source = format!("a = {}1{}\n", open.repeat(5000), close.repeat(5000));
        assert!(!errors(&source).is_empty(), "{open}");
    }
    let source = format!("a = b{}\n", ".c".repeat(100_000));
    assert!(!errors(&source).is_empty());
    let source = "a {\n".repeat(5000);
    assert!(errors(&source).iter().any(|(_, code)| code == "hcl/too-deep"));
}

#[test]
fn every_prefix_of_a_file_is_survived() {
    let source = "a \"b\" {\n  c = \"x${[for k, v in d : {e = f(g...)} if h][*].i}\" # j\n  k = <<-L\n   %{ if m }n%{ endif ~}\n  L\n}\n";
    for (at, _) in source.char_indices() {
        errors(&source[..at]);
    }
}
