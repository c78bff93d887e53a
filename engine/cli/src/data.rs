//! Data sources: `null` gives back what it gets, `http` reads a page.

use std::time::Duration;

use async_trait::async_trait;
use fornax_core::Diagnostic;
use fornax_core::builder::Description;
use fornax_core::hcl::{Type, Val};
use fornax_core::plugin::{Capability, CapabilityRequest};
use fornax_core::secret::Secret;
use fornax_core::template::hcl::DataSources;
use fornax_core::value::{Node, Text};
use fornax_plugin_host::Effective;
use fornax_plugin_host::http::{HttpBody, HttpClient, HttpRequest, REDIRECTS, redirected};
use serde_json::{Value as Json, json};

use crate::plugin_http::PluginHttp;

/// Bytes of a page.
const MAX_PAGE: usize = 16 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_METHOD: &str = "GET";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// The data sources of this binary.
pub struct BuiltInData {
    http: PluginHttp,
    rights: Effective,
}

impl BuiltInData {
    pub fn new(rights: Effective) -> Self {
        Self { http: PluginHttp::default(), rights }
    }

    /// What each data source says of itself, by name, with the rights that it needs.
    pub fn describe(&self) -> Vec<(&'static str, Description, Vec<CapabilityRequest>)> {
        let network = Capability::Network(vec!["*".to_owned()]);
        let rights = |name: &str| match name {
            "http" => vec![CapabilityRequest {
                granted: self.rights.covers(&network),
                capability: network.clone(),
                required: true,
                reason: "it reads the page that the template names".to_owned(),
            }],
            _ => Vec::new(),
        };
        TYPES.into_iter().map(|name| (name, describe(name), rights(name))).collect()
    }

    /// None: that is no URL.
    fn allows(&self, url: &str) -> Option<bool> {
        let url = http::Uri::try_from(url).ok()?;
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
        Some(self.rights.allows_host(url.host()?, port))
    }

    async fn page(&self, config: &Node) -> Result<Val, Diagnostic> {
        let text = |name: &str| config.get(name).and_then(Node::as_text).cloned().unwrap_or_default();
        let url = text("url");
        let failed = |message: String| {
            let finding = Diagnostic::error("data/http", format!("the page can't be read: {message}"));
            match config.get("url") {
                Some(node) => finding.at(&node.span),
                None => finding,
            }
        };
        let mut headers = Vec::new();
        for member in config.get("request_headers").map(Node::members).unwrap_or_default() {
            let value = member.value.as_text().map(Text::expose).unwrap_or_default();
            headers.push((member.key.clone(), Secret::new(value)));
        }
        let (body, method) = (text("request_body"), text("method").expose());
        let mut request = HttpRequest {
            method: if method.is_empty() { DEFAULT_METHOD.to_owned() } else { method },
            url: url.expose(),
            headers,
            body: if body.is_empty() { HttpBody::Empty } else { HttpBody::Text(Secret::new(body.expose())) },
            timeout: TIMEOUT,
            store: None,
            limit: MAX_PAGE,
        };
        let mut left = REDIRECTS;
        let response = loop {
            if !self.allows(&request.url).ok_or_else(|| failed("this is no URL".to_owned()))? {
                return Err(failed("the operator denies it the network".to_owned())
                    .help("run without --deny network, or give the value as a variable"));
            }
            let response = self.http.send(request.clone()).await.map_err(|e| failed(e.to_string()))?;
            match redirected(&request, &response).map_err(|e| failed(e.to_string()))? {
                None => break response,
                Some(_) if left == 0 => {
                    return Err(failed(format!("there are more than {REDIRECTS} redirections")));
                }
                Some(next) => request = next,
            }
            left -= 1;
        };
        if !(200..300).contains(&response.status) {
            return Err(failed(format!("the server answered {}", response.status)));
        }
        let kind = response
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map(|(_, value)| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .unwrap_or_default();
        if !kind.starts_with("text/") && kind != "application/json" {
            return Err(failed(format!("its type is {kind:?}, and only text and JSON can be used")));
        }
        let page = String::from_utf8(response.body).map_err(|_| failed("it is not UTF-8".to_owned()))?;
        let headers = response.headers.iter().map(|(k, v)| (k.clone(), Val::string(v)));
        Ok(Val::object([
            ("url", Val::String(url)),
            ("body", Val::string(page)),
            ("request_headers", Val::Map(Type::String, headers.collect())),
        ]))
    }
}

const TYPES: [&str; 2] = ["http", "null"];

/// What a data source says of itself.
fn describe(type_name: &str) -> Description {
    let schema = |required: &[&str], properties: Json| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    match type_name {
        "null" => Description {
            summary: "Gives back what it gets",
            docs: "`data.null.NAME.output` is the text of `input`.",
            schema: schema(&[], json!({"input": {"type": "string", "description": "The text."}})),
            examples: vec![json!({"input": "text"})],
        },
        _ => Description {
            summary: "Reads a page by HTTP",
            docs: "`data.http.NAME.body` is the page, a text or JSON in UTF-8 of at most 16 MiB; `request_headers` are \
                   the headers of the answer and `url` is the address. Redirections are followed; an answer that is no \
                   success fails the build.",
            schema: schema(
                &["url"],
                json!({
                    "url": {"type": "string", "description": "Address of the page."},
                    "method": {"type": "string", "enum": METHODS, "default": DEFAULT_METHOD,
                        "description": "Method of the request."},
                    "request_headers": {"type": "object", "additionalProperties": {"type": "string"},
                        "description": "Headers of the request."},
                    "request_body": {"type": "string", "description": "What is sent with it."}
                }),
            ),
            examples: vec![json!({
                "url": "https://example.org/versions.json", "request_headers": {"Accept": "application/json"}
            })],
        },
    }
}

#[async_trait]
impl DataSources for BuiltInData {
    fn types(&self) -> Vec<&'static str> {
        TYPES.to_vec()
    }

    fn output(&self, type_name: &str) -> Option<Type> {
        match type_name {
            "null" => Some(Type::object([("output", Type::String)])),
            "http" => Some(Type::object([
                ("url", Type::String),
                ("body", Type::String),
                ("request_headers", Type::map(Type::String)),
            ])),
            _ => None,
        }
    }

    fn schema(&self, type_name: &str) -> Json {
        describe(type_name).schema
    }

    async fn read(&self, type_name: &str, config: &Node) -> Result<Val, Diagnostic> {
        if type_name == "http" {
            return self.page(config).await;
        }
        let input = config.get("input").and_then(Node::as_text);
        Ok(Val::object([("output", input.map_or(Val::Null(Type::String), |text| Val::String(text.clone())))]))
    }
}

#[cfg(test)]
mod tests;
