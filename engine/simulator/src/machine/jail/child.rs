//! The helper process: the current program once more, as `PROGRAM __jail`.
//!
//! A fork without exec is not safe in a program with threads, so everything that needs a process of its own (namespaces,
//! the first process of a machine, packing with the ids of the jail) runs in a fresh, single-threaded copy of the
//! program. Its main function has to call [`crate::machine::jail::child_main_if_requested`] before anything else.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use super::wire::{self, Event, Order};
use super::{init, layer, mounts, tool};

/// The hidden first argument.
pub const ARGUMENT: &str = "__jail";

/// Runs as a helper process where the arguments ask for it; otherwise none, and the program goes on as itself.
pub fn main_if_requested() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let result = match arguments.next().as_deref() {
        Some("init") => init::run(),
        Some("probe") => init::probe(),
        _ => helper(),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            wire::report(&Event::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    })
}

fn helper() -> io::Result<()> {
    let (order, descriptor) = wire::expect::<Order>()?;
    let stream = || descriptor.map(File::from).ok_or_else(|| io::Error::other("a descriptor is missing"));
    match order {
        Order::Tool { program, arguments, environment } => {
            tool::run(&program, &arguments, &environment, stream()?)?;
        }
        Order::Boot { disk, own_network } => {
            let own_network = if own_network { UnshareFlags::NEWNET } else { UnshareFlags::empty() };
            unshare(MACHINE | own_network)?;
            let disk = mounts::Opened::open(&disk)?;
            become_root()?;
            mounts::prepare(&disk)?;
            drop(disk);
            return first_process();
        }
        Order::Probe { scratch } => {
            unshare(MACHINE)?;
            let folder = mounts::bring(&scratch)?;
            become_root()?;
            probe(&folder)?;
        }
        Order::Unpack { into } => layer::unpack(stream()?, &work_in(&into)?)?,
        Order::Pack { from } => layer::pack(&work_in(&from)?, stream()?)?,
        Order::Empty { folder } => mounts::empty(&work_in(&folder)?)?,
    }
    wire::report(&Event::Done);
    Ok(())
}

const MACHINE: UnshareFlags = UnshareFlags::NEWUSER
    .union(UnshareFlags::NEWNS)
    .union(UnshareFlags::NEWPID)
    .union(UnshareFlags::NEWUTS)
    .union(UnshareFlags::NEWIPC);

/// Enters namespaces of its own and waits until the simulator has mapped the ids. From here on the process may do
/// anything inside, and outside what its user may.
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the flags leave the table of file descriptors shared, and this process has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
        .map_err(|error| context("new namespaces are refused", error.into()))?;
    wire::report(&Event::Map);
    wire::receive(io::stdin().as_fd())?.ok_or(io::ErrorKind::UnexpectedEof)?;
    mounts::separate()
}

/// Becomes the jail's root. Paths that only the caller may walk have to be open by now.
fn become_root() -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
    Ok(())
}

/// A folder, seen with the ids of the jail; this process ends with the simulator from here on.
fn work_in(folder: &Path) -> io::Result<PathBuf> {
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    let folder = mounts::bring(folder)?;
    become_root()?;
    std::thread::spawn(|| {
        // Nothing more is said on the life line, so whatever comes is its end.
        let _ = wire::receive(io::stdin().as_fd());
        std::process::exit(1);
    });
    Ok(folder)
}

/// Runs the first process of the new process namespace and reports how it ended.
fn first_process() -> io::Result<()> {
    let status = Command::new("/proc/self/exe").args([ARGUMENT, "init"]).status()?;
    // The kernel tells a reboot from inside as a hang-up of the first process, a power-off as an interrupt.
    let signal = status.signal().and_then(Signal::from_named_raw);
    wire::report(&Event::Ended { reboot: signal == Some(Signal::HUP) });
    Ok(())
}

/// Everything that a machine needs of the kernel, tried for real.
fn probe(folder: &Path) -> io::Result<()> {
    let at = |name: &str| folder.join(name);
    fs::create_dir_all(at("lower/a/b"))?;
    for name in ["upper", "work", "merged"] {
        fs::create_dir(at(name))?;
    }
    let other = Some(COMMON_USER);
    std::os::unix::fs::chown(at("lower/a"), other, other)
        .map_err(|error| context("files cannot be given to another user of the jail", error))?;
    let open = |name: &str| -> io::Result<OwnedFd> {
        Ok(rustix::fs::open(at(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    };
    let disk = mounts::Opened { lower: vec![open("lower")?], upper: open("upper")?, work: open("work")? };
    mounts::overlay(&disk, &at("merged"))?;
    fs::write(at("merged/a/b/new"), "x").map_err(|error| context("the overlay cannot be written", error))?;
    let status =
        Command::new("/proc/self/exe").args([ARGUMENT, "probe"]).current_dir(at("merged")).status()?;
    drop(disk);
    rustix::mount::unmount(at("merged"), rustix::mount::UnmountFlags::DETACH)?;
    mounts::empty(folder)?;
    if !status.success() {
        return Err(io::Error::other("the first process of a new process namespace failed"));
    }
    Ok(())
}

const COMMON_USER: u32 = 1000;

/// An error with what was tried.
pub fn context(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
