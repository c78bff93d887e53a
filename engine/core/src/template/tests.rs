//! Messages for the most common mistakes, word for word, and what a plan makes of a template.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::builder::BuildData;
use crate::diagnostic::Diagnostic;
use crate::plan::Plan;
use crate::value::{Part, Text, Value};

fn options() -> PlanOptions {
    PlanOptions {
        vars: Vec::new(),
        var_files: Vec::new(),
        only: Vec::new(),
        except: Vec::new(),
        env: Arc::new(|name| (name == "HOME").then(|| "/root".to_owned())),
        template_dir: Path::new("/t").to_owned(),
        working_dir: Path::new("/w").to_owned(),
        start_time: "2024-03-07T09:05:03Z".parse().expect("a time"),
    }
}

fn planned(text: &str, options: &PlanOptions) -> (Option<Plan>, Diagnostics) {
    let (template, mut found) = parse(&SourceFile::new("t.json", text));
    let Some(template) = template else { return (None, found) };
    let (plan, more) = plan(&template, options);
    found.extend(more);
    (Some(plan), found.sorted())
}

/// Findings in short: place, code, summary, help.
fn told(text: &str, options: &PlanOptions) -> Vec<String> {
    let (plan, mut found) = planned(text, options);
    for build in plan.iter().flat_map(|p| &p.builds) {
        build.configs().for_each(|c| found.extend(c.resolve(None, &[]).1));
        found.extend(build.check_build_keys(&[]));
    }
    let short = |d: &Diagnostic| {
        let at = d.span.as_ref().map(Span::start).map_or((0, 0), |p| (p.line, p.column));
        format!("{}:{} {} {} | {}", at.0, at.1, d.code, d.summary, d.help.as_deref().unwrap_or_default())
    };
    found.sorted().iter().map(short).collect()
}

#[test]
fn a_broken_variable_is_told_once() {
    let text = r#"{"variables": {"a": null, "b": "{{user `nope`}}", "c": "{{user `b`}}"},
        "builders": [{"type": "null", "name": "{{user `c`}}", "x": ["{{user `a`}}", "{{index (split (user `c`) `,`) 5}}", "z"]}]}"#;
    let (plan, found) = planned(text, &options());
    let codes: Vec<&str> = found.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["template/required-variable", "template/unknown-variable"]);
    let build = &plan.expect("a plan").builds[0];
    assert_eq!(build.name, "{{user `c`}}", "it is still there to be checked");
    let (config, found) = build.config.resolve(None, &[]);
    assert!(found.is_empty(), "{found:?}");
    let x = config.get("x").expect("it is there");
    let Value::Array(items) = &x.value else { panic!("{x:?}") };
    assert!(items[..2].iter().all(|item| item.value == Value::Unknown), "{items:?}");
    assert_eq!(items[2].as_text().map(Text::expose).as_deref(), Some("z"));
    assert_eq!(build.config.not_known().len(), 2);
}

#[test]
fn a_finding_reads_like_this() {
    let text = "{\n  \"builders\": [{\"type\": \"null\"}],\n  \"provisioner\": []\n}";
    let (_, found) = planned(text, &options());
    let shown: Vec<String> = found.iter().map(Diagnostic::render).collect();
    assert_eq!(
        shown,
        ["Error: unknown root level key \"provisioner\" [template/unknown-key]\n \
         --> t.json:3:3\n  |\n\
         3 |   \"provisioner\": []\n  |   ^^^^^^^^^^^^^\n  \
         help: did you mean \"provisioners\"?\n"]
    );
    let text = "{\n  \"builders\": [{\"type\": \"null\", \"a\": \"\\u00e4 {{uppr `x`}} z\"}]\n}";
    let (plan, _) = planned(text, &options());
    let (_, found) = plan.expect("a plan").builds[0].config.resolve(None, &[]);
    let shown: Vec<String> = found.iter().map(Diagnostic::render).collect();
    assert_eq!(
        shown,
        ["Error: this text can't be rendered: function \"uppr\" not defined; did you mean upper? \
         [template/interpolation]\n \
         --> t.json:2:46\n  |\n\
         2 |   \"builders\": [{\"type\": \"null\", \"a\": \"\\u00e4 {{uppr `x`}} z\"}]\n  \
         |                                              ^^^^^^^^^^^^\n"]
    );
}

