//! Where a blank stands between two tokens of a line. The rules are those of Packer's formatter, also where they know
//! too little of the grammar: `if -x` becomes `if - x`. A file must not change when both tools format it in turn.

use super::Piece;
use crate::hcl::lex::Kind;

/// What a token does to the depth of brackets.
pub fn bracket(kind: Kind) -> isize {
    match kind {
        Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::Interpolation | Kind::Directive => 1,
        Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::SequenceEnd => -1,
        _ => 0,
    }
}

/// Whether a blank stands between `left` and `right`. `before` is the token in front of `left` in the same cell, which
/// tells a sign from an operator. The order of the rules is part of them.
pub fn blank_between(before: Option<Kind>, left: &Piece, right: &Piece) -> bool {
    use Kind::*;
    match (left.kind, right.kind) {
        (_, Newline) => false,
        // Names of functions, with their namespaces.
        (Ident, OpenParen | DoubleColon) | (DoubleColon, Ident) => false,
        (Dot, _) | (_, Dot | Comma | Ellipsis) => false,
        (Comma, _) => true,
        // Text of quotes and heredocs.
        (QuotedLit | StringLit | OpenQuote | OpenHeredoc, _)
        | (_, QuotedLit | StringLit | CloseQuote | CloseHeredoc) => false,
        // `for x in [1, 2]`, which is no index into something that is named `in`.
        (Ident, _) if left.text == "in" && before == Some(Ident) => true,
        (Ident | Number | CloseBrace | CloseBracket | CloseParen | SequenceEnd, OpenBracket) => false,
        (Not, _) => false,
        (Minus, _) => !before.is_none_or(comes_before_sign),
        (OpenBrace, CloseBrace) => false,
        (OpenBrace, _) | (_, CloseBrace) => true,
        // An object that is alone in a sequence: `${ { a = 1 } }`.
        (Interpolation | Directive, OpenBrace) | (CloseBrace, SequenceEnd) => true,
        (SequenceEnd, Interpolation | Directive) => false,
        (left, right) => bracket(left) <= 0 && bracket(right) >= 0,
    }
}

/// Whether a minus behind this token is taken for a sign, because no operand ends here.
fn comes_before_sign(before: Kind) -> bool {
    use Kind::*;
    matches!(
        before,
        OpenParen
            | OpenBrace
            | OpenBracket
            | Equal
            | Colon
            | Comma
            | Question
            | Plus
            | Star
            | Slash
            | Percent
            | Minus
            | EqualEqual
            | NotEqual
            | Greater
            | GreaterEqual
            | Less
            | LessEqual
            | And
            | Or
            | Not
    )
}
