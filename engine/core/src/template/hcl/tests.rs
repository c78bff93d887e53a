//! Whole templates: what they mean, and what is said about them.

use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::builder::BuildData;
use crate::hcl::testing::Desk;
use crate::hcl::{Type, Val};
use crate::plan::Plan;
use crate::value::{Node, Text, Value};

/// A data source that gives back its input.
struct Echo;

#[async_trait]
impl DataSources for Echo {
    fn types(&self) -> Vec<&'static str> {
        vec!["echo"]
    }

    fn output(&self, type_name: &str) -> Option<Type> {
        (type_name == "echo").then(|| Type::object([("output", Type::String)]))
    }

    fn schema(&self, _: &str) -> serde_json::Value {
        serde_json::json!({"type": "object", "properties": {"input": {"type": "string"}}})
    }

    async fn read(&self, _: &str, config: &Node) -> Result<Val, Diagnostic> {
        let text = config.get("input").and_then(Node::as_text).cloned().unwrap_or_default();
        Ok(Val::object([("output", Val::String(text))]))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

#[derive(Default)]
struct Case<'a> {
    files: Vec<(&'a str, &'a str)>,
    auto: Vec<(&'a str, &'a str)>,
    var_files: Vec<(&'a str, &'a str)>,
    vars: Vec<(&'a str, &'a str)>,
    env: Vec<(&'a str, &'a str)>,
    only: Vec<&'a str>,
}

impl Case<'_> {
    fn settle(&self) -> (HclTemplate, Settled, Diagnostics) {
        let sources = |files: &[(&str, &str)]| -> Vec<Arc<SourceFile>> {
            files.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect()
        };
        let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let (template, mut found) = parse(&sources(&self.files));
        let desk = Desk { env: owned(&self.env).into_iter().collect(), ..Desk::default() };
        let options = SettleOptions {
            inputs: VariableInputs {
                auto_files: sources(&self.auto),
                files: sources(&self.var_files),
                vars: owned(&self.vars),
                undeclared: Undeclared::Warn,
            },
            host: Arc::new(desk),
            template_dir: ".".into(),
            require_values: true,
            read_data: true,
        };
        let (settled, more) = block_on(settle(&template, &options, &Echo));
        found.extend(more);
        (template, settled, found)
    }

    fn plan(&self) -> (Plan, Diagnostics) {
        let (template, settled, mut found) = self.settle();
        let options = HclPlanOptions {
            only: self.only.iter().map(|o| (*o).to_owned()).collect(),
            except: Vec::new(),
            template_dir: "/template".into(),
            working_dir: "/work".into(),
            start_time: jiff::Timestamp::UNIX_EPOCH,
        };
        let (plan, more) = super::plan(&template, &settled, &options);
        found.extend(more);
        (plan, found)
    }
}

fn of(text: &str) -> Case<'_> {
    Case { files: vec![("t.pkr.hcl", text)], ..Case::default() }
}

fn codes(found: &Diagnostics) -> Vec<(usize, String)> {
    found
        .iter()
        .filter(|d| !d.is_echo)
        .map(|d| (d.span.as_ref().map_or(0, |s| s.start().line), d.code.clone()))
        .collect()
}

const NULL: &str =
    "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n";

fn local(case: &Case<'_>, name: &str) -> String {
    let (_, settled, found) = case.settle();
    assert!(!found.has_errors(), "{found:?}");
    crate::hcl::print::print(&settled.field("local", name))
}

#[test]
fn the_last_of_the_values_counts() {
    let text = "variable \"v\" {\n  type = string\n  default = env(\"HERE\")\n}\nlocals {\n  l = var.v\n}\n";
    let mut case = of(text);
    case.env.push(("HERE", "default"));
    let expect = |case: &Case<'_>, value: &str| assert_eq!(local(case, "l"), value);
    expect(&case, "default");
    case.env.push(("PKR_VAR_v", "environment"));
    expect(&case, "environment");
    case.auto = vec![("a.auto.pkrvars.hcl", "v = \"auto\""), ("b.auto.pkrvars.json", "{\"v\": \"json\"}")];
    expect(&case, "json");
    case.var_files = vec![("x.pkrvars.hcl", "v = \"file\"")];
    expect(&case, "file");
    case.vars = vec![("v", "argument")];
    expect(&case, "argument");
}

