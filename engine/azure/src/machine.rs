//! The machine: its request, and the way into it. Connecting begins as soon as the service has accepted the machine,
//! long before it calls it finished; provisioning begins when both are done.

use std::sync::Arc;

use fornax_core::builder::BuildError;
use fornax_core::communicator::{Communicator, ConnectRequest, KeyKind, KeyPair};
use fornax_core::journal::{Lifetime, Resource};
use tokio::sync::oneshot;

use crate::client::{DataDisk, MachineSpec};
use crate::id::Kind;
use crate::lro;
use crate::network::Connected;
use crate::preflight::Facts;
use crate::run::Run;
use crate::waiting::InstanceView;

/// Who may log in.
pub struct Login {
    /// OpenSSH, one line.
    pub public: Option<String>,
    /// A pair made for this build.
    pub pair: Option<KeyPair>,
}

/// A machine that runs.
pub struct Machine {
    /// As Azure writes it.
    pub id: String,
    pub communicator: Option<Arc<dyn Communicator>>,
    pub os_disk_id: String,
    /// In the order of their LUNs.
    pub data_disk_ids: Vec<String>,
}

impl Run<'_> {
    /// The key that the machine will take: the user's, or one that is made now and never touches the disk.
    pub async fn key(&self, _facts: &Facts) -> Result<Login, BuildError> {
        let connector = self.builder.settings.connector.clone();
        let ssh = self.config().ssh.as_ref();
        if let Some(options) = ssh.filter(|o| o.private_key_file.is_some()) {
            let public = connector.public_key(options).await?;
            return Ok(Login { public, pair: None });
        }
        let (kind, bits) = ssh.map_or((KeyKind::Ed25519, None), |o| (o.key_kind, o.key_bits));
        let comment = format!("fornax {}", self.builder.build_id);
        // An RSA key takes a while; other builds go on meanwhile.
        let pair = tokio::task::spawn_blocking(move || connector.generate_key(kind, bits, &comment))
            .await
            .map_err(|e| BuildError::Failed(format!("making a key failed: {e}")))??;
        Ok(Login { public: Some(pair.public_openssh.trim().to_owned()), pair: Some(pair) })
    }

    pub async fn create_machine(
        &self,
        facts: &Facts,
        network: &Connected,
        login: &Login,
    ) -> Result<Machine, BuildError> {
        let spec = self.machine_spec(facts, network, login);
        let names = self.names();
        self.events().say("Creating virtual machine ...");
        self.events().message(format!(" -> ComputeName       : '{}'", names.machine));
        self.events().message(format!(" -> Size              : '{}'", spec.size));
        let (accepted, was_accepted) = oneshot::channel();
        // Each of the two ends the other when it fails: there is nobody to connect to, or nothing to wait for.
        let creating = self.arm.cancel().child_token();
        let connecting = self.arm.cancel().child_token();
        let (created, connected) = {
            let create = async {
                let arm = self.arm.with_cancel(creating.clone());
                let work = self.request_machine(&arm, &spec, accepted);
                let result = self.saga.step("Creating virtual machine", work).await;
                if result.is_err() {
                    connecting.cancel();
                }
                result
            };
            let connect = async {
                let Some(options) = &self.config().ssh else { return Ok(None) };
                if was_accepted.await.is_err() {
                    return Err(BuildError::Cancelled);
                }
                let work = self.connect(options, network, login, &connecting);
                let result = self.saga.step("Connecting to the machine", work).await;
                if result.is_err() {
                    creating.cancel();
                }
                result.map(Some)
            };
            tokio::join!(create, connect)
        };
        let created = match (created, &connected) {
            (Ok(created), _) => created,
            // The one that failed by itself says why; the other one was only told to stop.
            (Err(BuildError::Cancelled), Err(_)) => {
                return Err(connected.err().unwrap_or(BuildError::Cancelled));
            }
            (Err(error), connected) => {
                if let Ok(Some(machine)) = connected {
                    machine.close().await;
                }
                return Err(error);
            }
        };
        let communicator = connected?;
        self.events().say("Querying the machine's properties ...");
        let text = |pointer: &str| created.pointer(pointer).and_then(|v| v.as_str()).map(str::to_owned);
        let os_disk_id = text("/properties/storageProfile/osDisk/managedDisk/id")
            .unwrap_or_else(|| self.id(Kind::Disk, &names.os_disk));
        self.events().message(format!(" -> Managed OS Disk   : '{os_disk_id}'"));
        Ok(Machine {
            id: text("/id").unwrap_or_else(|| self.id(Kind::VirtualMachine, &names.machine)),
            communicator,
            os_disk_id,
            data_disk_ids: spec.data_disks.iter().map(|d| self.id(Kind::Disk, &d.name)).collect(),
        })
    }

    async fn request_machine(
        &self,
        arm: &crate::arm::Arm,
        spec: &MachineSpec,
        accepted: oneshot::Sender<()>,
    ) -> Result<serde_json::Value, BuildError> {
        let names = self.names();
        let call = self.compute.create_machine(&names.group, &names.machine, spec).await?;
        let journal = self.saga.journal();
        // The disks come into being with the machine, and go after it.
        let disk = |name: &str, lifetime| -> Resource {
            let mut disk = self.temporary(Kind::Disk, name).detail("implicit", true);
            disk.lifetime = lifetime;
            disk
        };
        let os_lifetime = if spec.keep_os_disk { Lifetime::Product } else { Lifetime::Temporary };
        let mut disks = vec![journal.begin(disk(&spec.os_disk_name, os_lifetime))?];
        for data in &spec.data_disks {
            disks.push(journal.begin(disk(&data.name, Lifetime::Temporary))?);
        }
        let used: Vec<_> = disks.iter().collect();
        let ticket = journal.begin_using(self.temporary(Kind::VirtualMachine, &names.machine), &used)?;
        // Until the machine is finished its user need not exist: whoever counts refused logins begins later.
        let counts = self.config().ssh.as_ref().is_some_and(|ssh| ssh.handshake_attempts.is_some());
        let mut accepted = Some(accepted);
        let mut tell = || accepted.take().map(|a| a.send(()));
        let result = match lro::start(arm, &call).await {
            Ok(operation) => {
                if !counts {
                    tell();
                }
                let result = operation.finish(arm).await;
                if result.is_ok() {
                    tell();
                }
                result
            }
            Err(error) => Err(error),
        };
        let result = result.map_err(|error| self.with_plan_hint(error));
        let refused = result.as_ref().err().is_some_and(|e| e.service().is_some());
        let value = self.settle(ticket, result);
        for disk in disks {
            match &value {
                Ok(_) => disk.done()?,
                Err(error) if refused => disk.failed(&error.to_string())?,
                Err(_) => {}
            }
        }
        value
    }

    /// The command that accepts the terms, with the plan in it.
    fn with_plan_hint(&self, error: crate::error::ArmError) -> crate::error::ArmError {
        use crate::error::ArmError;
        match (error, &self.config().plan) {
            (ArmError::Service(mut error), Some(plan)) => {
                let generic = error.hint.as_ref().is_some_and(|h| h.contains("terms accept"));
                if generic {
                    error.hint = Some(crate::preflight::accept_terms(plan));
                }
                ArmError::Service(error)
            }
            (error, _) => error,
        }
    }

    async fn connect(
        &self,
        options: &fornax_core::communicator::SshOptions,
        network: &Connected,
        login: &Login,
        cancel: &tokio_util::sync::CancellationToken,
    ) -> Result<Arc<dyn Communicator>, BuildError> {
        let names = self.names();
        let events = self.events();
        events.say("Getting the VM's IP address ...");
        let address = tokio::select! {
            address = self.await_address(network) => address?,
            () = cancel.cancelled() => return Err(BuildError::Cancelled),
        };
        if network.public_ip_id.is_some() {
            events.message(format!(" -> PublicIPAddressName : '{}'", names.public_ip));
        }
        events.message(format!(" -> NicName             : '{}'", names.nic));
        events.message(format!(" -> Network Connection  : '{}'", network.connection));
        events.message(format!(" -> IP Address          : '{address}'"));
        events.say("Waiting for SSH to become available...");
        let request = ConnectRequest {
            host: options.host.clone().unwrap_or(address),
            port: options.port,
            options: options.clone(),
            key: login.pair.clone(),
            events: events.clone(),
            cancel: cancel.clone(),
            why_waiting: Some(Arc::new(InstanceView::new(
                self.arm.with_cancel(cancel.clone()),
                self.compute.clone(),
                &names.group,
                &names.machine,
            ))),
        };
        let machine = self.builder.settings.connector.connect(request).await?;
        events.say("Connected to SSH!");
        Ok(machine)
    }

    fn machine_spec(&self, facts: &Facts, network: &Connected, login: &Login) -> MachineSpec {
        let (config, names) = (self.config(), self.names());
        let mut taken = facts.source_luns.clone();
        taken.extend(config.data_disks.iter().filter_map(|(_, lun)| *lun));
        let mut free = (0..).filter(|lun| !taken.contains(lun));
        let data_disks = config.data_disks.iter().enumerate().map(|(index, (size_gb, lun))| DataDisk {
            name: format!("{}-{}", names.data_disk, index + 1),
            lun: lun.or_else(|| free.next()).unwrap_or_default(),
            size_gb: *size_gb,
        });
        MachineSpec {
            location: facts.location.clone(),
            tags: self.working_tags(),
            size: config.vm_size.clone(),
            image: facts.source.clone(),
            plan: config.plan.clone(),
            computer_name: names.machine.clone(),
            admin_username: config.ssh.as_ref().map_or_else(|| "packer".into(), |ssh| ssh.username.clone()),
            admin_password: config.ssh.as_ref().and_then(|ssh| ssh.password.clone()),
            public_key: login.public.clone(),
            nic_id: network.nic_id.clone(),
            os_disk_name: names.os_disk.clone(),
            os_disk_size_gb: config.os_disk_size_gb,
            keep_os_disk: config.keep_os_disk,
            data_disks: data_disks.collect(),
            caching: config.caching.clone(),
            storage_account_type: config.storage_account_type.clone(),
            disk_controller_type: config.disk_controller_type.clone(),
            custom_data: config.custom_data.clone(),
            user_data: config.user_data.clone(),
            identities: config.identities.clone(),
            boot_diagnostics_uri: config
                .boot_diag_storage_account
                .as_ref()
                .map(|account| format!("https://{account}.blob.{}/", self.arm.cloud().storage_suffix)),
            license_type: config.license_type.clone(),
            encryption_at_host: config.encryption_at_host,
        }
    }
}
