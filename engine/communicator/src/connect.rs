//! From "the machine was created" to a connection that stands: tries until it answers, and says what it waits for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::{
    Communicator, ConnectError, ConnectRequest, Connector, Dialer, KeyKind, KeyPair, SshOptions, Stream,
};
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use tokio::time::Instant;

use crate::keys;
use crate::session::{self, PinnedHost, Watch};
use crate::transfer::SshCommunicator;

/// The first pause between attempts; grows to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Banner, key exchange and login of one attempt.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How often the builder is asked why its machine does not answer.
const ASK_WHY: Duration = Duration::from_secs(5);

/// Makes SSH connections over a dialer.
pub struct SshConnector {
    dialer: Arc<dyn Dialer>,
}

impl SshConnector {
    pub fn new(dialer: Arc<dyn Dialer>) -> Self {
        Self { dialer }
    }
}

/// Everything needed to connect once more.
pub struct Route {
    pub dialer: Arc<dyn Dialer>,
    pub host: String,
    pub port: u16,
    pub options: SshOptions,
    pub key: Option<KeyPair>,
    pub pinned: PinnedHost,
    /// The jump host is another machine with another key.
    pub pinned_bastion: PinnedHost,
}

/// A standing connection; the jump host's ends with it.
pub struct Connection {
    pub handle: Handle<Watch>,
    _bastion: Option<Handle<Watch>>,
}

/// Why one attempt failed.
pub enum Attempt {
    /// It may work later.
    NotYet(String),
    /// The machine answered and refused the login.
    Login(String),
    /// Trying again is pointless.
    Never { reason: String, help: String },
}

impl Route {
    /// One attempt.
    pub async fn connect(&self) -> Result<Connection, Attempt> {
        let config = Arc::new(session::config(&self.options));
        let (stream, bastion) = self.stream(&config).await?;
        let target = Login {
            user: self.options.username.clone(),
            password: self.options.password.as_ref().map(|p| p.expose().to_owned()),
            keys: self.keys()?,
            agent: self.options.agent_auth,
        };
        let handle = handshake(&config, stream, &self.pinned, &target, &self.host).await?;
        Ok(Connection { handle, _bastion: bastion })
    }

    fn keys(&self) -> Result<Vec<PrivateKey>, Attempt> {
        let never = |reason: String| Attempt::Never { reason, help: "check ssh_private_key_file".to_owned() };
        let mut out = Vec::new();
        if let Some(path) = &self.options.private_key_file {
            out.push(keys::load(path).map_err(|e| never(e.to_string()))?);
        }
        if let Some(pair) = &self.key {
            out.push(keys::parse(pair.private_pem.expose()).map_err(never)?);
        }
        Ok(out)
    }

    async fn stream(
        &self,
        config: &Arc<client::Config>,
    ) -> Result<(Box<dyn Stream>, Option<Handle<Watch>>), Attempt> {
        let Some(bastion) = &self.options.bastion else {
            return Ok((self.dial(&self.host, self.port).await?, None));
        };
        let stream = self.dial(&bastion.host, bastion.port).await.map_err(|a| match a {
            Attempt::NotYet(reason) => Attempt::NotYet(format!("the bastion {}: {reason}", bastion.host)),
            other => other,
        })?;
        let mut keys = Vec::new();
        if let Some(path) = &bastion.private_key_file {
            let never = |e: ConnectError| Attempt::Never {
                reason: e.to_string(),
                help: "check ssh_bastion_private_key_file".into(),
            };
            keys.push(keys::load(path).map_err(never)?);
        }
        let user = if bastion.username.is_empty() {
            self.options.username.clone()
        } else {
            bastion.username.clone()
        };
        let login = Login {
            user,
            password: bastion.password.as_ref().map(|p| p.expose().to_owned()),
            keys,
            agent: bastion.agent_auth,
        };
        let handle = handshake(config, stream, &self.pinned_bastion, &login, &bastion.host).await?;
        let through = handle.channel_open_direct_tcpip(self.host.clone(), self.port.into(), "127.0.0.1", 0);
        let channel = tokio::time::timeout(HANDSHAKE, through)
            .await
            .map_err(|_| Attempt::NotYet("the bastion gets no answer from the machine".into()))?
            .map_err(|e| Attempt::NotYet(format!("the bastion can't reach the machine: {e}")))?;
        Ok((Box::new(channel.into_stream()), Some(handle)))
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, Attempt> {
        self.dialer.dial(host, port).await.map_err(|e| {
            Attempt::NotYet(match e.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    "connection refused (nothing listens on the port yet)".to_owned()
                }
                std::io::ErrorKind::TimedOut => {
                    "no answer (the machine boots, or a firewall drops the packets)".to_owned()
                }
                std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable => {
                    format!("no route: {e}")
                }
                _ => e.to_string(),
            })
        })
    }
}

