//! The only file that names the SDK. `azure_mgmt_compute` supplies the request builders and models of
//! Microsoft.Compute; a builder's `.send()` runs against a transport that keeps the finished request instead of sending
//! it, and `lro` sends that one with our token, retries and polling. The SDK's own `.await` is never used: it repeats a
//! PUT to learn how it stands, and reads the state from a field that the service does not have.
//!
//! Secrets never enter the SDK's models, because its pipeline writes whole requests to the developers' log: they are
//! put into the finished body here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::auth::{AccessToken, TokenCredential};
use azure_mgmt_compute::package_2024_07_01 as sdk;
use bytes::Bytes;
use fornax_core::Secret;
use http::Method;
use sdk::models::{self, network_interface_reference_properties, os_disk, virtual_machine_identity};
use serde_json::{Value, json};
use url::Url;

use crate::arm::Call;
use crate::error::ArmError;

/// Tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// Where a machine starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReference {
    Marketplace {
        publisher: String,
        offer: String,
        sku: String,
        version: String,
    },
    /// The id of a managed image.
    Managed(String),
}

/// The purchase plan of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub product: String,
    pub publisher: String,
    pub promotion_code: Option<String>,
}

/// A data disk that the machine gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDisk {
    pub name: String,
    pub lun: i32,
    pub size_gb: i32,
}

/// Everything about a machine that is decided before it is created.
#[derive(Clone, Debug)]
pub struct MachineSpec {
    pub location: String,
    pub tags: Tags,
    pub size: String,
    pub image: ImageReference,
    pub plan: Option<Plan>,
    pub computer_name: String,
    pub admin_username: String,
    /// Allows logging in by password; none allows keys only.
    pub admin_password: Option<Secret>,
    /// OpenSSH, one line.
    pub public_key: Option<String>,
    pub nic_id: String,
    pub os_disk_name: String,
    pub os_disk_size_gb: Option<i32>,
    /// The OS disk survives its machine.
    pub keep_os_disk: bool,
    pub data_disks: Vec<DataDisk>,
    pub caching: String,
    pub storage_account_type: String,
    pub disk_controller_type: Option<String>,
    /// Base64; may hold secrets.
    pub custom_data: Option<Secret>,
    /// Base64; may hold secrets.
    pub user_data: Option<Secret>,
    pub identities: Vec<String>,
    /// `https://x.blob.core.windows.net/`
    pub boot_diagnostics_uri: Option<String>,
    pub license_type: Option<String>,
    pub encryption_at_host: bool,
}

/// A managed image of a generalized machine.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    pub location: String,
    pub tags: Tags,
    pub machine_id: String,
    /// `V1` or `V2`.
    pub generation: Option<String>,
    pub zone_resilient: bool,
}

/// Makes calls to Microsoft.Compute.
#[derive(Clone, Debug)]
pub struct Compute {
    endpoint: Url,
    subscription: String,
}

impl Compute {
    pub fn new(endpoint: Url, subscription: &str) -> Self {
        Self { endpoint, subscription: subscription.to_owned() }
    }

    pub async fn create_machine(
        &self,
        group: &str,
        name: &str,
        spec: &MachineSpec,
    ) -> Result<Call, ArmError> {
        let what = format!("creating virtual machine \"{name}\"");
        let model = machine(spec);
        let sub = self.subscription.as_str();
        let mut call = self
            .capture(what.clone(), |c| {
                c.virtual_machines_client().create_or_update(group, name, model, sub).send()
            })
            .await?;
        let mut body: Value = call
            .body
            .as_deref()
            .map(serde_json::from_slice)
            .transpose()
            .map_err(|e| ArmError::Protocol {
                what,
                reason: format!("the request can't be put together: {e}"),
            })?
            .unwrap_or_default();
        finish_machine(&mut body, spec);
        call.body = Some(Bytes::from(body.to_string()));
        Ok(call)
    }

