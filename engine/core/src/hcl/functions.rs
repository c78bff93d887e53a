//! The functions of HCL templates. One table names them with their parameters; arguments are converted and checked
//! here, before a function sees them, so that each function is only about its own matter. A result is sensitive as
//! soon as an argument is, unless the function itself keeps track, and not known as long as an argument is not.
//! Whatever a template asks for, results stay below a size, and messages never quote a sensitive argument.

use std::borrow::Cow;
use std::path::Path;

use super::convert::convert;
use super::number::Number;
use super::types::Type;
use super::value::Val;
use crate::value::{Part, Text};

mod collections;
mod csv;
mod dates;
mod encoding;
mod files;
mod format;
mod glob;
mod hashes;
mod json;
mod network;
mod numeric;
mod regexes;
mod remote;
mod sequences;
mod strings;
mod yaml;
mod yaml_encode;

/// Bytes of all texts in a result.
const MAX_BYTES: usize = 16 << 20;
/// Values in a result, nested ones too.
const MAX_ITEMS: usize = 1 << 18;

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
    #[error("\"{function}\" needs {expected}; there is no value for \"{missing}\"")]
    TooFew { function: String, expected: String, missing: String },
    #[error("\"{function}\" takes {expected}, not more")]
    TooMany { function: String, expected: String },
    /// An argument can't be used; counted from 0.
    #[error("invalid value for \"{parameter}\" parameter: {message}")]
    Argument { index: usize, parameter: String, message: String },
    #[error("{0}")]
    Failed(String),
}

/// What a message says of a fault that depends on a sensitive argument.
const WITHHELD: &str = "the reason is not shown, because an argument is sensitive";

/// What a function itself reports. A message that is part of the program holds no value and may always be shown; one
/// that was made for the occasion may quote arguments, and is withheld when one of them is sensitive.
#[derive(Debug)]
pub(crate) enum Fault {
    /// One argument, counted from 0, is to blame.
    At(usize, Cow<'static, str>),
    Call(Cow<'static, str>),
}

/// One argument, counted from 0, is to blame.
pub(crate) fn at(index: usize, message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::At(index, message.into())
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault::Call(message.into())
    }
}

impl From<&'static str> for Fault {
    fn from(message: &'static str) -> Self {
        Fault::Call(message.into())
    }
}

impl Fault {
    /// The message of a fault inside of a call, for the message of that call.
    fn into_text(self) -> Cow<'static, str> {
        match self {
            Fault::At(_, message) | Fault::Call(message) => message,
        }
    }
}

fn shown(message: Cow<'static, str>, sensitive: bool) -> String {
    match message {
        Cow::Owned(_) if sensitive => WITHHELD.to_owned(),
        message => message.into_owned(),
    }
}

pub(crate) type Outcome = Result<Val, Fault>;

/// How much of an argument must be known before the function is asked; the result is not known until then.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Known {
    /// Every part.
    Wholly,
    /// The value itself; the function looks at parts that are not known.
    Outside,
    /// Nothing: the function decides.
    Any,
}

/// A parameter: arguments are converted to its type. `Dynamic` takes anything as it is.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    name: &'static str,
    ty: fn() -> Type,
    allow_null: bool,
    known: Known,
}

/// A parameter that takes no null and wants to be wholly known.
pub(crate) const fn param(name: &'static str, ty: fn() -> Type) -> Param {
    Param { name, ty, allow_null: false, known: Known::Wholly }
}

impl Param {
    pub(crate) const fn or_null(mut self) -> Self {
        self.allow_null = true;
        self
    }

    pub(crate) const fn known(mut self, known: Known) -> Self {
        self.known = known;
        self
    }
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
pub(crate) fn strings() -> Type {
    Type::list(Type::String)
}

/// Types of results that are not known yet.
pub(crate) mod gives {
    use super::{Type, Val};

    pub(crate) fn any(_: &[Val]) -> Type {
        Type::Dynamic
    }
    pub(crate) fn bool(_: &[Val]) -> Type {
        Type::Bool
    }
    pub(crate) fn number(_: &[Val]) -> Type {
        Type::Number
    }
    pub(crate) fn string(_: &[Val]) -> Type {
        Type::String
    }
    pub(crate) fn strings(_: &[Val]) -> Type {
        Type::list(Type::String)
    }
    /// What the first argument is.
    pub(crate) fn first(args: &[Val]) -> Type {
        args.first().map_or(Type::Dynamic, Val::ty)
    }
}

pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    params: &'static [Param],
    /// Takes all further arguments.
    rest: Option<Param>,
    /// The type of the result when an argument is not known, as far as the arguments tell.
    returns: fn(&[Val]) -> Type,
    run: fn(&[Val], &dyn Host) -> Outcome,
    /// The result is as sensitive as the function made it.
    own_marks: bool,
}

