//! Which root file system stands for which image, for machines that have one.
//!
//! A catalogue is a small JSON file:
//!
//! ```json
//! {
//!   "default": { "debootstrap": {} },
//!   "images": [
//!     { "image": "Debian:debian-11:*", "base": { "tarball": "bullseye.tar.zst" } },
//!     { "image": "Canonical:*:22_04*", "base": { "directory": "/srv/jammy" } }
//!   ],
//!   "bases": { "golden": { "debootstrap": { "packages": ["curl"] } } }
//! }
//! ```
//!
//! `images` are marketplace images, `publisher:offer:sku` with an optional `:version` and `*` for any text, the first
//! that fits wins; `bases` are the names that seeded images refer to. Paths are relative to the file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::machine::Base;

/// Where a root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseSource {
    /// Built by mmdebstrap from the host's own package sources.
    Debootstrap(Debootstrap),
    /// A tar file, plain or compressed with zstd.
    Tarball(PathBuf),
    /// An unpacked root file system; it is copied, so it stays as it is.
    Directory(PathBuf),
}

impl Default for BaseSource {
    fn default() -> Self {
        Self::Debootstrap(Debootstrap::default())
    }
}

/// What differs from the host's release and the usual packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Debootstrap {
    /// Release, for example `bookworm`; the host's where none is given.
    pub suite: Option<String>,
    /// Packages beside the usual ones.
    pub packages: Vec<String>,
}

/// Assigns root file systems to images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// For everything that is not listed.
    pub default: BaseSource,
    pub images: Vec<ImageEntry>,
    pub bases: BTreeMap<String, BaseSource>,
}

/// The root file system of some marketplace images.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEntry {
    pub image: String,
    pub base: BaseSource,
}

/// Why a catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("the catalogue {} cannot be read: {source}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", path.display())]
    Invalid {
        path: PathBuf,
        #[source]
        source: Box<CatalogueError>,
    },
    #[error("this is no catalogue: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error(
        "the catalogue entry {image:?} is no image; write publisher:offer:sku or publisher:offer:sku:version, with * \
         for any text"
    )]
    Pattern { image: String },
    #[error("no base is called {name:?} in the catalogue; it has {}", known(.names))]
    UnknownBase { name: String, names: Vec<String> },
}

fn known(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Catalogue {
    /// Reads the text of a catalogue; its paths stay as they are.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let catalogue: Self = serde_json::from_str(text)?;
        catalogue.check()?;
        Ok(catalogue)
    }

    /// Reads a catalogue file; its paths are relative to the file.
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CatalogueError::Read { path: path.to_owned(), source })?;
        let invalid = |source| CatalogueError::Invalid { path: path.to_owned(), source: Box::new(source) };
        let mut catalogue = Self::parse(&text).map_err(invalid)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let sources = catalogue.images.iter_mut().map(|entry| &mut entry.base);
        for source in sources.chain(catalogue.bases.values_mut()).chain([&mut catalogue.default]) {
            if let BaseSource::Tarball(path) | BaseSource::Directory(path) = source {
                *path = folder.join(&*path);
            }
        }
        Ok(catalogue)
    }

    /// A catalogue with one root file system for every image.
    pub fn of(source: BaseSource) -> Self {
        Self { default: source, ..Self::default() }
    }

    fn check(&self) -> Result<(), CatalogueError> {
        let wrong = |entry: &&ImageEntry| !(3..=4).contains(&entry.image.split(':').count());
        match self.images.iter().find(wrong) {
            Some(entry) => Err(CatalogueError::Pattern { image: entry.image.clone() }),
            None => Ok(()),
        }
    }

    /// The root file system of an image that was not captured here.
    pub fn resolve(&self, base: &Base) -> Result<&BaseSource, CatalogueError> {
        match base {
            Base::Marketplace { publisher, offer, sku, version } => {
                let parts = [publisher, offer, sku, version];
                let fits = |entry: &&ImageEntry| {
                    entry.image.split(':').zip(parts).all(|(pattern, text)| matches(pattern, text))
                };
                Ok(self.images.iter().find(fits).map_or(&self.default, |entry| &entry.base))
            }
            Base::Seeded { base: Some(name), .. } => {
                self.bases.get(name).ok_or_else(|| CatalogueError::UnknownBase {
                    name: name.clone(),
                    names: self.bases.keys().cloned().collect(),
                })
            }
            Base::Seeded { base: None, .. } | Base::Captured { .. } => Ok(&self.default),
        }
    }
}

/// Whether a text fits a pattern with `*` for any text; case does not count, as in Azure's names.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_like_globs() {
        let cases = [
            ("*", "", true),
            ("Debian", "debian", true),
            ("debian-1*", "debian-12", true),
            ("*-gen2", "12-gen2", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("a*a", "a", false),
            ("12", "12-gen2", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_file_is_read_and_its_paths_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalogue.json");
        let text = r#"{
            "images": [
                { "image": "Debian:debian-11:*", "base": { "tarball": "old.tar.zst" } },
                { "image": "*:*:*:1.0.0", "base": { "directory": "/srv/one" } }
            ],
            "bases": { "golden": { "debootstrap": { "packages": ["curl"] } } }
        }"#;
        std::fs::write(&path, text).unwrap();
        let catalogue = Catalogue::load(&path).unwrap();
        let market = |publisher: &str, offer: &str, version: &str| Base::Marketplace {
            publisher: publisher.into(),
            offer: offer.into(),
            sku: "s".into(),
            version: version.into(),
        };
        let seeded =
            |base: Option<&str>| Base::Seeded { image_id: "i".into(), base: base.map(str::to_owned) };
        let cases = [
            (market("debian", "debian-11", "5"), BaseSource::Tarball(folder.path().join("old.tar.zst"))),
            (market("x", "y", "1.0.0"), BaseSource::Directory("/srv/one".into())),
            (market("x", "y", "2.0.0"), BaseSource::default()),
            (seeded(None), BaseSource::default()),
            (
                seeded(Some("golden")),
                BaseSource::Debootstrap(Debootstrap { suite: None, packages: vec!["curl".into()] }),
            ),
        ];
        for (base, expected) in cases {
            assert_eq!(catalogue.resolve(&base).unwrap(), &expected, "{base:?}");
        }
        let error = catalogue.resolve(&seeded(Some("gold"))).unwrap_err().to_string();
        assert!(error.contains("\"gold\"") && error.contains("golden"), "{error}");
    }

    #[test]
    fn mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.json");
        for (text, part) in [
            (r#"{ "imagez": [] }"#, "imagez"),
            (r#"{ "images": [{ "image": "Debian", "base": { "tarball": "x" } }] }"#, "\"Debian\""),
            (r#"{ "default": { "docker": "x" } }"#, "docker"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Catalogue::load(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
