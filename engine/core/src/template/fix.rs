//! Rewrites keys of JSON templates that Packer has renamed, merged or dropped over the years. Each change is a
//! [`Fixer`] of its own with the name that Packer gives it; [`fix`] runs all of them and prints the template as Packer
//! does: keys sorted, two blanks a level. Values that no fixer knows pass through unchanged.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{check, json};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::SourceFile;
use crate::value::Value;

mod builders;
mod changes;
mod steps;
#[cfg(test)]
mod tests;

type Object = Map<String, Json>;

/// One kind of change.
pub struct Fixer {
    /// As Packer calls it.
    pub name: &'static str,
    /// What it changes, one sentence without a full stop.
    pub summary: &'static str,
    run: fn(&mut Document) -> Result<(), Wrong>,
}

/// A template after all fixers.
pub struct Fixed {
    pub text: String,
    /// The fixers that changed something.
    pub applied: Vec<&'static Fixer>,
}

/// All fixers, in the order in which they run: later ones build on what earlier ones made.
pub fn fixers() -> impl Iterator<Item = &'static Fixer> {
    builders::FIRST.iter().chain(steps::FIXERS).chain(builders::LAST)
}

/// A value that a fixer can't translate; `pointer` is its JSON Pointer in the template.
struct Wrong {
    pointer: String,
    summary: String,
    help: &'static str,
}

/// Runs all fixers over a template. None if the text is not a JSON object or a value can't be translated; the
/// findings say why.
pub fn fix(file: &Arc<SourceFile>) -> (Option<Fixed>, Diagnostics) {
    let (node, mut found) = json::parse(file);
    let Some(node) = node.filter(|_| !found.has_errors()) else { return (None, found.sorted()) };
    let Value::Object(_) = node.value else {
        found.push(
            Diagnostic::error("template/not-an-object", "a template is an object with \"builders\" and more")
                .at(&super::first_char(&node))
                .help("write {\"builders\": [...]}"),
        );
        return (None, found);
    };
    let mut document = Document { root: node.expose_json(), changed: false };
    let mut applied = Vec::new();
    for fixer in fixers() {
        document.changed = false;
        if let Err(wrong) = (fixer.run)(&mut document) {
            let finding = Diagnostic::error("fix/untranslatable", wrong.summary)
                .at(&node.nearest_at(&wrong.pointer).span)
                .detail(format!("the fixer {} can't say what it means", fixer.name))
                .help(wrong.help);
            found.push(finding);
            return (None, found);
        }
        if document.changed {
            applied.push(fixer);
        }
    }
    document.root.sort_all_objects();
    (Some(Fixed { text: format!("{:#}", document.root), applied }), found)
}

/// What `fix -validate` checks of a fixed template: its form, and what its blocks say of each other.
pub fn validate(file: &Arc<SourceFile>) -> Diagnostics {
    let (template, mut found) = super::parse(file);
    if let Some(template) = template.filter(|_| !found.has_errors()) {
        check::check(&template, &mut found);
    }
    found.sorted()
}

/// The template while it is fixed.
struct Document {
    root: Json,
    changed: bool,
}

impl Document {
    /// The members of a root level key; case does not matter in Packer's keys.
    fn list(&mut self, key: &str) -> &mut [Json] {
        let members = self.root.as_object_mut().into_iter().flatten();
        let mut found = members.filter(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        match found.next() {
            Some(Json::Array(items)) => items,
            Some(one @ Json::Object(_)) => std::slice::from_mut(one),
            _ => &mut [],
        }
    }

    /// Calls `f` with type and block of each builder; it returns whether it changed the block.
    fn builders(&mut self, mut f: impl FnMut(&str, &mut Object) -> bool) {
        let changed =
            self.list("builders").iter_mut().filter_map(Json::as_object_mut).fold(false, |any, b| {
                let kind = type_of(b);
                f(&kind, b) || any
            });
        self.changed |= changed;
    }

    /// The same for builders whose type begins with `prefix`.
    fn builders_of(&mut self, prefix: &str, mut f: impl FnMut(&mut Object) -> bool) {
        self.builders(|kind, builder| kind.starts_with(prefix) && f(builder));
    }

    /// The same for provisioners, the one for cleaning up included.
    fn provisioners(&mut self, mut f: impl FnMut(&str, &mut Object) -> bool) {
        let mut changed = false;
        for key in ["provisioners", "error-cleanup-provisioner"] {
            for block in self.list(key).iter_mut().filter_map(Json::as_object_mut) {
                let kind = type_of(block);
                changed |= f(&kind, block);
            }
        }
        self.changed |= changed;
    }

    /// The same for post-processors, alone or in a sequence.
    fn post_processors(&mut self, mut f: impl FnMut(&str, &mut Object) -> bool) {
        let mut changed = false;
        for entry in self.list("post-processors") {
            let blocks = match entry {
                Json::Array(sequence) => sequence.as_mut_slice(),
                one => std::slice::from_mut(one),
            };
            for block in blocks.iter_mut().filter_map(Json::as_object_mut) {
                let kind = type_of(block);
                changed |= f(&kind, block);
            }
        }
        self.changed |= changed;
    }
}

fn type_of(block: &Object) -> String {
    block.get("type").and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Gives a key its new name; a value under the new name is replaced.
fn rename(block: &mut Object, old: &str, new: &str) -> bool {
    let Some(value) = block.remove(old) else { return false };
    block.insert(new.to_owned(), value);
    true
}

/// Gives a key its new name; a value under the new name wins.
fn rename_unless_set(block: &mut Object, old: &str, new: &str) -> bool {
    if block.contains_key(new) { remove(block, old) } else { rename(block, old, new) }
}

fn remove(block: &mut Object, key: &str) -> bool {
    block.remove(key).is_some()
}
