//! What the provisioners that run scripts have in common: where a script comes from, its variables and how they are
//! written, which exit codes are good, and trying again while a connection fails. It is no plugin itself. What a
//! machine is not needed for calls no import, so that it is tested natively.

pub mod exit;
pub mod run;
pub mod source;
pub mod vars;
