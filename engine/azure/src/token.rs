//! Access tokens of a service principal with a secret (v2.0 endpoint). A token is read at every attempt, renewed before
//! it ends, and renewed once when Resource Manager rejects it, because a build can outlive several of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fornax_core::{Redactor, Secret};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cloud::Cloud;
use crate::retry::{Backoff, retry_after};
use crate::transport::{Transport, TransportError};

/// All tries of one token request together.
const LIMIT: Duration = Duration::from_secs(120);
/// A token is renewed when this much of its life is left, or a quarter of it if it is short-lived.
const MARGIN: Duration = Duration::from_secs(300);

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// None: asked from Resource Manager.
    pub tenant_id: Option<String>,
    pub client_id: String,
    pub client_secret: Secret,
    pub subscription_id: String,
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cancelled")]
    Cancelled,
    #[error("no token from {host}: {source}")]
    Unreachable { host: String, source: TransportError },
    #[error(
        "the login as client {client_id} in tenant {tenant_id} was refused: {description}\n  hint: {hint}"
    )]
    Refused { client_id: String, tenant_id: String, code: String, description: String, hint: String },
    #[error("the answer of the token service can't be used: {0}")]
    Unusable(String),
    #[error("the token service did not answer within 2 minutes")]
    Timeout,
    #[error(
        "tenant_id is not set and Resource Manager does not tell it for subscription {subscription_id}: {reason}; set \
         tenant_id (az account show --query tenantId)"
    )]
    NoTenant { subscription_id: String, reason: String },
}

/// A token and which one it is, so that a rejected one is replaced only once.
#[derive(Clone)]
pub struct Token {
    pub value: Secret,
    pub generation: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(generation {})", self.generation)
    }
}

#[derive(Default)]
struct State {
    current: Option<(Token, Instant)>,
    tenant: Option<String>,
    generation: u64,
}

/// Gets and keeps the token of one principal. All builds with the same credentials can share one.
pub struct TokenSource {
    transport: Arc<dyn Transport>,
    cloud: Cloud,
    credentials: Credentials,
    redactor: Redactor,
    state: Mutex<State>,
}

impl TokenSource {
    pub fn new(
        transport: Arc<dyn Transport>,
        cloud: Cloud,
        credentials: Credentials,
        redactor: Redactor,
    ) -> Self {
        Self { transport, cloud, credentials, redactor, state: Mutex::default() }
    }

    /// A token that is good for the next request. Concurrent callers share one request to the token service.
    pub async fn get(&self, cancel: &CancellationToken) -> Result<Token, TokenError> {
        tokio::select! {
            token = self.current_or_new(cancel) => token,
            () = cancel.cancelled() => Err(TokenError::Cancelled),
        }
    }

