//! Restarts of machines that answer from a list, with a clock that only waits move.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::*;

/// An answer of the machine to the command that contains the text.
enum Answer {
    Code(i32),
    Prints(&'static str),
    Disconnected,
    Fails(ErrorCode),
}

use Answer::{Code, Disconnected, Fails, Prints};

#[derive(Default)]
struct Lab {
    answers: RefCell<VecDeque<(&'static str, Answer)>>,
    /// What the last listed answer is followed by: this check code, for ever.
    forever: Option<i32>,
    reconnects: RefCell<Vec<bool>>,
    said: RefCell<Vec<String>>,
    clock: Cell<Duration>,
}

impl Lab {
    fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        Lab { answers: RefCell::new(answers.into_iter().collect()), ..Lab::default() }
    }
}

fn status(code: Option<i32>, disconnected: bool, stdout: &str) -> ExitStatus {
    ExitStatus {
        code,
        signal: String::new(),
        disconnected,
        stdout: stdout.into(),
        stderr: Vec::new(),
        truncated: false,
    }
}

impl World for Lab {
    fn exec(&self, request: &Request) -> Result<ExitStatus> {
        assert!(!request.limit.is_zero(), "a wait without an end");
        let Some((command, answer)) = self.answers.borrow_mut().pop_front() else {
            let code = self.forever.unwrap_or_else(|| panic!("nobody expected {}", request.command));
            return Ok(status(Some(code), false, ""));
        };
        assert!(request.command.contains(command), "{} instead of {command}", request.command);
        match answer {
            Code(code) => Ok(status(Some(code), false, "")),
            Prints(text) => Ok(status(Some(0), false, text)),
            Disconnected => Ok(status(None, true, "")),
            Fails(code) => Err(Error::new(code, "it failed")),
        }
    }

    fn reconnect(&self, expect_disconnect: bool, limit: Duration) -> Result<()> {
        assert!(!limit.is_zero());
        self.reconnects.borrow_mut().push(expect_disconnect);
        Ok(())
    }

