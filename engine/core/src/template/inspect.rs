//! What `inspect` shows of a template, in Packer's form.

use std::fmt::Write as _;

use super::Template;

/// A template's variables, builders and provisioners.
pub struct Inspection<'a> {
    template: &'a Template,
}

pub fn inspect(template: &Template) -> Inspection<'_> {
    Inspection { template }
}

impl Inspection<'_> {
    fn default_of(&self, variable: &super::Variable) -> String {
        let sensitive = self.template.sensitive.iter().any(|(name, _)| *name == variable.name);
        match &variable.default {
            Some(value) if sensitive && !value.is_empty() => crate::secret::MASK.to_owned(),
            Some(value) => value.clone(),
            None => String::new(),
        }
    }

    /// Columns of at least the longest name.
    fn columns(out: &mut String, rows: impl Iterator<Item = (String, String)>) {
        let rows: Vec<_> = rows.collect();
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, rest) in rows {
            let line = if rest.is_empty() { format!("  {name}") } else { format!("  {name:width$}{rest}") };
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let template = self.template;
        let mut out = String::from("Packer Inspect: JSON mode\n");
        if let Some(description) = &template.description {
            let _ = write!(out, "Description:\n\n{description}\n\n");
        }
        let mut required: Vec<_> = template.variables.iter().filter(|v| v.default.is_none()).collect();
        let mut optional: Vec<_> = template.variables.iter().filter(|v| v.default.is_some()).collect();
        required.sort_by(|a, b| a.name.cmp(&b.name));
        optional.sort_by(|a, b| a.name.cmp(&b.name));
        if template.variables.is_empty() {
            out.push_str("Variables:\n\n  <No variables>\n\n");
        }
        if !required.is_empty() {
            out.push_str("Required variables:\n\n");
            Self::columns(&mut out, required.iter().map(|v| (v.name.clone(), String::new())));
            out.push('\n');
        }
        if !optional.is_empty() {
            out.push_str("Optional variables and their defaults:\n\n");
            Self::columns(
                &mut out,
                optional.iter().map(|v| (v.name.clone(), format!(" = {}", self.default_of(v)))),
            );
            out.push('\n');
        }
        out.push_str("Builders:\n\n");
        let mut builders: Vec<_> = template.builders.iter().collect();
        builders.sort_by(|a, b| a.raw_name.cmp(&b.raw_name));
        if builders.is_empty() {
            out.push_str("  <No builders>\n");
        }
        let kind = |b: &super::BuilderBlock| {
            if b.raw_name == b.type_name { String::new() } else { format!(" ({})", b.type_name) }
        };
        Self::columns(&mut out, builders.iter().map(|b| (b.raw_name.clone(), kind(b))));
        out.push_str("\nProvisioners:\n\n");
        if template.provisioners.is_empty() {
            out.push_str("  <No provisioners>\n");
        }
        Self::columns(&mut out, template.provisioners.iter().map(|p| (p.type_name.clone(), String::new())));
        out.push_str("\nNote: If your build names contain user variables or template\nfunctions such as 'timestamp', these are processed at build time,\nand therefore only show in their raw form here.\n");
        out
    }

    /// The rows of `-machine-readable`: type and data.
    pub fn machine_lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let template = self.template;
        let mut rows = Vec::new();
        for variable in &template.variables {
            let required = if variable.default.is_none() { "1" } else { "0" };
            rows.push((
                "template-variable",
                vec![variable.name.clone(), self.default_of(variable), required.to_owned()],
            ));
        }
        for builder in &template.builders {
            rows.push(("template-builder", vec![builder.raw_name.clone(), builder.type_name.clone()]));
        }
        for provisioner in &template.provisioners {
            rows.push(("template-provisioner", vec![provisioner.type_name.clone()]));
        }
        rows
    }
}
