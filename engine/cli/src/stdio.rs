//! What the commands print. Whoever reads it may go away (`fornax docs shell | head`): that is no reason to stop what is
//! being done, and none to panic as the macros of the standard library do. Other failures end in an error.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// Why standard output could not be written for the first time.
static FAILURE: OnceLock<String> = OnceLock::new();

/// To standard output.
pub fn out(text: Arguments<'_>) {
    note(std::io::stdout().lock().write_fmt(text));
}

/// To standard error. If that fails there is nobody left to be told.
pub fn err(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Why what was printed did not get out, unless it is that nobody wanted to read it.
pub fn failure() -> Option<&'static str> {
    note(std::io::stdout().lock().flush());
    FAILURE.get().map(String::as_str)
}

fn note(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        FAILURE.get_or_init(|| error.to_string());
    }
}

/// As `println!`.
macro_rules! outln {
    ($($text:tt)*) => { crate::stdio::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `print!`.
macro_rules! out {
    ($($text:tt)*) => { crate::stdio::out(format_args!($($text)*)) };
}

/// As `eprintln!`.
macro_rules! errln {
    ($($text:tt)*) => { crate::stdio::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `eprint!`.
macro_rules! err {
    ($($text:tt)*) => { crate::stdio::err(format_args!($($text)*)) };
}
