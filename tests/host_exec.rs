//! Commands on the machine that runs the build, as a user of `shell-local` sees them: where they run, what they know,
//! that secrets stay secret, that the operator can take the right away, and that nothing survives a cancelled build.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fornax_tests::{Lab, Ran, finish, workspace};

const SECRET: &str = "pl4in'te\"xt $(id)`\\ €end";

/// A template with the null builder, these provisioners and these post-processors (JSON).
fn template(provisioners: &str, post_processors: &str) -> String {
    format!(
        r#"{{
  "variables": {{"token": ""}}, "sensitive-variables": ["token"],
  "builders": [{{"name": "img", "type": "null", "communicator": "none"}}],
  "provisioners": [{provisioners}],
  "post-processors": [{post_processors}]
}}"#
    )
}

fn text(lab: &Lab, name: &str) -> String {
    let path = lab.path().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn commands_run_in_the_users_folder_with_the_users_environment() {
    let mut lab = Lab::new();
    lab.set("FROM_THE_USER", "yes");
    lab.write("own.sh", "#!/bin/sh\nprintf '%s' \"own $KIND\" > own.txt\nexit 7\n");
    let own = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path().join("own.sh"), own).expect("ours");
    lab.write(
        "t.json",
        &template(
            r#"{"type": "shell-local", "inline": ["pwd > where.txt", "echo $FROM_THE_USER $PACKER_BUILD_NAME $PACKER_BUILDER_TYPE > env.txt", "echo said"]},
               {"type": "shell-local", "script": "own.sh", "env": {"KIND": "it's"}, "valid_exit_codes": [7]},
               {"type": "shell-local", "command": "touch skipped", "only_on": ["windows"]},
               {"type": "shell-local", "command": "echo \"$WORD\" > word.txt", "environment_vars": ["WORD=one two"],
                "execute_command": ["/bin/sh", "-c", "{{.Vars}} /bin/sh {{.Script}}"]}"#,
            r#"[{"type": "shell-local", "command": "echo {{build_name}} > first.txt"},
                {"type": "shell-local", "inline": ["cat first.txt > second.txt"], "execute_command": "/bin/sh {{.Script}}"},
                "manifest"]"#,
        ),
    );
    let ran = lab.run(&["build", "-color=false", "t.json"]).expect_code(0).expect_says("said");
    assert!(ran.all().contains("Skipping shell-local due to runtime OS"), "{}", ran.all());
    let folder = lab.path().canonicalize().expect("exists").display().to_string();
    assert_eq!(text(&lab, "where.txt").trim(), folder);
    assert_eq!(text(&lab, "env.txt"), "yes img null\n");
    assert_eq!(text(&lab, "own.txt"), "own it's");
    assert_eq!(text(&lab, "word.txt"), "one two\n");
    assert_eq!(text(&lab, "second.txt"), "img\n");
    // The input was handed on: what comes behind sees the builder's artifact.
    assert!(text(&lab, "packer-manifest.json").contains("\"artifact_id\": \"Null\""));
    assert!(!lab.path().join("skipped").exists());
}

#[test]
fn the_input_of_the_post_processor_is_kept() {
    let lab = Lab::new();
    lab.write(
        "t.json",
        r#"{"builders": [{"type": "file", "content": "x", "target": "out.txt"}],
        "post-processors": [[{"type": "shell-local", "command": "cat out.txt > seen.txt", "keep_input_artifact": false}]]}"#,
    );
    lab.run(&["build", "t.json"]).expect_code(0);
    assert_eq!((text(&lab, "seen.txt"), text(&lab, "out.txt")), ("x".into(), "x".into()));
}

