//! The `communicator` and `ssh_*` options of a builder, as Packer's users write them, read from a rendered
//! configuration. Shared by every builder that connects.

use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, nearest};
use crate::duration::parse_duration;
use crate::secret::Secret;
use crate::source::Span;
use crate::value::{Node, Text, Value};

mod schema;

pub use schema::properties;

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
    /// Belongs to the key file.
    pub certificate_file: Option<String>,
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

/// What a builder changes of the usual values.
#[derive(Clone, Debug)]
pub struct SshDefaults {
    /// Empty: the user has to name it.
    pub username: String,
    /// Where it is not the usual five minutes, refused logins are not limited.
    pub timeout: Duration,
}

impl Default for SshDefaults {
    fn default() -> Self {
        Self { username: String::new(), timeout: USUAL_TIMEOUT }
    }
}

/// How long Packer waits where neither the user nor the builder says so; refused logins are limited then, too.
const USUAL_TIMEOUT: Duration = Duration::from_secs(300);
const USUAL_ATTEMPTS: u32 = 10;

/// Options that are known but not supported yet, and what to do without them.
const NOT_YET: &[(&str, &str)] = &[
    ("ssh_bastion_interactive", "give ssh_bastion_password: it answers the bastion's questions"),
    ("ssh_remote_tunnels", "let the machine reach the host directly, or upload what it needs"),
    ("ssh_local_tunnels", "remove it"),
    ("ssh_public_key", "use ssh_private_key_file"),
    ("ssh_private_key", "write the key to a file and name it in ssh_private_key_file"),
];

/// Ciphers that `ssh_ciphers` may name; the part before `@` is enough.
pub const CIPHERS: &[&str] = &[
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "aes256-cbc",
    "aes192-cbc",
    "aes128-cbc",
];

/// What `ssh_key_exchange_algorithms` may name.
pub const KEY_EXCHANGES: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
];

impl CommunicatorKind {
    /// Reads `communicator`; absent means SSH. None if it names one that is not there.
    pub fn from_config(config: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut reader = Reader { config, found: diagnostics };
        match reader.text("communicator").map(|t| t.expose()).as_deref() {
            None | Some("" | "ssh") => Some(Self::Ssh),
            Some("none") => Some(Self::None),
            Some("winrm") => {
                reader.wrong(
                    "communicator",
                    "communicator/not-supported-yet",
                    "the communicator \"winrm\" is not supported yet",
                    "use \"ssh\", for instance with OpenSSH for Windows",
                );
                None
            }
            Some(_) => {
                let shown = reader.shown("communicator");
                reader.wrong(
                    "communicator",
                    "communicator/unknown",
                    &format!("there is no communicator \"{shown}\""),
                    "write \"ssh\" or \"none\"",
                );
                None
            }
        }
    }
}

