use super::*;

#[tokio::test(start_paused = true)]
async fn post_processors_follow_packers_rules_of_keeping() {
    use KeepPolicy::{Discard, ForceKeep, Keep};
    // (policies of two in a sequence, the user's word, ids of the result, removed files)
    type Case = ([(KeepPolicy, Option<bool>); 2], &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 6] = [
        ([(Keep, None), (Keep, None)], &["/img", "one", "two"], &[]),
        ([(Discard, None), (Discard, None)], &["two"], &["/out/one", "/out//img"]),
        ([(Discard, Some(true)), (Discard, None)], &["/img", "two"], &["/out/one"]),
        ([(Keep, Some(false)), (Keep, None)], &["one", "two"], &["/out//img"]),
        ([(ForceKeep, Some(false)), (Discard, None)], &["/img", "two"], &["/out/one"]),
        ([(Keep, None), (ForceKeep, Some(false))], &["/img", "one", "two"], &[]),
    ];
    for (policies, ids, removed) in cases {
        let world = world();
        let [one, two] = ["one", "two"].map(|name| name);
        let plugins: Vec<Arc<Plugin>> = [one, two]
            .iter()
            .zip(policies)
            .map(|(name, (policy, _))| {
                Plugin::new(ExtensionKind::PostProcessor, name, [Does::Make(name, policy)])
            })
            .collect();
        let mut plan = plan(Vec::new());
        plan.post_processors = vec![
            [one, two].iter().zip(policies).map(|(name, (_, keep))| post_processor(name, keep)).collect(),
        ];
        let report = world.run(&plan, &plugins).await;
        assert_eq!(report.ending, Ending::Succeeded);
        let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
        assert_eq!(made, ids, "{policies:?}");
        let removed: Vec<PathBuf> = removed.iter().map(PathBuf::from).collect();
        assert_eq!(*world.removed.lock().unwrap(), removed, "{policies:?}");
        assert_eq!(*plugins[1].inputs.lock().unwrap(), ["one"]);
    }
}

#[tokio::test(start_paused = true)]
async fn each_sequence_starts_from_the_builders_artifact_and_a_failure_removes_nothing() {
    let world = world();
    let kind = ExtensionKind::PostProcessor;
    let bad = Plugin::new(kind, "bad", [Does::Fail("disk full")]);
    let zip = Plugin::new(
        kind,
        "zip",
        [Does::Make("z1", KeepPolicy::Discard), Does::Make("z2", KeepPolicy::Discard)],
    );
    let manifest = Plugin::new(kind, "manifest", [Does::HandOn]);
    let mut plan = plan(Vec::new());
    plan.post_processors = vec![
        vec![post_processor("bad", None), post_processor("zip", None)],
        vec![post_processor("zip", None), post_processor("manifest", None)],
    ];
    plan.post_processors[1][0].name = "pack".into();
    let plugins = [bad, zip.clone(), manifest.clone()];
    let report = world.run(&plan, &plugins).await;
    assert_eq!(
        report.error.as_deref(),
        Some("1 error(s) occurred:\n\n* Post-processor failed: disk full\n  caused by: the cause")
    );
    assert_eq!(*zip.inputs.lock().unwrap(), ["/img"]);
    assert_eq!(*manifest.inputs.lock().unwrap(), ["z1"]);
    let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(made, ["/img", "z1"]);
    assert!(world.removed.lock().unwrap().is_empty());
    let lines = world.sink.lines();
    for line in ["Running post-processor: bad", "Running post-processor: pack (type zip)"] {
        assert!(lines.contains(&line.to_owned()), "{lines:#?}");
    }
    assert_eq!(zip.seen.lock().unwrap()[0].1.events.build(), "web (zip)");

    // The same without the failure: the original is replaced by what was made of it.
    plan.post_processors.remove(0);
    let report = world.run(&plan, &plugins).await;
    let made: Vec<&str> = report.artifacts.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(made, ["z2"]);
    assert_eq!(*world.removed.lock().unwrap(), [PathBuf::from("/out//img")]);
}

#[tokio::test(start_paused = true)]
async fn only_what_the_build_made_is_removed_and_only_once() {
    let world = world();
    let kind = ExtensionKind::PostProcessor;
    let plugins: Vec<Arc<Plugin>> =
        [("find", ".there"), ("pack", "packed"), ("again", "./packed"), ("last", "last")]
            .map(|(name, made)| Plugin::new(kind, name, [Does::Make(made, KeepPolicy::Discard)]))
            .into();
    let mut plan = plan(Vec::new());
    plan.post_processors =
        vec![["find", "pack", "again", "last"].iter().map(|name| post_processor(name, None)).collect()];
    let report = world.run(&plan, &plugins).await;
    assert_eq!(report.ending, Ending::Succeeded, "{:?}", report.error);
    // The found file stays; `/out/packed` and `/out/./packed` are the same file.
    let removed = ["/out/packed", "/out//img"].map(PathBuf::from);
    assert_eq!(*world.removed.lock().unwrap(), removed);
}
