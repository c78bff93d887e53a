//! Why a machine does not answer yet, from its instance view: its power state, how far its provisioning is, and what
//! its agent says.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;
use fornax_core::communicator::WhyWaiting;
use serde_json::Value;
use tokio::time::Instant;

use crate::arm::Arm;
use crate::client::Compute;

/// Compute allows 12 such reads a minute for one machine.
const KEPT: Duration = Duration::from_secs(6);
/// Nobody waits for an explanation longer than this.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads the instance view of one machine.
pub struct InstanceView {
    arm: Arm,
    compute: Compute,
    group: String,
    machine: String,
    last: Mutex<Option<(Instant, Option<String>)>>,
}

impl InstanceView {
    pub fn new(arm: Arm, compute: Compute, group: &str, machine: &str) -> Self {
        Self { arm, compute, group: group.to_owned(), machine: machine.to_owned(), last: Mutex::default() }
    }

    async fn read(&self) -> Option<String> {
        let call = self.compute.instance_view(&self.group, &self.machine).await.ok()?;
        let reply = self.arm.exchange(&call, Instant::now() + LIMIT).await.ok()?;
        let view = reply.ok(&call.what).ok()?.json();
        explain(&view)
    }
}

#[async_trait]
impl WhyWaiting for InstanceView {
    async fn why(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, text)) = last
            && at.elapsed() < KEPT
        {
            return text;
        }
        let text = self.read().await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), text.clone()));
        text
    }
}

/// `the virtual machine is starting; provisioning: Creating; agent: Not Ready (…)`
fn explain(view: &Value) -> Option<String> {
    let statuses =
        |pointer: &str| view.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut parts = Vec::new();
    for status in statuses("/statuses") {
        let Some(code) = status["code"].as_str() else { continue };
        let message = status["message"].as_str().filter(|m| !m.is_empty());
        let mut part = match code.split_once('/') {
            Some(("PowerState", state)) => format!("the virtual machine is {state}"),
            Some(("ProvisioningState", state)) if state != "succeeded" => format!("provisioning: {state}"),
            _ => continue,
        };
        if let Some(message) = message {
            part = format!("{part} ({message})");
        }
        // The power state is what one wants to know first.
        if code.starts_with("PowerState") { parts.insert(0, part) } else { parts.push(part) }
    }
    if let Some(agent) = statuses("/vmAgent/statuses").first() {
        let state = agent["displayStatus"].as_str().unwrap_or("unknown");
        let message = agent["message"].as_str().filter(|m| !m.is_empty() && state != "Ready");
        parts.push(match message {
            Some(message) => format!("agent: {state} ({message})"),
            None => format!("agent: {state}"),
        });
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_instance_view_is_put_into_words() {
        let view = json!({
            "statuses": [
                {"code": "ProvisioningState/creating", "displayStatus": "Creating"},
                {"code": "PowerState/starting"}
            ],
            "vmAgent": {"statuses": [{"displayStatus": "Not Ready", "message": "no contact yet"}]}
        });
        assert_eq!(
            explain(&view).unwrap(),
            "the virtual machine is starting; provisioning: creating; agent: Not Ready (no contact yet)"
        );
        let ready = json!({"statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/running"}],
            "vmAgent": {"statuses": [{"displayStatus": "Ready", "message": "fine"}]}});
        assert_eq!(explain(&ready).unwrap(), "the virtual machine is running; agent: Ready");
        assert_eq!(explain(&json!({})), None);
    }
}
