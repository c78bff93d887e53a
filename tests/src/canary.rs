//! Secrets that are made to be found: values full of what shells, JSON, URLs and line readers treat specially, and a
//! search for them, whole or in part, in every form in which programs write them. The forms are written down here once
//! more, apart from those that the engine masks, so that the two can be held against each other.

use std::collections::HashMap;
use std::fmt::Write as _;

/// So many bytes of a secret in a row are a leak. Forms shorter than twice as much are looked for as a whole.
const WINDOW: usize = 24;

/// A value to be kept secret.
#[derive(Clone, Debug)]
pub struct Canary {
    pub name: &'static str,
    pub value: String,
}

impl Canary {
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }

    /// `length` characters that don't repeat themselves, from letters and `special`.
    pub fn long(name: &'static str, length: usize, special: &str) -> Self {
        let alphabet: Vec<char> =
            ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(special.chars()).collect();
        // A linear congruential generator: every run tries the same values.
        let mut state =
            name.bytes().fold(length as u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let value = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                alphabet[(state >> 33) as usize % alphabet.len()]
            })
            .collect::<String>();
        Self { name, value }
    }
}

/// Finds canaries in outputs.
#[derive(Default)]
pub struct Scanner {
    windows: HashMap<[u8; WINDOW], &'static str>,
    whole: Vec<(Vec<u8>, &'static str)>,
}

impl Scanner {
    pub fn new<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let mut scanner = Self::default();
        for canary in canaries {
            for form in forms(canary.value.trim()) {
                if form.len() < 2 * WINDOW {
                    scanner.whole.push((form, canary.name));
                } else {
                    for window in form.windows(WINDOW).step_by(4) {
                        let window = window.try_into().expect("a window has its size");
                        scanner.windows.insert(window, canary.name);
                    }
                }
            }
        }
        scanner
    }

    /// The first canary in `bytes`, with what stands around it.
    pub fn find(&self, bytes: &[u8]) -> Option<(&'static str, String)> {
        let around = |at: usize| {
            let shown = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
            String::from_utf8_lossy(shown).into_owned()
        };
        let short = self.whole.iter().find_map(|(form, name)| {
            let at = bytes.windows(form.len()).position(|window| window == form)?;
            Some((*name, around(at)))
        });
        short.or_else(|| {
            bytes.windows(WINDOW).enumerate().find_map(|(at, window)| {
                let window: [u8; WINDOW] = window.try_into().expect("a window has its size");
                Some((*self.windows.get(&window)?, around(at)))
            })
        })
    }

    #[track_caller]
    pub fn expect_nothing(&self, what: &str, bytes: &[u8]) {
        if let Some((name, around)) = self.find(bytes) {
            panic!("the secret {name:?} got into {what}:\n{around}");
        }
    }
}

/// How programs write a text.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(value).expect("a text is JSON");
    let json = &json[1..json.len() - 1];
    let json_twice = serde_json::to_string(json).expect("a text is JSON");
    let percent = |kept: &str, lower: bool| {
        value.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                out.push(byte.into());
            } else if lower {
                let _ = write!(out, "%{byte:02x}");
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
    };
    let escaped = |set: &str| {
        value.chars().fold(String::new(), |mut out, c| {
            if set.contains(c) {
                out.push('\\');
            }
            out.push(c);
            out
        })
    };
    let ascii = json.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                let _ = write!(out, "\\u{unit:04x}");
            });
        }
        out
    });
    let mut forms = vec![
        value.to_owned(),
        json.to_owned(),
        json_twice[1..json_twice.len() - 1].to_owned(),
        ascii,
        format!("{value:?}").trim_matches('"').to_owned(),
        value.as_bytes().escape_ascii().to_string(),
        percent("-_.~", false),
        percent("-_.~", true),
        percent("*-._", false).replace("%20", "+"),
        percent("-_.!~*'()", false),
        value.replace('\'', r#"'"'"'"#),
        value.replace('\'', r"'\''"),
        escaped("\\\"$`"),
        value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        // Packer's machine-readable lines.
        value.replace(',', "%!(PACKER_COMMA)").replace('\n', "\\n"),
        value.bytes().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        }),
        value.bytes().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02X}");
            out
        }),
        format!("{:?}", value.as_bytes()).trim_matches(['[', ']']).to_owned(),
    ];
    for shift in 0..3 {
        for table in [b"+/", b"-_"] {
            forms.push(base64(value.as_bytes(), shift, table));
        }
    }
    forms.sort();
    forms.dedup();
    forms.into_iter().filter(|form| form.len() >= 4).map(String::into_bytes).collect()
}

/// The inner characters of base64 where `shift` bytes of other data precede the value in its group of three.
fn base64(value: &[u8], shift: usize, last: &[u8; 2]) -> String {
    let table: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*last).collect();
    let bit = |at: usize| -> usize {
        let byte = (at / 8).checked_sub(shift).and_then(|at| value.get(at)).copied().unwrap_or(0);
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let bits = (shift + value.len()) * 8;
    ((shift * 8).div_ceil(6)..bits / 6)
        .map(|at| char::from(table[(0..6).fold(0, |sum, i| sum << 1 | bit(at * 6 + i))]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found_in_whole_and_in_part() {
        let canary = Canary::long("c", 200, "'\"$ \\,ä\n");
        let scanner = Scanner::new([&canary]);
        assert!(scanner.find(b"nothing to see").is_none());
        for form in forms(&canary.value) {
            let text = [b"xx", form.as_slice(), b"yy"].concat();
            assert_eq!(scanner.find(&text).map(|(name, _)| name), Some("c"));
            assert!(scanner.find(&form[form.len() / 2..form.len() / 2 + WINDOW + 4]).is_some());
        }
        assert_eq!(base64(b"hello", 0, b"+/"), "aGVsbG");
        assert_eq!(base64(b"hello", 1, b"+/"), "hlbGxv");
    }
}
