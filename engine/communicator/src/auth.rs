//! Logging in: the methods that the options name, in the order key, agent, password, keyboard-interactive, as far as
//! the server offers them.

use std::sync::Arc;

use fornax_core::Secret;
use fornax_core::communicator::{ConnectError, KeyPair, SshOptions};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use crate::keys;
use crate::session::{Client, Failure};

/// Servers end the connection after six tries (OpenSSH's default); this many are left to an agent's keys.
const MOST_AGENT_KEYS: usize = 4;
/// Dialogues are answered so many times; a server that asks on does not like the answer.
const MOST_QUESTIONS: usize = 4;

/// What we can show to a server.
pub(crate) struct Login {
    pub user: String,
    pub keys: Vec<(Arc<PrivateKey>, Option<Certificate>)>,
    pub agent: bool,
    pub password: Option<Secret>,
}

impl Login {
    /// Reads the keys that the options name.
    pub async fn for_machine(options: &SshOptions, key: Option<&KeyPair>) -> Result<Self, ConnectError> {
        let mut found = Vec::new();
        if let Some(path) = &options.private_key_file {
            let certificate = match &options.certificate_file {
                Some(path) => Some(keys::load_certificate(path).await?),
                None => None,
            };
            found.push((keys::load(path).await?, certificate));
        } else if let Some(pair) = key {
            found.push((keys::parse(&pair.private_pem, "of this build")?, None));
        }
        Ok(Self {
            user: options.username.clone(),
            keys: found,
            agent: options.agent_auth,
            password: options.password.clone(),
        })
    }

    pub async fn for_bastion(options: &SshOptions) -> Result<Option<Self>, ConnectError> {
        let Some(bastion) = &options.bastion else { return Ok(None) };
        let keys = match &bastion.private_key_file {
            Some(path) => {
                let certificate = match &bastion.certificate_file {
                    Some(path) => Some(keys::load_certificate(path).await?),
                    None => None,
                };
                vec![(keys::load(path).await?, certificate)]
            }
            None => Vec::new(),
        };
        let user = if bastion.username.is_empty() { &options.username } else { &bastion.username };
        Ok(Some(Self {
            user: user.clone(),
            keys,
            agent: bastion.agent_auth,
            password: bastion.password.clone(),
        }))
    }
}

/// The course of one login.
struct Attempt {
    /// What the server said it accepts; unknown before its first refusal.
    offered: Option<MethodSet>,
    tried: Vec<&'static str>,
    notes: Vec<String>,
}

impl Attempt {
    fn may(&self, method: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|offered| offered.contains(&method))
    }

    /// True when the login is complete.
    fn took(&mut self, method: &'static str, result: AuthResult) -> bool {
        if !self.tried.contains(&method) {
            self.tried.push(method);
        }
        match result {
            AuthResult::Success => true,
            AuthResult::Failure { remaining_methods, .. } => {
                self.offered = Some(remaining_methods);
                false
            }
        }
    }
}

pub(crate) async fn log_in(handle: &mut Handle<Client>, login: &Login) -> Result<(), Failure> {
    let mut attempt = Attempt { offered: None, tried: Vec::new(), notes: Vec::new() };
    let result = methods(handle, login, &mut attempt).await;
    if matches!(result, Ok(true)) {
        return Ok(());
    }
    let mut reason = if handle.is_closed() || result.is_err() {
        "the connection was closed during the login".to_owned()
    } else {
        let tried = if attempt.tried.is_empty() { "nothing".into() } else { attempt.tried.join(", ") };
        format!("the login of \"{}\" with {tried} was refused", login.user)
    };
    if let Some(offered) = attempt.offered.filter(|o| !o.is_empty()) {
        let names: Vec<&str> = offered.iter().map(<&str>::from).collect();
        reason.push_str(&format!("; the machine accepts {}", names.join(", ")));
    }
    for note in attempt.notes {
        reason.push_str(&format!("; {note}"));
    }
    Err(Failure::Login(reason))
}

