//! What only a jail does: a real user land.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fornax_simulator::catalogue::{BaseSource, Catalogue};
use fornax_simulator::machine::jail::{Jail, JailConfig, Network};
use fornax_simulator::machine::{Base, Machine, MachineBackend};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::client::{Client, key, marketplace, spec};

/// A run folder of a test's own over the shared cache of root file systems.
pub struct Lab {
    folder: TempDir,
    jail: Arc<Jail>,
}

fn config(run_dir: &Path) -> JailConfig {
    let mut config = JailConfig::new(JailConfig::default_folder());
    config.run_dir = run_dir.to_owned();
    config.progress = Arc::new(|line| eprintln!("  {line}"));
    config
}

impl Lab {
    /// The reason where no jail can be made here.
    pub async fn new() -> Result<Self, String> {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut JailConfig)) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let attempt = async {
            let jail = Jail::new(config)?;
            jail.probe().await?;
            jail.prepare().await?;
            Ok::<_, fornax_simulator::machine::MachineError>(jail)
        };
        attempt.await.map(|jail| Self { folder, jail }).map_err(|error| error.to_string())
    }

    pub fn jail(&self) -> Arc<dyn MachineBackend> {
        self.jail.clone()
    }

    fn machines(&self) -> Vec<PathBuf> {
        let run = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        run.filter(|path| path.is_dir())
            .flat_map(|path| std::fs::read_dir(path.join("machines")).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect()
    }
}

async fn machine(lab: &Lab) -> (Arc<dyn Machine>, Client, russh::keys::PrivateKey) {
    let key = key();
    let machine = lab.jail.create(spec(&key, marketplace())).await.unwrap();
    let client = Client::open(machine.as_ref(), &key).await;
    (machine, client, key)
}

/// A package is installed, an image captured, and the next machine has it.
pub async fn users_and_packages_are_real() -> Result<(), String> {
    let lab = Lab::new().await?;
    let (machine, client, key) = machine(&lab).await;
    assert!(client.run("cat /etc/os-release").await.ok().contains("ID=debian"));
    assert_eq!(client.run("hostname").await.ok(), "vm-1\n");
    assert_eq!(
        client.run("stat -c %U:%a /usr/bin/sudo ~/.ssh/authorized_keys | tr '\\n' ' '").await.ok(),
        "root:4755 azureuser:600 "
    );
    client.run("sudo install -o www-data -g www-data -m 640 /dev/null /etc/of-www").await.ok();
    assert!(client.run("sudo cat /proc/1/comm; ls /proc | grep -c '^[0-9]'").await.exit == Some(0));
    let update = client.run("sudo apt-get update -q").await;
    if update.exit != Some(0) || update.stderr.contains("Failed to fetch") {
        return Err(format!(
            "no package mirror can be reached from inside: {}{}",
            update.stdout, update.stderr
        ));
    }
    let install = "sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -q nginx-light";
    client.run(install).await.ok();
    assert_eq!(client.run("systemctl is-enabled nginx").await.ok(), "enabled\n");
    client.run("sudo apt-get clean; sudo rm -r /usr/share/doc/sudo /var/lib/apt/lists; sudo mkdir /var/lib/apt/lists").await.ok();
    machine.power_off().await.unwrap();
    let captured = machine.capture("/images/web").await.unwrap();
    let seen = &captured.provenance;
    assert_eq!(seen["executed"], true);
    let packages = seen["packages_added"].as_array().unwrap();
    assert!(packages.iter().any(|package| package.as_str().unwrap().starts_with("nginx-light=")), "{seen:#}");
    assert!(
        seen["files_added"].as_u64().unwrap() > 20 && seen["files_deleted"].as_u64().unwrap() > 0,
        "{seen:#}"
    );
    let names = tar_names(Path::new(seen["tarball"].as_str().unwrap()));
    assert!(names.iter().any(|(name, _)| name == "usr/sbin/nginx"));
    assert!(names.iter().any(|(name, _)| name == "usr/share/doc/.wh.sudo"), "a deleted folder is not marked");
    assert!(names.contains(&("etc/of-www".to_owned(), 33)), "owners are lost");
    machine.delete().await.unwrap();

    let second =
        lab.jail.create(spec(&key, Base::Captured { handle: captured.handle.clone() })).await.unwrap();
    let client = Client::open(second.as_ref(), &key).await;
    assert!(client.run("/usr/sbin/nginx -v").await.stderr.contains("nginx/"));
    if second.status().contains("a way out by pasta") {
        client.run("sudo nginx -t").await.ok();
    } else {
        eprintln!("SKIPPED: nginx may not listen on its port here: {}", second.status());
    }
    assert_eq!(
        client.run("stat -c %U /etc/of-www; test -e /usr/share/doc/sudo || echo gone").await.ok(),
        "www-data\ngone\n"
    );
    second.delete().await.unwrap();
    Ok(())
}

