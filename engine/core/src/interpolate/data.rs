//! Values of the template language: truth, fields, and how they are printed.

use std::collections::HashMap;

use super::format::go_float;
use crate::value::Text;

/// What a value of the template language is.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A field that is not there; prints as `<no value>`.
    Missing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Text),
    List(Vec<Data>),
    Map(HashMap<String, Data>),
}

impl Data {
    pub(super) fn field(&self, path: &[String]) -> Data {
        path.iter().fold(self.clone(), |value, name| match value {
            Data::Map(mut map) => map.remove(name).unwrap_or(Data::Missing),
            _ => Data::Missing,
        })
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Data::Missing => false,
            Data::Bool(b) => *b,
            Data::Int(n) => *n != 0,
            Data::Float(f) => *f != 0.0,
            Data::Text(text) => !text.is_empty(),
            Data::List(items) => !items.is_empty(),
            Data::Map(map) => !map.is_empty(),
        }
    }

    /// As Go's `%v`.
    pub fn print(&self) -> Text {
        match self {
            Data::Missing => Text::plain("<no value>"),
            Data::Bool(b) => Text::plain(b.to_string()),
            Data::Int(n) => Text::plain(n.to_string()),
            Data::Float(f) => Text::plain(go_float(*f)),
            Data::Text(text) => text.clone(),
            Data::List(items) => {
                let mut out = Text::plain("[");
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { " " } else { "" });
                    out.push_text(&item.print());
                }
                out.push_str("]");
                out
            }
            Data::Map(map) => {
                let mut pairs: Vec<_> = map.iter().collect();
                pairs.sort_by_key(|(k, _)| (*k).clone());
                let mut out = Text::plain("map[");
                for (i, (key, value)) in pairs.into_iter().enumerate() {
                    out.push_str(&format!("{}{key}:", if i > 0 { " " } else { "" }));
                    out.push_text(&value.print());
                }
                out.push_str("]");
                out
            }
        }
    }
}
