//! The configuration of an azure-arm builder: read from the rendered template, checked completely, and turned into
//! what the lifecycle needs. All problems are reported at once, each at the line of the template.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fornax_core::communicator::SshOptions;
use fornax_core::{Diagnostic, Diagnostics, Node, Secret};
use regex::Regex;

use crate::client::{DataDisk, Plan, Tags};
use crate::cloud::NamedCloud;
use crate::id;
use crate::lro::BUILD_TAG;
use crate::token::Credentials;

pub mod naming;
mod options;
mod reader;
mod ssh;

pub use options::SUPPORTED;
use reader::{Reader, Word};

/// Azure takes so many bytes of custom data and of user data.
const MAX_DATA: usize = 65_535;
/// Azure takes so many tags on a resource.
const MAX_TAGS: usize = 50;

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
        options::check(node, SshOptions::KEYS, &mut found);
        let mut r = Reader::new(node, &mut found);
        let cloud = cloud(&mut r, around);
        let credentials = credentials(&mut r, around);
        check_os(&mut r);
        let source = source(&mut r);
        let plan = plan(&mut r);
        let skip_create_image = r.flag("skip_create_image");
        let image = destination(&mut r, skip_create_image);
        let place = place(&mut r);
        let keep_os_disk = keep_os_disk(&mut r);
        let network = network(&mut r);
        let tags = tags(&mut r, plan.as_ref());
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
            .unwrap_or_else(|| "Standard_LRS".into()),
            zone_resilient: r.flag("managed_image_zone_resilient"),
            vm_size: r.string("vm_size").unwrap_or_else(|| "Standard_A1".into()),
            os_disk_size_gb: disk_size(&mut r),
            data_disks: data_disks(&mut r),
            caching: one_of(&mut r, "disk_caching_type", &["None", "ReadOnly", "ReadWrite"])
                .unwrap_or_else(|| "ReadWrite".into()),
            disk_controller_type: one_of(&mut r, "disk_controller_type", &["SCSI", "NVMe"]),
            custom_data: data(&mut r, "custom_data", "custom_data_file", around.working_dir),
            user_data: data(&mut r, "user_data", "user_data_file", around.working_dir),
            identities: identities(&mut r),
            boot_diag_storage_account: storage_account(&mut r),
            license_type: license_type(&mut r),
            encryption_at_host: r.flag("encryption_at_host"),
            accelerated_networking: r.bool("accelerated_networking"),
            temp_compute_name: name(&mut r, "temp_compute_name", &naming::MACHINE),
            temp_nic_name: name(&mut r, "temp_nic_name", &naming::NIC),
            temp_os_disk_name: name(&mut r, "temp_os_disk_name", &naming::DISK),
            name_prefix: name(&mut r, "custom_resource_build_prefix", &naming::PREFIX),
            async_group_delete: r.flag("async_resourcegroup_delete"),
            operation_limit: operation_limit(&mut r),
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
        check_snapshots(&mut r, &config);
        check_groups(&mut r, &config);
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
}

/// What a template presupposes to exist. Public data, so that an environment for trying the template out can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presupposition {
    Group {
        name: String,
        /// Where the build takes place; none if the template does not say.
        location: Option<String>,
    },
    Image {
        group: String,
        name: String,
        location: Option<String>,
        plan: Option<Plan>,
    },
    Marketplace {
        publisher: String,
        offer: String,
        sku: String,
        version: String,
        plan: bool,
    },
    Network {
        group: String,
        name: String,
        subnet: Option<String>,
        location: Option<String>,
    },
    Size {
        name: String,
        location: Option<String>,
    },
}

