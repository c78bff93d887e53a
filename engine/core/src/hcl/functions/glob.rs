//! Patterns of `fileset`: `*`, `?` and brackets within a name, `**` for any folders, braces for alternatives. The walk
//! is bounded in depth and in the number of entries it looks at.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use super::files::clean;
use super::{Fault, FileKind, Host};
use crate::pattern::{braces, name_pattern};

/// Folders inside of folders.
const MAX_DEPTH: usize = 64;
/// Entries looked at, all folders together; those that several parts of the pattern ask for count each time.
const MAX_ENTRIES: usize = 100_000;
/// Bytes of a pattern.
const MAX_PATTERN: usize = 4096;

/// Files to look for below a folder.
pub(super) struct Glob {
    root: String,
    alternatives: Vec<Vec<Part>>,
}

enum Part {
    Name(String),
    /// `..`, at the beginning.
    Up,
    /// `**`
    Deep,
    Match(Regex),
}

impl Glob {
    /// What is wrong with the pattern, if so.
    pub(super) fn new(root: &str, pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("the pattern is longer than {MAX_PATTERN} bytes"));
        }
        let mut alternatives = Vec::new();
        for pattern in braces(pattern)? {
            let mut parts = Vec::new();
            // A pattern is below the path even if it begins with a slash.
            for part in clean(pattern.trim_start_matches('/')).split('/') {
                parts.push(match part {
                    "." | "" => continue,
                    ".." => Part::Up,
                    // Two in a row mean no more than one.
                    "**" if matches!(parts.last(), Some(Part::Deep)) => continue,
                    "**" => Part::Deep,
                    part if part.contains(['*', '?', '[', '\\']) => Part::Match(name_pattern(part)?),
                    part => Part::Name(part.to_owned()),
                });
            }
            alternatives.push(parts);
        }
        Ok(Self { root: root.to_owned(), alternatives })
    }

    /// The paths of all files that match, from the root.
    pub(super) fn files(&self, host: &dyn Host) -> Result<BTreeSet<String>, Fault> {
        let mut walk = Walk { host, entries: MAX_ENTRIES, found: BTreeSet::new() };
        for parts in &self.alternatives {
            walk.step(&self.root, "", parts, 0)?;
        }
        Ok(walk.found)
    }
}

struct Walk<'a> {
    host: &'a dyn Host,
    /// How many more may be looked at.
    entries: usize,
    found: BTreeSet<String>,
}

impl Walk<'_> {
    /// `shown` is the folder as results name it.
    fn step(&mut self, folder: &str, shown: &str, parts: &[Part], depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(format!("{folder} is more than {MAX_DEPTH} folders deep").into());
        }
        let Some((part, rest)) = parts.split_first() else {
            if !shown.is_empty() && self.kind(folder)? == FileKind::File {
                self.found.insert(shown.to_owned());
            }
            return Ok(());
        };
        match part {
            Part::Name(name) => self.step(&below(folder, name), &below(shown, name), rest, depth + 1),
            Part::Up => self.step(&clean(&format!("{folder}/..")), &below(shown, ".."), rest, depth + 1),
            Part::Match(pattern) => {
                for (name, kind) in self.list(folder)? {
                    if pattern.is_match(&name) && (rest.is_empty() || kind != FileKind::File) {
                        self.step(&below(folder, &name), &below(shown, &name), rest, depth + 1)?;
                    }
                }
                Ok(())
            }
            Part::Deep => {
                self.step(folder, shown, rest, depth + 1)?;
                for (name, kind) in self.list(folder)? {
                    let (path, shown) = (below(folder, &name), below(shown, &name));
                    match kind {
                        FileKind::Folder => self.step(&path, &shown, parts, depth + 1)?,
                        _ if rest.is_empty() => self.step(&path, &shown, rest, depth + 1)?,
                        _ => {}
                    }
                }
                Ok(())
            }
        }
    }

    fn spend(&mut self, count: usize) -> Result<(), Fault> {
        self.entries = self.entries.checked_sub(count).ok_or_else(|| {
            format!("the pattern looks at more than {MAX_ENTRIES} files; write a narrower one")
        })?;
        Ok(())
    }

    fn kind(&mut self, path: &str) -> Result<FileKind, Fault> {
        self.spend(1)?;
        match self.host.kind(Path::new(path)) {
            Ok(kind) => Ok(kind),
            Err(e) if absent(&e) => Ok(FileKind::Missing),
            Err(e) => Err(format!("failed to stat {path}: {e}").into()),
        }
    }

    fn list(&mut self, folder: &str) -> Result<Vec<(String, FileKind)>, Fault> {
        if self.kind(folder)? != FileKind::Folder {
            return Ok(Vec::new());
        }
        match self.host.list(Path::new(folder)) {
            Ok(entries) => {
                self.spend(entries.len())?;
                Ok(entries)
            }
            Err(e) if absent(&e) => Ok(Vec::new()),
            Err(e) => Err(format!("failed to list {folder}: {e}").into()),
        }
    }
}

fn absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn below(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder if folder.ends_with('/') => format!("{folder}{name}"),
        folder => format!("{folder}/{name}"),
    }
}
