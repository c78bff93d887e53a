//! Packs and unpacks again, with the readers of the same crates and with the system's programs where they are there.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    cancel: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), cancel: CancellationToken::new() }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }

    fn request(
        &self,
        sources: Vec<(&str, PathBuf)>,
        container: Container,
        compression: Compression,
        level: Option<u32>,
    ) -> Request {
        Request {
            sources: sources.into_iter().map(|(name, path)| (name.to_owned(), path)).collect(),
            target: self.dir.path().join("target"),
            parts: self.dir.path().to_owned(),
            container,
            compression,
            level,
        }
    }

    fn pack(&self, request: Request) -> PathBuf {
        request.check().expect("can be packed");
        let target = request.target.clone();
        request.run(&self.cancel).expect("packed");
        target
    }

    /// What a program of the system makes of the target; none where it is not installed.
    fn unpacked_by(&self, program: &[&str], target: &Path) -> Option<Vec<u8>> {
        match Command::new(program[0]).args(&program[1..]).stdin(File::open(target).expect("there")).output()
        {
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && told.is_empty(), "{program:?}: {told}");
                Some(output.stdout)
            }
            Err(error) => {
                eprintln!("SKIPPED: {program:?}: {error}");
                None
            }
        }
    }
}

/// Text that gets smaller, with parts that don't.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        let word = next();
        if (content.len() / 100_000).is_multiple_of(2) {
            content.extend_from_slice(format!("line {}\n", word % 1000).as_bytes());
        } else {
            content.extend_from_slice(&word.to_le_bytes());
        }
    }
    content.truncate(length);
    content
}

fn decoded(compression: Compression, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let read = match compression {
        Compression::None => (&packed[..]).read_to_end(&mut out),
        // One member: what follows it would be lost to many readers.
        Compression::Gzip => flate2::read::GzDecoder::new(packed).read_to_end(&mut out),
        Compression::Bgzf => flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut out),
        Compression::Zstd => zstd::Decoder::new(packed).expect("zstd").read_to_end(&mut out),
        Compression::Bzip2 => bzip2::read::BzDecoder::new(packed).read_to_end(&mut out),
        Compression::Xz => lzma_rust2::XzReader::new(packed, false).read_to_end(&mut out),
        Compression::Lz4 => lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut out),
    };
    read.expect("decoded");
    out
}

const CODECS: [(Compression, Option<&[&str]>); 7] = [
    (Compression::None, None),
    (Compression::Gzip, Some(&["gzip", "-dc"])),
    (Compression::Bgzf, Some(&["gzip", "-dc"])),
    (Compression::Zstd, Some(&["zstd", "-dcq"])),
    (Compression::Bzip2, Some(&["bzip2", "-dc"])),
    (Compression::Xz, Some(&["xz", "-dc"])),
    (Compression::Lz4, Some(&["lz4", "-dcq"])),
];

#[test]
fn every_codec_gives_back_what_it_got() {
    let bench = Bench::new();
    // Nothing, less than a block, exactly the blocks of bgzf and of a thread, and several of them.
    for length in [0, 1, 0xff00, 16 * 0xff00, 3_333_333] {
        let content = content(length);
        let source = bench.file("source", &content);
        for (compression, program) in CODECS {
            let target =
                bench.pack(bench.request(vec![("x", source.clone())], Container::Raw, compression, None));
            let packed = std::fs::read(&target).expect("there");
            assert_eq!(decoded(compression, &packed), content, "{compression:?} {length}");
            if length > 1_000_000 && compression != Compression::None {
                assert!(packed.len() < length * 9 / 10, "{compression:?}: {}", packed.len());
            }
            if let Some(unpacked) = program.and_then(|program| bench.unpacked_by(program, &target)) {
                assert!(unpacked == content, "{compression:?} {length}");
            }
        }
    }
}

