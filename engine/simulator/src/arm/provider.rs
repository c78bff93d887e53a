//! Subscriptions and resource providers.

use serde_json::{Value, json};

use super::call::Call;
use super::market::LOCATIONS;
use super::operation::Reply;
use super::reply::{Answer, ArmError, Outcome, err, gateway};
use super::state::State;
use super::versions::{self, PROVIDER, SUBSCRIPTION};
use crate::Simulator;

const NAMESPACES: &[&str] =
    &["Microsoft.Compute", "Microsoft.Network", "Microsoft.Resources", "Microsoft.MarketplaceOrdering"];

fn description(sim: &Simulator, id: &str) -> Value {
    json!({ "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": sim.credentials.tenant_id,
            "displayName": "Simulated subscription", "state": "Enabled", "authorizationSource": "RoleBased" })
}

/// `GET /subscriptions`, `GET /subscriptions/S`.
pub(crate) fn subscription(sim: &Simulator, call: &Call) -> Outcome<Reply> {
    call.check_version(&SUBSCRIPTION)?;
    if call.method != "GET" {
        return Err(call.method_not_allowed());
    }
    Ok(match call.segments.len() {
        1 => Answer::list(vec![description(sim, &sim.credentials.subscription_id)]).into(),
        _ => Answer::json(200, description(sim, call.segment(1))).into(),
    })
}

/// `GET /tenants`.
pub(crate) fn tenants(sim: &Simulator, call: &Call) -> Outcome<Reply> {
    call.check_version(&SUBSCRIPTION)?;
    call.only_get()?;
    let id = &sim.credentials.tenant_id;
    let tenant = json!({ "id": format!("/tenants/{id}"), "tenantId": id, "displayName": "Simulated tenant" });
    Ok(Answer::list(vec![tenant]).into())
}

/// Whether there is such a namespace, in any case.
pub(crate) fn exists(namespace: &str) -> bool {
    NAMESPACES.iter().any(|n| n.eq_ignore_ascii_case(namespace))
}

pub(crate) fn unknown(namespace: &str) -> ArmError {
    gateway(404, "InvalidResourceNamespace", format!("The resource namespace '{namespace}' is invalid."))
}

/// `GET S/locations`.
pub(crate) fn locations(call: &Call) -> Outcome<Reply> {
    call.check_version(&SUBSCRIPTION)?;
    call.only_get()?;
    let sub = call.segment(1);
    let list = LOCATIONS.iter().map(|(name, shown)| {
        json!({ "id": format!("/subscriptions/{sub}/locations/{name}"), "name": name, "displayName": shown,
                "type": "Region" })
    });
    Ok(Answer::list(list.collect()).into())
}

/// `GET S/providers`, `GET S/providers/N`, `POST S/providers/N/register`.
pub(crate) fn handle(state: &mut State, call: &Call) -> Outcome<Reply> {
    call.check_version(&PROVIDER)?;
    let sub = call.segment(1);
    let describe = |state: &State, namespace: &str| {
        let registered = !state.unregistered.contains(&namespace.to_ascii_lowercase());
        let types: Vec<Value> = versions::of_namespace(namespace)
            .map(|k| {
                let name = k.name.split_once('/').map_or(k.name, |(_, name)| name);
                json!({ "resourceType": name, "apiVersions": k.versions,
                        "locations": LOCATIONS.iter().map(|(_, shown)| *shown).collect::<Vec<_>>() })
            })
            .collect();
        json!({ "id": format!("/subscriptions/{sub}/providers/{namespace}"), "namespace": namespace,
                "registrationState": if registered { "Registered" } else { "NotRegistered" }, "resourceTypes": types })
    };
    let Some(wanted) = call.segments.get(3) else {
        call.only_get()?;
        return Ok(Answer::list(NAMESPACES.iter().map(|n| describe(state, n)).collect()).into());
    };
    let Some(namespace) = NAMESPACES.iter().find(|n| n.eq_ignore_ascii_case(wanted)) else {
        return Err(unknown(wanted));
    };
    let mut answer = describe(state, namespace);
    match (call.method.as_str(), call.segments.len()) {
        ("GET", 4) => {}
        ("POST", 5) => {
            // The next look finds it done.
            if state.unregistered.remove(&namespace.to_ascii_lowercase()) {
                answer["registrationState"] = json!("Registering");
            }
        }
        _ => return Err(call.method_not_allowed()),
    }
    Ok(Answer::json(200, answer).into())
}

/// Writes need a registered provider.
pub(crate) fn require(state: &State, call: &Call, namespace: &str) -> Outcome<()> {
    let reads = matches!(call.method.as_str(), "GET" | "HEAD");
    if reads || !state.unregistered.contains(&namespace.to_ascii_lowercase()) {
        return Ok(());
    }
    let namespace =
        NAMESPACES.iter().find(|n| n.eq_ignore_ascii_case(namespace)).copied().unwrap_or(namespace);
    let text = format!(
        "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how to \
         register subscriptions."
    );
    let mut error = gateway(409, "MissingSubscriptionRegistration", &text);
    error.details.push(err(409, "MissingSubscriptionRegistration", &text).at(namespace));
    Err(error)
}