#[test]
fn mistakes_of_form_are_told_with_a_way_out() {
    let mut wrong = Vec::new();
    let n = r#""builders":[{"type":"null"}]"#;
    for (text, expected) in [
        (
            "[]".to_owned(),
            "1:1 template/not-an-object a template is an object with \"builders\" and more | write {\"builders\": [...]}",
        ),
        (
            "{}".into(),
            "1:1 template/no-builders at least one builder must be defined | add \"builders\": [{\"type\": \"azure-arm\", ...}]",
        ),
        (
            format!("{{{n},\"_c\":1}}"),
            "1:36 template/comment a root level key that begins with an underscore is a comment: its value must be a string | put the value in quotes",
        ),
        (
            format!("{{{n},\"provisioners\":5}}"),
            "1:46 template/wrong-type \"provisioners\" must be a list | write [...]",
        ),
        (
            format!("{{{n},\"provisioners\":[{{}}]}}"),
            "1:47 template/missing-type this provisioner has no \"type\" | say which one it is, for instance \"type\": \"shell\"",
        ),
        (
            format!("{{{n},\"provisioners\":[{{\"type\":\"s\",\"timeout\":\"5\"}}]}}"),
            "1:69 template/duration \"timeout\" can't be read | a number and a unit, such as \"30s\", \"5m\" or \"1h30m\"",
        ),
        (
            format!("{{{n},\"provisioners\":[{{\"type\":\"s\",\"only\":[\"nul\"]}}]}}"),
            "1:67 template/unknown-build \"only\" names \"nul\", which is no build | did you mean \"null\"?",
        ),
        (
            format!("{{{n},\"provisioners\":[{{\"type\":\"s\",\"only\":\"null\",\"except\":\"null\"}}]}}"),
            "1:66 template/only-and-except only one of \"only\" and \"except\" may be given | remove one of the two",
        ),
        (
            format!("{{{n},\"provisioners\":[{{\"type\":\"s\",\"override\":{{\"web\":{{}}}}}}]}}"),
            "1:71 template/unknown-build \"override\" names \"web\", which is no build | the only build is null",
        ),
        (
            format!("{{{n},\"provisioners\":[{{\"type\":\"s\",\"max_retries\":\"many\"}}]}}"),
            "1:73 template/max-retries \"max_retries\" must be a whole number, 0 or more | write for instance \"max_retries\": 3",
        ),
        (
            format!("{{{n},\"post-processors\":[[\"a\",[\"b\"]]]}}"),
            "1:55 template/nested-sequence a sequence of post-processors can't contain another sequence | write its steps into the outer sequence",
        ),
        (
            format!("{{{n},\"variables\":{{\"a\":{{}}}}}}"),
            "1:48 template/variable-type the variable \"a\" must be a string | write a string, or null if the user has to give it",
        ),
        (
            format!("{{{n},\"min_packer_version\":\"2.0.0\"}}"),
            "1:52 template/min-version this template requires Packer version 2.0.0 or higher | lower min_packer_version if the template needs nothing newer",
        ),
        (
            "{\"builder\":[{\"type\":\"null\"}]}".into(),
            "1:2 template/unknown-key unknown root level key \"builder\" | did you mean \"builders\"?",
        ),
        (
            "{\"builders\":[{\"name\":\"web\"}]}".into(),
            "1:14 template/missing-type this builder has no \"type\" | say which one it is, for instance \"type\": \"azure-arm\"",
        ),
        (
            "{\"builders\":[{\"type\":\"null\"},{\"type\":\"null\"}]}".into(),
            "1:38 template/duplicate-builder two builders have the name \"null\" | give one of them another \"name\"",
        ),
    ] {
        let found = told(&text, &options());
        if found != [expected] {
            wrong.push((text, found, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn mistakes_with_variables_are_told_with_a_way_out() {
    let mut wrong = Vec::new();
    let with = |variables: &str, more: &str| {
        format!("{{\"variables\":{variables},\"builders\":[{{\"type\":\"null\",\"x\":\"{more}\"}}]}}")
    };
    for (text, expected) in [
        (
            with("{\"a\":null}", ""),
            "1:15 template/required-variable the variable \"a\" has no value | give it with -var 'a=...' or in a -var-file",
        ),
        (
            with("{\"a\":\"x {{user `b`}}\"}", ""),
            "1:22 template/unknown-variable the variable \"a\" refers to \"b\", which does not exist | declare it in \"variables\"",
        ),
        (
            with("{\"a\":\"{{user `b`}}\",\"b\":\"{{user `a`}}\",\"c\":\"{{user `a`}}\"}", ""),
            "1:19 template/variable-cycle the variable \"a\" refers to itself | give one of them a value of its own",
        ),
        (
            with("{\"region\":\"x\"}", "{{user `regoin`}}"),
            "1:69 template/unknown-variable there is no variable \"regoin\"; an empty text stands in its place | did you mean \"region\"?",
        ),
        (
            with("{\"a\":\"{{env `HOME`}}\"}", "{{env `HOME`}}"),
            "1:69 template/interpolation this text can't be rendered: env: env vars are not allowed here; read the variable in \"variables\" and use {{user}} | ",
        ),
        (
            with("{\"a\":\"{{vault `k` `v`}}\"}", ""),
            "1:20 template/interpolation the variable \"a\" can't be rendered: vault: Fornax has no client for this service; put the value into an environment variable or a variable file | ",
        ),
        (
            with("{}", "{{build `Hots`}}"),
            "1:49 template/unknown-build-key no build has the fact \"Hots\" | did you mean \"Host\"?",
        ),
        (
            with("{}", "{{if}}"),
            "1:49 template/interpolation this text can't be rendered: missing value for if | if {{ is meant as it stands, write {{`{{`}}",
        ),
    ] {
        let found = told(&text, &options());
        if found != [expected] {
            wrong.push((text, found, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut given = options();
    given.vars = vec![("a".into(), "x{{user `c`}}".into())];
    assert_eq!(
        told(&with("{}", ""), &given),
        [
            "1:4 template/unknown-variable the variable \"a\" refers to \"c\", which does not exist | declare it in \"variables\""
        ]
    );
    given.vars.clear();
    given.var_files = vec![SourceFile::new("v.json", "{\n \"a\": {},\n \"b\": 1,}")];
    let found = told(&with("{}", ""), &given);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("2:7 template/variable-type") && found[1].starts_with("3:8 json/syntax"),
        "{found:?}"
    );
}

#[test]
fn selections_that_name_nothing_are_told() {
    let text = "{\"builders\":[{\"type\":\"null\",\"name\":\"web\"}]}";
    let mut given = options();
    given.only = vec!["wbe".into()];
    assert_eq!(
        told(text, &given),
        [
            "0:0 template/only-unknown -only names \"wbe\", which is no build | did you mean \"web\"?",
            "0:0 template/nothing-to-build no builds to run | the only build is web"
        ]
    );
}

#[test]
fn values_come_from_the_command_line_before_files_before_defaults() {
    let text = r#"{"variables": {"a": "1", "b": "1", "c": "1", "d": true, "e": 2.0, "f": ["x", "y"]}, "builders": [{"type": "null"}]}"#;
    let mut given = options();
    given.var_files = vec![
        SourceFile::new("1.json", r#"{"b": "2", "c": "2", "more": null}"#),
        SourceFile::new("2.json", r#"{"b": 3}"#),
    ];
    given.vars = vec![("c".into(), "4".into()), ("new".into(), "{{user `c`}}!".into())];
    let (plan, found) = planned(text, &given);
    assert!(found.is_empty(), "{found:?}");
    let variables: Vec<String> = plan
        .expect("a plan")
        .variables
        .iter()
        .map(|(name, value)| format!("{name}={}", value.expose()))
        .collect();
    assert_eq!(variables, ["a=1", "b=3", "c=4", "d=1", "e=2", "f=x,y", "more=", "new=4!"]);
}

#[test]
fn secrets_stay_secret_wherever_they_go() {
    let text = r#"{
        "variables": {"pw": "hunter22", "url": "u:{{user `pw`}}@h", "short": "abc"},
        "sensitive-variables": ["pw", "short", "wp"],
        "builders": [{"type": "null", "url": "{{user `url`}}", "up": "{{upper (user `pw`)}}!", "tags": {"{{user `pw`}}": "v"}}]
    }"#;
    let (plan, found) = planned(text, &options());
    let codes: Vec<&str> = found.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["template/short-secret", "template/unknown-sensitive"]);
    let plan = plan.expect("a plan");
    let (config, found) = plan.builds[0].config.resolve(None, &[]);
    let parts =
        |key: &str| config.get(key).and_then(Node::as_text).map(|t| t.parts().to_vec()).unwrap_or_default();
    let secret = |s: &str| Part::Secret(crate::Secret::new(s));
    assert_eq!(parts("url"), [Part::Plain("u:".into()), secret("hunter22"), Part::Plain("@h".into())]);
    assert_eq!(parts("up"), [secret("HUNTER22"), Part::Plain("!".into())]);
    assert_eq!(found.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["template/secret-key"]);
    let known: Vec<&str> = plan.secrets.iter().map(crate::Secret::expose).collect();
    for value in ["hunter22", "HUNTER22", "abc"] {
        assert!(known.contains(&value), "{value} would not be masked");
    }
    // A value that can't be rendered is shown with its finding.
    let mut given = options();
    given.vars = vec![("pw".into(), "hunter22{{".into())];
    let (plan, found) = planned(text, &given);
    assert!(found.has_errors());
    assert!(plan.expect("a plan").secrets.iter().any(|s| s.expose() == "hunter22{{"));
}

#[test]
fn facts_of_the_build_are_unknown_until_it_runs() {
    let text = r#"{"builders": [{"type": "null", "name": "web", "a": "x {{build `Host`}}", "b": "{{build_name}} {{build_type}} {{pwd}} {{template_dir}} {{timestamp}} {{isotime}}",
        "execute_command": "{{.Vars}} {{build `User`}}"}]}"#;
    let (plan, _) = planned(text, &options());
    let config = plan.expect("a plan").builds[0].config.clone();
    let deferred = ["execute_command".to_owned()];
    let (node, found) = config.resolve(None, &deferred);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(node.get("a").map(|n| &n.value), Some(&Value::Unknown));
    let text = |node: &Node, key: &str| {
        node.get(key).and_then(Node::as_text).map(|t| t.expose()).unwrap_or_default()
    };
    assert_eq!(text(&node, "b"), "web null /w /t 1709802303 2024-03-07T09:05:03Z");
    let data: BuildData =
        [("Host".to_owned(), Text::plain("h")), ("User".to_owned(), Text::plain("u"))].into();
    let (node, found) = config.resolve(Some(&data), &deferred);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(text(&node, "a"), "x h");
    let values: IndexMap<String, Text> =
        [("Vars".to_owned(), Text::secret(crate::Secret::new("A='b'")))].into();
    let rendered = config.renderer(&data).render(&Text::plain(text(&node, "execute_command")), &values);
    let rendered = rendered.expect("it can be rendered");
    assert_eq!((rendered.expose().as_str(), rendered.masked().as_str()), ("A='b' u", "<sensitive> u"));
}

#[test]
fn overrides_and_selections_are_by_raw_name() {
    let text = r#"{"variables": {"v": "blue"},
        "builders": [{"type": "null", "name": "{{user `v`}}"}, {"type": "null", "name": "red"}],
        "provisioners": [{"type": "shell", "Inline": "a", "override": {"{{user `v`}}": {"inline": "b"}}, "max_retries": "{{user `n`}}"},
                         {"type": "file", "only": ["red"]}],
        "error-cleanup-provisioner": {"type": "shell", "except": ["red"]},
        "post-processors": ["a", [{"type": "b", "name": "second", "keep_input_artifact": "true"}, "c"]]}"#;
    let mut given = options();
    given.vars = vec![("n".into(), "2".into())];
    given.except = vec!["c".into()];
    let (plan, found) = planned(text, &given);
    assert!(found.is_empty(), "{found:?}");
    let plan = plan.expect("a plan");
    let shown: Vec<String> = plan
        .builds
        .iter()
        .map(|b| {
            let steps: Vec<String> = b
                .provisioners
                .iter()
                .map(|p| format!("{}{}", p.type_name, p.config.resolve(None, &[]).0.expose_json()))
                .collect();
            let sequences: Vec<Vec<(&str, Option<bool>)>> = b
                .post_processors
                .iter()
                .map(|s| s.iter().map(|p| (p.name.as_str(), p.keep_input_artifact)).collect())
                .collect();
            format!("{} {} {} {sequences:?}", b.display_name(), steps.join(" "), b.error_cleanup.is_some())
        })
        .collect();
    let sequences = r#"[[("a", None)], [("second", Some(true))]]"#;
    assert_eq!(
        shown,
        [
            format!(r#"null.blue shell{{"inline":"b"}} true {sequences}"#),
            format!(r#"null.red shell{{"Inline":"a"}} file{{}} false {sequences}"#)
        ]
    );
    assert_eq!(plan.builds[0].provisioners[0].max_retries, 2);
}

#[test]
fn what_inspect_shows_tells_no_secret() {
    let text = r#"{"description": "d", "variables": {"pw": "s3cret", "copy": "s3cret", "need": null, "x": "1"},
        "sensitive-variables": ["pw"], "builders": [{"type": "null", "name": "web"}]}"#;
    let (template, _) = parse(&SourceFile::new("t.json", text));
    let template = template.expect("a template");
    let shown = inspect(&template);
    let expected = "Packer Inspect: JSON mode\nDescription:\n\nd\n\nRequired variables:\n\n  need\n\n\
        Optional variables and their defaults:\n\n  copy = <sensitive>\n  pw   = <sensitive>\n  x    = 1\n\n\
        Builders:\n\n  web (null)\n\nProvisioners:\n\n  <No provisioners>\n\nNote:";
    assert!(shown.text().starts_with(expected), "{}", shown.text());
    let rows: Vec<String> =
        shown.machine_lines().iter().map(|(kind, data)| format!("{kind},{}", data.join(","))).collect();
    assert_eq!(
        rows,
        [
            "template-variable,need,,1",
            "template-variable,copy,<sensitive>,0",
            "template-variable,pw,<sensitive>,0",
            "template-variable,x,1,0",
            "template-builder,web,null"
        ]
    );
}

proptest! {
    #[test]
    fn no_template_makes_it_panic(
        text in r#"(\{"(builders|provisioners|post-processors|variables)": ?[\[\]{}"a-z,:0-9` ]{0,40}\}|[{}"\[\]a-z:, ]{0,40})"#,
        value in "[{}`\"|().$a-z0-9 =:,/*äx-]{0,40}",
    ) {
        drop(told(&text, &options()));
        let value = serde_json::Value::from(format!("{{{{{value}}}}}"));
        let template = format!("{{\"variables\": {{\"v\": {value}}}, \"builders\": [{{\"type\": \"null\", \"x\": {value}}}]}}");
        drop(told(&template, &options()));
    }

    #[test]
    fn actions_made_of_real_words_never_panic(words in proptest::collection::vec(
        prop::sample::select(vec!["{{", "}}", "{{-", "-}}", "if", "else", "end", "range", "with", "define", "block", "template",
            "break", "continue", "user", "`a`", "\"x\"", "printf", "\"%5.2f%q%d\"", "$x", ":=", "=", ",", "|", "(", ")", ".", ".A",
            "1", "-2.5", "0x1f", "'c'", "nil", "true", "index", "slice", "len", "replace", "split", "and", "or", "eq", "isotime",
            "\"Jan 2 _2 .000\"", "strftime", "\"%Y%\"", "uuid", "build", "text"]), 0..25)) {
        let value = serde_json::Value::from(words.join(" "));
        let template = format!("{{\"variables\": {{\"a\": {value}}}, \"builders\": [{{\"type\": \"null\", \"x\": {value}}}]}}");
        drop(told(&template, &options()));
    }
}
