//! An sshd for a test, and what the tests share.

use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fornax_communicator::{SshConnector, TcpDialer};
use fornax_core::communicator::options::SshDefaults;
use fornax_core::communicator::{
    Command, CommandEvent, Communicator, ConnectRequest, Connector, ExitStatus, KeyKind, KeyPair, Running,
    SshOptions,
};
use fornax_core::event::{BuildEvents, Event, EventSink};
use fornax_core::{Diagnostics, Node, Secret, SourceFile, Span, Value};
use tokio_util::sync::CancellationToken;

const SSHD: &str = "/usr/sbin/sshd";

/// Keeps what was waited for.
#[derive(Default)]
pub struct Waits(pub Mutex<Vec<String>>);

impl EventSink for Waits {
    fn emit(&self, event: Event) {
        if let Event::Waiting { what, .. } = event {
            self.0.lock().unwrap().push(what);
        }
    }
}

impl Waits {
    pub fn mention(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|what| what.contains(text))
    }
}

pub struct Server {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
    pub port: u16,
    pub user: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn me() -> String {
    String::from_utf8(Process::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned()
}

pub fn ssh_keygen(arguments: &[&str]) {
    assert!(
        Process::new("ssh-keygen").arg("-q").args(arguments).status().unwrap().success(),
        "{arguments:?}"
    );
}

impl Server {
    /// Listening soon; none, and a word about it, where there is no sshd. `DIR` in `extra` is the server's folder.
    pub fn start(test: &str, authorized: &str, extra: &str) -> Option<Self> {
        let mut server = Self::prepare(test, authorized, extra)?;
        server.launch();
        Some(server)
    }

    /// Not listening yet.
    pub fn prepare(test: &str, authorized: &str, extra: &str) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            eprintln!("SKIPPED: {test}: {SSHD} is missing (package openssh-server)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        ssh_keygen(&["-t", "ed25519", "-N", "", "-f", &path("host")]);
        std::fs::write(path("authorized"), authorized).unwrap();
        // The server of root separates privileges there; others have no need of it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\nMaxStartups 100\n{}\n{}\n",
            path("host"),
            path("authorized"),
            if extra.contains("Subsystem") { "" } else { "Subsystem sftp internal-sftp" },
            extra.replace("DIR", &dir.path().display().to_string()),
        );
        std::fs::write(path("config"), config).unwrap();
        Some(Self { dir, child: None, port, user: me() })
    }

    pub fn launch(&mut self) {
        let child = Process::new(SSHD)
            .args(["-D", "-e", "-f", self.path("config").to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Another host key from the next start on.
    pub fn change_host_key(&self) {
        std::fs::remove_file(self.path("host")).unwrap();
        ssh_keygen(&["-t", "ed25519", "-N", "", "-f", &self.text("host")]);
    }

    pub fn options(&self) -> SshOptions {
        options(&self.user)
    }

    pub fn request(&self, options: SshOptions, key: Option<KeyPair>) -> ConnectRequest {
        request(self.port, options, key)
    }
}

pub fn options(user: &str) -> SshOptions {
    let file = SourceFile::new("t", "{}");
    let empty = Node::new(Value::Object(Vec::new()), Span::new(&file, 0..2));
    let defaults = SshDefaults { username: user.to_owned(), timeout: Duration::from_secs(20) };
    SshOptions::from_config(&empty, &defaults, &mut Diagnostics::new()).unwrap()
}

pub fn request(port: u16, options: SshOptions, key: Option<KeyPair>) -> ConnectRequest {
    ConnectRequest {
        host: "127.0.0.1".into(),
        port,
        options,
        key,
        events: BuildEvents::new(Arc::new(Waits::default()), "test"),
        cancel: CancellationToken::new(),
        why_waiting: None,
    }
}

pub fn connector() -> SshConnector {
    SshConnector::new(Arc::new(TcpDialer))
}

pub fn key() -> KeyPair {
    connector().generate_key(KeyKind::Ed25519, None, "test").unwrap()
}

/// A server with this configuration, and a connection to it.
pub async fn connected(test: &str, extra: &str) -> Option<(Server, Arc<dyn Communicator>)> {
    connected_with(test, extra, |_| {}).await
}

pub async fn connected_with(
    test: &str,
    extra: &str,
    change: impl FnOnce(&mut SshOptions),
) -> Option<(Server, Arc<dyn Communicator>)> {
    let key = key();
    let server = Server::start(test, &key.public_openssh, extra)?;
    let mut options = server.options();
    change(&mut options);
    let machine = connector().connect(server.request(options, Some(key))).await.unwrap();
    Some((server, machine))
}

pub struct Said {
    pub out: String,
    pub err: String,
    pub status: ExitStatus,
}

pub async fn collect(mut running: Box<dyn Running>) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match running.next().await.expect("the end is told") {
            CommandEvent::Stdout(data) => out.extend_from_slice(&data),
            CommandEvent::Stderr(data) => err.extend_from_slice(&data),
            CommandEvent::Exited(status) => {
                assert!(running.next().await.is_none(), "nothing comes after the end");
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                return Said { out: text(&out), err: text(&err), status };
            }
        }
    }
}

pub fn command(line: &str) -> Command {
    Command { line: Secret::new(line), stdin: bytes::Bytes::new(), pty: false }
}

pub async fn run(machine: &dyn Communicator, line: &str) -> Said {
    collect(machine.start(command(line)).await.unwrap()).await
}

/// Whether a process of this machine has this text in its command line.
pub fn process_lives(text: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.windows(text.len()).any(|w| w == text.as_bytes()))
    })
}

/// Waits until it holds; a test that waits longer than this has failed.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < limit, "{what}");
        tokio::task::yield_now().await;
    }
}

/// Bytes without a pattern, always the same.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}
