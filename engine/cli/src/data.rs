//! Data sources: `null` gives back what it gets, `http` reads a page.

use std::time::Duration;

use async_trait::async_trait;
use fornax_core::builder::Description;
use fornax_core::diagnostic::nearest;
use fornax_core::hcl::{Type, Val};
use fornax_core::plugin::{Capability, CapabilityRequest};
use fornax_core::secret::Secret;
use fornax_core::template::hcl::DataSources;
use fornax_core::value::{Node, Text, Value};
use fornax_core::{Diagnostic, Diagnostics};
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

    fn check(&self, type_name: &str, config: &Node) -> Diagnostics {
        let schema = describe(type_name).schema;
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let known = || properties.keys().map(String::as_str);
        let mut found = Diagnostics::new();
        let mut misspelt = Vec::new();
        for member in config.members() {
            let is_map = properties.get(&member.key).is_some_and(|p| p["type"] == "object");
            let fits = match &member.value.value {
                Value::Unknown | Value::Null => true,
                Value::Object(_) => is_map,
                Value::Array(_) => false,
                _ => !is_map,
            };
            if !properties.contains_key(&member.key) {
                let near = nearest(&member.key, known());
                let finding = Diagnostic::error(
                    "data/unknown-argument",
                    format!("the data source \"{type_name}\" has no argument \"{}\"", member.key),
                )
                .at(&member.key_span);
                misspelt.extend(near);
                let names: Vec<&str> = known().collect();
                found.push(match near {
                    Some(near) => finding.help(format!("did you mean \"{near}\"?")),
                    None => finding.help(format!("known are {}", names.join(", "))),
                });
            } else if !fits {
                let wanted = if is_map { "a map of texts" } else { "a text" };
                found.push(
                    Diagnostic::error(
                        "data/wrong-type",
                        format!("\"{}\" must be {wanted}, not {}", member.key, member.value.kind()),
                    )
                    .at(&member.value.span),
                );
            }
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
        for name in required.filter(|name| config.get(name).is_none() && !misspelt.contains(name)) {
            found.push(
                Diagnostic::error(
                    "data/missing-argument",
                    format!("the data source \"{type_name}\" needs \"{name}\""),
                )
                .at(&config.head())
                .help(format!("add {name} = …")),
            );
        }
        if let Some(method) = config.get("method").and_then(Node::as_text)
            && !METHODS.contains(&method.expose().as_str())
        {
            found.push(
                Diagnostic::error("data/http", "this is no method of HTTP")
                    .at(&config.get("method").unwrap_or(config).span)
                    .help(format!("known are {}", METHODS.join(", "))),
            );
        }
        found
    }

    async fn read(&self, type_name: &str, config: &Node) -> Result<Val, Diagnostic> {
        match type_name {
            "null" => {
                let input = match config.get("input").map(|n| &n.value) {
                    Some(Value::String(text)) => Val::String(text.clone()),
                    Some(Value::Number(number)) => Val::string(number.to_string()),
                    Some(Value::Bool(value)) => Val::string(value.to_string()),
                    _ => Val::Null(Type::String),
                };
                Ok(Val::object([("output", input)]))
            }
            _ => self.page(config).await,
        }
    }
}

#[cfg(test)]
mod tests;
