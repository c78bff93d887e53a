//! What a command says, between the connection and its reader: ordered, batched, and bounded.
//!
//! The connection must never wait for a slow reader, for it carries other channels and the keep-alive requests too, and
//! the protocol's window is granted on receipt. So each channel is drained by a task of its own into this buffer. When
//! the buffer is full and **no other channel is open**, the task stops reading: the connection fills up and the command
//! is slowed down, which harms nobody. When another channel needs the connection, what comes is dropped instead, and a
//! line in the output says how much. A transfer's data is never dropped; there the reader is this machine's disk.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use fornax_core::communicator::{CommandEvent, ExitStatus};
use tokio::sync::{Notify, watch};

/// Bytes that wait for the reader at most, an allowance for each message included.
const CAPACITY: usize = 16 << 20;
/// What a queued message costs besides its bytes.
const OVERHEAD: usize = 128;
/// Messages are joined up to this size before the reader sees them.
const BATCH: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Stdout,
    Stderr,
}

/// What happens when the buffer is full and others need the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    Drop,
    Wait,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(Source, Bytes)>,
    size: usize,
    lost: u64,
    /// Nobody reads any more.
    discard: bool,
    ended: Option<ExitStatus>,
    told: bool,
}

pub(crate) struct Output {
    state: Mutex<State>,
    readable: Notify,
    room: Notify,
    overflow: Overflow,
    capacity: usize,
}

impl Output {
    pub fn new(overflow: Overflow) -> Self {
        Self::with_capacity(overflow, CAPACITY)
    }

    fn with_capacity(overflow: Overflow, capacity: usize) -> Self {
        Self { state: Mutex::default(), readable: Notify::new(), room: Notify::new(), overflow, capacity }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message in. `channels` counts the open channels of the connection.
    pub async fn push(&self, from: Source, data: Bytes, channels: &mut watch::Receiver<usize>) {
        loop {
            {
                let mut state = self.state();
                if state.discard {
                    return;
                }
                if state.size < self.capacity {
                    self.note_loss(&mut state);
                    state.size += data.len() + OVERHEAD;
                    state.queue.push_back((from, data));
                    drop(state);
                    self.readable.notify_one();
                    return;
                }
                if self.overflow == Overflow::Drop && *channels.borrow_and_update() > 1 {
                    state.lost += data.len() as u64;
                    return;
                }
            }
            tokio::select! {
                () = self.room.notified() => {}
                changed = channels.changed() => if changed.is_err() { return },
            }
        }
    }

    /// A line of our own about the command.
    pub fn note(&self, text: String) {
        let mut state = self.state();
        if !state.discard {
            state.size += text.len() + OVERHEAD;
            state.queue.push_back((Source::Stderr, text.into()));
        }
        drop(state);
        self.readable.notify_one();
    }

    fn note_loss(&self, state: &mut State) {
        if state.lost > 0 {
            let note = format!(
                "\n[{} bytes of output were dropped: they were not read in time, and the connection was needed]\n",
                state.lost
            );
            state.lost = 0;
            state.size += note.len() + OVERHEAD;
            state.queue.push_back((Source::Stderr, note.into()));
        }
    }

    /// Nothing more comes.
    pub fn end(&self, status: ExitStatus) {
        let mut state = self.state();
        if !state.discard {
            self.note_loss(&mut state);
        }
        state.ended.get_or_insert(status);
        drop(state);
        self.readable.notify_one();
    }

    /// Nobody reads any more: what waits and what comes is thrown away.
    pub fn discard(&self) {
        let mut state = self.state();
        state.discard = true;
        state.queue.clear();
        state.size = 0;
        drop(state);
        self.room.notify_one();
    }

    pub fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    /// The next piece; the exit status is the last. For one reader.
    pub async fn next(&self) -> Option<CommandEvent> {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.readable.notified().await;
        }
    }