struct Login {
    user: String,
    password: Option<String>,
    keys: Vec<PrivateKey>,
    agent: bool,
}

async fn handshake(
    config: &Arc<client::Config>,
    stream: Box<dyn Stream>,
    pinned: &PinnedHost,
    login: &Login,
    host: &str,
) -> Result<Handle<Watch>, Attempt> {
    let work = async {
        let watch = Watch { pinned: pinned.clone() };
        let mut handle = client::connect_stream(config.clone(), stream, watch)
            .await
            .map_err(|e| failed(e, pinned, host))?;
        authenticate(&mut handle, login).await?;
        Ok(handle)
    };
    let late = || Attempt::NotYet("the SSH server does not finish the handshake".to_owned());
    tokio::time::timeout(HANDSHAKE, work).await.map_err(|_| late())?
}

fn failed(error: russh::Error, pinned: &PinnedHost, host: &str) -> Attempt {
    match error {
        russh::Error::UnknownKey => match pinned.mismatch() {
            Some((known, other)) => Attempt::Never {
                reason: format!(
                    "the host key of {host} has changed during the build, from {known} to {other}"
                ),
                help: "another machine may answer at this address; the build does not talk to it".into(),
            },
            None => Attempt::NotYet("the host key was not accepted".into()),
        },
        russh::Error::NoCommonAlgo { kind, ours, theirs } => Attempt::Never {
            reason: format!("no common {kind:?} algorithm: the server offers {}", theirs.join(", ")),
            help: format!(
                "offered were {}; see ssh_ciphers and ssh_key_exchange_algorithms",
                ours.join(", ")
            ),
        },
        russh::Error::IO(e) => Attempt::NotYet(format!("the connection ended during the handshake: {e}")),
        russh::Error::Disconnect | russh::Error::HUP => {
            Attempt::NotYet("the server closed the connection (it may still boot)".into())
        }
        other => Attempt::NotYet(other.to_string()),
    }
}

async fn authenticate(handle: &mut Handle<Watch>, login: &Login) -> Result<(), Attempt> {
    let lost = |e: russh::Error| Attempt::NotYet(format!("the connection ended during the login: {e}"));
    let mut left = String::new();
    let mut refused = |result: AuthResult| match result {
        AuthResult::Success => true,
        AuthResult::Failure { remaining_methods, .. } => {
            left = remaining_methods
                .iter()
                .map(|m| format!("{m:?}").to_lowercase())
                .collect::<Vec<_>>()
                .join(", ");
            false
        }
    };
    let mut tried = Vec::new();
    for key in &login.keys {
        tried.push("key");
        // Without a hash an RSA key would sign with SHA-1, which servers refuse.
        let hash = handle.best_supported_rsa_hash().await.map_err(lost)?.flatten();
        let hash = if key.algorithm().is_rsa() { hash } else { None };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), hash);
        if refused(handle.authenticate_publickey(&login.user, key).await.map_err(lost)?) {
            return Ok(());
        }
    }
    if login.agent {
        tried.push("agent");
        let never = |e: russh::keys::Error| Attempt::Never {
            reason: format!("the SSH agent does not answer: {e}"),
            help: "start one and set SSH_AUTH_SOCK, or unset ssh_agent_auth".into(),
        };
        let mut agent = AgentClient::connect_env().await.map_err(never)?;
        for identity in agent.request_identities().await.map_err(never)? {
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            let hash = handle.best_supported_rsa_hash().await.map_err(lost)?.flatten();
            let hash = if key.algorithm().is_rsa() { hash } else { None };
            match handle.authenticate_publickey_with(&login.user, key, hash, &mut agent).await {
                Ok(result) if refused(result.clone()) => return Ok(()),
                _ => {}
            }
        }
    }
    if let Some(password) = &login.password {
        tried.push("password");
        if refused(handle.authenticate_password(&login.user, password).await.map_err(lost)?) {
            return Ok(());
        }
        let mut answer = handle
            .authenticate_keyboard_interactive_start(&login.user, None::<String>)
            .await
            .map_err(lost)?;
        // A dialog that asks more than this is not one for a password.
        for _ in 0..4 {
            match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(()),
                KeyboardInteractiveAuthResponse::Failure { .. } => break,
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    let replies = prompts.iter().map(|_| password.clone()).collect();
                    answer = handle.authenticate_keyboard_interactive_respond(replies).await.map_err(lost)?;
                }
            }
        }
    }
    let tried = if tried.is_empty() {
        "nothing, because no key and no password is known".to_owned()
    } else {
        tried.join(", ")
    };
    let left = if left.is_empty() { String::new() } else { format!("; the server accepts {left}") };
    Err(Attempt::Login(format!("the login of user {:?} was refused (tried {tried}{left})", login.user)))
}