    /// Resource Manager did not take this token: the next `get` asks for another one.
    pub async fn reject(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|(current, _)| current.generation == token.generation) {
            state.current = None;
        }
    }

    /// The tenant, once a token was had.
    pub async fn tenant_id(&self) -> Option<String> {
        match &self.credentials.tenant_id {
            Some(tenant) => Some(tenant.clone()),
            None => self.state.lock().await.tenant.clone(),
        }
    }

    async fn current_or_new(&self, cancel: &CancellationToken) -> Result<Token, TokenError> {
        let mut state = self.state.lock().await;
        if let Some((token, renew_at)) = &state.current
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let deadline = Instant::now() + LIMIT;
        let tenant = match (&self.credentials.tenant_id, &state.tenant) {
            (Some(tenant), _) | (None, Some(tenant)) => tenant.clone(),
            (None, None) => {
                let tenant = self.discover_tenant(deadline, cancel).await?;
                state.tenant = Some(tenant.clone());
                tenant
            }
        };
        let (value, life) = self.request(&tenant, deadline, cancel).await?;
        self.redactor.register(&value);
        state.generation += 1;
        let token = Token { value, generation: state.generation };
        let renew_at = Instant::now() + life - MARGIN.min(life / 4);
        state.current = Some((token.clone(), renew_at));
        Ok(token)
    }

    async fn request(
        &self,
        tenant: &str,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<(Secret, Duration), TokenError> {
        let mut url = self.cloud.login.clone();
        url.set_path(&format!("/{tenant}/oauth2/v2.0/token"));
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.credentials.client_id)
            .append_pair("client_secret", self.credentials.client_secret.expose())
            .append_pair("scope", &self.cloud.scope)
            .finish();
        let request = || {
            http::Request::post(url.as_str())
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .header("user-agent", crate::USER_AGENT)
                .body(Bytes::from(form.clone()))
                .map_err(|e| TokenError::Unusable(e.to_string()))
        };
        let answer = self.exchange(&url, request, deadline, cancel).await?;
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if !answer.status().is_success() {
            return Err(self.refused(tenant, answer.status(), &body));
        }
        let token = body["access_token"].as_str().filter(|t| !t.is_empty());
        let token = token.ok_or_else(|| TokenError::Unusable("it has no access_token".into()))?;
        // A number by the standard, a text from some services.
        let seconds = body["expires_in"].as_u64().or_else(|| body["expires_in"].as_str()?.parse().ok());
        // The cap keeps a nonsensical life from overflowing; ARM's longest token lives for a day.
        let life = Duration::from_secs(seconds.unwrap_or(3600).min(86_400 * 7));
        Ok((Secret::new(token), life))
    }

    async fn discover_tenant(
        &self,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<String, TokenError> {
        let subscription_id = self.credentials.subscription_id.clone();
        let mut url = self.cloud.resource_manager.clone();
        url.set_path(&format!("/subscriptions/{subscription_id}"));
        url.set_query(Some("api-version=2022-12-01"));
        let request = || {
            http::Request::get(url.as_str())
                .header("accept", "application/json")
                .header("user-agent", crate::USER_AGENT)
                .body(Bytes::new())
                .map_err(|e| TokenError::Unusable(e.to_string()))
        };
        let answer = self.exchange(&url, request, deadline, cancel).await?;
        let challenge = answer.headers().get("www-authenticate").and_then(|v| v.to_str().ok());
        challenge.and_then(tenant_of_challenge).ok_or_else(|| TokenError::NoTenant {
            subscription_id,
            reason: format!("HTTP status {} without a challenge that names the tenant", answer.status()),
        })
    }

    async fn exchange(
        &self,
        url: &Url,
        request: impl Fn() -> Result<http::Request<Bytes>, TokenError>,
        deadline: Instant,
        cancel: &CancellationToken,
    ) -> Result<http::Response<Bytes>, TokenError> {
        let mut backoff = Backoff::new(4);
        loop {
            let answer = tokio::select! {
                answer = self.transport.send(request()?) => answer,
                () = cancel.cancelled() => return Err(TokenError::Cancelled),
                () = tokio::time::sleep_until(deadline) => return Err(TokenError::Timeout),
            };
            let pause = match answer {
                Ok(answer) if answer.status().is_server_error() || answer.status().as_u16() == 429 => {
                    match backoff.next() {
                        Some(pause) => retry_after(answer.headers()).map_or(pause, |said| said.max(pause)),
                        None => return Ok(answer),
                    }
                }
                Ok(answer) => return Ok(answer),
                // Asking for a token changes nothing, so even a request that may have arrived is repeated.
                Err(source) => match source.can_be_repeated().then(|| backoff.next()).flatten() {
                    Some(pause) => pause,
                    None => {
                        let host = url.host_str().unwrap_or_default().to_owned();
                        return Err(TokenError::Unreachable { host, source });
                    }
                },
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => return Err(TokenError::Cancelled),
                () = tokio::time::sleep_until(deadline) => return Err(TokenError::Timeout),
            }
        }
    }

    fn refused(&self, tenant: &str, status: http::StatusCode, body: &Value) -> TokenError {
        let error = body["error"].as_str().unwrap_or_default();
        let description = body["error_description"].as_str().unwrap_or(error);
        // The trace ids that follow are for Microsoft's support; the first line says what is wrong.
        let description = description.split(" Trace ID:").next().unwrap_or(description);
        let description = description.lines().next().unwrap_or_default().trim();
        let code = description.split(':').next().filter(|c| c.starts_with("AADSTS")).unwrap_or(error);
        TokenError::Refused {
            client_id: self.credentials.client_id.clone(),
            tenant_id: tenant.to_owned(),
            hint: hint(code).to_owned(),
            code: code.to_owned(),
            description: if description.is_empty() {
                format!("HTTP status {status}")
            } else {
                description.to_owned()
            },
        }
    }
}

/// `Bearer authorization_uri="https://login.windows.net/{tenant}", …`
fn tenant_of_challenge(challenge: &str) -> Option<String> {
    let after = challenge.split("authorization_uri=").nth(1)?.trim_start_matches('"');
    let uri = after.split(['"', ',']).next()?.trim_end_matches('/');
    let tenant = uri.rsplit('/').next()?;
    let valid = !tenant.is_empty() && tenant.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    valid.then(|| tenant.to_owned())
}

