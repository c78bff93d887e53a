//! Where a build goes: the template's cloud and credentials, or others that the composition root gives in their place.
//! Also which facts of it stand in the journal, and how they are found again by `cleanup`.

use std::sync::Arc;
use std::time::Duration;

use fornax_core::{BuildEvents, Redactor, Secret};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::arm::Arm;
use crate::cloud::{self, Cloud, CloudError, NamedCloud};
use crate::config::{CloudChoice, Config};
use crate::gate::Gate;
use crate::token::{Credentials, TokenSource};
use crate::transport::Transport;

/// A cloud and credentials that take the place of the template's.
#[derive(Clone, Debug)]
pub struct Target {
    /// `https://management.example.com`
    pub metadata_host: String,
    pub tenant_id: String,
    pub subscription_id: String,
    pub client_id: String,
    pub client_secret: Secret,
}

/// Where to go and as whom.
#[derive(Clone, Debug)]
pub struct Destination {
    pub cloud: CloudChoice,
    pub credentials: Credentials,
}

impl Destination {
    pub fn of(config: &Config, target: Option<&Target>) -> Self {
        match target {
            Some(target) => target.into(),
            None => Self { cloud: config.cloud.clone(), credentials: config.credentials.clone() },
        }
    }

    /// What `cleanup` needs besides the secret.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = Map::new();
        let mut put = |key: &str, value: &str| facts.insert(key.to_owned(), value.into());
        match &self.cloud {
            CloudChoice::Named(NamedCloud::Public) => put("cloud_environment_name", "Public"),
            CloudChoice::Named(NamedCloud::UsGovernment) => put("cloud_environment_name", "USGovernment"),
            CloudChoice::Named(NamedCloud::China) => put("cloud_environment_name", "China"),
            CloudChoice::Metadata(host) => put("metadata_host", host),
        };
        put("subscription_id", &self.credentials.subscription_id);
        put("client_id", &self.credentials.client_id);
        if let Some(tenant) = &self.credentials.tenant_id {
            put("tenant_id", tenant);
        }
        facts
    }

    /// The cloud of a journal's facts.
    pub fn cloud_of(facts: &Map<String, Value>) -> CloudChoice {
        let text = |key: &str| facts.get(key).and_then(Value::as_str);
        match text("metadata_host") {
            Some(host) => CloudChoice::Metadata(host.to_owned()),
            None => CloudChoice::Named(
                text("cloud_environment_name").and_then(NamedCloud::parse).unwrap_or(NamedCloud::Public),
            ),
        }
    }

    /// The endpoints; asks the cloud for them where it has no name.
    pub async fn resolve(
        &self,
        transport: &dyn Transport,
        cancel: &CancellationToken,
    ) -> Result<Cloud, CloudError> {
        match &self.cloud {
            CloudChoice::Named(named) => Ok(named.cloud()),
            CloudChoice::Metadata(host) => cloud::discover(transport, host, cancel).await,
        }
    }

    /// A client.
    pub async fn connect(
        &self,
        transport: &Arc<dyn Transport>,
        gate: Arc<Gate>,
        limit: Duration,
        events: Option<BuildEvents>,
        redactor: Redactor,
        cancel: &CancellationToken,
    ) -> Result<Arm, CloudError> {
        let cloud = self.resolve(transport.as_ref(), cancel).await?;
        let tokens =
            Arc::new(TokenSource::new(transport.clone(), cloud.clone(), self.credentials.clone(), redactor));
        Ok(Arm::new(transport.clone(), cloud, tokens, gate, limit, events, cancel.clone()))
    }
}

impl From<&Target> for Destination {
    fn from(target: &Target) -> Self {
        Self {
            cloud: CloudChoice::Metadata(target.metadata_host.clone()),
            credentials: Credentials {
                tenant_id: Some(target.tenant_id.clone()),
                client_id: target.client_id.clone(),
                client_secret: target.client_secret.clone(),
                subscription_id: target.subscription_id.clone(),
            },
        }
    }
}
