//! Functions of files and paths. Paths are relative to the template, except where Packer takes the working directory.

use std::path::{Path, PathBuf};

use super::encoding::to_base64;
use super::glob::Glob;
use super::{Fault, FileKind, Function, Host, Outcome, Param, at, function, gives, param, string, text};
use crate::hcl::Val;
use crate::hcl::types::Type;

const PATH: &[Param] = &[param("path", string)];

pub(super) const TABLE: &[Function] = &[
    function(
        "abspath",
        "The path as an absolute one, from the working directory.",
        PATH,
        gives::string,
        abspath,
    ),
    function("basename", "The last part of a path.", PATH, gives::string, |args, _| {
        Ok(Val::string(base(&text(args, 0))))
    }),
    function("dirname", "A path without its last part.", PATH, gives::string, |args, _| {
        let path = text(args, 0);
        let folder = path.rfind('/').map_or("", |i| &path[..=i]);
        Ok(Val::string(clean(folder)))
    }),
    function("file", "The text of a file.", PATH, gives::string, file),
    function(
        "filebase64",
        "The content of a file in base64; relative to the working directory.",
        PATH,
        gives::string,
        filebase64,
    ),
    function("fileexists", "Whether there is a file.", PATH, gives::bool, fileexists),
    function(
        "fileset",
        "The files below a path that match a pattern, in which ** stands for any folders.",
        &[param("path", string), param("pattern", string)],
        |_| Type::set(Type::String),
        fileset,
    ),
    function(
        "pathexpand",
        "The path with the home folder in place of ~.",
        PATH,
        gives::string,
        |args, host| Ok(Val::string(expand(&text(args, 0), host)?)),
    ),
];

/// The shortest path that means the same without looking at files.
pub(super) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                _ if absolute => {}
                _ => parts.push(part),
            },
            part => parts.push(part),
        }
    }
    match (absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("") | None => "/".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn join(folder: &Path, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{}/{path}", folder.to_string_lossy())) }
}

fn abspath(args: &[Val], host: &dyn Host) -> Outcome {
    Ok(Val::string(join(host.working_dir(), &text(args, 0))))
}

/// The path with the home folder in place of a leading `~`.
fn expand(path: &str, host: &dyn Host) -> Result<String, Fault> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(path.to_owned()) };
    if !rest.is_empty() && !rest.starts_with(['/', '\\']) {
        return Err("cannot expand user-specific home dir".into());
    }
    let home = host.home().ok_or("failed to expand ~: the home folder is not known")?;
    Ok(clean(&format!("{home}/{rest}")))
}

/// Where a file of the template is.
fn place(args: &[Val], host: &dyn Host) -> Result<PathBuf, Fault> {
    let path = text(args, 0);
    if path.contains('\0') {
        return Err(at(0, "a path can't contain a zero character"));
    }
    Ok(join(host.base_dir(), &expand(&path, host)?).into())
}

fn file(args: &[Val], host: &dyn Host) -> Outcome {
    let path = place(args, host)?;
    let bytes = host.read(&path).map_err(|e| {
        let path = path.display();
        match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("no file exists at {}; paths start in the folder of the template", text(args, 0))
            }
            _ => format!("failed to read {path}: {e}"),
        }
    })?;
    let content = String::from_utf8(bytes).map_err(|_| {
        let path = path.display();
        format!(
            "contents of {path} are not valid UTF-8; use the filebase64 function to obtain them in base64"
        )
    })?;
    Ok(Val::string(content))
}

fn filebase64(args: &[Val], host: &dyn Host) -> Outcome {
    let path = text(args, 0);
    let place = if path.starts_with('/') { PathBuf::from(&path) } else { host.working_dir().join(&path) };
    let bytes = host.read(&place).map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            _ => e.to_string(),
        };
        format!("failed to read file {path:?}: open {path}: {why}")
    })?;
    Ok(Val::string(to_base64(&bytes)?))
}

fn fileexists(args: &[Val], host: &dyn Host) -> Outcome {
    let path = place(args, host)?;
    match host.kind(&path) {
        Ok(FileKind::File) => Ok(Val::bool(true)),
        Ok(FileKind::Missing) => Ok(Val::bool(false)),
        Ok(kind) => {
            let what = if kind == FileKind::Folder { "a folder" } else { "something else" };
            Err(format!("{} is not a regular file, but {what}", path.display()).into())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Val::bool(false)),
        Err(e) => Err(format!("failed to stat {}: {e}", path.display()).into()),
    }
}

fn fileset(args: &[Val], host: &dyn Host) -> Outcome {
    let root = join(host.base_dir(), &text(args, 0));
    let pattern = text(args, 1);
    let found = Glob::new(&root, &pattern).map_err(|e| at(1, e))?.files(host)?;
    Ok(Val::set(Type::String, found.iter().map(Val::string).collect()))
}