#[test]
fn values_are_found_in_the_order_in_which_they_need_each_other() {
    let text = "locals {\n  c = \"${local.b}!\"\n  b = data.echo.d.output\n  a = \"x\"\n}\ndata \"echo\" \"d\" {\n  input = upper(local.a)\n}\n";
    assert_eq!(local(&of(text), "c"), "X!");
}

#[test]
fn circles_are_told_with_their_members() {
    let (_, _, found) =
        of("locals {\n  a = local.b\n  b = local.c\n  c = local.a\n  d = local.d\n}\n").settle();
    let summaries: Vec<&str> = found.iter().map(|d| d.summary.as_str()).collect();
    assert_eq!(
        summaries,
        ["these depend on each other: local.a → local.b → local.c → local.a", "local.d refers to itself"]
    );
}

#[test]
fn a_long_chain_of_locals_needs_no_stack() {
    let mut text = String::from("locals {\n  l0 = 1\n");
    for i in 1..5000 {
        text.push_str(&format!("  l{i} = local.l{}\n", i - 1));
    }
    text.push_str("}\n");
    assert_eq!(local(&of(&text), "l4999"), "1");
}

#[test]
fn secrets_travel_and_are_collected() {
    let text = format!(
        "variable \"p\" {{\n  sensitive = true\n  default = {{ a = [\"one-secret\"], n = 4711 }}\n}}\nlocal \"s\" {{\n  sensitive = true\n  expression = \"another\"\n}}\nlocals {{\n  both = \"x-${{var.p.a[0]}}-${{local.s}}\"\n  up = upper(local.s)\n}}\n{NULL}"
    );
    let case = of(&text);
    assert_eq!(local(&case, "both"), "x-<sensitive>-<sensitive>");
    assert_eq!(local(&case, "up"), "<sensitive>");
    let (plan, found) = case.plan();
    assert!(!found.has_errors(), "{found:?}");
    for secret in ["one-secret", "4711", "another", "ANOTHER"] {
        assert!(plan.secrets.iter().any(|s| s.expose() == secret), "{secret}");
    }
    assert!(!format!("{:?} {:?}", plan.variables, plan.secrets).contains("another"));
}

#[test]
fn builds_get_what_is_theirs() {
    let text = "source \"file\" \"f\" {\n  content = \"x\"\n}\nbuild {\n  name = \"b\"\n  source \"file.f\" {\n    name   = \"g\"\n    target = \"${upper(\"o\")}.txt\"\n  }\n  sources = [\"source.file.f\"]\n  provisioner \"shell\" {\n    only     = [\"file.g\"]\n    name     = \"first\"\n    timeout  = \"5m\"\n    inline   = [\"echo ${source.name} ${build.name} ${build.ID}\"]\n    override = {\n      g = { inline = [\"echo over ${source.type}\"] }\n    }\n  }\n  dynamic \"provisioner\" {\n    for_each = { a = 1, b = 2 }\n    labels   = [\"shell\"]\n    content {\n      inline = [\"echo ${provisioner.key}\"]\n    }\n  }\n  post-processors {\n    post-processor \"manifest\" {}\n    post-processor \"checksum\" {\n      except = [\"file.f\"]\n    }\n  }\n}\n";
    let (plan, found) = of(text).plan();
    assert!(!found.has_errors(), "{found:?}");
    let names: Vec<&str> = plan.builds.iter().map(|b| b.name.as_str()).collect();
    assert_eq!(names, ["b.file.f", "b.file.g"]);
    let (f, g) = (&plan.builds[0], &plan.builds[1]);
    assert_eq!(g.short_name, "g");
    let json = |config: &Arc<dyn crate::plan::ConfigSource>, data: Option<&BuildData>| {
        config.resolve(data, &[]).0.expose_json()
    };
    assert_eq!(json(&g.config, None), serde_json::json!({"content": "x", "target": "O.txt"}));
    assert_eq!((f.provisioners.len(), g.provisioners.len()), (2, 3));
    assert_eq!(g.provisioners[0].name, "first");
    assert_eq!(g.provisioners[0].timeout, Some(std::time::Duration::from_secs(300)));
    assert_eq!(json(&g.provisioners[0].config, None), serde_json::json!({"inline": ["echo over file"]}));
    assert_eq!(json(&f.provisioners[1].config, None), serde_json::json!({"inline": ["echo b"]}));
    assert_eq!((f.post_processors[0].len(), g.post_processors[0].len()), (1, 2));
}

