//! Reading what the cloud sells: platform images, sizes, SKUs, usages, marketplace terms.

use serde_json::{Value, json};

use super::call::Call;
use super::market::{is_location, normal_location, version_key};
use super::operation::Reply;
use super::reply::{Answer, Outcome, err, gateway};
use super::state::State;
use super::versions::{COMPUTE_LOCATION, OFFER_TYPE, SKU, VM};
use crate::seed::Plan;

/// `S/providers/Microsoft.Compute/locations/L/…`
pub(crate) fn location(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&COMPUTE_LOCATION)?;
    let place = normal_location(call.segment(5));
    if !is_location(&place) {
        return Err(err(
            400,
            "InvalidParameter",
            format!("The provided location '{}' is not valid.", call.segment(5)),
        ));
    }
    let rest: Vec<&str> = call.lower[6..].iter().map(String::as_str).collect();
    let prefix = format!("/{}", call.segments.join("/"));
    let names = |list: Vec<String>| {
        list.iter()
            .map(|n| json!({ "name": n, "location": place, "id": format!("{prefix}/{n}") }))
            .collect::<Vec<Value>>()
    };
    let market = &state.market;
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    Ok(match rest.as_slice() {
        ["vmsizes"] => {
            let sizes = market.sizes.iter().filter(|s| s.is_in(&place));
            Answer::list(sizes.map(|s| json!({ "name": s.name, "numberOfCores": s.cores, "memoryInMB": s.memory_gb * 1024,
                "maxDataDiskCount": s.max_data_disks, "osDiskSizeInMB": 1_047_552, "resourceDiskSizeInMB": 0 })).collect())
            .into()
        }
        ["usages"] => {
            let used = cores_used(state, &place);
            let limit = market.limit("cores", &place);
            Answer::list(vec![json!({ "unit": "Count", "currentValue": used, "limit": limit,
                "name": { "value": "cores", "localizedValue": "Total Regional vCPUs" } })])
            .into()
        }
        ["publishers"] => Answer::json(200, json!(names(market.level(|i| Some(&i.publisher))))).into(),
        ["publishers", p, "artifacttypes", "vmimage", "offers"] => {
            Answer::json(200, json!(names(market.level(|i| same(&i.publisher, p).then_some(&i.offer)))))
                .into()
        }
        ["publishers", p, "artifacttypes", "vmimage", "offers", o, "skus"] => {
            let level = market.level(|i| (same(&i.publisher, p) && same(&i.offer, o)).then_some(&i.sku));
            Answer::json(200, json!(names(level))).into()
        }
        ["publishers", p, "artifacttypes", "vmimage", "offers", o, "skus", s, "versions"] => {
            let fits = |i: &&super::market::PlatformImage| {
                same(&i.publisher, p) && same(&i.offer, o) && same(&i.sku, s)
            };
            let mut versions: Vec<String> =
                market.images.iter().filter(fits).map(|i| i.version.clone()).collect();
            if versions.is_empty() {
                return Err(missing(p, o, s, "any"));
            }
            versions.sort_by_key(|v| version_key(v));
            if call.query("$orderby").is_some_and(|o| o.contains("desc")) {
                versions.reverse();
            }
            if let Some(top) = call.query("$top").and_then(|t| t.parse().ok()) {
                versions.truncate(top);
            }
            Answer::json(200, json!(names(versions))).into()
        }
        ["publishers", p, "artifacttypes", "vmimage", "offers", o, "skus", s, "versions", v] => {
            let image = market.image(p, o, s, v).ok_or_else(|| missing(p, o, s, v))?;
            let id = prefix.rsplit_once('/').map_or(prefix.as_str(), |(before, _)| before);
            Answer::json(
                200,
                json!({ "id": format!("{id}/{}", image.version), "name": image.version, "location": place,
                "properties": image.properties() }),
            )
            .into()
        }
        _ => return Err(gateway(404, "NotFound", "There is nothing at this path.")),
    })
}

pub(crate) fn missing(publisher: &str, offer: &str, sku: &str, version: &str) -> super::reply::ArmError {
    err(404, "PlatformImageNotFound", format!(
        "The platform image '{publisher}:{offer}:{sku}:{version}' is not available. Verify that all fields in the storage \
         profile are correct. For more details about storage profile information, please refer to \
         https://aka.ms/storageprofile")).at("imageReference")
}

/// Cores of the machines of a location that are not deallocated.
pub(crate) fn cores_used(state: &State, place: &str) -> u64 {
    state
        .of_kind(&VM)
        .filter(|vm| {
            vm.location == place && vm.vm().is_some_and(|v| v.power != super::state::Power::Deallocated)
        })
        .filter_map(|vm| vm.properties.get("hardwareProfile")?.get("vmSize")?.as_str())
        .filter_map(|size| state.market.size(size, place))
        .map(|size| u64::from(size.cores))
        .sum()
}

/// `S/providers/Microsoft.Compute/skus`.
pub(crate) fn skus(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&SKU)?;
    let filter = call.query("$filter").unwrap_or_default();
    let wanted = filter.split('\'').nth(1).map(normal_location);
    let place = wanted.as_deref().unwrap_or(crate::seed::DEFAULT_LOCATION);
    let list = state.market.sizes.iter().filter(|s| s.is_in(place)).map(|size| {
        let restrictions = if size.is_restricted(place) {
            json!([{ "type": "Location", "values": [place], "reasonCode": "NotAvailableForSubscription",
                     "restrictionInfo": { "locations": [place] } }])
        } else {
            json!([])
        };
        json!({ "resourceType": "virtualMachines", "name": size.name, "tier": "Standard", "family": size.family,
            "locations": [place], "locationInfo": [{ "location": place, "zones": [] }], "restrictions": restrictions,
            "capabilities": [
                { "name": "vCPUs", "value": size.cores.to_string() },
                { "name": "MemoryGB", "value": size.memory_gb.to_string() },
                { "name": "MaxDataDiskCount", "value": size.max_data_disks.to_string() },
                { "name": "HyperVGenerations", "value": size.generations.join(",") },
                { "name": "PremiumIO", "value": "True" },
                { "name": "AcceleratedNetworkingEnabled", "value": "True" },
                { "name": "EncryptionAtHostSupported", "value": "True" } ] })
    });
    Ok(Answer::list(list.collect()).into())
}

/// `S/providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine/publishers/P/offers/O/plans/N/agreements/current`.
pub(crate) fn terms(state: &mut State, call: &Call) -> Outcome<Reply> {
    call.check_version(&OFFER_TYPE)?;
    let plan = Plan {
        publisher: call.segment(7).to_owned(),
        product: call.segment(9).to_owned(),
        name: call.segment(11).to_owned(),
    };
    if !state.market.sells(&plan) {
        return Err(err(
            400,
            "BadRequest",
            format!("Offer with PublisherId: '{}', OfferId: '{}' not found.", plan.publisher, plan.product),
        ));
    }
    if call.method == "PUT" {
        let accepted = call.object()?["properties"]["accepted"] == true;
        state.market.accept(&plan, accepted);
    }
    Ok(Answer::json(200, json!({
        "id": format!("/{}", call.segments.join("/")), "name": plan.name, "type": "Microsoft.MarketplaceOrdering/offertypes",
        "properties": { "publisher": plan.publisher, "product": plan.product, "plan": plan.name,
            "accepted": state.market.accepted(&plan), "signature": "simulated", "retrieveDatetime": super::clock::stamp(call.now) } }))
    .into())
}
