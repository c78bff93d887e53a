//! Death at every point: a build is ended after each of its journal records, `cleanup` runs in a new process, and the
//! simulated cloud must be as it was before.

use std::process::Stdio;

use fornax_tests::{Cloud, DEBIAN, Lab, azure_template, files_below, finish};

const SHELL: &str = r#", "provisioners": [{"type": "shell", "inline": ["true"]}]"#;

#[track_caller]
fn clean_up_and_compare(lab: &Lab, cloud: &Cloud, before: &[serde_json::Value], when: &str) {
    lab.run(&["cleanup", "--all"]).expect_code(0);
    let after = cloud.inventory(lab);
    assert_eq!(after, before, "after a death {when}");
}

#[test]
fn death_after_every_journal_record_leaves_nothing() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, SHELL));
    let before = cloud.inventory(&lab);
    let mut record = 0;
    loop {
        record += 1;
        assert!(record < 200, "the build never gets to its end");
        // The journal's store aborts the process right after this many records are on disk.
        lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", &record.to_string());
        let ran = lab.run(&["build", "t.json"]);
        lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", "");
        if ran.code() == Some(0) {
            break;
        }
        assert_eq!(ran.code(), None, "it ends by a signal: {}", ran.all());
        clean_up_and_compare(&lab, &cloud, &before, &format!("at record {record}"));
    }
    assert!(record > 8, "a build has more records than {record}");
}

#[test]
fn a_killed_process_is_cleaned_up() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, SHELL));
    let before = cloud.inventory(&lab);
    for wanted in [2, 6, 11] {
        let mut child = lab
            .command(&["build", "t.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let records = || -> usize {
            files_below(&lab.state())
                .iter()
                .filter(|f| f.extension().is_some_and(|e| e == "jsonl"))
                .map(|f| std::fs::read_to_string(f).unwrap_or_default().lines().count())
                .max()
                .unwrap_or(0)
        };
        while records() < wanted && child.try_wait().expect("the child is ours").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("the child is ours");
        finish(child);
        lab.run(&["cleanup", "--all"]).expect_code(0);
        let after: Vec<_> = cloud
            .inventory(&lab)
            .into_iter()
            .filter(|r| !r["id"].as_str().unwrap_or_default().ends_with("/images/img"))
            .collect();
        assert_eq!(after, before, "killed after {wanted} records");
        // A build that was quicker than the kill made its image rightly.
        if cloud.created(&lab).iter().any(|id| id.ends_with("/images/img")) {
            break;
        }
    }
}
