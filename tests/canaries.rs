//! Secrets from end to end: values full of special characters come in through every door, are used wherever a template
//! can use them, arrive exactly where they belong, and are found nowhere else: not in what a run prints in any of its
//! formats, not in logs, reports, journals and manifests, and not in what is said of a broken template. A value that is
//! no secret takes the same ways and must be found, so that a search in the wrong place can't pass.

use std::path::Path;

use fornax_tests::canary::{Canary, Scanner};
use fornax_tests::sshd::Sshd;
use fornax_tests::{Cloud, DEBIAN, Lab, Ran, azure_template, files_below};
use serde_json::{Value, json};

/// Takes the same ways as the secrets.
const OPEN: &str = "open-Canary-0123456789";
const MASK: &str = "<sensitive>";
const SPECIAL: &str = "'\"$`\\,;%&<>|!*?[](){}#~=+/ äß€";

fn canaries() -> Vec<Canary> {
    vec![
        Canary::new("four", "q'\"ö"),
        Canary::new("twelve", "$(id);\\ä,\"x%"),
        Canary::long("sixty-four", 64, &SPECIAL.replace(['{', '}'], "")),
        Canary::long("thousand", 1000, &(SPECIAL.replace(['{', '}'], "") + "\n\t")),
        Canary::long("four-thousand", 4000, &SPECIAL.replace(['{', '}'], "")),
        Canary::new("blanks", "  leads, and\ttrails \\ "),
        Canary::new(
            "lines",
            "-----BEGIN KEY-----\nQUJD+REVG/R0hJSktMTU5P'UFFS\nU1RVVldYWVphYmNkZWZn\"aGlq$a2w\n-----END KEY-----\n",
        ),
        Canary::new("password", "p'w\"with $many `odd\\ ones"),
    ]
}

/// Gives each variable `c0`, `c1`, … its value through another door. Returns the flags of the command line.
fn through_all_doors(lab: &mut Lab, template: &mut Value, canaries: &[Canary]) -> Vec<String> {
    let mut flags = vec!["-var".to_owned(), format!("open={OPEN}")];
    let mut file = json!({});
    template["variables"]["open"] = "".into();
    let mut sensitive = template["sensitive-variables"].as_array().cloned().unwrap_or_default();
    for (index, canary) in canaries.iter().enumerate() {
        let name = format!("c{index}");
        template["variables"][&name] = match index % 4 {
            0 => canary.value.clone().into(),
            1 => {
                flags.extend(["-var".to_owned(), format!("{name}={}", canary.value)]);
                Value::Null
            }
            2 => {
                file[&name] = canary.value.clone().into();
                "".into()
            }
            _ => {
                let variable = format!("CANARY_{index}");
                lab.set(&variable, &canary.value);
                format!("{{{{env `{variable}`}}}}").into()
            }
        };
        sensitive.push(name.into());
    }
    template["sensitive-variables"] = sensitive.into();
    let path = lab.write("vars.json", &file.to_string());
    flags.extend(["-var-file".to_owned(), path.display().to_string()]);
    flags
}

fn user(index: usize) -> String {
    format!("{{{{user `c{index}`}}}}")
}

/// For each canary one text, made by `make` from its number.
fn each<T>(canaries: &[Canary], make: impl Fn(usize) -> T) -> Vec<T> {
    (0..canaries.len()).map(make).collect()
}

