//! The manifest as text, byte for byte as Packer writes it: order of keys, indentation, escapes, no final line end.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

/// A file of the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    pub name: String,
    pub size: u64,
}

impl File {
    /// A file under its name, or under the last part of it.
    pub fn new(name: &str, size: u64, strip_path: bool) -> Self {
        let shown = if strip_path { name.rsplit('/').next().unwrap_or(name) } else { name };
        File { name: shown.to_owned(), size }
    }
}

/// What the manifest says about one artifact, in the order in which it is written.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    pub name: String,
    pub builder_type: String,
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time: Option<u64>,
    /// `null` in place of an empty list.
    pub files: Option<Vec<File>>,
    pub artifact_id: String,
    pub packer_run_uuid: String,
    /// `null` in place of an empty map.
    pub custom_data: Option<BTreeMap<String, String>>,
    /// Only there, and true, where no real cloud was behind the build.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

/// The whole file with one more entry. With `force`, the entries of other runs are dropped. Entries that are there are
/// kept as they are, keys that this version does not know included. The error says why the file is no manifest.
pub fn append(existing: &str, entry: &Entry, force: bool) -> Result<String, String> {
    let run = &entry.packer_run_uuid;
    let mut builds = if existing.trim().is_empty() {
        Vec::new()
    } else {
        let mut old: Map<String, Value> =
            serde_json::from_str(existing).map_err(|error| error.to_string())?;
        let other_run = old.get("last_run_uuid").and_then(Value::as_str) != Some(run);
        match old.remove("builds") {
            Some(Value::Array(_)) if force && other_run => Vec::new(),
            Some(Value::Array(builds)) => builds,
            Some(Value::Null) => Vec::new(),
            _ => return Err("it has no list `builds`".into()),
        }
    };
    builds.push(serde_json::to_value(entry).map_err(|error| error.to_string())?);
    write(&json!({ "builds": builds, "last_run_uuid": run })).map_err(|error| error.to_string())
}

fn write(value: &Value) -> io::Result<String> {
    let mut text = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut text, Escaping(PrettyFormatter::new())))?;
    String::from_utf8(text).map_err(|error| io::Error::other(error.to_string()))
}

/// The indentation of serde_json with the escapes of Go, which makes JSON safe to stand in HTML.
struct Escaping(PrettyFormatter<'static>);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment.char_indices() {
            if matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                write!(writer, "{}\\u{:04x}", &fragment[from..at], u32::from(c))?;
                from = at + c.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[from..])
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
