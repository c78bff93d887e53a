//! The canonical format of HCL files: blanks between tokens are set anew, the tokens and the line breaks stay.
//!
//! Three passes over the lines of a file: how far a line is indented, where a blank stands between two tokens, and how
//! far the values and the comments of neighbouring lines are moved to stand below each other. What is in a heredoc or
//! between quotes stays as it is, but for the expressions in it.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::lex::{Kind, Token, lex};

mod spacing;
#[cfg(test)]
mod tests;

/// Blanks that indentation and alignment may add to one file. A file for people needs a thousandth of it; a hostile
/// one of a megabyte could ask for terabytes. Lines beyond the limit are neither indented nor aligned.
const MAX_BLANKS: usize = 64 << 20;

/// The formatted text. Any text has one, but only that of a file without syntax errors is sure to mean the same.
/// Line ends stay as they are, a missing one at the end stays missing, a byte order mark is dropped.
pub fn format(source: &str) -> String {
    let mut layout = Layout::new(source);
    layout.indent();
    layout.space();
    layout.align(|line| line.head(), |line| line.value());
    layout.align(|line| line.start..line.comment, |line| line.comment());
    layout.print()
}

/// A token and the blanks in front of it.
struct Piece<'a> {
    kind: Kind,
    text: &'a str,
    blanks: usize,
}

/// Pieces of one line, by index. Line breaks inside of a heredoc, of quotes and of `/* */` end no line.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    /// Where the equals sign of a definition that ends on the same line stands; else the same as `comment`.
    value: usize,
    /// Where the comment behind something else stands; else the same as `end`.
    comment: usize,
    end: usize,
}

impl Line {
    fn head(self) -> Range<usize> {
        self.start..self.value
    }

    fn value(self) -> Range<usize> {
        self.value..self.comment
    }

    fn comment(self) -> Range<usize> {
        self.comment..self.end
    }
}

struct Layout<'a> {
    pieces: Vec<Piece<'a>>,
    lines: Vec<Line>,
    blanks_left: usize,
}

impl<'a> Layout<'a> {
    fn new(source: &'a str) -> Self {
        let bom = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut end = bom;
        let piece = |token: &Token| {
            let range = token.range();
            let blanks = range.start - end;
            end = range.end;
            Piece { kind: token.kind, text: token.text(source), blanks }
        };
        let pieces: Vec<Piece> = lex(source).iter().map(piece).collect();
        let mut lines = Vec::new();
        let mut start = 0;
        for (i, piece) in pieces.iter().enumerate() {
            let last = piece.kind == Kind::End;
            if last || ends_line(piece) {
                // The end itself is in no line: blanks in front of it stay.
                let end = if last { i } else { i + 1 };
                lines.extend((end > start).then(|| line(&pieces, start..end)));
                start = end;
            }
        }
        Self { pieces, lines, blanks_left: MAX_BLANKS }
    }

    /// A line that opens more brackets than it closes moves the following ones in by one level, however many it opens;
    /// the level ends with the line that closes the last of them.
    fn indent(&mut self) {
        let mut levels: Vec<usize> = Vec::new();
        for line in &self.lines {
            let first = &mut self.pieces[line.start];
            first.blanks = 0;
            if first.kind == Kind::Newline {
                continue;
            }
            let opened = opened_brackets(&self.pieces, *line);
            let mut closed = opened.min(0).unsigned_abs();
            while closed > 0 {
                match levels.last_mut() {
                    Some(level) if *level > closed => {
                        *level -= closed;
                        break;
                    }
                    Some(level) => closed -= *level,
                    None => break,
                }
                levels.pop();
            }
            let blanks = 2 * levels.len();
            if blanks <= self.blanks_left {
                self.blanks_left -= blanks;
                self.pieces[line.start].blanks = blanks;
            }
            if let Ok(opened @ 1..) = usize::try_from(opened) {
                levels.push(opened);
            }
        }
    }

    fn space(&mut self) {
        for line in &self.lines {
            for cell in [line.head(), line.value()] {
                let mut before = None;
                for i in cell.start..cell.end.saturating_sub(1) {
                    let blank = spacing::blank_between(before, &self.pieces[i], &self.pieces[i + 1]);
                    self.pieces[i + 1].blanks = usize::from(blank);
                    before = Some(self.pieces[i].kind);
                }
            }
            for start in [line.value, line.comment] {
                if start < line.end {
                    self.pieces[start].blanks = 1;
                }
            }
        }
    }

    /// Moves the cells of lines that follow one another to the same column, one blank behind the widest of what stands
    /// in front of them.
    fn align(&mut self, front: impl Fn(Line) -> Range<usize>, cell: impl Fn(Line) -> Range<usize>) {
        let lines = std::mem::take(&mut self.lines);
        for chain in lines.chunk_by(|a, b| cell(*a).is_empty() == cell(*b).is_empty()) {
            if cell(chain[0]).is_empty() {
                continue;
            }
            let widths: Vec<usize> =
                chain.iter().map(|line| self.pieces[front(*line)].iter().map(width).sum()).collect();
            let widest = widths.iter().copied().max().unwrap_or_default();
            let needed: usize = widths.iter().map(|width| widest - width).sum();
            if needed > self.blanks_left {
                continue;
            }
            self.blanks_left -= needed;
            for (line, width) in chain.iter().zip(widths) {
                self.pieces[cell(*line).start].blanks = widest - width + 1;
            }
        }
        self.lines = lines;
    }

    fn print(&self) -> String {
        let length = self.pieces.iter().map(|piece| piece.blanks + piece.text.len()).sum();
        let mut out = String::with_capacity(length);
        for piece in &self.pieces {
            out.extend(std::iter::repeat_n(' ', piece.blanks));
            out.push_str(piece.text);
        }
        out
    }
}

/// Whether a line ends with this piece; `#` and `//` comments have the line break in them.
fn ends_line(piece: &Piece) -> bool {
    match piece.kind {
        Kind::Newline => true,
        Kind::Comment => piece.text.ends_with('\n'),
        _ => false,
    }
}

fn line(pieces: &[Piece], range: Range<usize>) -> Line {
    let Range { start, end } = range;
    let comment = if end - start > 1 && pieces[end - 1].kind == Kind::Comment { end - 1 } else { end };
    // A value that goes on on further lines moves nothing: brackets that it opens stay open.
    let equals = (start + 1..comment).find(|i| pieces[*i].kind == Kind::Equal);
    let value =
        equals.filter(|i| pieces[*i..comment].iter().map(|p| spacing::bracket(p.kind)).sum::<isize>() == 0);
    Line { start, value: value.unwrap_or(comment), comment, end }
}

/// Brackets that a line opens less those that it closes. Those in a heredoc count only where a whole value is.
fn opened_brackets(pieces: &[Piece], line: Line) -> isize {
    let mut opened = 0;
    for piece in &pieces[line.head()] {
        opened += spacing::bracket(piece.kind);
        if piece.kind == Kind::OpenHeredoc {
            break;
        }
    }
    opened
}

/// The columns of a piece and the blanks in front of it; what a person sees as one character is one column.
fn width(piece: &Piece) -> usize {
    let text = piece.text;
    let plain = text.bytes().all(|b| b.is_ascii() && b != b'\r');
    piece.blanks + if plain { text.len() } else { text.graphemes(true).count() }
}
