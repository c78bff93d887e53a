//! What authors of Fornax plugins depend on: the interface `fornax:plugin` bound for Rust, traits for provisioners
//! and post-processors with typed configuration, and the macros that turn them into a component.
//!
//! A plugin implements [`Provisioner`] or [`PostProcessor`] and names its types in [`export_provisioners!`],
//! [`export_post_processors!`] or [`export_plugin!`]. It is built as a `cdylib` for `wasm32-wasip2`. The modules
//! [`ui`], [`run`], [`files`], [`secrets`], [`machine`] and [`artifacts`] are the interfaces as they are; the rest is
//! convenience over them. Native builds compile, so that everything that calls no import can be tested natively.

#[allow(missing_docs, clippy::all)]
pub mod bindings;
mod check;
pub mod duration;
mod error;
mod extension;
mod file;
#[doc(hidden)]
pub mod guest;
mod macros;
mod remote;
pub mod sealed;

pub use bindings::exports::fornax::plugin::plugin::Capability;
pub use bindings::exports::fornax::plugin::post_processor::{KeepPolicy, NewArtifact, NewFile, Processed};
pub use bindings::exports::fornax::plugin::provisioner::Outcome;
pub use bindings::fornax::plugin::types::{Diagnostic, Error, ErrorCode, Severity};
pub use bindings::fornax::plugin::{artifacts, files, machine, run, secrets, types, ui};
pub use check::Check;
pub use extension::{Description, PostProcessor, Provisioner};
pub use file::{FileState, file_state, read_all, read_to_string, write_file};
pub use remote::{Command, Machine};

/// A JSON object that keeps the order of its keys.
pub type Map = serde_json::Map<String, serde_json::Value>;

/// The result of everything that can fail on the host.
pub type Result<T> = std::result::Result<T, Error>;

/// What nearly every plugin uses.
pub mod prelude {
    pub use crate::{Capability, Check, Command, Description, Error, ErrorCode, Machine, Outcome, Result};
    pub use crate::{KeepPolicy, NewArtifact, NewFile, PostProcessor, Processed, Provisioner};
    pub use crate::{files, run, ui};
    pub use serde::Deserialize;
    pub use serde_json::{Value, json};
}

/// A line for the person who watches the build.
pub fn say(message: impl AsRef<str>) {
    ui::say(message.as_ref());
}

/// Renders a template text with dot-variables: `("Path", "/tmp/x")` stands for `{{ .Path }}`. Values and result may
/// hold sealed placeholders.
pub fn render(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let values: Vec<_> =
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    run::render(template, &values)
}

/// Waits; ends early with the code `cancelled` when the build is cancelled.
pub fn sleep(time: std::time::Duration) -> Result<()> {
    run::sleep(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Shows the message and waits until the person who watches the build presses enter; the code is `unsupported` where
/// nobody can be asked.
pub fn pause(message: impl AsRef<str>) -> Result<()> {
    run::pause(message.as_ref())
}

/// The guide for authors: its code is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../PLUGINS.md")]
mod guide {}