fn tar_names(path: &Path) -> Vec<(String, u64)> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap());
    let name = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let entry = entry.unwrap();
        (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap())
    };
    archive.entries().unwrap().map(name).collect()
}

pub async fn the_agent_deprovisions() -> Result<(), String> {
    let lab = Lab::new().await?;
    let key = key();
    let mut spec_with_data = spec(&key, marketplace());
    spec_with_data.custom_data = Some(b"#cloud-config\n".to_vec());
    let machine = lab.jail.create(spec_with_data).await.unwrap();
    let client = Client::open(machine.as_ref(), &key).await;
    assert_eq!(client.run("sudo base64 -d /var/lib/waagent/CustomData").await.ok(), "#cloud-config\n");
    let script = "/usr/sbin/waagent -force -deprovision+user && export HISTSIZE=0 && sync";
    let done = client.run(&format!("sudo sh -c '{script}'")).await;
    assert_eq!(done.exit, Some(0), "{done:?}");
    assert_eq!(client.run("ls /etc/ssh | grep -c ssh_host; ls /home").await.stdout, "0\n");
    let refused = russh_refuses(machine.as_ref()).await;
    assert!(refused, "a machine without host keys must not accept a connection");
    machine.power_off().await.unwrap();
    let captured = machine.capture("image").await.unwrap();
    machine.delete().await.unwrap();
    let mut other = spec(&key, Base::Captured { handle: captured.handle });
    other.admin_username = "packer".to_owned();
    let second = lab.jail.create(other).await.unwrap();
    let stream = second.connect().await.unwrap();
    let client = Client::login(stream, "packer", &key).await.unwrap();
    assert_eq!(client.run("sudo -n id -un; getent passwd azureuser").await.stdout, "root\n");
    second.delete().await.unwrap();
    Ok(())
}

/// The server hangs up before it says who it is.
async fn russh_refuses(machine: &dyn Machine) -> bool {
    let mut reader = BufReader::new(machine.connect().await.unwrap());
    let mut line = Vec::new();
    !matches!(reader.read_until(b'\n', &mut line).await, Ok(1..))
}

pub async fn a_reboot_from_inside_comes_back() -> Result<(), String> {
    let lab = Lab::new().await?;
    let (machine, client, key) = machine(&lab).await;
    client.run("echo kept > ~/file; echo lost > /dev/shm/file; sync").await.ok();
    assert_eq!(client.run("sudo reboot").await.exit, None, "the connection must break");
    let client = reconnect(machine.as_ref(), &key).await;
    assert_eq!(client.run("cat ~/file; ls /dev/shm").await.ok(), "kept\n");
    client.run("sudo shutdown -h now").await;
    let stopped = async {
        while machine.connect().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("the machine does not stop");
    machine.start().await.unwrap();
    assert_eq!(Client::open(machine.as_ref(), &key).await.run("cat ~/file").await.ok(), "kept\n");
    machine.delete().await.unwrap();
    Ok(())
}

async fn reconnect(machine: &dyn Machine, key: &russh::keys::PrivateKey) -> Client {
    let attempt = async {
        loop {
            if let Ok(stream) = machine.connect().await
                && let Some(client) = Client::try_login(stream, key).await
            {
                return client;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), attempt).await.expect("the machine does not come back")
}

pub async fn services_are_left_alone() -> Result<(), String> {
    let lab = Lab::new().await?;
    let (machine, client, _) = machine(&lab).await;
    for command in ["daemon-reload", "start ssh", "restart ssh", "stop ssh", "enable ssh"] {
        let done = client.run(&format!("sudo systemctl {command}")).await;
        assert_eq!(done.exit, Some(0), "{command}: {done:?}");
    }
    assert!(machine.status().contains("enabled but not started"), "{}", machine.status());
    machine.delete().await.unwrap();
    Ok(())
}

pub async fn an_isolated_machine_has_no_way_out() -> Result<(), String> {
    let lab = Lab::with(|config| config.network = Network::Isolated).await?;
    let (machine, client, _) = machine(&lab).await;
    let interfaces = client.run("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await.ok();
    assert_eq!(interfaces, "lo\n");
    assert_eq!(
        client.run("bash -c 'echo > /dev/tcp/127.0.0.1/9' 2>&1 | grep -q refused").await.exit,
        Some(0)
    );
    machine.delete().await.unwrap();
    Ok(())
}

/// Processes that this one started, and those that they started.
fn descendants() -> Vec<u32> {
    let own = std::process::id();
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(pid);
    all.filter(|pid| *pid != own && descends_from(*pid, own)).collect()
}

fn descends_from(mut pid: u32, ancestor: u32) -> bool {
    while pid > 1 {
        if pid == ancestor {
            return true;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        pid = after.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    }
    false
}

pub async fn deleting_leaves_nothing() -> Result<(), String> {
    let lab = Lab::new().await?;
    let (machine, client, _) = machine(&lab).await;
    client.run("nohup sleep 1000 >/dev/null 2>&1 & echo started").await.ok();
    assert!(descendants().len() >= 5, "helper, first process, server, its session, sleep");
    assert_eq!(lab.machines().len(), 1);
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(lab.folder.path().to_str().unwrap()), "a mount is visible on the host");
    machine.delete().await.unwrap();
    machine.delete().await.unwrap();
    assert_eq!(descendants(), Vec::<u32>::new());
    assert_eq!(lab.machines(), Vec::<PathBuf>::new());
    assert!(machine.start().await.is_err());
    let path = lab.folder.path().to_owned();
    drop((machine, client));
    let Lab { folder, jail } = lab;
    drop(jail);
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "the run folder is not empty");
    drop(folder);
    Ok(())
}

const VICTIM: &str = "FORNAX_TEST_VICTIM";

/// The test program as a victim: it makes a machine in a run folder, says so, and waits for its death.
pub fn victim_if_requested() -> Option<ExitCode> {
    let run_dir = std::env::var_os(VICTIM)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let jail = Jail::new(config(Path::new(&run_dir))).unwrap();
        let key = key();
        let machine = jail.create(spec(&key, marketplace())).await.unwrap();
        let client = Client::open(machine.as_ref(), &key).await;
        client.run("setsid sleep 1000 >/dev/null 2>&1 & echo").await.ok();
        println!("ready {}", descendants().iter().map(u32::to_string).collect::<Vec<_>>().join(" "));
        std::future::pending::<()>().await;
    });
    None
}

