//! Folders on this host: walked with symbolic links followed, packed into a tar stream, and written from one. What
//! comes from a machine is not trusted: no entry may leave the folder it is unpacked in.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use fornax_core::communicator::TransferStats;
use tar::{Archive, Builder, EntryType, Header};
use tokio::sync::mpsc;

use crate::input::permissions;

/// What a tar stream is cut into.
const BLOCK: usize = 256 * 1024;
/// Deeper folders than this are a mistake.
const MOST_DEPTH: usize = 200;

/// A folder or file below the root; links are what they point to.
pub(crate) struct Item {
    pub path: PathBuf,
    /// Relative to the root; empty for the root itself.
    pub relative: PathBuf,
    pub meta: Metadata,
}

/// Visits the root and everything below it, parents first, names in order.
pub(crate) fn walk(root: &Path, visit: &mut dyn FnMut(Item) -> io::Result<()>) -> io::Result<()> {
    descend(root.to_owned(), PathBuf::new(), &mut Vec::new(), visit)
}

fn descend(
    path: PathBuf,
    relative: PathBuf,
    above: &mut Vec<PathBuf>,
    visit: &mut dyn FnMut(Item) -> io::Result<()>,
) -> io::Result<()> {
    let wrong = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let meta = std::fs::metadata(&path).map_err(wrong)?;
    if meta.is_file() {
        return visit(Item { path, relative, meta });
    }
    if !meta.is_dir() {
        return Err(wrong(io::Error::other("it is neither a file nor a folder")));
    }
    let real = path.canonicalize().map_err(wrong)?;
    if above.contains(&real) || above.len() > MOST_DEPTH {
        return Err(wrong(io::Error::other("a symbolic link leads back into a folder above it")));
    }
    let mut names = std::fs::read_dir(&path)
        .and_then(|entries| entries.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(wrong)?;
    names.sort();
    above.push(real);
    visit(Item { path: path.clone(), relative: relative.clone(), meta })?;
    for name in names {
        descend(path.join(&name), relative.join(&name), above, visit)?;
    }
    above.pop();
    Ok(())
}

/// Sends a folder as tar blocks. Blocks the thread.
pub(crate) fn pack(root: &Path, sender: mpsc::Sender<io::Result<Bytes>>) -> io::Result<TransferStats> {
    let result = pack_into(root, &sender);
    if let Err(error) = &result {
        let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
    }
    result
}

fn pack_into(root: &Path, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<TransferStats> {
    let mut stats = TransferStats::default();
    let mut tar = Builder::new(Blocks { sender, block: BytesMut::with_capacity(BLOCK) });
    walk(root, &mut |item| {
        if item.relative.as_os_str().is_empty() {
            return if item.meta.is_dir() { Ok(()) } else { Err(io::Error::other("it is not a folder")) };
        }
        let mut header = Header::new_gnu();
        header.set_mode(permissions(&item.meta));
        header.set_mtime(item.meta.modified().ok().and_then(seconds).unwrap_or_default());
        header.set_uid(0);
        header.set_gid(0);
        if item.meta.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_size(0);
            return tar.append_data(&mut header, &item.relative, io::empty());
        }
        let size = item.meta.len();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size);
        let mut content = Exact { file: File::open(&item.path)?.take(size), left: size };
        tar.append_data(&mut header, &item.relative, &mut content)?;
        if content.left > 0 {
            let what = format!("{} became shorter while it was read", item.path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        stats.files += 1;
        stats.bytes += size;
        Ok(())
    })?;
    tar.into_inner()?.flush()?;
    Ok(stats)
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok().map(|d| d.as_secs())
}

struct Exact {
    file: io::Take<File>,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Collects writes into blocks.
struct Blocks<'a> {
    sender: &'a mpsc::Sender<io::Result<Bytes>>,
    block: BytesMut,
}

impl Write for Blocks<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(data);
        if self.block.len() >= BLOCK {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, BytesMut::with_capacity(BLOCK + 64 * 1024)).freeze();
        let ended = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the transfer ended early");
        self.sender.blocking_send(Ok(block)).map_err(ended)
    }
}

