//! What the tests share: a machine that runs commands with the local shell, a sink that remembers events, and guests
//! written as WebAssembly text ([`Guest`]).

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use fornax_core::communicator::*;
use fornax_core::event::{BuildEvents, Event, EventSink};
use fornax_core::plugin::{OnError, Renderer, StepContext};
use fornax_core::source::{SourceFile, Span};
use fornax_core::value::{Member, Node, Part, Text, Value};
use fornax_core::{Redactor, Secret};
use indexmap::IndexMap;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use crate::local::LocalProcess;

mod guest;

pub use guest::Guest;

/// Remembers all events.
#[derive(Default)]
pub struct Sink(pub Mutex<Vec<Event>>);

impl EventSink for Sink {
    fn emit(&self, event: Event) {
        self.0.lock().expect("no panic").push(event);
    }
}

impl Sink {
    /// All events as JSON.
    pub fn text(&self) -> String {
        serde_json::to_string(&*self.0.lock().expect("no panic")).expect("events are serialisable")
    }

    /// All lines that commands printed.
    pub fn lines(&self) -> Vec<String> {
        let events = self.0.lock().expect("no panic");
        events
            .iter()
            .filter_map(|e| if let Event::Output { lines, .. } = e { Some(lines.clone()) } else { None })
            .flatten()
            .collect()
    }
}

/// A terminal at which nobody sits.
pub struct Nobody;

#[async_trait]
impl fornax_core::builder::Prompt for Nobody {
    async fn choose(&self, _: &str, _: &[char]) -> Option<char> {
        None
    }
}

/// Replaces `{{ .Name }}`.
pub struct Dots;

impl Renderer for Dots {
    fn render(&self, template: &Text, values: &IndexMap<String, Text>) -> Result<Text, String> {
        let mut result = Text::default();
        for part in template.parts() {
            let Part::Plain(mut rest) = part.clone() else {
                if let Part::Secret(secret) = part {
                    result.push_text(&Text::secret(secret.clone()));
                }
                continue;
            };
            while let Some(start) = rest.find("{{") {
                let end = rest.find("}}").ok_or("an action is not closed")?;
                let name = rest[start + 2..end].trim().trim_start_matches('.').to_owned();
                result.push_str(&rest[..start]);
                result.push_text(values.get(&name).ok_or(format!("there is no {name}"))?);
                rest = rest[end + 2..].to_owned();
            }
            result.push_str(&rest);
        }
        Ok(result)
    }
}

/// Runs everything with the local shell.
#[derive(Default)]
pub struct LocalMachine {
    pub lines: Mutex<Vec<String>>,
    pub removed: Mutex<Vec<String>>,
}

impl LocalMachine {
    async fn spawn(&self, line: &Secret, stdin: bytes::Bytes) -> Result<Box<dyn Running>, CommunicatorError> {
        self.lines.lock().expect("no panic").push(line.expose().to_owned());
        let mut shell = std::process::Command::new("/bin/sh");
        shell.arg("-c").arg(line.expose()).stdin(Stdio::piped());
        let (process, pipe) =
            LocalProcess::start(shell).await.map_err(|e| CommunicatorError::Other(e.to_string()))?;
        let mut pipe = pipe.expect("piped");
        tokio::spawn(async move { pipe.write_all(&stdin).await });
        Ok(Box::new(process))
    }
}

struct ScriptRun {
    running: Box<dyn Running>,
    path: Option<String>,
}

#[async_trait]
impl Running for ScriptRun {
    async fn next(&mut self) -> Option<CommandEvent> {
        let event = self.running.next().await;
        if matches!(event, Some(CommandEvent::Exited(_)))
            && let Some(path) = self.path.take()
        {
            let _ = std::fs::remove_file(path);
        }
        event
    }

    async fn kill(&mut self) {
        self.running.kill().await;
    }
}

fn other(error: std::io::Error) -> CommunicatorError {
    CommunicatorError::Other(error.to_string())
}

#[async_trait]
impl Communicator for LocalMachine {
    fn connection(&self) -> ConnectionInfo {
        ConnectionInfo {
            kind: "ssh",
            host: "127.0.0.1".into(),
            port: 22,
            user: "u".into(),
            password: None,
            public_key: None,
            private_key: None,
        }
    }

