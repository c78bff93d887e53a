//! Finding what builds left behind by their tags, for when journals are lost. Images and snapshots are products: one
//! that was finished belongs to its user, and without the journal nobody can tell whether it was; they are told, and
//! left alone. A list is only a hint where to look: Azure leaves the tags out of some lists, and `undo` reads each
//! resource again before it deletes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fornax_core::journal::{Lifetime, Resource};
use fornax_core::saga::UndoError;
use fornax_core::{BuildEvents, Redactor};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::arm::Arm;
use crate::gate::Gate;
use crate::id::{self, Kind};
use crate::lro::{BUILD_TAG, PROCESS_TAG};
use crate::target::Destination;
use crate::transport::Transport;
use crate::undo::{AzureUndo, undo_error};

/// The limit of each call of a search.
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// Resources that are read at once because their list did not show their tags.
const READS: usize = 8;

/// A build of which something was found.
#[derive(Clone, Debug)]
pub struct TaggedBuild {
    pub build_id: String,
    /// What the engine wrote about its process; none where it wrote nothing.
    pub process: Option<String>,
    /// What can be undone, in levels: those of one level don't refer to each other, and each level has to be undone
    /// before the next.
    pub levels: Vec<Vec<Resource>>,
    /// Images and snapshots.
    pub products: Vec<Resource>,
}

/// Looks through one subscription.
pub struct AzureSweep {
    destination: Destination,
    transport: Arc<dyn Transport>,
    gate: Arc<Gate>,
    redactor: Redactor,
    arm: tokio::sync::OnceCell<Arm>,
}

impl AzureSweep {
    pub(crate) fn new(
        destination: Destination,
        transport: Arc<dyn Transport>,
        gate: Arc<Gate>,
        redactor: Redactor,
    ) -> Self {
        Self { destination, transport, gate, redactor, arm: tokio::sync::OnceCell::new() }
    }

    /// Cloud and account as a journal's header has them.
    pub fn target(&self) -> Map<String, Value> {
        self.destination.facts()
    }

    /// The builds that have tagged resources in the subscription, by id.
    pub async fn find(&self) -> Result<Vec<TaggedBuild>, UndoError> {
        let subscription = &self.destination.credentials.subscription_id;
        let found = search(self.arm().await?, subscription, &format!("tagName eq '{BUILD_TAG}'")).await?;
        let mut builds: BTreeMap<String, Vec<Tagged>> = BTreeMap::new();
        for resource in found {
            builds.entry(resource.build_id.clone()).or_default().push(resource);
        }
        Ok(builds.into_iter().map(|(build_id, found)| sorted(build_id, &found)).collect())
    }

    /// Undoes the resources of one build.
    pub fn undo(&self, build_id: &str, events: Option<BuildEvents>) -> AzureUndo {
        let undo = AzureUndo::unconnected(
            self.destination.clone(),
            self.transport.clone(),
            self.gate.clone(),
            build_id,
            self.redactor.clone(),
            events,
        );
        if let Some(arm) = self.arm.get() {
            undo.use_client(arm.clone());
        }
        undo
    }

    async fn arm(&self) -> Result<&Arm, UndoError> {
        let connect = || async {
            let cancel = CancellationToken::new();
            let (transport, redactor) = (&self.transport, self.redactor.clone());
            self.destination.connect(transport, self.gate.clone(), LIMIT, None, redactor, &cancel).await
        };
        self.arm.get_or_try_init(connect).await.map_err(|e| UndoError::retryable(e.to_string()))
    }
}

impl AzureUndo {
    /// What carries the tag of this build.
    pub async fn find_by_tag(&self) -> Result<TaggedBuild, UndoError> {
        let value = self.build_id().replace('\'', "''");
        let filter = format!("tagName eq '{BUILD_TAG}' and tagValue eq '{value}'");
        let mut found = search(self.arm().await?, self.subscription(), &filter).await?;
        found.retain(|resource| resource.build_id == self.build_id());
        Ok(sorted(self.build_id().to_owned(), &found))
    }
}

/// A resource of a kind that the builder makes, with the tags that say whose it is.
struct Tagged {
    kind: Kind,
    id: String,
    build_id: String,
    process: Option<String>,
}

async fn search(arm: &Arm, subscription: &str, filter: &str) -> Result<Vec<Tagged>, UndoError> {
    let root = id::subscription(subscription);
    let url = |path: String| {
        let mut url = arm.url(&path, id::RESOURCES);
        url.query_pairs_mut().append_pair("$filter", filter);
        url
    };
    let (groups, resources) = tokio::join!(
        arm.list(url(format!("{root}/resourcegroups")), "looking for resource groups of builds"),
        arm.list(url(format!("{root}/resources")), "looking for resources of builds"),
    );
    let (groups, resources) = (groups.map_err(undo_error)?, resources.map_err(undo_error)?);
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let groups = groups
        .into_iter()
        .map(|g| (Kind::ResourceGroup, id::group(subscription, &text(&g, "name")), g["tags"].clone()));
    let resources = resources
        .into_iter()
        .filter_map(|r| Some((Kind::of_arm_type(&text(&r, "type"))?, text(&r, "id"), r["tags"].clone())));
    // Resource Manager does not tell the tags in a list that was filtered by a tag's name and value.
    let found: Vec<Option<Tagged>> = stream::iter(groups.chain(resources))
        .map(|(kind, id, tags)| async move {
            let tags = if tags.is_null() { read_tags(arm, kind, &id).await? } else { tags };
            let text = |key: &str| tags[key].as_str().map(str::to_owned);
            Ok::<_, UndoError>(text(BUILD_TAG).map(|build_id| Tagged {
                kind,
                id,
                build_id,
                process: text(PROCESS_TAG),
            }))
        })
        .buffered(READS)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Null where the resource has none, or is gone.
async fn read_tags(arm: &Arm, kind: Kind, id: &str) -> Result<Value, UndoError> {
    let what = format!("reading {} \"{}\"", kind.label(), id::name(id));
    let found = arm.find(id, kind.api_version(), what).await.map_err(undo_error)?;
    Ok(found.map(|body| body["tags"].clone()).unwrap_or_default())
}

fn sorted(build_id: String, found: &[Tagged]) -> TaggedBuild {
    let is_group = |tagged: &&Tagged| tagged.kind == Kind::ResourceGroup;
    // What lies in a group of the build goes with it.
    let goes_with_group = |id: &str| {
        id::group_of(id).is_some_and(|name| {
            found.iter().filter(is_group).any(|group| id::name(&group.id).eq_ignore_ascii_case(name))
        })
    };
    let mut levels: Vec<Vec<Resource>> = vec![Vec::new(); 4];
    let mut products = Vec::new();
    for tagged in found {
        let level = match tagged.kind {
            Kind::ResourceGroup => 3,
            _ if goes_with_group(&tagged.id) => continue,
            Kind::VirtualMachine => 0,
            Kind::NetworkInterface | Kind::Disk => 1,
            Kind::PublicIp | Kind::NetworkSecurityGroup | Kind::VirtualNetwork => 2,
            Kind::Image | Kind::Snapshot => {
                products.push(Resource::new(tagged.kind.word(), &tagged.id, Lifetime::Product));
                continue;
            }
        };
        levels[level].push(Resource::new(tagged.kind.word(), &tagged.id, Lifetime::Temporary));
    }
    levels.retain(|level| !level.is_empty());
    let process = found.iter().find_map(|tagged| tagged.process.clone());
    TaggedBuild { build_id, process, levels, products }
}
