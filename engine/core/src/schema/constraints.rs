//! Limits of single values, and schemas that offer alternatives.

use serde_json::Value as Json;

use super::Checker;
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::duration::parse_duration;
use crate::value::{Node, Value};

impl Checker {
    pub(super) fn constraints(&mut self, node: &Node, schema: &Json, name: &str) {
        self.choice(node, schema, name);
        let number = |key: &str| schema[key].as_f64();
        match &node.value {
            Value::String(text) => {
                let plain = text.expose();
                let shown = text.masked();
                let length = plain.chars().count() as f64;
                if let Some(pattern) = schema["pattern"].as_str()
                    && regex::Regex::new(pattern).is_ok_and(|p| !p.is_match(&plain))
                {
                    self.wrong(
                        node,
                        "config/pattern",
                        format!("\"{name}\" is \"{shown}\", which does not match {pattern}"),
                    );
                }
                if let Some(min) = number("minLength").filter(|min| length < *min) {
                    let summary = match min {
                        1.0 => format!("\"{name}\" can't be an empty text"),
                        min => format!("\"{name}\" is too short: it has at least {min} characters"),
                    };
                    self.wrong(node, "config/length", summary);
                }
                if let Some(max) = number("maxLength").filter(|max| length > *max) {
                    let summary = format!("\"{name}\" is too long: it has at most {max} characters");
                    self.wrong(node, "config/length", summary);
                }
                if schema["x-duration"] == true
                    && let Err(why) = parse_duration(&plain)
                {
                    let why = if text.is_sensitive() { "it is not a duration".to_owned() } else { why };
                    self.wrong(node, "config/duration", format!("\"{name}\": {why}"));
                }
            }
            Value::Number(n) => {
                let n = n.as_f64().unwrap_or_default();
                if number("minimum").is_some_and(|min| n < min)
                    || number("maximum").is_some_and(|max| n > max)
                {
                    let bounds = match (number("minimum"), number("maximum")) {
                        (Some(min), Some(max)) => format!("from {min} to {max}"),
                        (Some(min), None) => format!("{min} or more"),
                        (_, max) => format!("{} or less", max.unwrap_or_default()),
                    };
                    self.wrong(node, "config/range", format!("\"{name}\" is {n}; it must be {bounds}"));
                }
            }
            Value::Array(items) => {
                let count = items.len() as f64;
                let counted = |n: f64| format!("{n} item{}", if n == 1.0 { "" } else { "s" });
                if let Some(min) = number("minItems").filter(|min| count < *min) {
                    let summary = format!("\"{name}\" has {}; it needs at least {min}", counted(count));
                    self.wrong(node, "config/count", summary);
                }
                if let Some(max) = number("maxItems").filter(|max| count > *max) {
                    let summary = format!("\"{name}\" has {}; it takes at most {max}", counted(count));
                    self.wrong(node, "config/count", summary);
                }
                if schema["uniqueItems"] == true {
                    for (i, item) in items.iter().enumerate() {
                        if item.value != Value::Unknown && items[..i].iter().any(|n| n.value == item.value) {
                            self.wrong(
                                item,
                                "config/duplicate-item",
                                format!("this stands twice in \"{name}\""),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// `enum` and `const`.
    fn choice(&mut self, node: &Node, schema: &Json, name: &str) {
        if matches!(node.value, Value::Array(_) | Value::Object(_) | Value::Null | Value::Unknown) {
            return;
        }
        let constant = schema.get("const").map(std::slice::from_ref);
        let Some(allowed) = schema["enum"].as_array().map(Vec::as_slice).or(constant) else { return };
        let value = node.expose_json();
        if allowed.contains(&value) {
            return;
        }
        let word = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        let names: Vec<String> = allowed.iter().map(word).collect();
        let shown = word(&node.to_json(&|text| text.masked()));
        let sensitive = node.as_text().is_some_and(|text| text.is_sensitive());
        let near = nearest(&word(&value), names.iter().map(String::as_str)).filter(|_| !sensitive);
        let help = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if names.len() == 1 => format!("write {}", names[0]),
            None => format!("write one of {}", names.join(", ")),
        };
        self.found.push(
            Diagnostic::error("config/unknown-value", format!("\"{name}\" can't be \"{shown}\""))
                .at(&node.span)
                .help(help),
        );
    }

    /// `anyOf` and `oneOf`: the first alternative that holds, one without conversions before others.
    pub(super) fn alternatives(&mut self, node: Node, schema: &Json, name: &str) -> Node {
        let mut node = node;
        for keyword in ["anyOf", "oneOf"] {
            let Some(list) = schema[keyword].as_array().filter(|list| !list.is_empty()) else { continue };
            let mut tried: Vec<(Node, Diagnostics)> = list
                .iter()
                .map(|alternative| {
                    let mut checker = Checker { found: Diagnostics::new(), typing: self.typing };
                    let result = checker.node(&node, alternative, name);
                    (result, checker.found)
                })
                .collect();
            let holds = |(_, found): &(Node, Diagnostics)| !found.has_errors();
            let groups = required_groups(list);
            let count = tried.iter().filter(|t| holds(t)).count();
            match &groups {
                Some(groups) if count == 0 => {
                    self.found.push(
                        Diagnostic::error(
                            "config/missing-option",
                            format!("one of {} must be given", groups.join(", ")),
                        )
                        .at(&node.head())
                        .help(format!("add {}", groups[0])),
                    );
                }
                // Other alternatives overlap by their conversions, so that more than one holds often.
                Some(groups) if keyword == "oneOf" && count > 1 => {
                    self.found.push(
                        Diagnostic::error(
                            "config/too-many-options",
                            format!("only one of {} may be given", groups.join(", ")),
                        )
                        .at(&node.head())
                        .help("remove the others"),
                    );
                }
                _ => {}
            }
            let best = tried
                .iter()
                .position(|t| holds(t) && t.0 == node)
                .or_else(|| tried.iter().position(holds))
                .or_else(|| (0..tried.len()).min_by_key(|i| tried[*i].1.len()));
            if let Some(best) = best {
                let (result, found) = tried.swap_remove(best);
                if count > 0 {
                    node = result;
                }
                if count > 0 || groups.is_none() {
                    self.found.extend(found);
                }
            }
        }
        node
    }
}

/// The names of options, where the alternatives are nothing but different required ones.
fn required_groups(list: &[Json]) -> Option<Vec<String>> {
    list.iter()
        .map(|alternative| {
            let alternative = alternative.as_object()?;
            let names = alternative.get("required")?.as_array()?;
            let names: Vec<String> =
                names.iter().filter_map(Json::as_str).map(|n| format!("\"{n}\"")).collect();
            (alternative.len() == 1 && !names.is_empty()).then(|| names.join(" with "))
        })
        .collect()
}
