//! Tables of what is put where, and a model of how PowerShell reads strings: what a string holds must be the value.

use super::*;

const MARK: &str = "sealed_00112233445566778899aabbccddeeff";

fn put(text: &str, value: &str) -> Result<String, Refused> {
    let text = text.replace("<>", MARK);
    let find = |rest: &str| rest.starts_with(MARK).then_some(Found { length: MARK.len(), value });
    fill(&text, &find)
}

#[test]
fn table() {
    let odd = "a'b\"c$d`e";
    for (text, expected) in [
        ("$x = '<>'", "$x = 'a''b\"c$d`e'"),
        ("$x = \"<>\"", "$x = \"a'b`\"c`$d``e\""),
        ("$env:A=\"<>\"; $env:B=\"x<>\"; ", "$env:A=\"a'b`\"c`$d``e\"; $env:B=\"xa'b`\"c`$d``e\"; "),
        ("$x = <>", "$x = 'a''b\"c$d`e'"),
        ("f -p <> -q", "f -p 'a''b\"c$d`e' -q"),
        ("f(<>,<>)", "f('a''b\"c$d`e','a''b\"c$d`e')"),
        ("$x = @'\n<>\n'@", "$x = @'\na'b\"c$d`e\n'@"),
        ("$x = @\"\n<>\n\"@; '<>'", "$x = @\"\na'b`\"c`$d``e\n\"@; 'a''b\"c$d`e'"),
        ("\"$(f '<>') <>\"", "\"$(f 'a''b\"c$d`e') a'b`\"c`$d``e\""),
        ("\"$x-<>\"", "\"$x-a'b`\"c`$d``e\""),
        ("\"${x}<>\"", "\"${x}a'b`\"c`$d``e\""),
        ("'it''s <>'", "'it''s a''b\"c$d`e'"),
        ("\"a`\"<>\"", "\"a`\"a'b`\"c`$d``e\""),
        ("\"a\"\"<>\"", "\"a\"\"a'b`\"c`$d``e\""),
        ("# it's\n'<>'", "# it's\n'a''b\"c$d`e'"),
        ("<# it's\n#>'<>'", "<# it's\n#>'a''b\"c$d`e'"),
        ("iex 'x'\n$x = '<>'", "iex 'x'\n$x = 'a''b\"c$d`e'"),
        ("\u{201c}<>\u{201d}", "\u{201c}a'b`\"c`$d``e\u{201d}"),
    ] {
        assert_eq!(put(text, odd).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn refused() {
    for text in [
        "# <>",
        "<# <> #>",
        "\"`<>\"",
        "`<>",
        "\"$<>\"",
        "\"$x<>\"",
        "\"$x:<>\"",
        "\"${<>}\"",
        "a<>b",
        "c:\\x\\<>",
        "iex \"f '<>'\"",
        "Invoke-Expression ('f ' + '<>')",
        "cmd /c \"net user u <>\"",
        "cmd.exe /c echo '<>'",
        "powershell -Command \"'<>'\"",
        "[scriptblock]::Create('<>')",
        "f --% <>",
        "iex `\n '<>'",
        "\"$(iex '<>')\"",
        "(iex\n'<>')",
    ] {
        assert!(put(text, "a'b").is_err(), "{text}");
    }
    for value in ["x\n'@\ny", "'", "@x", "a\u{2019}@"] {
        assert!(put("@'\n<>\n'@", value).is_err(), "{value}");
    }
    assert!(put("'<>'", "a\0b").is_err());
    assert_eq!(put("cmd /c net user u <>", "abc1").as_deref(), Ok("cmd /c net user u abc1"));
}

/// The text of the one string that the statement is.
fn read(text: &str) -> String {
    let mut chars = text.chars().peekable();
    let open = chars.next().expect("a quote");
    let mut out = String::new();
    while let Some(c) = chars.next() {
        if is_single(open) && is_single(c) || is_double(open) && is_double(c) {
            let again =
                chars.next_if(|&next| if is_single(open) { is_single(next) } else { is_double(next) });
            if again.is_none() {
                assert_eq!(chars.next(), None, "the string ends too early: {text}");
                return out;
            }
        } else if is_double(open) && c == '`' {
            out.extend(chars.next());
            continue;
        } else {
            assert!(is_single(open) || c != '$', "a variable in {text}");
        }
        out.push(c);
    }
    panic!("the string does not end: {text}");
}

#[test]
fn strings_hold_any_value() {
    let alphabet: Vec<char> =
        "ab'\"$`\u{2018}\u{2019}\u{201a}\u{201b}\u{201c}\u{201d}\u{201e}@#(){};\n\r -\\ä€".chars().collect();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for length in 1..300 {
        let value: String = (0..length % 40 + 1)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                alphabet[(seed % alphabet.len() as u64) as usize]
            })
            .collect();
        for text in ["'<>'", "\"<>\"", "\u{2018}<>\u{2019}", "\u{201c}<>\u{201d}", "<>"] {
            assert_eq!(read(&put(text, &value).expect("taken")), value, "{text}");
        }
    }
}
