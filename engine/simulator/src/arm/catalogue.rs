//! Reading what the cloud sells: platform images, sizes, SKUs, usages, marketplace terms.

use serde_json::{Value, json};

use super::call::Call;
use super::market::{LOCATIONS, is_location, normal_location, version_key};
use super::operation::Reply;
use super::reply::{Answer, Outcome, err, gateway};
use super::state::State;
use super::versions::{AGREEMENT, COMPUTE_LOCATION, Kind, NETWORK_LOCATION, OFFER_TYPE, PUBLIC_IP, SKU, VM};
use crate::seed::Plan;

/// `S/providers/Microsoft.Compute/locations/L/…`
pub(crate) fn location(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&COMPUTE_LOCATION)?;
    call.only_get()?;
    let place = known_location(call)?;
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
            let mut families: Vec<&str> = market.sizes.iter().map(|s| s.family.as_str()).collect();
            families.sort_unstable();
            families.dedup();
            let names = [("cores", "Total Regional vCPUs"), ("virtualMachines", "Virtual Machines")];
            let names = names.into_iter().chain(families.into_iter().map(|f| (f, f)));
            Answer::list(names.map(|(name, shown)| usage(state, &place, name, shown)).collect()).into()
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

/// How much of a limit is used in a location: deallocated machines take no cores, but count as machines.
pub(crate) fn used(state: &State, name: &str, place: &str) -> u64 {
    match name {
        "virtualMachines" => return count(state, &VM, place),
        "PublicIPAddresses" => return count(state, &PUBLIC_IP, place),
        _ => {}
    }
    let machines = state.of_kind(&VM).filter(|vm| {
        vm.location == place && vm.vm().is_some_and(|v| v.power != super::resource::Power::Deallocated)
    });
    machines
        .filter_map(|vm| vm.properties.get("hardwareProfile")?.get("vmSize")?.as_str())
        .filter_map(|size| state.market.size(size, place))
        .filter(|size| name == "cores" || size.family.eq_ignore_ascii_case(name))
        .map(|size| u64::from(size.cores))
        .sum()
}

/// Resources of a kind in a location.
pub(crate) fn count(state: &State, kind: &'static Kind, place: &str) -> u64 {
    state.of_kind(kind).filter(|r| r.location == place).map(|_| 1).sum()
}

fn usage(state: &State, place: &str, name: &str, shown: &str) -> Value {
    json!({ "unit": "Count", "currentValue": used(state, name, place), "limit": state.market.limit(name, place),
            "name": { "value": name, "localizedValue": shown } })
}

/// `S/providers/Microsoft.Network/locations/L/usages`.
pub(crate) fn network_usages(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&NETWORK_LOCATION)?;
    call.only_get()?;
    let place = known_location(call)?;
    let public = usage(state, &place, "PublicIPAddresses", "Public IP Addresses");
    Ok(Answer::list(vec![public]).into())
}

fn known_location(call: &Call) -> Outcome<String> {
    let place = normal_location(call.segment(5));
    if is_location(&place) {
        return Ok(place);
    }
    let text = format!("The provided location '{}' is not valid.", call.segment(5));
    Err(err(400, "InvalidParameter", text))
}

/// `S/providers/Microsoft.Compute/skus`.
pub(crate) fn skus(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&SKU)?;
    call.only_get()?;
    let wanted = match call.query("$filter").map(str::trim).filter(|f| !f.is_empty()) {
        None => None,
        Some(filter) => {
            let place = filter.strip_prefix("location eq '").and_then(|rest| rest.strip_suffix('\''));
            let bad = || err(400, "InvalidParameter", format!("The filter '{filter}' is not supported."));
            Some(normal_location(place.ok_or_else(bad)?))
        }
    };
    let places =
        LOCATIONS.iter().map(|(name, _)| *name).filter(|name| wanted.as_deref().is_none_or(|w| w == *name));
    let offers = places
        .flat_map(|place| state.market.sizes.iter().filter(|s| s.is_in(place)).map(move |s| (place, s)));
    let list = offers.map(|(place, size)| {
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

/// The terms of a plan, in both forms: `…/offerTypes/virtualmachine/publishers/P/offers/O/plans/N/agreements/current`,
/// read and written, and `…/agreements/P/offers/O/plans/N`, read, with `sign` and `cancel`. `at` says where publisher,
/// offer and plan stand.
pub(crate) fn terms(state: &mut State, call: &Call, at: [usize; 3]) -> Outcome<Reply> {
    let old_form = at[0] == 5;
    call.check_version(if old_form { &AGREEMENT } else { &OFFER_TYPE })?;
    let [publisher, product, name] = at.map(|index| call.segment(index).to_owned());
    let plan = Plan { publisher, product, name };
    if !state.market.sells(&plan) {
        return Err(err(
            400,
            "BadRequest",
            format!("Offer with PublisherId: '{}', OfferId: '{}' not found.", plan.publisher, plan.product),
        ));
    }
    let action = call.lower.get(at[2] + 1).map(String::as_str).filter(|_| old_form);
    match (call.method.as_str(), action) {
        ("GET", None) => {}
        ("PUT", None) => {
            let accepted = call.object()?["properties"]["accepted"] == true;
            state.market.accept(&plan, accepted);
        }
        ("POST", Some("sign")) => state.market.accept(&plan, true),
        ("POST", Some("cancel")) => state.market.accept(&plan, false),
        (_, None) => return Err(call.method_not_allowed()),
        _ => return Err(gateway(404, "NotFound", "There is nothing at this path.")),
    }
    Ok(Answer::json(200, json!({
        "id": format!("/{}", call.segments.join("/")), "name": plan.name, "type": "Microsoft.MarketplaceOrdering/offertypes",
        "properties": { "publisher": plan.publisher, "product": plan.product, "plan": plan.name,
            "accepted": state.market.accepted(&plan), "signature": "simulated", "retrieveDatetime": super::clock::stamp(call.now) } }))
    .into())
}
