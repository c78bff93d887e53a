//! The registered secrets and the search for all of their forms in one pass.
//!
//! An automaton finds the heads of the forms; the rest of a form is compared where its head was found. So the size of
//! the automaton depends on the number of secrets, not on their length. Automata are built when something is masked
//! after a registration, and merged by size, so that many registrations cost little more than one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::forms::{Form, forms, is_short};
use super::stream::StreamRedactor;
use super::{MASK, Secret};

/// How many bytes of a form are searched by the automaton.
const HEAD: usize = 16;
/// Up to this many bytes of heads the automaton is a table: the fastest kind, and about 300 bytes for each byte.
const TABLE_LIMIT: usize = 4096;

/// How a registered value is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    Everywhere,
    /// It has fewer than four characters: only where no letter, digit or underscore adjoins it.
    Alone,
    /// It has no visible character.
    Never,
}

/// Masks all registered secrets in what leaves the process. Cheap to clone; clones share the registered secrets.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    /// Something was registered that the segments don't have yet.
    stale: AtomicBool,
    /// Counts changes of the segments; 0 while there are none.
    generation: AtomicU64,
    segments: RwLock<Vec<Arc<Segment>>>,
}

#[derive(Default)]
struct Known {
    secrets: HashSet<Secret>,
    pending: Vec<Secret>,
}

impl Redactor {
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a secret: from now on it and its encoded forms are masked.
    pub fn register(&self, secret: &Secret) -> Masking {
        let masking = match secret.expose() {
            value if value.trim().is_empty() => return Masking::Never,
            value if is_short(value) => Masking::Alone,
            _ => Masking::Everywhere,
        };
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.secrets.insert(secret.clone()) {
            known.pending.push(secret.clone());
            self.0.stale.store(true, Ordering::Release);
        }
        masking
    }

    /// The text with every registered secret masked.
    pub fn redact(&self, text: &str) -> String {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text.to_owned(),
            // Forms begin and end at characters, but for those that are made of ASCII only.
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        }
    }

    /// Bytes, such as a file or a whole output, with every registered secret masked.
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut found = Vec::new();
        for segment in self.segments().iter() {
            segment.scan(bytes, &[], true, &mut found);
        }
        if found.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let end = mask(bytes, found, 0, bytes.len(), &mut out);
        out.extend_from_slice(&bytes[end..]);
        Cow::Owned(out)
    }

    /// Where registered secrets stand in `bytes`: ranges in order that don't overlap.
    pub(crate) fn ranges(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for segment in self.segments().iter() {
            segment.scan(bytes, &[], true, &mut found);
        }
        found.sort_unstable();
        let mut ranges: Vec<(usize, usize)> = Vec::with_capacity(found.len());
        for (from, to) in found {
            match ranges.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => ranges.push((from, to)),
            }
        }
        ranges
    }

    /// Masks every string of a JSON value, names of members included.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                if let Cow::Owned(_) = self.redact_bytes(text.as_bytes()) {
                    *text = self.redact(text);
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.redact_json(item)),
            serde_json::Value::Object(members) => {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.redact_json(&mut value);
                        (self.redact(&key), value)
                    })
                    .collect();
            }
            // A number may be a secret too: a pin that a variable holds as text and a plugin gives back as a number.
            serde_json::Value::Number(number) => {
                let text = number.to_string();
                if text.len() < super::forms::SHORT {
                    return;
                }
                if let Cow::Owned(_) = self.redact_bytes(text.as_bytes()) {
                    *value = serde_json::Value::String(self.redact(&text));
                }
            }
            serde_json::Value::Bool(_) | serde_json::Value::Null => {}
        }
    }

    /// A masker for a stream of chunks.
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone())
    }

    /// The number of the present set of secrets; changes whenever the set does.
    pub(super) fn generation(&self) -> u64 {
        self.refresh();
        self.0.generation.load(Ordering::Acquire)
    }

    pub(super) fn segments(&self) -> RwLockReadGuard<'_, Vec<Arc<Segment>>> {
        self.refresh();
        self.0.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self) {
        if !self.0.stale.load(Ordering::Acquire) {
            return;
        }
        let mut segments = self.0.segments.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut forms: Vec<Arc<Form>> =
            known.pending.drain(..).flat_map(|secret| forms(secret.expose())).map(Arc::new).collect();
        if !forms.is_empty() {
            while let Some(last) = segments.pop_if(|last| last.forms.len() <= 2 * forms.len()) {
                forms.extend(last.forms.iter().cloned());
            }
            segments.push(Arc::new(Segment::new(forms)));
            self.0.generation.fetch_add(1, Ordering::AcqRel);
        }
        self.0.stale.store(false, Ordering::Release);
    }
}

/// Writes `bytes` up to `limit` with the found ranges masked; ranges that overlap become one mask. The first `masked`
/// bytes are covered by a mask that is written already. Returns where the last mask ends, which may be beyond `limit`.
pub(super) fn mask(
    bytes: &[u8],
    mut found: Vec<(usize, usize)>,
    masked: usize,
    limit: usize,
    out: &mut Vec<u8>,
) -> usize {
    found.sort_unstable();
    let mut end = masked;
    for (from, to) in found {
        if from >= limit {
            break;
        }
        if from >= end {
            out.extend_from_slice(&bytes[end..from]);
            out.extend_from_slice(MASK.as_bytes());
        }
        end = end.max(to);
    }
    end
}

/// Some of the forms and the automaton of their heads.
pub(super) struct Segment {
    automaton: Option<AhoCorasick>,
    /// For each head the forms that begin with it.
    tails: Vec<Vec<u32>>,
    /// Sorted by their bytes.
    forms: Vec<Arc<Form>>,
    longest: usize,
    any_alone: bool,
    /// Bit `a * 256 + b`: some form begins with the bytes a, b (or is the single byte a).
    beginnings: Box<[u64; 1024]>,
}

