//! One SSH connection: its settings, its host key, and channels that are opened with patience.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fornax_core::communicator::SshOptions;
use russh::client::{Config, Handle, Handler};
use russh::keys::HashAlg;
use russh::{Channel, Preferred, cipher, client};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The host key that the first connection of a build showed; later ones must show the same.
#[derive(Clone, Default)]
pub struct PinnedHost(Arc<Mutex<Pin0>>);

#[derive(Default)]
struct Pin0 {
    fingerprint: Option<String>,
    /// Set when a connection showed another key.
    other: Option<String>,
}

impl PinnedHost {
    /// What a refused connection showed, and what was expected.
    pub fn mismatch(&self) -> Option<(String, String)> {
        let pin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pin.fingerprint.clone().zip(pin.other.clone())
    }

    fn accept(&self, fingerprint: String) -> bool {
        let mut pin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = pin.fingerprint.as_ref().is_none_or(|known| *known == fingerprint);
        if same {
            pin.fingerprint = Some(fingerprint);
        } else {
            pin.other = Some(fingerprint);
        }
        same
    }
}

/// Watches one connection for russh.
pub struct Watch {
    pub pinned: PinnedHost,
}

impl Handler for Watch {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let key = match key {
            russh::keys::PublicKeyOrCertificate::PublicKey { key, .. } => key.clone(),
            russh::keys::PublicKeyOrCertificate::Certificate(certificate) => {
                certificate.public_key().clone().into()
            }
        };
        Ok(self.pinned.accept(key.fingerprint(HashAlg::Sha256).to_string()))
    }
}

/// The settings that make russh faster than `ssh`: AES-GCM first, a window for long lines, no Nagle.
pub fn config(options: &SshOptions) -> Config {
    let ciphers = [
        cipher::AES_128_GCM,
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_128_CTR,
    ];
    let chosen: Vec<cipher::Name> = if options.ciphers.is_empty() {
        ciphers.to_vec()
    } else {
        options.ciphers.iter().filter_map(|name| cipher::Name::try_from(name.as_str()).ok()).collect()
    };
    let mut preferred = Preferred { cipher: Cow::Owned(chosen), ..Preferred::DEFAULT };
    if !options.key_exchange_algorithms.is_empty() {
        let names = options.key_exchange_algorithms.iter();
        preferred.kex =
            Cow::Owned(names.filter_map(|name| russh::kex::Name::try_from(name.as_str()).ok()).collect());
    }
    Config {
        preferred,
        nodelay: true,
        window_size: 16 << 20,
        keepalive_interval: options.keep_alive_interval,
        keepalive_max: 4,
        ..Config::default()
    }
}

/// How long a server that is short of sessions is asked again.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
const OPEN_PAUSE: Duration = Duration::from_millis(2);

/// Opens a session channel. A server that allows few sessions frees a closed one a moment late, so it is asked again.
pub async fn open(handle: &Handle<Watch>) -> Result<Channel<client::Msg>, russh::Error> {
    let deadline = tokio::time::Instant::now() + OPEN_LIMIT;
    loop {
        match handle.channel_open_session().await {
            Err(russh::Error::ChannelOpenFailure(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            other => return other,
        }
    }
}

const READ_BUFFER: usize = 256 * 1024;

/// A TCP stream that acknowledges at once. sshd leaves Nagle's algorithm on, so its small replies would wait for our
/// delayed acknowledgements, 40 ms each.
pub struct QuickAck {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl QuickAck {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; READ_BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }
}

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.start == this.end {
            let mut buffer = ReadBuf::new(&mut this.buffer);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
            this.end = buffer.filled().len();
            this.start = 0;
            // The flag is not sticky; without it the connection is slow, not wrong.
            #[cfg(target_os = "linux")]
            let _ = this.stream.set_quickack(true);
        }
        let count = out.remaining().min(this.end - this.start);
        out.put_slice(&this.buffer[this.start..this.start + count]);
        this.start += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for QuickAck {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
