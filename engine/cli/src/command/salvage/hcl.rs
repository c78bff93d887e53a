//! The secrets that HCL2 templates and their variable files hold as literals, found by words, quotes and lines: a value
//! that is overridden, of the wrong type, or in a text that can't be parsed has no place among the values of a
//! template, but its line is shown. It rather takes too much for a secret than too little.

use super::{block, string_end, values_of};

/// Words that begin a block at the root of a template.
const ROOT: [&str; 9] =
    ["packer", "variable", "variables", "locals", "local", "source", "data", "build", "hcp_packer_registry"];
/// Arguments of variables that hold no value.
const NO_VALUES: [&str; 6] = ["description", "error_message", "type", "condition", "deprecated", "sensitive"];

/// Names of the sensitive variables and locals of a template; their literals are added to `values`.
pub fn template(text: &str, values: &mut Vec<String>) -> Vec<String> {
    if text.trim_start().starts_with('{') { json_template(text, values) } else { native(text, values) }
}

/// What a variable file gives to these names.
pub fn variable_file(text: &str, names: &[String], values: &mut Vec<String>) {
    if text.trim_start().starts_with('{') {
        names.iter().for_each(|name| values_of(name, text, values));
        return;
    }
    let (mut inside, mut depth) = (false, 0_i64);
    for line in text.split_inclusive('\n') {
        if depth <= 0 || !inside {
            let bare = line.trim_start().trim_start_matches('"');
            let word = first_word(bare);
            if !word.is_empty() {
                inside = names.iter().any(|name| name == word);
                depth = 0;
            }
        }
        if inside {
            literals(line, values);
            depth += brackets(line);
        }
    }
}

/// What stands on the command line or in the environment: the whole, and the texts in it.
pub fn given(text: &str, values: &mut Vec<String>) {
    values.push(text.to_owned());
    values.extend(text.lines().map(|line| line.trim().to_owned()));
    text.lines().for_each(|line| literals(line, values));
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(text.len());
    &text[..end]
}

/// Brackets that a line opens, less those that it closes, outside of its texts.
fn brackets(line: &str) -> i64 {
    let mut sum = 0;
    let mut at = 0;
    while let Some(byte) = line.as_bytes().get(at) {
        match byte {
            b'"' => at = string_end(line, at + 1).unwrap_or(line.len()),
            b'{' | b'[' | b'(' => sum += 1,
            b'}' | b']' | b')' => sum -= 1,
            _ => {}
        }
        at += 1;
    }
    sum
}

/// Whether a text says `sensitive = true`, in either form.
fn says_sensitive(text: &str) -> bool {
    text.match_indices("sensitive").any(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches(['"', ' ', '\t']);
        let rest = rest.strip_prefix(['=', ':']).unwrap_or_default();
        rest.trim_start_matches(['"', ' ', '\t']).starts_with("true")
    })
}

fn native(text: &str, values: &mut Vec<String>) -> Vec<String> {
    let mut regions: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        if ROOT.contains(&first_word(line)) || regions.is_empty() {
            regions.push(String::new());
        }
        if let Some(region) = regions.last_mut() {
            region.push_str(line);
        }
    }
    let mut names = Vec::new();
    for region in &regions {
        let kind = first_word(region);
        if !(kind == "variable" || kind == "local") || !says_sensitive(region) {
            continue;
        }
        let label = region[kind.len()..].trim_start().trim_start_matches('"');
        let name = first_word(label);
        names.push(name.to_owned());
        let body = &region[region.len() - label.len() + name.len()..];
        let mut heredoc: Option<&str> = None;
        // What follows the label in its line begins with the quotation mark behind it.
        for line in body.strip_prefix('"').unwrap_or(body).split_inclusive('\n') {
            let word = first_word(line.trim_start());
            if let Some(end) = heredoc {
                heredoc = (line.trim() != end).then_some(end);
                values.push(line.trim().to_owned());
            } else if let Some((_, mark)) = line.split_once("<<") {
                heredoc = Some(first_word(mark.trim_start_matches('-'))).filter(|mark| !mark.is_empty());
            }
            if !NO_VALUES.contains(&word) || line.contains("default") || line.contains("expression") {
                literals(line, values);
            }
        }
    }
    names
}

/// Texts and numbers of a line.
fn literals(line: &str, values: &mut Vec<String>) {
    let line = line.trim_end_matches(['\n', '\r']);
    let mut at = 0;
    let mut code = String::new();
    while let Some(open) = line[at..].find('"') {
        code.push_str(&line[at..at + open]);
        code.push(' ');
        let from = at + open + 1;
        let end = string_end(line, from).unwrap_or(line.len());
        let piece = &line[from..end];
        // A text within an interpolation looks as if it were between two texts.
        if piece.contains("${") || piece.contains("%{") {
            pieces(&line[from..], values);
        }
        values.push(piece.to_owned());
        at = (end + 1).min(line.len());
    }
    code.push_str(&line[at..]);
    let number = |word: &&str| word.len() > 3 && word.chars().any(|c| c.is_ascii_digit());
    let words = code.split(|c: char| !(c.is_alphanumeric() || ".+-_".contains(c)));
    values.extend(words.filter(number).map(str::to_owned));
}

/// Everything between quotation marks, interpolations and braces, whichever of them is text.
fn pieces(rest: &str, values: &mut Vec<String>) {
    let mut from = 0;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at <= bytes.len() {
        match bytes.get(at) {
            Some(b'\\') => at += 1,
            None | Some(b'"') => {
                values.push(rest.get(from..at).unwrap_or_default().to_owned());
                from = at + 1;
            }
            Some(b'$' | b'%')
                if bytes.get(at + 1) == Some(&b'{') && bytes.get(at.wrapping_sub(1)) != Some(&bytes[at]) =>
            {
                values.push(rest.get(from..at).unwrap_or_default().to_owned());
                from = at + 2;
            }
            _ => {}
        }
        at += 1;
    }
}

fn json_template(text: &str, values: &mut Vec<String>) -> Vec<String> {
    let mut names = Vec::new();
    // Where the objects begin that are open.
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'{' => open.push(at),
            b'}' => drop(open.pop()),
            b'"' => {
                let end = string_end(text, at + 1).unwrap_or(text.len());
                if text[at..].starts_with("\"sensitive\"")
                    && says_sensitive(text[at..].lines().next().unwrap_or_default())
                {
                    let from = open.last().copied().unwrap_or(0);
                    names.extend(key_before(&text[..from]));
                    json_values(block(&text[from..]), values);
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    names
}

/// The key whose value follows.
fn key_before(text: &str) -> Option<String> {
    let text = text.trim_end().trim_end_matches('[').trim_end().strip_suffix(':')?;
    let text = text.trim_end().strip_suffix('"')?;
    text.rfind('"').map(|at| text[at + 1..].to_owned())
}

/// All values in an object but those of arguments that hold none.
fn json_values(object: &str, values: &mut Vec<String>) {
    let mut at = 0;
    let mut key = "";
    while let Some(open) = object[at..].find('"') {
        let from = at + open + 1;
        let end = string_end(object, from).unwrap_or(object.len());
        let piece = &object[from..end];
        let behind = object.get(end + 1..).unwrap_or_default().trim_start();
        if behind.starts_with(':') {
            key = piece;
            if !NO_VALUES.contains(&key) {
                values_of(key, &object[from - 1..], values);
            }
        } else if !NO_VALUES.contains(&key) {
            values.push(piece.lines().next().unwrap_or_default().to_owned());
        }
        at = (end + 1).min(object.len());
    }
}
