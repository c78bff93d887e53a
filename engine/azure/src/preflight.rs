//! Everything that can be known before anything is made is asked for at the same time: subscription, groups, names,
//! source image, plan, size, network. All problems are reported together, in the service's own words.
//!
//! Some of these questions need rights or providers that a build does not need. Where such a question can't be
//! answered, the build goes on, and the service decides when the resource is created.

use fornax_core::builder::BuildError;
use serde_json::Value;

use crate::client::{ImageReference, Plan};
use crate::config::{ImageName, Network, Place};
use crate::error::ArmError;
use crate::id::{self, Kind};
use crate::run::Run;

mod network;
mod source;

pub use source::accept_terms;

/// What the checks found out.
#[derive(Clone, Debug)]
pub struct Facts {
    /// As Azure spells it.
    pub location: String,
    pub source: ImageReference,
    /// For people and templates.
    pub source_name: String,
    /// LUNs that the source image's own data disks take.
    pub source_luns: Vec<i32>,
    /// `V1` or `V2`, where the source tells.
    pub generation: Option<String>,
    /// Of a network of the user's.
    pub subnet_id: Option<String>,
    /// `-force` and there is an image of this name.
    pub replaces_image: bool,
    /// Names of snapshots that have to make way.
    pub replaced_snapshots: Vec<String>,
    pub tenant_id: Option<String>,
}

/// A problem that a check found.
#[derive(Debug)]
pub enum Problem {
    Cancelled,
    Found(String),
}

impl From<ArmError> for Problem {
    fn from(error: ArmError) -> Self {
        match error {
            ArmError::Cancelled => Problem::Cancelled,
            error => Problem::Found(error.to_string()),
        }
    }
}

impl Problem {
    pub fn new(text: impl Into<String>) -> Self {
        Problem::Found(text.into())
    }
}

/// Puts the problems of independent checks together.
#[derive(Default)]
struct Problems {
    found: Vec<String>,
    cancelled: bool,
}

impl Problems {
    fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Problem::Cancelled) => self.cancelled = true,
            // Two checks that fail for the same reason are one problem.
            Err(Problem::Found(text)) if self.found.contains(&text) => {}
            Err(Problem::Found(text)) => self.found.push(text),
        }
        None
    }

    fn into_error(self) -> BuildError {
        if self.cancelled {
            return BuildError::Cancelled;
        }
        match self.found.len() {
            1 => BuildError::Failed(self.found.concat()),
            n => {
                let list: String =
                    self.found.iter().map(|text| format!("\n* {}", text.replace('\n', "\n  "))).collect();
                BuildError::Failed(format!("nothing was created, because of {n} problems:{list}"))
            }
        }
    }
}

