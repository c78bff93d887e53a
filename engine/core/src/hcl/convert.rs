//! Conversion between types, and the type that several values have in common, by cty's rules: numbers and booleans
//! become texts and back, tuples become lists and sets, objects become maps, objects lose what is not asked for.

use std::collections::BTreeMap;

use super::number::Number;
use super::types::{Field, Type};
use super::value::Val;
use crate::value::Text;

/// Why a value can't be converted. `path` names the part of it, outermost first: `tags`, `[0]`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub struct ConvertError {
    pub path: Vec<String>,
    pub message: String,
}

impl ConvertError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    fn under(mut self, step: String) -> Self {
        self.path.insert(0, step);
        self
    }

    fn text(&self) -> String {
        if self.path.is_empty() {
            return self.message.clone();
        }
        let path: String = self
            .path
            .iter()
            .enumerate()
            .map(|(i, p)| if i > 0 && !p.starts_with('[') { format!(".{p}") } else { p.clone() })
            .collect();
        let path = match path.strip_prefix('[').and_then(|p| p.split_once(']')) {
            Some((index, rest)) => format!("element {index}{rest}"),
            None => format!("attribute \"{path}\""),
        };
        format!("{path}: {}", self.message)
    }
}

/// The value as one of this type.
pub fn convert(value: Val, to: &Type) -> Result<Val, ConvertError> {
    match (value, to) {
        (value, Type::Dynamic) => Ok(value),
        (Val::Null(_), to) => Ok(Val::Null(settled(to))),
        (Val::Unknown(from), to) => {
            if from != Type::Dynamic && !can_convert(&from, to) {
                return Err(ConvertError::new(to.required()));
            }
            Ok(Val::Unknown(settled(to)))
        }
        (value @ Val::Bool { .. }, Type::Bool)
        | (value @ Val::Number { .. }, Type::Number)
        | (value @ Val::String(_), Type::String) => Ok(value),
        (Val::Bool { value, sensitive }, Type::String) => {
            Ok(Val::string(if value { "true" } else { "false" }).mark_if(sensitive))
        }
        (Val::Number { value, sensitive }, Type::String) => {
            Ok(Val::string(value.to_string()).mark_if(sensitive))
        }
        (Val::String(text), Type::Number) => match Number::parse(&text.expose()) {
            Some(value) => Ok(Val::Number { value, sensitive: text.is_sensitive() }),
            None => Err(ConvertError::new(Type::Number.required())),
        },
        (Val::String(text), Type::Bool) => match text.expose().as_str() {
            "true" | "1" => Ok(Val::Bool { value: true, sensitive: text.is_sensitive() }),
            "false" | "0" => Ok(Val::Bool { value: false, sensitive: text.is_sensitive() }),
            other => Err(ConvertError::new(match other {
                "True" | "TRUE" | "False" | "FALSE" => {
                    format!(
                        "a bool is required; to convert from string, use lowercase \"{}\"",
                        other.to_lowercase()
                    )
                }
                _ => "a bool is required".to_owned(),
            })),
        },
        (Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items), Type::List(element)) => {
            let (ty, items) = elements(items, element)?;
            Ok(Val::List(ty, items))
        }
        (Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items), Type::Set(element)) => {
            let (ty, items) = elements(items, element)?;
            Ok(Val::set(ty, items))
        }
        (Val::List(_, items) | Val::Tuple(items), Type::Tuple(types)) => {
            if items.len() != types.len() {
                return Err(ConvertError::new(format!(
                    "a tuple of {} elements is required, this has {}",
                    types.len(),
                    items.len()
                )));
            }
            let items = items
                .into_iter()
                .zip(types)
                .enumerate()
                .map(|(i, (item, ty))| convert(item, ty).map_err(|e| e.under(format!("[{i}]"))));
            Ok(Val::Tuple(items.collect::<Result<_, _>>()?))
        }
        (Val::Map(_, fields) | Val::Object(fields), Type::Map(element)) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let (ty, items) =
                elements(fields.into_values().collect(), element).map_err(|e| name_keys(e, &keys))?;
            Ok(Val::Map(ty, keys.into_iter().zip(items).collect()))
        }
        (Val::Map(_, mut given) | Val::Object(mut given), Type::Object(wanted)) => {
            let mut out = BTreeMap::new();
            for (name, field) in wanted {
                let value = match (given.remove(name), field) {
                    (Some(Val::Null(_)) | None, Field { default: Some(default), .. }) => default.clone(),
                    (None, Field { optional: true, .. }) => Val::Null(settled(&field.ty)),
                    (None, _) => return Err(ConvertError::new(format!("attribute \"{name}\" is required"))),
                    (Some(value), _) => value,
                };
                out.insert(name.clone(), convert(value, &field.ty).map_err(|e| e.under(name.clone()))?);
            }
            Ok(Val::Object(out))
        }
        (_, to) => Err(ConvertError::new(to.required())),
    }
}

