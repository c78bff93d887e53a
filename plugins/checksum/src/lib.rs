//! The post-processor `checksum`: appends the digests of the artifact's files to text files, in the form that `sha256sum`
//! and its like check. The host computes the digests. The text is made in a module that calls no import.

pub mod lines;

use fornax_plugin_sdk::artifacts::Artifact;
use fornax_plugin_sdk::files::{DigestAlgorithm, HostFile, HostWriter};
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::{render, say};
use lines::Appendix;

/// The file without the option `output`.
pub const DEFAULT_OUTPUT: &str = "packer_{{.BuildName}}_{{.BuilderType}}_{{.ChecksumType}}.checksum";

/// What the option `checksum_types` knows.
pub const TYPES: [(&str, DigestAlgorithm); 6] = [
    ("md5", DigestAlgorithm::Md5),
    ("sha1", DigestAlgorithm::Sha1),
    ("sha224", DigestAlgorithm::Sha224),
    ("sha256", DigestAlgorithm::Sha256),
    ("sha384", DigestAlgorithm::Sha384),
    ("sha512", DigestAlgorithm::Sha512),
];

/// The configuration of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub checksum_types: Option<Vec<String>>,
    pub output: Option<String>,
}

impl Config {
    /// The template of the file's path.
    pub fn output(&self) -> &str {
        self.output.as_deref().filter(|path| !path.is_empty()).unwrap_or(DEFAULT_OUTPUT)
    }

    /// The digests to compute; the error names one that is not known.
    pub fn types(&self) -> Result<Vec<(&str, DigestAlgorithm)>> {
        let Some(names) = &self.checksum_types else { return Ok(vec![TYPES[0]]) };
        names
            .iter()
            .map(|name| {
                TYPES.into_iter().find(|(known, _)| known == name).ok_or_else(|| {
                    Error::invalid(format!(
                        "Unrecognized checksum type: {name}. Known are {}",
                        TYPES.map(|(known, _)| known).join(", ")
                    ))
                })
            })
            .collect()
    }
}

/// The post-processor.
pub struct Checksum;

impl PostProcessor for Checksum {
    const NAME: &'static str = "checksum";
    type Config = Config;

    fn describe() -> Description {
        Description::new("Writes the checksums of the artifact's files")
            .docs(include_str!("../README.md"))
            .options(
                &[],
                json!({
                    "checksum_types": {"type": "array", "default": ["md5"],
                        "items": {"type": "string", "enum": TYPES.map(|(name, _)| name)},
                        "description": "The digests to compute: md5, sha1, sha224, sha256, sha384, sha512."},
                    "output": {"type": "string", "default": DEFAULT_OUTPUT,
                        "x-template": true, "x-host-output": true,
                        "description": "The file to which the lines are appended; `{{.BuildName}}`, `{{.BuilderType}}` \
                                        and `{{.ChecksumType}}` are known in it."}
                }),
            )
            .example(json!({"checksum_types": ["sha256"], "output": "SHA256SUMS"}))
            .example(json!({"checksum_types": ["md5", "sha512"], "output": "out/{{.BuildName}}.{{.ChecksumType}}"}))
    }

    fn prepare(check: &mut Check) -> Result<()> {
        let none = check.get("/checksum_types").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if none && !check.is_unknown("/checksum_types") {
            check.warning(
                "/checksum_types",
                "checksum/no-types",
                "No checksum types are given: nothing will be written",
                "Leave the option out for md5, or name types such as sha256.",
            );
        }
        Ok(())
    }

    fn process(config: Config, input: Artifact) -> Result<Processed> {
        let names = input.info().file_names;
        let mut appendices: Vec<Appendix> = Vec::new();
        for (name, algorithm) in config.types()? {
            let output = output_path(config.output(), name)?;
            for (index, file) in (0..).zip(&names) {
                let digest = input
                    .file(index)
                    .and_then(|handle| handle.digest(algorithm))
                    .map_err(|error| error.context(format!("Unable to compute {name} hash for {file}")))?;
                lines::add(&mut appendices, &output, &digest, file);
            }
        }
        if names.is_empty() {
            say("The artifact has no files: no checksums are written");
        }
        let mut files: Vec<NewFile> = (0..).zip(&names).map(|(index, _)| NewFile::Input(index)).collect();
        let mut all = names;
        for appendix in appendices {
            // A file that was there belongs to somebody else as well, and is no part of the artifact.
            if append(&appendix)? {
                files.push(NewFile::Published(appendix.output.clone()));
                all.push(appendix.output);
            }
        }
        let artifact = NewArtifact {
            id: String::new(),
            kind: "packer.post-processor.checksum".into(),
            description: format!("Created artifact from files: {}", all.join(", ")),
            metadata: "{}".into(),
            files,
        };
        Ok(Processed { artifact: Some(artifact), input: KeepPolicy::ForceKeep })
    }
}

fn output_path(template: &str, checksum_type: &str) -> Result<String> {
    let build = run::get_build_info();
    let values = [
        ("BuildName", build.build_name.as_str()),
        ("BuilderType", build.builder_type.as_str()),
        ("ChecksumType", checksum_type),
    ];
    render(template, &values).map_err(|error| error.context("The option output can't be rendered"))
}

/// Appends, and says whether the file is new. Writers wait for each other; the file is replaced as a whole.
fn append(appendix: &Appendix) -> Result<bool> {
    let Appendix { output, text } = appendix;
    let failed = |error: Error| error.context(format!("Unable to write {output}"));
    let _lock = files::lock_output(output).map_err(failed)?;
    let existing = match files::open(output) {
        Ok(file) => Some(file),
        Err(error) if error.is(ErrorCode::NotFound) => None,
        Err(error) => return Err(failed(error)),
    };
    let workspace = files::step_workspace()?;
    let writer = workspace.create("checksums", true)?;
    if let Some(file) = &existing {
        writer.append_file(file).map_err(failed)?;
        if !ends_with_a_line(file).map_err(failed)? {
            writer.write(b"\n")?;
        }
    }
    writer.write(text.as_bytes())?;
    workspace.publish(&HostWriter::finish(writer)?, output, true).map_err(failed)?;
    say(format!("Checksums are in {output}"));
    Ok(existing.is_none())
}

fn ends_with_a_line(file: &HostFile) -> Result<bool> {
    let size = file.info()?.size;
    Ok(size == 0 || file.read(size - 1, 1)? == b"\n")
}

fornax_plugin_sdk::export_post_processors!("fornax/checksum": Checksum);