/// A template that uses every canary in every place of a build on a machine with a shell; what arrives there is
/// written below `out`.
fn machine_template(sshd: &Sshd, canaries: &[Canary], out: &Path) -> Value {
    let out = out.display();
    let env = || {
        let mut env = each(canaries, |i| format!("C{i}={}", user(i)));
        env.push("OPEN={{user `open`}}".to_owned());
        env
    };
    let write =
        |from: &str, to: &str| each(canaries, |i| format!("printf %s \"${from}{i}\" > {out}/{to}{i}"));
    // All that a careless script may do to a secret.
    let mut shell = write("C", "env");
    shell.extend(each(canaries, |i| {
        format!(
            "for v in \"$C{i}\" \"$OPEN\"; do printf '%s\\n' \"$v\"; printf 'a: %s.\\n' \"$v\" >&2; \
             printf %s \"$v\" | base64; printf 'u%s' \"$v\" | base64 -w0; echo; \
             printf 'us:%s' \"$v\" | base64 -w0; echo; printf %s \"$v\" | od -An -v -tx1 | tr -d ' \\n'; echo; \
             printf %s \"$v\" | dd bs=5 status=none; echo; printf '\\033[1m%s\\033[0m\\n' \"$v\"; \
             printf %s \"$v\" | sed \"s/'/'\\\"'\\\"'/g\"; echo; printf %s \"$v\" | sed 's/[\\\\\"$`]/\\\\&/g'; echo; \
             V=\"$v\" sh -xc ': \"$V\"'; done"
        )
    }));
    let placed = each(canaries, |i| {
        let c = user(i);
        format!("A{i}={c} B{i}='<{c}' D{i}=\"{c}>\"")
    });
    let mut placements = write("A", "bare");
    placements.extend(write("B", "single"));
    placements.extend(write("D", "double"));
    let mut provisioners = vec![
        json!({"type": "shell", "environment_vars": env(), "inline": shell}),
        json!({"type": "shell", "environment_vars": env(), "use_env_var_file": true, "inline": write("C", "file")}),
        json!({
            "type": "shell",
            "execute_command": format!("chmod +x {{{{.Path}}}}; {} {{{{.Vars}}}} {{{{.Path}}}}", placed.join(" ")),
            "inline": placements,
        }),
        json!({
            "type": "shell",
            "inline": each(canaries, |i| format!("cat > {out}/inline{i} <<'END OF IT'\n{}\nEND OF IT", user(i))),
        }),
        json!({"type": "shell", "inline": ["cat <<'END OF IT'\n{{build `Password`}}\nEND OF IT", "echo {{user `open`}}"]}),
    ];
    provisioners.extend(each(
        canaries,
        |i| json!({"type": "file", "content": user(i), "destination": format!("{out}/content{i}")}),
    ));
    let mut data = json!({"open": "{{user `open`}}"});
    for index in 0..canaries.len() {
        data[format!("d{index}")] = format!("data {}", user(index)).into();
    }
    json!({
        "builders": [{
            "type": "null", "ssh_host": "127.0.0.1", "ssh_port": sshd.port, "ssh_username": sshd.user,
            "ssh_private_key_file": sshd.key, "ssh_password": user(canaries.len() - 1)
        }],
        "provisioners": provisioners,
        "post-processors": [{"type": "manifest", "output": "manifest.json", "custom_data": data}]
    })
}

