//! The composition root: chooses between Azure and the simulator in this process, and puts builders, communicator and
//! plugins together. `--simulate` chooses the simulator, otherwise it is Azure; never a silent fallback.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fornax_azure::{
    AzureFactory, AzureSettings, Presupposition, ReqwestTransport, Transport, TransportError,
};
use fornax_communicator::{SshConnector, TcpDialer};
use fornax_core::Redactor;
use fornax_core::builder::{BuilderFactory, PrepareContext};
use fornax_core::communicator::{Connector, Dialer, Stream};
use fornax_core::plan::{BuildPlan, Plan};
use fornax_core::plugin::{Capability, ExtensionKind, PluginCatalog};
use fornax_core::template::hcl::InstalledPlugin;
use fornax_plugin_host::{HostConfig, PluginHost, PluginId, Policy};
use fornax_simulator::seed::{Plan as SeedPlan, SeedGroup, SeedImage, SeedMarketplaceImage, SeedNetwork};
use fornax_simulator::{Seed, Simulator};

use crate::args::{BuildArgs, PluginArgs};
use crate::builder::{FileFactory, NullFactory};
use crate::command::template::environment;
use crate::data::BuiltInData;
use crate::error::CliError;
use crate::plugin_http::PluginHttp;
use crate::{paths, simulation};

/// See [`installed`].
const AZURE_PLUGIN: &str = "2.6.4";

/// Everything that a run is made of.
pub struct Parts {
    pub factories: Vec<Arc<dyn BuilderFactory>>,
    pub catalog: Arc<dyn PluginCatalog>,
    pub run_id: String,
    working_dir: PathBuf,
    simulator: Option<Arc<Simulator>>,
}

/// What satisfies the `required_plugins` of a template: what is built in goes by the name of the plugin that has it in
/// Packer, a component by its own.
pub fn installed(catalog: &dyn PluginCatalog) -> Vec<InstalledPlugin> {
    let mut out = vec![InstalledPlugin {
        source: "github.com/hashicorp/azure".to_owned(),
        // The version of Packer's plugin whose options and output the builder follows.
        version: AZURE_PLUGIN.to_owned(),
        built_in: true,
    }];
    for extension in catalog.list() {
        let info = extension.info();
        out.push(InstalledPlugin {
            source: info.plugin_name.clone(),
            version: info.plugin_version.clone(),
            built_in: false,
        });
    }
    out
}

/// Name of the data source that reads pages, for denials.
const HTTP_DATA: &str = "http";

/// The data sources, with the rights that the operator leaves them.
pub fn data(args: Option<&PluginArgs>) -> Result<BuiltInData, CliError> {
    let policy = args.map_or_else(|| Ok(Policy::new()), policy)?;
    let id = PluginId { name: HTTP_DATA, digest: "", built_in: true };
    Ok(BuiltInData::new(policy.effective(id, &[Capability::Network(vec!["*".to_owned()])])))
}

impl Parts {
    /// What a builder may know when it is prepared.
    pub fn prepare_context(
        &self,
        build: &BuildPlan,
        redactor: &Redactor,
        force: bool,
        debug: bool,
    ) -> PrepareContext {
        PrepareContext {
            build_name: build.name.clone(),
            build_id: fornax_core::ids::time_ordered_uuid(),
            run_id: self.run_id.clone(),
            force,
            debug,
            working_dir: self.working_dir.clone(),
            redactor: redactor.clone(),
            env: environment(),
        }
    }

    /// Ends the simulator, if there is one, with all its machines.
    pub async fn shutdown(&self) {
        if let Some(simulator) = &self.simulator {
            simulator.shutdown().await;
        }
    }
}

/// What each component of the binary offers: its name is that of its type.
const BUILT_IN: [(ExtensionKind, &[&str]); 2] = [
    (
        ExtensionKind::Provisioner,
        &[
            "breakpoint",
            "file",
            "powershell",
            "shell",
            "shell-local",
            "sleep",
            "windows-restart",
            "windows-shell",
        ],
    ),
    (ExtensionKind::PostProcessor, &["artifice", "checksum", "compress", "manifest", "shell-local"]),
];

