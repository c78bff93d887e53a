//! Unified diffs of a file and its formatted text, as `patch` reads them. Formatting never adds or removes a line
//! break, so that line by line is all the comparison there is.

use std::fmt::Write as _;

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// The difference as one text; `old/` and `new/` stand in front of the name, as Packer labels them.
pub fn unified(name: &str, old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    // A byte order mark that is the whole file is a line of which nothing is left.
    let count = old.len().max(new.len());
    let same = |i: usize| old.get(i) == new.get(i);
    let changed: Vec<usize> = (0..count).filter(|i| !same(*i)).collect();
    let mut out = format!("--- old/{name}\n+++ new/{name}\n");
    for hunk in changed.chunk_by(|a, b| b - a <= 2 * CONTEXT + 1) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let mut at = first.saturating_sub(CONTEXT);
        let end = (last + 1 + CONTEXT).min(count);
        let _ = writeln!(out, "@@ -{} +{} @@", range(at, end, old.len()), range(at, end, new.len()));
        while at < end {
            let run = (at..end).take_while(|i| same(*i) == same(at)).count();
            if same(at) {
                lines(&mut out, ' ', &old, at..at + run);
            } else {
                lines(&mut out, '-', &old, at..at + run);
                lines(&mut out, '+', &new, at..at + run);
            }
            at += run;
        }
    }
    out
}

/// The first line, counted from 1, and the number of lines where it is not 1.
fn range(from: usize, to: usize, length: usize) -> String {
    match to.min(length) - from {
        0 => format!("{from},0"),
        1 => (from + 1).to_string(),
        count => format!("{},{count}", from + 1),
    }
}

fn lines(out: &mut String, sign: char, all: &[&str], range: std::ops::Range<usize>) {
    for line in all.iter().take(range.end).skip(range.start) {
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_three_lines_around_them() {
        let old = "1\n2\n3\n4\na=1\nb=2\n7\n8\n9\nc=3\n11\n12\n13\n14\n15\n16\n17\nd=4";
        let new = old.replace('=', " = ");
        let expected = "--- old/x\n+++ new/x\n\
            @@ -2,12 +2,12 @@\n 2\n 3\n 4\n-a=1\n-b=2\n+a = 1\n+b = 2\n 7\n 8\n 9\n-c=3\n+c = 3\n 11\n 12\n 13\n\
            @@ -15,4 +15,4 @@\n 15\n 16\n 17\n-d=4\n\\ No newline at end of file\n+d = 4\n\\ No newline at end of file\n";
        assert_eq!(unified("x", old, &new), expected);
    }

    #[test]
    fn one_line_files_and_empty_ones_have_their_own_ranges() {
        assert_eq!(unified("x", "a=1\n", "a = 1\n"), "--- old/x\n+++ new/x\n@@ -1 +1 @@\n-a=1\n+a = 1\n");
        let empty = "--- old/x\n+++ new/x\n@@ -1 +0,0 @@\n-\u{feff}\n\\ No newline at end of file\n";
        assert_eq!(unified("x", "\u{feff}", ""), empty);
    }
}
