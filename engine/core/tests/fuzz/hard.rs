//! Templates that are large or deep on purpose: each is read to the end in good time, with a clear error or without one.
//! What grows with the square of the input, or overflows a stack, fails here.

use std::time::Duration;

use crate::targets::findings;

/// Of the processor, in a build without optimisation; what is quadratic takes minutes.
const LIMIT: Duration = Duration::from_secs(20);

const NULL: &str =
    "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n";
const BUILDERS: &str = r#""builders": [{"type": "null", "communicator": "none"}]"#;

/// An error with this code is told, or none at all.
#[track_caller]
fn expect(name: &str, text: &str, code: Option<&str>) {
    let start = worked();
    let found = findings(name, text);
    let took = worked().saturating_sub(start);
    let errors: Vec<&str> = found
        .iter()
        .filter(|d| d.severity == fornax_core::Severity::Error)
        .map(|d| d.code.as_str())
        .collect();
    match code {
        Some(code) => {
            assert!(errors.contains(&code), "{code} is not among {:?}", &errors[..errors.len().min(9)])
        }
        None => assert!(errors.is_empty(), "{:?}", &errors[..errors.len().min(9)]),
    }
    assert!(took < LIMIT, "it took {took:?}");
}

/// How long this thread has worked; on a busy machine a clock would count the others too.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

fn locals(inner: &str) -> String {
    format!("locals {{\n{inner}}}\n{NULL}")
}

/// `levels` times what `wrap` makes of the expression before.
fn nested(levels: usize, wrap: impl Fn(&str) -> String) -> String {
    (0..levels).fold("1".to_owned(), |inner, _| wrap(&inner))
}

#[test]
fn deep_expressions() {
    let deep = Some("hcl/too-deep");
    for (expr, code) in [
        (nested(5000, |e| format!("({e})")), deep),
        (nested(5000, |e| format!("[{e}]")), deep),
        (nested(5000, |e| format!("{{a={e}}}")), deep),
        (nested(5000, |e| format!("\"${{{e}}}\"")), deep),
        (nested(5000, |e| format!("abs({e})")), deep),
        (nested(5000, |e| format!("-{e}")), deep),
        (nested(5000, |e| format!("true ? {e} : 1")), deep),
        (nested(5000, |e| format!("[for x in [1] : {e}]")), deep),
        (format!("1{}", "+1".repeat(5000)), deep),
        (format!("local.z{}", ".a".repeat(5000)), deep),
        // Each chain fits, and so do the brackets; the tree would have twenty thousand levels.
        (nested(90, |e| format!("({e}{})", "+1".repeat(240))), deep),
        (nested(90, |e| format!("({e}{})", ".a".repeat(95))), deep),
        (nested(90, |e| format!("[{e}{}]", "[*]".repeat(95))), deep),
        (format!("\"{}{}\"", "%{ if true }".repeat(5000), "%{ endif }".repeat(5000)), deep),
        (nested(95, |e| format!("({e})")), None),
        (format!("1{}", "+1".repeat(240)), None),
    ] {
        expect("t.pkr.hcl", &locals(&format!("z = {{}}\na = {expr}\n")), code);
    }
}

#[test]
fn deep_blocks_and_json() {
    let blocks = |levels| format!("{}{}", "b {\n".repeat(levels), "}\n".repeat(levels));
    expect("t.pkr.hcl", &blocks(20_000), Some("hcl/too-deep"));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let value = format!("{}1{}", open.repeat(20_000), close.repeat(20_000));
        expect("t.json", &value, Some("json/syntax"));
        expect("t.pkr.json", &value, Some("json/syntax"));
        // Functions of HCL read JSON and YAML too.
        let text = value.replace('"', "\\\"");
        for function in ["jsondecode", "yamldecode"] {
            expect(
                "t.pkr.hcl",
                &locals(&format!("a = {function}(\"{text}\")\n")),
                Some("hcl/function-failed"),
            );
        }
    }
    // In the JSON form the depth of JSON and that of a text in it add up.
    let text = nested(90, |e| format!("({e}{})", "+1".repeat(2)));
    let value = format!("{}\"${{{text}}}\"{}", "[".repeat(110), "]".repeat(110));
    expect("t.pkr.json", &format!("{{\"locals\": {{\"a\": {value}}}}}"), Some("template/no-build"));
}

