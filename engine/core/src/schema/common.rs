//! The options that the engine itself reads in every block of a kind, whatever its type is, for documentation and for
//! the schema of whole templates. Their readers are in `template`; a test proves that both know the same.

use serde_json::{Map, Value as Json, json};

/// A kind of block that has a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockKind {
    Builder,
    Provisioner,
    PostProcessor,
    DataSource,
}

impl BlockKind {
    pub const ALL: [Self; 4] = [Self::Builder, Self::Provisioner, Self::PostProcessor, Self::DataSource];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Provisioner => "provisioner",
            Self::PostProcessor => "post-processor",
            Self::DataSource => "data-source",
        }
    }
}

impl From<crate::plugin::ExtensionKind> for BlockKind {
    fn from(kind: crate::plugin::ExtensionKind) -> Self {
        match kind {
            crate::plugin::ExtensionKind::Provisioner => Self::Provisioner,
            crate::plugin::ExtensionKind::PostProcessor => Self::PostProcessor,
        }
    }
}

/// The language of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Json,
    Hcl2,
}

impl Language {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Hcl2 => "hcl2",
        }
    }
}

/// Properties of the common options by name. `x-language` marks those that only one language has. `type` is left out:
/// it says what the block is.
pub fn options(kind: BlockKind) -> Map<String, Json> {
    let options = match kind {
        BlockKind::Builder => json!({
            "name": {"type": "string",
                "description": "Name of the build, for `only`, `except` and messages; the type without it. In HCL2 it \
                                stands in the `source` block of a build."}
        }),
        BlockKind::Provisioner => json!({
            "name": {"type": "string", "x-language": "hcl2", "description": "A name for messages."},
            "only": {"type": "array", "items": {"type": "string"},
                "description": "The builds that the step is for; all without it. Not together with `except`."},
            "except": {"type": "array", "items": {"type": "string"},
                "description": "Builds that the step is not for."},
            "override": {"type": "object", "additionalProperties": {"type": "object"},
                "description": "Options for single builds, by the name of the build; they are laid over the step's own."},
            "pause_before": {"type": "string", "x-duration": true, "default": "0s",
                "description": "How long to wait before the step."},
            "timeout": {"type": "string", "x-duration": true,
                "description": "The step fails when it takes longer; there is no limit without it."},
            "max_retries": {"type": "integer", "minimum": 0, "default": 0,
                "description": "How often a step that failed is tried again."},
            "continue_on_error": {"type": "boolean", "default": false, "x-language": "hcl2",
                "description": "The build goes on when the step has failed."}
        }),
        BlockKind::PostProcessor => json!({
            "name": {"type": "string", "description": "A name for `-except` and messages; the type without it."},
            "only": {"type": "array", "items": {"type": "string"},
                "description": "The builds that the step is for; all without it. Not together with `except`."},
            "except": {"type": "array", "items": {"type": "string"},
                "description": "Builds that the step is not for."},
            "keep_input_artifact": {"type": "boolean",
                "description": "Whether the artifact that comes in is kept beside the new one; without it each type \
                                decides for itself."}
        }),
        BlockKind::DataSource => json!({}),
    };
    match options {
        Json::Object(options) => options,
        _ => Map::new(),
    }
}

/// Those of one language.
pub fn options_in(kind: BlockKind, language: Language) -> Map<String, Json> {
    let mut options = options(kind);
    options.retain(|_, option| option["x-language"].as_str().is_none_or(|only| only == language.as_str()));
    options
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::template::common_keys;

    #[test]
    fn readers_and_documentation_know_the_same_options() {
        for language in [Language::Json, Language::Hcl2] {
            for kind in [BlockKind::Builder, BlockKind::Provisioner, BlockKind::PostProcessor] {
                let mut told: BTreeSet<String> = options_in(kind, language).keys().cloned().collect();
                if language == Language::Json {
                    told.insert("type".into());
                }
                let read: BTreeSet<String> =
                    common_keys(kind, language).iter().map(|key| (*key).to_owned()).collect();
                assert_eq!(told, read, "{kind:?} {language:?}");
            }
        }
    }
}
