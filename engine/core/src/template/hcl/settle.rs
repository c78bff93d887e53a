//! Values of variables, locals and data sources, in the order in which they depend on each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexSet;

use super::HclTemplate;
use super::bodies::{Bound, Budget, members};
use super::graph::{Graph, Item, references_of};
use super::variables::{self, VariableInputs};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::hcl::functions::Host;
use crate::hcl::syntax::Reference;
use crate::hcl::{Allow, Scope, Type, Val, evaluate};
use crate::interpolate::PACKER_VERSION;
use crate::schema::{self, Typing};
use crate::secret::Secret;
use crate::source::Span;
use crate::template::origins::{Origins, Use};
use crate::value::{Node, Value};

/// The port to data sources: what a template asks of the world before it is built.
#[async_trait]
pub trait DataSources: Send + Sync {
    /// The types, for suggestions.
    fn types(&self) -> Vec<&'static str>;
    /// The type of the result; none if there is no such data source.
    fn output(&self, type_name: &str) -> Option<Type>;
    /// The JSON Schema of the arguments, by which they are checked without asking anybody.
    fn schema(&self, type_name: &str) -> serde_json::Value;
    /// Asks. The configuration is as the schema has it, and wholly known.
    async fn read(&self, type_name: &str, config: &Node) -> Result<Val, Diagnostic>;
}

/// What settling needs from outside.
#[derive(Clone)]
pub struct SettleOptions {
    pub inputs: VariableInputs,
    pub host: Arc<dyn Host>,
    /// As the template was named on the command line.
    pub template_dir: PathBuf,
    /// Variables without a value are errors. `inspect` and `console` show them as unknown.
    pub require_values: bool,
    /// Data sources are asked. Otherwise what they give is not known.
    pub read_data: bool,
}

/// The names that expressions may refer to, with their values.
#[derive(Clone)]
pub struct Settled {
    pub(super) names: Arc<BTreeMap<String, Val>>,
    pub(super) host: Arc<dyn Host>,
    origins: Arc<Origins>,
    pub secrets: Arc<Vec<Secret>>,
}

impl Settled {
    /// Adds to findings where the values of the names at their places were given.
    pub(super) fn explain(&self, found: Diagnostics, references: &[Reference]) -> Diagnostics {
        explain(&self.origins, found, references)
    }

    /// Whether a name stands for something that is not known: it comes from a data source that was not asked, or from a
    /// mistake that has been told.
    pub(super) fn is_not_known(&self, reference: &Reference) -> bool {
        match (reference.root.as_str(), reference.names.first()) {
            (root @ ("var" | "local" | "data"), Some(name)) => {
                self.named(root, name).is_none_or(|value| !value.is_wholly_known())
            }
            _ => false,
        }
    }

    fn named(&self, root: &str, name: &str) -> Option<&Val> {
        self.names.get(root)?.fields()?.get(name)
    }

    pub(super) fn field(&self, root: &str, name: &str) -> Val {
        self.named(root, name).cloned().unwrap_or(Val::DYNAMIC)
    }

    /// The names for an interactive session: no data sources, builds and sources only as far as they are known.
    pub fn console_names(&self) -> BTreeMap<String, Val> {
        let mut names = (*self.names).clone();
        names.remove("data");
        let later = || Val::Unknown(Type::String);
        names.insert("source".to_owned(), Val::object([("type", later()), ("name", later())]));
        names.insert("build".to_owned(), Val::Object(BTreeMap::new()));
        names
    }

    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }
}

fn explain(origins: &Origins, found: Diagnostics, references: &[Reference]) -> Diagnostics {
    if found.is_empty() {
        return found;
    }
    let uses: Vec<Use> = references.iter().filter_map(|r| Some((name_of(r)?, r.span.clone()))).collect();
    origins.explain(found, &uses)
}

/// What a reference is about, as its origin is named: `var.NAME`, `local.NAME` or `data.TYPE.NAME`.
fn name_of(reference: &Reference) -> Option<String> {
    let first = reference.names.first()?;
    match reference.root.as_str() {
        root @ ("var" | "local") => Some(format!("{root}.{first}")),
        "data" => Some(format!("data.{first}.{}", reference.names.get(1)?)),
        _ => None,
    }
}

fn names_of(references: &[Reference]) -> Vec<String> {
    references.iter().filter_map(name_of).collect()
}

/// What all locals may hold together, by [`Val::weight`].
const MAX_VALUES: usize = 1 << 18;
/// Lists and objects that may stand in each other; whoever walks a value needs a stack as deep.
const MAX_NESTING: usize = 150;

/// Room that is left for locals. Each may be small and yet hold all those before it: ten thousand locals that put the one
/// before into a list would fill any memory, and overflow the stack.
struct Room {
    left: usize,
    told: bool,
}

impl Room {
    fn fits(&mut self, value: &Val, span: &Span, found: &mut Diagnostics) -> bool {
        if value.depth() > MAX_NESTING {
            found.push(
                Diagnostic::error(
                    "hcl/too-deep",
                    format!("lists and objects are nested more than {MAX_NESTING} levels deep in this value"),
                )
                .at(span)
                .help("no template needs that; look for locals that put each other into lists"),
            );
            return false;
        }
        match self.left.checked_sub(value.weight()) {
            Some(left) => self.left = left,
            None if std::mem::replace(&mut self.told, true) => return false,
            None => {
                found.push(
                    Diagnostic::error(
                        "hcl/too-large",
                        format!("with this one the locals hold more than {MAX_VALUES} values"),
                    )
                    .at(span)
                    .help("look for locals that contain each other again and again"),
                );
                return false;
            }
        }
        true
    }
}

