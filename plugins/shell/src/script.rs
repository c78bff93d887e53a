//! The text of scripts: inline lines joined to one, and the line ends of Unix.

/// The script of inline lines.
pub fn inline(lines: &[String], shebang: Option<&str>) -> String {
    let mut text = shebang.map(|shebang| format!("#!{shebang}\n")).unwrap_or_default();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// Makes CRLF to LF and ends the last line; none where nothing has to change.
pub fn unix(content: &[u8]) -> Option<Vec<u8>> {
    let crlf = content.windows(2).any(|pair| pair == b"\r\n");
    let ended = content.is_empty() || content.ends_with(b"\n");
    if !crlf && ended {
        return None;
    }
    let mut out = Vec::with_capacity(content.len() + 1);
    for (at, byte) in content.iter().enumerate() {
        if *byte != b'\r' || content.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(inline(&lines, Some("/bin/sh -e")), "#!/bin/sh -e\na\nb\n");
        assert_eq!(inline(&lines, None), "a\nb\n");
    }

    #[test]
    fn line_ends() {
        for (content, expected) in [
            ("", None),
            ("a\nb\n", None),
            ("a\rb\n", None),
            ("a\r\nb\r\n", Some("a\nb\n")),
            ("a\nb", Some("a\nb\n")),
            ("a\r\nb\r", Some("a\nb\r\n")),
            ("a\r\r\nb\n", Some("a\r\nb\n")),
        ] {
            assert_eq!(unix(content.as_bytes()).as_deref(), expected.map(str::as_bytes), "{content:?}");
        }
    }
}
