//! Input variables: their declaration, the values that they get from outside, and their validation rules.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{check_arguments, literal_bool, unknown_block};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::hcl::functions::Host;
use crate::hcl::parse::{parse_expression, parse_file};
use crate::hcl::syntax::{Attribute, Block, Expr, ExprKind};
use crate::hcl::typexpr::type_of;
use crate::hcl::{Allow, Scope, Type, Val, convert, evaluate};
use crate::source::{SourceFile, Span};
use crate::template::origins::Origins;

/// A declared variable. Types and defaults are evaluated when values are given.
#[derive(Debug)]
pub struct Variable {
    pub name: String,
    pub span: Span,
    pub(super) default: Option<Expr>,
    ty: Option<Expr>,
    pub description: String,
    pub sensitive: bool,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    span: Span,
    condition: Expr,
    message: String,
}

/// What to do about values for variables that the template does not declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeclared {
    Ignore,
    Warn,
}

/// Where values come from, lowest precedence first within each list.
#[derive(Clone)]
pub struct VariableInputs {
    /// `*.auto.pkrvars.hcl`, then `*.auto.pkrvars.json`, of the template's folder.
    pub auto_files: Vec<Arc<SourceFile>>,
    pub files: Vec<Arc<SourceFile>>,
    /// Name and text of each `-var`.
    pub vars: Vec<(String, String)>,
    pub undeclared: Undeclared,
}

/// Where a value was given, as messages name it, and the place if there is one.
struct Given {
    from: &'static str,
    span: Option<Span>,
}

const ARGUMENTS: [&str; 5] = ["type", "default", "description", "sensitive", "deprecated"];

pub(super) fn variable_block(block: &Block, found: &mut Diagnostics) -> Variable {
    let label = &block.labels[0];
    let body = &block.body;
    if !crate::hcl::lex::is_identifier(&label.text) {
        found.push(
            Diagnostic::error(
                "template/variable-name",
                format!("{:?} can't be the name of a variable", label.text),
            )
            .at(&label.span)
            .help("a name begins with a letter and goes on with letters, digits, _ and -"),
        );
    }
    check_arguments(body, &ARGUMENTS, "a \"variable\" block", found);
    let mut rules = Vec::new();
    for inner in &body.blocks {
        match inner.kind.as_str() {
            "validation" => rules.extend(rule(inner, &label.text, found)),
            _ => found.push(unknown_block(inner, ["validation"], "a \"variable\" block")),
        }
    }
    let description = body.attribute("description").and_then(|a| {
        let text = a.expr.literal_text();
        if text.is_none() && !matches!(a.expr.kind, ExprKind::Invalid) {
            found.push(
                Diagnostic::error("template/not-a-literal", "a description is a text without interpolations")
                    .at(&a.expr.span)
                    .help("it is read before any variable has a value; a literal ${ is written $${"),
            );
        }
        text
    });
    Variable {
        name: label.text.clone(),
        span: block.header(),
        default: body.attribute("default").map(|a| a.expr.clone()),
        ty: body.attribute("type").map(|a| a.expr.clone()),
        description: description.unwrap_or_default(),
        sensitive: body.attribute("sensitive").is_some_and(|a| literal_bool(a, found)),
        rules,
    }
}

/// `name = default` in a `variables` block.
pub(super) fn short_form(attribute: Attribute) -> Variable {
    Variable {
        name: attribute.name,
        span: attribute.name_span,
        default: Some(attribute.expr),
        ty: None,
        description: String::new(),
        sensitive: false,
        rules: Vec::new(),
    }
}

