//! The description of the provisioner: options with their documentation, and examples.

use fornax_plugin_sdk::Description;
use serde_json::json;

use crate::config::{FORMAT, POLICIES};

/// Describes the provisioner.
pub fn describe() -> Description {
    Description::new("Runs PowerShell scripts on the machine")
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
                    "description": "How a variable is written: `%s` for the name, then `%s` for the value, in which \
                                    `$`, quotes and backticks have a backtick before them."},
                "elevated_env_var_format": {"type": "string", "default": FORMAT,
                    "description": "The same with `elevated_user`."},
                "execute_command": {"type": "string", "x-template": true,
                    "description": "Command line that runs the script. `{{ .Path }}` is the script, `{{ .Vars }}` the \
                                    file that sets the variables.",
                    "examples": ["powershell -executionpolicy bypass \"& { . {{.Vars}}; &'{{.Path}}'; exit $LastExitCode }\""]},
                "elevated_execute_command": {"type": "string", "x-template": true,
                    "description": "Command line of the scheduled task, the same way."},
                "elevated_user": {"type": "string",
                    "description": "Run scripts as this user with highest privileges, by a scheduled task.",
                    "examples": ["Administrator", "NT AUTHORITY\\SYSTEM"]},
                "elevated_password": {"type": "string", "writeOnly": true,
                    "description": "The user's password; none for accounts of services."},
                "execution_policy": {"type": "string", "enum": POLICIES, "default": "bypass",
                    "description": "Execution policy of the scripts. With `none` the script is a command of the shell of \
                                    the connection, which must be PowerShell."},
                "use_pwsh": {"type": "boolean", "default": false,
                    "description": "Run scripts with `pwsh`, PowerShell 7, instead of Windows PowerShell."},
                "debug_mode": {"type": "integer", "minimum": 0, "maximum": 2, "default": 0,
                    "description": "Level of `Set-PSDebug -Trace`."},
                "remote_path": {"type": "string", "x-machine-path": true,
                    "description": "Path of the script on the machine; `c:/Windows/Temp/script-UUID.ps1` without it."},
                "remote_env_var_path": {"type": "string", "x-machine-path": true,
                    "description": "Path of the file that sets the variables; \
                                    `c:/Windows/Temp/packer-ps-env-vars-UUID.ps1` without it."},
                "binary": {"type": "boolean", "default": false,
                    "description": "Accepted for old templates: scripts are never converted."},
                "valid_exit_codes": {"type": "array", "items": {"type": "integer"}, "default": [0],
                    "description": "Exit codes that count as success; 2300218 stands for a lost connection."},
                "skip_clean": {"type": "boolean", "default": false,
                    "description": "Leave the scripts on the machine, but for those that hold secrets."},
                "start_retry_timeout": {"type": "string", "x-duration": true, "default": "5m",
                    "description": "How long to try to start a script while the connection fails."},
                "pause_after": {"type": "string", "x-duration": true,
                    "description": "Pause behind the step."}
            }),
        )
        .example(json!({"inline": ["Install-WindowsFeature Web-Server"]}))
        .example(json!({
            "scripts": ["base.ps1", "harden.ps1"],
            "env": {"CHANNEL": "stable"},
            "valid_exit_codes": [0, 3010]
        }))
        .example(json!({
            "script": "install.ps1",
            "elevated_user": "{{ build `User` }}",
            "elevated_password": "{{ build `Password` }}"
        }))
}