impl SshOptions {
    /// Reads the options. None if one of them can't be used; why is among the findings then.
    pub fn from_config(config: &Node, defaults: &SshDefaults, diagnostics: &mut Diagnostics) -> Option<Self> {
        let before = diagnostics.iter().filter(|d| d.severity == crate::Severity::Error).count();
        let mut r = Reader { config, found: diagnostics };
        for (key, instead) in NOT_YET {
            if r.is_set(key) {
                let summary = format!("the option \"{key}\" is not supported yet");
                r.wrong(key, "ssh/not-supported-yet", &summary, instead);
            }
        }
        let secret = |text: Option<Text>| text.filter(|t| !t.is_empty()).map(|t| Secret::new(t.expose()));
        let plain = |text: Option<Text>| text.map(|t| t.expose()).filter(|t| !t.is_empty());
        let bastion = plain(r.text("ssh_bastion_host")).map(|host| BastionOptions {
            host,
            port: r.port("ssh_bastion_port", 22),
            username: plain(r.text("ssh_bastion_username")).unwrap_or_default(),
            password: secret(r.text("ssh_bastion_password")),
            private_key_file: plain(r.text("ssh_bastion_private_key_file"))
                .or_else(|| plain(r.text("ssh_private_key_file"))),
            certificate_file: plain(r.text("ssh_bastion_certificate_file")),
            agent_auth: r.flag("ssh_bastion_agent_auth"),
            interactive: false,
        });
        if let Some(bastion) = &bastion
            && bastion.password.is_none()
            && bastion.private_key_file.is_none()
            && !bastion.agent_auth
        {
            r.wrong(
                "ssh_bastion_host",
                "ssh/bastion-login",
                "nothing says how to log in to the bastion",
                "give ssh_bastion_password, ssh_bastion_private_key_file or ssh_bastion_agent_auth",
            );
        }
        let proxy = plain(r.text("ssh_proxy_host")).map(|host| ProxyOptions {
            host,
            port: r.port("ssh_proxy_port", 1080),
            username: plain(r.text("ssh_proxy_username")),
            password: secret(r.text("ssh_proxy_password")),
        });
        if bastion.is_some() && proxy.is_some() {
            r.wrong(
                "ssh_proxy_host",
                "ssh/bastion-and-proxy",
                "only one of ssh_bastion_host and ssh_proxy_host may be given",
                "remove one of the two",
            );
        }
        if r.is_set("ssh_certificate_file") && !r.is_set("ssh_private_key_file") {
            r.wrong(
                "ssh_certificate_file",
                "ssh/certificate-without-key",
                "a certificate is of use only with its key",
                "give ssh_private_key_file, too",
            );
        }
        if r.is_set("ssh_bastion_certificate_file")
            && bastion.as_ref().is_some_and(|b| b.private_key_file.is_none())
        {
            r.wrong(
                "ssh_bastion_certificate_file",
                "ssh/certificate-without-key",
                "a certificate is of use only with its key",
                "give ssh_bastion_private_key_file, too",
            );
        }
        let (key_kind, key_bits) = r.key_pair();
        let transfer_method = match plain(r.text("ssh_file_transfer_method")).as_deref() {
            None | Some("scp") => TransferMethod::Scp,
            Some("sftp") => TransferMethod::Sftp,
            Some(_) => {
                let shown = r.shown("ssh_file_transfer_method");
                r.wrong(
                    "ssh_file_transfer_method",
                    "ssh/transfer-method",
                    &format!("there is no transfer method \"{shown}\""),
                    "write \"scp\" or \"sftp\"",
                );
                TransferMethod::Scp
            }
        };
        let keep_alive = if plain(r.text("ssh_keep_alive_interval")).is_some_and(|t| t.starts_with('-')) {
            None
        } else {
            Some(r.duration("ssh_keep_alive_interval").unwrap_or(Duration::from_secs(5)))
                .filter(|d| !d.is_zero())
        };
        let timeout =
            r.duration("ssh_timeout").or_else(|| r.duration("ssh_wait_timeout")).filter(|d| !d.is_zero());
        let usual_attempts =
            (timeout.is_none() && defaults.timeout == USUAL_TIMEOUT).then_some(USUAL_ATTEMPTS);
        let options = SshOptions {
            host: plain(r.text("ssh_host")),
            port: r.port("ssh_port", 22),
            username: plain(r.text("ssh_username")).unwrap_or_else(|| defaults.username.clone()),
            password: secret(r.text("ssh_password")),
            private_key_file: plain(r.text("ssh_private_key_file")),
            certificate_file: plain(r.text("ssh_certificate_file")),
            key_kind,
            key_bits,
            timeout: timeout.unwrap_or(defaults.timeout),
            handshake_attempts: r.number("ssh_handshake_attempts").filter(|n| *n > 0).or(usual_attempts),
            pty: r.flag("ssh_pty"),
            agent_auth: r.flag("ssh_agent_auth"),
            disable_agent_forwarding: r.flag("ssh_disable_agent_forwarding"),
            ciphers: r.names("ssh_ciphers", CIPHERS),
            key_exchange_algorithms: r.names("ssh_key_exchange_algorithms", KEY_EXCHANGES),
            transfer_method,
            keep_alive_interval: keep_alive,
            read_write_timeout: r.duration("ssh_read_write_timeout").filter(|d| !d.is_zero()),
            clear_authorized_keys: r.flag("ssh_clear_authorized_keys"),
            pause_before_connecting: r.duration("pause_before_connecting"),
            bastion,
            proxy,
            remote_tunnels: Vec::new(),
            local_tunnels: Vec::new(),
        };
        let after = diagnostics.iter().filter(|d| d.severity == crate::Severity::Error).count();
        (after == before).then_some(options)
    }
}

