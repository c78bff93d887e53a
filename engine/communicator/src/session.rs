//! One SSH connection: made in a single attempt, with the host key pinned and every wait bounded, and the channels that
//! are opened on it. Retrying is the connector's business.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fornax_core::communicator::{CommunicatorError, Dialer, SshOptions, Stream};
use russh::client::{self, DisconnectReason, Handle, Msg};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::auth::{self, Login};
use crate::config::config;
use crate::socks;

/// From the first byte to the end of the key exchange.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// All authentication methods together; a server may delay each refusal by seconds.
const LOGIN: Duration = Duration::from_secs(60);
const DIAL: Duration = Duration::from_secs(20);
/// How long the opening of a channel is retried while the server says that too many are open.
const CHANNEL_RETRY: Duration = Duration::from_secs(20);
const CHANNEL_OPEN: Duration = Duration::from_secs(30);

/// Why one attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The machine may not be ready yet.
    NotYet(String),
    /// It answers, but does not let us in (yet: the user may still have to be created).
    Login(String),
    /// It will never work.
    Never { reason: String, help: String },
}

/// Who to connect to.
pub(crate) struct Endpoint {
    pub host: String,
    pub port: u16,
    pub options: SshOptions,
    pub login: Login,
    pub jump_login: Option<Login>,
}

/// The host keys that the first connection of a build saw; later connections must show the same.
#[derive(Default)]
pub(crate) struct Pins {
    target: Pin,
    jump: Pin,
}

type Pin = Arc<Mutex<Option<PublicKey>>>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the connection's task saw.
#[derive(Default)]
pub(crate) struct Witness {
    presented: Mutex<Option<PublicKey>>,
    pinned_differs: std::sync::atomic::AtomicBool,
    ended: Mutex<Option<String>>,
    gone: CancellationToken,
}

/// Lives in the connection's task; when that ends, however it ends, the witness knows.
pub(crate) struct Client {
    pin: Pin,
    witness: Arc<Witness>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.witness.gone.cancel();
    }
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let same = lock(&self.pin).as_ref().is_none_or(|pinned| pinned.key_data() == key.key_data());
        self.witness.pinned_differs.store(!same, Ordering::Relaxed);
        *lock(&self.witness.presented) = Some(key.clone());
        Ok(same)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the machine ended it: {}", info.message),
            DisconnectReason::Error(error) => explain(error),
        };
        lock(&self.witness.ended).get_or_insert(text);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// A connection that has been logged in to.
pub(crate) struct Session {
    handle: Handle<Client>,
    witness: Arc<Witness>,
    /// The number of open channels; its changes tell a stalled reader that it is not alone any more.
    channels: watch::Sender<usize>,
    /// Commands that run now.
    pub commands: AtomicUsize,
    host: String,
    /// The connection to the bastion carries this one.
    jump: Option<Handle<Client>>,
}

/// An open channel counts as long as this lives.
pub(crate) struct Slot(Arc<Session>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.channels.send_modify(|count| *count -= 1);
    }
}

impl Session {
    /// One attempt.
    pub async fn open(dialer: &dyn Dialer, to: &Endpoint, pins: &Pins) -> Result<Self, Failure> {
        let config = Arc::new(config(&to.options)?);
        let options = &to.options;
        let (stream, jump): (Box<dyn Stream>, _) = match (&options.bastion, &to.jump_login) {
            (Some(bastion), Some(login)) => {
                let stream = dial(dialer.dial(&bastion.host, bastion.port)).await.map_err(in_bastion)?;
                let (jump, _) = enter(config.clone(), stream, login, &pins.jump, &bastion.host)
                    .await
                    .map_err(in_bastion)?;
                let channel = tokio::time::timeout(
                    DIAL,
                    jump.channel_open_direct_tcpip(&to.host, u32::from(to.port), "127.0.0.1", 0),
                )
                .await
                .map_err(|_| Failure::NotYet("the bastion did not reach the machine in time".into()))?
                .map_err(|error| match error {
                    russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                        Failure::Never {
                            reason: "the bastion forbids forwarding".into(),
                            help: "allow TCP forwarding (AllowTcpForwarding) on the bastion".into(),
                        }
                    }
                    russh::Error::ChannelOpenFailure(_) => {
                        Failure::NotYet("the bastion cannot reach the machine yet".into())
                    }
                    other => Failure::NotYet(format!("the bastion: {}", explain(&other))),
                })?;
                (Box::new(channel.into_stream()), Some(jump))
            }
            _ => match &options.proxy {
                Some(proxy) => (dial(socks::dial(dialer, proxy, &to.host, to.port)).await?, None),
                None => (dial(dialer.dial(&to.host, to.port)).await?, None),
            },
        };
        let (handle, witness) = enter(config, stream, &to.login, &pins.target, &to.host).await?;
        Ok(Self {
            handle,
            witness,
            channels: watch::Sender::new(0),
            commands: AtomicUsize::new(0),
            host: to.host.clone(),
            jump,
        })
    }

    pub fn is_gone(&self) -> bool {
        self.witness.gone.is_cancelled() || self.handle.is_closed()
    }

    /// Returns when the connection has ended.
    pub async fn gone(&self) {
        self.witness.gone.cancelled().await;
    }

    /// Whether the machine answers on this connection within the limit.
    pub async fn answers(&self, limit: Duration) -> bool {
        matches!(tokio::time::timeout(limit, self.handle.send_ping()).await, Ok(Ok(())))
    }

    pub fn lost(&self) -> CommunicatorError {
        let reason = lock(&self.witness.ended).clone().unwrap_or_else(|| "it was closed".into());
        CommunicatorError::ConnectionLost { host: self.host.clone(), reason }
    }

    pub fn open_channels(&self) -> watch::Receiver<usize> {
        self.channels.subscribe()
    }

    /// Opens a session channel. Where the server allows only a few at once, waits for one to become free.
    pub async fn channel(self: &Arc<Self>) -> Result<(Channel<Msg>, Slot), CommunicatorError> {
        self.channels.send_modify(|count| *count += 1);
        let slot = Slot(self.clone());
        let started = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let result = tokio::select! {
                result = tokio::time::timeout(CHANNEL_OPEN, self.handle.channel_open_session()) => result,
                () = self.gone() => return Err(self.lost()),
            };
            match result {
                Ok(Ok(channel)) => return Ok((channel, slot)),
                Ok(Err(russh::Error::ChannelOpenFailure(
                    reason @ (ChannelOpenFailure::ConnectFailed | ChannelOpenFailure::ResourceShortage),
                ))) => {
                    // A server frees the place of a closed channel a moment after the close.
                    if started.elapsed() > CHANNEL_RETRY {
                        return Err(CommunicatorError::Other(format!(
                            "{} opens no further session ({reason:?}): it allows only a few at once (MaxSessions) \
                             and none became free within {}s",
                            self.host,
                            CHANNEL_RETRY.as_secs()
                        )));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    return Err(CommunicatorError::Other(format!(
                        "{} opens no session: {reason:?}",
                        self.host
                    )));
                }
                Ok(Err(_)) => return Err(self.lost()),
                Err(_) => {
                    return Err(CommunicatorError::Timeout {
                        what: format!("opening a session on {}", self.host),
                        limit: CHANNEL_OPEN,
                    });
                }
            }
        }
    }

    /// Says goodbye. Channels that are still open end.
    pub async fn close(&self) {
        let goodbye = async {
            let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
            if let Some(jump) = &self.jump {
                self.gone().await;
                let _ = jump.disconnect(russh::Disconnect::ByApplication, "", "").await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
    }
}

fn in_bastion(failure: Failure) -> Failure {
    match failure {
        Failure::NotYet(reason) => Failure::NotYet(format!("the bastion: {reason}")),
        Failure::Login(reason) => Failure::Login(format!("the bastion: {reason}")),
        Failure::Never { reason, help } => Failure::Never { reason: format!("the bastion: {reason}"), help },
    }
}

async fn dial(
    dialing: impl Future<Output = io::Result<Box<dyn Stream>>>,
) -> Result<Box<dyn Stream>, Failure> {
    match tokio::time::timeout(DIAL, dialing).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(Failure::NotYet(explain_io(&error))),
        Err(_) => Err(Failure::NotYet("no answer".into())),
    }
}

