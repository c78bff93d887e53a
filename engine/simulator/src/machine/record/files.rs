//! The memory file system of a `record` machine.
//!
//! It holds what was uploaded: as no command is executed, parent directories that a script would have made are made
//! here when a file is put into them. Content is kept up to a total; of files beyond it size and digest are known.
//! Cloning is cheap (content is shared), which is how an image is captured.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::Limits;
use super::log::hex;

#[derive(Clone)]
pub(super) struct FileSystem {
    nodes: BTreeMap<String, Node>,
    home: String,
    kept: u64,
    dropped: usize,
    limits: Limits,
}

#[derive(Clone)]
pub(super) struct Node {
    pub mode: u32,
    pub mtime: u32,
    pub kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// Directories that every machine has are not part of the listing.
    Directory { standard: bool },
    /// No content where the limit was reached; no digest where it was also written out of order.
    File { size: u64, sha256: Option<String>, content: Option<Bytes> },
}

/// Why a path could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileError {
    #[error("No such file or directory")]
    Missing,
    #[error("Is a directory")]
    IsDirectory,
    #[error("Not a directory")]
    NotDirectory,
    #[error("File exists")]
    Exists,
    #[error("Directory not empty")]
    NotEmpty,
    #[error("the record machine kept only size and digest of this file, its content limit is reached")]
    NotKept,
    #[error("the record machine keeps no more files, its limit is reached")]
    Full,
}

const STANDARD: [&str; 16] = [
    "/",
    "/bin",
    "/dev",
    "/etc",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/local",
    "/var",
    "/var/tmp",
];

impl FileSystem {
    pub fn new(limits: Limits) -> Self {
        let nodes = STANDARD.iter().map(|path| ((*path).to_owned(), directory(true))).collect();
        Self { nodes, home: "/root".to_owned(), kept: 0, dropped: 0, limits }
    }

    /// Makes the home directory of `user`; relative paths start there from now on.
    pub fn home(&mut self, user: &str) {
        self.home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        self.nodes.entry(self.home.clone()).or_insert_with(|| directory(true));
    }

    pub fn home_path(&self) -> &str {
        &self.home
    }

    /// The absolute path without `.`, `..`, `~/` and doubled slashes.
    pub fn resolve(&self, path: &str) -> String {
        let path = match path.strip_prefix("~/") {
            Some(rest) => format!("{}/{rest}", self.home),
            None if path == "~" || path.is_empty() => self.home.clone(),
            None if path.starts_with('/') => path.to_owned(),
            None => format!("{}/{path}", self.home),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.resolve(path))
    }

    pub fn is_directory(&self, path: &str) -> bool {
        matches!(self.get(path), Some(Node { kind: Kind::Directory { .. }, .. }))
    }

    pub fn read(&self, path: &str) -> Result<Bytes, FileError> {
        match self.get(path).map(|node| &node.kind) {
            None => Err(FileError::Missing),
            Some(Kind::Directory { .. }) => Err(FileError::IsDirectory),
            Some(Kind::File { content, .. }) => content.clone().ok_or(FileError::NotKept),
        }
    }

    /// Names and nodes directly in a directory.
    pub fn list(&self, path: &str) -> Result<Vec<(String, Node)>, FileError> {
        let path = self.resolve(path);
        match self.nodes.get(&path).map(|node| &node.kind) {
            None => return Err(FileError::Missing),
            Some(Kind::File { .. }) => return Err(FileError::NotDirectory),
            Some(Kind::Directory { .. }) => {}
        }
        let inside =
            |(name, node): (&str, &Node)| (!name.contains('/')).then(|| (name.to_owned(), node.clone()));
        Ok(self.below(&path).filter_map(inside).collect())
    }

