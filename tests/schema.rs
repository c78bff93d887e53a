//! The schema that editors get: it is a valid one, takes what the engine takes, and refuses what it refuses by form. An
//! independent validator judges.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use fornax_tests::{Lab, cases, files_below, finish, workspace};
use serde_json::{Value, json};

/// A schema that was compiled, which only works if it follows the rules of its draft.
struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    fn new(lab: &Lab, args: &[&str]) -> Self {
        let printed = lab.run(&[&["schema"], args].concat()).expect_code(0).stdout;
        assert!(!printed.contains("\"x-"), "an annotation of our own is in the schema");
        let schema: Value = serde_json::from_str(&printed).expect("the schema is JSON");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.add_resource("schema.json", schema).expect("a document");
        let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|e| panic!("{e:#}"));
        Self { schemas, index }
    }

    /// Why a document is refused; empty if it is not.
    fn refusal(&self, document: &Value) -> String {
        self.schemas.validate(document, self.index).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[track_caller]
    fn takes(&self, document: &Value) {
        assert_eq!(self.refusal(document), "", "{document:#}");
    }

    #[track_caller]
    fn refuses(&self, document: &Value) {
        assert_ne!(self.refusal(document), "", "{document:#}");
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn with_step(step: Value) -> Value {
    json!({"builders": [{"type": "null", "communicator": "none"}], "provisioners": [step]})
}

fn azure(extra: Value) -> Value {
    let mut builder = json!({
        "type": "azure-arm", "os_type": "linux", "location": "westeurope", "image_publisher": "p", "image_offer": "o",
        "image_sku": "s", "managed_image_name": "i", "managed_image_resource_group_name": "g"
    });
    builder.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    json!({"builders": [builder]})
}

#[test]
fn examples_and_templates_of_the_repository_are_taken() {
    let lab = Lab::new();
    let judge = Judge::new(&lab, &[]);
    let mut count = 0;
    for file in files_below(&workspace().join("examples")) {
        let is_broken = file.components().any(|part| part.as_os_str() == "broken");
        if file.extension().is_some_and(|e| e == "json") && !is_broken {
            judge.takes(&read(&file));
            count += 1;
        }
    }
    assert!(count >= 2, "the examples are gone");
    // What types give as examples of themselves.
    let list: Value = serde_json::from_str(&lab.run(&["docs", "--json"]).stdout).expect("JSON");
    for listed in list["types"].as_array().expect("a list").iter().filter(|t| t["kind"] != "data-source") {
        let (kind, name) =
            (listed["kind"].as_str().expect("a kind"), listed["name"].as_str().expect("a name"));
        let told = lab.run(&["docs", "--json", "-kind", kind, name]).expect_code(0).stdout;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        for example in told["pages"][0]["examples"].as_array().expect("a list") {
            let block = example["json"].clone();
            judge.takes(&match kind {
                "builder" => json!({"builders": [block]}),
                "provisioner" => with_step(block),
                _ => json!({"builders": [{"type": "null", "communicator": "none"}], "post-processors": [block]}),
            });
        }
    }
}

#[test]
fn what_the_engine_converts_is_taken_and_what_it_refuses_is_not() {
    let lab = Lab::new();
    let judge = Judge::new(&lab, &[]);
    judge.takes(&azure(json!({
        "os_disk_size_gb": "64", "keep_os_disk": "{{user `keep`}}", "skip_create_image": "true", "ssh_port": "{{user `p`}}",
        "disk_additional_size": [32, "64"], "allowed_inbound_ip_addresses": "10.0.0.0/8", "disk_caching_type": "readonly",
        "polling_duration_timeout": "{{user `t`}}", "azure_tags": [{"a": 1}], "azure_tag": {"name": "a", "value": "b"},
        "ssh_timeout": "", "license_type": "", "plan_info": [{"plan_name": "a", "plan_product": "b", "plan_publisher": "c"}],
        "secure_boot_enabled": false, "shared_image_gallery": {"subscription": ""}, "winrm_port": 5986
    })));
    let mut whole = with_step(json!({
        "type": "shell", "inline": "echo", "valid_exit_codes": ["0", 2], "pause_before": "10s", "max_retries": "{{user `n`}}",
        "override": {"null": {"inline": ["echo other"]}}, "only": ["null"]
    }));
    for (key, value) in [
        ("_comment", json!("for people")),
        ("description", json!("a template")),
        ("variables", json!({"a": null, "b": 1, "c": ["x"]})),
        ("sensitive-variables", json!(["a"])),
        ("post-processors", json!(["manifest", {"type": "compress"}, ["manifest", {"type": "manifest"}]])),
        ("error-cleanup-provisioner", json!({"type": "shell-local", "command": "true"})),
    ] {
        whole[key] = value;
    }
    judge.takes(&whole);
    // A step may get what it needs by its overrides.
    judge.takes(&with_step(
        json!({"type": "file", "source": "a", "override": {"null": {"destination": "b"}}}),
    ));

    for broken in [
        json!({}),
        json!({"builders": []}),
        json!({"builder": [{"type": "null"}]}),
        json!({"builders": [{"type": "null"}], "provisoners": []}),
        json!({"builders": [{"type": "null"}], "_comment": {"no": "text"}}),
        json!({"builders": [{"name": "without type"}]}),
        json!({"builders": [{"type": "nul"}]}),
        json!({"builders": [{"type": "null", "_comment": "comments stand at the root"}]}),
        json!({"builders": [{"type": "null"}], "post-processors": ["manifesto"]}),
        json!({"builders": [{"type": "null"}], "post-processors": [[["manifest"]]]}),
        json!({"builders": [{"type": "null"}], "post-processors": [{"type": "manifest", "pause_before": "1s"}]}),
        json!({"builders": [{"type": "null"}], "variables": {"a": {}}}),
        azure(json!({"vm_sise": "x"})),
        azure(json!({"os_type": "BSD"})),
        azure(json!({"os_disk_size_gb": "big"})),
        azure(json!({"keep_os_disk": "perhaps"})),
        azure(json!({"polling_duration_timeout": "soon"})),
        azure(json!({"location": ["a"]})),
        azure(json!({"plan_info": {"plan_nam": "x"}})),
        azure(json!({"secure_boot_enabled": true})),
        azure(json!({"azure_tags": "{{user `tags`}}"})),
        with_step(json!({"type": "shell", "inlin": ["echo"]})),
        with_step(json!({"type": "shell", "inline": ["echo"], "max_retries": -1})),
        with_step(json!({"type": "shell", "inline": ["echo"], "pause_before": "{{user `p`}}"})),
        with_step(json!({"type": "shell", "inline": ["echo"], "only": ["a"], "except": ["b"]})),
        with_step(json!({"type": "shell", "inline": ["echo"], "continue_on_error": true})),
        with_step(json!({"type": "shell", "override": {"null": {"inlin": ["echo"]}}})),
        with_step(json!({"type": "file", "source": "a"})),
        with_step(json!({"type": "file", "source": "a", "destination": "b", "direction": "sideways"})),
        with_step(json!({"type": "sleep", "duration": "soon"})),
    ] {
        judge.refuses(&broken);
    }
}

/// Errors that hang on more than the form of a template: files, values of variables, rules between options.
const BEYOND_FORM: &[&str] = &[
    "azure/conflict",
    "azure/file",
    "azure/invalid-tag",
    "file/bad-source",
    "powershell/bad-script",
    "powershell/environment-variable",
    "powershell/inline-and-script",
    "powershell/no-script",
    "shell/bad-script",
    "shell/environment-variable",
    "shell/inline-and-script",
    "template/required-variable",
    "template/unknown-variable",
    "template/variable-cycle",
];

/// Errors of form, by the end of their codes: an editor has to show them.
const OF_FORM: &[&str] = &[
    "/unknown-option",
    "/unknown-key",
    "/unknown-value",
    "/unknown-cloud",
    "/unknown-builder",
    "/unknown-provisioner",
    "/unknown-post-processor",
    "communicator/unknown",
    "/wrong-type",
    "/duration",
];

/// Codes of the errors that the engine has for a template, in the folder of its files.
fn errors(lab: &Lab, folder: &Path, template: &Path, given: &Value) -> Vec<String> {
    let mut args = vec!["validate".to_owned(), "--json".to_owned()];
    for (name, value) in given["var_given"].as_object().into_iter().flatten() {
        args.extend(["-var".to_owned(), format!("{name}={}", value.as_str().unwrap_or_default())]);
    }
    args.push(template.display().to_string());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = lab.command(&args);
    for (name, value) in given["env_given"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap_or_default());
    }
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command.spawn().expect("the binary starts"));
    let findings =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["code"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Templates with names, and what to run them with.
fn corpus(lab: &Lab) -> Vec<(String, PathBuf, PathBuf, Value)> {
    let root = workspace().join("../shared/corpus");
    let mut out = Vec::new();
    for unit in cases("../oracle/modern.jsonl").iter().filter(|unit| unit["kind"] == "json") {
        let name = unit["template"].as_str().expect("a path");
        let path = root.join("templates").join(name);
        let folder = path.parent().expect("a folder").to_owned();
        let given = ["validate_filled", "validate"].iter().map(|key| &unit[*key]).find(|v| v.is_object());
        out.push((name.to_owned(), folder, path, given.cloned().unwrap_or_default()));
    }
    let mut write = |case: &Value, template: &Value| {
        let name = case["id"].as_str().expect("an id").to_owned();
        let path = lab
            .write(&format!("{name}.json"), &template.to_string().replace("<existing file>", "existing.txt"));
        out.push((name, lab.path().to_owned(), path, Value::Null));
    };
    for table in ["azure_config.jsonl", "modern_azure.jsonl"] {
        for case in cases(table).iter().filter(|case| case["builder"].is_object()) {
            write(case, &json!({"builders": [case["builder"]]}));
        }
    }
    for (table, kind) in [
        ("shell_config.jsonl", "shell"),
        ("file_provisioner.jsonl", "file"),
        ("windows_provisioners.jsonl", ""),
    ] {
        for case in cases(table).iter().filter(|case| case["config"].is_object()) {
            let mut step = case["config"].clone();
            step["type"] = case.get("provisioner").cloned().unwrap_or_else(|| kind.into());
            write(case, &with_step(step));
        }
    }
    out
}

#[test]
fn templates_of_the_corpus_are_judged_as_the_engine_does() {
    let lab = Lab::new();
    lab.write("existing.txt", "x");
    let judge = Judge::new(&lab, &[]);
    let (mut taken, mut refused, mut wrong) = (0, 0, BTreeMap::new());
    let all = corpus(&lab);
    for (name, folder, path, given) in &all {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Ok(template) = serde_json::from_str::<Value>(&text) else { continue };
        let errors = errors(&lab, folder, path, given);
        let refusal = judge.refusal(&template);
        if errors.iter().any(|code| OF_FORM.iter().any(|end| code.ends_with(end))) {
            refused += 1;
            if refusal.is_empty() {
                wrong.insert(name, format!("it is taken, and the engine finds {errors:?}"));
            }
        } else if errors.iter().all(|code| BEYOND_FORM.contains(&code.as_str())) {
            taken += 1;
            if !refusal.is_empty() {
                wrong.insert(name, format!("{refusal}, and the engine finds {errors:?}"));
            }
        }
    }
    let wrong: Vec<String> = wrong.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all.is_empty() || (taken > 100 && refused > 25), "only {taken} are taken and {refused} refused");
}

#[test]
fn hcl2_in_its_json_form_has_a_schema_too() {
    let lab = Lab::new();
    let judge = Judge::new(&lab, &["-hcl-json"]);
    let template = json!({
        "//": "a comment",
        "packer": {"required_version": ">= 1.7.0"},
        "variable": {"steps": {"type": "number", "default": 2}, "secret": [{"type": "string", "sensitive": true, "default": "x"}]},
        "locals": {"greeting": "hello ${var.steps}"},
        "data": {"null": {"in": {"input": "${local.greeting}"}}},
        "source": {
            "null": {"here": {"communicator": "none"}},
            "file": {"out": [{"target": "out.txt", "content": "${data.null.in.output}"}]}
        },
        "build": [{
            "name": "both",
            "sources": ["source.null.here"],
            "source": {"source.file.out": {"name": "second"}},
            "provisioner": [
                {"shell-local": {"inline": ["echo ${local.greeting}"], "max_retries": "${var.steps}", "continue_on_error": true}},
                {"sleep": [{"duration": "1ms"}, {"duration": "2ms"}]}
            ],
            "post-processor": {"manifest": {"output": "m.json", "custom_data": {"a": "b"}}},
            "post-processors": [{"post-processor": [{"compress": {}}, {"checksum": {"checksum_types": ["md5"]}}]}]
        }]
    });
    lab.write("t.pkr.json", &template.to_string());
    lab.run(&["validate", "t.pkr.json"]).expect_code(0);
    judge.takes(&template);
    for (pointer, value) in [
        ("/source/null/here", json!({"comunicator": "none"})),
        ("/source", json!({"nul": {"here": {}}})),
        ("/build/0/provisioner/0", json!({"shell-local": {"inlin": []}})),
        ("/build/0/provisioner/0", json!({"shell-local": {"inline": "not a list"}})),
        ("/build/0/provisioner/1", json!({"sleep": {"duration": "soon"}})),
        ("/build/0/post-processor", json!({"manifesto": {}})),
        ("/build/0", json!({"source": [], "provisoner": {}})),
        ("/variable/steps", json!({"typ": "number"})),
        ("/data/null/in", json!({"inputs": "x"})),
        ("/packer", Value::Null),
    ] {
        let mut broken = template.clone();
        match broken.pointer_mut(pointer) {
            Some(_) if value.is_null() => broken["packr"] = json!({}),
            Some(place) => *place = value,
            None => panic!("nothing is at {pointer}"),
        }
        lab.write("b.pkr.json", &broken.to_string());
        lab.run(&["validate", "b.pkr.json"]).expect_code(1);
        judge.refuses(&broken);
    }
}
