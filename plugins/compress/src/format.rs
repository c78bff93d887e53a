//! How a file is packed, decided by its name as Packer decides it: the last extension is the codec or the archive, `tar`
//! before a codec makes an archive of it, and what names nothing known is a tar archive with gzip. Packer looks at the
//! name before its template is rendered; a name that only says it afterwards is understood here as well.

use std::fmt;

use fornax_plugin_sdk::files::{Compression, Container};

/// The extensions with a meaning.
pub const KNOWN: [&str; 7] = ["tar", "zip", "gz", "lz4", "bgzf", "xz", "bzip2"];

/// Extensions that look as if they had one.
const LOOK_ALIKE: [&str; 13] =
    ["tgz", "tbz", "tbz2", "txz", "bz", "bz2", "lz", "lzma", "zst", "zstd", "gzip", "7z", "rar"];

/// Container and codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    pub container: Container,
    pub compression: Compression,
}

impl Format {
    /// For the template of the name, what became of it, and the option `format`.
    pub fn detect(template: &str, rendered: &str, format: &str) -> Format {
        let usual = Format { container: Container::Tar, compression: Compression::Gzip };
        let of_rendered = || {
            let last = rendered.rsplit('.').next().unwrap_or_default();
            if KNOWN.contains(&last) { Format::named(rendered, "") } else { None }
        };
        Format::named(template, format)
            .or_else(|| if format.is_empty() { of_rendered() } else { None })
            .unwrap_or(usual)
    }

    /// None where nothing known is named.
    pub fn named(output: &str, format: &str) -> Option<Format> {
        let text = if format.is_empty() { output.to_owned() } else { format!("{output}.{format}") };
        let extensions = extensions(&text);
        let last = extensions.last()?;
        let archive = extensions.len() > 1 && extensions[extensions.len() - 2] == "tar";
        let container = if archive { Container::Tar } else { Container::Raw };
        let compression = match *last {
            "tar" => return Some(Format { container: Container::Tar, compression: Compression::None }),
            // Entries of a zip archive are deflated, which is the codec of gzip.
            "zip" => return Some(Format { container: Container::Zip, compression: Compression::Gzip }),
            "gz" => Compression::Gzip,
            "lz4" => Compression::Lz4,
            "bgzf" => Compression::Bgzf,
            "xz" => Compression::Xz,
            "bzip2" => Compression::Bzip2,
            _ => return None,
        };
        Some(Format { container, compression })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = match self.compression {
            Compression::None => "no compression",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Lz4 => "lz4",
            Compression::Bgzf => "bgzf",
        };
        match self.container {
            Container::Raw => f.write_str(codec),
            Container::Tar => write!(f, "tar, {codec}"),
            Container::Zip => f.write_str("zip"),
        }
    }
}

/// Each run of small letters and digits after a dot, wherever it stands.
fn extensions(text: &str) -> Vec<&str> {
    let end = |part: &str| {
        part.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).unwrap_or(part.len())
    };
    text.split('.').skip(1).map(|part| &part[..end(part)]).filter(|part| !part.is_empty()).collect()
}

/// The ending of a text that nothing known is named by, where it looks as if it meant something. All of the option
/// `format` was meant.
pub fn misleading(text: &str, is_format: bool) -> Option<&str> {
    if is_format {
        return Some(text);
    }
    let (_, last) = text.rsplit_once('.')?;
    LOOK_ALIKE.contains(&last.to_ascii_lowercase().as_str()).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extensions_decide() {
        use Compression::{Bgzf, Bzip2, Gzip, Lz4, None as Plain, Xz};
        use Container::{Raw, Tar, Zip};
        for (output, format, container, compression) in [
            ("test", "", Tar, Gzip),
            ("test.zip", "", Zip, Gzip),
            ("test.tar", "", Tar, Plain),
            ("test.lz4", "", Raw, Lz4),
            ("test.gz", "", Raw, Gzip),
            ("test.xz", "", Raw, Xz),
            ("test.bgzf", "", Raw, Bgzf),
            ("test.bzip2", "", Raw, Bzip2),
            ("test.blah.bloo.blee.tar.lz4", "", Tar, Lz4),
            ("test.tar.gz", "", Tar, Gzip),
            ("test.tar.zip", "", Zip, Gzip),
            ("test.tar.bz2", "", Tar, Gzip),
            ("test.ZIP", "", Tar, Gzip),
            ("v1.2/test", "", Tar, Gzip),
            ("a.zip/test", "", Zip, Gzip),
            ("test", "zip", Zip, Gzip),
            ("test", "tar.xz", Tar, Xz),
            ("test.tar", "xz", Tar, Xz),
            ("test.zip", "gz", Raw, Gzip),
            ("test.zip", "odd", Tar, Gzip),
            ("packer_{{.BuildName}}_{{.BuilderType}}", "", Tar, Gzip),
            ("{{ build_name}}-{{ .BuildName }}-{{.BuilderType}}.gz", "", Raw, Gzip),
        ] {
            let expected = Format { container, compression };
            assert_eq!(Format::detect(output, output, format), expected, "{output} {format}");
        }
    }

    #[test]
    fn a_name_may_say_it_once_it_is_rendered() {
        let usual = Format { container: Container::Tar, compression: Compression::Gzip };
        let zip = Format { container: Container::Zip, compression: Compression::Gzip };
        assert_eq!(Format::detect("{{user `name`}}", "out.zip", ""), zip);
        assert_eq!(Format::detect("{{user `name`}}", "out.zip", "odd"), usual);
        assert_eq!(Format::detect("packer_{{.BuildName}}_{{.BuilderType}}", "packer_a.zip_file", ""), usual);
    }

    #[test]
    fn what_looks_like_a_format_is_told() {
        assert_eq!(misleading("x.tar.bz2", false), Some("bz2"));
        assert_eq!(misleading("x.TGZ", false), Some("TGZ"));
        assert_eq!(misleading("x.vhd", false), None);
        assert_eq!(misleading("x", false), None);
        assert_eq!(misleading("odd", true), Some("odd"));
    }
}
