//! What the engine says of its types: pages for people and for programs.

use fornax_tests::{Lab, workspace};
use serde_json::Value;

#[test]
fn types_are_listed_and_shown() {
    let lab = Lab::new();
    let list = lab.run(&["docs"]).expect_code(0);
    for kind in ["provisioners\n", "post-processors\n"] {
        assert!(list.stdout.contains(kind), "{}", list.stdout);
    }
    assert!(list.stdout.lines().any(|l| l.starts_with("  shell ") && l.contains("Runs shell scripts")));

    let page = lab.run(&["docs", "shell"]).expect_code(0).stdout;
    for part in [
        "provisioner shell\n",
        "inline_shebang (string)\n",
        "Default: \"/bin/sh -e\"",
        "pause_before (duration)",
        "provisioner \"shell\" {\n",
        "\"type\": \"shell\"",
    ] {
        assert!(page.contains(part), "{part:?} is missing in\n{page}");
    }
    let long: Vec<&str> =
        page.lines().filter(|l| l.chars().count() > 100 && l.trim().contains(' ')).collect();
    assert!(long.iter().all(|l| l.contains("\": \"") || l.contains(" = ")), "too long:\n{}", long.join("\n"));
}

#[test]
fn a_name_of_two_kinds_has_two_pages() {
    let lab = Lab::new();
    let both = lab.run(&["docs", "shell-local"]).expect_code(0).stdout;
    assert!(both.starts_with("provisioner shell-local\n"), "{both}");
    assert!(both.contains("\npost-processor shell-local\n"), "{both}");
    let one = lab.run(&["docs", "-kind=post-processor", "shell-local"]).expect_code(0).stdout;
    assert!(one.starts_with("post-processor shell-local\n") && !one.contains("max_retries"), "{one}");
    assert!(one.contains("needs host-exec:*: granted"), "{one}");
    let denied =
        lab.run(&["docs", "--deny", "host-exec", "-kind", "provisioner", "shell-local"]).expect_code(0);
    assert!(denied.stdout.contains("needs host-exec:*: denied"), "{}", denied.stdout);
}

#[test]
fn unknown_types_fail_with_the_nearest_name() {
    let lab = Lab::new();
    lab.run(&["docs", "shel"]).expect_code(1).expect_says("did you mean \"shell\"?");
    lab.run(&["docs", "-kind", "builder", "shell"])
        .expect_code(1)
        .expect_says("there is no builder \"shell\"");
}

#[test]
fn programs_get_one_object() {
    let lab = Lab::new();
    let list: Value =
        serde_json::from_str(&lab.run(&["docs", "--json"]).expect_code(0).stdout).expect("JSON");
    let types = list["types"].as_array().expect("a list");
    assert!(types.iter().any(|t| t["kind"] == "post-processor" && t["name"] == "manifest"));
    // Every type that is listed has a page with what each page needs.
    for listed in types {
        let (kind, name) =
            (listed["kind"].as_str().expect("a kind"), listed["name"].as_str().expect("a name"));
        let ran = lab.run(&["docs", "--json", "-kind", kind, name]).expect_code(0);
        let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let pages = told["pages"].as_array().expect("a list");
        assert_eq!(pages.len(), 1, "{kind} {name}");
        let page = &pages[0];
        assert!(!page["summary"].as_str().unwrap_or_default().is_empty(), "{kind} {name}");
        assert!(!page["examples"].as_array().expect("a list").is_empty(), "{kind} {name} has no example");
        for option in page["options"].as_array().expect("a list") {
            let described =
                ["type", "description"].iter().all(|key| option[key].as_str().is_some_and(|t| !t.is_empty()));
            assert!(described, "{kind} {name}: {option}");
        }
    }
}

#[test]
fn plugins_of_a_folder_count() {
    let lab = Lab::new();
    let dir = lab.path().join("plugins").display().to_string();
    let script = workspace().join("examples/plugins/build.sh");
    let status = std::process::Command::new("sh").arg(script).arg(&dir).env("CARGO", env!("CARGO")).status();
    assert!(status.expect("sh starts").success(), "the example plugins do not build");
    let page = lab.run(&["docs", "--plugin-dir", &dir, "greedy"]).expect_code(0).stdout;
    assert!(page.contains("From: acme/greedy") && page.contains("secrets-reveal: denied"), "{page}");
    let granted = ["docs", "--plugin-dir", &dir, "--grant", "acme/greedy=secrets-reveal", "greedy"];
    lab.run(&granted).expect_code(0).expect_says("secrets-reveal: granted");
    lab.run(&["docs", "greedy"]).expect_code(1);
}

#[test]
fn examples_in_hcl2_are_sound() {
    let lab = Lab::new();
    let list: Value =
        serde_json::from_str(&lab.run(&["docs", "--json"]).expect_code(0).stdout).expect("JSON");
    for listed in list["types"].as_array().expect("a list") {
        let (kind, name) =
            (listed["kind"].as_str().expect("a kind"), listed["name"].as_str().expect("a name"));
        let told = lab.run(&["docs", "--json", "-kind", kind, name]).expect_code(0).stdout;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        for example in told["pages"][0]["examples"].as_array().expect("a list") {
            let block = example["hcl2"].as_str().expect("a text");
            let null = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";
            let mut template = match kind {
                "builder" => {
                    format!("{block}build {{\n  sources = [\"source.{name}.example\"]\n}}\n")
                }
                "data-source" => format!("{block}{null}build {{\n  sources = [\"source.null.n\"]\n}}\n"),
                _ => format!("{null}build {{\n  sources = [\"source.null.n\"]\n{block}}}\n"),
            };
            let mut names: Vec<&str> = block
                .split("var.")
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next())
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                template.push_str(&format!("variable \"{name}\" {{\n  default = \"x\"\n}}\n"));
            }
            lab.write("t.pkr.hcl", &template);
            let ran = lab.run(&["validate", "--json", "t.pkr.hcl"]);
            let findings = ran.stdout.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
            for finding in findings.filter(|f| f["severity"] == "error") {
                // The files that an example names are not here.
                let code = finding["code"].as_str().unwrap_or_default();
                let is_missing_file = code.ends_with("/bad-script") || code.ends_with("/bad-source");
                assert!(is_missing_file, "{kind} {name}: {finding}\n{template}");
            }
        }
    }
}
