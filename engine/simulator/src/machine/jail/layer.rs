//! Layers as tar streams: packing a captured one, unpacking a base, counting what a layer holds.
//!
//! The overlay's own marks (a device 0/0 for a deleted file, an attribute for a replaced folder) become those of image
//! layers, `.wh.NAME` and `.wh..wh..opq`, so that other tools can read the stream. Owners are those inside the jail.
//! Sockets and devices are left out.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::child::context;

/// Prefix of the name of an empty file that stands for a deleted one.
const WHITEOUT: &str = ".wh.";
/// Name of an empty file in a folder that replaces the one below it.
const OPAQUE: &str = ".wh..wh..opq";
/// Fast, and half the size.
const COMPRESSION: i32 = 1;

/// Writes a folder as a compressed tar stream.
pub fn pack(folder: &Path, output: File) -> io::Result<()> {
    let encoder = zstd::Encoder::new(BufWriter::new(output), COMPRESSION)?;
    let mut archive = tar::Builder::new(encoder);
    archive.follow_symlinks(false);
    let device = fs::metadata(folder)?.dev();
    pack_folder(&mut archive, folder, Path::new(""), device, &mut HashMap::new())?;
    let output = archive.into_inner()?.finish()?.into_inner().map_err(io::Error::from)?;
    output.sync_all()
}

type Links = HashMap<(u64, u64), PathBuf>;

fn pack_folder<W: io::Write>(
    archive: &mut tar::Builder<W>,
    root: &Path,
    inside: &Path,
    device: u64,
    links: &mut Links,
) -> io::Result<()> {
    let mut entries = fs::read_dir(root.join(inside))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = inside.join(entry.file_name());
        let path = entry.path();
        let meta = entry.metadata()?;
        let kind = meta.file_type();
        if kind.is_char_device() && meta.rdev() == 0 {
            let mark = format!("{WHITEOUT}{}", entry.file_name().to_string_lossy());
            append_mark(archive, &inside.join(mark))?;
        } else if kind.is_dir() {
            archive.append_path_with_name(&path, &name)?;
            if is_opaque(&path) {
                append_mark(archive, &name.join(OPAQUE))?;
            }
            // What is mounted in the folder is no part of it.
            if meta.dev() == device {
                pack_folder(archive, root, &name, device, links)?;
            }
        } else if kind.is_file() && meta.nlink() > 1 {
            match links.get(&(meta.dev(), meta.ino())) {
                Some(first) => {
                    let mut header = tar::Header::new_gnu();
                    header.set_metadata(&meta);
                    header.set_entry_type(tar::EntryType::Link);
                    header.set_size(0);
                    archive.append_link(&mut header, &name, first)?;
                }
                None => {
                    links.insert((meta.dev(), meta.ino()), name.clone());
                    archive.append_path_with_name(&path, &name)?;
                }
            }
        } else if kind.is_file() || kind.is_symlink() || kind.is_fifo() {
            archive.append_path_with_name(&path, &name)?;
        }
    }
    Ok(())
}

fn append_mark<W: io::Write>(archive: &mut tar::Builder<W>, name: &Path) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    archive.append_data(&mut header, name, io::empty())
}

fn is_opaque(folder: &Path) -> bool {
    let mut value = [0_u8; 8];
    matches!(rustix::fs::lgetxattr(folder, "user.overlay.opaque", &mut value), Ok(1..) if value[0] == b'y')
}

/// A tar stream, compressed with zstd or not.
fn open(file: File) -> io::Result<tar::Archive<Box<dyn Read>>> {
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let reader: Box<dyn Read> = match io::BufRead::fill_buf(&mut file)? {
        [0x28, 0xB5, 0x2F, 0xFD, ..] => Box::new(zstd::Decoder::with_buffer(file)?),
        [0x1F, 0x8B, ..] | [0xFD, b'7', b'z', ..] | [b'B', b'Z', b'h', ..] => {
            return Err(io::Error::other(
                "the tarball is compressed with something else than zstd; unpack it (gunzip, unxz) or compress it with \
                 zstd",
            ));
        }
        _ => Box::new(file),
    };
    Ok(tar::Archive::new(reader))
}

/// Unpacks a root file system; devices, which no jail may make, are left out.
pub fn unpack(file: File, folder: &Path) -> io::Result<()> {
    let mut archive = open(file)?;
    archive.set_preserve_ownerships(true);
    archive.set_preserve_permissions(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_character_special()
            || entry.header().entry_type().is_block_special()
        {
            continue;
        }
        let name = entry.path()?.into_owned();
        entry.unpack_in(folder).map_err(|error| context(&format!("unpacking {}", name.display()), error))?;
    }
    Ok(())
}

/// What a packed layer changes in the layers below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: u64,
    pub changed: u64,
    pub deleted: u64,
}

/// Counts the files (not folders) that a packed layer adds, changes and deletes.
pub fn changes(packed: &Path, below: &[PathBuf]) -> io::Result<Changes> {
    let mut archive = open(File::open(packed)?)?;
    let mut changes = Changes::default();
    for entry in archive.entries()? {
        let entry = entry?;
        let name = entry.path()?.into_owned();
        let file = name.file_name().unwrap_or_default().to_string_lossy();
        if file == OPAQUE || entry.header().entry_type().is_dir() {
            continue;
        }
        if file.starts_with(WHITEOUT) {
            changes.deleted += 1;
        } else if below.iter().any(|layer| layer.join(&name).symlink_metadata().is_ok()) {
            changes.changed += 1;
        } else {
            changes.added += 1;
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_survives_the_way_through_a_stream() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("from/etc/deep")).unwrap();
        fs::create_dir(at("to")).unwrap();
        fs::write(at("from/etc/a"), "alpha").unwrap();
        fs::set_permissions(at("from/etc/a"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::hard_link(at("from/etc/a"), at("from/etc/z")).unwrap();
        std::os::unix::fs::symlink("/nowhere", at("from/link")).unwrap();
        pack(&at("from"), File::create(at("layer")).unwrap()).unwrap();
        fs::create_dir(at("below")).unwrap();
        fs::write(at("below/link"), "").unwrap();
        assert_eq!(
            changes(&at("layer"), &[at("below")]).unwrap(),
            Changes { added: 2, changed: 1, deleted: 0 }
        );
        unpack(File::open(at("layer")).unwrap(), &at("to")).unwrap();
        let meta = fs::metadata(at("to/etc/z")).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o640, 2));
        assert_eq!(fs::read_link(at("to/link")).unwrap(), Path::new("/nowhere"));
    }

    #[test]
    fn other_compressions_are_refused_with_advice() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("x.tar.gz");
        fs::write(&path, [0x1F, 0x8B, 8, 0]).unwrap();
        let error = unpack(File::open(&path).unwrap(), scratch.path()).unwrap_err().to_string();
        assert!(error.contains("zstd"), "{error}");
    }
}
