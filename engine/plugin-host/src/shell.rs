//! Puts secret values into a raw POSIX command line so that they arrive exactly. The line is read as a shell reads it;
//! at each placeholder the lexer knows whether it stands in single quotes, double quotes or a bare word and quotes the
//! value for just that place. Where somebody else reads the word next (a command substitution, a here-document, the
//! command text of another shell) only values of safe characters are put in, everything else is refused. When the
//! reading becomes uncertain, the whole rest of the line counts as such a place.

pub mod cmd;
pub mod powershell;
mod words;

use words::{Command, Word};

/// A value for a placeholder that was found in a command line.
pub struct Found<'a> {
    /// Length of the placeholder in bytes.
    pub length: usize,
    pub value: &'a str,
}

/// Why a value can't be put where its placeholder stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret value can't be placed {0} without changing its meaning; pass it as an environment variable, an argument or standard input instead"
)]
pub struct Refused(pub &'static str);

/// Whether the value may stand anywhere as it is.
pub fn is_safe(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_./:@%+=,-".contains(&b))
}

/// The value as one single-quoted word.
pub fn single_quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Replaces the placeholders that `find` recognises at the start of a text.
pub fn fill<'a>(line: &'a str, find: &'a dyn Fn(&str) -> Option<Found<'a>>) -> Result<String, Refused> {
    let mut lexer = Lexer {
        text: line,
        pos: 0,
        out: String::with_capacity(line.len() + 64),
        find,
        command: Command::default(),
        word: None,
        tainted: None,
        here_document: false,
    };
    lexer.run()?;
    Ok(lexer.out)
}

