//! Types of HCL values, as cty has them, and type constraints as `type = …` of a variable writes them: an object's
//! attribute may be optional and may have a default there.

use std::collections::BTreeMap;

use super::value::Val;

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Any type; of a value: not known yet.
    Dynamic,
    Bool,
    Number,
    String,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    Object(BTreeMap<String, Field>),
}

/// An attribute of an object type. The types of values have required ones only.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub ty: Type,
    pub optional: bool,
    /// Takes the place of an optional attribute that is missing or null.
    pub default: Option<Val>,
}

impl From<Type> for Field {
    fn from(ty: Type) -> Self {
        Self { ty, optional: false, default: None }
    }
}

impl Type {
    pub fn list(element: Type) -> Self {
        Type::List(Box::new(element))
    }

    pub fn set(element: Type) -> Self {
        Type::Set(Box::new(element))
    }

    pub fn map(element: Type) -> Self {
        Type::Map(Box::new(element))
    }

    pub fn object<K: Into<String>>(fields: impl IntoIterator<Item = (K, Type)>) -> Self {
        Type::Object(fields.into_iter().map(|(k, t)| (k.into(), t.into())).collect())
    }

    pub fn is_primitive(&self) -> bool {
        matches!(self, Type::Bool | Type::Number | Type::String)
    }

    pub fn is_collection(&self) -> bool {
        matches!(self, Type::List(_) | Type::Set(_) | Type::Map(_))
    }

    /// Whether any part of the type is not settled.
    pub fn has_dynamic(&self) -> bool {
        match self {
            Type::Dynamic => true,
            Type::Bool | Type::Number | Type::String => false,
            Type::List(t) | Type::Set(t) | Type::Map(t) => t.has_dynamic(),
            Type::Tuple(types) => types.iter().any(Type::has_dynamic),
            Type::Object(fields) => fields.values().any(|f| f.ty.has_dynamic()),
        }
    }

    /// As messages name it: "list of string".
    pub fn friendly(&self) -> String {
        match self {
            Type::Dynamic => "dynamic".to_owned(),
            Type::Bool => "bool".to_owned(),
            Type::Number => "number".to_owned(),
            Type::String => "string".to_owned(),
            Type::List(t) => format!("list of {}", t.element_name()),
            Type::Set(t) => format!("set of {}", t.element_name()),
            Type::Map(t) => format!("map of {}", t.element_name()),
            Type::Tuple(_) => "tuple".to_owned(),
            Type::Object(_) => "object".to_owned(),
        }
    }

    fn element_name(&self) -> String {
        match self {
            Type::Dynamic => "any single type".to_owned(),
            other => other.friendly(),
        }
    }

    /// What is wrong with a value that is not of this type: "a number is required".
    pub fn required(&self) -> String {
        match self {
            Type::Number => "a number is required".to_owned(),
            other => format!("{} required", other.friendly()),
        }
    }
}
