//! A running build: the client, the checked facts, and the stages in their order. Each stage has a file of its own;
//! this one holds what they share.

use fornax_core::builder::{BuildData, BuildError, RunContext};
use fornax_core::communicator::KeyPair;
use fornax_core::journal::{Lifetime, Resource, Ticket};
use fornax_core::plugin::Artifact;
use fornax_core::saga::Saga;
use fornax_core::{BuildEvents, Text};
use serde_json::Value;

use crate::arm::{Arm, Call};
use crate::artifact::{self, Made};
use crate::builder::AzureBuilder;
use crate::client::{Compute, Tags};
use crate::config::{Config, Place};
use crate::error::ArmError;
use crate::id::{self, Kind};
use crate::lro::{self, BUILD_TAG, PROCESS_TAG};
use crate::names::Names;
use crate::preflight::Facts;

/// What all stages work with.
pub struct Run<'a> {
    pub builder: &'a AzureBuilder,
    pub saga: &'a Saga,
    pub arm: Arm,
    pub compute: Compute,
    pub force: bool,
    pub simulated: bool,
}

impl From<ArmError> for BuildError {
    fn from(error: ArmError) -> Self {
        match error {
            ArmError::Cancelled => BuildError::Cancelled,
            error => BuildError::Failed(error.to_string()),
        }
    }
}

impl<'a> Run<'a> {
    /// Finds the cloud and logs in.
    pub async fn prepare(
        builder: &'a AzureBuilder,
        context: &RunContext,
        saga: &'a Saga,
    ) -> Result<Self, BuildError> {
        context.events.say("Creating Azure Resource Manager (ARM) client ...");
        let arm = builder
            .destination
            .connect(
                &builder.settings.transport,
                builder.gate.clone(),
                builder.config.operation_limit,
                Some(context.events.clone()),
                context.redactor.clone(),
                &context.cancel,
            )
            .await
            .map_err(|e| BuildError::Failed(e.to_string()))?;
        // Alone and first: a wrong secret is reported once, and not by every check.
        arm.tokens().get(arm.cancel()).await.map_err(|e| match e {
            crate::token::TokenError::Cancelled => BuildError::Cancelled,
            e => BuildError::Failed(e.to_string()),
        })?;
        let compute = Compute::new(
            arm.cloud().resource_manager.clone(),
            &builder.destination.credentials.subscription_id,
        );
        tracing::debug!(correlation_id = arm.correlation_id(), "connected");
        Ok(Self {
            builder,
            saga,
            arm,
            compute,
            force: context.force,
            simulated: builder.settings.simulated || context.simulated,
        })
    }

    pub fn client(&self) -> Arm {
        self.arm.clone()
    }

    pub fn config(&self) -> &Config {
        &self.builder.config
    }

    pub fn names(&self) -> &Names {
        &self.builder.names
    }

    pub fn events(&self) -> &BuildEvents {
        self.saga.events()
    }

    pub fn subscription(&self) -> &str {
        &self.builder.destination.credentials.subscription_id
    }

    /// The id of a resource in the build's group.
    pub fn id(&self, kind: Kind, name: &str) -> String {
        id::resource(self.subscription(), &self.names().group, kind, name)
    }

