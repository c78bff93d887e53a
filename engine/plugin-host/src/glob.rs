//! Patterns for host files as Packer's users write them: `*`, `?` and `[a-z]` match within one part of a path, `\` takes
//! the next character as it is. What is found is sorted and written as the pattern is, relative or absolute.

use std::io;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

/// Paths that a pattern may match, and entries of folders that are looked at.
const MATCHES: usize = 100_000;
const LOOKS: usize = 1_000_000;

/// Why a pattern finds nothing.
#[derive(Debug, thiserror::Error)]
pub enum GlobError {
    #[error("{0:?} is no pattern: {1}")]
    Pattern(String, &'static str),
    #[error("{0:?} matches more than {MATCHES} paths, or lies in folders that are too large")]
    TooMany(String),
    #[error("{0:?}: the build is being cancelled")]
    Cancelled(String),
}

enum Token {
    One(char),
    Any,
    Many,
    /// Ranges; true: what is not in them.
    Set(Vec<(char, char)>, bool),
}

/// All existing paths that match, sorted. Folders that can't be read hold nothing.
pub fn find(
    working_dir: &Path,
    pattern: &str,
    cancel: &CancellationToken,
) -> Result<Vec<PathBuf>, GlobError> {
    let parts: Vec<(&str, Vec<Token>)> = pattern
        .split('/')
        .map(|part| compile(part).map(|tokens| (part, tokens)))
        .collect::<Result<_, _>>()
        .map_err(|why| GlobError::Pattern(pattern.to_owned(), why))?;
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    let mut looks = 0;
    for (part, tokens) in &parts {
        if part.is_empty() {
            continue;
        }
        let literal: Option<String> =
            tokens.iter().map(|t| if let Token::One(c) = t { Some(*c) } else { None }).collect();
        let mut next = Vec::new();
        for folder in found {
            if cancel.is_cancelled() {
                return Err(GlobError::Cancelled(pattern.to_owned()));
            }
            if let Some(name) = &literal {
                next.push(folder.join(name));
                continue;
            }
            let mut names: Vec<String> = Vec::new();
            for entry in std::fs::read_dir(working_dir.join(&folder)).into_iter().flatten() {
                looks += 1;
                if looks > LOOKS || names.len() > MATCHES {
                    return Err(GlobError::TooMany(pattern.to_owned()));
                }
                // A name that is no text can't be written in a template, or told to a plugin.
                let name = entry.ok().and_then(|e| e.file_name().into_string().ok());
                names.extend(name.filter(|name| matches(tokens, name)));
            }
            names.sort();
            next.extend(names.into_iter().map(|name| folder.join(name)));
            if next.len() > MATCHES {
                return Err(GlobError::TooMany(pattern.to_owned()));
            }
        }
        found = next;
    }
    found.retain(|path| !path.as_os_str().is_empty() && exists(&working_dir.join(path)));
    Ok(found)
}

fn exists(path: &Path) -> bool {
    // A link that leads nowhere matches, so that opening it tells what is wrong.
    path.symlink_metadata().map_or_else(
        |e| e.kind() != io::ErrorKind::NotFound && e.kind() != io::ErrorKind::NotADirectory,
        |_| true,
    )
}

fn compile(part: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = part.chars().peekable();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' => Token::Many,
            '?' => Token::Any,
            '\\' => Token::One(rest.next().ok_or("it ends with a backslash")?),
            '[' => {
                let negated = rest.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || rest.next_if_eq(&']').is_none() {
                    let low = literal(&mut rest)?;
                    let high = if rest.next_if_eq(&'-').is_some() { literal(&mut rest)? } else { low };
                    ranges.push((low, high));
                }
                Token::Set(ranges, negated)
            }
            c => Token::One(c),
        });
    }
    Ok(tokens)
}

fn literal(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, &'static str> {
    const OPEN: &str = "a [ is not closed, or has a range that is not complete";
    match rest.next() {
        None | Some('-' | ']') => Err(OPEN),
        Some('\\') => rest.next().ok_or(OPEN),
        Some(c) => Ok(c),
    }
}

/// Linear in the text for each `*`: only the last one is ever tried again.
fn matches(tokens: &[Token], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut c) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while c < text.len() {
        let one = match tokens.get(t) {
            Some(Token::Many) => {
                again = Some((t, c));
                t += 1;
                continue;
            }
            Some(Token::One(wanted)) => *wanted == text[c],
            Some(Token::Any) => true,
            Some(Token::Set(ranges, negated)) => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&text[c])) != *negated
            }
            None => false,
        };
        match (one, again) {
            (true, _) => (t, c) = (t + 1, c + 1),
            (false, Some((star, from))) => {
                again = Some((star, from + 1));
                (t, c) = (star + 1, from + 1);
            }
            (false, None) => return false,
        }
    }
    tokens[t..].iter().all(|token| matches!(token, Token::Many))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.txt", "a.txt", true),
            ("*.txt", ".txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "\u{fc}", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[abc-]", "b", false),
            (r"[\-a]", "-", true),
            (r"\*", "*", true),
            (r"\*", "a", false),
            ("a", "a", true),
            ("a", "A", false),
        ] {
            let found = compile(pattern).is_ok_and(|tokens| matches(&tokens, text));
            assert_eq!(found, expected, "{pattern} {text}");
        }
        for pattern in ["[", "[]", "[a", "[a-", "[a-]", "[-a]", "a\\", "[^]"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn paths_are_found_in_order_and_written_like_the_pattern() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["b/2.txt", "b/1.txt", "a/1.txt", "a/.hidden.txt", "a/1.log", "plain"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, name).expect("written");
        }
        let cancel = CancellationToken::new();
        let find = |pattern: &str| -> Vec<String> {
            let found = find(dir.path(), pattern, &cancel).expect("a pattern");
            found.iter().map(|p| p.display().to_string()).collect()
        };
        assert_eq!(find("*/*.txt"), ["a/.hidden.txt", "a/1.txt", "b/1.txt", "b/2.txt"]);
        assert_eq!(find("./a/*.log"), ["./a/1.log"]);
        assert_eq!(find("*/1.txt"), ["a/1.txt", "b/1.txt"]);
        assert_eq!(find("plain"), ["plain"]);
        assert_eq!(find("a"), ["a"]);
        assert_eq!(find(r"p\lain"), ["plain"]);
        for nothing in ["missing", "plain/x", "a/*/x", "missing/*", ""] {
            assert!(find(nothing).is_empty(), "{nothing}");
        }
        let absolute = dir.path().join("b/?.txt").display().to_string();
        assert_eq!(find(&absolute).len(), 2);
        assert!(find(&absolute)[0].starts_with('/'));
        cancel.cancel();
        assert!(super::find(dir.path(), "*", &cancel).is_err());
    }
}