impl Config {
    /// What the build needs and does not make.
    pub fn presupposes(&self) -> Vec<Presupposition> {
        let location = match &self.place {
            Place::Temporary { location, .. } => Some(id::normal_location(location)),
            Place::Existing { .. } => None,
        };
        let mut needs: Vec<Presupposition> = Vec::new();
        let mut group = |name: &str| {
            let known = |p: &Presupposition| matches!(p, Presupposition::Group { name: n, .. } if n.eq_ignore_ascii_case(name));
            if !needs.iter().any(known) {
                needs.push(Presupposition::Group { name: name.to_owned(), location: location.clone() });
            }
        };
        if let Place::Existing { group: name } = &self.place {
            group(name);
        }
        if let Some(image) = &self.image {
            group(&image.group);
        }
        if let Source::Managed { group: name, .. } = &self.source {
            group(name);
        }
        // A network whose group is not named is looked for in the whole subscription, so any group will do.
        let network_group = match &self.network {
            Network::Existing { group: Some(name), .. } => Some(name.clone()),
            Network::Existing { group: None, .. } => Some("fornax-networks".to_owned()),
            Network::Own { .. } => None,
        };
        if let Some(name) = &network_group {
            group(name);
        }
        needs.push(match &self.source {
            Source::Managed { group, name } => Presupposition::Image {
                group: group.clone(),
                name: name.clone(),
                location: location.clone(),
                plan: self.plan.clone(),
            },
            Source::Marketplace { publisher, offer, sku, version } => Presupposition::Marketplace {
                publisher: publisher.clone(),
                offer: offer.clone(),
                sku: sku.clone(),
                version: version.clone(),
                plan: self.plan.is_some(),
            },
        });
        if let (Network::Existing { name, subnet, .. }, Some(group)) = (&self.network, network_group) {
            let (name, subnet) = (name.clone(), subnet.clone());
            needs.push(Presupposition::Network { group, name, subnet, location: location.clone() });
        }
        needs.push(Presupposition::Size { name: self.vm_size.clone(), location });
        needs
    }
}

fn missing(r: &mut Reader, key: &str, why: &str, help: &str) {
    let diagnostic = Diagnostic::error("azure/missing-option", format!("\"{key}\" is missing: {why}"))
        .at(r.span())
        .help(help);
    r.push(diagnostic);
}

fn conflict(r: &mut Reader, key: &str, summary: impl Into<String>, help: &str) {
    let diagnostic = Diagnostic::error("azure/conflict", summary).at(&r.key_span(key)).help(help);
    r.push(diagnostic);
}

/// One of some words, compared without case and returned as Azure spells it.
fn one_of(r: &mut Reader, key: &str, words: &[&str]) -> Option<String> {
    let word = r.word(key)?;
    if let Some(good) = words.iter().find(|w| w.eq_ignore_ascii_case(&word.value)) {
        return Some((*good).to_owned());
    }
    let help = match fornax_core::diagnostic::nearest(&word.value, words.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => {
            format!("write {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "))
        }
    };
    r.push(word.error("azure/invalid-value", format!("\"{key}\" can't be \"{}\"", word.shown)).help(help));
    None
}

fn cloud(r: &mut Reader, around: &Surroundings) -> Option<CloudChoice> {
    let metadata = r.word("metadata_host");
    let name = r.word("cloud_environment_name");
    if around.target_is_given {
        return None;
    }
    if let Some(word) = metadata {
        if let Err(error) = crate::cloud::metadata_url(&word.value) {
            r.push(word.error("azure/invalid-value", error.to_string()));
            return None;
        }
        return Some(CloudChoice::Metadata(word.value));
    }
    if let Some(host) = (around.env)("ARM_METADATA_URL").filter(|h| !h.is_empty()) {
        if let Err(error) = crate::cloud::metadata_url(&host) {
            let diagnostic = Diagnostic::error("azure/invalid-value", format!("ARM_METADATA_URL: {error}"));
            r.push(diagnostic.at(r.span()));
            return None;
        }
        return Some(CloudChoice::Metadata(host));
    }
    let Some(word) = name else { return Some(CloudChoice::Named(NamedCloud::Public)) };
    let named = NamedCloud::parse(&word.value);
    if named.is_none() {
        r.push(
            word.error("azure/unknown-cloud", format!("there is no cloud called \"{}\"", word.shown))
                .help("write \"Public\", \"USGovernment\" or \"China\", or name the cloud's metadata_host"),
        );
    }
    named.map(CloudChoice::Named)
}

