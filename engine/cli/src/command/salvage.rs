//! The secrets of a template that is too broken to be planned. What is said of it shows its lines, so the values of its
//! sensitive variables are looked up in the text itself, which needs no more than their names and quotes to be where
//! they belong. Used before something is said of an error, and by `inspect`; a template that is sound says itself which
//! of its values are secret.

use std::collections::HashSet;

use fornax_core::{Redactor, Secret};

mod hcl;

const LIST: &str = "\"sensitive-variables\"";

/// Makes the values that sensitive variables have in these texts known to the redactor.
pub fn register<'a>(
    template: &'a str,
    var_files: impl IntoIterator<Item = &'a str>,
    vars: &[String],
    redactor: &Redactor,
) {
    let names = sensitive_names(template);
    if names.is_empty() {
        return;
    }
    let mut values = Vec::new();
    let variables = template.find("\"variables\"").map_or("", |at| block(&template[at..]));
    let set: HashSet<&str> = names.iter().map(String::as_str).collect();
    for text in std::iter::once(variables).chain(var_files) {
        values_of_any(&set, text, &mut values);
    }
    for var in vars {
        // Also where another character stands in place of the sign between name and value.
        let value = names.iter().find_map(|name| var.strip_prefix(name.as_str()));
        values.extend(value.and_then(|rest| rest.get(1..)).map(str::to_owned));
    }
    tell(&values, redactor);
}

/// The same for HCL2, whose files are read on in spite of mistakes, but not all that is in them gets a value.
pub fn register_hcl<'a>(
    templates: impl IntoIterator<Item = &'a str>,
    var_files: impl IntoIterator<Item = &'a str>,
    vars: &[String],
    redactor: &Redactor,
) {
    let mut values = Vec::new();
    let names: Vec<String> =
        templates.into_iter().flat_map(|text| hcl::template(text, &mut values)).collect();
    var_files.into_iter().for_each(|text| hcl::variable_file(text, &names, &mut values));
    for name in names.iter().filter(|name| !name.is_empty()) {
        if let Ok(value) = std::env::var(format!("PKR_VAR_{name}")) {
            hcl::given(&value, &mut values);
        }
        for value in vars.iter().filter_map(|var| var.strip_prefix(name.as_str())).filter_map(|v| v.get(1..))
        {
            hcl::given(value, &mut values);
        }
    }
    tell(&values, redactor);
    for value in values.iter().filter(|value| value.contains("$${") || value.contains("%%{")) {
        let read = serde_json::from_str::<String>(&format!("\"{value}\"")).unwrap_or_else(|_| value.clone());
        redactor.register(&Secret::new(read.replace("$${", "${").replace("%%{", "%{")));
    }
}

fn tell(values: &[String], redactor: &Redactor) {
    for value in values {
        // Actions of the template language are no secret, and worth to be seen where they are wrong.
        for piece in without_actions(value) {
            redactor.register(&Secret::new(piece));
            if let Ok(read) = serde_json::from_str::<String>(&format!("\"{piece}\"")) {
                redactor.register(&Secret::new(read));
            }
        }
    }
}

