//! One call of a plugin while a build runs: its configuration with the build's facts, its context, its time limit and
//! its end when the build is cancelled.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{PreparedBuild, RunSettings};
use crate::builder::{BuildData, ProvisionError};
use crate::diagnostic::Severity;
use crate::event::{BuildEvents, human_duration};
use crate::plan::ConfigSource;
use crate::plugin::{ExtensionInfo, PluginError, StepContext};
use crate::schema;
use crate::value::{Node, Text};

/// How long a plugin may go on after it was told to stop, to leave the machine in order.
const GRACE: Duration = Duration::from_secs(30);

/// What the calls of one build share.
#[derive(Clone)]
pub(super) struct Calls {
    pub build: PreparedBuild,
    pub settings: RunSettings,
    pub events: BuildEvents,
}

impl Calls {
    /// The configuration with what is known of the running build, checked again.
    pub fn config(
        &self,
        info: &ExtensionInfo,
        source: &dyn ConfigSource,
        data: &BuildData,
    ) -> Result<Node, ProvisionError> {
        let (config, mut found) = source.resolve(Some(data), &schema::deferred(&info.schema));
        let (config, more) = schema::check(&config, &info.schema, source.typing());
        found.extend(more);
        let errors: Vec<String> = found
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| match &finding.span {
                Some(span) => format!("{span:?}: {}", finding.summary),
                None => finding.summary.clone(),
            })
            .collect();
        if errors.is_empty() { Ok(config) } else { Err(ProvisionError::Failed(errors.join("\n"))) }
    }

    pub fn context(
        &self,
        step_name: &str,
        attempt: u32,
        source: &dyn ConfigSource,
        data: &BuildData,
        timeout: Option<Duration>,
    ) -> StepContext {
        let PreparedBuild { short_name, builder_type, context, .. } = &self.build;
        let facts = [
            ("PACKER_BUILD_NAME", short_name.as_str()),
            ("PACKER_BUILDER_TYPE", builder_type.as_str()),
            ("PackerRunUUID", self.settings.run_id.as_str()),
        ];
        let mut variables = self.settings.variables.clone();
        variables.extend(data.iter().map(|(key, value)| (key.clone(), value.clone())));
        variables.extend(facts.map(|(key, value)| (key.to_owned(), Text::plain(value))));
        StepContext {
            build_id: context.build_id.clone(),
            build_name: short_name.clone(),
            builder_type: builder_type.clone(),
            step_name: step_name.to_owned(),
            attempt,
            on_error: self.settings.on_error,
            debug: context.debug,
            force: context.force,
            simulated: self.settings.simulated,
            run_id: self.settings.run_id.clone(),
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            variables: variables.into_iter().collect(),
            events: self.events.clone(),
            redactor: context.redactor.clone(),
            renderer: source.renderer(data),
            prompt: Arc::clone(&self.settings.prompt),
            cancel: self.settings.cancel.child_token(),
            timeout,
            working_dir: context.working_dir.clone(),
        }
    }

    /// Waits for a call. When its time is over or the build is cancelled it is told to stop by `cancel`, its own
    /// token, and dropped if it does not.
    pub async fn bounded<T>(
        &self,
        call: impl Future<Output = Result<T, PluginError>>,
        cancel: &CancellationToken,
        limit: Option<Duration>,
    ) -> Result<T, ProvisionError> {
        tokio::pin!(call);
        let too_long = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = &mut call => return result.map_err(|error| self.error(error)),
            () = cancel.cancelled() => {}
            () = too_long => cancel.cancel(),
        }
        let cancelled = self.settings.cancel.is_cancelled();
        let result = tokio::select! {
            biased;
            result = &mut call => Some(result),
            () = self.settings.abandon.cancelled() => None,
            () = tokio::time::sleep(GRACE) => None,
        };
        match (cancelled, limit) {
            (true, _) => Err(ProvisionError::Cancelled),
            // It may have come to its end in the moment in which its time was over.
            (false, limit) => match (result, limit) {
                (Some(Ok(done)), _) => Ok(done),
                (_, Some(limit)) => Err(ProvisionError::Failed(PluginError::Timeout(limit).to_string())),
                (Some(Err(error)), None) => Err(self.error(error)),
                (None, None) => Err(ProvisionError::Failed(format!(
                    "the plugin did not stop within {}",
                    human_duration(GRACE)
                ))),
            },
        }
    }

    /// Waits, unless the build is cancelled.
    pub async fn sleep(&self, duration: Duration) -> Result<(), ProvisionError> {
        tokio::select! {
            biased;
            () = self.settings.cancel.cancelled() => Err(ProvisionError::Cancelled),
            () = tokio::time::sleep(duration) => Ok(()),
        }
    }

    pub fn with_events(&self, build: &str) -> Self {
        let sink = Arc::clone(self.events.sink());
        Self { events: BuildEvents::new(sink, build), ..self.clone() }
    }

    fn error(&self, error: PluginError) -> ProvisionError {
        match error {
            PluginError::Cancelled if self.settings.cancel.is_cancelled() => ProvisionError::Cancelled,
            PluginError::Failed { message, causes, .. } => {
                let causes: String = causes.iter().map(|cause| format!("\n  caused by: {cause}")).collect();
                ProvisionError::Failed(message + &causes)
            }
            error => ProvisionError::Failed(error.to_string()),
        }
    }
}

/// A duration as Go prints it, for Packer's texts: `20s`, `5m0s`, `1h0m0s`, `1.5s`, `250ms`.
pub(crate) fn go_duration(duration: Duration) -> String {
    let total = duration.as_secs();
    let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
    let millis = duration.subsec_millis();
    if total == 0 && millis > 0 {
        return format!("{millis}ms");
    }
    let fraction = format!(".{millis:03}");
    let seconds = format!("{seconds}{}s", if millis == 0 { "" } else { fraction.trim_end_matches('0') });
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}
