//! A transport that answers from a script, for the tests of this crate.

pub mod cloud;

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::transport::{Transport, TransportError};

#[derive(Clone)]
enum Answer {
    Reply { status: u16, headers: Vec<(String, String)>, body: String },
    Cut,
    Refuse,
    Hang,
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `GET /path`
    pub line: String,
    pub query: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// Since the script was made.
    pub at: Duration,
}

/// Answers by method and path; the last answer of a line is given again and again.
pub struct Script {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    sent: Mutex<Vec<Sent>>,
    began: tokio::time::Instant,
}

impl Script {
    pub fn new() -> Self {
        Self { answers: Mutex::default(), sent: Mutex::default(), began: tokio::time::Instant::now() }
    }

    fn add(self, line: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.answers.lock().unwrap().entry(line.to_lowercase()).or_default().extend(answers);
        self
    }

    pub fn on<B: Into<String>>(self, line: &str, answers: impl IntoIterator<Item = (u16, B)>) -> Self {
        let answers = answers
            .into_iter()
            .map(|(status, body)| Answer::Reply { status, headers: Vec::new(), body: body.into() })
            .collect::<Vec<_>>();
        self.add(line, answers)
    }

    /// Headers are lines `name: value`.
    pub fn on_with<B: Into<String>>(
        self,
        line: &str,
        answers: impl IntoIterator<Item = (u16, &'static str, B)>,
    ) -> Self {
        let answers = answers
            .into_iter()
            .map(|(status, headers, body)| Answer::Reply {
                status,
                headers: headers
                    .lines()
                    .filter_map(|l| l.split_once(": "))
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
                    .collect(),
                body: body.into(),
            })
            .collect::<Vec<_>>();
        self.add(line, answers)
    }

    /// The connection breaks before the answer.
    pub fn cut(self, line: &str) -> Self {
        self.add(line, [Answer::Cut])
    }

    /// No connection comes about.
    pub fn refuse(self, line: &str) -> Self {
        self.add(line, [Answer::Refuse])
    }

    /// No answer ever.
    pub fn hang(self, line: &str) -> Self {
        self.add(line, [Answer::Hang])
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.sent().into_iter().map(|s| s.line).collect()
    }

    /// How many requests begin so.
    pub fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|l| l.starts_with(start)).count()
    }

    pub fn bodies(&self, start: &str) -> Vec<String> {
        self.sent().into_iter().filter(|s| s.line.starts_with(start)).map(|s| s.body).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let line = format!("{} {}", request.method(), request.uri().path());
        self.sent.lock().unwrap().push(Sent {
            line: line.clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request
                .headers()
                .iter()
                .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned()))
                .collect(),
            body: String::from_utf8_lossy(request.body()).into_owned(),
            at: self.began.elapsed(),
        });
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            match answers.get_mut(&line.to_lowercase()) {
                None => Answer::Reply {
                    status: 404,
                    headers: Vec::new(),
                    body: format!(r#"{{"error":{{"code":"ResourceNotFound","message":"{line}"}}}}"#),
                },
                Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
                Some(queue) => queue.front().unwrap().clone(),
            }
        };
        match answer {
            Answer::Reply { status, headers, body } => {
                let mut response = http::Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Ok(response.body(Bytes::from(body)).unwrap())
            }
            Answer::Cut => Err(TransportError::Interrupted { host, reason: "connection reset".into() }),
            Answer::Refuse => Err(TransportError::Connect { host, reason: "connection refused".into() }),
            Answer::Hang => std::future::pending().await,
        }
    }
}

pub const TOKEN: &str = "POST /t/oauth2/v2.0/token";

/// A client of `https://management.azure.com` in front of a script.
pub fn arm(script: &std::sync::Arc<Script>, limit: Duration) -> crate::arm::Arm {
    let cloud = crate::cloud::NamedCloud::Public.cloud();
    let credentials = crate::token::Credentials {
        tenant_id: Some("t".into()),
        client_id: "app".into(),
        client_secret: fornax_core::Secret::new("secret"),
        subscription_id: "sub".into(),
    };
    let tokens = std::sync::Arc::new(crate::token::TokenSource::new(
        script.clone(),
        cloud.clone(),
        credentials,
        fornax_core::Redactor::new(),
    ));
    crate::arm::Arm::new(
        script.clone(),
        cloud,
        tokens,
        std::sync::Arc::default(),
        limit,
        None,
        tokio_util::sync::CancellationToken::new(),
    )
}

/// A script that hands out tokens.
pub fn with_token() -> Script {
    Script::new().on(TOKEN, [(200, r#"{"access_token":"tok","expires_in":3600}"#)])
}
