//! Making errors that people can act on. The error is the interface's own record, so that what the host reports
//! passes through `?` unchanged, causes and retryability included.

use crate::{Error, ErrorCode};

impl Error {
    /// An error of this kind. `message` is one sentence without a full stop.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), causes: Vec::new(), retryable: false }
    }

    /// The configuration or a parameter is unusable.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::InvalidArgument, message)
    }

    /// A command that had to succeed did not.
    pub fn command(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::CommandFailed, message)
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::Other, message)
    }

    /// Says what was being done; what was the message becomes the first cause.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let cause = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, cause);
        self
    }

    /// Whether the error is of this kind.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::invalid(error.to_string())
    }
}

impl From<std::string::FromUtf8Error> for Error {
    fn from(error: std::string::FromUtf8Error) -> Self {
        Error::new(ErrorCode::Io, format!("not UTF-8 text: {}", error.utf8_error()))
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::other(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Error::other(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_cause_and_the_kind() {
        let error =
            Error::new(ErrorCode::NotFound, "no such file").context("Upload failed").context("step 2");
        assert_eq!(error.message, "step 2");
        assert_eq!(error.causes, ["Upload failed", "no such file"]);
        assert!(error.is(ErrorCode::NotFound));
    }
}
