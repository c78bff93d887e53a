//! Renders `{{ … }}` in texts: Go's text/template as Packer uses it, with Packer's functions. Secrecy is carried
//! along: a sensitive variable stays a secret part, and a function of it is secret as a whole.

use std::fmt;

use crate::builder::BuildData;
use crate::value::Text;

mod data;
mod format;
mod functions;
mod lex;
mod parse;
mod walk;

pub use data::Data;
pub(crate) use format::{go_time, strftime};
pub use functions::COMMON_BUILD_KEYS;
pub(crate) use functions::missing_build_fact;
pub use parse::SyntaxError;
pub use walk::{build_keys, calls, check_syntax, refers_to_user, user_names};

pub(crate) use parse::{Block, Expr, Pipe, Tree, parse};

/// The version of Packer whose templates are understood; what `{{packer_version}}` gives.
pub const PACKER_VERSION: &str = "1.16.0";

/// Bytes that a text may have while it is rendered; no template needs more.
const MAX_TEXT: usize = 16 << 20;
/// How deep named templates may call each other.
const MAX_CALLS: usize = 50;

/// Why a text could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It depends on the running build, which has not begun.
    Unknown,
    /// `at` is a byte offset in the text.
    Wrong { at: usize, message: String },
    /// A variable that is not (or not yet) known.
    NoVariable { at: usize, name: String },
    /// A function that does not exist, and one whose name is like it.
    NoFunction { at: usize, name: String, near: Option<&'static str> },
}

impl Problem {
    /// The same in a text in which the rendered part begins at `offset`.
    #[must_use]
    pub fn moved(self, offset: usize) -> Self {
        match self {
            Problem::Unknown => Problem::Unknown,
            Problem::Wrong { at, message } => Problem::Wrong { at: at + offset, message },
            Problem::NoVariable { at, name } => Problem::NoVariable { at: at + offset, name },
            Problem::NoFunction { at, name, near } => Problem::NoFunction { at: at + offset, name, near },
        }
    }

    /// Byte offset in the text; its beginning for what is about all of it.
    #[must_use]
    pub fn at(&self) -> usize {
        match self {
            Problem::Unknown => 0,
            Problem::Wrong { at, .. } | Problem::NoVariable { at, .. } | Problem::NoFunction { at, .. } => {
                *at
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown => f.write_str("it can't depend on the running build"),
            Problem::Wrong { message, .. } => f.write_str(message),
            Problem::NoVariable { name, .. } => write!(f, "there is no variable \"{name}\""),
            Problem::NoFunction { name, near, .. } => {
                write!(f, "function {name:?} not defined")?;
                near.map_or(Ok(()), |near| write!(f, "; did you mean {near}?"))
            }
        }
    }
}

/// What `{{build "Key"}}` can see.
#[derive(Clone, Copy)]
pub enum BuildFacts<'a> {
    /// Outside of components.
    None,
    /// The build has not begun.
    Pending,
    Known(&'a BuildData),
}

/// Reads an environment variable.
pub type ReadEnv<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a text can refer to.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub user: &'a dyn Fn(&str) -> Option<Text>,
    /// Inside of `variables`, an unknown name is a problem; elsewhere it renders empty.
    pub strict_user: bool,
    /// Reads the environment; none where `env` is not allowed.
    pub env: Option<ReadEnv<'a>>,
    pub build: BuildFacts<'a>,
    pub build_name: Option<&'a str>,
    pub build_type: Option<&'a str>,
    pub template_dir: &'a str,
    pub working_dir: &'a str,
    pub start_time: jiff::Timestamp,
    /// Dot-variables of a deferred text; none: a field is missing and renders `<no value>`.
    pub dot: Option<&'a indexmap::IndexMap<String, Text>>,
}

