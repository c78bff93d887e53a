//! Configuration values with their places. Text remembers which of its parts are secret, so that secrecy survives
//! concatenation and every consumer can decide: mask it, seal it, or hand it to its destination.

use crate::secret::{MASK, Secret};
use crate::source::Span;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Plain(String),
    Secret(Secret),
}

/// Text that may contain secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    parts: Vec<Part>,
}

impl Text {
    pub fn plain(text: impl Into<String>) -> Self {
        let mut this = Self::default();
        this.push_str(&text.into());
        this
    }

    pub fn secret(secret: Secret) -> Self {
        Self { parts: vec![Part::Secret(secret)] }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn push_str(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Plain(last)) => last.push_str(text),
            _ => self.parts.push(Part::Plain(text.to_owned())),
        }
    }

    pub fn push_text(&mut self, text: &Text) {
        for part in &text.parts {
            match part {
                Part::Plain(plain) => self.push_str(plain),
                Part::Secret(secret) => self.parts.push(Part::Secret(secret.clone())),
            }
        }
    }

    pub fn is_sensitive(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Secret(_)))
    }

    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|p| match p {
            Part::Plain(text) => text.is_empty(),
            Part::Secret(secret) => secret.expose().is_empty(),
        })
    }

    /// Its bytes, secrets included.
    pub fn length(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Plain(text) => text.len(),
                Part::Secret(secret) => secret.expose().len(),
            })
            .sum()
    }

    /// The whole text with secrets in clear. Only for handing it to its destination.
    pub fn expose(&self) -> String {
        self.parts
            .iter()
            .map(|p| match p {
                Part::Plain(text) => text.as_str(),
                Part::Secret(secret) => secret.expose(),
            })
            .collect()
    }

    /// The text with a marker in place of each secret part.
    pub fn masked(&self) -> String {
        self.parts
            .iter()
            .map(|p| match p {
                Part::Plain(text) => text.as_str(),
                Part::Secret(_) => MASK,
            })
            .collect()
    }

    /// A function of the text: the result is secret as a whole if the text has a secret part.
    pub fn map(&self, f: impl FnOnce(&str) -> String) -> Text {
        let result = f(&self.expose());
        if self.is_sensitive() { Text::secret(Secret::new(result)) } else { Text::plain(result) }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::plain(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::plain(text)
    }
}

/// A configuration value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(Text),
    Array(Vec<Node>),
    Object(Vec<Member>),
    /// Known only while the build runs.
    Unknown,
}

/// A member of an object, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub span: Span,
}

impl Node {
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    pub fn members(&self) -> &[Member] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// The member with exactly this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|m| m.key == key).map(|m| &m.value)
    }

    pub fn as_text(&self) -> Option<&Text> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// The node at a JSON Pointer (RFC 6901), or the deepest node on the way to it.
    pub fn nearest_at(&self, pointer: &str) -> &Node {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Object(members) => members.iter().find(|m| m.key == token).map(|m| &m.value),
                Value::Array(items) => token.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return node,
            }
        }
        node
    }

    /// Where findings about an object as a whole point: its first character, not all of its lines. A block of HCL, whose
    /// place is its header, is pointed at by that, and other values by all of them.
    pub fn head(&self) -> Span {
        let range = self.span.range();
        let text = self.span.file().text().get(range.clone()).unwrap_or_default();
        match &self.value {
            Value::Object(_) if text.starts_with('{') => {
                Span::new(self.span.file(), range.start..range.start + 1)
            }
            _ => self.span.clone(),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
            Value::Unknown => "a value known only during the build",
        }
    }

    /// JSON with secrets in clear. Only for handing it to its destination.
    pub fn expose_json(&self) -> serde_json::Value {
        self.to_json(&|text| text.expose())
    }

    /// JSON in which each text is what `string` makes of it; unknown values are null.
    pub fn to_json(&self, string: &dyn Fn(&Text) -> String) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Unknown => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Number(n) => n.clone().into(),
            Value::String(text) => string(text).into(),
            Value::Array(items) => items.iter().map(|n| n.to_json(string)).collect(),
            Value::Object(members) => {
                members.iter().map(|m| (m.key.clone(), m.value.to_json(string))).collect()
            }
        }
    }
}
