//! The names that an expression may refer to.

use std::collections::BTreeMap;

use super::value::Val;

/// A layer of names over an outer one.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    names: &'a BTreeMap<String, Val>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    pub fn new(names: &'a BTreeMap<String, Val>) -> Self {
        Self { names, outer: None }
    }

    /// The names of this layer hide those of the outer one.
    pub fn over(names: &'a BTreeMap<String, Val>, outer: &'a Scope<'a>) -> Self {
        Self { names, outer: Some(outer) }
    }

    pub fn get(&self, name: &str) -> Option<&'a Val> {
        match self.names.get(name) {
            Some(value) => Some(value),
            None => self.outer.and_then(|outer| outer.get(name)),
        }
    }

    /// All names, inner ones first.
    pub fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = self.names.keys().map(String::as_str).collect();
        if let Some(outer) = self.outer {
            names.extend(outer.names());
        }
        names
    }
}
