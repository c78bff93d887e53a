//! Getting in: keys, agent, certificates, jump hosts, proxies, and being told why not.

use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::{
    BastionOptions, CommunicatorError, ConnectError, Connector, KeyKind, ProxyOptions, ReconnectOptions,
    SshOptions, WhyWaiting,
};
use fornax_core::event::BuildEvents;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

async fn says_hello(server: &Server, options: SshOptions) {
    let machine = connector().connect(server.request(options, None)).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo hello").await.out, "hello\n");
}

#[tokio::test]
async fn every_kind_of_generated_key_logs_in() {
    let kinds = [KeyKind::Ed25519, KeyKind::Rsa, KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521];
    let keys = kinds.map(|kind| connector().generate_key(kind, None, "test").unwrap());
    let authorized: Vec<&str> = keys.iter().map(|k| k.public_openssh.as_str()).collect();
    let Some(server) = Server::start("generated keys", &authorized.join("\n"), "") else { return };
    for key in keys {
        let machine = connector().connect(server.request(server.options(), Some(key.clone()))).await.unwrap();
        assert_eq!(run(machine.as_ref(), "echo hello").await.out, "hello\n");
        let info = machine.connection();
        assert_eq!((info.kind, info.port, &info.user), ("ssh", server.port, &server.user));
        assert_eq!(info.public_key.as_deref(), Some(key.public_openssh.as_str()));
    }
}

#[tokio::test]
async fn key_files_log_in_and_locked_ones_are_refused_before_anything_is_tried() {
    let Some(server) = Server::start("key files", "", "") else { return };
    let mut authorized = String::new();
    for (name, kind, pem) in [("a", "ed25519", false), ("b", "rsa", true), ("c", "ecdsa", false)] {
        let mut arguments = vec!["-t", kind, "-N", "", "-C", "file"];
        if pem {
            arguments.extend(["-m", "PEM"]);
        }
        let file = server.text(name);
        arguments.extend(["-f", &file]);
        ssh_keygen(&arguments);
        authorized.push_str(&std::fs::read_to_string(format!("{file}.pub")).unwrap());
    }
    std::fs::write(server.path("authorized"), &authorized).unwrap();
    for (line, name) in authorized.lines().zip(["a", "b", "c"]) {
        let options = SshOptions { private_key_file: Some(server.text(name)), ..server.options() };
        let public = connector().public_key(&options).await.unwrap().unwrap();
        assert_eq!(public.split(' ').nth(1), line.split(' ').nth(1));
        says_hello(&server, options).await;
    }
    ssh_keygen(&["-t", "ed25519", "-N", "passphrase", "-f", &server.text("locked")]);
    for (name, word) in [("locked", "passphrase"), ("nothing", "No such file"), ("config", "can't be read")] {
        let options = SshOptions { private_key_file: Some(server.text(name)), ..server.options() };
        let error = connector().connect(server.request(options, None)).await.err().unwrap();
        assert!(matches!(&error, ConnectError::Config(text) if text.contains(word)), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_logs_in() {
    let Some(server) = Server::start("certificate", "", "TrustedUserCAKeys DIR/ca.pub") else { return };
    ssh_keygen(&["-t", "ed25519", "-N", "", "-f", &server.text("ca")]);
    ssh_keygen(&["-t", "ed25519", "-N", "", "-f", &server.text("user")]);
    ssh_keygen(&["-s", &server.text("ca"), "-I", "test", "-n", &server.user, &server.text("user.pub")]);
    let options = SshOptions {
        private_key_file: Some(server.text("user")),
        certificate_file: Some(server.text("user-cert.pub")),
        ..server.options()
    };
    says_hello(&server, options).await;
}

/// The agent is found through the environment, which belongs to the whole process: so this runs in one of its own.
#[tokio::test]
async fn an_agents_key_logs_in() {
    const INNER: &str = "FORNAX_TEST_AGENT_PORT";
    if let Ok(port) = std::env::var(INNER) {
        let options = SshOptions { agent_auth: true, ..options(&me()) };
        let machine = connector().connect(request(port.parse().unwrap(), options, None)).await.unwrap();
        assert_eq!(run(machine.as_ref(), "echo by agent").await.out, "by agent\n");
        return;
    }
    let Some(server) = Server::start("agent", "", "") else { return };
    ssh_keygen(&["-t", "rsa", "-N", "", "-f", &server.text("k")]);
    std::fs::copy(server.path("k.pub"), server.path("authorized")).unwrap();
    let socket = server.text("agent");
    let mut agent =
        Process::new("ssh-agent").args(["-D", "-a", &socket]).stdout(Stdio::null()).spawn().unwrap();
    until("the agent listens", || server.path("agent").exists()).await;
    let added = Process::new("ssh-add").arg(server.path("k")).env("SSH_AUTH_SOCK", &socket).output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let inner = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "connecting::an_agents_key_logs_in"])
        .env("SSH_AUTH_SOCK", &socket)
        .env(INNER, server.port.to_string())
        .output()
        .unwrap();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    assert!(String::from_utf8_lossy(&inner.stdout).contains("1 passed"));
}

#[tokio::test]
async fn through_a_bastion_with_a_host_key_of_its_own() {
    let (jump_key, key) = (key(), key());
    let Some(jump) = Server::start("bastion", &jump_key.public_openssh, "") else { return };
    let Some(server) = Server::start("behind", &key.public_openssh, "") else { return };
    std::fs::write(jump.path("key"), jump_key.private_pem.expose()).unwrap();
    let bastion = BastionOptions {
        host: "127.0.0.1".into(),
        port: jump.port,
        username: String::new(),
        password: None,
        private_key_file: Some(jump.text("key")),
        certificate_file: None,
        agent_auth: false,
        interactive: false,
    };
    let options = SshOptions { bastion: Some(bastion), ..server.options() };
    let machine = connector().connect(server.request(options.clone(), Some(key.clone()))).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo far; exit 3").await.status.code, Some(3));
    machine.close().await;
    drop(server);
    let events = Arc::new(Waits::default());
    let mut request =
        request(free_port(), SshOptions { timeout: Duration::from_millis(700), ..options }, Some(key));
    request.events = BuildEvents::new(events.clone(), "test");
    let error = connector().connect(request).await.err().unwrap();
    assert!(error.to_string().contains("the bastion cannot reach the machine"), "{error}");
    assert!(events.mention("the bastion cannot reach"));
}

/// A proxy that takes connections without a login.
async fn proxy() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut hello = [0; 3];
            client.read_exact(&mut hello).await.unwrap();
            client.write_all(&[5, 0]).await.unwrap();
            let mut request = [0; 10];
            client.read_exact(&mut request).await.unwrap();
            assert_eq!(request[..8], [5, 1, 0, 1, 127, 0, 0, 1]);
            let port = u16::from_be_bytes([request[8], request[9]]);
            let Ok(mut target) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else {
                // The server has not begun to listen.
                client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                continue;
            };
            client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut target).await });
        }
    });
    port
}

