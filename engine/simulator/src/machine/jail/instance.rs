//! One machine in a jail: its disk, its power, its captures.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::base::Prepared;
use super::folder::{self, io_error};
use super::helper::{Log, Running};
use super::uplink::Uplink;
use super::wire::{self, Disk, Order, Setup, UserSetup};
use super::{Image, Layer, Network, Shared, layer, provenance};
use crate::machine::{Captured, Machine, MachineError, MachineSpec, Stream};

/// Packing a large disk takes its time.
const PACK: Duration = Duration::from_secs(15 * 60);

pub struct JailMachine {
    me: Weak<JailMachine>,
    shared: Arc<Shared>,
    spec: MachineSpec,
    state: tokio::sync::Mutex<State>,
    door: Mutex<Door>,
}

/// What may be asked without waiting.
struct Door {
    control: Option<Arc<OwnedFd>>,
    status: String,
    log: Log,
}

struct State {
    /// Of the machine alone: the writable layer and the kernel's work folder. None once it is deleted.
    folder: Option<PathBuf>,
    base: Arc<Prepared>,
    /// Captured layers, uppermost first.
    layers: Vec<Arc<Layer>>,
    description: String,
    notes: Vec<String>,
    is_set_up: bool,
    power: Option<Power>,
    boots: u64,
}

struct Power {
    boot: u64,
    off: CancellationToken,
    watcher: JoinHandle<()>,
}

impl JailMachine {
    /// Makes the disk; the machine is off.
    pub fn new(
        shared: Arc<Shared>,
        spec: MachineSpec,
        base: Arc<Prepared>,
        layers: Vec<Arc<Layer>>,
        description: String,
    ) -> Result<Arc<Self>, MachineError> {
        let folder = shared.run.path().join("machines").join(Uuid::new_v4().to_string());
        std::fs::create_dir(&folder).map_err(io_error(&folder))?;
        for name in ["upper", "work"] {
            folder::create_owned(&folder.join(name), &shared.helper.ids)?;
        }
        let state = State {
            folder: Some(folder),
            base,
            layers,
            description,
            notes: Vec::new(),
            is_set_up: false,
            power: None,
            boots: 0,
        };
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            shared,
            spec,
            state: tokio::sync::Mutex::new(state),
            door: Mutex::new(Door { control: None, status: "stopped".to_owned(), log: Log::default() }),
        }))
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, status: &str) {
        let mut door = self.door();
        door.control = None;
        status.clone_into(&mut door.status);
    }

    async fn boot(&self, state: &mut State) -> Result<(), MachineError> {
        let folder = state.folder.as_ref().ok_or_else(deleted)?;
        let lower = state
            .layers
            .iter()
            .map(|layer| layer.content())
            .chain(state.base.lower.iter().cloned())
            .collect();
        let disk = Disk { lower, upper: folder.join("upper"), work: folder.join("work") };
        let mut order = Order::Boot { disk, own_network: false };
        let resolv_conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let (uplink, network) = match self.shared.network {
            Network::Auto => (Uplink::find(&resolv_conf), HOST_NETWORK),
            Network::Host => (None, HOST_NETWORK),
            Network::Isolated => (None, "no network but its own loopback"),
        };
        let own_network = uplink.is_some() || self.shared.network == Network::Isolated;
        let mut setup = Setup {
            own_network,
            hostname: self.spec.computer_name.clone(),
            resolv_conf: (self.shared.network != Network::Isolated).then_some(resolv_conf),
            user: (!state.is_set_up).then(|| UserSetup {
                name: self.spec.admin_username.clone(),
                password: self.spec.admin_password.clone(),
                authorized_keys: self.spec.ssh_public_keys.clone(),
                custom_data: self
                    .spec
                    .custom_data
                    .as_ref()
                    .map(|data| base64::engine::general_purpose::STANDARD.encode(data)),
            }),
            password_login: self.spec.admin_password.is_some(),
        };
        "booting".clone_into(&mut self.door().status);
        set_own_network(&mut order, own_network);
        let mut started = self.shared.helper.start(&order, &setup, uplink.as_ref()).await;
        let mut network = if uplink.is_some() { UPLINK } else { network }.to_owned();
        if let (Err(error), true) = (&started, uplink.is_some()) {
            // Whatever it was: with the host's network there is one thing less that can go wrong.
            network = format!("{HOST_NETWORK} ({error})");
            set_own_network(&mut order, false);
            setup.own_network = false;
            started = self.shared.helper.start(&order, &setup, None).await;
        }
        let (running, notes) = match started {
            Ok(started) => started,
            Err(error) => {
                self.close(&format!("did not boot: {error}"));
                return Err(error);
            }
        };
        state.is_set_up = true;
        state.boots += 1;
        state.notes = vec![network];
        state.notes.extend(notes);
        {
            let mut door = self.door();
            door.control = Some(running.control());
            door.log = running.log.clone();
            door.status = format!("running in a jail; {}, {}", super::SERVICES, state.notes.join(", "));
        }
        let off = CancellationToken::new();
        let watcher = tokio::spawn(watch(self.me.clone(), running, off.clone(), state.boots));
        state.power = Some(Power { boot: state.boots, off, watcher });
        Ok(())
    }

    async fn switch_off(&self, state: &mut State) {
        self.close("stopped");
        if let Some(power) = state.power.take() {
            power.off.cancel();
            // The watcher ends when the machine's last process has; a panic in it would have ended them too.
            let _ = power.watcher.await;
        }
    }

    /// The machine's processes ended by themselves. The future is boxed as it contains itself: a reboot boots.
    fn ended(self: Arc<Self>, boot: u64, reboot: bool) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            if state.power.as_ref().is_none_or(|power| power.boot != boot) {
                return;
            }
            state.power = None;
            if reboot && let Err(error) = self.boot(&mut state).await {
                tracing::warn!(machine = self.spec.id, %error, "a machine did not come back from its reboot");
            }
        })
    }
}

