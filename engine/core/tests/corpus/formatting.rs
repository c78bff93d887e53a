//! `fmt`: the bytes that Packer's formatter writes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fornax_core::SourceFile;
use fornax_core::hcl::format::format;
use fornax_core::hcl::lex::lex;
use fornax_core::hcl::parse::parse_file;
use proptest::prelude::*;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{corpus, judge, lines};

fn has_errors(text: &str) -> bool {
    parse_file(&SourceFile::new("t.pkr.hcl", text)).1.has_errors()
}

/// Kinds and texts of all tokens.
fn tokens(text: &str) -> Vec<String> {
    lex(text).iter().map(|t| format!("{:?} {:?}", t.kind, t.text(text))).collect()
}

/// What is wrong with the formatted text whatever it should be.
fn broken(text: &str, formatted: &str) -> Option<&'static str> {
    if tokens(text) != tokens(formatted) {
        return Some("formatting changes a token");
    }
    (format(formatted) != *formatted).then_some("formatting again changes it again")
}

/// A file of the corpus and what Packer makes of it.
struct Formatted {
    name: String,
    text: String,
    facts: Json,
}

fn files(corpus: &std::path::Path) -> Vec<Formatted> {
    let mut found = Vec::new();
    for unit in lines(&corpus.join("oracle/modern.jsonl")) {
        let template = unit["template"].as_str().expect("a path");
        let path = corpus.join("templates").join(template);
        let folder = if path.is_dir() { path } else { path.parent().map(PathBuf::from).expect("a folder") };
        for (file, facts) in unit["fmt"].as_object().into_iter().flatten() {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            found.push(Formatted { name: format!("{template} {file}"), text, facts: facts.clone() });
        }
    }
    found
}

#[test]
fn real_files_are_formatted_as_packer_does() {
    let Some(corpus) = corpus("formatting real files") else { return };
    let files = files(&corpus);
    assert_eq!(files.len(), 111, "the number of HCL files in the corpus");
    let mut failures = BTreeMap::new();
    for Formatted { name, text, facts } in files {
        let formatted = format(&text);
        let digest: String = Sha256::digest(&formatted).iter().map(|b| format!("{b:02x}")).collect();
        let why = if has_errors(&text) != (facts["rc"] != 0) {
            Some("the verdict differs")
        } else if (formatted != text) != (facts["changed"] == true) {
            Some("whether it changes differs")
        } else if facts["formatted_sha256"] != digest.as_str() {
            Some("the text differs")
        } else {
            broken(&text, &formatted)
        };
        failures.extend(why.map(|why| (name, why.to_owned())));
    }
    judge("fmt", failures);
}

#[test]
fn cases_are_formatted_as_packer_does() {
    let Some(corpus) = corpus("formatting cases") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/modern_fmt.jsonl")) {
        let (input, expect) = (case["input"].as_str().expect("a text"), &case["expect"]);
        let formatted = format(input);
        let why = if has_errors(input) != (expect["exit_code"] == 1) {
            Some("the verdict differs".to_owned())
        } else if let Some(wanted) = expect["output"].as_str().filter(|wanted| *wanted != formatted) {
            Some(format!("{formatted:?}, not {wanted:?}"))
        } else {
            broken(input, &formatted).map(str::to_owned)
        };
        failures.extend(why.map(|why| (case["id"].as_str().unwrap_or_default().to_owned(), why)));
    }
    judge("modern_fmt", failures);
}

#[test]
fn every_hcl_file_of_the_fixtures_keeps_its_tokens() {
    let Some(corpus) = corpus("formatting fixtures") else { return };
    let mut folders = vec![corpus.join("fixtures")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "hcl") {
                let text =
                    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert_eq!(broken(&text, &format(&text)), None, "{}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} HCL files are among the fixtures");
}

/// Fragments that meet in ways nobody wrote down.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "in", "é", "1", "2.5", "=", "==", "-", "!", "/", "%", "<", "&&", "?", "::", ",", ".", "...",
        "=>", "{", "}", "[", "]", "(", ")", "\"", "${", "%{", "~}", "<<E\n", "<<-E\n", "\nE\n", " ", "\t",
        "\n", "\r\n", "\r", "# c\n", "// c\n", "/* c */", "/*", "$", "\\", ";", "'",
    ])
}

