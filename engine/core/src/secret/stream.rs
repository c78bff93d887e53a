//! Masking of a stream that arrives in chunks. Only what may be the beginning of a secret is held back, so that output
//! is shown as it comes.

use std::sync::Arc;

use super::redactor::{Redactor, Segment, mask};

/// Masks secrets in a stream, however they are split across the chunks.
pub struct StreamRedactor {
    redactor: Redactor,
    generation: u64,
    segments: Vec<Arc<Segment>>,
    /// May be the beginning of a secret; shorter than the longest form of a secret and one character.
    held: Vec<u8>,
    /// So many bytes at the beginning of `held` are covered by a mask that is passed on already.
    masked: usize,
    /// The last bytes before `held`, at most four: enough for one character.
    before: Vec<u8>,
}

impl StreamRedactor {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            generation: 0,
            segments: Vec::new(),
            held: Vec::new(),
            masked: 0,
            before: Vec::new(),
        }
    }

    /// Takes a chunk and returns what is safe to pass on; the rest is held back until the next chunk or the end.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.advance(chunk, false)
    }

    /// What was held back. The next chunk begins a new stream.
    pub fn finish(&mut self) -> Vec<u8> {
        let rest = self.advance(&[], true);
        self.before.clear();
        rest
    }

    fn advance(&mut self, chunk: &[u8], at_end: bool) -> Vec<u8> {
        let generation = self.redactor.generation();
        if generation != self.generation {
            self.segments = self.redactor.segments().clone();
            self.generation = generation;
        }
        let mut held = std::mem::take(&mut self.held);
        let bytes: &[u8] = if held.is_empty() {
            chunk
        } else {
            held.extend_from_slice(chunk);
            &held
        };
        let mut found = Vec::new();
        let mut limit = bytes.len();
        for segment in &self.segments {
            segment.scan(bytes, &self.before, at_end, &mut found);
            if !at_end {
                limit = limit.min(segment.partial(bytes));
            }
        }
        let mut out = Vec::with_capacity(limit);
        let end = mask(bytes, found, self.masked, limit, &mut out);
        if end < limit {
            out.extend_from_slice(&bytes[end..limit]);
        }
        self.masked = end.saturating_sub(limit);
        let tail = &bytes[..limit];
        let keep = self.before.len().min(4usize.saturating_sub(tail.len()));
        self.before.drain(..self.before.len() - keep);
        self.before.extend_from_slice(&tail[tail.len().saturating_sub(4)..]);
        self.held = bytes[limit..].to_vec();
        out
    }
}
