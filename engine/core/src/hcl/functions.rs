//! The functions of HCL templates. One table names them with their parameters; arguments are converted and checked
//! here, before a function sees them, so that each function is only about its own matter. A result is sensitive as
//! soon as an argument is, and not known as long as an argument is not.

use std::path::Path;

use super::convert::convert;
use super::types::Type;
use super::value::Val;

mod numeric;

/// What functions need from outside. Only the composition root touches the real file system and environment.
pub trait Host: Send + Sync {
    /// Reads a file as it is.
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Whether it is a file, a folder, or nothing.
    fn kind(&self, path: &Path) -> std::io::Result<FileKind>;
    /// Files and folders directly in a folder: names and kinds, sorted by name.
    fn list(&self, path: &Path) -> std::io::Result<Vec<(String, FileKind)>>;
    /// The home folder, for `~`.
    fn home(&self) -> Option<String>;
    fn env(&self, name: &str) -> Option<String>;
    /// The time as `timestamp()` tells it; the same for the whole run.
    fn start_time(&self) -> jiff::Timestamp;
    /// The folder that relative paths start from.
    fn base_dir(&self) -> &Path;
    /// Absolute.
    fn working_dir(&self) -> &Path;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Folder,
    Other,
    Missing,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    #[error("there is no function named \"{0}\"")]
    NoFunction(String),
    #[error("function \"{function}\" expects {expected} argument(s); there is no value for \"{missing}\"")]
    TooFew { function: String, expected: String, missing: String },
    #[error("function \"{function}\" expects only {expected} argument(s)")]
    TooMany { function: String, expected: usize },
    /// An argument can't be used; counted from 0.
    #[error("invalid value for \"{parameter}\" parameter: {message}")]
    Argument { index: usize, parameter: String, message: String },
    #[error("{0}")]
    Failed(String),
}

/// What a function itself reports.
pub(crate) enum Fault {
    /// One argument, counted from 0, is to blame.
    At(usize, String),
    Call(String),
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault::Call(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Fault::Call(message.to_owned())
    }
}

pub(crate) type Outcome = Result<Val, Fault>;

/// A parameter: arguments are converted to its type. `Dynamic` takes anything as it is.
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) ty: fn() -> Type,
    pub(crate) allow_null: bool,
    /// The function looks at values that are not wholly known by itself.
    pub(crate) allow_unknown: bool,
}

pub(crate) const fn param(name: &'static str, ty: fn() -> Type) -> Param {
    Param { name, ty, allow_null: false, allow_unknown: false }
}

pub(crate) fn any() -> Type {
    Type::Dynamic
}
pub(crate) fn string() -> Type {
    Type::String
}
pub(crate) fn number() -> Type {
    Type::Number
}

pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    pub(crate) params: &'static [Param],
    /// Takes all further arguments.
    pub(crate) rest: Option<Param>,
    /// The type of the result when an argument is not known; none: not known either.
    pub(crate) returns: fn() -> Type,
    pub(crate) run: fn(&[Val], &dyn Host) -> Outcome,
}

/// All tables, each sorted by name.
fn tables() -> [&'static [Function]; 1] {
    [numeric::TABLE]
}

fn find(name: &str) -> Option<&'static Function> {
    tables().into_iter().find_map(|table| table.iter().find(|f| f.name == name))
}

/// The names of all functions, for suggestions and completion, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = tables().into_iter().flatten().map(|f| f.name).collect();
    names.sort_unstable();
    names
}

/// Name, parameters and what it does, for documentation.
pub fn describe(name: &str) -> Option<(String, &'static str)> {
    let function = find(name)?;
    let params = function.params.iter().map(|p| p.name.to_owned());
    let rest = function.rest.iter().map(|p| format!("{}...", p.name));
    let list: Vec<String> = params.chain(rest).collect();
    Some((format!("{name}({})", list.join(", ")), function.about))
}

/// Calls a function.
pub fn call(name: &str, args: Vec<Val>, host: &dyn Host) -> Result<Val, CallError> {
    let function = find(name).ok_or_else(|| CallError::NoFunction(name.to_owned()))?;
    let wanted = function.params.len();
    if args.len() < wanted {
        let more = if function.rest.is_some() { "at least " } else { "" };
        return Err(CallError::TooFew {
            function: name.to_owned(),
            expected: format!("{more}{wanted}"),
            missing: function.params[args.len()].name.to_owned(),
        });
    }
    if args.len() > wanted && function.rest.is_none() {
        return Err(CallError::TooMany { function: name.to_owned(), expected: wanted });
    }
    let sensitive = args.iter().any(Val::is_sensitive);
    let parameter = |index: usize| function.params.get(index).or(function.rest.as_ref());
    let blame = |index: usize, message: String| CallError::Argument {
        index,
        parameter: parameter(index).map_or_else(String::new, |p| p.name.to_owned()),
        message,
    };
    let mut ready = Vec::with_capacity(args.len());
    let mut unknown = false;
    for (index, arg) in args.into_iter().enumerate() {
        let Some(param) = parameter(index) else { break };
        if arg.is_null() && !param.allow_null {
            return Err(blame(index, "argument must not be null".to_owned()));
        }
        let arg = convert(arg, &(param.ty)()).map_err(|e| blame(index, e.to_string()))?;
        unknown |= !param.allow_unknown && !arg.is_wholly_known();
        ready.push(arg);
    }
    if unknown {
        return Ok(Val::Unknown((function.returns)()));
    }
    match (function.run)(&ready, host) {
        Ok(value) => Ok(value.mark_if(sensitive)),
        Err(Fault::At(index, message)) => Err(blame(index, message)),
        Err(Fault::Call(message)) => Err(CallError::Failed(message)),
    }
}
