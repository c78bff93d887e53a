//! Conversations with Resource Manager: one call is authorised, let through the gate of its subscription, repeated
//! where that is safe, and bounded in time. Whether a changing call whose answer was lost took effect is not guessed
//! here; `lro` finds out by reading the resource.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fornax_core::BuildEvents;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cloud::Cloud;
use crate::error::{ArmError, ServiceError};
use crate::gate::Gate;
use crate::retry::{Backoff, retry_after};
use crate::token::{TokenError, TokenSource};
use crate::transport::Transport;

/// Tries beyond the first after server errors and lost connections.
const RETRIES: u32 = 6;
/// A pause that the service asks for is believed up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// One request, and in which words to speak of it.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub body: Option<Bytes>,
    /// `creating virtual machine "x"`; errors continue it.
    pub what: String,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body of a machine holds its password.
        write!(f, "Call({} {})", self.method, self.url.path())
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null if it is empty or something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The answer if it is a good one, its error otherwise.
    pub fn ok(self, what: &str) -> Result<Reply, ArmError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(ServiceError::from_answer(what, self.status, &self.headers, &self.body).into())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

struct Shared {
    transport: Arc<dyn Transport>,
    cloud: Cloud,
    tokens: Arc<TokenSource>,
    gate: Arc<Gate>,
    correlation_id: String,
    limit: Duration,
    events: Option<BuildEvents>,
}

/// A client of one cloud for one build. Clones share everything but the cancellation.
#[derive(Clone)]
pub struct Arm {
    shared: Arc<Shared>,
    cancel: CancellationToken,
}

impl Arm {
    /// `limit` bounds each operation (`polling_duration_timeout`), with all its polls and repetitions.
    pub fn new(
        transport: Arc<dyn Transport>,
        cloud: Cloud,
        tokens: Arc<TokenSource>,
        gate: Arc<Gate>,
        limit: Duration,
        events: Option<BuildEvents>,
        cancel: CancellationToken,
    ) -> Self {
        let correlation_id = uuid::Uuid::new_v4().to_string();
        Self {
            shared: Arc::new(Shared { transport, cloud, tokens, gate, correlation_id, limit, events }),
            cancel,
        }
    }

    /// The same client under another cancellation: undo goes on when forward work is cancelled.
    pub fn with_cancel(&self, cancel: CancellationToken) -> Self {
        Self { shared: self.shared.clone(), cancel }
    }

    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    pub fn limit(&self) -> Duration {
        self.shared.limit
    }

    pub fn cloud(&self) -> &Cloud {
        &self.shared.cloud
    }

    pub fn tokens(&self) -> &TokenSource {
        &self.shared.tokens
    }

    /// One id for all requests of the build; the activity log shows it with every operation.
    pub fn correlation_id(&self) -> &str {
        &self.shared.correlation_id
    }

    /// Tells those who watch what is being waited for.
    pub fn waiting(&self, what: &str, elapsed: Duration) {
        if let Some(events) = &self.shared.events {
            events.waiting(what, elapsed, Some(self.shared.limit));
        }
    }

    /// The address of a resource id, or of any path below the endpoint.
    pub fn url(&self, path: &str, api_version: &str) -> Url {
        let mut url = self.shared.cloud.resource_manager.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", api_version);
        url
    }

    pub fn call(&self, method: Method, path: &str, api_version: &str, what: impl Into<String>) -> Call {
        Call { method, url: self.url(path, api_version), body: None, what: what.into() }
    }

    /// A call with a JSON body.
    pub fn put(&self, path: &str, api_version: &str, body: &Value, what: impl Into<String>) -> Call {
        let mut call = self.call(Method::PUT, path, api_version, what);
        call.body = Some(Bytes::from(body.to_string()));
        call
    }

    /// GET, an error unless it succeeds.
    pub async fn get(
        &self,
        path: &str,
        api_version: &str,
        what: impl Into<String>,
    ) -> Result<Value, ArmError> {
        let call = self.call(Method::GET, path, api_version, what);
        let reply = self.exchange(&call, Instant::now() + self.limit()).await?;
        Ok(reply.ok(&call.what)?.json())
    }