    /// The tags of everything that this build makes.
    pub fn tags(&self) -> Tags {
        let mut tags = self.config().tags.clone();
        if let Some(plan) = &self.config().plan {
            let promotion = plan.promotion_code.clone().unwrap_or_default();
            for (key, value) in [
                ("PlanInfo", &plan.name),
                ("PlanProduct", &plan.product),
                ("PlanPublisher", &plan.publisher),
                ("PlanPromotionCode", &promotion),
            ] {
                tags.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        tags.insert(BUILD_TAG.to_owned(), self.builder.build_id.clone());
        tags
    }

    /// The tags of what this build makes for itself only.
    pub fn working_tags(&self) -> Tags {
        let mut tags = self.tags();
        if let Some(process) = &self.builder.settings.process {
            tags.insert(PROCESS_TAG.to_owned(), process.clone());
        }
        tags
    }

    /// A record of a resource in the build's group.
    pub fn temporary(&self, kind: Kind, name: &str) -> Resource {
        let resource = Resource::new(kind.word(), self.id(kind, name), Lifetime::Temporary);
        match &self.config().place {
            Place::Temporary { .. } if kind != Kind::ResourceGroup => {
                resource.within(id::group(self.subscription(), &self.names().group))
            }
            _ => resource,
        }
    }

    /// Sends a creating call whose resource was announced, and settles the announcement.
    pub async fn create(&self, ticket: Ticket, call: &Call) -> Result<Value, BuildError> {
        self.settle(ticket, lro::run(&self.arm, call).await)
    }

    /// Records how a creation ended. One whose end is not known stays open: it is undone as one that may be under way.
    pub fn settle(&self, ticket: Ticket, result: Result<Value, ArmError>) -> Result<Value, BuildError> {
        match result {
            Ok(value) => {
                ticket.done()?;
                Ok(value)
            }
            Err(error) => {
                if error.service().is_some() {
                    ticket.failed(&error.to_string())?;
                }
                Err(error.into())
            }
        }
    }

    /// From the checks to the artifact. Undoing is the caller's.
    pub async fn build(self) -> Result<Option<Artifact>, BuildError> {
        let facts = self.saga.step("Checking what the build needs", self.check()).await?;
        self.say_source(&facts);
        self.saga.step("Creating resource group", self.create_group(&facts)).await?;
        let key = self.key(&facts).await?;
        let network = self.saga.step("Creating network", self.create_network(&facts)).await?;
        let machine = self.create_machine(&facts, &network, &key).await?;
        let data = self.data(&facts, &machine, &key);
        let provisioned = self.saga.provision(machine.communicator.clone(), data).await;
        if let Some(communicator) = &machine.communicator {
            communicator.close().await;
        }
        provisioned?;
        self.saga.step("Powering off machine", self.power_off(&facts)).await?;
        if self.config().skip_create_image {
            self.events().say("Skipping image creation...");
            return Ok(None);
        }
        let made = self.capture(&facts, &machine).await?;
        Ok(Some(self.artifact(&facts, made).await))
    }

    fn say_source(&self, facts: &Facts) {
        self.events().say("Getting source image id for the deployment ...");
        self.events().message(format!(" -> SourceImageName: '{}'", facts.source_name));
    }

    async fn create_group(&self, facts: &Facts) -> Result<(), BuildError> {
        let group = &self.names().group;
        let tags = self.working_tags();
        let existing = matches!(self.config().place, Place::Existing { .. });
        self.events().say(if existing {
            "Using existing resource group ..."
        } else {
            "Creating resource group ..."
        });
        self.events().message(format!(" -> ResourceGroupName : '{group}'"));
        self.events().message(format!(" -> Location          : '{}'", facts.location));
        if existing {
            return Ok(());
        }
        self.events().message(" -> Tags              :");
        for (key, value) in &tags {
            self.events().message(format!(" ->> {key} : {value}"));
        }
        let ticket = self.saga.journal().begin(self.temporary(Kind::ResourceGroup, group))?;
        let call = self.arm.put(
            &id::group(self.subscription(), group),
            Kind::ResourceGroup.api_version(),
            &serde_json::json!({"location": facts.location, "tags": tags}),
            format!("creating resource group \"{group}\""),
        );
        self.create(ticket, &call).await?;
        Ok(())
    }

    /// The answers to `{{build "Key"}}`.
    fn data(
        &self,
        facts: &Facts,
        machine: &crate::machine::Machine,
        key: &crate::machine::Login,
    ) -> BuildData {
        let names = self.names();
        let text = |value: &str| Text::plain(value);
        let mut data = BuildData::new();
        let mut put = |key: &str, value: Text| {
            data.insert(key.to_owned(), value);
        };
        put("ID", text(&machine.id));
        match &machine.communicator {
            None => put("ConnType", text("none")),
            Some(communicator) => {
                let connection = communicator.connection();
                put("ConnType", text(connection.kind));
                put("Host", text(&connection.host));
                put("Port", text(&connection.port.to_string()));
                put("User", text(&connection.user));
                if let Some(password) = connection.password {
                    put("Password", Text::secret(password));
                }
                let own = key.pair.as_ref().map(|pair: &KeyPair| pair.private_pem.clone());
                if let Some(private) = connection.private_key.or(own) {
                    put("SSHPrivateKey", Text::secret(private));
                }
                if let Some(public) = connection.public_key.or_else(|| key.public.clone()) {
                    put("SSHPublicKey", text(&public));
                }
            }
        }
        put("SourceImageName", text(&facts.source_name));
        put("SubscriptionID", text(self.subscription()));
        put("TenantID", text(facts.tenant_id.as_deref().unwrap_or_default()));
        for (key, value) in [
            ("TempDeploymentName", &names.deployment),
            ("TempComputeName", &names.machine),
            ("TempNicName", &names.nic),
            ("TempOSDiskName", &names.os_disk),
            ("TempDataDiskName", &names.data_disk),
            ("TempResourceGroupName", &names.group),
            ("TempNsgName", &names.security_group),
            ("TempKeyVaultName", &names.key_vault),
            ("TempSubnetName", &names.subnet),
            ("TempVirtualNetworkName", &names.network),
            ("TempPublicIPAddressName", &names.public_ip),
        ] {
            put(key, text(value));
        }
        data
    }

    async fn artifact(&self, facts: &Facts, made: Made) -> Artifact {
        artifact::artifact(self, facts, &made)
    }
}

#[cfg(test)]
mod tests;
