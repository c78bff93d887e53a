//! The HTTP client behind the `network` right of plugins. The plugin host decides which hosts a plugin may talk to; this
//! only talks, with the proxies and the trusted certificates of the engine.

use std::sync::OnceLock;

use async_trait::async_trait;
use fornax_plugin_host::http::{HttpBody, HttpClient, HttpError, HttpRequest, HttpResponse};
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

/// One client for all plugins, made when the first of them needs it.
#[derive(Default)]
pub struct PluginHttp {
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl PluginHttp {
    fn client(&self) -> Result<&reqwest::Client, HttpError> {
        let made = self.client.get_or_init(|| {
            // Fails only if a provider is installed already, and that one serves as well.
            let _ = rustls::crypto::ring::default_provider().install_default();
            // Each redirect is the host's to decide.
            let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            builder.build().map_err(|e| e.to_string())
        });
        made.as_ref().map_err(|e| HttpError::Failed(format!("HTTPS can't be used on this machine: {e}")))
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // The URL of a request may hold a secret, so it is left out of messages.
        let failed = |e: reqwest::Error| HttpError::Failed(e.without_url().to_string());
        let local = |e: std::io::Error| HttpError::Failed(format!("a file of the step: {e}"));
        let method = request
            .method
            .parse()
            .map_err(|_| HttpError::Failed("this method is not one of HTTP".to_owned()))?;
        let mut builder = self.client()?.request(method, &request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value.expose());
        }
        builder = match request.body {
            HttpBody::Empty => builder,
            HttpBody::Text(text) => builder.body(text.expose().to_owned()),
            HttpBody::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(local)?;
                builder.body(reqwest::Body::wrap_stream(ReaderStream::new(file)))
            }
        };
        let response = builder.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(text).collect();
        let mut pieces = response.bytes_stream();
        let mut body = Vec::new();
        match request.store.filter(|_| (200..300).contains(&status)) {
            Some(path) => {
                let mut file = tokio::fs::File::create(path).await.map_err(local)?;
                while let Some(piece) = pieces.next().await {
                    file.write_all(&piece.map_err(failed)?).await.map_err(local)?;
                }
                file.flush().await.map_err(local)?;
            }
            None => {
                while let Some(piece) = pieces.next().await {
                    body.extend_from_slice(&piece.map_err(failed)?);
                    if body.len() > request.limit {
                        return Err(HttpError::TooLarge { limit: request.limit });
                    }
                }
            }
        }
        Ok(HttpResponse { status, headers, body })
    }
}

#[async_trait]
impl HttpClient for PluginHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = http::Uri::try_from(&request.url)
            .ok()
            .and_then(|u| u.host().map(str::to_owned))
            .unwrap_or_default();
        let limit = request.timeout;
        tokio::time::timeout(limit, self.exchange(request)).await.map_err(|_| HttpError::Timeout { host })?
    }
}
