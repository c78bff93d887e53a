//! Waiting for a machine: attempts that come fast at first and then every two seconds, what is waited for and why told
//! to whoever watches, and an end when waiting longer would not help.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::{
    Communicator, ConnectError, ConnectRequest, Connector, Dialer, KeyKind, KeyPair, SshOptions, WhyWaiting,
};
use fornax_core::event::BuildEvents;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::Login;
use crate::communicator::SshCommunicator;
use crate::keys;
use crate::session::{Endpoint, Failure, Pins, Session};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Refused logins are not repeated faster than this; servers punish it.
const LOGIN_PAUSE: Duration = Duration::from_millis(500);
/// How often the same reason is told again.
const REMIND: Duration = Duration::from_secs(5);
/// The builder is asked why not before this, as most machines answer sooner, and then so often.
const FIRST_WHY: Duration = Duration::from_secs(2);
const ASK_WHY: Duration = Duration::from_secs(5);
const WHY_LIMIT: Duration = Duration::from_secs(20);

/// Makes SSH connections over the streams of a dialer.
pub struct SshConnector {
    pub dialer: Arc<dyn Dialer>,
}

impl SshConnector {
    pub fn new(dialer: Arc<dyn Dialer>) -> Self {
        Self { dialer }
    }
}

#[async_trait]
impl Connector for SshConnector {
    fn generate_key(&self, kind: KeyKind, bits: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError> {
        keys::generate(kind, bits, comment)
    }

    async fn public_key(&self, options: &SshOptions) -> Result<Option<String>, ConnectError> {
        let Some(path) = &options.private_key_file else { return Ok(None) };
        let key = keys::load(path).await?;
        let public = key.public_key().to_openssh();
        public
            .map(Some)
            .map_err(|e| ConnectError::Config(format!("the public half of the SSH key {path}: {e}")))
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Arc<dyn Communicator>, ConnectError> {
        let ConnectRequest { host, port, options, key, events, cancel, why_waiting } = request;
        let endpoint = Arc::new(Endpoint {
            login: Login::for_machine(&options, key.as_ref()).await?,
            jump_login: Login::for_bastion(&options).await?,
            host: options.host.clone().unwrap_or(host),
            port,
            options,
        });
        let pins = Arc::new(Pins::default());
        if let Some(pause) = endpoint.options.pause_before_connecting {
            events.waiting("the pause before connecting", Duration::ZERO, Some(pause));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return Err(ConnectError::Cancelled),
            }
        }
        let wait = Wait {
            dialer: self.dialer.as_ref(),
            endpoint: &endpoint,
            pins: &pins,
            events: &events,
            cancel: &cancel,
            why: why_waiting.as_deref(),
            limit: endpoint.options.timeout,
            attempts: endpoint.options.handshake_attempts,
        };
        let session = wait.run().await?;
        let parts = (self.dialer.clone(), endpoint, pins);
        Ok(Arc::new(SshCommunicator::new(parts, session, key.as_ref(), events, cancel)))
    }
}

/// One wait for a connection.
pub(crate) struct Wait<'a> {
    pub dialer: &'a dyn Dialer,
    pub endpoint: &'a Endpoint,
    pub pins: &'a Pins,
    pub events: &'a BuildEvents,
    pub cancel: &'a CancellationToken,
    pub why: Option<&'a dyn WhyWaiting>,
    pub limit: Duration,
    /// Refused logins until giving up.
    pub attempts: Option<u32>,
}

/// What is known of the wait.
#[derive(Default)]
struct Known {
    reason: Mutex<String>,
    why: Mutex<Option<String>>,
    changed: Notify,
}

impl Known {
    fn set(&self, reason: &str) {
        let mut known = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != reason {
            reason.clone_into(&mut known);
            self.changed.notify_one();
        }
    }

    fn text(&self) -> String {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match &*self.why.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) if reason.is_empty() => why.clone(),
            Some(why) => format!("{reason}; {why}"),
            None => reason,
        }
    }
}

impl Wait<'_> {
    pub async fn run(&self) -> Result<Session, ConnectError> {
        let known = Known::default();
        let started = Instant::now();
        let Endpoint { host, port, .. } = self.endpoint;
        tokio::select! {
            biased;
            result = self.attempts(&known) => result,
            () = self.cancel.cancelled() => Err(ConnectError::Cancelled),
            () = tokio::time::sleep(self.limit) => {
                let reason = known.text();
                let reason = if reason.is_empty() { "no answer".into() } else { reason };
                Err(ConnectError::Timeout { host: host.clone(), port: *port, limit: self.limit, reason })
            }
            () = self.tell(&known, started) => Err(ConnectError::Cancelled),
            () = self.ask_why(&known) => Err(ConnectError::Cancelled),
        }
    }

    async fn attempts(&self, known: &Known) -> Result<Session, ConnectError> {
        let mut pause = FIRST_PAUSE;
        let mut refused = 0;
        let never = |reason, help| ConnectError::Refused {
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
            reason,
            help,
        };
        loop {
            match Session::open(self.dialer, self.endpoint, self.pins).await {
                Ok(session) => return Ok(session),
                Err(Failure::Never { reason, help }) => return Err(never(reason, help)),
                Err(Failure::NotYet(reason)) => known.set(&reason),
                Err(Failure::Login(reason)) => {
                    refused += 1;
                    known.set(&reason);
                    if self.attempts.is_some_and(|most| refused >= most) {
                        return Err(never(
                            format!("{reason} ({refused} of {refused} attempts)"),
                            "check the user, the key or the password, or raise ssh_handshake_attempts".into(),
                        ));
                    }
                    pause = pause.max(LOGIN_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells each new reason, and the same one again from time to time. Never ends.
    async fn tell(&self, known: &Known, started: Instant) {
        loop {
            tokio::select! {
                () = known.changed.notified() => {}
                () = tokio::time::sleep(REMIND) => {}
            }
            let Endpoint { host, port, .. } = self.endpoint;
            let text = known.text();
            let what = if text.is_empty() {
                format!("SSH at {host}:{port}")
            } else {
                format!("SSH at {host}:{port}: {text}")
            };
            self.events.waiting(what, started.elapsed(), Some(self.limit));
        }
    }

    /// Asks the builder now and then. Never ends.
    async fn ask_why(&self, known: &Known) {
        tokio::time::sleep(FIRST_WHY).await;
        loop {
            let Some(why) = self.why else { return std::future::pending().await };
            if let Ok(answer) = tokio::time::timeout(WHY_LIMIT, why.why()).await {
                let mut told = known.why.lock().unwrap_or_else(PoisonError::into_inner);
                if *told != answer {
                    *told = answer;
                    known.changed.notify_one();
                }
            }
            tokio::time::sleep(ASK_WHY).await;
        }
    }
}