pub(crate) const fn function(
    name: &'static str,
    about: &'static str,
    params: &'static [Param],
    returns: fn(&[Val]) -> Type,
    run: fn(&[Val], &dyn Host) -> Outcome,
) -> Function {
    Function { name, about, params, rest: None, returns, run, own_marks: false }
}

impl Function {
    pub(crate) const fn rest(mut self, param: Param) -> Self {
        self.rest = Some(param);
        self
    }

    pub(crate) const fn own_marks(mut self) -> Self {
        self.own_marks = true;
        self
    }
}

/// All tables.
fn tables() -> [&'static [Function]; 15] {
    [
        collections::TABLE,
        csv::TABLE,
        dates::TABLE,
        encoding::TABLE,
        files::TABLE,
        format::TABLE,
        hashes::TABLE,
        json::TABLE,
        network::TABLE,
        numeric::TABLE,
        regexes::TABLE,
        remote::TABLE,
        sequences::TABLE,
        strings::TABLE,
        yaml::TABLE,
    ]
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

fn counted(arguments: usize) -> String {
    match arguments {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        n => format!("{n} arguments"),
    }
}

/// Calls a function.
pub fn call(name: &str, args: Vec<Val>, host: &dyn Host) -> Result<Val, CallError> {
    let function = find(name).ok_or_else(|| CallError::NoFunction(name.to_owned()))?;
    let wanted = function.params.len();
    if args.len() < wanted {
        let more = if function.rest.is_some() { "at least " } else { "" };
        return Err(CallError::TooFew {
            function: name.to_owned(),
            expected: format!("{more}{}", counted(wanted)),
            missing: function.params[args.len()].name.to_owned(),
        });
    }
    if args.len() > wanted && function.rest.is_none() {
        return Err(CallError::TooMany { function: name.to_owned(), expected: counted(wanted) });
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
        let ty = (param.ty)();
        let hidden = arg.is_sensitive();
        let arg = convert(arg, &ty)
            .map_err(|e| blame(index, if hidden { ty.required() } else { e.to_string() }))?;
        unknown |= match param.known {
            Known::Wholly => !arg.is_wholly_known(),
            Known::Outside => !arg.is_known(),
            Known::Any => false,
        };
        ready.push(arg);
    }
    if unknown {
        return Ok(Val::Unknown((function.returns)(&ready)));
    }
    let value = match (function.run)(&ready, host) {
        Ok(value) => value,
        Err(Fault::At(index, message)) => return Err(blame(index, shown(message, sensitive))),
        Err(Fault::Call(message)) => return Err(CallError::Failed(shown(message, sensitive))),
    };
    // What a chain of calls makes is bounded here, what one call makes in the middle of its work by the function.
    Budget::default().take(&value).map_err(|fault| CallError::Failed(fault.into_text().into_owned()))?;
    Ok(value.mark_if(sensitive && !function.own_marks))
}

/// What a result may still grow by.
struct Budget {
    bytes: usize,
    items: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_BYTES, items: MAX_ITEMS }
    }
}

impl Budget {
    fn take(&mut self, value: &Val) -> Result<(), Fault> {
        self.items(1)?;
        match value {
            Val::String(text) => self.bytes(length(text)),
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                items.iter().try_for_each(|v| self.take(v))
            }
            Val::Map(_, fields) | Val::Object(fields) => fields.iter().try_for_each(|(k, v)| {
                self.bytes(k.len())?;
                self.take(v)
            }),
            _ => Ok(()),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.checked_sub(count).ok_or("the result is longer than 16 MiB")?;
        Ok(())
    }

    fn items(&mut self, count: usize) -> Result<(), Fault> {
        self.items = self.items.checked_sub(count).ok_or("the result has more than 262144 values")?;
        Ok(())
    }
}

/// Refuses texts that are too long, before they are made or while they are.
fn fits(bytes: usize) -> Result<(), Fault> {
    Budget::default().bytes(bytes)
}

/// The length of a text in bytes.
fn length(text: &Text) -> usize {
    let part = |part: &Part| match part {
        Part::Plain(text) => text.len(),
        Part::Secret(secret) => secret.expose().len(),
    };
    text.parts().iter().map(part).sum()
}

/// The text of an argument whose parameter is a string.
fn text(args: &[Val], index: usize) -> String {
    // The parameter's type says so, and neither null nor unknown gets here.
    args[index].as_str().expect("converted to a string")
}

/// The number of an argument whose parameter is a number.
fn num(args: &[Val], index: usize) -> &Number {
    args[index].as_number().expect("converted to a number")
}

/// The same as a whole number that fits in 64 bits.
fn int(args: &[Val], index: usize) -> Result<i64, Fault> {
    num(args, index).to_i64().ok_or_else(|| at(index, "a whole number of at most 64 bits is required"))
}

#[cfg(test)]
mod tests;