#[test]
fn what_the_build_knows_comes_when_it_runs() {
    let text = format!(
        "{}  provisioner \"shell\" {{\n    inline = [\"echo ${{build.ID}} {{{{build `ID`}}}} ${{build.name}}\"]\n    execute_command = \"{{{{.Vars}}}} {{{{.Path}}}}\"\n  }}\n}}\n",
        NULL.trim_end_matches("}\n")
    );
    let (plan, found) = of(&text).plan();
    assert!(!found.has_errors(), "{found:?}");
    let config = &plan.builds[0].provisioners[0].config;
    let deferred = ["execute_command".to_owned()];
    let (before, _) = config.resolve(None, &deferred);
    assert!(matches!(before.get("inline").expect("given").items()[0].value, Value::Unknown));
    let data = BuildData::from_iter([("ID".to_owned(), Text::plain("vm-1"))]);
    let (after, found) = config.resolve(Some(&data), &deferred);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(
        after.expose_json(),
        serde_json::json!({"inline": ["echo vm-1 vm-1 "], "execute_command": "{{.Vars}} {{.Path}}"})
    );
    assert_eq!(config.build_keys().len(), 1);
}

#[test]
fn the_json_form_means_the_same() {
    let json = r#"{
      "variable": {"v": {"type": "string", "default": "d"}},
      "locals": {"l": "${upper(var.v)}"},
      "source": {"null": {"n": {"communicator": "none"}}, "file": [{"a": {"target": "a"}}]},
      "build": {"sources": ["null.n"], "provisioner": [{"shell": {"inline": ["echo ${local.l}"]}}]}
    }"#;
    let case = Case { files: vec![("t.pkr.json", json)], ..Case::default() };
    let (plan, found) = case.plan();
    assert!(!found.has_errors(), "{found:?}");
    let (config, _) = plan.builds[0].provisioners[0].config.resolve(None, &[]);
    assert_eq!(config.expose_json(), serde_json::json!({"inline": ["echo D"]}));
}

#[test]
fn the_json_form_has_dynamic_blocks() {
    let json = r#"{
      "source": {"null": {"n": {"communicator": "none", "dynamic": {"tag": {
        "for_each": {"a": "1", "b": "2"}, "content": {"name": "${tag.key}", "value": "${tag.value}"}}}}}},
      "build": {"sources": ["null.n"], "dynamic": [{"provisioner": {
        "for_each": ["x", "y"], "iterator": "each", "labels": ["file"],
        "content": {"source": "${each.value}", "destination": "/tmp/"}}}]}
    }"#;
    let case = Case { files: vec![("t.pkr.json", json)], ..Case::default() };
    let (plan, found) = case.plan();
    assert!(!found.has_errors(), "{found:?}");
    let resolved: Vec<_> = plan.builds[0].configs().map(|c| c.resolve(None, &[]).0.expose_json()).collect();
    let file = |source: &str| serde_json::json!({"source": source, "destination": "/tmp/"});
    assert_eq!(resolved[1..], [file("x"), file("y")]);
    let tag = |name: &str, value: &str| serde_json::json!({"name": name, "value": value});
    assert_eq!(resolved[0]["tag"], serde_json::json!([tag("a", "1"), tag("b", "2")]));
}

#[test]
fn a_finding_about_a_value_that_came_by_a_name_shows_both_places() {
    let text = "variable \"retries\" {\n  default = \"many\"\n}\nlocals {\n  tries = var.retries\n}\n\
                source \"null\" \"n\" {}\nbuild {\n  sources = [\"null.n\"]\n  provisioner \"shell\" {\n    \
                inline = [\"x\"]\n    max_retries = local.tries\n  }\n}\n";
    let related = |case: &Case<'_>| {
        let found = case.plan().1;
        let finding =
            found.iter().find(|d| d.code == "template/wrong-type" && !d.is_echo).expect("a finding");
        let places = finding.related.iter();
        places.map(|(span, label)| (span.start().line, label.clone())).collect::<Vec<_>>()
    };
    let local = (5, "local.tries is defined here".to_owned());
    assert_eq!(related(&of(text)), [local.clone(), (2, "var.retries is given here".to_owned())]);
    let mut case = of(text);
    case.vars = vec![("retries", "more")];
    assert_eq!(related(&case), [local.clone(), (1, "var.retries is given here".to_owned())]);
    // The line of a sensitive value is not shown for its sake.
    let hidden = text.replacen("{\n", "{\n  sensitive = true\n", 1);
    assert_eq!(related(&of(&hidden)), [(6, local.1), (1, "var.retries is declared here".to_owned())]);
}

