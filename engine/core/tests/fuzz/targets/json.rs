//! JSON templates: parsed, planned, looked at, fixed and upgraded.

use std::sync::Arc;

use fornax_core::template::{self, PlanOptions};
use fornax_core::{Diagnostics, SourceFile};

use super::{CANARY, check_findings, check_plan, source};

fn options(var_files: Vec<Arc<SourceFile>>) -> PlanOptions {
    PlanOptions {
        vars: Vec::new(),
        var_files,
        only: Vec::new(),
        except: Vec::new(),
        env: Arc::new(|name| (name == "HERE").then(|| CANARY.to_owned())),
        template_dir: "/template".into(),
        working_dir: "/work".into(),
        start_time: jiff::Timestamp::UNIX_EPOCH,
    }
}

pub(super) fn planned(file: &Arc<SourceFile>, var_files: Vec<Arc<SourceFile>>) -> Diagnostics {
    let (parsed, mut found) = template::parse(file);
    let Some(parsed) = parsed else {
        assert!(found.has_errors(), "there is no template and nothing is said");
        check_findings(&found, &[]);
        return found;
    };
    let (plan, more) = template::plan(&parsed, &options(var_files));
    found.extend(more);
    check_findings(&found, &plan.secrets);
    found.extend(check_plan(&plan));
    found
}

pub(super) fn template(bytes: &[u8]) {
    let file = source("t.json", bytes);
    planned(&file, Vec::new());
    if let (Some(parsed), _) = template::parse(&file) {
        let inspection = template::inspect(&parsed);
        let shown = inspection.text();
        let lines = inspection.machine_lines();
        let hides = |name: &str| parsed.sensitive.iter().any(|(sensitive, _)| sensitive == name);
        for variable in parsed.variables.iter().filter(|v| hides(&v.name)) {
            if variable.default.as_deref() == Some(CANARY) {
                let line = format!("= {CANARY}\n");
                assert!(!shown.contains(&line), "inspect shows a secret:\n{shown}");
                assert!(!lines.iter().flat_map(|(_, data)| data).any(|d| d == CANARY), "{lines:?}");
            }
        }
    }
}

/// The bytes as a variable file of a sound template.
pub(super) fn variable_file(bytes: &[u8]) {
    const TEMPLATE: &str = r#"{"variables": {"a": "1", "b": "{{user `a`}}", "pw": "", "n": null},
        "sensitive-variables": ["pw"],
        "builders": [{"type": "null", "name": "{{user `a`}}", "communicator": "none", "x": "{{user `pw`}} {{user `b`}}"}]}"#;
    planned(&SourceFile::new("t.json", TEMPLATE), vec![source("v.json", bytes)]);
}

pub(super) fn fix(bytes: &[u8]) {
    let (fixed, found) = template::fix::fix(&source("t.json", bytes));
    check_findings(&found, &[]);
    let Some(fixed) = fixed else {
        assert!(found.has_errors(), "nothing is fixed and nothing is said");
        return;
    };
    let again = SourceFile::new("fixed.json", fixed.text.as_str());
    check_findings(&template::fix::validate(&again), &[]);
    let (twice, found) = template::fix::fix(&again);
    match twice {
        Some(twice) if twice.applied.is_empty() => {
            assert_eq!(twice.text, fixed.text, "printed in another way")
        }
        Some(_) => {}
        None => panic!("what was fixed can't be fixed again: {found:?}"),
    }
}

pub(super) fn upgrade(bytes: &[u8]) {
    let (parsed, found) = template::parse(&source("t.json", bytes));
    let Some(parsed) = parsed.filter(|_| !found.has_errors()) else { return };
    for annotations in [false, true] {
        let upgrade = template::upgrade(&parsed, annotations);
        check_findings(&upgrade.findings, &[]);
        let file = SourceFile::new("t.pkr.hcl", upgrade.text.as_str());
        let (_, found) = fornax_core::hcl::parse::parse_file(&file);
        assert!(!found.has_errors(), "{}\n{}", rendered(&found), upgrade.text);
        let formatted = fornax_core::hcl::format::format(&upgrade.text);
        assert_eq!(formatted, upgrade.text, "the result is not as fmt has it");
    }
}

fn rendered(found: &Diagnostics) -> String {
    found.iter().map(fornax_core::Diagnostic::render).collect()
}
