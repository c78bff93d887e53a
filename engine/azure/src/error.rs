//! What Resource Manager says when it refuses, in full: code, message, nested details, target and policy information,
//! with a hint for the codes that a builder of images meets. The innermost error is normally the cause, so nothing of
//! it is dropped on the way.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use regex::Regex;
use serde_json::Value;

use crate::token::TokenError;
use crate::transport::TransportError;

/// Errors within errors are read to this depth; deeper ones are shown as text.
const MAX_DEPTH: usize = 8;
/// Texts of unknown form are cut to this many characters.
const MAX_TEXT: usize = 2000;

/// One error with those that it consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub code: String,
    pub message: String,
    pub target: Option<String>,
    pub details: Vec<Detail>,
    /// `type: info` of each additional information, as compact JSON.
    pub additional_info: Vec<String>,
}

/// A refusal by the service.
#[derive(Clone, Debug)]
pub struct ServiceError {
    /// What was being done: `creating virtual machine "x"`.
    pub what: String,
    /// None if the operation was accepted and failed later.
    pub status: Option<StatusCode>,
    pub detail: Detail,
    pub hint: Option<String>,
    pub request_id: Option<String>,
    pub correlation_id: Option<String>,
}

/// Why a request or an operation did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ArmError {
    #[error("cancelled")]
    Cancelled,
    #[error("{0}")]
    Service(Box<ServiceError>),
    #[error("{what} failed: {source}")]
    Transport { what: String, source: TransportError },
    /// The answer is missing and the request may have been carried out.
    #[error("{what} failed: {reason}; whether it took effect is not known")]
    Unsettled { what: String, reason: String },
    #[error("{what} failed: {source}")]
    Token { what: String, source: Box<TokenError> },
    #[error("{what} is not finished after {}; polling_duration_timeout sets this limit", fornax_core::event::human_duration(*.limit))]
    Timeout { what: String, limit: Duration },
    #[error("{what} failed: {reason}")]
    Protocol { what: String, reason: String },
}

impl ArmError {
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            ArmError::Service(error) => Some(error),
            _ => None,
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.service().is_some_and(|e| e.status == Some(StatusCode::NOT_FOUND))
    }
}

impl From<ServiceError> for ArmError {
    fn from(error: ServiceError) -> Self {
        ArmError::Service(Box::new(error))
    }
}

impl ServiceError {
    /// Reads the error of an answer.
    pub fn from_answer(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut detail = Detail::parse(body);
        if detail.code.is_empty() {
            detail.code = status.canonical_reason().unwrap_or("Error").replace(' ', "");
        }
        Self::new(what, Some(status), headers, detail)
    }

    /// The error of an operation that failed after it was accepted.
    pub fn of_operation(what: &str, headers: &HeaderMap, body: &Value, state: &str) -> Self {
        let mut detail = Detail::from_json(body, 0);
        if detail.code.is_empty() {
            detail.code = format!("Operation{state}");
        }
        if detail.message.is_empty() && detail.details.is_empty() {
            detail.message = match state {
                "Canceled" => {
                    "The operation was cancelled by somebody else, or its resource was deleted.".into()
                }
                _ => "The service gives no reason.".into(),
            };
        }
        Self::new(what, None, headers, detail)
    }

    fn new(what: &str, status: Option<StatusCode>, headers: &HeaderMap, detail: Detail) -> Self {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self {
            what: what.to_owned(),
            status,
            hint: hint(&detail),
            detail,
            request_id: header("x-ms-request-id"),
            correlation_id: header("x-ms-correlation-request-id"),
        }
    }

    /// Whether this code occurs at any depth.
    pub fn has_code(&self, code: &str) -> bool {
        self.detail.any(&|d| d.code.eq_ignore_ascii_case(code))
    }

    pub fn has_any_code(&self, codes: &[&str]) -> bool {
        codes.iter().any(|code| self.has_code(code))
    }

    /// Another operation holds the resource: the same request succeeds later.
    pub fn is_concurrent(&self) -> bool {
        self.has_any_code(&[
            "Conflict",
            "AnotherOperationInProgress",
            "RetryableError",
            "RetryableErrorDueToAnotherOperation",
            "CanceledAndSupersededDueToAnotherOperation",
            "AttachDiskWhileBeingDetached",
        ])
    }

