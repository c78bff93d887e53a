//! Turns the schema by which a component describes its options into one by which an editor judges what people write:
//! before the engine renders texts and converts values. The result has standard keywords only.

use serde_json::{Map, Value as Json, json};

use super::common::Language;
use super::types;

/// What is known only after rendering, by the language of the template.
const JSON_CALL: &str = r"\{\{";
const HCL_CALL: &str = r"\{\{|\$\{|%\{";
const DURATION: &str = r"^[+-]?(0|([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$";
const WHOLE_NUMBER: &str = r"^\s*[+-]?[0-9]+\s*$";
const NUMBER: &str = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$";
const BOOLEAN: &str = "^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)?$";

/// How values of a block are written.
#[derive(Clone, Copy, Debug)]
pub struct Editor {
    pub language: Language,
    /// An empty text counts as not given, as in builders.
    pub empty_is_absent: bool,
}

impl Editor {
    /// Definitions that the schemas refer to.
    pub fn definitions(language: Language) -> Map<String, Json> {
        let call = match language {
            Language::Json => JSON_CALL,
            Language::Hcl2 => HCL_CALL,
        };
        let later = json!({"anyOf": [{"type": "null"}, {"type": "string", "pattern": call}]});
        let later_or_empty =
            json!({"anyOf": [{"type": "null"}, {"type": "string", "pattern": format!("^$|{call}")}]});
        // What an option that does not work may be: a value that asks for nothing.
        let nothing = json!({"anyOf": [
            {"$ref": "#/$defs/later-or-empty"},
            {"enum": [false, 0, "false", "0", []]},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/nothing"}},
        ]});
        Map::from_iter([
            ("later".to_owned(), later),
            ("later-or-empty".to_owned(), later_or_empty),
            ("nothing".to_owned(), nothing),
        ])
    }

    /// The schema of one option.
    pub fn property(self, schema: &Json) -> Json {
        let mut out = Map::new();
        copy(schema, &["title", "description"], Json::is_string, &mut out);
        copy(schema, &["default"], |_| true, &mut out);
        copy(schema, &["examples"], Json::is_array, &mut out);
        copy(schema, &["deprecated", "readOnly", "writeOnly"], Json::is_boolean, &mut out);
        if schema["x-not-supported"] == true {
            let instead = schema["description"].as_str().unwrap_or_default();
            out.insert("description".into(), format!("Not supported yet: {instead}.").into());
            out.insert("$ref".into(), "#/$defs/nothing".into());
            return Json::Object(out);
        }
        if schema["x-no-effect"] == true {
            out.insert("deprecated".into(), true.into());
        }
        let declared: Vec<&str> = types(schema).into_iter().filter(|t| *t != "null").collect();
        let list = ["anyOf", "oneOf"].into_iter().find_map(|keyword| schema[keyword].as_array());
        if let Some(list) = list.filter(|_| declared.is_empty()) {
            let alternatives: Vec<Json> = list.iter().map(|alternative| self.property(alternative)).collect();
            out.insert("anyOf".into(), alternatives.into());
        }
        let rules = self.rules(schema, &declared);
        // A text with a call in it can become anything that a text can become; only HCL2 makes objects of it.
        let objects_only = !declared.is_empty() && declared.iter().all(|t| *t == "object");
        if rules.is_empty() {
            return Json::Object(out);
        }
        if objects_only && self.language == Language::Json {
            out.insert("if".into(), json!({"type": "null"}));
        } else {
            let later = if self.empty_is_absent { "#/$defs/later-or-empty" } else { "#/$defs/later" };
            out.insert("if".into(), json!({"$ref": later}));
        }
        out.insert("else".into(), rules.into());
        Json::Object(out)
    }