fn blanks() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", " ", "  ", "\t"])
}

/// Expressions with any blanks in them. None has two numbers around a dot: Packer formats `a . 0 . 1` to `a.0.1`,
/// whose tokens are others.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "-1",
        "2.5e3",
        "null",
        "\"x = 1\"",
        "a . b",
        "a [ 0 ]",
        "a.*.b",
        "a[*] . b",
        "\"$${ %%{\"",
        "é",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let operator = prop::sample::select(vec!["+", " -", "*", "/", "%", "==", "<", ">=", "&&", "||"]);
        let shape = prop::sample::select(vec![
            "(_@_)",
            "[_@_,_@_]",
            "[\n@,# c\n@\n]",
            "{_k_=_@_,_\"l\"_:_@_}",
            "{\nk_=_@_# c\nl_=_@\n}",
            "f_(_@_,_@_...)",
            "[_for x in_ @_:_@_]",
            "{for k,v in_ @_:_k_=>_@_...}",
            "@_?_@_:_@",
            "!_@",
            "-_@",
            "\"x ${_@_}\"",
            "\"%{_if_ @_~}y${~_@_}%{_endif_}\"",
        ]);
        prop_oneof![
            (inner.clone(), blanks(), operator, blanks(), inner.clone())
                .prop_map(|(a, x, operator, y, b)| format!("{a}{x}{operator}{y}{b}")),
            (shape, inner.clone(), inner, blanks(), blanks()).prop_map(|(shape, a, b, x, y)| {
                let mut parts = shape.split('@');
                let first = parts.next().unwrap_or_default().to_owned();
                let filled =
                    parts.zip([&a, &b].into_iter().cycle()).fold(first, |text, (part, e)| text + e + part);
                filled.replacen('_', x, 2).replace('_', y)
            }),
        ]
    })
}

/// Something on lines of its own; `§` stands for a number that makes its name the only one.
fn item() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a§", "long-name§", "é§", "e\u{301}x§"]);
    let comment = prop::sample::select(vec!["", "", "# c", " // c", "/* c */", "/* c */ # d"]);
    let heredoc = prop::sample::select(vec!["<<", "<<-"]);
    prop_oneof![
        4 => (name, blanks(), blanks(), expression(), comment)
            .prop_map(|(name, x, y, value, comment)| format!("{x}{name}{y}={x}{value}{comment}")),
        1 => (heredoc, blanks(), expression())
            .prop_map(|(open, x, e)| format!("h§{x}={x}{open}END\n  a =1 ${{{x}{e} }}\n\n{x}END")),
        1 => prop::sample::select(vec!["", "# c", "  // c", "/* c\n    d */"]).prop_map(str::to_owned),
        1 => (blanks(), expression()).prop_map(|(x, e)| format!("{x}b{x} \"l\"{x}{{{x}c{x}={e}{x}}}")),
        1 => (blanks(), expression(), expression()).prop_map(|(x, a, b)| format!("b{x}{{\n{x}c={a}\n d={b}\n{x}}}")),
    ]
}

proptest! {
    #[test]
    fn any_text_keeps_everything_but_blanks(parts in prop::collection::vec(fragment(), 0..60)) {
        let text = parts.concat();
        let bare = |text: &str| text.replace([' ', '\t'], "");
        prop_assert_eq!(bare(&text), bare(&format(&text)));
    }

    #[test]
    fn any_file_keeps_its_tokens_and_is_formatted_once(
        items in prop::collection::vec(item(), 0..8),
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let text: String = items.iter().enumerate().map(|(i, item)| item.replace('§', &i.to_string()) + "\n").collect();
        let text = text.replace('\n', line_end);
        prop_assert!(!has_errors(&text), "{text:?} is no file");
        prop_assert_eq!(broken(&text, &format(&text)), None, "{:?}", text);
    }
}
