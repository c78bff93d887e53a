//! The developers' log: `FORNAX_LOG` chooses what is written to standard error (`info`, `fornax_azure=debug`, …).
//! Every line passes the redactor, because a log leaves the process too.

use std::io::{self, Write};

use fornax_core::Redactor;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

struct Redacting(Redactor);

struct Line {
    redactor: Redactor,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = self.redactor.redact(&String::from_utf8_lossy(&self.text));
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

impl<'a> MakeWriter<'a> for Redacting {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { redactor: self.0.clone(), text: Vec::new() }
    }
}

/// Starts the log if `FORNAX_LOG` asks for one. A filter that can't be read is told, not ignored.
pub fn start(redactor: &Redactor) {
    let Some(filter) = std::env::var("FORNAX_LOG").ok().filter(|f| !f.is_empty() && f != "0") else { return };
    let filter = if filter == "1" { "debug".to_owned() } else { filter };
    match EnvFilter::try_new(&filter) {
        Ok(filter) => {
            let _ = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .with_writer(Redacting(redactor.clone()))
                .try_init();
        }
        Err(error) => errln!("FORNAX_LOG={filter} is not a log filter: {error}; try FORNAX_LOG=debug"),
    }
}
