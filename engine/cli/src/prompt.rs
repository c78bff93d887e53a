//! Asks the person at the terminal (`-on-error=ask`, `-debug`).

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;

use async_trait::async_trait;
use fornax_core::builder::Prompt;

use crate::reporter::Reporter;

/// Reads answers from standard input; there is nobody to ask where that is no terminal.
pub struct TerminalPrompt {
    /// Leaves the screen to the question while it is open.
    pub reporter: Arc<dyn Reporter>,
}

/// The reporter is held as long as this lives, also where nobody waits for the answer any more.
struct Held(Arc<dyn Reporter>);

impl Held {
    fn new(reporter: &Arc<dyn Reporter>) -> Self {
        reporter.hold(true);
        Self(reporter.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

#[async_trait]
impl Prompt for TerminalPrompt {
    async fn choose(&self, question: &str, choices: &[char]) -> Option<char> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let question = question.to_owned();
        let choices = choices.to_vec();
        let _held = Held::new(&self.reporter);
        tokio::task::spawn_blocking(move || ask(&question, &choices)).await.ok().flatten()
    }
}

fn ask(question: &str, choices: &[char]) -> Option<char> {
    loop {
        err!("{question} ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line).ok()? == 0 {
            return None;
        }
        match (line.trim().chars().next(), choices) {
            (_, []) => return Some(' '),
            (answer, [only]) if answer.is_none() || answer == Some(*only) => return Some(*only),
            (Some(answer), _) if choices.contains(&answer.to_ascii_lowercase()) => {
                return Some(answer.to_ascii_lowercase());
            }
            _ => {}
        }
    }
}