/// What the operator granted and denied. Holds for parts of the engine that need a right as well: they ask it as
/// built-in plugins do.
pub fn policy(args: &PluginArgs) -> Result<Policy, CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::failed(e.to_string());
    let mut policy = Policy::new();
    if let Some(path) = &args.policy {
        policy.add_file(path).map_err(|e| failed(&e))?;
    }
    for grant in &args.grants {
        policy.grant(grant).map_err(|e| failed(&e))?;
    }
    for denial in &args.denials {
        policy.deny(denial).map_err(|e| failed(&e))?;
    }
    Ok(policy)
}

/// A policy file may serve for many runs, but a misspelt name on the command line would take nothing away.
fn refuse_strangers(args: &PluginArgs, catalog: &dyn PluginCatalog) -> Result<(), CliError> {
    let mut told = Policy::new();
    for denial in &args.denials {
        told.deny(denial).map_err(|e| CliError::failed(e.to_string()))?;
    }
    let extensions = catalog.list();
    let mut names: Vec<&str> = extensions.iter().map(|e| e.info().plugin_name.as_str()).collect();
    // The data source is no plugin, but it takes the same right.
    names.push(HTTP_DATA);
    let strangers = told.denied_strangers(&names);
    let Some(name) = strangers.first() else { return Ok(()) };
    let known: BTreeSet<&str> = names.into_iter().collect();
    let known: Vec<&str> = known.into_iter().collect();
    Err(CliError::failed(format!(
        "--deny names {name:?}, which is no plugin; there are: {}",
        known.join(", ")
    )))
}

