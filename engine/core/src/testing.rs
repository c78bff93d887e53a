//! What tests of several modules need: a journal in memory, a sink that remembers, answers that are given in advance.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::builder::Prompt;
use crate::event::{BuildEvents, Event, EventSink};
use crate::journal::{Header, Journal, JournalStore};
use crate::secret::Redactor;

/// A journal in memory.
#[derive(Default)]
pub struct MemoryStore(Mutex<Vec<String>>);

impl MemoryStore {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        self.lines().iter().map(|line| format!("{line}\n")).collect()
    }
}

impl JournalStore for MemoryStore {
    fn append(&self, line: &str) -> io::Result<()> {
        self.0.lock().unwrap().push(line.to_owned());
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// Remembers all events.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    /// What people see, and the steps, in order.
    pub fn lines(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Say { message, .. } => Some(message),
                Event::Error { message, .. } => Some(format!("error: {message}")),
                Event::Warning { message, .. } => Some(format!("warning: {message}")),
                Event::StepStarted { step, .. } => Some(format!("> {step}")),
                Event::StepFinished { step, ending, duration, .. } => {
                    Some(format!("< {step} {ending:?} {}s", duration.as_secs()))
                }
                Event::ResourceCreated { id, .. } => Some(format!("+ {id}")),
                Event::ResourceDeleted { id, .. } => Some(format!("- {id}")),
                Event::ResourceRemains { id, error, .. } => Some(format!("! {id}: {error}")),
                _ => None,
            })
            .collect()
    }
}

impl EventSink for Recorder {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Gives the answers it was told; nobody is there when they are used up.
#[derive(Default)]
pub struct Answers {
    pub questions: Mutex<Vec<String>>,
    pub answers: Mutex<VecDeque<char>>,
}

impl Answers {
    pub fn new(answers: &str) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.chars().collect()), ..Self::default() })
    }
}

#[async_trait]
impl Prompt for Answers {
    async fn choose(&self, question: &str, choices: &[char]) -> Option<char> {
        self.questions.lock().unwrap().push(question.to_owned());
        if choices.is_empty() {
            return Some(' ');
        }
        self.answers.lock().unwrap().pop_front()
    }
}

pub fn journal() -> (Journal, Arc<MemoryStore>, Arc<Recorder>) {
    journal_with(Redactor::new())
}

pub fn journal_with(redactor: Redactor) -> (Journal, Arc<MemoryStore>, Arc<Recorder>) {
    let store = Arc::new(MemoryStore::default());
    let sink = Arc::new(Recorder::default());
    let events = BuildEvents::new(sink.clone(), "web");
    let header = Header { build_id: "b-1".into(), ..Header::default() };
    let journal = Journal::create(store.clone(), header, events, redactor).unwrap();
    (journal, store, sink)
}
