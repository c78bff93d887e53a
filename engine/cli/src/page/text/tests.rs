use fornax_core::plugin::{Capability, CapabilityRequest};
use fornax_core::schema::common::BlockKind;
use serde_json::json;

use super::super::Origin;
use super::*;

fn sample() -> Page {
    Page {
        kind: BlockKind::PostProcessor,
        name: "note".into(),
        summary: "Writes a note\u{1b}[31m".into(),
        docs: "A paragraph of many words that goes on and on\nuntil it is longer than a line.\n\n- one item that is \
               also longer than a line is\n- two\n\n| a | b |\n|---|---|\n| as it is | whatever its length, even when it is long |\n\n```\ncode  stays\n```\n"
            .into(),
        schema: json!({
            "required": ["output"], "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
            "properties": {
                "output": {"type": "string", "description": "The file that the note is written to.", "x-host-output": true},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast", "deprecated": true, "x-since": "1.1"},
                "gone": {"x-no-effect": true, "description": "It was for old machines."},
                "later": {"x-not-supported": true, "description": "use output"}
            }
        }),
        examples: vec![json!({"output": "note.txt"})],
        origin: Origin {
            name: "acme/note".into(),
            version: "1.2.0".into(),
            place: "plugins/note/plugin.wasm".into(),
            digest: Some("0123".into()),
        },
        rights: vec![CapabilityRequest {
            capability: Capability::Network(vec!["example.org".into()]),
            required: true,
            reason: "it asks there".into(),
            granted: false,
        }],
    }
}

#[test]
fn a_page_says_everything_within_the_width() {
    let expected = r#"post-processor note
  Writes a note[31m

  From: acme/note 1.2.0
    (plugins/note/plugin.wasm), sha256 0123
  Rights: needs network:example.org: denied (it
    asks there)

Description
  A paragraph of many words that goes on and on
  until it is longer than a line.

  - one item that is also longer than a line is
  - two

  | a | b |
  |---|---|
  | as it is | whatever its length, even when it is long |

  ```
  code  stays
  ```

Options
  Exactly one of these is needed: a, b.
  output (string, required, a path on the host)
      The file that the note is written to.
  mode (string, deprecated)
      Default: "fast"
      Since: 1.1
      Allowed: "fast", "slow"

"#;
    let text = page(&sample(), 52);
    assert_eq!(text.get(..expected.len()), Some(expected), "{text}");
    for part in [
        "Options of every post-processor\n  name (string)\n",
        "\nAccepted without effect\n  gone: It was for old machines.\n",
        "\nNot supported yet, and what to do instead\n  later: use output\n",
        "Examples in JSON\n  {\n    \"type\": \"note\",\n    \"output\": \"note.txt\"\n  }\n",
        "Examples in HCL2\n  post-processor \"note\" {\n    output = \"note.txt\"\n  }\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn programs_get_the_same() {
    let told = sample().json();
    assert_eq!(told["kind"], "post-processor");
    assert_eq!(told["rights"][0]["granted"], false);
    let names = |list: &str| -> Vec<&str> {
        told[list].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect()
    };
    assert_eq!(names("options"), ["output", "mode"]);
    assert_eq!((names("without_effect"), names("not_supported")), (vec!["gone"], vec!["later"]));
    assert_eq!(names("common_options"), ["name", "only", "except", "keep_input_artifact"]);
    assert_eq!(told["choices"], json!([{"exactly_one": true, "of": [["a"], ["b"]]}]));
    assert_eq!(told["examples"][0]["json"], json!({"type": "note", "output": "note.txt"}));
    assert!(told["examples"][0]["hcl2"].as_str().unwrap().starts_with("post-processor \"note\""));
}

#[test]
fn long_words_stand_alone() {
    assert_eq!(wrap("a bb /a/very/long/path cc", 8), ["a bb", "/a/very/long/path", "cc"]);
    assert!(wrap("  ", 8).is_empty());
}
