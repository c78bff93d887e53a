//! The description of the provisioner: options with their documentation, and examples.

use fornax_plugin_sdk::Description;
use serde_json::json;

/// Describes the provisioner.
pub fn describe() -> Description {
    Description::new("Runs shell scripts on the machine")
        .docs(include_str!("../README.md"))
        .options(
            &[],
            json!({
                "inline": {"type": "array", "items": {"type": "string"},
                    "description": "Lines of one script. Exactly one of `inline`, `script` and `scripts` is needed."},
                "inline_shebang": {"type": "string", "default": "/bin/sh -e",
                    "description": "Interpreter of an inline script, unless its first line names one."},
                "script": {"type": "string", "x-host-path": true, "description": "A script file."},
                "scripts": {"type": "array", "items": {"type": "string", "x-host-path": true},
                    "description": "Script files, run in this order."},
                "environment_vars": {"type": "array", "items": {"type": "string"},
                    "description": "Variables, each `NAME=value`.", "examples": [["LANG=C.UTF-8"]]},
                "env": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "Variables by name; they win over `environment_vars`."},
                "env_var_format": {"type": "string",
                    "description": "How a variable is written: `%s` for the name, then `%s` for the value. The default \
                                    is `%s='%s' `, with `use_env_var_file` `export %s='%s'` and a line end."},
                "use_env_var_file": {"type": "boolean", "default": false,
                    "description": "Pass the variables in a file that the script's shell reads."},
                "execute_command": {"type": "string", "x-template": true,
                    "description": "Command line that runs the script. `{{ .Path }}` is the script, `{{ .Vars }}` the \
                                    variables, `{{ .EnvVarFile }}` the file with them.",
                    "examples": ["chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'"]},
                "remote_folder": {"type": "string", "default": "/tmp", "x-machine-path": true,
                    "description": "Existing folder on the machine for the script."},
                "remote_file": {"type": "string",
                    "description": "Name of the script there; `script_NNNN.sh` without it."},
                "remote_path": {"type": "string", "x-machine-path": true,
                    "description": "Path of the script on the machine; wins over `remote_folder` and `remote_file`."},
                "binary": {"type": "boolean", "default": false,
                    "description": "Leave the scripts as they are instead of turning CRLF to LF."},
                "valid_exit_codes": {"type": "array", "items": {"type": "integer"}, "default": [0],
                    "description": "Exit codes that count as success; 2300218 stands for a lost connection."},
                "expect_disconnect": {"type": "boolean", "default": false,
                    "description": "The script may take the connection away, for instance by a restart."},
                "skip_clean": {"type": "boolean", "default": false,
                    "description": "Leave the scripts on the machine."},
                "start_retry_timeout": {"type": "string", "x-duration": true, "default": "5m",
                    "description": "How long to try to start a script while the connection fails."},
                "pause_after": {"type": "string", "x-duration": true,
                    "description": "Pause behind the step."}
            }),
        )
        .example(json!({"inline": ["apt-get update", "apt-get install -y nginx"]}))
        .example(json!({
            "scripts": ["base.sh", "harden.sh"],
            "env": {"DEBIAN_FRONTEND": "noninteractive"},
            "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'"
        }))
        .example(json!({"inline": ["reboot"], "expect_disconnect": true, "pause_after": "10s"}))
}
