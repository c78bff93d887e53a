//! TCP connections to hosts: every address of a name is tried, the next one shortly after the last, the first answer
//! wins. The stream acknowledges what it receives at once and reads in large blocks, without which small messages
//! wait 40 ms for each other and jump hosts are ten times slower.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::{Dialer, Stream};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How long one address has a head start over the next.
const HEAD_START: Duration = Duration::from_millis(250);
/// More addresses of one name than this are not tried.
const MOST_ADDRESSES: usize = 16;
/// One attempt, name lookup included.
const LIMIT: Duration = Duration::from_secs(15);
const READ_BUFFER: usize = 256 * 1024;

/// Dials over TCP. Name lookup and connecting together may take 15 s: a machine that boots drops packets, so waiting
/// longer for one attempt is pointless.
pub struct TcpDialer;

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = tokio::time::timeout(LIMIT, connect(host, port))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
        stream.set_nodelay(true)?;
        Ok(Box::new(QuickAck::new(stream)))
    }
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| io::Error::new(io::ErrorKind::NotFound, format!("the name cannot be resolved ({e})")))?
        .collect();
    let mut waiting = alternate(found).into_iter().take(MOST_ADDRESSES);
    let mut running = FuturesUnordered::new();
    let mut first_error = None;
    running.extend(waiting.next().map(TcpStream::connect));
    loop {
        let next = tokio::time::sleep(HEAD_START);
        tokio::select! {
            result = running.next() => match result {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    first_error.get_or_insert(error);
                    running.extend(waiting.next().map(TcpStream::connect));
                }
                None => {
                    return Err(first_error.unwrap_or_else(|| {
                        io::Error::new(io::ErrorKind::NotFound, "the name has no address")
                    }));
                }
            },
            () = next => running.extend(waiting.next().map(TcpStream::connect)),
        }
    }
}

/// The resolver's order, with the two address families taking turns, so that a broken one costs one head start.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return merged,
            (a, b) => merged.extend(a.into_iter().chain(b)),
        }
    }
}

/// A TCP stream that reads ahead and acknowledges at once.
struct QuickAck {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl QuickAck {
    fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; READ_BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }
}

impl AsyncRead for QuickAck {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            let mut block = ReadBuf::new(&mut this.buffer);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut block))?;
            (this.start, this.end) = (0, block.filled().len());
            // The flag does not stick: the kernel goes back to delayed acknowledgements by itself.
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(alternate(mixed), parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert!(alternate(Vec::new()).is_empty());
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_and_a_closed_port_is_refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7) as u8).collect();
        let expected = sent.clone();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(&sent).await.unwrap();
        });
        let mut stream = TcpDialer.dial("127.0.0.1", port).await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        server.await.unwrap();
        let error = TcpDialer.dial("127.0.0.1", port).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
