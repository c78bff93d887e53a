//! Configurations of components in HCL: expressions are evaluated when the configuration is asked for, then the
//! template functions of JSON templates (`{{ … }}`) that its texts may still contain.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bodies::{Bound, Budget, members, node};
use super::graph::references_of;
use super::settle::Settled;
use crate::builder::BuildData;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hcl::syntax::{Expr, Reference};
use crate::hcl::{Allow, Scope, Type, Val, evaluate};
use crate::interpolate::{COMMON_BUILD_KEYS, missing_build_fact};
use crate::plan::ConfigSource;
use crate::plugin::Renderer;
use crate::schema::Typing;
use crate::source::Span;
use crate::template::config::{self, Context};
use crate::value::{Member, Node, Value};

/// Which build a configuration belongs to.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) settled: Settled,
    pub(super) context: Arc<Context>,
    pub(super) source_type: String,
    pub(super) source_name: String,
    /// Name of the build block; empty without one.
    pub(super) build_name: String,
}

pub(super) struct HclConfig {
    pub(super) owner: Owner,
    /// The block, and what a build adds to it.
    pub(super) parts: Vec<Bound>,
    /// Arguments that are the engine's and not the component's.
    pub(super) skip: &'static [&'static str],
    /// Builders are made before there is a build to refer to.
    pub(super) is_builder: bool,
    /// `override = { NAME = { … } }`.
    pub(super) overrides: Option<(Expr, BTreeMap<String, Val>)>,
    pub(super) span: Span,
}

impl HclConfig {
    /// `source` and `build`, as far as they are known.
    fn own_names(&self, data: Option<&BuildData>) -> BTreeMap<String, Val> {
        if self.is_builder {
            return BTreeMap::new();
        }
        let owner = &self.owner;
        let source = Val::object([
            ("type", Val::string(&owner.source_type)),
            ("name", Val::string(&owner.source_name)),
        ]);
        let mut build: BTreeMap<String, Val> = BTreeMap::new();
        // Facts that only some builders have are known by name here; the plan checks the names.
        let asked = self.build_keys().into_iter().map(|(key, _)| key);
        for key in COMMON_BUILD_KEYS.iter().map(|k| (*k).to_owned()).chain(asked) {
            let value = match data {
                None => Val::Unknown(Type::String),
                Some(data) => match data.get(&key) {
                    Some(text) => Val::String(text.clone()),
                    None => Val::string(missing_build_fact(&key)),
                },
            };
            build.insert(key, value);
        }
        build.insert("name".to_owned(), Val::string(&owner.build_name));
        BTreeMap::from([("source".to_owned(), source), ("build".to_owned(), Val::Object(build))])
    }

    fn evaluate(&self, data: Option<&BuildData>, found: &mut Diagnostics) -> Vec<Member> {
        let host = self.owner.settled.host.as_ref();
        let own = self.own_names(data);
        let base = Scope::new(&self.owner.settled.names);
        let scope = Scope::over(&own, &base);
        let mut out: Vec<Member> = Vec::new();
        let mut budget = Budget::default();
        for part in &self.parts {
            for member in members(part, self.skip, &scope, host, found, &mut budget, 0) {
                match out.iter().find(|m| m.key == member.key) {
                    None => out.push(member),
                    Some(first) => found.push(
                        Diagnostic::error(
                            "template/duplicate-argument",
                            format!("\"{}\" is set in the source already", member.key),
                        )
                        .at(&member.key_span)
                        .related(&first.key_span, "set here")
                        .help("a build can add arguments to a source, it can't replace them: use a variable"),
                    ),
                }
            }
        }
        if let Some((expr, names)) = &self.overrides {
            let (value, more) = evaluate(expr, &Scope::over(names, &scope), Allow::ALL, host);
            found.extend(more);
            let over = node(&value, Some(expr), &expr.span);
            let full = format!("{}.{}", self.owner.source_type, self.owner.source_name);
            let keys = [self.owner.source_type.as_str(), full.as_str(), self.owner.source_name.as_str()];
            for over in keys.iter().filter_map(|key| over.get(key)) {
                for member in over.members() {
                    out.retain(|m| m.key != member.key);
                    out.push(member.clone());
                }
            }
        }
        out
    }
}

impl ConfigSource for HclConfig {
    fn resolve(&self, data: Option<&BuildData>, deferred: &[String]) -> (Node, Diagnostics) {
        let mut found = Diagnostics::new();
        let members = self.evaluate(data, &mut found);
        let evaluated = Node::new(Value::Object(members), self.span.clone());
        let (node, more) = config::source(evaluated, &self.owner.context).resolve(data, deferred);
        found.extend(more);
        (node, found)
    }

    fn renderer(&self, data: &BuildData) -> Arc<dyn Renderer> {
        config::source(Node::new(Value::Null, self.span.clone()), &self.owner.context).renderer(data)
    }

    fn span(&self) -> &Span {
        &self.span
    }

    fn explain(&self, found: Diagnostics) -> Diagnostics {
        if found.is_empty() {
            return found;
        }
        let mut references: Vec<Reference> =
            self.parts.iter().flat_map(|part| references_of(&part.body)).collect();
        references.extend(self.overrides.iter().flat_map(|(expr, _)| expr.references()));
        self.owner.settled.explain(found, &references)
    }

    fn not_known(&self) -> Vec<Span> {
        let references = self.parts.iter().flat_map(|part| references_of(&part.body));
        references.filter(|r| self.owner.settled.is_not_known(r)).map(|r| r.span).collect()
    }

    fn build_keys(&self) -> Vec<(String, Span)> {
        self.parts
            .iter()
            .flat_map(|part| references_of(&part.body))
            .filter(|r| r.root == "build")
            .filter_map(|r| r.names.first().map(|name| (name.clone(), r.span.clone())))
            .filter(|(name, _)| name != "name")
            .collect()
    }

    fn typing(&self) -> Typing {
        Typing::Typed
    }
}
