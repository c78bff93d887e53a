//! The description of the provisioner and the post-processor: options with their documentation, and examples.

use fornax_plugin_sdk::{Capability, Description};
use serde_json::json;

use crate::check::SYSTEMS;

/// Describes both.
pub fn describe() -> Description {
    Description::new("Runs scripts on the machine that runs the build")
        .docs(include_str!("../README.md"))
        .options(
            &[],
            json!({
                "command": {"type": "string",
                    "description": "A script of one line. Exactly one of `command`, `inline`, `script` and `scripts` is \
                                    needed."},
                "inline": {"type": "array", "items": {"type": "string"}, "description": "Lines of one script."},
                "inline_shebang": {"type": "string", "default": "/bin/sh -e",
                    "description": "Interpreter of an inline script."},
                "script": {"type": "string", "x-host-path": true, "description": "A script file."},
                "scripts": {"type": "array", "items": {"type": "string", "x-host-path": true},
                    "description": "Script files, run in this order."},
                "environment_vars": {"type": "array", "items": {"type": "string"},
                    "description": "Variables, each `NAME=value`.", "examples": [["LANG=C.UTF-8"]]},
                "env": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Variables by name; they win over `environment_vars`."},
                "env_var_format": {"type": "string", "default": "%s='%s' ",
                    "description": "How a variable is written in `.Vars`: `%s` for the name, then `%s` for the value."},
                "execute_command": {"type": "array", "items": {"type": "string"}, "x-template": true,
                    "default": ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"],
                    "description": "Program and arguments that run a script, with `.Vars` and `.Script`. One text alone \
                                    is a line for `sh -c`."},
                "valid_exit_codes": {"type": "array", "items": {"type": "integer"}, "default": [0],
                    "description": "Exit codes that count as success."},
                "only_on": {"type": "array", "items": {"type": "string"}, "examples": [SYSTEMS],
                    "description": "Skip the step on other operating systems than these."},
                "tempfile_extension": {"type": "string",
                    "description": "Ending of an inline script's name, for instance `.py`; `.cmd` on Windows."},
                "use_linux_pathing": {"type": "boolean", "default": false,
                    "description": "Hand scripts to the Linux subsystem of Windows by the path that they have there."}
            }),
        )
        .example(json!({"inline": ["echo building $PACKER_BUILD_NAME > started.txt"]}))
        .example(json!({
            "script": "./notify.sh",
            "env": {"CHANNEL": "images"},
            "execute_command": ["/bin/bash", "-c", "{{.Vars}} {{.Script}}"]
        }))
        .requires(Capability::HostExec(vec!["*".into()]), "it runs the commands that the template has")
}
