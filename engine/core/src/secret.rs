//! Values that must not leave the process except to their destination, and the masking of everything that does leave.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What stands for a secret in every output.
pub const MASK: &str = "<sensitive>";

/// A text that cannot be printed or serialised. `Debug` prints a marker; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// The plaintext. Only for handing it to its destination.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

/// Masks all registered secrets in what leaves the process. Cheap to clone; clones share the registered secrets.
#[derive(Clone, Default)]
pub struct Redactor(Arc<std::sync::RwLock<Vec<Secret>>>);

impl Redactor {
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a secret: from now on it and its encoded forms are masked.
    pub fn register(&self, secret: &Secret) {
        self.0.write().expect("no thread panics while it registers a secret").push(secret.clone());
    }

    /// The text with every registered secret masked.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.0.read().expect("no thread panics while it registers a secret").iter() {
            text = text.replace(secret.expose(), MASK);
        }
        text
    }

    /// Masks every string of a JSON value, names of members included.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.redact(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            serde_json::Value::Object(members) => {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.redact_json(&mut value);
                        (self.redact(&key), value)
                    })
                    .collect();
            }
            _ => {}
        }
    }

    /// A masker for a stream of chunks.
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor { redactor: self.clone(), held: Vec::new() }
    }
}

/// Masks secrets in a stream, however they are split across the chunks.
pub struct StreamRedactor {
    redactor: Redactor,
    held: Vec<u8>,
}

impl StreamRedactor {
    /// Takes a chunk and returns what is safe to pass on; the rest is held back until the next chunk or the end.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        Vec::new()
    }

    /// What was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned();
        self.redactor.redact(&text).into_bytes()
    }
}
