//! The description of the provisioner: options with their documentation, and examples.

use fornax_plugin_sdk::Description;
use serde_json::json;

use crate::config::{COMMAND, FORMAT, PATH};

/// Describes the provisioner.
pub fn describe() -> Description {
    Description::new("Runs batch scripts on the machine")
        .docs(include_str!("../README.md"))
        .options(
            &[],
            json!({
                "inline": {"type": "array", "items": {"type": "string"},
                    "description": "Lines of one script. Exactly one of `inline`, `script` and `scripts` is needed."},
                "script": {"type": "string", "x-host-path": true, "description": "A script file."},
                "scripts": {"type": "array", "items": {"type": "string", "x-host-path": true},
                    "description": "Script files, run in this order."},
                "environment_vars": {"type": "array", "items": {"type": "string"},
                    "description": "Variables, each `NAME=value`.", "examples": [["CHANNEL=stable"]]},
                "env": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Variables by name; they win over `environment_vars`."},
                "env_var_format": {"type": "string", "default": FORMAT,
                    "description": "How a variable is written: `%s` for the name, then `%s` for the value."},
                "execute_command": {"type": "string", "x-template": true, "default": COMMAND,
                    "description": "Command line that runs the script. `{{ .Path }}` is the script, `{{ .Vars }}` the \
                                    variables."},
                "remote_path": {"type": "string", "x-machine-path": true, "default": PATH,
                    "description": "Path of the script on the machine."},
                "binary": {"type": "boolean", "default": false,
                    "description": "Accepted for old templates: scripts are never converted."},
                "valid_exit_codes": {"type": "array", "items": {"type": "integer"}, "default": [0],
                    "description": "Exit codes that count as success; 2300218 stands for a lost connection."},
                "start_retry_timeout": {"type": "string", "x-duration": true, "default": "5m",
                    "description": "How long to try to start a script while the connection fails."}
            }),
        )
        .example(json!({"inline": ["sc config wuauserv start= auto"]}))
        .example(json!({"scripts": ["base.bat", "harden.bat"], "env": {"CHANNEL": "stable"}}))
}