pub async fn nothing_survives_the_death_of_the_process() -> Result<(), String> {
    let lab = Lab::new().await?;
    let run_dir = tempfile::tempdir().unwrap();
    let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap())
        .env(VICTIM, run_dir.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    let pids: Vec<&str> = line.strip_prefix("ready ").unwrap().split(' ').collect();
    assert!(pids.len() >= 5, "{line}");
    victim.start_kill().unwrap();
    victim.wait().await.unwrap();
    let gone = async {
        while pids.iter().any(|pid| Path::new("/proc").join(pid).exists()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("processes outlive the simulator");
    assert!(std::fs::read_dir(run_dir.path()).unwrap().count() >= 2, "the victim left a lock and a folder");
    // The next process sweeps.
    drop(Jail::new(config(run_dir.path())).unwrap());
    assert_eq!(std::fs::read_dir(run_dir.path()).unwrap().count(), 0);
    drop(lab);
    Ok(())
}

/// The archive in the cache, as a tarball that the user named.
pub async fn a_tarball_can_be_the_base() -> Result<(), String> {
    let bases = JailConfig::default_folder().join("bases");
    let lab = Lab::new().await?;
    let is_archive = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(".tar.zst"));
    let archive =
        std::fs::read_dir(bases).unwrap().map(|entry| entry.unwrap().path()).find(is_archive).unwrap();
    drop(lab);
    let cache = tempfile::tempdir().unwrap();
    let lab = Lab::with(|config| {
        config.catalogue = Catalogue::of(BaseSource::Tarball(archive));
        config.cache_dir = cache.path().to_owned();
    })
    .await?;
    let (machine, client, _) = machine(&lab).await;
    assert_eq!(client.run("sudo -n id -un").await.ok(), "root\n");
    machine.delete().await.unwrap();
    lab.jail.clear_cache().await.unwrap();
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    Ok(())
}

pub async fn a_base_that_cannot_boot_says_why() -> Result<(), String> {
    let _ = Lab::new().await?;
    let (small, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(small.path().join("etc/ssh")).unwrap();
    let source = BaseSource::Directory(small.path().to_owned());
    let lab = Lab::with(|config| {
        config.catalogue = Catalogue::of(source);
        config.cache_dir = cache.path().to_owned();
    })
    .await?;
    let error = lab.jail.create(spec(&key(), marketplace())).await.err().unwrap().to_string();
    assert!(error.contains("ssh-keygen"), "{error}");
    assert!(lab.machines().is_empty(), "a machine that did not boot left its disk");
    lab.jail.clear_cache().await.unwrap();
    Ok(())
}
