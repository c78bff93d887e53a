//! Servers in this process: logins that OpenSSH offers only with PAM, and machines that behave badly. The streams are
//! pipes in memory, as those of a simulated machine are.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fornax_communicator::SshConnector;
use fornax_core::Secret;
use fornax_core::communicator::{Communicator, ConnectError, Connector, Dialer, SshOptions, Stream};
use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};

use crate::support::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Accepts commands and falls silent, without an end.
    CloseWithoutStatus,
    RefuseCommands,
}

#[derive(Clone)]
struct Rules {
    methods: &'static [MethodKind],
    /// After the key the password is wanted, too.
    both: bool,
    fault: Fault,
}

struct Fake(Rules);

impl server::Handler for Fake {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(if user == "u" && password == "right" { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let next = MethodSet::from(&[MethodKind::Password][..]);
        Ok(if self.0.both {
            Auth::Reject { proceed_with_methods: Some(next), partial_success: true }
        } else {
            Auth::reject()
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let answers: Vec<_> = response.into_iter().flatten().collect();
        Ok(match answers.first() {
            Some(answer) if answer.as_ref() == b"right" => Auth::Accept,
            Some(_) => Auth::reject(),
            None => Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: Cow::Owned(vec![("Password: ".into(), false)]),
            },
        })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.0.fault {
            Fault::RefuseCommands => return session.channel_failure(id),
            Fault::CloseWithoutStatus => session.channel_success(id)?,
            Fault::None => {
                session.channel_success(id)?;
                session.data(id, line.to_vec())?;
                session.exit_status_request(id, 0)?;
                session.eof(id)?;
            }
        }
        session.close(id)
    }
}

struct Pipes(Rules);

#[async_trait]
impl Dialer for Pipes {
    async fn dial(&self, _host: &str, _port: u16) -> std::io::Result<Box<dyn Stream>> {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        let key = key();
        let config = Arc::new(server::Config {
            keys: vec![PrivateKey::from_openssh(key.private_pem.expose()).unwrap()],
            methods: MethodSet::from(self.0.methods),
            auth_rejection_time: Duration::from_millis(1),
            ..server::Config::default()
        });
        let rules = self.0.clone();
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, theirs, Fake(rules)).await {
                let _ = session.await;
            }
        });
        Ok(Box::new(ours))
    }
}

async fn enter(rules: Rules, password: &str, with_key: bool) -> Result<Arc<dyn Communicator>, ConnectError> {
    let mut options = SshOptions { password: Some(Secret::new(password)), ..options("u") };
    options.handshake_attempts = Some(1);
    // Host keys differ from dial to dial here, so only one connection is made.
    SshConnector::new(Arc::new(Pipes(rules))).connect(request(22, options, with_key.then(key))).await
}

const PASSWORD: &[MethodKind] = &[MethodKind::Password];
const DIALOGUE: &[MethodKind] = &[MethodKind::KeyboardInteractive];

#[tokio::test]
async fn passwords_log_in_directly_and_in_a_dialogue() {
    for methods in [PASSWORD, DIALOGUE] {
        let rules = Rules { methods, both: false, fault: Fault::None };
        let machine = enter(rules.clone(), "right", false).await.unwrap();
        assert_eq!(run(machine.as_ref(), "echo").await.out, "echo");
        let error = enter(rules, "wrong", false).await.err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, ConnectError::Refused { .. }), "{text}");
        assert!(text.contains(<&str>::from(&methods[0])) && !text.contains("wrong"), "{text}");
    }
}

#[tokio::test]
async fn a_key_and_a_password_may_both_be_wanted() {
    let methods = &[MethodKind::PublicKey, MethodKind::Password];
    let rules = Rules { methods, both: true, fault: Fault::None };
    enter(rules, "right", true).await.unwrap();
}

#[tokio::test]
async fn an_end_without_a_status_is_never_success() {
    let rules = Rules { methods: PASSWORD, both: false, fault: Fault::CloseWithoutStatus };
    let machine = enter(rules, "right", false).await.unwrap();
    let status = run(machine.as_ref(), "true").await.status;
    assert!(status.code.is_none() && status.disconnected, "{status:?}");
}

#[tokio::test]
async fn a_server_that_runs_nothing_says_so() {
    let rules = Rules { methods: PASSWORD, both: false, fault: Fault::RefuseCommands };
    let machine = enter(rules, "right", false).await.unwrap();
    let said = run(machine.as_ref(), "true").await;
    assert_eq!(said.status.code, Some(126));
    assert!(said.err.contains("refused to start a command"), "{}", said.err);
}
