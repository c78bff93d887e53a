//! The provisioner `sleep`: waits. It needs neither a machine nor a right, ends early when the build is cancelled, and
//! keeps to the time limit of its step like any other.

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{duration, sleep};

/// Options of the provisioner, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long to wait, for instance `1m30s`.
    pub duration: Option<String>,
}

impl Config {
    /// How long to wait. The error is a sentence.
    pub fn duration(&self) -> std::result::Result<std::time::Duration, String> {
        match self.duration.as_deref() {
            Some(text) if !text.is_empty() => duration::parse(text),
            _ => Err("duration is not set".into()),
        }
    }
}

/// Checks a configuration.
pub fn check(check: &mut Check) {
    if check.is_unknown("/duration") {
        return;
    }
    let Some(config) = check.typed::<Config>() else { return };
    if let Err(problem) = config.duration() {
        let pointer = if check.is_set("/duration") { "/duration" } else { "" };
        check.error(
            pointer,
            "sleep/duration",
            problem,
            "Say how long to wait, for instance `30s` or `1m30s`.",
        );
    }
}

/// The provisioner.
pub struct Sleep;

impl Provisioner for Sleep {
    const NAME: &'static str = "sleep";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Waits")
            .docs(include_str!("../README.md"))
            .options(
                &["duration"],
                json!({
                    "duration": {"type": "string", "x-duration": true, "description": "How long to wait.",
                        "examples": ["1m30s"]}
                }),
            )
            .example(json!({"duration": "30s"}))
    }

    fn prepare(found: &mut Check) -> Result<()> {
        check(found);
        Ok(())
    }

    fn step(config: Config) -> Result<Outcome> {
        sleep(config.duration().map_err(Error::invalid)?)?;
        Ok(Outcome::unchanged())
    }
}

fornax_plugin_sdk::export_provisioners!("fornax/sleep": Sleep);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (config, pointer) in [
            (json!({"duration": "1m30s"}), None),
            (json!({"duration": "0s"}), None),
            (json!({"duration": "soon"}), Some("/duration")),
            (json!({"duration": ""}), Some("/duration")),
            (json!({}), Some("")),
        ] {
            let mut checked = Check::of(config.clone());
            check(&mut checked);
            let found: Vec<_> = checked.findings().iter().map(|f| f.path.as_str()).collect();
            assert_eq!(found, pointer.into_iter().collect::<Vec<_>>(), "{config}");
        }
    }
}
