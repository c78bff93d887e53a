//! Values of HCL, as cty has them: typed, with nulls and values that are not known yet. Texts remember which of their
//! parts are secret; numbers and booleans carry one mark. Sensitivity travels with a value through every operation.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use indexmap::IndexSet;
use unicode_normalization::UnicodeNormalization;

use super::number::Number;
use super::types::Type;
use crate::secret::Secret;
use crate::value::{Part, Text};

#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    Null(Type),
    /// Known later, at the latest when the build runs.
    Unknown(Type),
    Bool {
        value: bool,
        sensitive: bool,
    },
    Number {
        value: Number,
        sensitive: bool,
    },
    String(Text),
    List(Type, Vec<Val>),
    /// Sorted, each value once.
    Set(Type, Vec<Val>),
    Map(Type, BTreeMap<String, Val>),
    Tuple(Vec<Val>),
    Object(BTreeMap<String, Val>),
}

impl Val {
    /// Not known, not even its type.
    pub const DYNAMIC: Val = Val::Unknown(Type::Dynamic);
    pub const NULL: Val = Val::Null(Type::Dynamic);

    pub fn bool(value: bool) -> Self {
        Val::Bool { value, sensitive: false }
    }

    pub fn number(value: impl Into<Number>) -> Self {
        Val::Number { value: value.into(), sensitive: false }
    }

    /// Texts are kept in Unicode's composed form, so that equal looks are equal.
    pub fn string(text: impl AsRef<str>) -> Self {
        Val::String(Text::plain(normal(text.as_ref())))
    }

    pub fn list(element: Type, items: Vec<Val>) -> Self {
        Val::List(element, items)
    }

    pub fn set(element: Type, mut items: Vec<Val>) -> Self {
        items.sort_by(order);
        items.dedup_by(|gone, kept| {
            let same = equal(gone, kept) == Some(true);
            // What is equal to something sensitive is as sensitive.
            if same && gone.is_sensitive() {
                *kept = std::mem::replace(kept, Val::NULL).mark();
            }
            same
        });
        Val::Set(element, items)
    }

