//! What the tests share: a machine that runs commands with the local shell, a sink that remembers events, and guests
//! written as WebAssembly text.

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

use crate::host_outside::LocalProcess;

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
        let mut child = tokio::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(line.expose())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| CommunicatorError::Other(e.to_string()))?;
        let mut pipe = child.stdin.take().expect("piped");
        tokio::spawn(async move { pipe.write_all(&stdin).await });
        Ok(Box::new(LocalProcess::new(child)))
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

/// A guest as WebAssembly text that describes itself as `plugin` with one provisioner `name`.
pub struct Guest {
    pub plugin: &'static str,
    pub name: &'static str,
    /// Imports of the core module.
    pub imports: &'static str,
    /// Body of `provision`, before it returns its result.
    pub body: &'static str,
    /// Body of `describe`, before it returns.
    pub describe: &'static str,
    /// Required right: none, or a program for `host-exec`.
    pub requires: Option<&'static str>,
    /// Added to the world.
    pub world: &'static str,
    /// Replaces `0.1.0` in the whole interface.
    pub version: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            plugin: "test/guest",
            name: "guest",
            imports: "",
            body: "",
            describe: "",
            requires: None,
            world: "",
            version: "0.1.0",
        }
    }
}

const BASE: u32 = 4096;

#[derive(Default)]
struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(0);
        }
        let at = BASE + u32::try_from(self.0.len()).expect("small");
        self.0.extend_from_slice(bytes);
        at
    }

    fn text(&mut self, text: &str) -> [u8; 8] {
        let at = self.put(text.as_bytes());
        pair(at, text.len())
    }
}

fn pair(at: u32, length: usize) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&at.to_le_bytes());
    bytes[4..].copy_from_slice(&u32::try_from(length).expect("small").to_le_bytes());
    bytes
}

impl Guest {
    /// The component.
    pub fn build(&self) -> Vec<u8> {
        let mut image = Image::default();
        let empty = pair(0, 0);
        let capabilities = match self.requires {
            None => empty,
            Some(program) => {
                let program = image.text(program);
                let list = image.put(&program);
                let reason = image.text("to test");
                // capability: tag 2 (host-exec), list; required: bool; reason: string
                let mut request = vec![2u8, 0, 0, 0];
                request.extend(pair(list, 1));
                request.extend([1, 0, 0, 0]);
                request.extend(reason);
                pair(image.put(&request), 1)
            }
        };
        let mut extension = vec![0u8; 4];
        for text in [self.name, "a guest", "", "{\"type\":\"object\"}"] {
            extension.extend(image.text(text));
        }
        extension.extend(empty);
        extension.extend(capabilities);
        let extensions = pair(image.put(&extension), 1);
        let mut descriptor = Vec::new();
        for text in [self.plugin, "1.0.0", "a test", "MIT", ""] {
            descriptor.extend(image.text(text));
        }
        descriptor.extend(extensions);
        let descriptor = image.put(&descriptor);
        let prepared = image.put(&[0; 40]);
        let mut outcome = vec![0u8; 4];
        outcome.extend(image.text("{}"));
        outcome.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let outcome = image.put(&outcome);
        let data: String = image.0.iter().map(|b| format!("\\{b:02x}")).collect();
        let (imports, body, describe, v) = (self.imports, self.body, self.describe, self.version);
        let module = format!(
            r#"(module
                {imports}
                (memory (export "memory") 2)
                (global $heap (mut i32) (i32.const 65536))
                (data (i32.const {BASE}) "{data}")
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.set $heap (i32.add (local.get $at) (local.get 3)))
                    (block $enough
                        (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1)))))
                    (local.get $at))
                (func (export "fornax:plugin/plugin@{v}#describe") (result i32) {describe} (i32.const {descriptor}))
                (func (export "fornax:plugin/provisioner@{v}#prepare")
                    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const {prepared}))
                (func (export "fornax:plugin/provisioner@{v}#provision") (param i32 i32 i32 i32) (result i32)
                    (local $n i32) {body} (i32.const {outcome})))"#
        );
        let mut module = wat::parse_str(module).expect("the module is valid");
        let interface = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let mut resolve = wit_parser::Resolve::default();
        let folder = tempfile::tempdir().expect("a folder");
        for entry in std::fs::read_dir(interface).expect("the interface") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("readable").replace("0.1.0", v);
            std::fs::write(folder.path().join(path.file_name().expect("named")), text).expect("written");
        }
        std::fs::write(
            folder.path().join("test.wit"),
            format!(
                "package fornax:plugin@{v};\nworld test-plugin {{ include provisioner-plugin; {} }}\n",
                self.world
            ),
        )
        .expect("written");
        let (package, _) = resolve.push_dir(folder.path()).expect("the interface is valid");
        let world = resolve.select_world(&[package], Some("test-plugin")).expect("the world exists");
        wit_component::embed_component_metadata(
            &mut module,
            &resolve,
            world,
            wit_component::StringEncoding::UTF8,
        )
        .expect("embedded");
        wit_component::ComponentEncoder::default()
            .module(&module)
            .expect("a module")
            .validate(true)
            .encode()
            .expect("a component")
    }
}
