//! The way from a simulated address to a machine's SSH server: dialled in process, or as TCP listeners on loopback
//! addresses (one for each public address, open while its machine runs).
//!
//! A connection passes where Azure would let it pass: an address of sku Standard is closed until a security group on
//! the interface or its subnet allows the port. Sources of rules are not compared: every client is on this host.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::Simulator;
use crate::fault::{SshFault, SshVerdict};
use crate::machine::{Machine, Stream};

/// Where sshd listens inside a machine.
const SSH: u16 = 22;
/// How long a connection that faults hold back may stay silent.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// The open TCP listeners, by address. Off (nothing is bound) until the network face is up.
#[derive(Default)]
pub(crate) struct Listeners {
    open: Mutex<Option<HashMap<String, CancellationToken>>>,
}

impl Listeners {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<String, CancellationToken>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enable(&self) {
        self.lock().get_or_insert_default();
    }

    pub fn close(&self, address: &str) {
        if let Some(token) = self.lock().as_mut().and_then(|open| open.remove(address)) {
            token.cancel();
        }
    }

    pub fn close_all(&self) {
        for (_, token) in self.lock().take().unwrap_or_default() {
            token.cancel();
        }
    }

    /// A token for a listener that is to be opened; none when the face is off or the listener is open already.
    fn claim(&self, address: &str) -> Option<CancellationToken> {
        let mut guard = self.lock();
        let open = guard.as_mut()?;
        if open.contains_key(address) {
            return None;
        }
        let token = CancellationToken::new();
        open.insert(address.to_owned(), token.clone());
        Some(token)
    }
}

/// A TCP port that is free on every loopback address at this moment.
pub(crate) async fn free_port() -> io::Result<u16> {
    // A wildcard bind fails if any address has the port, which is the question.
    Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?.local_addr()?.port())
}

/// Opens the listener of a public address. Fails with the reason if the port is taken.
pub(crate) async fn open(sim: &Simulator, address: &str) -> Result<(), String> {
    let Some(token) = sim.listeners.claim(address) else { return Ok(()) };
    let port = sim.ssh_port;
    let bound = match address.parse::<Ipv4Addr>() {
        Ok(ip) => TcpListener::bind(SocketAddr::from((ip, port))).await,
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "not an IPv4 address")),
    };
    let listener = match bound {
        Ok(listener) => listener,
        Err(error) => {
            sim.listeners.close(address);
            return Err(format!(
                "the simulator cannot listen on {address}:{port} for the machine's SSH: {error}; choose another port \
                 with --ssh-port"
            ));
        }
    };
    let (address, me) = (address.to_owned(), sim.me.clone());
    sim.tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Some(sim) = me.upgrade() else { return };
            match accepted {
                Ok((tcp, _)) => {
                    let (address, token) = (address.clone(), token.clone());
                    sim.clone().tasks.spawn(async move {
                        tokio::select! {
                            () = token.cancelled() => {}
                            () = forward(&sim, tcp, &address) => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    });
    Ok(())
}

async fn forward(sim: &Simulator, mut tcp: TcpStream, address: &str) {
    let _ = tcp.set_nodelay(true);
    match connect(sim, address, sim.ssh_port).await {
        Ok(mut machine) => {
            let _ = copy_bidirectional(&mut tcp, &mut machine).await;
        }
        Err(error) => tracing::debug!(%address, %error, "SSH connection refused"),
    }
}

/// Dials in process.
pub(crate) async fn connect(sim: &Simulator, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
    let refused = |text: String| io::Error::new(io::ErrorKind::ConnectionRefused, text);
    let (id, machine) = find(sim, host, port)?;
    let verdict = sim.faults().for_ssh(&id);
    match verdict {
        Some(SshVerdict { fault: SshFault::Refuse, .. }) => {
            return Err(refused(format!("connection to {host}:{port} refused by the fault script")));
        }
        Some(SshVerdict { fault: SshFault::BlackHole, .. }) => {
            let (near, far) = tokio::io::duplex(64);
            let stop = sim.stop.clone();
            sim.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(MAX_SILENCE) => {}
                }
                drop(far);
            });
            return Ok(Box::new(near));
        }
        Some(SshVerdict { fault: SshFault::BannerDelay, delay_ms, .. }) => {
            tokio::time::sleep(Duration::from_millis(delay_ms).min(MAX_SILENCE)).await;
        }
        _ => {}
    }
    let stream = machine.connect().await.map_err(|e| refused(format!("{host}:{port}: {e}")))?;
    Ok(match verdict {
        Some(SshVerdict { fault: SshFault::DropAfterBytes, bytes, .. }) => {
            Box::new(DropAfter { inner: stream, left: bytes })
        }
        _ => stream,
    })
}

fn find(sim: &Simulator, host: &str, port: u16) -> io::Result<(String, Arc<dyn Machine>)> {
    let state = sim.state();
    let Some(target) = state.machine_at(host) else {
        return Err(io::Error::new(
            io::ErrorKind::HostUnreachable,
            format!("no simulated machine has the address {host}"),
        ));
    };
    let Some(machine) = target.machine else {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{host}:{port}: the machine '{}' is not running", target.id),
        ));
    };
    if port != SSH && port != sim.ssh_port {
        return Err(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("{host}:{port}: nothing listens there; SSH listens on {SSH} and {}", sim.ssh_port),
        ));
    }
    // From outside, SSH_PORT stands for the machine's port 22, so a rule for either one opens it.
    if target.public && !state.inbound_open(&target.nic, &[port, SSH]) {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{host}:{port}: no network security group allows inbound TCP on this port"),
        ));
    }
    Ok((target.id, machine))
}

/// Breaks off after so many bytes from the machine.
struct DropAfter {
    inner: Box<dyn Stream>,
    left: u64,
}

impl AsyncRead for DropAfter {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buf.advance(read);
        self.left -= read as u64;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for DropAfter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.inner).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
