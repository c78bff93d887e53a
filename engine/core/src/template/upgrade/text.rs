//! Texts with `{{ … }}` as template strings of HCL2. Each call is translated by itself; what has no form in HCL2 is
//! written back as a call of the template engine, with its arguments translated.

use super::{Place, Writer};
use crate::diagnostic::Diagnostic;
use crate::hcl::write::Piece;
use crate::interpolate::{Block, Expr, Pipe, calls, parse};
use crate::source::Span;
use crate::template::config::place as place_of;

/// The value of a command.
pub(super) enum Given {
    /// A text, known or an expression of HCL2.
    Text(Vec<Piece>),
    /// Source of the template engine that gives the value.
    Go { source: Vec<Piece>, is_call: bool },
}

impl Given {
    pub(super) fn go(source: impl Into<String>) -> Self {
        Given::Go { source: vec![Piece::Text(source.into())], is_call: false }
    }

    pub(super) fn code(code: impl Into<String>) -> Self {
        Given::Text(vec![Piece::Code(code.into())])
    }

    /// The text if it is known now.
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Given::Text(pieces) => match pieces.as_slice() {
                [] => Some(""),
                [Piece::Text(text)] => Some(text),
                _ => None,
            },
            Given::Go { .. } => None,
        }
    }

    /// As an argument of a call of the template engine.
    pub(super) fn into_argument(self) -> Vec<Piece> {
        match self {
            Given::Text(pieces) => go_quoted(pieces),
            Given::Go { source, is_call: false } => source,
            Given::Go { mut source, is_call: true } => {
                source.insert(0, Piece::Text("(".to_owned()));
                source.push(Piece::Text(")".to_owned()));
                source
            }
        }
    }
}

impl Writer {
    /// The parts of a text. `span` is where it stands in the JSON template.
    pub(super) fn text(&mut self, source: &str, span: &Span, place: Place) -> Vec<Piece> {
        let as_it_is = vec![Piece::Text(source.to_owned())];
        if !source.contains("{{") {
            return as_it_is;
        }
        let tree = match parse(source) {
            Ok(tree) => tree,
            Err(error) => {
                let place = place_of(span, source, error.at);
                self.problem(
                    &place,
                    &format!("a text in {{{{ }}}} can't be read: {}", error.message),
                    "correct it",
                );
                return as_it_is;
            }
        };
        let is_simple = |block: &Block| match block {
            Block::Text(_) => true,
            Block::Print { pipe, .. } => pipe.variables.is_empty(),
            _ => false,
        };
        if !tree.named.is_empty() || !tree.blocks.iter().all(is_simple) {
            // Components render it while the build runs, but they know no variables then.
            let lost = calls(source).into_iter().map(|(name, _)| name).find(|name| lives_in_json_only(name));
            if let Some(name) = lost {
                let what = format!(
                    "{name:?} is called between conditions of the template engine, which HCL2 can't see"
                );
                self.problem(span, &what, "write it with conditional expressions and directives of HCL2");
            }
            return as_it_is;
        }
        let mut out = Vec::new();
        for block in &tree.blocks {
            match block {
                Block::Text(text) => push(&mut out, Piece::Text(text.clone())),
                Block::Print { pipe, at } => {
                    let call = place_of(span, source, *at);
                    let printed = self.action(pipe, &call, place);
                    printed.into_iter().for_each(|piece| push(&mut out, piece));
                }
                _ => {}
            }
        }
        out
    }

    fn action(&mut self, pipe: &Pipe, span: &Span, place: Place) -> Vec<Piece> {
        let source = match self.pipe(pipe, span, place) {
            Given::Text(pieces) if pieces.iter().any(|p| matches!(p, Piece::Text(t) if t.contains("{{"))) => {
                // Braces that are meant literally would be read as a call when the text is rendered again.
                go_quoted(pieces)
            }
            Given::Text(pieces) => return pieces,
            Given::Go { source, .. } => source,
        };
        let mut out = vec![Piece::Text("{{ ".to_owned())];
        source.into_iter().for_each(|piece| push(&mut out, piece));
        push(&mut out, Piece::Text(" }}".to_owned()));
        out
    }

