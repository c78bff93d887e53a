//! The factory that the engine knows, and the builder that it makes: a checked configuration, drawn names, and the
//! order of the day: check everything, create, provision, capture, undo.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fornax_core::builder::{BuildOutcome, Builder, BuilderFactory, Description, PrepareContext, RunContext};
use fornax_core::communicator::Connector;
use fornax_core::journal::Header;
use fornax_core::saga::Saga;
use fornax_core::{BuildEvents, Diagnostics, Node, Redactor};
use serde_json::{Map, Value};

use crate::config::{Config, Place, Presupposition, Surroundings};
use crate::gate::Gate;
use crate::names::Names;
use crate::run::Run;
use crate::sweep::AzureSweep;
use crate::target::{Destination, Target};
use crate::transport::Transport;
use crate::undo::{AzureUndo, UndoSetupError};

/// What `{{build "Key"}}` knows beyond the common keys.
const BUILD_DATA_KEYS: &[&str] = &[
    "SourceImageName",
    "TenantID",
    "SubscriptionID",
    "TempDeploymentName",
    "TempComputeName",
    "TempNicName",
    "TempOSDiskName",
    "TempDataDiskName",
    "TempResourceGroupName",
    "TempNsgName",
    "TempKeyVaultName",
    "TempSubnetName",
    "TempVirtualNetworkName",
    "TempPublicIPAddressName",
];

/// What the composition root gives.
#[derive(Clone)]
pub struct AzureSettings {
    pub transport: Arc<dyn Transport>,
    pub connector: Arc<dyn Connector>,
    /// Artifacts are marked so.
    pub simulated: bool,
    /// Where to go, whatever the templates say.
    pub target: Option<Target>,
    /// Which process runs the builds, in words of the composition root: what a build makes for itself carries them in
    /// the tag [`PROCESS_TAG`](crate::PROCESS_TAG), so that a sweep by tag can tell the living from the dead.
    pub process: Option<String>,
}

/// Makes azure-arm builders.
pub struct AzureFactory {
    settings: AzureSettings,
    /// One gate for all builds of a subscription.
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

impl AzureFactory {
    pub fn new(settings: AzureSettings) -> Self {
        Self { settings, gates: Mutex::default() }
    }

    /// What the template of this configuration takes for granted; empty if the configuration has errors.
    pub fn presupposes(&self, config: &Node, context: &PrepareContext) -> Vec<Presupposition> {
        // Who would log in does not matter for that.
        self.read(config, context, true).0.map(|c| c.presupposes()).unwrap_or_default()
    }

    /// Undoes the journal of a process that died. Cloud and credentials are the factory's own target where it has one.
    /// Otherwise the journal's facts count; what is not in it (secrets, and values that are masked as such) comes from
    /// the configuration of the build where its template can still be read, or from the environment: `ARM_CLIENT_ID`,
    /// `ARM_CLIENT_SECRET`, `ARM_TENANT_ID`, `ARM_SUBSCRIPTION_ID`.
    pub fn undo(
        &self,
        header: &Header,
        config: Option<&Node>,
        env: &dyn Fn(&str) -> Option<String>,
        redactor: Redactor,
        events: Option<BuildEvents>,
    ) -> Result<AzureUndo, UndoSetupError> {
        let destination = match &self.settings.target {
            Some(target) => target.into(),
            None => Destination::for_cleanup(&header.target, config, env)?,
        };
        redactor.register(&destination.credentials.client_secret);
        let gate = self.gate(&destination.credentials.subscription_id);
        let transport = self.settings.transport.clone();
        Ok(AzureUndo::unconnected(destination, transport, gate, &header.build_id, redactor, events))
    }

