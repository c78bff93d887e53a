//! Host side of `http`. Nothing here happens without a grant of the operator; a refusal is an ordinary error that names
//! the grant.

use std::sync::Arc;
use std::time::Duration;

use fornax_core::plugin::Capability;
use url::Url;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::http;
use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::http::{HttpBody, HttpError, HttpRequest, HttpResponse, REDIRECTS, redirected};
use crate::policy::flag_for;
use crate::resources::{HostFile, WorkspaceHandle};
use crate::state::{Answer, State};

const BODY: usize = 1024 * 1024;
const HTTP_TIMEOUT: Duration = Duration::from_secs(300);

impl State {
    pub(crate) fn denied(&self, what: &str, capability: &Capability) -> Error {
        let message = match self.rights.denial(capability) {
            Some(told) => format!("{what} was taken away from this plugin ({told})"),
            None => {
                format!("{what} was not granted to this plugin ({})", flag_for(&self.plugin_name, capability))
            }
        };
        self.error(ErrorCode::Denied, message)
    }

    fn allowed_url(&self, url: &str) -> Result<Url, Error> {
        let url = Url::parse(url)
            .map_err(|e| self.error(ErrorCode::InvalidArgument, format!("{url:?} is no URL: {e}")))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(self.error(ErrorCode::InvalidArgument, format!("{url} names no host")));
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(self
                .error(ErrorCode::InvalidArgument, format!("{}: is neither http nor https", url.scheme())));
        }
        if !self.rights.allows_host(host, port) {
            let host = if url.port().is_some() { format!("{host}:{port}") } else { host.to_owned() };
            return Err(
                self.denied(&format!("a connection to {host}"), &Capability::Network(vec![host.clone()]))
            );
        }
        Ok(url)
    }

    fn http_error(&self, error: &HttpError) -> Error {
        let code = match error {
            HttpError::Timeout { .. } => ErrorCode::Timeout,
            HttpError::TooLarge { .. } => ErrorCode::TooLarge,
            HttpError::Failed(_) => ErrorCode::Io,
        };
        self.error(code, error.to_string())
    }

    async fn exchange(
        &mut self,
        request: &http::Request,
        body: HttpBody,
        store: Option<std::path::PathBuf>,
    ) -> Result<HttpResponse, Error> {
        self.only_while_working("http")?;
        let url = self.allowed_url(&request.url)?;
        let Some(client) = self.http.clone() else {
            return Err(self.error(ErrorCode::Unsupported, "this engine was started without an HTTP client"));
        };
        let timeout = request.timeout_ms.map_or(HTTP_TIMEOUT, Duration::from_millis);
        let stop = self.stop(false, Some(timeout));
        let mut headers: Vec<(String, fornax_core::Secret)> = Vec::new();
        for (name, value) in &request.headers {
            let value = self.sealer.unseal_raw(value);
            if value.expose().contains(['\r', '\n', '\0']) || name.contains(['\r', '\n', '\0', ':']) {
                return Err(self
                    .error(ErrorCode::InvalidArgument, format!("the header {name:?} has a line end in it")));
            }
            headers.push((name.clone(), value));
        }
        let mut attempt = HttpRequest {
            method: request.method.clone(),
            url: url.to_string(),
            headers,
            body,
            timeout,
            store,
            limit: BODY,
        };
        for _ in 0..=REDIRECTS {
            let response = stop
                .run("the request", client.send(attempt.clone()))
                .await?
                .map_err(|e| self.http_error(&e))?;
            match redirected(&attempt, &response).map_err(|e| self.http_error(&e))? {
                None => return Ok(response),
                Some(next) => {
                    self.allowed_url(&next.url)?;
                    attempt = next;
                }
            }
        }
        Err(self.error(ErrorCode::Io, format!("more than {REDIRECTS} redirections")))
    }

    fn mask_response(&self, response: HttpResponse) -> http::Response {
        let mut mask = self.redactor.stream();
        let mut body = mask.push(&response.body);
        body.extend(mask.finish());
        http::Response {
            status: response.status,
            headers: response.headers.into_iter().map(|(n, v)| (n, self.redactor.redact(&v))).collect(),
            body,
        }
    }
}

impl http::Host for State {
    async fn send(&mut self, request: http::Request, body: http::Body) -> Answer<http::Response> {
        let body = match body {
            http::Body::Empty => HttpBody::Empty,
            http::Body::Text(text) => HttpBody::Text(self.sealer.unseal_raw(&text)),
            http::Body::File(file) => HttpBody::File(self.table.get(&file)?.path.clone()),
        };
        Ok(self.exchange(&request, body, None).await.map(|r| self.mask_response(r)))
    }

    async fn fetch(
        &mut self,
        request: http::Request,
        into: Resource<WorkspaceHandle>,
        to: String,
    ) -> Answer<Resource<HostFile>> {
        let folder = Arc::clone(&self.table.get(&into)?.folder);
        let part = folder.parts().join(crate::random_hex::<8>());
        let response = match self.exchange(&request, HttpBody::Empty, Some(part.clone())).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(error)),
        };
        if !(200..300).contains(&response.status) {
            return Ok(Err(self
                .error(ErrorCode::Io, format!("{} answered with status {}", request.url, response.status))));
        }
        let target = match folder.place_for(&to) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.path_error(&error))),
        };
        match std::fs::rename(&part, &target) {
            Ok(()) => Ok(Ok(self.file_in(&folder, target)?)),
            Err(error) => Ok(Err(self.io_error(&to, &error))),
        }
    }
}
