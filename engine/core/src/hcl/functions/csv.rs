//! `csvdecode`: RFC 4180 with commas; quotes only around whole fields, and as many fields in each record as in the
//! header.

use std::collections::BTreeMap;

use super::{Budget, Fault, Function, Host, Outcome, function, gives, param, string, text};
use crate::hcl::Val;
use crate::hcl::types::Type;
use crate::hcl::value::normal;

pub(super) const TABLE: &[Function] = &[function(
    "csvdecode",
    "The records of a CSV text as objects; its first line names their attributes.",
    &[param("str", string)],
    gives::any,
    csvdecode,
)];

fn csvdecode(args: &[Val], _: &dyn Host) -> Outcome {
    let source = text(args, 0).replace("\r\n", "\n");
    let source = source.strip_suffix('\r').unwrap_or(&source);
    let mut reader = Reader { rest: source, line: 1 };
    let header: Vec<String> =
        reader.record()?.ok_or("missing header line")?.1.iter().map(|name| normal(name)).collect();
    let mut columns = BTreeMap::new();
    for name in &header {
        if columns.insert(name.clone(), Type::String).is_some() {
            return Err(format!("duplicate column name {name:?}").into());
        }
    }
    let element = Type::object(columns);
    let mut budget = Budget::default();
    let mut rows = Vec::new();
    while let Some((line, fields)) = reader.record()? {
        if fields.len() != header.len() {
            return Err(format!("CSV parse error on line {line}: wrong number of fields").into());
        }
        let row = Val::object(header.iter().cloned().zip(fields.iter().map(Val::string)));
        budget.take(&row)?;
        rows.push(row);
    }
    Ok(Val::list(element, rows))
}

struct Reader<'a> {
    rest: &'a str,
    /// Counted from 1.
    line: usize,
}

impl Reader<'_> {
    fn fault(&self, what: &str) -> Fault {
        format!("CSV parse error on line {}: {what}", self.line).into()
    }

    /// The next record and the line it starts on; none at the end.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, Fault> {
        while let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut fields = Vec::new();
        loop {
            let (field, more) = if self.rest.starts_with('"') { self.quoted()? } else { self.plain()? };
            fields.push(field);
            if !more {
                return Ok(Some((line, fields)));
            }
        }
    }

    /// A field, and whether another one follows in the record.
    fn plain(&mut self) -> Result<(String, bool), Fault> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let field = self.rest[..end].to_owned();
        if field.contains('"') {
            return Err(self.fault("bare \" in non-quoted field"));
        }
        self.rest = &self.rest[end..];
        Ok((field, self.end_of_field()))
    }

    fn quoted(&mut self) -> Result<(String, bool), Fault> {
        let wrong = |reader: &Self| reader.fault("extraneous or missing \" in quoted-field");
        self.rest = &self.rest[1..];
        let mut field = String::new();
        loop {
            let Some(quote) = self.rest.find('"') else { return Err(wrong(self)) };
            let part = &self.rest[..quote];
            field.push_str(part);
            self.line += part.matches('\n').count();
            self.rest = &self.rest[quote + 1..];
            match self.rest.strip_prefix('"') {
                Some(rest) => {
                    field.push('"');
                    self.rest = rest;
                }
                None if self.rest.is_empty() || self.rest.starts_with([',', '\n']) => {
                    return Ok((field, self.end_of_field()));
                }
                None => return Err(wrong(self)),
            }
        }
    }

    fn end_of_field(&mut self) -> bool {
        if let Some(rest) = self.rest.strip_prefix(',') {
            self.rest = rest;
            return true;
        }
        if let Some(rest) = self.rest.strip_prefix('\n') {
            self.rest = rest;
            self.line += 1;
        }
        false
    }
}
