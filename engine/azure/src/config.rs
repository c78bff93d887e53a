//! The configuration of an azure-arm builder: read from the rendered template, checked completely, and turned into
//! what the lifecycle needs. All problems are reported at once, each at the line of the template.

use std::path::Path;
use std::time::Duration;

use fornax_core::communicator::SshOptions;
use fornax_core::{Diagnostics, Node, Secret};

use crate::client::{Plan, Tags};
use crate::cloud::NamedCloud;
use crate::token::Credentials;

mod checks;
mod image;
mod login;
mod machine;
pub mod naming;
mod options;
mod presuppositions;
mod reader;
mod resources;
pub mod schema;
mod ssh;

pub use presuppositions::Presupposition;

use checks::one_of;
use reader::Reader;

/// What stands in for options that are not given.
const STORAGE: &str = "Standard_LRS";
const CACHING: &str = "ReadWrite";
const VM_SIZE: &str = "Standard_A1";

/// Where the cloud's endpoints are known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloudChoice {
    Named(NamedCloud),
    /// It describes itself at this address.
    Metadata(String),
}

/// What the machine starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Marketplace { publisher: String, offer: String, sku: String, version: String },
    Managed { group: String, name: String },
}

/// Where the build's own resources live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A group of the build's own; a name that the user chose, or one that is drawn.
    Temporary { group: Option<String>, location: String },
    /// A group that the user has.
    Existing { group: String },
}

/// How the machine is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// A network of the build's own with a public address.
    Own { allowed: Vec<String>, sku: String },
    /// A network that the user has. Group and subnet are looked for when they are not named.
    Existing { name: String, group: Option<String>, subnet: Option<String>, public_ip: bool },
}

/// An image in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    pub group: String,
    pub name: String,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub cloud: CloudChoice,
    pub credentials: Credentials,
    pub source: Source,
    pub plan: Option<Plan>,
    /// None only with `skip_create_image`.
    pub image: Option<ImageName>,
    pub skip_create_image: bool,
    pub keep_os_disk: bool,
    pub os_disk_snapshot: Option<String>,
    pub data_disk_snapshot_prefix: Option<String>,
    pub storage_account_type: String,
    pub zone_resilient: bool,
    pub place: Place,
    pub vm_size: String,
    pub os_disk_size_gb: Option<i32>,
    /// Sizes and LUNs; none: the first free ones.
    pub data_disks: Vec<(i32, Option<i32>)>,
    pub caching: String,
    pub disk_controller_type: Option<String>,
    /// Base64.
    pub custom_data: Option<Secret>,
    /// Base64.
    pub user_data: Option<Secret>,
    pub identities: Vec<String>,
    pub boot_diag_storage_account: Option<String>,
    pub license_type: Option<String>,
    pub encryption_at_host: bool,
    pub network: Network,
    pub accelerated_networking: Option<bool>,
    pub temp_compute_name: Option<String>,
    pub temp_nic_name: Option<String>,
    pub temp_os_disk_name: Option<String>,
    pub name_prefix: Option<String>,
    /// Without those of the engine.
    pub tags: Tags,
    pub async_group_delete: bool,
    /// The limit of each operation.
    pub operation_limit: Duration,
    /// None: no communicator.
    pub ssh: Option<SshOptions>,
}

/// What a configuration is read with.
pub struct Surroundings<'a> {
    pub working_dir: &'a Path,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Cloud and credentials are given from outside; those of the template may be missing.
    pub target_is_given: bool,
}

