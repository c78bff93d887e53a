use super::*;

#[tokio::test(start_paused = true)]
async fn pauses_time_limits_and_retries_work_together() {
    let world = world();
    let shell = shell([Does::Take(1000), Does::Fail("broken"), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].pause_before = Duration::from_secs(20);
    plan.provisioners[0].timeout = Some(Duration::from_secs(300));
    plan.provisioners[0].max_retries = 2;
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!(report.ending, Ending::Succeeded);
    assert_eq!(report.duration.as_secs(), 20 + 300 + 20 + 20);
    assert_eq!(shell.attempts(), [1, 2, 3]);
    let pause = "Pausing 20s before the next provisioner...";
    let limit = "Setting a 5m0s timeout for the next provisioner...";
    assert_eq!(
        world.sink.lines(),
        [
            "+ /vm",
            "> Provisioning",
            "> shell",
            pause,
            limit,
            "Provisioner failed with \"the step took longer than 5m\", retrying with 2 trie(s) left",
            pause,
            limit,
            "Provisioner failed with \"broken\\n  caused by: the cause\", retrying with 1 trie(s) left",
            pause,
            limit,
            "< shell Succeeded 360s",
            "< Provisioning Succeeded 360s",
            "- /vm",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_stop_is_left_behind() {
    let world = world();
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].timeout = Some(Duration::from_secs(10));
    let report = world.run(&plan, &[shell([Does::Ignore(1000)])]).await;
    assert_eq!(report.error.as_deref(), Some("the step took longer than 10s"));
    assert_eq!(report.duration.as_secs(), 40);
    assert!(report.remains.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_runs_the_cleanup_provisioner_once_and_undoes_all() {
    for (on_error, cleans, remains) in [
        (OnError::Cleanup, true, 0),
        (OnError::RunCleanupProvisioner, true, 1),
        (OnError::Abort, false, 1),
        (OnError::Ask, true, 0),
    ] {
        let mut world = world();
        world.settings.on_error = on_error;
        let shell = shell([Does::Fail("canary-51f2 is wrong")]);
        let tidy = Plugin::new(ExtensionKind::Provisioner, "tidy", [Does::Fail("tidy is broken")]);
        let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
        plan.error_cleanup = Some(provisioner("tidy"));
        let report = world.run(&plan, &[shell.clone(), tidy.clone()]).await;
        assert_eq!(report.ending, Ending::Failed);
        assert_eq!(report.error.as_deref(), Some("<sensitive> is wrong\n  caused by: the cause"));
        assert_eq!(shell.attempts().len(), 1, "{on_error:?}");
        assert_eq!(tidy.attempts().len(), usize::from(cleans), "{on_error:?}");
        assert_eq!(report.remains.len(), remains, "{on_error:?}");
        assert!(world.sink.lines().iter().all(|line| !line.contains(MASKED)));
        let text = "Provisioning step had errors: Running the cleanup provisioner, if present...".to_owned();
        assert_eq!(world.sink.lines().contains(&text), cleans);
        assert!(report.artifacts.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_may_be_allowed_to_fail() {
    let world = world();
    let shell = shell([Does::Fail("never mind"), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].continue_on_error = true;
    let report = world.run(&plan, &[shell]).await;
    assert_eq!(report.ending, Ending::Succeeded);
    assert_eq!(report.steps[0].ending, Ending::Failed);
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_the_plugin_undoes_and_skips_the_rest() {
    let world = world();
    let shell = shell([Does::Take(1000)]);
    let manifest = Plugin::new(ExtensionKind::PostProcessor, "manifest", []);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].max_retries = 5;
    plan.post_processors = vec![vec![post_processor("manifest", None)]];
    world.cancel_after(5);
    let report = world.run(&plan, &[shell.clone(), manifest.clone()]).await;
    assert_eq!((report.ending, report.error.as_deref()), (Ending::Cancelled, Some("Build was cancelled.")));
    assert_eq!(report.duration.as_secs(), 5);
    assert_eq!(shell.attempts(), [1]);
    assert!(manifest.attempts().is_empty());
    assert!(report.remains.is_empty());
    assert_eq!(report.steps[0].ending, Ending::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn provisioning_can_be_asked_for_again() {
    let mut world = world();
    world.settings.on_error = OnError::Ask;
    world.settings.prompt = Answers::new("r");
    let shell = shell([Does::Succeed, Does::Fail("no"), Does::Succeed, Does::Succeed]);
    let report = world
        .run(&plan(vec![provisioner("shell"), provisioner("shell")]), std::slice::from_ref(&shell))
        .await;
    assert_eq!(report.ending, Ending::Succeeded);
    // All provisioners run again.
    assert_eq!(shell.attempts().len(), 4);
}

#[test]
fn limits_are_written_as_go_writes_them() {
    for (millis, text) in [
        (0, "0s"),
        (250, "250ms"),
        (1500, "1.5s"),
        (20_000, "20s"),
        (300_000, "5m0s"),
        (3_600_000, "1h0m0s"),
        (90_061_001, "25h1m1.001s"),
    ] {
        assert_eq!(call::go_duration(Duration::from_millis(millis)), text);
    }
}
