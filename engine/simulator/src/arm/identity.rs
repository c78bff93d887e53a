//! Entra's side: tokens, the OpenID configuration, the metadata document.
//!
//! A token is a JWT signed with a keyed digest of this process; only the simulator checks it. Nothing is stored for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::call::Call;
use super::reply::{Answer, ArmError, Outcome, gateway};
use crate::Simulator;

/// Seconds a token lives, as with Entra.
const LIFETIME: u64 = 3599;

/// `POST /{tenant}/oauth2/v2.0/token` and `POST /{tenant}/oauth2/token`.
pub(crate) fn token(sim: &Simulator, call: &Call, lifetime: Option<u64>) -> Answer {
    let form: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(call.raw_body()).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let tenant = call.segment(0);
    let known = &sim.credentials;
    let client = field("client_id");
    let refuse =
        |status: u16, error: &str, code: u32, text: String| refusal(call, status, error, code, &text);
    if !sim.accept_any && !tenant.eq_ignore_ascii_case(&known.tenant_id) {
        return refuse(
            400,
            "invalid_request",
            90002,
            format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
             correct cloud. Check with your subscription administrator, this may happen if there are no active \
             subscriptions for the tenant."
            ),
        );
    }
    if field("grant_type") != "client_credentials" {
        return refuse(
            400,
            "unsupported_grant_type",
            70003,
            format!("The app requested an unsupported grant type '{}'.", field("grant_type")),
        );
    }
    if client.is_empty() {
        return refuse(
            400,
            "invalid_request",
            900144,
            "The request body must contain the following parameter: 'client_id'.".into(),
        );
    }
    if !sim.accept_any && !client.eq_ignore_ascii_case(&known.client_id) {
        return refuse(
            400,
            "unauthorized_client",
            700016,
            format!(
                "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant."
            ),
        );
    }
    let version_one = call.lower.get(2).is_some_and(|s| s == "token");
    let audience = if version_one { field("resource") } else { field("scope") };
    if audience.is_empty() {
        let name = if version_one { "resource" } else { "scope" };
        return refuse(
            400,
            "invalid_request",
            900144,
            format!("The request body must contain the following parameter: '{name}'."),
        );
    }
    if !version_one && !audience.ends_with("/.default") {
        return refuse(
            400,
            "invalid_scope",
            70011,
            format!(
                "The provided value for the input parameter 'scope' is not valid. The scope {audience} is not valid."
            ),
        );
    }
    if form.contains_key("client_assertion") && !sim.accept_any {
        return refuse(
            401,
            "invalid_client",
            700027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application \
             '{client}'. The simulator knows client secrets only."
            ),
        );
    }
    if !form.contains_key("client_assertion") {
        if field("client_secret").is_empty() {
            return refuse(400, "invalid_request", 7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant \
                 type.".into());
        }
        if !sim.accept_any && field("client_secret") != known.client_secret {
            return refuse(
                401,
                "invalid_client",
                7000215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{client}'."
                ),
            );
        }
    }
    let now = call.now.as_second();
    let life = lifetime.unwrap_or(LIFETIME);
    let expires = now.saturating_add(i64::try_from(life).unwrap_or(i64::MAX));
    let claims = json!({
        "aud": audience.trim_end_matches("/.default"), "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": now, "nbf": now, "exp": expires, "appid": client, "appidacr": "1", "idtyp": "app", "tid": tenant,
        "oid": principal(client), "sub": principal(client), "ver": "1.0",
        "uti": uuid::Uuid::new_v4().simple().to_string() });
    let access_token = sign(sim, &claims);
    let body = if version_one {
        json!({ "token_type": "Bearer", "expires_in": life.to_string(), "ext_expires_in": life.to_string(),
                "expires_on": expires.to_string(), "not_before": now.to_string(), "resource": audience,
                "access_token": access_token })
    } else {
        json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": access_token })
    };
    Answer::json(200, body).with("cache-control", "no-store, no-cache")
}

