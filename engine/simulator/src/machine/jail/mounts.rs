//! Mounts of a jail: an overlay as its root, a small `/dev`, its own `/proc`; nothing of the host remains visible.
//!
//! All of them are made in a mount namespace of the helper, so they vanish with it. Folders are reached through
//! descriptors that were opened while the caller's rights still counted.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::child::context;
use super::wire::Disk;

/// A folder that every host has; what is mounted on it is seen by the helper alone.
const PLACE: &str = "/tmp";
/// Where the machine's root lies below the new root. The first process stays above it, which is how programs inside
/// can tell that they are not in a booted system: systemctl then leaves services alone instead of failing.
pub const JAIL: &str = "jail";

/// The folders of a disk, open.
pub struct Opened {
    pub lower: Vec<OwnedFd>,
    pub upper: OwnedFd,
    pub work: OwnedFd,
}

impl Opened {
    pub fn open(disk: &Disk) -> io::Result<Self> {
        let lower = disk.lower.iter().map(|path| open(path)).collect::<io::Result<_>>()?;
        Ok(Self { lower, upper: open(&disk.upper)?, work: open(&disk.work)? })
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| context(&path.display().to_string(), error.into()))
}

fn link(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

/// Keeps mounts of this namespace to itself.
pub fn separate() -> io::Result<()> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags)
        .map_err(|error| context("mounts cannot be separated", error.into()))
}

/// Brings a folder to a path that the jail's root may walk.
pub fn bring(folder: &Path) -> io::Result<PathBuf> {
    let folder = open(folder)?;
    rustix::mount::mount_bind_recursive(link(&folder), PLACE)
        .map_err(|error| context("bind mount", error.into()))?;
    Ok(PathBuf::from(PLACE))
}

pub fn overlay(disk: &Opened, target: &Path) -> io::Result<()> {
    let lower: Vec<String> = disk.lower.iter().map(link).collect();
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        lower.join(":"),
        link(&disk.upper),
        link(&disk.work)
    );
    let options = CString::new(options).map_err(io::Error::other)?;
    rustix::mount::mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str())
        .map_err(|error| context("the overlay is refused by the kernel", error.into()))
}

/// Puts the root of a machine together, but for `/proc`, which its first process mounts.
pub fn prepare(disk: &Opened) -> io::Result<()> {
    tmpfs(Path::new(PLACE), c"mode=755,size=1m")?;
    let jail = Path::new(PLACE).join(JAIL);
    fs::create_dir(&jail)?;
    overlay(disk, &jail)?;
    for name in ["dev", "proc", "run", "sys", "tmp"] {
        match fs::create_dir(jail.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    tmpfs(&jail.join("run"), c"mode=755")?;
    // The host's devices are none of the machine's business.
    tmpfs(&jail.join("sys"), c"mode=555,size=0")?;
    devices(&jail.join("dev"))
}

fn tmpfs(target: &Path, options: &std::ffi::CStr) -> io::Result<()> {
    rustix::mount::mount("tmpfs", target, "tmpfs", MountFlags::NOSUID, options)
        .map_err(|error| context(&format!("tmpfs on {}", target.display()), error.into()))
}

fn devices(dev: &Path) -> io::Result<()> {
    // Sticky, as the default is, device nodes of another owner could not be opened for writing.
    tmpfs(dev, c"mode=755,size=64k")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let node = dev.join(name);
        fs::File::create(&node)?;
        rustix::mount::mount_bind(Path::new("/dev").join(name), &node)
            .map_err(|error| context(&node.display().to_string(), error.into()))?;
    }
    fs::create_dir(dev.join("pts"))?;
    let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
    rustix::mount::mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        options,
    )
    .map_err(|error| context("devpts", error.into()))?;
    fs::create_dir(dev.join("shm"))?;
    tmpfs(&dev.join("shm"), c"mode=1777")?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    links.iter().try_for_each(|(target, name)| std::os::unix::fs::symlink(target, dev.join(name)))
}

/// Mounts the process table of this process namespace. Where the kernel refuses (parts of the host's are hidden), the
/// host's is shown instead and the reason returned.
pub fn proc(target: &Path) -> io::Result<Option<String>> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let Err(error) = rustix::mount::mount("proc", target, "proc", flags, None) else { return Ok(None) };
    rustix::mount::mount_bind_recursive("/proc", target)
        .map_err(|_| context("proc is refused by the kernel", error.into()))?;
    Ok(Some(format!("/proc shows the host's processes, as an own one is refused here ({error})")))
}

/// Mounts `/proc` and leaves the host's file system for good.
pub fn leave_host() -> io::Result<Option<String>> {
    let note = proc(&Path::new(PLACE).join(JAIL).join("proc"))?;
    rustix::process::chdir(PLACE)?;
    rustix::process::pivot_root(".", ".").map_err(|error| context("pivot_root", error.into()))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .map_err(|error| context("leaving the host", error.into()))?;
    rustix::process::chdir("/")?;
    Ok(note)
}

/// Removes what is in a folder, not following links out of it.
pub fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let removed = if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(context(&entry.path().display().to_string(), error));
            }
            _ => {}
        }
    }
    Ok(())
}
