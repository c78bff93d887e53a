//! A local Azure: Entra tokens, Resource Manager, and machines behind it. It shares no type with the client, so a
//! wrong field name cannot cancel out.

pub mod catalogue;
pub mod machine;