    /// GET, none if there is no such resource.
    pub async fn find(
        &self,
        path: &str,
        api_version: &str,
        what: impl Into<String>,
    ) -> Result<Option<Value>, ArmError> {
        match self.get(path, api_version, what).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All entries of a list, page by page.
    pub async fn list(&self, first: Url, what: &str) -> Result<Vec<Value>, ArmError> {
        /// A list that goes on longer than this goes in circles.
        const MAX_PAGES: usize = 1000;
        let mut entries = Vec::new();
        let mut next = Some(first);
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { return Ok(entries) };
            let call = Call { method: Method::GET, url, body: None, what: what.to_owned() };
            let page = self.exchange(&call, Instant::now() + self.limit()).await?.ok(what)?.json();
            match page {
                // Some lists of Microsoft.Compute are bare arrays.
                Value::Array(values) => entries.extend(values),
                Value::Object(mut page) => {
                    if let Some(Value::Array(values)) = page.remove("value") {
                        entries.extend(values);
                    }
                    if let Some(link) = page.get("nextLink").and_then(Value::as_str).filter(|l| !l.is_empty())
                    {
                        next = Some(self.same_origin(link, what)?);
                    }
                }
                _ => {}
            }
        }
        Err(ArmError::Protocol { what: what.to_owned(), reason: "the list has no end".into() })
    }

    /// A URL that the service gave. The token goes there, so it must be the endpoint's own.
    pub fn same_origin(&self, link: &str, what: &str) -> Result<Url, ArmError> {
        let endpoint = &self.shared.cloud.resource_manager;
        match Url::parse(link) {
            Ok(url) if url.origin() == endpoint.origin() => Ok(url),
            Ok(url) => Err(ArmError::Protocol {
                what: what.to_owned(),
                reason: format!(
                    "the service refers to {}, which is not the endpoint {}; the token is not sent there",
                    url.origin().ascii_serialization(),
                    endpoint.origin().ascii_serialization()
                ),
            }),
            Err(_) => Err(ArmError::Protocol {
                what: what.to_owned(),
                reason: "the service gives an address that is not an absolute URL".into(),
            }),
        }
    }