/// Reads what comes in blocks. Blocks the thread.
pub(crate) struct Incoming {
    blocks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Incoming {
    pub fn new(blocks: mpsc::Receiver<Bytes>) -> Self {
        Self { blocks, current: Bytes::new() }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.blocks.blocking_recv() {
                Some(block) => self.current = block,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Where an entry belongs below the target; an error where it would lie outside.
pub(crate) fn inside(target: &Path, relative: &Path) -> io::Result<PathBuf> {
    let mut path = target.to_owned();
    for part in relative.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            _ => {
                return Err(io::Error::other(format!(
                    "the machine sent the path {}, which leads out of the target folder",
                    relative.display()
                )));
            }
        }
    }
    Ok(path)
}

/// Writes a tar stream below `target`. Blocks the thread. Links of any kind are refused but for hard links to files
/// that came before.
pub(crate) fn unpack(target: &Path, blocks: mpsc::Receiver<Bytes>) -> io::Result<TransferStats> {
    let mut stats = TransferStats::default();
    std::fs::create_dir_all(target)?;
    let mut archive = Archive::new(Incoming::new(blocks));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = inside(target, &entry.path()?)?;
        let kind = entry.header().entry_type();
        let mode = entry.header().mode()? & 0o777;
        match kind {
            EntryType::Directory => std::fs::create_dir_all(&path)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent)?;
                }
                let size = entry.size();
                let mut file = File::create(&path)?;
                let written = io::copy(&mut entry, &mut file)?;
                if written != size {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the tar stream ended early"));
                }
                set_mode(&file, mode)?;
                stats.files += 1;
                stats.bytes += written;
            }
            EntryType::Link => {
                let linked = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
                stats.bytes += std::fs::copy(inside(target, &linked)?, &path)?;
                stats.files += 1;
            }
            EntryType::XGlobalHeader => {}
            other => {
                return Err(io::Error::other(format!(
                    "the machine sent {} as {other:?}; only files and folders are downloaded",
                    path.display()
                )));
            }
        }
    }
    Ok(stats)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(root: &Path, target: &Path) -> (io::Result<TransferStats>, io::Result<TransferStats>) {
        let (sender, mut packed) = mpsc::channel(4);
        let (forward, blocks) = mpsc::channel(4);
        let root = root.to_owned();
        let packing = std::thread::spawn(move || pack(&root, sender));
        let moving = std::thread::spawn(move || {
            while let Some(Ok(block)) = packed.blocking_recv() {
                if forward.blocking_send(block).is_err() {
                    break;
                }
            }
        });
        let unpacked = unpack(target, blocks);
        moving.join().unwrap();
        (packing.join().unwrap(), unpacked)
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_comes_back_with_names_modes_and_links_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let long = "n".repeat(180);
        std::fs::create_dir_all(root.join("a b/ü")).unwrap();
        std::fs::write(root.join("a b/it's \"q\""), b"x".repeat(70_000)).unwrap();
        std::fs::write(root.join("a b/ü").join(&long), "").unwrap();
        std::fs::write(root.join("run"), "#!").unwrap();
        std::fs::set_permissions(root.join("run"), std::fs::Permissions::from_mode(0o750)).unwrap();
        symlink("run", root.join("link")).unwrap();
        symlink("a b", root.join("folder-link")).unwrap();
        let target = dir.path().join("target");
        let (packed, unpacked) = through(&root, &target);
        let packed = packed.unwrap();
        assert_eq!(packed, unpacked.unwrap());
        assert_eq!((packed.files, packed.bytes), (6, 140_004));
        for path in ["a b/it's \"q\"", "folder-link/it's \"q\""] {
            assert_eq!(std::fs::read(target.join(path)).unwrap(), b"x".repeat(70_000));
        }
        assert!(target.join("a b/ü").join(&long).is_file());
        assert!(std::fs::symlink_metadata(target.join("link")).unwrap().is_file());
        assert_eq!(std::fs::metadata(target.join("run")).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[cfg(unix)]
    #[test]
    fn loops_and_special_files_are_errors_with_their_path() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        symlink("..", dir.path().join("sub/up")).unwrap();
        let error = walk(dir.path(), &mut |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("sub/up") && error.contains("leads back"), "{error}");
        std::fs::remove_file(dir.path().join("sub/up")).unwrap();
        symlink("/nowhere", dir.path().join("sub/gone")).unwrap();
        let error = walk(dir.path(), &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("sub/gone"), "{error}");
    }

    #[test]
    fn nothing_is_written_outside_the_target() {
        for bad in ["../x", "/etc/x", "a/../../x"] {
            assert!(inside(Path::new("/t"), Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(inside(Path::new("/t"), Path::new("./a/b")).unwrap(), Path::new("/t/a/b"));
        let dir = tempfile::tempdir().unwrap();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        let mut tar = Builder::new(Vec::new());
        tar.append_link(&mut header, "evil", "/etc").unwrap();
        let (sender, blocks) = mpsc::channel(1);
        sender.try_send(Bytes::from(tar.into_inner().unwrap())).unwrap();
        drop(sender);
        let error = unpack(dir.path(), blocks).unwrap_err().to_string();
        assert!(error.contains("evil"), "{error}");
        assert!(std::fs::symlink_metadata(dir.path().join("evil")).is_err());
    }
}
