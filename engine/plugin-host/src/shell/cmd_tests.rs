//! Tables of what is put where, and a model of how `cmd` reads a line: what a variable holds must be the value.

use super::*;

const MARK: &str = "sealed_00112233445566778899aabbccddeeff";

fn put(line: &str, kind: Kind, value: &str) -> Result<String, Refused> {
    let line = line.replace("<>", MARK);
    let find = |rest: &str| rest.starts_with(MARK).then_some(Found { length: MARK.len(), value });
    fill(&line, kind, &find)
}

#[test]
fn table() {
    for (line, kind, value, expected) in [
        ("set A=<>&& x", Kind::Line, "plain", Some("set A=plain&& x")),
        ("set A=<>&& x", Kind::Line, "a b", Some("set A=a b&& x")),
        ("set A=<>&& x", Kind::Line, "50%&\"^|", Some("set A=50^%^&^\"^^^|&& x")),
        ("set A=<>", Kind::Batch, "50%&!", Some("set A=50%%^&^!")),
        ("SET A=x ^& <>&& x", Kind::Line, "a&b", Some("SET A=x ^& a^&b&& x")),
        ("set \"A=<>\" && x", Kind::Line, "a&b|c^(d)!", Some("set \"A=a&b|c^(d)!\" && x")),
        ("set \"A=<>\"", Kind::Batch, "50%", Some("set \"A=50%%\"")),
        ("set \"A=1\" && set \"B=<>\" && x", Kind::Line, "a&b", Some("set \"A=1\" && set \"B=a&b\" && x")),
        ("@set A=<>\nx", Kind::Batch, "a&b", Some("@set A=a^&b\nx")),
        ("set A=50^%<>", Kind::Line, "a&b", Some("set A=50^%a^&b")),
        ("echo %P%\nset A=<>", Kind::Batch, "a&b", Some("echo %P%\nset A=a^&b")),
        ("net user u <>", Kind::Line, "P@ss-1_2.3:/+", Some("net user u P@ss-1_2.3:/+")),
        ("net user u \"<>\"", Kind::Line, "a b", None),
        ("set \"A=<>\" && x", Kind::Line, "a\"b", None),
        ("set \"A=<>\" && x", Kind::Line, "50%", None),
        ("set A=<>", Kind::Line, "a\nb", None),
        ("set A=<>", Kind::Line, "a\0b", None),
        ("set A=%PATH%;<>", Kind::Line, "a&b", None),
        ("echo %PATH% & set A=<>", Kind::Line, "a&b", None),
        ("set /a A=<>", Kind::Line, "1&2", None),
        ("set /p A=<>", Kind::Line, "a&b", None),
        ("set <>=a", Kind::Line, "a&b", None),
        ("set A=\"x\"<>", Kind::Line, "a&b", None),
        ("set \"A=x\"<>", Kind::Line, "a&b", None),
        ("set A=^<>", Kind::Line, "&b", None),
        ("set A=x>y <>", Kind::Line, "a&b", None),
        ("setx A <>", Kind::Line, "a&b", None),
        ("powershell -Command \"'<>'\"", Kind::Line, "a'b", None),
        ("cmd /c \"set A=<>\"", Kind::Line, "a&b", None),
        ("if 1==1 set A=<>", Kind::Line, "a&b", None),
        ("setlocal EnableDelayedExpansion\nset A=<>", Kind::Batch, "a!b", None),
        (
            "setlocal EnableDelayedExpansion\nset A=<>",
            Kind::Batch,
            "ab",
            Some("setlocal EnableDelayedExpansion\nset A=ab"),
        ),
    ] {
        assert_eq!(put(line, kind, value).ok().as_deref(), expected, "{line} with {value:?}");
    }
}

/// Reads `set A=value&& ` as `cmd` does on a command line: variables first (`A^` and the like are none), then carets
/// and quotes. The value that the variable gets, and what follows.
fn read(line: &str) -> (String, String) {
    let rest = line.strip_prefix("set A=").expect("a set command");
    let (mut value, mut quoted) = (String::new(), false);
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '^' if !quoted => value.extend(chars.next().map(|(_, c)| c)),
            '"' => {
                quoted = !quoted;
                value.push(c);
            }
            '&' if !quoted => return (value, rest[at..].to_owned()),
            '|' | '<' | '>' if !quoted => panic!("an operator in {line}"),
            _ => value.push(c),
        }
    }
    panic!("no end in {line}");
}

/// Names between percent signs in the text, each of which would be replaced if such a variable existed.
fn names(line: &str) -> Vec<&str> {
    let parts: Vec<_> = line.split('%').collect();
    parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

fn values() -> Vec<String> {
    let alphabet: Vec<char> = "ab^&|<>()\"%!'` \t=,;\\/-ä€@".chars().collect();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    (1..300)
        .map(|length| {
            (0..length % 40 + 1)
                .map(|_| {
                    seed ^= seed << 13;
                    seed ^= seed >> 7;
                    seed ^= seed << 17;
                    alphabet[(seed % alphabet.len() as u64) as usize]
                })
                .collect()
        })
        .collect()
}

#[test]
fn a_variable_holds_any_value() {
    for value in values() {
        for line in [
            put("set A=<>&& x", Kind::Line, &value).expect("taken"),
            variable("A", &value).expect("taken") + "x",
        ] {
            let (held, rest) = read(&line);
            assert_eq!(held, value, "{line}");
            assert_eq!(rest, "&& x", "{line}");
            assert!(names(&line).iter().all(|name| name.ends_with('^')), "{line}");
        }
    }
}

/// Reads one argument as the C runtime of Windows does.
fn c_argument(text: &str) -> String {
    let (mut out, mut backslashes, mut quoted) = (String::new(), 0, false);
    for c in text.chars() {
        if c == '\\' {
            backslashes += 1;
            continue;
        }
        if c == '"' {
            out.push_str(&"\\".repeat(backslashes / 2));
            if backslashes % 2 == 1 { out.push('"') } else { quoted = !quoted }
        } else {
            assert!(quoted || !c.is_whitespace(), "{text} is more than one argument");
            out.push_str(&"\\".repeat(backslashes));
            out.push(c);
        }
        backslashes = 0;
    }
    out + &"\\".repeat(backslashes)
}

#[test]
fn an_argument_holds_any_value() {
    for value in values().iter().map(String::as_str).chain(["", "a\\", "a\\\"b", "\\\\ \\"]) {
        let line = format!("set A={}&& x", argument(value).expect("taken"));
        assert_eq!(c_argument(&read(&line).0), value, "{line}");
    }
    assert!(argument("a\nb").is_err());
}
