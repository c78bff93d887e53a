//! The forms in which a secret shows up in output: as it is, and as JSON, URLs, shells, PowerShell, XML, base64 and
//! hexadecimal dumps write it. Pure functions of the value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

/// Values with fewer characters are masked only where they stand alone, and only in the forms that text takes.
pub(super) const SHORT: usize = 4;

/// One form of a secret.
pub(super) struct Form {
    pub bytes: Zeroizing<Vec<u8>>,
    /// To be masked only where no letter, digit or underscore adjoins it.
    pub alone: bool,
}

/// Whether the value is too short to be masked inside words.
pub(super) fn is_short(value: &str) -> bool {
    value.trim().chars().count() < SHORT
}

/// All forms of a value, each once. None for a value without any visible character: it would mask all blanks.
pub(super) fn forms(value: &str) -> Vec<Form> {
    let mut found = Collector::default();
    let trimmed = value.trim();
    if trimmed.is_empty() {
        return Vec::new();
    }
    for value in [value, trimmed] {
        let alone = is_short(value);
        found.text(value, alone);
        if !alone {
            found.encodings(value);
        }
    }
    if trimmed.contains('\n') {
        // A terminal turns line feeds into carriage return and line feed.
        found.add(trimmed.replace("\r\n", "\n").replace('\n', "\r\n"), false);
        for line in trimmed.lines().map(str::trim).filter(|line| is_telling(line)) {
            found.text(line, false);
        }
    }
    found.finish()
}

/// Whether a line of a longer secret is worth masking by itself: long enough, and not a mere frame around the secret.
fn is_telling(line: &str) -> bool {
    line.chars().count() >= SHORT && line.chars().any(char::is_alphanumeric) && !line.starts_with("-----")
}

#[derive(Default)]
struct Collector(BTreeMap<Vec<u8>, bool>);

impl Collector {
    fn add(&mut self, form: impl Into<Vec<u8>>, alone: bool) {
        let alone_so_far = self.0.entry(form.into()).or_insert(alone);
        *alone_so_far &= alone;
    }

