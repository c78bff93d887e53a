//! Reads options by name with Packer's weak typing: `"5"` is a number where one is wanted, a scalar is a list with one
//! entry, `"a,b"` a list of two texts. Keys are compared without case; an empty text counts as not given, as in
//! Packer. What can't be converted is reported at the value's place, and reading goes on.

use std::time::Duration;

use fornax_core::duration::parse_duration;
use fornax_core::value::Member;
use fornax_core::{Diagnostic, Diagnostics, Node, Secret, Span, Text, Value};

/// An object of the configuration.
pub struct Reader<'a> {
    node: &'a Node,
    /// `plan_info.` for a block within; empty at the top.
    prefix: String,
    /// Options that are meant by names that are in no table.
    pub misspelt: Vec<String>,
    pub found: &'a mut Diagnostics,
}

/// A text option with its place.
#[derive(Clone, Debug)]
pub struct Word {
    /// In clear.
    pub value: String,
    /// For messages: secrets are masked.
    pub shown: String,
    pub span: Span,
    pub key: String,
}

/// An entry of a map whose keys are the user's own, with its places.
pub struct Entry {
    pub key: String,
    pub key_span: Span,
    /// In clear.
    pub value: String,
    pub span: Span,
}

impl Word {
    pub fn error(&self, code: &str, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, summary).at(&self.span)
    }
}

impl<'a> Reader<'a> {
    pub fn new(node: &'a Node, found: &'a mut Diagnostics) -> Self {
        Self { node, prefix: String::new(), misspelt: Vec::new(), found }
    }

    /// Where what is not there is told.
    pub fn span(&self) -> Span {
        self.node.head()
    }

    /// Whether nothing is to be said of an option that is not there: it is misspelt, or its value could not be used.
    pub fn is_told(&self, key: &str) -> bool {
        self.member(key).is_some_and(|m| m.value.value == Value::Unknown)
            || self.misspelt.iter().any(|k| k == key)
    }

