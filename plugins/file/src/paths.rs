//! Which path a source gets at its destination.

/// The last part of a path; empty for the root and for `.` and `..`, which have no name of their own.
pub fn base_name(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("." | "..") | None => "",
        Some(name) => name,
    }
}

/// A name in a folder.
pub fn join(folder: &str, name: &str) -> String {
    match (folder, name) {
        (folder, "") => folder.to_owned(),
        ("", name) => name.to_owned(),
        (folder, name) => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

/// The path that an uploaded source becomes.
pub fn upload_target(source: &str, is_directory: bool, destination: &str) -> String {
    let named = if is_directory { !source.ends_with('/') } else { destination.ends_with('/') };
    if named { join(destination, base_name(source)) } else { destination.to_owned() }
}

/// The path that uploaded content becomes.
pub fn content_target(destination: &str) -> String {
    if destination.ends_with('/') { join(destination, "pkr-file-content") } else { destination.to_owned() }
}

/// The folder that an uploaded path needs on the machine.
pub fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        None => ".",
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
    }
}

/// What is downloaded, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Download {
    /// One file or directory, to exactly this path.
    One { from: String, to: String },
    /// Everything that matches the pattern of a shell, below this folder, each under its own name.
    Matching { pattern: String, folder: String },
}

/// Decides how a source is downloaded.
pub fn download(source: &str, destination: &str) -> Download {
    if source.contains(['*', '?', '[']) {
        let pattern = source.trim_end_matches('/').to_owned();
        return Download::Matching { pattern, folder: destination.to_owned() };
    }
    let name = base_name(source);
    let from = match source.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    let named = source.ends_with('/') || destination.ends_with('/');
    let to = if named { join(destination, name) } else { destination.to_owned() };
    Download::One { from: from.to_owned(), to }
}

/// A pattern as a word of a POSIX shell: only `*`, `?` and `[...]` keep their meaning.
pub fn shell_pattern(pattern: &str) -> String {
    let mut word = String::new();
    let mut quoted = String::new();
    for c in pattern.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '!' | '^' | '-') {
            flush(&mut word, &mut quoted);
            word.push(c);
        } else {
            quoted.push(c);
        }
    }
    flush(&mut word, &mut quoted);
    word
}

fn flush(word: &mut String, quoted: &mut String) {
    if !quoted.is_empty() {
        word.push_str(&format!("'{}'", quoted.replace('\'', r#"'"'"'"#)));
        quoted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_uploads_mean_what_they_mean_to_rsync() {
        for (source, directory, destination, expected) in [
            ("a/app", true, "/tmp/x", "/tmp/x/app"),
            ("a/app/", true, "/tmp/x", "/tmp/x"),
            ("a/app", true, "/tmp/x/", "/tmp/x/app"),
            ("a/app", true, "/", "/app"),
            (".", true, "/tmp/x", "/tmp/x"),
            ("a/f.txt", false, "/tmp/g.txt", "/tmp/g.txt"),
            ("a/f.txt", false, "/tmp/", "/tmp/f.txt"),
            ("f.txt", false, "g", "g"),
        ] {
            assert_eq!(upload_target(source, directory, destination), expected, "{source} to {destination}");
        }
        assert_eq!(content_target("/tmp/"), "/tmp/pkr-file-content");
        assert_eq!([parent("/a/b/"), parent("/a"), parent("a")], ["/a", "/", "."]);
    }

    #[test]
    fn downloads() {
        let one = |from: &str, to: &str| Download::One { from: from.into(), to: to.into() };
        for (source, destination, expected) in [
            ("/var/log/x", "logs/", one("/var/log/x", "logs/x")),
            ("/var/log/x", "y", one("/var/log/x", "y")),
            ("/var/log/", "logs", one("/var/log", "logs/log")),
            ("/var/log/", "./", one("/var/log", "./log")),
            ("/", "all", one("/", "all")),
            (
                "/var/*.log",
                "logs",
                Download::Matching { pattern: "/var/*.log".into(), folder: "logs".into() },
            ),
        ] {
            assert_eq!(download(source, destination), expected, "{source} to {destination}");
        }
    }

    #[test]
    fn patterns_keep_nothing_but_their_wildcards() {
        assert_eq!(shell_pattern("/a b/$(x)'*.[ch]"), r#"'/a b/$(x)'"'"''*'.'['ch']"#);
        assert_eq!(shell_pattern("a;?"), "'a;'?");
    }
}
