//! The interface `host-exec`, which the standard worlds leave out because it needs a right. Its types are those of the
//! SDK.

#![allow(missing_docs)]

wit_bindgen::generate!({
    inline: "
        package fornax:shell-local;

        world imports {
            import fornax:plugin/host-exec@0.1.0;
        }
    ",
    path: "../../wit",
    with: {
        "fornax:plugin/types@0.1.0": fornax_plugin_sdk::types,
        "fornax:plugin/files@0.1.0": fornax_plugin_sdk::files,
        "fornax:plugin/machine@0.1.0": fornax_plugin_sdk::machine,
    },
    generate_all,
});

pub use fornax::plugin::host_exec::{self, Argument, HostCommand, HostScript};
