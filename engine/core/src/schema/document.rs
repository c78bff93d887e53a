//! The schema of whole templates in their JSON forms, for editors: made of what the engine knows of blocks and of what
//! types say of their options.

use serde_json::{Map, Value as Json, json};

use super::common::{self, BlockKind, Language};
use super::editor::{Editor, needs};

mod hcl;

pub use hcl::hcl_template;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A type that can be used.
#[derive(Clone, Debug)]
pub struct KnownType {
    pub kind: BlockKind,
    pub name: String,
    pub summary: String,
    pub schema: Json,
}

/// The schema of a JSON template.
pub fn json_template(types: &[KnownType]) -> Json {
    let mut definitions = Editor::definitions(Language::Json);
    for kind in [BlockKind::Builder, BlockKind::Provisioner, BlockKind::PostProcessor] {
        let of_kind = || types.iter().filter(move |known| known.kind == kind);
        for known in of_kind() {
            definitions.insert(definition(known), block(known));
        }
        definitions.insert(kind.as_str().to_owned(), any_of_kind(kind, &of_kind().collect::<Vec<_>>()));
    }
    definitions.insert("scalar".into(), json!({"type": ["string", "number", "boolean"]}));
    definitions.insert("names".into(), one_or_many(&json!({"$ref": "#/$defs/scalar"}), "scalar"));
    let names: Vec<&str> =
        types.iter().filter(|t| t.kind == BlockKind::PostProcessor).map(|t| t.name.as_str()).collect();
    let step = json!({
        "if": {"type": "object"}, "then": {"$ref": "#/$defs/post-processor"},
        "else": {"type": "string", "enum": names}
    });
    definitions.insert("post-processor-step".into(), step);
    let mut builders = one_or_many(&json!({"$ref": "#/$defs/builder"}), "object");
    builders["description"] = "What is built, one build each.".into();
    builders["minItems"] = 1.into();
    builders["else"]["type"] = "array".into();
    let mut provisioners = one_or_many(&json!({"$ref": "#/$defs/provisioner"}), "object");
    provisioners["description"] = "Steps on the machines, in this order.".into();
    json!({
        "$schema": DRAFT,
        "title": "JSON template of Packer, as Fornax reads it",
        "type": "object",
        "required": ["builders"],
        "properties": {
            "description": {"$ref": "#/$defs/scalar", "description": "What the template is for."},
            "min_packer_version": {"$ref": "#/$defs/scalar",
                "description": "The least version of Packer whose templates this one is for."},
            "variables": {"type": "object",
                "description": "Variables and their defaults; null for those that must be given. `{{user `name`}}` is the value.",
                "additionalProperties": {
                    "type": ["string", "number", "boolean", "null", "array"], "items": {"type": "string"}
                }},
            "sensitive-variables": {"$ref": "#/$defs/names", "description": "Variables whose values are never shown."},
            "builders": builders,
            "provisioners": provisioners,
            "error-cleanup-provisioner": {"$ref": "#/$defs/provisioner",
                "description": "Runs when a provisioner has failed, before the machine is deleted."},
            "post-processors": {
                "description": "What is done with the artifact; a list in the list is a sequence.",
                "if": {"type": "array"},
                "then": {"items": {
                    "if": {"type": "array"},
                    "then": {"items": {"$ref": "#/$defs/post-processor-step"}},
                    "else": {"$ref": "#/$defs/post-processor-step"}
                }},
                "else": {"if": {"type": "null"}, "else": {"$ref": "#/$defs/post-processor-step"}}
            },
            "push": {"deprecated": true, "description": "Accepted for old templates, and not used."}
        },
        "patternProperties": {"^_": {"type": "string", "description": "A comment."}},
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// A list, or one item in place of a list of one.
fn one_or_many(item: &Json, one: &str) -> Json {
    match one {
        "object" => json!({
            "if": {"type": "object"}, "then": item, "else": {"type": ["array", "null"], "items": item}
        }),
        _ => json!({"type": ["array", "string", "null"], "items": item}),
    }
}

/// The name of a type's definition.
fn definition(known: &KnownType) -> String {
    format!("{}.{}", known.kind.as_str(), known.name)
}

/// A block whose `type` decides about the rest.
fn any_of_kind(kind: BlockKind, types: &[&KnownType]) -> Json {
    let names: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
    let cases: Vec<Json> = types
        .iter()
        .map(|known| {
            json!({
                "if": {"properties": {"type": {"const": known.name}}},
                "then": {"$ref": format!("#/$defs/{}", definition(known))}
            })
        })
        .collect();
    let mut out = json!({
        "type": "object", "required": ["type"],
        "properties": {"type": {"description": format!("Which {} it is.", kind.as_str()), "enum": names}},
    });
    if !cases.is_empty() {
        out["allOf"] = cases.into();
    }
    out
}

/// A block of one type.
fn block(known: &KnownType) -> Json {
    let editor = Editor { language: Language::Json, empty_is_absent: known.kind == BlockKind::Builder };
    let mut out = editor.object(&known.schema);
    let own = options_only(known, &out);
    let mut properties = Map::from_iter([("type".to_owned(), json!({"const": known.name}))]);
    properties.extend(common_properties(known.kind, Language::Json, &own));
    // What the engine reads itself never reaches the component.
    let names: Vec<String> = properties.keys().cloned().collect();
    let own = out.remove("properties").and_then(|own| own.as_object().cloned()).unwrap_or_default();
    properties.extend(own.into_iter().filter(|(name, _)| !names.contains(name)));
    out.insert("properties".into(), properties.into());
    finish(known, out)
}

/// Description and needs of a block. A step may get what it needs by its overrides alone.
fn finish(known: &KnownType, mut out: Map<String, Json>) -> Json {
    let mut needs = needs(&known.schema);
    for keyword in needs.keys() {
        out.remove(keyword);
    }
    if known.kind == BlockKind::Provisioner && !needs.is_empty() {
        needs = Map::from_iter([
            ("if".to_owned(), json!({"required": ["override"]})),
            ("else".to_owned(), Json::from(needs)),
        ]);
    }
    out.extend(needs);
    out.insert("type".into(), "object".into());
    out.insert("description".into(), known.summary.as_str().into());
    if known.kind == BlockKind::Provisioner || known.kind == BlockKind::PostProcessor {
        let some = json!({"not": {"enum": [null, []]}});
        out.insert(
            "not".into(),
            json!({"required": ["only", "except"], "properties": {"only": some, "except": some}}),
        );
    }
    Json::Object(out)
}

/// The options of a type without its needs, for overrides: references to those in the definition of the type, unless
/// the engine's own stands there under the same name.
fn options_only(known: &KnownType, object: &Map<String, Json>) -> Json {
    let common = common::options(known.kind);
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let option = |(name, property): (&String, &Json)| {
        let place = format!("#/$defs/{}/properties/{name}", definition(known));
        let is_there = is_plain(name) && name != "type" && !common.contains_key(name);
        (name.clone(), if is_there { json!({ "$ref": place }) } else { property.clone() })
    };
    let properties = object.get("properties").and_then(Json::as_object);
    let properties: Map<String, Json> = properties.into_iter().flatten().map(option).collect();
    let mut out = json!({"type": "object", "properties": properties});
    if let Some(additional) = object.get("additionalProperties") {
        out["additionalProperties"] = additional.clone();
    }
    out
}

/// What the engine reads in the blocks of a kind; `own` are the options of the type, for overrides.
fn common_properties(kind: BlockKind, language: Language, own: &Json) -> Map<String, Json> {
    let editor = Editor { language, empty_is_absent: false };
    let literal = |name: &str| language == Language::Json && ["pause_before", "timeout"].contains(&name);
    let property = |(name, schema): (String, Json)| {
        let mut property = editor.property(&schema);
        if name == "override" {
            property =
                json!({"description": schema["description"], "type": "object", "additionalProperties": own});
        } else if literal(&name) {
            // It is read before anything is rendered.
            property["if"] = json!({"type": "null"});
        }
        (name, property)
    };
    common::options_in(kind, language).into_iter().map(property).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<KnownType> {
        let schema = json!({"additionalProperties": false, "required": ["text"],
            "properties": {"text": {"type": "string", "x-template": true}, "timeout": {"type": "integer"}}});
        let kinds =
            [BlockKind::Builder, BlockKind::Provisioner, BlockKind::PostProcessor, BlockKind::DataSource];
        kinds
            .map(|kind| KnownType {
                kind,
                name: "echo".into(),
                summary: "Echoes".into(),
                schema: schema.clone(),
            })
            .into()
    }

    #[test]
    fn types_stand_beside_the_engines_own_options() {
        let schema = json_template(&known());
        let step = &schema["$defs"]["provisioner.echo"];
        let names: Vec<&str> = step["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["type", "only", "except", "override", "pause_before", "timeout", "max_retries", "text"]
        );
        // The engine's timeout, not that of the component.
        assert_eq!(step["properties"]["timeout"]["if"], json!({"type": "null"}));
        assert_eq!(step["additionalProperties"], false);
        assert_eq!(
            (&step["if"], &step["else"]),
            (&json!({"required": ["override"]}), &json!({"required": ["text"]}))
        );
        let inner = &step["properties"]["override"]["additionalProperties"];
        assert_eq!(inner["properties"]["text"], json!({"$ref": "#/$defs/provisioner.echo/properties/text"}));
        assert!(inner["properties"]["timeout"]["else"].is_object() && inner.get("required").is_none());
        assert_eq!(schema["$defs"]["builder.echo"]["required"], json!(["text"]));
        assert!(schema["$defs"].get("data-source.echo").is_none());
    }

    #[test]
    fn our_own_annotations_stay_out() {
        for schema in [json_template(&known()), hcl_template(&known())] {
            assert!(!schema.to_string().contains("\"x-"), "{schema:#}");
        }
    }
}
