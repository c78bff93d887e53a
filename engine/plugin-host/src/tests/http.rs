//! HTTP through the host: the allowlist holds for each redirection, and what was meant for one host stays there.

use std::sync::Mutex;

use async_trait::async_trait;
use fornax_core::Secret;
use fornax_core::plugin::Capability;

use super::*;
use crate::bindings::host::fornax::plugin::http as api;
use crate::bindings::host::fornax::plugin::types::ErrorCode;
use crate::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::seal::Origin;
use crate::state::Phase;
use api::Host as _;

type Headers = Vec<(String, String)>;

/// Remembers what it was asked.
#[derive(Default)]
struct Client(Mutex<Vec<(String, Headers)>>);

#[async_trait]
impl HttpClient for Client {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let headers = request.headers.iter().map(|(n, v)| (n.clone(), v.expose().to_owned())).collect();
        self.0.lock().expect("no panic").push((request.url.clone(), headers));
        let to = |location: &str| HttpResponse {
            status: 302,
            headers: vec![("Location".into(), location.into())],
            body: Vec::new(),
        };
        Ok(match request.url.as_str() {
            "https://a.example.org/away" => to("https://evil.test/"),
            "https://a.example.org/other" => to("https://b.example.org/"),
            "https://a.example.org/loop" => to("/loop"),
            _ => HttpResponse { status: 200, headers: Vec::new(), body: b"token=s3cret-value".to_vec() },
        })
    }
}

#[tokio::test]
async fn the_allowlist_holds() {
    let client = Arc::new(Client::default());
    let mut policy = Policy::new();
    policy.grant("test/guest=network:*.example.org").expect("valid");
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Arc::new(Sink::default());
    let inner =
        crate::host::testing_inner(HostConfig { http: Some(client.clone()), ..HostConfig::default() });
    let mut state = inner.bare_state("test/guest", Phase::Provision, 1 << 20);
    state.rights = policy.effective(id(), &[Capability::Network(vec!["*".into()])]);
    state.step = Some(step(&sink, dir.path(), Vec::new()));
    let secret = Secret::new("s3cret-value");
    state.redactor.register(&secret);
    let sealed = state.sealer.seal_secret(&secret, Origin::Config);
    for (url, code) in [
        ("https://a.example.org/", None),
        ("https://a.example.org/other", None),
        ("https://a.example.org/away", Some(ErrorCode::Denied)),
        ("https://a.example.org/loop", Some(ErrorCode::Io)),
        ("https://evil.test/", Some(ErrorCode::Denied)),
        ("https://example.org.evil.test/", Some(ErrorCode::Denied)),
        ("file:///etc/passwd", Some(ErrorCode::InvalidArgument)),
        ("nonsense", Some(ErrorCode::InvalidArgument)),
    ] {
        let request = api::Request {
            method: "GET".into(),
            url: url.into(),
            headers: vec![("X-Token".into(), sealed.clone()), ("Accept".into(), "*/*".into())],
            timeout_ms: None,
        };
        let result = state.send(request, api::Body::Empty).await.expect("no trap");
        assert_eq!(result.as_ref().err().map(|e| e.code), code, "{url}: {result:?}");
        if let Ok(response) = result {
            assert_eq!(String::from_utf8_lossy(&response.body), "token=<sensitive>");
        }
    }
    for (url, headers) in client.0.lock().expect("no panic").iter() {
        let told = headers.contains(&("X-Token".into(), "s3cret-value".into()));
        assert_eq!(told, url.starts_with("https://a."), "{url}");
        assert!(!url.contains("evil"), "{url}");
    }
}
