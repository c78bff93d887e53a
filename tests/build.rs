//! Whole builds with the real binary: what a user of the command line sees, and what is left afterwards.

use fornax_tests::{Cloud, DEBIAN, Lab, azure_template, workspace};

const SHELL: &str = r#", "provisioners": [{"type": "shell", "inline": ["echo hello", "true"]}]"#;

#[test]
fn an_image_is_built_and_nothing_else_remains() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, SHELL));
    let ran = lab.run(&["build", "-color=false", "t.json"]).expect_code(0);
    assert!(ran.stdout.contains("Creating resource group"), "{}", ran.stdout);
    assert!(ran.stdout.contains("ManagedImageName: img"), "{}", ran.stdout);
    let created = cloud.created(&lab);
    assert_eq!(created.len(), 1, "only the image remains: {created:?}");
    assert!(created[0].ends_with("/images/img"), "{created:?}");
}

#[test]
fn an_existing_image_is_refused_before_anything_is_created_and_replaced_with_force() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, SHELL));
    lab.run(&["build", "t.json"]).expect_code(0);
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("img").expect_says("-force");
    lab.run(&["build", "-force", "t.json"]).expect_code(0);
    assert_eq!(cloud.created(&lab).len(), 1);
}

#[test]
fn a_failing_step_undoes_everything() {
    let mut lab = Lab::new();
    lab.write("faults.json", r#"{"rules":[{"match":{"method":"POST","path":"/generalize$"},"then":{"status":409,"code":"Conflict","message":"planted"}}]}"#);
    let cloud = Cloud::start(&mut lab, &["--machine", "record", "--faults", "faults.json"]);
    lab.write("t.json", &azure_template(&cloud, DEBIAN, SHELL));
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("planted");
    assert_eq!(cloud.created(&lab), Vec::<String>::new());
}

#[test]
fn the_null_builder_needs_no_machine() {
    let lab = Lab::new();
    lab.write(
        "t.json",
        r#"{"builders":[{"type":"null","communicator":"none"}],"post-processors":["manifest"]}"#,
    );
    lab.run(&["build", "t.json"]).expect_code(0);
    let manifest =
        std::fs::read_to_string(lab.path().join("packer-manifest.json")).expect("the manifest is there");
    assert!(manifest.contains("\"builder_type\": \"null\""), "{manifest}");
}

#[test]
fn template_errors_come_all_at_once_with_their_places() {
    let lab = Lab::new();
    lab.write("t.json", "{\n  \"builders\": [\n    { \"type\": \"null\", \"comunicator\": \"none\" }\n  ],\n  \"provisioner\": []\n}\n");
    let ran =
        lab.run(&["validate", "t.json"]).expect_code(1).expect_says("t.json:5:3").expect_says("provisioners");
    assert!(!ran.all().contains("panicked"), "{}", ran.all());
    let ran = lab.run(&["validate", "--json", "t.json"]).expect_code(1);
    let first: serde_json::Value =
        serde_json::from_str(ran.stdout.lines().next().expect("a line")).expect("a diagnostic is an object");
    assert_eq!(first["type"], "diagnostic");
    assert_eq!(first["file"], "t.json");
}

#[test]
fn a_simulated_build_tells_all_mistakes_even_where_no_simulator_starts() {
    let lab = Lab::new();
    lab.write(
        "t.json",
        r#"{"variables": {"place": null}, "builders": [{"type": "azure-arm", "location": "{{user `place`}}", "vm_sise": "x"}]}"#,
    );
    let build = ["build", "--simulate", "--machine", "record", "t.json"];
    lab.run(&build)
        .expect_code(1)
        .expect_says("\"place\" has no value")
        .expect_says("did you mean \"vm_size\"?");
    let seeded = [&build[..4], &["--seed", "nowhere.json", "t.json"]].concat();
    lab.run(&seeded).expect_code(1).expect_says("\"place\" has no value").expect_says("nowhere.json");
}

#[test]
fn the_template_of_the_article_gets_precise_messages_and_builds_when_mended() {
    let seed = workspace().join("../shared/seed/template.json");
    let Ok(text) = std::fs::read_to_string(&seed) else {
        fornax_tests::skipped("the template of the article", "../shared/seed is not beside this checkout");
        return;
    };
    let mut lab = Lab::new();
    for name in ["ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"] {
        lab.set(name, "11111111-2222-4333-8444-555555555555");
    }
    lab.set("ID", "7");
    lab.write("t.json", &text);
    lab.run(&["validate", "t.json"])
        .expect_code(1)
        .expect_says("managed_image_resource_group_name")
        .expect_says("managed_image_name")
        .expect_says("blank");
    let mended = text
        .replace("\" sandeep-cus-rg {{", "\"sandeep-cus-rg-{{")
        .replace("\"myPackerImage {{", "\"myPackerImage-{{");
    lab.write("mended.json", &mended);
    lab.run(&["build", "--simulate", "--machine", "record", "mended.json"])
        .expect_code(0)
        .expect_says("imulated");
}

#[test]
fn usage_errors_have_packers_exit_codes() {
    let lab = Lab::new();
    lab.run(&["nonsense"]).expect_code(127);
    lab.run(&[]).expect_code(127);
    lab.run(&["build"]).expect_code(1);
    lab.run(&["build", "nosuch.json"]).expect_code(1).expect_says("nosuch.json");
    lab.run(&["version"]).expect_code(0).expect_says("Fornax v");
}
