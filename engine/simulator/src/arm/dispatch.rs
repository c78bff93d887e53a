//! The door: faults, authentication, routing, and the headers of every answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use super::call::Call;
use super::operation::{self, Reply};
use super::reply::{Answer, ArmError, Outcome, gateway};
use super::state::State;
use super::versions::{self, Kind};
use super::{catalogue, disk, group, identity, image, network, provider, vm};
use crate::fault::{Cut, Subject};
use crate::{ConnectionCut, Simulator};

/// A fault may not hold an answer back for longer.
const MAX_DELAY: Duration = Duration::from_secs(600);

pub(crate) async fn handle(
    sim: &Simulator,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, ConnectionCut> {
    let (parts, body) = request.into_parts();
    let mut call = Call::new(&parts, body, &sim.endpoint, sim.clock.now());
    let authorization = parts.headers.get("authorization").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let correlation = parts.headers.get("x-ms-correlation-request-id").cloned();
    let kind = kind_of(&call);
    let name = call.segments.last().cloned().unwrap_or_default();
    let path = format!("/{}", call.segments.join("/"));
    let verdict =
        sim.faults().for_request(Subject { method: &call.method, path: &path, kind: &kind, name: &name });
    if verdict.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(verdict.delay_ms).min(MAX_DELAY)).await;
    }
    if verdict.cut == Some(Cut::Before) {
        return Err(ConnectionCut);
    }
    call.plan = verdict.operation.clone();
    let commit = verdict.answer.as_ref().is_none_or(|a| a.commit);
    let mut answer = if commit {
        answer(sim, &mut call, authorization.as_deref(), verdict.token_lifetime_s).await
    } else {
        Answer::empty(200)
    };
    if verdict.cut == Some(Cut::After) {
        return Err(ConnectionCut);
    }
    let mut raw = None;
    if let Some(planted) = verdict.answer {
        answer = gateway(planted.status, &planted.code, planted.message).answer();
        answer.headers.extend(planted.headers);
        raw = planted.body;
    }
    Ok(respond(&call, answer, raw, correlation))
}

async fn answer(
    sim: &Simulator,
    call: &mut Call,
    authorization: Option<&str>,
    lifetime: Option<u64>,
) -> Answer {
    match routed(sim, call, authorization, lifetime).await {
        Ok(answer) => answer,
        Err(error) => error.answer(),
    }
}

async fn routed(
    sim: &Simulator,
    call: &mut Call,
    authorization: Option<&str>,
    lifetime: Option<u64>,
) -> Outcome<Answer> {
    let words: Vec<&str> = call.lower.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["simulator", "inventory"] => return Ok(Answer::json(200, Value::Array(sim.inventory()))),
        ["metadata", "endpoints"] => return Ok(identity::metadata(call)),
        [_, "oauth2", "token"] | [_, "oauth2", "v2.0", "token"] => {
            return Ok(identity::token(sim, call, lifetime));
        }
        [_, ".well-known", "openid-configuration"] | [_, "v2.0", ".well-known", "openid-configuration"] => {
            return Ok(identity::openid_configuration(call));
        }
        _ => {}
    }
    call.client = identity::authenticate(sim, call, authorization)?;
    if let Some(sub) = call.segments.get(1).filter(|_| call.lower[0] == "subscriptions") {
        let mut state = sim.state();
        if sim.accept_any {
            state.ensure_subscription(sub, call.now);
        }
        if !state.has_subscription(sub) {
            return Err(gateway(
                404,
                "SubscriptionNotFound",
                format!("The subscription '{sub}' could not be found."),
            ));
        }
    }
    if let Some((id, location)) = operation::polled(call) {
        return operation::poll(sim, call, &id, location).await;
    }
    let (subject, first, done) = {
        let mut state = sim.state();
        match route(sim, &mut state, call)? {
            Reply::Done(answer) => return Ok(answer),
            Reply::Begin(begin) => {
                let subject = begin.subject.clone();
                let (answer, done) = operation::begin(sim, &mut state, call, *begin);
                (subject, answer, done)
            }
        }
    };
    let Some(done) = done else { return Ok(first) };
    operation::hold(sim, &done).await;
    if call.plan.polling == Some(crate::fault::Polling::Sync) && done.is_cancelled() {
        return Ok(operation::settled(&sim.state(), &subject, first));
    }
    Ok(first)
}

