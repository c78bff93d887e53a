//! The post-processor `artifice`: replaces the files of the artifact by others that are found on the machine that runs the
//! build, usually made by a provisioner or post-processor before it.

use std::collections::HashSet;

use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::say;

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub files: Vec<String>,
}

/// The post-processor.
pub struct Artifice;

impl PostProcessor for Artifice {
    const NAME: &'static str = "artifice";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Replaces the files of the artifact by others")
            .docs(include_str!("../README.md"))
            .options(
                &["files"],
                json!({
                    "files": {"type": "array", "items": {"type": "string", "minLength": 1, "x-host-glob": true},
                        "minItems": 1,
                        "description": "Paths or patterns (`*`, `?`, `[a-z]`), relative to the current folder."}
                }),
            )
            .example(json!({"files": ["out/*.vhd", "out/notes.txt"]}))
            .example(json!({"files": ["release.tar.gz"]}))
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let mut found = Vec::new();
        for pattern in &config.files {
            let paths = files::find(pattern)
                .map_err(|error| error.context(format!("The files of {pattern} can't be found")))?;
            if paths.is_empty() {
                say(format!("No file matches {pattern}"));
            }
            found.push(paths);
        }
        let found = without_repeats(found.concat());
        if found.is_empty() {
            return Err(nothing(&config.files));
        }
        let dropped = input.info().file_names;
        if !dropped.is_empty() {
            say(format!("Discarding files from artifact: {}", dropped.join(", ")));
        }
        say(format!("Using these artifact files: {}", found.join(", ")));
        let artifact = NewArtifact {
            id: String::new(),
            kind: "packer.post-processor.artifice".into(),
            description: format!("Created artifact from files: {}", found.join(", ")),
            metadata: "{}".into(),
            files: found.into_iter().map(NewFile::Existing).collect(),
        };
        Ok(Processed { artifact: Some(artifact), input: KeepPolicy::Keep })
    }
}

/// Each path where it comes first.
pub fn without_repeats(mut paths: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths
}

/// The text for an artifact that would have no files.
pub fn nothing(patterns: &[String]) -> Error {
    Error::new(
        ErrorCode::NotFound,
        format!(
            "No file matches {}. The files must be there when artifice runs; paths are relative to the folder in \
             which the build was started",
            patterns.join(", ")
        ),
    )
}

fornax_plugin_sdk::export_post_processors!("fornax/artifice": Artifice);
