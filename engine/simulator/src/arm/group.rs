//! Resource groups, and lists of resources with `$filter`.

use std::time::Duration;

use serde_json::{Value, json};

use super::call::Call;
use super::effect::Effect;
use super::market::{is_location, normal_location};
use super::names;
use super::operation::{Begin, Class, Finally, Reply};
use super::reply::{Answer, ArmError, Outcome, err, gateway};
use super::resource::{Detail, Provisioning, Resource};
use super::state::State;
use super::versions::{GROUP, Kind};
use crate::fault::Polling;

pub(crate) fn not_found(name: &str) -> ArmError {
    gateway(404, "ResourceGroupNotFound", format!("Resource group '{name}' could not be found."))
}

/// The group of a request; writes into one that is being deleted are refused.
pub(crate) fn require(state: &State, call: &Call) -> Outcome<String> {
    let id = call.group_id();
    let group = state.get(&id).ok_or_else(|| not_found(call.segment(3)))?;
    if group.state == Provisioning::Deleting && call.method != "GET" && call.method != "HEAD" {
        return Err(gateway(
            409,
            "ResourceGroupBeingDeleted",
            format!(
                "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                group.name
            ),
        ));
    }
    Ok(group.id.clone())
}

/// `GET` on a type: what there is of it in the group or in the subscription.
pub(crate) fn list_of(state: &State, call: &Call, kind: &'static Kind) -> Outcome<Reply> {
    call.check_version(kind)?;
    call.only_get()?;
    let place = match call.segments.len() {
        5 => format!("/subscriptions/{}", call.segment(1)),
        _ => require(state, call)?,
    };
    let found = state.below(&place).filter(|r| std::ptr::eq(r.kind, kind));
    Ok(Answer::list(found.map(|r| super::view::resource(state, r, None)).collect()).into())
}

/// `PATCH` of a resource: its tags are replaced.
pub(crate) fn patch_tags(state: &mut State, call: &Call, kind: &Kind, id: &str) -> Outcome<Reply> {
    let body = call.object()?;
    let tags = names::tags(&body)?;
    let missing = || super::network::missing(kind, call.segment(7), call.segment(3));
    let resource = state.get_mut(id).ok_or_else(missing)?;
    idle(resource)?;
    if body.get("tags").is_some() {
        resource.tags = tags;
        state.touch(id);
    }
    let resource = state.get(id).ok_or_else(missing)?;
    Ok(Answer::json(200, super::view::resource(state, resource, None)).into())
}

/// One operation at a time.
pub(crate) fn idle(resource: &Resource) -> Outcome<()> {
    if resource.state.is_final() {
        return Ok(());
    }
    let (id, word) = (&resource.id, resource.state.word());
    Err(match resource.kind.name.starts_with("Microsoft.Network/") {
        true => err(
            409,
            "AnotherOperationInProgress",
            format!(
                "Another operation on this or dependent resource is in progress: {id} is in state {word}."
            ),
        ),
        false => err(
            409,
            "Conflict",
            format!("The request failed due to conflict with a concurrent request: {id} is in state {word}."),
        ),
    })
}

/// A resource never moves to another location.
pub(crate) fn same_location(resource: &Resource, location: &str) -> Outcome<()> {
    if resource.location == location {
        return Ok(());
    }
    let (name, place) = (&resource.name, &resource.location);
    Err(gateway(
        409,
        "InvalidResourceLocation",
        format!(
            "The resource '{name}' already exists in location '{place}'. A resource with the same name cannot be created \
             in location '{location}'. Please select a new resource name."
        ),
    ))
}

/// 409 about a property that is fixed once the resource exists.
pub(crate) fn fixed(property: &str) -> ArmError {
    err(409, "PropertyChangeNotAllowed", format!("Changing property '{property}' is not allowed."))
        .at(property)
}

pub(crate) fn handle(state: &mut State, call: &Call) -> Outcome<Reply> {
    call.check_version(&GROUP)?;
    let (id, name) = (call.group_id(), call.segment(3));
    match call.method.as_str() {
        "GET" => {
            let group = state.get(&id).ok_or_else(|| not_found(name))?;
            Ok(Answer::json(200, group.envelope()).into())
        }
        "HEAD" => {
            let status = if state.get(&id).is_some() { 204 } else { 404 };
            Ok(Answer::empty(status).into())
        }
        "PUT" => put(state, call, &id, name),
        "PATCH" => {
            let body = call.object()?;
            let tags = names::tags(&body)?;
            require(state, call)?;
            let group = state.get_mut(&id).ok_or_else(|| not_found(name))?;
            if body.get("tags").is_some() {
                group.tags = tags;
            }
            Ok(Answer::json(200, group.envelope()).into())
        }
        "DELETE" => delete(state, &id, name),
        _ => Err(call.method_not_allowed()),
    }
}