/// Handshake and login on a stream. The host key is pinned once the login succeeded.
async fn enter(
    config: Arc<client::Config>,
    stream: Box<dyn Stream>,
    login: &Login,
    pin: &Pin,
    host: &str,
) -> Result<(Handle<Client>, Arc<Witness>), Failure> {
    let witness = Arc::new(Witness::default());
    let client = Client { pin: pin.clone(), witness: witness.clone() };
    let handshake = client::connect_stream(config, stream, client);
    let mut handle = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => return Err(refusal(error, &witness, pin, host)),
        Err(_) => {
            return Err(Failure::NotYet(format!(
                "something listens, but no SSH handshake came about within {}s",
                HANDSHAKE.as_secs()
            )));
        }
    };
    tokio::time::timeout(LOGIN, auth::log_in(&mut handle, login)).await.map_err(|_| {
        Failure::Login(format!("the login was neither accepted nor refused within {}s", LOGIN.as_secs()))
    })??;
    let presented = lock(&witness.presented).clone();
    let mut pinned = lock(pin);
    if pinned.is_none() {
        *pinned = presented;
    }
    drop(pinned);
    Ok((handle, witness))
}

fn refusal(error: russh::Error, witness: &Witness, pin: &Pin, host: &str) -> Failure {
    let fingerprint = |key: &Option<PublicKey>| {
        key.as_ref().map(|k| k.fingerprint(HashAlg::Sha256).to_string()).unwrap_or_default()
    };
    match error {
        russh::Error::UnknownKey if witness.pinned_differs.load(Ordering::Relaxed) => Failure::Never {
            reason: format!(
                "{host} shows another host key ({}) than at the first connection of this build ({})",
                fingerprint(&lock(&witness.presented)),
                fingerprint(&lock(pin)),
            ),
            help: "another machine answers at this address, or the machine made itself a new host key while it was \
                   built; find out which before you build again"
                .into(),
        },
        russh::Error::NoCommonAlgo { kind, ours, theirs } => Failure::Never {
            reason: format!(
                "no common {} algorithm: the machine offers {}, this engine {}",
                format!("{kind:?}").to_lowercase(),
                theirs.join(", "),
                ours.join(", ")
            ),
            help: "enable a current algorithm on the machine, or widen ssh_ciphers or ssh_key_exchange_algorithms"
                .into(),
        },
        error => Failure::NotYet(explain(&error)),
    }
}

/// What a protocol error means, without russh's words for it.
pub(crate) fn explain(error: &russh::Error) -> String {
    match error {
        russh::Error::IO(error) => explain_io(error),
        russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => {
            "the connection was closed".into()
        }
        russh::Error::KeepaliveTimeout => "the machine stopped answering".into(),
        russh::Error::InactivityTimeout => "nothing came for longer than ssh_read_write_timeout".into(),
        russh::Error::Version => "what answers does not speak SSH".into(),
        other => other.to_string(),
    }
}

fn explain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => match error.get_ref() {
            Some(inner) => inner.to_string(),
            None => "connection refused".into(),
        },
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to the host".into(),
        io::ErrorKind::TimedOut => "no answer".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was closed".into()
        }
        _ => error.to_string(),
    }
}