    /// What a value must be that is not rendered any more.
    fn rules(self, schema: &Json, declared: &[&str]) -> Map<String, Json> {
        let is = |name: &str| declared.contains(&name);
        let mut rules = Map::new();
        if !declared.is_empty() {
            rules.insert("type".into(), self.accepted(schema, declared).into());
        }
        let scalars = !is("array") && !is("object");
        if scalars {
            rules.extend(self.choice(schema));
        }
        copy(schema, &["minimum", "maximum"], Json::is_number, &mut rules);
        copy(schema, &["minItems", "maxItems", "minLength", "maxLength"], Json::is_u64, &mut rules);
        copy(schema, &["uniqueItems"], Json::is_boolean, &mut rules);
        let text = match () {
            () if is("string") && schema["x-duration"] == true => Some(DURATION),
            () if is("string") => schema["pattern"].as_str().filter(|pattern| is_portable(pattern)),
            () if !scalars || declared.len() != 1 => None,
            () if is("boolean") => Some(BOOLEAN),
            () if is("integer") => Some(WHOLE_NUMBER),
            () => Some(NUMBER),
        };
        if let Some(pattern) = text.filter(|_| !rules.contains_key("pattern")) {
            rules.insert("pattern".into(), pattern.into());
        }
        if is("array") && schema["items"].is_object() {
            rules.insert("items".into(), self.property(&schema["items"]));
            // One block may stand in place of a list of one.
            if types(&schema["items"]).contains(&"object") {
                rules.extend(self.object(&schema["items"]));
            }
        }
        if is("object") {
            let object = self.object(schema);
            if !is("array") {
                let mut item = object.clone();
                item.insert("type".into(), "object".into());
                rules.insert("items".into(), item.into());
            }
            rules.extend(object);
        }
        rules
    }

    /// The types that are converted to the declared ones.
    fn accepted(self, schema: &Json, declared: &[&str]) -> Vec<&'static str> {
        let weak = self.language == Language::Json;
        let mut out: Vec<&'static str> = Vec::new();
        for name in declared {
            out.extend::<&[&str]>(match *name {
                "string" => &["string", "number", "boolean"],
                "integer" if weak => &["integer", "string", "boolean"],
                "integer" => &["integer", "string"],
                "number" if weak => &["number", "string", "boolean"],
                "number" => &["number", "string"],
                "boolean" if weak => &["boolean", "string", "number"],
                "boolean" => &["boolean", "string"],
                "array" if types(&schema["items"]).contains(&"object") => &["array", "object"],
                "array" if weak => &["array", "string", "number", "boolean"],
                "array" => &["array"],
                // A block that stands once may be written as a list of one.
                "object" => &["object", "array"],
                _ => &[],
            });
        }
        let mut seen = Vec::new();
        out.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        out
    }

    /// `enum` and `const`, with the values that are converted to those.
    fn choice(self, schema: &Json) -> Option<(String, Json)> {
        let constant = schema.get("const").map(std::slice::from_ref);
        let allowed = schema["enum"].as_array().map(Vec::as_slice).or(constant)?;
        if schema["x-ignore-case"] == true {
            let words: Vec<String> = allowed.iter().filter_map(Json::as_str).map(any_case).collect();
            return Some(("pattern".into(), format!("^({})$", words.join("|")).into()));
        }
        let mut all = allowed.to_vec();
        for value in allowed {
            let other = match value {
                Json::String(text) => {
                    serde_json::from_str(text).ok().filter(|v: &Json| v.is_number() || v.is_boolean())
                }
                Json::Number(number) => Some(number.to_string().into()),
                Json::Bool(_) => return None,
                _ => None,
            };
            all.extend(other);
        }
        Some(("enum".into(), all.into()))
    }

    /// The keywords of an object: its options, and which of them must be given.
    pub fn object(self, schema: &Json) -> Map<String, Json> {
        let mut out = Map::new();
        if let Some(properties) = schema["properties"].as_object() {
            let properties: Map<String, Json> =
                properties.iter().map(|(name, property)| (name.clone(), self.property(property))).collect();
            out.insert("properties".into(), properties.into());
        }
        match &schema["additionalProperties"] {
            Json::Bool(false) => {
                out.insert("additionalProperties".into(), false.into());
            }
            additional @ Json::Object(_) => {
                out.insert("additionalProperties".into(), self.property(additional));
            }
            _ => {}
        }
        out.extend(needs(schema));
        out
    }
}

/// Keywords that have a sound value. What a component says may be wrong, and would make the whole schema useless.
fn copy(schema: &Json, keys: &[&str], is_sound: fn(&Json) -> bool, out: &mut Map<String, Json>) {
    for key in keys {
        out.extend(schema.get(*key).filter(|v| is_sound(v)).map(|value| ((*key).to_owned(), value.clone())));
    }
}

/// Lookahead and inline flags are read differently by different programs.
fn is_portable(pattern: &str) -> bool {
    !pattern.contains("(?") && regex::Regex::new(pattern).is_ok()
}