impl Config {
    /// Reads and checks. None if there are errors.
    pub fn read(node: &Node, around: &Surroundings) -> (Option<Config>, Diagnostics) {
        let mut found = Diagnostics::new();
        let misspelt = options::check(node, &mut found);
        let mut r = Reader::new(node, &mut found);
        r.misspelt = misspelt;
        let cloud = login::cloud(&mut r, around);
        let credentials = login::credentials(&mut r, around);
        image::check_os(&mut r);
        let source = image::source(&mut r);
        let plan = image::plan(&mut r);
        let skip_create_image = r.flag("skip_create_image");
        let image = image::destination(&mut r, skip_create_image);
        let place = resources::place(&mut r);
        let keep_os_disk = image::keep_os_disk(&mut r);
        let network = resources::network(&mut r);
        let tags = resources::tags(&mut r, plan.as_ref());
        let name = |r: &mut Reader, key: &str, rule: &naming::NameRule| {
            let word = r.word(key);
            rule.check(word, r.found)
        };
        let os_disk_snapshot = name(&mut r, "managed_image_os_disk_snapshot_name", &naming::SNAPSHOT);
        let data_disk_snapshot_prefix =
            name(&mut r, "managed_image_data_disk_snapshot_prefix", &naming::SNAPSHOT_PREFIX);
        let config = Config {
            storage_account_type: one_of(
                &mut r,
                "managed_image_storage_account_type",
                &["Standard_LRS", "StandardSSD_LRS", "Premium_LRS"],
            )
            .unwrap_or_else(|| STORAGE.into()),
            zone_resilient: r.flag("managed_image_zone_resilient"),
            vm_size: r.string("vm_size").unwrap_or_else(|| VM_SIZE.into()),
            os_disk_size_gb: machine::disk_size(&mut r),
            data_disks: machine::data_disks(&mut r),
            caching: one_of(&mut r, "disk_caching_type", &["None", "ReadOnly", "ReadWrite"])
                .unwrap_or_else(|| CACHING.into()),
            disk_controller_type: one_of(&mut r, "disk_controller_type", &["SCSI", "NVMe"]),
            custom_data: machine::data(&mut r, "custom_data", "custom_data_file", around.working_dir),
            user_data: machine::data(&mut r, "user_data", "user_data_file", around.working_dir),
            identities: machine::identities(&mut r),
            boot_diag_storage_account: machine::storage_account(&mut r),
            license_type: image::license_type(&mut r),
            encryption_at_host: r.flag("encryption_at_host"),
            accelerated_networking: r.bool("accelerated_networking"),
            temp_compute_name: name(&mut r, "temp_compute_name", &naming::MACHINE),
            temp_nic_name: name(&mut r, "temp_nic_name", &naming::NIC),
            temp_os_disk_name: name(&mut r, "temp_os_disk_name", &naming::DISK),
            name_prefix: name(&mut r, "custom_resource_build_prefix", &naming::PREFIX),
            async_group_delete: r.flag("async_resourcegroup_delete"),
            operation_limit: machine::operation_limit(&mut r),
            os_disk_snapshot,
            data_disk_snapshot_prefix,
            keep_os_disk,
            skip_create_image,
            tags,
            plan,
            // Those that are missing were reported; the values that stand in for them are never used.
            cloud: cloud.unwrap_or(CloudChoice::Named(NamedCloud::Public)),
            credentials,
            source: source.unwrap_or(Source::Managed { group: String::new(), name: String::new() }),
            image,
            place: place.unwrap_or(Place::Existing { group: String::new() }),
            network,
            ssh: ssh::read(node, &mut r).flatten(),
        };
        image::check_snapshots(&mut r, &config);
        image::check_groups(&mut r, &config);
        let good = !found.has_errors();
        (good.then_some(config), found)
    }
}

impl Config {
    /// Only who logs in, from a configuration that may have errors elsewhere.
    pub(crate) fn read_credentials(node: &Node) -> std::collections::HashMap<&'static str, String> {
        let mut found = Diagnostics::new();
        let mut r = Reader::new(node, &mut found);
        ["tenant_id", "client_id", "client_secret", "subscription_id"]
            .into_iter()
            .filter_map(|key| Some((key, r.string(key)?)))
            .collect()
    }

    /// Only the cloud; that of the environment where there is no configuration, else Azure's public one.
    pub(crate) fn read_cloud(
        node: Option<&Node>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<CloudChoice, String> {
        let nothing = Node::new(
            fornax_core::Value::Object(Vec::new()),
            fornax_core::Span::new(&fornax_core::SourceFile::new("", ""), 0..0),
        );
        let mut found = Diagnostics::new();
        let around = Surroundings { working_dir: Path::new(""), env, target_is_given: false };
        let cloud = login::cloud(&mut Reader::new(node.unwrap_or(&nothing), &mut found), &around);
        let reason = || found.iter().next().map(|d| d.summary.clone()).unwrap_or_default();
        cloud.ok_or_else(reason)
    }
}

#[cfg(test)]
pub(crate) mod tests;