    /// Power state, agent and boot messages.
    pub async fn instance_view(&self, group: &str, name: &str) -> Result<Call, ArmError> {
        let sub = self.subscription.as_str();
        let what = format!("reading the state of virtual machine \"{name}\"");
        self.capture(what, |c| c.virtual_machines_client().instance_view(group, name, sub).send()).await
    }

    pub async fn deallocate(&self, group: &str, name: &str) -> Result<Call, ArmError> {
        let sub = self.subscription.as_str();
        let what = format!("powering off virtual machine \"{name}\"");
        self.capture(what, |c| c.virtual_machines_client().deallocate(group, name, sub).send()).await
    }

    pub async fn generalize(&self, group: &str, name: &str) -> Result<Call, ArmError> {
        let sub = self.subscription.as_str();
        let what = format!("generalizing virtual machine \"{name}\"");
        self.capture(what, |c| c.virtual_machines_client().generalize(group, name, sub).send()).await
    }

    pub async fn create_image(&self, group: &str, name: &str, spec: &ImageSpec) -> Result<Call, ArmError> {
        let mut image = models::Image::new(resource(&spec.location, &spec.tags));
        image.properties = Some(models::ImageProperties {
            source_virtual_machine: Some(sub_resource(&spec.machine_id)),
            hyper_v_generation: spec
                .generation
                .as_deref()
                .map(|g| parse_or(g, models::HyperVGenerationType::UnknownValue)),
            storage_profile: Some(models::ImageStorageProfile {
                zone_resilient: Some(spec.zone_resilient),
                ..Default::default()
            }),
            ..Default::default()
        });
        let sub = self.subscription.as_str();
        let what = format!("creating image \"{name}\"");
        self.capture(what, |c| c.images_client().create_or_update(group, name, image, sub).send()).await
    }

    pub async fn get_image(&self, group: &str, name: &str) -> Result<Call, ArmError> {
        let sub = self.subscription.as_str();
        let what = format!("reading image \"{name}\" in resource group \"{group}\"");
        self.capture(what, |c| c.images_client().get(group, name, sub).send()).await
    }

    pub async fn delete_image(&self, group: &str, name: &str) -> Result<Call, ArmError> {
        let sub = self.subscription.as_str();
        let what = format!("deleting image \"{name}\"");
        self.capture(what, |c| c.images_client().delete(group, name, sub).send()).await
    }

    /// A copy of a disk.
    pub async fn create_snapshot(
        &self,
        group: &str,
        name: &str,
        location: &str,
        tags: &Tags,
        disk_id: &str,
    ) -> Result<Call, ArmError> {
        let mut snapshot = models::Snapshot::new(resource(location, tags));
        let mut source = models::CreationData::new(models::creation_data::CreateOption::Copy);
        source.source_resource_id = Some(disk_id.to_owned());
        snapshot.properties = Some(models::SnapshotProperties::new(source));
        let sub = self.subscription.as_str();
        let what = format!("creating snapshot \"{name}\"");
        let mut call = self
            .capture(what, |c| c.snapshots_client().create_or_update(sub, group, name, snapshot).send())
            .await?;
        strip_nulls(&mut call);
        Ok(call)
    }

    /// Lets a request builder finish its request, and keeps it.
    async fn capture<T>(
        &self,
        what: String,
        build: impl FnOnce(sdk::Client) -> futures::future::BoxFuture<'static, azure_core::Result<T>>,
    ) -> Result<Call, ArmError> {
        let kept = Arc::new(Keeper::default());
        let protocol = |reason: String| ArmError::Protocol { what: what.clone(), reason };
        let client = sdk::Client::builder(Arc::new(NoToken))
            .endpoint(self.endpoint.clone())
            .retry(azure_core::RetryOptions::none())
            .transport(azure_core::TransportOptions::new(kept.clone()))
            .build()
            .map_err(|e| protocol(e.to_string()))?;
        build(client).await.map_err(|e| protocol(e.to_string()))?;
        let request = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let request = request.ok_or_else(|| protocol("the SDK made no request".into()))?;
        let method =
            Method::from_bytes(request.method().as_ref().as_bytes()).map_err(|e| protocol(e.to_string()))?;
        let body = match request.body() {
            azure_core::Body::Bytes(bytes) if bytes.is_empty() => None,
            azure_core::Body::Bytes(bytes) => Some(bytes.clone()),
            azure_core::Body::SeekableStream(_) => {
                return Err(protocol("the SDK wants to send a stream".into()));
            }
        };
        Ok(Call { method, url: request.url().clone(), body, what })
    }
}

