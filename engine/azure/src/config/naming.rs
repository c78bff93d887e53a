//! Azure's rules for names. A violation is reported with the character, its place in the template where that can be
//! told, and a name that would do.

use fornax_core::{Diagnostic, Diagnostics, Span};

use super::reader::Word;

/// What a name may look like; all rules are about ASCII.
pub struct NameRule {
    pub what: &'static str,
    pub longest: usize,
    /// Beyond letters and digits.
    pub also: &'static str,
    /// What the first character may be beyond letters and digits.
    pub first: &'static str,
    /// What the last character may not be.
    pub not_last: &'static str,
}

pub const RESOURCE_GROUP: NameRule =
    NameRule { what: "the name of a resource group", longest: 90, also: "_-.()", first: "", not_last: ".-" };
pub const IMAGE: NameRule =
    NameRule { what: "the name of a managed image", longest: 80, also: "_-.", first: "", not_last: ".-" };
pub const SNAPSHOT: NameRule =
    NameRule { what: "the name of a snapshot", longest: 79, also: "_", first: "_", not_last: "" };
pub const SNAPSHOT_PREFIX: NameRule =
    NameRule { what: "a snapshot's prefix", longest: 59, also: "_", first: "_", not_last: "" };
pub const MACHINE: NameRule =
    NameRule { what: "the name of a virtual machine", longest: 64, also: "_-.", first: "", not_last: ".-" };
pub const NIC: NameRule =
    NameRule { what: "the name of a network interface", longest: 80, also: "_-.", first: "", not_last: ".-" };
pub const DISK: NameRule =
    NameRule { what: "the name of a disk", longest: 80, also: "_-.", first: "_", not_last: ".-" };
pub const PREFIX: NameRule =
    NameRule { what: "a prefix of names", longest: 10, also: "-", first: "", not_last: "" };

/// What is wrong with a name.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Character { index: usize, character: char },
    First(char),
    Last(char),
    Length(usize),
}

impl NameRule {
    fn allows(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || self.also.contains(c)
    }

    fn fault(&self, name: &str) -> Option<Fault> {
        if let Some((index, character)) = name.chars().enumerate().find(|(_, c)| !self.allows(*c)) {
            return Some(Fault::Character { index, character });
        }
        let first = name.chars().next()?;
        if !first.is_ascii_alphanumeric() && !self.first.contains(first) {
            return Some(Fault::First(first));
        }
        if let Some(last) = name.chars().next_back().filter(|c| self.not_last.contains(*c)) {
            return Some(Fault::Last(last));
        }
        let length = name.chars().count();
        (length > self.longest).then_some(Fault::Length(length))
    }

    /// Takes a name in if it is a good one.
    pub fn check(&self, word: Option<Word>, found: &mut Diagnostics) -> Option<String> {
        let word = word?;
        match self.fault(&word.value) {
            None => Some(word.value),
            Some(fault) => {
                found.push(self.report(&word, &fault));
                None
            }
        }
    }