fn rule(block: &Block, variable: &str, found: &mut Diagnostics) -> Option<Rule> {
    check_arguments(&block.body, &["condition", "error_message"], "a \"validation\" block", found);
    let mut needed = |name: &str| {
        let attribute = block.body.attribute(name);
        if attribute.is_none() {
            found.push(
                Diagnostic::error("template/missing-argument", format!("a validation needs \"{name}\""))
                    .at(&block.header())
                    .help("write condition = … and error_message = \"…\""),
            );
        }
        attribute
    };
    let (condition, message) = (needed("condition"), needed("error_message"));
    let (condition, message) = (&condition?.expr, &message?.expr);
    let mut itself = false;
    for reference in condition.references() {
        if reference.root == "var" && reference.names.first().is_some_and(|n| n == variable) {
            itself = true;
            continue;
        }
        found.push(
            Diagnostic::error(
                "template/validation-reference",
                format!("this condition may refer to var.{variable} only"),
            )
            .at(&reference.span)
            .help("a rule about several variables can be a local that fails"),
        );
        return None;
    }
    if !itself && !matches!(condition.kind, ExprKind::Invalid) {
        found.push(
            Diagnostic::error(
                "template/validation-reference",
                format!("this condition does not refer to var.{variable}"),
            )
            .at(&condition.span)
            .detail("it would always give the same answer")
            .help(format!("write for instance condition = length(var.{variable}) > 0")),
        );
        return None;
    }
    let Some(text) = message.literal_text() else {
        if !matches!(message.kind, ExprKind::Invalid) {
            found.push(
                Diagnostic::error(
                    "template/validation-message",
                    "the message of a rule is a text without interpolations",
                )
                .at(&message.span)
                .help("say what is expected; the value is shown by its place"),
            );
        }
        return None;
    };
    let trimmed = text.trim();
    let is_sentence =
        trimmed.chars().next().is_some_and(|c| !c.is_lowercase()) && trimmed.ends_with(['.', '?', '!']);
    if !is_sentence {
        found.push(
            Diagnostic::error("template/validation-message", "the message of a rule must be a sentence")
                .at(&message.span)
                .help("begin it with a capital letter and end it with a full stop"),
        );
    }
    Some(Rule { span: block.header(), condition: condition.clone(), message: text })
}

/// Gives each variable its value, and says which ones got none: those are unknown values of their types.
pub(super) fn values<'a>(
    declared: &'a [Variable],
    inputs: &VariableInputs,
    host: &dyn Host,
    found: &mut Diagnostics,
    origins: &mut Origins,
) -> (BTreeMap<String, Val>, Vec<&'a Variable>) {
    let mut in_files = Diagnostics::new();
    let files = FileValues::read(declared, inputs, host, &mut in_files);
    // What can't be read of a file may have been the value.
    let files_hold = !in_files.has_errors();
    found.extend(in_files);
    let mut out = BTreeMap::new();
    let mut unset = Vec::new();
    for variable in declared {
        let (value, place) = value(variable, inputs, &files, host, found);
        if place.is_none() && files_hold {
            unset.push(variable);
        }
        let name = format!("var.{}", variable.name);
        match place.filter(|_| !variable.sensitive) {
            Some(place) => origins.add(&name, &place, format!("{name} is given here"), Vec::new()),
            None => origins.add(&name, &variable.span, format!("{name} is declared here"), Vec::new()),
        }
        out.insert(variable.name.clone(), if variable.sensitive { value.mark() } else { value });
    }
    for (name, _) in &inputs.vars {
        if !out.contains_key(name) {
            found.push(undeclared(declared, name, Diagnostic::error).detail("it was given with -var"));
        }
    }
    (out, unset)
}