const HOST_NETWORK: &str = "the network is the host's";
const UPLINK: &str = "the network is its own, with a way out by pasta";

fn set_own_network(order: &mut Order, own: bool) {
    if let Order::Boot { own_network, .. } = order {
        *own_network = own;
    }
}

impl Drop for JailMachine {
    fn drop(&mut self) {
        if let Some(power) = self.state.get_mut().power.take() {
            power.off.cancel();
        }
    }
}

fn deleted() -> MachineError {
    MachineError::Failed("the machine is deleted".to_owned())
}

/// Follows a running machine to its end.
async fn watch(machine: Weak<JailMachine>, mut running: Running, off: CancellationToken, boot: u64) {
    let reboot = tokio::select! {
        () = off.cancelled() => None,
        reboot = running.ended() => Some(reboot),
    };
    if let Some(reboot) = reboot
        && let Some(machine) = machine.upgrade()
    {
        machine.close(if reboot { "rebooting" } else { "stopped from inside" });
        running.end().await;
        // In a task of its own: whoever holds the machine's state may be waiting for this one.
        tokio::spawn(machine.ended(boot, reboot));
    } else {
        running.end().await;
    }
}

#[async_trait]
impl Machine for JailMachine {
    async fn connect(&self) -> Result<Box<dyn Stream>, MachineError> {
        let failed = |source| MachineError::Io { what: "connection to the machine".to_owned(), source };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let control = self.door().control.clone().ok_or(MachineError::NotRunning)?;
        if wire::send(control.as_fd(), b"connect", Some(theirs.as_fd())).is_err() {
            // The machine has ended by itself, and its watcher has yet to see that.
            let mut door = self.door();
            if door.control.as_ref().is_some_and(|current| Arc::ptr_eq(current, &control)) {
                door.control = None;
            }
            return Err(MachineError::NotRunning);
        }
        Ok(Box::new(tokio::net::UnixStream::from_std(ours).map_err(failed)?))
    }

