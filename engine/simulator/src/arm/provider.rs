//! Subscriptions and resource providers.

use serde_json::{Value, json};

use super::call::Call;
use super::market::LOCATIONS;
use super::operation::Reply;
use super::reply::{Answer, Outcome, gateway};
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

/// `GET S/locations`.
pub(crate) fn locations(call: &Call) -> Outcome<Reply> {
    call.check_version(&SUBSCRIPTION)?;
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
        return Ok(Answer::list(NAMESPACES.iter().map(|n| describe(state, n)).collect()).into());
    };
    let Some(namespace) = NAMESPACES.iter().find(|n| n.eq_ignore_ascii_case(wanted)) else {
        return Err(gateway(
            404,
            "InvalidResourceNamespace",
            format!("The resource namespace '{wanted}' is invalid."),
        ));
    };
    if call.lower.get(4).is_some_and(|word| word == "register") {
        state.unregistered.remove(&namespace.to_ascii_lowercase());
    }
    Ok(Answer::json(200, describe(state, namespace)).into())
}

/// Writes need a registered provider.
pub(crate) fn require(state: &State, call: &Call, namespace: &str) -> Outcome<()> {
    if call.method == "GET" || !state.unregistered.contains(&namespace.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(gateway(
        409,
        "MissingSubscriptionRegistration",
        format!(
            "The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how to \
         register subscriptions."
        ),
    ))
}
