//! A build on a workbench: the cloud, the machine and the provisioners are fakes, and the process may die.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::builder::{
    BuildData, BuildOutcome, BuilderFactory, PrepareContext, Prompt, Provision, ProvisionError, Remains,
    RunContext,
};
use fornax_core::communicator::{
    Command, Communicator, CommunicatorError, ConnectError, ConnectRequest, ConnectionInfo, Connector,
    KeyKind, KeyPair, MachineInfo, ProgressFn, ReconnectOptions, Running, Script, SshOptions,
    TransferOptions, TransferStats, UploadSource,
};
use fornax_core::event::{Ending, Event, EventSink};
use fornax_core::journal::{Header, Journal, JournalState, JournalStore};
use fornax_core::plugin::{Artifact, OnError};
use fornax_core::saga::{UndoSettings, undo_all};
use fornax_core::{BuildEvents, Redactor, Secret};
use tokio_util::sync::CancellationToken;

use crate::builder::{AzureFactory, AzureSettings};
use crate::config::tests::{base, node};
use crate::testing::cloud::FakeCloud;

struct FakeMachine(ConnectionInfo);

#[async_trait]
impl Communicator for FakeMachine {
    fn connection(&self) -> ConnectionInfo {
        self.0.clone()
    }
    async fn machine(&self) -> Result<MachineInfo, CommunicatorError> {
        Ok(MachineInfo::default())
    }
    async fn start(&self, _: Command) -> Result<Box<dyn Running>, CommunicatorError> {
        Err(CommunicatorError::Unsupported("fake".into()))
    }
    async fn start_script(&self, _: Script) -> Result<Box<dyn Running>, CommunicatorError> {
        Err(CommunicatorError::Unsupported("fake".into()))
    }
    async fn upload(
        &self,
        _: UploadSource,
        _: &str,
        _: &TransferOptions,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        Err(CommunicatorError::Unsupported("fake".into()))
    }
    async fn download(
        &self,
        _: &str,
        _: &std::path::Path,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        Err(CommunicatorError::Unsupported("fake".into()))
    }
    async fn read_file(&self, _: &str, _: usize) -> Result<Vec<u8>, CommunicatorError> {
        Err(CommunicatorError::Unsupported("fake".into()))
    }
    async fn remove_file(&self, _: &str) -> Result<(), CommunicatorError> {
        Ok(())
    }
    async fn reconnect(&self, _: &ReconnectOptions) -> Result<(), CommunicatorError> {
        Ok(())
    }
    async fn close(&self) {}
}

/// Connects at once, never, or refuses.
#[derive(Clone, Copy, PartialEq)]
pub enum Ssh {
    Answers,
    Silent,
    Refuses,
}

struct FakeConnector(Ssh);

#[async_trait]
impl Connector for FakeConnector {
    fn generate_key(&self, _: KeyKind, _: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError> {
        Ok(KeyPair {
            public_openssh: format!("ssh-ed25519 AAAA {comment}\n"),
            private_pem: Secret::new("PRIVATE"),
        })
    }
    async fn public_key(&self, _: &SshOptions) -> Result<Option<String>, ConnectError> {
        Ok(Some("ssh-rsa AAAA own".into()))
    }
    async fn connect(&self, request: ConnectRequest) -> Result<Arc<dyn Communicator>, ConnectError> {
        match self.0 {
            Ssh::Answers => Ok(Arc::new(FakeMachine(ConnectionInfo {
                kind: "ssh",
                host: request.host,
                port: request.port,
                user: request.options.username.clone(),
                password: None,
                public_key: None,
                private_key: None,
            }))),
            Ssh::Silent => {
                request.cancel.cancelled().await;
                Err(ConnectError::Cancelled)
            }
            Ssh::Refuses => Err(ConnectError::Refused {
                host: request.host,
                port: request.port,
                reason: request.why_waiting.unwrap().why().await.unwrap(),
                help: "look".into(),
            }),
        }
    }
}

/// What the provisioners do.
#[derive(Clone, Copy, PartialEq)]
pub enum Work {
    Succeeds,
    Fails,
    CancelsTheBuild,
}

struct FakeProvision {
    work: Work,
    cancel: CancellationToken,
    seen: Mutex<Option<BuildData>>,
}

#[async_trait]
impl Provision for FakeProvision {
    async fn provision(
        &self,
        _: Option<Arc<dyn Communicator>>,
        data: BuildData,
    ) -> Result<(), ProvisionError> {
        *self.seen.lock().unwrap() = Some(data);
        match self.work {
            Work::Succeeds => Ok(()),
            Work::Fails => Err(ProvisionError::Failed("the script failed".into())),
            Work::CancelsTheBuild => {
                self.cancel.cancel();
                Err(ProvisionError::Cancelled)
            }
        }
    }
}

struct Nobody;

#[async_trait]
impl Prompt for Nobody {
    async fn choose(&self, _: &str, _: &[char]) -> Option<char> {
        None
    }
}

#[derive(Default)]
pub struct Events(Mutex<Vec<Event>>);

impl EventSink for Events {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Events {
    pub fn text(&self) -> String {
        let events = self.0.lock().unwrap();
        let line = |event: &Event| match event {
            Event::Say { message, .. } | Event::Message { message, .. } | Event::Error { message, .. } => {
                Some(format!("{message}\n"))
            }
            _ => None,
        };
        events.iter().filter_map(line).collect()
    }
}

/// Dies after so many records.
struct Store {
    lines: Mutex<String>,
    deadline: Option<usize>,
    cloud: Arc<FakeCloud>,
    died: CancellationToken,
}

impl JournalStore for Store {
    fn append(&self, line: &str) -> std::io::Result<()> {
        let mut lines = self.lines.lock().unwrap();
        if self.died.is_cancelled() {
            return Err(std::io::Error::other("dead"));
        }
        lines.push_str(line);
        lines.push('\n');
        if self.deadline.is_some_and(|n| lines.lines().count() >= n) {
            self.cloud.dead.store(true, Ordering::SeqCst);
            self.died.cancel();
        }
        Ok(())
    }
    fn location(&self) -> String {
        "memory".into()
    }
}

pub struct Bench {
    pub cloud: Arc<FakeCloud>,
    pub config: serde_json::Value,
    pub work: Work,
    pub ssh: Ssh,
    pub force: bool,
    pub simulated: bool,
    pub die_after: Option<usize>,
}

pub struct Outcome {
    pub outcome: Option<BuildOutcome>,
    pub events: Arc<Events>,
    pub journal: String,
    pub data: Option<BuildData>,
    pub took: Duration,
}

impl Outcome {
    pub fn error(&self) -> String {
        match &self.outcome.as_ref().unwrap().result {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it succeeded"),
        }
    }