/// Gives everything its value.
pub async fn settle(
    template: &HclTemplate,
    options: &SettleOptions,
    data: &dyn DataSources,
) -> (Settled, Diagnostics) {
    let mut found = Diagnostics::new();
    let host = options.host.clone();
    let mut origins = Origins::default();
    let (values, unset) =
        variables::values(&template.variables, &options.inputs, host.as_ref(), &mut found, &mut origins);
    if options.require_values {
        for variable in unset {
            found.push(
                Diagnostic::error("variables/unset", format!("the variable \"{}\" has no value", variable.name))
                    .at(&variable.span)
                    .help(format!(
                        "give it one with -var '{0}=…', in a file with -var-file, as PKR_VAR_{0}, or declare a default",
                        variable.name
                    )),
            );
        }
    }
    let slashes = |path: &std::path::Path| Val::string(path.display().to_string().replace('\\', "/"));
    let mut names = BTreeMap::from([
        ("var".to_owned(), Val::Object(values)),
        ("local".to_owned(), Val::Object(BTreeMap::new())),
        (
            "path".to_owned(),
            Val::object([("root", slashes(&options.template_dir)), ("cwd", slashes(host.working_dir()))]),
        ),
        (
            "packer".to_owned(),
            Val::object([
                ("version", Val::string(PACKER_VERSION)),
                ("iterationID", Val::Unknown(Type::String)),
                ("versionFingerprint", Val::Unknown(Type::String)),
            ]),
        ),
    ]);
    if !template.data.is_empty() {
        names.insert("data".to_owned(), Val::Object(BTreeMap::new()));
    }
    let mut graph = Graph::new(template, &mut found);
    let mut room = Room { left: MAX_VALUES, told: false };
    for item in graph.order(template, &mut found) {
        match item {
            Item::Local(at) => {
                let local = &template.locals[at];
                let references = local.expr.references();
                let mut value = Val::DYNAMIC;
                if !graph.broken(item) {
                    let (v, more) = evaluate(&local.expr, &Scope::new(&names), Allow::ALL, host.as_ref());
                    // What is left of a value that could not be made has been told about.
                    let mut mine = Diagnostics::new();
                    value = if room.fits(&v, &local.expr.span, &mut mine) { v } else { Val::DYNAMIC };
                    found.extend(if more.has_errors() { explain(&origins, more, &references) } else { mine });
                }
                let name = format!("local.{}", local.name);
                let place = if local.sensitive { &local.name_span } else { &local.expr.span };
                origins.add(&name, place, format!("{name} is defined here"), names_of(&references));
                if let Some(Val::Object(locals)) = names.get_mut("local") {
                    locals.insert(local.name.clone(), if local.sensitive { value.mark() } else { value });
                }
            }
            Item::Data(at) => {
                let block = &template.data[at];
                let references = references_of(&block.block.body);
                let value = if graph.broken(item) {
                    Val::DYNAMIC
                } else {
                    let mut mine = Diagnostics::new();
                    let value = data_value(block, &names, options, data, &mut mine).await;
                    found.extend(explain(&origins, mine, &references));
                    value
                };
                let name = format!("data.{}.{}", block.type_name, block.name);
                let label = format!("{name} is asked here");
                origins.add(&name, &block.block.header(), label, names_of(&references));
                if let Some(Val::Object(all)) = names.get_mut("data") {
                    let of_type =
                        all.entry(block.type_name.clone()).or_insert_with(|| Val::Object(BTreeMap::new()));
                    if let Val::Object(of_type) = of_type {
                        of_type.insert(block.name.clone(), value);
                    }
                }
            }
        }
    }
    let mut secrets = IndexSet::new();
    names.values().for_each(|value| value.collect_secrets(&mut secrets));
    let (names, origins) = (Arc::new(names), Arc::new(origins));
    let secrets = Arc::new(secrets.into_iter().collect());
    (Settled { names, host, origins, secrets }, found)
}

async fn data_value(
    block: &super::DataBlock,
    names: &BTreeMap<String, Val>,
    options: &SettleOptions,
    data: &dyn DataSources,
    found: &mut Diagnostics,
) -> Val {
    let header = block.block.header();
    let Some(output) = data.output(&block.type_name) else {
        let known = data.types();
        let help = match nearest(&block.type_name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("there are {}", known.join(", ")),
        };
        found.push(
            Diagnostic::error(
                "template/unknown-data",
                format!("Unknown data type {}: there is no such data source", block.type_name),
            )
            .at(&header)
            .help(help),
        );
        return Val::DYNAMIC;
    };
    let bound = Bound::new(&block.block);
    let mut mine = Diagnostics::new();
    let config =
        members(&bound, &[], &Scope::new(names), options.host.as_ref(), &mut mine, &mut Budget::default(), 0);
    let mut config = Node::new(Value::Object(config), header.clone());
    if !mine.has_errors() {
        let (typed, more) = schema::check(&config, &data.schema(&block.type_name), Typing::Typed);
        config = typed;
        mine.extend(more);
    }
    let sound = !mine.has_errors();
    found.extend(mine);
    if !sound || !options.read_data || !is_known(&config) {
        return Val::Unknown(output);
    }
    match data.read(&block.type_name, &config).await {
        Ok(value) => value,
        Err(finding) => {
            found.push(if finding.span.is_none() { finding.at(&header) } else { finding });
            Val::Unknown(output)
        }
    }
}

fn is_known(node: &Node) -> bool {
    match &node.value {
        Value::Unknown => false,
        Value::Array(items) => items.iter().all(is_known),
        Value::Object(members) => members.iter().all(|m| is_known(&m.value)),
        _ => true,
    }
}
