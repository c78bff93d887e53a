//! Runs the steps of a build and undoes them. A builder is plain asynchronous code: it wraps each stage in
//! [`Saga::step`], announces what it creates to the journal, and ends with [`Saga::finish`], which undoes everything
//! that began, whatever happened. The runner adds what no builder should have to repeat: events with durations,
//! cancellation, `-on-error`, the pauses of `-debug`.
//!
//! ```
//! # use async_trait::async_trait;
//! # use fornax_core::builder::{BuildError, BuildOutcome, RunContext};
//! # use fornax_core::journal::{Lifetime, Resource, Undone};
//! # use fornax_core::plugin::Artifact;
//! # use fornax_core::saga::{Saga, Undo, UndoError};
//! # struct Client;
//! # impl Client {
//! #     async fn put_group(&self, _: &str) -> Result<(), BuildError> { Ok(()) }
//! #     async fn delete_group(&self, _: &str) -> Result<Undone, UndoError> { Ok(Undone::Deleted) }
//! # }
//! #[async_trait]
//! impl Undo for Client {
//!     async fn undo(&self, resource: &Resource, _settled: bool) -> Result<Undone, UndoError> {
//!         match resource.kind.as_str() {
//!             "resource-group" => self.delete_group(&resource.id).await,
//!             other => Err(UndoError::fatal(format!("don't know how to undo a {other}"))),
//!         }
//!     }
//! }
//!
//! async fn create(saga: &Saga, client: &Client) -> Result<Option<Artifact>, BuildError> {
//!     saga.step("Creating resource group", async {
//!         let group = Resource::new("resource-group", "/subscriptions/s/resourceGroups/g", Lifetime::Temporary);
//!         let ticket = saga.journal().begin(group)?;
//!         client.put_group("g").await?;
//!         ticket.done()
//!             .map_err(BuildError::from)
//!     })
//!     .await?;
//!     saga.provision(None, Default::default()).await?;
//!     Ok(None)
//! }
//!
//! async fn run(context: RunContext, client: &Client) -> BuildOutcome {
//!     let saga = Saga::new(&context);
//!     let result = create(&saga, client).await;
//!     let remains = saga.finish(&result, client).await;
//!     BuildOutcome { result, remains }
//! }
//! ```

use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use crate::builder::{BuildData, BuildError, Remains, RunContext};
use crate::communicator::Communicator;
use crate::event::{BuildEvents, Ending, Event};
use crate::journal::{Fact, Journal, Lifetime, Status};
use crate::plugin::OnError;

mod undo;

pub use undo::{Undo, UndoError, UndoSettings, undo_all};

/// The steps of one running build.
pub struct Saga {
    context: RunContext,
    undo_settings: UndoSettings,
    progress: Mutex<Progress>,
    /// One question at a time, also when steps run at once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Progress {
    /// Names of the steps that ran, in order.
    steps: Vec<String>,
    /// The step that failed and was not retried with success.
    failed: Option<String>,
    /// The user does not want anything to be undone.
    abort: bool,
}

/// What the user answers when a step failed under `-on-error=ask`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    CleanUp,
    Abort,
    Retry,
}

