//! Builders, provisioners and post-processors: the keys that mean the same in each of them, and the rest.

use std::time::Duration;

use super::Reader;
use crate::diagnostic::Diagnostic;
use crate::duration::parse_duration;
use crate::source::Span;
use crate::template::{BuilderBlock, PostProcessorBlock, ProvisionerBlock, Selection, first_char};
use crate::value::{Member, Node, Value};

pub(in crate::template) const BUILDER_COMMON: &[&str] = &["type", "name"];
pub(in crate::template) const PROVISIONER_COMMON: &[&str] =
    &["type", "only", "except", "override", "pause_before", "timeout", "max_retries"];
pub(in crate::template) const POST_PROCESSOR_COMMON: &[&str] =
    &["type", "name", "only", "except", "keep_input_artifact"];

impl Reader {
    /// Takes the common keys out of a block; the rest is the component's configuration.
    fn block(&mut self, node: &Node, what: &str, common: &[&str]) -> Option<(Vec<Member>, Node)> {
        let Value::Object(members) = &node.value else {
            let help = match node.as_text() {
                Some(text) => format!("write {{\"type\": \"{}\"}}", text.masked()),
                None => "write {\"type\": ...}".to_owned(),
            };
            self.wrong(node, "template/wrong-type", format!("a {what} must be an object"), &help);
            return None;
        };
        let (mut taken, mut rest) = (Vec::new(), Vec::new());
        for member in members {
            match common.iter().find(|c| c.eq_ignore_ascii_case(&member.key)) {
                Some(name) => taken.push(Member { key: (*name).to_owned(), ..member.clone() }),
                None => rest.push(member.clone()),
            }
        }
        Some((taken, Node::new(Value::Object(rest), node.span.clone())))
    }

    fn type_of(&mut self, node: &Node, common: &[Member], what: &str) -> Option<(String, Span)> {
        match common.iter().find(|m| m.key == "type") {
            Some(member) if member.value.as_text().is_none_or(|t| !t.is_empty()) => {
                self.scalar(&member.value, "type").map(|t| (t, member.value.span.clone()))
            }
            _ => {
                self.found.push(
                    Diagnostic::error("template/missing-type", format!("this {what} has no \"type\""))
                        .at(&first_char(node))
                        .help(match what {
                            "builder" => "say which one it is, for instance \"type\": \"azure-arm\"",
                            "provisioner" => "say which one it is, for instance \"type\": \"shell\"",
                            _ => "say which one it is, for instance \"type\": \"manifest\"",
                        }),
                );
                None
            }
        }
    }

    pub(super) fn builder(&mut self, node: &Node) -> Option<BuilderBlock> {
        let (common, config) = self.block(node, "builder", BUILDER_COMMON)?;
        let (type_name, type_span) = self.type_of(node, &common, "builder")?;
        let name = common.iter().find(|m| m.key == "name");
        let raw_name = name.and_then(|m| self.scalar(&m.value, "name")).filter(|n| !n.is_empty());
        Some(BuilderBlock {
            raw_name: raw_name.unwrap_or_else(|| type_name.clone()),
            name_span: name.map_or_else(|| type_span.clone(), |m| m.value.span.clone()),
            type_name,
            type_span,
            config,
        })
    }

    fn selection(&mut self, common: &[Member]) -> Selection {
        let mut selection = Selection::default();
        for member in common {
            match member.key.as_str() {
                "only" => selection.only = self.names(&member.value, "only"),
                "except" => selection.except = self.names(&member.value, "except"),
                _ => {}
            }
        }
        if let (Some((_, first)), false) = (selection.only.first(), selection.except.is_empty()) {
            self.found.push(
                Diagnostic::error(
                    "template/only-and-except",
                    "only one of \"only\" and \"except\" may be given",
                )
                .at(first)
                .help("remove one of the two"),
            );
        }
        selection
    }

