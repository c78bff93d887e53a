//! The schema of HCL2 templates in their JSON form (`*.pkr.json`): blocks are objects by label, and each may be a list.

use serde_json::{Map, Value as Json, json};

use super::{DRAFT, KnownType, common_properties, finish, options_only};
use crate::schema::common::{BlockKind, Language};
use crate::schema::editor::{Editor, needs};

/// The schema of a template in HCL2's JSON form.
pub fn hcl_template(types: &[KnownType]) -> Json {
    let mut definitions = Editor::definitions(Language::Hcl2);
    let mut by_kind = |kind: BlockKind, inner: &dyn Fn(Json) -> Json| {
        let mut labels = Map::new();
        for known in types.iter().filter(|known| known.kind == kind) {
            let name = super::definition(known);
            labels.insert(known.name.clone(), inner(json!({"$ref": format!("#/$defs/{name}")})));
            definitions.insert(name, block(known));
        }
        labeled(labels)
    };
    let named = |body: Json| each(label(each(body)));
    let sources = by_kind(BlockKind::Builder, &named);
    let data = by_kind(BlockKind::DataSource, &named);
    let provisioners = by_kind(BlockKind::Provisioner, &each);
    let post_processors = by_kind(BlockKind::PostProcessor, &each);
    let text = json!({"type": "string"});
    let variable = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "type": {"type": "string", "description": "A type of HCL, for instance `list(string)`."},
            "default": {"description": "The value unless one is given."},
            "description": {"type": ["string", "null"]},
            "sensitive": {"type": "boolean", "description": "The value is never shown."},
            "deprecated": {"type": ["string", "null"], "description": "What to use instead."},
            "validation": each(json!({
                "type": "object", "additionalProperties": false, "required": ["condition", "error_message"],
                "properties": {"condition": {"type": ["string", "boolean"]}, "error_message": text, "//": {}}
            })),
            "//": {}
        }
    });
    let build = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]},
            "sources": {"type": ["array", "string", "null"], "items": text,
                "description": "The sources to build, `source.TYPE.NAME`."},
            "source": each(label(each(json!({"type": "object"})))),
            "provisioner": provisioners.clone(),
            "error-cleanup-provisioner": provisioners,
            "post-processor": post_processors.clone(),
            "post-processors": each(json!({
                "type": "object", "additionalProperties": false,
                "properties": {"post-processor": post_processors, "//": {}}
            })),
            "hcp_packer_registry": {"description": "Accepted, and not used."},
            "//": {}
        }
    });
    json!({
        "$schema": DRAFT,
        "title": "HCL2 template of Packer in its JSON form, as Fornax reads it",
        "type": ["object", "array"],
        "$ref": "#/$defs/template",
        "items": {"$ref": "#/$defs/template"},
        "$defs": with(definitions, "template", json!({
            "additionalProperties": false,
            "properties": {
                "packer": {"description": "The versions and plugins that the template needs."},
                "variable": each(label(each(variable))),
                "variables": {"description": "Variables in the old form: names and values."},
                "locals": {"description": "Names and values."},
                "local": each(label(each(json!({
                    "type": "object", "additionalProperties": false, "required": ["expression"],
                    "properties": {"expression": {}, "sensitive": {"type": "boolean"}, "//": {}}
                })))),
                "source": sources,
                "data": data,
                "build": each(build),
                "hcp_packer_registry": {"description": "Accepted, and not used."},
                "//": {"description": "A comment."}
            }
        })),
    })
}

fn with(mut definitions: Map<String, Json>, name: &str, schema: Json) -> Json {
    definitions.insert(name.to_owned(), schema);
    definitions.into()
}

/// One, or a list of them.
fn each(item: Json) -> Json {
    json!({"if": {"type": "array"}, "then": {"items": item}, "else": item})
}

/// An object whose keys are labels of any name.
fn label(inner: Json) -> Json {
    json!({"type": "object", "properties": {"//": {}}, "additionalProperties": inner})
}

/// An object, or a list of such, whose keys are types.
fn labeled(mut types: Map<String, Json>) -> Json {
    types.insert("//".into(), json!({}));
    each(json!({"type": "object", "properties": types, "additionalProperties": false}))
}

/// The body of a block of one type.
fn block(known: &KnownType) -> Json {
    let language = Language::Hcl2;
    let editor = Editor { language, empty_is_absent: known.kind == BlockKind::Builder };
    let mut out = editor.object(&known.schema);
    let own = options_only(known, &out);
    let mut properties = Map::from_iter([("//".to_owned(), json!({}))]);
    // The name of a build stands in the source block of the build, not in the source itself.
    if known.kind != BlockKind::Builder {
        properties.extend(common_properties(known.kind, language, &own));
    }
    let names: Vec<String> = properties.keys().cloned().collect();
    let own = out.remove("properties").and_then(|own| own.as_object().cloned()).unwrap_or_default();
    properties.extend(own.into_iter().filter(|(name, _)| !names.contains(name)));
    out.insert("properties".into(), properties.into());
    let mut out = finish(known, out);
    // What a source lacks, the build may add.
    if let (BlockKind::Builder, Json::Object(out)) = (known.kind, &mut out) {
        for keyword in needs(&known.schema).keys() {
            out.remove(keyword);
        }
    }
    out
}