#[async_trait]
impl Connector for SshConnector {
    fn generate_key(&self, kind: KeyKind, bits: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError> {
        keys::generate(kind, bits, comment)
    }

    async fn public_key(&self, options: &SshOptions) -> Result<Option<String>, ConnectError> {
        match &options.private_key_file {
            Some(path) => keys::public_of(&keys::expand(path)).map(Some),
            None => Ok(None),
        }
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Arc<dyn Communicator>, ConnectError> {
        let limit = request.options.timeout;
        let attempts = request.options.handshake_attempts;
        let (host, port) = (request.host.clone(), request.port);
        let route = Route {
            dialer: self.dialer.clone(),
            host: host.clone(),
            port,
            options: request.options,
            key: request.key,
            pinned: PinnedHost::default(),
            pinned_bastion: PinnedHost::default(),
        };
        if let Some(pause) = route.options.pause_before_connecting {
            tokio::select! {
                () = request.cancel.cancelled() => return Err(ConnectError::Cancelled),
                () = tokio::time::sleep(pause) => {}
            }
        }
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut refused_logins = 0;
        let mut reason = "it was not tried yet".to_owned();
        let mut asked = started;
        let mut why = None;
        loop {
            let left = limit.saturating_sub(started.elapsed());
            let attempt = tokio::select! {
                () = request.cancel.cancelled() => return Err(ConnectError::Cancelled),
                attempt = tokio::time::timeout(left, route.connect()) => attempt,
            };
            match attempt {
                Ok(Ok(connection)) => {
                    return Ok(Arc::new(SshCommunicator::new(route, connection, request.cancel)));
                }
                Ok(Err(Attempt::Never { reason, help })) => {
                    return Err(ConnectError::Refused { host, port, reason, help });
                }
                Ok(Err(Attempt::Login(text))) => {
                    refused_logins += 1;
                    reason = text;
                    if attempts.is_some_and(|most| refused_logins >= most) {
                        let help = format!(
                            "gave up after {refused_logins} attempts (ssh_handshake_attempts); check user and key"
                        );
                        return Err(ConnectError::Refused { host, port, reason, help });
                    }
                }
                Ok(Err(Attempt::NotYet(text))) => reason = text,
                Err(_) => {}
            }
            if let Some(builder) = &request.why_waiting
                && asked.elapsed() > ASK_WHY
            {
                asked = Instant::now();
                why = tokio::time::timeout(ASK_WHY, builder.why()).await.ok().flatten().or(why);
            }
            let told = why.as_ref().map_or_else(|| reason.clone(), |why| format!("{reason}; {why}"));
            if started.elapsed() >= limit {
                return Err(ConnectError::Timeout { host, port, limit, reason: told });
            }
            request.events.waiting(format!("SSH at {host}:{port} ({told})"), started.elapsed(), Some(limit));
            tokio::select! {
                () = request.cancel.cancelled() => return Err(ConnectError::Cancelled),
                () = tokio::time::sleep(pause.min(limit.saturating_sub(started.elapsed()))) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
