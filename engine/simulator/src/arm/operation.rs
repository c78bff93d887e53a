//! Long-running operations: how they are announced, how they run, how they are polled.
//!
//! A handler checks a request, changes what is visible at once (`Creating`, `Deleting`) and returns a [`Begin`]. The
//! effect then runs in a task of its own, so that a client which hangs up does not undo it. Each resource type
//! announces its operations in its own style; a fault can ask for another one.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::clock::stamp;
use super::effect::{self, Effect};
use super::reply::{Answer, ArmError, Outcome, err, gateway};
use super::resource::Provisioning;
use super::state::State;
use crate::fault::{OperationFault, Polling};
use crate::{Latency, Simulator};

/// How much faster than Azure the profile `azure` is.
const SPEED: u32 = 10;
/// With the profile `instant`: how long an answer is held back for an operation that still runs (a machine boots).
const HOLD: Duration = Duration::from_secs(20);
/// Finished operations stay readable as long as Azure keeps them, but no more than so many.
const MAX_OPERATIONS: usize = 20_000;

/// Which provider's URL an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Compute,
    Disk,
    Network,
    Group,
}

/// What the `Location` URL answers in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finally {
    Resource,
    Ok,
    NoContent,
}

/// An operation that a handler wants to start.
pub(crate) struct Begin {
    pub status: u16,
    pub body: Option<Value>,
    pub class: Class,
    pub polling: Polling,
    /// Id of the resource it works on.
    pub subject: String,
    pub location: String,
    /// As long as Azure takes.
    pub duration: Duration,
    pub effect: Effect,
    pub finally: Finally,
    /// Operations that have to end first.
    pub after: Vec<CancellationToken>,
}

/// What a handler returns.
pub(crate) enum Reply {
    Done(Answer),
    Begin(Box<Begin>),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply::Done(answer)
    }
}

impl From<Begin> for Reply {
    fn from(begin: Begin) -> Reply {
        Reply::Begin(Box::new(begin))
    }
}

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Succeeded,
    Failed(ArmError),
    Canceled,
}

/// One operation.
pub(crate) struct Operation {
    pub status: Status,
    pub subject: String,
    finally: Finally,
    started: Timestamp,
    ended: Option<Timestamp>,
    retry_after: Option<u64>,
    hangs: bool,
    pub cancel: CancellationToken,
    /// Fires when its task is over and everything it made is either recorded or gone.
    pub done: CancellationToken,
}

/// Records the operation, starts its task, and makes the first answer. The token is given if the answer should wait
/// until the operation is over.
pub(crate) fn begin(
    sim: &Simulator,
    state: &mut State,
    call: &Call,
    begin: Begin,
) -> (Answer, Option<CancellationToken>) {
    let plan = &call.plan;
    let id = uuid::Uuid::new_v4().to_string();
    let polling = plan.polling.unwrap_or(begin.polling);
    let hint = plan.retry_after.unwrap_or(match sim.latency {
        Latency::Instant => 0,
        Latency::Azure => 1,
    });
    let operation = Operation {
        status: Status::Running,
        subject: begin.subject.clone(),
        finally: begin.finally,
        started: call.now,
        ended: None,
        retry_after: plan.retry_after,
        hangs: plan.fault == Some(OperationFault::Hang),
        cancel: CancellationToken::new(),
        done: CancellationToken::new(),
    };
    let (cancel, done, hangs) = (operation.cancel.clone(), operation.done.clone(), operation.hangs);
    if state.operations.len() >= MAX_OPERATIONS {
        state.operations.retain(|_, o| o.status == Status::Running);
    }
    state.operations.insert(id.clone(), operation);
    if let Some(resource) = state.get_mut(&begin.subject) {
        resource.operation = Some(id.clone());
    }

    let duration = match (plan.duration_ms, sim.latency) {
        (Some(ms), _) => Duration::from_millis(ms),
        (None, Latency::Instant) => Duration::ZERO,
        (None, Latency::Azure) => begin.duration / SPEED,
    };
    let failure = match plan.fault {
        Some(OperationFault::Fail) => Some(Status::Failed(err(
            409,
            plan.code.as_deref().unwrap_or("InternalOperationError"),
            plan.message.as_deref().unwrap_or("An internal error occurred while processing the operation."),
        ))),
        Some(OperationFault::Cancel) => Some(Status::Canceled),
        _ => None,
    };
    let mut answer = Answer { status: begin.status, headers: Vec::new(), body: begin.body };
    let url = |monitor: bool| operation_url(call, begin.class, &begin.location, &id, monitor);
    if matches!(polling, Polling::Async | Polling::Both) {
        answer = answer.with("azure-asyncoperation", url(false));
    }
    if matches!(polling, Polling::Location | Polling::Both) {
        answer = answer.with("location", url(true));
    }
    if polling != Polling::State && polling != Polling::Sync {
        answer = answer.with("retry-after", hint.to_string());
    }
    let task = Task { id, effect: begin.effect, duration, failure, hangs, cancel, after: begin.after };
    if let Some(sim) = sim.me.upgrade() {
        let tasks = sim.tasks.clone();
        tasks.spawn(task.run(sim));
    }
    let wait = polling == Polling::Sync || (sim.latency == Latency::Instant && !hangs);
    (answer, wait.then_some(done))
}

