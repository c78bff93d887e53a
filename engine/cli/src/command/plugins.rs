//! `fornax plugins`: what is loaded, from where, and which rights it asks for.

use crate::args::PluginArgs;
use crate::error::{CliError, Exit};
use crate::target;

pub async fn run(args: &PluginArgs) -> Result<Exit, CliError> {
    let catalog = target::plugins(args, None).await?;
    for extension in catalog.list() {
        let info = extension.info();
        outln!("{} {}: {}", info.kind.as_str(), info.name, info.summary);
        outln!(
            "  from {} {} ({}), sha256 {}",
            info.plugin_name,
            info.plugin_version,
            info.origin,
            info.plugin_digest
        );
        for request in &info.capabilities {
            let state = if request.granted { "granted" } else { "denied" };
            let need = if request.required { "needs" } else { "asks for" };
            outln!("  {need} {}: {state} ({})", request.capability, request.reason);
        }
    }
    Ok(Exit::Done)
}