    fn duration(&mut self, common: &[Member], key: &str) -> Option<Duration> {
        let member = common.iter().find(|m| m.key == key)?;
        let text = self.scalar(&member.value, key)?;
        parse_duration(&text)
            .map_err(|_| {
                self.found.push(
                    Diagnostic::error("template/duration", format!("\"{key}\" can't be read"))
                        .at(&member.value.span)
                        .detail(format!("{text:?} is not a duration"))
                        .help("a number and a unit, such as \"30s\", \"5m\" or \"1h30m\""),
                )
            })
            .ok()
    }

    pub(super) fn provisioner(&mut self, node: &Node) -> Option<ProvisionerBlock> {
        let (common, config) = self.block(node, "provisioner", PROVISIONER_COMMON)?;
        let (type_name, type_span) = self.type_of(node, &common, "provisioner")?;
        let overrides = common.iter().find(|m| m.key == "override");
        if let Some(member) = overrides {
            for inner in std::iter::once(&member.value).chain(member.value.members().iter().map(|m| &m.value))
            {
                if !matches!(inner.value, Value::Object(_)) {
                    self.wrong(
                        inner,
                        "template/override",
                        "\"override\" is an object of build names with an object of options each",
                        "write {\"build\": {\"option\": ...}}",
                    );
                }
            }
        }
        Some(ProvisionerBlock {
            type_name,
            type_span,
            selection: self.selection(&common),
            overrides: overrides.map(|m| m.value.members().to_vec()).unwrap_or_default(),
            pause_before: self.duration(&common, "pause_before").unwrap_or_default(),
            timeout: self.duration(&common, "timeout").filter(|d| !d.is_zero()),
            max_retries: common.iter().find(|m| m.key == "max_retries").map(|m| m.value.clone()),
            config,
        })
    }

    pub(super) fn sequence(&mut self, node: &Node) -> Vec<PostProcessorBlock> {
        match &node.value {
            Value::Array(items) => items
                .iter()
                .filter_map(|item| {
                    if matches!(item.value, Value::Array(_)) {
                        self.wrong(
                            item,
                            "template/nested-sequence",
                            "a sequence of post-processors can't contain another sequence",
                            "write its steps into the outer sequence",
                        );
                        return None;
                    }
                    self.post_processor(item)
                })
                .collect(),
            _ => self.post_processor(node).into_iter().collect(),
        }
    }

    fn post_processor(&mut self, node: &Node) -> Option<PostProcessorBlock> {
        const NO_FLAG: &str = "\"keep_input_artifact\" must be true or false";
        if let Some(text) = node.as_text() {
            let type_name = text.expose();
            return Some(PostProcessorBlock {
                name: type_name.clone(),
                type_name,
                type_span: node.span.clone(),
                selection: Selection::default(),
                keep_input_artifact: None,
                config: Node::new(Value::Object(Vec::new()), node.span.clone()),
            });
        }
        let (common, config) = self.block(node, "post-processor", POST_PROCESSOR_COMMON)?;
        let (type_name, type_span) = self.type_of(node, &common, "post-processor")?;
        let name = common.iter().find(|m| m.key == "name").and_then(|m| self.scalar(&m.value, "name"));
        let name = name.filter(|n| !n.is_empty());
        let keep = common.iter().find(|m| m.key == "keep_input_artifact");
        let keep_input_artifact = keep.and_then(|m| match &m.value.value {
            Value::Bool(b) => Some(*b),
            Value::String(text) => match text.expose().as_str() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
                "" => None,
                _ => {
                    self.wrong(&m.value, "template/wrong-type", NO_FLAG, "write true or false");
                    None
                }
            },
            Value::Null => None,
            _ => {
                self.wrong(&m.value, "template/wrong-type", NO_FLAG, "write true or false");
                None
            }
        });
        Some(PostProcessorBlock {
            name: name.unwrap_or_else(|| type_name.clone()),
            type_name,
            type_span,
            selection: self.selection(&common),
            keep_input_artifact,
            config,
        })
    }
}