    async fn machine(&self) -> Result<MachineInfo, CommunicatorError> {
        Ok(MachineInfo { family: "linux".into(), ..MachineInfo::default() })
    }

    async fn start(&self, command: Command) -> Result<Box<dyn Running>, CommunicatorError> {
        self.spawn(&command.line, command.stdin).await
    }

    async fn start_script(&self, script: Script) -> Result<Box<dyn Running>, CommunicatorError> {
        let content = match &script.content {
            ScriptContent::Text(text) => text.expose().as_bytes().to_vec(),
            ScriptContent::File(path) => std::fs::read(path).map_err(other)?,
        };
        std::fs::write(&script.path, content).map_err(other)?;
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&script.path, std::fs::Permissions::from_mode(script.mode))
            .map_err(other)?;
        let running = self.spawn(&script.command, bytes::Bytes::new()).await?;
        Ok(Box::new(ScriptRun { running, path: (!script.keep).then_some(script.path) }))
    }

    async fn upload(
        &self,
        source: UploadSource,
        to: &str,
        _: &TransferOptions,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        match source {
            UploadSource::File(from) => std::fs::copy(from, to).map(|_| ()).map_err(other)?,
            UploadSource::Directory(from) => {
                crate::workspace::copy_tree(&from, Path::new(to)).map_err(other)?
            }
            UploadSource::Bytes(secret) => std::fs::write(to, secret.expose()).map_err(other)?,
        }
        Ok(TransferStats { files: 1, ..TransferStats::default() })
    }

    async fn download(
        &self,
        from: &str,
        to: &Path,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        crate::workspace::copy_tree(Path::new(from), to).map_err(other)?;
        Ok(TransferStats::default())
    }

    async fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, CommunicatorError> {
        let bytes = std::fs::read(path)
            .map_err(|_| CommunicatorError::NotFound { what: "reading".into(), path: path.into() })?;
        if bytes.len() > limit { Err(CommunicatorError::Other("too large".into())) } else { Ok(bytes) }
    }

    async fn remove_file(&self, path: &str) -> Result<(), CommunicatorError> {
        self.removed.lock().expect("no panic").push(path.to_owned());
        let _ = std::fs::remove_file(path);
        Ok(())
    }

    async fn reconnect(&self, _: &ReconnectOptions) -> Result<(), CommunicatorError> {
        Ok(())
    }

    async fn close(&self) {}
}

/// A step whose secrets are known to the redactor.
pub fn step(sink: &Arc<Sink>, working_dir: &Path, variables: Vec<(String, Text)>) -> StepContext {
    let redactor = Redactor::new();
    for (_, text) in &variables {
        for part in text.parts() {
            if let Part::Secret(secret) = part {
                redactor.register(secret);
            }
        }
    }
    StepContext {
        build_id: "id".into(),
        build_name: "b".into(),
        builder_type: "null".into(),
        step_name: "step".into(),
        attempt: 1,
        on_error: OnError::Cleanup,
        debug: false,
        force: false,
        simulated: false,
        run_id: "run".into(),
        engine_version: "0".into(),
        variables,
        events: BuildEvents::new(sink.clone(), "b"),
        redactor,
        renderer: Arc::new(Dots),
        prompt: Arc::new(Nobody),
        cancel: CancellationToken::new(),
        timeout: None,
        working_dir: working_dir.to_owned(),
    }
}

/// A configuration from JSON; texts may contain secrets, each written `@{value}`.
pub fn config(json: serde_json::Value) -> Node {
    let file: Arc<SourceFile> = SourceFile::new("t.json", "{}");
    convert(&json, &Span::new(&file, 0..0))
}

fn convert(json: &serde_json::Value, span: &Span) -> Node {
    let value = match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => Value::Number(n.clone()),
        serde_json::Value::String(text) => Value::String(text_of(text)),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(|i| convert(i, span)).collect()),
        serde_json::Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, v)| Member { key: key.clone(), key_span: span.clone(), value: convert(v, span) })
                .collect(),
        ),
    };
    Node::new(value, span.clone())
}

/// `a@{secret}b` as text with a secret part.
pub fn text_of(text: &str) -> Text {
    let mut result = Text::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let (secret, tail) = after.split_once('}').expect("closed");
        result.push_str(before);
        result.push_text(&Text::secret(Secret::new(secret)));
        rest = tail;
    }
    result.push_str(rest);
    result
}