fn name_keys(mut error: ConvertError, keys: &[String]) -> ConvertError {
    if let Some(first) = error.path.first_mut()
        && let Some(key) = first.trim_matches(['[', ']']).parse::<usize>().ok().and_then(|i| keys.get(i))
    {
        *first = key.clone();
    }
    error
}

/// The items as ones of one type: the given one, or the one they have in common.
fn elements(items: Vec<Val>, element: &Type) -> Result<(Type, Vec<Val>), ConvertError> {
    let ty = if element.has_dynamic() {
        let types: Vec<Type> = items.iter().map(Val::ty).collect();
        let common =
            unify(&types).ok_or_else(|| ConvertError::new("all elements must have the same type"))?;
        if *element == Type::Dynamic { common } else { fill(element, &common) }
    } else {
        element.clone()
    };
    let items = items
        .into_iter()
        .enumerate()
        .map(|(i, item)| convert(item, &ty).map_err(|e| e.under(format!("[{i}]"))))
        .collect::<Result<Vec<_>, _>>()?;
    // Optional attributes are filled in by now: the type of the values says so.
    let ty = settled(&ty);
    Ok((ty, items))
}

/// A constraint with its `any` parts taken from a type.
fn fill(constraint: &Type, from: &Type) -> Type {
    match (constraint, from) {
        (Type::Dynamic, from) => from.clone(),
        (Type::List(c), Type::List(f) | Type::Set(f)) => Type::list(fill(c, f)),
        (Type::Set(c), Type::List(f) | Type::Set(f)) => Type::set(fill(c, f)),
        (Type::Map(c), Type::Map(f)) => Type::map(fill(c, f)),
        (Type::List(c), Type::Tuple(f)) => Type::list(unify(f).map_or(Type::Dynamic, |t| fill(c, &t))),
        (Type::Set(c), Type::Tuple(f)) => Type::set(unify(f).map_or(Type::Dynamic, |t| fill(c, &t))),
        (Type::Map(c), Type::Object(f)) => {
            let types: Vec<Type> = f.values().map(|f| f.ty.clone()).collect();
            Type::map(unify(&types).map_or(Type::Dynamic, |t| fill(c, &t)))
        }
        (Type::Object(c), Type::Object(f)) => Type::Object(
            c.iter()
                .map(|(k, field)| {
                    let ty = f.get(k).map_or_else(|| field.ty.clone(), |g| fill(&field.ty, &g.ty));
                    (k.clone(), Field { ty, ..field.clone() })
                })
                .collect(),
        ),
        (other, _) => other.clone(),
    }
}

/// The type of values that meet a constraint: attributes are no longer optional.
pub fn settled(ty: &Type) -> Type {
    match ty {
        Type::List(t) => Type::list(settled(t)),
        Type::Set(t) => Type::set(settled(t)),
        Type::Map(t) => Type::map(settled(t)),
        Type::Tuple(types) => Type::Tuple(types.iter().map(settled).collect()),
        Type::Object(fields) => Type::object(fields.iter().map(|(k, f)| (k.as_str(), settled(&f.ty)))),
        other => other.clone(),
    }
}

/// Whether values of a type can be, as far as their type says.
pub fn can_convert(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (_, Type::Dynamic) | (Type::Dynamic, _) => true,
        (a, b) if a.is_primitive() && b.is_primitive() => a == b || *a == Type::String || *b == Type::String,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => {
            can_convert(a, b)
        }
        (Type::Tuple(a), Type::List(b) | Type::Set(b)) => a.iter().all(|a| can_convert(a, b)),
        (Type::List(a), Type::Tuple(b)) => b.iter().all(|b| can_convert(a, b)),
        (Type::Tuple(a), Type::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| can_convert(a, b))
        }
        (Type::Object(a), Type::Map(b)) => a.values().all(|a| can_convert(&a.ty, b)),
        (Type::Map(a), Type::Object(b)) => b.values().all(|b| can_convert(a, &b.ty)),
        (Type::Object(a), Type::Object(b)) => b.iter().all(|(k, field)| match a.get(k) {
            Some(a) => can_convert(&a.ty, &field.ty),
            None => field.optional,
        }),
        _ => false,
    }
}