fn refusal(call: &Call, status: u16, error: &str, code: u32, text: &str) -> Answer {
    let (trace, correlation) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
    let time = call.now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    Answer::json(
        status,
        json!({ "error": error,
            "error_description": format!(
                "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"),
            "error_codes": [code], "timestamp": time, "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("{}/error?code={code}", call.base) }),
    )
}

/// The object id of a client's service principal: always the same, and not the client id.
fn principal(client: &str) -> String {
    let digest = Sha256::digest(client.to_ascii_lowercase().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn sign(sim: &Simulator, claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256","kid":"simulator"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signature(sim, &signed);
    format!("{signed}.{signature}")
}

fn signature(sim: &Simulator, text: &str) -> String {
    // Two rounds with the key in front: one alone could be extended.
    let inner = Sha256::new().chain_update(sim.token_key).chain_update(text).finalize();
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(sim.token_key).chain_update(inner).finalize())
}

/// The client id of a valid bearer token; otherwise a 401 with the challenge that names the tenant.
pub(crate) fn authenticate(sim: &Simulator, call: &Call, authorization: Option<&str>) -> Outcome<String> {
    let token = authorization.and_then(|a| {
        let (scheme, token) = a.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let Some(token) = token else {
        return Err(challenge(
            sim,
            call,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ));
    };
    let invalid = || challenge(sim, call, "InvalidAuthenticationToken", "The access token is invalid.");
    let (signed, given) = token.rsplit_once('.').ok_or_else(invalid)?;
    if signature(sim, signed) != given {
        return Err(invalid());
    }
    let claims =
        signed.split_once('.').and_then(|(_, c)| URL_SAFE_NO_PAD.decode(c).ok()).ok_or_else(invalid)?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|_| invalid())?;
    let expires = claims["exp"].as_i64().unwrap_or_default();
    if expires <= call.now.as_second() {
        let when = jiff::Timestamp::from_second(expires).unwrap_or_default().strftime("%m/%d/%Y %H:%M:%S");
        let now = call.now.strftime("%m/%d/%Y %H:%M:%S");
        return Err(challenge(
            sim,
            call,
            "ExpiredAuthenticationToken",
            &format!("The access token expiry UTC time '{when}' is earlier than current UTC time '{now}'."),
        ));
    }
    let audience = claims["aud"].as_str().unwrap_or_default().trim_end_matches('/');
    let host = |url: &str| url::Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
    let fits =
        host(audience).is_some_and(|h| Some(&h) == host(&call.base).as_ref() || h.starts_with("management."));
    if !fits {
        return Err(challenge(
            sim,
            call,
            "InvalidAuthenticationTokenAudience",
            &format!(
                "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match \
             with one of the allowed audiences '{}'.",
                call.base
            ),
        ));
    }
    Ok(claims["appid"].as_str().unwrap_or_default().to_owned())
}

fn challenge(sim: &Simulator, call: &Call, code: &str, message: &str) -> ArmError {
    let mut error = gateway(401, code, message);
    error.headers.push((
        "www-authenticate".to_owned(),
        format!(
            "Bearer authorization_uri=\"{}/{}\", error=\"invalid_token\", error_description=\"{message}\"",
            call.base, sim.credentials.tenant_id
        ),
    ));
    error
}

/// `GET /metadata/endpoints`: an object for newer versions, an array for older ones.
pub(crate) fn metadata(call: &Call) -> Answer {
    let base = &call.base;
    let document = json!({
        "name": "AzureCloud", "portal": base,
        "authentication": { "loginEndpoint": format!("{base}/"), "audiences": [format!("{base}/"), base],
                            "tenant": "common", "identityProvider": "AAD" },
        "resourceManager": format!("{base}/"), "graph": format!("{base}/"), "graphAudience": format!("{base}/"),
        "microsoftGraphResourceId": format!("{base}/"), "media": base, "batch": base, "gallery": base,
        "sqlManagement": base, "vmImageAliasDoc": format!("{base}/aliases.json"), "activeDirectoryDataLake": base,
        "suffixes": { "storage": "core.windows.net", "keyVaultDns": "vault.azure.net",
                      "sqlServerHostname": "database.windows.net", "acrLoginServer": "azurecr.io" } });
    let old = call.api_version() < "2022" && !call.api_version().is_empty();
    Answer::json(200, if old { json!([document]) } else { document })
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration` (and without the version).
pub(crate) fn openid_configuration(call: &Call) -> Answer {
    let base = format!("{}/{}", call.base, call.segment(0));
    Answer::json(
        200,
        json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"), "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["token"], "scopes_supported": ["openid"], "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"), "tenant_region_scope": "EU" }),
    )
}
