//! Checks of what the machine is made of: the source image with its plan, and the size.

use serde_json::Value;
use url::Url;

use crate::client::{ImageReference, Plan};
use crate::config::Source;
use crate::error::ArmError;
use crate::id::{self, Kind};
use crate::preflight::{Problem, answers_nothing, written};
use crate::run::Run;

/// What answers that there is no such platform image.
const NO_IMAGE: &[&str] = &[
    "ImageNotFound",
    "PlatformImageNotFound",
    "VMImageNotFound",
    "ArtifactNotFound",
    "NotFound",
    "InvalidParameter",
];

/// The source image as it is.
pub struct SourceFacts {
    pub reference: ImageReference,
    pub name: String,
    pub luns: Vec<i32>,
    pub generation: Option<String>,
}

/// What is known of the size.
pub struct SizeFacts {
    pub name: String,
    pub generations: Vec<String>,
}

impl SizeFacts {
    pub fn boots(&self, generation: &str) -> bool {
        self.generations.is_empty() || self.generations.iter().any(|g| g.eq_ignore_ascii_case(generation))
    }
}

/// How the terms of a plan are accepted.
pub fn accept_terms(plan: &Plan) -> String {
    format!(
        "accept the terms of the plan once for this subscription:\n        az vm image terms accept --publisher {} --offer \
         {} --plan {}",
        plan.publisher, plan.product, plan.name
    )
}