fn sensitive_names(text: &str) -> Vec<String> {
    let Some(at) = text.find(LIST) else { return Vec::new() };
    let list = text[at + LIST.len()..].split(']').next().unwrap_or_default();
    // What stands between quotes is every second piece.
    list.split('"').skip(1).step_by(2).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The text up to the bracket that closes the first one.
fn block(text: &str) -> &str {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(offset) = text[at..].find(['{', '}', '[', ']', '"']) {
        at += offset;
        match text.as_bytes()[at] {
            b'"' => at = string_end(text, at + 1).unwrap_or(text.len()),
            b'{' | b'[' => depth += 1,
            _ if depth <= 1 => return &text[..at],
            _ => depth -= 1,
        }
        at = (at + 1).min(text.len());
    }
    text
}

/// Where the string that begins at `from` ends; none if not in its line.
fn string_end(text: &str, from: usize) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            b'\n' => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// The values that stand behind any of the names, as they are written. Where a quotation mark is missing nobody knows
/// which of them open and which close, so each is taken for an opening one.
fn values_of_any(names: &HashSet<&str>, text: &str, values: &mut Vec<String>) {
    let mut quotes = text.match_indices('"').map(|(at, _)| at).peekable();
    while let Some(open) = quotes.next() {
        let Some(close) = quotes.peek() else { return };
        if names.contains(&text[open + 1..*close]) {
            value_behind(&text[close + 1..], values);
        }
    }
}

/// The same for one name.
fn values_of(name: &str, text: &str, values: &mut Vec<String>) {
    let key = format!("\"{name}\"");
    for (at, _) in text.match_indices(&key) {
        value_behind(&text[at + key.len()..], values);
    }
}

/// The value behind a key, if a colon stands between them.
fn value_behind(rest: &str, values: &mut Vec<String>) {
    if let Some(rest) = rest.trim_start().strip_prefix(':').map(str::trim_start) {
        match rest.chars().next() {
            Some('"') => values.extend(string(rest)),
            Some('[' | '{') => {
                let list = block(rest);
                let mut from = 0;
                while let Some(open) = list[from..].find('"') {
                    let value = string(&list[from + open..]);
                    from += open + value.first().map_or(0, String::len) + 2;
                    values.extend(value);
                    if from >= list.len() || !list.is_char_boundary(from) {
                        break;
                    }
                }
            }
            _ => values.extend(rest.split([',', '}', '\n']).next().map(|word| word.trim().to_owned())),
        }
    }
}

/// What the string at the beginning of `text` may hold: up to its end, and, where the end is not clear because a quote in
/// it is not escaped or the last one is missing, up to the next quote that looks like an end, or the
/// end of the line.
fn string(text: &str) -> Vec<String> {
    let line = text[1..].lines().next().unwrap_or_default();
    let Some(end) = string_end(text, 1) else { return vec![line.to_owned()] };
    let value = text[1..end].to_owned();
    let behind = &text[end + 1..];
    let next = behind.trim_start().chars().next();
    let another = next == Some('"') && behind.starts_with(char::is_whitespace);
    if another || matches!(next, None | Some(',' | '}' | ']')) {
        return vec![value];
    }
    let ends = line.match_indices('"').map(|(at, _)| at).filter(|at| {
        let next = line[at + 1..].trim_start().chars().next();
        *at > value.len() && matches!(next, None | Some(',' | '}' | ']'))
    });
    let longer = ends.chain([line.len()]).next().map(|at| line[..at].to_owned());
    std::iter::once(value.clone()).chain(longer).collect()
}

/// The pieces of a value between its `{{…}}`.
fn without_actions(value: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((before, action)) = rest.split_once("{{") {
        pieces.push(before);
        rest = action.split_once("}}").map_or("", |(_, after)| after);
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_broken_texts() {
        let list = r#""sensitive-variables": ["pw", "other"]"#;
        for (template, secret) in [
            (format!(r#"{{{list}, "variables": {{"pw": "hunter2""#), "hunter2"),
            (format!(r#"{{{list}, "variables": {{"pw": "hunter2"#), "hunter2"),
            (format!(r#"{{{list}, "variables": {{"pw": "hun\"ter2", "#), "hun\"ter2"),
            (format!(r#"{{{list}, "variables": {{"pw": "hun"ter2", "a": 1"#), "hun\"ter2"),
            (format!(r#"{{{list}, "variables": {{"pw": ["hunter2", "second-one"]"#), "second-one"),
            (format!(r#"{{{list}, "variables": {{"pw": 123456 "#), "123456"),
            (format!(r#"{{"variables": {{"pw": "hunter2" "a": ""}} {list}"#), "hunter2"),
            (format!(r#"{{{list}, "variables": {{"pw": "hunter2 {{{{env `X`}}}}"}}"#), "hunter2"),
            (format!("{{{list}, \"variables\": {{\"other\" : \"ä"), "ä"),
        ] {
            let redactor = Redactor::new();
            register(&template, [], &[], &redactor);
            assert_eq!(redactor.redact(secret), "<sensitive>", "{template}");
            assert_eq!(redactor.redact("{{env `X`}}"), "{{env `X`}}", "{template}");
        }
    }

    #[test]
    fn other_texts_and_other_keys() {
        let template =
            r#"{"sensitive-variables": ["type"], "variables": {"type": ""}, "builders": [{"type": "null"}"#;
        let redactor = Redactor::new();
        register(template, [r#"{"type": "from file"#], &["type:from-var".to_owned()], &redactor);
        assert_eq!(redactor.redact("null, from file, from-var"), "null, <sensitive>, <sensitive>");
        register("", [], &[], &redactor);
        register(
            "{\"sensitive-variables\": [\"ä\", \"",
            ["\"ä\":\"é\"é"],
            &["ä".into(), "ää".into()],
            &redactor,
        );
    }
}
