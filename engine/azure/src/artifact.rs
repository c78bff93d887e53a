//! What a build reports of its image, in Packer's words. A simulated image is marked in id, text and metadata.

use fornax_core::plugin::Artifact;
use serde_json::{Map, Value};

use crate::id;
use crate::preflight::Facts;
use crate::run::Run;

const BUILDER_ID: &str = "Azure.ResourceManagement.VMImage";

/// What a build leaves behind for its user.
#[derive(Default)]
pub struct Made {
    /// As Azure shows it.
    pub image: Option<Value>,
    pub os_disk_id: Option<String>,
    pub os_disk_snapshot: Option<String>,
    pub data_disk_snapshot_prefix: Option<String>,
}

pub fn artifact(run: &Run, facts: &Facts, made: &Made) -> Artifact {
    let config = run.config();
    let image_id = made.image.as_ref().and_then(|image| {
        let own = config.image.as_ref();
        let made_up = own.map(|i| id::resource(run.subscription(), &i.group, id::Kind::Image, &i.name));
        image["id"].as_str().map(str::to_owned).or(made_up)
    });
    let mut lines: Vec<(&str, String)> = vec![("OSType", "Linux".into())];
    if let (Some(image), Some(name), Some(id)) = (&made.image, &config.image, &image_id) {
        let location = image["location"].as_str().unwrap_or(&facts.location);
        lines.push(("ManagedImageResourceGroupName", name.group.clone()));
        lines.push(("ManagedImageName", name.name.clone()));
        lines.push(("ManagedImageId", id.clone()));
        lines.push(("ManagedImageLocation", location.to_owned()));
    }
    let optional = [
        ("ManagedImageOSDiskSnapshotName", &made.os_disk_snapshot),
        ("ManagedImageDataDiskSnapshotPrefix", &made.data_disk_snapshot_prefix),
        ("OSDiskUri", &made.os_disk_id),
    ];
    lines.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));

    let mut text = String::new();
    if run.simulated {
        text.push_str("Simulated: no cloud was involved; the image exists in the simulator only.\n");
    }
    text.push_str(&format!("{BUILDER_ID}:\n\n"));
    for (key, value) in &lines {
        text.push_str(&format!("{key}: {value}\n"));
    }
    let mut metadata: Map<String, Value> =
        lines.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    metadata.insert("SourceImageName".into(), facts.source_name.clone().into());
    metadata.insert("BuildId".into(), run.builder.build_id.clone().into());
    if run.simulated {
        metadata.insert("Simulated".into(), true.into());
    }
    // The kept disk is what later steps work with; without one it is the image.
    let id = made.os_disk_id.clone().or(image_id).unwrap_or_default();
    Artifact {
        builder_id: BUILDER_ID.into(),
        id: if run.simulated { format!("simulated:{id}") } else { id },
        text,
        files: Vec::new(),
        metadata,
        simulated: run.simulated,
    }
}
