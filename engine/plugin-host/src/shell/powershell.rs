//! Puts secret values into PowerShell text so that they arrive exactly. The text is read as PowerShell reads it; at each
//! placeholder it is known whether it stands in a literal, in a string with variables, in a here-string or bare, and the
//! value is quoted for just that place. In a statement that hands text to something that reads it again
//! (`Invoke-Expression`, another shell), in comments and after a backtick only letters, digits and a few marks are put
//! in, everything else is refused.

use super::{AFTER_NAME, COMMENT, Found, Refused};

/// Words that make a statement hand its text to another reader, in lower case.
const READERS: &[&str] = &[
    "iex",
    "invoke-expression",
    "invoke-command",
    "icm",
    "invoke-wmimethod",
    "start-process",
    "saps",
    "start",
    "start-job",
    "add-type",
    "scriptblock",
    "newscriptblock",
    "invokescript",
    "executecommand",
    "expandstring",
    "powershell",
    "pwsh",
    "cmd",
    "wsl",
    "bash",
    "sh",
    "ssh",
    "wmic",
    "schtasks",
    "sc",
    "reg",
    "msiexec",
    "python",
    "python3",
    "perl",
    "node",
    "ruby",
    "sqlcmd",
];

const BACKTICK: &str = "directly after a backtick";
const WORD: &str = "inside a bare word of PowerShell";
const READER: &str = "in a PowerShell statement that hands text to something that reads it again";
const VERBATIM: &str = "inside a literal here-string, because it holds the end of one,";
const STOPPED: &str = "after --%";
const NUL: &str = "in PowerShell text, because it contains a NUL character,";