/// The type that values of all these types can be converted to without loss; none if there is none.
pub fn unify(types: &[Type]) -> Option<Type> {
    let Some(first) = types.first() else { return Some(Type::Dynamic) };
    if types.iter().all(|t| t == first) {
        return Some(first.clone());
    }
    if types.contains(&Type::Dynamic) {
        // A null or an unknown takes the type of the rest, where these agree.
        let rest: Vec<Type> = types.iter().filter(|t| **t != Type::Dynamic).cloned().collect();
        return unify(&rest);
    }
    if types.iter().all(Type::is_primitive) {
        return types.contains(&Type::String).then_some(Type::String);
    }
    let elements = |pick: &dyn Fn(&Type) -> Option<Vec<Type>>| -> Option<Vec<Type>> {
        types.iter().map(pick).collect::<Option<Vec<_>>>().map(|all| all.concat())
    };
    if types.iter().all(|t| matches!(t, Type::Tuple(_)))
        && let Some(columns) = columns(types)
        && let Some(unified) = columns.iter().map(|c| unify(c)).collect::<Option<Vec<_>>>()
    {
        return Some(Type::Tuple(unified));
    }
    if let Some(all) = elements(&|t| match t {
        Type::List(e) | Type::Set(e) => Some(vec![(**e).clone()]),
        Type::Tuple(items) => Some(items.clone()),
        _ => None,
    }) {
        let element = unify(&all)?;
        let sets = types.iter().all(|t| matches!(t, Type::Set(_)));
        return Some(if sets { Type::set(element) } else { Type::list(element) });
    }
    if types.iter().all(|t| matches!(t, Type::Object(_)))
        && let Some(object) = unify_objects(types)
    {
        return Some(object);
    }
    let all = elements(&|t| match t {
        Type::Map(e) => Some(vec![(**e).clone()]),
        Type::Object(fields) => Some(fields.values().map(|f| f.ty.clone()).collect()),
        _ => None,
    })?;
    Some(Type::map(unify(&all)?))
}

/// The types at each position of tuples of one length.
fn columns(types: &[Type]) -> Option<Vec<Vec<Type>>> {
    let rows: Vec<&Vec<Type>> =
        types.iter().filter_map(|t| if let Type::Tuple(items) = t { Some(items) } else { None }).collect();
    let length = rows.first()?.len();
    rows.iter()
        .all(|r| r.len() == length)
        .then(|| (0..length).map(|i| rows.iter().map(|r| r[i].clone()).collect()).collect())
}

fn unify_objects(types: &[Type]) -> Option<Type> {
    let rows: Vec<&BTreeMap<String, Field>> =
        types.iter().filter_map(|t| if let Type::Object(f) = t { Some(f) } else { None }).collect();
    let first = rows.first()?;
    if !rows.iter().all(|r| r.keys().eq(first.keys())) {
        return None;
    }
    let mut out = BTreeMap::new();
    for key in first.keys() {
        let column: Vec<Type> = rows.iter().map(|r| r[key].ty.clone()).collect();
        out.insert(key.clone(), Field::from(unify(&column)?));
    }
    Some(Type::Object(out))
}

/// The text of a primitive value; none for null, unknown and others.
pub fn text(value: &Val) -> Option<Text> {
    match convert(value.clone(), &Type::String) {
        Ok(Val::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_what_their_type_allows() {
        let tuple = Val::Tuple(vec![Val::number(1_i64), Val::string("a")]);
        let texts = convert(tuple.clone(), &Type::list(Type::String)).expect("both are texts");
        assert_eq!(texts.items().expect("a list"), &[Val::string("1"), Val::string("a")]);
        let error = convert(tuple, &Type::list(Type::Number)).expect_err("a is no number");
        assert_eq!(error.to_string(), "element 1: a number is required");
        assert_eq!(
            convert(Val::number(1_i64), &Type::Bool).expect_err("no bool").to_string(),
            "bool required"
        );
        let error = convert(Val::object([("a", Val::bool(true))]), &Type::object([("b", Type::Bool)]));
        assert_eq!(error.expect_err("no b").to_string(), "attribute \"b\" is required");
    }

    #[test]
    fn optional_attributes_get_their_default() {
        let field = Field { ty: Type::Number, optional: true, default: Some(Val::number(5_i64)) };
        let ty = Type::Object([("n".to_owned(), field)].into());
        let value = convert(Val::Object(BTreeMap::new()), &ty).expect("optional");
        assert_eq!(value, Val::object([("n", Val::number(5_i64))]));
    }

    #[test]
    fn types_in_common() {
        use Type::{Bool, Dynamic, Number, String};
        for (types, common) in [
            (vec![Number, String], Some(String)),
            (vec![Number, Bool], None),
            (vec![Dynamic, Number], Some(Number)),
            (vec![Type::Tuple(vec![Number]), Type::Tuple(vec![String, String])], Some(Type::list(String))),
            (vec![Type::object([("a", Number)]), Type::object([("b", Number)])], Some(Type::map(Number))),
            (vec![Number, Type::list(Number)], None),
        ] {
            assert_eq!(unify(&types), common, "{types:?}");
        }
    }

    #[test]
    fn secrets_stay_secret() {
        let secret = Val::string("5").mark();
        assert!(convert(secret.clone(), &Type::Number).expect("a number").is_sensitive());
        let list = convert(Val::Tuple(vec![secret]), &Type::list(Type::Number)).expect("numbers");
        assert!(list.is_sensitive());
    }
}