fn hint(code: &str) -> &'static str {
    match code {
        "AADSTS7000215" => {
            "client_secret is not the secret's value; take the value (not the id) that was shown when the secret was made"
        }
        "AADSTS7000222" => {
            "the secret has expired; make a new one with: az ad app credential reset --id <client_id>"
        }
        "AADSTS700016" => "client_id is not an application of this tenant; check client_id and tenant_id",
        "AADSTS90002" | "AADSTS900023" => {
            "the tenant does not exist in this cloud; check tenant_id and cloud_environment_name"
        }
        "AADSTS7000216" => "client_secret is empty",
        "AADSTS500011" | "AADSTS70011" => {
            "this cloud does not know the resource that the token is for; check cloud_environment_name"
        }
        "AADSTS53003" => {
            "a conditional access policy forbids the login from here; ask the tenant's administrators"
        }
        _ => "check tenant_id, client_id and client_secret",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::NamedCloud;
    use crate::testing::Script;

    fn source(script: &Arc<Script>, tenant: Option<&str>) -> TokenSource {
        let credentials = Credentials {
            tenant_id: tenant.map(str::to_owned),
            client_id: "app".into(),
            client_secret: Secret::new("p&ss=wörd"),
            subscription_id: "sub".into(),
        };
        TokenSource::new(script.clone(), NamedCloud::Public.cloud(), credentials, Redactor::new())
    }

    fn token(name: &str, seconds: &str) -> String {
        format!(r#"{{"access_token":"{name}","expires_in":{seconds}}}"#)
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_kept_renewed_before_its_end_and_replaced_when_rejected() {
        let script = Arc::new(Script::new().on(
            "POST /t/oauth2/v2.0/token",
            [(200, token("one", "3600")), (200, token("two", r#""3600""#)), (200, token("three", "60"))],
        ));
        let source = source(&script, Some("t"));
        let cancel = CancellationToken::new();
        let one = source.get(&cancel).await.unwrap();
        assert_eq!(one.value.expose(), "one");
        tokio::time::advance(Duration::from_secs(3000)).await;
        assert_eq!(source.get(&cancel).await.unwrap().value.expose(), "one");
        tokio::time::advance(Duration::from_secs(400)).await;
        let two = source.get(&cancel).await.unwrap();
        assert_eq!(two.value.expose(), "two");
        source.reject(&one).await;
        assert_eq!(
            source.get(&cancel).await.unwrap().value.expose(),
            "two",
            "a stale rejection changes nothing"
        );
        source.reject(&two).await;
        assert_eq!(source.get(&cancel).await.unwrap().value.expose(), "three");
        let sent = script.bodies("POST");
        assert!(sent[0].contains("client_secret=p%26ss%3Dw%C3%B6rd"), "{}", sent[0]);
        assert!(sent[0].contains("scope=https%3A%2F%2Fmanagement.azure.com%2F.default"));
        assert_eq!(format!("{two:?}"), "Token(generation 2)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_what_to_do_and_is_not_repeated() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: x Correlation ID: y"}"#;
        let script = Arc::new(Script::new().on("POST /t/oauth2/v2.0/token", [(401, body)]));
        let error = source(&script, Some("t")).get(&CancellationToken::new()).await.unwrap_err().to_string();
        assert!(error.contains("AADSTS7000215: Invalid client secret provided."), "{error}");
        assert!(error.contains("not the secret's value") && !error.contains("Trace ID"), "{error}");
        assert_eq!(script.count("POST"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_token_service_is_asked_again_and_the_tenant_is_discovered() {
        let script = Arc::new(
            Script::new()
                .on_with(
                    "GET /subscriptions/sub",
                    [(
                        401,
                        r#"www-authenticate: Bearer authorization_uri="https://login.windows.net/11-22", error="invalid_token""#,
                        "",
                    )],
                )
                .on("POST /11-22/oauth2/v2.0/token", [(503, String::new()), (200, token("x", "100"))]),
        );
        let source = source(&script, None);
        let token = source.get(&CancellationToken::new()).await.unwrap();
        assert_eq!(token.value.expose(), "x");
        assert_eq!(source.tenant_id().await.as_deref(), Some("11-22"));
    }

    #[tokio::test]
    async fn cancelling_ends_the_wait() {
        let script = Arc::new(Script::new().hang("POST /t/oauth2/v2.0/token"));
        let source = source(&script, Some("t"));
        let cancel = CancellationToken::new();
        let (result, ()) = tokio::join!(source.get(&cancel), async { cancel.cancel() });
        assert!(matches!(result, Err(TokenError::Cancelled)));
    }
}