/// Reads options with Packer's weak types.
struct Reader<'a> {
    config: &'a Node,
    found: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn node(&self, key: &str) -> Option<&Node> {
        #[cfg(test)]
        tests::ASKED.with_borrow_mut(|asked| asked.insert(key.to_owned()));
        let member = self.config.members().iter().find(|m| m.key.eq_ignore_ascii_case(key))?;
        Some(&member.value).filter(|n| !matches!(n.value, Value::Null | Value::Unknown))
    }

    fn is_set(&self, key: &str) -> bool {
        self.node(key).is_some_and(|n| match &n.value {
            Value::String(text) => !text.is_empty(),
            Value::Bool(b) => *b,
            Value::Array(items) => !items.is_empty(),
            _ => true,
        })
    }

    fn wrong(&mut self, key: &str, code: &str, summary: &str, help: &str) {
        let span = self.node(key).map_or_else(|| self.config.head(), |n| n.span.clone());
        self.found.push(Diagnostic::error(code, summary).at(&span).help(help));
    }

    /// A value for messages, with secrets masked.
    fn shown(&self, key: &str) -> String {
        self.node(key).and_then(Node::as_text).map(Text::masked).unwrap_or_default()
    }

    fn text(&mut self, key: &str) -> Option<Text> {
        let node = self.node(key)?;
        match &node.value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(b) => Some(Text::plain(b.to_string())),
            Value::Number(n) => Some(Text::plain(n.to_string())),
            _ => {
                let kind = node.kind();
                self.wrong(
                    key,
                    "ssh/wrong-type",
                    &format!("\"{key}\" must be a string, not {kind}"),
                    "write it as a string",
                );
                None
            }
        }
    }

    fn number(&mut self, key: &str) -> Option<u32> {
        let text = self.text(key)?;
        let shown = text.masked();
        let number = text.expose().trim().parse().ok();
        if number.is_none() && !text.is_empty() {
            self.wrong(
                key,
                "ssh/wrong-type",
                &format!("\"{key}\" must be a whole number, 0 or more, not \"{shown}\""),
                "write for instance 22",
            );
        }
        number
    }

    fn port(&mut self, key: &str, default: u16) -> u16 {
        match self.number(key) {
            None | Some(0) => default,
            Some(n) => u16::try_from(n).unwrap_or_else(|_| {
                self.wrong(
                    key,
                    "ssh/port",
                    &format!("\"{key}\" is {n}, which is no port"),
                    "ports are numbers from 1 to 65535",
                );
                default
            }),
        }
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.text(key).map(|t| t.expose().to_ascii_lowercase()).as_deref() {
            None | Some("" | "false" | "0" | "f") => false,
            Some("true" | "1" | "t") => true,
            Some(_) => {
                let shown = self.shown(key);
                let summary = format!("\"{key}\" must be true or false, not \"{shown}\"");
                self.wrong(key, "ssh/wrong-type", &summary, "write true or false");
                false
            }
        }
    }

    fn duration(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key)?;
        if text.is_empty() {
            return None;
        }
        parse_duration(&text.expose())
            .map_err(|_| {
                let summary = format!("\"{key}\" must be a duration, not \"{}\"", text.masked());
                self.wrong(key, "ssh/duration", &summary, "write for instance \"30s\", \"5m\" or \"1h30m\"");
            })
            .ok()
    }

    /// `temporary_key_pair_type` and `temporary_key_pair_bits`.
    fn key_pair(&mut self) -> (KeyKind, Option<u32>) {
        let bits = self.number("temporary_key_pair_bits").filter(|n| *n > 0);
        let kind = self.text("temporary_key_pair_type").map(|t| t.expose()).unwrap_or_default();
        let (kind, right, allowed) = match (kind.as_str(), bits) {
            ("" | "ed25519", _) => return (KeyKind::Ed25519, None),
            ("rsa", None) => return (KeyKind::Rsa, None),
            ("rsa", Some(n)) => (KeyKind::Rsa, (2048..=8192).contains(&n), "2048 to 8192"),
            ("ecdsa", None | Some(521)) => return (KeyKind::EcdsaP521, None),
            ("ecdsa", Some(256)) => return (KeyKind::EcdsaP256, None),
            ("ecdsa", Some(384)) => return (KeyKind::EcdsaP384, None),
            ("ecdsa", Some(_)) => (KeyKind::EcdsaP521, false, "256, 384 or 521"),
            _ => {
                let shown = self.shown("temporary_key_pair_type");
                self.wrong(
                    "temporary_key_pair_type",
                    "ssh/key-type",
                    &format!("there is no type of key \"{shown}\""),
                    "write ed25519, rsa or ecdsa",
                );
                return (KeyKind::Ed25519, None);
            }
        };
        if !right {
            self.wrong(
                "temporary_key_pair_bits",
                "ssh/key-bits",
                "a key of this length can't be made",
                &format!("keys of this type have {allowed} bits"),
            );
        }
        (kind, bits)
    }

    /// A list of algorithms, each of which must be known.
    fn names(&mut self, key: &str, known: &[&'static str]) -> Vec<String> {
        let mut found = Vec::new();
        for (name, span) in self.list(key) {
            let full = known.iter().find(|k| **k == name || k.split('@').next() == Some(name.as_str()));
            match full {
                Some(full) => found.push((*full).to_owned()),
                None => {
                    let summary = format!("\"{key}\" names \"{name}\", which is not known here");
                    let help = match nearest(&name, known.iter().copied()) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("known are {}", known.join(", ")),
                    };
                    self.found.push(Diagnostic::error("ssh/algorithm", summary).at(&span).help(help));
                }
            }
        }
        found
    }

    /// A list of texts, or one text with commas.
    fn list(&mut self, key: &str) -> Vec<(String, Span)> {
        let Some(node) = self.node(key).cloned() else { return Vec::new() };
        if let Value::Array(items) = &node.value {
            let mut texts = Vec::new();
            for item in items {
                match item.as_text() {
                    Some(text) => texts.push((text.expose(), item.span.clone())),
                    None => self.found.push(
                        Diagnostic::error(
                            "ssh/wrong-type",
                            format!("\"{key}\" is a list of strings, not of {}", item.kind()),
                        )
                        .at(&item.span)
                        .help("write each as a string"),
                    ),
                }
            }
            return texts;
        }
        let text = self.text(key).map(|t| t.expose()).unwrap_or_default();
        text.split(',')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(|t| (t.to_owned(), node.span.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