    fn take(&self) -> Option<Option<CommandEvent>> {
        let mut state = self.state();
        let Some((from, first)) = state.queue.pop_front() else {
            let status = state.ended.clone()?;
            let told = std::mem::replace(&mut state.told, true);
            return Some((!told).then_some(CommandEvent::Exited(status)));
        };
        state.size -= first.len() + OVERHEAD;
        let mut data = first;
        let fits = |len: usize, state: &State| {
            state.queue.front().is_some_and(|(f, next)| *f == from && len + next.len() <= BATCH)
        };
        if fits(data.len(), &state) {
            let mut joined = BytesMut::with_capacity(BATCH.min(data.len() * 4));
            joined.extend_from_slice(&data);
            while fits(joined.len(), &state) {
                if let Some((_, next)) = state.queue.pop_front() {
                    state.size -= next.len() + OVERHEAD;
                    joined.extend_from_slice(&next);
                }
            }
            data = joined.freeze();
        }
        drop(state);
        self.room.notify_one();
        Some(Some(match from {
            Source::Stdout => CommandEvent::Stdout(data),
            Source::Stderr => CommandEvent::Stderr(data),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn text(event: Option<CommandEvent>) -> String {
        match event {
            Some(CommandEvent::Stdout(b)) => format!("out:{}", String::from_utf8_lossy(&b)),
            Some(CommandEvent::Stderr(b)) => format!("err:{}", String::from_utf8_lossy(&b)),
            Some(CommandEvent::Exited(s)) => format!("exit:{:?}", s.code),
            None => "none".into(),
        }
    }

    #[tokio::test]
    async fn messages_are_joined_in_order_and_the_status_comes_last_and_once() {
        let output = Output::new(Overflow::Drop);
        let (_count, mut channels) = watch::channel(1);
        for (from, data) in
            [(Source::Stdout, "a"), (Source::Stdout, "b"), (Source::Stderr, "c"), (Source::Stdout, "d")]
        {
            output.push(from, Bytes::from(data), &mut channels).await;
        }
        output.end(ExitStatus { code: Some(3), ..ExitStatus::default() });
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(text(output.next().await));
        }
        assert_eq!(seen, ["out:ab", "err:c", "out:d", "exit:Some(3)", "none", "none"]);
    }

    #[tokio::test]
    async fn alone_on_the_connection_a_slow_reader_loses_nothing() {
        let output = Arc::new(Output::with_capacity(Overflow::Drop, 1));
        let (_count, channels) = watch::channel(1);
        let writer = tokio::spawn({
            let (output, mut channels) = (output.clone(), channels);
            async move {
                for i in 0..100 {
                    output.push(Source::Stdout, Bytes::from(format!("{i}\n")), &mut channels).await;
                }
                output.end(ExitStatus::default());
            }
        });
        let mut all = String::new();
        while let Some(event) = output.next().await {
            if let CommandEvent::Stdout(data) = event {
                all.push_str(&String::from_utf8_lossy(&data));
            }
            tokio::task::yield_now().await;
        }
        writer.await.unwrap();
        assert_eq!(all, (0..100).map(|i| format!("{i}\n")).collect::<String>());
    }

    #[tokio::test]
    async fn a_stalled_reader_makes_room_for_others_and_the_loss_is_told() {
        let output = Arc::new(Output::with_capacity(Overflow::Drop, 1));
        let (count, channels) = watch::channel(1);
        let writer = tokio::spawn({
            let (output, mut channels) = (output.clone(), channels);
            async move {
                output.push(Source::Stdout, Bytes::from_static(b"kept"), &mut channels).await;
                output.push(Source::Stdout, Bytes::from_static(b"12345"), &mut channels).await;
                output.end(ExitStatus::default());
            }
        });
        tokio::task::yield_now().await;
        assert!(!writer.is_finished(), "full, and alone: it waits");
        count.send_replace(2);
        writer.await.unwrap();
        assert_eq!(text(output.next().await), "out:kept");
        assert!(text(output.next().await).contains("[5 bytes of output were dropped"));
    }

    #[tokio::test]
    async fn discarding_frees_whoever_waits() {
        let output = Arc::new(Output::with_capacity(Overflow::Wait, 1));
        let (_count, mut channels) = watch::channel(2);
        output.push(Source::Stdout, Bytes::from_static(b"x"), &mut channels).await;
        let waiting = output.push(Source::Stdout, Bytes::from_static(b"y"), &mut channels);
        let (_, ()) = tokio::join!(waiting, async { output.discard() });
        output.end(ExitStatus::default());
        assert_eq!(text(output.next().await), "exit:None");
    }
}