/// Runs and looks through everything that came of it; returns what it printed.
#[track_caller]
fn run_and_scan(lab: &Lab, scanner: &Scanner, args: &[String]) -> Ran {
    let ran = lab.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = args.first().map_or("", String::as_str);
    scanner.expect_nothing(&format!("the standard output of {shown}"), ran.stdout.as_bytes());
    scanner.expect_nothing(&format!("the standard error of {shown}"), ran.stderr.as_bytes());
    for file in files_below(&lab.state()) {
        scanner.expect_nothing(&file.display().to_string(), &std::fs::read(&file).unwrap_or_default());
    }
    ran
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[test]
fn on_a_machine_with_a_shell_secrets_arrive_exactly_and_are_shown_nowhere() {
    let mut lab = Lab::new();
    let Some(sshd) = Sshd::start("secrets on a machine with a shell", lab.path()) else { return };
    let canaries = canaries();
    let scanner = Scanner::new(&canaries);
    let out = lab.path().join("out");
    let mut template = machine_template(&sshd, &canaries, &out);
    let flags = through_all_doors(&mut lab, &mut template, &canaries);
    lab.write("t.json", &template.to_string());

    for (mode, log) in [
        (&["-color=false"][..], ""),
        (&["--json"], ""),
        (&["-machine-readable"], ""),
        (&["-debug", "-timestamp-ui"], "trace"),
    ] {
        std::fs::create_dir(&out).expect("it is not there");
        lab.set("FORNAX_LOG", log);
        let args = [strings(&["build"]), strings(mode), strings(&["--report", "report.json"]), flags.clone()];
        let ran =
            run_and_scan(&lab, &scanner, &[args.concat(), strings(&["t.json"])].concat()).expect_code(0);
        assert!(ran.stdout.contains(OPEN) && ran.stdout.contains(MASK), "{mode:?}: {}", ran.stdout);
        if log == "trace" {
            assert!(ran.stderr.contains("TRACE"), "the log says nothing: {}", ran.stderr);
        }
        for name in ["report.json", "manifest.json"] {
            let path = lab.path().join(name);
            let file = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            scanner.expect_nothing(name, &file);
            if name == "manifest.json" {
                let text = String::from_utf8_lossy(&file);
                assert!(text.contains(OPEN) && text.contains("data "), "{text}");
            }
            std::fs::remove_file(path).expect("it is ours");
        }
        for (index, canary) in canaries.iter().enumerate() {
            let value = &canary.value;
            for (place, wanted) in [
                ("env", value.clone()),
                ("file", value.clone()),
                ("bare", value.clone()),
                ("single", format!("<{value}")),
                ("double", format!("{value}>")),
                ("inline", format!("{value}\n")),
                ("content", value.clone()),
            ] {
                let got = std::fs::read_to_string(out.join(format!("{place}{index}"))).unwrap_or_default();
                assert_eq!(got, wanted, "{} through {place} in {mode:?}", canary.name);
            }
        }
        std::fs::remove_dir_all(&out).expect("it is ours");
    }
}

#[test]
fn a_failure_names_no_secret() {
    let mut lab = Lab::new();
    let Some(sshd) = Sshd::start("secrets in failures", lab.path()) else { return };
    let canaries = canaries();
    let scanner = Scanner::new(&canaries);
    // All in one path, but for those that are too long for one.
    let short = canaries.iter().enumerate().filter(|(_, canary)| canary.value.len() < 500);
    let path: String = short.map(|(index, _)| format!("/{}", user(index))).collect();
    let mut template = machine_template(&sshd, &canaries, lab.path());
    template["provisioners"] = json!([{
        "type": "file", "content": "x", "destination": format!("/nonexistent/{{{{user `open`}}}}{path}/x"),
        "max_retries": 1
    }]);
    let mut flags = through_all_doors(&mut lab, &mut template, &canaries);
    flags.extend(strings(&["--report", "report.json", "t.json"]));
    lab.write("t.json", &template.to_string());
    for mode in [&["build"][..], &["build", "--json"], &["build", "-on-error=abort", "-machine-readable"]] {
        let ran = run_and_scan(&lab, &scanner, &[strings(mode), flags.clone()].concat());
        ran.expect_code(1).expect_says(OPEN).expect_says(MASK);
        let report = std::fs::read(lab.path().join("report.json")).expect("the report is there");
        scanner.expect_nothing("the report", &report);
        assert!(String::from_utf8_lossy(&report).contains(OPEN));
    }
}

#[test]
fn what_a_cloud_was_told_and_what_it_answers_is_masked() {
    let mut lab = Lab::new();
    let canaries: Vec<Canary> = canaries().into_iter().filter(|canary| canary.value.len() <= 256).collect();
    let scanner = Scanner::new(&canaries);
    let words: Vec<&str> = canaries.iter().map(|canary| canary.value.as_str()).collect();
    let answer = format!("planted {OPEN} {}", words.join(" | "));
    let faults = json!({"rules": [{
        "match": {"method": "POST", "path": "/generalize$"},
        "then": {"status": 409, "code": "Conflict", "message": answer}
    }]});
    lab.write("faults.json", &faults.to_string());
    let cloud = Cloud::start(&mut lab, &["--machine", "record", "--faults", "faults.json"]);
    let env = each(&canaries, |i| format!("C{i}={}", user(i)));
    let content = user(canaries.len() - 1);
    let extra = json!([
        {"type": "shell", "environment_vars": env, "inline": ["true"]},
        {"type": "file", "content": content, "destination": "/tmp/content"}
    ]);
    let text = azure_template(&cloud, DEBIAN, &format!(r#", "provisioners": {extra}"#));
    let mut template: Value = serde_json::from_str(&text).expect("it is JSON");
    template["builders"][0]["azure_tags"] = json!({"open": "{{user `open`}}"});
    for index in 0..canaries.len() {
        template["builders"][0]["azure_tags"][format!("tag{index}")] = user(index).into();
    }
    let flags = through_all_doors(&mut lab, &mut template, &canaries);
    lab.write("t.json", &template.to_string());
    let build =
        |mode: &[&str]| [strings(&["build"]), strings(mode), flags.clone(), strings(&["t.json"])].concat();

    for mode in [&["--json"][..], &["-machine-readable"]] {
        run_and_scan(&lab, &scanner, &build(mode)).expect_code(1).expect_says(OPEN).expect_says(MASK);
    }
    lab.set("FORNAX_LOG", "trace");
    let abort = ["-on-error=abort", "-debug", "--report", "report.json"];
    run_and_scan(&lab, &scanner, &build(&abort)).expect_code(5).expect_says(OPEN);
    let report = std::fs::read(lab.path().join("report.json")).expect("the report is there");
    scanner.expect_nothing("the report", &report);
    let journals = files_below(&lab.state());
    let journal =
        journals.iter().find(|file| file.ends_with("journal.jsonl")).expect("the journal has stayed");
    let journal = std::fs::read_to_string(journal).expect("it can be read");
    assert!(journal.contains(OPEN) && journal.contains("vars.json"), "{journal}");

    // The values have arrived where they were meant to.
    let inventory = cloud.inventory(&lab);
    for (index, canary) in canaries.iter().enumerate() {
        let tag = format!("tag{index}");
        let tagged = inventory.iter().filter(|resource| resource["tags"][&tag] == canary.value.as_str());
        assert!(tagged.count() > 1, "{} is no tag of anything", canary.name);
    }
    for args in [&["cleanup", "--json"][..], &["cleanup", "--dry-run"], &["cleanup", "--all", "--json"]] {
        run_and_scan(&lab, &scanner, &strings(args)).expect_code(0);
    }
    assert_eq!(cloud.created(&lab), Vec::<String>::new());
}

#[test]
fn what_the_record_machine_was_sent_is_what_was_meant() {
    let mut lab = Lab::new();
    let canaries = canaries();
    let scanner = Scanner::new(&canaries);
    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    let mut provisioners = each(
        &canaries,
        |i| json!({"type": "file", "content": user(i), "destination": format!("/tmp/content{i}")}),
    );
    let env = each(&canaries, |i| format!("C{i}={}", user(i)));
    provisioners.push(json!({"type": "shell", "environment_vars": env, "inline": ["true"]}));
    let extra = format!(r#", "provisioners": {}"#, Value::from(provisioners));
    let mut template: Value =
        serde_json::from_str(&azure_template(&cloud, DEBIAN, &extra)).expect("it is JSON");
    let mut flags = through_all_doors(&mut lab, &mut template, &canaries);
    lab.write("t.json", &template.to_string());
    flags.push("t.json".to_owned());
    run_and_scan(&lab, &scanner, &[strings(&["build"]), flags].concat()).expect_code(0);
    let inventory = cloud.inventory(&lab);
    let image = inventory.iter().find(|r| !r["provenance"].is_null()).expect("the image is there");
    let commands = image["provenance"]["commands"].to_string();
    for canary in canaries.iter().filter(|canary| canary.value.len() <= 1000) {
        let quoted = json!(format!("='{}' ", canary.value.replace('\'', r"'\''"))).to_string();
        assert!(commands.contains(quoted.trim_matches('"')), "{} did not arrive: {}", canary.name, commands);
    }
    let files = image["provenance"]["files"].to_string();
    for (index, canary) in canaries.iter().enumerate() {
        let mut listed = image["provenance"]["files"].as_array().into_iter().flatten();
        let file = listed.rfind(|file| file["path"] == format!("/tmp/content{index}"));
        assert_eq!(
            file.and_then(|file| file["size"].as_u64()),
            Some(canary.value.len() as u64),
            "{}: {files}",
            canary.name
        );
    }
}

#[test]
fn three_characters_are_masked_where_they_stand_alone_and_the_user_is_told() {
    let lab = Lab::new();
    let template = json!({
        "variables": {"pin": "7zq", "open": OPEN}, "sensitive-variables": ["pin"],
        "builders": [{"type": "file", "content": "{{user `pin`}}", "target": "a{{user `pin`}}b.txt"}],
        "post-processors": [{"type": "manifest", "output": "m.json",
            "custom_data": {"alone": "is {{user `pin`}}.", "within": "x{{user `open`}}"}}]
    });
    lab.write("t.json", &template.to_string());
    for args in [&["build", "--report", "r.json", "t.json"][..], &["build", "--json", "t.json"]] {
        let ran = lab.run(args).expect_code(0).expect_says("template/short-secret").expect_says("pin");
        assert!(ran.stdout.contains("a7zqb.txt"), "{}", ran.stdout);
        assert_eq!(std::fs::read_to_string(lab.path().join("a7zqb.txt")).ok().as_deref(), Some("7zq"));
        let manifest = std::fs::read_to_string(lab.path().join("m.json")).expect("the manifest is there");
        assert!(manifest.contains("is <sensitive>.") && manifest.contains(OPEN), "{manifest}");
        let alone = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "7zq");
        let report = std::fs::read_to_string(lab.path().join("r.json")).expect("the report is there");
        assert!(!alone(&ran.all()) && !alone(&manifest) && !alone(&report), "{}", ran.all());
    }
    lab.run(&["validate", "t.json"]).expect_code(0).expect_says("template/short-secret");
    let ran = lab.run(&["inspect", "t.json"]).expect_code(0).expect_says(OPEN);
    assert!(!ran.stdout.contains("7zq"), "{}", ran.stdout);
}

/// Templates that are wrong near a secret: `SECRET` stands for its text in JSON, quotes included.
const BROKEN: &[(&str, &str)] = &[
    (
        "an unknown key on the line of the secret",
        r#"{"variables": {"c": SECRET}, "sensitive-variables": ["c"], "bilders": []}"#,
    ),
    (
        "the secret before an unknown key",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET}, "bilders": [], "builders": [{"type": "null", "communicator": "none", "x": 1}]}"#,
    ),
    (
        "a missing comma behind it",
        "{\"variables\": {\"c\": SECRET \"d\": \"\"},\n\"sensitive-variables\": [\"c\"],\n\"builders\": [{\"type\": \"null\", \"communicator\": \"none\"}]}",
    ),
    ("no end behind it", "{\"sensitive-variables\": [\"c\"], \"variables\": {\"c\": SECRET"),
    (
        "a string without an end",
        "{\"sensitive-variables\": [\"c\"],\n\"variables\": {\"c\": SECRET_OPEN\n}, \"builders\": []}",
    ),
    (
        "a bad escape in it",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET_OPEN\q"}, "builders": [{"type": "null", "communicator": "none"}]}"#,
    ),
    (
        "a list in place of it",
        r#"{"sensitive-variables": ["c"], "variables": {"c": [SECRET]}, "builders": [{"type": "null", "communicator": "none"}]}"#,
    ),
    (
        "an action that can't be rendered",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET_OPEN {{nope}}"}, "builders": [{"type": "null", "communicator": "none"}]}"#,
    ),
    (
        "it as a duration",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET}, "builders": [{"type": "null", "communicator": "none"}], "provisioners": [{"type": "shell", "inline": ["true"], "pause_after": "{{user `c`}}"}]}"#,
    ),
    (
        "it as a number",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET}, "builders": [{"type": "null", "communicator": "none"}], "provisioners": [{"type": "shell", "inline": ["true"], "valid_exit_codes": ["{{user `c`}}"], "max_retries": "{{user `c`}}"}]}"#,
    ),
    (
        "it as a host path",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET}, "builders": [{"type": "null", "communicator": "none"}], "provisioners": [{"type": "shell", "scripts": ["/x/{{user `c`}}"]}, {"type": "file", "source": "{{user `c`}}", "destination": "/x"}]}"#,
    ),
    (
        "it as an azure option",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET}, "builders": [{"type": "azure-arm", "name": "x{{user `c`}}", "location": "{{user `c`}}", "os_type": "{{user `c`}}", "vm_size": "{{user `c`}}", "managed_image_name": "{{user `c`}}", "managed_image_resource_group_name": "{{user `c`}}", "polling_duration_timeout": "{{user `c`}}", "os_disk_size_gb": "{{user `c`}}", "cloud_environment_name": "{{user `c`}}", "image_publisher": "x", "image_offer": "x", "image_sku": "x", "ssh_port": "{{user `c`}}", "client_id": "{{user `c`}}"}]}"#,
    ),
    (
        "it within another variable",
        r#"{"sensitive-variables": ["c"], "variables": {"c": SECRET, "url": "jdbc:{{user `c`}};", "copy": SECRET}, "builders": [{"type": "null", "communicator": "none"}], "provisioners": [{"type": "{{user `url`}}"}]}"#,
    ),
];

