//! Character encodings by the names and aliases that IANA registered for them.

use encoding_rs::Encoding;

/// A character encoding.
pub(super) struct Charset {
    /// Its preferred name.
    pub(super) name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Ascii,
    Latin1,
    /// Latin 1 with six Turkish letters.
    Latin5,
    Utf16 {
        little: bool,
        mark: bool,
    },
    /// One of the encodings of the Web.
    Web(&'static Encoding),
}

/// Where Latin 5 differs from Latin 1.
const TURKISH: [(u8, char); 6] =
    [(0xd0, 'Ğ'), (0xdd, 'İ'), (0xde, 'Ş'), (0xf0, 'ğ'), (0xfd, 'ı'), (0xfe, 'ş')];

/// Preferred name, what it is, aliases in lower case.
const CHARSETS: &[(&str, Kind, &[&str])] = &[
    (
        "US-ASCII",
        Kind::Ascii,
        &[
            "us-ascii",
            "ascii",
            "iso-ir-6",
            "ansi_x3.4-1968",
            "ansi_x3.4-1986",
            "iso_646.irv:1991",
            "iso646-us",
            "us",
            "ibm367",
            "cp367",
            "csascii",
        ],
    ),
    ("UTF-8", Kind::Web(encoding_rs::UTF_8), &["utf-8", "csutf8"]),
    ("UTF-16", Kind::Utf16 { little: false, mark: true }, &["utf-16", "csutf16"]),
    ("UTF-16BE", Kind::Utf16 { little: false, mark: false }, &["utf-16be", "csutf16be"]),
    ("UTF-16LE", Kind::Utf16 { little: true, mark: false }, &["utf-16le", "csutf16le"]),
    (
        "ISO-8859-1",
        Kind::Latin1,
        &[
            "iso-8859-1",
            "iso_8859-1:1987",
            "iso-ir-100",
            "iso_8859-1",
            "latin1",
            "l1",
            "ibm819",
            "cp819",
            "csisolatin1",
        ],
    ),
    (
        "ISO-8859-2",
        Kind::Web(encoding_rs::ISO_8859_2),
        &["iso-8859-2", "iso_8859-2:1987", "iso-ir-101", "iso_8859-2", "latin2", "l2", "csisolatin2"],
    ),
    (
        "ISO-8859-3",
        Kind::Web(encoding_rs::ISO_8859_3),
        &["iso-8859-3", "iso_8859-3:1988", "iso-ir-109", "iso_8859-3", "latin3", "l3", "csisolatin3"],
    ),
    (
        "ISO-8859-4",
        Kind::Web(encoding_rs::ISO_8859_4),
        &["iso-8859-4", "iso_8859-4:1988", "iso-ir-110", "iso_8859-4", "latin4", "l4", "csisolatin4"],
    ),
    (
        "ISO-8859-5",
        Kind::Web(encoding_rs::ISO_8859_5),
        &["iso-8859-5", "iso_8859-5:1988", "iso-ir-144", "iso_8859-5", "cyrillic", "csisolatincyrillic"],
    ),
    (
        "ISO-8859-6",
        Kind::Web(encoding_rs::ISO_8859_6),
        &[
            "iso-8859-6",
            "iso_8859-6:1987",
            "iso-ir-127",
            "iso_8859-6",
            "ecma-114",
            "asmo-708",
            "arabic",
            "csisolatinarabic",
        ],
    ),
    (
        "ISO-8859-7",
        Kind::Web(encoding_rs::ISO_8859_7),
        &[
            "iso-8859-7",
            "iso_8859-7:1987",
            "iso-ir-126",
            "iso_8859-7",
            "elot_928",
            "ecma-118",
            "greek",
            "greek8",
            "csisolatingreek",
        ],
    ),
    (
        "ISO-8859-8",
        Kind::Web(encoding_rs::ISO_8859_8),
        &["iso-8859-8", "iso_8859-8:1988", "iso-ir-138", "iso_8859-8", "hebrew", "csisolatinhebrew"],
    ),
    (
        "ISO-8859-9",
        Kind::Latin5,
        &["iso-8859-9", "iso_8859-9:1989", "iso-ir-148", "iso_8859-9", "latin5", "l5", "csisolatin5"],
    ),
    (
        "ISO-8859-10",
        Kind::Web(encoding_rs::ISO_8859_10),
        &["iso-8859-10", "iso-ir-157", "l6", "iso_8859-10:1992", "csisolatin6", "latin6"],
    ),
    ("ISO-8859-13", Kind::Web(encoding_rs::ISO_8859_13), &["iso-8859-13", "csiso885913"]),
    (
        "ISO-8859-14",
        Kind::Web(encoding_rs::ISO_8859_14),
        &[
            "iso-8859-14",
            "iso-ir-199",
            "iso_8859-14:1998",
            "iso_8859-14",
            "latin8",
            "iso-celtic",
            "l8",
            "csiso885914",
        ],
    ),
    (
        "ISO-8859-15",
        Kind::Web(encoding_rs::ISO_8859_15),
        &["iso-8859-15", "iso_8859-15", "latin-9", "csiso885915"],
    ),
    (
        "ISO-8859-16",
        Kind::Web(encoding_rs::ISO_8859_16),
        &["iso-8859-16", "iso-ir-226", "iso_8859-16:2001", "iso_8859-16", "latin10", "l10", "csiso885916"],
    ),
    ("IBM866", Kind::Web(encoding_rs::IBM866), &["ibm866", "cp866", "866", "csibm866"]),
    ("KOI8-R", Kind::Web(encoding_rs::KOI8_R), &["koi8-r", "cskoi8r"]),
    ("KOI8-U", Kind::Web(encoding_rs::KOI8_U), &["koi8-u", "cskoi8u"]),
    ("macintosh", Kind::Web(encoding_rs::MACINTOSH), &["macintosh", "mac", "csmacintosh"]),
    ("windows-874", Kind::Web(encoding_rs::WINDOWS_874), &["windows-874", "cswindows874"]),
    ("windows-1250", Kind::Web(encoding_rs::WINDOWS_1250), &["windows-1250", "cswindows1250"]),
    ("windows-1251", Kind::Web(encoding_rs::WINDOWS_1251), &["windows-1251", "cswindows1251"]),
    ("windows-1252", Kind::Web(encoding_rs::WINDOWS_1252), &["windows-1252", "cswindows1252"]),
    ("windows-1253", Kind::Web(encoding_rs::WINDOWS_1253), &["windows-1253", "cswindows1253"]),
    ("windows-1254", Kind::Web(encoding_rs::WINDOWS_1254), &["windows-1254", "cswindows1254"]),
    ("windows-1255", Kind::Web(encoding_rs::WINDOWS_1255), &["windows-1255", "cswindows1255"]),
    ("windows-1256", Kind::Web(encoding_rs::WINDOWS_1256), &["windows-1256", "cswindows1256"]),
    ("windows-1257", Kind::Web(encoding_rs::WINDOWS_1257), &["windows-1257", "cswindows1257"]),
    ("windows-1258", Kind::Web(encoding_rs::WINDOWS_1258), &["windows-1258", "cswindows1258"]),
    ("Shift_JIS", Kind::Web(encoding_rs::SHIFT_JIS), &["shift_jis", "ms_kanji", "csshiftjis"]),
    (
        "EUC-JP",
        Kind::Web(encoding_rs::EUC_JP),
        &["euc-jp", "extended_unix_code_packed_format_for_japanese", "cseucpkdfmtjapanese"],
    ),
    ("ISO-2022-JP", Kind::Web(encoding_rs::ISO_2022_JP), &["iso-2022-jp", "csiso2022jp"]),
    ("EUC-KR", Kind::Web(encoding_rs::EUC_KR), &["euc-kr", "cseuckr"]),
    ("Big5", Kind::Web(encoding_rs::BIG5), &["big5", "csbig5"]),
    ("GBK", Kind::Web(encoding_rs::GBK), &["gbk", "cp936", "ms936", "windows-936", "csgbk"]),
    ("GB18030", Kind::Web(encoding_rs::GB18030), &["gb18030", "csgb18030"]),
];

impl Charset {
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (name, kind, _) = CHARSETS.iter().find(|(_, _, aliases)| aliases.contains(&name.as_str()))?;
        Some(Self { name, kind: *kind })
    }

