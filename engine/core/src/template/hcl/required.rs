//! The `packer` block: which version of the engine and which plugins a template wants. What a template calls a plugin
//! is satisfied by a component that is built in or installed.

use std::cmp::Ordering;

use super::{check_arguments, unknown_block};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hcl::syntax::{Attribute, Block, Expr, ExprKind, ObjectKey};
use crate::interpolate::PACKER_VERSION;
use crate::source::Span;

/// An entry of `required_plugins`.
#[derive(Clone, Debug)]
pub struct RequiredPlugin {
    pub name: String,
    /// For instance `github.com/hashicorp/azure`.
    pub source: String,
    pub constraint: String,
    pub span: Span,
}

/// Something that satisfies an entry: by the last part of its source.
#[derive(Clone, Debug)]
pub struct InstalledPlugin {
    pub source: String,
    pub version: String,
    pub built_in: bool,
}

pub fn required_plugins(template: &super::HclTemplate) -> &[RequiredPlugin] {
    &template.required
}

pub(super) fn packer_block(block: &Block, out: &mut Vec<RequiredPlugin>, found: &mut Diagnostics) {
    check_arguments(&block.body, &["required_version"], "a \"packer\" block", found);
    if let Some(attribute) = block.body.attribute("required_version")
        && let Some(text) = literal(&attribute.expr, "required_version", found)
    {
        match Constraint::parse(&text) {
            Ok(constraint) if constraint.allows(&Version::parse(PACKER_VERSION).unwrap_or_default()) => {}
            Ok(_) => found.push(
                Diagnostic::error(
                    "template/required-version",
                    format!("this template wants Packer {text}, and this engine reads the templates of Packer {PACKER_VERSION}"),
                )
                .at(&attribute.expr.span)
                .help("change required_version after a look at what has changed since"),
            ),
            Err(reason) => found.push(bad_constraint(&text, &reason).at(&attribute.expr.span)),
        }
    }
    for inner in &block.body.blocks {
        if inner.kind != "required_plugins" {
            found.push(unknown_block(inner, ["required_plugins"], "a \"packer\" block"));
            continue;
        }
        for attribute in &inner.body.attributes {
            if let Some(plugin) = plugin(attribute, found) {
                match out.iter().find(|p| p.name == plugin.name) {
                    Some(first) => found.push(
                        Diagnostic::error(
                            "template/duplicate-plugin",
                            format!("the plugin \"{}\" is required twice", plugin.name),
                        )
                        .at(&plugin.span)
                        .related(&first.span, "first here"),
                    ),
                    None => out.push(plugin),
                }
            }
        }
    }
}

fn literal(expr: &Expr, name: &str, found: &mut Diagnostics) -> Option<String> {
    let text = expr.literal_text();
    if text.is_none() && !matches!(expr.kind, ExprKind::Invalid) {
        found.push(
            Diagnostic::error(
                "template/not-a-literal",
                format!("\"{name}\" must be a text without interpolations"),
            )
            .at(&expr.span)
            .help("it is needed before any variable has a value"),
        );
    }
    text
}

fn bad_constraint(text: &str, reason: &str) -> Diagnostic {
    Diagnostic::error("template/version-constraint", format!("{text:?} is no version constraint: {reason}"))
        .help("write for instance \">= 1.2.0\", \"~> 1.4\" or \">= 1.0, < 2.0\"")
}

fn plugin(attribute: &Attribute, found: &mut Diagnostics) -> Option<RequiredPlugin> {
    let at = &attribute.name_span;
    let form = "write name = { version = \">= 1.0.0\", source = \"github.com/owner/name\" }";
    let ExprKind::Object(items) = &attribute.expr.kind else {
        if !matches!(attribute.expr.kind, ExprKind::Invalid) {
            found.push(
                Diagnostic::error(
                    "template/required-plugin",
                    "a required plugin is an object with version and source",
                )
                .at(at)
                .help(form),
            );
        }
        return None;
    };
    let (mut version, mut source) = (None, None);
    for (key, value) in items {
        let name = match key {
            ObjectKey::Name(name, _) => name.clone(),
            ObjectKey::Expr(expr) => expr.literal_text().unwrap_or_default(),
        };
        match name.as_str() {
            "version" => version = Some(literal(value, "version", found)?),
            "source" => source = Some(literal(value, "source", found)?),
            _ => found.push(
                Diagnostic::error("template/required-plugin", format!("a required plugin has no \"{name}\""))
                    .at(at)
                    .help(form),
            ),
        }
    }
    let mut missing = |what: &str| {
        found.push(
            Diagnostic::error(
                "template/required-plugin",
                format!("the plugin \"{}\" has no {what}", attribute.name),
            )
            .at(at)
            .help(form),
        );
    };
    let Some(source) = source else {
        missing("source");
        return None;
    };
    let Some(version) = version else {
        missing("version");
        return None;
    };
    let parts: Vec<&str> = source.split('/').collect();
    let plain = |p: &&str| p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if parts.len() < 3 || parts.iter().any(|p| p.is_empty()) || !parts.iter().all(plain) {
        found.push(
            Diagnostic::error(
                "template/required-plugin",
                format!("{source:?} is not the source of a plugin"),
            )
            .at(at)
            .help("write host/owner/name, for instance \"github.com/hashicorp/azure\""),
        );
        return None;
    }
    if let Err(reason) = Constraint::parse(&version) {
        found.push(bad_constraint(&version, &reason).at(at));
        return None;
    }
    Some(RequiredPlugin { name: attribute.name.clone(), source, constraint: version, span: at.clone() })
}

