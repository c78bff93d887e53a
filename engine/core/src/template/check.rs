//! What the blocks of a template say of each other: names that occur twice, references to builds that are not there,
//! the least version of Packer. [`super::plan`] runs these checks.

use std::collections::{HashMap, HashSet};

use super::{BuilderBlock, Template};
use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::interpolate::PACKER_VERSION;
use crate::source::Span;

pub(super) fn check(template: &Template, found: &mut Diagnostics) {
    version(template, found);
    builders(template, found);
    references(template, found);
}

fn version(template: &Template, found: &mut Diagnostics) {
    let Some((version, span)) = &template.min_version else { return };
    match (version_numbers(version), version_numbers(PACKER_VERSION)) {
        (Some(wanted), Some(have)) if wanted > have => found.push(
            Diagnostic::error(
                "template/min-version",
                format!("this template requires Packer version {version} or higher"),
            )
            .at(span)
            .detail(format!("Fornax understands templates of Packer up to {PACKER_VERSION}"))
            .help("lower min_packer_version if the template needs nothing newer"),
        ),
        (None, _) => found.push(
            Diagnostic::error(
                "template/min-version",
                format!("min_packer_version {version:?} is not a version"),
            )
            .at(span)
            .help("write it like \"1.7.0\""),
        ),
        _ => {}
    }
}

fn builders(template: &Template, found: &mut Diagnostics) {
    if template.builders.is_empty() && !template.builders_told {
        found.push(
            Diagnostic::error("template/no-builders", "at least one builder must be defined")
                .at(&template.root)
                .help("add \"builders\": [{\"type\": \"azure-arm\", ...}]"),
        );
    }
}

fn references(template: &Template, found: &mut Diagnostics) {
    let known: Vec<&str> = template.builders.iter().map(|b| b.raw_name.as_str()).collect();
    let names: HashSet<&str> = known.iter().copied().collect();
    let mut check = |name: &str, span: &Span, what: &str| {
        // Without builders every name would be wrong, and the missing builders have been told.
        if known.is_empty() || names.contains(name) {
            return;
        }
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => builds_are(&known),
        };
        found.push(
            Diagnostic::error(
                "template/unknown-build",
                format!("\"{what}\" names \"{name}\", which is no build"),
            )
            .at(span)
            .help(help),
        );
    };
    let provisioners = template.provisioners.iter().chain(&template.error_cleanup);
    let post_processors = template.post_processors.iter().flatten();
    let selections = provisioners.clone().map(|p| &p.selection).chain(post_processors.map(|p| &p.selection));
    for selection in selections {
        selection.only.iter().for_each(|(name, span)| check(name, span, "only"));
        selection.except.iter().for_each(|(name, span)| check(name, span, "except"));
    }
    for member in provisioners.flat_map(|p| &p.overrides) {
        check(&member.key, &member.key_span, "override");
    }
}

/// The names that can be chosen from.
pub(super) fn builds_are<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [one] => format!("the only build is {one}"),
        names => format!("the builds are {}", names.join(", ")),
    }
}

/// Two builders of the same name; a matter of form, so that parsing tells it.
pub(super) fn duplicates(template: &Template, found: &mut Diagnostics) {
    let mut places: HashMap<&str, &BuilderBlock> = HashMap::new();
    for builder in &template.builders {
        let first = *places.entry(&builder.raw_name).or_insert(builder);
        if !std::ptr::eq(first, builder) {
            found.push(
                Diagnostic::error(
                    "template/duplicate-builder",
                    format!("two builders have the name \"{}\"", builder.raw_name),
                )
                .at(&builder.name_span)
                .related(&first.name_span, "first here")
                .help("give one of them another \"name\""),
            );
        }
    }
}

/// The numbers of a version; what follows a dash does not count.
fn version_numbers(version: &str) -> Option<[u64; 3]> {
    let core = version.trim().trim_start_matches('v').split(['-', '+', ' ']).next()?;
    let mut out = [0; 3];
    for (i, part) in core.split('.').enumerate() {
        *out.get_mut(i)? = part.parse().ok()?;
    }
    Some(out)
}
