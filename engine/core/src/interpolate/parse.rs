//! Parses the template language of `{{ … }}` (Go's text/template, as Packer uses it) into a tree.

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

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Pipe,
    Comma,
    Assign,
    Declare,
    Word(String),
    Field(String),
    Variable(String),
    Str(String),
    Char(i64),
    Number(String),
}

enum Piece {
    Text(String),
    Action { at: usize, tokens: Vec<(Token, usize, bool)> },
}

/// Parses a whole text.
pub fn parse(source: &str) -> Result<Vec<Block>, SyntaxError> {
    let pieces = split(source)?;
    let mut parser = Parser { pieces: pieces.into_iter().collect(), at: 0 };
    let (blocks, end) = parser.blocks(0)?;
    match end {
        End::Text => Ok(blocks),
        End::End(at) => Err(error(at, "unexpected {{end}}")),
        End::Else(at, _) => Err(error(at, "unexpected {{else}}")),
    }
}

fn error(at: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError { at, message: message.into() }
}

fn split(source: &str) -> Result<Vec<Piece>, SyntaxError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    while at < source.len() {
        let rest = &source[at..];
        let (text, open) = match rest.find("{{") {
            Some(open) => (&rest[..open], Some(at + open)),
            None => (rest, None),
        };
        let text = if trim_next { text.trim_start() } else { text };
        let Some(open) = open else {
            pieces.push(Piece::Text(text.to_owned()));
            break;
        };
        let mut inner = open + 2;
        let trims =
            source[inner..].starts_with('-') && source[inner + 1..].starts_with([' ', '\t', '\n', '\r']);
        let text = if trims { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        inner += usize::from(trims);
        if source[inner..].trim_start().starts_with("/*") {
            let close = source[inner..].find("*/").ok_or_else(|| error(open, "unclosed comment"))?;
            let after = inner + close + 2;
            let tail = source[after..].trim_start_matches([' ', '\t']);
            let start = source.len() - tail.len();
            trim_next = tail.starts_with("-}}");
            if !(tail.starts_with("}}") || trim_next) {
                return Err(error(open, "comment ends before closing delimiter"));
            }
            at = start + if trim_next { 3 } else { 2 };
            continue;
        }
        let (tokens, end, trim) = tokens(source, inner, open)?;
        pieces.push(Piece::Action { at: open, tokens });
        trim_next = trim;
        at = end;
    }
    Ok(pieces)
}

/// Tokens up to the closing delimiter; each with its place and whether a blank stands before it.
type Tokens = (Vec<(Token, usize, bool)>, usize, bool);

