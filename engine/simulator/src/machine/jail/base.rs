//! Root file systems, ready to be the lowest layers of machines.
//!
//! A base is built or unpacked once, into the cache, under a key that says what it was made of; a second run only finds
//! it. Two processes that want the same base do not build it twice, and a base that is half done is never seen: it gets
//! its name when it is complete.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::bootstrap::Recipe;
use super::folder::{self, io_error};
use super::helper::{Helper, Progress};
use super::ids::IdMap;
use super::wire::Order;
use super::{extras, layer};
use crate::catalogue::BaseSource;
use crate::machine::MachineError;

/// Another process may be building the base: as long as that may take.
const LOCK: Duration = Duration::from_secs(31 * 60);
const UNPACK: Duration = Duration::from_secs(10 * 60);

/// A base in the cache.
#[derive(Debug)]
pub struct Prepared {
    pub description: String,
    /// Uppermost first.
    pub lower: Vec<PathBuf>,
}

/// The folder of bases, and who works in it.
pub struct Bases {
    pub folder: PathBuf,
    pub helper: Helper,
    pub progress: Progress,
}

enum Kind {
    Recipe(Recipe),
    Tarball(PathBuf),
    Directory(PathBuf),
}

impl Bases {
    /// Fails where a base could not be had: a missing tool or file. It builds nothing.
    pub fn check(&self, source: &BaseSource) -> Result<(), MachineError> {
        let (key, _, kind) = examine(source)?;
        match kind {
            Kind::Recipe(_) if self.place(&key).is_dir() || self.archive(&key).is_file() => Ok(()),
            Kind::Recipe(_) => Recipe::check_tool().map(drop),
            Kind::Tarball(_) | Kind::Directory(_) => Ok(()),
        }
    }

    /// The base, built and unpacked where it is not there yet.
    pub async fn prepare(&self, source: &BaseSource) -> Result<Arc<Prepared>, MachineError> {
        let (key, description, kind) = {
            let source = source.clone();
            tokio::task::spawn_blocking(move || examine(&source))
                .await
                .map_err(|error| MachineError::Failed(error.to_string()))??
        };
        let place = self.place(&key);
        if !place.is_dir() {
            fs::create_dir_all(&self.folder).map_err(io_error(&self.folder))?;
            let _lock = self.lock(&key).await?;
            if !place.is_dir() {
                self.make(&key, &kind, &place).await?;
            }
        }
        Ok(Arc::new(Prepared { description, lower: vec![place.join("extras"), place.join("root")] }))
    }

    /// Removes everything from the cache.
    pub async fn clear(&self) -> Result<(), MachineError> {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folder::remove(&self.helper, &path).await?;
            } else {
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }

    fn place(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.{}", self.helper.ids.label()))
    }

    fn archive(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.tar.zst"))
    }

