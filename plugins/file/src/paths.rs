//! The rules that need no machine: which options go together, and which path a source gets at its destination.

use fornax_plugin_sdk::Check;

use crate::Config;

fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The path that an uploaded source becomes.
pub fn upload_target(source: &str, is_directory: bool, destination: &str) -> String {
    let join = || format!("{}/{}", destination.trim_end_matches('/'), base_name(source));
    match (is_directory, source.ends_with('/'), destination.ends_with('/')) {
        (true, true, _) => destination.to_owned(),
        (true, false, _) | (false, _, true) => join(),
        (false, _, false) => destination.to_owned(),
    }
}

/// The path that uploaded content becomes.
pub fn content_target(destination: &str) -> String {
    if destination.ends_with('/') { format!("{destination}pkr-file-content") } else { destination.to_owned() }
}

/// The path on the host that a downloaded source becomes.
pub fn download_target(source: &str, destination: &str) -> String {
    if destination.ends_with('/') && !source.ends_with('/') {
        format!("{destination}{}", base_name(source))
    } else {
        destination.to_owned()
    }
}

/// Checks which options go together; `missing` says why a source can't be used.
pub fn check(check: &mut Check, missing: &dyn Fn(&str) -> Option<String>) {
    let Some(config) = check.typed::<Config>() else { return };
    let sources = config.all_sources().len();
    let unknown = check.is_unknown("/source") || check.is_unknown("/sources") || check.is_unknown("/content");
    if config.content.is_some() && sources > 0 {
        check.error(
            "/content",
            "file/content-and-source",
            "\"content\" and \"source\" exclude each other",
            "remove one of the two",
        );
    }
    if config.content.is_none() && sources == 0 && !unknown {
        check.error(
            "",
            "file/source-missing",
            "source, sources or content must be given",
            "name the file to copy, for instance \"source\": \"app.conf\"",
        );
    }
    if config.is_download() && config.content.is_some() {
        check.error(
            "/direction",
            "file/content-download",
            "content can't be downloaded",
            "use \"source\" for the path on the machine",
        );
    }
    if config.is_download() || config.generated {
        return;
    }
    let pointers = (0..).map(|i| format!("/sources/{i}"));
    let named = config.source.iter().map(|s| ("/source".to_owned(), s)).chain(pointers.zip(&config.sources));
    let mut found = Vec::new();
    for (pointer, source) in named.filter(|(_, s)| !s.is_empty()) {
        match missing(source) {
            Some(why) => found.push((pointer, format!("Bad source '{source}': {why}"))),
            None => check.reads(source.clone()),
        }
    }
    for (pointer, summary) in found {
        check.error(
            &pointer,
            "file/source-missing",
            summary,
            "check the path, or set \"generated\": true if an earlier step makes the file",
        );
    }
}

#[cfg(test)]
mod tests {
    use fornax_plugin_sdk::prelude::json;

    use super::*;

    #[test]
    fn slashes_mean_what_they_mean_to_rsync() {
        for (source, directory, destination, expected) in [
            ("a/app", true, "/tmp/x", "/tmp/x/app"),
            ("a/app/", true, "/tmp/x", "/tmp/x"),
            ("a/app", true, "/tmp/x/", "/tmp/x/app"),
            ("a/f.txt", false, "/tmp/g.txt", "/tmp/g.txt"),
            ("a/f.txt", false, "/tmp/", "/tmp/f.txt"),
        ] {
            assert_eq!(upload_target(source, directory, destination), expected, "{source} to {destination}");
        }
        assert_eq!(download_target("/var/log/x", "logs/"), "logs/x");
        assert_eq!(download_target("/var/log/x", "y"), "y");
    }

    #[test]
    fn options_that_exclude_each_other_are_found() {
        let findings = |config| {
            let mut check = Check::of(config);
            super::check(&mut check, &|path| (path == "gone").then(|| "it does not exist".to_owned()));
            check.findings().iter().map(|f| f.code.clone()).collect::<Vec<_>>()
        };
        assert_eq!(findings(json!({"destination": "/x"})), ["file/source-missing"]);
        assert_eq!(findings(json!({"destination": "/x", "source": "here"})), Vec::<String>::new());
        assert_eq!(
            findings(json!({"destination": "/x", "sources": ["here", "gone"]})),
            ["file/source-missing"]
        );
        assert_eq!(
            findings(json!({"destination": "/x", "source": "gone", "generated": true})),
            Vec::<String>::new()
        );
        assert_eq!(
            findings(json!({"destination": "/x", "source": "here", "content": "c"})),
            ["file/content-and-source"]
        );
    }
}
