//! A provisioner of a third party: writes `/etc/motd` from its options. It shows a schema, a rule between options, a
//! secret-safe text, and work that is left undone when nothing has to change.

use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::say;

/// The options of a step.
#[derive(Deserialize)]
struct Config {
    title: String,
    #[serde(default)]
    lines: Vec<String>,
    #[serde(default = "default_path")]
    path: String,
}

fn default_path() -> String {
    "/etc/motd".into()
}

struct Motd;

impl Provisioner for Motd {
    const NAME: &'static str = "acme-motd";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Writes the message of the day")
            .docs("Writes `title`, a rule below it, and `lines` to `path`. Needs a login user who may write there.")
            .options(
                &["title"],
                json!({
                    "title": {"type": "string", "description": "The first line."},
                    "lines": {"type": "array", "items": {"type": "string"}, "description": "What follows."},
                    "path": {"type": "string", "default": "/etc/motd", "x-machine-path": true,
                        "description": "The file on the machine."}
                }),
            )
            .example(json!({"title": "web server", "lines": ["built by the platform team"]}))
    }

    fn prepare(check: &mut Check) -> Result<()> {
        if check.text("/title").is_some_and(|title| title.trim().is_empty()) {
            check.error(
                "/title",
                "acme-motd/title-empty",
                "The title is empty",
                "Say what the machine is for.",
            );
        }
        if check.text("/title").is_some_and(|title| title.contains('\n')) {
            check.error("/title", "acme-motd/title-lines", "The title has several lines", "Use `lines`.");
        }
        if check.text("/path").is_some_and(|path| !path.starts_with('/')) {
            check.error("/path", "acme-motd/path-relative", "The path is not absolute", "Start it with `/`.");
        }
        Ok(())
    }

    fn provision(config: Config, machine: Machine) -> Result<Outcome> {
        let text = message(&config.title, &config.lines);
        let now = Command::new(["cat", &config.path]).quiet().status(&machine)?;
        if now.success() && machine.target().read_file(&config.path)? == text.as_bytes() {
            say(format!("{} is up to date", config.path));
            return Ok(Outcome::unchanged());
        }
        say(format!("Writing {}", config.path));
        machine.write(&text, &config.path, 0o644)?;
        Ok(Outcome::changed())
    }
}

fn message(title: &str, lines: &[String]) -> String {
    let mut text = format!("{title}\n{}\n", "=".repeat(title.chars().count()));
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fornax_plugin_sdk::export_provisioners!("acme/motd": Motd);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_as_long_as_the_title() {
        assert_eq!(message("wéb", &["a".into()]), "wéb\n===\na\n");
    }

    #[test]
    fn rules_between_options() {
        let codes = |config| {
            let mut check = Check::of(config);
            Motd::prepare(&mut check).unwrap();
            check.findings().iter().map(|finding| finding.code.clone()).collect::<Vec<_>>()
        };
        assert!(codes(json!({"title": "x"})).is_empty());
        assert_eq!(codes(json!({"title": " "})), ["acme-motd/title-empty"]);
        assert_eq!(
            codes(json!({"title": "a\nb", "path": "m"})),
            ["acme-motd/title-lines", "acme-motd/path-relative"]
        );
    }
}