fn credentials(r: &mut Reader, around: &Surroundings) -> Credentials {
    let credentials = Credentials {
        tenant_id: r.string("tenant_id"),
        client_id: r.string("client_id").unwrap_or_default(),
        client_secret: r.secret("client_secret").unwrap_or_else(|| Secret::new("")),
        subscription_id: r.string("subscription_id").unwrap_or_default(),
    };
    if around.target_is_given {
        return credentials;
    }
    // Those who ask for another way to log in were told already that it does not work yet.
    let other =
        ["use_azure_cli_auth", "client_jwt", "client_cert_path", "oidc_request_url", "oidc_request_token"]
            .iter()
            .any(|key| r.is_set(key));
    let given = [
        ("client_id", !credentials.client_id.is_empty()),
        ("client_secret", !credentials.client_secret.expose().is_empty()),
        ("subscription_id", !credentials.subscription_id.is_empty()),
    ];
    if other {
        return credentials;
    }
    let identity = !["client_id", "client_secret", "tenant_id"].iter().any(|key| r.member(key).is_some());
    if identity {
        let diagnostic = Diagnostic::error(
            "azure/not-supported-yet",
            "logging in with a managed identity is not supported yet, and no credentials are given",
        )
        .at(r.span())
        .help("give client_id, client_secret and subscription_id (and tenant_id) of a service principal");
        r.push(diagnostic);
        return credentials;
    }
    for (key, given) in given {
        if !given {
            // An empty text usually comes from an environment variable that is not set.
            let help = if r.member(key).is_some() {
                "its value is empty: is the variable or environment variable that it comes from set?"
            } else {
                "a service principal has client_id, client_secret and subscription_id: az ad sp create-for-rbac"
            };
            let span = r.member(key).map_or_else(|| r.span().clone(), |m| m.value.span.clone());
            let summary = format!("\"{key}\" is missing: it is needed to log in");
            r.push(Diagnostic::error("azure/missing-option", summary).at(&span).help(help));
        }
    }
    credentials
}

fn check_os(r: &mut Reader) {
    match r.word("os_type") {
        None => missing(r, "os_type", "it says what the machine runs", "write \"os_type\": \"Linux\""),
        Some(word) if word.value.eq_ignore_ascii_case("linux") => {}
        Some(word) if word.value.eq_ignore_ascii_case("windows") => {
            r.push(
                word.error("azure/not-supported-yet", "os_type \"Windows\" is not supported yet")
                    .help("only Linux images can be built"),
            );
        }
        Some(word) => r.push(
            word.error("azure/invalid-value", format!("\"os_type\" can't be \"{}\"", word.shown))
                .help("write \"Linux\""),
        ),
    }
}