    fn status(&self) -> String {
        self.door().status.clone()
    }

    async fn start(&self) -> Result<(), MachineError> {
        let mut state = self.state.lock().await;
        if state.power.is_some() && self.door().control.is_some() {
            return Ok(());
        }
        // It may just have ended by itself, with nobody having put that down yet.
        self.switch_off(&mut state).await;
        self.boot(&mut state).await
    }

    async fn power_off(&self) -> Result<(), MachineError> {
        let mut state = self.state.lock().await;
        self.switch_off(&mut state).await;
        Ok(())
    }

    async fn restart(&self) -> Result<(), MachineError> {
        let mut state = self.state.lock().await;
        self.switch_off(&mut state).await;
        self.boot(&mut state).await
    }

    async fn capture(&self, image_id: &str) -> Result<Captured, MachineError> {
        let mut state = self.state.lock().await;
        if state.power.is_some() {
            return Err(MachineError::Failed(
                "the machine is running; an image can only be captured from a machine that is powered off"
                    .to_owned(),
            ));
        }
        let disk = state.folder.clone().ok_or_else(deleted)?;
        let handle = Uuid::new_v4().to_string();
        let layer = Layer { folder: self.shared.run.path().join("images").join(&handle) };
        std::fs::create_dir(&layer.folder).map_err(io_error(&layer.folder))?;
        let tarball = layer.tarball();
        let output = std::fs::File::create_new(&tarball).map_err(io_error(&tarball))?;
        let upper = disk.join("upper");
        self.shared.helper.run(&Order::Pack { from: upper.clone() }, Some(output), None, PACK).await?;
        std::fs::rename(&upper, layer.content()).map_err(io_error(&upper))?;
        // The machine goes on with a new layer above the sealed one.
        folder::create_owned(&upper, &self.shared.helper.ids)?;
        let below: Vec<PathBuf> = state
            .layers
            .iter()
            .map(|layer| layer.content())
            .chain(state.base.lower.iter().cloned())
            .collect();
        let names: Vec<String> =
            [&layer].into_iter().chain(state.layers.iter().map(Arc::as_ref)).map(Layer::name).collect();
        let content = layer.content();
        let (packed, lower) = (tarball.clone(), below.clone());
        let counted = tokio::task::spawn_blocking(move || {
            let bytes = packed.metadata()?.len();
            Ok((bytes, layer::changes(&packed, &lower)?, provenance::packages(&content, &lower)))
        });
        let (bytes, changes, packages) = counted
            .await
            .map_err(std::io::Error::other)
            .and_then(|result: std::io::Result<_>| result)
            .map_err(io_error(&tarball))?;
        let mut notes = vec![super::SERVICES.to_owned()];
        notes.extend(state.notes.iter().cloned());
        let provenance = json!({
            "machine": "jail",
            "executed": true,
            "image": image_id,
            "source": state.description,
            "base": state.base.description,
            "layers": names,
            "tarball": tarball,
            "bytes": bytes,
            "packages_added": packages.added,
            "packages_removed": packages.removed,
            "files_added": changes.added,
            "files_changed": changes.changed,
            "files_deleted": changes.deleted,
            "notes": notes,
        });
        state.layers.insert(0, Arc::new(layer));
        let image =
            Image { base: Arc::clone(&state.base), layers: state.layers.clone(), name: image_id.to_owned() };
        self.shared.images().insert(handle.clone(), image);
        Ok(Captured { handle, provenance })
    }

    async fn delete(&self) -> Result<(), MachineError> {
        let mut state = self.state.lock().await;
        self.switch_off(&mut state).await;
        self.close("deleted");
        if let Some(folder) = &state.folder {
            folder::remove(&self.shared.helper, folder).await?;
        }
        state.folder = None;
        let layers = std::mem::take(&mut state.layers);
        super::release(&self.shared.helper, layers).await
    }
}
