//! Accepts connections and carries HTTP/1.1 requests to the simulator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{ConnectionCut, Simulator};

/// Resource Manager takes requests of up to 4 MB.
const MAX_BODY: usize = 4 << 20;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(60);
const BODY: Duration = Duration::from_secs(60);
/// How long open connections may go on after the shutdown token has fired.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until the token fires, then ends connections and machines.
pub(super) async fn accept_all(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    simulator: Arc<Simulator>,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors: the listener stays good, and some come free again.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        connections.spawn(serve_one(stream, acceptor.clone(), simulator.clone(), shutdown.clone()));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::debug!("connections were still open at the end");
    }
    simulator.shutdown().await;
}

async fn serve_one(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    simulator: Arc<Simulator>,
    shutdown: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let service = service_fn(move |request| answer(simulator.clone(), request));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .keep_alive(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(DRAIN, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// An error here makes hyper close the connection without an answer, which is what a cut is.
async fn answer(
    simulator: Arc<Simulator>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ConnectionCut> {
    let (parts, body) = request.into_parts();
    // Azure's front end refuses a POST without a length.
    let needs_length = parts.method == http::Method::POST
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
        && !parts.headers.contains_key(header::TRANSFER_ENCODING);
    if needs_length {
        return Ok(plain(StatusCode::LENGTH_REQUIRED, "The request must carry a Content-Length."));
    }
    let body = match tokio::time::timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "The request is larger than 4 MB or broke off."));
        }
        Err(_) => return Ok(plain(StatusCode::REQUEST_TIMEOUT, "The request's body did not arrive.")),
    };
    let response = simulator.handle(Request::from_parts(parts, body)).await?;
    Ok(response.map(Full::new))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
