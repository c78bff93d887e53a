//! Which Azure: where tokens come from and where resources are managed. Three clouds are known by name; any other
//! describes itself at `{host}/metadata/endpoints`. A description that can't be had is an error: falling back to the
//! public cloud would send the client secret to somebody else.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::retry::Backoff;
use crate::transport::{Transport, TransportError};

const API_VERSION: &str = "2022-09-01";
const LIMIT: Duration = Duration::from_secs(60);

/// The endpoints of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    pub name: String,
    /// Where resources are managed; without a path.
    pub resource_manager: Url,
    /// Where tokens are issued; without a path.
    pub login: Url,
    /// What a token is asked for.
    pub scope: String,
    /// For the address of boot diagnostics: `core.windows.net`.
    pub storage_suffix: String,
}

/// The clouds that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedCloud {
    Public,
    UsGovernment,
    China,
}

impl NamedCloud {
    /// The names that Packer's users write, compared without case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "public" | "publiccloud" | "azurepublic" | "azurepubliccloud" | "azurecloud" => {
                Some(Self::Public)
            }
            "usgovernment" | "usgovernmentcloud" | "azureusgovernment" | "azureusgovernmentcloud" => {
                Some(Self::UsGovernment)
            }
            "china" | "chinacloud" | "azurechina" | "azurechinacloud" => Some(Self::China),
            _ => None,
        }
    }

    pub fn cloud(self) -> Cloud {
        let (name, arm, login, scope, storage) = match self {
            Self::Public => (
                "AzureCloud",
                "https://management.azure.com",
                "https://login.microsoftonline.com",
                "https://management.azure.com/.default",
                "core.windows.net",
            ),
            Self::UsGovernment => (
                "AzureUSGovernment",
                "https://management.usgovcloudapi.net",
                "https://login.microsoftonline.us",
                "https://management.core.usgovcloudapi.net/.default",
                "core.usgovcloudapi.net",
            ),
            Self::China => (
                "AzureChinaCloud",
                "https://management.chinacloudapi.cn",
                "https://login.chinacloudapi.cn",
                "https://management.chinacloudapi.cn/.default",
                "core.chinacloudapi.cn",
            ),
        };
        let url = |text: &str| Url::parse(text).expect("the addresses of the named clouds are well formed");
        Cloud {
            name: name.into(),
            resource_manager: url(arm),
            login: url(login),
            scope: scope.into(),
            storage_suffix: storage.into(),
        }
    }
}

/// Why a cloud could not be found.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error("cancelled")]
    Cancelled,
    #[error("the metadata host {0:?} is not an address: write a URL such as https://management.example.com")]
    Address(String),
    #[error(
        "the metadata host {host} does not use https; a client secret is sent only over TLS (plain http is accepted for \
         loopback addresses)"
    )]
    Insecure { host: String },
    #[error(
        "the cloud's description at {url} can't be read: {source}; check metadata_host (or ARM_METADATA_URL) and, \
             for a certificate of your own authority, SSL_CERT_FILE"
    )]
    Unreachable { url: String, source: TransportError },
    #[error(
        "the cloud's description at {url} can't be used: {reason}; check metadata_host (or ARM_METADATA_URL)"
    )]
    Unusable { url: String, reason: String },
}

/// The base URL of a metadata host as people write it: with a scheme, or a bare host name.
pub fn metadata_url(host: &str) -> Result<Url, CloudError> {
    let text = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
    let mut url = Url::parse(text.trim_end_matches('/')).map_err(|_| CloudError::Address(host.to_owned()))?;
    if !url.has_host() || !matches!(url.scheme(), "https" | "http") {
        return Err(CloudError::Address(host.to_owned()));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(CloudError::Insecure { host: host.to_owned() });
    }
    url.set_path("/metadata/endpoints");
    url.set_query(Some(&format!("api-version={API_VERSION}")));
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Reads a cloud's description of itself; no credentials are sent.
pub async fn discover(
    transport: &dyn Transport,
    host: &str,
    cancel: &CancellationToken,
) -> Result<Cloud, CloudError> {
    let url = metadata_url(host)?;
    let mut backoff = Backoff::new(4);
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let request = http::Request::get(url.as_str())
            .header("accept", "application/json")
            .header("user-agent", crate::USER_AGENT)
            .body(Bytes::new())
            .map_err(|e| CloudError::Unusable { url: url.to_string(), reason: e.to_string() })?;
        let answer = tokio::select! {
            answer = transport.send(request) => answer,
            () = cancel.cancelled() => return Err(CloudError::Cancelled),
            () = tokio::time::sleep_until(deadline) => {
                return Err(CloudError::Unusable { url: url.to_string(), reason: "no answer within 60 s".into() });
            }
        };
        let pause = match answer {
            Ok(answer) if answer.status().is_success() => return parse(url.as_str(), answer.body()),
            Ok(answer) => {
                let status = answer.status();
                let busy = status.is_server_error() || status.as_u16() == 429;
                match busy.then(|| backoff.next()).flatten() {
                    Some(pause) => pause,
                    None => {
                        return Err(CloudError::Unusable {
                            url: url.to_string(),
                            reason: format!("it answers with HTTP status {status}"),
                        });
                    }
                }
            }
            Err(source) => match source.can_be_repeated().then(|| backoff.next()).flatten() {
                Some(pause) => pause,
                None => return Err(CloudError::Unreachable { url: url.to_string(), source }),
            },
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => return Err(CloudError::Cancelled),
        }
    }
}

