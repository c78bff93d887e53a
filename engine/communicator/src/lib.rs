//! The way into the machine: SSH by russh. Implements the communicator ports of the core.
//!
//! `connect` retries until the machine answers and says why it waits, `session` owns the connection and everything that
//! russh needs to be fast and never to hang, `exec` runs commands and scripts, `transfer` moves files and directories.

mod connect;
mod exec;
mod keys;
mod session;
mod transfer;

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::{Dialer, Stream};
use tokio::net::TcpStream;

pub use connect::SshConnector;

/// Dials over TCP.
pub struct TcpDialer;

/// One attempt at one host; a machine that boots drops packets, so waiting longer than this is pointless.
const DIAL: Duration = Duration::from_secs(15);

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = tokio::time::timeout(DIAL, TcpStream::connect((host, port)))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
        stream.set_nodelay(true)?;
        Ok(Box::new(session::QuickAck::new(stream)))
    }
}
