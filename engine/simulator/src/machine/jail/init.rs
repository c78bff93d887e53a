//! The first process of a machine.
//!
//! Its main thread reaps, as process 1 must. A second thread whose root is the machine's sets the machine up, then
//! starts an `sshd -i` for each connection that the simulator hands over. When it ends, in whatever way, the kernel ends
//! every process of the machine.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::Thread;

use rustix::fs::Mode;
use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;

use super::child::context;
use super::wire::{self, Event, Setup};
use super::{guest, mounts};

/// The search path of the system's own programs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SSHD: &str = "/usr/sbin/sshd";

pub fn run() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let (setup, _) = wire::expect::<Setup>()?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let note = mounts::leave_host()?;
    note.into_iter().for_each(|note| wire::report(&Event::Note(note)));
    set_hostname(&setup.hostname)?;
    if setup.own_network {
        raise_loopback()?;
    }
    let reaper = std::thread::current();
    let (is_set_up, set_up) = mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        let failed = |error: io::Error| wire::report(&Event::Failed(error.to_string()));
        let result = enter().and_then(|()| guest::set_up(&setup));
        match result {
            Err(error) => failed(error),
            Ok(notes) => {
                notes.into_iter().for_each(|note| wire::report(&Event::Note(note)));
                // The main thread may reap from now on: nobody else waits for children any more.
                let _ = is_set_up.send(());
                wire::report(&Event::Ready);
                if let Err(error) = serve(&setup, &reaper) {
                    failed(error);
                }
            }
        }
        std::process::exit(0);
    })?;
    if set_up.recv().is_err() {
        std::thread::park();
    }
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // No children: the serving thread wakes us when there is one.
            Err(_) => std::thread::park(),
        }
    }
}

/// What the first process of a machine needs of the kernel, tried in the folder it starts in.
pub fn probe() -> io::Result<()> {
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    std::fs::create_dir("proc")?;
    mounts::proc(Path::new("proc"))?;
    if std::process::id() != 1 {
        return Err(io::Error::other("a new process namespace does not count from one"));
    }
    Ok(())
}

/// Gives this thread the machine's root; the main thread stays above it.
fn enter() -> io::Result<()> {
    // SAFETY: only the root and working directory of this thread become its own.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?;
    rustix::process::chroot(Path::new("/").join(mounts::JAIL))?;
    rustix::process::chdir("/")?;
    Ok(())
}

/// Starts an SSH server for each connection, until the simulator is gone.
fn serve(setup: &Setup, reaper: &Thread) -> io::Result<()> {
    loop {
        let message = wire::receive(io::stdin().as_fd())?;
        let Some((_, connection)) = message else { return Ok(()) };
        let Some(connection) = connection else { continue };
        // A connection that gets no server is closed, as by a port without one; the reason is in the log.
        if let Err(error) = start_server(setup, connection) {
            eprintln!("{SSHD}: {error}");
        }
        reaper.unpark();
    }
}

fn start_server(setup: &Setup, connection: OwnedFd) -> io::Result<()> {
    let passwords = if setup.password_login { "yes" } else { "no" };
    let output = connection.try_clone()?;
    Command::new(SSHD)
        .args(["-i", "-e", "-o", "UsePAM=no", "-o", "UseDNS=no", "-o", "LoginGraceTime=120"])
        .args(["-o", &format!("PasswordAuthentication={passwords}"), "-o", "KbdInteractiveAuthentication=no"])
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::from(connection))
        .stdout(Stdio::from(output))
        .spawn()
        .map(drop)
}

unsafe extern "C" {
    fn sethostname(name: *const u8, length: usize) -> c_int;
}

fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of a string that lives for the call.
    match unsafe { sethostname(name.as_ptr(), name.len()) } {
        0 => Ok(()),
        _ => Err(context("host name", io::Error::last_os_error())),
    }
}

/// The request of `ioctl` that sets an interface's flags.
const SIOCSIFFLAGS: rustix::ioctl::Opcode = 0x8914;

/// `struct ifreq` with the member for flags.
#[repr(C)]
struct InterfaceFlags {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// A new network namespace has a loopback interface that is down.
fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketType};
    const UP: i16 = 1;
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut name = [0; 16];
    name[..2].copy_from_slice(b"lo");
    let request = InterfaceFlags { name, flags: UP, rest: [0; 22] };
    // SAFETY: the request takes a pointer to this structure and only reads it.
    let ioctl = unsafe { rustix::ioctl::Setter::<SIOCSIFFLAGS, InterfaceFlags>::new(request) };
    // SAFETY: the descriptor is a socket, which is what the request is for.
    unsafe { rustix::ioctl::ioctl(&socket, ioctl) }
        .map_err(|error| context("loopback interface", error.into()))
}