/// Which options must be given: `required`, and alternatives that are nothing but that.
pub fn needs(schema: &Json) -> Map<String, Json> {
    let names = |schema: &Json| {
        let names = schema.get("required")?.as_array()?;
        (!names.is_empty() && names.iter().all(Json::is_string)).then(|| json!({ "required": names }))
    };
    let mut out = names(schema).and_then(|names| names.as_object().cloned()).unwrap_or_default();
    if schema["properties"].is_object() {
        for keyword in ["anyOf", "oneOf"] {
            let Some(list) = schema[keyword].as_array().filter(|list| !list.is_empty()) else { continue };
            let is_need = |alternative: &Json| alternative.as_object().is_some_and(|a| a.len() == 1);
            let needs: Option<Vec<Json>> = list.iter().filter(|a| is_need(a)).map(names).collect();
            let needs = needs.filter(|needs| needs.len() == list.len());
            out.extend(needs.map(|needs| (keyword.to_owned(), Json::from(needs))));
        }
    }
    out
}

/// A pattern for a word in any case.
fn any_case(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            c if c.is_ascii_alphabetic() => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => c.to_string(),
            c => format!("\\{c}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEAK: Editor = Editor { language: Language::Json, empty_is_absent: false };
    const TYPED: Editor = Editor { language: Language::Hcl2, empty_is_absent: false };

    #[test]
    fn values_may_be_what_the_engine_converts() {
        for (editor, schema, rules) in [
            (
                WEAK,
                json!({"type": "integer", "minimum": 1}),
                json!({"type": ["integer", "string", "boolean"], "minimum": 1, "pattern": WHOLE_NUMBER}),
            ),
            (
                TYPED,
                json!({"type": "integer"}),
                json!({"type": ["integer", "string"], "pattern": WHOLE_NUMBER}),
            ),
            (
                WEAK,
                json!({"type": ["boolean", "null"]}),
                json!({"type": ["boolean", "string", "number"], "pattern": BOOLEAN}),
            ),
            (
                WEAK,
                json!({"type": "string", "enum": ["1", "b"], "x-template": true}),
                json!({"type": ["string", "number", "boolean"], "enum": ["1", "b", 1]}),
            ),
            (
                WEAK,
                json!({"type": "string", "enum": ["aB-"], "x-ignore-case": true}),
                json!({"type": ["string", "number", "boolean"], "pattern": "^([Aa][Bb]-)$"}),
            ),
            (
                TYPED,
                json!({"type": "string", "x-duration": true}),
                json!({"type": ["string", "number", "boolean"], "pattern": DURATION}),
            ),
            (TYPED, json!({"type": "array", "maxItems": 2}), json!({"type": ["array"], "maxItems": 2})),
        ] {
            let expected = json!({"if": {"$ref": "#/$defs/later"}, "else": rules});
            assert_eq!(editor.property(&schema), expected, "{schema}");
        }
        assert_eq!(
            WEAK.property(&json!({"description": "Anything.", "x-host-path": true})),
            json!({"description": "Anything."})
        );
        let refused = json!({"x-not-supported": true, "description": "use b"});
        let expected = json!({"description": "Not supported yet: use b.", "$ref": "#/$defs/nothing"});
        assert_eq!(WEAK.property(&refused), expected);
    }

    #[test]
    fn what_a_component_says_wrongly_is_left_out() {
        let schema = json!({"required": [1], "oneOf": [{"required": "a"}], "additionalProperties": "no", "properties": {
            "a": {"type": "string", "pattern": "(", "minLength": -1, "description": 5, "deprecated": "yes"},
            "b": {"type": "integer", "minimum": "1", "examples": 3}, "c": 7, "d": {"type": 9, "items": []}}});
        let object = json!({"properties": {
            "a": {"if": {"$ref": "#/$defs/later"}, "else": {"type": ["string", "number", "boolean"]}},
            "b": {"if": {"$ref": "#/$defs/later"},
                "else": {"type": ["integer", "string", "boolean"], "pattern": WHOLE_NUMBER}},
            "c": {}, "d": {}}});
        assert_eq!(Json::from(WEAK.object(&schema)), object);
    }

    #[test]
    fn objects_keep_their_options_and_needs() {
        let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {"a": {}, "b": {}}, "oneOf": [{"required": ["b"]}]});
        let object = json!({"properties": {"a": {}, "b": {}}, "additionalProperties": false, "required": ["a"],
            "oneOf": [{"required": ["b"]}]});
        assert_eq!(Json::from(WEAK.object(&schema)), object);
        // Not a text, which nothing makes an object of.
        assert_eq!(WEAK.property(&schema)["if"], json!({"type": "null"}));
        assert_eq!(TYPED.property(&schema)["if"], json!({"$ref": "#/$defs/later"}));
        assert_eq!(WEAK.property(&schema)["else"]["items"]["type"], "object");
    }
}
