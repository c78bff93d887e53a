//! A page for a terminal: plain text, wrapped. What a plugin says of itself may be hostile, so that no control
//! character of it gets through.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::Page;
use super::options::{Choice, OptionDoc, State, choices};

/// The whole page; no line of prose is longer than the width where its words allow it.
pub fn page(page: &Page, width: usize) -> String {
    let mut out = Writer { out: String::new(), width };
    out.line(0, &format!("{} {}", page.kind.as_str(), page.name));
    out.prose(2, &page.summary);
    origin(page, &mut out);
    if !page.docs.trim().is_empty() {
        out.heading("Description");
        out.markdown(&page.docs);
    }
    let all = page.options();
    let of = |state: State| all.iter().filter(move |option| option.state == state).collect::<Vec<_>>();
    out.heading("Options");
    if of(State::Works).is_empty() {
        out.line(2, "It has none of its own.");
    }
    for choice in choices(&page.schema) {
        out.prose(2, &needed(&choice));
    }
    of(State::Works).into_iter().for_each(|option| self::option(option, 2, &mut out));
    let common = page.common_options();
    if !common.is_empty() {
        out.heading(&format!("Options of every {}", page.kind.as_str()));
        common.iter().for_each(|option| self::option(option, 2, &mut out));
    }
    for (state, heading) in [
        (State::WithoutEffect, "Accepted without effect"),
        (State::NotSupported, "Not supported yet, and what to do instead"),
    ] {
        if !of(state).is_empty() {
            out.heading(heading);
        }
        for option in of(state) {
            out.hanging(2, &format!("{}:", option.name), &option.description);
        }
    }
    examples(page, &mut out);
    out.out
}

fn origin(page: &Page, out: &mut Writer) {
    let origin = &page.origin;
    let digest = origin.digest.as_ref().map(|digest| format!(", sha256 {digest}")).unwrap_or_default();
    out.blank();
    out.hanging(2, "From:", &format!("{} {} ({}){digest}", origin.name, origin.version, origin.place));
    if page.rights.is_empty() {
        out.line(2, "Rights: it asks for none");
    }
    for right in &page.rights {
        let need = if right.required { "needs" } else { "asks for" };
        let state = if right.granted { "granted" } else { "denied" };
        out.hanging(2, "Rights:", &format!("{need} {}: {state} ({})", right.capability, right.reason));
    }
}

fn needed(choice: &Choice) -> String {
    let how_many =
        if choice.exactly_one { "Exactly one of these is needed" } else { "One of these is needed" };
    let of: Vec<String> = choice.of.iter().map(|names| names.join(" with ")).collect();
    format!("{how_many}: {}.", of.join(", "))
}

fn option(option: &OptionDoc, indent: usize, out: &mut Writer) {
    let mut facts: Vec<&str> = vec![&option.type_text];
    facts.extend(option.required.then_some("required"));
    facts.extend(option.deprecated.then_some("deprecated"));
    facts.extend(&option.notes);
    facts.retain(|fact| !fact.is_empty());
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    out.hanging(indent, &option.name, facts.trim_start());
    out.prose(indent + 4, &option.description);
    let word = |value: &Json| value.to_string();
    let list = |values: &[Json]| values.iter().map(word).collect::<Vec<_>>().join(", ");
    if let Some(default) = &option.default {
        out.hanging(indent + 4, "Default:", &word(default));
    }
    if let Some(since) = &option.since {
        out.hanging(indent + 4, "Since:", since);
    }
    if !option.allowed.is_empty() {
        out.hanging(indent + 4, "Allowed:", &list(&option.allowed));
    }
    if !option.limits.is_empty() {
        out.hanging(indent + 4, "Limits:", &option.limits.join(", "));
    }
    if !option.examples.is_empty() {
        out.hanging(indent + 4, "For instance:", &list(&option.examples));
    }
    for inner in &option.options {
        self::option(inner, indent + 4, out);
    }
}

fn examples(page: &Page, out: &mut Writer) {
    if page.examples.is_empty() {
        return;
    }
    let json: Vec<Json> = page.examples.iter().filter_map(|example| page.example_json(example)).collect();
    if !json.is_empty() {
        out.heading("Examples in JSON");
    }
    for (i, example) in json.iter().enumerate() {
        if i > 0 {
            out.blank();
        }
        out.verbatim(2, &serde_json::to_string_pretty(example).unwrap_or_default());
    }
    out.heading(if json.is_empty() { "Examples" } else { "Examples in HCL2" });
    for (i, example) in page.examples.iter().enumerate() {
        if i > 0 {
            out.blank();
        }
        out.verbatim(2, &page.example_hcl(example));
    }
}

/// Lines of at most `width` characters, as far as words allow it.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let more = word.chars().count();
        if length > 0 && length + 1 + more > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += more;
    }
    lines.extend((length > 0).then_some(line));
    lines
}

struct Writer {
    out: String,
    width: usize,
}

impl Writer {
    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.line(0, text);
    }

    fn line(&mut self, indent: usize, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let text = text.trim_end();
        let indent = if text.is_empty() { 0 } else { indent };
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }

    fn prose(&mut self, indent: usize, text: &str) {
        for line in wrap(text, self.room(indent)) {
            self.line(indent, &line);
        }
    }

    /// A word and what belongs to it; further lines are indented by two more.
    fn hanging(&mut self, indent: usize, word: &str, text: &str) {
        let lines = wrap(&format!("{word} {text}"), self.room(indent + 2));
        for (i, line) in lines.iter().enumerate() {
            self.line(if i == 0 { indent } else { indent + 2 }, line);
        }
    }

    fn room(&self, indent: usize) -> usize {
        self.width.saturating_sub(indent).max(20)
    }

    fn verbatim(&mut self, indent: usize, text: &str) {
        text.lines().for_each(|line| self.line(indent, &line.replace('\t', "    ")));
    }

    /// Paragraphs are wrapped anew; tables, code and headings stay as they are, and so do the marks of Markdown.
    fn markdown(&mut self, text: &str) {
        let mut paragraph = String::new();
        let mut code = false;
        for line in text.trim().lines() {
            let fence = line.trim_start().starts_with("```");
            let starts_anew = ["- ", "* ", "> ", "#", "|"].iter().any(|mark| line.starts_with(mark));
            let as_is = code || fence || line.starts_with(['|', '#']) || line.starts_with("    ");
            if as_is || starts_anew || line.trim().is_empty() {
                self.item(&mut paragraph);
            }
            code ^= fence;
            if as_is || line.trim().is_empty() {
                self.verbatim(2, line);
                if line.is_empty() {
                    self.blank();
                }
            } else {
                paragraph.push_str(line);
                paragraph.push('\n');
            }
        }
        self.item(&mut paragraph);
    }

    fn item(&mut self, paragraph: &mut String) {
        match paragraph.split_once(' ') {
            Some((mark @ ("-" | "*" | ">"), text)) => self.hanging(2, mark, text),
            _ => self.prose(2, paragraph),
        }
        paragraph.clear();
    }
}

#[cfg(test)]
mod tests;