fn source(r: &mut Reader) -> Option<Source> {
    const MARKETPLACE: [&str; 3] = ["image_publisher", "image_offer", "image_sku"];
    const MANAGED: [&str; 2] = ["custom_managed_image_name", "custom_managed_image_resource_group_name"];
    let given = |r: &Reader, keys: &[&str]| keys.iter().any(|k| r.is_set(k));
    let marketplace = given(r, &MARKETPLACE) || r.is_set("image_version");
    let managed = given(r, &MANAGED);
    let other = r.is_set("image_url") || r.is_set("shared_image_gallery");
    if (marketplace || other) && managed {
        let help = "keep either image_publisher, image_offer and image_sku or custom_managed_image_name and \
                    custom_managed_image_resource_group_name";
        let key = MANAGED.iter().find(|k| r.is_set(k)).unwrap_or(&MANAGED[0]);
        conflict(r, key, "two source images are given", help);
        return None;
    }
    if managed {
        let help = "a managed image is named by custom_managed_image_name and \
                    custom_managed_image_resource_group_name together";
        for key in MANAGED {
            if !r.is_set(key) {
                missing(r, key, "it names the source image", help);
            }
        }
        return Some(Source::Managed { name: r.string(MANAGED[0])?, group: r.string(MANAGED[1])? });
    }
    // One that is not supported yet was reported.
    if other {
        return None;
    }
    let help = "a marketplace image is named by image_publisher, image_offer and image_sku, a managed image by \
                custom_managed_image_name and custom_managed_image_resource_group_name";
    for key in MARKETPLACE {
        if !r.is_set(key) {
            missing(r, key, "it names the source image", help);
        }
    }
    Some(Source::Marketplace {
        publisher: r.string(MARKETPLACE[0])?,
        offer: r.string(MARKETPLACE[1])?,
        sku: r.string(MARKETPLACE[2])?,
        version: r.string("image_version").unwrap_or_else(|| "latest".into()),
    })
}

fn plan(r: &mut Reader) -> Option<Plan> {
    let block = r.objects("plan_info").into_iter().next_back()?;
    let mut within = r.within("plan_info", block);
    for member in block.members() {
        let known = ["plan_name", "plan_product", "plan_publisher", "plan_promotion_code"];
        if !known.iter().any(|k| k.eq_ignore_ascii_case(&member.key)) {
            let near = fornax_core::diagnostic::nearest(&member.key, known);
            let help = near
                .map_or_else(|| format!("it has {}", known.join(", ")), |n| format!("did you mean \"{n}\"?"));
            let summary = format!("plan_info has no option \"{}\"", member.key);
            within.push(Diagnostic::error("azure/unknown-option", summary).at(&member.key_span).help(help));
        }
    }
    let (name, product, publisher) =
        (within.string("plan_name"), within.string("plan_product"), within.string("plan_publisher"));
    let promotion_code = within.string("plan_promotion_code");
    if name.is_none() && product.is_none() && publisher.is_none() && promotion_code.is_none() {
        return None;
    }
    let parts = [("plan_name", &name), ("plan_product", &product), ("plan_publisher", &publisher)];
    for (key, value) in parts {
        if value.is_none() {
            missing(
                &mut within,
                key,
                "a plan has name, product and publisher",
                "take all three from the source image",
            );
        }
    }
    Some(Plan { name: name?, product: product?, publisher: publisher?, promotion_code })
}

fn destination(r: &mut Reader, skip: bool) -> Option<ImageName> {
    let name = r.word("managed_image_name");
    let group = r.word("managed_image_resource_group_name");
    let elsewhere = r.is_set("shared_image_gallery_destination") || r.is_set("capture_container_name");
    match (&name, &group) {
        (None, None) => {
            if !skip && !elsewhere {
                let help = "give managed_image_name and managed_image_resource_group_name";
                missing(r, "managed_image_name", "nothing says what the image is called", help);
            }
        }
        (None, Some(_)) => missing(
            r,
            "managed_image_name",
            "managed_image_resource_group_name is useless without it",
            "give both",
        ),
        (Some(_), None) => missing(
            r,
            "managed_image_resource_group_name",
            "it says where managed_image_name will be",
            "give both",
        ),
        (Some(_), Some(_)) => {}
    }
    let name = naming::IMAGE.check(name, r.found);
    let group = naming::RESOURCE_GROUP.check(group, r.found);
    Some(ImageName { name: name?, group: group? })
}

