//! Host side of `run`, `secrets` and `artifacts`: facts of the build, its variables, time, cancellation, templates,
//! secrets by handle, and the artifact that a post-processor receives.

use std::time::{Duration, Instant, SystemTime};

use fornax_core::event::Event;
use fornax_core::plugin::OnError;
use indexmap::IndexMap;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::bindings::host::fornax::plugin::{artifacts, run, secrets, types};
use crate::config::absolute;
use crate::resources::{ArtifactHandle, HostFile, SecretHandle};
use crate::seal::Origin;
use crate::state::{Answer, Phase, State};

impl types::Host for State {}

impl run::Host for State {
    async fn get_build_info(&mut self) -> wasmtime::Result<run::BuildInfo> {
        let Some(step) = &self.step else {
            return Ok(run::BuildInfo {
                build_id: String::new(),
                build_name: String::new(),
                builder_type: String::new(),
                step_name: String::new(),
                attempt: 1,
                on_error: run::OnError::Cleanup,
                debug: false,
                force: false,
                simulated: false,
                run_id: String::new(),
                engine_version: env!("CARGO_PKG_VERSION").to_owned(),
                more: if self.phase == Phase::Describe { Vec::new() } else { facts() },
            });
        };
        Ok(run::BuildInfo {
            build_id: step.build_id.clone(),
            build_name: step.build_name.clone(),
            builder_type: step.builder_type.clone(),
            step_name: step.step_name.clone(),
            attempt: step.attempt,
            on_error: match step.on_error {
                OnError::Cleanup => run::OnError::Cleanup,
                OnError::Abort => run::OnError::Abort,
                OnError::Ask => run::OnError::Ask,
                OnError::RunCleanupProvisioner => run::OnError::Keep,
            },
            debug: step.debug,
            force: step.force,
            simulated: step.simulated,
            run_id: step.run_id.clone(),
            engine_version: step.engine_version.clone(),
            more: facts(),
        })
    }

    async fn variables(&mut self) -> wasmtime::Result<String> {
        let Self { step, sealer, .. } = self;
        let object: serde_json::Map<String, serde_json::Value> = step
            .iter()
            .flat_map(|step| &step.variables)
            .map(|(name, text)| (name.clone(), sealer.seal(text, Origin::Elsewhere).into()))
            .collect();
        Ok(serde_json::Value::Object(object).to_string())
    }

    async fn render(&mut self, template: String, values: Vec<(String, String)>) -> Answer<String> {
        let renderer = match self.only_while_working("run.render") {
            Ok(step) => std::sync::Arc::clone(&step.renderer),
            // The configuration is checked once more before a step does its work; it may render there as well.
            Err(error) => match (&self.step, self.phase) {
                (Some(step), Phase::Prepare) => std::sync::Arc::clone(&step.renderer),
                _ => return Ok(Err(error)),
            },
        };
        let text = self.sealer.text(&template);
        let rendered = {
            let values: IndexMap<String, _> =
                values.iter().map(|(name, value)| (name.clone(), self.sealer.text(value))).collect();
            renderer.render(&text, &values)
        };
        Ok(match rendered {
            Ok(text) => {
                let sealed = self.sealer.seal(&text, Origin::Elsewhere);
                self.name_rendered(&template, &values, &sealed);
                Ok(sealed)
            }
            Err(message) => Err(self.error(ErrorCode::InvalidArgument, message)),
        })
    }

    async fn is_cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.cancel.is_cancelled())
    }

    async fn remaining_ms(&mut self) -> wasmtime::Result<Option<u64>> {
        Ok(self.deadline.map(|d| {
            u64::try_from(d.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX)
        }))
    }

    async fn sleep(&mut self, milliseconds: u64) -> Answer<()> {
        if self.phase == Phase::Describe {
            return Ok(Err(self.error(ErrorCode::Denied, "describe can't sleep")));
        }
        Ok(self.stop(false, None).run("sleep", tokio::time::sleep(Duration::from_millis(milliseconds))).await)
    }

    async fn pause(&mut self, message: String) -> Answer<()> {
        let prompt = match self.only_while_working("run.pause") {
            Ok(step) => std::sync::Arc::clone(&step.prompt),
            Err(error) => return Ok(Err(error)),
        };
        let message = self.presentable(&message);
        let answer = self.stop(false, None).run("the pause", prompt.choose(&message, &[])).await;
        Ok(match answer {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                Err(self
                    .error(ErrorCode::Unsupported, "there is no terminal at which anybody could be asked"))
            }
            Err(error) => Err(error),
        })
    }

    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        if self.phase == Phase::Describe {
            return Ok(0);
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    async fn random_bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0u8; length.min(4096) as usize];
        if self.phase != Phase::Describe {
            getrandom::fill(&mut bytes)
                .map_err(|e| wasmtime::format_err!("the host has no random bytes: {e}"))?;
        }
        Ok(bytes)
    }
}

/// Facts about this host.
fn facts() -> Vec<(String, String)> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    vec![("host-os".to_owned(), os.to_owned())]
}

impl State {
    /// A text that names an output or a pattern once it is rendered does so now, unless the guest's own values would
    /// lead elsewhere than the template says: the name of the build and of its builder are the template's.
    fn name_rendered(&mut self, template: &str, values: &[(String, String)], rendered: &str) {
        let own = |value: &str| {
            self.step.as_ref().is_some_and(|step| value == step.build_name || value == step.builder_type)
        };
        let harmless = values
            .iter()
            .all(|(_, value)| own(value) || (!value.contains(['/', '\\']) && value != "." && value != ".."));
        let named: Vec<_> =
            self.named_templates.iter().filter(|named| named.text == template).cloned().collect();
        if rendered.is_empty() || !harmless {
            return;
        }
        for named in named {
            if named.output {
                self.host_outputs.push(absolute(&self.working_dir, rendered));
            }
            if named.glob {
                self.host_globs.push(rendered.to_owned());
            }
        }
    }

