//! One file a command.

pub mod build;
pub mod cleanup;
pub mod fmt;
pub mod inspect;
pub mod plugins;
pub mod simulator;
pub mod template;
pub mod validate;