    fn pipe(&mut self, pipe: &Pipe, span: &Span, place: Place) -> Given {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, span, place));
        }
        value.unwrap_or_else(|| Given::go(""))
    }

    fn command(&mut self, command: &[Expr], piped: Option<Given>, span: &Span, place: Place) -> Given {
        let mut arguments: Vec<Given> =
            command.iter().skip(1).map(|expr| self.operand(expr, span, place)).collect();
        arguments.extend(piped);
        match command.first() {
            Some(Expr::Function(name)) => self.call(name, arguments, span, place),
            Some(expr) if arguments.is_empty() => self.operand(expr, span, place),
            Some(expr) => {
                let head = self.operand(expr, span, place).into_argument();
                go_call(head, arguments)
            }
            None => Given::go(""),
        }
    }

    fn operand(&mut self, expr: &Expr, span: &Span, place: Place) -> Given {
        match expr {
            Expr::Dot => Given::go("."),
            Expr::Nil => Given::go("nil"),
            Expr::Bool(b) => Given::go(b.to_string()),
            Expr::Int(n) => Given::go(n.to_string()),
            Expr::Float(f) => Given::go(format!("{f:?}")),
            Expr::Str(text) => Given::Text(vec![Piece::Text(text.clone())]),
            Expr::Field(path) => Given::go(format!(".{}", path.join("."))),
            Expr::Variable(name, path) => Given::go(
                std::iter::once(format!("${name}")).chain(path.iter().cloned()).collect::<Vec<_>>().join("."),
            ),
            Expr::Function(name) => self.call(name, Vec::new(), span, place),
            Expr::Paren(pipe, path) => {
                let inner = self.pipe(pipe, span, place);
                if path.is_empty() {
                    return inner;
                }
                let mut source = inner.into_argument();
                push(&mut source, Piece::Text(format!(".{}", path.join("."))));
                Given::Go { source, is_call: false }
            }
        }
    }

    /// Tells the user what is left to do, here and as a comment of the block.
    pub(super) fn problem(&mut self, span: &Span, what: &str, help: &str) {
        self.problems.push(format!("{what}: {help}"));
        self.findings.push(Diagnostic::warning("upgrade/left-to-you", what).at(span).help(help));
    }

    /// The same for what works as it is.
    pub(super) fn remark(&mut self, span: &Span, what: &str, help: &str) {
        self.problems.push(format!("{what}: {help}"));
        self.findings.push(Diagnostic::note("upgrade/kept-call", what).at(span).help(help));
    }
}

/// Functions that no component has: only JSON templates as a whole do.
pub(super) fn lives_in_json_only(function: &str) -> bool {
    matches!(
        function,
        "user" | "env" | "consul_key" | "vault" | "aws_secretsmanager" | "aws_secretsmanager_raw"
    )
}

/// A call of the template engine.
pub(super) fn go_call(head: Vec<Piece>, arguments: Vec<Given>) -> Given {
    let mut source = head;
    let is_call = !arguments.is_empty();
    for argument in arguments {
        push(&mut source, Piece::Text(" ".to_owned()));
        argument.into_argument().into_iter().for_each(|piece| push(&mut source, piece));
    }
    Given::Go { source, is_call }
}

/// A text as a literal of the template engine: between backticks, where nothing needs an escape, if there is none in
/// it.
fn go_quoted(pieces: Vec<Piece>) -> Vec<Piece> {
    let ticks = pieces.iter().any(|p| matches!(p, Piece::Text(text) if text.contains('`')));
    let sign = if ticks { "\"" } else { "`" };
    let mut out = vec![Piece::Text(sign.to_owned())];
    for piece in pieces {
        let piece = match piece {
            Piece::Text(text) if ticks => Piece::Text(
                text.replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n")
                    .replace('\r', "\\r")
                    .replace('\t', "\\t"),
            ),
            piece => piece,
        };
        push(&mut out, piece);
    }
    push(&mut out, Piece::Text(sign.to_owned()));
    out
}

/// Adds a piece; neighbouring texts are one.
pub(super) fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (_, Piece::Text(text)) if text.is_empty() => {}
        (Some(Piece::Text(last)), Piece::Text(text)) => last.push_str(&text),
        (_, piece) => pieces.push(piece),
    }
}
