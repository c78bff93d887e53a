//! A small SSH client for the tests: connect over a machine's stream, run, copy.

use std::sync::Arc;

use fornax_simulator::machine::{Base, Machine, MachineSpec, Stream};
use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, Sig};
use russh_sftp::client::SftpSession;

pub const USER: &str = "azureuser";

pub fn key() -> PrivateKey {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "test").unwrap()
}

pub fn spec(key: &PrivateKey, base: Base) -> MachineSpec {
    MachineSpec {
        id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm".to_owned(),
        computer_name: "vm-1".to_owned(),
        os_type: "Linux".to_owned(),
        admin_username: USER.to_owned(),
        admin_password: None,
        ssh_public_keys: vec![key.public_key().to_openssh().unwrap()],
        custom_data: None,
        base,
    }
}

pub fn marketplace() -> Base {
    Base::Marketplace {
        publisher: "Debian".to_owned(),
        offer: "debian-12".to_owned(),
        sku: "12-gen2".to_owned(),
        version: "latest".to_owned(),
    }
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

pub struct Client {
    handle: Handle<Trusting>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Done {
    pub stdout: String,
    pub stderr: String,
    pub exit: Option<u32>,
    pub signal: Option<String>,
}

impl Done {
    /// The output of a command that ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.exit, Some(0), "{self:?}");
        self.stdout
    }
}

impl Client {
    pub async fn open(machine: &dyn Machine, key: &PrivateKey) -> Self {
        Self::login(machine.connect().await.unwrap(), USER, key).await.expect("the login is refused")
    }

    /// None where the server refuses the key, or is not there.
    pub async fn try_login(stream: Box<dyn Stream>, key: &PrivateKey) -> Option<Self> {
        let config = Arc::new(client::Config::default());
        let mut handle = client::connect_stream(config, stream, Trusting).await.ok()?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
        let result = handle.authenticate_publickey(USER, key).await.ok()?;
        (result == AuthResult::Success).then_some(Self { handle })
    }

    /// None where the server refuses the key.
    pub async fn login(stream: Box<dyn Stream>, user: &str, key: &PrivateKey) -> Option<Self> {
        let mut handle = Self::greet(stream).await;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key.clone()), None);
        let result = handle.authenticate_publickey(user, key).await.unwrap();
        (result == AuthResult::Success).then_some(Self { handle })
    }

    pub async fn login_with_password(stream: Box<dyn Stream>, user: &str, password: &str) -> Option<Self> {
        let mut handle = Self::greet(stream).await;
        let result = handle.authenticate_password(user, password).await.unwrap();
        (result == AuthResult::Success).then_some(Self { handle })
    }

    async fn greet(stream: Box<dyn Stream>) -> Handle<Trusting> {
        client::connect_stream(Arc::new(client::Config::default()), stream, Trusting).await.unwrap()
    }

    pub async fn run(&self, command: &str) -> Done {
        self.feed(command, b"").await
    }

    /// Runs a command with an input. Everything but stdout and the end is none where the connection broke.
    pub async fn feed(&self, command: &str, input: &[u8]) -> Done {
        let mut done = Done::default();
        let Ok(channel) = self.handle.channel_open_session().await else { return done };
        if channel.exec(true, command).await.is_err() {
            return done;
        }
        let (mut reader, writer) = channel.split();
        let input = bytes::Bytes::copy_from_slice(input);
        let send = tokio::spawn(async move {
            let _ = writer.data_bytes(input).await;
            let _ = writer.eof().await;
        });
        while let Some(message) = reader.wait().await {
            match message {
                ChannelMsg::Data { data } => done.stdout.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExtendedData { data, .. } => {
                    done.stderr.push_str(&String::from_utf8_lossy(&data))
                }
                ChannelMsg::ExitStatus { exit_status } => done.exit = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name: Sig::Custom(name), .. } => done.signal = Some(name),
                ChannelMsg::ExitSignal { signal_name, .. } => done.signal = Some(format!("{signal_name:?}")),
                _ => {}
            }
        }
        send.abort();
        done
    }

    pub async fn sftp(&self) -> SftpSession {
        let channel = self.handle.channel_open_session().await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        SftpSession::new(channel.into_stream()).await.unwrap()
    }
}
