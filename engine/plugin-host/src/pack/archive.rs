//! tar and zip archives. Folders go in with all that is in them, sorted, links in them as links; a file that is named
//! itself goes in with its content even where its name is a link.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;
use zip::write::SimpleFileOptions;

use super::codec::BUFFER;
use crate::copy::Source;

/// Folders within folders.
const DEPTH: usize = 128;

/// What stands in an archive under a name.
enum Entry<'a> {
    File(&'a mut Source),
    Folder(&'a Metadata),
    Link(&'a Metadata, PathBuf),
}

type Visit<'a> = &'a mut dyn FnMut(&str, Entry<'_>) -> io::Result<()>;

fn walk(sources: &[(String, PathBuf)], cancel: &CancellationToken, visit: Visit<'_>) -> io::Result<()> {
    for (name, path) in sources {
        let meta = path.metadata().map_err(|e| at(name, e))?;
        enter(name, path, &meta, cancel, DEPTH, visit)?;
    }
    Ok(())
}

fn enter(
    name: &str,
    path: &Path,
    meta: &Metadata,
    cancel: &CancellationToken,
    depth: usize,
    visit: Visit<'_>,
) -> io::Result<()> {
    if meta.is_symlink() {
        return visit(name, Entry::Link(meta, std::fs::read_link(path).map_err(|e| at(name, e))?));
    }
    if !meta.is_dir() {
        // A pipe or a device would never end.
        if !meta.is_file() {
            return Err(at(name, io::Error::other("it is neither a file nor a folder nor a link")));
        }
        let mut source = Source::open(path, cancel).map_err(|e| at(name, e))?;
        return visit(name, Entry::File(&mut source)).map_err(|e| at(name, e));
    }
    if depth == 0 {
        return Err(at(name, io::Error::other("folders are nested too deeply")));
    }
    visit(name, Entry::Folder(meta))?;
    let mut below = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>())
        .map_err(|e| at(name, e))?;
    below.sort();
    for file in below {
        let (path, name) = (path.join(&file), format!("{name}/{}", file.to_string_lossy()));
        let meta = path.symlink_metadata().map_err(|e| at(&name, e))?;
        enter(&name, &path, &meta, cancel, depth - 1, visit)?;
    }
    Ok(())
}

fn at(name: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

pub fn tar(out: &mut dyn Write, sources: &[(String, PathBuf)], cancel: &CancellationToken) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    walk(sources, cancel, &mut |name, entry| {
        let mut header = tar::Header::new_gnu();
        match entry {
            Entry::File(source) => {
                header.set_metadata(source.meta());
                archive.append_data(&mut header, name, source)
            }
            Entry::Folder(meta) => {
                header.set_metadata(meta);
                archive.append_data(&mut header, format!("{name}/"), io::empty())
            }
            Entry::Link(meta, target) => {
                header.set_metadata(meta);
                archive.append_link(&mut header, name, target)
            }
        }
    })?;
    archive.finish()
}

pub fn zip(
    out: &mut File,
    sources: &[(String, PathBuf)],
    deflate: bool,
    level: Option<u32>,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let method = if deflate { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    // Deflate can make a file larger than it is: the limit of the small records is left alone well before it.
    const LARGE: u64 = 0xf000_0000;
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .compression_level(level.filter(|_| deflate).map(|level| level.clamp(1, 9).into()));
    let mut archive = zip::ZipWriter::new(BufWriter::with_capacity(BUFFER, out));
    walk(sources, cancel, &mut |name, entry| match entry {
        Entry::File(source) => {
            let large = source.meta().len() >= LARGE;
            let options = options.large_file(large).unix_permissions(permissions(source.meta()));
            archive.start_file(name, options)?;
            source.copy_to(&mut archive)
        }
        Entry::Folder(meta) => Ok(archive.add_directory(name, options.unix_permissions(permissions(meta)))?),
        Entry::Link(_, target) => Ok(archive.add_symlink(name, target.to_string_lossy(), options)?),
    })?;
    archive.finish()?.flush()
}

#[cfg(unix)]
fn permissions(meta: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777
}

#[cfg(not(unix))]
fn permissions(meta: &Metadata) -> u32 {
    if meta.is_dir() { 0o755 } else { 0o644 }
}