    fn sleep(&self, time: Duration) -> Result<()> {
        self.clock.set(self.clock.get() + time);
        Ok(())
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn say(&self, text: &str) {
        self.said.borrow_mut().push(text.to_owned());
    }
}

const RESTART: &str = "packer restart\"";
const TRIAL: &str = "restart test";
const CHECKS: &str = "restarted.";

fn registry() -> Config {
    let registry_keys = Some(vec!["K1".to_owned(), "K2".to_owned()]);
    Config { check_registry: Some(true), registry_keys, ..Config::default() }
}

/// A name, the answers, the reconnects (whether a disconnect was expected), the seconds of waits.
type Case = (&'static str, Vec<(&'static str, Answer)>, &'static [bool], u64);

#[test]
fn ways_of_a_restart() {
    let cases: Vec<Case> = vec![
        ("the command takes the connection", vec![(RESTART, Disconnected), (CHECKS, Code(0))], &[false], 0),
        (
            "the trial takes it",
            vec![(RESTART, Code(0)), (TRIAL, Disconnected), (CHECKS, Code(0))],
            &[false],
            0,
        ),
        (
            "the trial can't be started",
            vec![(RESTART, Code(1190)), (TRIAL, Fails(ErrorCode::ConnectionLost)), (CHECKS, Code(0))],
            &[false],
            0,
        ),
        (
            "it goes down while asked",
            vec![(RESTART, Code(1115)), (TRIAL, Code(1)), (CHECKS, Code(0))],
            &[true],
            0,
        ),
        (
            "it takes its time to go down",
            vec![
                (RESTART, Code(0)),
                (TRIAL, Code(1115)),
                (TRIAL, Code(1717)),
                (TRIAL, Disconnected),
                (CHECKS, Code(0)),
            ],
            &[false],
            10,
        ),
        (
            "there is no restart any more",
            vec![(RESTART, Code(0)), (TRIAL, Code(0)), ("shutdown /a", Code(0)), (CHECKS, Code(0))],
            &[],
            0,
        ),
        (
            "the trial was over by itself",
            vec![(RESTART, Code(0)), (TRIAL, Code(0)), ("shutdown /a", Code(1116)), (CHECKS, Code(0))],
            &[],
            0,
        ),
        (
            "the check fails, and loses the connection, before it succeeds",
            vec![
                (RESTART, Disconnected),
                (CHECKS, Code(1)),
                (CHECKS, Disconnected),
                (CHECKS, Fails(ErrorCode::Timeout)),
                (CHECKS, Code(0)),
            ],
            &[false, false, false],
            15,
        ),
        (
            "the command can't be started at first",
            vec![(RESTART, Fails(ErrorCode::ConnectionLost)), (RESTART, Disconnected), (CHECKS, Code(0))],
            &[false],
            5,
        ),
    ];
    for (name, answers, reconnects, seconds) in cases {
        let lab = Lab::new(answers);
        restart(&Config::default(), &lab).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(*lab.reconnects.borrow(), reconnects, "{name}");
        assert_eq!(lab.clock.get(), Duration::from_secs(seconds), "{name}");
        assert!(lab.answers.borrow().is_empty(), "{name}");
        let said = [
            "Restarting Machine",
            "Waiting for machine to restart...",
            "Machine successfully restarted, moving on",
        ];
        assert_eq!(*lab.said.borrow(), said, "{name}");
    }
}

#[test]
fn the_registry_is_waited_for() {
    let asks = "Test-Path -LiteralPath 'K1','K2'";
    let lab = Lab::new([
        (RESTART, Disconnected),
        (CHECKS, Code(0)),
        (asks, Prints("False\r\nTrue\r\n")),
        (CHECKS, Code(0)),
        (asks, Prints("False\r\nTrue\r\n")),
        (CHECKS, Code(0)),
        (asks, Code(1)),
        (CHECKS, Code(0)),
        (asks, Prints("False\r\nFalse\r\n")),
    ]);
    restart(&registry(), &lab).unwrap();
    let said: Vec<_> = lab.said.borrow().iter().filter(|text| text.starts_with("Still")).cloned().collect();
    assert_eq!(
        said,
        [
            "Still waiting: a restart is pending, the registry has K2",
            "Still waiting: asking the registry ended with exit status 1",
        ]
    );
}

#[test]
fn failures() {
    for (answers, says) in [
        (vec![(RESTART, Code(5))], "Restart script exited with non-zero exit status: 5"),
        (
            vec![(RESTART, Code(0)), (TRIAL, Code(0)), ("shutdown /a", Code(5))],
            "can't be taken back: exit status 5",
        ),
        (vec![(RESTART, Fails(ErrorCode::Cancelled))], "it failed"),
        (vec![(RESTART, Disconnected), (CHECKS, Fails(ErrorCode::Denied))], "it failed"),
    ] {
        let error = restart(&Config::default(), &Lab::new(answers)).unwrap_err();
        assert!(error.message.contains(says), "{error:?}");
    }
}

#[test]
fn everything_ends_with_the_limit() {
    for (answers, code) in [
        (vec![(RESTART, Disconnected)], 1),
        (vec![(RESTART, Code(0)), (TRIAL, Code(1115))], 1115),
        (vec![(RESTART, Code(0)), (TRIAL, Code(5))], 9009),
    ] {
        let lab = Lab { forever: Some(code), ..Lab::new(answers) };
        let config = Config { restart_timeout: Some("1m".into()), ..Config::default() };
        let error = restart(&config, &lab).unwrap_err();
        assert_eq!(error.message, "Timeout waiting for machine to restart");
        assert!(error.is(ErrorCode::Timeout) && error.causes[0].contains(&code.to_string()), "{error:?}");
        assert_eq!(lab.clock.get(), Duration::from_secs(60));
    }
}
