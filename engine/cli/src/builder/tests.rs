use std::sync::Arc;

use fornax_communicator::{SshConnector, TcpDialer};
use fornax_core::builder::{BuilderFactory, PrepareContext};
use fornax_core::value::Member;
use fornax_core::{Node, Redactor, SourceFile, Span, Text, Value};
use serde_json::{Value as Json, json};

use super::{FileFactory, NullFactory};

/// Codes of the errors that a configuration has.
fn errors(factory: &dyn BuilderFactory, config: &Json) -> Vec<String> {
    let span = Span::new(&SourceFile::new("t.json", " "), 0..1);
    let member = |(key, value): (&String, &Json)| Member {
        key: key.clone(),
        key_span: span.clone(),
        value: Node::new(
            match value {
                Json::String(text) => Value::String(Text::plain(text)),
                Json::Bool(b) => Value::Bool(*b),
                _ => Value::Array(Vec::new()),
            },
            span.clone(),
        ),
    };
    let members = config.as_object().into_iter().flatten().map(member).collect();
    let context = PrepareContext {
        build_name: "b".into(),
        build_id: "i".into(),
        run_id: "r".into(),
        force: false,
        debug: false,
        working_dir: std::env::temp_dir(),
        redactor: Redactor::new(),
        env: Arc::new(|_| None),
    };
    let (_, found) = factory.prepare(&Node::new(Value::Object(members), span.clone()), &context);
    found.iter().filter(|f| f.severity == fornax_core::Severity::Error).map(|f| f.code.clone()).collect()
}

#[test]
fn the_small_builders_take_what_they_describe() {
    let null = NullFactory { connector: Arc::new(SshConnector::new(Arc::new(TcpDialer))) };
    let factories: [&dyn BuilderFactory; 2] = [&FileFactory, &null];
    for factory in factories {
        let description = factory.describe();
        for example in &description.examples {
            assert_eq!(errors(factory, example), Vec::<String>::new(), "{example}");
            let mut changed = example.clone();
            changed["strange"] = json!("x");
            assert_eq!(errors(factory, &changed), ["builder/unknown-option"], "{changed}");
            for required in description.schema["required"].as_array().unwrap() {
                let mut changed = example.clone();
                changed.as_object_mut().unwrap().remove(required.as_str().unwrap());
                assert!(!errors(factory, &changed).is_empty(), "{changed}");
            }
        }
        let known =
            |key: &str| !errors(factory, &json!({ key: "x" })).contains(&"builder/unknown-option".to_owned());
        for (key, _) in description.schema["properties"].as_object().unwrap() {
            assert!(known(key), "{key}");
        }
    }
    // Each option of `file` is read: a value of another type is refused.
    for key in ["content", "source", "target"] {
        assert!(
            errors(&FileFactory, &json!({ key: [] })).contains(&"builder/wrong-type".to_owned()),
            "{key}"
        );
    }
    assert_eq!(FileFactory.describe().schema["properties"].as_object().unwrap().len(), 3);
}
