//! The generated bindings of the plugin interface, and the only place where generated names come from. The imports
//! are bound once (world `host-imports`); the worlds that a plugin can implement share its types. Host functions are
//! asynchronous for the host and may end the guest with an error (`trappable`). Resources are the types of
//! [`crate::resources`].

/// Everything that the host provides.
pub mod host {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "host-imports",
        imports: { default: async | trappable },
        with: {
            "fornax:plugin/secrets.secret": crate::resources::SecretHandle,
            "fornax:plugin/files.host-file": crate::resources::HostFile,
            "fornax:plugin/files.host-writer": crate::resources::HostWriter,
            "fornax:plugin/files.workspace": crate::resources::WorkspaceHandle,
            "fornax:plugin/files.output-lock": crate::resources::OutputLockHandle,
            "fornax:plugin/machine.process": crate::resources::Process,
            "fornax:plugin/machine.target": crate::resources::Target,
            "fornax:plugin/artifacts.artifact": crate::resources::ArtifactHandle,
            "fornax:plugin/host-exec.host-script": crate::resources::HostScript,
        },
    });
}

/// What a provisioner exports.
pub mod provisioner {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "provisioner-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fornax:plugin/types": crate::bindings::host::fornax::plugin::types,
            "fornax:plugin/ui": crate::bindings::host::fornax::plugin::ui,
            "fornax:plugin/run": crate::bindings::host::fornax::plugin::run,
            "fornax:plugin/secrets": crate::bindings::host::fornax::plugin::secrets,
            "fornax:plugin/files": crate::bindings::host::fornax::plugin::files,
            "fornax:plugin/machine": crate::bindings::host::fornax::plugin::machine,
        },
    });
}

/// What a post-processor exports.
pub mod post_processor {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "post-processor-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "fornax:plugin/types": crate::bindings::host::fornax::plugin::types,
            "fornax:plugin/ui": crate::bindings::host::fornax::plugin::ui,
            "fornax:plugin/run": crate::bindings::host::fornax::plugin::run,
            "fornax:plugin/secrets": crate::bindings::host::fornax::plugin::secrets,
            "fornax:plugin/files": crate::bindings::host::fornax::plugin::files,
            "fornax:plugin/artifacts": crate::bindings::host::fornax::plugin::artifacts,
        },
    });
}
