//! HCL2 templates with the real binary: builds on the simulated cloud, values from every door, secrets, and what is
//! left after a crash.

use fornax_tests::{Cloud, Lab, files_below, workspace};

/// The azure-arm source of a cloud, with the secret in a variable.
fn azure_source(cloud: &Cloud) -> String {
    format!(
        r#"variable "client_secret" {{
  type      = string
  sensitive = true
}}
variable "name" {{
  default = "img"
}}
locals {{
  greeting = "hello ${{var.name}}"
}}
source "azure-arm" "web" {{
  metadata_host                     = "{}"
  tenant_id                         = "{}"
  subscription_id                   = "{}"
  client_id                         = "{}"
  client_secret                     = var.client_secret
  os_type                           = "Linux"
  image_publisher                   = "Debian"
  image_offer                       = "debian-12"
  image_sku                         = "12"
  location                          = "westeurope"
  vm_size                           = "Standard_B1s"
  managed_image_resource_group_name = "images"
  managed_image_name                = var.name
  ssh_port                          = {}
}}
"#,
        cloud.text("metadata_host"),
        cloud.text("tenant_id"),
        cloud.text("subscription_id"),
        cloud.text("client_id"),
        cloud.ssh_port(),
    )
}

const BUILD: &str = r#"build {
  name    = "site"
  sources = ["source.azure-arm.web"]
  provisioner "shell" {
    name   = "greet"
    inline = ["echo ${local.greeting} ${source.name} ${build.name}", "echo ${build.TempResourceGroupName}"]
  }
  dynamic "provisioner" {
    for_each = ["one", "two"]
    labels   = ["shell"]
    content {
      inline = ["echo step ${provisioner.value}"]
    }
  }
  post-processor "manifest" {
    custom_data = { secret = upper(var.client_secret), who = build.User }
  }
}
"#;

#[test]
fn an_image_is_built_from_a_folder() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    let secret = cloud.text("client_secret").to_owned();
    lab.canary(&secret.to_uppercase());
    std::fs::create_dir(lab.path().join("t")).expect("a folder");
    lab.write("t/source.pkr.hcl", &azure_source(&cloud));
    lab.write("t/build.pkr.hcl", BUILD);
    lab.write("t/x.auto.pkrvars.hcl", "name = \"web-1\"\n");
    lab.set("PKR_VAR_client_secret", &secret);
    lab.run(&["validate", "t"]).expect_code(0);
    let ran = lab.run(&["build", "-color=false", "--report", "report.json", "t"]).expect_code(0);
    assert!(ran.stdout.contains("==> site.azure-arm.web: "), "{}", ran.stdout);
    let image =
        cloud.inventory(&lab).into_iter().find(|r| r["id"].as_str().is_some_and(|i| i.ends_with("/web-1")));
    let provenance = image.expect("the image is there")["provenance"].to_string();
    // The record keeps the texts of scripts as digests only: one command line for each of the three steps.
    assert!(provenance.matches("/tmp/script_").count() >= 3, "{provenance}");
    assert_eq!(cloud.created(&lab).len(), 1, "only the image remains");
    let manifest = std::fs::read_to_string(lab.path().join("packer-manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"name\": \"web\""), "{manifest}");
    assert!(!manifest.contains(&secret.to_uppercase()), "what is made of a secret is one: {manifest}");
}

#[test]
fn a_killed_build_is_cleaned_up_with_the_credentials_of_its_template() {
    let mut lab = Lab::new();
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    lab.write("t.pkr.hcl", &format!("{}{BUILD}", azure_source(&cloud)));
    lab.set("PKR_VAR_client_secret", cloud.text("client_secret"));
    lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", "8");
    assert_ne!(lab.run(&["build", "t.pkr.hcl"]).code(), Some(0));
    lab.set("FORNAX_TEST_DIE_AFTER_RECORDS", "");
    assert!(!cloud.created(&lab).is_empty(), "something was left to clean up");
    for name in ["ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"] {
        lab.set(name, "");
    }
    lab.run(&["cleanup", "--all"]).expect_code(0);
    assert_eq!(cloud.created(&lab), Vec::<String>::new());
}

#[test]
fn the_example_builds_what_its_json_twin_builds() {
    let lab = Lab::new();
    let mut steps = Vec::new();
    for file in ["nginx.json", "nginx.pkr.hcl"] {
        let path = workspace().join("examples/nginx").join(file).display().to_string();
        lab.run(&["build", "--simulate", "--machine", "record", "--report", "report.json", &path])
            .expect_code(0);
        let text = std::fs::read_to_string(lab.path().join("report.json")).expect("a report");
        let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let build = &report["builds"][0];
        let names: Vec<String> =
            build["steps"].as_array().expect("steps").iter().map(|s| s["name"].to_string()).collect();
        assert!(names.len() > 8, "{names:?}");
        steps.push(names);
    }
    assert_eq!(steps[0], steps[1]);
}

