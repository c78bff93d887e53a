//! Deletes what a build made: for the build itself, for `cleanup` in another process, and for a sweep by tag. Before
//! anything is deleted it is read: what does not carry the build's tag is somebody else's and stays.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::journal::{Resource, Undone};
use fornax_core::saga::{Undo, UndoError};
use fornax_core::secret::MASK;
use fornax_core::{BuildEvents, Node, Redactor, Secret};
use http::Method;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::arm::Arm;
use crate::config::Config;
use crate::error::ArmError;
use crate::gate::Gate;
use crate::id::{self, Kind};
use crate::lro::{self, BUILD_TAG};
use crate::target::Destination;
use crate::token::{Credentials, TokenError};
use crate::transport::Transport;

/// The limit of one deletion; that of a group with machines in it can take half an hour in bad times.
const OPERATION_LIMIT: Duration = Duration::from_secs(35 * 60);
/// A resource that another one still refers to is tried again so long: a failed machine reserves its interface for
/// three minutes.
const IN_USE_LIMIT: Duration = Duration::from_secs(4 * 60);

/// Why resources can't be undone in this process.
#[derive(Debug, thiserror::Error)]
pub enum UndoSetupError {
    #[error(
        "{missing} of the build is not known here: run it where the template and its variables can be read, or set \
         {variable}"
    )]
    Missing { missing: &'static str, variable: &'static str },
    /// The template or `ARM_METADATA_URL` names no cloud that can be used.
    #[error("the cloud is not known: {0}")]
    Cloud(String),
}

/// Undoes the resources of one build.
pub struct AzureUndo {
    destination: Destination,
    transport: Arc<dyn Transport>,
    gate: Arc<Gate>,
    build_id: String,
    redactor: Redactor,
    events: Option<BuildEvents>,
    await_group: bool,
    cancel: CancellationToken,
    given: OnceLock<Arm>,
    own: tokio::sync::OnceCell<Arm>,
}

impl AzureUndo {
    /// Connects when the first resource is to be undone.
    pub(crate) fn unconnected(
        destination: Destination,
        transport: Arc<dyn Transport>,
        gate: Arc<Gate>,
        build_id: &str,
        redactor: Redactor,
        events: Option<BuildEvents>,
    ) -> Self {
        Self {
            destination,
            transport,
            gate,
            build_id: build_id.to_owned(),
            redactor,
            events,
            await_group: true,
            cancel: CancellationToken::new(),
            given: OnceLock::new(),
            own: tokio::sync::OnceCell::new(),
        }
    }

    /// Whether the deletion of a whole group is waited for.
    #[must_use]
    pub(crate) fn with_group_deletion_awaited(mut self, awaited: bool) -> Self {
        self.await_group = awaited;
        self
    }

    /// What ends all waits.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Goes on with the client of the build.
    pub(crate) fn use_client(&self, arm: Arm) {
        let _ = self.given.set(arm.with_cancel(self.cancel.clone()));
    }

    pub(crate) fn subscription(&self) -> &str {
        &self.destination.credentials.subscription_id
    }

    pub(crate) fn build_id(&self) -> &str {
        &self.build_id
    }

    pub(crate) async fn arm(&self) -> Result<&Arm, UndoError> {
        if let Some(arm) = self.given.get() {
            return Ok(arm);
        }
        let connect = || async {
            self.destination
                .connect(
                    &self.transport,
                    self.gate.clone(),
                    OPERATION_LIMIT,
                    self.events.clone(),
                    self.redactor.clone(),
                    &self.cancel,
                )
                .await
        };
        self.own.get_or_try_init(connect).await.map_err(|e| UndoError::retryable(e.to_string()))
    }

    fn say(&self, message: String) {
        if let Some(events) = &self.events {
            events.say(message);
        }
    }

    /// Where a journalled resource is. Built anew, because secret parts of the id are masked in the journal, and
    /// because nothing outside of the build's subscription may be touched.
    fn locate(&self, resource: &Resource) -> Result<(Kind, String), UndoError> {
        let kind = Kind::parse(&resource.kind).ok_or_else(|| {
            UndoError::fatal(format!("this version does not know how to undo a {}", resource.kind))
        })?;
        let unreadable = || UndoError::fatal(format!("the journal's id {:?} can't be read", resource.id));
        let group = id::group_of(&resource.id).ok_or_else(unreadable)?;
        let name = id::name(&resource.id);
        let mut segments = resource.id.split('/');
        let subscription = segments.nth(2).ok_or_else(unreadable)?;
        if name.is_empty() || name.contains(MASK) || group.contains(MASK) {
            return Err(UndoError::fatal(format!(
                "its name is masked in the journal ({}); look for resources with the tag {BUILD_TAG}={}",
                resource.id, self.build_id
            )));
        }
        if !subscription.eq_ignore_ascii_case(self.subscription()) && !subscription.contains(MASK) {
            return Err(UndoError::fatal(format!(
                "it is in subscription {subscription}, but the credentials are for {}",
                self.subscription()
            )));
        }
        let id = id::resource(
            self.subscription(),
            group,
            kind,
            if kind == Kind::ResourceGroup { group } else { name },
        );
        Ok((kind, id))
    }