    fn report(&self, word: &Word, fault: &Fault) -> Diagnostic {
        let Word { key, shown, span, .. } = word;
        let raw = literal(span);
        let (summary, place) = match fault {
            Fault::Character { index, character } => (
                format!(
                    "\"{key}\" can't be \"{shown}\": character {} is {}, which {} may not contain",
                    index + 1,
                    describe(*character),
                    self.what
                ),
                raw.as_ref().and_then(|raw| raw.position(*character)),
            ),
            Fault::First(c) => (
                format!("\"{key}\" can't be \"{shown}\": it begins with {}", describe(*c)),
                raw.as_ref().and_then(|raw| raw.position(*c)),
            ),
            Fault::Last(c) => {
                (format!("\"{key}\" can't be \"{shown}\": it ends with {}", describe(*c)), None)
            }
            Fault::Length(n) => (
                format!("\"{key}\" is {n} characters long; {} has at most {}", self.what, self.longest),
                None,
            ),
        };
        let first = if self.first.is_empty() { "a letter or digit" } else { "a letter, a digit or \"_\"" };
        let mut rule = format!(
            "{}{} has 1 to {} characters: letters, digits{}; it begins with {first}",
            self.what[..1].to_uppercase(),
            &self.what[1..],
            self.longest,
            self.also.chars().map(|c| format!(", \"{c}\"")).collect::<String>(),
        );
        if !self.not_last.is_empty() {
            rule.push_str(" and does not end with \".\" or \"-\"");
        }
        rule.push('.');
        let diagnostic = Diagnostic::error("azure/invalid-name", summary)
            .at(&place.unwrap_or_else(|| span.clone()))
            .detail(rule);
        // A template text is mended where it was written, with its variables left in.
        // Which part to leave out is for its author to say.
        if matches!(fault, Fault::Length(_)) {
            return diagnostic.help("shorten it");
        }
        let mended = match &raw {
            Some(raw) if raw.has_expression() && raw.mend(self) == raw.text => {
                return diagnostic.help("change what is put in there");
            }
            Some(raw) if raw.has_expression() => raw.mend(self),
            _ if *shown == word.value => self.mend(&word.value),
            _ => return diagnostic,
        };
        if mended.is_empty() { diagnostic } else { diagnostic.help(format!("write \"{mended}\"")) }
    }

    /// The nearest good name: bad characters become hyphens, those at the ends vanish.
    fn mend(&self, name: &str) -> String {
        let hyphen = if self.also.contains('-') { '-' } else { '_' };
        let mut mended = String::new();
        for c in name.chars() {
            let c = if self.allows(c) { c } else { hyphen };
            if c != hyphen || !mended.ends_with(hyphen) {
                mended.push(c);
            }
        }
        let mended = mended
            .trim_start_matches(|c: char| !c.is_ascii_alphanumeric() && !self.first.contains(c))
            .chars()
            .take(self.longest)
            .collect::<String>();
        mended.trim_end_matches(|c| self.not_last.contains(c)).to_owned()
    }
}

/// A value as it stands in the template.
struct Literal<'a> {
    span: &'a Span,
    /// Byte offset of `text` in the file.
    start: usize,
    text: &'a str,
}

/// The text between the quotes of a string value; none where the value stands somewhere else.
fn literal(span: &Span) -> Option<Literal<'_>> {
    let range = span.range();
    let text = span.file().text().get(range.clone())?;
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    // Escapes make places in the value differ from places in the file; then the value as a whole is shown.
    (!inner.contains('\\')).then_some(Literal { span, start: range.start + 1, text: inner })
}

impl Literal<'_> {
    /// The parts with their offsets; true for those within `{{…}}` or `${…}`.
    fn parts(&self) -> Vec<(usize, &str, bool)> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < self.text.len() {
            let rest = &self.text[at..];
            let opening = [("{{", "}}"), ("${", "}")]
                .into_iter()
                .filter_map(|(open, close)| Some((rest.find(open)?, close)))
                .min();
            let Some((open, close)) = opening else {
                parts.push((at, rest, false));
                break;
            };
            if open > 0 {
                parts.push((at, &rest[..open], false));
            }
            let end = rest[open..].find(close).map_or(rest.len(), |i| open + i + close.len());
            parts.push((at + open, &rest[open..end], true));
            at += end;
        }
        parts
    }

    fn has_expression(&self) -> bool {
        self.parts().iter().any(|(_, _, expression)| *expression)
    }

    /// Where a character was written by hand; none if it came out of an expression.
    fn position(&self, c: char) -> Option<Span> {
        let (offset, index) = self
            .parts()
            .into_iter()
            .filter(|(_, _, expression)| !expression)
            .find_map(|(offset, text, _)| Some((offset, text.find(c)?)))?;
        let at = self.start + offset + index;
        Some(Span::new(self.span.file(), at..at + c.len_utf8()))
    }

    /// The text with its own parts mended. A rule's ends apply to the ends of the whole only.
    fn mend(&self, rule: &NameRule) -> String {
        let parts = self.parts();
        let last = parts.len().saturating_sub(1);
        let mut mended = String::new();
        for (index, (_, text, expression)) in parts.into_iter().enumerate() {
            if expression {
                mended.push_str(text);
                continue;
            }
            // Blanks next to an expression join it by a hyphen.
            let guarded =
                format!("{}{text}{}", if index > 0 { "x" } else { "" }, if index < last { "x" } else { "" });
            let guarded = rule.mend(&guarded);
            let guarded = if index > 0 { &guarded[1..] } else { &guarded };
            let guarded = if index < last { &guarded[..guarded.len() - 1] } else { guarded };
            mended.push_str(guarded);
        }
        mended
    }
}

