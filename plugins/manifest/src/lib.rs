//! The post-processor `manifest`: appends the artifact to a JSON file, byte for byte as Packer writes it.

pub mod document;

use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{read_to_string, write_file};

/// A manifest larger than this is no manifest.
const LARGEST: usize = 64 << 20;

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    pub output: Option<String>,
    pub strip_path: bool,
    pub strip_time: bool,
    pub custom_data: Option<serde_json::Map<String, Value>>,
}

/// The post-processor.
pub struct Manifest;

impl PostProcessor for Manifest {
    const NAME: &'static str = "manifest";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Writes what was built to a JSON file")
            .docs("Appends an entry for the artifact to `output`. With `-force` the entries of older runs are dropped. A simulated artifact's entry ends with `\"simulated\": true`.")
            .options(
                &[],
                json!({
                    "output": {"type": "string", "default": "packer-manifest.json", "x-host-output": true, "description": "The file."},
                    "strip_path": {"type": "boolean", "default": false, "description": "Write file names without their folders."},
                    "strip_time": {"type": "boolean", "default": false, "description": "Leave the time of the build out."},
                    "custom_data": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Texts of your own for the entry."}
                }),
            )
            .example(json!({"output": "manifest.json", "strip_path": true}))
    }

    fn prepare(check: &mut Check) -> Result<()> {
        // The host opens only outputs that the configuration names, so the default has to be in it.
        if !check.is_set("/output") && !check.is_unknown("/output") {
            let mut config = check.config().clone();
            config["output"] = json!(document::DEFAULT_OUTPUT);
            check.normalize(config);
        }
        Ok(())
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let output = config.output.clone().unwrap_or_else(|| document::DEFAULT_OUTPUT.to_owned());
        let build = run::get_build_info();
        let info = input.info();
        let mut names = Vec::new();
        for index in 0..input.file_count() {
            let size = input.file(index)?.info()?.size;
            let name = info.file_names.get(index as usize).cloned().unwrap_or_default();
            names.push((name, size));
        }
        let entry = document::entry(
            &config,
            &build.build_name,
            &build.builder_type,
            run::now_ms() / 1000,
            &names,
            &info.id,
            &build.run_id,
            build.simulated,
        );
        let _lock = files::lock_output(&output)?;
        let existing = match files::open(&output) {
            Ok(file) => Some(read_to_string(&file, LARGEST)?),
            Err(error) if error.is(ErrorCode::NotFound) => None,
            Err(error) => return Err(error.context(format!("can't read {output}"))),
        };
        let text = document::append(existing.as_deref(), entry, &build.run_id, build.force)
            .map_err(|why| Error::invalid(format!("{output} is not a manifest: {why}; nothing was written. Move it away, or choose another \"output\"")))?;
        let file = write_file("manifest.json", text.as_bytes())?;
        files::step_workspace()?.publish(&file, &output, true)?;
        Ok(Processed { artifact: None, input: KeepPolicy::ForceKeep })
    }
}

fornax_plugin_sdk::export_post_processors!("fornax/manifest": Manifest);
