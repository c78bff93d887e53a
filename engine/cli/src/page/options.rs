//! Options as they are documented, from the JSON Schema that describes them.

use serde_json::{Value as Json, json};

/// Whether an option works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Works,
    /// Known and refused (`x-not-supported`).
    NotSupported,
    /// Accepted for the sake of old templates (`x-no-effect`).
    WithoutEffect,
}

/// One option.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionDoc {
    pub name: String,
    /// In words, for instance `list of strings`.
    pub type_text: String,
    pub required: bool,
    pub default: Option<Json>,
    pub allowed: Vec<Json>,
    /// Ranges, lengths and patterns, in words.
    pub limits: Vec<String>,
    pub description: String,
    pub deprecated: bool,
    /// The first version of the plugin that has it.
    pub since: Option<String>,
    pub state: State,
    /// What else to know of its values, for instance that it is a secret.
    pub notes: Vec<&'static str>,
    pub examples: Vec<Json>,
    /// Of a block.
    pub options: Vec<OptionDoc>,
}

/// Alternatives of which some must be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub exactly_one: bool,
    /// Each alternative is one option or several that belong together.
    pub of: Vec<Vec<String>>,
}

impl Choice {
    pub fn json(&self) -> Json {
        json!({"exactly_one": self.exactly_one, "of": self.of})
    }
}

/// The options of an object's schema, in their order.
pub fn of(schema: &Json) -> Vec<OptionDoc> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n.as_str() == Some(name)))
    };
    let properties = schema["properties"].as_object();
    properties.into_iter().flatten().map(|(name, property)| option(name, property, required(name))).collect()
}

/// The groups of options of which one must be given.
pub fn choices(schema: &Json) -> Vec<Choice> {
    let names = |alternative: &Json| -> Option<Vec<String>> {
        let names = alternative.get("required")?.as_array()?;
        Some(names.iter().filter_map(Json::as_str).map(str::to_owned).collect())
    };
    let mut out = Vec::new();
    for (keyword, exactly_one) in [("oneOf", true), ("anyOf", false)] {
        let of: Option<Vec<_>> =
            schema[keyword].as_array().map(|list| list.iter().filter_map(names).collect());
        out.extend(of.filter(|of| !of.is_empty()).map(|of| Choice { exactly_one, of }));
    }
    out
}

fn option(name: &str, property: &Json, required: bool) -> OptionDoc {
    let is = |annotation: &str| property[annotation] == true;
    let items = &property["items"];
    let mut limits = limits(property, "");
    limits.extend(self::limits(items, "each "));
    let allowed = [property, items].into_iter().find_map(|schema| {
        let constant = schema.get("const").map(|value| vec![value.clone()]);
        schema["enum"].as_array().cloned().or(constant)
    });
    let notes = [
        ("writeOnly", "a secret"),
        ("x-template", "a template text, rendered when it is used"),
        ("x-host-path", "a path on the host"),
        ("x-host-output", "a path on the host"),
        ("x-host-glob", "a pattern of paths on the host"),
        ("x-machine-path", "a path on the machine"),
    ];
    let mut notes: Vec<&'static str> = notes
        .iter()
        .filter(|(annotation, _)| is(annotation) || items[annotation] == true)
        .map(|(_, note)| *note)
        .collect();
    notes.dedup();
    match property["x-language"].as_str() {
        Some("hcl2") => notes.push("HCL2 only"),
        Some(_) => notes.push("JSON only"),
        None => {}
    }
    let block = if items["properties"].is_object() { items } else { property };
    OptionDoc {
        name: name.to_owned(),
        type_text: type_text(property),
        required,
        default: property.get("default").cloned(),
        allowed: allowed.unwrap_or_default(),
        limits,
        description: property["description"].as_str().unwrap_or_default().to_owned(),
        deprecated: is("deprecated"),
        since: property["x-since"].as_str().map(str::to_owned),
        state: match (is("x-not-supported"), is("x-no-effect")) {
            (true, _) => State::NotSupported,
            (_, true) => State::WithoutEffect,
            _ => State::Works,
        },
        notes,
        examples: property["examples"].as_array().cloned().unwrap_or_default(),
        options: of(block),
    }
}

/// A type in words; empty where anything goes.
fn type_text(schema: &Json) -> String {
    let types: Vec<&str> = match &schema["type"] {
        Json::String(one) => vec![one.as_str()],
        Json::Array(many) => many.iter().filter_map(Json::as_str).filter(|t| *t != "null").collect(),
        _ => Vec::new(),
    };
    if types.is_empty() {
        let alternatives = ["anyOf", "oneOf"].into_iter().find_map(|keyword| schema[keyword].as_array());
        let mut texts: Vec<String> = alternatives.into_iter().flatten().map(type_text).collect();
        texts.retain(|text| !text.is_empty());
        texts.dedup();
        return texts.join(" or ");
    }
    let plural = |schema: &Json, one: &str| match type_text(schema).as_str() {
        "" => String::new(),
        "block" => format!("{one} of blocks"),
        text => format!("{one} of {}s", text.replace("list", "lists")),
    };
    let word = |name: &&str| match *name {
        "string" if schema["x-duration"] == true => "duration".to_owned(),
        "integer" => "whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" if schema["items"].is_object() => plural(&schema["items"], "list"),
        "array" => "list".to_owned(),
        "object" if schema["properties"].is_object() => "block".to_owned(),
        "object" if schema["additionalProperties"].is_object() => {
            plural(&schema["additionalProperties"], "map")
        }
        other => other.to_owned(),
    };
    let mut words: Vec<String> = types.iter().map(word).filter(|word| !word.is_empty()).collect();
    words.dedup();
    words.join(" or ")
}

