//! The port to an HTTP client. The host decides which hosts a plugin may talk to, follows redirects itself so that
//! each of them is decided as well, and bounds sizes; the client of the binary does the talking.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::Secret;
use url::Url;

/// One request. Header values and body may be secret and must not be logged.
#[derive(Clone)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, Secret)>,
    pub body: HttpBody,
    pub timeout: Duration,
    /// Where the body of a successful (2xx) response goes; in memory otherwise.
    pub store: Option<PathBuf>,
    /// A body in memory larger than this is an error.
    pub limit: usize,
}

#[derive(Clone)]
pub enum HttpBody {
    Empty,
    Text(Secret),
    File(PathBuf),
}

pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Empty when it was stored.
    pub body: Vec<u8>,
}

/// Why there is no response. The message names no secret.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no answer from {host} within the time limit")]
    Timeout { host: String },
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("{0}")]
    Failed(String),
}

/// Sends one request. Must not follow redirects, must honour the proxy and trust settings of the engine, and must end
/// within the request's time limit.
/// Redirections that are followed one after the other.
pub const REDIRECTS: usize = 10;

/// The request that an answer redirects to; none if it does not. Whether its host may be asked is for the caller to
/// say.
pub fn redirected(request: &HttpRequest, response: &HttpResponse) -> Result<Option<HttpRequest>, HttpError> {
    let location = response.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("location")).map(|(_, v)| v);
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (response.status, location) else { return Ok(None) };
    let broken = |e: url::ParseError| {
        HttpError::Failed(format!("the redirection to {location:?} can't be followed: {e}"))
    };
    let from = Url::parse(&request.url).map_err(broken)?;
    let to = from.join(location).map_err(broken)?;
    let mut next = HttpRequest { url: to.to_string(), ..request.clone() };
    if to.origin() != from.origin() {
        // What was meant for one host is not told to another one.
        next.headers.retain(|(name, _)| {
            matches!(
                name.to_ascii_lowercase().as_str(),
                "accept" | "accept-language" | "user-agent" | "range"
            )
        });
    }
    if response.status <= 303 && !matches!(next.method.as_str(), "GET" | "HEAD") {
        next.method = "GET".into();
        next.body = HttpBody::Empty;
    }
    Ok(Some(next))
}

#[async_trait]
pub trait HttpClient: Send + Sync {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
}
