//! Long-running operations: a changing call is sent once, and followed to its end by whatever the service offers: an
//! operation to poll (`Azure-AsyncOperation`), a result to poll (`Location`), or the resource itself. A call whose
//! answer was lost is resolved by reading the resource; it is repeated only where the resource shows that it did not
//! take effect.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::arm::{Arm, Call, Reply};
use crate::error::{ArmError, ServiceError};
use crate::retry::retry_after;

/// Without a usable hint the waits grow with the operation's age, so that what the service does in milliseconds
/// ends in milliseconds and a long operation is overshot by a tenth at most on average.
const GROWTH: f64 = 0.2;
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A hint is believed up to here.
const LONGEST_HINT: Duration = Duration::from_secs(300);
/// A status that can't be found is asked for again so often before the resource itself is looked at.
const LOST_STATUS_POLLS: u32 = 3;
/// Lost answers until giving up.
const LOST_ANSWERS: u32 = 5;

/// The tag that names the build which created a resource.
pub const BUILD_TAG: &str = "fornax-build-id";
/// The tag that names the process which runs the build; only on what the build makes for itself.
pub const PROCESS_TAG: &str = "fornax-process";

/// Sends a changing call and returns when its operation is finished. The result is the resource for PUT, the body of
/// the result for POST, null for DELETE. Deleting what is not there succeeds.
pub async fn run(arm: &Arm, call: &Call) -> Result<Value, ArmError> {
    start(arm, call).await?.finish(arm).await
}

/// An operation that the service accepted.
#[derive(Debug)]
pub struct Operation {
    call: Call,
    began: Instant,
    deadline: Instant,
    state: Progress,
}