    pub fn member(&self, key: &str) -> Option<&'a Member> {
        #[cfg(test)]
        super::schema::tests::ASKED.with_borrow_mut(|asked| asked.insert(format!("{}{key}", self.prefix)));
        // The last one counts, as in JSON.
        self.node.members().iter().rev().find(|m| m.key.eq_ignore_ascii_case(key))
    }

    /// Whether the option is given with a value that says something.
    pub fn is_set(&self, key: &str) -> bool {
        self.member(key).is_some_and(|m| says_something(&m.value))
    }

    pub fn key_span(&self, key: &str) -> Span {
        self.member(key).map_or_else(|| self.span(), |m| m.key_span.clone())
    }

    /// Where a value stands: what it was made of is shown with it.
    pub fn value_span(&self, key: &str) -> Span {
        self.member(key).map_or_else(|| self.span(), |m| m.value.span.clone())
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    fn node(&mut self, key: &str) -> Option<&'a Node> {
        let node = &self.member(key)?.value;
        match node.value {
            Value::Null => None,
            Value::Unknown => {
                let summary = format!("\"{}{key}\" is known only while the build runs", self.prefix);
                self.push(
                    Diagnostic::error("azure/unknown-value", summary)
                        .at(&node.span)
                        .detail("The builder needs it before it starts anything.")
                        .help("use a variable or a function that does not depend on the build"),
                );
                None
            }
            _ => Some(node),
        }
    }

    fn wrong_type(&mut self, key: &str, node: &Node, wanted: &str) {
        let summary = format!("\"{}{key}\" must be {wanted}, not {}", self.prefix, node.kind());
        self.push(Diagnostic::error("azure/wrong-type", summary).at(&node.span));
    }

    fn not_a(&mut self, key: &str, node: &Node, text: &Text, wanted: &str) {
        let summary = format!("\"{}{key}\" must be {wanted}, not \"{}\"", self.prefix, text.masked());
        self.push(Diagnostic::error("azure/wrong-type", summary).at(&node.span));
    }

    /// None where it is absent or empty.
    pub fn text(&mut self, key: &str) -> Option<(Text, Span)> {
        let node = self.node(key)?;
        let Some(text) = scalar(&node.value) else {
            self.wrong_type(key, node, "a string");
            return None;
        };
        (!text.is_empty()).then(|| (text, node.span.clone()))
    }

    pub fn word(&mut self, key: &str) -> Option<Word> {
        let (text, span) = self.text(key)?;
        Some(Word { value: text.expose(), shown: text.masked(), span, key: format!("{}{key}", self.prefix) })
    }

    pub fn string(&mut self, key: &str) -> Option<String> {
        self.word(key).map(|w| w.value)
    }

    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        self.text(key).map(|(text, _)| Secret::new(text.expose()))
    }

    pub fn bool(&mut self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        match &node.value {
            Value::Bool(b) => Some(*b),
            Value::Number(n) => Some(n.as_f64() != Some(0.0)),
            Value::String(text) => match text.expose().as_str() {
                "" => Some(false),
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                _ => {
                    self.not_a(key, node, text, "true or false");
                    None
                }
            },
            _ => {
                self.wrong_type(key, node, "true or false");
                None
            }
        }
    }

    pub fn flag(&mut self, key: &str) -> bool {
        self.bool(key).unwrap_or(false)
    }

    pub fn int(&mut self, key: &str) -> Option<i64> {
        let node = self.node(key)?;
        self.int_of(key, node)
    }

    fn int_of(&mut self, key: &str, node: &Node) -> Option<i64> {
        match &node.value {
            Value::Bool(b) => Some(i64::from(*b)),
            Value::Number(n) => {
                let whole = n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0).map(|f| f as i64));
                if whole.is_none() {
                    self.not_a(key, node, &Text::plain(n.to_string()), "a whole number");
                }
                whole
            }
            Value::String(text) if text.is_empty() => Some(0),
            Value::String(text) => {
                let number = text.expose().parse().ok();
                if number.is_none() {
                    self.not_a(key, node, text, "a whole number");
                }
                number
            }
            _ => {
                self.wrong_type(key, node, "a whole number");
                None
            }
        }
    }

    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        let node = self.node(key)?;
        match &node.value {
            // Numbers are nanoseconds, as Go counts.
            Value::Number(n) => n.as_u64().map(Duration::from_nanos),
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => match parse_duration(&text.expose()) {
                Ok(duration) => Some(duration),
                Err(_) => {
                    let summary =
                        format!("\"{}{key}\" must be a duration, not \"{}\"", self.prefix, text.masked());
                    self.push(
                        Diagnostic::error("azure/wrong-type", summary)
                            .at(&node.span)
                            .help("write for instance \"30s\", \"15m\" or \"1h30m\""),
                    );
                    None
                }
            },
            _ => {
                self.wrong_type(key, node, "a duration such as \"15m\"");
                None
            }
        }
    }

    /// Empty where it is absent.
    pub fn words(&mut self, key: &str) -> Vec<Word> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let name = format!("{}{key}", self.prefix);
        let word = |text: &Text, span: &Span| Word {
            value: text.expose(),
            shown: text.masked(),
            span: span.clone(),
            key: name.clone(),
        };
        match &node.value {
            Value::Array(items) => {
                let mut words = Vec::new();
                for item in items {
                    match scalar(&item.value) {
                        Some(text) => words.push(word(&text, &item.span)),
                        None => self.wrong_type(key, item, "a list of strings"),
                    }
                }
                words
            }
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) if !text.is_sensitive() => {
                text.expose().split(',').map(|part| word(&Text::plain(part.trim()), &node.span)).collect()
            }
            value => match scalar(value) {
                Some(text) => vec![word(&text, &node.span)],
                None => {
                    self.wrong_type(key, node, "a list of strings");
                    Vec::new()
                }
            },
        }
    }

    /// Whole numbers with their places.
    pub fn ints(&mut self, key: &str) -> Vec<(i64, Span)> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let items = match &node.value {
            Value::Array(items) => items.iter().collect(),
            Value::String(text) if text.is_empty() => Vec::new(),
            _ => vec![node],
        };
        items.into_iter().filter_map(|n| Some((self.int_of(key, n)?, n.span.clone()))).collect()
    }

    /// The entries of a map of texts. HCL1 and weak typing also allow a list of maps; of entries with the same key the
    /// last one counts.
    pub fn entries(&mut self, key: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        for object in self.objects(key) {
            for member in object.members() {
                let text = match &member.value.value {
                    Value::Null => Some(Text::default()),
                    value => scalar(value),
                };
                match text {
                    Some(text) => entries.push(Entry {
                        key: member.key.clone(),
                        key_span: member.key_span.clone(),
                        value: text.expose(),
                        span: member.value.span.clone(),
                    }),
                    None => self.wrong_type(&format!("{key}.{}", member.key), &member.value, "a string"),
                }
            }
        }
        entries
    }

    /// The objects of a block that may be written once or as a list.
    pub fn objects(&mut self, key: &str) -> Vec<&'a Node> {
        let Some(node) = self.node(key) else { return Vec::new() };
        match &node.value {
            Value::Object(_) => vec![node],
            Value::Array(items) => {
                let mut objects = Vec::new();
                for item in items {
                    match item.value {
                        Value::Object(_) => objects.push(item),
                        _ => self.wrong_type(key, item, "an object"),
                    }
                }
                objects
            }
            _ => {
                self.wrong_type(key, node, "an object");
                Vec::new()
            }
        }
    }

    /// A reader of a block within.
    pub fn within<'b>(&'b mut self, key: &str, node: &'b Node) -> Reader<'b> {
        Reader { node, prefix: format!("{}{key}.", self.prefix), misspelt: Vec::new(), found: self.found }
    }
}

/// A scalar as text.
fn scalar(value: &Value) -> Option<Text> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(true) => Some(Text::plain("1")),
        Value::Bool(false) => Some(Text::plain("0")),
        Value::Number(n) => Some(Text::plain(n.to_string())),
        _ => None,
    }
}

fn says_something(node: &Node) -> bool {
    match &node.value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && !matches!(text.expose().as_str(), "false" | "0"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members.iter().any(|m| says_something(&m.value)),
        Value::Unknown => true,
    }
}