#[test]
fn levels_are_taken_as_they_come() {
    let bench = Bench::new();
    // Lines alone: where the kind of data changes, small blocks are not worse.
    let content = content(99_999).repeat(3);
    let source = bench.file("source", &content);
    for (compression, _) in CODECS {
        let [fast, best, beyond] = [1, 9, 4_000_000_000].map(|level| {
            let request =
                bench.request(vec![("x", source.clone())], Container::Raw, compression, Some(level));
            let packed = std::fs::read(bench.pack(request)).expect("there");
            assert_eq!(decoded(compression, &packed), content, "{compression:?} {level}");
            packed.len()
        });
        assert!(best <= fast && beyond <= best, "{compression:?}: {fast} {best} {beyond}");
    }
}

#[test]
fn bgzf_blocks_say_how_long_they_are() {
    let bench = Bench::new();
    let source = bench.file("source", &content(200_000));
    let request = bench.request(vec![("x", source)], Container::Raw, Compression::Bgzf, Some(1));
    let packed = std::fs::read(bench.pack(request)).expect("there");
    let (mut at, mut blocks) = (0, 0);
    while at < packed.len() {
        assert_eq!(packed[at..at + 4], [0x1f, 0x8b, 8, 4]);
        assert_eq!(packed[at + 12..at + 16], [b'B', b'C', 2, 0]);
        let length = usize::from(u16::from_le_bytes([packed[at + 16], packed[at + 17]])) + 1;
        blocks += 1;
        at += length;
    }
    assert_eq!((at, blocks), (packed.len(), 200_000_usize.div_ceil(0xff00) + 1));
    let end = [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(packed.ends_with(&end));
}

/// Files, a folder with a file and a link in it.
fn tree(bench: &Bench) -> Vec<(&'static str, PathBuf)> {
    let one = bench.file("src/one.txt", b"one");
    bench.file("src/folder/inner.txt", b"inner");
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        std::fs::set_permissions(&one, std::fs::Permissions::from_mode(0o750)).expect("set");
        symlink("inner.txt", bench.dir.path().join("src/folder/link")).expect("linked");
        symlink("one.txt", bench.dir.path().join("src/named")).expect("linked");
    }
    let long = "long/".repeat(30) + "name";
    let long: &'static str = Box::leak(long.into_boxed_str());
    let at = |name: &str| bench.dir.path().join("src").join(name);
    vec![("one.txt", one.clone()), ("folder", at("folder")), ("copy", at("named")), (long, one)]
}

#[cfg(unix)]
#[test]
fn tar_holds_files_folders_and_links() {
    let bench = Bench::new();
    let sources = tree(&bench);
    let long = sources[3].0;
    let target = bench.pack(bench.request(sources, Container::Tar, Compression::Zstd, None));
    let packed = decoded(Compression::Zstd, &std::fs::read(target).expect("there"));
    let mut found = Vec::new();
    for entry in tar::Archive::new(&packed[..]).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("read");
        let header = entry.header();
        if let Some(target) = entry.link_name().expect("readable") {
            text = format!("-> {}", target.display());
        }
        let mode = header.mode().expect("a mode") & 0o777;
        found.push((entry.path().expect("a path").display().to_string(), text, mode));
    }
    let names: Vec<(&str, &str)> =
        found.iter().map(|(name, text, _)| (name.as_str(), text.as_str())).collect();
    let expected = [
        ("one.txt", "one"),
        ("folder/", ""),
        ("folder/inner.txt", "inner"),
        ("folder/link", "-> inner.txt"),
        ("copy", "one"),
        (long, "one"),
    ];
    assert_eq!(names, expected);
    assert_eq!(found[0].2, 0o750);
}

