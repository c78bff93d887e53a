//! Faults: what goes wrong in the simulated cloud, by script or at random, and always the same for the same script.
//!
//! A script is JSON: a list of rules, or `{"rules": [...], "random": {...}}`, or the random part alone. The first rule
//! that matches a request is applied to it.
//!
//! ```json
//! [ {"match": {"method": "PUT", "type": "Microsoft.Compute/virtualMachines", "name": "pkr.*", "nth": 1},
//!    "then":  {"status": 409, "code": "SkuNotAvailable", "message": "out of stock"}},
//!   {"match": {"path": "/images/[^/]+$", "method": "PUT"}, "then": {"operation": "fail", "code": "AllocationFailed"}},
//!   {"match": {"type": "token"}, "then": {"token_lifetime_s": 60}},
//!   {"match": {"method": "GET"}, "then": {"throttle": 3, "retry_after": 1}},
//!   {"match": {"name": "pkrvm.*"}, "then": {"ssh": "drop_after_bytes", "bytes": 4096}} ]
//! ```
//!
//! `match` (all optional, all without regard to case):
//!
//! | key | meaning |
//! |---|---|
//! | `method` | `GET`, `PUT`, ... |
//! | `type` | resource type of the path; an action is part of it (`Microsoft.Compute/virtualMachines/deallocate`). Also `Microsoft.Resources/resourceGroups`, `operation` (polls), `token`, `metadata` |
//! | `path` | regular expression found anywhere in the path |
//! | `name` | regular expression for the whole name of the resource (last name in the path) |
//! | `nth` | number, or list of numbers, of the matching requests, counted per rule from 1 |
//!
//! `then`:
//!
//! | key | meaning |
//! |---|---|
//! | `status`, `code`, `message`, `headers`, `retry_after` | the answer; without `commit` the request has no effect. `retry_after` (seconds) without `status` changes the hint in answers of operations |
//! | `body` | sent instead of the error object, as it is (`text/html` when it is no JSON) |
//! | `commit` | the effect takes place although the answer says otherwise (a 504 that was committed) |
//! | `delay_ms` | before the request is looked at |
//! | `cut` | `before`, `after`: the connection is cut before or after the effect, without an answer |
//! | `throttle` | the first n matching requests get 429 with `retry_after` (1 when absent) |
//! | `operation` | `fail`, `cancel`, `hang`: how the operation that the request starts ends, with `code` and `message` |
//! | `duration_ms` | how long that operation takes |
//! | `polling` | how it tells its end: `async`, `location`, `both`, `state` (no header), `sync` |
//! | `token_lifetime_s` | life of the token that the request asks for |
//! | `ssh` | for connections to a machine whose name matches: `refuse`, `drop_after_bytes` (with `bytes`), `banner_delay` (with `delay_ms`), `black_hole` (connects, never speaks) |
//!
//! Random faults: `{"seed": 1, "rate": 0.05, "kinds": ["throttle", "cut_after"]}`; kinds are `throttle`, `server_error`,
//! `unavailable`, `gateway_timeout`, `cut_before`, `cut_after`, `delay`, `operation_fail`, `operation_cancel` (all but
//! the last two when absent). What a request draws depends on seed, method, path and how often that was asked, not on
//! the order in which parallel requests arrive. Token and metadata requests draw nothing.

mod script;

use std::collections::HashMap;

pub use script::FaultScript;
pub(crate) use script::{Cut, OperationFault, Polling, SshFault, friendly};
use script::{Random, RandomKind, Rule};

/// What is known of a request before it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

/// What happens to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub delay_ms: u64,
    pub cut: Option<Cut>,
    pub answer: Option<Answered>,
    pub operation: OperationPlan,
    pub token_lifetime_s: Option<u64>,
}

/// An answer that replaces the true one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub commit: bool,
}

/// How an operation that the request starts differs from an ordinary one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OperationPlan {
    pub fault: Option<OperationFault>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub duration_ms: Option<u64>,
    pub polling: Option<Polling>,
    pub retry_after: Option<u64>,
}

/// What happens to one SSH connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SshVerdict {
    pub fault: SshFault,
    pub bytes: u64,
    pub delay_ms: u64,
}

/// A script at work: it counts.
pub(crate) struct Faults {
    rules: Vec<(Rule, u64)>,
    random: Option<Random>,
    drawn: HashMap<(String, String), u64>,
}

/// Distinct (method, path) pairs that random faults count; beyond it counting starts again.
const MAX_COUNTED: usize = 100_000;

impl Faults {
    pub fn new(script: FaultScript) -> Faults {
        Faults {
            rules: script.rules.into_iter().map(|rule| (rule, 0)).collect(),
            random: script.random,
            drawn: HashMap::new(),
        }
    }

