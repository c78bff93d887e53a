//! The codecs: each wraps the output, gets what is written, and ends its stream.

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;

use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use super::blocks::{Blocks, Format};
use crate::bindings::host::fornax::plugin::files::Compression;

/// Output is written in pieces of this many bytes.
pub const BUFFER: usize = 256 * 1024;

/// Threads that compress blocks at most; each holds a few MiB.
const THREADS: usize = 8;

/// Writes to `out` what `content` writes, compressed.
pub fn compress<W: Write>(
    mut out: BufWriter<W>,
    compression: Compression,
    level: Option<u32>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let within = |usual: u32, best: u32| level.unwrap_or(usual).clamp(1, best);
    match compression {
        Compression::None => content(&mut out)?,
        Compression::Gzip | Compression::Bgzf => {
            let format = if compression == Compression::Gzip { Format::Gzip } else { Format::Bgzf };
            let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS);
            let mut encoder = Blocks::new(&mut out, format, within(6, 9), threads)?;
            content(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zstd => {
            let level = i32::try_from(within(3, 19)).unwrap_or(3);
            let mut encoder = zstd::Encoder::new(&mut out, level)?;
            content(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Bzip2 => {
            let level = bzip2::Compression::new(within(9, 9));
            let mut encoder = bzip2::write::BzEncoder::new(&mut out, level);
            content(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Xz => {
            let options = lzma_rust2::XzOptions::with_preset(within(6, 9));
            let mut encoder = lzma_rust2::XzWriter::new(&mut out, options)?;
            content(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Lz4 => {
            let info = FrameInfo::new().block_size(BlockSize::Max4MB).content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, &mut out);
            content(&mut encoder)?;
            encoder.finish()?;
        }
    }
    out.flush()
}