#[cfg(unix)]
#[test]
fn zip_holds_files_folders_and_links() {
    for compression in [Compression::None, Compression::Gzip] {
        let bench = Bench::new();
        let big = content(500_000);
        let mut sources = tree(&bench);
        sources.push(("big", bench.file("src/big", &big)));
        let long = sources[3].0;
        let target = bench.pack(bench.request(sources, Container::Zip, compression, Some(9)));
        let size = target.metadata().expect("there").len();
        assert_eq!(size > 500_000, compression == Compression::None, "{size}");
        let mut archive = zip::ZipArchive::new(File::open(&target).expect("there")).expect("a zip");
        let names: Vec<String> =
            archive.file_names().map(|name| name.expect("a name").into_owned()).collect();
        for name in ["one.txt", "folder/", "folder/inner.txt", "folder/link", "copy", long, "big"] {
            assert!(names.contains(&name.to_owned()), "{name}: {names:?}");
        }
        let mut read = |name: &str| {
            let mut content = Vec::new();
            archive.by_name(name).expect("there").read_to_end(&mut content).expect("read");
            content
        };
        assert_eq!(read("big"), big);
        assert_eq!(read("folder/inner.txt"), b"inner");
        assert_eq!(read("copy"), b"one");
        assert_eq!(archive.by_name("one.txt").expect("there").unix_mode().map(|m| m & 0o777), Some(0o750));
        if let Some(told) = bench.unpacked_by(&["unzip", "-tqq", &target.display().to_string()], &target) {
            assert!(told.is_empty());
        }
    }
}

#[test]
fn an_archive_of_nothing_is_one() {
    let bench = Bench::new();
    let target = bench.pack(bench.request(Vec::new(), Container::Tar, Compression::Gzip, None));
    let packed = decoded(Compression::Gzip, &std::fs::read(target).expect("there"));
    assert_eq!(tar::Archive::new(&packed[..]).entries().expect("a tar").count(), 0);
    let target = bench.pack(bench.request(Vec::new(), Container::Zip, Compression::Gzip, None));
    assert!(zip::ZipArchive::new(File::open(target).expect("there")).expect("a zip").is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bench = Bench::new();
    let file = bench.file("f", b"x");
    let folder = bench.dir.path().to_owned();
    let cases = [
        (vec![], Container::Raw, Compression::Gzip, false),
        (vec![("a", file.clone()), ("b", file.clone())], Container::Raw, Compression::Gzip, false),
        (vec![("a", folder)], Container::Raw, Compression::None, false),
        (vec![("a", file.clone())], Container::Zip, Compression::Xz, true),
        (vec![("../a", file.clone())], Container::Tar, Compression::None, false),
        (vec![("/a", file.clone())], Container::Zip, Compression::None, false),
        (vec![("", file)], Container::Tar, Compression::None, false),
    ];
    for (sources, container, compression, unsupported) in cases {
        let refusal = bench.request(sources, container, compression, None).check().expect_err("refused");
        assert_eq!(refusal.unsupported, unsupported, "{}", refusal.reason);
    }
}

#[test]
fn a_cancelled_or_failed_run_leaves_nothing() {
    let bench = Bench::new();
    let source = bench.file("src/f", &content(5_000_000));
    bench.cancel.cancel();
    for (compression, _) in CODECS {
        for container in [Container::Raw, Container::Tar] {
            let request = bench.request(vec![("x", source.clone())], container, compression, None);
            assert!(request.run(&bench.cancel).is_err(), "{compression:?}");
        }
    }
    let request = bench.request(vec![("x", source)], Container::Zip, Compression::Gzip, None);
    assert!(request.run(&bench.cancel).is_err());
    let missing = bench.dir.path().join("missing");
    let request = bench.request(vec![("x", missing)], Container::Tar, Compression::Gzip, None);
    let error = request.run(&CancellationToken::new()).expect_err("missing");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let left: Vec<_> = std::fs::read_dir(bench.dir.path()).expect("there").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// A writer that fails ends the threads as well.
#[test]
fn blocks_end_when_the_output_fails() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let out = BufWriter::with_capacity(1, Full);
    let error = codec::compress(out, Compression::Bgzf, None, |out| out.write_all(&content(40_000_000)))
        .expect_err("full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