#[test]
fn deep_texts() {
    let with = |value: &str| format!("{{\"variables\": {{\"a\": \"{value}\"}}, {BUILDERS}}}");
    let wrong = Some("template/interpolation");
    for (value, code) in [
        (format!("{}{}", "{{if true}}".repeat(5000), "{{end}}".repeat(5000)), wrong),
        (format!("{}{}", "{{range 2}}".repeat(5000), "{{end}}".repeat(5000)), wrong),
        (format!("{}x{}", "{{range 9}}".repeat(50), "{{end}}".repeat(50)), wrong),
        (format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000)), wrong),
        ("{{define `t`}}{{template `t`}}{{end}}{{template `t`}}".to_owned(), wrong),
        (format!("{{{{if true}}}}{}{{{{end}}}}", "{{else if true}}".repeat(5000)), None),
    ] {
        expect("t.json", &with(&value), code);
    }
}

#[test]
fn many_names() {
    let many = 20_000;
    expect(
        "t.pkr.hcl",
        &(lines(many, |i| format!("variable \"v{i}\" {{\n  default = {i}\n}}\n")) + NULL),
        None,
    );
    expect("t.pkr.hcl", &locals(&lines(many, |i| format!("l{i} = {i}\n"))), None);
    expect("t.pkr.hcl", &locals(&format!("a = {{\n{}}}\n", lines(many, |i| format!("l{i} = {i}\n")))), None);
    let members = lines(many, |i| format!("\"v{i}\": \"{i}\", "));
    expect("t.json", &format!("{{\"variables\": {{{members}\"a\": \"\"}}, {BUILDERS}}}"), None);
    expect("t.pkr.json", &format!("{{\"locals\": {{{members}\"a\": \"\"}}}}"), Some("template/no-build"));
    let many = 2000;
    let members = lines(many, |i| format!("\"v{i}\": \"secret {i}\", "));
    let names = lines(many, |i| format!("\"v{i}\", "));
    let sensitive = format!(
        "{{\"variables\": {{{members}\"a\": \"\"}}, \"sensitive-variables\": [{names}\"a\"], {BUILDERS}}}"
    );
    expect("t.json", &sensitive, None);
    let block = |i| format!("variable \"v{i}\" {{\n  default = \"secret {i}\"\n  sensitive = true\n}}\n");
    expect("t.pkr.hcl", &(lines(many, block) + NULL), None);
}

#[test]
fn many_mistakes() {
    let many = 3000;
    expect(
        "t.pkr.hcl",
        &locals(&lines(many, |i| format!("l{i} = local.m{i}\n"))),
        Some("hcl/unknown-attribute"),
    );
    expect("t.pkr.hcl", &locals(&lines(many, |_| "a = 1\n".to_owned())), Some("hcl/duplicate-argument"));
    expect("t.pkr.hcl", &lines(many, |_| "a = \"\n".to_owned()), Some("hcl/line-break-in-text"));
    expect("t.pkr.hcl", &"@".repeat(100_000), Some("hcl/invalid-character"));
    expect("t.pkr.hcl", &format!("a = \"{}\"", "\\q".repeat(100_000)), Some("hcl/escape"));
    let members = lines(many, |i| format!("\"v{i}\": \"{{{{user `w{i}`}}}}\", "));
    expect(
        "t.json",
        &format!("{{\"variables\": {{{members}\"a\": \"\"}}}}"),
        Some("template/unknown-variable"),
    );
    expect("t.json", &format!("{{{members}\"a\": 1}}"), Some("template/unknown-key"));
}

#[test]
fn chains_and_circles() {
    let many = 10_000;
    // Each needs the one behind it, and in the other order the one before it.
    let forth = |i| format!("l{i} = local.l{}\n", i + 1);
    expect("t.pkr.hcl", &locals(&(lines(many, forth) + &format!("l{many} = 1\n"))), None);
    let back = |i: usize| format!("l{} = local.l{i}\n", i + 1);
    expect("t.pkr.hcl", &locals(&(lines(many, back) + "l0 = 1\n")), None);
    expect(
        "t.pkr.hcl",
        &locals(&(lines(many, forth) + &format!("l{many} = local.l0\n"))),
        Some("template/circle"),
    );
    expect("t.pkr.hcl", &locals("a = local\nb = local.a\n"), Some("template/circle"));
    expect(
        "t.pkr.hcl",
        "data \"null\" \"a\" {\n  input = data.null.b.output\n}\ndata \"null\" \"b\" {\n  input = data.null.a.output\n}\n",
        Some("template/circle"),
    );
    let chain = |last: &str| {
        let members = lines(many, |i| format!("\"v{i}\": \"{{{{user `v{}`}}}}\", ", i + 1));
        format!("{{\"variables\": {{{members}\"v{many}\": \"{last}\"}}, {BUILDERS}}}")
    };
    expect("t.json", &chain("x"), None);
    expect("t.json", &chain("{{user `v0`}}"), Some("template/variable-cycle"));
}

