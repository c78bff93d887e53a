//! Against a real OpenSSH server on loopback, started by the test with a configuration of its own.

use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fornax_communicator::{SshConnector, TcpDialer};
use fornax_core::communicator::options::SshDefaults;
use fornax_core::communicator::{
    Command, CommandEvent, Communicator, CommunicatorError, ConnectError, ConnectRequest, Connector,
    ExitStatus, KeyKind, ReconnectOptions, Running, Script, ScriptContent, SshOptions, UploadSource,
};
use fornax_core::event::{BuildEvents, Event, EventSink};
use fornax_core::{Diagnostics, Node, Secret, SourceFile, Span, Value};
use tokio_util::sync::CancellationToken;

struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, _event: Event) {}
}

struct Server {
    dir: tempfile::TempDir,
    child: Child,
    port: u16,
    user: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

impl Server {
    fn start(test: &str, authorized: &str, extra: &str) -> Option<Self> {
        if !std::path::Path::new("/usr/sbin/sshd").exists() {
            eprintln!("SKIPPED: {test}: /usr/sbin/sshd is missing (package openssh-server)");
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let made =
            Process::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path("host")]).status();
        assert!(made.is_ok_and(|s| s.success()), "ssh-keygen makes a host key");
        std::fs::write(path("authorized"), authorized).expect("writable");
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\nPermitRootLogin yes\nMaxStartups 100\n{extra}\n",
            path("host"),
            path("authorized")
        );
        std::fs::write(path("config"), config).expect("writable");
        let child = Self::spawn(&path("config"));
        let user = String::from_utf8(Process::new("id").arg("-un").output().expect("id").stdout)
            .expect("text")
            .trim()
            .to_owned();
        Some(Self { dir, child, port, user })
    }

    fn spawn(config: &str) -> Child {
        Process::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", config])
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd starts")
    }

    fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = Self::spawn(&self.dir.path().join("config").display().to_string());
    }
}

fn options(user: &str) -> SshOptions {
    let file = SourceFile::new("t", "{}");
    let empty = Node::new(Value::Object(Vec::new()), Span::new(&file, 0..2));
    let defaults = SshDefaults { username: user.to_owned(), timeout: Duration::from_secs(20) };
    SshOptions::from_config(&empty, &defaults, &mut Diagnostics::new()).expect("no options are good options")
}

fn request(server: &Server, options: SshOptions, key: fornax_core::communicator::KeyPair) -> ConnectRequest {
    ConnectRequest {
        host: "127.0.0.1".into(),
        port: server.port,
        options,
        key: Some(key),
        events: BuildEvents::new(Arc::new(Quiet), "test"),
        cancel: CancellationToken::new(),
        why_waiting: None,
    }
}

async fn connected(test: &str, kind: KeyKind, extra: &str) -> Option<(Server, Arc<dyn Communicator>)> {
    let connector = SshConnector::new(Arc::new(TcpDialer));
    let key = connector.generate_key(kind, None, "test").expect("a key");
    let server = Server::start(test, &key.public_openssh, extra)?;
    let machine = connector.connect(request(&server, options(&server.user), key)).await.expect("connected");
    Some((server, machine))
}

async fn collect(mut running: Box<dyn Running>) -> (String, String, ExitStatus) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match running.next().await.expect("an end is told") {
            CommandEvent::Stdout(data) => out.extend_from_slice(&data),
            CommandEvent::Stderr(data) => err.extend_from_slice(&data),
            CommandEvent::Exited(status) => {
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                return (text(&out), text(&err), status);
            }
        }
    }
}

async fn run(machine: &dyn Communicator, line: &str) -> (String, String, ExitStatus) {
    let command = Command { line: Secret::new(line), stdin: bytes::Bytes::new(), pty: false };
    collect(machine.start(command).await.expect("started")).await
}

#[tokio::test]
async fn commands_tell_output_codes_and_signals() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa, KeyKind::EcdsaP256] {
        let Some((_server, machine)) = connected("commands", kind, "").await else { return };
        let (out, err, status) = run(machine.as_ref(), "echo out; echo err >&2; exit 7").await;
        assert_eq!((out.as_str(), err.as_str(), status.code), ("out\n", "err\n", Some(7)));
        let (_, _, status) = run(machine.as_ref(), "kill -KILL $$").await;
        assert_eq!((status.code, status.signal.as_deref(), status.disconnected), (None, Some("KILL"), false));
        machine.close().await;
    }
}

#[tokio::test]
async fn a_command_that_ends_early_does_not_wait_for_its_input() {
    let Some((_server, machine)) = connected("early end", KeyKind::Ed25519, "").await else { return };
    let command = Command {
        line: Secret::new("head -c 10 >/dev/null; exit 3"),
        stdin: vec![b'x'; 64 << 20].into(),
        pty: false,
    };
    let (_, _, status) = collect(machine.start(command).await.expect("started")).await;
    assert_eq!(status.code, Some(3));
}

#[tokio::test]
async fn one_session_at_a_time_is_enough() {
    let Some((_server, machine)) = connected("one session", KeyKind::Ed25519, "MaxSessions 1").await else {
        return;
    };
    for i in 0..20 {
        let (out, ..) = run(machine.as_ref(), &format!("echo {i}")).await;
        assert_eq!(out.trim(), i.to_string());
    }
}

