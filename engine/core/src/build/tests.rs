//! The build runner with a builder, plugins and configurations that do as they are told, in paused time.

mod checking;
mod post_processing;
mod provisioning;
mod runs;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::*;
use crate::builder::{BuildData, BuildError, BuildOutcome, BuilderFactory, ProvisionError, RunContext};
use crate::communicator::Communicator;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::event::{Ending, Event};
use crate::journal::{JournalState, Lifetime, Resource, Undone};
use crate::plan::{BuildPlan, ConfigSource};
use crate::plugin::{
    Artifact, ExtensionInfo, ExtensionKind, Finding, KeepPolicy, Outcome, PluginCatalog, PluginError,
    Prepared, Processed, Renderer, StepContext,
};
use crate::report::{BuildReport, ResourceState};
use crate::saga::{Saga, Undo, UndoError};
use crate::secret::RedactingSink;
use crate::source::{SourceFile, Span};
use crate::testing::{Answers, MemoryStore, Recorder};
use crate::value::{Member, Node, Value};
use crate::{Redactor, Secret};

const MASKED: &str = "canary-51f2";

fn span() -> Span {
    Span::new(&SourceFile::new("web.json", "{\n  \"inline\": 1\n}"), 4..12)
}

fn node(json: &Json) -> Node {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Number(n.clone()),
        Json::String(text) => Value::String(Text::plain(text.as_str())),
        Json::Array(items) => Value::Array(items.iter().map(node).collect()),
        Json::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Member { key: key.clone(), key_span: span(), value: node(value) })
                .collect(),
        ),
    };
    Node::new(value, span())
}

/// A configuration whose texts `build:KEY` stand for facts of the running build.
struct Config(Json, Span);

impl ConfigSource for Config {
    fn resolve(&self, data: Option<&BuildData>, deferred: &[String]) -> (Node, Diagnostics) {
        let mut found = Diagnostics::new();
        let mut config = node(&self.0);
        if let Value::Object(members) = &mut config.value {
            for member in members.iter_mut().filter(|m| !deferred.contains(&m.key)) {
                let key =
                    member.value.as_text().and_then(|t| t.masked().strip_prefix("build:").map(str::to_owned));
                let Some(key) = key else { continue };
                member.value.value = match data.map(|data| data.get(&key)) {
                    None => Value::Unknown,
                    Some(Some(text)) => Value::String(text.clone()),
                    Some(None) => {
                        found.push(Diagnostic::error("test/missing", format!("no {key}")).at(&self.1));
                        Value::Null
                    }
                };
            }
        }
        (config, found)
    }

    fn renderer(&self, _: &BuildData) -> Arc<dyn Renderer> {
        struct Same;
        impl Renderer for Same {
            fn render(&self, template: &Text, _: &IndexMap<String, Text>) -> Result<Text, String> {
                Ok(template.clone())
            }
        }
        Arc::new(Same)
    }

    fn span(&self) -> &Span {
        &self.1
    }
}

fn config(json: Json) -> Arc<dyn ConfigSource> {
    Arc::new(Config(json, span()))
}

