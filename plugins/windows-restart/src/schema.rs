//! The description of the provisioner: options with their documentation, and examples.

use fornax_plugin_sdk::Description;
use serde_json::json;

use crate::config::{CHECK, COMMAND, KEYS};

/// Describes the provisioner.
pub fn describe() -> Description {
    Description::new("Restarts a Windows machine and waits for it")
        .docs(include_str!("../README.md"))
        .options(
            &[],
            json!({
                "restart_command": {"type": "string", "default": COMMAND,
                    "description": "Restarts the machine."},
                "restart_check_command": {"type": "string", "default": CHECK,
                    "description": "Succeeds once the machine can be used again; tried every 5 seconds."},
                "restart_timeout": {"type": "string", "x-duration": true, "default": "5m",
                    "description": "How long the restart may take, all of it."},
                "check_registry": {"type": "boolean", "default": false,
                    "description": "Also wait until no registry key says that a restart is pending."},
                "registry_keys": {"type": "array", "items": {"type": "string"}, "default": KEYS,
                    "description": "Keys that are there while a restart is pending."}
            }),
        )
        .example(json!({}))
        .example(json!({"restart_timeout": "15m", "check_registry": true}))
}
