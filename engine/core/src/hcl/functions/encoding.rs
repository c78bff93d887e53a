//! Base64, with and without compression and other character encodings, and percent-encoding.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use flate2::{Compression, GzBuilder};

use super::{Fault, Function, Host, Outcome, Param, at, fits, function, gives, param, string, text};
use crate::hcl::Val;

mod charsets;

use charsets::Charset;

const STR: &[Param] = &[param("str", string)];

/// The alphabet with + and /, padding required; bits that the last character has too many are ignored, as Go does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(super) const TABLE: &[Function] = &[
    function("base64decode", "The text that a base64 text holds.", STR, gives::string, base64decode),
    function("base64encode", "The text in base64.", STR, gives::string, |args, _| {
        Ok(Val::string(to_base64(text(args, 0).as_bytes())?))
    }),
    function("base64gzip", "The text compressed, in base64.", STR, gives::string, base64gzip),
    function(
        "textdecodebase64",
        "The text that a base64 text holds in a character encoding.",
        &[param("source", string), param("encoding", string)],
        gives::string,
        textdecodebase64,
    ),
    function(
        "textencodebase64",
        "The text in a character encoding, in base64.",
        &[param("string", string), param("encoding", string)],
        gives::string,
        textencodebase64,
    ),
    function("urlencode", "The text as part of a URL's query.", STR, gives::string, urlencode),
];

/// Bytes in base64.
pub(super) fn to_base64(bytes: &[u8]) -> Result<String, Fault> {
    fits(bytes.len().saturating_mul(4) / 3)?;
    Ok(BASE64.encode(bytes))
}

/// The bytes of a base64 text, in which line breaks are allowed; or the offset of what is wrong with it.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, usize> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    BASE64.decode(&compact).map_err(|error| match error {
        base64::DecodeError::InvalidByte(offset, _)
        | base64::DecodeError::InvalidLastSymbol { offset, .. } => {
            // Breaks before it count too.
            let mut kept = text.char_indices().filter(|(_, c)| !matches!(c, '\r' | '\n'));
            kept.nth(offset).map_or(text.len(), |(i, _)| i)
        }
        _ => text.len(),
    })
}

fn base64decode(args: &[Val], _: &dyn Host) -> Outcome {
    let source = text(args, 0);
    let bytes = from_base64(&source).map_err(|_| format!("failed to decode base64 data '{source}'"))?;
    let decoded = String::from_utf8(bytes)
        .map_err(|_| "the result of decoding the provided string is not valid UTF-8")?;
    Ok(Val::string(decoded))
}

fn base64gzip(args: &[Val], _: &dyn Host) -> Outcome {
    // No time and no operating system: the same text gives the same result everywhere.
    let mut writer =
        GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::default());
    let bytes = writer
        .write_all(text(args, 0).as_bytes())
        .and_then(|()| writer.finish())
        .map_err(|e| format!("failed to compress: {e}"))?;
    Ok(Val::string(to_base64(&bytes)?))
}

fn charset(args: &[Val]) -> Result<Charset, Fault> {
    let name = text(args, 1);
    Charset::named(&name)
        .ok_or_else(|| at(1, format!("{name:?} is not a supported IANA encoding name or alias")))
}

fn textencodebase64(args: &[Val], _: &dyn Host) -> Outcome {
    let charset = charset(args)?;
    let bytes = charset.encode(&text(args, 0)).ok_or_else(|| {
        let name = charset.name;
        at(0, format!("the given string contains characters that cannot be represented in {name}"))
    })?;
    Ok(Val::string(to_base64(&bytes)?))
}

fn textdecodebase64(args: &[Val], _: &dyn Host) -> Outcome {
    let charset = charset(args)?;
    let bytes = from_base64(&text(args, 0)).map_err(|offset| {
        at(0, format!("the given value is has an invalid base64 symbol at offset {offset}"))
    })?;
    let decoded = charset.decode(&bytes).filter(|s| !s.contains(char::REPLACEMENT_CHARACTER));
    let decoded = decoded.ok_or_else(|| {
        let name = charset.name;
        at(0, format!("the given string contains symbols that are not defined for {name}"))
    })?;
    Ok(Val::string(decoded))
}

fn urlencode(args: &[Val], _: &dyn Host) -> Outcome {
    let mut out = String::new();
    for b in text(args, 0).bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
            b' ' => out.push('+'),
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    Ok(Val::string(out))
}