    pub fn artifact(&self) -> &Artifact {
        let outcome = self.outcome.as_ref().unwrap();
        assert!(outcome.remains.is_empty(), "{:?}", outcome.remains);
        match &outcome.result {
            Ok(artifact) => artifact.as_ref().unwrap(),
            Err(error) => panic!("{error}\n{}", self.events.text()),
        }
    }
}

impl Bench {
    pub fn new(extra: serde_json::Value) -> Self {
        let mut config = base();
        config["vm_size"] = "Standard_B1s".into();
        for (key, value) in extra.as_object().unwrap() {
            if value.is_null() {
                config.as_object_mut().unwrap().remove(key);
            } else {
                config[key] = value.clone();
            }
        }
        Self {
            cloud: FakeCloud::new(),
            config,
            work: Work::Succeeds,
            ssh: Ssh::Answers,
            force: false,
            simulated: false,
            die_after: None,
        }
    }

    pub fn factory(&self) -> AzureFactory {
        AzureFactory::new(AzureSettings {
            transport: self.cloud.clone(),
            connector: Arc::new(FakeConnector(self.ssh)),
            simulated: self.simulated,
            target: None,
            process: Some("host.1.2".to_owned()),
        })
    }

    pub async fn run(&self) -> Outcome {
        let redactor = Redactor::new();
        let prepare = PrepareContext {
            build_name: "azure-arm".into(),
            build_id: "build-1".into(),
            run_id: "run-1".into(),
            force: self.force,
            debug: false,
            working_dir: std::env::temp_dir(),
            redactor: redactor.clone(),
            env: Arc::new(|_| None),
        };
        let (builder, found) = self.factory().prepare(&node(&self.config), &prepare);
        let builder = builder.unwrap_or_else(|| panic!("{found:?}"));
        let events = Arc::new(Events::default());
        let build_events = BuildEvents::new(events.clone(), "azure-arm");
        let died = CancellationToken::new();
        let store = Arc::new(Store {
            lines: Mutex::default(),
            deadline: self.die_after,
            cloud: self.cloud.clone(),
            died: died.clone(),
        });
        let header = Header {
            build_id: "build-1".into(),
            builder_type: "azure-arm".into(),
            target: builder.target(),
            ..Header::default()
        };
        let journal = Journal::create(store.clone(), header, build_events.clone(), redactor.clone()).unwrap();
        let cancel = CancellationToken::new();
        let provision =
            Arc::new(FakeProvision { work: self.work, cancel: cancel.clone(), seen: Mutex::default() });
        let context = RunContext {
            events: build_events,
            journal,
            provision: provision.clone(),
            prompt: Arc::new(Nobody),
            cancel,
            abandon: CancellationToken::new(),
            on_error: OnError::Cleanup,
            debug: false,
            force: self.force,
            redactor,
            simulated: self.simulated,
        };
        let began = tokio::time::Instant::now();
        let outcome = tokio::select! {
            biased;
            () = died.cancelled() => None,
            outcome = builder.run(context) => Some(outcome),
        };
        let took = began.elapsed();
        Outcome {
            outcome,
            events,
            journal: store.lines.lock().unwrap().clone(),
            data: provision.seen.lock().unwrap().clone(),
            took,
        }
    }

    /// `cleanup` in another process.
    pub async fn cleanup(&self, journal: &str) -> Vec<Remains> {
        self.cloud.dead.store(false, Ordering::SeqCst);
        let (state, _) = JournalState::replay(journal).unwrap();
        let events = BuildEvents::new(Arc::new(Events::default()), "cleanup");
        let header = state.header().unwrap().clone();
        let env = |name: &str| (name == "ARM_CLIENT_SECRET").then(|| "secret".to_owned());
        let undo = self.factory().undo(&header, None, &env, Redactor::new(), None).unwrap();
        let store = Arc::new(Store {
            lines: Mutex::default(),
            deadline: None,
            cloud: self.cloud.clone(),
            died: CancellationToken::new(),
        });
        let journal = Journal::resume(store, state, events, Redactor::new());
        undo_all(&journal, Ending::Failed, &undo, &UndoSettings::default(), &CancellationToken::new()).await
    }
}