#[tokio::test]
async fn scripts_run_whole_and_are_removed() {
    let Some((server, machine)) = connected("scripts", KeyKind::Ed25519, "").await else { return };
    let path = server.dir.path().join("it's a script.sh").display().to_string();
    let text = "#!/bin/sh\n[ -x \"$0\" ] || exit 9\ncat\necho \"value: $VALUE\"\nexit 5\n";
    for pty in [false, true] {
        let script = Script {
            content: ScriptContent::Text(Secret::new(text)),
            path: path.clone(),
            mode: 0o755,
            command: Secret::new(format!("VALUE='a b' '{}'", path.replace('\'', "'\\''"))),
            keep: false,
            pty,
        };
        let command = if pty {
            Script { content: ScriptContent::Text(Secret::new(text.replace("cat\n", ""))), ..script }
        } else {
            script
        };
        let (out, err, status) = collect(machine.start_script(command).await.expect("started")).await;
        assert_eq!(status.code, Some(5), "{out}{err}");
        assert_eq!(out.trim(), "value: a b");
        assert!(!std::path::Path::new(&path).exists(), "the script is removed");
    }
}

#[tokio::test]
async fn files_and_folders_arrive_byte_for_byte() {
    let Some((server, machine)) = connected("transfers", KeyKind::Ed25519, "").await else { return };
    let dir = server.dir.path();
    let content: Vec<u8> = (0..5_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let from = dir.join("from");
    std::fs::write(&from, &content).expect("writable");
    let to = dir.join("tö 'there'");
    let to_text = to.display().to_string();
    let stats = machine
        .upload(UploadSource::File(from.clone()), &to_text, &Default::default(), None)
        .await
        .expect("uploaded");
    assert_eq!(stats.bytes, content.len() as u64);
    assert_eq!(std::fs::read(&to).expect("there"), content);
    let back = dir.join("back");
    machine.download(&to_text, &back, None).await.expect("downloaded");
    assert_eq!(std::fs::read(&back).expect("back"), content);

    let folder = dir.join("folder");
    std::fs::create_dir_all(folder.join("sub/empty")).expect("made");
    for i in 0..300 {
        std::fs::write(folder.join(format!("sub/file {i}")), format!("content {i}")).expect("writable");
    }
    std::os::unix::fs::symlink(folder.join("sub/file 1"), folder.join("link")).expect("linked");
    let target = dir.join("target").display().to_string();
    let stats = machine
        .upload(UploadSource::Directory(folder), &target, &Default::default(), None)
        .await
        .expect("uploaded");
    assert_eq!(stats.files, 301);
    let returned = dir.join("returned");
    machine.download(&target, &returned, None).await.expect("downloaded");
    assert_eq!(std::fs::read_to_string(returned.join("sub/file 299")).expect("there"), "content 299");
    assert_eq!(std::fs::read_to_string(returned.join("link")).expect("there"), "content 1");
    assert!(returned.join("sub/empty").is_dir());

    let nowhere = dir.join("nowhere/file").display().to_string();
    let error = machine.upload(UploadSource::File(from), &nowhere, &Default::default(), None).await;
    assert!(matches!(error, Err(CommunicatorError::NotFound { .. })), "{error:?}");
    let error = machine.download(&nowhere, &back, None).await;
    assert!(matches!(error, Err(CommunicatorError::NotFound { .. })), "{error:?}");
}

#[tokio::test]
async fn a_restarted_server_is_found_again_and_a_lost_connection_is_no_success() {
    let Some((mut server, machine)) = connected("reconnect", KeyKind::Ed25519, "").await else { return };
    let (_, _, status) = run(machine.as_ref(), "kill -9 $PPID").await;
    assert!(status.disconnected || status.code != Some(0), "{status:?}");
    server.restart();
    let options = ReconnectOptions {
        expect_disconnect: true,
        timeout: Duration::from_secs(20),
        probe: Some("true".into()),
    };
    machine.reconnect(&options).await.expect("reconnected");
    assert_eq!(run(machine.as_ref(), "echo again").await.0, "again\n");
}

#[tokio::test]
async fn a_refused_login_and_a_silent_port_say_why() {
    let connector = SshConnector::new(Arc::new(TcpDialer));
    let key = connector.generate_key(KeyKind::Ed25519, None, "test").expect("a key");
    let Some(server) = Server::start("refused login", "", "PasswordAuthentication no") else { return };
    let mut wanted = options(&server.user);
    wanted.handshake_attempts = Some(2);
    match connector.connect(request(&server, wanted, key.clone())).await {
        Err(ConnectError::Refused { reason, .. }) => assert!(reason.contains("publickey"), "{reason}"),
        other => panic!("{:?}", other.err()),
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut wanted = options(&server.user);
    wanted.timeout = Duration::from_millis(300);
    let mut request = request(&server, wanted, key);
    request.port = silent.local_addr().expect("bound").port();
    match connector.connect(request).await {
        Err(ConnectError::Timeout { .. }) => {}
        other => panic!("{:?}", other.err()),
    }
}