/// Renders a text. Texts without `{{` come back unchanged.
pub fn render(source: &str, scope: &Scope<'_>) -> Result<Text, Problem> {
    if !source.contains("{{") {
        return Ok(Text::plain(source));
    }
    let tree = parse(source).map_err(|e| Problem::Wrong { at: e.at, message: e.message })?;
    let dot = match scope.dot {
        Some(values) => Data::Map(values.iter().map(|(k, v)| (k.clone(), Data::Text(v.clone()))).collect()),
        None => Data::Missing,
    };
    let mut machine = Machine {
        scope,
        tree: &tree,
        variables: vec![("".into(), dot.clone())],
        out: Text::default(),
        written: 0,
        budget: 100_000,
        calls: 0,
    };
    machine.run(&tree.blocks, &dot)?;
    Ok(machine.out)
}

/// What follows a block.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Machine<'a, 's> {
    scope: &'a Scope<'s>,
    tree: &'a Tree,
    variables: Vec<(String, Data)>,
    out: Text,
    /// Bytes of `out`.
    written: usize,
    /// Evaluations left; `range` over ranges must not run for ever.
    budget: u32,
    /// Named templates that are running.
    calls: usize,
}

impl Machine<'_, '_> {
    fn run(&mut self, blocks: &[Block], dot: &Data) -> Result<Flow, Problem> {
        for block in blocks {
            let flow = match block {
                Block::Text(text) => {
                    self.write(&Text::plain(text.as_str()), 0)?;
                    Flow::Next
                }
                Block::Print { pipe, at } => {
                    let value = self.pipe(pipe, dot, *at)?;
                    if pipe.variables.is_empty() {
                        self.write(&value.print(), *at)?;
                    }
                    Flow::Next
                }
                Block::If { arms, otherwise, at } => {
                    let depth = self.variables.len();
                    let mut chosen = otherwise;
                    for (condition, body) in arms {
                        if self.pipe(condition, dot, *at)?.truth() {
                            chosen = body;
                            break;
                        }
                    }
                    let flow = self.run(chosen, dot)?;
                    self.variables.truncate(depth);
                    flow
                }
                Block::With { pipe, body, otherwise, at } => {
                    let depth = self.variables.len();
                    let value = self.pipe(pipe, dot, *at)?;
                    let flow =
                        if value.truth() { self.run(body, &value)? } else { self.run(otherwise, dot)? };
                    self.variables.truncate(depth);
                    flow
                }
                Block::Range { pipe, body, otherwise, at } => self.range(pipe, body, otherwise, *at, dot)?,
                Block::Call { name, pipe, at } => self.call(name, pipe.as_ref(), *at, dot)?,
                Block::Break => Flow::Break,
                Block::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, text: &Text, at: usize) -> Result<(), Problem> {
        self.written += text.length();
        if self.written > MAX_TEXT {
            return Err(wrong(at, format!("the result is longer than {MAX_TEXT} bytes")));
        }
        self.out.push_text(text);
        Ok(())
    }

    fn spend(&mut self, at: usize) -> Result<(), Problem> {
        self.budget =
            self.budget.checked_sub(1).ok_or_else(|| wrong(at, "this template runs too long".to_owned()))?;
        Ok(())
    }

    /// A named template sees nothing but its own dot.
    fn call(&mut self, name: &str, pipe: Option<&Pipe>, at: usize, dot: &Data) -> Result<Flow, Problem> {
        let tree = self.tree;
        let Some(blocks) = tree.named.get(name) else {
            return Err(wrong(at, format!("template {name:?} not defined")));
        };
        self.spend(at)?;
        let dot = pipe.map_or(Ok(Data::Missing), |p| self.pipe(p, dot, at))?;
        if self.calls >= MAX_CALLS {
            return Err(wrong(at, format!("templates call each other more than {MAX_CALLS} levels deep")));
        }
        self.calls += 1;
        let outer = std::mem::replace(&mut self.variables, vec![("".into(), dot.clone())]);
        self.run(blocks, &dot)?;
        self.variables = outer;
        self.calls -= 1;
        Ok(Flow::Next)
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Block],
        otherwise: &[Block],
        at: usize,
        dot: &Data,
    ) -> Result<Flow, Problem> {
        let depth = self.variables.len();
        let bare = Pipe { variables: Vec::new(), ..pipe.clone() };
        let items: Vec<(Data, Data)> = match self.pipe(&bare, dot, at)? {
            Data::List(items) => {
                items.into_iter().enumerate().map(|(i, d)| (Data::Int(i as i64), d)).collect()
            }
            Data::Int(n) if (0..=10_000).contains(&n) => {
                (0..n).map(|i| (Data::Int(i), Data::Int(i))).collect()
            }
            Data::Map(map) => {
                let mut pairs: Vec<_> = map.into_iter().collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs.into_iter().map(|(k, v)| (Data::Text(Text::plain(k)), v)).collect()
            }
            Data::Missing => Vec::new(),
            other => return Err(wrong(at, format!("range can't iterate over {}", other.print().masked()))),
        };
        if items.is_empty() {
            return self.run(otherwise, dot);
        }
        for (key, item) in items {
            self.spend(at)?;
            match pipe.variables.as_slice() {
                [value] => self.variables.push((value.clone(), item.clone())),
                [index, value] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((value.clone(), item.clone()));
                }
                _ => {}
            }
            let flow = self.run(body, &item)?;
            self.variables.truncate(depth);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Data, at: usize) -> Result<Data, Problem> {
        let mut value = None;
        for command in &pipe.commands {
            let made = self.command(command, value, dot, at)?;
            if matches!(&made, Data::Text(text) if text.length() > MAX_TEXT) {
                return Err(wrong(at, format!("a text is longer than {MAX_TEXT} bytes")));
            }
            value = Some(made);
        }
        let value = value.unwrap_or(Data::Missing);
        if let [name] = pipe.variables.as_slice() {
            match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
                Some((_, old)) if !pipe.declares => *old = value.clone(),
                None if !pipe.declares => return Err(wrong(at, format!("undefined variable \"${name}\""))),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &[Expr],
        piped: Option<Data>,
        dot: &Data,
        at: usize,
    ) -> Result<Data, Problem> {
        self.spend(at)?;
        if let Expr::Function(name) = &command[0] {
            // `and` and `or` stop at the first value that decides.
            if matches!(name.as_str(), "and" | "or") && (command.len() > 1 || piped.is_some()) {
                let mut value = Data::Missing;
                for arg in &command[1..] {
                    value = self.operand(arg, dot, at)?;
                    if value.truth() != (name == "and") {
                        return Ok(value);
                    }
                }
                return Ok(piped.unwrap_or(value));
            }
            let mut args = Vec::new();
            for arg in &command[1..] {
                args.push(self.operand(arg, dot, at)?);
            }
            args.extend(piped);
            return functions::call(name, args, self.scope, at);
        }
        if command.len() > 1 || piped.is_some() {
            return Err(wrong(at, "can't give argument to non-function".to_owned()));
        }
        match &command[0] {
            Expr::Nil => Err(wrong(at, "nil is not a command".to_owned())),
            expr => self.operand(expr, dot, at),
        }
    }

    fn operand(&mut self, expr: &Expr, dot: &Data, at: usize) -> Result<Data, Problem> {
        Ok(match expr {
            Expr::Dot => dot.clone(),
            Expr::Nil => Data::Missing,
            Expr::Bool(b) => Data::Bool(*b),
            Expr::Int(n) => Data::Int(*n),
            Expr::Float(f) => Data::Float(*f),
            Expr::Str(text) => Data::Text(Text::plain(text.clone())),
            Expr::Field(path) => dot.field(path),
            Expr::Variable(name, path) => match self.variables.iter().rev().find(|(n, _)| n == name) {
                Some((_, value)) => value.field(path),
                None => return Err(wrong(at, format!("undefined variable \"${name}\""))),
            },
            Expr::Paren(pipe, path) => self.pipe(pipe, dot, at)?.field(path),
            Expr::Function(name) => functions::call(name, Vec::new(), self.scope, at)?,
        })
    }
}

fn wrong(at: usize, message: String) -> Problem {
    Problem::Wrong { at, message }
}
