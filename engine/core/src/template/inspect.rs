//! What `inspect` shows of a template, in Packer's form.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::Template;

const NOTE: &str = "
Note: If your build names contain user variables or template
functions such as 'timestamp', these are processed at build time,
and therefore only show in their raw form here.
";

/// A template's variables, builders and provisioners.
pub struct Inspection<'a> {
    template: &'a Template,
    /// Names and defaults of sensitive variables.
    sensitive: HashSet<&'a str>,
    hidden: HashSet<&'a str>,
}

pub fn inspect(template: &Template) -> Inspection<'_> {
    let sensitive: HashSet<&str> = template.sensitive.iter().map(|(name, _)| name.as_str()).collect();
    let defaults = template.variables.iter().filter(|v| sensitive.contains(v.name.as_str()));
    let hidden = defaults.filter_map(|v| v.default.as_deref()).filter(|d| !d.is_empty()).collect();
    Inspection { template, sensitive, hidden }
}

impl Inspection<'_> {
    fn default_of(&self, variable: &super::Variable) -> String {
        let Some(value) = &variable.default else { return String::new() };
        // Another variable with the value of a sensitive one would tell it.
        if self.sensitive.contains(variable.name.as_str()) || self.hidden.contains(value.as_str()) {
            crate::secret::MASK.to_owned()
        } else {
            value.clone()
        }
    }

    fn variables(&self) -> Vec<&super::Variable> {
        let mut variables: Vec<_> = self.template.variables.iter().collect();
        variables.sort_by(|a, b| a.name.cmp(&b.name));
        variables
    }

    fn builders(&self) -> Vec<&super::BuilderBlock> {
        let mut builders: Vec<_> = self.template.builders.iter().collect();
        builders.sort_by(|a, b| a.raw_name.cmp(&b.raw_name));
        builders
    }

    /// The text for people.
    pub fn text(&self) -> String {
        let mut out = String::from("Packer Inspect: JSON mode\n");
        if let Some(description) = self.template.description.as_ref().filter(|d| !d.is_empty()) {
            let _ = write!(out, "Description:\n\n{description}\n\n");
        }
        self.variables_text(&mut out);
        out.push_str("\nBuilders:\n\n");
        let builders = self.builders();
        if builders.is_empty() {
            out.push_str("  <No builders>\n");
        }
        let width = builders.iter().map(|b| b.raw_name.len()).max().unwrap_or(0);
        for builder in builders {
            let _ = match builder.raw_name == builder.type_name {
                true => writeln!(out, "  {:width$}", builder.raw_name),
                false => writeln!(out, "  {:width$} ({})", builder.raw_name, builder.type_name),
            };
        }
        out.push_str("\nProvisioners:\n\n");
        if self.template.provisioners.is_empty() {
            out.push_str("  <No provisioners>\n");
        }
        for provisioner in &self.template.provisioners {
            let _ = writeln!(out, "  {}", provisioner.type_name);
        }
        out.push_str(NOTE);
        out
    }

    fn variables_text(&self, out: &mut String) {
        let variables = self.variables();
        if variables.is_empty() {
            out.push_str("Variables:\n\n  <No variables>\n");
            return;
        }
        let width = variables.iter().map(|v| v.name.len()).max().unwrap_or(0);
        let (required, optional): (Vec<_>, Vec<_>) = variables.into_iter().partition(|v| v.default.is_none());
        if !required.is_empty() {
            out.push_str("Required variables:\n\n");
            required.iter().for_each(|v| {
                let _ = writeln!(out, "  {}", v.name);
            });
            out.push('\n');
        }
        out.push_str("Optional variables and their defaults:\n\n");
        for variable in optional {
            let _ = writeln!(out, "  {:width$} = {}", variable.name, self.default_of(variable));
        }
    }

    /// The rows of `-machine-readable`: type and data.
    pub fn machine_lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let (required, optional): (Vec<_>, Vec<_>) =
            self.variables().into_iter().partition(|v| v.default.is_none());
        let mut rows = Vec::new();
        for (variable, flag) in required.iter().map(|v| (v, "1")).chain(optional.iter().map(|v| (v, "0"))) {
            let data = vec![variable.name.clone(), self.default_of(variable), flag.to_owned()];
            rows.push(("template-variable", data));
        }
        for builder in self.builders() {
            rows.push(("template-builder", vec![builder.raw_name.clone(), builder.type_name.clone()]));
        }
        for provisioner in &self.template.provisioners {
            rows.push(("template-provisioner", vec![provisioner.type_name.clone()]));
        }
        rows
    }
}
