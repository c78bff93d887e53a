//! The host side of the interface against a machine that really runs what it is told: secrets arrive exactly and are
//! seen nowhere, paths do not escape, calls end when they must.

use fornax_core::Secret;
use fornax_core::plugin::{Capability, StepContext};
use fornax_core::value::Text;
use wasmtime::component::Resource;

use super::*;
use crate::bindings::host::fornax::plugin::types::ErrorCode;
use crate::bindings::host::fornax::plugin::{files, machine as api, run, secrets};
use crate::host::Inner;
use crate::resources::{Target, WorkspaceHandle};
use crate::state::{Phase, State};
use files::{Host as _, HostHostFile as _, HostHostWriter as _, HostWorkspace as _};
use machine_traits::*;
use run::Host as _;

mod machine_traits {
    pub use super::api::{HostProcess as _, HostTarget as _};
}

pub(super) const CANARY: &str = "c4n'ary \"$(id)` \\ \n€ 'end";

pub(super) struct Bench {
    pub state: State,
    pub sink: Arc<Sink>,
    machine: Arc<LocalMachine>,
    pub dir: tempfile::TempDir,
    pub placeholder: String,
    target: Resource<Target>,
}

pub(super) async fn bench(rights: &[Capability], grants: &[&str]) -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Arc::new(Sink::default());
    let variables = vec![
        ("pw".to_owned(), Text::secret(Secret::new(CANARY))),
        ("other".to_owned(), Text::secret(Secret::new("not-in-config"))),
    ];
    let context: StepContext = step(&sink, dir.path(), variables);
    let mut policy = Policy::new();
    for grant in grants {
        policy.grant(grant).expect("valid");
    }
    let inner: Inner = crate::host::testing_inner(HostConfig {
        working_dir: dir.path().canonicalize().expect("exists"),
        ..HostConfig::default()
    });
    let mut state = inner.bare_state("test/guest", Phase::Provision, 1 << 20);
    state.rights = policy.effective(id(), rights);
    state.redactor = context.redactor.clone();
    state.cancel = context.cancel.clone();
    state.step = Some(context);
    let machine = Arc::new(LocalMachine::default());
    state.machine = Some(machine.clone());
    let placeholder = state.sealer.seal_secret(&Secret::new(CANARY), crate::seal::Origin::Config);
    let target = api::Host::current(&mut state).await.expect("no trap").expect("a machine");
    Bench { state, sink, machine, dir, placeholder, target }
}

impl Bench {
    fn target(&self) -> Resource<Target> {
        Resource::new_borrow(self.target.rep())
    }

    pub(super) async fn workspace(&mut self) -> Resource<WorkspaceHandle> {
        self.state.step_workspace().await.expect("no trap").expect("made")
    }
}

fn options(output: api::OutputMode) -> api::ExecOptions {
    api::ExecOptions {
        env: Vec::new(),
        working_dir: None,
        stdin: None,
        output,
        tee: false,
        timeout_ms: None,
        tty: false,
        expect_disconnect: false,
        cleanup: false,
        more: Vec::new(),
    }
}

/// What arrived is compared by its digest, because everything that shows the value itself is masked, hexadecimal
/// digits included.
pub(super) fn digest(text: &str) -> String {
    crate::plugin::digest(text.as_bytes())
}

pub(super) const DIGEST: &str = "sha256sum | cut -c1-64 | tr -d '\\n'";

