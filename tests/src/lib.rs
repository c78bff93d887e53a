//! The harness of the end-to-end tests: the real binary, a real simulator process over HTTPS, a fresh state folder.
//!
//! A test says what it runs and looks at what came out. Every output of every run is scanned for the secrets that the
//! harness planted, so that no test can forget to.

pub mod canary;
pub mod sshd;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A run that takes longer is killed and fails the test.
const LIMIT: Duration = Duration::from_secs(300);

/// The binary, built once a test process by the cargo that runs the tests.
pub fn fornax() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let root = workspace();
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells this test of its own crate would make build scripts run anew that look at it, and with them
        // most of the binary, each time that somebody builds it elsewhere.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name);
            }
        }
        let status = cargo
            .args(["build", "--quiet", "--locked", "-p", "fornax"])
            .current_dir(&root)
            .status()
            .expect("cargo runs the tests, so it can be started");
        assert!(status.success(), "the binary does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        root.join(target).join("debug/fornax")
    })
}

/// The root of the repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

/// What a finished process left.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect_says(self, text: &str) -> Self {
        assert!(
            self.all().contains(text),
            "nothing says {text:?}\nstdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A folder of its own, with a state folder in it, and the environment of the runs.
pub struct Lab {
    pub dir: TempDir,
    env: Vec<(String, String)>,
    canaries: Vec<String>,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let state = dir.path().join("state").display().to_string();
        Self { dir, env: vec![("FORNAX_STATE_DIR".into(), state)], canaries: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// From now on this value must not appear in any output or file of a run.
    pub fn canary(&mut self, value: &str) -> &mut Self {
        self.canaries.push(value.into());
        self
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("the temporary folder is writable");
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(fornax());
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for name in [
            "ARM_CLIENT_ID",
            "ARM_CLIENT_SECRET",
            "ARM_TENANT_ID",
            "ARM_SUBSCRIPTION_ID",
            "ARM_METADATA_URL",
            "FORNAX_LOG",
        ] {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(n, v)| (n, v)));
        command
    }

    /// Runs to the end and scans what came out for canaries.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = finish(
            self.command(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary starts"),
        );
        self.scan(&ran);
        ran
    }

    #[track_caller]
    pub fn scan(&self, ran: &Ran) {
        for canary in &self.canaries {
            assert!(!ran.all().contains(canary.as_str()), "a secret got into the output:\n{}", ran.all());
            for file in files_below(&self.state()) {
                let content = std::fs::read(&file).unwrap_or_default();
                assert!(
                    !content.windows(canary.len()).any(|w| w == canary.as_bytes()),
                    "a secret got into {}",
                    file.display()
                );
            }
        }
    }
}

/// All files below a folder; empty where there is none.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(|e| if e.path().is_dir() { files_below(&e.path()) } else { vec![e.path()] })
        .collect()
}

