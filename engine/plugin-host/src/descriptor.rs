//! What a plugin says about itself, in the form in which it is cached, and the checks that a descriptor and an import
//! list must pass before any of the plugin's other code runs.

use fornax_core::plugin::{Capability, ExtensionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::bindings::provisioner::exports::fornax::plugin::plugin as wit;

const EXTENSIONS: usize = 64;
const SCHEMA: usize = 4 * 1024 * 1024;

/// A plugin's statement about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Descriptor {
    pub name: String,
    pub version: String,
    /// Interfaces that the binary imports.
    pub imports: Vec<String>,
    pub extensions: Vec<Extension>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extension {
    pub kind: ExtensionKind,
    pub name: String,
    pub summary: String,
    pub docs: String,
    pub schema: Json,
    pub examples: Vec<Json>,
    pub capabilities: Vec<Request>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    pub capability: Capability,
    pub required: bool,
    pub reason: String,
}

/// What a binary imports and exports.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub imports: Vec<String>,
    pub provisioner: bool,
    pub post_processor: bool,
}

const PROVIDED: &[&str] =
    &["types", "ui", "run", "secrets", "files", "machine", "artifacts", "http", "host-exec"];
const WASI: &[&str] = &["cli", "io", "clocks", "filesystem", "random", "sockets"];