/// Holds an answer back until the operation is over, or for as long as a client may be kept waiting.
pub(crate) async fn hold(sim: &Simulator, done: &CancellationToken) {
    tokio::select! {
        () = done.cancelled() => {}
        () = sim.stop.cancelled() => {}
        () = tokio::time::sleep(HOLD) => {}
    }
}

/// The answer for a resource whose operation was to be over with the first answer.
pub(crate) fn settled(state: &State, subject: &str, first: Answer) -> Answer {
    match state.get(subject) {
        Some(resource) if first.body.is_some() => {
            let status = if first.status == 202 { 200 } else { first.status };
            Answer { status, headers: Vec::new(), body: Some(super::view::resource(state, resource, None)) }
        }
        Some(_) => Answer::empty(200),
        None => Answer::empty(204),
    }
}

struct Task {
    id: String,
    effect: Effect,
    duration: Duration,
    failure: Option<Status>,
    hangs: bool,
    cancel: CancellationToken,
    after: Vec<CancellationToken>,
}

impl Task {
    async fn run(self, sim: std::sync::Arc<Simulator>) {
        let status = tokio::select! {
            biased;
            // The simulator ends: machines are deleted by `shutdown`, which waits for this task.
            () = sim.stop.cancelled() => Status::Canceled,
            status = self.work(&sim) => status,
        };
        finish(&sim, &self.id, status);
    }

    async fn work(&self, sim: &Simulator) -> Status {
        for token in &self.after {
            token.cancelled().await;
        }
        if self.hangs {
            self.cancel.cancelled().await;
            return Status::Canceled;
        }
        let end = Instant::now() + self.duration;
        if let Some(failure) = &self.failure {
            if self.pause(end).await {
                return Status::Canceled;
            }
            return failure.clone();
        }
        // The effect shows before the operation is over: SSH answers while Azure still says Creating.
        if self.pause(end - self.duration * 4 / 10).await {
            return Status::Canceled;
        }
        match effect::apply(sim, &self.effect, &self.cancel).await {
            Ok(()) if self.effect.is_deletion() => {}
            Ok(()) => {
                if self.pause(end).await {
                    effect::abandon(sim, &self.effect).await;
                    return Status::Canceled;
                }
            }
            Err(_) if self.cancel.is_cancelled() => return Status::Canceled,
            Err(error) => return Status::Failed(error),
        }
        Status::Succeeded
    }

    /// Waits; whether the operation was cancelled meanwhile.
    async fn pause(&self, until: Instant) -> bool {
        if until <= Instant::now() {
            return self.cancel.is_cancelled();
        }
        tokio::select! {
            () = self.cancel.cancelled() => true,
            () = tokio::time::sleep_until(until) => false,
        }
    }
}

fn finish(sim: &Simulator, id: &str, status: Status) {
    let mut state = sim.state();
    let Some(operation) = state.operations.get_mut(id) else { return };
    operation.status = status.clone();
    operation.ended = Some(sim.clock.now());
    let (subject, done) = (operation.subject.clone(), operation.done.clone());
    if let Some(resource) = state.get_mut(&subject)
        && resource.operation.as_deref() == Some(id)
    {
        resource.operation = None;
        resource.state = match status {
            Status::Running | Status::Succeeded => Provisioning::Succeeded,
            Status::Failed(_) => Provisioning::Failed,
            Status::Canceled => Provisioning::Canceled,
        };
    }
    done.cancel();
}