#[tokio::test]
async fn through_a_socks_proxy() {
    let key = key();
    let Some(server) = Server::start("proxy", &key.public_openssh, "") else { return };
    let proxy =
        ProxyOptions { host: "127.0.0.1".into(), port: proxy().await, username: None, password: None };
    let options = SshOptions { proxy: Some(proxy), ..server.options() };
    let machine = connector().connect(server.request(options, Some(key))).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo via").await.out, "via\n");
}

#[tokio::test]
async fn a_machine_that_starts_late_is_waited_for_with_the_reason() {
    let key = key();
    let Some(mut server) = Server::prepare("late", &key.public_openssh, "") else { return };
    let events = Arc::new(Waits::default());
    let mut request = server.request(server.options(), Some(key));
    request.events = BuildEvents::new(events.clone(), "test");
    let connecting = tokio::spawn(async move { connector().connect(request).await });
    until("the refusal is told", || events.mention("connection refused")).await;
    server.launch();
    assert_eq!(run(connecting.await.unwrap().unwrap().as_ref(), "echo up").await.out, "up\n");
}

struct Starting;

#[async_trait]
impl WhyWaiting for Starting {
    async fn why(&self) -> Option<String> {
        Some("the machine is at step 3".into())
    }
}

#[tokio::test]
async fn the_builder_is_asked_why_and_the_end_says_it() {
    struct Nobody;
    #[async_trait]
    impl fornax_core::communicator::Dialer for Nobody {
        async fn dial(&self, _: &str, _: u16) -> std::io::Result<Box<dyn fornax_core::communicator::Stream>> {
            Err(std::io::ErrorKind::HostUnreachable.into())
        }
    }
    let mut request =
        request(22, SshOptions { timeout: Duration::from_secs(4), ..options("u") }, Some(key()));
    request.why_waiting = Some(Arc::new(Starting));
    let connector = fornax_communicator::SshConnector::new(Arc::new(Nobody));
    let error = connector.connect(request).await.err().unwrap().to_string();
    assert!(error.contains("no route to the host; the machine is at step 3"), "{error}");
}

