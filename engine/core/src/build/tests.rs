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
            Some((id, input)) => Processed { artifact: Some(artifact(&id)), input },
            None => Processed { artifact: None, input: KeepPolicy::Keep },
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
        builder_type: "machines".into(),
        type_span: span(),
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

#[tokio::test]
async fn every_problem_of_every_component_is_found_at_once() {
    let world = world();
    let mut strict = Plugin::new(ExtensionKind::PostProcessor, "manifest", []);
    Arc::get_mut(&mut strict).unwrap().findings.push(Finding {
        severity: Severity::Warning,
        path: "/inline/0".into(),
        summary: "odd".into(),
        detail: "because".into(),
        code: String::new(),
    });
    let mut plan = plan(vec![provisioner("shel"), provisioner("zzz"), provisioner("shell")]);
    plan.config = config(json!({"bad": 1}));
    plan.provisioners[2].config = config(json!({"inlin": "x", "inline": ["a", "b"]}));
    let mut odd = post_processor("manifest", None);
    odd.config = config(json!({"inline": "x"}));
    plan.post_processors = vec![vec![odd, post_processor("shell", None)]];
    plan.error_cleanup = Some(provisioner("nope"));
    let factories: [Arc<dyn BuilderFactory>; 1] = [Arc::new(Machines::default())];
    let catalog = Catalog(vec![shell([]), strict]);
    let (prepared, found) = prepare_build(&plan, &factories, &catalog, &world.context).await;
    assert!(prepared.is_none());
    let told: Vec<(String, String)> =
        found.iter().map(|d| (d.code.clone(), d.help.clone().unwrap_or_else(|| d.summary.clone()))).collect();
    let has =
        |code: &str, help: &str| assert!(told.contains(&(code.into(), help.into())), "{code} in {told:#?}");
    has("machines/bad", "bad machine");
    has("build/unknown-provisioner", "did you mean \"shell\"?");
    let folder = |what| format!("if a plugin provides this {what}, name its folder with --plugin-dir");
    has("build/unknown-provisioner", &folder("provisioner"));
    has("build/unknown-post-processor", &folder("post-processor"));
    has("plugin/configuration", "odd");
    assert!(told.iter().any(|(code, _)| code.starts_with("config/")), "{told:#?}");
    assert!(found.iter().all(|d| d.span.is_some()));
    let unknown = found.iter().find(|d| d.summary.contains("\"zzz\"")).unwrap();
    assert_eq!(unknown.detail, "there are: shell");

    plan.builder_type = "machine".into();
    let (_, found) = prepare_build(&plan, &factories, &catalog, &world.context).await;
    let unknown = found.iter().find(|d| d.code == "build/unknown-builder").unwrap();
    assert_eq!(unknown.help.as_deref(), Some("did you mean \"machines\"?"));
}