fn tokens(source: &str, mut at: usize, open: usize) -> Result<Tokens, SyntaxError> {
    let mut out = Vec::new();
    let mut blank = true;
    loop {
        let rest = &source[at..];
        if rest.starts_with("}}") {
            return Ok((out, at + 2, false));
        }
        if blank && rest.starts_with("-}}") {
            return Ok((out, at + 3, true));
        }
        let Some(c) = rest.chars().next() else { return Err(error(open, "unclosed action: }} is missing")) };
        let start = at;
        let word_end = |from: usize| {
            source[from..]
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(source.len(), |e| from + e)
        };
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                blank = true;
                continue;
            }
            '(' => Token::Open,
            ')' => Token::Close,
            '|' => Token::Pipe,
            ',' => Token::Comma,
            '=' => Token::Assign,
            ':' if rest.starts_with(":=") => Token::Declare,
            '"' => {
                let (text, end) = quoted(source, at, '"')?;
                at = end;
                out.push((Token::Str(text), start, blank));
                blank = false;
                continue;
            }
            '\'' => {
                let (text, end) = quoted(source, at, '\'')?;
                at = end;
                let mut chars = text.chars();
                let (Some(c), None) = (chars.next(), chars.next()) else {
                    return Err(error(start, "malformed character constant"));
                };
                out.push((Token::Char(i64::from(u32::from(c))), start, blank));
                blank = false;
                continue;
            }
            '`' => {
                let close = source[at + 1..]
                    .find('`')
                    .ok_or_else(|| error(start, "unterminated raw quoted string"))?;
                let text = source[at + 1..at + 1 + close].to_owned();
                at += close + 2;
                out.push((Token::Str(text), start, blank));
                blank = false;
                continue;
            }
            '.' => {
                let end = word_end(at + 1);
                if source[at + 1..end].starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(error(start, "bad number syntax"));
                }
                at = end;
                out.push((Token::Field(source[start + 1..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            '$' => {
                let end = word_end(at + 1);
                at = end;
                out.push((Token::Variable(source[start + 1..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            c if c.is_ascii_digit()
                || ((c == '-' || c == '+') && rest[1..].starts_with(|d: char| d.is_ascii_digit())) =>
            {
                let end = source[at + 1..]
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
                    .map_or(source.len(), |e| at + 1 + e);
                at = end;
                out.push((Token::Number(source[start..end].replace('_', "")), start, blank));
                blank = false;
                continue;
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = word_end(at);
                at = end;
                out.push((Token::Word(source[start..end].to_owned()), start, blank));
                blank = false;
                continue;
            }
            c => return Err(error(start, format!("unexpected {c:?} in a template action"))),
        };
        at += if matches!(token, Token::Declare) { 2 } else { 1 };
        out.push((token, start, blank));
        blank = false;
    }
}

fn quoted(source: &str, start: usize, quote: char) -> Result<(String, usize), SyntaxError> {
    let mut out = String::new();
    let mut chars = source[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, start + 1 + i + 1)),
            '\n' => break,
            '\\' => {
                let Some((_, e)) = chars.next() else { break };
                let digits = match e {
                    'n' => {
                        out.push('\n');
                        0
                    }
                    't' => {
                        out.push('\t');
                        0
                    }
                    'r' => {
                        out.push('\r');
                        0
                    }
                    'a' => {
                        out.push('\u{7}');
                        0
                    }
                    'b' => {
                        out.push('\u{8}');
                        0
                    }
                    'f' => {
                        out.push('\u{c}');
                        0
                    }
                    'v' => {
                        out.push('\u{b}');
                        0
                    }
                    '\\' | '"' | '\'' => {
                        out.push(e);
                        0
                    }
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => return Err(error(start + 1 + i, format!("unknown escape \\{e} in a string"))),
                };
                if digits > 0 {
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
                    let c = code
                        .and_then(char::from_u32)
                        .ok_or_else(|| error(start + 1 + i, "bad escape in a string"))?;
                    out.push(c);
                }
            }
            c => out.push(c),
        }
    }
    Err(error(start, "unterminated quoted string"))
}

enum End {
    Text,
    End(usize),
    /// What follows `else`: nothing, or the tokens of `if …`.
    Else(usize, Vec<(Token, usize, bool)>),
}

struct Parser {
    pieces: std::collections::VecDeque<Piece>,
    at: usize,
}

/// Nesting of blocks and parentheses; protects the stack.
const MAX_DEPTH: usize = 64;

impl Parser {
    fn blocks(&mut self, depth: usize) -> Result<(Vec<Block>, End), SyntaxError> {
        let mut out = Vec::new();
        while let Some(piece) = self.pieces.pop_front() {
            let (at, tokens) = match piece {
                Piece::Text(text) => {
                    out.push(Block::Text(text));
                    continue;
                }
                Piece::Action { at, tokens } => (at, tokens),
            };
            self.at = at;
            if depth > MAX_DEPTH {
                return Err(error(at, "template blocks are nested too deeply"));
            }
            let word = match tokens.first() {
                Some((Token::Word(word), ..)) => word.clone(),
                _ => String::new(),
            };
            let rest = || tokens[1..].to_vec();
            match word.as_str() {
                "end" if tokens.len() == 1 => return Ok((out, End::End(at))),
                "else" => return Ok((out, End::Else(at, rest()))),
                "if" => out.push(self.conditional(at, rest(), depth)?),
                "range" | "with" => {
                    let pipe = pipeline(rest(), at, depth)?;
                    let (body, end) = self.blocks(depth + 1)?;
                    let otherwise = match end {
                        End::End(_) => Vec::new(),
                        End::Else(_, tokens) if tokens.is_empty() => self.to_end(at, depth)?,
                        _ => return Err(error(at, format!("{{{{{word}}}}} has no {{{{end}}}}"))),
                    };
                    out.push(if word == "range" {
                        Block::Range { pipe, body, otherwise, at }
                    } else {
                        Block::With { pipe, body, otherwise, at }
                    });
                }
                "define" | "block" | "template" | "break" | "continue" => {
                    return Err(error(at, format!("{{{{{word}}}}} is not supported in templates of images")));
                }
                _ => out.push(Block::Print { pipe: pipeline(tokens, at, depth)?, at }),
            }
        }
        Ok((out, End::Text))
    }

    fn conditional(
        &mut self,
        at: usize,
        tokens: Vec<(Token, usize, bool)>,
        depth: usize,
    ) -> Result<Block, SyntaxError> {
        let mut arms = Vec::new();
        let mut condition = pipeline(tokens, at, depth)?;
        loop {
            let (body, end) = self.blocks(depth + 1)?;
            arms.push((condition, body));
            match end {
                End::End(_) => return Ok(Block::If { arms, otherwise: Vec::new(), at }),
                End::Text => return Err(error(at, "{{if}} has no {{end}}")),
                End::Else(_, tokens) if tokens.is_empty() => {
                    let otherwise = self.to_end(at, depth)?;
                    return Ok(Block::If { arms, otherwise, at });
                }
                End::Else(place, mut tokens) => {
                    if tokens.remove(0).0 != Token::Word("if".into()) {
                        return Err(error(place, "only {{else}} and {{else if …}} are known"));
                    }
                    condition = pipeline(tokens, place, depth)?;
                }
            }
        }
    }

    fn to_end(&mut self, at: usize, depth: usize) -> Result<Vec<Block>, SyntaxError> {
        match self.blocks(depth + 1)? {
            (blocks, End::End(_)) => Ok(blocks),
            _ => Err(error(at, "{{else}} has no {{end}}")),
        }
    }
}

fn pipeline(tokens: Vec<(Token, usize, bool)>, at: usize, depth: usize) -> Result<Pipe, SyntaxError> {
    let mut rest = tokens.as_slice();
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
    fn split_pipes(&self) -> Vec<&[(Token, usize, bool)]>;
}

impl SplitPipes for [(Token, usize, bool)] {
    fn split_pipes(&self) -> Vec<&[(Token, usize, bool)]> {
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

fn operands(tokens: &[(Token, usize, bool)], at: usize, depth: usize) -> Result<Vec<Expr>, SyntaxError> {
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
                Expr::Paren(Box::new(pipeline(tokens[start..i - 1].to_vec(), *place, depth + 1)?), Vec::new())
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
