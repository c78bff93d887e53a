//! Patterns of names: `*`, `?`, `[abc]`, `[!a-z]`, `{one,two}`, and `\\` before what is meant as it is. They become regular
//! expressions, whose time is linear in the text.

use regex::Regex;

/// Patterns that braces make of one.
const MAX_ALTERNATIVES: usize = 256;

/// A pattern of `-only` and `-except`: `*` and `?` stand for any characters, dots too.
#[derive(Debug)]
pub(crate) struct Glob(Vec<Regex>);

impl Glob {
    /// What is wrong with the pattern, if so.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        // As in Packer, a brace that is not closed ends with the pattern: commas separate patterns of the command line
        // before braces are looked at.
        let opened = pattern.matches('{').count().saturating_sub(pattern.matches('}').count());
        let whole = format!("{pattern}{}", "}".repeat(opened));
        braces(&whole)?.iter().map(|one| name_pattern(one)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|one| one.is_match(text))
    }
}

/// The patterns that one with braces stands for.
pub(crate) fn braces(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    while let Some(pattern) = open.pop() {
        if done.len() + open.len() >= MAX_ALTERNATIVES {
            return Err(format!("the braces stand for more than {MAX_ALTERNATIVES} patterns"));
        }
        let Some(start) = unescaped(&pattern, '{') else {
            done.push(pattern);
            continue;
        };
        let mut depth = 0;
        let mut cuts = vec![start];
        let mut escaped = false;
        for (i, c) in pattern[start..].char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => cuts.push(start + i),
                _ => {}
            }
            if depth == 0 {
                cuts.push(start + i);
                break;
            }
        }
        if depth != 0 {
            return Err("syntax error in pattern: a brace is not closed".to_owned());
        }
        let (before, after) = (&pattern[..start], &pattern[cuts[cuts.len() - 1] + 1..]);
        for pair in cuts.windows(2) {
            open.push(format!("{before}{}{after}", &pattern[pair[0] + 1..pair[1]]));
        }
    }
    Ok(done)
}

fn unescaped(pattern: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    pattern.char_indices().find_map(|(i, c)| {
        let hit = !escaped && c == wanted;
        escaped = !escaped && c == '\\';
        hit.then_some(i)
    })
}

/// A pattern of one name.
pub(crate) fn name_pattern(pattern: &str) -> Result<Regex, String> {
    let mut out = String::from("(?s)^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '\\' => {
                let c = chars.next().ok_or("syntax error in pattern: it ends in a backslash")?;
                out.push_str(&regex::escape(&c.to_string()));
            }
            '[' => {
                out.push('[');
                if chars.next_if(|c| matches!(c, '^' | '!')).is_some() {
                    out.push('^');
                }
                let mut empty = true;
                loop {
                    match chars.next().ok_or("syntax error in pattern: a bracket is not closed")? {
                        ']' if !empty => break,
                        '-' => out.push('-'),
                        '\\' => {
                            let c = chars.next().ok_or("syntax error in pattern: it ends in a backslash")?;
                            out.push_str(&regex::escape(&c.to_string()));
                        }
                        c => out.push_str(&regex::escape(&c.to_string())),
                    }
                    empty = false;
                }
                out.push(']');
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    Regex::new(&out).map_err(|_| "syntax error in pattern".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "a.b.c", true),
            ("one.*", "one.file.a", true),
            ("*.file.?", "one.file.a", true),
            ("*.file.?", "one.file.ab", false),
            ("one.file.[ab]", "one.file.b", true),
            ("one.file.[!ab]", "one.file.b", false),
            ("x[a-c]", "xb", true),
            ("{one,two}.x", "two.x", true),
            ("one.file.{a", "one.file.a", true),
            ("b}", "b", false),
            ("ONE", "one", false),
            ("a\\*", "a*", true),
        ] {
            assert_eq!(Glob::new(pattern).expect(pattern).matches(text), fits, "{pattern} {text}");
        }
        for pattern in ["[a", "[]", "a\\"] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
        let hostile = Glob::new(&"*a".repeat(200)).expect("valid");
        assert!(!hostile.matches(&"a".repeat(100)));
    }
}