    /// None if a character does not exist in it.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match self.kind {
            Kind::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Kind::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
            Kind::Latin5 => text.chars().map(latin5_byte).collect(),
            Kind::Utf16 { little, mark } => {
                let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
                Some(units.flat_map(|u| if little { u.to_le_bytes() } else { u.to_be_bytes() }).collect())
            }
            Kind::Web(encoding) => {
                let (bytes, _, lossy) = encoding.encode(text);
                (!lossy).then(|| bytes.into_owned())
            }
        }
    }

    /// None if the bytes mean nothing in it.
    pub(super) fn decode(&self, bytes: &[u8]) -> Option<String> {
        match self.kind {
            Kind::Ascii => bytes.is_ascii().then(|| bytes.iter().map(|b| char::from(*b)).collect()),
            Kind::Latin1 => Some(bytes.iter().map(|b| char::from(*b)).collect()),
            Kind::Latin5 => Some(bytes.iter().map(|b| latin5_char(*b)).collect()),
            Kind::Utf16 { little, mark } => {
                let (bytes, little) = match bytes {
                    [0xfe, 0xff, rest @ ..] if mark => (rest, false),
                    [0xff, 0xfe, rest @ ..] if mark => (rest, true),
                    _ => (bytes, little),
                };
                let (pairs, odd) = bytes.as_chunks::<2>();
                let unit = |pair: &[u8; 2]| {
                    if little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) }
                };
                let units: Vec<u16> = pairs.iter().map(unit).collect();
                if odd.is_empty() { String::from_utf16(&units).ok() } else { None }
            }
            Kind::Web(encoding) => {
                let decoded = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                decoded.map(|text| text.into_owned())
            }
        }
    }
}

fn latin5_byte(c: char) -> Option<u8> {
    if let Some((byte, _)) = TURKISH.iter().find(|(_, t)| *t == c) {
        return Some(*byte);
    }
    u8::try_from(u32::from(c)).ok().filter(|b| !TURKISH.iter().any(|(t, _)| t == b))
}

fn latin5_char(byte: u8) -> char {
    TURKISH.iter().find(|(b, _)| *b == byte).map_or(char::from(byte), |(_, c)| *c)
}
