//! The built-in plugins, compiled to WebAssembly and embedded. They are ordinary components: the host loads them as it
//! loads those of third parties.

/// A built-in plugin.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Its extensions, of which there is one of a kind, as templates name them.
    pub name: &'static str,
    /// The component, as a file `plugin.wasm` would hold it.
    pub bytes: &'static [u8],
}

/// All built-in plugins.
pub fn components() -> &'static [Component] {
    &[
        Component { name: "shell", bytes: include_bytes!(env!("FORNAX_PLUGIN_SHELL")) },
        Component { name: "file", bytes: include_bytes!(env!("FORNAX_PLUGIN_FILE")) },
        Component { name: "manifest", bytes: include_bytes!(env!("FORNAX_PLUGIN_MANIFEST")) },
        Component { name: "shell-local", bytes: include_bytes!(env!("FORNAX_PLUGIN_SHELL_LOCAL")) },
        Component { name: "breakpoint", bytes: include_bytes!(env!("FORNAX_PLUGIN_BREAKPOINT")) },
        Component { name: "sleep", bytes: include_bytes!(env!("FORNAX_PLUGIN_SLEEP")) },
        Component { name: "checksum", bytes: include_bytes!(env!("FORNAX_PLUGIN_CHECKSUM")) },
        Component { name: "compress", bytes: include_bytes!(env!("FORNAX_PLUGIN_COMPRESS")) },
        Component { name: "artifice", bytes: include_bytes!(env!("FORNAX_PLUGIN_ARTIFICE")) },
        Component { name: "powershell", bytes: include_bytes!(env!("FORNAX_PLUGIN_POWERSHELL")) },
        Component { name: "windows-shell", bytes: include_bytes!(env!("FORNAX_PLUGIN_WINDOWS_SHELL")) },
        Component { name: "windows-restart", bytes: include_bytes!(env!("FORNAX_PLUGIN_WINDOWS_RESTART")) },
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_are_components() {
        for component in super::components() {
            assert_eq!(component.bytes[..8], [0, b'a', b's', b'm', 0x0d, 0, 1, 0], "{}", component.name);
        }
    }
}