#[derive(Debug)]
enum Progress {
    Finished(Value),
    /// Polled at once first, unless the service wants otherwise.
    Running {
        poll: Poll,
        hint: Option<Duration>,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Poll {
    /// A status document; always 200, `status` says how it stands. `result` is where the outcome of an action is.
    Status { url: url::Url, result: Option<url::Url> },
    /// 202 until finished, then the answer that a synchronous call would have given.
    Result(url::Url),
    /// The resource's own `properties.provisioningState`; for a deletion its absence.
    Resource,
}

/// Sends the call. From here on the operation is under way or finished.
pub async fn start(arm: &Arm, call: &Call) -> Result<Operation, ArmError> {
    let began = Instant::now();
    let deadline = began + arm.limit();
    let operation = |state| Operation { call: call.clone(), began, deadline, state };
    let mut lost = 0;
    loop {
        let error = match arm.exchange(call, deadline).await {
            Ok(reply) => match classify(arm, call, &reply) {
                Ok(state) => return Ok(operation(state)),
                // The first try may have been accepted after all; then the second meets it.
                Err(ArmError::Service(e)) if lost > 0 && e.is_concurrent() => ArmError::Service(e),
                Err(error) => return Err(error),
            },
            Err(error @ ArmError::Unsettled { .. }) => error,
            Err(error) => return Err(error),
        };
        lost += 1;
        if lost > LOST_ANSWERS {
            return Err(error);
        }
        tracing::debug!(path = call.url.path(), %error, "reading the resource to find out");
        match (&call.method, read_resource(arm, call, deadline).await?) {
            (&Method::DELETE, None) => return Ok(operation(Progress::Finished(Value::Null))),
            (&Method::DELETE, Some(found)) if provisioning_state(&found).eq_ignore_ascii_case("deleting") => {
                return Ok(operation(Progress::Running { poll: Poll::Resource, hint: None }));
            }
            (&Method::PUT, Some(found)) => {
                if !same_build(call, &found) {
                    return Err(ArmError::Protocol {
                        what: call.what.clone(),
                        reason: "a resource of this name exists that this build did not create".into(),
                    });
                }
                return Ok(operation(Progress::Running { poll: Poll::Resource, hint: None }));
            }
            // Not there (yet): a provider that is behind its gateway gets a moment before the call is repeated.
            _ => arm.sleep(Duration::from_millis(100) * 2u32.pow(lost)).await?,
        }
    }
}

impl Operation {
    /// Waits for the end.
    pub async fn finish(self, arm: &Arm) -> Result<Value, ArmError> {
        let Operation { call, began, deadline, state } = self;
        let (mut poll, mut hint) = match state {
            Progress::Finished(result) => return Ok(result),
            Progress::Running { poll, hint } => (poll, hint),
        };
        let timeout = || ArmError::Timeout { what: call.what.clone(), limit: arm.limit() };
        // A hint of more than nothing is obeyed before the first poll as well.
        let mut wait = hint.filter(|h| !h.is_zero()).unwrap_or_default();
        let mut missing = 0;
        loop {
            if !wait.is_zero() {
                if Instant::now() + wait >= deadline {
                    // What ends just at the limit is still seen.
                    wait = deadline.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        return Err(timeout());
                    }
                }
                if wait >= Duration::from_secs(1) || began.elapsed() >= Duration::from_secs(1) {
                    arm.waiting(&call.what, began.elapsed());
                }
                arm.sleep(wait).await?;
            }
            match step(arm, &call, &poll, deadline, &mut missing).await? {
                Step::Finished(result) => return Ok(result),
                Step::Running(next) => {
                    if let Some(next) = next.poll {
                        poll = next;
                    }
                    hint = next.hint.or(hint);
                }
            }
            let grown = began.elapsed().mul_f64(GROWTH).clamp(SHORTEST_WAIT, LONGEST_WAIT);
            wait = match hint {
                Some(hint) if !hint.is_zero() => hint.min(LONGEST_HINT),
                // "At once" is a promise that it is quick; a broken one must not become a busy loop.
                Some(_) => grown.min(Duration::from_secs(1)),
                None => grown,
            };
            if Instant::now() >= deadline {
                return Err(timeout());
            }
        }
    }
}

enum Step {
    Finished(Value),
    Running(Next),
}

struct Next {
    poll: Option<Poll>,
    hint: Option<Duration>,
}

async fn step(
    arm: &Arm,
    call: &Call,
    poll: &Poll,
    deadline: Instant,
    missing: &mut u32,
) -> Result<Step, ArmError> {
    let running = |poll, reply: &Reply| Ok(Step::Running(Next { poll, hint: retry_after(&reply.headers) }));
    match poll {
        Poll::Status { url, result } => {
            let reply = arm.exchange(&get(call, url), deadline).await?;
            if !reply.status.is_success() {
                // The status could not be read; that says nothing about the operation.
                *missing += 1;
                if call.method == Method::POST {
                    return match reply.status {
                        StatusCode::NOT_FOUND if *missing <= LOST_STATUS_POLLS => running(None, &reply),
                        _ => Err(reply.ok(&call.what).err().unwrap_or(ArmError::Cancelled)),
                    };
                }
                let resource = *missing > LOST_STATUS_POLLS || reply.status != StatusCode::NOT_FOUND;
                return running(resource.then_some(Poll::Resource), &reply);
            }
            *missing = 0;
            let body = reply.json();
            let status = body.get("status").and_then(Value::as_str).unwrap_or_default();
            let status = if status.is_empty() { provisioning_state(&body) } else { status };
            match Word::of(status) {
                Word::Succeeded => finished(arm, call, result.as_ref(), &body, deadline).await,
                Word::Failed(state) => {
                    Err(ServiceError::of_operation(&call.what, &reply.headers, &body, state).into())
                }
                // 200 without any status: an empty body is the end of some operations, 204 of others.
                Word::Absent if reply.status != StatusCode::ACCEPTED => {
                    finished(arm, call, result.as_ref(), &body, deadline).await
                }
                Word::Absent | Word::Running => {
                    let moved = follow(arm, call, &reply)?.map(|next| match (next, result) {
                        (Poll::Status { url, result: None }, kept) => {
                            Poll::Status { url, result: kept.clone() }
                        }
                        // A status answer that only renews `Location` moves the place of the result.
                        (Poll::Result(place), _) => Poll::Status { url: url.clone(), result: Some(place) },
                        (next, _) => next,
                    });
                    running(moved, &reply)
                }
            }
        }
        Poll::Result(url) => {
            let reply = arm.exchange(&get(call, url), deadline).await?;
            match reply.status {
                StatusCode::ACCEPTED => running(follow(arm, call, &reply)?, &reply),
                StatusCode::NOT_FOUND if call.method != Method::POST => {
                    // Results are forgotten after a while, those of deletions often at once.
                    *missing += 1;
                    let resource = call.method == Method::DELETE || *missing > LOST_STATUS_POLLS;
                    running(resource.then_some(Poll::Resource), &reply)
                }
                status if status.is_success() => {
                    let body = reply.json();
                    match Word::of(body.get("status").and_then(Value::as_str).unwrap_or_default()) {
                        Word::Failed(state) => {
                            Err(ServiceError::of_operation(&call.what, &reply.headers, &body, state).into())
                        }
                        // Some providers give a status document here, with 200 while it runs.
                        Word::Running => running(follow(arm, call, &reply)?, &reply),
                        Word::Succeeded | Word::Absent => finished(arm, call, None, &body, deadline).await,
                    }
                }
                _ => Err(reply.ok(&call.what).err().unwrap_or(ArmError::Cancelled)),
            }
        }
        Poll::Resource => {
            let reply = arm.exchange(&get(call, &call.url), deadline).await?;
            if reply.status == StatusCode::NOT_FOUND {
                if call.method == Method::DELETE {
                    return Ok(Step::Finished(Value::Null));
                }
                // A create that was accepted can be invisible for a moment.
                *missing += 1;
                return if *missing <= 4 * LOST_STATUS_POLLS {
                    running(None, &reply)
                } else {
                    Err(reply.ok(&call.what).err().unwrap_or(ArmError::Cancelled))
                };
            }
            let reply = reply.ok(&call.what)?;
            let body = reply.json();
            match Word::of(provisioning_state(&body)) {
                Word::Failed(state) => {
                    Err(ServiceError::of_operation(&call.what, &reply.headers, &body, state).into())
                }
                Word::Running => running(None, &reply),
                // A deletion is finished when the resource is gone.
                _ if call.method == Method::DELETE => running(None, &reply),
                Word::Succeeded | Word::Absent => Ok(Step::Finished(body)),
            }
        }
    }
}

/// The end of an operation: what it left.
async fn finished(
    arm: &Arm,
    call: &Call,
    result: Option<&url::Url>,
    body: &Value,
    deadline: Instant,
) -> Result<Step, ArmError> {
    let value = match call.method {
        Method::PUT | Method::PATCH => {
            let call = get(call, &call.url);
            arm.exchange(&call, deadline).await?.ok(&call.what)?.json()
        }
        Method::DELETE => Value::Null,
        _ => match result {
            Some(place) => arm.exchange(&get(call, place), deadline).await?.ok(&call.what)?.json(),
            None => body.pointer("/properties/output").cloned().unwrap_or_else(|| body.clone()),
        },
    };
    Ok(Step::Finished(value))
}

/// What the first answer says.
fn classify(arm: &Arm, call: &Call, reply: &Reply) -> Result<Progress, ArmError> {
    if call.method == Method::DELETE && matches!(reply.status.as_u16(), 204 | 404) {
        // A missing group of a resource is 404 as well: then the resource is not there either.
        return Ok(Progress::Finished(Value::Null));
    }
    let reply = reply.clone().ok(&call.what)?;
    let hint = retry_after(&reply.headers);
    if let Some(poll) = follow(arm, call, &reply)? {
        // A synchronous 200 may carry a `Location` for other reasons; it counts only with 201 and 202.
        if matches!(poll, Poll::Status { .. }) || reply.status != StatusCode::OK {
            return Ok(Progress::Running { poll, hint });
        }
    }
    let body = reply.json();
    match call.method {
        Method::PUT | Method::PATCH => match Word::of(provisioning_state(&body)) {
            Word::Failed(state) => {
                Err(ServiceError::of_operation(&call.what, &reply.headers, &body, state).into())
            }
            Word::Running => Ok(Progress::Running { poll: Poll::Resource, hint }),
            Word::Absent if reply.status == StatusCode::ACCEPTED => {
                Ok(Progress::Running { poll: Poll::Resource, hint })
            }
            Word::Succeeded | Word::Absent => Ok(Progress::Finished(body)),
        },
        Method::DELETE if reply.status == StatusCode::ACCEPTED => {
            Ok(Progress::Running { poll: Poll::Resource, hint })
        }
        Method::DELETE => Ok(Progress::Finished(Value::Null)),
        _ if reply.status == StatusCode::ACCEPTED => Err(ArmError::Protocol {
            what: call.what.clone(),
            reason: "the service accepted it but does not say where its progress can be read".into(),
        }),
        _ => Ok(Progress::Finished(body)),
    }
}

/// Where an answer says that the operation can be followed.
fn follow(arm: &Arm, call: &Call, reply: &Reply) -> Result<Option<Poll>, ArmError> {
    let link = |name: &str| reply.header(name).map(|l| arm.same_origin(l, &call.what)).transpose();
    let result = link("location")?;
    Ok(match (link("azure-asyncoperation")?, result) {
        (Some(url), result) => Some(Poll::Status { url, result }),
        (None, Some(result)) => Some(Poll::Result(result)),
        (None, None) => None,
    })
}

fn get(call: &Call, url: &url::Url) -> Call {
    Call { method: Method::GET, url: url.clone(), body: None, what: call.what.clone() }
}

async fn read_resource(arm: &Arm, call: &Call, deadline: Instant) -> Result<Option<Value>, ArmError> {
    if call.method == Method::POST {
        return Ok(None);
    }
    let reply = arm.exchange(&get(call, &call.url), deadline).await?;
    match reply.status {
        StatusCode::NOT_FOUND => Ok(None),
        _ => Ok(Some(reply.ok(&call.what)?.json())),
    }
}

fn provisioning_state(body: &Value) -> &str {
    body.pointer("/properties/provisioningState").and_then(Value::as_str).unwrap_or_default()
}

/// Whether what was found carries the tag that the call wanted to put there.
fn same_build(call: &Call, found: &Value) -> bool {
    let wanted: Value = call.body.as_deref().and_then(|b| serde_json::from_slice(b).ok()).unwrap_or_default();
    match wanted["tags"][BUILD_TAG].as_str() {
        Some(id) => found["tags"][BUILD_TAG].as_str() == Some(id),
        None => true,
    }
}

/// What a state word means.
enum Word {
    Succeeded,
    Failed(&'static str),
    Running,
    Absent,
}

impl Word {
    fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "" => Word::Absent,
            "succeeded" => Word::Succeeded,
            "failed" => Word::Failed("Failed"),
            "canceled" | "cancelled" => Word::Failed("Canceled"),
            _ => Word::Running,
        }
    }
}

#[cfg(test)]
mod tests;
