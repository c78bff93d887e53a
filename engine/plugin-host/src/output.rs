//! Output of commands as people see it: masked as a stream, cut into whole lines, right-trimmed, only what follows
//! the last carriage return, without control characters and escape sequences. Each chunk becomes at most one event,
//! so that many lines cost little.

use fornax_core::Redactor;
use fornax_core::event::{BuildEvents, OutputStream};
use fornax_core::secret::StreamRedactor;

/// A line longer than this is shown in pieces.
const LINE_LIMIT: usize = 64 * 1024;

/// Shows the output of one command.
pub struct Shown {
    events: BuildEvents,
    stdout: LineStream,
    stderr: LineStream,
}

struct LineStream {
    stream: OutputStream,
    redactor: StreamRedactor,
    partial: Vec<u8>,
}

impl Shown {
    pub fn new(events: &BuildEvents, redactor: &Redactor) -> Self {
        let line = |stream| LineStream { stream, redactor: redactor.stream(), partial: Vec::new() };
        Self {
            events: events.clone(),
            stdout: line(OutputStream::Stdout),
            stderr: line(OutputStream::Stderr),
        }
    }

    pub fn push(&mut self, stream: OutputStream, chunk: &[u8]) {
        let line = match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        };
        let masked = line.redactor.push(chunk);
        let lines = line.lines(&masked);
        self.events.output(stream, lines);
    }

    /// Shows what is left.
    pub fn finish(&mut self) {
        for line in [&mut self.stdout, &mut self.stderr] {
            let rest = line.redactor.finish();
            let mut lines = line.lines(&rest);
            if !line.partial.is_empty() {
                lines.push(clean(&std::mem::take(&mut line.partial)));
            }
            self.events.output(line.stream, lines);
        }
    }
}

impl LineStream {
    fn lines(&mut self, masked: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = masked;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (head, tail) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() {
                lines.push(clean(head));
            } else {
                self.partial.extend_from_slice(head);
                lines.push(clean(&std::mem::take(&mut self.partial)));
            }
            rest = tail;
        }
        self.partial.extend_from_slice(rest);
        while self.partial.len() > LINE_LIMIT {
            let tail = self.partial.split_off(LINE_LIMIT);
            lines.push(clean(&std::mem::replace(&mut self.partial, tail)));
        }
        lines
    }
}

/// One line for a terminal and a log.
pub fn clean(line: &[u8]) -> String {
    let line = line.trim_ascii_end();
    let line = line.iter().rposition(|b| *b == b'\r').map_or(line, |at| &line[at + 1..]);
    let text = String::from_utf8_lossy(line);
    if text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f || b == 0xc2) {
        strip_control(&text)
    } else {
        text.into_owned()
    }
}

/// The text without escape sequences and control characters other than tab and line end.
pub fn strip_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final character.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // OSC, DCS, SOS, PM, APC: up to BEL or ST.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}'
                            || c == '\u{9c}'
                            || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some())
                        {
                            break;
                        }
                    }
                }
                // Charset selection takes one more character.
                Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
                    chars.next();
                }
                _ => {}
            },
            '\t' | '\n' => out.push(c),
            // Bidirectional overrides can make a line look like another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fornax_core::Secret;
    use fornax_core::event::{Event, EventSink};

    use super::*;

    #[derive(Default)]
    struct Sink(Mutex<Vec<(OutputStream, Vec<String>)>>);

    impl EventSink for Sink {
        fn emit(&self, event: Event) {
            if let Event::Output { stream, lines, .. } = event {
                self.0.lock().expect("no panic").push((stream, lines));
            }
        }
    }

    #[test]
    fn cleans_lines() {
        for (line, shown) in [
            (&b"plain"[..], "plain"),
            (b"trim  \t\r", "trim"),
            (b"10%\r20%\r30%", "30%"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link", "link"),
            (b"a\tb", "a\tb"),
            (b"bell\x07\x08", "bell"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("ä€".as_bytes(), "ä€"),
            ("a\u{9b}31mb\u{202e}c".as_bytes(), "a31mbc"),
        ] {
            assert_eq!(clean(line), shown);
        }
    }

    #[test]
    fn whole_lines_in_order_and_masked() {
        let sink = Arc::new(Sink::default());
        let redactor = Redactor::new();
        redactor.register(&Secret::new("hunter2secret"));
        let mut shown = Shown::new(&BuildEvents::new(sink.clone(), "b"), &redactor);
        shown.push(OutputStream::Stdout, b"one\ntwo hunter");
        shown.push(OutputStream::Stderr, b"err\n");
        shown.push(OutputStream::Stdout, b"2secret\nlast");
        shown.finish();
        let events = sink.0.lock().expect("no panic");
        let of = |wanted| -> Vec<String> {
            events.iter().filter(|(s, _)| *s == wanted).flat_map(|(_, l)| l.clone()).collect()
        };
        assert_eq!(of(OutputStream::Stdout), ["one", "two <sensitive>", "last"]);
        assert_eq!(of(OutputStream::Stderr), ["err"]);
    }

    #[test]
    fn long_lines_are_cut() {
        let sink = Arc::new(Sink::default());
        let mut shown = Shown::new(&BuildEvents::new(sink.clone(), "b"), &Redactor::new());
        shown.push(OutputStream::Stdout, &vec![b'x'; 3 * LINE_LIMIT / 2]);
        shown.finish();
        let lines: Vec<usize> =
            sink.0.lock().expect("no panic").iter().flat_map(|(_, l)| l.iter().map(String::len)).collect();
        assert_eq!(lines, [LINE_LIMIT, LINE_LIMIT / 2]);
    }
}
