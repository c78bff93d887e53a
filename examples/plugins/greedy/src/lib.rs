//! A provisioner that asks for every right, tries each, and reports what happened. Nothing is granted by default, so it
//! shows that a denied right is an ordinary error; with grants it shows that they work. It also shows how a plugin adds
//! the interfaces that need a grant: in a world of its own, whose types are those of the SDK.

use fornax_plugin_sdk::machine::OutputMode;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{Map, say, secrets::Secret};

/// The imports beyond the standard world.
mod imports {
    wit_bindgen::generate!({
        inline: "
            package acme:greedy;

            world imports {
                import fornax:plugin/http@0.1.0;
                import fornax:plugin/host-exec@0.1.0;
            }
        ",
        path: "../../../wit",
        with: {
            "fornax:plugin/types@0.1.0": fornax_plugin_sdk::types,
            "fornax:plugin/files@0.1.0": fornax_plugin_sdk::files,
            "fornax:plugin/machine@0.1.0": fornax_plugin_sdk::machine,
        },
        generate_all,
    });
}

use imports::fornax::plugin::host_exec::{self, Argument, HostCommand};
use imports::fornax::plugin::http::{self, Body, Request};

/// The options of a step.
#[derive(Deserialize)]
#[serde(default)]
struct Config {
    url: String,
    program: String,
    file: String,
    secret: String,
    fail_if_granted: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: "https://example.org/".into(),
            program: "id".into(),
            file: "/etc/hostname".into(),
            secret: String::new(),
            fail_if_granted: false,
        }
    }
}

struct Greedy;

impl Provisioner for Greedy {
    const NAME: &'static str = "greedy";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Asks for every right and reports which it was denied")
            .docs("Tries the network, a program and a file of the host, and the plaintext of a secret.")
            .options(
                &[],
                json!({
                    "url": {"type": "string", "default": "https://example.org/", "description": "Is requested."},
                    "program": {"type": "string", "default": "id", "description": "Is run on the host."},
                    "file": {"type": "string", "default": "/etc/hostname", "description": "Is read from the host."},
                    "secret": {"type": "string", "writeOnly": true, "description": "Is revealed."},
                    "fail_if_granted": {"type": "boolean", "default": false,
                        "description": "Fail unless everything is denied."}
                }),
            )
            .example(json!({"secret": "{{user `password`}}", "fail_if_granted": true}))
            .wants(Capability::Network(vec!["example.org".into(), "127.0.0.1".into()]), "to show what it does with it")
            .wants(Capability::HostExec(vec!["*".into()]), "to show what it does with it")
            .wants(Capability::HostFilesRead(vec!["/".into()]), "to show what it does with it")
            .wants(Capability::SecretsReveal, "to show what it does with it")
    }

    fn provision(config: Config, _: Machine) -> Result<Outcome> {
        let attempts = [
            ("network", network(&config.url)),
            ("host-exec", program(&config.program)),
            ("host-files-read", file(&config.file)),
            ("secrets-reveal", secret(&config.secret)),
        ];
        let mut outputs = Map::new();
        let mut denied = 0;
        for (right, attempt) in attempts {
            let result = match attempt {
                Ok(what) => format!("granted: {what}"),
                Err(error) if error.is(ErrorCode::Denied) => {
                    denied += 1;
                    "denied".to_owned()
                }
                Err(error) => format!("failed: {}", error.message),
            };
            say(format!("greedy: {right} {result}"));
            outputs.insert(right.to_owned(), Value::String(result));
        }
        if config.fail_if_granted && denied < outputs.len() {
            return Err(Error::other("a right was granted that nobody meant to grant"));
        }
        Ok(Outcome::unchanged().with_outputs(&outputs))
    }
}

fn network(url: &str) -> Result<String> {
    let request =
        Request { method: "GET".into(), url: url.into(), headers: Vec::new(), timeout_ms: Some(10_000) };
    http::send(&request, &Body::Empty).map(|response| format!("status {}", response.status))
}

fn program(name: &str) -> Result<String> {
    let command = HostCommand {
        argv: vec![Argument::Plain(name.to_owned())],
        env: Vec::new(),
        inherit_env: false,
        stdin: None,
        output: OutputMode::Capture(4096),
        timeout_ms: Some(10_000),
    };
    host_exec::run(&command, Some(&files::step_workspace()?)).map(|status| status.describe())
}

fn file(path: &str) -> Result<String> {
    files::open(path)?.read(0, 4096).map(|bytes| format!("{} bytes", bytes.len()))
}

fn secret(placeholder: &str) -> Result<String> {
    if placeholder.is_empty() {
        return Err(Error::invalid("the option secret is not set"));
    }
    Secret::lookup(placeholder)?.reveal().map(|value| format!("{} characters", value.chars().count()))
}

fornax_plugin_sdk::export_provisioners!("acme/greedy": Greedy);
