//! Journals that are lost: a build is killed, its state folder is deleted, and `cleanup --by-tag` finds what it left by
//! the tags. What is not of a build, and what may still run, stays.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use fornax_tests::{Cloud, DEBIAN, Lab, Ran, azure_template};
use serde_json::Value;

/// The build gets no further than switching the machine off.
const HANGS: &str =
    r#"[{"match": {"type": "Microsoft.Compute/virtualMachines/deallocate"}, "then": {"operation": "hang"}}]"#;

/// A group of somebody's, one of a build that ran elsewhere, and one for builds to work in.
const SEED: &str = r#"{"groups": [
    {"name": "images", "location": "westeurope"},
    {"name": "shared", "location": "westeurope", "tags": {"owner": "somebody"}},
    {"name": "elsewhere", "location": "westeurope",
     "tags": {"fornax-build-id": "build-elsewhere", "fornax-process": "0123456789abcdef.1.1"}},
    {"name": "nameless", "location": "westeurope", "tags": {"fornax-build-id": "build-without-process"}}],
  "networks": [{"group": "shared", "name": "net", "subnets": ["a"]}]}"#;

fn cloud(lab: &mut Lab) -> Cloud {
    let faults = lab.write("faults.json", HANGS).display().to_string();
    let seed = lab.write("seed.json", SEED).display().to_string();
    Cloud::start(lab, &["--machine", "record", "--faults", &faults, "--seed", &seed])
}

/// A build that has made everything it makes and can't go on, and its id.
struct Stuck {
    child: Child,
    /// Kept open, so that the build can go on talking.
    _output: BufReader<ChildStdout>,
    id: String,
}

impl Stuck {
    fn start(lab: &Lab) -> Stuck {
        let mut child = lab
            .command(&["build", "t.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut text = String::new();
        while !text.contains("Powering off machine") {
            assert!(output.read_line(&mut text).expect("the build says text") > 0, "it ended early:\n{text}");
        }
        let mut folders = std::fs::read_dir(lab.state().join("builds")).expect("the build has a journal");
        let folder = folders.next().expect("the build has a journal").expect("the folder can be read");
        Stuck { child, _output: output, id: folder.file_name().to_string_lossy().into_owned() }
    }

    /// SIGKILL: nothing is undone, and nothing is written any more.
    fn kill(mut self) -> String {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
        self.id
    }
}

fn lose_journals(lab: &Lab) {
    std::fs::remove_dir_all(lab.state().join("builds")).expect("there is a journal to lose");
}

/// The one result of this build in the output of `cleanup --json`.
fn result(ran: &Ran, id: &str) -> Value {
    let all: Value = serde_json::from_str(&ran.stdout).expect("the output is JSON");
    let mut fitting = all["builds"].as_array().expect("a list").iter().filter(|b| b["build_id"] == id);
    let found = fitting.next().unwrap_or_else(|| panic!("no result for {id}: {all:#}")).clone();
    assert!(fitting.next().is_none(), "more than one result for {id}");
    found
}

fn count(result: &Value, key: &str) -> usize {
    result[key].as_array().map_or(0, Vec::len)
}

#[test]
fn what_a_killed_build_left_is_found_by_its_tags() {
    for place in ["", r#", "build_resource_group_name": "shared""#] {
        let mut lab = Lab::new();
        let cloud = cloud(&mut lab);
        let mut template = azure_template(&cloud, &format!("{DEBIAN}{place}"), "");
        if !place.is_empty() {
            template = template.replace(r#""location": "westeurope","#, "");
        }
        lab.write("t.json", &template);
        let before = cloud.inventory(&lab);
        let id = Stuck::start(&lab).kill();
        assert!(cloud.created(&lab).len() >= 6, "{:?}", cloud.created(&lab));
        lose_journals(&lab);
        lab.run(&["cleanup", "--all"]).expect_code(0).expect_says("Nothing to clean up");

        // Looking removes nothing.
        let left = cloud.inventory(&lab);
        lab.run(&["cleanup", "--by-tag", "t.json"])
            .expect_code(0)
            .expect_says(&id)
            .expect_says("Nothing was removed. Remove all of it with: fornax cleanup --by-tag t.json --all");
        let ran = lab.run(&["cleanup", "--by-tag", "t.json", "--all", "--dry-run", "--json"]).expect_code(0);
        let told = result(&ran, &id);
        assert!(count(&told, "found") >= 1 && count(&told, "removed") == 0, "{told:#}");
        assert!(told["began"].as_str().is_some_and(|time| time.starts_with("20")), "{told:#}");
        assert_eq!(cloud.inventory(&lab), left);

        // With the credentials of the environment alone.
        let ran = lab.run(&["cleanup", "--by-tag", "--all", "--json"]).expect_code(0);
        let done = result(&ran, &id);
        assert_eq!(count(&done, "removed"), count(&told, "found"), "{done:#}");
        assert_eq!(count(&done, "remains"), 0);
        assert_eq!(cloud.inventory(&lab), before, "nothing of others was touched");
        for other in ["build-elsewhere", "build-without-process"] {
            let other = result(&ran, other);
            assert!(other["note"].as_str().is_some_and(|n| n.contains("whether it still runs")), "{other:#}");
            assert_eq!(count(&other, "removed"), 0);
        }
        // The journal that was written for it is gone again.
        lab.run(&["cleanup"]).expect_code(0).expect_says("Nothing to clean up");
    }
}

#[test]
fn a_build_that_runs_is_left_alone() {
    let mut lab = Lab::new();
    let cloud = cloud(&mut lab);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, ""));
    let before = cloud.inventory(&lab);
    let stuck = Stuck::start(&lab);
    let id = stuck.id.clone();
    let running = cloud.inventory(&lab);
    // With its journal, without it, and when it is named.
    for lost in [false, true] {
        if lost {
            lose_journals(&lab);
        }
        for choice in [&["--all"][..], &["--build", &id]] {
            let ran =
                lab.run(&[&["cleanup", "--by-tag", "t.json", "--json"], choice].concat()).expect_code(0);
            let told = result(&ran, &id);
            assert_eq!(told["note"], "still running, left alone", "{choice:?}");
            assert_eq!(count(&told, "removed"), 0);
            assert_eq!(cloud.inventory(&lab), running, "{choice:?}");
        }
    }
    stuck.kill();
    lab.run(&["cleanup", "--by-tag", "t.json", "--build", &id]).expect_code(0).expect_says("removed");
    assert_eq!(cloud.inventory(&lab), before);
}

#[test]
fn a_journal_that_is_there_is_preferred_to_the_tags() {
    let mut lab = Lab::new();
    let cloud = cloud(&mut lab);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, ""));
    let before = cloud.inventory(&lab);
    let id = Stuck::start(&lab).kill();
    let left = cloud.inventory(&lab);
    lab.run(&["cleanup", "--by-tag", "t.json", "--all"])
        .expect_code(0)
        .expect_says(&format!("its journal is here and knows more: fornax cleanup --build {id}"));
    assert_eq!(cloud.inventory(&lab), left);
    lab.run(&["cleanup", "--build", &id]).expect_code(0);
    assert_eq!(cloud.inventory(&lab), before);
}

