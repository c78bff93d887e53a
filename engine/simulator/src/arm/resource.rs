//! One resource: what all kinds have, and what only some have.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::versions::Kind;
use crate::machine::{Base, Machine};
use crate::seed::Plan;

/// `provisioningState` of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provisioning {
    Creating,
    Updating,
    Deleting,
    Succeeded,
    Failed,
    Canceled,
}

impl Provisioning {
    pub fn word(self) -> &'static str {
        match self {
            Provisioning::Creating => "Creating",
            Provisioning::Updating => "Updating",
            Provisioning::Deleting => "Deleting",
            Provisioning::Succeeded => "Succeeded",
            Provisioning::Failed => "Failed",
            Provisioning::Canceled => "Canceled",
        }
    }

    pub fn is_final(self) -> bool {
        matches!(self, Provisioning::Succeeded | Provisioning::Failed | Provisioning::Canceled)
    }
}

/// `PowerState` of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    Starting,
    Running,
    Stopping,
    Stopped,
    Deallocating,
    Deallocated,
}

impl Power {
    pub fn code(self) -> &'static str {
        match self {
            Power::Starting => "starting",
            Power::Running => "running",
            Power::Stopping => "stopping",
            Power::Stopped => "stopped",
            Power::Deallocating => "deallocating",
            Power::Deallocated => "deallocated",
        }
    }
}

/// What only some kinds of resources have.
pub(crate) enum Detail {
    None,
    Group,
    Machine(VmState),
    Image(ImageState),
}

/// The machine behind a virtual machine.
pub(crate) struct VmState {
    pub machine: Option<Arc<dyn Machine>>,
    pub power: Power,
    pub generalized: bool,
    pub generation: String,
    pub os: String,
    /// Plan that images of this machine inherit.
    pub plan: Option<Plan>,
}

/// What a managed image is made of.
pub(crate) struct ImageState {
    /// None while the capture runs, or if it failed.
    pub base: Option<Base>,
    pub plan: Option<Plan>,
    pub provenance: Value,
}

/// One resource.
pub(crate) struct Resource {
    pub id: String,
    pub kind: &'static Kind,
    pub name: String,
    pub location: String,
    pub tags: Map<String, Value>,
    /// Members beside `properties`: sku, plan, zones, identity, ...
    pub extra: Map<String, Value>,
    pub properties: Map<String, Value>,
    pub state: Provisioning,
    pub created_by: String,
    pub created_at: Timestamp,
    pub etag: u64,
    /// The operation that runs on it.
    pub operation: Option<String>,
    pub detail: Detail,
}

impl Resource {
    /// The machine part of a virtual machine.
    pub fn vm(&self) -> Option<&VmState> {
        match &self.detail {
            Detail::Machine(vm) => Some(vm),
            _ => None,
        }
    }

    pub fn vm_mut(&mut self) -> Option<&mut VmState> {
        match &mut self.detail {
            Detail::Machine(vm) => Some(vm),
            _ => None,
        }
    }

    /// The etag as answers show it.
    pub fn etag_text(&self) -> String {
        format!("W/\"{}\"", self.etag)
    }

    /// The part that all kinds of answers share.
    pub fn envelope(&self) -> Value {
        let mut body = Map::new();
        body.insert("id".into(), json!(self.id));
        body.insert("name".into(), json!(self.name));
        body.insert("type".into(), json!(self.kind.name));
        if !self.location.is_empty() {
            body.insert("location".into(), json!(self.location));
        }
        if !self.tags.is_empty() {
            body.insert("tags".into(), Value::Object(self.tags.clone()));
        }
        for (key, value) in &self.extra {
            body.insert(key.clone(), value.clone());
        }
        let mut properties = self.properties.clone();
        properties.insert("provisioningState".into(), json!(self.state.word()));
        body.insert("properties".into(), Value::Object(properties));
        Value::Object(body)
    }
}
