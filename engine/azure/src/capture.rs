//! From the provisioned machine to the image: power off, snapshots where wanted, generalize, capture, and a look at
//! what came out. An image that has to make way (`-force`) lives until the new one can take its place.

use fornax_core::builder::BuildError;
use fornax_core::journal::{Lifetime, Resource};
use serde_json::Value;

use crate::arm::Call;
use crate::artifact::Made;
use crate::client::ImageSpec;
use crate::config::ImageName;
use crate::error::ArmError;
use crate::id::{self, Kind};
use crate::lro::{self, BUILD_TAG};
use crate::machine::Machine;
use crate::preflight::Facts;
use crate::run::Run;

impl Run<'_> {
    pub async fn power_off(&self, _facts: &Facts) -> Result<(), BuildError> {
        let names = self.names();
        self.events().say("Powering off machine ...");
        self.events().message(format!(" -> ResourceGroupName : '{}'", names.group));
        self.events().message(format!(" -> ComputeName       : '{}'", names.machine));
        let call = self.compute.deallocate(&names.group, &names.machine).await?;
        lro::run(&self.arm, &call).await?;
        Ok(())
    }

    pub async fn capture(&self, facts: &Facts, machine: &Machine) -> Result<Made, BuildError> {
        let mut made = Made {
            os_disk_id: self.config().keep_os_disk.then(|| machine.os_disk_id.clone()),
            ..Made::default()
        };
        let Some(image) = &self.config().image else { return Ok(made) };
        self.snapshots(facts, machine, image, &mut made).await?;
        self.saga.step("Generalizing machine", self.generalize()).await?;
        made.image = Some(self.saga.step("Capturing image", self.capture_image(facts, image)).await?);
        Ok(made)
    }

    async fn snapshots(
        &self,
        facts: &Facts,
        machine: &Machine,
        image: &ImageName,
        made: &mut Made,
    ) -> Result<(), BuildError> {
        let config = self.config();
        let mut wanted: Vec<(String, &str, bool)> = Vec::new();
        if let Some(name) = &config.os_disk_snapshot {
            wanted.push((name.clone(), &machine.os_disk_id, true));
        }
        if let Some(prefix) = &config.data_disk_snapshot_prefix {
            for (index, disk) in machine.data_disk_ids.iter().enumerate() {
                wanted.push((format!("{prefix}{index}"), disk, false));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let work = async {
            self.events().say("Snapshotting disks ...");
            let snapshots = wanted.iter().map(|(name, disk, _)| self.snapshot(facts, image, name, disk));
            for result in futures::future::join_all(snapshots).await {
                result?;
            }
            Ok::<(), BuildError>(())
        };
        self.saga.step("Snapshotting disks", work).await?;
        for (name, _, os) in wanted {
            if os {
                made.os_disk_snapshot = Some(name);
            } else {
                made.data_disk_snapshot_prefix = config.data_disk_snapshot_prefix.clone();
            }
        }
        Ok(())
    }

    async fn snapshot(
        &self,
        facts: &Facts,
        image: &ImageName,
        name: &str,
        disk_id: &str,
    ) -> Result<(), BuildError> {
        let id = id::resource(self.subscription(), &image.group, Kind::Snapshot, name);
        if facts.replaced_snapshots.iter().any(|n| n == name) {
            let what = format!("deleting the existing snapshot \"{name}\"");
            self.events().say(format!("Deleting the existing snapshot {name} ..."));
            let call = self.arm.call(http::Method::DELETE, &id, Kind::Snapshot.api_version(), what);
            lro::run(&self.arm, &call).await?;
        }
        let call =
            self.compute.create_snapshot(&image.group, name, &facts.location, &self.tags(), disk_id).await?;
        let ticket =
            self.saga.journal().begin(Resource::new(Kind::Snapshot.word(), id.clone(), Lifetime::Product))?;
        self.create(ticket, &call).await?;
        self.events().message(format!(" -> Disk        : '{disk_id}'"));
        self.events().message(format!(" -> Snapshot ID : '{id}'"));
        Ok(())
    }

    async fn generalize(&self) -> Result<(), BuildError> {
        let names = self.names();
        self.events().say("Generalizing machine ...");
        let call = self.compute.generalize(&names.group, &names.machine).await?;
        lro::run(&self.arm, &call).await?;
        Ok(())
    }

    /// Returns the image as Azure shows it.
    async fn capture_image(&self, facts: &Facts, image: &ImageName) -> Result<Value, BuildError> {
        let (names, events) = (self.names(), self.events());
        events.say("Capturing image ...");
        events.message(format!(" -> Compute ResourceGroupName : '{}'", names.group));
        events.message(format!(" -> Compute Name              : '{}'", names.machine));
        events.message(format!(" -> Compute Location          : '{}'", facts.location));
        events.message(format!(" -> Image ResourceGroupName   : '{}'", image.group));
        events.message(format!(" -> Image Name                : '{}'", image.name));
        let id = id::resource(self.subscription(), &image.group, Kind::Image, &image.name);
        let spec = ImageSpec {
            location: facts.location.clone(),
            tags: self.tags(),
            machine_id: self.id(Kind::VirtualMachine, &names.machine),
            generation: facts.generation.clone(),
            zone_resilient: self.config().zone_resilient,
        };
        let call = self.compute.create_image(&image.group, &image.name, &spec).await?;
        // Announced before the old image goes: whoever reads the journal knows that this build was at it. The old
        // one carries another build's tag, so undo does not touch it.
        let resource = Resource::new(Kind::Image.word(), id, Lifetime::Product);
        let ticket = self.saga.journal().begin(resource.detail("replaces", facts.replaces_image))?;
        if facts.replaces_image {
            events.say("Deleting the existing managed image ...");
            let delete = self.compute.delete_image(&image.group, &image.name).await?;
            if let Err(error) = lro::run(&self.arm, &delete).await {
                return self.settle(ticket, Err(error));
            }
        }
        let captured = async {
            lro::run(&self.arm, &call).await?;
            self.verify_image(image, &call).await
        };
        self.settle(ticket, captured.await)
    }

    /// An image is reported only when it is there, finished, and this build's.
    async fn verify_image(&self, image: &ImageName, call: &Call) -> Result<Value, ArmError> {
        let get = self.compute.get_image(&image.group, &image.name).await?;
        let reply = self.arm.exchange(&get, tokio::time::Instant::now() + self.arm.limit()).await?;
        let found = reply.ok(&get.what)?.json();
        let protocol = |reason: String| ArmError::Protocol { what: call.what.clone(), reason };
        if found["tags"][BUILD_TAG].as_str() != Some(&self.builder.build_id) {
            return Err(protocol("the image that is there now was made by somebody else".into()));
        }
        match found["properties"]["provisioningState"].as_str() {
            None => Ok(found),
            Some(state) if state.eq_ignore_ascii_case("succeeded") => Ok(found),
            Some(state) => Err(protocol(format!("the image is {state:?} after its operation was finished"))),
        }
    }
}
