//! The communicator against real OpenSSH servers on loopback, each started by its test with a configuration of its own,
//! and against servers in this process where OpenSSH cannot play the part.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod commands;
mod connecting;
mod faults;
mod scripts;
mod support;
mod transfers;
