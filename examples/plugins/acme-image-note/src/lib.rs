//! A post-processor of a third party: writes a text about the artifact to a file that the template names, and hands the
//! artifact on. It shows facts about artifact and build, files by handle, digests made by the host, and publishing.

use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::files::DigestAlgorithm;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{say, write_file};

/// The options of a step.
#[derive(Deserialize)]
struct Config {
    #[serde(default = "default_output")]
    output: String,
    #[serde(default)]
    heading: Option<String>,
}

fn default_output() -> String {
    "image-note.txt".into()
}

struct ImageNote;

impl PostProcessor for ImageNote {
    const NAME: &'static str = "acme-image-note";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Writes a note about the image that was built")
            .docs(
                "Writes build, artifact and the SHA-256 of each of its files to `output`, which is replaced.",
            )
            .options(
                &[],
                json!({
                    "output": {"type": "string", "default": "image-note.txt", "x-host-output": true,
                        "description": "The file to write."},
                    "heading": {"type": "string", "description": "The first line."}
                }),
            )
            .example(json!({"output": "notes/image.txt", "heading": "Golden image"}))
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let (build, info) = (run::get_build_info(), input.info());
        let mut note = format!("{}\n\n", config.heading.as_deref().unwrap_or("Image"));
        note.push_str(&format!("build: {} ({})\n", build.build_name, build.builder_type));
        note.push_str(&format!("artifact: {}\nkind: {}\n", info.id, info.kind));
        if build.simulated {
            note.push_str("simulated: no real cloud was behind this build\n");
        }
        for (index, name) in (0..).zip(&info.file_names) {
            let digest = input.file(index)?.digest(DigestAlgorithm::Sha256)?;
            note.push_str(&format!("file: {name} sha256:{digest}\n"));
        }
        let file = write_file("note.txt", note.as_bytes())?;
        let path = files::step_workspace()?.publish(&file, &config.output, true)?;
        say(format!("Wrote {path}"));
        Ok(Processed { artifact: None, input: KeepPolicy::Keep })
    }
}

fornax_plugin_sdk::export_post_processors!("acme/image-note": ImageNote);