impl Saga {
    pub fn new(context: &RunContext) -> Self {
        Self {
            context: context.clone(),
            undo_settings: UndoSettings::default(),
            progress: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Other limits for undo than the usual ones.
    #[must_use]
    pub fn with_undo_settings(mut self, settings: UndoSettings) -> Self {
        self.undo_settings = settings;
        self
    }

    pub fn journal(&self) -> &Journal {
        &self.context.journal
    }

    pub fn events(&self) -> &BuildEvents {
        &self.context.events
    }

    pub fn cancel(&self) -> &CancellationToken {
        &self.context.cancel
    }

    /// Runs a stage of the build. When the build is cancelled, `work` is dropped at its next await: what it announced
    /// to the journal and did not settle is undone as something that may still be under way. Steps may run at once
    /// (`tokio::try_join!`), but dropping a step that is not finished leaves its end untold; `tokio::join!` and
    /// looking at the results afterwards tells them all.
    pub async fn step<T, E, F>(&self, name: &str, work: F) -> Result<T, BuildError>
    where
        E: Into<BuildError>,
        F: Future<Output = Result<T, E>>,
    {
        let result = self.attempt(name, self.until_cancelled(work)).await;
        if let Err(BuildError::Failed(_)) = &result {
            self.ask(name, false).await;
        }
        result
    }

    /// Like [`Saga::step`], for a stage that can be repeated from its beginning: with `-on-error=ask` the user may
    /// have it tried again.
    pub async fn retryable_step<T, E, F>(
        &self,
        name: &str,
        mut work: impl FnMut() -> F,
    ) -> Result<T, BuildError>
    where
        E: Into<BuildError>,
        F: Future<Output = Result<T, E>>,
    {
        loop {
            let result = self.attempt(name, self.until_cancelled(work())).await;
            match &result {
                Err(BuildError::Failed(_)) if self.ask(name, true).await == Answer::Retry => {}
                _ => return result,
            }
        }
    }

    /// Runs the provisioners. They watch the cancellation themselves, so that a running plugin can stop in good order;
    /// only the second level of cancellation drops them.
    pub async fn provision(
        &self,
        machine: Option<Arc<dyn Communicator>>,
        data: BuildData,
    ) -> Result<(), BuildError> {
        const NAME: &str = "Provisioning";
        let provision = &self.context.provision;
        loop {
            let work = provision.provision(machine.clone(), data.clone());
            let result = self.attempt(NAME, self.until_abandoned(work)).await;
            if !matches!(result, Err(BuildError::Failed(_))) || self.context.on_error != OnError::Ask {
                return result;
            }
            match self.ask(NAME, true).await {
                Answer::Retry => {}
                Answer::Abort => return result,
                Answer::CleanUp => {
                    provision.error_cleanup(machine.clone(), data.clone()).await;
                    return result;
                }
            }
        }
    }

    /// Ends the build: keeps its product if it succeeded, undoes everything else that began, and closes the journal.
    /// Returns what may remain, which is also what `-on-error` told it to leave. Takes its own time: a cancelled build
    /// is undone too, until it is abandoned.
    pub async fn finish<T>(&self, result: &Result<T, BuildError>, undo: &dyn Undo) -> Vec<Remains> {
        let journal = self.journal();
        let ending = match result {
            Ok(_) => Ending::Succeeded,
            Err(BuildError::Failed(_)) => Ending::Failed,
            Err(BuildError::Cancelled) => Ending::Cancelled,
        };
        if let Some(reason) = self.leaves_everything(result) {
            return self.leave(&reason);
        }
        if ending == Ending::Succeeded {
            // The decision that the products belong to the user now is on disk before anything is undone.
            for entry in journal.state().entries() {
                if entry.resource.lifetime == Lifetime::Product
                    && entry.status == Status::Done
                    && let Err(error) = journal.record(Fact::Kept { entry: entry.number })
                {
                    self.events().warning(error.to_string());
                }
            }
        }
        if self.context.debug && journal.state().open_entries().next().is_some() {
            self.pause("Pausing before cleanup. Press enter to continue.", &self.context.abandon).await;
        }
        let remains = undo_all(journal, ending, undo, &self.undo_settings, &self.context.abandon).await;
        if remains.is_empty()
            && let Err(error) = journal.close()
        {
            self.events().warning(format!("{error}; `fornax cleanup` will look through it again"));
        }
        remains
    }

    /// One run of a step with its events.
    async fn attempt<T, E>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BuildError>
    where
        E: Into<BuildError>,
    {
        let build = || self.events().build().to_owned();
        if self.context.cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        self.progress().steps.push(name.to_owned());
        self.events().emit(Event::StepStarted { build: build(), step: name.to_owned() });
        let started = tokio::time::Instant::now();
        let result = work.await.map_err(Into::into);
        let ending = match &result {
            Ok(_) => Ending::Succeeded,
            Err(BuildError::Failed(_)) => Ending::Failed,
            Err(BuildError::Cancelled) => Ending::Cancelled,
        };
        if let Err(BuildError::Failed(message)) = &result {
            self.events().error(message.clone());
        }
        self.events().emit(Event::StepFinished {
            build: build(),
            step: name.to_owned(),
            ending,
            duration: started.elapsed(),
        });
        {
            let mut progress = self.progress();
            match ending {
                Ending::Succeeded => {
                    if progress.failed.as_deref() == Some(name) {
                        progress.failed = None;
                    }
                }
                _ => progress.failed = progress.failed.take().or_else(|| Some(name.to_owned())),
            }
        }
        if self.context.debug && ending == Ending::Succeeded {
            let question = format!("Pausing after run of step '{name}'. Press enter to continue.");
            self.pause(&question, &self.context.cancel).await;
        }
        result
    }

    async fn until_cancelled<T, E: Into<BuildError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BuildError> {
        tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => Err(BuildError::Cancelled),
            result = work => result.map_err(Into::into),
        }
    }

    async fn until_abandoned<T, E: Into<BuildError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, BuildError> {
        tokio::select! {
            biased;
            () = self.context.abandon.cancelled() => Err(BuildError::Cancelled),
            result = work => result.map_err(Into::into),
        }
    }

    /// What to do after a failure under `-on-error=ask`. Where there is nobody to ask, the build is cleaned up.
    async fn ask(&self, step: &str, can_retry: bool) -> Answer {
        if self.context.on_error != OnError::Ask {
            return Answer::CleanUp;
        }
        let _one_at_a_time = self.asking.lock().await;
        let (question, choices): (String, &[char]) = if can_retry {
            let question = format!(
                "Step \"{step}\" failed\n[c] Clean up and exit, [a] abort without cleanup, or [r] retry step (build may \
                 fail even if retry succeeds)?"
            );
            (question, &['c', 'a', 'r'])
        } else {
            (
                format!("Step \"{step}\" failed\n[c] Clean up and exit, or [a] abort without cleanup?"),
                &['c', 'a'],
            )
        };
        let answer = tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => None,
            answer = self.context.prompt.choose(&question, choices) => answer,
        };
        match answer {
            Some('a') => {
                self.progress().abort = true;
                Answer::Abort
            }
            Some('r') if can_retry => Answer::Retry,
            _ => Answer::CleanUp,
        }
    }

