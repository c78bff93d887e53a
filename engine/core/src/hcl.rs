//! HCL, the language of Packer's newer templates: text to tokens to a tree, evaluation with typed values that may be
//! unknown or sensitive, and the canonical format. Nothing in here knows what a template is.

pub mod convert;
pub mod eval;
pub mod format;
pub mod functions;
pub mod lex;
pub mod number;
pub mod parse;
pub mod print;
pub mod scope;
pub mod syntax;
#[cfg(test)]
pub(crate) mod testing;
pub mod types;
pub mod typexpr;
pub mod value;
pub mod write;

pub use convert::{ConvertError, convert};
pub use eval::{Allow, evaluate};
pub use number::Number;
pub use scope::Scope;
pub use types::{Field, Type};
pub use value::Val;