#[test]
fn values_that_grow() {
    let (deep, large) = (Some("hcl/too-deep"), Some("hcl/too-large"));
    let wrapped = lines(3000, |i| format!("l{} = [local.l{i}]\n", i + 1));
    expect("t.pkr.hcl", &locals(&(wrapped + "l0 = 1\n")), deep);
    let doubled = lines(60, |i| format!("l{} = [local.l{i}, local.l{i}]\n", i + 1));
    expect("t.pkr.hcl", &locals(&(doubled + "l0 = 1\n")), large);
    let text = lines(60, |i| format!("l{} = [\"${{local.l{i}[0]}}${{local.l{i}[0]}}\"]\n", i + 1));
    expect("t.pkr.hcl", &locals(&(text + "l0 = [\"0123456789\"]\n")), large);
    let loops = "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : true]]]";
    expect("t.pkr.hcl", &locals(&format!("l0 = {loops}\n")), large);
    // Blocks in blocks multiply.
    let open = "dynamic \"x\" {\n  for_each = range(200)\n  content {\n".repeat(5);
    let close = "}\n}\n".repeat(5);
    let source =
        format!("source \"null\" \"n\" {{\n{open}{close}}}\nbuild {{\n  sources = [\"null.n\"]\n}}\n");
    expect("t.pkr.hcl", &source, Some("template/dynamic"));
    let steps = "dynamic \"post-processors\" {\n  for_each = range(1000)\n  content {\n    dynamic \"post-processor\" {\n      for_each = range(1000)\n      labels = [\"manifest\"]\n      content {}\n    }\n  }\n}\n";
    let build = format!("source \"null\" \"n\" {{}}\nbuild {{\n  sources = [\"null.n\"]\n{steps}}}\n");
    expect("t.pkr.hcl", &build, Some("template/dynamic"));
}

#[test]
fn numbers_and_texts_of_any_size() {
    let nines = "9".repeat(100_000);
    expect("t.pkr.hcl", &locals(&format!("a = {nines}\n")), Some("hcl/number"));
    expect("t.pkr.hcl", &locals(&format!("a = {}\nb = 1e10000\n", &nines[..5000])), None);
    expect("t.pkr.hcl", &locals("a = 1e99999\n"), Some("hcl/number"));
    expect("t.pkr.hcl", &locals(&format!("a = 1e{nines}\n")), Some("hcl/number"));
    let variables = |value: &str| format!("{{\"variables\": {{\"a\": {value}}}, {BUILDERS}}}");
    expect("t.json", &variables("1e999"), Some("json/syntax"));
    expect("t.json", &variables(&format!("\"{}\"", "x".repeat(4 << 20))), None);
    expect("t.pkr.hcl", &locals(&format!("a = \"{}\"\n", "x".repeat(4 << 20))), None);
    expect("t.pkr.hcl", &locals(&format!("a = <<EOF\n{}EOF\n", "x\n".repeat(1 << 17))), None);
}

#[test]
fn odd_characters() {
    for (name, text, code) in [
        ("t.json", format!("\u{feff}{{{BUILDERS}}}"), None),
        ("t.json", format!("{{\r\n{BUILDERS}\r\n}}\r\n"), None),
        ("t.json", format!("{{{BUILDERS}}}\0"), Some("json/syntax")),
        ("t.json", format!("{{{BUILDERS}, \"_c\": \"\0\"}}"), Some("json/syntax")),
        ("t.json", String::new(), Some("json/syntax")),
        ("t.json", " \n".to_owned(), Some("json/syntax")),
        ("t.json", format!("{{{BUILDERS}, {BUILDERS}}}"), Some("json/duplicate-key")),
        ("t.pkr.hcl", format!("\u{feff}{NULL}"), None),
        ("t.pkr.hcl", NULL.replace('\n', "\r\n"), None),
        ("t.pkr.hcl", NULL.replace('\n', "\r"), Some("hcl/invalid-character")),
        ("t.pkr.hcl", format!("{NULL}\0"), Some("hcl/invalid-character")),
        ("t.pkr.hcl", format!("{NULL}\u{feff}"), Some("hcl/invalid-character")),
        ("t.pkr.hcl", String::new(), Some("template/no-build")),
        ("t.pkr.json", String::new(), Some("json/syntax")),
        ("t.pkr.json", "{\"locals\": {\"a\": 1, \"a\": 2}}".to_owned(), Some("hcl/duplicate-argument")),
    ] {
        expect(name, &text, code);
    }
}