    pub fn for_request(&mut self, subject: Subject<'_>) -> Verdict {
        for (rule, count) in &mut self.rules {
            if rule.then.ssh.is_some() || !matches(rule, subject) {
                continue;
            }
            *count += 1;
            if rule.nth.as_ref().is_none_or(|list| list.contains(count))
                && rule.then.throttle.is_none_or(|n| *count <= n)
            {
                return verdict(rule);
            }
        }
        match &self.random {
            Some(random) if !matches!(subject.kind, "token" | "metadata") => {
                if self.drawn.len() >= MAX_COUNTED {
                    self.drawn.clear();
                }
                let key = (subject.method.to_owned(), subject.path.to_ascii_lowercase());
                let count = self.drawn.entry(key).or_insert(0);
                *count += 1;
                draw(random, subject, *count)
            }
            _ => Verdict::default(),
        }
    }

    /// For a new connection to the machine with this resource id.
    pub fn for_ssh(&mut self, machine_id: &str) -> Option<SshVerdict> {
        let name = machine_id.rsplit('/').next().unwrap_or_default();
        let subject =
            Subject { method: "SSH", path: machine_id, kind: "microsoft.compute/virtualmachines", name };
        for (rule, count) in &mut self.rules {
            let Some(fault) = rule.then.ssh else { continue };
            if !matches(rule, subject) {
                continue;
            }
            *count += 1;
            if rule.nth.as_ref().is_none_or(|list| list.contains(count)) {
                let bytes = rule.then.bytes.unwrap_or(0);
                return Some(SshVerdict { fault, bytes, delay_ms: rule.then.delay_ms });
            }
        }
        None
    }
}

fn matches(rule: &Rule, subject: Subject<'_>) -> bool {
    rule.method.as_ref().is_none_or(|m| m == subject.method)
        && rule.kind.as_ref().is_none_or(|k| k.eq_ignore_ascii_case(subject.kind))
        && rule.path.as_ref().is_none_or(|p| p.is_match(subject.path))
        && rule.name.as_ref().is_none_or(|n| n.is_match(subject.name))
}

fn verdict(rule: &Rule) -> Verdict {
    let then = &rule.then;
    let mut headers: Vec<(String, String)> =
        then.headers.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let status = then.status.or(then.throttle.map(|_| 429));
    let answer = status.map(|status| {
        let (code, message) = usual_words(status);
        let retry_after = then.retry_after.or(then.throttle.map(|_| 1));
        headers.extend(retry_after.map(|s| ("retry-after".to_owned(), s.to_string())));
        Answered {
            status,
            code: then.code.clone().unwrap_or_else(|| code.to_owned()),
            message: then.message.clone().unwrap_or_else(|| message.to_owned()),
            headers,
            body: then.body.clone(),
            commit: then.commit,
        }
    });
    Verdict {
        delay_ms: then.delay_ms,
        cut: then.cut,
        answer,
        operation: OperationPlan {
            fault: then.operation,
            code: then.code.clone(),
            message: then.message.clone(),
            duration_ms: then.duration_ms,
            polling: then.polling,
            retry_after: then.retry_after,
        },
        token_lifetime_s: then.token_lifetime_s,
    }
}

/// What Azure says with a status when the script names no words.
fn usual_words(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("InvalidAuthenticationToken", "The access token is invalid."),
        403 => ("AuthorizationFailed", "The client does not have authorization to perform this action."),
        404 => ("ResourceNotFound", "The resource was not found."),
        409 => ("Conflict", "The request failed due to conflict with a concurrent request."),
        429 => (
            "TooManyRequests",
            "The server rejected the request because too many requests have been received for this subscription.",
        ),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
        504 => (
            "GatewayTimeout",
            "The gateway did not receive a response from the resource provider within the specified time period.",
        ),
        500..=599 => ("InternalServerError", "The server encountered an internal error."),
        _ => ("BadRequest", "The request is invalid."),
    }
}