    fn lookup(&mut self, name: &str) -> Result<SecretHandle, Error> {
        let missing = |this: &Self| {
            this.error(
                ErrorCode::NotFound,
                format!("the configuration of this step mentions no secret {name:?}"),
            )
        };
        if let Some(secret) = self.sealer.of_config(name) {
            return Ok(SecretHandle {
                name: String::new(),
                placeholder: name.to_owned(),
                secret: secret.clone(),
            });
        }
        let Some((_, text)) =
            self.step.iter().flat_map(|s| &s.variables).find(|(n, t)| n == name && t.is_sensitive())
        else {
            return Err(missing(self));
        };
        let [fornax_core::value::Part::Secret(secret)] = text.parts() else { return Err(missing(self)) };
        if !self.sealer.config_mentions(secret) {
            return Err(missing(self));
        }
        let secret = secret.clone();
        let placeholder = self.sealer.seal_secret(&secret, Origin::Elsewhere);
        Ok(SecretHandle { name: name.to_owned(), placeholder, secret })
    }
}

impl secrets::Host for State {}

impl secrets::HostSecret for State {
    async fn lookup(&mut self, name_or_placeholder: String) -> Answer<Resource<SecretHandle>> {
        match State::lookup(self, &name_or_placeholder) {
            Ok(handle) => Ok(Ok(self.table.push(handle)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn name(&mut self, this: Resource<SecretHandle>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.name.clone())
    }

    async fn placeholder(&mut self, this: Resource<SecretHandle>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.placeholder.clone())
    }

    async fn reveal(&mut self, this: Resource<SecretHandle>) -> Answer<String> {
        let handle = self.table.get(&this)?;
        let (name, secret) = (handle.name.clone(), handle.secret.clone());
        let granted =
            self.rights.allows_reveal() && self.phase != Phase::Describe && self.phase != Phase::Prepare;
        if let Some(step) = &self.step {
            step.events.emit(Event::PluginLog {
                build: step.events.build().to_owned(),
                plugin: self.plugin_name.to_string(),
                level: "audit".into(),
                message: if granted {
                    "a secret was revealed to the plugin"
                } else {
                    "a secret was not revealed: not granted"
                }
                .into(),
                fields: vec![
                    ("secret".into(), if name.is_empty() { "(of the configuration)".into() } else { name }),
                    ("step".into(), step.step_name.clone()),
                ],
            });
        }
        if granted {
            Ok(Ok(secret.expose().to_owned()))
        } else {
            let flag =
                crate::policy::flag_for(&self.plugin_name, &fornax_core::plugin::Capability::SecretsReveal);
            Ok(Err(self.error(
                ErrorCode::Denied,
                format!("the plaintext of secrets was not granted to this plugin ({flag})"),
            )))
        }
    }

    async fn drop(&mut self, this: Resource<SecretHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl artifacts::Host for State {
    async fn input(&mut self) -> Answer<Resource<ArtifactHandle>> {
        if self.phase != Phase::Process || self.artifact.is_none() {
            return Ok(Err(
                self.error(ErrorCode::Unsupported, "there is an artifact only while a post-processor runs")
            ));
        }
        Ok(Ok(self.table.push(ArtifactHandle)?))
    }
}

impl artifacts::HostArtifact for State {
    async fn info(&mut self, this: Resource<ArtifactHandle>) -> wasmtime::Result<artifacts::ArtifactInfo> {
        self.table.get(&this)?;
        let (Some(artifact), Some(step)) = (&self.artifact, &self.step) else {
            wasmtime::bail!("an artifact handle outside of `process`");
        };
        let mask = |text: &str| self.redactor.redact(text);
        let metadata =
            self.sealer.mask_json(serde_json::Value::Object(artifact.metadata.clone()), &self.redactor);
        Ok(artifacts::ArtifactInfo {
            id: mask(&artifact.id),
            kind: artifact.builder_id.clone(),
            description: mask(&artifact.text),
            builder_type: step.builder_type.clone(),
            build_name: step.build_name.clone(),
            metadata: metadata.to_string(),
            file_names: artifact.files.iter().map(|f| mask(&f.to_string_lossy())).collect(),
        })
    }

    async fn file_count(&mut self, this: Resource<ArtifactHandle>) -> wasmtime::Result<u32> {
        self.table.get(&this)?;
        Ok(u32::try_from(self.artifact.as_ref().map_or(0, |a| a.files.len())).unwrap_or(u32::MAX))
    }

    async fn file(&mut self, this: Resource<ArtifactHandle>, index: u32) -> Answer<Resource<HostFile>> {
        self.table.get(&this)?;
        let Some(path) = self.artifact.as_ref().and_then(|a| a.files.get(index as usize)) else {
            return Ok(Err(self.error(ErrorCode::NotFound, format!("the artifact has no file {index}"))));
        };
        let file = HostFile {
            path: self.working_dir.join(path),
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            unseal: false,
            _folder: None,
        };
        Ok(Ok(self.table.push(file)?))
    }

    async fn drop(&mut self, this: Resource<ArtifactHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