/// Waits for a child with piped output, within the limit.
#[track_caller]
pub fn finish(mut child: Child) -> Ran {
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = reader(child.stdout.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
    let stderr = reader(child.stderr.take().map(|p| Box::new(p) as Box<dyn Read + Send>));
    let start = Instant::now();
    // The readers end when the process closes its pipes, so waiting for them is waiting for it.
    while !(stdout.is_finished() && stderr.is_finished()) {
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("the run did not end within {LIMIT:?}");
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let status = child.wait().expect("the child is ours");
    Ran { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() }
}

/// A simulator process. It ends, with all its machines, when this is dropped.
pub struct Cloud {
    child: Child,
    ready: Value,
    ca: PathBuf,
}

impl Cloud {
    /// Starts `fornax simulator serve` and points the lab's environment at it.
    #[track_caller]
    pub fn start(lab: &mut Lab, args: &[&str]) -> Cloud {
        let ca = lab.path().join("ca.pem");
        let ca_text = ca.display().to_string();
        let mut all = vec!["simulator", "serve", "--listen", "127.0.0.1:0", "--ca-out", &ca_text];
        all.extend(args);
        let mut child = lab
            .command(&all)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the simulator says when it is ready");
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("not a line of JSON: {e}: {line:?}"));
        let cloud = Cloud { child, ready, ca };
        for (name, key) in [
            ("ARM_METADATA_URL", "metadata_host"),
            ("ARM_CLIENT_ID", "client_id"),
            ("ARM_CLIENT_SECRET", "client_secret"),
            ("ARM_TENANT_ID", "tenant_id"),
            ("ARM_SUBSCRIPTION_ID", "subscription_id"),
        ] {
            lab.set(name, cloud.text(key));
        }
        lab.set("SSL_CERT_FILE", &ca_text);
        lab.canary(cloud.text("client_secret"));
        cloud
    }

    #[track_caller]
    pub fn text(&self, key: &str) -> &str {
        self.ready[key]
            .as_str()
            .unwrap_or_else(|| panic!("the simulator's line has no {key}: {}", self.ready))
    }

    pub fn ssh_port(&self) -> u64 {
        self.ready["ssh_port"].as_u64().expect("the simulator's line has its SSH port")
    }

    /// What exists, seeded things included.
    #[track_caller]
    pub fn inventory(&self, lab: &Lab) -> Vec<Value> {
        let ca = self.ca.display().to_string();
        let args = ["simulator", "inventory", "--endpoint", self.text("endpoint"), "--ca", &ca];
        let ran = lab.run(&args).expect_code(0);
        serde_json::from_str(&ran.stdout).expect("the inventory is a JSON array")
    }

    /// The ids of what builds created and what still stands.
    #[track_caller]
    pub fn created(&self, lab: &Lab) -> Vec<String> {
        let client = self.text("client_id");
        self.inventory(lab)
            .iter()
            .filter(|r| r["createdBy"] == client)
            .map(|r| r["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A template with one azure-arm builder for the simulator; `extra` is JSON text such as `"provisioners": [...]`.
pub fn azure_template(cloud: &Cloud, builder_extra: &str, extra: &str) -> String {
    let port = cloud.ssh_port();
    format!(
        r#"{{
  "variables": {{
    "client_id": "{{{{env `ARM_CLIENT_ID`}}}}", "client_secret": "{{{{env `ARM_CLIENT_SECRET`}}}}",
    "tenant_id": "{{{{env `ARM_TENANT_ID`}}}}", "subscription_id": "{{{{env `ARM_SUBSCRIPTION_ID`}}}}"
  }},
  "sensitive-variables": ["client_secret"],
  "builders": [{{
    "name": "img", "type": "azure-arm",
    "client_id": "{{{{user `client_id`}}}}", "client_secret": "{{{{user `client_secret`}}}}",
    "tenant_id": "{{{{user `tenant_id`}}}}", "subscription_id": "{{{{user `subscription_id`}}}}",
    "os_type": "Linux", "location": "westeurope", "vm_size": "Standard_B1s", "ssh_port": {port},
    "managed_image_resource_group_name": "images", "managed_image_name": "img"
    {builder_extra}
  }}]
  {extra}
}}"#
    )
}

/// The usual marketplace source for [`azure_template`].
pub const DEBIAN: &str = r#", "image_publisher": "Debian", "image_offer": "debian-12", "image_sku": "12""#;

/// Says on standard error that a test could not run, and why; the test runner counts it.
pub fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// The cases of a table of the corpus, which lies beside the workspace. Without it the test says so and has none.
pub fn cases(table: &str) -> Vec<Value> {
    let path = workspace().join("../shared/corpus/cases").join(table);
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of the table is JSON"))
            .collect(),
        Err(error) => {
            skipped(table, &format!("../shared/corpus is not beside this checkout: {error}"));
            Vec::new()
        }
    }
}

/// The cases of one provisioner in the table of those for Windows.
pub fn windows_cases(provisioner: &str) -> Vec<Value> {
    let all = cases("windows_provisioners.jsonl");
    let chosen: Vec<Value> = all.iter().filter(|case| case["provisioner"] == provisioner).cloned().collect();
    assert_eq!(chosen.is_empty(), all.is_empty(), "the table has no case of {provisioner}");
    chosen
}