/// How bad it is that a required plugin is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// Everything has to be there, whether it is used or not.
    All,
    /// A build that uses a type of it fails for that, and the others don't care.
    IfUsed,
}

/// What of the required plugins is not there.
pub fn check_required(
    required: &[RequiredPlugin],
    installed: &[InstalledPlugin],
    needed: Needed,
) -> Diagnostics {
    let mut found = Diagnostics::new();
    for plugin in required {
        let last = |source: &str| source.rsplit('/').next().unwrap_or_default().to_owned();
        let same: Vec<&InstalledPlugin> = installed
            .iter()
            .filter(|i| i.source == plugin.source || last(&i.source) == last(&plugin.source))
            .collect();
        let fits =
            |i: &&&InstalledPlugin| match (Constraint::parse(&plugin.constraint), Version::parse(&i.version))
            {
                (Ok(constraint), Some(version)) => constraint.allows(&version),
                _ => true,
            };
        if same.iter().any(|i| fits(&i)) {
            continue;
        }
        let wanted = format!("{} {}", plugin.source, plugin.constraint);
        found.push(match same.first() {
            // Templates pin versions for good reasons, but there is only one version of what is built in.
            Some(there) if there.built_in => Diagnostic::warning(
                "template/plugin-version",
                format!("this template wants {wanted}; what is built in behaves like {}", there.version),
            )
            .at(&plugin.span)
            .help("check the options that changed between these versions, then change the constraint"),
            Some(there) => Diagnostic::error(
                "template/plugin-version",
                format!("the plugin \"{}\" is installed in version {}, and this template wants {wanted}", plugin.name, there.version),
            )
            .at(&plugin.span)
            .help("install a version that fits, or change the constraint"),
            None => {
                let missing = Diagnostic::error(
                    "template/missing-plugin",
                    format!("the plugin \"{}\" ({wanted}) is not installed", plugin.name),
                )
                .at(&plugin.span)
                .help("put its component into a folder and name it with --plugin-dir; Packer's own plugin programs can't be loaded");
                match needed {
                    Needed::All => missing,
                    Needed::IfUsed => missing.softened().detail("only what is not of its types can be built"),
                }
            }
        });
    }
    found
}

/// A version such as `1.2.3-rc1`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Version {
    numbers: Vec<u64>,
    pre: String,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split('+').next().unwrap_or_default();
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, pre.to_owned()),
            None => (text, String::new()),
        };
        let numbers = numbers.split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>()?;
        (numbers.len() <= 8).then_some(Self { numbers, pre })
    }

    fn number(&self, at: usize) -> u64 {
        self.numbers.get(at).copied().unwrap_or(0)
    }

    fn order(&self, other: &Self) -> Ordering {
        (0..8)
            .map(|i| self.number(i).cmp(&other.number(i)))
            .find(|o| o.is_ne())
            // A version that is not released yet comes before it.
            .unwrap_or_else(|| match (self.pre.is_empty(), other.pre.is_empty()) {
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => self.pre.cmp(&other.pre),
            })
    }
}

/// Conditions that a version has to meet, all of them.
struct Constraint(Vec<(&'static str, Version)>);

impl Constraint {
    fn parse(text: &str) -> Result<Self, String> {
        const SIGNS: [&str; 7] = ["~>", ">=", "<=", "!=", "=", ">", "<"];
        let mut conditions = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            let sign = SIGNS.iter().find(|s| part.starts_with(**s)).copied();
            let number = part[sign.map_or(0, str::len)..].trim();
            let version = Version::parse(number).ok_or_else(|| format!("{number:?} is no version"))?;
            conditions.push((sign.unwrap_or("="), version));
        }
        Ok(Self(conditions))
    }

    fn allows(&self, version: &Version) -> bool {
        self.0.iter().all(|(sign, wanted)| {
            let order = version.order(wanted);
            match *sign {
                ">=" => order.is_ge(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                "<" => order.is_lt(),
                "!=" => order.is_ne(),
                // Only the last number that is written may be higher.
                "~>" => {
                    let fixed = wanted.numbers.len().saturating_sub(1).max(1);
                    order.is_ge() && (0..fixed).all(|i| version.number(i) == wanted.number(i))
                }
                _ => order.is_eq(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints() {
        for (constraint, version, allowed) in [
            (">= 1.7.0, < 2.0.0", "1.16.0", true),
            (">= v1", "1.16.0", true),
            ("~> 1.4", "1.16.0", true),
            ("~> 1.4.0", "1.16.0", false),
            ("~> 1", "2.0.0", false),
            ("1.16.0", "1.16.0", true),
            ("!= 1.16", "1.16.0", false),
            (">= 1.16.0", "1.16.0-dev", false),
        ] {
            let parsed = Constraint::parse(constraint).expect(constraint);
            assert_eq!(
                parsed.allows(&Version::parse(version).expect(version)),
                allowed,
                "{constraint} {version}"
            );
        }
        for constraint in ["", "one", ">= 1.x", "=> 1", "1.0,"] {
            assert!(Constraint::parse(constraint).is_err(), "{constraint}");
        }
    }
}
