//! Findings about what a person wrote: severity, code, place, and what to do. Parsing and planning collect them and go
//! on, so that all problems are shown at once.

use std::fmt::Write as _;

use serde_json::json;

use crate::secret::{MASK, Redactor};
use crate::source::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One finding. `code` is stable (`template/unknown-key`) and documented; `summary` is one sentence without a final
/// full stop; `detail` says why; `help` says what to do now.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: String,
    pub summary: String,
    pub detail: String,
    pub help: Option<String>,
    pub span: Option<Span>,
    /// Other places that belong to the finding, such as the variable that a value came from.
    pub related: Vec<(Span, String)>,
    /// Says at another place what another finding says, for programs that look there; people are told once.
    pub is_echo: bool,
    /// Of the line only the place itself is shown, because the rest may be secret and nothing says so.
    pub shows_place_only: bool,
}

impl Diagnostic {
    pub fn error(code: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, summary)
    }

    pub fn warning(code: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, summary)
    }

    pub fn note(code: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, summary)
    }

    fn new(severity: Severity, code: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            severity,
            code: code.into(),
            summary: summary.into(),
            detail: String::new(),
            help: None,
            span: None,
            related: Vec::new(),
            is_echo: false,
            shows_place_only: false,
        }
    }

    /// An error that is told in full at another place.
    pub fn echo(code: &str, summary: &str, span: &Span) -> Self {
        Self { is_echo: true, ..Self::error(code, summary).at(span) }
    }

    /// The same, but no more than a warning.
    #[must_use]
    pub fn softened(mut self) -> Self {
        self.severity = self.severity.max(Severity::Warning);
        self
    }

    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.span = Some(span.clone());
        self
    }

    /// Points at a place in a line whose rest is not to be shown.
    #[must_use]
    pub fn at_only(mut self, span: &Span) -> Self {
        self.shows_place_only = true;
        self.at(span)
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn related(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.related.push((span.clone(), label.into()));
        self
    }

    /// The machine-readable form, one object: `type`, `severity`, `code`, `summary`, `detail`, `help`, `file`, `line`,
    /// `column`, `end_line`, `end_column`; places are null where the finding has none. `related` is a list of other
    /// places, such as the variable that a value came from: `file`, `line`, `column`, `end_line`, `end_column`, `message`.
    pub fn to_json(&self) -> serde_json::Value {
        let mut all = json!({
            "type": "diagnostic",
            "severity": self.severity.as_str(),
            "code": self.code,
            "summary": self.summary,
            "detail": self.detail,
            "help": self.help,
        });
        place(self.span.as_ref(), &mut all);
        let related = self.related.iter().map(|(span, label)| {
            let mut one = json!({"message": label});
            place(Some(span), &mut one);
            one
        });
        all["related"] = related.collect();
        all
    }

    /// The form for a person, without colour:
    ///
    /// ```text
    /// Error: unknown key "vm_sise" [azure/unknown-option]
    ///   --> web.json:12:9
    ///    |
    /// 12 |         "vm_sise": "Standard_B1s",
    ///    |         ^^^^^^^^^
    ///   why it is wrong
    ///   help: did you mean "vm_size"?
    /// ```
    pub fn render(&self) -> String {
        self.render_masked(&Redactor::new())
    }

    /// [`Diagnostic::render`] with every registered secret masked, also in a line that is shown in part only.
    pub fn render_masked(&self, redactor: &Redactor) -> String {
        let mut out = String::new();
        let title = match self.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
            Severity::Note => "Note",
        };
        let _ = writeln!(out, "{title}: {} [{}]", redactor.redact(&self.summary), self.code);
        let places = self.span.iter().chain(self.related.iter().map(|(span, _)| span));
        let gutter = places.map(|span| span.start().line.to_string().len()).max().unwrap_or(0);
        let snippet = Snippet { gutter, redactor };
        if let Some(span) = &self.span {
            snippet.write(&mut out, span, None, self.shows_place_only);
        }
        for line in redactor.redact(&self.detail).lines() {
            let _ = writeln!(out, "  {line}");
        }
        for (span, label) in &self.related {
            snippet.write(&mut out, span, Some(&redactor.redact(label)), false);
        }
        if let Some(help) = self.help.as_ref().map(|help| redactor.redact(help)) {
            for (i, line) in help.lines().enumerate() {
                let _ = writeln!(out, "  {}{line}", if i == 0 { "help: " } else { "      " });
            }
        }
        out
    }
}

