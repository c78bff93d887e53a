//! The built-in plugins as real guests: shell, file and manifest against a machine that runs what it is told. A canary
//! goes through each of them and must be found at its destination only.

use std::path::PathBuf;

use fornax_core::Secret;
use fornax_core::plugin::{Artifact, KeepPolicy, PluginError, StepContext};
use fornax_core::value::Text;

use super::*;

const CANARY: &str = "c4n'ary \"$(id)` \\ € 'end";

async fn builtin(cache: &Path, working_dir: &Path) -> PluginHost {
    let host = host(cache, |c| c.working_dir = working_dir.to_owned());
    let components: Vec<(&str, &'static [u8])> =
        fornax_plugin_bundle::components().iter().map(|c| (c.name, c.bytes)).collect();
    let problems = host.load_builtin(&components).await;
    assert!(problems.is_empty(), "{:?}", reasons(&problems));
    host
}

/// Compiled once for all tests of a run.
pub(super) fn cache() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/plugin-host-tests");
    std::fs::create_dir_all(&dir).expect("made");
    dir
}

struct Bench {
    host: PluginHost,
    dir: tempfile::TempDir,
    sink: Arc<Sink>,
    machine: Arc<LocalMachine>,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let host = builtin(&cache(), dir.path()).await;
        Self { host, dir, sink: Arc::default(), machine: Arc::default() }
    }

    fn context(&self) -> StepContext {
        step(&self.sink, self.dir.path(), vec![("pw".into(), Text::secret(Secret::new(CANARY)))])
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    async fn provision(&self, name: &str, json: serde_json::Value) -> Result<(), PluginError> {
        let extension = self.host.catalog().find(ExtensionKind::Provisioner, name).expect("built in");
        let found = extension.prepare(&config(json.clone())).await?;
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        extension.provision(&config(json), self.context(), Some(self.machine.clone())).await.map(|_| ())
    }

    /// No event shows the canary, or a placeholder that nobody could make sense of.
    fn assert_clean(&self) {
        let text = self.sink.text();
        assert!(!text.contains("ary \\\"$(id)") && !text.contains("sealed_"), "{text}");
    }
}

#[tokio::test]
async fn shell_runs_scripts_with_secrets() {
    let bench = Bench::new().await;
    let digest = "printf %s \"$PW\" | sha256sum | cut -c1-64";
    let json = serde_json::json!({
        "inline": ["echo hello", "echo \"$PW\"", digest],
        "environment_vars": [format!("PW=@{{{CANARY}}}")],
        "remote_folder": bench.dir.path(),
    });
    bench.provision("shell", json).await.expect("runs");
    let lines = bench.sink.lines();
    assert_eq!(lines, ["hello", "<sensitive>", &crate::plugin::digest(CANARY.as_bytes())]);
    bench.assert_clean();
    assert_eq!(std::fs::read_dir(bench.dir.path()).expect("there").count(), 0, "the script remains");
}

#[tokio::test]
async fn shell_with_a_command_of_its_own() {
    let bench = Bench::new().await;
    std::fs::write(bench.path("s.sh"), "printf %s \"$PW\" | sha256sum | cut -c1-64\r\n").expect("written");
    let json = serde_json::json!({
        "script": "s.sh",
        "env": {"PW": format!("@{{{CANARY}}}")},
        "execute_command": "chmod +x {{ .Path }}; env {{ .Vars }} sh '{{ .Path }}'",
        "remote_path": bench.path("remote.sh"),
    });
    bench.provision("shell", json).await.expect("runs");
    assert_eq!(bench.sink.lines(), [crate::plugin::digest(CANARY.as_bytes())]);
    bench.assert_clean();
}

#[tokio::test]
async fn shell_reports_the_exit_code() {
    let bench = Bench::new().await;
    let json = serde_json::json!({"inline": ["exit 3"], "remote_folder": bench.dir.path()});
    let error = bench.provision("shell", json).await.expect_err("fails");
    assert!(matches!(error, PluginError::Failed { .. }) && error.to_string().contains('3'), "{error}");
}

#[tokio::test]
async fn shell_opens_only_what_it_names() {
    let bench = Bench::new().await;
    let json = serde_json::json!({"script": "missing.sh", "remote_folder": bench.dir.path()});
    let extension = bench.host.catalog().find(ExtensionKind::Provisioner, "shell").expect("built in");
    let error = extension
        .provision(&config(json), bench.context(), Some(bench.machine.clone()))
        .await
        .expect_err("missing");
    assert!(error.to_string().contains("missing.sh"), "{error}");
}