impl Run<'_> {
    pub async fn check(&self) -> Result<Facts, BuildError> {
        let mut problems = Problems::default();
        let located = async {
            // These three need to know where.
            let location = self.check_place().await?;
            let rest = tokio::join!(
                self.check_source(&location),
                self.check_size(&location),
                self.check_network(&location),
            );
            Ok::<_, Problem>((location, rest))
        };
        let (subscription, destination, image, snapshots, terms, chosen, located) = tokio::join!(
            self.check_subscription(),
            self.check_destination(),
            self.check_image_name(),
            self.check_snapshot_names(),
            self.check_terms(),
            self.check_chosen_names(),
            located,
        );
        problems.take(subscription);
        problems.take(destination);
        let replaces_image = problems.take(image);
        let replaced_snapshots = problems.take(snapshots);
        problems.take(terms);
        problems.take(chosen);
        let facts = problems.take(located).and_then(|(location, (source, size, subnet))| {
            let (source, size, subnet) = (problems.take(source), problems.take(size), problems.take(subnet));
            let (source, size) = (source?, size?);
            if let (Some(generation), Some(size)) = (&source.generation, &size)
                && !size.boots(generation)
            {
                let text = format!(
                    "vm_size {} can't boot the source image: the image is of generation {generation}, the size boots {}; \
                     choose another size",
                    size.name,
                    size.generations.join(", ")
                );
                problems.take::<()>(Err(Problem::new(text)));
            }
            Some(Facts {
                location,
                source: source.reference,
                source_name: source.name,
                source_luns: source.luns,
                generation: source.generation,
                subnet_id: subnet?,
                replaces_image: replaces_image?,
                replaced_snapshots: replaced_snapshots?,
                tenant_id: None,
            })
        });
        match facts {
            Some(facts) if problems.found.is_empty() && !problems.cancelled => {
                Ok(Facts { tenant_id: self.arm.tokens().tenant_id().await, ..facts })
            }
            _ => Err(problems.into_error()),
        }
    }

    async fn check_subscription(&self) -> Result<(), Problem> {
        let path = id::subscription(self.subscription());
        let found = self.arm.get(&path, id::SUBSCRIPTIONS, "reading the subscription").await;
        let found = match found {
            Ok(found) => found,
            Err(error) if answers_nothing(&error, &["SubscriptionNotFound", "InvalidSubscriptionId"]) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        match found["state"].as_str() {
            Some(state) if !matches!(state, "Enabled" | "Warned" | "PastDue") => Err(Problem::new(format!(
                "the subscription {} is {state}: nothing can be created in it; its owner has to enable it",
                self.subscription()
            ))),
            _ => Ok(()),
        }
    }

    /// The location of the build.
    async fn check_place(&self) -> Result<String, Problem> {
        match &self.config().place {
            Place::Existing { group } => {
                let found =
                    self.group(group).await?.ok_or_else(|| no_group(group, "build_resource_group_name"))?;
                found["location"].as_str().map(str::to_owned).ok_or_else(|| {
                    Problem::new(format!("the resource group \"{group}\" does not say where it is"))
                })
            }
            Place::Temporary { group, location } => {
                // A name that was drawn is free.
                if let Some(group) = group
                    && self.group(group).await?.is_some()
                {
                    return Err(Problem::new(format!(
                        "the resource group \"{group}\" (temp_resource_group_name) exists already; the build makes this \
                         group and deletes it: choose another name, or build in it with build_resource_group_name"
                    )));
                }
                Ok(id::normal_location(location))
            }
        }
    }

    async fn check_destination(&self) -> Result<(), Problem> {
        let Some(image) = &self.config().image else { return Ok(()) };
        match self.group(&image.group).await? {
            Some(_) => Ok(()),
            None => Err(no_group(&image.group, "managed_image_resource_group_name")),
        }
    }

    async fn group(&self, name: &str) -> Result<Option<Value>, Problem> {
        let what = format!("reading resource group \"{name}\"");
        let path = id::group(self.subscription(), name);
        Ok(self.arm.find(&path, Kind::ResourceGroup.api_version(), what).await?)
    }

    /// Whether there is an image that has to make way.
    async fn check_image_name(&self) -> Result<bool, Problem> {
        let Some(ImageName { group, name }) = &self.config().image else { return Ok(false) };
        if self.config().skip_create_image {
            return Ok(false);
        }
        let path = id::resource(self.subscription(), group, Kind::Image, name);
        let what = format!("reading image \"{name}\" in resource group \"{group}\"");
        let exists = self.arm.find(&path, Kind::Image.api_version(), what).await?.is_some();
        if exists && !self.force {
            return Err(Problem::new(format!(
                "the managed image named {name} already exists in the resource group {group}, use the -force option to \
                 automatically delete it"
            )));
        }
        Ok(exists)
    }

    async fn check_snapshot_names(&self) -> Result<Vec<String>, Problem> {
        let config = self.config();
        let Some(image) = &config.image else { return Ok(Vec::new()) };
        let mut names: Vec<String> = config.os_disk_snapshot.iter().cloned().collect();
        if let Some(prefix) = &config.data_disk_snapshot_prefix {
            names.extend((0..config.data_disks.len()).map(|index| format!("{prefix}{index}")));
        }
        let exists = |name: String| async move {
            let path = id::resource(self.subscription(), &image.group, Kind::Snapshot, &name);
            let what = format!("reading snapshot \"{name}\"");
            let found = self.arm.find(&path, Kind::Snapshot.api_version(), what).await?;
            Ok::<_, Problem>(found.map(|_| name))
        };
        let mut existing = Vec::new();
        for result in futures::future::join_all(names.into_iter().map(exists)).await {
            existing.extend(result?);
        }
        if !existing.is_empty() && !self.force {
            return Err(Problem::new(format!(
                "a snapshot named {} already exists in the resource group {}, use the -force option to automatically \
                 delete it",
                existing.join(", "),
                image.group
            )));
        }
        Ok(existing)
    }

    /// In a group of the user's, names that the user chose must be free: creating would change what is there, and
    /// undoing would delete it.
    async fn check_chosen_names(&self) -> Result<(), Problem> {
        if !matches!(self.config().place, Place::Existing { .. }) {
            return Ok(());
        }
        let config = self.config();
        let chosen = [
            (Kind::VirtualMachine, &config.temp_compute_name, "temp_compute_name"),
            (Kind::NetworkInterface, &config.temp_nic_name, "temp_nic_name"),
            (Kind::Disk, &config.temp_os_disk_name, "temp_os_disk_name"),
        ];
        let checks = chosen.into_iter().filter_map(|(kind, name, key)| {
            let name = name.as_ref()?;
            Some(async move {
                let what = format!("reading {} \"{name}\"", kind.label());
                match self.arm.find(&self.id(kind, name), kind.api_version(), what).await? {
                    None => Ok(()),
                    Some(_) => Err(Problem::new(format!(
                        "the {} \"{name}\" ({key}) exists already in resource group \"{}\"; choose another name",
                        kind.label(),
                        self.names().group
                    ))),
                }
            })
        });
        let mut problems = Problems::default();
        for result in futures::future::join_all(checks).await {
            problems.take(result);
        }
        match (problems.cancelled, problems.found.is_empty()) {
            (true, _) => Err(Problem::Cancelled),
            (false, true) => Ok(()),
            (false, false) => Err(Problem::new(problems.found.join("\n"))),
        }
    }

    async fn check_terms(&self) -> Result<(), Problem> {
        let Some(plan) = &self.config().plan else { return Ok(()) };
        self.check_plan_terms(plan).await
    }

    async fn check_network(&self, location: &str) -> Result<Option<String>, Problem> {
        match &self.config().network {
            Network::Own { .. } => Ok(None),
            Network::Existing { name, group, subnet, .. } => {
                self.find_subnet(name, group.as_deref(), subnet.as_deref(), location).await.map(Some)
            }
        }
    }
}

fn no_group(name: &str, key: &str) -> Problem {
    Problem::new(format!(
        "the resource group \"{name}\" ({key}) does not exist; create it first: az group create --name {name} --location \
         <location>"
    ))
}

/// Whether a question is left open by its failure: the principal may not ask it, or the service does not know it. The
/// codes are those that do answer it.
fn answers_nothing(error: &ArmError, answers: &[&str]) -> bool {
    let Some(service) = error.service() else { return false };
    let status = service.status.map_or(0, |s| s.as_u16());
    let open = matches!(status, 400 | 403 | 404 | 405 | 409 | 501) && !service.has_any_code(answers);
    if open {
        tracing::debug!(%error, "a check is left out");
    }
    open
}

/// A plan as one writes it in a template.
fn written(plan: &Plan) -> String {
    format!(
        "\"plan_info\": {{\"plan_name\": \"{}\", \"plan_product\": \"{}\", \"plan_publisher\": \"{}\"}}",
        plan.name, plan.product, plan.publisher
    )
}
