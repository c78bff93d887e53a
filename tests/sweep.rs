//! Death at every point: a build is ended after each of its journal records, `cleanup` runs in a new process, and the
//! simulated cloud must be as it was before.

use std::process::Stdio;

use fornax_tests::{Cloud, DEBIAN, Lab, azure_template, files_below, finish};

const SHELL: &str = r#", "provisioners": [{"type": "shell", "inline": ["true"]}]"#;

/// Whether the journal says that the image belongs to the user already.
fn is_kept(lab: &Lab) -> bool {
    let journals = files_below(&lab.state());
    journals.iter().any(|f| std::fs::read_to_string(f).unwrap_or_default().contains("\"record\":\"kept\""))
}

#[test]
fn death_after_every_journal_record_leaves_nothing() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    let template = azure_template(&cloud, DEBIAN, SHELL);
    let mut before = cloud.inventory(&lab);
    let mut record = 0;
    loop {
        record += 1;
        assert!(record < 200, "the build never gets to its end");
        let image = format!("img{record}");
        lab.write(
            "t.json",
            &template
                .replace("\"managed_image_name\": \"img\"", &format!("\"managed_image_name\": \"{image}\"")),
        );
        // The journal's store aborts the process right after this many records are on disk.
        lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", &record.to_string());
        let ran = lab.run(&["build", "t.json"]);
        lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", "");
        if ran.code() == Some(0) {
            break;
        }
        assert_eq!(ran.code(), None, "it ends by a signal: {}", ran.all());
        let kept = is_kept(&lab);
        lab.run(&["cleanup", "--all"]).expect_code(0);
        let mut after = cloud.inventory(&lab);
        if kept {
            // The build had succeeded: its image is the user's.
            after.retain(|r| !r["id"].as_str().unwrap_or_default().ends_with(&image));
        }
        assert_eq!(after, before, "after a death at record {record}");
        before = cloud.inventory(&lab);
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
