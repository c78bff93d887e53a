//! The report as text and as JSON.

use super::*;

fn build(name: &str, ending: Ending) -> BuildReport {
    BuildReport {
        name: name.into(),
        build_id: "b".into(),
        builder_type: "null".into(),
        simulated: false,
        started: "2026-01-01T00:00:00Z".into(),
        ending,
        error: (ending != Ending::Succeeded).then(|| "no capacity".to_owned()),
        duration: Duration::from_millis(4311),
        steps: vec![StepReport { name: "shell".into(), ending, duration: Duration::from_millis(1500) }],
        artifacts: Vec::new(),
        resources: Vec::new(),
        remains: Vec::new(),
        journal: None,
        inputs: Inputs::default(),
    }
}

fn run(builds: Vec<BuildReport>, ending: Ending) -> RunReport {
    RunReport {
        run_id: "r".into(),
        engine_version: "0.1.0".into(),
        template: "t.json".into(),
        simulated: false,
        started: "2026-01-01T00:00:00Z".into(),
        ending,
        duration: Duration::from_millis(4311),
        builds,
    }
}

#[test]
fn durations_are_written_in_their_two_largest_units() {
    let cases = [
        (0, "0 seconds"),
        (16_287, "16 milliseconds 287 microseconds"),
        (1_000_000, "1 second"),
        (4_311_000, "4 seconds 311 milliseconds"),
        (4_311_999, "4 seconds 311 milliseconds"),
        (451_000_000, "7 minutes 31 seconds"),
        (3_600_000_000, "1 hour"),
        (3_605_000_000, "1 hour 5 seconds"),
        (90_000_000_000, "1 day 1 hour"),
    ];
    for (micros, expected) in cases {
        assert_eq!(long_duration(Duration::from_micros(micros)), expected);
    }
}

#[test]
fn the_summary_reads_as_packers_does() {
    let mut good = build("web", Ending::Succeeded);
    good.artifacts.push(Artifact {
        builder_id: "Azure.ResourceManagement.VMImage".into(),
        id: "/img".into(),
        text: "Azure.ResourceManagement.VMImage:\n\nOSType: Linux\n".into(),
        files: Vec::new(),
        metadata: serde_json::Map::new(),
        simulated: false,
    });
    let resource = |state| ResourceReport {
        kind: "thing".into(),
        id: "/a".into(),
        lifetime: Lifetime::Temporary,
        state,
    };
    good.resources = vec![resource(ResourceState::Deleted), resource(ResourceState::Kept)];
    assert_eq!(good.headline(), "Build 'web' finished after 4 seconds 311 milliseconds.");
    let bad = build("db", Ending::Failed);
    assert_eq!(bad.headline(), "Build 'db' errored after 4 seconds 311 milliseconds: no capacity");
    let expected = "
==> Wait completed after 4 seconds 311 milliseconds

==> Some builds didn't complete successfully and had errors:
--> db: no capacity

==> Steps of 'db':
    shell     1.500 s  failed

==> Steps of 'web':
    shell     1.500 s
    resources: created 2, 1 deleted, 1 kept

==> Builds finished. The artifacts of successful builds are:
--> web: Azure.ResourceManagement.VMImage:

OSType: Linux

";
    assert_eq!(run(vec![bad, good], Ending::Failed).summary(), expected);
}

#[test]
fn an_interrupted_run_says_whether_something_may_remain() {
    let mut cancelled = build("web", Ending::Cancelled);
    assert!(run(vec![cancelled.clone()], Ending::Cancelled).summary().contains("\nCleanly cancelled builds"));
    cancelled.remains.push(Remains { kind: "vm".into(), id: "/vm".into(), reason: "locked".into() });
    let run = run(vec![cancelled], Ending::Cancelled);
    assert!(run.may_remain());
    assert!(run.summary().contains("\nCancelled builds after being interrupted."));
    assert!(run.summary().contains("no artifacts were created"));
}

#[test]
fn a_report_has_no_secrets() {
    let redactor = Redactor::new();
    redactor.register(&crate::Secret::new("no capacity"));
    let mut report = build("no capacity", Ending::Failed);
    report.steps[0].name = "no capacity".into();
    report.remains.push(Remains {
        kind: "vm".into(),
        id: "no capacity".into(),
        reason: "no capacity".into(),
    });
    report.mask(&redactor);
    let json = serde_json::to_value(&report).unwrap();
    assert!(!json.to_string().contains("no capacity"), "{json}");
    assert_eq!(json["seconds"], 4.311);
    assert_eq!(json["ending"], "failed");
}
