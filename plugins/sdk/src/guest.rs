//! What the export macros call: picks the extension by its name, reads the configuration, and installs the hook
//! that tells people about a panic before it becomes a trap.

use std::sync::Once;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::bindings::exports::fornax::plugin::plugin::{Descriptor, Extension, ExtensionKind};
use crate::types::{Prepared, ValidateContext};
use crate::{Check, Error, Outcome, PostProcessor, Processed, Provisioner, Result, artifacts, ui};

/// Makes the descriptor of the crate that exports.
pub fn descriptor(name: &str, package: [&str; 4], extensions: Vec<Extension>) -> Descriptor {
    let [version, summary, license, homepage] = package.map(str::to_owned);
    Descriptor { name: name.to_owned(), version, summary, license, homepage, extensions }
}

/// Describes a provisioner.
pub fn provisioner<P: Provisioner>() -> Extension {
    P::describe().extension(ExtensionKind::Provisioner, P::NAME)
}

/// Describes a post-processor.
pub fn post_processor<P: PostProcessor>() -> Extension {
    P::describe().extension(ExtensionKind::PostProcessor, P::NAME)
}

/// Runs `prepare` of a provisioner.
pub fn prepare_provisioner<P: Provisioner>(config: &str, context: ValidateContext) -> Result<Prepared> {
    prepare::<P::Config>(config, context, P::prepare)
}

/// Runs `prepare` of a post-processor.
pub fn prepare_post_processor<P: PostProcessor>(config: &str, context: ValidateContext) -> Result<Prepared> {
    prepare::<P::Config>(config, context, P::prepare)
}

fn prepare<C: DeserializeOwned>(
    config: &str,
    context: ValidateContext,
    rules: fn(&mut Check) -> Result<()>,
) -> Result<Prepared> {
    install_panic_hook();
    let config: Value = serde_json::from_str(config)?;
    let mut check = Check::new(config, context);
    rules(&mut check)?;
    // What the type refuses would fail in the middle of a build; here it costs nothing. Unknown values are `null`
    // now and would be refused for no reason.
    if !check.failed()
        && !check.has_unknown()
        && let Err(error) = C::deserialize(check.config())
    {
        check.error("", "config/shape", format!("The configuration can't be read: {error}"), "");
    }
    Ok(check.finish())
}

/// Runs a provisioner.
pub fn provision<P: Provisioner>(config: &str) -> Result<Outcome> {
    install_panic_hook();
    P::step(read_config(config)?)
}

/// Runs a post-processor.
pub fn process<P: PostProcessor>(config: &str) -> Result<Processed> {
    install_panic_hook();
    P::process(read_config(config)?, artifacts::input()?)
}

fn read_config<C: DeserializeOwned>(config: &str) -> Result<C> {
    serde_json::from_str(config)
        .map_err(|error| Error::from(error).context("The configuration can't be read"))
}

/// The host asked for something that the descriptor does not name.
pub fn unknown(name: &str) -> Error {
    Error::invalid(format!("this plugin has no extension named {name:?}"))
}

fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| ui::say(&format!("The plugin crashed: {panic}"))));
    });
}
