//! The names of an archive's entries, as Packer gives them: in a tar archive the file's name without its folders, in a
//! zip archive its path. Where two files of a tar archive would get the same name they keep their paths, so that none is
//! lost.

use std::collections::HashSet;

use fornax_plugin_sdk::files::Container;
use fornax_plugin_sdk::{Error, Result};

/// A name for each file. The error says why the files can't be packed in this way.
pub fn names(container: Container, files: &[String]) -> Result<Vec<String>> {
    let base = |path: &String| relative(path).rsplit('/').next().unwrap_or_default().to_owned();
    match container {
        Container::Raw if files.len() == 1 => Ok(files.iter().map(base).collect()),
        Container::Raw => Err(Error::invalid(format!(
            "Can only have 1 input file when not using tar/zip. Found {} files: {}",
            files.len(),
            files.join(", ")
        ))),
        Container::Zip => distinct(files.iter().map(|path| relative(path)).collect()),
        Container::Tar => {
            let bases: Vec<String> = files.iter().map(base).collect();
            let different = bases.iter().collect::<HashSet<_>>().len() == bases.len();
            if different {
                distinct(bases)
            } else {
                distinct(files.iter().map(|path| relative(path)).collect())
            }
        }
    }
}

fn distinct(names: Vec<String>) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| name.is_empty() || !seen.insert(*name)) {
        None => Ok(names),
        Some(name) => Err(Error::invalid(format!("Two files would be the entry {name:?} of the archive"))),
    }
}

/// A path without what would lead out of the folder into which an archive is unpacked.
fn relative(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tar_has_names_and_zip_has_paths() {
        let cases: [(Container, &[&str], &[&str]); 6] = [
            (Container::Tar, &["out/a.txt", "/abs/b.txt"], &["a.txt", "b.txt"]),
            (Container::Tar, &["x/a.txt", "../y/a.txt"], &["x/a.txt", "y/a.txt"]),
            (Container::Zip, &["./out/a.txt", "/abs/b.txt"], &["out/a.txt", "abs/b.txt"]),
            (Container::Zip, &["../up/a"], &["up/a"]),
            (Container::Raw, &["out/a.txt"], &["a.txt"]),
            (Container::Tar, &[], &[]),
        ];
        for (container, files, expected) in cases {
            let files: Vec<String> = files.iter().map(ToString::to_string).collect();
            assert_eq!(names(container, &files).unwrap(), expected, "{files:?}");
        }
    }

    #[test]
    fn what_can_not_be_packed() {
        for (container, files, says) in [
            (Container::Raw, vec!["a", "b"], "Found 2 files: a, b"),
            (Container::Raw, vec![], "Found 0 files"),
            (Container::Zip, vec!["a", "./a"], "\"a\""),
            (Container::Tar, vec!["../a", "a"], "\"a\""),
        ] {
            let files: Vec<String> = files.into_iter().map(str::to_owned).collect();
            let error = names(container, &files).unwrap_err().message;
            assert!(error.contains(says), "{error}");
        }
    }
}
