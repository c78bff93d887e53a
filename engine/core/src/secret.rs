//! Values that must not leave the process except to their destination, and the masking of everything that does leave:
//! whole texts and JSON by [`Redactor`], streams by [`StreamRedactor`], events by [`RedactingSink`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use zeroize::Zeroizing;

mod forms;
mod redactor;
mod sink;
mod stream;

pub use redactor::{Masking, Redactor};
pub use sink::RedactingSink;
pub use stream::StreamRedactor;

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

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expose().hash(state);
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

#[cfg(test)]
mod tests;