    /// Everything below a directory, with the path relative to it, parents first.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let start = prefix.clone();
        self.nodes
            .range(start..)
            .take_while({
                let prefix = prefix.clone();
                move |(path, _)| path.starts_with(&prefix)
            })
            .filter_map(move |(path, node)| path.strip_prefix(&prefix).map(|name| (name, node)))
            .filter(|(name, _)| !name.is_empty())
    }

    /// Makes a directory and its parents; one that exists is left as it is.
    pub fn make_directory(&mut self, path: &str) -> Result<(), FileError> {
        let path = self.resolve(path);
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for end in ends {
            match self.nodes.get(&path[..end]).map(|node| &node.kind) {
                Some(Kind::Directory { .. }) => {}
                Some(Kind::File { .. }) => return Err(FileError::NotDirectory),
                None => self.insert(path[..end].to_owned(), directory(false))?,
            }
        }
        Ok(())
    }

    /// A file that is written from its start; it appears with [`FileSystem::put`].
    pub fn writer(&self) -> Writer {
        Writer::new(self.limits.content_bytes.saturating_sub(self.kept))
    }

    /// Puts a written file at a path, over one that stands there.
    pub fn put(&mut self, path: &str, mode: u32, writer: Writer) -> Result<(), FileError> {
        let path = self.resolve(path);
        if self.is_directory(&path) {
            return Err(FileError::IsDirectory);
        }
        if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            let parent = parent.to_owned();
            self.make_directory(&parent)?;
        }
        self.release(&path);
        let kind = writer.finish(self.limits.content_bytes.saturating_sub(self.kept));
        if let Kind::File { content: Some(content), .. } = &kind {
            self.kept += content.len() as u64;
        }
        self.insert(path, Node { mode, mtime: now(), kind })
    }

    pub fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let path = self.resolve(path);
        match self.nodes.get(&path).map(|node| &node.kind) {
            None => return Err(FileError::Missing),
            Some(Kind::Directory { .. }) if self.below(&path).next().is_some() => {
                return Err(FileError::NotEmpty);
            }
            Some(_) => {}
        }
        self.release(&path);
        self.nodes.remove(&path);
        Ok(())
    }

    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        let (from, to) = (self.resolve(from), self.resolve(to));
        if self.nodes.contains_key(&to) {
            return Err(FileError::Exists);
        }
        let node = self.nodes.remove(&from).ok_or(FileError::Missing)?;
        let inner: Vec<String> = self.below(&from).map(|(name, _)| name.to_owned()).collect();
        for name in inner {
            if let Some(node) = self.nodes.remove(&format!("{from}/{name}")) {
                self.nodes.insert(format!("{to}/{name}"), node);
            }
        }
        self.nodes.insert(to, node);
        Ok(())
    }

    pub fn set_mode(&mut self, path: &str, mode: u32) -> Result<(), FileError> {
        let path = self.resolve(path);
        let node = self.nodes.get_mut(&path).ok_or(FileError::Missing)?;
        node.mode = mode & 0o7777;
        Ok(())
    }

    /// The files as the provenance names them.
    pub fn listing(&self) -> Vec<Value> {
        let entry = |(path, node): (&String, &Node)| match &node.kind {
            Kind::Directory { .. } => None,
            Kind::File { size, sha256, .. } => Some(
                json!({ "path": path, "size": size, "sha256": sha256, "mode": format!("{:04o}", node.mode) }),
            ),
        };
        self.nodes.iter().filter_map(entry).collect()
    }

    /// Files that could not be kept at all.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn clear(&mut self) {
        self.nodes.retain(|_, node| matches!(node.kind, Kind::Directory { standard: true }));
        self.kept = 0;
    }

    fn insert(&mut self, path: String, node: Node) -> Result<(), FileError> {
        if self.nodes.len() >= self.limits.files && !self.nodes.contains_key(&path) {
            self.dropped += 1;
            return Err(FileError::Full);
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn release(&mut self, path: &str) {
        if let Some(Node { kind: Kind::File { content: Some(content), .. }, .. }) = self.nodes.get(path) {
            self.kept = self.kept.saturating_sub(content.len() as u64);
        }
    }
}

fn directory(standard: bool) -> Node {
    Node { mode: 0o755, mtime: now(), kind: Kind::Directory { standard } }
}

fn now() -> u32 {
    u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default()
}

/// A file on its way into the file system.
pub(super) struct Writer {
    kept: Option<Vec<u8>>,
    room: u64,
    size: u64,
    hash: Sha256,
    /// Bytes that went through the hash, in order.
    hashed: u64,
}

impl Writer {
    fn new(room: u64) -> Self {
        Self { kept: Some(Vec::new()), room, size: 0, hash: Sha256::new(), hashed: 0 }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Starts from the content that a file has by now.
    pub fn start_from(&mut self, content: &[u8]) {
        self.write(0, content);
    }

    pub fn append(&mut self, chunk: &[u8]) {
        self.write(self.size, chunk);
    }

    pub fn write(&mut self, offset: u64, chunk: &[u8]) {
        let end = offset.saturating_add(chunk.len() as u64);
        if self.hashed == offset {
            self.hash.update(chunk);
            self.hashed = end;
        } else if offset < self.hashed {
            // Bytes that were hashed are written again: only kept content can tell the digest now.
            self.hashed = u64::MAX;
        }
        self.size = self.size.max(end);
        if end > self.room {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            // `end` is at most `room`, which is a count of bytes in memory.
            let (start, end) = (offset as usize, end as usize);
            if kept.len() < end {
                kept.resize(end, 0);
            }
            kept[start..end].copy_from_slice(chunk);
        }
    }

    pub fn read(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let kept = self.kept.as_ref()?;
        let start = usize::try_from(offset).ok()?.min(kept.len());
        Some(&kept[start..start.saturating_add(length).min(kept.len())])
    }

    pub fn truncate(&mut self, size: u64) {
        if size == self.size {
            return;
        }
        self.size = size;
        self.hashed = u64::MAX;
        match &mut self.kept {
            Some(kept) if size <= self.room => kept.resize(size as usize, 0),
            kept => *kept = None,
        }
    }

    fn finish(self, room: u64) -> Kind {
        let sha256 = match &self.kept {
            Some(kept) => Some(hex(&Sha256::digest(kept))),
            None => (self.hashed == self.size).then(|| hex(&self.hash.finalize())),
        };
        let content = self.kept.filter(|kept| kept.len() as u64 <= room).map(Bytes::from);
        Kind::File { size: self.size, sha256, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(content_bytes: u64) -> FileSystem {
        let mut files = FileSystem::new(Limits { content_bytes, files: 24, ..Limits::default() });
        files.home("azureuser");
        files
    }

    fn put(files: &mut FileSystem, path: &str, content: &[u8]) -> Result<(), FileError> {
        let mut writer = files.writer();
        writer.append(content);
        files.put(path, 0o644, writer)
    }

    #[test]
    fn paths_are_resolved_like_a_login_shell_does() {
        let files = system(10);
        let cases = [
            ("a", "/home/azureuser/a"),
            ("~/a/../b", "/home/azureuser/b"),
            ("~", "/home/azureuser"),
            ("", "/home/azureuser"),
            ("//tmp/./x/", "/tmp/x"),
            ("/../..", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(files.resolve(path), expected, "{path}");
        }
    }

    #[test]
    fn beyond_the_content_limit_size_and_digest_stay() {
        let mut files = system(5);
        put(&mut files, "/tmp/a", b"four").unwrap();
        put(&mut files, "/tmp/b", b"too long").unwrap();
        assert_eq!(files.read("/tmp/a").unwrap().as_ref(), b"four");
        assert_eq!(files.read("/tmp/b"), Err(FileError::NotKept));
        let listing = files.listing();
        assert_eq!(listing[1]["size"], 8);
        assert_eq!(listing[1]["sha256"], hex(&Sha256::digest(b"too long")));
        // A file that is replaced frees its place.
        put(&mut files, "/tmp/a", b"").unwrap();
        put(&mut files, "/tmp/b", b"fives").unwrap();
        assert_eq!(files.read("/tmp/b").unwrap().as_ref(), b"fives");
    }

    #[test]
    fn blocks_out_of_order_give_the_right_digest_while_kept() {
        let mut files = system(100);
        let mut writer = files.writer();
        writer.write(3, b"def");
        writer.write(0, b"abc");
        files.put("x", 0o600, writer).unwrap();
        assert_eq!(files.listing()[0]["sha256"], hex(&Sha256::digest(b"abcdef")));
    }

    #[test]
    fn the_number_of_files_is_limited() {
        let mut files = system(100);
        let results: Vec<_> = (0..20).map(|n| put(&mut files, &format!("/srv/{n}"), b"x")).collect();
        assert!(results.contains(&Err(FileError::Full)));
        assert!(files.dropped() > 0);
    }

    #[test]
    fn directories_behave() {
        let mut files = system(100);
        put(&mut files, "/opt/app/etc/a.conf", b"x").unwrap();
        assert!(files.is_directory("/opt/app"));
        assert_eq!(files.remove("/opt/app"), Err(FileError::NotEmpty));
        assert_eq!(files.make_directory("/opt/app/etc/a.conf/b"), Err(FileError::NotDirectory));
        files.rename("/opt/app", "/opt/new").unwrap();
        assert_eq!(files.list("/opt/new/etc").unwrap()[0].0, "a.conf");
        assert!(files.get("/opt/app/etc/a.conf").is_none());
    }
}
