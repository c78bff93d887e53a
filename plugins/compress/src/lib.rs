//! The post-processor `compress`: packs the files of the artifact into one, whose name says how. The host packs; what the
//! name means and which entries the archive has is decided in modules that call no import.

pub mod entries;
pub mod format;

use format::Format;
use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{render, say};

/// The file without the option `output`.
pub const DEFAULT_OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}";
/// The best level of the option `compression_level`.
const BEST: i64 = 9;

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub output: Option<String>,
    pub format: Option<String>,
    pub compression_level: Option<i64>,
}

impl Config {
    /// The template of the file's path.
    pub fn output(&self) -> &str {
        self.output.as_deref().filter(|path| !path.is_empty()).unwrap_or(DEFAULT_OUTPUT)
    }

    /// The level for the host; none is the codec's usual one.
    pub fn level(&self) -> Option<u32> {
        let level = self.compression_level.filter(|level| *level > 0)?.min(BEST);
        u32::try_from(level).ok()
    }
}

/// The post-processor.
pub struct Compress;

impl PostProcessor for Compress {
    const NAME: &'static str = "compress";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Packs the files of the artifact into an archive")
            .docs(include_str!("../README.md"))
            .options(
                &[],
                json!({
                    "output": {"type": "string", "default": DEFAULT_OUTPUT,
                        "x-template": true, "x-host-output": true,
                        "description": "The file to write; its last extensions say how. `{{.BuildName}}` and \
                                        `{{.BuilderType}}` are known in it."},
                    "format": {"type": "string",
                        "description": "How to pack if the name of the file does not say it: tar, zip, gz, lz4, bgzf, \
                                        xz, bzip2, or tar and one of the codecs (tar.gz)."},
                    "compression_level": {"type": "integer", "default": -1,
                        "description": "1 (fast) to 9 (small); -1 and 0 leave it to the codec."}
                }),
            )
            .example(json!({"output": "{{.BuildName}}.tar.gz", "compression_level": 9}))
            .example(json!({"output": "image.vhd.xz"}))
            .example(json!({"output": "out/image", "format": "zip"}))
    }

    fn prepare(check: &mut Check) -> Result<()> {
        if let Some(level) = check.get("/compression_level").and_then(Value::as_i64) {
            let detail = "Levels go from 1 (fast) to 9 (small); -1 and 0 leave it to the codec.";
            if level < -1 {
                let summary = format!("The compression level {level} is not between -1 and 9");
                check.error("/compression_level", "compress/level", summary, detail);
            } else if level > BEST {
                let summary = format!("The compression level {level} counts as 9");
                check.warning("/compression_level", "compress/level-too-high", summary, detail);
            }
        }
        let format = check.text("/format").unwrap_or_default().to_owned();
        if !check.is_unknown("/format") && !check.is_unknown("/output") {
            let output = check.text("/output").unwrap_or(DEFAULT_OUTPUT).to_owned();
            let (at, text) = if format.is_empty() { ("/output", &output) } else { ("/format", &format) };
            let known = Format::named(&output, &format).is_some();
            if !known && let Some(ending) = format::misleading(text, !format.is_empty()) {
                check.warning(
                    at,
                    "compress/format-unknown",
                    format!("{ending:?} is not a known format: the file will be a tar archive with gzip"),
                    format!(
                        "Known are {}; each codec also after tar, such as tar.gz.",
                        format::KNOWN.join(", ")
                    ),
                );
            }
        }
        Ok(())
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let build = run::get_build_info();
        let values = [("BuildName", build.build_name.as_str()), ("BuilderType", build.builder_type.as_str())];
        let output = render(config.output(), &values)
            .map_err(|error| error.context("The option output can't be rendered"))?;
        let format = Format::detect(config.output(), &output, config.format.as_deref().unwrap_or_default());
        let names = input.info().file_names;
        let entries = entries::names(format.container, &names)?;
        let handles = (0..)
            .zip(&names)
            .map(|(index, name)| {
                input.file(index).map_err(|error| error.context(format!("Unable to read {name}")))
            })
            .collect::<Result<Vec<_>>>()?;
        let entries: Vec<_> = entries.into_iter().zip(&handles).collect();
        say(format!("Packing {} into {output} ({format})", counted(names.len())));
        let workspace = files::step_workspace()?;
        let failed = |error: Error| error.context(format!("Unable to create archive {output}"));
        let archive = workspace
            .pack(&entries, "archive", format.container, format.compression, config.level())
            .map_err(failed)?;
        let path = workspace.publish(&archive, &output, true).map_err(failed)?;
        say(format!("Archive {path} completed"));
        let artifact = NewArtifact {
            id: String::new(),
            kind: "packer.post-processor.compress".into(),
            description: format!("compressed artifacts in: {path}"),
            metadata: "{}".into(),
            files: vec![NewFile::Published(path)],
        };
        Ok(Processed { artifact: Some(artifact), input: KeepPolicy::Discard })
    }
}

fn counted(files: usize) -> String {
    match files {
        0 => "no files".into(),
        1 => "1 file".into(),
        n => format!("{n} files"),
    }
}

fornax_plugin_sdk::export_post_processors!("fornax/compress": Compress);