impl Segment {
    fn new(mut forms: Vec<Arc<Form>>) -> Self {
        forms.sort_by(|a, b| a.bytes.cmp(&b.bytes).then(a.alone.cmp(&b.alone)));
        forms.dedup_by(|a, b| a.bytes == b.bytes);
        let mut heads: Vec<&[u8]> = Vec::new();
        let mut tails: Vec<Vec<u32>> = Vec::new();
        let mut beginnings = Box::new([0u64; 1024]);
        for (index, form) in (0u32..).zip(&forms) {
            let head = &form.bytes[..form.bytes.len().min(HEAD)];
            if heads.last() != Some(&head) {
                heads.push(head);
                tails.push(Vec::new());
            }
            if let Some(tail) = tails.last_mut() {
                tail.push(index);
            }
            let first = usize::from(form.bytes[0]);
            match form.bytes.get(1) {
                Some(second) => set_bit(&mut beginnings, first * 256 + usize::from(*second)),
                None => (0..256).for_each(|second| set_bit(&mut beginnings, first * 256 + second)),
            }
        }
        let size: usize = heads.iter().map(|head| head.len()).sum();
        let kind = if size <= TABLE_LIMIT { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let build =
            |kind| AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(&heads).ok();
        let automaton = build(kind).or_else(|| build(AhoCorasickKind::NoncontiguousNFA));
        let longest = forms.iter().map(|form| form.bytes.len()).max().unwrap_or(0);
        let any_alone = forms.iter().any(|form| form.alone);
        Self { automaton, tails, forms, longest, any_alone, beginnings }
    }

    /// Adds the ranges of all forms in `bytes`. `before` is what preceded, at least the last character of it. Unless
    /// `at_end`, forms that need the character behind `bytes` to be judged are left out; [`Segment::partial`] is not
    /// behind them.
    pub fn scan(&self, bytes: &[u8], before: &[u8], at_end: bool, found: &mut Vec<(usize, usize)>) {
        let Some(automaton) = &self.automaton else {
            // Rather nothing than a secret: this is reached only if the automaton would have billions of states.
            found.push((0, bytes.len()));
            return;
        };
        for head in automaton.find_overlapping_iter(bytes) {
            let from = head.start();
            for form in self.tails[head.pattern().as_usize()].iter().map(|i| &self.forms[*i as usize]) {
                if bytes[from..].starts_with(&form.bytes) {
                    let to = from + form.bytes.len();
                    if !form.alone || stands_alone(bytes, before, from, to, at_end) == Some(true) {
                        found.push((from, to));
                    }
                }
            }
        }
    }

    /// The first position from which on `bytes` may be the beginning of a form that goes on behind them.
    pub fn partial(&self, bytes: &[u8]) -> usize {
        // A character more, for forms that have to stand alone.
        let reach = self.longest + if self.any_alone { 4 } else { 0 };
        let first = bytes.len().saturating_sub(reach.saturating_sub(1));
        (first..bytes.len())
            .find(|from| {
                let rest = &bytes[*from..];
                match rest {
                    [a] => {
                        let row = usize::from(*a) * 4;
                        self.beginnings[row..row + 4].iter().any(|bits| *bits != 0) && self.begins_form(rest)
                    }
                    [a, b, ..] => {
                        let bit = usize::from(*a) * 256 + usize::from(*b);
                        self.beginnings[bit / 64] >> (bit % 64) & 1 == 1 && self.begins_form(rest)
                    }
                    [] => false,
                }
            })
            .unwrap_or(bytes.len())
    }

    /// Whether `rest` is the beginning of a longer form, or a form that has to stand alone and whose next character is
    /// not known yet.
    fn begins_form(&self, rest: &[u8]) -> bool {
        let at = self.forms.partition_point(|form| form.bytes.as_slice() <= rest);
        if self.forms.get(at).is_some_and(|form| form.bytes.starts_with(rest)) {
            return true;
        }
        self.any_alone
            && (rest.len().saturating_sub(3)..=rest.len()).any(|length| {
                self.forms
                    .binary_search_by(|form| form.bytes.as_slice().cmp(&rest[..length]))
                    .is_ok_and(|at| self.forms[at].alone && starts_with_word(&rest[length..]).is_none())
            })
    }
}

fn set_bit(bits: &mut [u64; 1024], bit: usize) {
    bits[bit / 64] |= 1 << (bit % 64);
}

/// Whether no letter, digit or underscore adjoins the range. None if that depends on what follows `bytes`.
fn stands_alone(bytes: &[u8], before: &[u8], from: usize, to: usize, at_end: bool) -> Option<bool> {
    let left: Vec<u8> = before.iter().chain(&bytes[from.saturating_sub(4)..from]).copied().collect();
    if ends_with_word(&left) {
        return Some(false);
    }
    match starts_with_word(&bytes[to..]) {
        Some(word) => Some(!word),
        None => at_end.then_some(true),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn ends_with_word(bytes: &[u8]) -> bool {
    let start = (1..=bytes.len().min(4)).find(|n| bytes[bytes.len() - n] & 0xC0 != 0x80);
    start
        .and_then(|n| std::str::from_utf8(&bytes[bytes.len() - n..]).ok())
        .and_then(|text| text.chars().next_back())
        .is_some_and(is_word)
}

/// None if the first character is not complete.
fn starts_with_word(bytes: &[u8]) -> Option<bool> {
    let head = &bytes[..bytes.len().min(4)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(error) if error.error_len().is_none() => return None,
        Err(_) => return Some(false),
    };
    text.chars().next().map(is_word)
}