fn undeclared(declared: &[Variable], name: &str, new: fn(&'static str, String) -> Diagnostic) -> Diagnostic {
    let finding = new("variables/undeclared", format!("the template declares no variable \"{name}\""));
    match nearest(name, declared.iter().map(|v| v.name.as_str())) {
        Some(near) => finding.help(format!("did you mean \"{near}\"?")),
        None => finding.help(format!("declare it: variable \"{name}\" {{ … }}")),
    }
}

/// The value, and where it was given; no place if it was not.
fn value(
    variable: &Variable,
    inputs: &VariableInputs,
    files: &FileValues,
    host: &dyn Host,
    found: &mut Diagnostics,
) -> (Val, Option<Span>) {
    let names = BTreeMap::new();
    let nothing = Scope::new(&names);
    let default = variable.default.as_ref().map(|expr| {
        let (value, more) = evaluate(expr, &nothing, Allow::DEFAULTS, host);
        let failed = more.has_errors();
        found.extend(more);
        (value, failed, expr)
    });
    let ty = match &variable.ty {
        Some(expr) => match type_of(expr, host) {
            Ok(ty) => ty,
            Err(finding) => {
                found.push(finding);
                return (Val::DYNAMIC, Some(variable.span.clone()));
            }
        },
        // What the default is, values have to be; an empty list or object says nothing about its items.
        None => match &default {
            Some((Val::Tuple(items), ..)) if items.is_empty() => Type::Dynamic,
            Some((Val::Object(fields), ..)) if fields.is_empty() => Type::Dynamic,
            Some((value, false, _)) => value.ty(),
            _ => Type::Dynamic,
        },
    };
    let unset = Val::Unknown(crate::hcl::convert::settled(&ty));
    let mut settled = match &default {
        Some((_, true, _)) => Val::DYNAMIC,
        Some((value, false, expr)) => match convert(value.clone(), &ty) {
            Ok(value) => {
                let given = Given { from: "the default", span: Some(expr.span.clone()) };
                check(variable, &value, &given, host, found);
                value
            }
            Err(error) => {
                found.push(
                    Diagnostic::error(
                        "variables/default",
                        format!("the default of \"{}\" is not of its type: {error}", variable.name),
                    )
                    .at(&expr.span),
                );
                Val::DYNAMIC
            }
        },
        None => unset.clone(),
    };
    let mut place = variable.default.as_ref().map(|expr| expr.span.clone());
    // What comes from outside has a line of its own to be shown, too; of a secret it is not.
    let outside = |from: String, text: &str| {
        let file = SourceFile::new(from, format!("{}={text}", variable.name));
        Some(Span::new(&file, variable.name.len() + 1..file.text().len()))
    };
    let shown = |place: &Option<Span>| place.clone().filter(|_| !variable.sensitive);
    let mut given = Vec::new();
    if let Some(text) = host.env(&format!("PKR_VAR_{}", variable.name)) {
        place = outside(format!("<PKR_VAR_{}>", variable.name), &text);
        let value =
            from_text(&text, &ty, &format!("<value for var.{} from env>", variable.name), host, found);
        given.push((value, Given { from: "the environment", span: shown(&place) }));
    }
    for (value, span) in files.0.get(&variable.name).into_iter().flatten() {
        place = Some(span.clone());
        given.push((Some(value.clone()), Given { from: "a variable file", span: Some(span.clone()) }));
    }
    for (_, text) in inputs.vars.iter().filter(|(name, _)| *name == variable.name) {
        place = outside("<-var>".to_owned(), text);
        let file = format!("<value for var.{} from arguments>", variable.name);
        let span = shown(&place);
        given.push((from_text(text, &ty, &file, host, found), Given { from: "-var", span }));
    }
    // Only the last one counts, so only it has to be right.
    if let Some((value, given)) = given.pop() {
        settled = match value.map(|value| convert(value, &ty)) {
            Some(Ok(value)) => {
                check(variable, &value, &given, host, found);
                value
            }
            Some(Err(error)) => {
                let reason = if variable.sensitive { ty.required() } else { error.to_string() };
                let mut finding = Diagnostic::error(
                    "variables/type",
                    format!("the value of \"{}\" is not of its type: {reason}", variable.name),
                )
                .detail(format!("it comes from {}", given.from))
                .related(&variable.span, "declared here");
                finding.span = given.span;
                found.push(finding);
                Val::DYNAMIC
            }
            None => Val::DYNAMIC,
        };
    }
    (settled, place)
}

/// A value from the environment or the command line: a text as it is where a text can be meant, else an expression.
fn from_text(text: &str, ty: &Type, file: &str, host: &dyn Host, found: &mut Diagnostics) -> Option<Val> {
    if matches!(ty, Type::String | Type::Number | Type::Dynamic) {
        return Some(Val::string(text));
    }
    let file = SourceFile::new(file, text);
    let (expr, more) = parse_expression(&file);
    let mut failed = more.has_errors();
    found.extend(more);
    let names = BTreeMap::new();
    let (value, more) = evaluate(&expr, &Scope::new(&names), Allow::NOTHING, host);
    failed |= more.has_errors();
    found.extend(more);
    (!failed).then_some(value)
}

fn check(variable: &Variable, value: &Val, given: &Given, host: &dyn Host, found: &mut Diagnostics) {
    for rule in &variable.rules {
        let names =
            BTreeMap::from([("var".to_owned(), Val::object([(variable.name.as_str(), value.clone())]))]);
        let (answer, more) = evaluate(&rule.condition, &Scope::new(&names), Allow::ALL, host);
        let failed = more.has_errors();
        found.extend(more);
        if failed {
            continue;
        }
        let answer = convert(answer, &Type::Bool).ok().and_then(|v| v.as_bool());
        let finding = match answer {
            Some(true) => continue,
            Some(false) => Diagnostic::error(
                "variables/validation",
                format!("the value of \"{}\" breaks a rule: {}", variable.name, rule.message.trim()),
            )
            .detail(format!("it comes from {}", given.from)),
            None => Diagnostic::error(
                "variables/validation",
                "the condition of this rule is neither true nor false",
            ),
        };
        let mut finding = finding.related(&rule.span, "the rule");
        finding.span = given.span.clone();
        found.push(finding);
    }
}

/// Values of variable files by name, in order of precedence.
struct FileValues(BTreeMap<String, Vec<(Val, Span)>>);

impl FileValues {
    fn read(
        declared: &[Variable],
        inputs: &VariableInputs,
        host: &dyn Host,
        found: &mut Diagnostics,
    ) -> Self {
        let mut out: BTreeMap<String, Vec<(Val, Span)>> = BTreeMap::new();
        let names: HashSet<&str> = declared.iter().map(|v| v.name.as_str()).collect();
        let files =
            inputs.auto_files.iter().map(|f| (f, true)).chain(inputs.files.iter().map(|f| (f, false)));
        for (file, auto) in files {
            for Assigned { name, name_span, value, span } in variable_file(file, host, found) {
                if names.contains(name.as_str()) {
                    out.entry(name).or_default().push((value, span));
                } else if !auto && inputs.undeclared == Undeclared::Warn {
                    // It may be a misspelt name, and the value that of a sensitive variable.
                    found.push(undeclared(declared, &name, Diagnostic::warning).at_only(&name_span));
                }
            }
        }
        Self(out)
    }
}

/// What a variable file says of one variable.
struct Assigned {
    name: String,
    name_span: Span,
    value: Val,
    span: Span,
}

fn variable_file(file: &Arc<SourceFile>, host: &dyn Host, found: &mut Diagnostics) -> Vec<Assigned> {
    let mut out = Vec::new();
    if file.name().ends_with(".json") {
        let (node, more) = crate::template::json::parse(file);
        found.extend(more);
        let Some(node) = node else { return out };
        if !matches!(node.value, crate::value::Value::Object(_)) {
            found.push(
                Diagnostic::error(
                    "variables/not-an-object",
                    "a variable file is an object of names and values",
                )
                .at(&node.head())
                .detail(format!("here is {}", node.kind()))
                .help("write {\"name\": \"value\"}"),
            );
        }
        for member in node.members() {
            out.push(Assigned {
                name: member.key.clone(),
                name_span: member.key_span.clone(),
                value: super::json::literal(&member.value),
                span: member.value.span.clone(),
            });
        }
        return out;
    }
    if !file.name().ends_with(".hcl") {
        found.push(
            Diagnostic::error("variables/file-name", format!("{} is no variable file", file.name()))
                .help("its name must end in .hcl or .json, best in .pkrvars.hcl"),
        );
        return out;
    }
    let (body, more) = parse_file(file);
    found.extend(more);
    for block in &body.blocks {
        found.push(
            Diagnostic::error("variables/block", "a variable file gives values, it declares nothing")
                .at(&block.header())
                .help("write name = value; declarations belong into a file that ends in .pkr.hcl"),
        );
    }
    let names = BTreeMap::new();
    for attribute in body.attributes {
        let (value, more) = evaluate(&attribute.expr, &Scope::new(&names), Allow::NOTHING, host);
        let failed = more.has_errors();
        found.extend(more);
        if !failed {
            let Attribute { name, name_span, expr } = attribute;
            out.push(Assigned { name, name_span, value, span: expr.span });
        }
    }
    out
}