fn limits(schema: &Json, each: &str) -> Vec<String> {
    let number = |key: &str| schema[key].as_f64();
    let range = |low: &str, high: &str, what: &str| {
        let text = match (number(low), number(high)) {
            (Some(low), Some(high)) if low == high => format!("{low}"),
            (Some(low), Some(high)) => format!("{low} to {high}"),
            (Some(low), None) => format!("at least {low}"),
            (None, Some(high)) => format!("at most {high}"),
            (None, None) => return None,
        };
        Some(format!("{each}{text}{what}"))
    };
    let mut out: Vec<String> = Vec::new();
    out.extend(range("minimum", "maximum", ""));
    out.extend(range("minLength", "maxLength", " characters"));
    out.extend(range("minItems", "maxItems", " items"));
    out.extend(schema["pattern"].as_str().map(|pattern| format!("{each}like the pattern {pattern}")));
    if schema["uniqueItems"] == true {
        out.push("no item twice".to_owned());
    }
    out
}

impl OptionDoc {
    pub fn json(&self) -> Json {
        let mut out = json!({
            "name": self.name, "type": self.type_text, "required": self.required, "description": self.description,
            "deprecated": self.deprecated,
        });
        let lists = [
            ("allowed", Json::from(self.allowed.clone())),
            ("limits", Json::from(self.limits.clone())),
            ("notes", Json::from(self.notes.clone())),
            ("examples", Json::from(self.examples.clone())),
            ("options", self.options.iter().map(Self::json).collect()),
        ];
        if let Some(default) = &self.default {
            out["default"] = default.clone();
        }
        if let Some(since) = &self.since {
            out["since"] = since.as_str().into();
        }
        for (key, list) in
            lists.into_iter().filter(|(_, list)| list.as_array().is_some_and(|l| !l.is_empty()))
        {
            out[key] = list;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_put_into_words() {
        let schema = json!({"required": ["count"], "oneOf": [{"required": ["a"]}, {"required": ["b", "c"]}],
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2, "description": "How many."},
            "wait": {"type": ["string", "null"], "x-duration": true, "minLength": 2},
            "list": {"type": "array", "items": {"type": "string", "enum": ["x", "y"], "x-host-path": true},
                "uniqueItems": true, "maxItems": 3},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}, "deprecated": true},
            "disks": {"type": "array", "items": {"type": "object", "required": ["size"],
                "properties": {"size": {"type": "integer"}}}},
            "how": {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]},
            "old": {"x-not-supported": true}, "none": {"type": "string", "x-no-effect": true, "x-since": "0.2"},
            "password": {"type": "string", "writeOnly": true}}});
        let options = of(&schema);
        let told: Vec<(&str, &str)> =
            options.iter().map(|o| (o.name.as_str(), o.type_text.as_str())).collect();
        assert_eq!(
            told,
            [
                ("count", "whole number"),
                ("wait", "duration"),
                ("list", "list of strings"),
                ("tags", "map of strings"),
                ("disks", "list of blocks"),
                ("how", "true or false or list of strings"),
                ("old", ""),
                ("none", "string"),
                ("password", "string")
            ]
        );
        let by_name = |name: &str| options.iter().find(|o| o.name == name).unwrap();
        assert!(by_name("count").required && !by_name("wait").required);
        assert_eq!(
            (by_name("count").default.clone(), &by_name("count").limits),
            (Some(json!(2)), &vec!["1 to 9".to_owned()])
        );
        assert_eq!(by_name("wait").limits, ["at least 2 characters"]);
        assert_eq!(by_name("list").limits, ["at most 3 items", "no item twice"]);
        assert_eq!(by_name("list").allowed, [json!("x"), json!("y")]);
        assert_eq!(by_name("list").notes, ["a path on the host"]);
        assert_eq!(by_name("password").notes, ["a secret"]);
        assert!(by_name("tags").deprecated && by_name("disks").options[0].required);
        assert_eq!(by_name("old").state, State::NotSupported);
        let none = by_name("none");
        assert_eq!((none.state, none.json()["since"].as_str()), (State::WithoutEffect, Some("0.2")));
        let of = vec![vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]];
        assert_eq!(choices(&schema), [Choice { exactly_one: true, of }]);
    }

    #[test]
    fn what_is_not_there_is_not_told_to_programs() {
        let options = of(&json!({"properties": {"a": {"type": "string", "description": "A."}}}));
        assert_eq!(
            options[0].json(),
            json!({"name": "a", "type": "string", "required": false, "description": "A.", "deprecated": false})
        );
    }
}
