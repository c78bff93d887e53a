//! gzip and bgzf on several threads. The input is cut into blocks that are deflated independently of each other and
//! written in order. gzip stays one member, as every reader expects it: the blocks end at byte borders and their sums
//! are combined. bgzf is a member for each block of at most 64 KiB, with its length in the header, and an empty one at
//! the end.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Input bytes of a bgzf block: what its length field can hold, even if it does not get smaller.
const BGZF: usize = 0xff00;
/// Input bytes that one thread gets at a time.
const BLOCK: usize = 16 * BGZF;

/// 10 bytes: magic, deflate, no flags, no time, no hint, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The same with an extra field `BC`, which holds the length of the member less 1.
const BGZF_HEADER: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0];
/// The last deflate block, empty.
const LAST: [u8; 2] = [3, 0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Gzip,
    Bgzf,
}

struct Job {
    input: Vec<u8>,
    done: SyncSender<io::Result<Block>>,
}

/// A deflated piece of the input.
struct Block {
    output: Vec<u8>,
    sum: Crc,
}

/// An encoder that holds a few blocks for each thread.
pub struct Blocks<W: Write> {
    out: W,
    format: Format,
    block: Vec<u8>,
    /// Results in the order of the input.
    pending: VecDeque<Receiver<io::Result<Block>>>,
    limit: usize,
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    sum: Crc,
}

impl<W: Write> Blocks<W> {
    pub fn new(mut out: W, format: Format, level: u32, threads: usize) -> io::Result<Self> {
        if format == Format::Gzip {
            out.write_all(&GZIP_HEADER)?;
        }
        let limit = threads + 1;
        let (jobs, queue) = sync_channel::<Job>(limit);
        let queue = Arc::new(Mutex::new(queue));
        let work = |queue: Arc<Mutex<Receiver<Job>>>| {
            move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job { input, done }) = job else { return };
                    // Nobody waits for it any more when packing was given up.
                    let _ = done.send(deflate(&input, format, level));
                }
            }
        };
        let threads = (0..threads)
            .map(|_| std::thread::Builder::new().name("pack".into()).spawn(work(Arc::clone(&queue))))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            out,
            format,
            block: Vec::with_capacity(BLOCK),
            pending: VecDeque::new(),
            limit,
            jobs: Some(jobs),
            threads,
            sum: Crc::new(),
        })
    }

    fn submit(&mut self) -> io::Result<()> {
        let input = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (done, result) = sync_channel(1);
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(Job { input, done }).map_err(|_| stopped())?;
        self.pending.push_back(result);
        if self.pending.len() > self.limit { self.write_next() } else { Ok(()) }
    }

    fn write_next(&mut self) -> io::Result<()> {
        let Some(result) = self.pending.pop_front() else { return Ok(()) };
        let block = result.recv().map_err(|_| stopped())??;
        self.sum.combine(&block.sum);
        self.out.write_all(&block.output)
    }

    /// Writes what is left and the end of the stream.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.write_next()?;
        }
        match self.format {
            Format::Gzip => {
                self.out.write_all(&LAST)?;
                self.out.write_all(&self.sum.sum().to_le_bytes())?;
                self.out.write_all(&self.sum.amount().to_le_bytes())
            }
            Format::Bgzf => self.out.write_all(&member(&LAST, &Crc::new())?),
        }
    }
}

impl<W: Write> Drop for Blocks<W> {
    fn drop(&mut self) {
        // Without a sender the threads end; each has at most a few blocks to go.
        self.jobs = None;
        self.pending.clear();
        for thread in self.threads.drain(..) {
            // A panic there is already an error here: its result never came.
            let _ = thread.join();
        }
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn stopped() -> io::Error {
    io::Error::other("a compressing thread ended early")
}

fn deflate(input: &[u8], format: Format, level: u32) -> io::Result<Block> {
    let mut sum = Crc::new();
    sum.update(input);
    if format == Format::Gzip {
        return Ok(Block { output: raw(input, level, FlushCompress::Sync)?, sum });
    }
    let mut output = Vec::with_capacity(input.len() / 2);
    for piece in input.chunks(BGZF) {
        let mut sum = Crc::new();
        sum.update(piece);
        let mut deflated = raw(piece, level, FlushCompress::Finish)?;
        if deflated.len() > BGZF + 5 {
            deflated = raw(piece, 0, FlushCompress::Finish)?;
        }
        output.extend_from_slice(&member(&deflated, &sum)?);
    }
    Ok(Block { output, sum })
}

/// A member of a bgzf file.
fn member(deflated: &[u8], sum: &Crc) -> io::Result<Vec<u8>> {
    let mut member = BGZF_HEADER.to_vec();
    let length = u16::try_from(BGZF_HEADER.len() + 2 + deflated.len() + 8 - 1)
        .map_err(|_| io::Error::other("a block did not get small enough"))?;
    member.extend_from_slice(&length.to_le_bytes());
    member.extend_from_slice(deflated);
    member.extend_from_slice(&sum.sum().to_le_bytes());
    member.extend_from_slice(&sum.amount().to_le_bytes());
    Ok(member)
}

fn raw(input: &[u8], level: u32, flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut codec = Compress::new(Compression::new(level), false);
    let mut output = Vec::with_capacity(input.len() / 2 + 1024);
    loop {
        let from = usize::try_from(codec.total_in()).unwrap_or(input.len()).min(input.len());
        let status = codec
            .compress_vec(&input[from..], &mut output, flush)
            .map_err(|e| io::Error::other(e.to_string()))?;
        let all_read = codec.total_in() == input.len() as u64;
        let room = output.len() < output.capacity();
        // A flush is complete when it left room in the output.
        match (status, flush) {
            (Status::StreamEnd, _) => return Ok(output),
            (_, FlushCompress::Sync) if all_read && room => return Ok(output),
            _ => output.reserve(output.capacity().max(4096)),
        }
    }
}