    /// The resource can't be deleted while another one refers to it, which may be going away right now.
    pub fn is_in_use(&self) -> bool {
        self.has_any_code(&[
            "InUseSubnetCannotBeDeleted",
            "NicInUse",
            "NicReservedForAnotherVm",
            "PublicIPAddressCannotBeDeleted",
            "InUseNetworkSecurityGroupCannotBeDeleted",
            "NetworkSecurityGroupCannotBeDeleted",
            "OperationNotAllowed",
            "ResourceInUse",
            "InUse",
        ])
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed: ", self.what)?;
        self.detail.write(f, 0)?;
        if let Some(status) = self.status {
            write!(f, " (HTTP {})", status.as_u16())?;
        }
        for detail in &self.detail.details {
            detail.write_nested(f, 1)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        if let Some(id) = &self.correlation_id {
            write!(f, "\n  correlation id: {id}")?;
        }
        Ok(())
    }
}

impl Detail {
    /// Reads a body of any form: JSON with or without the wrapper, XML, plain text, nothing.
    pub fn parse(body: &[u8]) -> Self {
        if let Ok(json) = serde_json::from_slice::<Value>(body) {
            return Self::from_json(&json, 0);
        }
        let text = String::from_utf8_lossy(body);
        let tag = |name: &str| {
            let after = text.split(&format!("<{name}>")).nth(1)?;
            Some(after.split(&format!("</{name}>")).next()?.trim().to_owned())
        };
        if let (Some(code), Some(message)) = (tag("Code"), tag("Message")) {
            return Self { code, message, ..Self::default() };
        }
        static TAGS: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?s)<[^>]*>|\s+").expect("a valid pattern"));
        let message = TAGS.replace_all(&text, " ").trim().chars().take(MAX_TEXT).collect();
        Self { message, ..Self::default() }
    }

    fn from_json(json: &Value, depth: usize) -> Self {
        let object = match json {
            Value::Object(object) => object,
            Value::String(text) => return Self { message: text.clone(), ..Self::default() },
            _ => return Self::default(),
        };
        if depth >= MAX_DEPTH {
            return Self { message: json.to_string().chars().take(MAX_TEXT).collect(), ..Self::default() };
        }
        // Wrappers: {"error":{…}}, {"status":"Failed","error":{…}}, {"properties":{"error":{…}}}.
        if let Some(inner) = object.get("error") {
            if inner.is_object() {
                return Self::from_json(inner, depth + 1);
            }
            if let (Some(code), Some(text)) = (inner.as_str(), object.get("error_description")) {
                let message = text.as_str().unwrap_or_default().to_owned();
                return Self { code: code.to_owned(), message, ..Self::default() };
            }
        }
        if !object.contains_key("code")
            && let Some(inner) = json.pointer("/properties/error").filter(|e| e.is_object())
        {
            return Self::from_json(inner, depth + 1);
        }
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::trim);
        let mut this = Self {
            code: text("code").unwrap_or_default().to_owned(),
            message: text("message").unwrap_or_default().to_owned(),
            target: text("target").filter(|t| !t.is_empty()).map(str::to_owned),
            ..Self::default()
        };
        // Deployments and throttling put JSON into the message, sometimes twice.
        if this.message.starts_with('{')
            && let Ok(inner) = serde_json::from_str::<Value>(&this.message)
        {
            let inner = Self::from_json(&inner, depth + 1);
            if !inner.code.is_empty() || !inner.message.is_empty() {
                this.message.clear();
                this.details.push(inner);
            }
        }
        if let Some(Value::Array(details)) = object.get("details") {
            this.details.extend(details.iter().map(|d| Self::from_json(d, depth + 1)));
        }
        for key in ["innererror", "innerError"] {
            let Some(inner) = object.get(key).filter(|i| i.is_object()) else { continue };
            let mut detail = Self::from_json(inner, depth + 1);
            if let Some(text) = inner.get("errordetail").and_then(Value::as_str) {
                detail.message = text.to_owned();
            }
            if let Some(text) = inner.get("exceptiontype").and_then(Value::as_str) {
                detail.code = text.to_owned();
            }
            this.details.push(detail);
        }
        if let Some(Value::Array(infos)) = object.get("additionalInfo") {
            this.additional_info.extend(infos.iter().map(|info| {
                let kind = info.get("type").and_then(Value::as_str).unwrap_or("information");
                let rest = info.get("info").map(Value::to_string).unwrap_or_default();
                format!("{kind}: {}", rest.chars().take(MAX_TEXT).collect::<String>())
            }));
        }
        this.details.retain(|d| *d != Self::default());
        this
    }

    fn any(&self, test: &dyn Fn(&Detail) -> bool) -> bool {
        test(self) || self.details.iter().any(|d| d.any(test))
    }

    /// The innermost error, normally the cause.
    pub fn cause(&self) -> &Detail {
        self.details.first().map_or(self, Detail::cause)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", message) => write!(f, "{message}")?,
            (code, "") => write!(f, "{code}")?,
            (code, message) => write!(f, "{code}: {message}")?,
        }
        if let Some(target) = self.target.as_ref().filter(|t| !self.message.contains(t.as_str())) {
            write!(f, " [{target}]")?;
        }
        for info in &self.additional_info {
            write!(f, "\n{:indent$}  {info}", "", indent = indent * 2)?;
        }
        Ok(())
    }

    fn write_nested(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "\n{:indent$}", "", indent = depth * 2)?;
        self.write(f, depth)?;
        self.details.iter().try_for_each(|d| d.write_nested(f, depth + 1))
    }
}

/// What to do about the first code, from the inside out, that has an advice.
fn hint(detail: &Detail) -> Option<String> {
    detail.details.iter().find_map(hint).or_else(|| hint_for(&detail.code, &detail.message))
}

