//! The data sources of the tests that read whole templates.

use async_trait::async_trait;
use fornax_core::Diagnostic;
use fornax_core::hcl::{Type, Val};
use fornax_core::template::hcl::DataSources;
use fornax_core::value::Node;

/// `null` as the binary has it; the others are not there.
pub struct NullData;

#[async_trait]
impl DataSources for NullData {
    fn types(&self) -> Vec<&'static str> {
        vec!["null"]
    }

    fn output(&self, type_name: &str) -> Option<Type> {
        (type_name == "null").then(|| Type::object([("output", Type::String)]))
    }

    fn schema(&self, _: &str) -> serde_json::Value {
        serde_json::json!({"type": "object", "properties": {"input": {"type": "string"}}})
    }

    async fn read(&self, _: &str, config: &Node) -> Result<Val, Diagnostic> {
        let input = config.get("input").and_then(Node::as_text).cloned().unwrap_or_default();
        Ok(Val::object([("output", Val::String(input))]))
    }
}
