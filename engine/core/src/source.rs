//! Source texts and places in them. A [`Span`] carries its file, so that a value can be reported with file, line and
//! column wherever it has travelled, without a table that has to travel beside it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One text that a person wrote: a template, a variable file, a command line argument.
pub struct SourceFile {
    name: String,
    text: String,
    line_starts: Vec<u32>,
}

/// A place for a person: both numbers count from 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl SourceFile {
    /// `name` is shown in messages: a path relative to the current folder, or a word such as `<stdin>`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i as u32 + 1))
            .collect();
        Arc::new(Self { name: name.into(), text, line_starts })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The position of a byte offset; offsets beyond the end mean the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start as usize <= offset) - 1;
        let start = self.line_starts[line] as usize;
        let column = self.text.as_bytes()[start..offset].iter().filter(|b| (**b & 0xC0) != 0x80).count();
        Position { line: line + 1, column: column + 1 }
    }

    /// The text of a line (counted from 1) without its line end; empty beyond the last line.
    pub fn line(&self, line: usize) -> &str {
        let Some(start) = line.checked_sub(1).and_then(|l| self.line_starts.get(l)) else { return "" };
        let end = self.line_starts.get(line).map_or(self.text.len(), |e| *e as usize);
        self.text[*start as usize..end].trim_end_matches(['\n', '\r'])
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({:?})", self.name)
    }
}

/// A range of bytes in a source text.
#[derive(Clone)]
pub struct Span {
    file: Arc<SourceFile>,
    start: u32,
    end: u32,
}

impl Span {
    pub fn new(file: &Arc<SourceFile>, range: Range<usize>) -> Self {
        Self { file: file.clone(), start: range.start as u32, end: range.end.max(range.start) as u32 }
    }

    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub fn start(&self) -> Position {
        self.file.position(self.start as usize)
    }

    pub fn end(&self) -> Position {
        self.file.position(self.end as usize)
    }

    /// From the start of this span to the end of the other one, which must be in the same file.
    pub fn to(&self, other: &Span) -> Span {
        Span { file: self.file.clone(), start: self.start, end: other.end.max(self.start) }
    }

    /// Whether some of the text belongs to both.
    pub fn overlaps(&self, other: &Span) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && self.start < other.end && other.start < self.end
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && self.start == other.start && self.end == other.end
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start();
        write!(f, "{}:{}:{}", self.file.name, start.line, start.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let file = SourceFile::new("t", "aä\nb\r\n");
        let at = |offset| {
            let p = file.position(offset);
            (p.line, p.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 3));
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(99), (3, 1));
        assert_eq!(file.line(1), "aä");
        assert_eq!(file.line(2), "b");
        assert_eq!(file.line(3), "");
        assert_eq!(file.line(9), "");
    }
}