fn operation_url(call: &Call, class: Class, location: &str, id: &str, monitor: bool) -> String {
    let (base, sub, api) = (&call.base, call.segment(1), call.api_version());
    let compute = format!("{base}/subscriptions/{sub}/providers/Microsoft.Compute/locations/{location}");
    // Opaque to clients, and long as Azure's: what re-encodes or cuts it shows.
    let tail = format!("api-version={api}&t=638{}&c=MIIHhzCC%2Bsim&s=Zm9ybmF4%3D&h=c2lt", &id[..8]);
    match class {
        Class::Compute => {
            let monitor = if monitor { "&monitor=true" } else { "" };
            format!("{compute}/operations/{id}?p=sim{monitor}&{tail}")
        }
        Class::Disk => {
            let monitor = if monitor { "&monitor=true" } else { "" };
            format!("{compute}/DiskOperations/{id}?p=sim{monitor}&{tail}")
        }
        Class::Network => {
            let word = if monitor { "operationResults" } else { "operations" };
            format!(
                "{base}/subscriptions/{sub}/providers/Microsoft.Network/locations/{location}/{word}/{id}?{tail}"
            )
        }
        Class::Group => format!("{base}/subscriptions/{sub}/operationresults/{id}?{tail}"),
    }
}

/// The operation id of a polling path, and whether it is the `Location` form.
pub(crate) fn polled(call: &Call) -> Option<(String, bool)> {
    let [.., word, id] = call.lower.as_slice() else { return None };
    let location = match word.as_str() {
        "operations" | "diskoperations" if call.lower.iter().any(|s| s == "locations") => {
            call.query("monitor") == Some("true")
        }
        "operationresults" => true,
        "operationstatuses" => false,
        _ => return None,
    };
    Some((id.clone(), location))
}

/// Answers a poll.
pub(crate) async fn poll(sim: &Simulator, call: &Call, id: &str, location: bool) -> Outcome<Answer> {
    if call.method != "GET" {
        return Err(call.method_not_allowed());
    }
    let missing = || gateway(404, "NotFound", format!("The operation '{id}' was not found."));
    let done = {
        let state = sim.state();
        let operation = state.operations.get(id).ok_or_else(missing)?;
        let holds = sim.latency == Latency::Instant && !operation.hangs;
        (holds && operation.status == Status::Running).then(|| operation.done.clone())
    };
    if let Some(done) = done {
        hold(sim, &done).await;
    }
    let state = sim.state();
    let operation = state.operations.get(id).ok_or_else(missing)?;
    let hint = operation.retry_after.unwrap_or(1).to_string();
    if location {
        return Ok(match &operation.status {
            Status::Running => Answer::empty(202)
                .with("location", format!("{}{}", call.base, path_and_query(call)))
                .with("retry-after", hint),
            Status::Failed(error) => error.answer(),
            Status::Canceled => err(409, "OperationCanceled", "The operation was canceled.").answer(),
            Status::Succeeded => match (operation.finally, state.get(&operation.subject)) {
                (Finally::Resource, Some(resource)) => {
                    Answer::json(200, super::view::resource(&state, resource, None))
                }
                (Finally::NoContent, _) => Answer::empty(204),
                _ => Answer::empty(200),
            },
        });
    }
    let mut body = json!({
        "id": format!("/{}", call.segments.join("/")), "name": id, "startTime": stamp(operation.started),
        "status": match operation.status {
            Status::Running => "InProgress",
            Status::Succeeded => "Succeeded",
            Status::Failed(_) => "Failed",
            Status::Canceled => "Canceled",
        } });
    if let Some(ended) = operation.ended {
        body["endTime"] = json!(stamp(ended));
    }
    if let Status::Failed(error) = &operation.status {
        body["error"] = error.value();
    }
    if operation.status == Status::Canceled {
        body["error"] = json!({ "code": "OperationCanceled", "message": "The operation was canceled." });
    }
    let answer = Answer::json(200, body);
    Ok(if operation.status == Status::Running { answer.with("retry-after", hint) } else { answer })
}

fn path_and_query(call: &Call) -> String {
    let monitor = call.query("monitor").map(|m| format!("monitor={m}&")).unwrap_or_default();
    format!("/{}?{monitor}api-version={}", call.segments.join("/"), call.api_version())
}
