//! Programs and scripts on this host: rights, secrets, environment, folders, and the end of all that was started.

use fornax_core::plugin::Capability;
use wasmtime::component::Resource;

use super::machine::{Bench, CANARY, DIGEST, bench, digest};
use super::*;
use crate::bindings::host::fornax::plugin::host_exec::{
    Argument, Host as _, HostCommand, HostHostScript as _,
};
use crate::bindings::host::fornax::plugin::machine::{ExitStatus, OutputMode};
use crate::bindings::host::fornax::plugin::run::Host as _;
use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};

fn command(argv: &[&str]) -> HostCommand {
    HostCommand {
        argv: argv.iter().map(|a| Argument::Plain((*a).to_owned())).collect(),
        env: Vec::new(),
        inherit_env: false,
        stdin: None,
        output: OutputMode::Capture(1 << 16),
        timeout_ms: Some(30_000),
    }
}

async fn any_program() -> Bench {
    bench(&[Capability::HostExec(vec!["*".into()])], &["test/guest=host-exec:*"]).await
}

impl Bench {
    async fn here(&mut self, command: HostCommand) -> Result<ExitStatus, Error> {
        self.state.run(command, None).await.expect("no trap")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[tokio::test]
async fn programs_need_a_grant() {
    let mut bench =
        bench(&[Capability::HostExec(vec!["sh".into(), "env".into()])], &["test/guest=host-exec:sh"]).await;
    let workspace = bench.workspace().await;
    let script = format!("printf %s \"$PW\" | {DIGEST}; printf ' %s' \"$HOME\"; pwd >&2");
    let sealed = HostCommand {
        env: vec![("PW".into(), bench.placeholder.clone())],
        ..command(&["sh", "-c", &script])
    };
    let cwd = Some(Resource::new_borrow(workspace.rep()));
    let status = bench.state.run(sealed, cwd).await.expect("no trap").expect("granted");
    assert_eq!(text(&status.stdout), digest(CANARY));
    assert!(text(&status.stderr).contains("fornax-step-"));
    let error = bench.here(command(&["env"])).await.expect_err("not granted");
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(error.message.contains("--grant test/guest=host-exec:env"), "{}", error.message);
}

#[tokio::test]
async fn a_denial_is_named() {
    let mut bench = any_program().await;
    let mut policy = Policy::new();
    policy.grant("test/guest=host-exec:*").expect("valid");
    policy.deny("host-exec").expect("valid");
    bench.state.rights = policy.effective(id(), &[Capability::HostExec(vec!["*".into()])]);
    let error = bench.here(command(&["sh", "-c", "true"])).await.expect_err("denied");
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(error.message.contains("--deny host-exec"), "{}", error.message);
    let error = bench.state.create("x".into(), ".sh".into()).await.expect("no trap").expect_err("denied");
    assert!(error.message.contains("--deny host-exec"), "{}", error.message);
}

#[tokio::test]
async fn rights_by_default_belong_to_what_is_built_in_and_not_to_its_name() {
    let component =
        fornax_plugin_bundle::components().iter().find(|c| c.name == "shell-local").expect("built in");
    let granted = async |load: &str, deny: &[&str]| {
        let dir = folder(&[("shell-local/plugin.wasm", component.bytes.to_vec())]);
        let mut policy = Policy::new();
        for denial in deny {
            policy.deny(denial).expect("valid");
        }
        let host = host(&super::builtin::cache(), |c| c.policy = policy);
        let problems = match load {
            "built in" => host.load_builtin(&[("shell-local", component.bytes)]).await,
            _ => host.load_dir(dir.path()).await,
        };
        assert!(problems.is_empty(), "{:?}", reasons(&problems));
        let step = config(serde_json::json!({"command": "true"}));
        let extension = host.catalog().find(ExtensionKind::Provisioner, "shell-local").expect("loaded");
        (extension.info().capabilities[0].granted, extension.prepare(&step).await.map(|_| ()))
    };
    let (ours, prepared) = granted("built in", &[]).await;
    assert!(ours && prepared.is_ok(), "{prepared:?}");
    let (theirs, prepared) = granted("a folder", &[]).await;
    assert!(!theirs);
    let message = prepared.expect_err("not granted").to_string();
    assert!(message.contains("--grant fornax/shell-local=host-exec:*"), "{message}");
    let (denied, prepared) = granted("built in", &["host-exec"]).await;
    assert!(!denied);
    let Err(PluginError::Denied { reason, .. }) = prepared else { panic!("{prepared:?}") };
    assert!(reason.contains("--deny host-exec"), "{reason}");
}

#[tokio::test]
async fn the_engines_folder_and_environment() {
    let mut bench = any_program().await;
    let folder = bench.dir.path().canonicalize().expect("exists").display().to_string();
    // cargo sets it for the tests; a program that starts from nothing does not see it.
    let print = ["sh", "-c", "pwd; printf %s \"$CARGO_MANIFEST_DIR\""];
    let bare = bench.here(command(&print)).await.expect("runs");
    assert_eq!(text(&bare.stdout), folder);
    let full = HostCommand { inherit_env: true, ..command(&print) };
    let full = bench.here(full).await.expect("runs");
    assert_eq!(text(&full.stdout), format!("{folder}\n{}", env!("CARGO_MANIFEST_DIR")));
}

#[tokio::test]
async fn secrets_arrive_exactly_and_are_masked() {
    let mut bench = any_program().await;
    let sealed = bench.placeholder.clone();
    let line = format!("PW='{sealed}' sh -c 'printf %s \"$PW\"' | {DIGEST}");
    let mut shell = command(&["sh", "-c"]);
    shell.argv.push(Argument::ShellLine(line));
    let plain = command(&["sh", "-c", &format!("printf %s \"$1\" | {DIGEST}"), "_", &sealed]);
    let stdin = HostCommand { stdin: Some(sealed.clone()), ..command(&["sh", "-c", DIGEST]) };
    for command in [shell, plain, stdin] {
        let shown = format!("{command:?}");
        let status = bench.here(command).await.expect("runs");
        assert_eq!(text(&status.stdout), digest(CANARY), "{shown}");
    }
    let show = HostCommand { output: OutputMode::Show, ..command(&["printf", "<%s>\n", &sealed]) };
    bench.here(show).await.expect("runs");
    assert!(
        !bench.sink.text().contains("(id)") && bench.sink.text().contains("sensitive"),
        "{}",
        bench.sink.text()
    );
    // Where nobody knows how the value would be read it is refused, not passed on wrongly.
    let mut unknown = command(&["sh", "-c"]);
    unknown.argv.push(Argument::ShellLine(format!("echo $(cat {sealed})")));
    assert_eq!(bench.here(unknown).await.expect_err("refused").code, ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn scripts_are_private_and_removed() {
    use std::os::unix::fs::PermissionsExt;
    let mut bench = any_program().await;
    let content = format!("#!/bin/sh\ncat <<'E' | {DIGEST}\n{}\nE\nexit 3\n", bench.placeholder);
    let script = bench.state.create(content, ".cmd".into()).await.expect("no trap").expect("made");
    let borrow = || Resource::new_borrow(script.rep());
    let path = bench.state.path(borrow()).await.expect("no trap");
    assert!(path.ends_with(".cmd"), "{path}");
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    let folder = Path::new(&path).parent().and_then(Path::parent).expect("the step's folder");
    assert_eq!((mode(Path::new(&path)), mode(folder)), (0o700, 0o700));
    let status = bench.here(command(&[&path])).await.expect("runs");
    assert_eq!((status.code, text(&status.stdout)), (Some(3), digest(&format!("{CANARY}\n"))));
    HostHostScriptDrop::drop(&mut bench.state, script).await;
    assert!(!Path::new(&path).exists());
    for suffix in ["/../x", "a b", &"x".repeat(33)] {
        let error = bench.state.create("x".into(), suffix.into()).await.expect("no trap").expect_err(suffix);
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    }
    // A step that forgets its handles leaves nothing either.
    let forgotten = bench.state.create("x".into(), String::new()).await.expect("no trap").expect("made");
    let path = bench.state.path(Resource::new_borrow(forgotten.rep())).await.expect("no trap");
    let folder = bench.state.folder().expect("made").work().to_owned();
    assert!(Path::new(&path).exists());
    drop(bench);
    assert!(!Path::new(&path).exists() && !folder.exists());
}

/// `drop` of a handle has the name of a function that is everywhere.
trait HostHostScriptDrop {
    async fn drop(&mut self, script: Resource<crate::resources::HostScript>);
}

impl HostHostScriptDrop for crate::state::State {
    async fn drop(&mut self, script: Resource<crate::resources::HostScript>) {
        crate::bindings::host::fornax::plugin::host_exec::HostHostScript::drop(self, script)
            .await
            .expect("no trap");
    }
}

/// Runs a script that starts a child and writes both process ids, and does `end` once it has. Returns the ids.
async fn started(script: &str, end: impl AsyncFnOnce(&mut Bench, HostCommand)) -> Vec<String> {
    let mut bench = any_program().await;
    let file = bench.dir.path().join("pids");
    let script = script.replace("PIDS", &file.display().to_string());
    let cancel = bench.state.cancel.clone();
    // The script says by opening a pipe that it is ready: opening the other end waits for just that.
    let ready = bench.dir.path().join("ready");
    rustix::fs::mkfifoat(rustix::fs::CWD, &ready, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a pipe");
    let script = script.replace("READY", &ready.display().to_string());
    tokio::task::spawn_blocking(move || {
        std::fs::read(ready).expect("the script opens it");
        cancel.cancel();
    });
    let shell = HostCommand { timeout_ms: None, output: OutputMode::Show, ..command(&["sh", "-c", &script]) };
    end(&mut bench, shell).await;
    std::fs::read_to_string(&file).expect("written").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_cancelled_program_ends_with_all_it_started() {
    if !Path::new("/proc/self/stat").exists() {
        eprintln!("SKIPPED: a_cancelled_program_ends_with_all_it_started: there is no /proc");
        return;
    }
    let stubborn = "trap '' TERM; (trap '' TERM; echo $(exec sh -c 'echo $PPID') >PIDS; exec sleep 1000) & \
                    wait_for() { while ! [ -s PIDS ]; do :; done; }; wait_for; echo $$ >>PIDS; : >READY; wait; wait";
    let polite = "sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; : >READY; wait";
    for script in [polite, stubborn] {
        let pids = started(script, async |bench, command| {
            let start = Instant::now();
            let error = bench.here(command).await.expect_err("cancelled");
            assert_eq!(error.code, ErrorCode::Cancelled);
            assert!(start.elapsed() < Duration::from_secs(30));
        })
        .await;
        assert_eq!(pids.len(), 2, "{pids:?}");
        assert_ended(&pids);
    }
}

/// A signal is delivered in its own time; a descriptor of the process becomes readable when it has ended.
fn assert_ended(pids: &[String]) {
    for pid in pids {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        // One that can't be opened has ended, and its parent has seen it.
        let Ok(process) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
            continue;
        };
        let mut wait = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut wait, Some(&limit)), Ok(1), "{pid:?} ends");
    }
}

#[tokio::test]
async fn a_dropped_program_ends_with_all_it_started() {
    if !Path::new("/proc/self/stat").exists() {
        eprintln!("SKIPPED: a_dropped_program_ends_with_all_it_started: there is no /proc");
        return;
    }
    let pids =
        started("sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; : >READY; wait", async |bench, command| {
            let cancel =
                std::mem::replace(&mut bench.state.cancel, tokio_util::sync::CancellationToken::new());
            tokio::select! {
                _ = bench.here(command) => panic!("it does not end by itself"),
                () = cancel.cancelled() => {}
            }
        })
        .await;
    assert_ended(&pids);
}

#[tokio::test]
async fn ends_are_told() {
    let mut bench = any_program().await;
    let killed = bench.here(command(&["sh", "-c", "kill -9 $$"])).await.expect("runs");
    assert_eq!((killed.code, killed.signal.as_str()), (None, "KILL"));
    let late = HostCommand { timeout_ms: Some(50), ..command(&["sleep", "1000"]) };
    assert_eq!(bench.here(late).await.expect_err("too late").code, ErrorCode::Timeout);
    let missing = bench.here(command(&["/nowhere/x"])).await.expect_err("missing");
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert!(missing.message.contains("/nowhere/x"), "{}", missing.message);
    bench.state.cancel.cancel();
    assert_eq!(bench.here(command(&["true"])).await.expect_err("cancelled").code, ErrorCode::Cancelled);
}

#[tokio::test]
async fn nobody_is_asked_without_a_terminal() {
    let mut bench = bench(&[], &[]).await;
    let error = bench.state.pause("Press enter".into()).await.expect("no trap").expect_err("nobody");
    assert_eq!(error.code, ErrorCode::Unsupported);
    let answers = Arc::new(Answers::default());
    bench.state.step.as_mut().expect("running").prompt = answers.clone();
    let sealed = bench.placeholder.clone();
    bench.state.pause(format!("note {sealed}")).await.expect("no trap").expect("asked");
    assert_eq!(*answers.0.lock().expect("no panic"), ["note <sensitive>"]);
}

/// A person who presses enter.
#[derive(Default)]
struct Answers(std::sync::Mutex<Vec<String>>);

#[async_trait::async_trait]
impl fornax_core::builder::Prompt for Answers {
    async fn choose(&self, question: &str, _: &[char]) -> Option<char> {
        self.0.lock().expect("no panic").push(question.to_owned());
        Some(' ')
    }
}