impl Shape {
    /// Judges a component by the names of its imports and exports.
    pub fn check(imports: Vec<String>, exports: &[String]) -> Result<Self, String> {
        for import in &imports {
            check_import(import)?;
        }
        let exported = |interface: &str| -> Result<bool, String> {
            for export in exports {
                if let Some(version) = export.strip_prefix(&format!("fornax:plugin/{interface}@")) {
                    check_version(export, version)?;
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let shape = Self {
            imports,
            provisioner: exported("provisioner")?,
            post_processor: exported("post-processor")?,
        };
        if !exported("plugin")? || !(shape.provisioner || shape.post_processor) {
            return Err("it is a component, but no plugin: it must export fornax:plugin/plugin@0.1.0 and provisioner or post-processor".into());
        }
        Ok(shape)
    }
}

fn check_version(what: &str, version: &str) -> Result<(), String> {
    if version == "0.1" || version.starts_with("0.1.") {
        return Ok(());
    }
    Err(format!(
        "it was built for another version of the plugin interface ({what}); this engine provides fornax:plugin@0.1.0"
    ))
}

fn check_import(import: &str) -> Result<(), String> {
    let (interface, version) = import.rsplit_once('@').unwrap_or((import, ""));
    if let Some(name) = interface.strip_prefix("fornax:plugin/") {
        check_version(import, version)?;
        if PROVIDED.contains(&name) {
            return Ok(());
        }
        return Err(format!(
            "it imports {import}, which this engine does not provide; it needs a newer engine"
        ));
    }
    if let Some(name) = interface.strip_prefix("wasi:") {
        let package = name.split('/').next().unwrap_or_default();
        if WASI.contains(&package) && version.starts_with("0.2.") {
            return Ok(());
        }
        if package == "http" {
            return Err(format!(
                "it imports {import}, which this engine does not provide; plugins use fornax:plugin/http instead"
            ));
        }
        return Err(format!(
            "it imports {import}; this engine provides cli, io, clocks, filesystem, random and sockets of WASI 0.2"
        ));
    }
    Err(format!(
        "it imports {import}, which no engine provides; a plugin imports fornax:plugin and wasi interfaces only"
    ))
}

impl Descriptor {
    /// Checks what `describe` returned.
    pub fn check(found: wit::Descriptor, shape: &Shape) -> Result<Self, String> {
        if found.name.is_empty()
            || found.name.len() > 200
            || found.name.chars().any(|c| c.is_control() || "=@ *".contains(c))
        {
            return Err(format!("its descriptor has an unusable name ({:?})", found.name));
        }
        if found.extensions.is_empty() || found.extensions.len() > EXTENSIONS {
            return Err(format!(
                "its descriptor has {} extensions; there must be 1 to {EXTENSIONS}",
                found.extensions.len()
            ));
        }
        let mut extensions: Vec<Extension> = Vec::new();
        for extension in found.extensions {
            let extension = Extension::check(extension, shape)?;
            if extensions.iter().any(|e| e.kind == extension.kind && e.name == extension.name) {
                return Err(format!(
                    "it describes the {} {:?} twice",
                    extension.kind.as_str(),
                    extension.name
                ));
            }
            extensions.push(extension);
        }
        let this =
            Self { name: found.name, version: found.version, imports: shape.imports.clone(), extensions };
        for (interface, kind) in [("http", "network"), ("host-exec", "host-exec")] {
            let imported = this.imports.iter().any(|i| i.starts_with(&format!("fornax:plugin/{interface}@")));
            if imported && !this.requests(kind) {
                return Err(format!(
                    "it imports fornax:plugin/{interface}, but none of its extensions asks for the capability {kind}"
                ));
            }
        }
        Ok(this)
    }

    fn requests(&self, kind: &str) -> bool {
        self.extensions.iter().flat_map(|e| &e.capabilities).any(|r| match r.capability {
            Capability::Network(_) => kind == "network",
            Capability::HostExec(_) => kind == "host-exec",
            _ => false,
        })
    }
}

impl Extension {
    fn check(found: wit::Extension, shape: &Shape) -> Result<Self, String> {
        let name = found.name;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(allowed) {
            return Err(format!(
                "{name:?} is no name for an extension: lower-case letters, digits and `-`, at most 40"
            ));
        }
        let (kind, exported) = match found.kind {
            wit::ExtensionKind::Provisioner => (ExtensionKind::Provisioner, shape.provisioner),
            wit::ExtensionKind::PostProcessor => (ExtensionKind::PostProcessor, shape.post_processor),
        };
        if !exported {
            return Err(format!(
                "it describes the {} {name:?}, but exports no {}",
                kind.as_str(),
                kind.as_str()
            ));
        }
        if found.config_schema.len() > SCHEMA {
            return Err(format!("the schema of {name:?} is larger than 4 MiB"));
        }
        let schema: Json = serde_json::from_str(&found.config_schema)
            .map_err(|e| format!("the configuration schema of {name:?} is no JSON: {e}"))?;
        if !schema.is_object() {
            return Err(format!("the configuration schema of {name:?} is no JSON object"));
        }
        if let Some(reference) = foreign_reference(&schema, 0) {
            return Err(format!(
                "the configuration schema of {name:?} refers to {reference:?}; only references within it (#…) are allowed"
            ));
        }
        let examples: Result<Vec<Json>, _> = found.examples.iter().map(|e| serde_json::from_str(e)).collect();
        Ok(Self {
            kind,
            summary: found.summary,
            docs: found.docs,
            schema,
            examples: examples.map_err(|e| format!("an example of {name:?} is no JSON: {e}"))?,
            capabilities: found.capabilities.into_iter().map(Request::from).collect(),
            name,
        })
    }
}

impl From<wit::CapabilityRequest> for Request {
    fn from(found: wit::CapabilityRequest) -> Self {
        Self {
            capability: match found.capability {
                wit::Capability::Network(hosts) => Capability::Network(hosts),
                wit::Capability::HostFilesRead(paths) => Capability::HostFilesRead(paths),
                wit::Capability::HostExec(programs) => Capability::HostExec(programs),
                wit::Capability::SecretsReveal => Capability::SecretsReveal,
                wit::Capability::MachineRawAccess => Capability::MachineRawAccess,
            },
            required: found.required,
            reason: found.reason,
        }
    }
}

fn foreign_reference(schema: &Json, depth: usize) -> Option<&str> {
    if depth > 128 {
        return Some("(nested too deeply)");
    }
    match schema {
        Json::Object(members) => members.iter().find_map(|(key, value)| match value {
            Json::String(target) if key == "$ref" && !target.starts_with('#') => Some(target.as_str()),
            other => foreign_reference(other, depth + 1),
        }),
        Json::Array(items) => items.iter().find_map(|item| foreign_reference(item, depth + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_judged() {
        let plugin = ["fornax:plugin/plugin@0.1.0".to_owned(), "fornax:plugin/provisioner@0.1.0".to_owned()];
        let check = |import: &str| Shape::check(vec![import.to_owned()], &plugin).map(|_| ());
        for good in [
            "fornax:plugin/ui@0.1.0",
            "fornax:plugin/files@0.1.7",
            "wasi:cli/environment@0.2.6",
            "wasi:io/poll@0.2.0",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("fornax:plugin/ui@0.2.0", "another version"),
            ("fornax:plugin/teleport@0.1.0", "newer engine"),
            ("wasi:http/outgoing-handler@0.2.0", "fornax:plugin/http"),
            ("wasi:cli/environment@0.3.0", "WASI 0.2"),
            ("evil:host/shell", "no engine provides"),
        ] {
            let message = check(bad).expect_err(bad);
            assert!(message.contains(says) && message.contains(bad), "{message}");
        }
        assert!(Shape::check(Vec::new(), &plugin[..1]).is_err());
        assert!(
            Shape::check(Vec::new(), &["fornax:plugin/plugin@0.2.0".into()])
                .expect_err("old")
                .contains("another version")
        );
    }
}
