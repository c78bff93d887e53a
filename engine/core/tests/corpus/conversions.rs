//! `fix` and `hcl2_upgrade`: Packer's own cases, and what it makes of real templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fornax_core::template::{self, fix};
use fornax_core::{Diagnostic, Severity, SourceFile};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::{corpus, judge, lines};

/// The fixed template, or what was found.
fn fixed(name: &str, text: &str) -> Result<Json, String> {
    let (fixed, found) = fix::fix(&SourceFile::new(name, text));
    match fixed {
        Some(fixed) => Ok(serde_json::from_str(&fixed.text).expect("the fixed template is JSON")),
        None => Err(found.iter().map(Diagnostic::render).collect()),
    }
}

#[test]
fn fix_cases() {
    let Some(corpus) = corpus("fix cases") else { return };
    let mut failures = BTreeMap::new();
    for case in lines(&corpus.join("cases/fix.jsonl")) {
        let expect = &case["expect"];
        let why = match (fixed("t.json", &case["input"].to_string()), expect["error"] == true) {
            (Ok(got), false) if got == expect["output"] => continue,
            (Err(_), true) => continue,
            (Ok(got), _) => got.to_string(),
            (Err(why), _) => why,
        };
        failures.insert(case["id"].as_str().unwrap_or_default().to_owned(), why);
    }
    judge("fix", failures);
}

#[test]
fn real_templates_are_fixed_as_packer_does() {
    let Some(corpus) = corpus("fixing real templates") else { return };
    let mut failures = BTreeMap::new();
    let mut count = 0;
    for unit in lines(&corpus.join("oracle/modern.jsonl")).iter().filter(|u| u["fix"].is_object()) {
        let name = unit["template"].as_str().expect("a path");
        let text = read(&corpus.join("templates").join(name));
        count += 1;
        let expect = &unit["fix"];
        let given: Json = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
        let same = match fixed(name, &text) {
            Err(_) => expect["rc"] == 1,
            Ok(_) if expect["rc"] != 0 => false,
            Ok(got) if expect["changed"] != true => got == given,
            Ok(got) if expect["output"].is_object() => got == expect["output"],
            Ok(mut got) => {
                got.sort_all_objects();
                expect["output_sha256_of_compact_sorted_json"] == digest(&got.to_string())
            }
        };
        if !same {
            failures.insert(name.to_owned(), "the result is another one".to_owned());
        }
    }
    assert_eq!(count, 125, "the number of JSON templates in the corpus");
    judge("templates/fix", failures);
}

/// Lines of code without comments, with single blanks.
fn code(text: &str) -> Vec<String> {
    text.lines()
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect()
}

#[test]
fn upgrade_cases() {
    let Some(corpus) = corpus("upgrade cases") else { return };
    // Single lines that we write another way on purpose; each has to occur.
    let exceptions: Json =
        serde_json::from_str(include_str!("exceptions.json")).expect("the exceptions are JSON");
    let ours = exceptions["hcl2_upgrade_lines"].as_object().expect("lines and ours");
    let mut seen = BTreeSet::new();
    for case in lines(&corpus.join("cases/hcl2_upgrade.jsonl")) {
        let folder = corpus.join(case["fixture"].as_str().expect("a folder"));
        let input = read(&folder.join(case["input"].as_str().expect("a file")));
        let mut expected = code(&read(&folder.join(case["expect"]["output_file"].as_str().expect("a file"))));
        for line in &mut expected {
            if let Some(other) = ours.get(line.as_str()).and_then(|o| o["ours"].as_str()) {
                seen.insert(std::mem::replace(line, other.to_owned()));
            }
        }
        let got = code(&upgraded("input.json", &input).expect("the template is right").0);
        assert_eq!(got, expected, "{}", case["name"]);
    }
    assert_eq!(seen.len(), ours.len(), "only these lines occur: {seen:?}");
}

/// Text and warnings.
fn upgraded(name: &str, text: &str) -> Result<(String, Vec<Diagnostic>), String> {
    let (parsed, found) = template::parse(&SourceFile::new(name, text));
    match parsed.filter(|_| !found.has_errors()) {
        Some(parsed) => {
            let upgrade = template::upgrade(&parsed, false);
            Ok((upgrade.text, upgrade.findings.into_iter().collect()))
        }
        None => Err(found.iter().map(Diagnostic::render).collect()),
    }
}

#[test]
fn real_templates_become_what_packer_makes_of_them() {
    let Some(corpus) = corpus("upgrading real templates") else { return };
    let mut failures = BTreeMap::new();
    let mut count = 0;
    for unit in lines(&corpus.join("oracle/modern.jsonl")).iter().filter(|u| u["hcl2_upgrade"].is_object()) {
        let name = unit["template"].as_str().expect("a path");
        let text = read(&corpus.join("templates").join(name));
        count += 1;
        match upgraded(name, &text) {
            Err(why) => {
                failures.insert(name.to_owned(), why);
            }
            Ok((text, warnings)) => {
                assert!(warnings.iter().all(|w| w.severity != Severity::Error && w.span.is_some()), "{name}");
                // Packer begins with a blank line where there is no `packer` block.
                let same = [text.clone(), format!("\n{text}")]
                    .iter()
                    .any(|t| unit["hcl2_upgrade"]["output_sha256"] == digest(t));
                if !same {
                    failures.insert(name.to_owned(), "the result is another one".to_owned());
                }
            }
        }
    }
    assert_eq!(count, 125, "the number of JSON templates in the corpus");
    judge("templates/hcl2_upgrade", failures);
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}
