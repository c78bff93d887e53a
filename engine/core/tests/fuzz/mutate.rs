//! Changes texts in the ways in which people and programs break them, with the tokens of the languages. The same seed
//! makes the same changes.

/// A generator of numbers that need to be nothing but different (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below the limit, which is at least 1.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// Tokens that one of the languages knows, and what is hard to read.
pub const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    "=",
    "\"",
    "'",
    "`",
    "\\",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "\0",
    "\u{feff}",
    "\u{e9}",
    "e\u{301}",
    "\u{1F600}",
    "\u{2028}",
    "#",
    "//",
    "/*",
    "*/",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "-",
    "+",
    "1e9999",
    "1e-9999",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "0.1",
    "0x7f",
    "0b1",
    "\\u0000",
    "\\ud800",
    "\\u00e9",
    "\\n",
    "${",
    "%{",
    "$${",
    "%%{",
    "${~",
    "~}",
    "%{ if true }",
    "%{ else }",
    "%{ endif }",
    "%{ for x in [1] }",
    "%{ endfor }",
    "<<EOF\n",
    "<<-EOF\n",
    "EOF\n",
    "=>",
    "...",
    "? 1 : 2",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<=",
    ">",
    "*",
    "/",
    "%",
    ".*",
    "[*]",
    ".0",
    ".a",
    "[0]",
    "[\"k\"]",
    "for x in ",
    " if x",
    "var.s",
    "var.pw",
    "var.l",
    "var.m",
    "var.later",
    "local.n",
    "local.a",
    "data.null.d.output",
    "build.ID",
    "source.name",
    "path.root",
    "packer.version",
    "env(\"HERE\")",
    "variable \"v\" {\n",
    "variables {\n",
    "locals {\n",
    "local \"x\" {\n",
    "source \"null\" \"n\" {\n",
    "data \"null\" \"d\" {\n",
    "build {\n",
    "dynamic \"b\" {\n",
    "for_each = [1, 2]\n",
    "content {\n",
    "validation {\n",
    "condition = ",
    "error_message = \"It is wrong.\"\n",
    "default = ",
    "type = ",
    "sensitive = true\n",
    "expression = ",
    "sources = [\"null.n\"]\n",
    "provisioner \"shell\" {\n",
    "post-processor \"manifest\" {\n",
    "post-processors {\n",
    "override = ",
    "only = ",
    "list(",
    "map(",
    "object({",
    "optional(",
    "any",
    "string",
    "jsondecode(",
    "jsonencode(",
    "yamldecode(",
    "templatefile(",
    "regex_replace(",
    "format(",
    "formatdate(",
    "range(",
    "setproduct(",
    "merge(",
    "try(",
    "can(",
    "split(",
    "substr(",
    "element(",
    "chunklist(",
    "cidrsubnet(",
    "textencodebase64(",
    "parseint(",
    "indent(",
    "zipmap(",
    "flatten(",
    "\"builders\"",
    "\"provisioners\"",
    "\"post-processors\"",
    "\"variables\"",
    "\"sensitive-variables\"",
    "\"type\"",
    "\"name\"",
    "\"only\"",
    "\"except\"",
    "\"override\"",
    "\"pause_before\"",
    "\"1h\"",
    "\"max_retries\"",
    "\"//\"",
    "\"error-cleanup-provisioner\"",
    "\"min_packer_version\"",
    "\"_comment\"",
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{user `a`}}",
    "{{user `pw`}}",
    "{{env `HERE`}}",
    "{{build `ID`}}",
    "{{isotime}}",
    "{{isotime \"2006\"}}",
    "{{timestamp}}",
    "{{.Vars}}",
    "{{ .Path }}",
    "{{if true}}",
    "{{else}}",
    "{{else if false}}",
    "{{end}}",
    "{{range $i, $x := 3}}",
    "{{with 1}}",
    "{{define \"t\"}}",
    "{{template \"t\"}}",
    "{{template \"t\" .}}",
    "{{block \"t\" 1}}",
    "{{break}}",
    "{{/* c */}}",
    "$x := ",
    "$x",
    "| upper",
    "| printf \"%v\"",
    "printf \"%*d\" 5 1",
    "index ",
    "slice ",
    "split ",
    "replace ",
    "strftime ",
    "canary-8d1f6b",
];

/// Beyond this an input only takes longer.
const MAX_INPUT: usize = 64 << 10;

/// Changes a text in one to four ways; `others` are texts that pieces can be taken from.
pub fn mutate(text: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut out = text.to_vec();
    for _ in 0..=dice.below(4) {
        change(&mut out, others, dice);
    }
    out.truncate(MAX_INPUT);
    out
}

fn change(out: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(out.len() + 1);
    let end = (at + piece_length(dice)).min(out.len());
    match dice.below(12) {
        0 => drop(out.drain(at..end)),
        1 => {
            let piece = out[at..end].to_vec();
            out.splice(at..at, piece);
        }
        2..=4 => drop(out.splice(at..at, dice.pick(TOKENS).bytes())),
        5 => drop(out.splice(at..end, dice.pick(TOKENS).bytes())),
        6 => {
            // One token many times: depth, length, and what a program does with too much of it.
            let token = dice.pick(TOKENS);
            let count = [2, 10, 70, 140, 300, 1000][dice.below(6)];
            out.splice(at..at, token.repeat(count).into_bytes());
        }
        7 => {
            if let Some(byte) = out.get_mut(at) {
                *byte = dice.below(256) as u8;
            }
        }
        8 => out.truncate(at),
        9 => {
            let other = &others[dice.below(others.len())];
            let from = dice.below(other.len() + 1);
            let to = (from + 4 * piece_length(dice)).min(other.len());
            out.splice(at..at, other[from..to].iter().copied());
        }
        10 => {
            // A line elsewhere.
            let (from, to) = line_at(out, at);
            let line: Vec<u8> = out.drain(from..to).collect();
            let (to, _) = line_at(out, dice.below(out.len() + 1));
            out.splice(to..to, line);
        }
        _ => {
            let (from, to) = line_at(out, at);
            let line = out[from..to].to_vec();
            out.splice(to..to, line);
        }
    }
}

fn piece_length(dice: &mut Dice) -> usize {
    let most = [2, 8, 40, 400][dice.below(4)];
    1 + dice.below(most)
}

/// The line around a place, with its line break.
fn line_at(text: &[u8], at: usize) -> (usize, usize) {
    let from = text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let to = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| at + i + 1);
    (from, to)
}
