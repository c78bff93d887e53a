//! How a command ends, and what it says then.

use fornax_core::Redactor;

/// Exit codes, a public interface: 0 done; 1 failed, nothing remains; 3 `fmt -check` found differences; 5 resources
/// may remain; 127 unknown command. 5 outranks the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Differences,
    Remains,
    UnknownCommand,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Differences => 3,
            Exit::Remains => 5,
            Exit::UnknownCommand => 127,
        }
    }
}

/// A command that could not do its work. The message is for people and has been masked.
#[derive(Debug)]
pub struct CliError {
    pub message: String,
    pub exit: Exit,
}

impl CliError {
    pub fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Failed }
    }

    /// The same with every registered secret masked.
    pub fn masked(self, redactor: &Redactor) -> Self {
        Self { message: redactor.redact(&self.message), ..self }
    }
}