impl Run<'_> {
    pub async fn check_source(&self, location: &str) -> Result<SourceFacts, Problem> {
        match &self.config().source {
            Source::Managed { group, name } => self.check_managed(group, name, location).await,
            Source::Marketplace { publisher, offer, sku, version } => {
                self.check_marketplace(publisher, offer, sku, version, location).await
            }
        }
    }

    async fn check_managed(&self, group: &str, name: &str, location: &str) -> Result<SourceFacts, Problem> {
        let path = id::resource(self.subscription(), group, Kind::Image, name);
        let what = format!("reading source image \"{name}\" in resource group \"{group}\"");
        let Some(found) = self.arm.find(&path, Kind::Image.api_version(), what).await? else {
            return Err(Problem::new(format!(
                "the source image \"{name}\" does not exist in resource group \"{group}\"; az image list --resource-group \
                 {group} shows those that do"
            )));
        };
        let there = found["location"].as_str().map(id::normal_location).unwrap_or_default();
        if !there.is_empty() && there != id::normal_location(location) {
            return Err(Problem::new(format!(
                "the source image \"{name}\" is in {there}, but the build takes place in {location}; a machine can be made \
                 only where its image is: set \"location\": \"{there}\""
            )));
        }
        let properties = &found["properties"];
        if let Some(os) = properties["storageProfile"]["osDisk"]["osType"].as_str()
            && !os.eq_ignore_ascii_case("linux")
        {
            return Err(Problem::new(format!(
                "the source image \"{name}\" is a {os} image, but os_type is Linux"
            )));
        }
        let id = found["id"].as_str().unwrap_or(&path).to_owned();
        Ok(SourceFacts {
            name: id.clone(),
            reference: ImageReference::Managed(id),
            luns: luns(&properties["storageProfile"]["dataDisks"]),
            generation: properties["hyperVGeneration"].as_str().map(str::to_owned),
        })
    }

    async fn check_marketplace(
        &self,
        publisher: &str,
        offer: &str,
        sku: &str,
        version: &str,
        location: &str,
    ) -> Result<SourceFacts, Problem> {
        let shown = format!("{publisher}:{offer}:{sku}:{version}");
        let versions = format!(
            "{}/providers/Microsoft.Compute/locations/{location}/publishers/{publisher}/artifacttypes/vmimage/offers/{offer}/skus/{sku}/versions",
            id::subscription(self.subscription())
        );
        let reference = ImageReference::Marketplace {
            publisher: publisher.to_owned(),
            offer: offer.to_owned(),
            sku: sku.to_owned(),
            version: version.to_owned(),
        };
        let unknown = |name: String| SourceFacts {
            reference: reference.clone(),
            name,
            luns: Vec::new(),
            generation: None,
        };
        let latest = version.eq_ignore_ascii_case("latest");
        let exact = if latest {
            let what = format!("looking for the versions of image {publisher}:{offer}:{sku}");
            match self.arm.list(self.arm.url(&versions, id::COMPUTE), &what).await {
                Ok(list) => match newest(&list) {
                    Some(newest) => newest,
                    None => return Err(no_image(&shown, location, "it has no versions")),
                },
                Err(error) if says_no_image(&error) => return Err(no_image_error(&shown, location, &error)),
                Err(error) if answers_nothing(&error, &[]) => {
                    return Ok(unknown(format!("{versions}/latest")));
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            version.to_owned()
        };
        let path = format!("{versions}/{exact}");
        let what = format!("reading image {publisher}:{offer}:{sku}:{exact}");
        let found = match self.arm.get(&path, id::COMPUTE, what).await {
            Ok(found) => found,
            Err(error) if says_no_image(&error) => return Err(no_image_error(&shown, location, &error)),
            Err(error) if answers_nothing(&error, &[]) => return Ok(unknown(path)),
            Err(error) => return Err(error.into()),
        };
        let properties = &found["properties"];
        if let Some(os) = properties["osDiskImage"]["operatingSystem"].as_str()
            && !os.eq_ignore_ascii_case("linux")
        {
            return Err(Problem::new(format!("the image {shown} is a {os} image, but os_type is Linux")));
        }
        self.compare_plans(&shown, &properties["plan"])?;
        Ok(SourceFacts {
            name: found["id"].as_str().unwrap_or(&path).to_owned(),
            reference,
            luns: luns(&properties["dataDiskImages"]),
            generation: properties["hyperVGeneration"].as_str().map(str::to_owned),
        })
    }

    fn compare_plans(&self, image: &str, plan: &Value) -> Result<(), Problem> {
        let text = |key: &str| plan[key].as_str().unwrap_or_default().to_owned();
        let needed = plan.is_object().then(|| Plan {
            name: text("name"),
            product: text("product"),
            publisher: text("publisher"),
            promotion_code: None,
        });
        match (needed, &self.config().plan) {
            (None, None) => Ok(()),
            (Some(needed), None) => Err(Problem::new(format!(
                "the image {image} is sold under a plan, which the template has to name: {}",
                written(&needed)
            ))),
            (None, Some(_)) => Err(Problem::new(format!(
                "the image {image} has no plan, but the template has a plan_info; remove it"
            ))),
            (Some(needed), Some(given)) => {
                let same = needed.name.eq_ignore_ascii_case(&given.name)
                    && needed.product.eq_ignore_ascii_case(&given.product)
                    && needed.publisher.eq_ignore_ascii_case(&given.publisher);
                if same {
                    return Ok(());
                }
                Err(Problem::new(format!(
                    "the image {image} has another plan than the template; write {}",
                    written(&needed)
                )))
            }
        }
    }

    pub async fn check_plan_terms(&self, plan: &Plan) -> Result<(), Problem> {
        let path = format!(
            "{}/providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine/publishers/{}/offers/{}/plans/{}/agreements/current",
            id::subscription(self.subscription()),
            plan.publisher,
            plan.product,
            plan.name
        );
        let what = format!("reading the terms of plan {}:{}:{}", plan.publisher, plan.product, plan.name);
        match self.arm.get(&path, id::MARKETPLACE, what).await {
            Ok(terms) if terms["properties"]["accepted"] == Value::Bool(false) => Err(Problem::new(format!(
                "the terms of plan {} of {}:{} are not accepted in this subscription\n  hint: {}",
                plan.name,
                plan.publisher,
                plan.product,
                accept_terms(plan)
            ))),
            Ok(_) => Ok(()),
            // Images made of a sold image keep its plan when it is sold no more; the machine's creation decides.
            Err(error) if answers_nothing(&error, &[]) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// None where the service does not tell.
    pub async fn check_size(&self, location: &str) -> Result<Option<SizeFacts>, Problem> {
        let wanted = &self.config().vm_size;
        let path = format!("{}/providers/Microsoft.Compute/skus", id::subscription(self.subscription()));
        let mut url: Url = self.arm.url(&path, id::SKUS);
        let place = id::normal_location(location);
        url.query_pairs_mut().append_pair("$filter", &format!("location eq '{place}'"));
        let what = format!("looking for vm_size {wanted} in {place}");
        let skus = match self.arm.list(url, &what).await {
            Ok(skus) => skus,
            Err(error) if answers_nothing(&error, &[]) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let sizes: Vec<&Value> = skus
            .iter()
            .filter(|s| s["resourceType"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("virtualMachines")))
            .filter(|s| {
                let places = s["locations"].as_array();
                places.is_none_or(|p| {
                    p.iter().any(|l| l.as_str().is_some_and(|l| id::normal_location(l) == place))
                })
            })
            .collect();
        // An empty list says nothing of the size, only of the question.
        if sizes.is_empty() {
            return Ok(None);
        }
        let name = |s: &Value| s["name"].as_str().unwrap_or_default().to_owned();
        let Some(size) = sizes.iter().find(|s| name(s).eq_ignore_ascii_case(wanted)) else {
            let names: Vec<String> = sizes.iter().map(|s| name(s)).collect();
            let near = fornax_core::diagnostic::nearest(wanted, names.iter().map(String::as_str));
            let advice = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("az vm list-sizes --location {place} shows those that do"),
            };
            return Err(Problem::new(format!("vm_size {wanted} does not exist in {place}; {advice}")));
        };
        let restricted = size["restrictions"].as_array().into_iter().flatten().find(|r| {
            r["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case("location"))
                && r["values"].as_array().is_none_or(|v| {
                    v.iter().any(|l| l.as_str().is_some_and(|l| id::normal_location(l) == place))
                })
        });
        if let Some(restriction) = restricted {
            let reason = match restriction["reasonCode"].as_str() {
                Some("QuotaId") => "the kind of subscription does not include it (QuotaId)".to_owned(),
                Some(code) => format!("this subscription can't have it there now ({code})"),
                None => "this subscription can't have it there".to_owned(),
            };
            return Err(Problem::new(format!(
                "vm_size {wanted} is not available in {place}: {reason}; choose another size or location (az vm list-skus \
                 --location {place} --resource-type virtualMachines)"
            )));
        }
        let capability = |key: &str| {
            let all = size["capabilities"].as_array().into_iter().flatten();
            all.filter(|c| c["name"] == key).find_map(|c| c["value"].as_str())
        };
        if self.config().encryption_at_host && capability("EncryptionAtHostSupported") == Some("False") {
            return Err(Problem::new(format!(
                "vm_size {wanted} does not support encryption_at_host; choose another size"
            )));
        }
        let generations = capability("HyperVGenerations").unwrap_or_default();
        Ok(Some(SizeFacts {
            name: name(size),
            generations: generations
                .split(',')
                .map(|g| g.trim().to_owned())
                .filter(|g| !g.is_empty())
                .collect(),
        }))
    }
}

fn says_no_image(error: &ArmError) -> bool {
    error.service().is_some_and(|e| {
        e.has_any_code(NO_IMAGE) && e.status.is_some_and(|s| matches!(s.as_u16(), 400 | 404))
    })
}

fn no_image(shown: &str, location: &str, reason: &str) -> Problem {
    let publisher = shown.split(':').next().unwrap_or_default();
    Problem::new(format!(
        "the image {shown} does not exist in {location}: {reason}\n  hint: az vm image list --all --location {location} \
         --publisher {publisher}"
    ))
}

fn no_image_error(shown: &str, location: &str, error: &ArmError) -> Problem {
    let reason = error.service().map_or_else(String::new, |e| {
        let cause = e.detail.cause();
        format!("{}: {}", cause.code, cause.message)
    });
    no_image(shown, location, &reason)
}

/// The newest version: compared part by part as numbers.
fn newest(versions: &[Value]) -> Option<String> {
    let parts = |version: &str| -> Vec<u64> { version.split('.').map(|p| p.parse().unwrap_or(0)).collect() };
    let names = versions.iter().filter_map(|v| v["name"].as_str());
    names.max_by_key(|name| parts(name)).map(str::to_owned)
}

fn luns(disks: &Value) -> Vec<i32> {
    let lun = |disk: &Value| i32::try_from(disk["lun"].as_i64()?).ok();
    disks.as_array().into_iter().flatten().filter_map(lun).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_are_compared_as_numbers() {
        let list = [json!({"name": "9.0.1"}), json!({"name": "10.0.0"}), json!({"name": "9.10.0"})];
        assert_eq!(newest(&list).as_deref(), Some("10.0.0"));
        assert_eq!(newest(&[]), None);
    }
}
