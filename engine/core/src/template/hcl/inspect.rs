//! What `inspect` shows of an HCL2 template, in Packer's form.

use std::fmt::Write as _;

use super::HclTemplate;
use super::builds::{Reader, Step};
use super::settle::Settled;
use crate::diagnostic::Diagnostics;
use crate::hcl::print::{print, quote};

/// Variables and locals with their values, and the builds.
pub fn inspect(template: &HclTemplate, settled: &Settled) -> (String, Diagnostics) {
    let mut found = Diagnostics::new();
    let mut out = String::from("Packer Inspect: HCL2 mode\n\n");
    out.push_str(&list_values(template, settled));
    out.push_str("\n> builds:\n\n");
    let mut reader = Reader::new(settled, &mut found);
    for (i, block) in template.builds.iter().enumerate() {
        let build = reader.build(block);
        // Writing to a text can't fail.
        let _ = match build.name.is_empty() {
            true => writeln!(out, "  > <unnamed build {i}>:\n"),
            false => writeln!(out, "  > {}:\n", build.name),
        };
        if !build.description.is_empty() {
            let _ = writeln!(out, "  > Description: {}\n", build.description);
        }
        out.push_str("    sources:\n\n");
        if build.sources.is_empty() {
            out.push_str("      <no source>\n\n");
        }
        for source in &build.sources {
            let name = source.alias.as_deref().unwrap_or(&source.name);
            let _ = writeln!(out, "      {}.{name}\n", source.type_name);
        }
        out.push_str("    provisioners:\n\n");
        if build.provisioners.is_empty() {
            out.push_str("      <no provisioner>\n");
        }
        for step in &build.provisioners {
            let _ = writeln!(out, "      {}", shown(step));
        }
        out.push_str("\n    post-processors:\n\n");
        if build.post_processors.is_empty() {
            out.push_str("      <no post-processor>\n\n");
        }
        for (i, sequence) in build.post_processors.iter().enumerate() {
            let _ = writeln!(out, "      {i}:");
            for step in sequence {
                let _ = writeln!(out, "        {}", shown(step));
            }
            out.push('\n');
        }
    }
    (out, found)
}

/// Variables and locals with their values.
pub fn list_values(template: &HclTemplate, settled: &Settled) -> String {
    let mut out = String::from("> input-variables:\n\n");
    values(&mut out, "var", template.variables.iter().map(|v| v.name.as_str()).collect(), settled);
    out.push_str("\n> local-variables:\n\n");
    values(&mut out, "local", template.locals.iter().map(|l| l.name.as_str()).collect(), settled);
    out
}

fn shown(step: &Step) -> String {
    if step.name.is_empty() { step.type_name.clone() } else { format!("{}.{}", step.type_name, step.name) }
}

fn values(out: &mut String, root: &str, mut names: Vec<&str>, settled: &Settled) {
    names.sort_unstable();
    for name in names {
        let _ = writeln!(out, "{root}.{name}: {}", quote(&print(&settled.field(root, name))));
    }
}
