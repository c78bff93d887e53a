//! Finding sealed placeholders in text: `sealed_` followed by 32 hexadecimal digits, which stand for a secret value.
//! A plugin rarely needs this: placeholders are ordinary text until the host replaces them.

use std::ops::Range;

const PREFIX: &str = "sealed_";
const DIGITS: usize = 32;

/// Where the placeholders stand in a text, in order.
pub fn placeholders(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(PREFIX) {
        let start = from + at;
        let end = start + PREFIX.len() + DIGITS;
        let digits = text.as_bytes().get(start + PREFIX.len()..end);
        if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            found.push(start..end);
            from = end;
        } else {
            from = start + PREFIX.len();
        }
    }
    found
}

/// Whether a text holds a placeholder.
pub fn contains(text: &str) -> bool {
    !placeholders(text).is_empty()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)] // one place is a list of one place

    use super::*;

    #[test]
    fn finds_whole_placeholders_only() {
        let one = format!("sealed_{}", "0123456789abcdef".repeat(2));
        let cases: [(String, &[(usize, usize)]); 7] = [
            (format!("a{one}b"), &[(1, 40)]),
            (format!("{one}{one}"), &[(0, 39), (39, 78)]),
            (format!("sealed_sealed_{}", &one[7..]), &[(7, 46)]),
            (one[..38].to_owned(), &[]),
            (one.replace('f', "ü"), &[]),
            ("sealed_".into(), &[]),
            (String::new(), &[]),
        ];
        for (text, expected) in cases {
            let found: Vec<_> =
                placeholders(&text).into_iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
