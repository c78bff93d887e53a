//! The port to the network: one HTTP request in, one response out. The composition root passes [`ReqwestTransport`]
//! or an adapter of its own; nothing above this file knows which. A transport neither retries nor follows redirects,
//! because only the layers above know what may be repeated and where a token may go.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

/// Answers larger than this are refused: the largest document that the engine asks for has a few megabytes.
const MAX_BODY: usize = 64 << 20;
/// Until the connection stands, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// Between two pieces of an answer. Resource Manager gives its providers 60 s a request and answers 504 then.
const READ_LIMIT: Duration = Duration::from_secs(90);

/// Sends a request and reads the whole answer, whatever its status.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError>;
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// The request did not leave: the host is unknown, unreachable, or its certificate is not trusted.
    #[error("no connection to {host}: {reason}")]
    Connect { host: String, reason: String },
    /// The request may have been carried out; only its answer is missing.
    #[error("the connection to {host} broke before the answer was complete: {reason}")]
    Interrupted { host: String, reason: String },
    /// The request or the answer can't be transported at all; repeating does not help.
    #[error("{0}")]
    Unusable(String),
}

impl TransportError {
    /// Whether the service may have carried the request out.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, TransportError::Interrupted { .. })
    }

    pub fn can_be_repeated(&self) -> bool {
        !matches!(self, TransportError::Unusable(_))
    }
}

/// HTTPS by reqwest and rustls. Trusts what the operating system trusts, or the certificates of `SSL_CERT_FILE` where
/// that is set; takes proxies from the environment; keeps connections open.
#[derive(Default)]
pub struct ReqwestTransport {
    // Reading the system's certificates takes longer than a whole `validate`, which needs no connection.
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl ReqwestTransport {
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self) -> Result<&reqwest::Client, TransportError> {
        self.client
            .get_or_init(|| {
                // Fails only if a provider is installed already, and that one serves as well.
                let _ = rustls::crypto::ring::default_provider().install_default();
                reqwest::Client::builder()
                    .redirect(reqwest::redirect::Policy::none())
                    .connect_timeout(CONNECT_LIMIT)
                    .read_timeout(READ_LIMIT)
                    .pool_idle_timeout(Duration::from_secs(90))
                    .tcp_keepalive(Duration::from_secs(30))
                    .tcp_nodelay(true)
                    .build()
                    .map_err(|e| chain(&e))
            })
            .as_ref()
            .map_err(|reason| {
                TransportError::Unusable(format!("HTTPS can't be used on this machine: {reason}; install the system's certificates (ca-certificates) or set SSL_CERT_FILE"))
            })
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let host = request.uri().authority().map_or_else(String::new, |a| a.to_string());
        let client = self.client()?;
        let request = reqwest::Request::try_from(request).map_err(|e| TransportError::Unusable(chain(&e)))?;
        let response = client.execute(request).await.map_err(|e| {
            let reason = chain(&e);
            if e.is_builder() {
                TransportError::Unusable(reason)
            } else if e.is_connect() {
                TransportError::Connect { host: host.clone(), reason }
            } else {
                TransportError::Interrupted { host: host.clone(), reason }
            }
        })?;
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        let mut body = BytesMut::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|e| TransportError::Interrupted { host: host.clone(), reason: chain(&e) })?;
            if body.len() + piece.len() > MAX_BODY {
                return Err(TransportError::Unusable(format!(
                    "the answer of {host} is larger than {} MiB",
                    MAX_BODY >> 20
                )));
            }
            body.extend_from_slice(&piece);
        }
        *answer.body_mut() = body.freeze();
        Ok(answer)
    }
}

/// An error with all its causes; the outermost text of an HTTP client alone says next to nothing. URLs are cut out of
/// the first level by the client itself, so no query of a signed URL gets here.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers each request on each connection with the next of these texts; returns how many connections there were.
    async fn serve(listener: TcpListener, answers: &[&str]) -> usize {
        let mut answers = answers.iter();
        let mut connections = 0;
        'connections: loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections += 1;
            loop {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                    continue 'connections;
                }
                let Some(answer) = answers.next() else { return connections };
                stream.write_all(answer.as_bytes()).await.unwrap();
                if answer.contains("content-length: 9") {
                    continue 'connections;
                }
                if answers.len() == 0 {
                    return connections;
                }
            }
        }
    }

    #[tokio::test]
    async fn connections_are_kept_redirects_are_not_followed_and_broken_answers_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x?y=%2F", listener.local_addr().unwrap());
        let answers = [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok",
        ];
        let transport = ReqwestTransport::new();
        let get = || transport.send(http::Request::get(&url).body(Bytes::new()).unwrap());
        let ask = async {
            let first = match get().await {
                Err(TransportError::Unusable(reason)) => {
                    eprintln!("SKIPPED: {reason}");
                    return;
                }
                first => first.unwrap(),
            };
            assert_eq!((first.status().as_u16(), first.body().as_ref()), (200, b"ok".as_slice()));
            let redirect = get().await.unwrap();
            assert_eq!(
                (redirect.status().as_u16(), redirect.headers()["location"].as_bytes()),
                (302, b"http://127.0.0.1:1/".as_slice())
            );
            let broken = get().await.unwrap_err();
            assert!(broken.may_have_arrived(), "{broken}");
        };
        tokio::select! {
            () = ask => {}
            connections = serve(listener, &answers) => panic!("the server ended first, after {connections} connections"),
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_told_as_a_request_that_did_not_leave() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = ReqwestTransport::new()
            .send(http::Request::get(&url).body(Bytes::new()).unwrap())
            .await
            .unwrap_err();
        match error {
            TransportError::Unusable(reason) => eprintln!("SKIPPED: {reason}"),
            error => assert!(
                matches!(error, TransportError::Connect { .. }) && !error.may_have_arrived(),
                "{error:?}"
            ),
        }
    }
}