/// Keeps a request instead of sending it.
#[derive(Debug, Default)]
struct Keeper(Mutex<Option<azure_core::Request>>);

#[async_trait]
impl azure_core::HttpClient for Keeper {
    async fn execute_request(
        &self,
        request: &azure_core::Request,
    ) -> azure_core::Result<azure_core::Response> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
        Ok(azure_core::Response::new(
            azure_core::StatusCode::Ok,
            azure_core::headers::Headers::new(),
            Box::pin(futures::stream::empty()),
        ))
    }
}

/// The SDK wants a token before it makes a request; the real one is added for each attempt, by `arm`.
#[derive(Debug)]
struct NoToken;

#[async_trait]
impl TokenCredential for NoToken {
    async fn get_token(&self, _scopes: &[&str]) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("none", azure_core::date::parse_rfc3339("9999-01-01T00:00:00Z")?))
    }

    async fn clear_cache(&self) -> azure_core::Result<()> {
        Ok(())
    }
}

fn resource(location: &str, tags: &Tags) -> models::Resource {
    let mut resource = models::Resource::new(location.to_owned());
    resource.tags = Some(json!(tags));
    resource
}

fn sub_resource(id: &str) -> models::SubResource {
    models::SubResource { id: Some(id.to_owned()) }
}

/// The SDK's enumerations know some words and carry others through.
fn parse_or<T: std::str::FromStr>(word: &str, other: fn(String) -> T) -> T {
    word.parse().unwrap_or_else(|_| other(word.to_owned()))
}

fn caching(word: &str) -> models::Caching {
    match word {
        "None" => models::Caching::None,
        "ReadOnly" => models::Caching::ReadOnly,
        _ => models::Caching::ReadWrite,
    }
}