    async fn lock(&self, key: &str) -> Result<File, MachineError> {
        let path = self.folder.join(format!("{key}.lock"));
        let file = File::options().create(true).append(true).open(&path).map_err(io_error(&path))?;
        let wait = async {
            let mut said = false;
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::Error(error)) => return Err(io_error(&path)(error)),
                    Err(TryLockError::WouldBlock) if !said => {
                        said = true;
                        (self.progress)("another process prepares the base root file system; waiting for it");
                    }
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(200)).await,
                }
            }
        };
        let late =
            || MachineError::Failed(format!("{} is still locked after {} s", path.display(), LOCK.as_secs()));
        tokio::time::timeout(LOCK, wait).await.unwrap_or_else(|_| Err(late()))?;
        Ok(file)
    }

    async fn make(&self, key: &str, kind: &Kind, place: &Path) -> Result<(), MachineError> {
        // What an earlier process left unfinished: the lock is ours, so nobody works on it.
        let part = place.with_extension(format!("{}.part", self.helper.ids.label()));
        folder::remove(&self.helper, &part).await?;
        fs::create_dir(&part).map_err(io_error(&part))?;
        let scratch = part.join("scratch");
        fs::create_dir(&scratch).map_err(io_error(&scratch))?;
        let (archive, proxies) = match kind {
            Kind::Recipe(recipe) => {
                let archive = self.archive(key);
                if !archive.is_file() {
                    self.build(recipe, &archive, &scratch).await?;
                }
                (archive, recipe.proxies().to_vec())
            }
            Kind::Tarball(path) => (path.clone(), Vec::new()),
            Kind::Directory(path) => {
                let archive = scratch.join("copy.tar.zst");
                let output = File::create(&archive).map_err(io_error(&archive))?;
                (self.progress)(&format!("copying the root file system {}", path.display()));
                self.pack(path, output).await?;
                (archive, Vec::new())
            }
        };
        (self.progress)("unpacking the base root file system into the cache");
        let root = self.owned(&part.join("root"))?;
        let input = File::open(&archive).map_err(io_error(&archive))?;
        self.helper.run(&Order::Unpack { into: root.clone() }, Some(input), None, UNPACK).await?;
        let above = self.owned(&part.join("extras"))?;
        extras::write(&root, &proxies, &above)
            .and_then(|()| give(&above, self.helper.ids.root()))
            .map_err(io_error(&above))?;
        folder::remove(&self.helper, &scratch).await?;
        fs::rename(&part, place).map_err(io_error(place))
    }

    /// Builds the archive under another name and gives it its own when it is complete.
    async fn build(&self, recipe: &Recipe, archive: &Path, scratch: &Path) -> Result<(), MachineError> {
        (self.progress)(&format!("building the base, once: {}", recipe.describe()));
        let raw = scratch.join("root.tar");
        let output = File::create(&raw).map_err(io_error(&raw))?;
        recipe.build(&self.helper, output, scratch, &self.progress).await?;
        (self.progress)("compressing the base root file system");
        let part = scratch.join("root.tar.zst");
        let compressed = part.clone();
        let compress = move || -> io::Result<()> {
            let mut input = File::open(&raw)?;
            let mut encoder = zstd::Encoder::new(File::create(&compressed)?, 3)?;
            io::copy(&mut input, &mut encoder)?;
            encoder.finish()?.sync_all()?;
            fs::remove_file(&raw)
        };
        tokio::task::spawn_blocking(compress)
            .await
            .map_err(io::Error::other)
            .and_then(|result| result)
            .map_err(io_error(&part))?;
        fs::rename(&part, archive).map_err(io_error(archive))
    }

    async fn pack(&self, from: &Path, output: File) -> Result<(), MachineError> {
        match self.helper.ids {
            // The files are those of the host's users, whom only root may read: the ids stay as they are.
            IdMap::Shifted { .. } => {
                let folder = from.to_owned();
                tokio::task::spawn_blocking(move || layer::pack(&folder, output))
                    .await
                    .map_err(io::Error::other)
                    .and_then(|result| result)
                    .map_err(io_error(from))
            }
            // They are those of the caller and of the ids delegated to the caller, which the jail's root can read.
            IdMap::Delegated { .. } => {
                self.helper.run(&Order::Pack { from: from.to_owned() }, Some(output), None, UNPACK).await
            }
        }
    }

    fn owned(&self, folder: &Path) -> Result<PathBuf, MachineError> {
        folder::create_owned(folder, &self.helper.ids)?;
        Ok(folder.to_owned())
    }
}

/// Gives a folder and what is in it to a user.
fn give(folder: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    chown(folder, Some(uid), Some(gid))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { give(&path, (uid, gid))? } else { chown(&path, Some(uid), Some(gid))? }
    }
    Ok(())
}

/// Key, description and kind of a source.
fn examine(source: &BaseSource) -> Result<(String, String, Kind), MachineError> {
    match source {
        BaseSource::Debootstrap(options) => {
            let recipe = Recipe::new(options)?;
            Ok((recipe.key(), recipe.describe(), Kind::Recipe(recipe)))
        }
        BaseSource::Tarball(path) => {
            let meta = path.metadata().map_err(io_error(path))?;
            let identity = format!(
                "{} {} {}",
                path.display(),
                meta.len(),
                meta.mtime_nsec() + meta.mtime() * 1_000_000_000
            );
            let key = format!("tarball-{}", digest(identity.as_bytes()));
            Ok((key, format!("tarball {}", path.display()), Kind::Tarball(path.clone())))
        }
        BaseSource::Directory(path) => {
            let mut listing = Sha256::new();
            listing.update(path.display().to_string());
            let device = path.metadata().map_err(io_error(path))?.dev();
            list(path, device, &mut listing).map_err(io_error(path))?;
            let key = format!("directory-{}", short(&listing.finalize()));
            Ok((key, format!("directory {}", path.display()), Kind::Directory(path.clone())))
        }
    }
}

/// Everything that changes when a file below a folder does. A folder that may not be read counts by its own times.
fn list(folder: &Path, device: u64, hash: &mut Sha256) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries?,
    };
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let meta = entry.metadata()?;
        hash.update(entry.path().display().to_string());
        hash.update(format!("{} {} {} {}", meta.mode(), meta.len(), meta.ctime(), meta.ctime_nsec()));
        if meta.is_dir() && meta.dev() == device {
            list(&entry.path(), device, hash)?;
        }
    }
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    short(&Sha256::digest(bytes))
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
