//! One file a command.

pub mod build;
pub mod cleanup;
pub mod completions;
pub mod console;
pub mod docs;
pub mod fix;
pub mod fmt;
pub mod hcl2_upgrade;
pub mod init;
pub mod inspect;
pub mod plugins;
mod salvage;
pub mod schema;
pub mod simulator;
pub mod template;
pub mod validate;
pub mod version;
