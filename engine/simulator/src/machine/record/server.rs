//! The SSH server of a `record` machine: login with the keys and the password of the machine, sessions, no forwarding.
//!
//! Every session channel is served by a task of its own that always reads, since an unread channel stops the whole
//! connection. A connection ends with the machine: its stream is cut, as pulling a plug would do it.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use russh::server::{self, Auth, ChannelOpenHandle, Config, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Pty};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::Guest;
use super::channel::Conversation;
use super::log::CommandLog;

/// Session channels of one connection, as OpenSSH's MaxSessions.
const MAX_SESSIONS: usize = 10;

pub(super) fn settings(host_key: russh::keys::PrivateKey) -> Config {
    Config {
        keys: vec![host_key],
        methods: MethodSet::from([MethodKind::PublicKey, MethodKind::Password].as_slice()),
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        // More than a client that pipelines its requests has in flight: see the module's text.
        channel_buffer_size: 1024,
        window_size: 4 * 1024 * 1024,
        maximum_packet_size: 65_535,
        inactivity_timeout: Some(Duration::from_secs(3600)),
        ..Config::default()
    }
}

/// Serves one connection in the background until it ends or the machine is switched off.
pub(super) fn serve(config: Arc<Config>, stream: DuplexStream, guest: Arc<Guest>, off: CancellationToken) {
    let connection = off.child_token();
    let stream = Plug { stream, pulled: Box::pin(connection.clone().cancelled_owned()) };
    let handler = Login {
        guest,
        channels: HashMap::new(),
        off: connection.clone(),
        _ends_with_us: connection.clone().drop_guard(),
    };
    tokio::spawn(async move {
        match server::run_stream(config, stream, handler).await {
            Ok(session) => {
                if let Err(error) = session.await {
                    tracing::debug!(%error, "ssh connection of a record machine ended");
                }
            }
            Err(error) => tracing::debug!(%error, "ssh connection of a record machine did not begin"),
        }
    });
}

/// What is known of a channel before it is told what to run.
struct Idle {
    channel: Channel<Msg>,
    env: Vec<(String, String)>,
    pty: bool,
}

struct Login {
    guest: Arc<Guest>,
    channels: HashMap<ChannelId, Idle>,
    off: CancellationToken,
    _ends_with_us: DropGuard,
}

impl Login {
    fn user_is(&self, user: &str) -> bool {
        user == self.guest.user
    }

    /// The conversation of a channel that has not begun one.
    fn begin(&mut self, id: ChannelId, session: &mut Session) -> Result<Option<Conversation>, russh::Error> {
        let Some(idle) = self.channels.remove(&id) else {
            session.channel_failure(id)?;
            return Ok(None);
        };
        session.channel_success(id)?;
        let guest = Arc::clone(&self.guest);
        Ok(Some(Conversation::new(
            guest,
            idle.channel,
            session.handle(),
            idle.env,
            idle.pty,
            self.off.clone(),
        )))
    }

    fn spawn(&self, conversation: impl Future<Output = ()> + Send + 'static) {
        let off = self.off.clone();
        tokio::spawn(async move { off.run_until_cancelled(conversation).await });
    }
}

impl server::Handler for Login {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(Some("This is a simulated machine. It records commands and executes none.\r\n".to_owned()))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = self.user_is(user) && self.guest.password.as_deref() == Some(password);
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.guest.keys.iter().any(|key| key.key_data() == offer.public_key.key_data());
        Ok(if self.user_is(user) && known { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = self.guest.keys.iter().any(|known| known.key_data() == key.public_key.key_data());
        Ok(if self.user_is(user) && known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() < MAX_SESSIONS {
            self.channels.insert(channel.id(), Idle { channel, env: Vec::new(), pty: false });
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&channel) {
            Some(idle) if idle.env.len() < CommandLog::ENV => {
                idle.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&channel) {
            Some(idle) => {
                idle.pty = true;
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        if let Some(conversation) = self.begin(channel, session)? {
            self.spawn(conversation.exec(command));
        }
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        if let Some(conversation) = self.begin(channel, session)? {
            self.spawn(conversation.shell());
        }
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name != "sftp" {
            return session.channel_failure(channel);
        }
        if let Some(conversation) = self.begin(channel, session)? {
            self.spawn(conversation.sftp());
        }
        Ok(())
    }
}

/// A stream that is dead once the machine is off.
struct Plug {
    stream: DuplexStream,
    pulled: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Plug {
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.pulled.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Plug {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plug {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