#[tokio::test]
async fn secrets_arrive_exactly_at_every_sink() {
    let mut bench = bench(&[], &[]).await;
    let sealed = bench.placeholder.clone();
    let target = bench.target();
    let capture = || options(api::OutputMode::Capture(1 << 20));
    let print = |word: &str| api::CommandLine::Raw(format!("printf %s {word} | {DIGEST}"));
    let cases = [
        (print(&sealed), capture()),
        (print(&format!("'{sealed}'")), capture()),
        (print(&format!("\"{sealed}\"")), capture()),
        (print("\"$PW\""), api::ExecOptions { env: vec![("PW".into(), sealed.clone())], ..capture() }),
        (api::CommandLine::Raw(DIGEST.into()), api::ExecOptions { stdin: Some(sealed.clone()), ..capture() }),
        (
            api::CommandLine::Argv(vec![
                "sh".into(),
                "-c".into(),
                format!("printf %s \"$1\" | {DIGEST}"),
                "_".into(),
                sealed.clone(),
            ]),
            capture(),
        ),
    ];
    for (command, options) in cases {
        let shown = format!("{command:?}");
        let target = Resource::new_borrow(target.rep());
        let status = bench.state.exec(target, command, options).await.expect("no trap").expect("runs");
        assert_eq!(status.code, Some(0), "{shown}");
        assert_eq!(String::from_utf8_lossy(&status.stdout), digest(CANARY), "{shown}");
    }
    let file = bench.dir.path().join("uploaded");
    let transfer = api::TransferOptions { mode: None, owner: None, replace: true, progress: false };
    bench
        .state
        .upload_text(bench.target(), format!("a={sealed}\n"), file.display().to_string(), transfer.clone())
        .await
        .expect("no trap")
        .expect("uploaded");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), format!("a={CANARY}\n"));
    let handle = bench
        .state
        .from_bytes("x".into(), sealed.clone().into_bytes())
        .await
        .expect("no trap")
        .expect("made");
    let unsealed = bench.state.unseal_on_upload(handle).await.expect("no trap").expect("made");
    bench
        .state
        .upload(bench.target(), unsealed, file.display().to_string(), transfer.clone())
        .await
        .expect("no trap")
        .expect("uploaded");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), CANARY);
    let kept = api::TransferOptions { replace: false, ..transfer };
    let error = bench
        .state
        .upload_text(bench.target(), "x".into(), file.display().to_string(), kept)
        .await
        .expect("no trap")
        .expect_err("exists");
    assert_eq!(error.code, ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn nothing_that_comes_back_shows_a_secret() {
    let mut bench = bench(&[], &[]).await;
    let sealed = bench.placeholder.clone();
    let echo = || {
        api::CommandLine::Raw(format!(
            "printf 'before %s after\\n' '{sealed}'; printf '%s\\n' '{sealed}' >&2"
        ))
    };
    for output in [api::OutputMode::Show, api::OutputMode::Capture(1 << 20)] {
        let options = api::ExecOptions { tee: true, ..options(output) };
        let status = bench.state.exec(bench.target(), echo(), options).await.expect("no trap").expect("runs");
        for bytes in [&status.stdout, &status.stderr] {
            assert!(
                !String::from_utf8_lossy(bytes).contains("ary \"$(id)"),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
    let process = bench
        .state
        .start(bench.target(), echo(), options(api::OutputMode::Pull))
        .await
        .expect("no trap")
        .expect("starts");
    let mut pulled = Vec::new();
    loop {
        match bench.state.next(Resource::new_borrow(process.rep())).await.expect("no trap").expect("an event")
        {
            api::ProcessEvent::Stdout(bytes) | api::ProcessEvent::Stderr(bytes) => pulled.extend(bytes),
            api::ProcessEvent::Exited(status) => {
                assert_eq!(status.code, Some(0));
                break;
            }
        }
    }
    let pulled = String::from_utf8_lossy(&pulled).into_owned();
    assert!(pulled.contains("before <sensitive> after") && !pulled.contains("(id)"), "{pulled}");
    let ended = bench.state.next(process).await.expect("no trap").expect_err("ended");
    assert_eq!(ended.code, ErrorCode::NotFound);
    let remote = bench.dir.path().join("remote");
    std::fs::write(&remote, CANARY).expect("written");
    let read = bench
        .state
        .read_file(bench.target(), remote.display().to_string())
        .await
        .expect("no trap")
        .expect("read");
    assert_eq!(read, b"<sensitive>");
    let error = bench
        .state
        .exec(
            bench.target(),
            api::CommandLine::Raw(format!("sh -c 'echo {sealed}'")),
            options(api::OutputMode::Show),
        )
        .await;
    let error = error.expect("no trap").expect_err("refused");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    let all = format!("{} {error:?}", bench.sink.text());
    assert!(!all.contains("(id)") && all.contains("before <sensitive> after"), "{all}");
    assert!(bench.machine.lines.lock().expect("no panic").iter().all(|l| !l.contains("sealed_")));
}

#[tokio::test]
async fn scripts_and_rendered_commands() {
    let mut bench = bench(&[], &[]).await;
    let sealed = bench.placeholder.clone();
    let path = bench.dir.path().join("s.sh").display().to_string();
    let values = vec![
        ("Vars".to_owned(), format!("PW='{sealed}' X=\"a {sealed} b\" ")),
        ("Path".to_owned(), path.clone()),
    ];
    let command = bench
        .state
        .render("chmod +x {{ .Path }}; {{ .Vars }} sh '{{ .Path }}'".into(), values)
        .await
        .expect("no trap")
        .expect("rendered");
    assert!(command.contains(&sealed) && !command.contains(CANARY));
    let script = api::Script {
        source: api::ScriptSource::Text(format!(
            "printf %s \"$PW\" | {DIGEST}; echo; printf %s \"$X\" | {DIGEST}\n"
        )),
        path: path.clone(),
        mode: 0o755,
        command,
        keep: false,
    };
    let status = bench
        .state
        .run_script(bench.target(), script, options(api::OutputMode::Show))
        .await
        .expect("no trap")
        .expect("runs");
    assert_eq!(status.code, Some(0));
    assert_eq!(bench.sink.lines(), [digest(CANARY), digest(&format!("a {CANARY} b"))]);
    assert!(!std::path::Path::new(&path).exists());
}

#[tokio::test]
async fn calls_end_when_they_must() {
    let mut bench = bench(&[], &[]).await;
    let sleep = || api::CommandLine::Raw("echo x; exec sleep 3600".into());
    let late = api::ExecOptions { timeout_ms: Some(200), ..options(api::OutputMode::Show) };
    let error =
        bench.state.exec(bench.target(), sleep(), late).await.expect("no trap").expect_err("too long");
    assert_eq!(error.code, ErrorCode::Timeout);
    let cancel = bench.state.cancel.clone();
    tokio::spawn(async move { cancel.cancel() });
    let error = bench
        .state
        .exec(bench.target(), sleep(), options(api::OutputMode::Show))
        .await
        .expect("no trap")
        .expect_err("cancelled");
    assert_eq!(error.code, ErrorCode::Cancelled);
    let error = bench
        .state
        .exec(bench.target(), api::CommandLine::Raw("true".into()), options(api::OutputMode::Show))
        .await;
    assert_eq!(error.expect("no trap").expect_err("cancelled").code, ErrorCode::Cancelled);
    let cleanup = api::ExecOptions { cleanup: true, ..options(api::OutputMode::Show) };
    let status = bench
        .state
        .exec(bench.target(), api::CommandLine::Raw("true".into()), cleanup)
        .await
        .expect("no trap")
        .expect("allowed");
    assert_eq!(status.code, Some(0));
    let unknown =
        api::ExecOptions { more: vec![("turbo".into(), "1".into())], ..options(api::OutputMode::Show) };
    let error = bench
        .state
        .exec(bench.target(), api::CommandLine::Raw("true".into()), unknown)
        .await
        .expect("no trap")
        .expect_err("unknown");
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[tokio::test]
async fn files_of_the_host_need_a_name_or_a_grant() {
    let mut bench =
        bench(&[Capability::HostFilesRead(vec!["data".into()])], &["test/guest=host-files-read:data"]).await;
    let root = bench.state.working_dir.clone();
    std::fs::create_dir(root.join("data")).expect("made");
    for name in ["named.sh", "data/granted", "secret.txt"] {
        std::fs::write(root.join(name), name).expect("written");
    }
    std::os::unix::fs::symlink(root.join("secret.txt"), root.join("data/link")).expect("linked");
    bench.state.host_paths.push(root.join("named.sh"));
    for (path, code) in [
        ("named.sh", None),
        ("./data/../named.sh", None),
        ("data/granted", None),
        ("secret.txt", Some(ErrorCode::Denied)),
        ("data/link", Some(ErrorCode::Denied)),
        ("data/../secret.txt", Some(ErrorCode::Denied)),
        ("/etc/passwd", Some(ErrorCode::Denied)),
    ] {
        let result = files::Host::open(&mut bench.state, path.into()).await.expect("no trap");
        assert_eq!(result.as_ref().err().map(|e| e.code), code, "{path}: {result:?}");
    }
}

#[tokio::test]
async fn outputs_are_published_whole_and_only_where_named() {
    let mut bench = bench(&[], &[]).await;
    let root = bench.state.working_dir.clone();
    bench.state.host_outputs.push(root.join("out/m.json"));
    let workspace = bench.workspace().await;
    let borrow = || Resource::new_borrow(workspace.rep());
    let writer =
        bench.state.create(borrow(), "a/m.json".into(), false).await.expect("no trap").expect("made");
    bench
        .state
        .write(Resource::new_borrow(writer.rep()), b"{}".to_vec())
        .await
        .expect("no trap")
        .expect("written");
    let before = bench.state.entries(borrow(), "a".into()).await.expect("no trap").expect("listed");
    assert!(before.is_empty());
    let file = bench.state.finish(writer).await.expect("no trap").expect("finished");
    let digest = bench
        .state
        .digest(Resource::new_borrow(file.rep()), files::DigestAlgorithm::Sha256)
        .await
        .expect("no trap")
        .expect("computed");
    assert_eq!(digest, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    let lock = bench.state.lock_output("out/m.json".into()).await.expect("no trap").expect("locked");
    for (path, replace, code) in [
        ("out/m.json", false, None),
        ("out/m.json", false, Some(ErrorCode::AlreadyExists)),
        ("out/m.json", true, None),
        ("out/other.json", true, Some(ErrorCode::Denied)),
        ("../m.json", true, Some(ErrorCode::Denied)),
    ] {
        let result = bench
            .state
            .publish(borrow(), Resource::new_borrow(file.rep()), path.into(), replace)
            .await
            .expect("no trap");
        assert_eq!(result.as_ref().err().map(|e| e.code), code, "{path}: {result:?}");
    }
    assert_eq!(std::fs::read_to_string(root.join("out/m.json")).expect("published"), "{}");
    assert_eq!(std::fs::read_dir(root.join("out")).expect("made").count(), 1, "something else remains");
    files::HostOutputLock::drop(&mut bench.state, lock).await.expect("no trap");
    assert_eq!(
        bench.state.lock_output("elsewhere".into()).await.expect("no trap").expect_err("not named").code,
        ErrorCode::Denied
    );
    bench.state.remove(borrow(), "a/m.json".into()).await.expect("no trap").expect("removed");
    assert_eq!(
        bench.state.remove(borrow(), "../x".into()).await.expect("no trap").expect_err("escapes").code,
        ErrorCode::InvalidArgument
    );
}

#[tokio::test]
async fn secrets_are_revealed_only_when_granted() {
    use secrets::HostSecret as _;
    for (grants, granted) in [(&[][..], false), (&["test/guest=secrets-reveal"][..], true)] {
        let mut bench = bench(&[Capability::SecretsReveal], grants).await;
        let sealed = bench.placeholder.clone();
        for name in ["pw", sealed.as_str()] {
            let handle = secrets::HostSecret::lookup(&mut bench.state, name.into())
                .await
                .expect("no trap")
                .expect("mentioned");
            let placeholder =
                bench.state.placeholder(Resource::new_borrow(handle.rep())).await.expect("no trap");
            assert_eq!(placeholder, sealed);
            let revealed = bench.state.reveal(handle).await.expect("no trap");
            assert_eq!(revealed.is_ok(), granted);
        }
        let other = secrets::HostSecret::lookup(&mut bench.state, "other".into()).await.expect("no trap");
        assert_eq!(other.expect_err("not mentioned").code, ErrorCode::NotFound);
        let variables = bench.state.variables().await.expect("no trap");
        assert!(!variables.contains("not-in-config") && variables.contains("sealed_"), "{variables}");
        assert!(bench.sink.text().contains("audit") && !bench.sink.text().contains("(id)"));
    }
}

#[tokio::test]
async fn many_lines_are_few_events() {
    let mut bench = bench(&[], &[]).await;
    let command = api::CommandLine::Raw("seq 1 100000".into());
    let status = bench
        .state
        .exec(bench.target(), command, options(api::OutputMode::Show))
        .await
        .expect("no trap")
        .expect("runs");
    assert_eq!(status.code, Some(0));
    let lines = bench.sink.lines();
    assert_eq!((lines.len(), lines[99_999].as_str()), (100_000, "100000"));
    assert!(bench.sink.0.lock().expect("no panic").len() < 2_000);
}
