//! One file a command.

pub mod build;
pub mod cleanup;
pub mod completions;
pub mod console;
pub mod init;
pub mod inspect;
pub mod plugins;
pub mod simulator;
pub mod template;
pub mod validate;
pub mod version;