/// What a call of the fake plugin does.
enum Does {
    Succeed,
    Fail(&'static str),
    /// Takes so many seconds, and stops when told to.
    Take(u64),
    /// Takes so many seconds and does not listen.
    Ignore(u64),
    Make(&'static str, KeepPolicy),
    HandOn,
}

struct Plugin {
    info: ExtensionInfo,
    findings: Vec<Finding>,
    calls: Mutex<VecDeque<Does>>,
    seen: Mutex<Vec<(Json, StepContext)>>,
    inputs: Mutex<Vec<String>>,
}

impl Plugin {
    fn new(kind: ExtensionKind, name: &str, calls: impl IntoIterator<Item = Does>) -> Arc<Self> {
        Arc::new(Self {
            info: ExtensionInfo {
                kind,
                name: name.into(),
                summary: String::new(),
                docs: String::new(),
                schema: json!({
                    "type": "object",
                    "properties": {
                        "inline": { "type": "string" },
                        "execute_command": { "type": "string", "x-template": true },
                    },
                    "additionalProperties": false,
                }),
                examples: Vec::new(),
                capabilities: Vec::new(),
                plugin_name: format!("test-{name}"),
                plugin_version: "1.0.0".into(),
                plugin_digest: "d1".into(),
                origin: "built-in".into(),
            },
            findings: Vec::new(),
            calls: Mutex::new(calls.into_iter().collect()),
            seen: Mutex::default(),
            inputs: Mutex::default(),
        })
    }

    async fn act(
        &self,
        config: &Node,
        context: StepContext,
    ) -> Result<Option<(String, KeepPolicy)>, PluginError> {
        let cancel = context.cancel.clone();
        self.seen.lock().unwrap().push((config.expose_json(), context));
        let does = self.calls.lock().unwrap().pop_front().unwrap_or(Does::Succeed);
        let failed = |message: &str| PluginError::Failed {
            message: message.into(),
            causes: vec!["the cause".into()],
            retryable: false,
        };
        match does {
            Does::Succeed | Does::HandOn => Ok(None),
            Does::Fail(message) => Err(failed(message)),
            Does::Take(seconds) => tokio::select! {
                () = cancel.cancelled() => Err(PluginError::Cancelled),
                () = tokio::time::sleep(Duration::from_secs(seconds)) => Ok(None),
            },
            Does::Ignore(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Ok(None)
            }
            Does::Make(id, keep) => Ok(Some((id.to_owned(), keep))),
        }
    }

    fn attempts(&self) -> Vec<u32> {
        self.seen.lock().unwrap().iter().map(|(_, context)| context.attempt).collect()
    }
}

#[async_trait]
impl Extension for Plugin {
    fn info(&self) -> &ExtensionInfo {
        &self.info
    }

    async fn prepare(&self, _: &Node) -> Result<Prepared, PluginError> {
        Ok(Prepared { findings: self.findings.clone(), ..Prepared::default() })
    }

    async fn provision(
        &self,
        config: &Node,
        context: StepContext,
        _: Option<Arc<dyn Communicator>>,
    ) -> Result<Outcome, PluginError> {
        self.act(config, context).await.map(|_| Outcome::default())
    }

    async fn process(
        &self,
        config: &Node,
        context: StepContext,
        input: &Artifact,
    ) -> Result<Processed, PluginError> {
        self.inputs.lock().unwrap().push(input.id.clone());
        self.act(config, context).await.map(|made| match made {
            Some((id, input)) => {
                let artifact = artifact(&id);
                // A name that starts with a dot stands for a file that was there before.
                let made = if id.starts_with('.') { Vec::new() } else { artifact.files.clone() };
                Processed { artifact: Some(artifact), input, made }
            }
            None => Processed { artifact: None, input: KeepPolicy::Keep, made: Vec::new() },
        })
    }
}

fn artifact(id: &str) -> Artifact {
    Artifact {
        builder_id: "test".into(),
        id: id.into(),
        text: format!("made {id}"),
        files: vec![PathBuf::from(format!("/out/{id}"))],
        metadata: serde_json::Map::new(),
        simulated: false,
    }
}

struct Catalog(Vec<Arc<Plugin>>);

impl PluginCatalog for Catalog {
    fn find(&self, kind: ExtensionKind, name: &str) -> Option<Arc<dyn Extension>> {
        let found = self.0.iter().find(|p| p.info.kind == kind && p.info.name == name)?;
        Some(found.clone())
    }

    fn list(&self) -> Vec<Arc<dyn Extension>> {
        self.0.iter().map(|p| p.clone() as Arc<dyn Extension>).collect()
    }
}

/// Creates a machine, provisions, makes an image, deletes the machine.
#[derive(Clone, Default)]
struct Machines {
    panics: bool,
    forgets: bool,
    busy: Arc<AtomicUsize>,
    most_busy: Arc<AtomicUsize>,
}

#[async_trait]
impl Builder for Machines {
    fn target(&self) -> serde_json::Map<String, Json> {
        serde_json::Map::from_iter([("subscription".to_owned(), "s-1".into())])
    }

    async fn run(&self, context: RunContext) -> BuildOutcome {
        struct Deletes;
        #[async_trait]
        impl Undo for Deletes {
            async fn undo(&self, _: &Resource, _: bool) -> Result<Undone, UndoError> {
                Ok(Undone::Deleted)
            }
        }
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_busy.fetch_max(busy, Ordering::SeqCst);
        let saga = Saga::new(&context);
        let result = async {
            let ticket = saga.journal().begin(Resource::new("vm", "/vm", Lifetime::Temporary))?;
            ticket.done()?;
            assert!(!self.panics, "out of luck");
            let facts = [("Host", "10.0.0.4"), ("SourceImageName", "debian-12")];
            let data = facts.map(|(key, value)| (key.to_owned(), Text::plain(value)));
            saga.provision(None, data.into_iter().collect()).await?;
            Ok::<_, BuildError>(Some(artifact("/img")))
        }
        .await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        if self.forgets {
            return BuildOutcome { result, remains: Vec::new() };
        }
        let remains = saga.finish(&result, &Deletes).await;
        BuildOutcome { result, remains }
    }
}

impl BuilderFactory for Machines {
    fn type_name(&self) -> &'static str {
        "machines"
    }

    fn describe(&self) -> crate::builder::Description {
        crate::builder::Description { summary: "", docs: "", schema: json!({}), examples: Vec::new() }
    }

    fn build_data_keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn prepare(&self, config: &Node, _: &PrepareContext) -> (Option<Arc<dyn Builder>>, Diagnostics) {
        match config.get("bad") {
            Some(_) => (None, Diagnostic::error("machines/bad", "bad machine").at(&config.span).into()),
            None => (Some(Arc::new(self.clone())), Diagnostics::new()),
        }
    }
}

fn provisioner(name: &str) -> ProvisionerPlan {
    ProvisionerPlan {
        type_name: name.into(),
        type_span: span(),
        name: name.into(),
        config: config(json!({})),
        pause_before: Duration::ZERO,
        timeout: None,
        max_retries: 0,
        continue_on_error: false,
    }
}

fn post_processor(name: &str, keep_input_artifact: Option<bool>) -> PostProcessorPlan {
    PostProcessorPlan {
        type_name: name.into(),
        type_span: span(),
        name: name.into(),
        config: config(json!({})),
        keep_input_artifact,
    }
}

fn plan(provisioners: Vec<ProvisionerPlan>) -> BuildPlan {
    BuildPlan {
        name: "web".into(),
        short_name: "web".into(),
        builder_type: "machines".into(),
        type_span: span(),
        build_span: None,
        config: config(json!({})),
        provisioners,
        error_cleanup: None,
        post_processors: Vec::new(),
    }
}

struct World {
    settings: RunSettings,
    context: PrepareContext,
    sink: Arc<Recorder>,
    store: Arc<MemoryStore>,
    removed: Arc<Mutex<Vec<PathBuf>>>,
}

fn world() -> World {
    let redactor = Redactor::new();
    redactor.register(&Secret::new(MASKED));
    let sink = Arc::new(Recorder::default());
    let store = Arc::new(MemoryStore::default());
    let removed: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
    let (opened, gone) = (store.clone(), removed.clone());
    World {
        settings: RunSettings {
            run_id: "run-1".into(),
            template: "web.json".into(),
            template_digest: "t1".into(),
            invocation: serde_json::Map::new(),
            variables: IndexMap::from([("region".to_owned(), Text::plain("west"))]),
            simulated: false,
            on_error: OnError::Cleanup,
            parallel: None,
            sink: Arc::new(RedactingSink::new(redactor.clone(), sink.clone())),
            prompt: Answers::new(""),
            cancel: CancellationToken::new(),
            abandon: CancellationToken::new(),
            open_journal: Arc::new(move |_| Ok(opened.clone())),
            remove_file: Arc::new(move |path| {
                gone.lock().unwrap().push(path.to_owned());
                Ok(())
            }),
        },
        context: PrepareContext {
            build_name: "web".into(),
            build_id: "b-1".into(),
            run_id: "run-1".into(),
            force: false,
            debug: false,
            working_dir: PathBuf::from("/work"),
            redactor,
            env: Arc::new(|_| None),
        },
        sink,
        store,
        removed,
    }
}

impl World {
    async fn prepare(&self, plan: &BuildPlan, plugins: &[Arc<Plugin>]) -> PreparedBuild {
        self.prepare_with(plan, plugins, Machines::default()).await
    }

    async fn prepare_with(
        &self,
        plan: &BuildPlan,
        plugins: &[Arc<Plugin>],
        machines: Machines,
    ) -> PreparedBuild {
        let factories: [Arc<dyn BuilderFactory>; 1] = [Arc::new(machines)];
        let (prepared, found) =
            prepare_build(plan, &factories, &Catalog(plugins.to_vec()), &self.context).await;
        prepared.unwrap_or_else(|| panic!("{:#?}", found.iter().map(Diagnostic::render).collect::<Vec<_>>()))
    }

    async fn run(&self, plan: &BuildPlan, plugins: &[Arc<Plugin>]) -> BuildReport {
        run_build(self.prepare(plan, plugins).await, &self.settings).await
    }

    fn cancel_after(&self, seconds: u64) {
        let cancel = self.settings.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            cancel.cancel();
        });
    }
}

fn shell(calls: impl IntoIterator<Item = Does>) -> Arc<Plugin> {
    Plugin::new(ExtensionKind::Provisioner, "shell", calls)
}