const SUBSTITUTION: &str = "inside a command substitution";
const AFTER_NAME: &str = "directly after a variable";
const PARAMETER: &str = "inside ${…}";
const ESCAPED: &str = "directly after a backslash";
const COMMENT: &str = "inside a comment";
const HERE: &str = "inside or after a here-document";
pub(crate) const UNCLEAR: &str = "after shell syntax whose end can't be told for certain";
const STRING: &str = "inside $'…'";

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    out: String,
    find: &'a dyn Fn(&str) -> Option<Found<'a>>,
    command: Command,
    word: Option<Word>,
    /// From here on everything is read by somebody unknown.
    tainted: Option<&'static str>,
    here_document: bool,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn starts(&self, what: &str) -> bool {
        self.text[self.pos..].starts_with(what)
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.out.push(c);
        self.pos += c.len_utf8();
        Some(c)
    }

    fn placeholder(&self) -> Option<Found<'a>> {
        (self.find)(&self.text[self.pos..])
    }

    fn word(&mut self) -> &mut Word {
        let redirect = &mut self.command.redirect;
        self.word.get_or_insert_with(|| Word::new(redirect.take()))
    }

    fn run(&mut self) -> Result<(), Refused> {
        loop {
            if let Some(found) = self.placeholder() {
                match self.opaque() {
                    Some(place) => self.place_safe(found, place)?,
                    None => {
                        self.place(found, single_quoted)?;
                        self.word().quoted = true;
                    }
                }
                continue;
            }
            let Some(c) = self.peek() else { return Ok(()) };
            match c {
                ' ' | '\t' => {
                    self.end_word();
                    self.take();
                }
                '\n' => {
                    self.end_command();
                    self.take();
                    if self.here_document {
                        self.taint(HERE);
                    }
                }
                '&' if self.text[self.pos + 1..].starts_with('>') => {
                    self.end_word();
                    self.take();
                }
                ';' | '&' | '|' | ')' => {
                    self.end_command();
                    self.take();
                }
                '(' => {
                    self.end_command();
                    self.take();
                    if self.starts("(") {
                        self.taint("inside or after an arithmetic expression");
                    }
                }
                '<' | '>' => self.redirection(),
                '\\' => self.escape()?,
                '\'' => {
                    self.word().quoted = true;
                    self.take();
                    self.single_quotes(None)?;
                }
                '"' => {
                    self.word().quoted = true;
                    self.take();
                    self.double_quotes(None)?;
                }
                '$' => self.dollar(false)?,
                '`' => self.backquotes(false)?,
                '#' if self.word.is_none() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        match self.placeholder() {
                            Some(found) => self.place_safe(found, COMMENT)?,
                            None => {
                                self.take();
                            }
                        }
                    }
                }
                _ => {
                    self.take();
                    let next = self.peek();
                    self.word().push_bare(c, next);
                }
            }
        }
    }

    fn taint(&mut self, place: &'static str) {
        self.tainted.get_or_insert(place);
    }

    /// Where the next word is read by somebody else, the name of that place.
    fn opaque(&self) -> Option<&'static str> {
        self.tainted.or_else(|| self.command.opaque(self.word.as_ref()))
    }

    fn place(&mut self, found: Found<'a>, quote: impl Fn(&str) -> String) -> Result<(), Refused> {
        if found.value.contains('\0') {
            return Err(Refused("in a command line, because it contains a NUL character,"));
        }
        self.out.push_str(&quote(found.value));
        self.pos += found.length;
        self.word().content.push_str(found.value);
        Ok(())
    }

    fn place_safe(&mut self, found: Found<'a>, place: &'static str) -> Result<(), Refused> {
        if !is_safe(found.value) {
            return Err(Refused(place));
        }
        self.place(found, str::to_owned)
    }

    /// After the opening quote, to and with the closing one.
    fn single_quotes(&mut self, outer: Option<&'static str>) -> Result<(), Refused> {
        loop {
            if let Some(found) = self.placeholder() {
                match outer.or_else(|| self.opaque()) {
                    Some(place) => self.place_safe(found, place)?,
                    None => self.place(found, |v| v.replace('\'', r"'\''"))?,
                }
                continue;
            }
            match self.take() {
                None | Some('\'') => return Ok(()),
                Some(c) => self.word().content.push(c),
            }
        }
    }

    /// After the opening quote, to and with the closing one.
    fn double_quotes(&mut self, outer: Option<&'static str>) -> Result<(), Refused> {
        loop {
            if let Some(found) = self.placeholder() {
                match outer.or_else(|| self.opaque()) {
                    Some(place) => self.place_safe(found, place)?,
                    None => self.place(found, double_quote_escaped)?,
                }
                continue;
            }
            match self.peek() {
                None => return Ok(()),
                Some('"') => {
                    self.take();
                    return Ok(());
                }
                Some('\\') => self.escape()?,
                Some('$') => self.dollar(true)?,
                Some('`') => self.backquotes(true)?,
                Some(c) => {
                    self.take();
                    self.word().content.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), Refused> {
        self.take();
        self.word().quoted = true;
        if let Some(found) = self.placeholder() {
            return self.place_safe(found, ESCAPED);
        }
        if let Some(c) = self.take()
            && c != '\n'
        {
            self.word().content.push(c);
        }
        Ok(())
    }

    fn dollar(&mut self, quoted: bool) -> Result<(), Refused> {
        self.take();
        if self.placeholder().is_some() {
            return Err(Refused(AFTER_NAME));
        }
        match self.peek() {
            Some('(') => {
                self.expansion(quoted);
                self.take();
                self.parentheses()
            }
            Some('{') => {
                self.expansion(quoted);
                self.take();
                self.braces()
            }
            Some('\'') if !quoted => {
                self.take();
                self.word().quoted = true;
                loop {
                    if let Some(found) = self.placeholder() {
                        self.place_safe(found, STRING)?;
                        continue;
                    }
                    match self.take() {
                        None | Some('\'') => return Ok(()),
                        Some('\\') => self.taint(UNCLEAR),
                        Some(c) => self.word().content.push(c),
                    }
                }
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                self.expansion(quoted);
                while self.peek().is_some_and(|c| c == '_' || c.is_ascii_alphanumeric()) {
                    self.take();
                    if self.placeholder().is_some() {
                        return Err(Refused(AFTER_NAME));
                    }
                }
                // A shell with arrays would read `$name[…]` on.
                Ok(())
            }
            Some(c) if c.is_ascii_digit() || "?$!@*#-".contains(c) => {
                self.expansion(quoted);
                self.take();
                Ok(())
            }
            _ => {
                self.word().content.push('$');
                Ok(())
            }
        }
    }

    fn expansion(&mut self, quoted: bool) {
        let word = self.word();
        word.unknown |= word.content.is_empty();
        word.splits |= !quoted;
    }

    /// After `$(`, to and with the parenthesis that ends it.
    fn parentheses(&mut self) -> Result<(), Refused> {
        let mut depth = 1usize;
        let mut token = String::new();
        loop {
            if let Some(found) = self.placeholder() {
                self.place_safe(found, SUBSTITUTION)?;
                continue;
            }
            if self.starts("<<") || self.starts("((") {
                self.taint(UNCLEAR);
            }
            let Some(c) = self.peek() else { return Ok(()) };
            if c == '#' && token.is_empty() {
                self.taint(UNCLEAR);
            }
            if c.is_ascii_alphanumeric() || c == '_' {
                token.push(c);
            } else {
                if token == "case" || token == "esac" {
                    self.taint(UNCLEAR);
                }
                token.clear();
                if !(c.is_whitespace() || ";&|()".contains(c)) {
                    token.push(c);
                }
            }
            match c {
                '(' => {
                    depth += 1;
                    self.take();
                }
                ')' => {
                    depth -= 1;
                    self.take();
                    if depth == 0 {
                        return Ok(());
                    }
                }
                '\'' => {
                    self.take();
                    self.single_quotes(Some(SUBSTITUTION))?;
                }
                '"' => {
                    self.take();
                    self.double_quotes(Some(SUBSTITUTION))?;
                }
                '\\' => {
                    self.take();
                    if self.placeholder().is_none() {
                        self.take();
                    }
                }
                '`' => self.backquotes(true)?,
                '$' => {
                    self.taint_ansi_string();
                    self.dollar(true)?;
                }
                _ => {
                    self.take();
                }
            }
        }
    }

    fn taint_ansi_string(&mut self) {
        if self.starts("$'") {
            self.taint(UNCLEAR);
        }
    }

    /// After `${`, to and with the brace that ends it.
    fn braces(&mut self) -> Result<(), Refused> {
        let mut operator = false;
        loop {
            if let Some(found) = self.placeholder() {
                if !operator {
                    return Err(Refused(PARAMETER));
                }
                self.place_safe(found, PARAMETER)?;
                continue;
            }
            match self.take() {
                None | Some('}') => return Ok(()),
                // Shells differ in how quotes and expansions nest here.
                Some('\'' | '"' | '\\' | '`' | '$' | '{') => {
                    self.taint(UNCLEAR);
                    return Ok(());
                }
                Some(c) => operator |= !(c == '_' || c.is_ascii_alphanumeric()),
            }
        }
    }

    fn backquotes(&mut self, quoted: bool) -> Result<(), Refused> {
        self.expansion(quoted);
        self.take();
        loop {
            if let Some(found) = self.placeholder() {
                self.place_safe(found, SUBSTITUTION)?;
                continue;
            }
            match self.take() {
                None | Some('`') => return Ok(()),
                Some('\'' | '"' | '\\' | '#') => self.taint(UNCLEAR),
                Some(_) => {}
            }
        }
    }

    fn redirection(&mut self) {
        // The number of a descriptor before the operator is no argument.
        if self.word.as_ref().is_some_and(Word::is_descriptor) {
            self.word = None;
        }
        self.end_word();
        if self.starts("<(") || self.starts(">(") {
            self.taint(UNCLEAR);
        }
        let here_string = self.starts("<<<");
        self.here_document |= self.starts("<<") && !here_string;
        for _ in 0..if here_string { 3 } else { 2 } {
            if self.starts("<") || self.starts(">") {
                self.take();
            }
        }
        if self.starts("&") || self.starts("|") {
            self.take();
        }
        if self.here_document && self.starts("-") {
            self.take();
        }
        self.command.redirect = Some(here_string || self.here_document);
    }

    fn end_command(&mut self) {
        self.end_word();
        self.command = Command::default();
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.command.end(&word);
        }
    }
}

fn double_quote_escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if matches!(c, '$' | '`' | '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