/// Adds where a text stands to an object; nulls where it stands nowhere.
fn place(span: Option<&Span>, object: &mut serde_json::Value) {
    let (start, end) = (span.map(Span::start), span.map(Span::end));
    object["file"] = span.map(|s| s.file().name()).into();
    object["line"] = start.map(|p| p.line).into();
    object["column"] = start.map(|p| p.column).into();
    object["end_line"] = end.map(|p| p.line).into();
    object["end_column"] = end.map(|p| p.column).into();
}

/// Lines longer than this are cut around the place, so that a minified template stays readable.
const SHOWN_WIDTH: usize = 120;

/// How the lines of one finding are shown.
struct Snippet<'a> {
    /// Digits of the largest line number.
    gutter: usize,
    redactor: &'a Redactor,
}

impl Snippet<'_> {
    fn write(&self, out: &mut String, span: &Span, label: Option<&str>, place_only: bool) {
        let gutter = self.gutter;
        let (start, end) = (span.start(), span.end());
        let file = span.file();
        let _ = writeln!(out, "{:gutter$}--> {}:{}:{}", " ", file.name(), start.line, start.column);
        // Masked before it is cut: a part of a secret would not be known as one.
        let (mut line, columns) = masked_line(file.line(start.line), self.redactor);
        let column = |column: usize| columns.get(column - 1).copied().unwrap_or(line.len());
        let first = column(start.column);
        let behind = if end.line == start.line { column(end.column) } else { line.len() + 1 };
        let mut from = if line.len() > SHOWN_WIDTH { first.saturating_sub(SHOWN_WIDTH / 2) } else { 0 };
        if place_only {
            from = first;
            line.truncate(behind);
            line.extend(" …".chars());
        }
        let shown: String = line.iter().skip(from).take(SHOWN_WIDTH).collect();
        let offset = first - from;
        let marks = behind
            .saturating_sub(first)
            .clamp(1, SHOWN_WIDTH.saturating_sub(offset).max(1))
            .min(line.len().saturating_sub(first).max(1));
        let _ = writeln!(out, "{:gutter$} |", " ");
        let _ = writeln!(out, "{:gutter$} | {}", start.line, shown.trim_end());
        let _ = writeln!(
            out,
            "{:gutter$} | {:offset$}{}{}",
            " ",
            "",
            "^".repeat(marks),
            label.map(|l| format!(" {l}")).unwrap_or_default()
        );
    }
}

/// The characters of a line with its secrets masked, and for each character of the line where it stands among them; one
/// within a secret stands behind the mask.
fn masked_line(text: &str, redactor: &Redactor) -> (Vec<char>, Vec<usize>) {
    let mut hidden = redactor.ranges(text.as_bytes()).into_iter().peekable();
    let (mut line, mut columns) = (Vec::new(), Vec::new());
    for (at, c) in text.char_indices() {
        while hidden.next_if(|(_, to)| *to <= at).is_some() {}
        columns.push(line.len());
        match hidden.peek() {
            Some((from, _)) if *from == at => line.extend(MASK.chars()),
            Some((from, _)) if *from < at => {}
            _ => line.push(if c.is_control() { ' ' } else { c }),
        }
    }
    (line, columns)
}

