//! Names, attributes, indices and splats. Values are reached by reference: `var.x` copies x and not all variables.

use super::{
    BTreeMap, Cow, Diagnostic, Evaluator, Expr, ExprKind, Scope, Span, Type, Val, convert, describe, nearest,
    unify,
};

/// The name under which the item of a splat is in scope; nobody can write it.
const ITEM: &str = "*";

impl Evaluator<'_> {
    pub(super) fn reach<'s>(&mut self, expr: &Expr, scope: &Scope<'s>) -> Cow<'s, Val> {
        match &expr.kind {
            ExprKind::Variable(name) => self.variable(name, &expr.span, scope),
            ExprKind::SplatItem => match scope.get(ITEM) {
                Some(item) => Cow::Borrowed(item),
                None => Cow::Owned(Val::DYNAMIC),
            },
            ExprKind::Attribute { of, name, name_span } => {
                let root = match &of.kind {
                    ExprKind::Variable(root) => Some(root.as_str()),
                    _ => None,
                };
                match self.reach(of, scope) {
                    Cow::Borrowed(value) => self.attribute(value, name, name_span, root),
                    Cow::Owned(value) => {
                        Cow::Owned(self.attribute(&value, name, name_span, root).into_owned())
                    }
                }
            }
            ExprKind::Index { of, key } => {
                let index = self.eval(key, scope);
                match self.reach(of, scope) {
                    Cow::Borrowed(value) => self.index(value, &index, &key.span),
                    Cow::Owned(value) => Cow::Owned(self.index(&value, &index, &key.span).into_owned()),
                }
            }
            _ => Cow::Owned(self.eval(expr, scope)),
        }
    }

    fn missing<'s>(&mut self, finding: Diagnostic) -> Cow<'s, Val> {
        Cow::Owned(self.wrong(finding))
    }

    fn variable<'s>(&mut self, name: &str, span: &Span, scope: &Scope<'s>) -> Cow<'s, Val> {
        if let Some(value) = scope.get(name) {
            return Cow::Borrowed(value);
        }
        if !self.allow.variables && matches!(name, "var" | "local" | "data") {
            return self.missing(
                Diagnostic::error("hcl/variables-not-allowed", "variables can't be used here")
                    .at(span)
                    .help("write the value itself; values that depend on others belong in locals"),
            );
        }
        if !self.allow.variables {
            return self.missing(
                Diagnostic::error("hcl/variables-not-allowed", "variables can't be used here")
                    .at(span)
                    .detail(format!("\"{name}\" is read as the name of a variable"))
                    .help("put a text in double quotes; values that depend on others belong in locals"),
            );
        }
        let names = scope.names();
        let near = nearest(name, names.iter().copied());
        let is_in = |root: &&str| {
            scope.get(root).and_then(|value| value.fields()).is_some_and(|fields| fields.contains_key(name))
        };
        let prefix = ["var", "local"].into_iter().find(is_in);
        let help = match (near, name) {
            _ if prefix.is_some() => format!("did you mean {}.{name}?", prefix.unwrap_or_default()),
            (Some(near), _) => format!("did you mean \"{near}\"? A text needs double quotes"),
            (None, "each" | "count") => {
                "there is neither count nor for_each on blocks; use a dynamic block".to_owned()
            }
            (None, "env") => {
                "read the environment with env(\"NAME\") in the default of a variable".to_owned()
            }
            (None, _) => {
                "put a text in double quotes; variables are written var.NAME, locals local.NAME".to_owned()
            }
        };
        self.missing(
            Diagnostic::error("hcl/unknown-variable", format!("there is no \"{name}\" here"))
                .at(span)
                .help(help),
        )
    }

    /// `root` is the name that the attribute is taken of, where it is one.
    fn attribute<'s>(&mut self, value: &'s Val, name: &str, span: &Span, root: Option<&str>) -> Cow<'s, Val> {
        match value {
            Val::Object(fields) | Val::Map(_, fields) => match fields.get(name) {
                Some(value) => Cow::Borrowed(value),
                None => self.no_attribute(name, fields.keys().map(String::as_str), span, root),
            },
            Val::Unknown(Type::Object(fields)) => match fields.get(name) {
                Some(field) => Cow::Owned(Val::Unknown(field.ty.clone())),
                None => self.no_attribute(name, fields.keys().map(String::as_str), span, root),
            },
            Val::Unknown(Type::Map(ty)) => Cow::Owned(Val::Unknown((**ty).clone())),
            Val::Unknown(Type::Dynamic) => Cow::Owned(Val::DYNAMIC),
            Val::Null(_) => self.missing(
                Diagnostic::error("hcl/attribute-of-null", "null has no attributes")
                    .at(span)
                    .help("check it for null before, or use try(…, other)"),
            ),
            other => {
                let help = match other.ty() {
                    Type::List(_) | Type::Tuple(_) | Type::Set(_) => {
                        format!("name an item as in list[0].{name}, or take it of all items: list[*].{name}")
                    }
                    _ => "only objects and maps have attributes".to_owned(),
                };
                let what = describe(other);
                self.missing(
                    Diagnostic::error("hcl/no-attributes", format!("{what} has no attribute \"{name}\""))
                        .at(span)
                        .help(help),
                )
            }
        }
    }

    fn no_attribute<'s, 'n>(
        &mut self,
        name: &str,
        known: impl Iterator<Item = &'n str>,
        span: &Span,
        root: Option<&str>,
    ) -> Cow<'s, Val> {
        let known: Vec<&str> = known.collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if known.is_empty() => "there is none at all; declare it first".to_owned(),
            None if known.len() <= 12 => format!("known are {}", known.join(", ")),
            None => format!("there are {} others; look for a slip of the pen", known.len()),
        };
        self.missing(
            Diagnostic::error(
                "hcl/unknown-attribute",
                match root {
                    Some(root) => format!("there is no {root}.{name}"),
                    None => format!("there is no \"{name}\" in this"),
                },
            )
            .at(span)
            .help(help),
        )
    }

    fn index<'s>(&mut self, value: &'s Val, key: &Val, span: &Span) -> Cow<'s, Val> {
        match value {
            Val::List(_, items) | Val::Tuple(items) => match self.position(key, span) {
                Some(at) => match usize::try_from(at).ok().and_then(|at| items.get(at)) {
                    Some(item) => Cow::Borrowed(item),
                    None => {
                        let count = items.len();
                        self.missing(
                            Diagnostic::error("hcl/index", format!("there is no item {at}")).at(span).detail(
                                match count {
                                    0 => "the list is empty".to_owned(),
                                    1 => "the list has 1 item, number 0".to_owned(),
                                    n => format!("the list has {n} items, counted from 0"),
                                },
                            ),
                        )
                    }
                },
                None => Cow::Owned(Val::DYNAMIC),
            },
            Val::Map(_, fields) | Val::Object(fields) => match self.key(key, span) {
                Some(name) => match fields.get(&name) {
                    Some(value) => Cow::Borrowed(value),
                    None if key.is_sensitive() => self
                        .missing(Diagnostic::error("hcl/index", "there is nothing with this key").at(span)),
                    None => self.no_attribute(&name, fields.keys().map(String::as_str), span, None),
                },
                None => Cow::Owned(Val::DYNAMIC),
            },
            Val::Unknown(Type::List(ty) | Type::Map(ty)) => Cow::Owned(Val::Unknown((**ty).clone())),
            Val::Unknown(Type::Tuple(types)) => {
                let at =
                    key.as_number().and_then(super::Number::to_i64).and_then(|i| usize::try_from(i).ok());
                Cow::Owned(Val::Unknown(at.and_then(|at| types.get(at)).cloned().unwrap_or(Type::Dynamic)))
            }
            Val::Unknown(Type::Dynamic | Type::Object(_)) => Cow::Owned(Val::DYNAMIC),
            other => {
                let what = describe(other);
                self.missing(
                    Diagnostic::error("hcl/no-items", format!("{what} has no items"))
                        .at(span)
                        .help("lists, maps and objects have; a set can be turned into a list with sort"),
                )
            }
        }
    }

    fn position(&mut self, key: &Val, span: &Span) -> Option<i64> {
        let key = self.operand(key.clone(), &Type::Number, span, "the index of a list")?;
        let at = key.as_number().and_then(super::Number::to_i64);
        if at.is_none() {
            self.wrong(Diagnostic::error("hcl/index", "the index of a list is a whole number").at(span));
        }
        at
    }

    pub(super) fn splat(&mut self, of: &Expr, each: &Expr, scope: &Scope<'_>) -> Val {
        let value = self.eval(of, scope);
        let (items, of_list) = match value {
            Val::Null(_) => return Val::Tuple(Vec::new()),
            Val::Unknown(_) => return Val::DYNAMIC,
            Val::List(_, items) | Val::Set(_, items) => (items, true),
            Val::Tuple(items) => (items, false),
            // A single value is a list of one.
            other => (vec![other], false),
        };
        if !self.count(items.len(), &of.span) {
            return Val::DYNAMIC;
        }
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            if !self.goes_on() {
                return Val::DYNAMIC;
            }
            let names = BTreeMap::from([(ITEM.to_owned(), item)]);
            results.push(self.eval(each, &Scope::over(&names, scope)));
        }
        if !of_list {
            return Val::Tuple(results);
        }
        let ty = unify(&results.iter().map(Val::ty).collect::<Vec<_>>()).unwrap_or(Type::Dynamic);
        convert(Val::Tuple(results.clone()), &Type::list(ty)).unwrap_or(Val::Tuple(results))
    }
}
