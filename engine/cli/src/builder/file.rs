//! `file`: writes a file with given content or copies one. For trying out post-processors without a machine.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use fornax_core::builder::{
    BuildError, BuildOutcome, Builder, BuilderFactory, Description, PrepareContext, RunContext,
};
use fornax_core::plugin::Artifact;
use fornax_core::saga::Saga;
use fornax_core::{Diagnostic, Diagnostics, Node, Text};
use serde_json::json;

use super::options;

pub struct FileFactory;

enum Origin {
    Content(Text),
    Copy(PathBuf),
}

struct FileBuilder {
    origin: Origin,
    target: PathBuf,
    name: String,
}

impl BuilderFactory for FileFactory {
    fn type_name(&self) -> &'static str {
        "file"
    }

    fn describe(&self) -> Description {
        let properties = json!({
            "target": {"type": "string", "minLength": 1, "x-host-output": true, "description": "The file to write."},
            "content": {"type": "string",
                "description": "What is written to it. Not together with `source`; the file is empty without both."},
            "source": {"type": "string", "x-host-path": true, "description": "The file to copy."}
        });
        Description {
            summary: "Writes a file with given content, or copies one",
            docs: "Makes an artifact of one file without any machine, to try post-processors out.",
            schema: options::schema(&["target"], properties.as_object().cloned().unwrap_or_default()),
            examples: vec![
                json!({"content": "Hello", "target": "out.txt"}),
                json!({"source": "image.vhd", "target": "out/image.vhd"}),
            ],
        }
    }

    fn build_data_keys(&self) -> &'static [&'static str] {
        &[]
    }

    fn prepare(&self, config: &Node, context: &PrepareContext) -> (Option<Arc<dyn Builder>>, Diagnostics) {
        let mut found = Diagnostics::new();
        let misspelt = options::refuse_unknown(config, self, &mut found);
        let told = |key: &str| options::is_unusable(config, key) || misspelt.iter().any(|m| m == key);
        let content = options::text(config, "content", &mut found);
        let source = options::text(config, "source", &mut found);
        let target = options::text(config, "target", &mut found).filter(|t| !t.is_empty());
        if target.is_none() && !told("target") {
            found.push(
                Diagnostic::error("file/target-missing", "the file builder needs \"target\"")
                    .at(&config.head())
                    .help("name the file to write, for instance \"target\": \"out.txt\""),
            );
        }
        let origin = match (content, source) {
            (Some(_), Some(_)) => {
                let place = |key: &str| {
                    let member = config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key));
                    member.map_or_else(|| config.head(), |m| m.key_span.clone())
                };
                found.push(
                    Diagnostic::error(
                        "file/two-sources",
                        "only one of \"content\" and \"source\" may be given",
                    )
                    .at(&place("source"))
                    .related(&place("content"), "the other one")
                    .help("remove one of the two"),
                );
                None
            }
            (Some(content), None) => Some(Origin::Content(content)),
            (None, Some(source)) => {
                let source = context.working_dir.join(source.expose());
                // What is made may be removed again by a post-processor; what was there must not be.
                let same = |target: &Text| same_file(&source, &context.working_dir.join(target.expose()));
                if target.as_ref().is_some_and(same) {
                    found.push(
                        Diagnostic::error(
                            "file/source-is-target",
                            "\"source\" and \"target\" are the same file",
                        )
                        .at(&config.head())
                        .help("choose another \"target\""),
                    );
                }
                Some(Origin::Copy(source))
            }
            (None, None) if told("content") || told("source") => None,
            (None, None) => {
                found.push(
                    Diagnostic::warning(
                        "file/empty",
                        "neither \"content\" nor \"source\" is given: the file will be empty",
                    )
                    .at(&config.head())
                    .help("add \"content\" or \"source\"; an empty \"content\" says that this is meant"),
                );
                Some(Origin::Content(Text::default()))
            }
        };
        let builder = match (origin, target) {
            (Some(origin), Some(target)) if !found.has_errors() => {
                let name = target.expose();
                let target = context.working_dir.join(&name);
                Some(Arc::new(FileBuilder { origin, target, name }) as Arc<dyn Builder>)
            }
            _ => None,
        };
        (builder, found)
    }
}

/// Whether two paths lead to one file that exists.
fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

impl FileBuilder {
    /// The file appears whole or not at all.
    fn write(&self) -> Result<(), String> {
        let io = |what: &str, path: &Path, e: std::io::Error| format!("{what} {}: {e}", path.display());
        let folder = self.target.parent().unwrap_or(&self.target);
        std::fs::create_dir_all(folder).map_err(|e| io("can't make the folder", folder, e))?;
        let mut part = tempfile::Builder::new();
        part.prefix(".fornax-part-");
        #[cfg(unix)]
        part.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut part = part.tempfile_in(folder).map_err(|e| io("can't write in", folder, e))?;
        match &self.origin {
            Origin::Content(text) => part.write_all(text.expose().as_bytes()),
            Origin::Copy(from) => std::fs::File::open(from).and_then(|mut source| {
                std::io::copy(&mut source, part.as_file_mut())?;
                part.as_file().set_permissions(source.metadata()?.permissions())
            }),
        }
        .map_err(|e| match &self.origin {
            Origin::Content(_) => io("can't write", &self.target, e),
            Origin::Copy(from) => io("can't copy", from, e),
        })?;
        part.persist(&self.target).map(|_| ()).map_err(|e| io("can't write", &self.target, e.error))
    }
}

#[async_trait]
impl Builder for FileBuilder {
    async fn run(&self, context: RunContext) -> BuildOutcome {
        let written = self.write();
        let result = match written {
            Ok(()) => match Saga::new(&context).provision(None, Default::default()).await {
                Ok(()) => Ok(Some(Artifact {
                    builder_id: "packer.file".into(),
                    id: "File".into(),
                    text: format!("Stored file: {}", self.name),
                    files: vec![PathBuf::from(&self.name)],
                    metadata: Default::default(),
                    simulated: false,
                })),
                Err(error) => Err(error),
            },
            Err(reason) => Err(BuildError::Failed(reason)),
        };
        BuildOutcome { result, remains: Vec::new() }
    }
}