#[tokio::test(start_paused = true)]
async fn a_build_runs_to_its_report() {
    let world = world();
    let shell = shell([Does::Take(3), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].config = config(json!({"inline": "build:Host", "execute_command": "build:Host"}));
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!((report.ending, report.error.as_deref()), (Ending::Succeeded, None));
    assert_eq!(report.duration.as_secs(), 3);
    assert!(report.remains.is_empty());
    assert_eq!(report.artifacts.len(), 1);
    assert_eq!(report.resources[0].state, ResourceState::Deleted);
    assert_eq!(report.inputs.plugins.len(), 1);
    assert_eq!(report.inputs.source["SourceImageName"], "debian-12");
    let steps: Vec<_> = report.steps.iter().map(|s| (s.name.as_str(), s.duration.as_secs())).collect();
    assert_eq!(steps, [("shell", 3), ("shell", 0), ("Provisioning", 3)]);

    let seen = shell.seen.lock().unwrap();
    let (config, context) = &seen[0];
    assert_eq!(config, &json!({"inline": "10.0.0.4", "execute_command": "build:Host"}));
    let variable =
        |name: &str| context.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.masked());
    for (name, value) in [
        ("PACKER_BUILD_NAME", "web"),
        ("PackerRunUUID", "run-1"),
        ("Host", "10.0.0.4"),
        ("ConnType", "none"),
        ("region", "west"),
    ] {
        assert_eq!(variable(name).as_deref(), Some(value), "{name}");
    }
    let (state, _) = JournalState::replay(&world.store.text()).unwrap();
    assert!(state.is_closed());
    let header = state.header().unwrap();
    assert_eq!((header.build_id.as_str(), header.plan_digest.as_str()), ("b-1", "t1"));
    assert_eq!(header.target["subscription"], "s-1");
    assert!(matches!(
        world.sink.events().last(),
        Some(Event::BuildFinished { ending: Ending::Succeeded, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn pauses_time_limits_and_retries_work_together() {
    let world = world();
    let shell = shell([Does::Take(1000), Does::Fail("broken"), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].pause_before = Duration::from_secs(20);
    plan.provisioners[0].timeout = Some(Duration::from_secs(300));
    plan.provisioners[0].max_retries = 2;
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!(report.ending, Ending::Succeeded);
    assert_eq!(report.duration.as_secs(), 20 + 300 + 20 + 20);
    assert_eq!(shell.attempts(), [1, 2, 3]);
    let pause = "Pausing 20s before the next provisioner...";
    let limit = "Setting a 5m0s timeout for the next provisioner...";
    assert_eq!(
        world.sink.lines(),
        [
            "+ /vm",
            "> Provisioning",
            "> shell",
            pause,
            limit,
            "Provisioner failed with \"the step took longer than 5m\", retrying with 2 trie(s) left",
            pause,
            limit,
            "Provisioner failed with \"broken\\n  caused by: the cause\", retrying with 1 trie(s) left",
            pause,
            limit,
            "< shell Succeeded 360s",
            "< Provisioning Succeeded 360s",
            "- /vm",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_stop_is_left_behind() {
    let world = world();
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].timeout = Some(Duration::from_secs(10));
    let report = world.run(&plan, &[shell([Does::Ignore(1000)])]).await;
    assert_eq!(report.error.as_deref(), Some("the step took longer than 10s"));
    assert_eq!(report.duration.as_secs(), 40);
    assert!(report.remains.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_runs_the_cleanup_provisioner_once_and_undoes_all() {
    for (on_error, cleans, remains) in [
        (OnError::Cleanup, true, 0),
        (OnError::RunCleanupProvisioner, true, 1),
        (OnError::Abort, false, 1),
        (OnError::Ask, true, 0),
    ] {
        let mut world = world();
        world.settings.on_error = on_error;
        let shell = shell([Does::Fail("canary-51f2 is wrong")]);
        let tidy = Plugin::new(ExtensionKind::Provisioner, "tidy", [Does::Fail("tidy is broken")]);
        let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
        plan.error_cleanup = Some(provisioner("tidy"));
        let report = world.run(&plan, &[shell.clone(), tidy.clone()]).await;
        assert_eq!(report.ending, Ending::Failed);
        assert_eq!(report.error.as_deref(), Some("<sensitive> is wrong\n  caused by: the cause"));
        assert_eq!(shell.attempts().len(), 1, "{on_error:?}");
        assert_eq!(tidy.attempts().len(), usize::from(cleans), "{on_error:?}");
        assert_eq!(report.remains.len(), remains, "{on_error:?}");
        assert!(world.sink.lines().iter().all(|line| !line.contains(MASKED)));
        let text = "Provisioning step had errors: Running the cleanup provisioner, if present...".to_owned();
        assert_eq!(world.sink.lines().contains(&text), cleans);
        assert!(report.artifacts.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_may_be_allowed_to_fail() {
    let world = world();
    let shell = shell([Does::Fail("never mind"), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].continue_on_error = true;
    let report = world.run(&plan, &[shell]).await;
    assert_eq!(report.ending, Ending::Succeeded);
    assert_eq!(report.steps[0].ending, Ending::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_can_not_be_settled_fails_the_step() {
    let world = world();
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].config = config(json!({"inline": "build:Missing"}));
    let shell = shell([]);
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!(report.error.as_deref(), Some("web.json:2:3: no Missing"));
    assert!(shell.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_the_plugin_undoes_and_skips_the_rest() {
    let world = world();
    let shell = shell([Does::Take(1000)]);
    let manifest = Plugin::new(ExtensionKind::PostProcessor, "manifest", []);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].max_retries = 5;
    plan.post_processors = vec![vec![post_processor("manifest", None)]];
    world.cancel_after(5);
    let report = world.run(&plan, &[shell.clone(), manifest.clone()]).await;
    assert_eq!((report.ending, report.error.as_deref()), (Ending::Cancelled, Some("Build was cancelled.")));
    assert_eq!(report.duration.as_secs(), 5);
    assert_eq!(shell.attempts(), [1]);
    assert!(manifest.attempts().is_empty());
    assert!(report.remains.is_empty());
    assert_eq!(report.steps[0].ending, Ending::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn post_processors_follow_packers_rules_of_keeping() {
    use KeepPolicy::{Discard, ForceKeep, Keep};
    // (policies of two in a sequence, the user's word, ids of the result, removed files)
    type Case = ([(KeepPolicy, Option<bool>); 2], &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 6] = [
        ([(Keep, None), (Keep, None)], &["/img", "one", "two"], &[]),
        ([(Discard, None), (Discard, None)], &["two"], &["/out/one", "/out//img"]),
        ([(Discard, Some(true)), (Discard, None)], &["/img", "two"], &["/out/one"]),
        ([(Keep, Some(false)), (Keep, None)], &["one", "two"], &["/out//img"]),
        ([(ForceKeep, Some(false)), (Discard, None)], &["/img", "two"], &["/out/one"]),
        ([(Keep, None), (ForceKeep, Some(false))], &["/img", "one", "two"], &[]),
    ];
    for (policies, ids, removed) in cases {
        let world = world();
        let [one, two] = ["one", "two"].map(|name| name);
        let plugins: Vec<Arc<Plugin>> = [one, two]
            .iter()
            .zip(policies)
            .map(|(name, (policy, _))| {
                Plugin::new(ExtensionKind::PostProcessor, name, [Does::Make(name, policy)])
            })
            .collect();
        let mut plan = plan(Vec::new());
        plan.post_processors = vec![
            [one, two].iter().zip(policies).map(|(name, (_, keep))| post_processor(name, keep)).collect(),
        ];
        let report = world.run(&plan, &plugins).await;
        assert_eq!(report.ending, Ending::Succeeded);
        let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(made, ids, "{policies:?}");
        let removed: Vec<PathBuf> = removed.iter().map(PathBuf::from).collect();
        assert_eq!(*world.removed.lock().unwrap(), removed, "{policies:?}");
        assert_eq!(*plugins[1].inputs.lock().unwrap(), ["one"]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_sequence_starts_from_the_builders_artifact_and_a_failure_removes_nothing() {
    let world = world();
    let kind = ExtensionKind::PostProcessor;
    let bad = Plugin::new(kind, "bad", [Does::Fail("disk full")]);
    let zip = Plugin::new(
        kind,
        "zip",
        [Does::Make("z1", KeepPolicy::Discard), Does::Make("z2", KeepPolicy::Discard)],
    );
    let manifest = Plugin::new(kind, "manifest", [Does::HandOn]);
    let mut plan = plan(Vec::new());
    plan.post_processors = vec![
        vec![post_processor("bad", None), post_processor("zip", None)],
        vec![post_processor("zip", None), post_processor("manifest", None)],
    ];
    plan.post_processors[1][0].name = "pack".into();
    let plugins = [bad, zip.clone(), manifest.clone()];
    let report = world.run(&plan, &plugins).await;
    assert_eq!(
        report.error.as_deref(),
        Some("1 error(s) occurred:\n\n* Post-processor failed: disk full\n  caused by: the cause")
    );
    assert_eq!(*zip.inputs.lock().unwrap(), ["/img"]);
    assert_eq!(*manifest.inputs.lock().unwrap(), ["z1"]);
    let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(made, ["/img", "z1"]);
    assert!(world.removed.lock().unwrap().is_empty());
    let lines = world.sink.lines();
    for line in ["Running post-processor: bad", "Running post-processor: pack (type zip)"] {
        assert!(lines.contains(&line.to_owned()), "{lines:#?}");
    }
    assert_eq!(zip.seen.lock().unwrap()[0].1.events.build(), "web (zip)");

    // The same without the failure: the original is replaced by what was made of it.
    plan.post_processors.remove(0);
    let report = world.run(&plan, &plugins).await;
    let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(made, ["z2"]);
    assert_eq!(*world.removed.lock().unwrap(), [PathBuf::from("/out//img")]);
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_panics_or_forgets_is_found_out() {
    for (machines, error) in [
        (
            Machines { panics: true, ..Machines::default() },
            Some("the builder machines failed in an unforeseen way: out of luck"),
        ),
        (Machines { forgets: true, ..Machines::default() }, None),
    ] {
        let world = world();
        let build = world.prepare_with(&plan(Vec::new()), &[], machines).await;
        let report = run_build(build, &world.settings).await;
        assert_eq!(report.error.as_deref(), error);
        assert_eq!(report.remains.len(), 1);
        assert_eq!(
            (report.remains[0].id.as_str(), report.resources[0].state),
            ("/vm", ResourceState::Remains)
        );
        assert!(!JournalState::replay(&world.store.text()).unwrap().0.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_is_created() {
    let mut world = world();
    world.settings.open_journal = Arc::new(|_| Err(std::io::Error::other("read-only file system")));
    let shell = shell([]);
    let report = world.run(&plan(vec![provisioner("shell")]), std::slice::from_ref(&shell)).await;
    assert_eq!(
        report.error.as_deref(),
        Some("can't open a journal for the build: read-only file system; without one nothing is created")
    );
    assert!(shell.attempts().is_empty());
    assert!(report.resources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn builds_run_side_by_side_up_to_the_limit_and_fail_alone() {
    for (parallel, seconds, most) in [(None, 10, 4), (Some(2), 20, 2), (Some(1), 40, 1), (Some(0), 40, 1)] {
        let mut world = world();
        world.settings.parallel = parallel;
        world.settings.open_journal = Arc::new(|_| Ok(Arc::new(MemoryStore::default())));
        let machines = Machines::default();
        let mut builds = Vec::new();
        for name in ["d", "a", "c", "b"] {
            let does =
                if name == "a" { vec![Does::Take(10), Does::Fail("no")] } else { vec![Does::Take(10)] };
            let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
            plan.name = name.into();
            builds.push(world.prepare_with(&plan, &[shell(does)], machines.clone()).await);
        }
        let report = run_all(builds, world.settings.clone()).await;
        assert_eq!(report.duration.as_secs(), seconds, "{parallel:?}");
        assert_eq!(machines.most_busy.load(Ordering::SeqCst), most, "{parallel:?}");
        let endings: Vec<_> = report.builds.iter().map(|b| (b.name.as_str(), b.ending)).collect();
        use Ending::{Failed, Succeeded};
        assert_eq!(endings, [("d", Succeeded), ("a", Failed), ("c", Succeeded), ("b", Succeeded)]);
        assert_eq!(report.ending, Failed);
        let events = world.sink.events();
        assert!(matches!(events.first(), Some(Event::RunStarted { .. })));
        assert!(matches!(events.last(), Some(Event::RunFinished { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_starts_no_more_builds() {
    let mut world = world();
    world.settings.parallel = Some(1);
    world.settings.open_journal = Arc::new(|_| Ok(Arc::new(MemoryStore::default())));
    let mut builds = Vec::new();
    let mut plugins = Vec::new();
    for name in ["a", "b"] {
        let mut plan = plan(vec![provisioner("shell")]);
        plan.name = name.into();
        plugins.push(shell([Does::Take(10)]));
        builds.push(world.prepare(&plan, &plugins[plugins.len() - 1..]).await);
    }
    world.cancel_after(5);
    let report = run_all(builds, world.settings.clone()).await;
    assert_eq!(report.ending, Ending::Cancelled);
    assert!(report.builds.iter().all(|build| build.ending == Ending::Cancelled));
    assert!(plugins[1].attempts().is_empty());
    assert!(!report.may_remain());
}

#[tokio::test(start_paused = true)]
async fn provisioning_can_be_asked_for_again() {
    let mut world = world();
    world.settings.on_error = OnError::Ask;
    world.settings.prompt = Answers::new("r");
    let shell = shell([Does::Succeed, Does::Fail("no"), Does::Succeed, Does::Succeed]);
    let report = world
        .run(&plan(vec![provisioner("shell"), provisioner("shell")]), std::slice::from_ref(&shell))
        .await;
    assert_eq!(report.ending, Ending::Succeeded);
    // All provisioners run again.
    assert_eq!(shell.attempts().len(), 4);
}

#[test]
fn limits_are_written_as_go_writes_them() {
    for (millis, text) in [
        (0, "0s"),
        (250, "250ms"),
        (1500, "1.5s"),
        (20_000, "20s"),
        (300_000, "5m0s"),
        (3_600_000, "1h0m0s"),
        (90_061_001, "25h1m1.001s"),
    ] {
        assert_eq!(call::go_duration(Duration::from_millis(millis)), text);
    }
}

#[test]
fn errors_of_provisioning_keep_their_kind() {
    assert!(matches!(BuildError::from(ProvisionError::Cancelled), BuildError::Cancelled));
}