/// Variable files that are wrong near a secret.
const BROKEN_FILES: &[(&str, &str)] = &[
    ("a missing comma", "{\"c\": SECRET \"d\": \"x\"}"),
    ("no end", "{\"c\": SECRET"),
    ("a string without an end", "{\"c\": SECRET_OPEN\n}"),
    ("a list", "{\"c\": [SECRET]}"),
    ("something behind it", "{\"c\": SECRET, x}"),
];

#[test]
fn what_is_said_of_a_broken_template_tells_no_secret() {
    let lab = Lab::new();
    let secret = Canary::long("secret", 300, "'\"$\\,%&<>ä");
    let short = Canary::new("short", "s3'\"Öx,\\é");
    let commands: &[&[&str]] = &[
        &["validate"],
        &["validate", "--json"],
        &["validate", "--syntax-only"],
        &["inspect"],
        &["inspect", "-machine-readable"],
        &["build"],
        &["build", "--json"],
    ];
    let mut failures = Vec::new();
    for canary in [&secret, &short] {
        let scanner = Scanner::new([canary]);
        let text = Value::from(canary.value.as_str()).to_string();
        let fill =
            |broken: &str| broken.replace("SECRET_OPEN", text.trim_end_matches('"')).replace("SECRET", &text);
        let mut check = |what: &str, args: Vec<String>| {
            let ran = lab.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(!ran.all().contains("panicked"), "{what}: {}", ran.all());
            assert!(
                ran.code() == Some(0) || ran.all().contains(".json") || ran.all().contains("-var"),
                "{what}: {}",
                ran.all()
            );
            if args[0] != "inspect"
                && !what.starts_with("a list")
                && !args.iter().any(|a| a == "--syntax-only")
            {
                assert_eq!(ran.code(), Some(1), "{what} {args:?}: {}", ran.all());
            }
            if let Some((name, around)) = scanner.find(ran.all().as_bytes()) {
                failures.push(format!("{what} ({name}), {:?}:\n{around}\n", &args[..2]));
            }
        };
        for (what, broken) in BROKEN {
            lab.write("t.json", &fill(broken));
            for command in commands {
                check(what, [strings(command), strings(&["t.json"])].concat());
            }
        }
        let sound = r#"{"sensitive-variables": ["c"], "variables": {"c": ""}, "builders": [{"type": "null", "communicator": "none"}]}"#;
        lab.write("t.json", sound);
        for (what, broken) in BROKEN_FILES {
            lab.write("v.json", &fill(broken));
            for command in [&["validate"][..], &["validate", "--json"], &["build"]] {
                check(what, [strings(command), strings(&["-var-file", "v.json", "t.json"])].concat());
            }
        }
        for var in [format!("c:{}", canary.value.replace('=', "")), format!("c={}{{{{nope}}}}", canary.value)]
        {
            check("a wrong -var", vec!["validate".into(), "-var".into(), var, "t.json".into()]);
        }
    }
    assert!(failures.is_empty(), "{}", failures.concat());
}
