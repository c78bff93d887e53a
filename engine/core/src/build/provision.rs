//! Runs the provisioners of a build on its machine, in order: pauses, time limits, retries, the error-cleanup
//! provisioner.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use super::Provisioner;
use super::call::{Calls, go_duration};
use crate::builder::{BuildData, Provision, ProvisionError};
use crate::communicator::Communicator;
use crate::event::{Ending, Event};
use crate::plugin::OnError;
use crate::value::Text;

pub(super) struct Provisioning {
    pub calls: Calls,
    /// The facts of the running build, for the post-processors.
    data: Mutex<BuildData>,
}

impl Provisioning {
    pub fn new(calls: Calls) -> Self {
        let data = complete(BuildData::new(), None, &calls);
        Self { calls, data: Mutex::new(data) }
    }

    pub fn data(&self) -> BuildData {
        self.data.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, data: BuildData, machine: Option<&dyn Communicator>) -> BuildData {
        let data = complete(data, machine, &self.calls);
        *self.data.lock().unwrap_or_else(PoisonError::into_inner) = data.clone();
        data
    }

    async fn step(
        &self,
        provisioner: &Provisioner,
        machine: Option<&Arc<dyn Communicator>>,
        data: &BuildData,
    ) -> Result<(), ProvisionError> {
        let events = &self.calls.events;
        let (build, step) = (events.build().to_owned(), provisioner.plan.name.clone());
        events.emit(Event::StepStarted { build: build.clone(), step: step.clone() });
        let started = Instant::now();
        let result = self.attempts(provisioner, machine, data).await;
        let ending = match &result {
            Ok(()) => Ending::Succeeded,
            Err(ProvisionError::Failed(_)) => Ending::Failed,
            Err(ProvisionError::Cancelled) => Ending::Cancelled,
        };
        events.emit(Event::StepFinished { build, step, ending, duration: started.elapsed() });
        match result {
            Err(ProvisionError::Failed(error)) if provisioner.plan.continue_on_error => {
                events.warning(format!("{} failed, the build goes on: {error}", provisioner.plan.name));
                Ok(())
            }
            result => result,
        }
    }

    async fn attempts(
        &self,
        provisioner: &Provisioner,
        machine: Option<&Arc<dyn Communicator>>,
        data: &BuildData,
    ) -> Result<(), ProvisionError> {
        let plan = &provisioner.plan;
        let mut attempt = 1;
        loop {
            let result = self.attempt(provisioner, machine, data, attempt).await;
            let left = plan.max_retries.saturating_sub(attempt - 1);
            match result {
                Err(ProvisionError::Failed(error)) if left > 0 => {
                    let events = &self.calls.events;
                    events
                        .say(format!("Provisioner failed with {error:?}, retrying with {left} trie(s) left"));
                    attempt += 1;
                }
                Err(ProvisionError::Failed(error)) if plan.max_retries > 0 => {
                    self.calls.events.error("retry limit reached.");
                    return Err(ProvisionError::Failed(error));
                }
                result => return result,
            }
        }
    }

    async fn attempt(
        &self,
        Provisioner { plan, extension }: &Provisioner,
        machine: Option<&Arc<dyn Communicator>>,
        data: &BuildData,
        attempt: u32,
    ) -> Result<(), ProvisionError> {
        let Calls { events, settings, .. } = &self.calls;
        if settings.cancel.is_cancelled() {
            return Err(ProvisionError::Cancelled);
        }
        if self.calls.build.context.debug {
            let question =
                format!("Pausing before the next provisioner '{}'. Press enter to continue.", plan.name);
            tokio::select! {
                biased;
                () = settings.cancel.cancelled() => return Err(ProvisionError::Cancelled),
                _ = settings.prompt.choose(&question, &[]) => {}
            }
        }
        if !plan.pause_before.is_zero() {
            events.say(format!("Pausing {} before the next provisioner...", go_duration(plan.pause_before)));
            self.calls.sleep(plan.pause_before).await?;
        }
        if let Some(limit) = plan.timeout {
            events.say(format!("Setting a {} timeout for the next provisioner...", go_duration(limit)));
        }
        let config = self.calls.config(extension.info(), plan.config.as_ref(), data)?;
        let context = self.calls.context(&plan.name, attempt, plan.config.as_ref(), data, plan.timeout);
        let cancel = context.cancel.clone();
        let call = extension.provision(&config, context, machine.cloned());
        self.calls.bounded(call, &cancel, plan.timeout).await.map(|_| ())
    }
}

#[async_trait]
impl Provision for Provisioning {
    async fn provision(
        &self,
        machine: Option<Arc<dyn Communicator>>,
        data: BuildData,
    ) -> Result<(), ProvisionError> {
        let data = self.learn(data, machine.as_deref());
        for provisioner in &self.calls.build.provisioners {
            if let Err(error) = self.step(provisioner, machine.as_ref(), &data).await {
                let cleans_up =
                    matches!(self.calls.settings.on_error, OnError::Cleanup | OnError::RunCleanupProvisioner);
                if cleans_up && matches!(error, ProvisionError::Failed(_)) {
                    self.error_cleanup(machine, data).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn error_cleanup(&self, machine: Option<Arc<dyn Communicator>>, data: BuildData) {
        let Some(provisioner) = &self.calls.build.error_cleanup else { return };
        let data = self.learn(data, machine.as_deref());
        self.calls.events.say("Provisioning step had errors: Running the cleanup provisioner, if present...");
        match self.step(provisioner, machine.as_ref(), &data).await {
            Ok(()) => {}
            Err(ProvisionError::Cancelled) => {
                self.calls.events.error("The cleanup provisioner was cancelled")
            }
            Err(ProvisionError::Failed(error)) => {
                self.calls.events.error(format!("The cleanup provisioner failed: {error}"));
            }
        }
    }
}

/// Adds the facts that every build has, where the builder did not set them.
fn complete(mut data: BuildData, machine: Option<&dyn Communicator>, calls: &Calls) -> BuildData {
    let mut set = |key: &str, value: Text| {
        data.entry(key.to_owned()).or_insert(value);
    };
    set("PackerRunUUID", Text::plain(calls.settings.run_id.as_str()));
    match machine.map(Communicator::connection) {
        Some(connection) => {
            set("ConnType", Text::plain(connection.kind));
            set("Host", Text::plain(connection.host));
            set("Port", Text::plain(connection.port.to_string()));
            set("User", Text::plain(connection.user));
            if let Some(password) = connection.password {
                set("Password", Text::secret(password));
            }
            if let Some(key) = connection.public_key {
                set("SSHPublicKey", Text::plain(key));
            }
            if let Some(key) = connection.private_key {
                set("SSHPrivateKey", Text::secret(key));
            }
        }
        None => set("ConnType", Text::plain("none")),
    }
    data
}