    /// The ways in which programs write a text into another text.
    fn text(&mut self, value: &str, alone: bool) {
        self.add(value, alone);
        for ascii in [false, true] {
            for html in [false, true] {
                for slash in [false, true] {
                    let json = json(value, ascii, html, slash);
                    // JSON inside of JSON, and as bytes in a program's log.
                    self.add(self::json(&json, false, false, false), alone);
                    self.add(bytes_literal(&json, false), alone);
                    self.add(json, alone);
                }
            }
        }
        // As Rust and others write texts and bytes in logs.
        self.add(value.escape_debug().collect::<String>(), alone);
        let quoted = Zeroizing::new(format!("{value:?}"));
        self.add(&quoted[1..quoted.len() - 1], alone);
        for apostrophes in [false, true] {
            self.add(bytes_literal(value, apostrophes), alone);
        }
        for upper in [true, false] {
            for kept in URL_SETS {
                self.add(percent(value, kept, upper, false), alone);
                self.add(percent(value, kept, upper, true), alone);
            }
        }
        // Inside single quotes of a POSIX shell.
        self.add(value.replace('\'', r#"'"'"'"#), alone);
        self.add(value.replace('\'', r"'\''"), alone);
        // Inside double quotes, as bare words, and as bash traces them.
        self.add(escape(value, '\\', |c| matches!(c, '\\' | '"' | '$' | '`')), alone);
        self.add(escape(value, '\\', |c| matches!(c, '\\' | '"' | '$' | '`' | '!')), alone);
        self.add(escape(value, '\\', |c| !c.is_alphanumeric() && !"_@%+=:,./-".contains(c)), alone);
        self.add(escape(value, '\\', |c| c.is_ascii_punctuation() && !"_@%+=:,./-".contains(c)), alone);
        for octal in [false, true] {
            self.add(ansi_c(value, octal), alone);
        }
        // PowerShell: single and double quotes.
        self.add(value.replace('\'', "''"), alone);
        self.add(escape(value, '`', |c| matches!(c, '`' | '"' | '$')), alone);
        let controls = escape(value, '`', |c| matches!(c, '`' | '"' | '$'));
        self.add(controls.replace('\n', "`n").replace('\r', "`r").replace('\t', "`t"), alone);
        self.add(value.replace('"', "\"\""), alone);
        for apostrophe in ["&#39;", "&apos;", "&#x27;", "'"] {
            let xml = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            self.add(xml.replace('\'', apostrophe), alone);
            self.add(xml.replace('"', "&quot;").replace('\'', apostrophe), alone);
            self.add(xml.replace('"', "&#34;").replace('\'', apostrophe), alone);
        }
    }

    /// The ways in which programs write bytes as text.
    fn encodings(&mut self, value: &str) {
        let utf16: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [value.as_bytes(), &utf16] {
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                for shift in 0..3 {
                    self.base64(engine, bytes, shift);
                }
            }
        }
        // Long values are wrapped.
        for encoded in [STANDARD_NO_PAD.encode(value), STANDARD.encode(value)] {
            for width in [64, 76] {
                if encoded.len() > width {
                    for line in encoded.as_bytes().chunks(width).filter(|line| line.len() >= 2 * SHORT) {
                        self.add(line, false);
                    }
                }
            }
        }
        let (mut lower, mut upper) = (String::new(), String::new());
        for byte in value.as_bytes() {
            let _ = write!(lower, "{byte:02x}");
            let _ = write!(upper, "{byte:02X}");
        }
        self.add(lower, false);
        self.add(upper, false);
    }

    /// The value inside of longer data that is encoded as a whole, `shift` bytes behind a multiple of three. Only
    /// characters that depend on nothing but the value are in the form: at both ends a few bits of it stay outside.
    fn base64(&mut self, engine: &impl base64::Engine, bytes: &[u8], shift: usize) {
        let mut data = vec![0; shift];
        data.extend_from_slice(bytes);
        let encoded = engine.encode(&data);
        let from = (shift * 8).div_ceil(6);
        let inner = &encoded[from..data.len() * 8 / 6];
        if inner.len() >= SHORT {
            self.add(inner, false);
        }
        // At the end of the data the last character is known as well.
        let tail = &encoded[from..];
        if tail.len() >= SHORT {
            self.add(tail, false);
            self.add(format!("{tail}{}", &"=="[..(3 - data.len() % 3) % 3]), false);
        }
    }

    fn finish(self) -> Vec<Form> {
        self.0
            .into_iter()
            .filter(|(bytes, _)| !bytes.is_empty())
            .map(|(bytes, alone)| Form { bytes: Zeroizing::new(bytes), alone })
            .collect()
    }
}

fn json(value: &str, ascii: bool, html: bool, slash: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if slash => out.push_str("\\/"),
            c if (c as u32) < 0x20
                || (ascii && !c.is_ascii())
                || (html && matches!(c, '<' | '>' | '&' | '\'' | '\u{2028}' | '\u{2029}')) =>
            {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// What the usual encoders leave as it is, besides letters and digits: RFC 3986, JavaScript's two functions, forms, and
/// Go's path segments.
const URL_SETS: [&str; 6] =
    ["-_.~", "-_.!~*'()", "-_.!~*'();,/?:@&=+$#", "*-._", "-_.~$&+:=@", "-_.~!$&'()*+,;=:@/"];

fn percent(value: &str, kept: &str, upper: bool, plus: bool) -> String {
    let mut out = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        match byte {
            b' ' if plus => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => out.push(byte.into()),
            byte if upper => {
                let _ = write!(out, "%{byte:02X}");
            }
            byte => {
                let _ = write!(out, "%{byte:02x}");
            }
        }
    }
    out
}

fn escape(value: &str, with: char, needs: impl Fn(char) -> bool) -> String {
    value.chars().flat_map(|c| needs(c).then_some(with).into_iter().chain([c])).collect()
}

/// The inside of `b"…"`, and of `b'…'` where apostrophes are escaped.
fn bytes_literal(value: &str, apostrophes: bool) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'\'' if !apostrophes => out.push('\''),
            byte => out.extend(std::ascii::escape_default(byte).map(char::from)),
        }
    }
    out
}

/// The inside of `$'…'`.
fn ansi_c(value: &str, octal: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\'' => out.extend_from_slice(b"\\'"),
            byte if octal && !(0x20..0x7f).contains(&byte) => {
                out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => out.push(byte),
        }
    }
    out
}
