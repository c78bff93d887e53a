//! Renders `{{ … }}` in texts: Go's text/template as Packer uses it, with Packer's functions. Secrecy is carried
//! along: a sensitive variable stays a secret part, and a function of it is secret as a whole.

use std::collections::HashMap;

use crate::builder::BuildData;
use crate::value::Text;

mod functions;
mod parse;

pub use parse::SyntaxError;

use parse::{Block, Expr, Pipe};

/// The version of Packer whose templates are understood; what `{{packer_version}}` gives.
pub const PACKER_VERSION: &str = "1.16.0";

/// Why a text could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It depends on the running build, which has not begun.
    Unknown,
    /// `at` is a byte offset in the text.
    Wrong { at: usize, message: String },
    /// A variable that is not (or not yet) known.
    NoVariable { at: usize, name: String },
}

/// What a value of the template language is.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A field that is not there; prints as `<no value>`.
    Missing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Vec<Data>),
    Map(HashMap<String, Data>),
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

/// What a text can refer to.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub user: &'a dyn Fn(&str) -> Option<Text>,
    /// Inside of `variables`, an unknown name is a problem; elsewhere it renders empty.
    pub strict_user: bool,
    /// Reads the environment; none where `env` is not allowed.
    pub env: Option<&'a dyn Fn(&str) -> Option<String>>,
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
    let blocks = parse::parse(source).map_err(|e| Problem::Wrong { at: e.at, message: e.message })?;
    let dot = match scope.dot {
        Some(values) => Data::Map(values.iter().map(|(k, v)| (k.clone(), Data::Text(v.clone()))).collect()),
        None => Data::Missing,
    };
    let mut machine =
        Machine { scope, variables: vec![("".into(), dot.clone())], out: Text::default(), budget: 100_000 };
    machine.run(&blocks, &dot)?;
    Ok(machine.out)
}

/// Whether the text calls `user`; a text that does not parse refers to nothing.
pub fn refers_to_user(source: &str) -> bool {
    fn in_pipe(pipe: &Pipe) -> bool {
        pipe.commands.iter().flatten().any(|e| match e {
            Expr::Function(name) => name == "user",
            Expr::Paren(pipe, _) => in_pipe(pipe),
            _ => false,
        })
    }
    fn in_blocks(blocks: &[Block]) -> bool {
        blocks.iter().any(|b| match b {
            Block::Text(_) => false,
            Block::Print { pipe, .. } => in_pipe(pipe),
            Block::If { arms, otherwise, .. } => {
                arms.iter().any(|(p, b)| in_pipe(p) || in_blocks(b)) || in_blocks(otherwise)
            }
            Block::Range { pipe, body, otherwise, .. } | Block::With { pipe, body, otherwise, .. } => {
                in_pipe(pipe) || in_blocks(body) || in_blocks(otherwise)
            }
        })
    }
    parse::parse(source).is_ok_and(|blocks| in_blocks(&blocks))
}

struct Machine<'a, 's> {
    scope: &'a Scope<'s>,
    variables: Vec<(String, Data)>,
    out: Text,
    /// Evaluations left; `range` over ranges must not run for ever.
    budget: u32,
}

impl Machine<'_, '_> {
    fn run(&mut self, blocks: &[Block], dot: &Data) -> Result<(), Problem> {
        for block in blocks {
            match block {
                Block::Text(text) => self.out.push_str(text),
                Block::Print { pipe, at } => {
                    let value = self.pipe(pipe, dot, *at)?;
                    if pipe.variables.is_empty() {
                        self.out.push_text(&value.print());
                    }
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
                    self.run(chosen, dot)?;
                    self.variables.truncate(depth);
                }
                Block::With { pipe, body, otherwise, at } => {
                    let depth = self.variables.len();
                    let value = self.pipe(pipe, dot, *at)?;
                    if value.truth() {
                        self.run(body, &value)?
                    } else {
                        self.run(otherwise, dot)?
                    }
                    self.variables.truncate(depth);
                }
                Block::Range { pipe, body, otherwise, at } => self.range(pipe, body, otherwise, *at, dot)?,
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Block],
        otherwise: &[Block],
        at: usize,
        dot: &Data,
    ) -> Result<(), Problem> {
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
            self.run(otherwise, dot)?;
        }
        for (key, item) in items {
            match pipe.variables.as_slice() {
                [value] => self.variables.push((value.clone(), item.clone())),
                [index, value] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((value.clone(), item.clone()));
                }
                _ => {}
            }
            self.run(body, &item)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Data, at: usize) -> Result<Data, Problem> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, dot, at)?);
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
        self.budget =
            self.budget.checked_sub(1).ok_or_else(|| wrong(at, "this template runs too long".to_owned()))?;
        if let Expr::Function(name) = &command[0] {
            // `and` and `or` stop at the first value that decides.
            if matches!(name.as_str(), "and" | "or") && command.len() > 1 {
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

impl Data {
    fn field(&self, path: &[String]) -> Data {
        path.iter().fold(self.clone(), |value, name| match value {
            Data::Map(mut map) => map.remove(name).unwrap_or(Data::Missing),
            _ => Data::Missing,
        })
    }

    fn truth(&self) -> bool {
        match self {
            Data::Missing => false,
            Data::Bool(b) => *b,
            Data::Int(n) => *n != 0,
            Data::Float(f) => *f != 0.0,
            Data::Text(text) => !text.is_empty(),
            Data::List(items) => !items.is_empty(),
            Data::Map(map) => !map.is_empty(),
        }
    }

    /// As Go's `%v`.
    pub fn print(&self) -> Text {
        match self {
            Data::Missing => Text::plain("<no value>"),
            Data::Bool(b) => Text::plain(b.to_string()),
            Data::Int(n) => Text::plain(n.to_string()),
            Data::Float(f) => Text::plain(f.to_string()),
            Data::Text(text) => text.clone(),
            Data::List(items) => {
                let mut out = Text::plain("[");
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { " " } else { "" });
                    out.push_text(&item.print());
                }
                out.push_str("]");
                out
            }
            Data::Map(map) => {
                let mut pairs: Vec<_> = map.iter().collect();
                pairs.sort_by_key(|(k, _)| (*k).clone());
                let mut out = Text::plain("map[");
                for (i, (key, value)) in pairs.into_iter().enumerate() {
                    out.push_str(&format!("{}{key}:", if i > 0 { " " } else { "" }));
                    out.push_text(&value.print());
                }
                out.push_str("]");
                out
            }
        }
    }
}