async fn methods(
    handle: &mut Handle<Client>,
    login: &Login,
    attempt: &mut Attempt,
) -> Result<bool, russh::Error> {
    for (key, certificate) in &login.keys {
        if !attempt.may(MethodKind::PublicKey) {
            break;
        }
        let result = match certificate {
            Some(certificate) => {
                handle.authenticate_openssh_cert(&login.user, key.clone(), certificate.clone()).await?
            }
            None => {
                let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                handle
                    .authenticate_publickey(&login.user, PrivateKeyWithHashAlg::new(key.clone(), hash))
                    .await?
            }
        };
        if attempt.took("publickey", result) {
            return Ok(true);
        }
    }
    if login.agent && attempt.may(MethodKind::PublicKey) && agent(handle, login, attempt).await? {
        return Ok(true);
    }
    if let Some(password) = &login.password {
        if attempt.may(MethodKind::Password) {
            let result = handle.authenticate_password(&login.user, password.expose()).await?;
            if attempt.took("password", result) {
                return Ok(true);
            }
        }
        if attempt.may(MethodKind::KeyboardInteractive) && !handle.is_closed() {
            let result = keyboard_interactive(handle, &login.user, password).await?;
            return Ok(attempt.took("keyboard-interactive", result));
        }
    }
    if attempt.tried.is_empty() {
        let result = handle.authenticate_none(&login.user).await?;
        return Ok(attempt.took("none", result));
    }
    Ok(false)
}

/// SHA-2 where the server says nothing; SHA-1 is refused everywhere by now.
async fn rsa_hash(handle: &Handle<Client>) -> Result<Option<HashAlg>, russh::Error> {
    Ok(handle.best_supported_rsa_hash().await?.flatten().or(Some(HashAlg::Sha256)))
}

async fn keyboard_interactive(
    handle: &mut Handle<Client>,
    user: &str,
    password: &Secret,
) -> Result<AuthResult, russh::Error> {
    let mut reply = handle.authenticate_keyboard_interactive_start(user, None).await?;
    let mut questions = 0;
    loop {
        match reply {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                questions += 1;
                if questions > MOST_QUESTIONS {
                    return Ok(AuthResult::Failure {
                        remaining_methods: MethodSet::empty(),
                        partial_success: false,
                    });
                }
                let answers = prompts.iter().map(|_| password.expose().to_owned()).collect();
                reply = handle.authenticate_keyboard_interactive_respond(answers).await?;
            }
        }
    }
}

#[cfg(unix)]
async fn agent(
    handle: &mut Handle<Client>,
    login: &Login,
    attempt: &mut Attempt,
) -> Result<bool, russh::Error> {
    let mut agent = match AgentClient::connect_env().await {
        Ok(agent) => agent,
        Err(error) => {
            attempt.notes.push(format!("no SSH agent can be reached ({error})"));
            return Ok(false);
        }
    };
    let identities = match agent.request_identities().await {
        Ok(identities) => identities,
        Err(error) => {
            attempt.notes.push(format!("the SSH agent does not tell its keys ({error})"));
            return Ok(false);
        }
    };
    if identities.is_empty() {
        attempt.notes.push("the SSH agent holds no key".into());
    }
    if identities.len() > MOST_AGENT_KEYS {
        attempt.notes.push(format!(
            "only the first {MOST_AGENT_KEYS} of the {} keys of the SSH agent were tried",
            identities.len()
        ));
    }
    for identity in identities.into_iter().take(MOST_AGENT_KEYS) {
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                let hash = if key.algorithm().is_rsa() { rsa_hash(handle).await? } else { None };
                handle.authenticate_publickey_with(&login.user, key, hash, &mut agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                handle.authenticate_certificate_with(&login.user, certificate, None, &mut agent).await
            }
        };
        match result {
            Ok(result) => {
                if attempt.took("publickey (agent)", result) {
                    return Ok(true);
                }
            }
            Err(error) => attempt.notes.push(format!("the SSH agent did not sign ({error})")),
        }
        if handle.is_closed() || !attempt.may(MethodKind::PublicKey) {
            break;
        }
    }
    Ok(false)
}

#[cfg(not(unix))]
async fn agent(
    _handle: &mut Handle<Client>,
    _login: &Login,
    attempt: &mut Attempt,
) -> Result<bool, russh::Error> {
    attempt.notes.push("SSH agents are not supported on this system yet".into());
    Ok(false)
}
