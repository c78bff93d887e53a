//! What a template takes for granted.

use super::{Config, Network, Place, Source};
use crate::client::Plan;
use crate::id;

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
