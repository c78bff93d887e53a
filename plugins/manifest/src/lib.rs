//! The post-processor `manifest`: appends what was built to a JSON file, byte for byte as Packer writes it. The text is
//! made in a module that calls no import.

pub mod document;

use std::collections::BTreeMap;

use document::{Entry, File};
use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{read_to_string, write_file};

/// The file without the option `output`.
pub const DEFAULT_OUTPUT: &str = "packer-manifest.json";
/// A file larger than this is no manifest.
const LARGEST: usize = 32 << 20;

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub output: Option<String>,
    pub strip_path: Option<bool>,
    pub strip_time: Option<bool>,
    pub custom_data: Option<BTreeMap<String, String>>,
}

impl Config {
    /// The path of the manifest.
    pub fn output(&self) -> &str {
        self.output.as_deref().filter(|path| !path.is_empty()).unwrap_or(DEFAULT_OUTPUT)
    }
}

/// The post-processor.
pub struct Manifest;

impl PostProcessor for Manifest {
    const NAME: &'static str = "manifest";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Writes what was built to a JSON file")
            .docs(include_str!("../README.md"))
            .options(
                &[],
                json!({
                    "output": {"type": "string", "default": DEFAULT_OUTPUT, "x-host-output": true,
                        "description": "The file to which the entry is appended."},
                    "strip_path": {"type": "boolean", "default": false,
                        "description": "Write the names of files without their folders."},
                    "strip_time": {"type": "boolean", "default": false,
                        "description": "Leave out when the build was done, for the same bytes at every run."},
                    "custom_data": {"type": "object", "additionalProperties": {"type": "string"},
                        "description": "Texts of your own for the entry."}
                }),
            )
            .example(json!({"output": "manifest.json", "strip_path": true}))
            .example(json!({"custom_data": {"commit": "{{user `commit`}}"}}))
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let build = run::get_build_info();
        let entry = Entry {
            name: build.build_name,
            builder_type: build.builder_type,
            build_time: (config.strip_time != Some(true)).then(|| run::now_ms() / 1000),
            files: artifact_files(&input, config.strip_path == Some(true))?,
            artifact_id: input.info().id,
            packer_run_uuid: build.run_id,
            custom_data: config.custom_data.clone().filter(|data| !data.is_empty()),
            simulated: build.simulated,
        };
        append(config.output(), &entry, build.force)?;
        Ok(Processed { artifact: None, input: KeepPolicy::ForceKeep })
    }
}

fn artifact_files(input: &Artifact, strip_path: bool) -> Result<Option<Vec<File>>> {
    let mut files = Vec::new();
    for (index, name) in (0..).zip(&input.info().file_names) {
        let size = match input.file(index).and_then(|file| file.info()) {
            Ok(info) => info.size,
            // Another post-processor may have removed it; the artifact still names it.
            Err(error) if error.is(ErrorCode::NotFound) => 0,
            Err(error) => return Err(error.context(format!("The file {name} of the artifact can't be read"))),
        };
        files.push(File::new(name, size, strip_path));
    }
    Ok(Some(files).filter(|files| !files.is_empty()))
}

fn append(output: &str, entry: &Entry, force: bool) -> Result<()> {
    let _lock = files::lock_output(output)?;
    let existing = match files::open(output).and_then(|file| read_to_string(&file, LARGEST)) {
        Ok(text) => text,
        Err(error) if error.is(ErrorCode::NotFound) => String::new(),
        Err(error) => return Err(error.context(format!("Unable to read the manifest {output}"))),
    };
    let text = document::append(&existing, entry, force).map_err(|why| unusable(output, &why))?;
    let file = write_file("manifest.json", text.as_bytes())?;
    files::step_workspace()?
        .publish(&file, output, true)
        .map_err(|error| error.context(format!("Unable to write {output}")))?;
    Ok(())
}

/// The text for a file that is no manifest.
pub fn unusable(output: &str, why: &str) -> Error {
    Error::invalid(format!(
        "Unable to parse content from {output}: {why}. Nothing was written; move the file away or choose another output"
    ))
}

fornax_plugin_sdk::export_post_processors!("fornax/manifest": Manifest);
