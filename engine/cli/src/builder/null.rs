//! `null`: provisions a host that is there already, over SSH, or nothing at all (`communicator: none`). Makes no
//! artifact of its own.

use std::sync::Arc;

use async_trait::async_trait;
use fornax_core::builder::{
    BuildData, BuildError, BuildOutcome, Builder, BuilderFactory, Description, PrepareContext, RunContext,
};
use fornax_core::communicator::options::{SshDefaults, properties as ssh_properties};
use fornax_core::communicator::{CommunicatorKind, ConnectRequest, Connector, SshOptions};
use fornax_core::plugin::Artifact;
use fornax_core::saga::Saga;
use fornax_core::{Diagnostic, Diagnostics, Node, Text};
use serde_json::json;

use super::options;

pub struct NullFactory {
    pub connector: Arc<dyn Connector>,
}

/// What stands for the machine's id, as in Packer.
const ID: &str = "Null";

struct NullBuilder {
    connector: Arc<dyn Connector>,
    /// None: no machine at all.
    ssh: Option<(String, SshOptions)>,
}

impl BuilderFactory for NullFactory {
    fn type_name(&self) -> &'static str {
        "null"
    }

    fn describe(&self) -> Description {
        Description {
            summary: "Provisions a host that is there already, or runs steps that need no machine",
            docs: "Makes nothing: it connects to `ssh_host` and runs the provisioners there, or runs those that need no \
                   machine with `\"communicator\": \"none\"`. The way to try provisioners and post-processors out.\n\n\
                   With a machine `ssh_host`, `ssh_username` and a way to log in are needed: `ssh_password`, \
                   `ssh_private_key_file` or `ssh_agent_auth`.",
            schema: options::schema(&[], ssh_properties(&SshDefaults::default())),
            examples: vec![
                json!({"communicator": "none"}),
                json!({"ssh_host": "192.0.2.7", "ssh_username": "root", "ssh_private_key_file": "~/.ssh/id_ed25519"}),
            ],
        }
    }

    fn build_data_keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn prepare(&self, config: &Node, _context: &PrepareContext) -> (Option<Arc<dyn Builder>>, Diagnostics) {
        let mut found = Diagnostics::new();
        let kind = CommunicatorKind::from_config(config, &mut found);
        // Who wants WinRM has been told that it does not work; its options are no further mistakes.
        let misspelt =
            if kind.is_some() { options::refuse_unknown(config, self, &mut found) } else { Vec::new() };
        let ssh = match kind {
            Some(CommunicatorKind::Ssh) => {
                let options = SshOptions::from_config(config, &SshDefaults::default(), &mut found);
                let need = |finding: Diagnostic, why: &str| {
                    finding.at(&config.head()).detail(why.to_owned()).help(
                        "give it, or set the communicator to \"none\" if no machine is to be provisioned",
                    )
                };
                let missing =
                    |key: &str| !options::is_unusable(config, key) && misspelt.iter().all(|m| m != key);
                if let Some(options) = &options {
                    if options.host.is_none() && missing("ssh_host") {
                        let finding =
                            Diagnostic::error("null/ssh-host-missing", "the null builder needs \"ssh_host\"");
                        found.push(need(finding, "it says which host to provision"));
                    }
                    if options.username.is_empty() && missing("ssh_username") {
                        let summary = "the null builder needs \"ssh_username\"";
                        let finding = Diagnostic::error("null/ssh-username-missing", summary);
                        found.push(need(finding, "it says who logs in"));
                    }
                    let has_login = options.password.is_some()
                        || options.private_key_file.is_some()
                        || options.agent_auth;
                    let login = ["ssh_password", "ssh_private_key_file", "ssh_agent_auth"];
                    if !has_login && login.iter().all(|key| missing(key)) {
                        let summary = "the null builder needs \"ssh_password\"";
                        found.push(need(
                            Diagnostic::error("null/ssh-password-missing", summary),
                            "a password, \"ssh_private_key_file\" or \"ssh_agent_auth\" is needed to log in",
                        ));
                    }
                }
                options.and_then(|o| o.host.clone().map(|host| (host, o)))
            }
            _ => None,
        };
        let builder = (!found.has_errors())
            .then(|| Arc::new(NullBuilder { connector: self.connector.clone(), ssh }) as Arc<dyn Builder>);
        (builder, found)
    }
}

impl NullBuilder {
    async fn provision(&self, context: &RunContext) -> Result<(), BuildError> {
        let Some((host, options)) = &self.ssh else {
            let data = BuildData::from_iter([
                ("ID".to_owned(), Text::plain(ID)),
                ("ConnType".to_owned(), Text::plain("none")),
            ]);
            return Saga::new(context).provision(None, data).await;
        };
        context.events.say("Waiting for SSH to become available...");
        let request = ConnectRequest {
            host: host.clone(),
            port: options.port,
            options: options.clone(),
            key: None,
            events: context.events.clone(),
            cancel: context.cancel.clone(),
            why_waiting: None,
        };
        let machine = self.connector.connect(request).await.map_err(BuildError::from)?;
        context.events.say("Connected to SSH!");
        let connection = machine.connection();
        let mut data = BuildData::from_iter([
            ("ID".to_owned(), Text::plain(ID)),
            ("ConnType".to_owned(), Text::plain("ssh")),
            ("Host".to_owned(), Text::plain(connection.host)),
            ("Port".to_owned(), Text::plain(connection.port.to_string())),
            ("User".to_owned(), Text::plain(connection.user)),
        ]);
        if let Some(password) = connection.password {
            data.insert("Password".to_owned(), Text::secret(password));
        }
        let result = Saga::new(context).provision(Some(machine.clone()), data).await;
        machine.close().await;
        result
    }
}

#[async_trait]
impl Builder for NullBuilder {
    async fn run(&self, context: RunContext) -> BuildOutcome {
        let result = self.provision(&context).await.map(|()| {
            Some(Artifact {
                builder_id: "fornax.null".into(),
                id: ID.into(),
                text: "Did not export anything. This is the null builder".into(),
                files: Vec::new(),
                metadata: Default::default(),
                simulated: false,
            })
        });
        BuildOutcome { result, remains: Vec::new() }
    }
}
