//! Runs provisioners and post-processors as WebAssembly components, behind the plugin interface `fornax:plugin`.
//!
//! A component has no right of its own: no files, no network, no environment. It works through the interface, whose
//! host side is here. Secrets are sealed placeholders for it; the host puts the values where they belong. Each call has
//! a fresh instance with bounded memory, time, handles and messages. What goes beyond is granted by the operator
//! ([`Policy`]). The engine knows all this only as the ports [`fornax_core::plugin::PluginCatalog`] and
//! [`fornax_core::plugin::Extension`].

pub(crate) mod bindings;
mod cache;
mod clock;
mod commands;
mod config;
mod copy;
mod descriptor;
mod engine;
mod extension;
mod glob;
mod host;
mod host_exec;
mod host_files;
mod host_machine;
mod host_outside;
mod host_run;
mod host_ui;
pub mod http;
mod leftovers;
mod local;
mod locks;
mod output;
mod pack;
mod plugin;
mod policy;
mod process;
mod publish;
mod rate;
pub(crate) mod resources;
mod seal;
mod shell;
mod state;
mod stdio;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod workspace;

pub use host::{HostConfig, Limits, LoadProblem, PluginHost};
pub use policy::{Effective, PluginId, Policy, PolicyError};

/// Random bytes in lower-case hexadecimal.
fn random_hex<const N: usize>() -> String {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
