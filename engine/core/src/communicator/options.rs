//! The `communicator` and `ssh_*` options of a builder, as Packer's users write them, read from a rendered
//! configuration. Shared by every builder that connects.

use std::time::Duration;

use crate::secret::Secret;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommunicatorKind {
    Ssh,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    #[default]
    Ed25519,
    Rsa,
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferMethod {
    Sftp,
    Scp,
}

/// A jump host.
#[derive(Clone, Debug)]
pub struct BastionOptions {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: Option<Secret>,
    pub private_key_file: Option<String>,
    pub agent_auth: bool,
    pub interactive: bool,
}

/// A SOCKS5 proxy.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    pub host: String,
    pub port: u16,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// Everything that decides how SSH is spoken. Durations are limits of a single wait.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// Overrides the discovered address.
    pub host: Option<String>,
    pub port: u16,
    pub username: String,
    pub password: Option<Secret>,
    pub private_key_file: Option<String>,
    pub certificate_file: Option<String>,
    pub key_kind: KeyKind,
    pub key_bits: Option<u32>,
    /// Until the first connection stands.
    pub timeout: Duration,
    /// Failed authentications until giving up; none: until the timeout.
    pub handshake_attempts: Option<u32>,
    pub pty: bool,
    pub agent_auth: bool,
    pub disable_agent_forwarding: bool,
    pub ciphers: Vec<String>,
    pub key_exchange_algorithms: Vec<String>,
    pub transfer_method: TransferMethod,
    /// None: no keep-alive requests.
    pub keep_alive_interval: Option<Duration>,
    pub read_write_timeout: Option<Duration>,
    pub clear_authorized_keys: bool,
    pub pause_before_connecting: Option<Duration>,
    pub bastion: Option<BastionOptions>,
    pub proxy: Option<ProxyOptions>,
    pub remote_tunnels: Vec<String>,
    pub local_tunnels: Vec<String>,
}