    /// Sends a call until there is an answer that repeating won't change. Errors of the service are answers here. A
    /// changing call whose answer is lost is [`ArmError::Unsettled`].
    pub async fn exchange(&self, call: &Call, deadline: Instant) -> Result<Reply, ArmError> {
        let shared = &self.shared;
        let timeout = || ArmError::Timeout { what: call.what.clone(), limit: shared.limit };
        let changes = matches!(call.method, Method::PUT | Method::DELETE | Method::PATCH);
        let mut backoff = Backoff::new(RETRIES);
        let mut renewed = false;
        loop {
            self.bounded(shared.gate.pass(), deadline).await?.ok_or_else(timeout)?;
            let token = self.bounded(shared.tokens.get(&self.cancel), deadline).await?.ok_or_else(timeout)?;
            let token = token.map_err(|source| match source {
                TokenError::Cancelled => ArmError::Cancelled,
                source => ArmError::Token { what: call.what.clone(), source: Box::new(source) },
            })?;
            let request = self.request(call, token.value.expose())?;
            tracing::debug!(method = %call.method, path = call.url.path(), "request");
            let answer = self.bounded(shared.transport.send(request), deadline).await?.ok_or_else(timeout)?;
            let pause = match answer {
                Err(source) => {
                    tracing::debug!(method = %call.method, path = call.url.path(), error = %source, "no answer");
                    if changes && source.may_have_arrived() {
                        return Err(ArmError::Unsettled {
                            what: call.what.clone(),
                            reason: source.to_string(),
                        });
                    }
                    let failed = || ArmError::Transport { what: call.what.clone(), source: source.clone() };
                    if !source.can_be_repeated() {
                        return Err(failed());
                    }
                    backoff.next().ok_or_else(failed)?
                }
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let reply = Reply { status: parts.status, headers: parts.headers, body };
                    tracing::debug!(method = %call.method, path = call.url.path(), status = reply.status.as_u16(), "answer");
                    let said = retry_after(&reply.headers).map(|d| d.min(LONGEST_PAUSE));
                    match reply.status.as_u16() {
                        401 if !renewed => {
                            renewed = true;
                            shared.tokens.reject(&token).await;
                            continue;
                        }
                        // A locked resource is not throttling: it must not stop other builds.
                        429 if is_lock(&reply) => match backoff.next() {
                            Some(pause) => said.unwrap_or(pause),
                            None => return Ok(reply),
                        },
                        429 => {
                            // Refused requests cost no tries: the service says when, the deadline says how long.
                            let pause =
                                said.unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(100));
                            shared.gate.close_for(pause);
                            if Instant::now() + pause >= deadline {
                                return Ok(reply);
                            }
                            if pause >= Duration::from_secs(2) {
                                self.waiting(
                                    &format!("{} (the service asks to slow down)", call.what),
                                    Duration::ZERO,
                                );
                            }
                            continue;
                        }
                        504 if changes => {
                            let reason = "HTTP 504: the provider did not answer the gateway in time".into();
                            return Err(ArmError::Unsettled { what: call.what.clone(), reason });
                        }
                        408 | 500 | 502 | 503 | 504 => match backoff.next() {
                            Some(pause) => said.map_or(pause, |said| said.max(pause)),
                            None => return Ok(reply),
                        },
                        300..=399 => {
                            return Err(ArmError::Protocol {
                                what: call.what.clone(),
                                reason: format!(
                                    "the service answers with a redirection (HTTP {}), which is not followed",
                                    reply.status
                                ),
                            });
                        }
                        _ => return Ok(reply),
                    }
                }
            };
            if Instant::now() + pause >= deadline {
                return Err(timeout());
            }
            self.sleep(pause).await?;
        }
    }

    /// Sleeps unless cancelled.
    pub async fn sleep(&self, pause: Duration) -> Result<(), ArmError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ArmError::Cancelled),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// None at the deadline.
    async fn bounded<T>(
        &self,
        work: impl Future<Output = T>,
        deadline: Instant,
    ) -> Result<Option<T>, ArmError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ArmError::Cancelled),
            result = work => Ok(Some(result)),
            () = tokio::time::sleep_until(deadline) => Ok(None),
        }
    }

    fn request(&self, call: &Call, token: &str) -> Result<http::Request<Bytes>, ArmError> {
        let unusable = |e: http::Error| ArmError::Protocol { what: call.what.clone(), reason: e.to_string() };
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            ArmError::Protocol { what: call.what.clone(), reason: "the token is not a token".into() }
        })?;
        authorization.set_sensitive(true);
        let body = call.body.clone().unwrap_or_default();
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(call.url.as_str())
            .body(body)
            .map_err(unusable)?;
        let headers = request.headers_mut();
        headers.insert(http::header::AUTHORIZATION, authorization);
        let fixed = [
            ("accept", "application/json"),
            ("accept-language", "en-US"),
            ("user-agent", crate::USER_AGENT),
            ("x-ms-return-client-request-id", "true"),
        ];
        for (name, value) in fixed {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let ids = [
            ("x-ms-client-request-id", uuid::Uuid::new_v4().to_string()),
            ("x-ms-correlation-request-id", self.shared.correlation_id.clone()),
        ];
        for (name, value) in ids {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if call.body.is_some() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        } else if call.method == Method::POST {
            // Without a length the front end answers 411.
            headers.insert("content-length", HeaderValue::from_static("0"));
        }
        Ok(request)
    }
}

fn is_lock(reply: &Reply) -> bool {
    crate::error::Detail::parse(&reply.body).code.starts_with("RetryableError")
}