fn place(r: &mut Reader) -> Option<Place> {
    let location = r.string("location");
    let temporary = r.word("temp_resource_group_name");
    let temporary_given = temporary.is_some();
    let temporary = naming::RESOURCE_GROUP.check(temporary, r.found);
    let existing = r.word("build_resource_group_name");
    if existing.is_some() && temporary_given {
        let summary = "temp_resource_group_name and build_resource_group_name exclude each other";
        conflict(r, "temp_resource_group_name", summary, "keep one of them");
    }
    match (location, existing) {
        (Some(location), None) => Some(Place::Temporary { group: temporary, location }),
        (None, Some(group)) => {
            naming::RESOURCE_GROUP.check(Some(group), r.found).map(|group| Place::Existing { group })
        }
        (Some(_), Some(_)) => {
            let summary = "location and build_resource_group_name exclude each other";
            conflict(r, "location", summary, "remove location: the machine is built where the group is");
            None
        }
        (None, None) => {
            let help =
                "give the location to make a temporary group in, or an existing build_resource_group_name";
            missing(r, "location", "nothing says where to build", help);
            None
        }
    }
}

fn keep_os_disk(r: &mut Reader) -> bool {
    let keep = r.flag("keep_os_disk");
    if keep && !r.is_set("build_resource_group_name") {
        let diagnostic = Diagnostic::error(
            "azure/not-supported-yet",
            "\"keep_os_disk\" is not supported with a temporary resource group",
        )
        .at(&r.key_span("keep_os_disk"))
        .detail("The disk would be deleted together with the group.")
        .help("build in a group of yours: build_resource_group_name");
        r.push(diagnostic);
    }
    keep
}

fn network(r: &mut Reader) -> Network {
    let name = r.string("virtual_network_name");
    let subnet = r.string("virtual_network_subnet_name");
    let group = r.string("virtual_network_resource_group_name");
    let public_ip = r.flag("private_virtual_network_with_public_ip");
    let mut allowed = Vec::new();
    for word in r.words("allowed_inbound_ip_addresses") {
        if is_address(&word.value) {
            allowed.push(word.value);
        } else {
            let summary = format!(
                "\"allowed_inbound_ip_addresses\" has \"{}\", which is no IP address or CIDR block",
                word.shown
            );
            r.push(
                word.error("azure/invalid-value", summary)
                    .help("write for instance \"203.0.113.7\" or \"10.0.0.0/8\""),
            );
        }
    }
    let sku = one_of(r, "public_ip_sku", &["Standard", "Basic"]);
    match name {
        Some(name) => {
            for key in ["allowed_inbound_ip_addresses", "public_ip_sku"] {
                if r.is_set(key) {
                    let summary = format!("\"{key}\" and virtual_network_name exclude each other");
                    conflict(
                        r,
                        key,
                        summary,
                        "the rules of the existing network apply; remove one of the two",
                    );
                }
            }
            Network::Existing { name, group, subnet, public_ip }
        }
        None => {
            for key in ["virtual_network_subnet_name", "virtual_network_resource_group_name"] {
                if r.is_set(key) {
                    conflict(
                        r,
                        key,
                        format!("\"{key}\" is given without virtual_network_name"),
                        "name the network too",
                    );
                }
            }
            Network::Own { allowed, sku: sku.unwrap_or_else(|| "Standard".into()) }
        }
    }
}

/// An IP address, or one with the length of a prefix.
fn is_address(text: &str) -> bool {
    use std::net::IpAddr;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|l| l.parse::<u8>().is_ok_and(|l| l <= longest))
}

