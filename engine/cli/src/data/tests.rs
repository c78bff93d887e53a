use fornax_core::plugin::Capability;
use fornax_core::schema::{self, Typing};
use fornax_core::value::{Member, Value};
use fornax_core::{SourceFile, Span};
use fornax_plugin_host::{PluginId, Policy};

use super::*;

fn sources() -> BuiltInData {
    let id = PluginId { name: "http", digest: "", built_in: true };
    BuiltInData::new(Policy::new().effective(id, &[Capability::Network(vec!["*".to_owned()])]))
}

fn node(json: &Json) -> Node {
    let span = Span::new(&SourceFile::new("t.pkr.hcl", " "), 0..1);
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Number(n.clone()),
        Json::String(text) => Value::String(Text::plain(text)),
        Json::Array(items) => Value::Array(items.iter().map(node).collect()),
        Json::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| Member { key: key.clone(), key_span: span.clone(), value: node(value) })
                .collect(),
        ),
    };
    Node::new(value, span)
}

#[test]
fn descriptions_are_what_the_check_takes() {
    let sources = sources();
    let described = sources.describe();
    let names: Vec<&str> = described.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, sources.types());
    for (name, description, rights) in described {
        assert!(rights.iter().all(|right| right.granted) && rights.is_empty() != (name == "http"));
        let codes = |config: &Json| -> Vec<String> {
            let (_, found) = schema::check(&node(config), &sources.schema(name), Typing::Typed);
            found.iter().map(|finding| finding.code.clone()).collect()
        };
        assert_eq!(description.examples.len(), 1);
        for example in &description.examples {
            assert!(codes(example).is_empty(), "{name}: {example}");
            for (key, property) in description.schema["properties"].as_object().unwrap() {
                let mut changed = example.clone();
                changed[key] = if property["type"] == "object" { "text".into() } else { json!({"a": "b"}) };
                assert_eq!(codes(&changed), ["config/wrong-type"], "{name}: {changed}");
                for word in property["enum"].as_array().into_iter().flatten() {
                    changed[key] = word.clone();
                    assert!(codes(&changed).is_empty(), "{name}: {changed}");
                    changed[key] = "nonsense".into();
                    assert_eq!(codes(&changed), ["config/unknown-value"], "{name}: {changed}");
                }
            }
            for key in description.schema["required"].as_array().unwrap() {
                let mut changed = example.clone();
                changed.as_object_mut().unwrap().remove(key.as_str().unwrap());
                assert_eq!(codes(&changed), ["config/missing-option"], "{name}: {changed}");
            }
            let mut changed = example.clone();
            changed["strange"] = "x".into();
            assert_eq!(codes(&changed), ["config/unknown-option"], "{name}: {changed}");
        }
    }
}
