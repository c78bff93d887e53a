//! The description of the provisioner: options with their documentation, and examples.

use fornax_plugin_sdk::Description;
use serde_json::json;

/// Describes the provisioner.
pub fn describe() -> Description {
    Description::new("Copies files and directories to the machine and from it")
        .docs(include_str!("../README.md"))
        .options(
            &["destination"],
            json!({
                "source": {"type": "string", "x-host-path": true,
                    "description": "File or directory to upload; for a download a path on the machine."},
                "sources": {"type": "array", "items": {"type": "string", "x-host-path": true},
                    "description": "Several sources."},
                "content": {"type": "string",
                    "description": "Text to upload, instead of sources."},
                "destination": {"type": "string", "x-machine-path": true, "x-host-output": true,
                    "description": "Where it goes: a path on the machine, for a download one here."},
                "direction": {"type": "string", "enum": ["upload", "download"], "default": "upload",
                    "description": "To the machine or from it."},
                "generated": {"type": "boolean", "default": false,
                    "description": "An earlier step makes the source: do not check it beforehand."}
            }),
        )
        .example(json!({"source": "app.conf", "destination": "/tmp/app.conf"}))
        .example(json!({"sources": ["site/", "extra.css"], "destination": "/srv/www/"}))
        .example(
            json!({"source": "/var/log/cloud-init.log", "destination": "logs/", "direction": "download"}),
        )
}
