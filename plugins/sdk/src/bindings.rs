//! Bindings generated from the WIT package, once for all guests, from the world that holds everything. Imports that
//! a guest does not call are left out of its component by the linker; which interfaces it exports is settled by the
//! macros of this crate.

wit_bindgen::generate!({
    world: "full-plugin",
    path: "../../wit",
    generate_all,
    generate_unused_types: true,
    pub_export_macro: true,
    export_macro_name: "export_everything",
    default_bindings_module: "fornax_plugin_sdk::bindings",
});

/// Descriptions of the worlds for the linker.
pub mod worlds {
    /// The world `provisioner-plugin`.
    pub const PROVISIONER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/provisioner-plugin"));
    /// The world `post-processor-plugin`.
    pub const POST_PROCESSOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/post-processor-plugin"));
    /// The world `full-plugin`.
    pub const FULL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/full-plugin"));

    /// The bytes of a world as an array, which is what a section of a binary is made of.
    pub const fn section<const N: usize>(bytes: &[u8]) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        array
    }
}
