//! The patterns of `-only` and `-except`: `*` and `?` for any characters (dots too), `[abc]`, `[!a-z]`, `{one,two}`.

/// A pattern that can be matched, or why it is none.
#[derive(Debug)]
pub(super) struct Glob(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Char(char),
    Any,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
    OneOf(Vec<Vec<Piece>>),
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let chars: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        let pieces = sequence(&chars, &mut at, 0)?;
        Ok(Self(pieces))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        // Positions that can be reached are kept as a set, so that no pattern takes more than pieces times characters.
        let reached = step(&self.0, &chars, vec![true].into_iter().chain(vec![false; chars.len()]).collect());
        reached[chars.len()]
    }
}

fn sequence(chars: &[char], at: &mut usize, depth: usize) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while let Some(c) = chars.get(*at).copied() {
        if depth > 0 && (c == '}' || c == ',') {
            return Ok(pieces);
        }
        *at += 1;
        pieces.push(match c {
            '*' => Piece::Many,
            '?' => Piece::Any,
            '\\' => {
                let escaped = chars.get(*at).copied().ok_or("a backslash at the end")?;
                *at += 1;
                Piece::Char(escaped)
            }
            '[' => class(chars, at)?,
            '{' if depth < 8 => {
                let mut choices = Vec::new();
                loop {
                    choices.push(sequence(chars, at, depth + 1)?);
                    match chars.get(*at) {
                        Some(',') => *at += 1,
                        // As in Packer, a brace that is not closed ends with the pattern: commas separate patterns
                        // before braces are looked at.
                        None => break,
                        Some(_) => {
                            *at += 1;
                            break;
                        }
                    }
                }
                Piece::OneOf(choices)
            }
            c => Piece::Char(c),
        });
    }
    Ok(pieces)
}

fn class(chars: &[char], at: &mut usize) -> Result<Piece, String> {
    let open = "the bracket is not closed";
    let negated = chars.get(*at) == Some(&'!');
    if negated {
        *at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        let c = *chars.get(*at).ok_or(open)?;
        *at += 1;
        if c == ']' {
            break;
        }
        if chars.get(*at) == Some(&'-') && chars.get(*at + 1).is_some_and(|c| *c != ']') {
            ranges.push((c, chars[*at + 1]));
            *at += 2;
        } else {
            ranges.push((c, c));
        }
    }
    if ranges.is_empty() {
        return Err("the brackets are empty".to_owned());
    }
    Ok(Piece::Class { negated, ranges })
}

fn step(pieces: &[Piece], chars: &[char], mut reached: Vec<bool>) -> Vec<bool> {
    for piece in pieces {
        let advance = |fits: &dyn Fn(char) -> bool, reached: &[bool]| {
            let mut next = vec![false; chars.len() + 1];
            for (i, c) in chars.iter().enumerate() {
                next[i + 1] = reached[i] && fits(*c);
            }
            next
        };
        reached = match piece {
            Piece::Char(wanted) => advance(&|c| c == *wanted, &reached),
            Piece::Any => advance(&|_| true, &reached),
            Piece::Class { negated, ranges } => {
                advance(&|c| ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *negated, &reached)
            }
            Piece::Many => {
                let mut seen = false;
                reached
                    .iter()
                    .map(|r| {
                        seen |= r;
                        seen
                    })
                    .collect()
            }
            Piece::OneOf(choices) => {
                let mut next = vec![false; chars.len() + 1];
                for choice in choices {
                    for (i, r) in step(choice, chars, reached.clone()).into_iter().enumerate() {
                        next[i] |= r;
                    }
                }
                next
            }
        };
    }
    reached
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
