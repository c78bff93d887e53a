//! Runs a program of the host so that nothing of it outlives the simulator.
//!
//! The helper adopts whatever the program leaves behind, and ends all of it when the life line is cut or the program is
//! done. Where the program may mount, it does so in a mount namespace of its own: a mount of a program that was killed
//! would otherwise stay on the host, below a folder that somebody removes.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::UnshareFlags;

use super::{mounts, wire};

/// Runs the program to its end with its output in a file.
pub fn run(
    program: &str,
    arguments: &[String],
    environment: &[(String, String)],
    output: File,
) -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    if rustix::process::geteuid().is_root() {
        // SAFETY: the flag leaves the table of file descriptors shared, and this process has one thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        mounts::separate()?;
    }
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output)
        .process_group(0)
        .spawn()
        .map_err(|error| super::child::context(program, error))?;
    let pid = Pid::from_child(&child);
    std::thread::spawn(move || {
        // Nothing more is said on the life line, so whatever comes is its end.
        let _ = wire::receive(io::stdin().as_fd());
        // A program that is asked to end removes its temporary files. Not by an interrupt, which is often ignored.
        let _ = rustix::process::kill_process_group(pid, Signal::TERM);
        for _ in 0..1000 {
            if children().is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        end_descendants();
        std::process::exit(1);
    });
    let status = child.wait()?;
    end_descendants();
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program}: {status}"))) }
}

/// Kills children until there are none; orphans of a killed child become children in turn.
fn end_descendants() {
    // Every round needs at least one process to have died, and a kill cannot be refused; the bound is for the rest.
    for _ in 0..1000 {
        let children: Vec<Pid> = children();
        if children.is_empty() {
            return;
        }
        for pid in &children {
            let _ = rustix::process::kill_process(*pid, Signal::KILL);
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids: Vec<i32> =
        lists.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
    pids.into_iter().filter_map(Pid::from_raw).collect()
}
