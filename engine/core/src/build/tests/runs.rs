use super::*;

#[tokio::test(start_paused = true)]
async fn a_build_runs_to_its_report() {
    let world = world();
    let shell = shell([Does::Take(3), Does::Succeed]);
    let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
    plan.provisioners[0].config = config(json!({"inline": "build:Host", "execute_command": "build:Host"}));
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!((report.ending, report.error.as_deref()), (Ending::Succeeded, None));
    assert_eq!(report.duration.as_secs(), 3);
    assert!(report.remains.is_empty());
    assert_eq!(report.artifacts.len(), 1);
    assert_eq!(report.resources[0].state, ResourceState::Deleted);
    assert_eq!(report.inputs.plugins.len(), 1);
    assert_eq!(report.inputs.source["SourceImageName"], "debian-12");
    let steps: Vec<_> = report.steps.iter().map(|s| (s.name.as_str(), s.duration.as_secs())).collect();
    assert_eq!(steps, [("shell", 3), ("shell", 0), ("Provisioning", 3)]);

    let seen = shell.seen.lock().unwrap();
    let (config, context) = &seen[0];
    assert_eq!(config, &json!({"inline": "10.0.0.4", "execute_command": "build:Host"}));
    let variable =
        |name: &str| context.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.masked());
    for (name, value) in [
        ("PACKER_BUILD_NAME", "web"),
        ("PackerRunUUID", "run-1"),
        ("Host", "10.0.0.4"),
        ("ConnType", "none"),
        ("region", "west"),
    ] {
        assert_eq!(variable(name).as_deref(), Some(value), "{name}");
    }
    let (state, _) = JournalState::replay(&world.store.text()).unwrap();
    assert!(state.is_closed());
    let header = state.header().unwrap();
    assert_eq!((header.build_id.as_str(), header.plan_digest.as_str()), ("b-1", "t1"));
    assert_eq!(header.target["subscription"], "s-1");
    assert!(matches!(
        world.sink.events().last(),
        Some(Event::BuildFinished { ending: Ending::Succeeded, .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_panics_or_forgets_is_found_out() {
    for (machines, error) in [
        (
            Machines { panics: true, ..Machines::default() },
            Some("the builder machines failed in an unforeseen way: out of luck"),
        ),
        (Machines { forgets: true, ..Machines::default() }, None),
    ] {
        let world = world();
        let build = world.prepare_with(&plan(Vec::new()), &[], machines).await;
        let report = run_build(build, &world.settings).await;
        assert_eq!(report.error.as_deref(), error);
        assert_eq!(report.remains.len(), 1);
        assert_eq!(
            (report.remains[0].id.as_str(), report.resources[0].state),
            ("/vm", ResourceState::Remains)
        );
        assert!(!JournalState::replay(&world.store.text()).unwrap().0.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_journal_nothing_is_created() {
    let mut world = world();
    world.settings.open_journal = Arc::new(|_| Err(std::io::Error::other("read-only file system")));
    let shell = shell([]);
    let report = world.run(&plan(vec![provisioner("shell")]), std::slice::from_ref(&shell)).await;
    assert_eq!(
        report.error.as_deref(),
        Some("can't open a journal for the build: read-only file system; without one nothing is created")
    );
    assert!(shell.attempts().is_empty());
    assert!(report.resources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn builds_run_side_by_side_up_to_the_limit_and_fail_alone() {
    for (parallel, seconds, most) in [(None, 10, 4), (Some(2), 20, 2), (Some(1), 40, 1), (Some(0), 40, 1)] {
        let mut world = world();
        world.settings.parallel = parallel;
        world.settings.open_journal = Arc::new(|_| Ok(Arc::new(MemoryStore::default())));
        let machines = Machines::default();
        let mut builds = Vec::new();
        for name in ["d", "a", "c", "b"] {
            let does =
                if name == "a" { vec![Does::Take(10), Does::Fail("no")] } else { vec![Does::Take(10)] };
            let mut plan = plan(vec![provisioner("shell"), provisioner("shell")]);
            plan.name = name.into();
            builds.push(world.prepare_with(&plan, &[shell(does)], machines.clone()).await);
        }
        let report = run_all(builds, world.settings.clone()).await;
        assert_eq!(report.duration.as_secs(), seconds, "{parallel:?}");
        assert_eq!(machines.most_busy.load(Ordering::SeqCst), most, "{parallel:?}");
        let endings: Vec<_> = report.builds.iter().map(|b| (b.name.as_str(), b.ending)).collect();
        use Ending::{Failed, Succeeded};
        assert_eq!(endings, [("d", Succeeded), ("a", Failed), ("c", Succeeded), ("b", Succeeded)]);
        assert_eq!(report.ending, Failed);
        let events = world.sink.events();
        assert!(matches!(events.first(), Some(Event::RunStarted { .. })));
        assert!(matches!(events.last(), Some(Event::RunFinished { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_starts_no_more_builds() {
    let mut world = world();
    world.settings.parallel = Some(1);
    world.settings.open_journal = Arc::new(|_| Ok(Arc::new(MemoryStore::default())));
    let mut builds = Vec::new();
    let mut plugins = Vec::new();
    for name in ["a", "b"] {
        let mut plan = plan(vec![provisioner("shell")]);
        plan.name = name.into();
        plugins.push(shell([Does::Take(10)]));
        builds.push(world.prepare(&plan, &plugins[plugins.len() - 1..]).await);
    }
    world.cancel_after(5);
    let report = run_all(builds, world.settings.clone()).await;
    assert_eq!(report.ending, Ending::Cancelled);
    assert!(report.builds.iter().all(|build| build.ending == Ending::Cancelled));
    assert!(plugins[1].attempts().is_empty());
    assert!(!report.may_remain());
}

#[test]
fn errors_of_provisioning_keep_their_kind() {
    assert!(matches!(BuildError::from(ProvisionError::Cancelled), BuildError::Cancelled));
}