fn parse(url: &str, body: &[u8]) -> Result<Cloud, CloudError> {
    let unusable = |reason: &str| CloudError::Unusable { url: url.to_owned(), reason: reason.to_owned() };
    let document: Value =
        serde_json::from_slice(body).map_err(|e| unusable(&format!("it is not JSON ({e})")))?;
    // Older versions of the document are a list with one entry for each cloud; the first one is the host's own.
    let own = match &document {
        Value::Array(clouds) => clouds.first().unwrap_or(&Value::Null),
        single => single,
    };
    let text = |pointer: &str| own.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty());
    let address = |pointer: &str| {
        let value = text(pointer).ok_or_else(|| unusable(&format!("it has no {pointer}")))?;
        let url = Url::parse(value.trim_end_matches('/'))
            .ok()
            .filter(|u| u.has_host() && matches!(u.scheme(), "https" | "http"))
            .ok_or_else(|| unusable(&format!("{pointer} is not an address: {value:?}")))?;
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(unusable(&format!("{pointer} is not an https address: {value:?}")));
        }
        Ok(url)
    };
    let resource_manager = address("/resourceManager")?;
    let login = address("/authentication/loginEndpoint")?;
    Ok(Cloud {
        name: text("/name").unwrap_or("custom").to_owned(),
        scope: format!("{}/.default", resource_manager.as_str().trim_end_matches('/')),
        storage_suffix: text("/suffixes/storage").unwrap_or("core.windows.net").to_owned(),
        resource_manager,
        login,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    #[test]
    fn names_are_compared_without_case() {
        for (name, cloud) in [
            ("public", Some(NamedCloud::Public)),
            ("AzurePublicCloud", Some(NamedCloud::Public)),
            ("AzureUSGovernmentCloud", Some(NamedCloud::UsGovernment)),
            ("CHINA", Some(NamedCloud::China)),
            ("German", None),
            ("Mars", None),
        ] {
            assert_eq!(NamedCloud::parse(name), cloud, "{name}");
        }
    }

    #[test]
    fn a_metadata_host_needs_tls_unless_it_is_this_machine() {
        assert_eq!(
            metadata_url("https://h:8443/").unwrap().as_str(),
            "https://h:8443/metadata/endpoints?api-version=2022-09-01"
        );
        assert_eq!(metadata_url("h").unwrap().host_str(), Some("h"));
        assert!(metadata_url("http://127.0.0.1:1").is_ok());
        assert!(matches!(metadata_url("http://example.com"), Err(CloudError::Insecure { .. })));
        assert!(matches!(metadata_url("ftp://x"), Err(CloudError::Address(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_description_is_read_and_its_absence_is_an_error() {
        let good = r#"{"name":"X","resourceManager":"https://arm.example/","authentication":{"loginEndpoint":"https://login.example/"},"suffixes":{"storage":"s.example"}}"#;
        let script = Script::new().on("GET /metadata/endpoints", [(503, ""), (200, good)]);
        let cloud = discover(&script, "https://arm.example", &CancellationToken::new()).await.unwrap();
        assert_eq!((cloud.name.as_str(), cloud.scope.as_str()), ("X", "https://arm.example/.default"));
        assert_eq!(cloud.storage_suffix, "s.example");

        for (status, body) in
            [(404, ""), (200, "[]"), (200, "<html>"), (200, r#"{"resourceManager":"http://a.b"}"#)]
        {
            let script = Script::new().on("GET /metadata/endpoints", [(status, body)]);
            let error =
                discover(&script, "https://arm.example", &CancellationToken::new()).await.unwrap_err();
            assert!(error.to_string().contains("metadata_host"), "{error}");
        }
    }
}
