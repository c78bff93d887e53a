//! Host side of the grantable interfaces: `http` and `host-exec`. Nothing here happens without a grant of the operator;
//! a refusal is an ordinary error that names the grant.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_core::communicator::{CommandEvent, ExitStatus, Running};
use fornax_core::plugin::Capability;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::bindings::host::fornax::plugin::{host_exec, http, machine};
use crate::http::{HttpBody, HttpError, HttpRequest, HttpResponse};
use crate::policy::flag_for;
use crate::resources::{HostFile, WorkspaceHandle};
use crate::state::{Answer, State};

const BODY: usize = 1024 * 1024;
const REDIRECTS: usize = 10;
const HTTP_TIMEOUT: Duration = Duration::from_secs(300);

impl State {
    fn denied(&self, what: &str, capability: &Capability) -> Error {
        self.error(
            ErrorCode::Denied,
            format!("{what} was not granted to this plugin ({})", flag_for(&self.plugin_name, capability)),
        )
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

    async fn exchange(
        &mut self,
        request: &http::Request,
        body: HttpBody,
        store: Option<std::path::PathBuf>,
    ) -> Result<HttpResponse, Error> {
        self.only_while_working("http")?;
        let mut url = self.allowed_url(&request.url)?;
        let Some(client) = self.http.clone() else {
            return Err(self.error(ErrorCode::Unsupported, "this engine was started without an HTTP client"));
        };
        let timeout = request.timeout_ms.map_or(HTTP_TIMEOUT, Duration::from_millis);
        let stop = self.stop(false, Some(timeout));
        let (mut method, mut body) = (request.method.clone(), body);
        let mut headers: Vec<(String, fornax_core::Secret)> = Vec::new();
        for (name, value) in &request.headers {
            let value = self.sealer.unseal_raw(value);
            if value.expose().contains(['\r', '\n', '\0']) || name.contains(['\r', '\n', '\0', ':']) {
                return Err(self
                    .error(ErrorCode::InvalidArgument, format!("the header {name:?} has a line end in it")));
            }
            headers.push((name.clone(), value));
        }
        for _ in 0..=REDIRECTS {
            let attempt = HttpRequest {
                method: method.clone(),
                url: url.to_string(),
                headers: headers.clone(),
                body: body.clone(),
                timeout,
                store: store.clone(),
                limit: BODY,
            };
            let response = match stop.run("the request", client.send(attempt)).await? {
                Ok(response) => response,
                Err(error) => {
                    let code = match error {
                        HttpError::Timeout { .. } => ErrorCode::Timeout,
                        HttpError::TooLarge { .. } => ErrorCode::TooLarge,
                        HttpError::Failed(_) => ErrorCode::Io,
                    };
                    return Err(self.error(code, error.to_string()));
                }
            };
            let location =
                response.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("location")).map(|(_, v)| v);
            let (301 | 302 | 303 | 307 | 308, Some(location)) = (response.status, location) else {
                return Ok(response);
            };
            let next = url.join(location).map_err(|e| {
                self.error(ErrorCode::Io, format!("the redirection to {location:?} can't be followed: {e}"))
            })?;
            let next = self.allowed_url(next.as_str())?;
            if next.origin() != url.origin() {
                // What was meant for one host is not told to another one.
                headers.retain(|(name, _)| {
                    matches!(
                        name.to_ascii_lowercase().as_str(),
                        "accept" | "accept-language" | "user-agent" | "range"
                    )
                });
            }
            if response.status <= 303 && !matches!(method.as_str(), "GET" | "HEAD") {
                method = "GET".into();
                body = HttpBody::Empty;
            }
            url = next;
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

    fn local_command(
        &self,
        command: &host_exec::HostCommand,
        cwd: &std::path::Path,
    ) -> Result<LocalProcess, Error> {
        self.only_while_working("host-exec")?;
        let Some(program) = command.argv.first() else {
            return Err(self.error(ErrorCode::InvalidArgument, "there is no program to run"));
        };
        if !self.rights.allows_program(program) {
            return Err(self.denied(
                &format!("running {program} on this host"),
                &Capability::HostExec(vec![program.clone()]),
            ));
        }
        if matches!(command.output, machine::OutputMode::Pull) {
            return Err(self.error(ErrorCode::Unsupported, "the output of host programs can't be pulled"));
        }
        let mut process = tokio::process::Command::new(program);
        process.env_clear().current_dir(cwd).kill_on_drop(true);
        if let Some(path) = std::env::var_os("PATH") {
            process.env("PATH", path);
        }
        for argument in &command.argv[1..] {
            process.arg(self.sealer.unseal_raw(argument).expose());
        }
        for (name, value) in &command.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(self.error(
                    ErrorCode::InvalidArgument,
                    format!("{name:?} is no name for an environment variable"),
                ));
            }
            process.env(name, self.sealer.unseal_raw(value).expose());
        }
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let stdin = command.stdin.as_ref().map(|s| self.sealer.unseal_raw(s));
        let mut child =
            process.spawn().map_err(|e| self.io_error(&format!("{program} can't be started"), &e))?;
        if let Some(mut pipe) = child.stdin.take() {
            tokio::spawn(async move {
                if let Some(text) = stdin {
                    // A program that does not read its input is no error.
                    let _ = pipe.write_all(text.expose().as_bytes()).await;
                }
            });
        }
        Ok(LocalProcess::new(child))
    }
}

/// A program on this host.
pub struct LocalProcess {
    child: tokio::process::Child,
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
    ended: bool,
}

impl LocalProcess {
    pub fn new(mut child: tokio::process::Child) -> Self {
        Self { stdout: child.stdout.take(), stderr: child.stderr.take(), child, ended: false }
    }
}

async fn read(pipe: &mut Option<impl tokio::io::AsyncRead + Unpin>) -> Bytes {
    let Some(open) = pipe else { return std::future::pending().await };
    let mut buffer = bytes::BytesMut::with_capacity(32 * 1024);
    match open.read_buf(&mut buffer).await {
        Ok(n) if n > 0 => buffer.freeze(),
        _ => {
            *pipe = None;
            Bytes::new()
        }
    }
}

#[async_trait]
impl Running for LocalProcess {
    async fn next(&mut self) -> Option<CommandEvent> {
        while self.stdout.is_some() || self.stderr.is_some() {
            let event = tokio::select! {
                bytes = read(&mut self.stdout) => CommandEvent::Stdout(bytes),
                bytes = read(&mut self.stderr) => CommandEvent::Stderr(bytes),
            };
            match &event {
                CommandEvent::Stdout(b) | CommandEvent::Stderr(b) if b.is_empty() => {}
                _ => return Some(event),
            }
        }
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let status = self.child.wait().await.ok()?;
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|s| s.to_string());
        #[cfg(not(unix))]
        let signal = None;
        Some(CommandEvent::Exited(ExitStatus { code: status.code(), signal, disconnected: false }))
    }

    async fn kill(&mut self) {
        let _ = self.child.kill().await;
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

impl host_exec::Host for State {
    async fn run(
        &mut self,
        command: host_exec::HostCommand,
        cwd: Resource<WorkspaceHandle>,
    ) -> Answer<machine::ExitStatus> {
        let folder = Arc::clone(&self.table.get(&cwd)?.folder);
        let running = match self.local_command(&command, folder.work()) {
            Ok(running) => running,
            Err(error) => return Ok(Err(error)),
        };
        let mut job = self.job(Box::new(running), &command.output, false);
        let stop = self.stop(false, command.timeout_ms.map(Duration::from_millis));
        Ok(self.run_to_end(&mut job, &stop, false).await)
    }
}