/// A collection of findings.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Changes the finding that was added last.
    pub(crate) fn amend_last(&mut self, f: impl FnOnce(&mut Diagnostic)) {
        if let Some(last) = self.0.last_mut() {
            f(last);
        }
    }

    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Sorted by file and position, those without a place last; the same finding is kept once.
    pub fn sorted(mut self) -> Self {
        let key = |d: &Diagnostic| {
            d.span
                .as_ref()
                .map_or((true, String::new(), 0), |s| (false, s.file().name().to_owned(), s.range().start))
        };
        self.0.sort_by_key(key);
        self.0.dedup_by(|a, b| {
            a.code == b.code && a.summary == b.summary && a.detail == b.detail && a.span == b.span
        });
        self
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(findings: I) -> Self {
        Self(findings.into_iter().collect())
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(d: Diagnostic) -> Self {
        Self(vec![d])
    }
}

/// Names that one is compared with.
const MAX_COMPARED: usize = 1000;

/// The nearest of the known names, if one is near enough to be a slip of the pen; else the only one that begins with
/// the name.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.chars().count() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    let lower = name.to_lowercase();
    // Among thousands of names the comparison would take longer than all the rest, for each name that is wrong.
    let known: Vec<&str> = known.into_iter().take(MAX_COMPARED).collect();
    let slip = known
        .iter()
        .copied()
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k);
    let goes_on = |k: &&&str| {
        let rest = k.to_lowercase();
        rest.strip_prefix(&lower).is_some_and(|rest| lower.len() > 2 && rest.starts_with(['-', '_', '.']))
    };
    slip.or_else(|| {
        let mut longer = known.iter().filter(goes_on);
        longer.next().copied().filter(|_| longer.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn a_name_is_guessed_by_its_letters_or_its_beginning() {
        let known = ["vm_size", "cloud_environment_name", "custom_data", "custom_data_file"];
        assert_eq!(nearest("vm_sise", known), Some("vm_size"));
        assert_eq!(nearest("cloud", known), Some("cloud_environment_name"));
        // Two go on like this.
        assert_eq!(nearest("custom", known), None);
        assert_eq!(nearest("clo", known), None);
    }

    #[test]
    fn a_finding_shows_its_line_and_what_to_do() {
        let file = SourceFile::new("web.json", "{\n  \"vm_sise\": 1\n}");
        let d = Diagnostic::error("azure/unknown-option", "unknown key \"vm_sise\"")
            .at(&Span::new(&file, 4..13))
            .help("did you mean \"vm_size\"?");
        let expected = "Error: unknown key \"vm_sise\" [azure/unknown-option]\n --> web.json:2:3\n  |\n2 |   \"vm_sise\": 1\n  |   ^^^^^^^^^\n  help: did you mean \"vm_size\"?\n";
        assert_eq!(d.render(), expected);
    }

    #[test]
    fn places_of_one_finding_stand_below_each_other_and_in_its_json() {
        let file = SourceFile::new("w.json", format!("one{}\nten", "\n".repeat(9)));
        let d = Diagnostic::error("a/b", "wrong")
            .at(&Span::new(&file, 13..16))
            .related(&Span::new(&file, 0..3), "given here");
        let expected = "Error: wrong [a/b]\n  --> w.json:11:1\n   |\n11 | ten\n   | ^^^\n  --> w.json:1:1\n   |\n 1 | one\n   | ^^^ given here\n";
        assert_eq!(d.render(), expected);
        let related = &d.to_json()["related"][0];
        assert_eq!((&related["line"], &related["message"]), (&1.into(), &"given here".into()));
    }

    #[test]
    fn of_a_line_that_may_be_secret_only_the_place_is_shown() {
        let file = SourceFile::new("v.json", "{\"passwrod\": \"hunter2\"}");
        let d = Diagnostic::warning("a/b", "wrong").at_only(&Span::new(&file, 1..11));
        let expected = "Warning: wrong [a/b]\n --> v.json:1:2\n  |\n1 | \"passwrod\" …\n  | ^^^^^^^^^^\n";
        assert_eq!(d.render(), expected);
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("vm_sise", ["location", "vm_size"]), Some("vm_size"));
        assert_eq!(nearest("zzz", ["location", "vm_size"]), None);
    }
}