/// The type that fault scripts know a request by: that of the resource, with the action or the child behind it, or what
/// else the request is about.
fn kind_of(call: &Call) -> String {
    let words: Vec<&str> = call.lower.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "oauth2", "token"] | [_, "oauth2", "v2.0", "token"] => return "token".into(),
        ["metadata", "endpoints"] | [.., ".well-known", "openid-configuration"] => return "metadata".into(),
        _ if operation::polled(call).is_some() => return "operation".into(),
        _ => {}
    }
    let Some(at) = words.iter().position(|w| *w == "providers") else {
        let is_group = words.get(2).is_some_and(|w| *w == "resourcegroups");
        return if is_group { versions::GROUP.name.into() } else { String::new() };
    };
    let (Some(namespace), Some(kind)) = (call.segments.get(at + 1), call.segments.get(at + 2)) else {
        return String::new();
    };
    let known = versions::find(&format!("{namespace}/{kind}")).map_or("", |k| k.name);
    // Types and names take turns.
    let below = call.segments.iter().skip(at + 4).step_by(2);
    below.fold(known.to_owned(), |kind, word| format!("{kind}/{word}"))
}

fn route(sim: &Simulator, state: &mut State, call: &Call) -> Outcome<Reply> {
    let words: Vec<&str> = call.lower.iter().map(String::as_str).collect();
    let nothing = || -> ArmError {
        gateway(404, "NotFound", format!("There is nothing at '/{}'.", call.segments.join("/")))
    };
    match words.as_slice() {
        ["subscriptions"] | ["subscriptions", _] => provider::subscription(sim, call),
        ["subscriptions", _, "locations"] => provider::locations(call),
        ["subscriptions", _, "providers"]
        | ["subscriptions", _, "providers", _]
        | ["subscriptions", _, "providers", _, "register"] => provider::handle(state, call),
        ["subscriptions", _, "resourcegroups"] => group::list(state, call),
        ["subscriptions", sub, "resources"] => {
            group::resources(state, call, &format!("/subscriptions/{sub}"))
        }
        ["subscriptions", _, "resourcegroups", _] => group::handle(state, call),
        ["subscriptions", sub, "resourcegroups", name, "resources"] => {
            group::resources(state, call, &format!("/subscriptions/{sub}/resourceGroups/{name}"))
        }
        ["subscriptions", _, "providers", "microsoft.compute", "skus"] => catalogue::skus(state, call),
        ["subscriptions", _, "providers", "microsoft.compute", "locations", _, ..] => {
            catalogue::location(state, call)
        }
        [
            "subscriptions",
            _,
            "providers",
            "microsoft.marketplaceordering",
            "offertypes",
            _,
            "publishers",
            _,
            "offers",
            _,
            "plans",
            _,
            "agreements",
            "current",
        ] => catalogue::terms(state, call, [7, 9, 11]),
        [
            "subscriptions",
            _,
            "providers",
            "microsoft.marketplaceordering",
            "agreements",
            _,
            "offers",
            _,
            "plans",
            _,
            ..,
        ] => catalogue::terms(state, call, [5, 7, 9]),
        ["subscriptions", _, "providers", "microsoft.network", "locations", _, "usages"] => {
            catalogue::network_usages(state, call)
        }
        ["tenants"] => provider::tenants(sim, call),
        ["subscriptions", _, "providers", namespace, kind] => by_kind(state, call, namespace, kind),
        ["subscriptions", _, "resourcegroups", _, "providers", namespace, kind, ..] => {
            provider::require(state, call, namespace)?;
            by_kind(state, call, namespace, kind)
        }
        _ => Err(nothing()),
    }
}

