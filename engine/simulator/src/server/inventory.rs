//! Reads the inventory of a running simulator: `GET /simulator/inventory`, which needs no token and answers a JSON
//! array. One request on one connection; nothing else in this crate is a client, so there is no client library here.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::Error;

/// Where the inventory is served.
pub const INVENTORY_PATH: &str = "/simulator/inventory";

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER: u64 = 64 << 20;

/// Asks the simulator at `endpoint` (`https://host:port`) what exists; `ca_pem` is the file it wrote at its start.
/// Gives up after ten seconds.
pub async fn fetch_inventory(endpoint: &str, ca_pem: &str) -> Result<Vec<Value>, Error> {
    let result = tokio::time::timeout(DEADLINE, fetch(endpoint, ca_pem)).await;
    result
        .unwrap_or_else(|_| Err("no answer within 10 s".to_owned()))
        .map_err(|reason| Error::Inventory { endpoint: endpoint.to_owned(), reason })
}

async fn fetch(endpoint: &str, ca_pem: &str) -> Result<Vec<Value>, String> {
    let url = url::Url::parse(endpoint).map_err(|e| format!("not a URL: {e}"))?;
    if url.scheme() != "https" {
        return Err("the endpoint must begin with https://".to_owned());
    }
    let host = url.host_str().ok_or("the endpoint names no host")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);

    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("the CA file is not PEM: {e}"))?;
        roots.add(certificate).map_err(|e| format!("the CA file holds no CA: {e}"))?;
    }
    if roots.is_empty() {
        return Err("the CA file holds no certificate".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(bare.clone()).map_err(|e| e.to_string())?;
    let tcp = TcpStream::connect((bare.as_str(), port))
        .await
        .map_err(|e| format!("cannot connect: {e}; is the simulator running?"))?;
    let mut stream =
        TlsConnector::from(Arc::new(tls)).connect(name, tcp).await.map_err(|e| format!("TLS: {e}"))?;
    let request =
        format!("GET {INVENTORY_PATH} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|e| e.to_string())?;
    let mut answer = Vec::new();
    if let Err(e) = stream.take(MAX_ANSWER).read_to_end(&mut answer).await
        && e.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(e.to_string());
    }
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or("the answer is not HTTP")?;
    let head = String::from_utf8_lossy(&answer[..split]);
    if head.split_ascii_whitespace().nth(1) != Some("200") {
        return Err(format!("the answer is {}", head.lines().next().unwrap_or_default()));
    }
    // The simulator always sends this with Content-Length, never in chunks.
    serde_json::from_slice(&answer[split + 4..]).map_err(|e| format!("the answer is not an inventory: {e}"))
}
