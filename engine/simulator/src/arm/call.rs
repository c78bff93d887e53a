//! A request, taken apart.

use std::collections::HashMap;

use bytes::Bytes;
use http::request::Parts;
use jiff::Timestamp;
use serde_json::Value;

use super::reply::{Outcome, gateway};
use super::versions::Kind;
use crate::fault::OperationPlan;

/// What the handlers see of a request.
pub(crate) struct Call {
    pub method: String,
    /// Decoded path segments as written, and the same in lower case.
    pub segments: Vec<String>,
    pub lower: Vec<String>,
    query: HashMap<String, String>,
    body: Bytes,
    /// Scheme and host of the request, no trailing slash.
    pub base: String,
    /// Client id of the token.
    pub client: String,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// The client's id of the request, where it wants it back.
    pub echo: Option<String>,
    pub now: Timestamp,
    /// What faults do to the operation that this request starts.
    pub plan: OperationPlan,
}

impl Call {
    pub fn new(parts: &Parts, body: Bytes, endpoint: &str, now: Timestamp) -> Call {
        let segments: Vec<String> =
            parts.uri.path().split('/').filter(|s| !s.is_empty()).map(percent_decode).collect();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(key, value)| (key.to_ascii_lowercase(), value.into_owned()))
            .collect();
        let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let base = match (parts.uri.scheme_str(), parts.uri.authority(), header("host")) {
            (Some(scheme), Some(authority), _) => format!("{scheme}://{authority}"),
            (_, _, Some(host)) => format!("https://{host}"),
            _ => endpoint.to_owned(),
        };
        Call {
            method: parts.method.as_str().to_ascii_uppercase(),
            lower: segments.iter().map(|s| s.to_lowercase()).collect(),
            segments,
            query,
            body,
            base,
            client: String::new(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            echo: header("x-ms-return-client-request-id")
                .filter(|wanted| wanted.eq_ignore_ascii_case("true"))
                .and_then(|_| header("x-ms-client-request-id")),
            now,
            plan: OperationPlan::default(),
        }
    }

    /// A query parameter; names are compared without case.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    pub fn api_version(&self) -> &str {
        self.query("api-version").unwrap_or_default()
    }

    pub fn raw_body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a JSON object.
    pub fn object(&self) -> Outcome<Value> {
        let problem = |text: String| {
            gateway(
                400,
                "InvalidRequestContent",
                format!("The request content was invalid and could not be deserialized: '{text}'."),
            )
        };
        if self.body.is_empty() {
            return Err(problem("The request body is empty".into()));
        }
        match serde_json::from_slice(&self.body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(problem("Expected a JSON object".into())),
            Err(e) => Err(problem(e.to_string())),
        }
    }

    /// Refuses everything but reading.
    pub fn only_get(&self) -> Outcome<()> {
        if self.method == "GET" { Ok(()) } else { Err(self.method_not_allowed()) }
    }

    pub fn method_not_allowed(&self) -> super::reply::ArmError {
        gateway(
            405,
            "MethodNotAllowed",
            format!("The http method '{}' is not supported for this resource.", self.method),
        )
    }

    /// Checks the api-version against what the type has.
    pub fn check_version(&self, kind: &Kind) -> Outcome<()> {
        let version = self.api_version();
        if version.is_empty() {
            return Err(gateway(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            ));
        }
        if kind.versions.iter().any(|v| v.eq_ignore_ascii_case(version)) {
            return Ok(());
        }
        let known = kind.versions.join(", ");
        let (namespace, kind) = kind.name.split_once('/').unwrap_or((kind.name, ""));
        if namespace == "Microsoft.Resources" {
            return Err(gateway(
                400,
                "InvalidApiVersionParameter",
                format!("The api-version '{version}' is invalid. The supported versions are '{known}'."),
            ));
        }
        Err(gateway(
            400,
            "NoRegisteredProviderFound",
            format!(
                "No registered resource provider found for API version '{version}' for type '{kind}'. The supported \
                 api-versions are '{known}'."
            ),
        ))
    }

    /// `/subscriptions/S/resourceGroups/G` as the request spells it.
    pub fn group_id(&self) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", self.segment(1), self.segment(3))
    }

    pub fn segment(&self, index: usize) -> &str {
        self.segments.get(index).map_or("", String::as_str)
    }
}

fn percent_decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
