//! The lines of [`LineReporter`] on a terminal, with a block of status lines below them: one a build, with the step
//! it is in, what is waited for, and for how long.

use std::fmt::Write as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fornax_core::event::{Event, EventSink, human_duration};
use indexmap::IndexMap;

use super::{LineReporter, Out, Reporter};

const REDRAW: Duration = Duration::from_millis(200);
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

pub struct LiveReporter {
    lines: LineReporter,
    shared: Arc<Shared>,
    ticker: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

struct Shared {
    out: Out,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    builds: IndexMap<String, Status>,
    /// How many status lines stand on the screen now.
    drawn: usize,
    frame: usize,
    /// A question is open: status lines would be drawn over it.
    held: bool,
    closed: bool,
}

struct Status {
    step: String,
    since: Instant,
    detail: String,
}

impl LiveReporter {
    pub fn new(out: Out, lines: LineReporter) -> Self {
        let shared = Arc::new(Shared { out, state: Mutex::default() });
        let (stop, stopped) = channel::<()>();
        let ticking = shared.clone();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                ticking.draw("");
            }
        });
        Self { lines, shared, ticker: Mutex::new(Some((stop, thread))) }
    }
}

impl Shared {
    /// Prints text above the status block and draws the block again, in one write.
    fn draw(&self, text: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed || (text.is_empty() && state.builds.is_empty() && state.drawn == 0) {
            if !text.is_empty() {
                self.out.write(text);
            }
            return;
        }
        let mut screen = String::new();
        for _ in 0..state.drawn {
            screen.push_str("\x1b[1A\x1b[2K");
        }
        screen.push_str(text);
        if state.held {
            state.drawn = 0;
            if !screen.is_empty() {
                self.out.write(&screen);
            }
            return;
        }
        state.frame += 1;
        let spinner = SPINNER[state.frame / 2 % SPINNER.len()];
        let width = terminal_width();
        for (build, status) in &state.builds {
            let mut line = format!("{spinner} {build}: {} ", status.step);
            let _ =
                write!(line, "({})", human_duration(Duration::from_secs(status.since.elapsed().as_secs())));
            if !status.detail.is_empty() {
                let _ = write!(line, " {}", status.detail);
            }
            screen.extend(line.chars().take(width.saturating_sub(1)));
            screen.push('\n');
        }
        state.drawn = state.builds.len();
        self.out.write(&screen);
    }

    fn note(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::BuildStarted { build, .. } => {
                let status = Status { step: "starting".into(), since: Instant::now(), detail: String::new() };
                state.builds.insert(build.clone(), status);
            }
            Event::StepStarted { build, step } => {
                if let Some(status) = state.builds.get_mut(build) {
                    *status = Status { step: step.clone(), since: Instant::now(), detail: String::new() };
                }
            }
            Event::Waiting { build, what, elapsed, limit } => {
                if let Some(status) = state.builds.get_mut(build) {
                    let limit = limit.map(|l| format!(" of {}", human_duration(l))).unwrap_or_default();
                    let elapsed = human_duration(Duration::from_secs(elapsed.as_secs()));
                    status.detail = format!("waiting for {what}, {elapsed}{limit}");
                }
            }
            Event::Progress { build, label, done, total } => {
                if let Some(status) = state.builds.get_mut(build) {
                    status.detail = match total {
                        Some(total) if *total > 0 => format!("{label}: {}%", done * 100 / total),
                        _ => format!("{label}: {} KiB", done / 1024),
                    };
                }
            }
            Event::BuildFinished { build, .. } => {
                state.builds.shift_remove(build);
            }
            _ => {}
        }
    }
}

fn terminal_width() -> usize {
    // A terminal that does not know its size says 0.
    let told = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if told == 0 { 80 } else { told }
}

impl EventSink for LiveReporter {
    fn emit(&self, event: Event) {
        self.shared.note(&event);
        if let Some(text) = self.lines.format(&event) {
            self.shared.draw(&text);
        }
    }
}

impl Reporter for LiveReporter {
    fn text(&self, text: &str) {
        self.shared.draw(text);
    }

    fn hold(&self, held: bool) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).held = held;
        self.shared.draw("");
    }

    fn close(&self) {
        if let Some((stop, thread)) = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(stop);
            let _ = thread.join();
        }
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let erase = "\x1b[1A\x1b[2K".repeat(state.drawn);
        state.drawn = 0;
        self.shared.out.write(&erase);
    }
}

impl Drop for LiveReporter {
    fn drop(&mut self) {
        self.close();
    }
}