#[test]
fn mistakes_are_told_at_their_line() {
    for (text, line, code) in [
        ("foo = 1\n", 1, "template/unknown-argument"),
        ("sauce \"a\" \"b\" {}\n", 1, "template/unknown-block"),
        ("variable \"v\" {\n  defualt = 1\n}\n", 2, "template/unknown-argument"),
        ("variable \"v\" {}\nvariable \"v\" {}\n", 2, "template/duplicate-variable"),
        ("variable \"v\" {\n  type = strin\n}\n", 2, "hcl/type"),
        ("variable \"v\" {\n  type = number\n  default = \"x\"\n}\n", 3, "variables/default"),
        ("variable \"v\" {\n  default = var.w\n}\n", 2, "hcl/variables-not-allowed"),
        ("variable \"v\" {}\n", 1, "variables/unset"),
        ("locals {\n  a = 1\n}\nlocal \"a\" {\n  expression = 2\n}\n", 4, "template/duplicate-local"),
        ("locals {\n  a = local.nosuch\n}\n", 2, "hcl/unknown-attribute"),
        ("packer {\n  required_version = \">= 99\"\n}\n", 2, "template/required-version"),
        ("packer {\n  required_plugins {\n    a = \"1\"\n  }\n}\n", 3, "template/required-plugin"),
        ("data \"nosuch\" \"d\" {}\n", 1, "template/unknown-data"),
        ("build {}\n", 1, "template/no-source"),
        ("build {\n  sources = [\"n\"]\n}\n", 2, "template/source-reference"),
        ("build {\n  sources = [\"a.b\"]\n}\n", 2, "template/unknown-source"),
        ("build {\n  name = 1\n  provisioner \"a\" \"b\" {}\n}\n", 3, "template/extra-label"),
        ("build {\n  provisioner \"a\" {\n    pause_before = \"soon\"\n  }\n}\n", 3, "template/duration"),
        ("build {\n  provisioner \"a\" {\n    max_retries = \"many\"\n  }\n}\n", 3, "template/wrong-type"),
        (
            "build {\n  provisioner \"a\" {\n    only = [\"x\"]\n    except = [\"y\"]\n  }\n}\n",
            2,
            "template/only-and-except",
        ),
        (
            "variable \"v\" {\n  default = \"ab\"\n  validation {\n    condition = length(var.v) > 5\n    error_message = \"Too short.\"\n  }\n}\n",
            2,
            "variables/validation",
        ),
        (
            "variable \"v\" {\n  default = 1\n  validation {\n    condition = true\n    error_message = \"Never.\"\n  }\n}\n",
            4,
            "template/validation-reference",
        ),
    ] {
        let case = of(text);
        let (_, mut found) = case.plan();
        found.extend(case.settle().2);
        let found = codes(&found);
        assert!(found.contains(&(line, code.to_owned())), "{text:?}: no {code} at {line} in {found:?}");
    }
}

#[test]
fn a_sensitive_value_of_the_wrong_type_is_not_shown() {
    let mut case = of("variable \"v\" {\n  type = list(number)\n  sensitive = true\n}\n");
    case.vars = vec![("v", "[\"hidden-value\"]")];
    let (_, _, found) = case.settle();
    assert!(found.has_errors());
    assert!(
        found.iter().all(|d| !format!("{} {}", d.summary, d.detail).contains("hidden-value")),
        "{found:?}"
    );
}

#[test]
fn patterns_choose_builds() {
    let mut case = of(NULL);
    case.only = vec!["null.*"];
    assert_eq!(case.plan().0.builds.len(), 1);
    case.only = vec!["other.*"];
    let (plan, found) = case.plan();
    assert!(plan.builds.is_empty() && codes(&found).contains(&(0, "template/nothing-to-build".to_owned())));
    case.only = vec!["null.[n"];
    assert!(codes(&case.plan().1).contains(&(0, "template/pattern".to_owned())));
}
