//! The page of documentation of one type, made of what the type says of itself: its summary, schema and examples.
//! Reads and prints nothing; `text` lays a page out for a terminal, `json` for programs.

use fornax_core::builder::Description;
use fornax_core::plugin::{CapabilityRequest, ExtensionInfo};
use fornax_core::schema::common::{self, BlockKind};
use serde_json::{Value as Json, json};

mod hcl;
mod options;
mod text;

pub use options::OptionDoc;
pub use text::{page as text, wrap};

/// What there is to say about one type.
#[derive(Clone, Debug)]
pub struct Page {
    pub kind: BlockKind,
    pub name: String,
    pub summary: String,
    /// Markdown.
    pub docs: String,
    pub schema: Json,
    pub examples: Vec<Json>,
    pub origin: Origin,
    pub rights: Vec<CapabilityRequest>,
}

/// Where a type comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub name: String,
    pub version: String,
    /// `built-in` or a path.
    pub place: String,
    /// SHA-256 of the component; none for what is part of the engine.
    pub digest: Option<String>,
}

impl Page {
    /// The page of a provisioner or post-processor.
    pub fn of_extension(info: &ExtensionInfo) -> Self {
        Self {
            kind: info.kind.into(),
            name: info.name.clone(),
            summary: info.summary.clone(),
            docs: info.docs.clone(),
            schema: info.schema.clone(),
            examples: info.examples.clone(),
            origin: Origin {
                name: info.plugin_name.clone(),
                version: info.plugin_version.clone(),
                place: info.origin.clone(),
                digest: Some(info.plugin_digest.clone()),
            },
            rights: info.capabilities.clone(),
        }
    }

    /// The page of what is part of the engine.
    pub fn of_engine(
        kind: BlockKind,
        name: &str,
        description: Description,
        rights: Vec<CapabilityRequest>,
    ) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            summary: description.summary.to_owned(),
            docs: description.docs.to_owned(),
            schema: description.schema,
            examples: description.examples,
            origin: Origin {
                name: "fornax".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                place: "part of the engine".to_owned(),
                digest: None,
            },
            rights,
        }
    }

    pub fn options(&self) -> Vec<OptionDoc> {
        options::of(&self.schema)
    }

    /// Those of the engine, which every type of the kind has.
    pub fn common_options(&self) -> Vec<OptionDoc> {
        options::of(&json!({"properties": common::options(self.kind)}))
    }

    /// An example as it stands in a JSON template. Data sources have no such form.
    fn example_json(&self, example: &Json) -> Option<Json> {
        if self.kind == BlockKind::DataSource {
            return None;
        }
        let mut block = serde_json::Map::from_iter([("type".to_owned(), Json::from(self.name.as_str()))]);
        block.extend(example.as_object().cloned().unwrap_or_default());
        Some(Json::Object(block))
    }

    fn example_hcl(&self, example: &Json) -> String {
        let labels = match self.kind {
            BlockKind::Builder | BlockKind::DataSource => vec![self.name.as_str(), "example"],
            _ => vec![self.name.as_str()],
        };
        let block = match self.kind {
            BlockKind::Builder => "source",
            BlockKind::DataSource => "data",
            kind => kind.as_str(),
        };
        hcl::block(block, &labels, example, &self.schema)
    }

    /// The page for programs.
    pub fn json(&self) -> Json {
        let right = |right: &CapabilityRequest| {
            json!({
                "right": right.capability.to_string(), "required": right.required, "granted": right.granted,
                "reason": right.reason,
            })
        };
        let by_state = |state: options::State| -> Vec<Json> {
            self.options().iter().filter(|o| o.state == state).map(OptionDoc::json).collect()
        };
        let example = |example: &Json| {
            let mut both = serde_json::Map::new();
            both.extend(self.example_json(example).map(|json| ("json".to_owned(), json)));
            both.insert("hcl2".into(), self.example_hcl(example).into());
            Json::Object(both)
        };
        json!({
            "kind": self.kind.as_str(), "name": self.name, "summary": self.summary, "docs": self.docs,
            "origin": {
                "name": self.origin.name, "version": self.origin.version, "place": self.origin.place,
                "sha256": self.origin.digest,
            },
            "rights": self.rights.iter().map(right).collect::<Vec<_>>(),
            "options": by_state(options::State::Works),
            "choices": options::choices(&self.schema).iter().map(options::Choice::json).collect::<Vec<_>>(),
            "without_effect": by_state(options::State::WithoutEffect),
            "not_supported": by_state(options::State::NotSupported),
            "common_options": self.common_options().iter().map(OptionDoc::json).collect::<Vec<_>>(),
            "examples": self.examples.iter().map(example).collect::<Vec<_>>(),
            "schema": self.schema,
        })
    }
}
