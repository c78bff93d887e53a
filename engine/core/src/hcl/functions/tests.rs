//! Tests of the functions: calls written as in templates, and what they give. A small reader of calls and literals
//! stands in for the language here, so that these tests are about functions alone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::*;

mod encoding;
mod expression;
mod files;
mod frame;
mod regexes;
mod sequences;
mod strings;

/// A file system in memory, a home, and a time that stands still.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    fn with(files: &[(&str, &[u8])]) -> Self {
        Self { files: files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect() }
    }
}

impl Host for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.files.get(path.to_str().expect("UTF-8"));
        found.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        let path = path.to_str().expect("UTF-8").trim_end_matches('/');
        Ok(if self.files.contains_key(path) {
            FileKind::File
        } else if self.files.keys().any(|f| f.strip_prefix(path).is_some_and(|r| r.starts_with('/'))) {
            FileKind::Folder
        } else {
            FileKind::Missing
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, FileKind)>> {
        let prefix = format!("{}/", path.to_str().expect("UTF-8").trim_end_matches('/'));
        let mut out = BTreeMap::new();
        for file in self.files.keys().filter_map(|f| f.strip_prefix(&prefix)) {
            match file.split_once('/') {
                Some((folder, _)) => out.insert(folder.to_owned(), FileKind::Folder),
                None => out.insert(file.to_owned(), FileKind::File),
            };
        }
        Ok(out.into_iter().collect())
    }

    fn home(&self) -> Option<String> {
        Some("/home/me".to_owned())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn start_time(&self) -> jiff::Timestamp {
        "2024-03-07T09:05:03.5Z".parse().expect("a time")
    }

    fn base_dir(&self) -> &Path {
        Path::new("/templates")
    }

    fn working_dir(&self) -> &Path {
        Path::new("/started")
    }
}

/// Runs calls and compares what they give; an expectation that begins with `!` is part of an error's message.
fn check(host: &dyn Host, cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        let result = expression::evaluate(source, host);
        match (expected.strip_prefix('!'), result) {
            (None, Ok(value)) => assert_eq!(expression::compact(&value), *expected, "{source}"),
            (Some(part), Err(error)) => {
                let message = error.to_string();
                assert!(message.contains(part), "{source}: {message}");
            }
            (_, Ok(value)) => panic!("{source} gave {}", expression::compact(&value)),
            (_, Err(error)) => panic!("{source}: {error}"),
        }
    }
}