/// Whether the value means the same wherever it stands.
pub fn is_safe(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_single(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

fn is_double(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

fn single_inner(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if is_single(c) {
            out.push(c);
        }
        out.push(c);
    }
    out
}

fn double_inner(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        if c == '`' || c == '$' || is_double(c) {
            out.push('`');
        }
        out.push(c);
    }
    out
}

/// Why a value is refused as an argument of a program.
pub const ARGUMENT: &str = "in a command line for PowerShell, because it is empty, contains a double quote or ends with a backslash,";

/// The value as a literal that also arrives where PowerShell hands it to a program, which versions before 7.3 do
/// without quoting it.
pub fn argument(value: &str) -> Result<String, Refused> {
    if value.is_empty() || value.ends_with('\\') || value.chars().any(is_double) {
        return Err(Refused(ARGUMENT));
    }
    Ok(literal(value))
}

/// The value as a literal.
pub fn literal(value: &str) -> String {
    format!("'{}'", single_inner(value))
}

/// Replaces the placeholders that `find` recognises at the start of a text.
pub fn fill<'a>(text: &'a str, find: &'a dyn Fn(&str) -> Option<Found<'a>>) -> Result<String, Refused> {
    let mut lexer = Lexer { text, pos: 0, out: String::with_capacity(text.len() + 64), find, reader: false };
    lexer.code(false)?;
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    out: String,
    find: &'a dyn Fn(&str) -> Option<Found<'a>>,
    /// The statement hands text on. In a nested one it stays set to the end of the outer one.
    reader: bool,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn second(&self) -> Option<char> {
        self.text[self.pos..].chars().nth(1)
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.out.push(c);
        self.pos += c.len_utf8();
        Some(c)
    }

    fn before(&self) -> Option<char> {
        self.text[..self.pos].chars().next_back()
    }

    fn placeholder(&self) -> Option<Found<'a>> {
        (self.find)(&self.text[self.pos..])
    }

    fn put(&mut self, found: &Found<'a>, text: &str) {
        self.out.push_str(text);
        self.pos += found.length;
    }

    fn safe(&mut self, found: &Found<'a>, place: &'static str) -> Result<(), Refused> {
        if !is_safe(found.value) {
            return Err(Refused(place));
        }
        self.put(found, found.value);
        Ok(())
    }

    fn place(&mut self, found: &Found<'a>, quote: fn(&str) -> String) -> Result<(), Refused> {
        if found.value.contains('\0') {
            return Err(Refused(NUL));
        }
        if self.reader {
            return self.safe(found, READER);
        }
        let text = quote(found.value);
        self.put(found, &text);
        Ok(())
    }

    /// To the end of the text, or to and with the parenthesis that ends a nested statement.
    fn code(&mut self, nested: bool) -> Result<(), Refused> {
        let mut depth = 0_usize;
        let mut word = String::new();
        loop {
            if let Some(found) = self.placeholder() {
                self.bare(&found)?;
                word.clear();
                continue;
            }
            let Some(c) = self.peek() else { return Ok(()) };
            let in_word = c.is_alphanumeric() || c == '-' || c == '_';
            if !in_word {
                self.reader |= READERS.contains(&word.to_lowercase().as_str());
                word.clear();
            }
            match c {
                '`' => self.escape()?,
                '#' if self.before() == Some('<') => self.block_comment()?,
                '#' if self.before().is_none_or(|b| b.is_whitespace() || "(){};,|&".contains(b)) => {
                    self.line_comment()?;
                }
                '@' if self.second().is_some_and(is_single) && self.here_starts() => self.literal_here()?,
                '@' if self.second().is_some_and(is_double) && self.here_starts() => {
                    self.take();
                    self.take();
                    self.expandable(true)?;
                }
                _ if is_single(c) => self.literal_string()?,
                _ if is_double(c) => {
                    self.take();
                    self.expandable(false)?;
                }
                '$' => self.dollar(false)?,
                '(' => {
                    depth += 1;
                    self.take();
                }
                ')' if nested && depth == 0 => {
                    self.take();
                    return Ok(());
                }
                ')' => {
                    depth = depth.saturating_sub(1);
                    self.take();
                }
                '\n' | ';' if !nested && depth == 0 => {
                    self.reader = false;
                    self.take();
                }
                '%' if self.text[..self.pos].ends_with("--") => {
                    self.take();
                    self.stopped()?;
                }
                _ => {
                    if in_word {
                        word.push(c);
                    }
                    self.take();
                }
            }
        }
    }

    fn bare(&mut self, found: &Found<'a>) -> Result<(), Refused> {
        let after = self.text[self.pos + found.length..].chars().next();
        let starts = self.before().is_none_or(|b| b.is_whitespace() || "=(,;{\u{feff}".contains(b));
        let ends = after.is_none_or(|a| a.is_whitespace() || "),;}|".contains(a));
        if starts && ends { self.place(found, literal) } else { self.safe(found, WORD) }
    }

    fn escape(&mut self) -> Result<(), Refused> {
        self.take();
        if self.placeholder().is_some() {
            return Err(Refused(BACKTICK));
        }
        self.take();
        Ok(())
    }

    fn line_comment(&mut self) -> Result<(), Refused> {
        while self.peek().is_some_and(|c| c != '\n') {
            match self.placeholder() {
                Some(found) => self.safe(&found, COMMENT)?,
                None => {
                    self.take();
                }
            }
        }
        Ok(())
    }

    fn block_comment(&mut self) -> Result<(), Refused> {
        while self.peek().is_some() && !self.text[self.pos..].starts_with("#>") {
            match self.placeholder() {
                Some(found) => self.safe(&found, COMMENT)?,
                None => {
                    self.take();
                }
            }
        }
        self.take();
        self.take();
        Ok(())
    }

    fn stopped(&mut self) -> Result<(), Refused> {
        while self.peek().is_some_and(|c| c != '\n') {
            match self.placeholder() {
                Some(found) => self.safe(&found, STOPPED)?,
                None => {
                    self.take();
                }
            }
        }
        Ok(())
    }

    /// Whether only blanks follow the two characters that open a here-string on their line.
    fn here_starts(&self) -> bool {
        let line = self.text[self.pos..].lines().next().unwrap_or_default();
        line.chars().skip(2).all(char::is_whitespace) && self.text[self.pos..].contains('\n')
    }

    fn literal_here(&mut self) -> Result<(), Refused> {
        let mut line_start = false;
        loop {
            if let Some(found) = self.placeholder() {
                let mut value = found.value.chars().rev();
                let holds_end = found
                    .value
                    .chars()
                    .zip(found.value.chars().skip(1))
                    .any(|(a, b)| is_single(a) && b == '@');
                if holds_end || value.next().is_some_and(is_single) || found.value.starts_with('@') {
                    return Err(Refused(VERBATIM));
                }
                self.place(&found, str::to_owned)?;
                line_start = false;
                continue;
            }
            let Some(c) = self.peek() else { return Ok(()) };
            let end = line_start && is_single(c) && self.second() == Some('@');
            line_start = c == '\n';
            self.take();
            if end {
                self.take();
                return Ok(());
            }
        }
    }

    fn literal_string(&mut self) -> Result<(), Refused> {
        self.take();
        loop {
            if let Some(found) = self.placeholder() {
                self.place(&found, single_inner)?;
                continue;
            }
            match self.take() {
                None => return Ok(()),
                Some(c) if is_single(c) => {
                    if !self.peek().is_some_and(is_single) {
                        return Ok(());
                    }
                    self.take();
                }
                Some(_) => {}
            }
        }
    }

    /// After the opening, to and with the end.
    fn expandable(&mut self, here: bool) -> Result<(), Refused> {
        let mut line_start = false;
        loop {
            if let Some(found) = self.placeholder() {
                self.place(&found, double_inner)?;
                line_start = false;
                continue;
            }
            let Some(c) = self.peek() else { return Ok(()) };
            let at_line_start = std::mem::replace(&mut line_start, c == '\n');
            match c {
                '`' => self.escape()?,
                '$' => self.dollar(true)?,
                _ if is_double(c) && here => {
                    self.take();
                    if at_line_start && self.peek() == Some('@') {
                        self.take();
                        return Ok(());
                    }
                }
                _ if is_double(c) => {
                    self.take();
                    if !self.peek().is_some_and(is_double) {
                        return Ok(());
                    }
                    self.take();
                }
                _ => {
                    self.take();
                }
            }
        }
    }

    /// A variable, or inside a string a nested statement.
    fn dollar(&mut self, string: bool) -> Result<(), Refused> {
        self.take();
        match self.peek() {
            Some('(') if string => {
                self.take();
                let reader = self.reader;
                self.code(true)?;
                self.reader |= reader;
                Ok(())
            }
            Some('{') => {
                while let Some(c) = self.peek() {
                    if self.placeholder().is_some() {
                        return Err(Refused(AFTER_NAME));
                    }
                    if c == '`' {
                        self.take();
                    }
                    self.take();
                    if c == '}' {
                        break;
                    }
                }
                Ok(())
            }
            _ => {
                loop {
                    if self.placeholder().is_some() {
                        // Only a name that was begun would take the value in.
                        return Err(Refused(AFTER_NAME));
                    }
                    match self.peek() {
                        Some(c) if c.is_alphanumeric() || "_:?^$".contains(c) => self.take(),
                        _ => return Ok(()),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "powershell_tests.rs"]
mod tests;