    /// Why nothing is to be undone, if that is so.
    fn leaves_everything<T>(&self, result: &Result<T, BuildError>) -> Option<String> {
        let error = result.as_ref().err()?;
        let progress = self.progress();
        let aborts = match self.context.on_error {
            OnError::Cleanup => false,
            OnError::Abort | OnError::RunCleanupProvisioner => true,
            OnError::Ask => progress.abort,
        };
        if !aborts {
            return None;
        }
        self.events().error(match (error, &progress.failed) {
            (BuildError::Cancelled, _) => "Interrupted, aborting...".to_owned(),
            (BuildError::Failed(_), Some(step)) => format!("Step \"{step}\" failed, aborting..."),
            (BuildError::Failed(_), None) => "The build failed, aborting...".to_owned(),
        });
        for step in progress.steps.iter().rev() {
            self.events().error(format!("aborted: skipping cleanup of step \"{step}\""));
        }
        Some(match self.context.on_error {
            OnError::Ask => "left because cleanup was declined".to_owned(),
            OnError::RunCleanupProvisioner => "left because of -on-error=run-cleanup-provisioner".to_owned(),
            _ => "left because of -on-error=abort".to_owned(),
        })
    }

    fn leave(&self, reason: &str) -> Vec<Remains> {
        let state = self.journal().state();
        let remains: Vec<Remains> = state
            .open_entries()
            .map(|entry| Remains {
                kind: entry.resource.kind.clone(),
                id: entry.resource.id.clone(),
                reason: reason.to_owned(),
            })
            .collect();
        for Remains { kind, id, reason } in remains.iter().cloned() {
            let build = self.events().build().to_owned();
            self.events().emit(Event::ResourceRemains { build, kind, id, error: reason });
        }
        if remains.is_empty()
            && let Err(error) = self.journal().close()
        {
            self.events().warning(error.to_string());
        }
        remains
    }

    async fn pause(&self, question: &str, until: &CancellationToken) {
        let _one_at_a_time = self.asking.lock().await;
        tokio::select! {
            biased;
            () = until.cancelled() => {}
            _ = self.context.prompt.choose(question, &[]) => {}
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        // Progress is changed in single assignments, so a panic can't leave it half done.
        self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
