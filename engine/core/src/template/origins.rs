//! Where variables and locals got their values. A finding about a value that came by a name shows both places: where it
//! is used, and where it was given.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::Span;

/// Places that are added to one finding at most: more would hide what it says.
const SHOWN: usize = 4;

/// A name as findings show it (`var.size`), and where it is used.
pub(super) type Use = (String, Span);

#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

#[derive(Debug)]
struct Origin {
    span: Span,
    label: String,
    /// Names that the value is made of.
    made_of: Vec<String>,
}

impl Origins {
    /// The place of a sensitive value is its declaration, so that no line is shown for the value's sake.
    pub(super) fn add(&mut self, name: &str, span: &Span, label: String, made_of: Vec<String>) {
        self.0.insert(name.to_owned(), Origin { span: span.clone(), label, made_of });
    }

    /// Adds to each finding the origins of the names that are used at its place.
    pub(super) fn explain(&self, found: Diagnostics, uses: &[Use]) -> Diagnostics {
        found.into_iter().map(|finding| self.explained(finding, uses)).collect()
    }

    fn explained(&self, mut finding: Diagnostic, uses: &[Use]) -> Diagnostic {
        let Some(place) = finding.span.clone().filter(|_| !finding.is_echo) else { return finding };
        let mut names: Vec<&str> =
            uses.iter().filter(|(_, span)| span.overlaps(&place)).map(|(name, _)| name.as_str()).collect();
        let mut next = 0;
        // Names that a value is made of come behind those that are written at the place.
        while let Some(name) = names.get(next).copied().filter(|_| finding.related.len() < SHOWN) {
            next += 1;
            let Some(origin) = self.0.get(name) else { continue };
            let is_shown =
                origin.span == place || finding.related.iter().any(|(span, _)| *span == origin.span);
            if !is_shown {
                finding = finding.related(&origin.span, origin.label.clone());
            }
            for inner in &origin.made_of {
                if !names.contains(&inner.as_str()) {
                    names.push(inner);
                }
            }
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn a_finding_shows_where_each_name_at_its_place_got_its_value() {
        let file = SourceFile::new("t", "aaaa bbbb cccc dddd");
        let at = |word: usize| Span::new(&file, word * 5..word * 5 + 4);
        let mut origins = Origins::default();
        origins.add("local.size", &at(1), "defined".to_owned(), vec!["var.size".to_owned()]);
        origins.add("var.size", &at(2), "given".to_owned(), vec!["local.size".to_owned()]);
        let uses = [("local.size".to_owned(), at(0)), ("var.other".to_owned(), at(0))];
        let finding = |span: Span| Diagnostics::from(Diagnostic::error("a/b", "wrong").at(&span));
        let labels = |found: Diagnostics| {
            let related = found.into_iter().flat_map(|d| d.related);
            related.map(|(span, label)| (span.range().start, label)).collect::<Vec<_>>()
        };
        let both = [(5, "defined".to_owned()), (10, "given".to_owned())];
        assert_eq!(labels(origins.explain(finding(at(0)), &uses)), both);
        assert!(labels(origins.explain(finding(at(3)), &uses)).is_empty());
        let echo = Diagnostics::from(Diagnostic::echo("a/b", "wrong", &at(0)));
        assert!(labels(origins.explain(echo, &uses)).is_empty());
    }

    #[test]
    fn no_more_places_are_shown_than_can_be_read() {
        let file = SourceFile::new("t", "x".repeat(40));
        let mut origins = Origins::default();
        let uses: Vec<Use> = (0..20).map(|i| (format!("var.v{i}"), Span::new(&file, 0..1))).collect();
        for (i, (name, _)) in uses.iter().enumerate() {
            origins.add(name, &Span::new(&file, 10 + i..11 + i), name.clone(), Vec::new());
        }
        let found = Diagnostics::from(Diagnostic::error("a/b", "wrong").at(&uses[0].1));
        let shown: Vec<usize> =
            origins.explain(found, &uses).into_iter().map(|finding| finding.related.len()).collect();
        assert_eq!(shown, [SHOWN]);
    }
}