#[test]
fn a_build_of_elsewhere_has_to_be_named() {
    let mut lab = Lab::new();
    let cloud = cloud(&mut lab);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, ""));
    let mut wanted = cloud.inventory(&lab);
    for (id, group) in [("build-elsewhere", "elsewhere"), ("build-without-process", "nameless")] {
        lab.run(&["cleanup", "--by-tag", "t.json", "--build", id]).expect_code(0).expect_says("removed");
        wanted.retain(|r| !r["id"].as_str().unwrap_or_default().ends_with(group));
        assert_eq!(cloud.inventory(&lab), wanted);
    }
    lab.run(&["cleanup", "--by-tag", "t.json", "--build", "build-elsewhere"])
        .expect_code(1)
        .expect_says("no resource carries the tag fornax-build-id=build-elsewhere");
}

#[test]
fn images_are_told_and_left_alone() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, ""));
    lab.run(&["build", "t.json"]).expect_code(0);
    let after = cloud.inventory(&lab);
    let image = after
        .iter()
        .find(|r| r["id"].as_str().is_some_and(|id| id.ends_with("/images/img")))
        .expect("it is there");
    assert!(image["tags"]["fornax-process"].is_null(), "a product says nothing of processes: {image:#}");
    let id = image["tags"]["fornax-build-id"].as_str().expect("its build's tag");
    for choice in [&["--all"][..], &["--build", id]] {
        let ran = lab.run(&[&["cleanup", "--by-tag", "t.json", "--json"], choice].concat()).expect_code(0);
        let told = result(&ran, id);
        assert_eq!((count(&told, "kept"), count(&told, "removed")), (1, 0), "{told:#}");
    }
    assert_eq!(cloud.inventory(&lab), after);
}

#[test]
fn without_credentials_it_says_what_is_missing() {
    let mut lab = Lab::new();
    let cloud = cloud(&mut lab);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, ""));
    lab.write("null.json", r#"{"builders": [{"type": "null", "communicator": "none"}]}"#);
    lab.run(&["cleanup", "--by-tag", "null.json"]).expect_code(1).expect_says("no azure-arm builder");
    lab.run(&["cleanup", "--by-tag", "none.json"]).expect_code(1).expect_says("none.json");
    lab.set("ARM_CLIENT_SECRET", "wrong");
    lab.run(&["cleanup", "--by-tag", "--all"]).expect_code(1).expect_says("AADSTS7000215");
    lab.set("ARM_CLIENT_SECRET", "");
    lab.run(&["cleanup", "--by-tag", "--all"]).expect_code(1).expect_says("ARM_CLIENT_SECRET");
}
