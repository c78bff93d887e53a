//! What only the recording machine does.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use fornax_simulator::machine::record::{Limits, Record, RecordConfig, ScriptRule};
use fornax_simulator::machine::{Machine, MachineBackend, MachineError};
use russh::keys::PrivateKey;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::client::{Client, USER, key, marketplace, spec};

async fn machine(config: RecordConfig) -> (Arc<dyn Machine>, PrivateKey) {
    let key = key();
    let machine = Record::new(config).unwrap().create(spec(&key, marketplace())).await.unwrap();
    (machine, key)
}

async fn provenance(machine: &dyn Machine) -> Value {
    machine.power_off().await.unwrap();
    machine.capture("image").await.unwrap().provenance
}

pub async fn commands_are_recorded_with_their_input() {
    let (machine, key) = machine(RecordConfig::default()).await;
    let client = Client::open(machine.as_ref(), &key).await;
    client.run("apt-get install -y nginx").await.ok();
    client.feed("f=$(mktemp); cat >\"$f\" && sh \"$f\"", b"abc").await.ok();
    assert_eq!(client.run("cat /etc/shadow").await.exit, Some(1));
    assert!(machine.status().contains("executes none"), "{}", machine.status());
    let seen = provenance(machine.as_ref()).await;
    assert_eq!(seen["executed"], false);
    assert_eq!(seen["base"], "Debian:debian-12:12-gen2:latest");
    let commands = seen["commands"].as_array().unwrap();
    assert_eq!(commands[0]["command"], "apt-get install -y nginx");
    assert_eq!(commands[0]["outcome"], "exit 0");
    assert_eq!(commands[1]["stdin"]["bytes"], 3);
    assert_eq!(
        commands[1]["stdin"]["sha256"],
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(commands[2]["outcome"], "exit 1");
}

pub async fn rules_decide_how_commands_end() {
    let rule = |pattern: &str| ScriptRule { pattern: pattern.to_owned(), ..ScriptRule::default() };
    let rules = vec![
        ScriptRule { times: Some(1), exit: Some(100), stderr: "E: locked\n".into(), ..rule("apt-get") },
        ScriptRule { signal: Some("KILL".into()), ..rule("^victim$") },
        ScriptRule { stdout: "scripted\n".into(), ..rule("^uname") },
        ScriptRule { disconnect: true, ..rule("reboot") },
    ];
    let (machine, key) = machine(RecordConfig { rules, ..RecordConfig::default() }).await;
    let client = Client::open(machine.as_ref(), &key).await;
    let first = client.run("apt-get update").await;
    assert_eq!((first.exit, first.stderr.as_str()), (Some(100), "E: locked\n"));
    client.run("apt-get update").await.ok();
    let killed = client.run("victim").await;
    assert_eq!((killed.exit, killed.signal.as_deref()), (None, Some("KILL")));
    assert_eq!(client.run("uname -s").await.ok(), "scripted\n");
    let cut = client.run("sudo reboot").await;
    assert_eq!((cut.exit, cut.signal), (None, None));
    let client = Client::open(machine.as_ref(), &key).await;
    client.run("true").await.ok();
    let seen = provenance(machine.as_ref()).await;
    let outcomes: Vec<_> =
        seen["commands"].as_array().unwrap().iter().map(|c| c["outcome"].clone()).collect();
    assert_eq!(outcomes, ["exit 100", "exit 0", "signal KILL", "exit 0", "disconnected", "exit 0"]);
}

pub async fn a_directory_arrives_as_a_tar_stream() {
    let (machine, key) = machine(RecordConfig::default()).await;
    let client = Client::open(machine.as_ref(), &key).await;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [("conf/a", "one"), ("conf/b", "two")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    client.feed("mkdir -p '/opt/app' && tar -x -C '/opt/app'", &archive).await.ok();
    assert_eq!(client.run("cat /opt/app/conf/b").await.ok(), "two");
    let broken = client.feed("tar -x -C /opt/app", b"this is no archive").await;
    assert_eq!(broken.exit, Some(2), "{broken:?}");
    assert!(client.run("tar -c -C /opt/app .").await.ok().contains("conf/a"));
    let seen = provenance(machine.as_ref()).await;
    assert_eq!(seen["files"][0]["path"], "/opt/app/conf/a");
    assert_eq!((&seen["files"][0]["size"], &seen["files"][0]["mode"]), (&3.into(), &"0600".into()));
}

/// The client of OpenSSH is the judge of both copy protocols.
pub async fn openssh_copies_with_both_protocols() -> Result<(), String> {
    let found = |tool: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(tool).exists()))
    };
    if !found("scp") {
        return Err("scp of OpenSSH is not installed".to_owned());
    }
    let (machine, key) = machine(RecordConfig::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(at("id")).unwrap();
    file.write_all(key.to_openssh(Default::default()).unwrap().as_bytes()).unwrap();
    drop(file);
    std::fs::create_dir_all(at("tree/sub")).unwrap();
    std::fs::write(at("tree/one"), vec![1; 300_000]).unwrap();
    std::fs::write(at("tree/sub/two"), "2").unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = Arc::clone(&machine);
    let door = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut stream = server.connect().await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut socket, &mut stream).await });
        }
    });
    let scp = async |protocol: &str, from: String, to: String| {
        let run = Command::new("scp")
            .args(["-q", "-r", protocol, "-F", "/dev/null", "-P", &port, "-i"])
            .arg(at("id"))
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args([&from, &to])
            .output();
        let output = tokio::time::timeout(Duration::from_secs(30), run).await.unwrap().unwrap();
        assert!(output.status.success(), "{protocol} {from}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for (protocol, name) in [("-O", "old"), ("-s", "new")] {
        let remote = format!("{USER}@127.0.0.1:/srv/{name}");
        scp(protocol, at("tree").display().to_string(), remote.clone()).await;
        scp(protocol, remote, at(name).display().to_string()).await;
        assert_eq!(std::fs::read(at(name).join("one")).unwrap(), vec![1; 300_000]);
        assert_eq!(std::fs::read(at(name).join("sub/two")).unwrap(), b"2");
    }
    door.abort();
    Ok(())
}

pub async fn a_booting_machine_refuses_connections() {
    let (machine, _) = machine(RecordConfig { boot_ms: 3_600_000, ..RecordConfig::default() }).await;
    assert!(matches!(machine.connect().await, Err(MachineError::NotRunning)));
    assert!(machine.status().starts_with("booting"));
}

pub async fn nothing_grows_without_bound() {
    let limits = Limits { commands: 2, command_bytes: 8, files: 30, content_bytes: 10 };
    let (machine, key) = machine(RecordConfig { limits, ..RecordConfig::default() }).await;
    let client = Client::open(machine.as_ref(), &key).await;
    client.run("a command that is long").await.ok();
    client.feed("cat > /tmp/big", &[7; 100_000]).await.ok();
    client.run("one too many").await.ok();
    let seen = provenance(machine.as_ref()).await;
    assert_eq!(seen["commands"].as_array().unwrap().len(), 2);
    assert_eq!(seen["commands_dropped"], 1);
    assert_eq!(
        (&seen["commands"][0]["command"], &seen["commands"][0]["command_bytes"]),
        (&"a comman".into(), &22.into())
    );
    assert_eq!(seen["files"][0]["size"], 100_000);
    assert!(seen["files"][0]["sha256"].is_string());
}
