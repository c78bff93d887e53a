//! `fornax fmt`: HCL files in the canonical format, byte for byte Packer's. A file is replaced as a whole or not at
//! all; one with a syntax error stays as it is, is told, and the others are formatted all the same.

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fornax_core::hcl::format::format;
use fornax_core::hcl::parse::parse_file;
use fornax_core::{Redactor, SourceFile};

use super::{salvage, template};
use crate::args::FmtArgs;
use crate::error::{CliError, Exit};
use crate::whole_file;

mod diff;

pub fn run(args: &FmtArgs) -> Result<Exit, CliError> {
    let mut work = Work { args, changed: false, failed: false };
    for path in &args.paths {
        if path == "-" {
            work.standard_input()?;
        } else if Path::new(path).is_dir() {
            work.folder(Path::new(path))?;
        } else {
            work.named(path)?;
        }
    }
    Ok(match work {
        Work { failed: true, .. } => Exit::Failed,
        Work { changed: true, .. } if args.check => Exit::Differences,
        _ => Exit::Done,
    })
}

struct Work<'a> {
    args: &'a FmtArgs,
    changed: bool,
    failed: bool,
}

impl Work<'_> {
    /// The formatted text goes to standard output whatever the flags say: a caller that pipes a text through gets it.
    fn standard_input(&mut self) -> Result<(), CliError> {
        match template::standard_input() {
            Ok(source) => {
                if let Some(formatted) = self.formatted(&source) {
                    self.changed |= formatted != source.text();
                    print(&formatted)?;
                }
            }
            Err(error) => self.fail(&error.message),
        }
        Ok(())
    }

    fn named(&mut self, path: &str) -> Result<(), CliError> {
        if is_hcl(path) || fs::metadata(path).is_err() {
            return self.file(Path::new(path), path);
        }
        self.fail(&format!("{path} is no HCL file; fmt formats .pkr.hcl and .pkrvars.hcl files only"));
        Ok(())
    }

    /// The HCL files of a folder by name, and with `-recursive` those of the folders in it. Folders behind symbolic
    /// links are not entered, which also ends every circle.
    fn folder(&mut self, folder: &Path) -> Result<(), CliError> {
        let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(e) => {
                self.fail(&format!("can't read the folder {}: {e}", folder.display()));
                return Ok(());
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if is_ignored(&name) {
                continue;
            }
            let path = entry.path();
            let path = path.strip_prefix(".").unwrap_or(&path);
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                if self.args.recursive {
                    self.folder(path)?;
                }
            } else if is_hcl(&name) {
                self.file(path, &shown(path))?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<(), CliError> {
        let source = match template::file(path) {
            Ok(source) => source,
            Err(error) => {
                self.fail(&error.message);
                return Ok(());
            }
        };
        let Some(formatted) = self.formatted(&source) else { return Ok(()) };
        if formatted == source.text() {
            return Ok(());
        }
        self.changed = true;
        if self.args.write
            && !self.args.check
            && let Err(e) = whole_file::replace(path, &formatted)
        {
            self.fail(&format!("can't write {name}: {e}; it stays as it is"));
            return Ok(());
        }
        print(&format!("{name}\n"))?;
        if self.args.diff {
            print(&diff::unified(name, source.text(), &formatted))?;
        }
        Ok(())
    }

    /// None where the text has syntax errors, which are told.
    fn formatted(&mut self, source: &Arc<SourceFile>) -> Option<String> {
        let (_, found) = parse_file(source);
        if !found.has_errors() {
            return Some(format(source.text()));
        }
        // A line that can't be read may hold a secret all the same.
        let redactor = Redactor::new();
        salvage::register_hcl([source.text()], [], &[], &redactor);
        template::show_people(&found, &redactor);
        self.fail(&format!("{} is not formatted, because it has syntax errors", source.name()));
        None
    }

    fn fail(&mut self, message: &str) {
        self.failed = true;
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(io::stderr(), "Error: {message}");
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| CliError::failed(format!("can't write to standard output: {e}")))
}

fn is_hcl(name: &str) -> bool {
    name.ends_with(".pkr.hcl") || name.ends_with(".pkrvars.hcl")
}

/// Hidden files and those that editors leave: `x~`, `#x#`.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'))
}

/// The shortest way to write a path: without `.` and without folders that `..` leaves again.
fn shown(path: &Path) -> String {
    let mut short = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            other => short.push(other),
        }
    }
    short.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_short() {
        for (path, expected) in [
            ("./x.pkr.hcl", "x.pkr.hcl"),
            ("a/./b//x.pkr.hcl", "a/b/x.pkr.hcl"),
            ("a/../x.pkr.hcl", "x.pkr.hcl"),
            ("../../x.pkr.hcl", "../../x.pkr.hcl"),
            ("/a/../x.pkr.hcl", "/x.pkr.hcl"),
        ] {
            assert_eq!(shown(Path::new(path)), expected);
        }
    }

    #[test]
    fn files_of_editors_are_passed_over() {
        for name in [".x.pkr.hcl", "x.pkr.hcl~", "#x.pkr.hcl#"] {
            assert!(is_ignored(name), "{name}");
        }
        assert!(!is_ignored("x#.pkr.hcl"));
    }
}
