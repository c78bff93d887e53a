//! `If-Match` and `If-None-Match`: virtual machines and network resources are written only if they are as the client
//! believes. Tags are compared weakly, because answers carry them as `W/"…"` and clients send them either way.

use super::call::Call;
use super::reply::{ArmError, Outcome, err};
use super::resource::Resource;

/// Whether a write of this resource may go on.
pub(crate) fn check(call: &Call, found: Option<&Resource>) -> Outcome<()> {
    if !matches!(call.method.as_str(), "PUT" | "PATCH" | "DELETE") {
        return Ok(());
    }
    if let (Some(wanted), Some(resource)) = (call.if_none_match.as_deref(), found)
        && fits(wanted, resource)
    {
        let text =
            format!("Resource {} exists, which the if-none-match header {wanted} excludes.", resource.id);
        return Err(failed(text));
    }
    match (call.if_match.as_deref(), found) {
        (Some(wanted), Some(resource)) if !fits(wanted, resource) => Err(failed(format!(
            "Etag provided in if-match header {wanted} does not match etag {} of resource {}.",
            resource.etag_text(),
            resource.id
        ))),
        // What is not there can be deleted under any condition.
        (Some(wanted), None) if call.method != "DELETE" => {
            Err(failed(format!("The if-match header {wanted} asks for a resource that does not exist.")))
        }
        _ => Ok(()),
    }
}

fn fits(wanted: &str, resource: &Resource) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    wanted.split(',').any(|tag| tag.trim() == "*" || bare(tag) == bare(&resource.etag_text()))
}

fn failed(text: String) -> ArmError {
    let mut error = err(412, "PreconditionFailed", "Precondition failed.");
    error.details.push(err(412, "PreconditionFailedEtagMismatch", text));
    error
}
