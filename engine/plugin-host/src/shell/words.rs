//! Who reads the words of a command: from the words so far it follows whether the next one is an ordinary argument or
//! text that another shell or interpreter reads once more. In doubt it is such text.

use super::UNCLEAR;

/// Programs whose option `-c` takes command text.
const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash", "yash", "su", "runuser", "sg", "script",
    "flock",
];
/// Programs of which several options take program text.
const INTERPRETERS: &[&str] = &["python", "perl", "ruby", "node", "php", "lua", "tclsh", "expect"];
/// All words after one of these are read by somebody else.
const OPAQUE: &[&str] = &[
    "eval",
    "ssh",
    "slogin",
    "rsh",
    "scp",
    "rsync",
    "autossh",
    "dbclient",
    "plink",
    "mosh",
    "trap",
    "alias",
    "parallel",
    "watch",
    "systemd-run",
    "pwsh",
    "powershell",
    "powershell.exe",
    "cmd",
    "cmd.exe",
    "declare",
    "typeset",
    "let",
    "[[",
    "complete",
    "fc",
    "integer",
    "csh",
    "tcsh",
    "fish",
    "unset",
    "read",
    "mapfile",
];

const SHELL_CODE: &str = "c";
const ANY_CODE: &str = "ceErpn";

const CODE: &str = "inside the command text for another shell";
const SPLIT: &str = "after an unquoted variable in the same command";

#[derive(Clone, Copy, Default, PartialEq)]
enum Code {
    #[default]
    No,
    /// The next word is command text.
    Next,
    /// The command text may be any of the words that follow.
    Unclear,
}

/// A simple command so far.
#[derive(Default)]
pub struct Command {
    /// A program word was seen (not only assignments).
    program: bool,
    /// A word that names a shell or interpreter was seen: the options of it that take program text.
    code_options: Option<&'static str>,
    code: Code,
    opaque: Option<&'static str>,
    /// Options of `sudo` or `env` may follow.
    options_of: Option<&'static str>,
    option_argument: bool,
    /// The next word is the target of a redirection; true for a here-string.
    pub redirect: Option<bool>,
}

/// A word so far.
#[derive(Default)]
pub struct Word {
    pub content: String,
    pub quoted: bool,
    /// Has an expansion whose result is split into words.
    pub splits: bool,
    /// Starts with an expansion, so it may be anything.
    pub unknown: bool,
    /// Target of a redirection; true for a here-string.
    pub redirect: Option<bool>,
    assignment: bool,
    /// `name[…`, whose inside some shells evaluate.
    subscript: bool,
    glob: bool,
}

impl Word {
    /// An empty word; `redirect` as in the field.
    pub fn new(redirect: Option<bool>) -> Self {
        Self { redirect, ..Self::default() }
    }

    /// Adds a character that stands outside of quotes.
    pub fn push_bare(&mut self, c: char, next: Option<char>) {
        match c {
            '=' if !self.quoted && is_name(&self.content) => self.assignment = true,
            '[' if !self.quoted && is_name(&self.content) => self.subscript = true,
            // `{-c,…}` becomes several words in some shells.
            '{' if next.is_some_and(|n| !n.is_whitespace()) => self.splits = true,
            _ => {}
        }
        self.glob |= matches!(c, '*' | '?' | '[');
        self.content.push(c);
    }

    /// Whether it is the descriptor of a redirection that follows directly, and no argument.
    pub fn is_descriptor(&self) -> bool {
        let named = self.content.starts_with('{') && self.content.ends_with('}');
        let number = !self.content.is_empty() && self.content.bytes().all(|b| b.is_ascii_digit());
        !self.quoted && !self.unknown && (named || (number && !self.splits))
    }
}

impl Command {
    /// Where a word is read by somebody else, the name of that place. `word` is what there is of it.
    pub fn opaque(&self, word: Option<&Word>) -> Option<&'static str> {
        match word.map_or(self.redirect, |w| w.redirect) {
            Some(true) => return Some("inside a here-string"),
            Some(false) => return None,
            None => {}
        }
        if word.is_some_and(|w| w.subscript) {
            return Some(UNCLEAR);
        }
        if word.is_some_and(|w| w.assignment) && !self.program {
            return None;
        }
        if self.opaque.is_some() {
            return self.opaque;
        }
        if word.is_some_and(|w| w.splits) {
            return Some(SPLIT);
        }
        let option = word.is_some_and(|w| w.content.starts_with(['-', '+']));
        match self.code {
            Code::Next | Code::Unclear => Some(CODE),
            Code::No if option && (self.code_options.is_some() || self.options_of.is_some()) => Some(CODE),
            Code::No => None,
        }
    }

    /// Takes a complete word in.
    pub fn end(&mut self, word: &Word) {
        if word.redirect.is_some() || (word.assignment && !self.program) {
            return;
        }
        let unknown = word.unknown || (word.glob && !self.program);
        self.program = true;
        if word.splits {
            self.opaque.get_or_insert(SPLIT);
        }
        let content = word.content.as_str();
        let option = content.starts_with(['-', '+']) && content.len() > 1;
        if let Some(options) = self.code_options {
            self.code = match (self.code, option) {
                (Code::Unclear, _) | (Code::Next, true) => Code::Unclear,
                (Code::Next, false) => Code::No,
                (Code::No, _) if unknown => Code::Unclear,
                (Code::No, true) if content.starts_with("--") => Code::Unclear,
                (Code::No, true) if content.contains(|c| options.contains(c)) => Code::Next,
                (Code::No, _) => Code::No,
            };
        }
        if self.options(content, option) {
            return;
        }
        let name = content.rsplit('/').next().unwrap_or(content);
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if OPAQUE.contains(&name) {
            self.opaque.get_or_insert(CODE);
        } else if SHELLS.contains(&name) || SHELLS.contains(&stem) {
            self.code_options.get_or_insert(SHELL_CODE);
        } else if INTERPRETERS.contains(&stem) || unknown {
            // `"$SHELL" -c …`: an unknown program may be a shell.
            self.code_options = Some(ANY_CODE);
        } else if matches!(name, "sudo" | "doas") {
            self.options_of = Some("sudo");
        } else if name == "env" {
            self.options_of = Some("env");
        }
    }

    /// Follows the options of `sudo` and `env`; true for a word that is one.
    fn options(&mut self, content: &str, option: bool) -> bool {
        let Some(of) = self.options_of else { return false };
        if std::mem::take(&mut self.option_argument) {
            return false;
        }
        if !option {
            if !(content.contains('=') && of == "env") {
                self.options_of = None;
            }
            return false;
        }
        let short = !content.starts_with("--");
        let reads_text = match of {
            "env" => (short && content.contains('S')) || content.starts_with("--sp"),
            _ => {
                (short && content.contains(['s', 'i']))
                    || content.starts_with("--lo")
                    || content.starts_with("--sh")
            }
        };
        if reads_text {
            self.opaque.get_or_insert(CODE);
        }
        self.option_argument = content.len() == 2 && "ughpCrtUDRTa".contains(&content[1..]);
        true
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}
