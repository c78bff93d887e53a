//! What every kind of machine must do, whatever stands behind it.

use std::sync::Arc;

use fornax_simulator::machine::record::{Record, RecordConfig};
use fornax_simulator::machine::{Base, MachineBackend, MachineError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, USER, key, marketplace, spec};
use crate::jail::Lab;

fn record() -> Arc<dyn MachineBackend> {
    Record::new(RecordConfig::default()).unwrap()
}

pub async fn record_runs_commands() {
    runs_commands(record()).await;
}

pub async fn record_takes_files() {
    takes_files(record()).await;
}

pub async fn record_keeps_its_disk() {
    keeps_its_disk(record()).await;
}

pub async fn record_refuses_strangers() {
    refuses_strangers(record()).await;
}

pub async fn jail_runs_commands() -> Result<(), String> {
    runs_commands(Lab::new().await?.jail()).await;
    Ok(())
}

pub async fn jail_takes_files() -> Result<(), String> {
    takes_files(Lab::new().await?.jail()).await;
    Ok(())
}

pub async fn jail_keeps_its_disk() -> Result<(), String> {
    keeps_its_disk(Lab::new().await?.jail()).await;
    Ok(())
}

pub async fn jail_refuses_strangers() -> Result<(), String> {
    refuses_strangers(Lab::new().await?.jail()).await;
    Ok(())
}

/// The questions of a communicator, exit codes, input.
pub async fn runs_commands(backend: Arc<dyn MachineBackend>) {
    let key = key();
    let machine = backend.create(spec(&key, marketplace())).await.unwrap();
    let client = Client::open(machine.as_ref(), &key).await;
    let cases = [
        ("uname -s", "Linux\n"),
        ("id -un", "azureuser\n"),
        ("sudo -n id -un", "root\n"),
        ("hostname", "vm-1\n"),
        ("echo 'a  b'", "a  b\n"),
        ("test -d /tmp && echo yes", "yes\n"),
        ("pwd", "/home/azureuser\n"),
    ];
    for (command, expected) in cases {
        assert_eq!(client.run(command).await.ok(), expected, "{command}");
    }
    assert_eq!(client.run("exit 42").await.exit, Some(42));
    assert_eq!(client.run("test -e /nowhere").await.exit, Some(1));
    client.feed("cat > /tmp/input", &vec![b'x'; 3_000_000]).await.ok();
    let path = client.run("mktemp /tmp/p.XXXXXX").await.ok();
    assert!(path.starts_with("/tmp/p."), "{path}");
    machine.delete().await.unwrap();
    assert!(matches!(machine.connect().await, Err(MachineError::NotRunning)));
}

/// SFTP up and down, attributes, directories.
pub async fn takes_files(backend: Arc<dyn MachineBackend>) {
    let key = key();
    let machine = backend.create(spec(&key, marketplace())).await.unwrap();
    let client = Client::open(machine.as_ref(), &key).await;
    let sftp = client.sftp().await;
    let content: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let mut file = sftp.create("upload.bin").await.unwrap();
    file.write_all(&content).await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(sftp.metadata("upload.bin").await.unwrap().size, Some(content.len() as u64));
    let mut back = Vec::new();
    sftp.open(format!("/home/{USER}/upload.bin")).await.unwrap().read_to_end(&mut back).await.unwrap();
    assert!(back == content, "the download differs from the upload");
    sftp.create_dir("/tmp/d").await.unwrap();
    sftp.rename("upload.bin", "/tmp/d/moved").await.unwrap();
    let names: Vec<String> = sftp.read_dir("/tmp/d").await.unwrap().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["moved"]);
    assert!(sftp.metadata("/tmp/none").await.is_err());
    machine.delete().await.unwrap();
}

/// Power, capture, and a second machine from the captured image.
pub async fn keeps_its_disk(backend: Arc<dyn MachineBackend>) {
    let key = key();
    let machine = backend.create(spec(&key, marketplace())).await.unwrap();
    let client = Client::open(machine.as_ref(), &key).await;
    client.feed("cat > /opt/kept 2>/dev/null || sudo tee /opt/kept >/dev/null", b"of the first\n").await.ok();
    assert!(machine.capture("image").await.is_err(), "a running machine must not be captured");
    machine.restart().await.unwrap();
    assert_eq!(client.run("true").await.exit, None, "a connection outlived the restart");
    let client = Client::open(machine.as_ref(), &key).await;
    assert_eq!(client.run("cat /opt/kept").await.ok(), "of the first\n");
    machine.power_off().await.unwrap();
    assert!(matches!(machine.connect().await, Err(MachineError::NotRunning)));
    let captured = machine.capture("/images/first").await.unwrap();
    assert_eq!(captured.provenance["machine"], backend.name());
    machine.delete().await.unwrap();

    let from_image = || Base::Captured { handle: captured.handle.clone() };
    let second = backend.create(spec(&key, from_image())).await.unwrap();
    let client = Client::open(second.as_ref(), &key).await;
    assert_eq!(client.run("cat /opt/kept").await.ok(), "of the first\n");
    second.delete().await.unwrap();
    backend.delete_image(&captured.handle).await.unwrap();
    backend.delete_image(&captured.handle).await.unwrap();
    assert!(backend.create(spec(&key, from_image())).await.is_err(), "a deleted image must be gone");
}

/// Only the key and the password of the specification open the door.
pub async fn refuses_strangers(backend: Arc<dyn MachineBackend>) {
    let (key, stranger) = (key(), key());
    let mut with_password = spec(&key, marketplace());
    with_password.admin_password = Some("Corr3ct-horse!".to_owned());
    let machine = backend.create(with_password).await.unwrap();
    let connect = async || machine.connect().await.unwrap();
    assert!(Client::login(connect().await, USER, &stranger).await.is_none());
    assert!(Client::login(connect().await, "someone", &key).await.is_none());
    assert!(Client::login_with_password(connect().await, USER, "wrong").await.is_none());
    let client = Client::login_with_password(connect().await, USER, "Corr3ct-horse!").await.unwrap();
    assert_eq!(client.run("id -un").await.ok(), "azureuser\n");
    machine.delete().await.unwrap();

    let machine = backend.create(spec(&key, marketplace())).await.unwrap();
    let stream = machine.connect().await.unwrap();
    assert!(
        Client::login_with_password(stream, USER, "").await.is_none(),
        "password login was not asked for"
    );
    machine.delete().await.unwrap();
}
