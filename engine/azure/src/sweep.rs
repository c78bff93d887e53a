//! Finding what a build left behind by its tag, for when its journal is lost. Images and snapshots are products: one
//! that was finished belongs to its user, and without the journal nobody can tell whether it was; they are left alone.

use fornax_core::journal::{Lifetime, Resource};
use fornax_core::saga::UndoError;
use serde_json::Value;

use crate::id::{self, Kind};
use crate::lro::BUILD_TAG;
use crate::undo::{AzureUndo, undo_error};

impl AzureUndo {
    /// The resources with the tag of this build, in levels: those of one level don't refer to each other, and each
    /// level has to be undone before the next. Hand them to `undo` one by one.
    pub async fn find_by_tag(&self) -> Result<Vec<Vec<Resource>>, UndoError> {
        let arm = self.arm().await?;
        let root = id::subscription(self.subscription());
        let filter =
            format!("tagName eq '{BUILD_TAG}' and tagValue eq '{}'", self.build_id().replace('\'', "''"));
        let url = |path: String| {
            let mut url = arm.url(&path, id::RESOURCES);
            url.query_pairs_mut().append_pair("$filter", &filter);
            url
        };
        let (groups, resources) = tokio::join!(
            arm.list(url(format!("{root}/resourcegroups")), "looking for resource groups of the build"),
            arm.list(url(format!("{root}/resources")), "looking for resources of the build"),
        );
        Ok(self.levels(&groups.map_err(undo_error)?, &resources.map_err(undo_error)?))
    }

    fn levels(&self, groups: &[Value], resources: &[Value]) -> Vec<Vec<Resource>> {
        // A service that does not understand the filter answers with everything.
        let ours = |entry: &&Value| entry["tags"][BUILD_TAG].as_str() == Some(self.build_id());
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let resource = |kind: Kind, id: &str| Resource::new(kind.word(), id, Lifetime::Temporary);
        let groups: Vec<Resource> = groups
            .iter()
            .filter(ours)
            .map(|g| resource(Kind::ResourceGroup, &id::group(self.subscription(), &text(g, "name"))))
            .collect();
        let inside = |id: &str| {
            id::group_of(id)
                .is_some_and(|name| groups.iter().any(|g| id::name(&g.id).eq_ignore_ascii_case(name)))
        };
        let mut levels: Vec<Vec<Resource>> = vec![Vec::new(); 4];
        for entry in resources.iter().filter(ours) {
            let id = text(entry, "id");
            let Some(kind) = Kind::of_arm_type(&text(entry, "type")).filter(|_| !inside(&id)) else {
                continue;
            };
            let level = match kind {
                Kind::VirtualMachine => 0,
                Kind::NetworkInterface | Kind::Disk => 1,
                Kind::PublicIp | Kind::NetworkSecurityGroup | Kind::VirtualNetwork => 2,
                Kind::Image | Kind::Snapshot | Kind::ResourceGroup => continue,
            };
            levels[level].push(resource(kind, &id));
        }
        levels[3] = groups;
        levels.retain(|level| !level.is_empty());
        levels
    }
}