#[tokio::test]
async fn refused_logins_are_counted_and_say_what_would_be_accepted() {
    let Some(server) = Server::start("refused", "", "PasswordAuthentication no") else { return };
    let options = SshOptions { handshake_attempts: Some(2), ..server.options() };
    match connector().connect(server.request(options, Some(key()))).await {
        Err(ConnectError::Refused { reason, .. }) => {
            assert!(reason.contains("publickey") && reason.contains("2 of 2"), "{reason}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn a_silent_port_ends_at_the_deadline_and_a_cancelled_build_at_once() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let short = SshOptions { timeout: Duration::from_millis(300), ..options("u") };
    let error = connector().connect(request(port, short, Some(key()))).await.err().unwrap();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    let waiting = request(port, options("u"), Some(key()));
    let cancel = waiting.cancel.clone();
    let connector = connector();
    let (result, ()) = tokio::join!(connector.connect(waiting), async { cancel.cancel() });
    assert!(matches!(result.err(), Some(ConnectError::Cancelled)));
}

#[tokio::test]
async fn a_server_with_other_algorithms_is_refused_at_once() {
    let key = key();
    let Some(server) = Server::start("algorithms", &key.public_openssh, "Ciphers aes256-cbc") else { return };
    let error = connector().connect(server.request(server.options(), Some(key.clone()))).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::Refused { .. }) && error.to_string().contains("aes256-cbc"),
        "{error}"
    );
    let options = SshOptions {
        ciphers: vec!["aes256-cbc".into()],
        key_exchange_algorithms: vec!["diffie-hellman-group14-sha256".into()],
        ..server.options()
    };
    let machine = connector().connect(server.request(options, Some(key))).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo old").await.out, "old\n");
}

#[tokio::test]
async fn a_restarted_machine_is_found_again_and_another_host_key_is_refused() {
    let Some((mut server, machine)) = connected("reconnect", "").await else { return };
    let status = run(machine.as_ref(), "kill -9 $PPID").await.status;
    assert!(status.disconnected && status.code.is_none(), "{status:?}");
    server.stop();
    let options = ReconnectOptions {
        expect_disconnect: true,
        timeout: Duration::from_secs(20),
        probe: Some(format!("echo >>{0}; test $(wc -l <{0}) -ge 3", server.text("probes"))),
    };
    server.launch();
    machine.reconnect(&options).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo again").await.out, "again\n");

    run(machine.as_ref(), "kill -9 $PPID").await;
    server.stop();
    server.change_host_key();
    server.launch();
    match machine.start(command("true")).await.err() {
        Some(CommunicatorError::ConnectionLost { reason, .. }) => {
            assert!(reason.contains("another host key"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_stands_needs_no_reconnecting_and_a_disconnect_that_never_comes_is_told() {
    let Some((_server, machine)) = connected("stands", "").await else { return };
    let options = ReconnectOptions {
        expect_disconnect: false,
        timeout: Duration::from_secs(10),
        probe: Some("true".into()),
    };
    let session = run(machine.as_ref(), "echo $PPID").await.out;
    machine.reconnect(&options).await.unwrap();
    assert_eq!(run(machine.as_ref(), "echo $PPID").await.out, session, "it is the same connection");
    let options =
        ReconnectOptions { expect_disconnect: true, timeout: Duration::from_millis(100), ..options };
    let error = machine.reconnect(&options).await.unwrap_err();
    assert!(matches!(error, CommunicatorError::Timeout { .. }), "{error}");
    machine.close().await;
    machine.close().await;
    let error = machine.start(command("true")).await.err().unwrap();
    assert!(matches!(error, CommunicatorError::ConnectionLost { .. }), "{error}");
}

#[tokio::test]
async fn the_machine_is_described() {
    let Some((server, machine)) = connected("machine", "").await else { return };
    let info = machine.machine().await.unwrap();
    assert_eq!((info.family.as_str(), &info.user), ("linux", &server.user));
    assert_eq!(info.arch, std::env::consts::ARCH);
    assert!(!info.id.is_empty() && !info.hostname.is_empty());
}
