//! Configurations as bodies of HCL2. In JSON, blocks and maps look the same; which one is meant follows from the
//! value, as Packer does it, and from the names of blocks that can look like maps.

use super::text::push;
use super::{Place, Writer};
use crate::hcl::lex::is_identifier;
use crate::hcl::write::{Item, Piece, Value, quote};
use crate::value::{Member, Node, Value as Json};

/// Blocks whose members may all be plain values.
const BLOCKS: &[&str] = &[
    "linux_options",
    "network_interface",
    "plan_info",
    "shared_image_destination",
    "shared_image_gallery",
    "shared_image_gallery_destination",
    "source_ami_filter",
    "spot",
    "vault_aws_engine",
];

impl Writer {
    /// The members of a configuration by name, with `more` of the common arguments among them.
    pub(super) fn body(&mut self, members: &[Member], more: Vec<(&str, Value)>, place: Place) -> Vec<Item> {
        enum Source<'a> {
            Json(&'a Node),
            Hcl(Value),
        }
        let mut all: Vec<(&str, Source<'_>)> = members
            .iter()
            .filter(|m| !more.iter().any(|(key, _)| *key == m.key))
            .map(|m| (m.key.as_str(), Source::Json(&m.value)))
            .collect();
        all.extend(more.iter().map(|(key, value)| (*key, Source::Hcl(value.clone()))));
        all.sort_by_key(|(key, _)| *key);
        let mut items = Vec::new();
        for (key, source) in all {
            match source {
                Source::Hcl(value) => items.push(Item::attribute(key, value)),
                Source::Json(node) if !is_identifier(key) => {
                    let what = format!("{key:?} can't be an argument in HCL2");
                    self.problem(&node.span, &what, "it is left out; give it another name");
                }
                Source::Json(node) => self.member(key, node, place, &mut items),
            }
        }
        items
    }

    fn member(&mut self, key: &str, node: &Node, place: Place, items: &mut Vec<Item>) {
        match &node.value {
            // Nothing is said by an empty list or map, and whether it is a block can't be seen.
            Json::Array(list) if list.is_empty() => {}
            Json::Object(members) if members.is_empty() => {}
            Json::Object(members) if BLOCKS.contains(&key) || !members.iter().all(|m| is_plain(&m.value)) => {
                let body = self.body(members, Vec::new(), place);
                items.push(Item::block(key, &[], body));
            }
            Json::Array(list) if list.iter().all(|n| matches!(n.value, Json::Object(_))) => {
                for element in list {
                    let body = self.body(element.members(), Vec::new(), place);
                    items.push(Item::block(key, &[], body));
                }
            }
            _ => items.push(Item::attribute(key, self.value(node, place))),
        }
    }

    pub(super) fn value(&mut self, node: &Node, place: Place) -> Value {
        match &node.value {
            Json::Null | Json::Unknown => Value::Code("null".to_owned()),
            Json::Bool(b) => Value::Code(b.to_string()),
            Json::Number(n) => Value::Code(number(n)),
            Json::String(text) => Value::Template(self.text(&text.expose(), &node.span, place)),
            Json::Array(items) => Value::List(items.iter().map(|n| self.value(n, place)).collect()),
            Json::Object(members) => {
                let mut sorted: Vec<&Member> = members.iter().collect();
                sorted.sort_by(|a, b| a.key.cmp(&b.key));
                let members = sorted.into_iter().map(|m| (self.key(m, place), self.value(&m.value, place)));
                Value::Object(members.collect())
            }
        }
    }

    /// A key of an object, as it is written.
    fn key(&mut self, member: &Member, place: Place) -> String {
        // `for` at the beginning of an object means something else.
        if is_identifier(&member.key) && member.key != "for" {
            return member.key.clone();
        }
        let mut pieces = Vec::new();
        self.text(&member.key, &member.key_span, place).into_iter().for_each(|p| push(&mut pieces, p));
        match pieces.is_empty() {
            true => "\"\"".to_owned(),
            false => quote(&pieces),
        }
    }
}

fn is_plain(node: &Node) -> bool {
    !matches!(node.value, Json::Array(_) | Json::Object(_))
}

/// Numbers without an exponent, whole ones without a point.
fn number(n: &serde_json::Number) -> String {
    match n.as_f64() {
        Some(f) if !n.is_i64() && !n.is_u64() && f.is_finite() => format!("{f}"),
        _ => n.to_string(),
    }
}

/// A text that is known.
pub(super) fn text_value(text: impl Into<String>) -> Value {
    Value::Template(vec![Piece::Text(text.into())])
}
