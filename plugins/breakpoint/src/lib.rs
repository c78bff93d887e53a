//! The provisioner `breakpoint`: stops a build until the person who watches it presses enter, to look at the machine by
//! hand. It needs neither a machine nor a right. Where nobody can be asked the step fails, as in Packer: a build that
//! goes on by itself would not be what the template says.

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{pause, say};

/// Options of the provisioner, as they are written in a template.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Is shown when the build stops.
    pub note: Option<String>,
    /// Go on without stopping.
    pub disable: Option<bool>,
}

impl Config {
    fn note(&self) -> Option<&str> {
        self.note.as_deref().filter(|note| !note.is_empty())
    }

    /// The line that is shown, whether the build stops or not.
    pub fn announcement(&self) -> String {
        match (self.disabled(), self.note()) {
            (true, Some(note)) => {
                format!("Breakpoint provisioner with note \"{note}\" disabled; continuing...")
            }
            (true, None) => "Breakpoint provisioner disabled; continuing...".into(),
            (false, Some(note)) => format!("Pausing at breakpoint provisioner with note \"{note}\"."),
            (false, None) => "Pausing at breakpoint provisioner.".into(),
        }
    }

    /// Whether the build goes on without stopping.
    pub fn disabled(&self) -> bool {
        self.disable == Some(true)
    }
}

/// The provisioner.
pub struct Breakpoint;

impl Provisioner for Breakpoint {
    const NAME: &'static str = "breakpoint";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Stops the build until somebody presses enter")
            .docs(include_str!("../README.md"))
            .options(
                &[],
                json!({
                    "note": {"type": "string", "description": "Is shown when the build stops."},
                    "disable": {"type": "boolean", "default": false, "description": "Go on without stopping."}
                }),
            )
            .example(json!({"note": "before the packages are removed"}))
            .example(json!({"disable": true}))
    }

    fn step(config: Config) -> Result<Outcome> {
        say(config.announcement());
        if !config.disabled() {
            pause("Press enter to continue.").map_err(|error| {
                let unattended = error.is(ErrorCode::Unsupported);
                let error = error.context("Error asking for input");
                if unattended { with_way_out(error) } else { error }
            })?;
        }
        Ok(Outcome::unchanged())
    }
}

fn with_way_out(mut error: Error) -> Error {
    error.causes.push("start the build in a terminal, or set `disable` to true".into());
    error
}

fornax_plugin_sdk::export_provisioners!("fornax/breakpoint": Breakpoint);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(value: Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn texts() {
        for (options, expected) in [
            (json!({}), "Pausing at breakpoint provisioner."),
            (json!({"note": ""}), "Pausing at breakpoint provisioner."),
            (json!({"note": "look"}), "Pausing at breakpoint provisioner with note \"look\"."),
            (json!({"disable": true}), "Breakpoint provisioner disabled; continuing..."),
            (
                json!({"disable": true, "note": "look"}),
                "Breakpoint provisioner with note \"look\" disabled; continuing...",
            ),
        ] {
            assert_eq!(config(options).announcement(), expected);
        }
        assert!(!config(json!({"disable": false})).disabled());
    }

    #[test]
    fn unknown_options_are_refused() {
        assert!(serde_json::from_value::<Config>(json!({"notes": "x"})).is_err());
    }

    #[test]
    fn the_way_out_is_told() {
        let error =
            with_way_out(Error::new(ErrorCode::Unsupported, "no terminal").context("Error asking for input"));
        assert_eq!(error.causes.len(), 2);
        assert!(error.causes[1].contains("`disable`"));
    }
}