fn machine(spec: &MachineSpec) -> models::VirtualMachine {
    let managed_disk = || models::ManagedDiskParameters {
        storage_account_type: Some(parse_or(
            &spec.storage_account_type,
            models::StorageAccountType::UnknownValue,
        )),
        ..Default::default()
    };
    let mut os = models::OsDisk::new(models::CreateOption::FromImage);
    os.name = Some(spec.os_disk_name.clone());
    os.os_type = Some(os_disk::OsType::Linux);
    os.caching = Some(caching(&spec.caching));
    os.disk_size_gb = spec.os_disk_size_gb;
    os.managed_disk = Some(managed_disk());
    os.delete_option =
        Some(if spec.keep_os_disk { models::DeleteOption::Detach } else { models::DeleteOption::Delete });
    let data_disks = spec.data_disks.iter().map(|disk| {
        let mut data = models::DataDisk::new(disk.lun, models::CreateOption::Empty);
        data.name = Some(disk.name.clone());
        data.disk_size_gb = Some(disk.size_gb);
        data.caching = Some(caching(&spec.caching));
        data.managed_disk = Some(managed_disk());
        data.delete_option = Some(models::DeleteOption::Delete);
        data
    });
    let image = match &spec.image {
        ImageReference::Marketplace { publisher, offer, sku, version } => models::ImageReference {
            publisher: Some(publisher.clone()),
            offer: Some(offer.clone()),
            sku: Some(sku.clone()),
            version: Some(version.clone()),
            ..Default::default()
        },
        ImageReference::Managed(id) => {
            models::ImageReference { sub_resource: sub_resource(id), ..Default::default() }
        }
    };
    let ssh = spec.public_key.as_ref().map(|key| models::SshConfiguration {
        public_keys: vec![models::SshPublicKey {
            path: Some(format!("/home/{}/.ssh/authorized_keys", spec.admin_username)),
            key_data: Some(key.clone()),
        }],
    });
    let linux = models::LinuxConfiguration {
        disable_password_authentication: Some(spec.admin_password.is_none()),
        ssh,
        ..Default::default()
    };
    let nic = models::NetworkInterfaceReference {
        sub_resource: sub_resource(&spec.nic_id),
        properties: Some(models::NetworkInterfaceReferenceProperties {
            primary: Some(true),
            delete_option: Some(network_interface_reference_properties::DeleteOption::Delete),
        }),
    };
    let properties = models::VirtualMachineProperties {
        hardware_profile: Some(models::HardwareProfile {
            vm_size: Some(parse_or(&spec.size, models::hardware_profile::VmSize::UnknownValue)),
            ..Default::default()
        }),
        storage_profile: Some(models::StorageProfile {
            image_reference: Some(image),
            os_disk: Some(os),
            data_disks: data_disks.collect(),
            disk_controller_type: spec
                .disk_controller_type
                .as_deref()
                .map(|t| parse_or(t, models::DiskControllerType::UnknownValue)),
        }),
        os_profile: Some(models::OsProfile {
            computer_name: Some(spec.computer_name.clone()),
            admin_username: Some(spec.admin_username.clone()),
            linux_configuration: Some(linux),
            ..Default::default()
        }),
        network_profile: Some(models::NetworkProfile { network_interfaces: vec![nic], ..Default::default() }),
        security_profile: spec
            .encryption_at_host
            .then(|| models::SecurityProfile { encryption_at_host: Some(true), ..Default::default() }),
        diagnostics_profile: Some(models::DiagnosticsProfile {
            boot_diagnostics: Some(models::BootDiagnostics {
                enabled: Some(spec.boot_diagnostics_uri.is_some()),
                storage_uri: spec.boot_diagnostics_uri.clone(),
            }),
        }),
        license_type: spec.license_type.clone(),
        ..Default::default()
    };
    let mut machine = models::VirtualMachine::new(resource(&spec.location, &spec.tags));
    machine.plan = spec.plan.as_ref().map(|plan| models::Plan {
        name: Some(plan.name.clone()),
        product: Some(plan.product.clone()),
        publisher: Some(plan.publisher.clone()),
        promotion_code: plan.promotion_code.clone(),
    });
    machine.identity = (!spec.identities.is_empty()).then(|| models::VirtualMachineIdentity {
        type_: Some(virtual_machine_identity::Type::UserAssigned),
        ..Default::default()
    });
    machine.properties = Some(properties);
    machine
}

/// What the models can't or must not hold.
fn finish_machine(body: &mut Value, spec: &MachineSpec) {
    // The model always writes `timeCreated`, as null; Compute refuses to change a read-only property.
    if let Some(properties) = body.pointer_mut("/properties").and_then(Value::as_object_mut) {
        properties.remove("timeCreated");
        if let Some(data) = &spec.user_data {
            properties.insert("userData".into(), data.expose().into());
        }
    }
    if let Some(profile) = body.pointer_mut("/properties/osProfile").and_then(Value::as_object_mut) {
        if let Some(password) = &spec.admin_password {
            profile.insert("adminPassword".into(), password.expose().into());
        }
        if let Some(data) = &spec.custom_data {
            profile.insert("customData".into(), data.expose().into());
        }
    }
    // The model of `userAssignedIdentities` is a map without entries.
    if let Some(identity) = body.pointer_mut("/identity").and_then(Value::as_object_mut) {
        let ids: serde_json::Map<_, _> = spec.identities.iter().map(|id| (id.clone(), json!({}))).collect();
        identity.insert("userAssignedIdentities".into(), ids.into());
    }
}

/// Dates that are not set are written as null by the models of disks; the service reads them as a wish to change.
fn strip_nulls(call: &mut Call) {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|_, v| !v.is_null());
                map.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    if let Some(mut body) = call.body.as_deref().and_then(|b| serde_json::from_slice::<Value>(b).ok()) {
        strip(&mut body);
        call.body = Some(Bytes::from(body.to_string()));
    }
}

#[cfg(test)]
mod tests;