fn tags(r: &mut Reader, plan: Option<&Plan>) -> Tags {
    let mut tags = Tags::new();
    let mut pairs: Vec<(String, String, fornax_core::Span)> =
        r.map("azure_tags").into_iter().map(|(k, (v, span))| (k, v.expose(), span)).collect();
    for block in r.objects("azure_tag") {
        let mut within = r.within("azure_tag", block);
        let (name, value) = (within.word("name"), within.string("value").unwrap_or_default());
        match name {
            Some(name) => pairs.push((name.value, value, block.span.clone())),
            None => missing(&mut within, "name", "a tag has a name", "write {\"name\": …, \"value\": …}"),
        }
    }
    for (name, value, span) in pairs {
        let length = name.chars().count();
        let problem = if name.eq_ignore_ascii_case(BUILD_TAG) {
            Some(format!("the tag \"{BUILD_TAG}\" is the engine's own"))
        } else if length > 512 {
            Some(format!("the name of a tag has {length} characters; at most 512 are allowed"))
        } else if name.is_empty() {
            Some("the name of a tag is empty".to_owned())
        } else if let Some(c) = name.chars().find(|c| "<>%&\\?/".contains(*c)) {
            Some(format!("the name of the tag \"{name}\" contains \"{c}\""))
        } else {
            let length = value.chars().count();
            (length > 256).then(|| {
                format!("the value of the tag \"{name}\" has {length} characters; at most 256 are allowed")
            })
        };
        match problem {
            Some(summary) => r.push(Diagnostic::error("azure/invalid-tag", summary).at(&span)),
            None => {
                tags.insert(name, value);
            }
        }
    }
    let own = 1 + if plan.is_some() { 4 } else { 0 };
    if tags.len() + own > MAX_TAGS {
        let summary = format!(
            "{} tags are too many: Azure takes {MAX_TAGS}, of which the engine needs {own}",
            tags.len()
        );
        r.push(Diagnostic::error("azure/invalid-tag", summary).at(&r.key_span("azure_tags")));
    }
    tags
}

fn disk_size(r: &mut Reader) -> Option<i32> {
    let size = r.int("os_disk_size_gb").filter(|s| *s > 0)?;
    if size > 4095 {
        let summary = format!("\"os_disk_size_gb\" is {size}; an OS disk has at most 4095 GB");
        r.push(Diagnostic::error("azure/invalid-value", summary).at(&r.key_span("os_disk_size_gb")));
        return None;
    }
    i32::try_from(size).ok()
}

fn data_disks(r: &mut Reader) -> Vec<(i32, Option<i32>)> {
    let sizes = r.ints("disk_additional_size");
    let luns = r.ints("disk_additional_luns");
    let invalid = |summary: String, span: &fornax_core::Span| {
        Diagnostic::error("azure/invalid-value", summary).at(span)
    };
    let mut good = Vec::new();
    for (size, span) in &sizes {
        match i32::try_from(*size).ok().filter(|s| (1..=65_536).contains(s)) {
            Some(size) => good.push(size),
            None => r.push(invalid(format!("a data disk can't have {size} GB"), span)),
        }
    }
    if luns.is_empty() {
        return good.into_iter().map(|size| (size, None)).collect();
    }
    if sizes.len() != luns.len() {
        let summary = match sizes.len() {
            0 => "\"disk_additional_luns\" is given without disk_additional_size".to_owned(),
            n => format!("\"disk_additional_luns\" has {} entries and disk_additional_size {n}", luns.len()),
        };
        conflict(r, "disk_additional_luns", summary, "give each disk a size and a LUN");
        return Vec::new();
    }
    let mut seen: Vec<i64> = Vec::new();
    for (lun, span) in &luns {
        if !(0..=63).contains(lun) {
            r.push(invalid(
                format!("\"disk_additional_luns\" has {lun}; a LUN is a number from 0 to 63"),
                span,
            ));
        } else if seen.contains(lun) {
            r.push(invalid(format!("\"disk_additional_luns\" has {lun} twice"), span));
        }
        seen.push(*lun);
    }
    good.into_iter().zip(luns).map(|(size, (lun, _))| (size, i32::try_from(lun).ok())).collect()
}

