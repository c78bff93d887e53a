//! Answers and errors in ARM's shape.

use serde_json::{Map, Value, json};

/// An answer on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
}

impl Answer {
    pub fn json(status: u16, body: Value) -> Answer {
        Answer { status, headers: Vec::new(), body: Some(body) }
    }

    pub fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: None }
    }

    pub fn list(values: Vec<Value>) -> Answer {
        Answer::json(200, json!({ "value": values }))
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Answer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// An error in ARM's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArmError {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub target: Option<String>,
    pub details: Vec<ArmError>,
    /// Whether ARM itself refused, not the provider behind it.
    pub gateway: bool,
    pub headers: Vec<(String, String)>,
}

pub(crate) type Outcome<T> = Result<T, ArmError>;

/// An error of a resource provider.
pub(crate) fn err(status: u16, code: &str, message: impl Into<String>) -> ArmError {
    ArmError {
        status,
        code: code.to_owned(),
        message: message.into(),
        target: None,
        details: Vec::new(),
        gateway: false,
        headers: Vec::new(),
    }
}

/// An error of ARM itself.
pub(crate) fn gateway(status: u16, code: &str, message: impl Into<String>) -> ArmError {
    ArmError { gateway: true, ..err(status, code, message) }
}

/// 400 `InvalidParameter` about one parameter.
pub(crate) fn invalid(target: &str, message: impl Into<String>) -> ArmError {
    err(400, "InvalidParameter", message).at(target)
}

/// 409 `OperationNotAllowed`.
pub(crate) fn not_allowed(message: impl Into<String>) -> ArmError {
    err(409, "OperationNotAllowed", message)
}

impl ArmError {
    pub fn at(mut self, target: &str) -> ArmError {
        self.target = Some(target.to_owned());
        self
    }

    pub fn with_detail(mut self, detail: ArmError) -> Self {
        self.details.push(detail);
        self
    }

    pub fn value(&self) -> Value {
        let mut error = Map::new();
        error.insert("code".into(), json!(self.code));
        error.insert("message".into(), json!(self.message));
        if let Some(target) = &self.target {
            error.insert("target".into(), json!(target));
        }
        if !self.details.is_empty() {
            error.insert("details".into(), self.details.iter().map(ArmError::value).collect());
        }
        Value::Object(error)
    }

    pub fn answer(&self) -> Answer {
        let cause = if self.gateway { "gateway" } else { "service" };
        let mut answer =
            Answer::json(self.status, json!({ "error": self.value() })).with("x-ms-failure-cause", cause);
        answer.headers.extend(self.headers.iter().cloned());
        answer
    }
}
