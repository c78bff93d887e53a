//! HCL2: templates in both of its forms, variable files, expressions, and the canonical format.

use std::sync::Arc;

use fornax_core::hcl::format::format as canonical;
use fornax_core::hcl::lex::lex;
use fornax_core::hcl::parse::{parse_expression, parse_file, parse_template};
use fornax_core::hcl::print::print;
use fornax_core::hcl::typexpr::type_of;
use fornax_core::hcl::{Allow, Scope, Val, evaluate};
use fornax_core::template::hcl::{
    self, HclPlanOptions, HclTemplate, SettleOptions, Settled, Undeclared, VariableInputs, settle,
};
use fornax_core::{Diagnostics, SourceFile};

use super::{Nowhere, NullData, check_findings, check_plan, now, source};

fn settled(
    template: &HclTemplate,
    files: Vec<Arc<SourceFile>>,
    require_values: bool,
) -> (Settled, Diagnostics) {
    let options = SettleOptions {
        inputs: VariableInputs {
            auto_files: Vec::new(),
            files,
            vars: Vec::new(),
            undeclared: Undeclared::Warn,
        },
        host: Arc::new(Nowhere),
        template_dir: ".".into(),
        require_values,
        read_data: true,
    };
    now(settle(template, &options, &NullData))
}

/// Reads a template to the end, as far as it goes.
pub(super) fn planned(file: &Arc<SourceFile>, var_files: Vec<Arc<SourceFile>>) -> (String, Diagnostics) {
    let (template, mut found) = hcl::parse(std::slice::from_ref(file));
    hcl::required_plugins(&template);
    let (settled, more) = settled(&template, var_files, false);
    found.extend(more);
    let (shown, more) = hcl::inspect(&template, &settled);
    found.extend(more);
    let options = HclPlanOptions {
        only: Vec::new(),
        except: Vec::new(),
        template_dir: "/template".into(),
        working_dir: "/work".into(),
        start_time: jiff::Timestamp::UNIX_EPOCH,
    };
    let (plan, more) = hcl::plan(&template, &settled, &options);
    found.extend(more);
    check_findings(&found, &plan.secrets);
    found.extend(check_plan(&plan));
    (shown, found)
}

pub(super) fn template(bytes: &[u8]) {
    let file = source("t.pkr.hcl", bytes);
    let (before, _) = planned(&file, Vec::new());
    if parse_file(&file).1.has_errors() {
        return;
    }
    let formatted = SourceFile::new("t.pkr.hcl", canonical(file.text()));
    let (after, _) = planned(&formatted, Vec::new());
    // Some functions give another value each time.
    if !["uuid", "bcrypt"].iter().any(|name| file.text().contains(name)) {
        assert_eq!(before, after, "after fmt it means something else");
    }
}

pub(super) fn json_form(bytes: &[u8]) {
    planned(&source("t.pkr.json", bytes), Vec::new());
}

/// The bytes as a variable file of a sound template, in both forms.
pub(super) fn variable_file(bytes: &[u8]) {
    const TEMPLATE: &str = "variable \"a\" {\n  type = string\n  default = \"x\"\n}
variable \"n\" {\n  type = number\n  default = 1\n  validation {\n    condition = var.n > 0\n    error_message = \"It is positive.\"\n  }\n}
variable \"l\" {\n  type = list(object({ k = string, o = optional(number, 2) }))\n  default = []\n}
variable \"m\" {\n  type = map(any)\n  default = {}\n}
variable \"pw\" {\n  sensitive = true\n  default = \"\"\n}
locals {\n  all = [var.a, var.n, var.l, var.m]\n}
source \"null\" \"x\" {\n  communicator = \"none\"\n  a = \"${var.pw} ${local.all[0]}\"\n}
build {\n  sources = [\"null.x\"]\n}\n";
    for name in ["v.pkrvars.hcl", "v.pkrvars.json"] {
        planned(&SourceFile::new("t.pkr.hcl", TEMPLATE), vec![source(name, bytes)]);
    }
}

pub(super) fn expression(bytes: &[u8]) {
    const SCOPE: &str = "variable \"s\" { default = \"text\" }
variable \"l\" { default = [\"a\", \"b\", \"c\"] }
variable \"m\" { default = { k = 1, v = [true, null] } }
variable \"pw\" {\n  sensitive = true\n  default = \"canary-8d1f6b\"\n}
variable \"later\" { type = list(string) }
locals { n = 7 }\n";
    let (template, found) = hcl::parse(&[SourceFile::new("scope.pkr.hcl", SCOPE)]);
    assert!(!found.has_errors(), "{found:?}");
    let (settled, found) = settled(&template, Vec::new(), false);
    assert!(!found.has_errors(), "{found:?}");
    let names = settled.console_names();
    let file = source("<expression>", bytes);
    for parse in [parse_expression, parse_template] {
        let (expr, mut found) = parse(&file);
        for allow in [Allow::ALL, Allow::DEFAULTS] {
            let (value, more) = evaluate(&expr, &Scope::new(&names), allow, &Nowhere);
            found.extend(more);
            check_value(&value);
        }
        if let Err(finding) = type_of(&expr, &Nowhere) {
            found.push(finding);
        }
        check_findings(&found, &settled.secrets);
    }
}

fn check_value(value: &Val) {
    print(value);
    let _ = value.ty().friendly();
    assert!(fornax_core::hcl::value::order(value, value).is_eq());
}

/// Only blanks move; a text of a file that parses keeps its tokens, and formatting it again changes nothing.
pub(super) fn format(bytes: &[u8]) {
    let file = source("t.pkr.hcl", bytes);
    let text = file.text();
    let formatted = canonical(text);
    let bare = |text: &str| text.trim_start_matches('\u{feff}').replace([' ', '\t'], "");
    assert_eq!(bare(text), bare(&formatted), "more than blanks changed");
    let (_, found) = parse_file(&file);
    check_findings(&found, &[]);
    if found.has_errors() {
        return;
    }
    let tokens = |text: &str| -> Vec<String> {
        lex(text).iter().map(|t| format!("{:?} {:?}", t.kind, t.text(text))).collect()
    };
    assert_eq!(tokens(text), tokens(&formatted), "a token changed");
    assert_eq!(canonical(&formatted), formatted, "formatting again changes it again");
    let (_, found) = parse_file(&SourceFile::new("t.pkr.hcl", formatted));
    assert!(!found.has_errors(), "after fmt it does not parse: {found:?}");
}
