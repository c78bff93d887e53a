//! Escapes in strings, and places inside of strings in spite of them.

use std::ops::Range;

use crate::source::Span;

/// The place of a range of bytes of a text inside of the string that the text was read from; `span` is that of the
/// string with its quotes, or of the text itself. Of what the text was only made of, a list for instance, it is all.
pub fn inside(span: &Span, text: &str, range: Range<usize>) -> Span {
    let base = span.range().start;
    let token = span.file().text().get(span.range()).unwrap_or_default();
    if token == text && text.get(range.clone()).is_some() {
        return Span::new(span.file(), base + range.start..base + range.end);
    }
    let Some(body) = token.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else { return span.clone() };
    // Both counters stand before the same character: one in the source, one in the text.
    let (mut source, mut text) = (0, 0);
    let (mut start, mut end) = (body.len(), body.len());
    for _ in 0..=body.len() {
        if text >= range.start {
            start = start.min(source);
        }
        if text >= range.end {
            end = source;
            break;
        }
        let rest = &body[source..];
        let Some(c) = rest.chars().next() else { break };
        let (decoded, length) = match rest.strip_prefix('\\').map(unescape) {
            Some(Ok((c, length))) => (c, length + 1),
            _ => (c, c.len_utf8()),
        };
        source += length;
        text += decoded.len_utf8();
    }
    Span::new(span.file(), base + 1 + start..base + 1 + end.max(start))
}

/// The character of an escape (without its backslash) and the bytes it takes; else what is wrong with it and the
/// bytes to leave out.
pub(super) fn unescape(rest: &str) -> Result<(char, usize), (&'static str, usize)> {
    let hex4 = |at: usize| {
        let digits = rest.get(at..at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        digits.and_then(|d| u32::from_str_radix(d, 16).ok())
    };
    let plain = match rest.chars().next() {
        Some(c @ ('"' | '\\' | '/')) => c,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let Some(high) = hex4(1) else { return Err(("\\u needs four hexadecimal digits", 1)) };
            let low = rest.get(5..7).filter(|t| *t == "\\u").and_then(|_| hex4(7));
            return Ok(match low {
                Some(low) if (0xD800..0xDC00).contains(&high) && (0xDC00..0xE000).contains(&low) => {
                    let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or('\u{fffd}'), 11)
                }
                // A lone surrogate is no character; Go's reader puts the replacement character there.
                _ => (char::from_u32(high).unwrap_or('\u{fffd}'), 5),
            });
        }
        Some(c) => return Err(("this escape is not known in JSON", c.len_utf8())),
        None => return Err(("this escape is not known in JSON", 0)),
    };
    Ok((plain, 1))
}
