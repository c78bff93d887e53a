//! Quoting for the machine's shell, and how paths are written in a command line.

/// One word for a POSIX shell, whatever it contains. Also right for fish, as long as there is no backslash in it.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A path as one word. `~/` stays the home folder; a leading `-` cannot be taken for an option.
pub(crate) fn path(path: &str) -> String {
    if path == "~" {
        return path.to_owned();
    }
    if let Some(rest) = path.strip_prefix("~/") {
        return if rest.is_empty() { "~/".into() } else { format!("~/{}", quote(rest)) };
    }
    if path.starts_with('-') { quote(&format!("./{path}")) } else { quote(path) }
}

/// The folder that a path lies in, as one word.
pub(crate) fn parent(whole: &str) -> String {
    match whole.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/".into(),
        Some((folder, _)) => path(folder),
        None => ".".into(),
    }
}

/// A line for POSIX `sh`, whatever the login shell is.
pub(crate) fn posix(body: &str) -> String {
    format!("sh -c {}", quote(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_from_a_shell_as_they_were() {
        for text in ["a b", "it's", "$HOME `x` \"q\" \\", "-rf", "ünï\ncode", "''", "*"] {
            let line = format!("printf %s {}", quote(text));
            let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
            let output = std::process::Command::new("sh").args(["-c", &posix(&line)]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }

    #[test]
    fn paths_keep_their_home_and_are_never_options() {
        let cases = [
            ("/tmp/a b", "'/tmp/a b'", "'/tmp'"),
            ("~/x y", "~/'x y'", "~"),
            ("~/a/b", "~/'a/b'", "~/'a'"),
            ("-x", "'./-x'", "."),
            ("/x", "'/x'", "/"),
            ("/a/b/", "'/a/b/'", "'/a'"),
        ];
        for (given, word, folder) in cases {
            assert_eq!(path(given), word);
            assert_eq!(parent(given), folder);
        }
    }
}