    pub fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Val)>) -> Self {
        Val::Object(fields.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    pub fn ty(&self) -> Type {
        match self {
            Val::Null(ty) | Val::Unknown(ty) => ty.clone(),
            Val::Bool { .. } => Type::Bool,
            Val::Number { .. } => Type::Number,
            Val::String(_) => Type::String,
            Val::List(ty, _) => Type::list(ty.clone()),
            Val::Set(ty, _) => Type::set(ty.clone()),
            Val::Map(ty, _) => Type::map(ty.clone()),
            Val::Tuple(items) => Type::Tuple(items.iter().map(Val::ty).collect()),
            Val::Object(fields) => Type::object(fields.iter().map(|(k, v)| (k.as_str(), v.ty()))),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Val::Null(_))
    }

    /// Whether the value itself is known; its parts may not be.
    pub fn is_known(&self) -> bool {
        !matches!(self, Val::Unknown(_))
    }

    /// What it takes to hold the value: 1 for each part, and 1 for every 64 bytes of text.
    pub fn weight(&self) -> usize {
        match self {
            Val::String(text) => 1 + text.length() / 64,
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                1 + items.iter().map(Val::weight).sum::<usize>()
            }
            Val::Map(_, fields) | Val::Object(fields) => 1 + fields.values().map(Val::weight).sum::<usize>(),
            _ => 1,
        }
    }

    /// How many lists and objects stand in each other.
    pub fn depth(&self) -> usize {
        match self {
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                1 + items.iter().map(Val::depth).max().unwrap_or(0)
            }
            Val::Map(_, fields) | Val::Object(fields) => {
                1 + fields.values().map(Val::depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    pub fn is_wholly_known(&self) -> bool {
        match self {
            Val::Unknown(_) => false,
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                items.iter().all(Val::is_wholly_known)
            }
            Val::Map(_, fields) | Val::Object(fields) => fields.values().all(Val::is_wholly_known),
            _ => true,
        }
    }

    /// Whether any part is sensitive.
    pub fn is_sensitive(&self) -> bool {
        match self {
            Val::Null(_) | Val::Unknown(_) => false,
            Val::Bool { sensitive, .. } | Val::Number { sensitive, .. } => *sensitive,
            Val::String(text) => text.is_sensitive(),
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                items.iter().any(Val::is_sensitive)
            }
            Val::Map(_, fields) | Val::Object(fields) => fields.values().any(Val::is_sensitive),
        }
    }

    /// The same value, sensitive in all its parts.
    #[must_use]
    pub fn mark(self) -> Self {
        let each = |items: Vec<Val>| items.into_iter().map(Val::mark).collect();
        let all = |fields: BTreeMap<String, Val>| fields.into_iter().map(|(k, v)| (k, v.mark())).collect();
        match self {
            Val::Bool { value, .. } => Val::Bool { value, sensitive: true },
            Val::Number { value, .. } => Val::Number { value, sensitive: true },
            // An empty text hides nothing.
            Val::String(text) if text.is_empty() => Val::String(text),
            Val::String(text) => Val::String(Text::secret(Secret::new(text.expose()))),
            Val::List(ty, items) => Val::List(ty, each(items)),
            Val::Set(ty, items) => Val::Set(ty, each(items)),
            Val::Tuple(items) => Val::Tuple(each(items)),
            Val::Map(ty, fields) => Val::Map(ty, all(fields)),
            Val::Object(fields) => Val::Object(all(fields)),
            other => other,
        }
    }

    #[must_use]
    pub fn mark_if(self, sensitive: bool) -> Self {
        if sensitive { self.mark() } else { self }
    }

    /// The text of a known string.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Val::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a known string with its secrets in clear.
    pub fn as_str(&self) -> Option<String> {
        self.as_text().map(Text::expose)
    }

    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Val::Number { value, .. } => Some(value),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Val::Bool { value, .. } => Some(*value),
            _ => None,
        }
    }

    /// Items of a list, set or tuple.
    pub fn items(&self) -> Option<&[Val]> {
        match self {
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Fields of a map or object.
    pub fn fields(&self) -> Option<&BTreeMap<String, Val>> {
        match self {
            Val::Map(_, fields) | Val::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// What iterating over it gives: keys and values; none if it can't be iterated.
    pub fn entries(&self) -> Option<Vec<(Val, Val)>> {
        match self {
            Val::List(_, items) | Val::Tuple(items) => {
                Some(items.iter().enumerate().map(|(i, v)| (Val::number(i), v.clone())).collect())
            }
            Val::Set(_, items) => Some(items.iter().map(|v| (v.clone(), v.clone())).collect()),
            Val::Map(_, fields) | Val::Object(fields) => {
                Some(fields.iter().map(|(k, v)| (Val::string(k), v.clone())).collect())
            }
            _ => None,
        }
    }

    /// Adds each secret in the value.
    pub fn collect_secrets(&self, out: &mut IndexSet<Secret>) {
        match self {
            Val::String(text) => {
                for part in text.parts() {
                    if let Part::Secret(secret) = part
                        && !secret.expose().is_empty()
                    {
                        out.insert(secret.clone());
                    }
                }
            }
            Val::Number { value, sensitive: true } => {
                out.insert(Secret::new(value.to_string()));
            }
            Val::List(_, items) | Val::Set(_, items) | Val::Tuple(items) => {
                items.iter().for_each(|v| v.collect_secrets(out));
            }
            Val::Map(_, fields) | Val::Object(fields) => {
                fields.values().for_each(|v| v.collect_secrets(out));
            }
            _ => {}
        }
    }
}

impl From<Text> for Val {
    fn from(text: Text) -> Self {
        Val::String(text)
    }
}

/// The composed form (NFC) of a text.
pub fn normal(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

/// Whether two values are equal: same type, same content. None if that is not known yet.
pub fn equal(a: &Val, b: &Val) -> Option<bool> {
    let all = |mut pairs: Vec<Option<bool>>| {
        if pairs.contains(&Some(false)) {
            return Some(false);
        }
        pairs.retain(Option::is_none);
        pairs.is_empty().then_some(true)
    };
    match (a, b) {
        (Val::Null(_), Val::Null(_)) => Some(true),
        (Val::Null(_), Val::Unknown(_)) | (Val::Unknown(_), _) | (_, Val::Unknown(_)) => None,
        (Val::Null(_), _) | (_, Val::Null(_)) => Some(false),
        (Val::Bool { value: a, .. }, Val::Bool { value: b, .. }) => Some(a == b),
        (Val::Number { value: a, .. }, Val::Number { value: b, .. }) => Some(a == b),
        (Val::String(a), Val::String(b)) => Some(a.expose() == b.expose()),
        (Val::List(_, x), Val::List(_, y))
        | (Val::Set(_, x), Val::Set(_, y))
        | (Val::Tuple(x), Val::Tuple(y)) => {
            let types_differ = matches!(a, Val::List(..) | Val::Set(..)) && a.ty() != b.ty();
            if x.len() != y.len() || types_differ {
                return Some(false);
            }
            all(x.iter().zip(y).map(|(x, y)| equal(x, y)).collect())
        }
        (Val::Map(_, x), Val::Map(_, y)) | (Val::Object(x), Val::Object(y)) => {
            let types_differ = matches!(a, Val::Map(..)) && a.ty() != b.ty();
            if x.len() != y.len() || types_differ || !x.keys().eq(y.keys()) {
                return Some(false);
            }
            all(x.values().zip(y.values()).map(|(x, y)| equal(x, y)).collect())
        }
        _ => Some(false),
    }
}

/// A total order for the items of sets: texts by bytes, numbers by size, everything else in some order that is always
/// the same.
pub fn order(a: &Val, b: &Val) -> Ordering {
    let rank = |v: &Val| match v {
        Val::Null(_) => 0,
        Val::Bool { .. } => 1,
        Val::Number { .. } => 2,
        Val::String(_) => 3,
        Val::List(..) => 4,
        Val::Set(..) => 5,
        Val::Tuple(_) => 6,
        Val::Map(..) => 7,
        Val::Object(_) => 8,
        Val::Unknown(_) => 9,
    };
    match (a, b) {
        (Val::Bool { value: a, .. }, Val::Bool { value: b, .. }) => a.cmp(b),
        (Val::Number { value: a, .. }, Val::Number { value: b, .. }) => {
            a.partial_cmp(b).unwrap_or(Ordering::Equal)
        }
        (Val::String(a), Val::String(b)) => a.expose().cmp(&b.expose()),
        (Val::List(_, x), Val::List(_, y))
        | (Val::Set(_, x), Val::Set(_, y))
        | (Val::Tuple(x), Val::Tuple(y)) => x
            .iter()
            .zip(y)
            .map(|(x, y)| order(x, y))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| x.len().cmp(&y.len())),
        (Val::Map(_, x), Val::Map(_, y)) | (Val::Object(x), Val::Object(y)) => x
            .iter()
            .zip(y)
            .map(|((k, x), (l, y))| k.cmp(l).then_with(|| order(x, y)))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| x.len().cmp(&y.len())),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_and_hold_each_value_once() {
        let set = Val::set(Type::String, ["b", "a", "b"].map(Val::string).to_vec());
        assert_eq!(set.items().expect("a set"), &[Val::string("a"), Val::string("b")]);
    }

    #[test]
    fn equality_is_not_known_where_a_part_is_not() {
        let with = |v: Val| Val::Tuple(vec![Val::number(1_i64), v]);
        assert_eq!(equal(&with(Val::DYNAMIC), &with(Val::DYNAMIC)), None);
        assert_eq!(
            equal(&with(Val::DYNAMIC), &Val::Tuple(vec![Val::number(2_i64), Val::DYNAMIC])),
            Some(false)
        );
        assert_eq!(equal(&Val::number(1_i64), &Val::string("1")), Some(false));
        assert_eq!(equal(&Val::string("e\u{301}"), &Val::string("é")), Some(true));
    }

    #[test]
    fn marks_reach_every_part_and_debug_shows_none() {
        let v = Val::object([("a", Val::Tuple(vec![Val::string("hidden"), Val::number(4711_i64)]))]).mark();
        assert!(v.is_sensitive());
        let mut secrets = IndexSet::new();
        v.collect_secrets(&mut secrets);
        assert_eq!(secrets.len(), 2);
        assert!(!format!("{v:?}").contains("hidden"));
    }
}
