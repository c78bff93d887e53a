use super::*;

#[tokio::test]
async fn every_problem_of_every_component_is_found_at_once() {
    let world = world();
    let mut strict = Plugin::new(ExtensionKind::PostProcessor, "manifest", []);
    Arc::get_mut(&mut strict).unwrap().findings.push(Finding {
        severity: Severity::Warning,
        path: "/inline/0".into(),
        summary: "odd".into(),
        help: "because".into(),
        code: String::new(),
    });
    let mut plan = plan(vec![provisioner("shel"), provisioner("zzz"), provisioner("shell")]);
    plan.config = config(json!({"bad": 1}));
    plan.provisioners[2].config = config(json!({"inlin": "x", "inline": ["a", "b"]}));
    let mut odd = post_processor("manifest", None);
    odd.config = config(json!({"inline": "x"}));
    plan.post_processors = vec![vec![odd, post_processor("shell", None)]];
    plan.error_cleanup = Some(provisioner("nope"));
    let factories: [Arc<dyn BuilderFactory>; 1] = [Arc::new(Machines::default())];
    let catalog = Catalog(vec![shell([]), strict]);
    let (prepared, found) = prepare_build(&plan, &factories, &catalog, &world.context).await;
    assert!(prepared.is_none());
    let told: Vec<(String, String)> =
        found.iter().map(|d| (d.code.clone(), d.help.clone().unwrap_or_else(|| d.summary.clone()))).collect();
    let has =
        |code: &str, help: &str| assert!(told.contains(&(code.into(), help.into())), "{code} in {told:#?}");
    has("machines/bad", "bad machine");
    has("build/unknown-provisioner", "did you mean \"shell\"?");
    let folder = |what| format!("if a plugin provides this {what}, name its folder with --plugin-dir");
    has("build/unknown-provisioner", &folder("provisioner"));
    has("build/unknown-post-processor", &folder("post-processor"));
    has("plugin/configuration", "because");
    assert!(told.iter().any(|(code, _)| code.starts_with("config/")), "{told:#?}");
    assert!(found.iter().all(|d| d.span.is_some()));
    let unknown = found.iter().find(|d| d.summary.contains("\"zzz\"")).unwrap();
    assert_eq!(unknown.detail, "there are: shell");

    plan.builder_type = "machine".into();
    let (_, found) = prepare_build(&plan, &factories, &catalog, &world.context).await;
    let unknown = found.iter().find(|d| d.code == "build/unknown-builder").unwrap();
    assert_eq!(unknown.help.as_deref(), Some("did you mean \"machines\"?"));
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_can_not_be_settled_fails_the_step() {
    let world = world();
    let mut plan = plan(vec![provisioner("shell")]);
    plan.provisioners[0].config = config(json!({"inline": "build:Missing"}));
    let shell = shell([]);
    let report = world.run(&plan, std::slice::from_ref(&shell)).await;
    assert_eq!(report.error.as_deref(), Some("web.json:2:3: no Missing"));
    assert!(shell.attempts().is_empty());
}