/// Base64 of a text or of a file.
fn data(r: &mut Reader, key: &str, file_key: &str, working_dir: &Path) -> Option<Secret> {
    let inline = r.text(key);
    let file = r.word(file_key);
    if inline.is_some() && file.is_some() {
        conflict(
            r,
            file_key,
            format!("only one of \"{key}\" and \"{file_key}\" may be given"),
            "remove one of the two",
        );
        return None;
    }
    let (bytes, span) = if let Some((text, span)) = inline {
        let text = text.expose();
        // The option is documented as base64; who writes the text itself means it.
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match BASE64.decode(&compact) {
            Ok(bytes) => (bytes, span),
            Err(_) => (text.into_bytes(), span),
        }
    } else {
        let word = file?;
        let path = working_dir.join(&word.value);
        match std::fs::read(&path) {
            Ok(bytes) => (bytes, word.span),
            Err(error) => {
                let summary = format!("\"{file_key}\" can't be read: {}: {error}", word.shown);
                r.push(
                    word.error("azure/file", summary)
                        .help("paths are relative to the folder that fornax runs in"),
                );
                return None;
            }
        }
    };
    if bytes.len() > MAX_DATA {
        let summary = format!("\"{key}\" has {} bytes; Azure takes at most {MAX_DATA}", bytes.len());
        r.push(Diagnostic::error("azure/invalid-value", summary).at(&span));
        return None;
    }
    Some(Secret::new(BASE64.encode(bytes)))
}

fn identities(r: &mut Reader) -> Vec<String> {
    static ID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+$",
        )
        .expect("a valid pattern")
    });
    let mut ids = Vec::new();
    for word in r.words("user_assigned_managed_identities") {
        if ID.is_match(&word.value) {
            ids.push(word.value);
        } else {
            let summary = format!(
                "\"user_assigned_managed_identities\" has \"{}\", which is no id of an identity",
                word.shown
            );
            r.push(word.error("azure/invalid-value", summary).help(
                "write /subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>",
            ));
        }
    }
    ids
}

fn storage_account(r: &mut Reader) -> Option<String> {
    let word = r.word("boot_diag_storage_account")?;
    let Word { value, shown, .. } = &word;
    // Packer's users write single letters in tests, but Azure wants three; the upper bound is the service's.
    if value.len() <= 24 && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Some(word.value);
    }
    let summary = format!("\"boot_diag_storage_account\" can't be \"{shown}\"");
    r.push(
        word.error("azure/invalid-name", summary)
            .help("a storage account has 3 to 24 lower-case letters and digits"),
    );
    None
}

fn license_type(r: &mut Reader) -> Option<String> {
    // Those of Windows are checked as well, so that its templates get one message and not two.
    let windows = r.string("os_type").is_some_and(|os| os.eq_ignore_ascii_case("windows"));
    let words: &[&str] =
        if windows { &["Windows_Client", "Windows_Server"] } else { &["RHEL_BYOS", "SLES_BYOS"] };
    one_of(r, "license_type", words)
}

fn operation_limit(r: &mut Reader) -> Duration {
    let limit = r.duration("polling_duration_timeout").filter(|d| !d.is_zero());
    limit.unwrap_or(Duration::from_secs(15 * 60))
}

/// An image in the build's own group would be deleted together with it.
fn check_groups(r: &mut Reader, config: &Config) {
    if let (Some(image), Place::Temporary { group: Some(group), .. }) = (&config.image, &config.place)
        && image.group.eq_ignore_ascii_case(group)
    {
        let summary = "the image can't be in temp_resource_group_name: that group is deleted after the build";
        conflict(r, "managed_image_resource_group_name", summary, "name another group, which must exist");
    }
}

fn check_snapshots(r: &mut Reader, config: &Config) {
    for key in ["managed_image_os_disk_snapshot_name", "managed_image_data_disk_snapshot_prefix"] {
        if r.is_set(key) && (config.image.is_none() || config.skip_create_image) && !r.found.has_errors() {
            conflict(
                r,
                key,
                format!("\"{key}\" needs a managed image"),
                "give managed_image_name and its group",
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