    /// Looks for what builds left in a subscription whose journals are lost. Cloud and credentials come from the
    /// configuration of a build, and what it does not say from the environment: `ARM_METADATA_URL`, `ARM_CLIENT_ID`,
    /// `ARM_CLIENT_SECRET`, `ARM_TENANT_ID`, `ARM_SUBSCRIPTION_ID`.
    pub fn sweep(
        &self,
        config: Option<&Node>,
        env: &dyn Fn(&str) -> Option<String>,
        redactor: Redactor,
    ) -> Result<AzureSweep, UndoSetupError> {
        let destination = match &self.settings.target {
            Some(target) => target.into(),
            None => Destination::for_sweep(config, env)?,
        };
        redactor.register(&destination.credentials.client_secret);
        let gate = self.gate(&destination.credentials.subscription_id);
        Ok(AzureSweep::new(destination, self.settings.transport.clone(), gate, redactor))
    }

    fn read(
        &self,
        config: &Node,
        context: &PrepareContext,
        target_is_given: bool,
    ) -> (Option<Config>, Diagnostics) {
        let env = context.env.clone();
        let around =
            Surroundings { working_dir: &context.working_dir, env: &move |name| env(name), target_is_given };
        Config::read(config, &around)
    }

    fn gate(&self, subscription: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(subscription.to_lowercase()).or_default().clone()
    }
}

impl BuilderFactory for AzureFactory {
    fn type_name(&self) -> &'static str {
        "azure-arm"
    }

    fn describe(&self) -> Description {
        crate::config::schema::describe()
    }

    fn build_data_keys(&self) -> &'static [&'static str] {
        BUILD_DATA_KEYS
    }

    fn prepare(&self, config: &Node, context: &PrepareContext) -> (Option<Arc<dyn Builder>>, Diagnostics) {
        let (config, found) = self.read(config, context, self.settings.target.is_some());
        let Some(config) = config else { return (None, found) };
        let destination = Destination::of(&config, self.settings.target.as_ref());
        // Whether or not the template calls them sensitive, these are.
        let passwords = config.ssh.as_ref().and_then(|ssh| ssh.password.clone());
        for secret in [Some(destination.credentials.client_secret.clone()), passwords].into_iter().flatten() {
            if !secret.expose().is_empty() {
                context.redactor.register(&secret);
            }
        }
        let builder = AzureBuilder {
            names: Names::draw(&config),
            gate: self.gate(&destination.credentials.subscription_id),
            settings: self.settings.clone(),
            build_id: context.build_id.clone(),
            config,
            destination,
        };
        (Some(Arc::new(builder)), found)
    }
}

/// One prepared build.
pub struct AzureBuilder {
    pub(crate) config: Config,
    pub(crate) names: Names,
    pub(crate) destination: Destination,
    pub(crate) settings: AzureSettings,
    pub(crate) gate: Arc<Gate>,
    pub(crate) build_id: String,
}

#[async_trait]
impl Builder for AzureBuilder {
    fn target(&self) -> Map<String, Value> {
        self.destination.facts()
    }

    async fn run(&self, context: RunContext) -> BuildOutcome {
        let events = context.events.clone();
        let saga = Saga::new(&context);
        let undo = AzureUndo::unconnected(
            self.destination.clone(),
            self.settings.transport.clone(),
            self.gate.clone(),
            &self.build_id,
            context.redactor.clone(),
            Some(events.clone()),
        )
        .with_group_deletion_awaited(!self.config.async_group_delete)
        .with_cancel(context.abandon.clone());
        let result = match saga.step("Connecting to Azure", Run::prepare(self, &context, &saga)).await {
            Ok(run) => {
                undo.use_client(run.client());
                run.build().await
            }
            Err(error) => Err(error),
        };
        let had_resources = saga.journal().state().open_entries().next().is_some();
        let remains = saga.finish(&result, &undo).await;
        if let Place::Existing { group } = &self.config.place
            && had_resources
        {
            events.say(format!("The resource group {group} was not created by this build, not deleting ..."));
        }
        BuildOutcome { result, remains }
    }
}
