//! The built-in plugins, compiled to WebAssembly and embedded. They are ordinary components: the host loads them as it
//! loads those of third parties.

/// A built-in plugin.
pub struct Component {
    pub name: &'static str,
    pub bytes: &'static [u8],
}

/// All built-in plugins.
pub fn components() -> &'static [Component] {
    &[
        Component { name: "shell", bytes: include_bytes!(env!("FORNAX_PLUGIN_SHELL")) },
        Component { name: "file", bytes: include_bytes!(env!("FORNAX_PLUGIN_FILE")) },
        Component { name: "manifest", bytes: include_bytes!(env!("FORNAX_PLUGIN_MANIFEST")) },
    ]
}