    /// Whether what was found is this build's. A disk that came into being with its machine need not carry the
    /// machine's tags; its name was proved free or drawn before, so it is ours unless it carries another build's.
    fn is_ours(&self, resource: &Resource, kind: Kind, found: &Value) -> bool {
        match found["tags"][BUILD_TAG].as_str() {
            Some(id) => id == self.build_id,
            None => kind == Kind::Disk && resource.details.get("implicit") == Some(&Value::Bool(true)),
        }
    }

    async fn delete(&self, arm: &Arm, kind: Kind, id: &str) -> Result<(), ArmError> {
        let what = format!("deleting {} \"{}\"", kind.label(), id::name(id));
        let call = arm.call(Method::DELETE, id, kind.api_version(), what.clone());
        let began = Instant::now();
        loop {
            let result = match lro::start(arm, &call).await {
                Ok(_) if kind == Kind::ResourceGroup && !self.await_group => return Ok(()),
                Ok(operation) => operation.finish(arm).await.map(drop),
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = error.service().is_some_and(|e| {
                // A lock stays until somebody removes it.
                !e.has_code("ScopeLocked")
                    && (e.is_in_use() || e.is_concurrent() || e.has_code("ResourceGroupBeingDeleted"))
            });
            if !again || began.elapsed() > IN_USE_LIMIT {
                return Err(error);
            }
            // The one who is deleting it may have finished meanwhile.
            if arm.find(id, kind.api_version(), what.clone()).await?.is_none() {
                return Ok(());
            }
            arm.waiting(&format!("{what} (still in use)"), began.elapsed());
            let pause = (began.elapsed() / 3).clamp(Duration::from_millis(50), Duration::from_secs(10));
            arm.sleep(pause).await?;
        }
    }
}

#[async_trait]
impl Undo for AzureUndo {
    async fn undo(&self, resource: &Resource, _settled: bool) -> Result<Undone, UndoError> {
        let (kind, id) = self.locate(resource)?;
        let arm = self.arm().await?;
        let what = format!("reading {} \"{}\"", kind.label(), id::name(&id));
        let Some(found) = arm.find(&id, kind.api_version(), what).await.map_err(undo_error)? else {
            return Ok(Undone::Absent);
        };
        if !self.is_ours(resource, kind, &found) {
            return Ok(Undone::NotOurs);
        }
        if kind == Kind::ResourceGroup {
            self.say("Cleanup requested, deleting resource group ...".into());
        }
        self.delete(arm, kind, &id).await.map_err(undo_error)?;
        if kind != Kind::ResourceGroup {
            self.say(format!("Deleted -> {} : '{}'", kind.arm_type(), id::name(&id)));
        } else if self.await_group {
            self.say("Resource group has been deleted.".into());
        } else {
            self.say(format!(
                "Not waiting for Resource Group delete as requested by user. Resource Group Name is {}",
                id::name(&id)
            ));
        }
        Ok(Undone::Deleted)
    }
}

/// Whether trying again may help: not where a right is missing or a lock is in the way.
pub(crate) fn undo_error(error: ArmError) -> UndoError {
    let message = error.to_string();
    match &error {
        ArmError::Service(e) => {
            let hopeless =
                e.has_code("ScopeLocked") || e.status.is_some_and(|s| matches!(s.as_u16(), 400 | 401 | 403));
            if hopeless { UndoError::fatal(message) } else { UndoError::retryable(message) }
        }
        ArmError::Cancelled | ArmError::Protocol { .. } => UndoError::fatal(message),
        ArmError::Token { source, .. } if matches!(**source, TokenError::Refused { .. }) => {
            UndoError::fatal(message)
        }
        _ => UndoError::retryable(message),
    }
}

impl Destination {
    /// Cloud and credentials for a search that has no journal.
    pub(crate) fn for_sweep(
        config: Option<&Node>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UndoSetupError> {
        let mut destination = Self::for_cleanup(&Map::new(), config, env)?;
        destination.cloud = Config::read_cloud(config, env).map_err(UndoSetupError::Cloud)?;
        Ok(destination)
    }

    /// Cloud and credentials for undoing a journal: what the template says where it can be read, then the environment,
    /// then the journal, in which sensitive values are masked.
    pub(crate) fn for_cleanup(
        facts: &Map<String, Value>,
        config: Option<&Node>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UndoSetupError> {
        let written = config.map(Config::read_credentials).unwrap_or_default();
        let known = |key: &'static str, variable: &'static str| {
            let good = |text: &String| !text.is_empty() && !text.contains(MASK);
            let recorded = || facts.get(key).and_then(Value::as_str).map(str::to_owned);
            // What the journal says is certain; template and environment may have changed since.
            recorded()
                .filter(good)
                .or_else(|| written.get(key).cloned().filter(good))
                .or_else(|| env(variable).filter(good))
        };
        let need = |key: &'static str, variable: &'static str| {
            known(key, variable).ok_or(UndoSetupError::Missing { missing: key, variable })
        };
        Ok(Self {
            cloud: Destination::cloud_of(facts),
            credentials: Credentials {
                tenant_id: known("tenant_id", "ARM_TENANT_ID"),
                client_id: need("client_id", "ARM_CLIENT_ID")?,
                client_secret: Secret::new(need("client_secret", "ARM_CLIENT_SECRET")?),
                subscription_id: need("subscription_id", "ARM_SUBSCRIPTION_ID")?,
            },
        })
    }
}