/// The plugins of the named folders, and those in the binary that a plan uses: compiling one takes a while the first
/// time, and most templates use two or three. Without a plan it is all of them.
pub async fn plugins(args: &PluginArgs, plan: Option<&Plan>) -> Result<Arc<dyn PluginCatalog>, CliError> {
    let working_dir = std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?;
    let config = HostConfig {
        cache_dir: Some(paths::cache_dir()),
        policy: policy(args)?,
        working_dir,
        http: Some(Arc::new(PluginHttp::default())),
        ..HostConfig::default()
    };
    let host = PluginHost::new(config);
    let used: Option<BTreeSet<&str>> =
        plan.map(|plan| plan.builds.iter().flat_map(fornax_core::plan::BuildPlan::component_types).collect());
    // A denial by name is checked against all names.
    let wanted =
        |name: &str| !args.denials.is_empty() || used.as_ref().is_none_or(|used| used.contains(name));
    let built_in: Vec<(&str, &'static [u8])> = fornax_plugin_bundle::components()
        .iter()
        .filter(|c| wanted(c.name))
        .map(|c| (c.name, c.bytes))
        .collect();
    let mut problems = host.load_builtin(&built_in).await;
    for dir in &args.plugin_dirs {
        problems.extend(host.load_dir(dir).await);
    }
    if !problems.is_empty() {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(CliError::failed(texts.join("\n")));
    }
    let catalog = host.catalog();
    refuse_clashes(catalog.as_ref())?;
    refuse_strangers(args, catalog.as_ref())?;
    Ok(Arc::new(WithBuiltIn(catalog)))
}

/// A component of a folder can't take the name of one in the binary, whether that one is loaded or not.
fn refuse_clashes(catalog: &dyn PluginCatalog) -> Result<(), CliError> {
    for extension in catalog.list() {
        let info = extension.info();
        let taken =
            BUILT_IN.iter().any(|(kind, names)| *kind == info.kind && names.contains(&info.name.as_str()));
        if taken && info.origin != "built-in" {
            return Err(CliError::failed(format!(
                "the {} {:?} of {} has the name of one that is built in; its author has to give it another name",
                info.kind.as_str(),
                info.name,
                info.origin
            )));
        }
    }
    Ok(())
}

/// A catalogue that knows the names of the components in the binary that were not loaded.
struct WithBuiltIn(Arc<dyn PluginCatalog>);

impl PluginCatalog for WithBuiltIn {
    fn find(&self, kind: ExtensionKind, name: &str) -> Option<Arc<dyn fornax_core::plugin::Extension>> {
        self.0.find(kind, name)
    }

    fn list(&self) -> Vec<Arc<dyn fornax_core::plugin::Extension>> {
        self.0.list()
    }

    fn names(&self, kind: ExtensionKind) -> Vec<String> {
        let mut names = self.0.names(kind);
        let built_in = BUILT_IN.iter().filter(|(k, _)| *k == kind).flat_map(|(_, names)| *names);
        names.extend(built_in.map(|name| (*name).to_owned()));
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The azure-arm builder for the real cloud, or for a simulator that stands in for it.
pub fn azure(simulator: Option<&Arc<Simulator>>) -> AzureFactory {
    let dialer: Arc<dyn Dialer> = match simulator {
        Some(simulator) => Arc::new(Inside(simulator.clone())),
        None => Arc::new(TcpDialer),
    };
    let transport: Arc<dyn Transport> = match simulator {
        Some(simulator) => Arc::new(Inside(simulator.clone())),
        None => Arc::new(ReqwestTransport::new()),
    };
    AzureFactory::new(AzureSettings {
        transport,
        connector: Arc::new(SshConnector::new(dialer)),
        simulated: simulator.is_some(),
        target: simulator.map(|simulator| target_of(simulator)),
        process: crate::process::word(),
    })
}

fn target_of(simulator: &Simulator) -> fornax_azure::Target {
    let credentials = simulator.credentials();
    fornax_azure::Target {
        metadata_host: simulator.endpoint().to_owned(),
        tenant_id: credentials.tenant_id.clone(),
        subscription_id: credentials.subscription_id.clone(),
        client_id: credentials.client_id.clone(),
        client_secret: fornax_core::Secret::new(credentials.client_secret.clone()),
    }
}

fn parts(
    azure: AzureFactory,
    catalog: Arc<dyn PluginCatalog>,
    simulator: Option<Arc<Simulator>>,
) -> Result<Parts, CliError> {
    let connector: Arc<dyn Connector> = Arc::new(SshConnector::new(Arc::new(TcpDialer)));
    Ok(Parts {
        factories: vec![Arc::new(azure), Arc::new(NullFactory { connector }), Arc::new(FileFactory)],
        catalog,
        run_id: uuid::Uuid::new_v4().to_string(),
        working_dir: std::env::current_dir().map_err(|e| CliError::failed(e.to_string()))?,
        simulator,
    })
}

/// For `validate`: nothing is contacted.
pub async fn offline(args: &PluginArgs, plan: Option<&Plan>) -> Result<Parts, CliError> {
    parts(azure(None), plugins(args, plan).await?, None)
}

/// For `build`: Azure, or a simulator that has what the template takes for granted.
pub async fn for_build(
    args: &BuildArgs,
    catalog: Arc<dyn PluginCatalog>,
    plan: &Plan,
    redactor: &Redactor,
    say: &dyn Fn(&str),
) -> Result<Parts, CliError> {
    if !args.simulate {
        return parts(azure(None), catalog, None);
    }
    let seed = if args.simulation.seed.is_some() { None } else { Some(presupposed(plan, redactor, say)?) };
    let config = simulation::config(&args.simulation, seed, false, say).await?;
    say(&format!(
        "Simulated: this build runs on a local Azure in this process (machine: {}), nothing of it is real.",
        config.backend.name()
    ));
    let simulator = Simulator::new(config).map_err(|e| CliError::failed(e.to_string()))?;
    parts(azure(Some(&simulator)), catalog, Some(simulator))
}

/// What the templates take for granted: destination groups, source images, networks.
fn presupposed(plan: &Plan, redactor: &Redactor, say: &dyn Fn(&str)) -> Result<Seed, CliError> {
    let factory = azure(None);
    let parts = Parts {
        factories: Vec::new(),
        catalog: Arc::new(NoPlugins),
        run_id: String::new(),
        working_dir: PathBuf::new(),
        simulator: None,
    };
    let mut seed = Seed::default();
    for build in plan.builds.iter().filter(|b| b.builder_type == "azure-arm") {
        let context = parts.prepare_context(build, redactor, false, false);
        let (node, _) = build.config.resolve(None, &[]);
        for presupposition in factory.presupposes(&node, &context) {
            plant(presupposition, &mut seed, say);
        }
    }
    Ok(seed)
}

/// Puts one presupposition into the seed and says so; what is there already is passed over.
fn plant(presupposition: Presupposition, seed: &mut Seed, say: &dyn Fn(&str)) {
    let told = |what: &str, name: &str| {
        say(&format!("Simulated: {what} {name} exists, because the template presupposes it."))
    };
    let location_or = |location: Option<String>| {
        location.unwrap_or_else(|| fornax_simulator::seed::DEFAULT_LOCATION.to_owned())
    };
    match presupposition {
        Presupposition::Group { name, location } => {
            let is_default = name.eq_ignore_ascii_case(fornax_simulator::seed::DEFAULT_GROUP);
            if is_default || seed.groups.iter().any(|g| g.name.eq_ignore_ascii_case(&name)) {
                return;
            }
            told("the resource group", &name);
            seed.groups.push(SeedGroup { name, location: location_or(location), tags: Default::default() });
        }
        Presupposition::Image { group, name, location, plan } => {
            if seed
                .images
                .iter()
                .any(|i| i.name.eq_ignore_ascii_case(&name) && i.group.eq_ignore_ascii_case(&group))
            {
                return;
            }
            plant(Presupposition::Group { name: group.clone(), location: location.clone() }, seed, say);
            told("the image", &format!("{group}/{name}"));
            let plan = plan.map(|p| SeedPlan { name: p.name, product: p.product, publisher: p.publisher });
            seed.images.push(SeedImage {
                group,
                name,
                location,
                os: "Linux".into(),
                base: None,
                plan,
                generation: "V2".into(),
            });
        }
        Presupposition::Network { group, name, subnet, location } => {
            if seed
                .networks
                .iter()
                .any(|n| n.name.eq_ignore_ascii_case(&name) && n.group.eq_ignore_ascii_case(&group))
            {
                return;
            }
            plant(Presupposition::Group { name: group.clone(), location: location.clone() }, seed, say);
            told("the virtual network", &format!("{group}/{name}"));
            seed.networks.push(SeedNetwork {
                group,
                name,
                location,
                subnets: vec![subnet.unwrap_or_else(|| "default".into())],
            });
        }
        Presupposition::Marketplace { publisher, offer, sku, version, plan } => {
            told("the marketplace image", &format!("{publisher}:{offer}:{sku}:{version}"));
            let version = if version == "latest" { "1.0.0".to_owned() } else { version };
            seed.marketplace.push(SeedMarketplaceImage {
                publisher,
                offer,
                sku,
                version,
                os: "Linux".into(),
                generation: "V2".into(),
                plan,
                terms_accepted: true,
            });
        }
        Presupposition::Size { name, .. } => {
            told("the size", &name);
            let size = serde_json::json!({ "name": name });
            seed.sizes.extend(serde_json::from_value(size));
        }
    }
}

/// A catalogue with nothing in it.
struct NoPlugins;

impl PluginCatalog for NoPlugins {
    fn find(&self, _kind: ExtensionKind, _name: &str) -> Option<Arc<dyn fornax_core::plugin::Extension>> {
        None
    }

    fn list(&self) -> Vec<Arc<dyn fornax_core::plugin::Extension>> {
        Vec::new()
    }
}

/// The simulator in this process as transport and as network.
struct Inside(Arc<Simulator>);

#[async_trait]
impl Transport for Inside {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        self.0.handle(request).await.map_err(|cut| TransportError::Interrupted {
            host: "the simulator".to_owned(),
            reason: cut.to_string(),
        })
    }
}

#[async_trait]
impl Dialer for Inside {
    async fn dial(&self, host: &str, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = self.0.connect_ssh(host, port).await?;
        Ok(Box::new(stream))
    }
}