#[test]
fn secrets_of_broken_templates_are_not_told() {
    let mut lab = Lab::new();
    let canary = "correct-horse-'battery'-\u{e9}";
    lab.canary(canary);
    let head = format!(
        "variable \"p\" {{\n  sensitive = true\n  default = {{ word = \"{canary}\", n = 31415926 }}\n}}\nlocal \"s\" {{\n  sensitive = true\n  expression = \"x-${{var.p.word}}\"\n}}\n"
    );
    let null = "source \"null\" \"n\" {\n  communicator = \"none\"\n}\n";
    for (name, rest) in [
        ("index", "locals {\n  a = var.p.word[0]\n}\n"),
        ("argument", "locals {\n  a = parseint(var.p.word, 10)\n}\n"),
        ("text", "locals {\n  a = 1 + local.s\n}\n"),
        ("key", "locals {\n  a = {for x in [local.s, local.s] : x => 1}\n}\n"),
        (
            "option",
            "build {\n  sources = [\"null.n\"]\n  provisioner \"shell-local\" {\n    inlin = [var.p.word]\n  }\n}\n",
        ),
        (
            "pause",
            "build {\n  sources = [\"null.n\"]\n  provisioner \"shell-local\" {\n    pause_before = local.s\n  }\n}\n",
        ),
        ("source", "build {\n  sources = [local.s]\n}\n"),
        ("syntax", "locals {\n  a = \n}\n"),
    ] {
        lab.write(&format!("{name}.pkr.hcl"), &format!("{head}{null}{rest}"));
        let file = format!("{name}.pkr.hcl");
        for args in [
            &["validate"][..],
            &["validate", "--json"],
            &["validate", "-syntax-only"],
            &["inspect"],
            &["build"],
        ] {
            let ran = lab.run(&[args, &[file.as_str()]].concat());
            lab.scan(&ran);
        }
    }
    // The lines that hold the secret are shown where a mistake is beside it.
    lab.write(
        "beside.pkr.hcl",
        &format!("variable \"p\" {{\n  default = \"{canary}\" sensitive = true\n}}\n"),
    );
    let ran = lab.run(&["validate", "beside.pkr.hcl"]).expect_code(1);
    assert!(ran.all().contains("beside.pkr.hcl:2"), "{}", ran.all());
}

#[test]
fn secrets_are_masked_in_what_a_build_prints() {
    let mut lab = Lab::new();
    let canary = "tell-nobody-$HOME-\"quoted\"";
    lab.canary(canary);
    lab.set("PKR_VAR_p", canary);
    lab.write(
        "t.pkr.hcl",
        "variable \"p\" {\n  type = string\n  sensitive = true\n}\nsource \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n  provisioner \"shell-local\" {\n    environment_vars = [\"SECRET=${var.p}\"]\n    inline = [\"printf '%s' \\\"$SECRET\\\" > arrived.txt\", \"echo told: $SECRET\"]\n  }\n}\n",
    );
    let ran = lab.run(&["build", "--report", "report.json", "t.pkr.hcl"]).expect_code(0);
    lab.scan(&ran);
    assert!(ran.stdout.contains("told: <sensitive>"), "{}", ran.stdout);
    let arrived = std::fs::read_to_string(lab.path().join("arrived.txt")).expect("the step ran");
    assert_eq!(arrived, canary);
    for file in files_below(lab.path()).iter().filter(|f| !f.ends_with("arrived.txt")) {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
        assert!(!text.contains(canary), "{}", file.display());
    }
    let console = lab.run(&["console", "t.pkr.hcl"]);
    lab.scan(&console);
}

#[test]
fn what_is_for_another_cloud_keeps_nothing_else_from_being_built() {
    let lab = Lab::new();
    lab.write(
        "clouds.pkr.hcl",
        r#"packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.0.0"
    }
  }
}
source "amazon-ebs" "web" { region = "eu-central-1" }
source "file" "web" {
  content = "built"
  target  = "web.txt"
}
build {
  sources = ["amazon-ebs.web", "file.web"]
}
"#,
    );
    lab.run(&["init", "clouds.pkr.hcl"]).expect_code(1).expect_says("\"amazon\"");
    lab.run(&["validate", "clouds.pkr.hcl"])
        .expect_code(1)
        .expect_says("unknown builder type \"amazon-ebs\"");
    lab.run(&["validate", "-only=file.*", "clouds.pkr.hcl"]).expect_code(0).expect_says("\"amazon\"");
    // Not everything was built, and the end says what was not.
    let ran = lab.run(&["build", "clouds.pkr.hcl"]).expect_code(1);
    assert!(
        ran.stdout.ends_with("--> amazon-ebs.web: there is no builder \"amazon-ebs\"\n"),
        "{}",
        ran.stdout
    );
    let built = || std::fs::read_to_string(lab.path().join("web.txt")).expect("the file is built");
    assert_eq!(built(), "built");
    std::fs::remove_file(lab.path().join("web.txt")).expect("it is there");
    let ran = lab.run(&["build", "-only=file.*", "clouds.pkr.hcl"]).expect_code(0);
    assert!(!ran.stdout.contains("left out"), "{}", ran.stdout);
    assert_eq!(built(), "built");
}

#[test]
fn values_of_data_sources_that_are_not_asked_are_no_mistakes() {
    let lab = Lab::new();
    lab.write(
        "t.pkr.hcl",
        r#"data "null" "where" {
  input = "westeurope!"
}
locals {
  disk = data.null.where.output
}
source "azure-arm" "web" {
  client_id         = "a"
  client_secret     = "b"
  subscription_id   = "c"
  os_type           = "Linux"
  image_publisher   = "Debian"
  image_offer       = "debian-12"
  image_sku         = "12"
  location          = data.null.where.output
  os_disk_size_gb   = local.disk
  skip_create_image = true
}
source "file" "note" {
  target  = "note.txt"
  content = local.disk
}
build {
  sources = ["source.azure-arm.web", "source.file.note"]
}
"#,
    );
    lab.run(&["validate", "t.pkr.hcl"]).expect_code(0).expect_says("The configuration is valid.");
    // Once it is known, it is checked.
    lab.run(&["validate", "-evaluate-datasources", "t.pkr.hcl"])
        .expect_code(1)
        .expect_says("\"os_disk_size_gb\" must be a whole number");
}
