//! The JSON form of a fault script and its checks.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use crate::config::Error;

/// What shall go wrong. The default is: nothing.
#[derive(Clone, Debug, Default)]
pub struct FaultScript {
    pub(crate) rules: Vec<Rule>,
    pub(crate) random: Option<Random>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub method: Option<String>,
    pub kind: Option<String>,
    pub path: Option<Regex>,
    pub name: Option<Regex>,
    pub nth: Option<Vec<u64>>,
    pub then: Then,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    One(u64),
    Many(Vec<u64>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default, rename = "match")]
    matches: RawMatch,
    then: Then,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMatch {
    method: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    path: Option<String>,
    name: Option<String>,
    nth: Option<Count>,
}

/// What happens to a request that a rule matches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Then {
    pub status: Option<u16>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub retry_after: Option<u64>,
    pub body: Option<String>,
    pub commit: bool,
    pub delay_ms: u64,
    pub cut: Option<Cut>,
    pub throttle: Option<u64>,
    pub operation: Option<OperationFault>,
    pub duration_ms: Option<u64>,
    pub polling: Option<Polling>,
    pub token_lifetime_s: Option<u64>,
    pub ssh: Option<SshFault>,
    pub bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cut {
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationFault {
    Fail,
    Hang,
    Cancel,
}

/// How a long-running operation tells its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Polling {
    /// `Azure-AsyncOperation` alone.
    Async,
    /// `Location` alone.
    Location,
    /// Both headers.
    Both,
    /// No header: the resource's `provisioningState` tells.
    State,
    /// Finished when the first answer is sent.
    Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SshFault {
    Refuse,
    DropAfterBytes,
    BannerDelay,
    BlackHole,
}

/// Seeded random faults.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Random {
    pub seed: u64,
    pub rate: f64,
    #[serde(default = "RandomKind::harmless")]
    pub kinds: Vec<RandomKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RandomKind {
    Throttle,
    ServerError,
    Unavailable,
    GatewayTimeout,
    CutBefore,
    CutAfter,
    Delay,
    OperationFail,
    OperationCancel,
}

impl RandomKind {
    fn harmless() -> Vec<RandomKind> {
        use RandomKind::*;
        vec![Throttle, ServerError, Unavailable, GatewayTimeout, CutBefore, CutAfter, Delay]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RawScript {
    rules: Vec<RawRule>,
    random: Option<Random>,
}

impl FaultScript {
    /// Reads a script from JSON text; see the module [`crate::fault`] for the format.
    pub fn parse(text: &str) -> Result<FaultScript, Error> {
        let bad = |e: serde_json::Error| Error::Faults(friendly(&e.to_string()));
        let value: serde_json::Value = serde_json::from_str(text).map_err(bad)?;
        let raw = match &value {
            // The text is read again so that errors carry line and column.
            serde_json::Value::Array(_) => {
                RawScript { rules: serde_json::from_str(text).map_err(bad)?, random: None }
            }
            serde_json::Value::Object(map) if map.contains_key("rate") || map.contains_key("seed") => {
                RawScript { rules: Vec::new(), random: Some(serde_json::from_str(text).map_err(bad)?) }
            }
            serde_json::Value::Object(_) => serde_json::from_str(text).map_err(bad)?,
            _ => {
                return Err(Error::Faults(
                    "expected a list of rules, or an object with 'rules' and 'random'".into(),
                ));
            }
        };
        if let Some(random) = &raw.random {
            if !(0.0..=1.0).contains(&random.rate) {
                return Err(Error::Faults(format!("'rate' is {}, expected 0 to 1", random.rate)));
            }
            if random.kinds.is_empty() {
                return Err(Error::Faults("'kinds' is empty; leave it out for all harmless kinds".into()));
            }
        }
        let rules = raw
            .rules
            .into_iter()
            .enumerate()
            .map(|(index, rule)| {
                compile(rule).map_err(|text| Error::Faults(format!("rule {}: {text}", index + 1)))
            })
            .collect::<Result<_, _>>()?;
        Ok(FaultScript { rules, random: raw.random })
    }

    /// Whether nothing can go wrong.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.random.is_none()
    }
}

fn compile(raw: RawRule) -> Result<Rule, String> {
    let regex = |key: &str, text: &str, whole: bool| {
        let text = if whole { format!("^(?:{text})$") } else { text.to_owned() };
        RegexBuilder::new(&text)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|e| format!("'{key}' is not a regular expression: {e}"))
    };
    let then = raw.then;
    if let Some(status) = then.status
        && !(200..=599).contains(&status)
    {
        return Err(format!("'status' is {status}, expected 200 to 599"));
    }
    if then.ssh == Some(SshFault::DropAfterBytes) && then.bytes.is_none() {
        return Err("'ssh': 'drop_after_bytes' needs 'bytes'".into());
    }
    for (name, value) in &then.headers {
        if http::HeaderName::try_from(name.as_str()).is_err()
            || http::HeaderValue::try_from(value.as_str()).is_err()
        {
            return Err(format!("'{name}' is not a valid header"));
        }
    }
    let nth = match raw.matches.nth {
        None => None,
        Some(Count::One(n)) => Some(vec![n]),
        Some(Count::Many(list)) => Some(list),
    };
    if nth.as_ref().is_some_and(|list| list.is_empty() || list.contains(&0)) {
        return Err("'nth' counts from 1".into());
    }
    Ok(Rule {
        method: raw.matches.method.map(|m| m.to_ascii_uppercase()),
        kind: raw.matches.kind.map(|k| k.to_ascii_lowercase()),
        path: raw.matches.path.map(|p| regex("path", &p, false)).transpose()?,
        name: raw.matches.name.map(|n| regex("name", &n, true)).transpose()?,
        nth,
        then,
    })
}

/// Puts serde's wording into ours: keys in straight quotes, "key" instead of "field".
pub(crate) fn friendly(text: &str) -> String {
    text.replace("unknown field", "unknown key")
        .replace("missing field", "missing key")
        .replace("unknown variant", "unknown value")
        .replace('`', "'")
}
