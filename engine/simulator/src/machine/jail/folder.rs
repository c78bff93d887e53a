//! The run folder: everything that lives only as long as the simulator's process, and the way it vanishes.
//!
//! Each process has a folder of its own below it, guarded by a lock that the kernel frees when the process dies. The
//! next process removes the folders whose lock is free. Files that belong to users of a jail are removed with its ids.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::helper::Helper;
use super::ids::IdMap;
use super::wire::Order;
use crate::machine::MachineError;

const REMOVE: Duration = Duration::from_secs(5 * 60);

/// The folder of this process.
pub struct RunFolder {
    path: PathBuf,
    lock: PathBuf,
    helper: Helper,
    /// Holds the lock.
    _file: File,
}

impl RunFolder {
    /// Makes the folder of this process below `parent` and removes those of dead ones.
    pub fn create(parent: &Path, helper: &Helper) -> Result<Self, MachineError> {
        fs::create_dir_all(parent).map_err(io_error(parent))?;
        fs::set_permissions(parent, Permissions::from_mode(0o700)).map_err(io_error(parent))?;
        sweep(parent, helper);
        let (lock, file) = locked(parent)?;
        let path = lock.with_extension("");
        for folder in ["machines", "images"] {
            let folder = path.join(folder);
            fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        }
        Ok(Self { path, lock, helper: helper.clone(), _file: file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if remove_now(&self.helper, &self.path) {
            let _ = fs::remove_file(&self.lock);
        }
    }
}

/// A new lock file. One that another process took for a dead one's, in the moment before it was locked, is let go.
fn locked(parent: &Path) -> Result<(PathBuf, File), MachineError> {
    loop {
        let lock = parent.join(format!("{}.lock", Uuid::new_v4()));
        let file = File::create_new(&lock).map_err(io_error(&lock))?;
        if file.try_lock().is_ok() && lock.exists() {
            return Ok((lock, file));
        }
    }
}

fn sweep(parent: &Path, helper: &Helper) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(file) = File::open(&lock) else { continue };
        if file.try_lock().is_ok() && remove_now(helper, &lock.with_extension("")) {
            let _ = fs::remove_file(&lock);
        }
    }
}

/// [`remove`] from a place that cannot wait; false where something is left, which the next process finds again.
fn remove_now(helper: &Helper, path: &Path) -> bool {
    let (helper, path) = (helper.clone(), path.to_owned());
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.is_ok_and(|runtime| runtime.block_on(remove(&helper, &path)).is_ok())
    };
    std::thread::spawn(work).join().unwrap_or(false)
}

/// Removes a folder with files of users of the jail. One that is not there is no error; one with a mount below it is
/// left alone, for what is mounted there is not ours.
pub async fn remove(helper: &Helper, path: &Path) -> Result<(), MachineError> {
    if !path.exists() {
        return Ok(());
    }
    if let Some(mount) = mount_below(path)? {
        return Err(MachineError::Failed(format!(
            "{} is not removed, since something is mounted on {mount}; unmount it (umount {mount}) and try again",
            path.display()
        )));
    }
    if let IdMap::Delegated { .. } = helper.ids {
        helper.run(&Order::Empty { folder: path.to_owned() }, None, None, REMOVE).await?;
    }
    let folder = path.to_owned();
    tokio::task::spawn_blocking(move || fs::remove_dir_all(&folder))
        .await
        .map_err(io::Error::other)
        .and_then(|result| result)
        .map_err(io_error(path))
}

/// A mount point in or below a folder.
fn mount_below(folder: &Path) -> Result<Option<String>, MachineError> {
    let folder = folder.canonicalize().map_err(io_error(folder))?;
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(io_error(table))?;
    Ok(find_mount(&text, &folder))
}

fn find_mount(mountinfo: &str, folder: &Path) -> Option<String> {
    let point = |line: &str| line.split(' ').nth(4).map(|text| text.replace("\\040", " "));
    mountinfo.lines().filter_map(point).find(|point| Path::new(point).starts_with(folder))
}

/// Makes a folder that belongs to the jail's root.
pub fn create_owned(path: &Path, ids: &IdMap) -> Result<(), MachineError> {
    let (uid, gid) = ids.root();
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o755)))
        .and_then(|()| chown(path, Some(uid), Some(gid)))
        .map_err(io_error(path))
}

/// An error of the file system with its path.
pub fn io_error(path: &Path) -> impl Fn(io::Error) -> MachineError {
    let what = path.display().to_string();
    move |source| MachineError::Io { what: what.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_folder_are_found() {
        let table = "27 1 254:0 / / rw - ext4 /dev/vda rw\n42 27 0:39 / /var/a\\040b/dev rw - tmpfs none rw\n\
                     43 27 0:39 / /var/abc rw - tmpfs none rw\n";
        let cases = [
            ("/var/a b", Some("/var/a b/dev")),
            ("/var/a", None),
            ("/var/abc", Some("/var/abc")),
            ("/srv", None),
        ];
        for (folder, expected) in cases {
            assert_eq!(find_mount(table, Path::new(folder)).as_deref(), expected, "{folder}");
        }
    }
}