#[tokio::test]
async fn shell_is_cancelled() {
    let bench = Bench::new().await;
    let json =
        serde_json::json!({"inline": ["echo started", "exec sleep 3600"], "remote_folder": bench.dir.path()});
    let extension = bench.host.catalog().find(ExtensionKind::Provisioner, "shell").expect("built in");
    let context = bench.context();
    let (cancel, sink) = (context.cancel.clone(), Arc::clone(&bench.sink));
    tokio::spawn(async move {
        while sink.lines().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    });
    let error = extension
        .provision(&config(json), context, Some(bench.machine.clone()))
        .await
        .expect_err("cancelled");
    assert!(matches!(error, PluginError::Cancelled), "{error:?}");
}

#[tokio::test]
async fn file_goes_up_and_down() {
    let bench = Bench::new().await;
    std::fs::write(bench.path("up.txt"), "content").expect("written");
    let json = serde_json::json!({"source": "up.txt", "destination": bench.path("remote.txt")});
    bench.provision("file", json).await.expect("uploaded");
    assert_eq!(std::fs::read_to_string(bench.path("remote.txt")).expect("there"), "content");
    let json = serde_json::json!({"direction": "download", "source": bench.path("remote.txt"), "destination": "down.txt"});
    bench.provision("file", json).await.expect("downloaded");
    assert_eq!(std::fs::read_to_string(bench.path("down.txt")).expect("there"), "content");
    let json =
        serde_json::json!({"content": format!("pw=@{{{CANARY}}}"), "destination": bench.path("c.txt")});
    bench.provision("file", json).await.expect("uploaded");
    assert_eq!(std::fs::read_to_string(bench.path("c.txt")).expect("there"), format!("pw={CANARY}"));
    bench.assert_clean();
}

#[tokio::test]
async fn manifest_is_written() {
    let bench = Bench::new().await;
    let extension = bench.host.catalog().find(ExtensionKind::PostProcessor, "manifest").expect("built in");
    let input = Artifact {
        builder_id: "Azure.ResourceManagement.VMImage".into(),
        id: "/subscriptions/x".into(),
        text: "an image".into(),
        files: Vec::new(),
        metadata: serde_json::Map::new(),
        simulated: false,
    };
    for _ in 0..2 {
        let json = serde_json::json!({"output": "m.json", "custom_data": {"pw": format!("@{{{CANARY}}}"), "a": "b"}});
        let processed = extension.process(&config(json), bench.context(), &input).await.expect("written");
        assert_ne!(processed.input, KeepPolicy::Discard);
    }
    let text = std::fs::read_to_string(bench.path("m.json")).expect("written");
    let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(manifest["builds"].as_array().map(Vec::len), Some(2), "{text}");
    assert_eq!(manifest["builds"][0]["artifact_id"], "/subscriptions/x");
    assert!(!text.contains("(id)") && !text.contains("sealed_"), "{text}");
    assert_eq!(manifest["builds"][0]["custom_data"]["pw"], "<sensitive>");
    bench.assert_clean();
}

/// Run with `--release --ignored --nocapture`: what a warm step costs beyond the work itself.
#[tokio::test]
#[ignore = "a measurement"]
async fn measure_a_warm_step() {
    let bench = Bench::new().await;
    let extension = bench.host.catalog().find(ExtensionKind::Provisioner, "shell").expect("built in");
    let json = config(serde_json::json!({"inline": ["true"]}));
    extension.prepare(&json).await.expect("warm");
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        extension.prepare(&json).await.expect("checks");
        times.push(start.elapsed());
    }
    times.sort();
    let start = Instant::now();
    let again = builtin(&cache(), bench.dir.path()).await;
    let loaded = start.elapsed();
    let start = Instant::now();
    let extension = again.catalog().find(ExtensionKind::Provisioner, "shell").expect("built in");
    extension.prepare(&json).await.expect("checks");
    println!(
        "instantiate and prepare: median {:?}, 95 % {:?}; load three plugins warm {loaded:?}; first call warm {:?}",
        times[250],
        times[475],
        start.elapsed()
    );
}
