//! The builders that need no cloud: `null` (a given host, or none) and `file` (a file with given content).

mod file;
mod null;
mod options;

pub use file::FileFactory;
pub use null::NullFactory;

#[cfg(test)]
mod tests;