fn hint_for(code: &str, message: &str) -> Option<String> {
    static ACTION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"perform action '([^']+)' (?:over|on) scope '([^']+)'").expect("a valid pattern")
    });
    static OBJECT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"object id '([^']+)'").expect("a valid pattern"));
    static OFFER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"PublisherId: '?([^',]+)'?, OfferId: '?([^',]+)'?").expect("a valid pattern")
    });
    static NAMESPACE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"namespace '([^']+)'").expect("a valid pattern"));
    let text = match code {
        "AuthorizationFailed" => match ACTION.captures(message) {
            Some(found) => {
                let (action, scope) = (&found[1], found[2].trim_end_matches('/'));
                let who = OBJECT.captures(message).map_or("<object id>".into(), |o| o[1].to_owned());
                format!(
                    "give the principal a role with the action {action} on {scope} (Contributor has it):\n        az role assignment create --assignee-object-id {who} --assignee-principal-type ServicePrincipal --role Contributor --scope {scope}\n        a new assignment takes up to 5 minutes to work"
                )
            }
            None => "the principal lacks a role on this scope; Contributor on the subscription suffices".into(),
        },
        "LinkedAuthorizationFailed" => {
            "the principal may create the resource but not use the one it refers to; give it a role with the named action on the linked scope".into()
        }
        "RequestDisallowedByPolicy" => {
            "a policy of the subscription forbids it; its name and what it asks for stand above: change azure_tags, location or vm_size accordingly, or ask for an exemption".into()
        }
        "SkuNotAvailable" | "AllocationFailed" | "ZonalAllocationFailed" | "OverconstrainedAllocationRequest" => {
            "there is no capacity for this vm_size in this location now; choose another vm_size or location (az vm list-skus --location <location> --resource-type virtualMachines)".into()
        }
        "QuotaExceeded" => "raise the quota of this family of sizes, wait for other machines to go, or choose a smaller vm_size (az vm list-usage --location <location>)".into(),
        "OperationNotAllowed" if message.contains("quota") => {
            "raise the quota of this family of sizes, wait for other machines to go, or choose a smaller vm_size (az vm list-usage --location <location>)".into()
        }
        "PublicIPCountLimitReached" => "delete public addresses that nobody needs, or build in a network of your own (virtual_network_name), which needs none".into(),
        "ResourceGroupNotFound" => "create the group first (az group create), or correct its name and subscription_id".into(),
        "SubscriptionNotFound" | "InvalidSubscriptionId" => "check subscription_id, and that the principal has a role in it".into(),
        "ReadOnlyDisabledSubscription" => "the subscription is disabled; its owner has to enable it".into(),
        "PlatformImageNotFound" | "ImageNotFound" | "VMImageNotFound" | "GalleryImageNotFound" => {
            "check image_publisher, image_offer, image_sku and image_version for this location (az vm image list --all --publisher <publisher> --location <location>)".into()
        }
        "MarketplacePurchaseEligibilityFailed" | "ResourcePurchaseValidationFailed" | "ResourcePurchaseCanceled" => {
            let (publisher, offer) = OFFER
                .captures(message)
                .map_or(("<publisher>".into(), "<offer>".into()), |o| (o[1].to_owned(), o[2].to_owned()));
            format!(
                "accept the terms of the plan once for this subscription:\n        az vm image terms accept --publisher {publisher} --offer {offer} --plan <plan_name>"
            )
        }
        "BadRequest" if message.contains("egal terms") => match OFFER.captures(message) {
            Some(o) => format!(
                "accept the terms of the plan once for this subscription:\n        az vm image terms accept --publisher {} --offer {} --plan <plan_name>",
                &o[1], &o[2]
            ),
            None => return None,
        },
        "VMMarketplaceInvalidInput" => "plan_info must be exactly the plan of the source image, and absent if the image has none".into(),
        "MissingSubscriptionRegistration" | "SubscriptionNotRegistered" | "InvalidSubscriptionRegistrationState" => {
            let namespace = NAMESPACE.captures(message).map_or("Microsoft.Compute".into(), |n| n[1].to_owned());
            format!("register the provider once for this subscription:\n        az provider register --namespace {namespace} --wait")
        }
        "ScopeLocked" => "a lock protects this scope; remove it (az lock list, az lock delete), then run the cleanup again".into(),
        "ResourceGroupBeingDeleted" => "the group is being deleted; wait until it is gone, or use another name".into(),
        "InvalidResourceGroupLocation" => "the group exists in another location; use another name".into(),
        "OSProvisioningTimedOut" => "the machine's agent did not report in time: does the source image contain a working waagent or cloud-init?".into(),
        "BadRequest" if message.contains("Hypervisor Generation") => "vm_size and the generation of the source image don't fit; choose a size of the other generation".into(),
        "InvalidAuthenticationTokenTenant" => "the subscription belongs to another tenant; check tenant_id".into(),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests;
