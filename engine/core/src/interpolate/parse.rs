//! Parses the template language of `{{ … }}` (Go's text/template, as Packer uses it) into a tree.

use std::collections::HashMap;

use super::lex::{Lexed, Piece, Token, split};

/// Where in the text something is wrong (byte offset), and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: usize,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Text(String),
    /// The value is written out, unless it is assigned to a variable.
    Print {
        pipe: Pipe,
        at: usize,
    },
    If {
        arms: Vec<(Pipe, Vec<Block>)>,
        otherwise: Vec<Block>,
        at: usize,
    },
    Range {
        pipe: Pipe,
        body: Vec<Block>,
        otherwise: Vec<Block>,
        at: usize,
    },
    With {
        pipe: Pipe,
        body: Vec<Block>,
        otherwise: Vec<Block>,
        at: usize,
    },
    /// `{{template "name" pipe}}`
    Call {
        name: String,
        pipe: Option<Pipe>,
        at: usize,
    },
    Break,
    Continue,
}

/// A text and the named templates in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    pub blocks: Vec<Block>,
    pub named: HashMap<String, Vec<Block>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Pipe {
    /// Names of `$x := …`, without the dollar.
    pub variables: Vec<String>,
    pub declares: bool,
    pub commands: Vec<Vec<Expr>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A`
    Variable(String, Vec<String>),
    Function(String),
    Paren(Box<Pipe>, Vec<String>),
}

/// Parses a whole text.
pub fn parse(source: &str) -> Result<Tree, SyntaxError> {
    let pieces = split(source)?;
    let mut parser = Parser { pieces: pieces.into_iter().collect(), named: HashMap::new(), loops: 0 };
    let (blocks, end) = parser.blocks(0)?;
    match end {
        Stop::Eof => Ok(Tree { blocks, named: parser.named }),
        Stop::End(at) => Err(error(at, "unexpected {{end}}")),
        Stop::Else(at, _) => Err(error(at, "unexpected {{else}}")),
    }
}

pub(super) fn error(at: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError { at, message: message.into() }
}

enum Stop {
    Eof,
    End(usize),
    /// What follows `else`: nothing, or the tokens of `if …`.
    Else(usize, Vec<Lexed>),
}

struct Parser {
    pieces: std::collections::VecDeque<Piece>,
    named: HashMap<String, Vec<Block>>,
    /// Ranges around the current block.
    loops: usize,
}

/// Nesting of blocks and parentheses; protects the stack.
const MAX_DEPTH: usize = 64;

impl Parser {
    fn blocks(&mut self, depth: usize) -> Result<(Vec<Block>, Stop), SyntaxError> {
        let mut out = Vec::new();
        while let Some(piece) = self.pieces.pop_front() {
            let (at, tokens) = match piece {
                Piece::Text(text) => {
                    out.push(Block::Text(text));
                    continue;
                }
                Piece::Action { at, tokens } => (at, tokens),
            };
            if depth > MAX_DEPTH {
                return Err(error(at, "template blocks are nested too deeply"));
            }
            let word = match tokens.first() {
                Some((Token::Word(word), ..)) => word.clone(),
                _ => String::new(),
            };
            let rest = tokens.get(1..).unwrap_or_default();
            match word.as_str() {
                "end" if tokens.len() == 1 => return Ok((out, Stop::End(at))),
                "else" => return Ok((out, Stop::Else(at, rest.to_vec()))),
                "if" => out.push(self.conditional(at, rest, depth)?),
                "range" | "with" => {
                    if tokens.len() == 1 {
                        return Err(error(at, format!("missing value for {word}")));
                    }
                    let pipe = pipeline(rest, at, depth)?;
                    let inner = usize::from(word == "range");
                    self.loops += inner;
                    let (body, end) = self.blocks(depth + 1)?;
                    self.loops -= inner;
                    let otherwise = match end {
                        Stop::End(_) => Vec::new(),
                        Stop::Else(_, tokens) if tokens.is_empty() => self.until_end(at, depth)?,
                        _ => return Err(error(at, format!("{{{{{word}}}}} has no {{{{end}}}}"))),
                    };
                    out.push(if word == "range" {
                        Block::Range { pipe, body, otherwise, at }
                    } else {
                        Block::With { pipe, body, otherwise, at }
                    });
                }
                "break" | "continue" if tokens.len() == 1 => {
                    if self.loops == 0 {
                        return Err(error(at, format!("{{{{{word}}}}} outside of {{{{range}}}}")));
                    }
                    out.push(if word == "break" { Block::Break } else { Block::Continue });
                }
                "define" if depth > 0 => {
                    return Err(error(at, "{{define}} can't stand inside of another block"));
                }
                "define" | "block" | "template" => {
                    let name = match tokens.get(1) {
                        Some((Token::Str(name), ..)) => name.clone(),
                        _ => return Err(error(at, format!("{{{{{word}}}}} needs a name in quotes"))),
                    };
                    let argument = &tokens[2..];
                    let pipe = match argument.is_empty() {
                        true => None,
                        false => Some(pipeline(argument, at, depth)?),
                    };
                    match (word.as_str(), &pipe) {
                        ("define", Some(_)) => {
                            return Err(error(at, "{{define}} takes a name and nothing else"));
                        }
                        ("block", None) => return Err(error(at, "missing value for block clause")),
                        _ => {}
                    }
                    if word != "template" {
                        let loops = std::mem::take(&mut self.loops);
                        let body = self.until_end(at, depth)?;
                        self.loops = loops;
                        self.named.insert(name.clone(), body);
                    }
                    if word != "define" {
                        out.push(Block::Call { name, pipe, at });
                    }
                }
                _ => out.push(Block::Print { pipe: pipeline(&tokens, at, depth)?, at }),
            }
        }
        Ok((out, Stop::Eof))
    }

    fn conditional(&mut self, at: usize, tokens: &[Lexed], depth: usize) -> Result<Block, SyntaxError> {
        if tokens.is_empty() {
            return Err(error(at, "missing value for if"));
        }
        let mut arms = Vec::new();
        let mut condition = pipeline(tokens, at, depth)?;
        loop {
            let (body, end) = self.blocks(depth + 1)?;
            arms.push((condition, body));
            match end {
                Stop::End(_) => return Ok(Block::If { arms, otherwise: Vec::new(), at }),
                Stop::Eof => return Err(error(at, "{{if}} has no {{end}}")),
                Stop::Else(_, tokens) if tokens.is_empty() => {
                    let otherwise = self.until_end(at, depth)?;
                    return Ok(Block::If { arms, otherwise, at });
                }
                Stop::Else(place, mut tokens) => {
                    if tokens.remove(0).0 != Token::Word("if".into()) {
                        return Err(error(place, "only {{else}} and {{else if …}} are known"));
                    }
                    condition = pipeline(&tokens, place, depth)?;
                }
            }
        }
    }

    fn until_end(&mut self, at: usize, depth: usize) -> Result<Vec<Block>, SyntaxError> {
        match self.blocks(depth + 1)? {
            (blocks, Stop::End(_)) => Ok(blocks),
            _ => Err(error(at, "this block has no {{end}}")),
        }
    }
}

fn pipeline(tokens: &[Lexed], at: usize, depth: usize) -> Result<Pipe, SyntaxError> {
    let mut rest = tokens;
    let mut variables = Vec::new();
    let mut declares = false;
    if let [(Token::Variable(name), ..), (sign @ (Token::Declare | Token::Assign), ..), tail @ ..] = rest {
        variables.push(name.clone());
        declares = *sign == Token::Declare;
        rest = tail;
    } else if let [
        (Token::Variable(a), ..),
        (Token::Comma, ..),
        (Token::Variable(b), ..),
        (Token::Declare, ..),
        tail @ ..,
    ] = rest
    {
        variables = vec![a.clone(), b.clone()];
        declares = true;
        rest = tail;
    }
    let mut commands = Vec::new();
    for (i, part) in rest.split_pipes().into_iter().enumerate() {
        let command = operands(part, at, depth)?;
        if command.is_empty() {
            return Err(error(at, "missing value for command"));
        }
        if i > 0 && !matches!(command[0], Expr::Function(_) | Expr::Paren(..)) {
            return Err(error(at, "a function must follow the pipe sign"));
        }
        commands.push(command);
    }
    Ok(Pipe { variables, declares, commands })
}

trait SplitPipes {
    fn split_pipes(&self) -> Vec<&[Lexed]>;
}

impl SplitPipes for [Lexed] {
    fn split_pipes(&self) -> Vec<&[Lexed]> {
        let mut depth = 0usize;
        let mut start = 0;
        let mut parts = Vec::new();
        for (i, (token, ..)) in self.iter().enumerate() {
            match token {
                Token::Open => depth += 1,
                Token::Close => depth = depth.saturating_sub(1),
                Token::Pipe if depth == 0 => {
                    parts.push(&self[start..i]);
                    start = i + 1;
                }
                _ => {}
            }
        }
        parts.push(&self[start..]);
        parts
    }
}

fn operands(tokens: &[Lexed], at: usize, depth: usize) -> Result<Vec<Expr>, SyntaxError> {
    if depth > MAX_DEPTH {
        return Err(error(at, "parentheses are nested too deeply"));
    }
    let mut out: Vec<Expr> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let (token, place, blank) = &tokens[i];
        i += 1;
        let expr = match token {
            Token::Field(name) if !*blank && !out.is_empty() => {
                match out.last_mut() {
                    Some(Expr::Field(path) | Expr::Variable(_, path) | Expr::Paren(_, path))
                        if !name.is_empty() =>
                    {
                        path.push(name.clone())
                    }
                    _ => return Err(error(*place, "unexpected . after the term")),
                }
                continue;
            }
            Token::Field(name) if name.is_empty() => Expr::Dot,
            Token::Field(name) => Expr::Field(vec![name.clone()]),
            Token::Variable(name) => Expr::Variable(name.clone(), Vec::new()),
            Token::Str(text) => Expr::Str(text.clone()),
            Token::Char(c) => Expr::Int(*c),
            Token::Number(text) => {
                number(text).ok_or_else(|| error(*place, format!("bad number syntax: {text}")))?
            }
            Token::Word(word) => match word.as_str() {
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "nil" => Expr::Nil,
                _ => Expr::Function(word.clone()),
            },
            Token::Open => {
                let mut level = 1;
                let start = i;
                while i < tokens.len() && level > 0 {
                    match tokens[i].0 {
                        Token::Open => level += 1,
                        Token::Close => level -= 1,
                        _ => {}
                    }
                    i += 1;
                }
                if level > 0 {
                    return Err(error(*place, "unclosed left parenthesis"));
                }
                Expr::Paren(Box::new(pipeline(&tokens[start..i - 1], *place, depth + 1)?), Vec::new())
            }
            Token::Close => return Err(error(*place, "unexpected right parenthesis")),
            Token::Comma | Token::Assign | Token::Declare | Token::Pipe => {
                return Err(error(*place, "unexpected sign in a command"));
            }
        };
        out.push(expr);
    }
    Ok(out)
}

fn number(text: &str) -> Option<Expr> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let parsed = if let Some(hex) = lower.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()
    } else if let Some(binary) = lower.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()
    } else if let Some(octal) = lower
        .strip_prefix("0o")
        .or_else(|| lower.strip_prefix('0').filter(|o| !o.is_empty() && !o.contains(['.', 'e'])))
    {
        i64::from_str_radix(octal, 8).ok()
    } else {
        digits.parse().ok()
    };
    match parsed {
        Some(n) => Some(Expr::Int(sign * n)),
        None => digits.parse::<f64>().ok().map(|f| Expr::Float(f64::from(sign as i32) * f)),
    }
}