fn draw(random: &Random, subject: Subject<'_>, count: u64) -> Verdict {
    let text = format!("{}|{}|{}|{count}", random.seed, subject.method, subject.path.to_ascii_lowercase());
    let mut state = fnv1a(text.as_bytes());
    // 53 bits make a number in [0, 1).
    let chance = (split_mix(&mut state) >> 11) as f64 / (1u64 << 53) as f64;
    if chance >= random.rate {
        return Verdict::default();
    }
    let kind = random.kinds[(split_mix(&mut state) % random.kinds.len() as u64) as usize];
    let answer = |status: u16, commit: bool, retry: Option<u64>| {
        let (code, message) = usual_words(status);
        Some(Answered {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            headers: retry.map(|s| ("retry-after".to_owned(), s.to_string())).into_iter().collect(),
            body: None,
            commit,
        })
    };
    let operation = |fault| OperationPlan { fault: Some(fault), ..OperationPlan::default() };
    let none = Verdict::default();
    match kind {
        RandomKind::Throttle => Verdict { answer: answer(429, false, Some(1)), ..none },
        RandomKind::ServerError => Verdict { answer: answer(500, false, None), ..none },
        RandomKind::Unavailable => Verdict { answer: answer(503, false, None), ..none },
        RandomKind::GatewayTimeout => Verdict { answer: answer(504, true, None), ..none },
        RandomKind::CutBefore => Verdict { cut: Some(Cut::Before), ..none },
        RandomKind::CutAfter => Verdict { cut: Some(Cut::After), ..none },
        RandomKind::Delay => Verdict { delay_ms: 50 + split_mix(&mut state) % 450, ..none },
        RandomKind::OperationFail => Verdict { operation: operation(OperationFault::Fail), ..none },
        RandomKind::OperationCancel => Verdict { operation: operation(OperationFault::Cancel), ..none },
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64: small, and equal on every machine, which `HashMap`'s hasher is not.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(method: &'a str, path: &'a str, name: &'a str) -> Subject<'a> {
        Subject { method, path, kind: "Microsoft.Compute/images", name }
    }

    #[test]
    fn rules_count_and_match() {
        let script = FaultScript::parse(
            r#"[{"match":{"method":"put","type":"microsoft.compute/IMAGES","name":"gold.*","nth":2},
                 "then":{"status":409,"code":"X"}},
                {"match":{"method":"GET"},"then":{"throttle":2,"retry_after":7}}]"#,
        )
        .unwrap();
        let mut faults = Faults::new(script);
        let mut put = |name| faults.for_request(subject("PUT", "/x", name)).answer.map(|a| a.code);
        assert_eq!(put("golden"), None);
        assert_eq!(put("silver"), None);
        assert_eq!(put("golden"), Some("X".into()));
        assert_eq!(put("golden"), None);
        let mut get = || faults.for_request(subject("GET", "/x", "n")).answer.map(|a| (a.status, a.headers));
        let throttled = Some((429, vec![("retry-after".to_owned(), "7".to_owned())]));
        assert_eq!([get(), get(), get()], [throttled.clone(), throttled, None]);
    }

    #[test]
    fn random_faults_do_not_depend_on_order() {
        let script = r#"{"seed":7,"rate":0.5,"kinds":["throttle","cut_after","operation_fail"]}"#;
        let run = |paths: &[&str]| {
            let mut faults = Faults::new(FaultScript::parse(script).unwrap());
            let mut seen: Vec<(String, Verdict)> =
                paths.iter().map(|p| (p.to_string(), faults.for_request(subject("GET", p, "n")))).collect();
            seen.sort_by(|a, b| a.0.cmp(&b.0));
            seen
        };
        let forwards = run(&["/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"]);
        assert_eq!(forwards, run(&["/h", "/g", "/f", "/e", "/d", "/c", "/b", "/a"]));
        assert!(forwards.iter().any(|(_, v)| *v != Verdict::default()));
        assert!(forwards.iter().any(|(_, v)| *v == Verdict::default()));
    }

    #[test]
    fn ssh_rules_are_apart_from_requests() {
        let script =
            FaultScript::parse(r#"[{"match":{"name":"vm1","nth":[1,3]},"then":{"ssh":"refuse"}}]"#).unwrap();
        let mut faults = Faults::new(script);
        assert_eq!(faults.for_request(subject("GET", "/vm1", "vm1")), Verdict::default());
        let hits: Vec<bool> = (0..4).map(|_| faults.for_ssh("/a/vm1").is_some()).collect();
        assert_eq!(hits, [true, false, true, false]);
        assert!(faults.for_ssh("/a/vm2").is_none());
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (text, part) in [
            ("3", "expected a list of rules"),
            (r#"[{"then":{"statsu":500}}]"#, "unknown key 'statsu', expected one of 'status'"),
            (r#"[{"match":{"path":"("},"then":{}}]"#, "rule 1: 'path' is not a regular expression"),
            (r#"[{"then":{"status":99}}]"#, "'status' is 99"),
            (r#"[{"then":{"cut":"middle"}}]"#, "unknown value 'middle', expected 'before' or 'after'"),
            (r#"[{"match":{"nth":0},"then":{}}]"#, "'nth' counts from 1"),
            (r#"[{"then":{"ssh":"drop_after_bytes"}}]"#, "needs 'bytes'"),
            (r#"{"seed":1,"rate":2}"#, "'rate' is 2"),
            (r#"{"seed":1,"rate":0.1,"kinds":["fire"]}"#, "unknown value 'fire'"),
        ] {
            let error = FaultScript::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