fn put(state: &mut State, call: &Call, id: &str, name: &str) -> Outcome<Reply> {
    let body = call.object()?;
    names::check(&GROUP, name)?;
    let tags = names::tags(&body)?;
    let location = required_location(&body)?;
    if state.get(id).is_some() {
        require(state, call)?;
        let group = state.get_mut(id).ok_or_else(|| not_found(name))?;
        if group.location != location {
            return Err(gateway(
                409,
                "InvalidResourceGroupLocation",
                format!(
                    "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
                    group.location
                ),
            ));
        }
        group.tags = tags;
        return Ok(Answer::json(200, group.envelope()).into());
    }
    let mut group = state.fresh(id, &GROUP, &location, &call.client, call.now);
    group.tags = tags;
    group.detail = Detail::Group;
    let body = group.envelope();
    state.insert(group);
    Ok(Answer::json(201, body).into())
}

/// `location` of a body, normalised.
pub(crate) fn required_location(body: &Value) -> Outcome<String> {
    let Some(location) = body.get("location").and_then(Value::as_str).filter(|l| !l.is_empty()) else {
        return Err(gateway(
            400,
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    };
    let normal = normal_location(location);
    if is_location(&normal) {
        return Ok(normal);
    }
    let known: Vec<&str> = super::market::LOCATIONS.iter().map(|(name, _)| *name).collect();
    Err(gateway(
        400,
        "LocationNotAvailableForResourceType",
        format!(
            "The provided location '{location}' is not available for resource type. List of available regions for the \
         resource type is '{}'.",
            known.join(",")
        ),
    ))
}

fn delete(state: &mut State, id: &str, name: &str) -> Outcome<Reply> {
    let group = state.get(id).ok_or_else(|| not_found(name))?;
    let (subject, location) = (group.id.clone(), group.location.clone());
    let mut after = Vec::new();
    if group.state == Provisioning::Deleting {
        // A second DELETE joins the first.
        after.extend(state.running_operation(&subject));
    }
    foreign_users(state, &subject)?;
    let inside: Vec<String> = state.below(&subject).map(|r| r.id.clone()).collect();
    for resource in &inside {
        after.extend(state.end_operation(resource));
        after.extend(super::image::captures_of(state, resource));
    }
    for resource in inside.iter().chain([&subject]) {
        if let Some(resource) = state.get_mut(resource) {
            resource.state = Provisioning::Deleting;
        }
    }
    Ok(Begin {
        status: 202,
        body: None,
        class: Class::Group,
        polling: Polling::Location,
        effect: Effect::DeleteGroup { id: subject.clone() },
        subject,
        location,
        duration: Duration::from_secs(60),
        finally: Finally::Ok,
        after,
    }
    .into())
}

/// A group whose network parts are used from another group cannot go.
fn foreign_users(state: &State, group: &str) -> Outcome<()> {
    let inside = format!("{}/", group.to_ascii_lowercase());
    for resource in state.below(group) {
        let user =
            super::network::user(state, resource).filter(|u| !u.to_ascii_lowercase().starts_with(&inside));
        if let Some(user) = user {
            return Err(err(
                409,
                "ResourceGroupDeletionBlocked",
                format!(
                    "Deletion of resource group '{}' failed as resource '{}' is still used by '{user}'.",
                    group.rsplit('/').next().unwrap_or_default(),
                    resource.id
                ),
            ));
        }
    }
    Ok(())
}

/// `GET S/resourcegroups`.
pub(crate) fn list(state: &State, call: &Call) -> Outcome<Reply> {
    call.check_version(&GROUP)?;
    call.only_get()?;
    let filter = Filter::parse(call.query("$filter"))?;
    let prefix = format!("/subscriptions/{}", call.segment(1));
    let groups = state.below(&prefix).filter(|r| matches!(r.detail, Detail::Group) && filter.fits(r));
    Ok(Answer::list(groups.map(Resource::envelope).collect()).into())
}

/// `GET S/resources` and `GET S/resourcegroups/{g}/resources`.
pub(crate) fn resources(state: &State, call: &Call, prefix: &str) -> Outcome<Reply> {
    call.check_version(&super::versions::RESOURCE)?;
    call.only_get()?;
    if call.segments.len() > 3 {
        require(state, call)?;
    }
    let filter = Filter::parse(call.query("$filter"))?;
    // Resource Manager leaves the tags out when name and value of one are what was asked for.
    let shows_tags = filter.tag_value.is_none();
    let found = state.below(prefix).filter(|r| !matches!(r.detail, Detail::Group) && filter.fits(r));
    let values = found
        .map(|r| {
            let mut entry =
                json!({ "id": r.id, "name": r.name, "type": r.kind.name, "location": r.location });
            if shows_tags && !r.tags.is_empty() {
                entry["tags"] = Value::Object(r.tags.clone());
            }
            for key in ["sku", "plan", "zones"] {
                if let Some(value) = r.extra.get(key) {
                    entry[key] = value.clone();
                }
            }
            entry
        })
        .collect();
    Ok(Answer::list(values).into())
}

/// The part of OData that clients use: `x eq 'y' and ...`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    tag_name: Option<String>,
    tag_value: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    location: Option<String>,
}

impl Filter {
    fn parse(text: Option<&str>) -> Outcome<Filter> {
        let mut filter = Filter::default();
        let mut rest = text.unwrap_or_default().trim();
        let bad = || {
            gateway(
                400,
                "InvalidFilterInQueryString",
                format!("Invalid $filter '{}' specified in the query string.", text.unwrap_or_default()),
            )
        };
        while !rest.is_empty() {
            let (key, tail) = rest.split_once(' ').ok_or_else(bad)?;
            let tail = tail.trim_start().strip_prefix("eq").ok_or_else(bad)?.trim_start();
            let (value, tail) = quoted(tail).ok_or_else(bad)?;
            match key.to_ascii_lowercase().as_str() {
                "tagname" => filter.tag_name = Some(value),
                "tagvalue" => filter.tag_value = Some(value),
                "resourcetype" => filter.kind = Some(value),
                "name" => filter.name = Some(value),
                "location" => filter.location = Some(normal_location(&value)),
                _ => return Err(bad()),
            }
            let tail = tail.trim();
            rest = if tail.is_empty() { "" } else { tail.strip_prefix("and ").ok_or_else(bad)?.trim_start() };
        }
        // A value alone would match nothing that its sender had in mind.
        if filter.tag_value.is_some() && filter.tag_name.is_none() {
            return Err(bad());
        }
        Ok(filter)
    }

    fn fits(&self, resource: &Resource) -> bool {
        let tag = self.tag_name.as_ref().is_none_or(|wanted| {
            resource.tags.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case(wanted)
                    && self.tag_value.as_ref().is_none_or(|v| value.as_str() == Some(v.as_str()))
            })
        });
        tag && self.kind.as_ref().is_none_or(|k| k.eq_ignore_ascii_case(resource.kind.name))
            && self.name.as_ref().is_none_or(|n| n.eq_ignore_ascii_case(&resource.name))
            && self.location.as_ref().is_none_or(|l| *l == resource.location)
    }
}

/// A text in single quotes (doubled inside), and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (part, tail) = rest.split_once('\'')?;
        value.push_str(part);
        match tail.strip_prefix('\'') {
            Some(tail) => {
                value.push('\'');
                rest = tail;
            }
            None => return Some((value, tail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let filter = Filter::parse(Some("tagName eq 'it''s' and tagValue eq 'a and b'")).unwrap();
        assert_eq!(filter.tag_name.as_deref(), Some("it's"));
        assert_eq!(filter.tag_value.as_deref(), Some("a and b"));
        assert_eq!(Filter::parse(None).unwrap(), Filter::default());
        for bad in [
            "tagName",
            "tagName ne 'x'",
            "tagName eq x",
            "tagValue eq 'x'",
            "what eq 'x'",
            "name eq 'a' or name eq 'b'",
        ] {
            assert_eq!(Filter::parse(Some(bad)).unwrap_err().code, "InvalidFilterInQueryString", "{bad}");
        }
    }
}