fn describe(c: char) -> String {
    match c {
        ' ' => "a blank".into(),
        '\t' => "a tab".into(),
        '\n' | '\r' => "a line end".into(),
        c if c.is_control() => format!("U+{:04X}", u32::from(c)),
        c => format!("\"{c}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_core::SourceFile;

    #[test]
    fn rules_are_those_of_azure() {
        for (rule, good, bad) in [
            (
                &RESOURCE_GROUP,
                vec!["rg", "a(b)._-c", "0", "a)"],
                vec!["-a", "a.", "a-", "_a", "a b", "ä", " a"],
            ),
            (&IMAGE, vec!["img1", "a.b-c_d", "a_"], vec!["img-", "img.", "-img", "img name!", "a/b"]),
            (&SNAPSHOT, vec!["os_snap", "_x"], vec!["os snap!", "a-b"]),
            (&PREFIX, vec!["abc", "a-b"], vec!["abcdefghijk", "-a", "a_b"]),
        ] {
            for name in good {
                assert_eq!(rule.fault(name), None, "{}: {name}", rule.what);
            }
            for name in bad {
                assert!(rule.fault(name).is_some(), "{}: {name}", rule.what);
            }
        }
        assert_eq!(RESOURCE_GROUP.fault(&"a".repeat(90)), None);
        assert_eq!(RESOURCE_GROUP.fault(&"a".repeat(91)), Some(Fault::Length(91)));
        assert_eq!(IMAGE.fault(&"a".repeat(81)), Some(Fault::Length(81)));
    }

    fn diagnose(template: &str, value: &str, rule: &NameRule) -> Diagnostic {
        let file = SourceFile::new("t.json", template);
        let span = Span::new(&file, 0..template.len());
        let word = Word { value: value.into(), shown: value.into(), span, key: "k".into() };
        let mut found = Diagnostics::new();
        assert_eq!(rule.check(Some(word), &mut found), None);
        found.into_iter().next().unwrap()
    }

    #[test]
    fn the_character_is_pointed_at_and_a_name_is_proposed() {
        let d = diagnose(r#"" rg {{user `my_id`}}""#, " rg 7", &RESOURCE_GROUP);
        assert!(d.summary.contains("character 1 is a blank"), "{}", d.summary);
        assert_eq!(d.span.unwrap().start().column, 2);
        assert_eq!(d.help.unwrap(), r#"write "rg-{{user `my_id`}}""#);

        let d = diagnose(r#""myPackerImage {{user `my_id`}}""#, "myPackerImage 7", &IMAGE);
        assert!(d.summary.contains("character 14 is a blank"), "{}", d.summary);
        assert_eq!(d.span.unwrap().start().column, 15);
        assert_eq!(d.help.unwrap(), r#"write "myPackerImage-{{user `my_id`}}""#);

        // The blank comes from the variable: the value as a whole is shown, and nothing can be mended here.
        let d = diagnose(r#""img{{user `x`}}""#, "img a", &IMAGE);
        assert_eq!(d.span.unwrap().start().column, 1);

        let d = diagnose(r#""img name!""#, "img name!", &IMAGE);
        assert_eq!(d.help.unwrap(), r#"write "img-name""#);
    }
}
