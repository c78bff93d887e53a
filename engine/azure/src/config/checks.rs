//! Findings that occur again and again.

use fornax_core::Diagnostic;

use super::reader::Reader;

pub fn missing(r: &mut Reader, key: &str, why: &str, help: &str) {
    if r.is_told(key) {
        return;
    }
    let diagnostic = Diagnostic::error("azure/missing-option", format!("\"{key}\" is missing: {why}"))
        .at(&r.span())
        .help(help);
    r.push(diagnostic);
}

pub fn conflict(r: &mut Reader, key: &str, summary: impl Into<String>, help: &str) {
    let diagnostic = Diagnostic::error("azure/conflict", summary).at(&r.key_span(key)).help(help);
    r.push(diagnostic);
}

/// One of some words, compared without case and returned as Azure spells it.
pub fn one_of(r: &mut Reader, key: &str, words: &[&str]) -> Option<String> {
    let word = r.word(key)?;
    if let Some(good) = words.iter().find(|w| w.eq_ignore_ascii_case(&word.value)) {
        return Some((*good).to_owned());
    }
    let help = match fornax_core::diagnostic::nearest(&word.value, words.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            let words: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
            match words.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("write {} or {last}", rest.join(", ")),
                _ => format!("write {}", words.concat()),
            }
        }
    };
    r.push(word.error("azure/invalid-value", format!("\"{key}\" can't be \"{}\"", word.shown)).help(help));
    None
}