#[test]
fn failures_are_told() {
    let lab = Lab::new();
    lab.write("plain.sh", "#!/bin/sh\n");
    for (step, says) in [
        (r#""command": "exit 3""#, "Script exited with non-zero exit status: 3. Allowed exit codes are: [0]"),
        (r#""script": "plain.sh""#, "chmod +x"),
        (r#""command": "true", "execute_command": ["/nowhere/sh", "{{.Script}}"]"#, "/nowhere/sh"),
        (r#""inline": ["kill -9 $$"]"#, "137"),
    ] {
        lab.write("t.json", &template(&format!(r#"{{"type": "shell-local", {step}}}"#), ""));
        lab.run(&["build", "t.json"]).expect_code(1).expect_says(says);
    }
    for (step, says, place) in [
        ("", "cannot all be empty", "t.json:5:"),
        (r#", "command": "a", "inline": ["b"]"#, "You may only specify one", "t.json:6:"),
        (r#", "script": "nosuch.sh""#, "Bad script 'nosuch.sh'", "t.json:6:"),
        (r#", "comand": "a""#, "did you mean \"command\"?", "t.json:6:"),
    ] {
        lab.write("t.json", &template("", &format!("{{\"type\": \"shell-local\"\n{step}}}")));
        lab.run(&["validate", "t.json"]).expect_code(1).expect_says(says).expect_says(place);
    }
}

#[test]
fn secrets_arrive_exactly_and_nowhere_else() {
    let mut lab = Lab::new();
    // Temporary files of the runs lie where the test can look at them.
    let temp = lab.path().join("tmp");
    std::fs::create_dir(&temp).expect("ours");
    lab.set("TMPDIR", &temp.display().to_string());
    lab.set("TOKEN", SECRET);
    lab.canary(SECRET).canary("pl4in");
    let steps = r#"{"type": "shell-local", "environment_vars": ["A={{user `token`}}"], "env": {"B": "<{{user `token`}}>"},
          "inline": ["printf '%s' \"$A\" > a.txt", "printf '%s' \"$B\" > b.txt", "echo the token is \"$A\"",
                     "cat > c.txt <<'END'", "{{user `token`}}", "END", "ls -l \"$0\" | cut -c1-10 > mode.txt",
                     "ls -ld \"$(dirname \"$0\")/..\" | cut -c1-10 >> mode.txt"]},
        {"type": "shell-local", "environment_vars": ["A={{user `token`}}"], "command": "printf '%s' \"$A\" > d.txt",
          "execute_command": ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"]},
        {"type": "shell-local", "inline": ["printf '%s\\n' \"{{user `other`}}\" > e.txt; exit 1"]}"#;
    let json =
        template(steps, "").replace(r#"{"token": ""}"#, r#"{"token": "{{env `TOKEN`}}", "other": "x"}"#);
    lab.write("t.json", &json);
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("the token is <sensitive>");
    assert_eq!(text(&lab, "a.txt"), SECRET);
    assert_eq!(text(&lab, "b.txt"), format!("<{SECRET}>"));
    assert_eq!(text(&lab, "c.txt"), format!("{SECRET}\n"));
    assert_eq!(text(&lab, "d.txt"), SECRET);
    assert_eq!(text(&lab, "e.txt"), "x\n");
    assert_eq!(text(&lab, "mode.txt"), "-rwx------\ndrwx------\n");
    let left = fornax_tests::files_below(&temp);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_operator_takes_the_right_away() {
    let lab = Lab::new();
    let step = "\n{\"type\": \"shell-local\", \"command\": \"touch done\"}";
    lab.write("p.json", &template(step, ""));
    lab.write("pp.json", &template("", step));
    lab.write("kinds.json", r#"{"deny": ["network", "host-exec"]}"#);
    lab.write("all.json", r#"{"deny": ["all"]}"#);
    lab.write("one.json", r#"{"denials": [{"plugin": "fornax/shell-local", "host-exec": ["*"]}]}"#);
    let cases: [(&[&str], &str); 7] = [
        (&["--deny", "host-exec"], "--deny host-exec"),
        (&["--deny", "all"], "--deny all"),
        (&["--deny", "shell-local=host-exec"], "--deny shell-local=host-exec"),
        (
            &["--deny", "fornax/shell-local=all", "--grant", "fornax/shell-local=host-exec:*"],
            "--deny fornax/shell-local=all",
        ),
        (&["--policy", "kinds.json"], "kinds.json"),
        (&["--policy", "all.json"], "all.json"),
        (&["--policy", "one.json"], "one.json"),
    ];
    for (flags, says) in cases {
        for (file, line, kind) in
            [("p.json", "p.json:5:", "provisioner"), ("pp.json", "pp.json:6:", "post-processor")]
        {
            for command in ["validate", "build"] {
                let all: Vec<&str> = [command].iter().chain(flags).chain(&[file]).copied().collect();
                lab.run(&all).expect_code(1).expect_says(says).expect_says(line).expect_says(kind);
            }
        }
    }
    assert!(!lab.path().join("done").exists());
    // A part that was denied is refused when it is used; other rights make no difference.
    lab.run(&["build", "--deny", "shell-local=host-exec:/bin/sh", "p.json"])
        .expect_code(1)
        .expect_says("--deny shell-local=host-exec:/bin/sh");
    assert!(!lab.path().join("done").exists());
    lab.run(&["build", "--deny", "network", "p.json"]).expect_code(0);
    assert!(lab.path().join("done").exists());
    // What is misspelt takes nothing away, so it is refused.
    lab.run(&["build", "--deny", "shel-local=all", "p.json"]).expect_code(1).expect_says("shel-local");
    lab.run(&["build", "--deny", "hostexec", "p.json"]).expect_code(1).expect_says("NAME=host-exec:PROGRAM");
    lab.run(&["plugins"]).expect_code(0).expect_says("needs host-exec:*: granted");
    lab.run(&["plugins", "--deny", "all"]).expect_code(0).expect_says("needs host-exec:*: denied");
    // Steps that need no right go on.
    lab.write(
        "quiet.json",
        &template(r#"{"type": "breakpoint", "disable": true}, {"type": "sleep", "duration": "1ms"}"#, ""),
    );
    lab.run(&["build", "--deny", "all", "quiet.json"]).expect_code(0);
}

#[test]
fn a_stranger_with_the_name_of_a_built_in_component_gets_nothing() {
    let lab = Lab::new();
    let script = workspace().join("examples/plugins/build.sh");
    // The folder's name is how problems speak of built-in components.
    let dir = lab.path().join("built-in x");
    let status =
        Command::new("sh").arg(script).arg(&dir).env("CARGO", env!("CARGO")).status().expect("sh starts");
    assert!(status.success(), "the example plugins do not build");
    lab.write("t.json", &template(r#"{"type": "greedy", "fail_if_granted": true, "secret": "x"}"#, ""));
    let ran = lab.run(&["plugins", "--plugin-dir", "built-in x"]).expect_code(0);
    assert!(ran.stdout.contains("asks for host-exec:*: denied"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("acme/greedy 0.1.0 (built-in)"), "{}", ran.stdout);
}

#[test]
fn nobody_answers_a_breakpoint_without_a_terminal() {
    let lab = Lab::new();
    lab.write("t.json", &template(r#"{"type": "breakpoint", "note": "look"}"#, ""));
    lab.run(&["build", "t.json"])
        .expect_code(1)
        .expect_says("Pausing at breakpoint provisioner with note \"look\".")
        .expect_says("Error asking for input")
        .expect_says("`disable`");
    lab.write("t.json", &template(r#"{"type": "sleep", "duration": "soon"}"#, ""));
    lab.run(&["validate", "t.json"]).expect_code(1).expect_says("soon");
}

/// Starts a build, does something once the file is there, and waits for the end.
fn interrupted(lab: &Lab, file: &str, signal: &str) -> (Ran, Duration) {
    let child = lab
        .command(&["build", "t.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let id = child.id().to_string();
    let begun = Instant::now();
    while !lab.path().join(file).exists() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the step did not start");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let status = Command::new("kill").args([signal, &id]).status().expect("kill starts");
    assert!(status.success());
    let start = Instant::now();
    (finish(child), start.elapsed())
}

#[test]
fn a_cancelled_build_ends_all_that_its_commands_started() {
    let lab = Lab::new();
    // The shell that is asked first ends at once; the script that it runs needs its time.
    let inline = r#""trap 'sleep 0.3; echo tidy > tidied.txt; exit 1' TERM", "sleep 1000 & echo $! > started", "wait""#;
    lab.write("t.json", &template(&format!(r#"{{"type": "shell-local", "inline": [{inline}]}}"#), ""));
    let (ran, _) = interrupted(&lab, "started", "-INT");
    ran.expect_code(1);
    assert_eq!(text(&lab, "tidied.txt"), "tidy\n");
    assert_gone(&text(&lab, "started"));

    // The step's own time limit does the same, and what ignores the request is killed.
    let inline = r#""trap '' TERM", "echo $$ > stubborn", "while :; do sleep 1; done""#;
    let step = format!(r#"{{"type": "shell-local", "timeout": "2s", "inline": [{inline}]}}"#);
    lab.write("t.json", &template(&step, ""));
    let start = Instant::now();
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("took longer than");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_gone(&text(&lab, "stubborn"));
}

/// Waits until a process has ended.
#[track_caller]
fn assert_gone(pid: &str) {
    let start = Instant::now();
    let alive = || {
        let out = Command::new("ps").args(["-o", "stat=", "-p", pid.trim()]).output().expect("ps starts");
        let state = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    };
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(60), "process {pid} still runs");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