fn by_kind(state: &mut State, call: &Call, namespace: &str, kind: &str) -> Outcome<Reply> {
    let found = versions::find(&format!("{namespace}/{kind}"));
    let unknown = || {
        gateway(
            404,
            "InvalidResourceType",
            format!(
                "The resource type '{kind}' could not be found in the namespace '{namespace}' for api version '{}'.",
                call.api_version()
            ),
        )
    };
    let kind = match found {
        Some(kind) => kind,
        None if !provider::exists(namespace) => return Err(provider::unknown(namespace)),
        None => return Err(unknown()),
    };
    // Whatever stands behind a resource's name and is not known here is not the resource.
    let child = match call.segments.len() {
        5 | 7 => return group::list_of(state, call, kind),
        8 => false,
        _ => true,
    };
    if child && !(std::ptr::eq(kind, &versions::VM) || std::ptr::eq(kind, &versions::VNET)) {
        return Err(gateway(404, "NotFound", format!("There is nothing at '/{}'.", call.segments.join("/"))));
    }
    if call.method == "HEAD" && !child {
        call.check_version(kind)?;
        let group = group::require(state, call)?;
        let id = format!("{group}/providers/{}/{}", kind.name, call.segment(7));
        return Ok(Answer::empty(if state.get(&id).is_some() { 204 } else { 404 }).into());
    }
    let is = |other: &'static Kind| std::ptr::eq(kind, other);
    if is(&versions::VM) {
        vm::handle(state, call)
    } else if is(&versions::IMAGE) {
        image::handle(state, call)
    } else if is(&versions::DISK) || is(&versions::SNAPSHOT) {
        disk::handle(state, call, kind)
    } else if is(&versions::VNET) || is(&versions::PUBLIC_IP) || is(&versions::NIC) || is(&versions::NSG) {
        network::handle(state, call, kind)
    } else {
        Err(unknown())
    }
}

fn respond(
    call: &Call,
    answer: Answer,
    raw: Option<String>,
    correlation: Option<HeaderValue>,
) -> Response<Bytes> {
    let body = match (raw, &answer.body) {
        (Some(raw), _) => Bytes::from(raw),
        (None, Some(value)) if call.method != "HEAD" => Bytes::from(value.to_string()),
        _ => Bytes::new(),
    };
    let has_body = answer.body.is_some() || !body.is_empty();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let mut put = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    };
    if has_body {
        put("content-type", "application/json; charset=utf-8");
    }
    let id = uuid::Uuid::new_v4().to_string();
    put("x-ms-request-id", &id);
    put("x-ms-correlation-request-id", correlation.as_ref().and_then(|c| c.to_str().ok()).unwrap_or(&id));
    put("cache-control", "no-cache");
    put("date", &super::clock::http_date(call.now));
    put("strict-transport-security", "max-age=31536000; includeSubDomains");
    put("x-content-type-options", "nosniff");
    put("x-ms-routing-request-id", &format!("SIMULATED:{}:{id}", call.now.strftime("%Y%m%dT%H%M%SZ")));
    if let Some(echo) = &call.echo {
        put("x-ms-client-request-id", echo);
    }
    if let Some(etag) = answer.body.as_ref().and_then(|b| b.get("etag")).and_then(Value::as_str) {
        put("etag", etag);
    }
    let limit = match call.method.as_str() {
        "GET" | "HEAD" => "x-ms-ratelimit-remaining-subscription-reads",
        "DELETE" => "x-ms-ratelimit-remaining-subscription-deletes",
        _ => "x-ms-ratelimit-remaining-subscription-writes",
    };
    put(limit, "11999");
    for (name, value) in &answer.headers {
        put(name, value);
    }
    response
}
