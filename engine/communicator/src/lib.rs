//! The way into the machine: SSH by russh, behind the core's ports.
//!
//! [`SshConnector`] makes keys and connections (retrying until a machine answers, and saying why it does not yet);
//! what it returns runs commands, carries scripts on one channel, transfers files and directories, and reconnects
//! after a reboot. Only this crate knows russh. Byte streams come from a `Dialer`: [`TcpDialer`] for real hosts,
//! anything else for machines that live in this process.

mod auth;
mod communicator;
mod config;
mod connector;
mod dialer;
mod exec;
mod input;
mod keys;
mod kill;
mod local;
mod machine;
mod output;
mod script;
mod session;
mod sftp;
mod shell;
mod socks;
mod transfer;
mod tree;

pub use communicator::SshCommunicator;
pub use connector::SshConnector;
pub use dialer::TcpDialer;
