//! The post-processors checksum, compress and artifice as real guests, and what a guest may name by rendering.

use std::io::Read;
use std::path::PathBuf;

use fornax_core::plugin::{Artifact, KeepPolicy, PluginError, Processed};

use super::*;
use crate::bindings::host::fornax::plugin::files::Host as _;
use crate::bindings::host::fornax::plugin::run::Host as _;
use crate::bindings::host::fornax::plugin::types::ErrorCode;
use crate::config::NamedTemplate;
use crate::host::testing_inner;
use crate::state::{Phase, State};

struct Bench {
    host: PluginHost,
    dir: tempfile::TempDir,
    sink: Arc<Sink>,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        // Compiled once for all tests of a run.
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugin-host-tests");
        std::fs::create_dir_all(&cache).expect("made");
        let host = host(&cache, |c| c.working_dir = dir.path().to_owned());
        let components: Vec<(&str, &'static [u8])> =
            fornax_plugin_bundle::components().iter().map(|c| (c.name, c.bytes)).collect();
        let problems = host.load_builtin(&components).await;
        assert!(problems.is_empty(), "{:?}", reasons(&problems));
        Self { host, dir, sink: Arc::default() }
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).expect("there")
    }

    async fn process(
        &self,
        name: &str,
        json: serde_json::Value,
        files: &[&str],
    ) -> Result<Processed, PluginError> {
        let extension = self.host.catalog().find(ExtensionKind::PostProcessor, name).expect("built in");
        let found = extension.prepare(&config(json.clone())).await?;
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        let input = Artifact {
            builder_id: "packer.file".into(),
            id: "File".into(),
            text: "Stored file".into(),
            files: files.iter().map(PathBuf::from).collect(),
            metadata: serde_json::Map::new(),
            simulated: false,
        };
        let context = step(&self.sink, self.dir.path(), Vec::new());
        extension.process(&config(json), context, &input).await
    }
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

#[tokio::test]
async fn checksums_are_appended() {
    let bench = Bench::new().await;
    bench.write("out/package.txt", "Hello world!");
    let digests = [
        ("md5", "86fb269d190d2c85f6e0468ceca42a20"),
        ("sha1", "d3486ae9136e7856bc42212385ea797094475802"),
        ("sha224", "7e81ebe9e604a0c97fef0e4cfe71f9ba0ecba13332bde953ad1c66e4"),
        ("sha256", "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a"),
        (
            "sha384",
            "86255fa2c36e4b30969eae17dc34c772cbebdfc58b58403900be87614eb1a34b8780263f255eb5e65ca9bbb8641cccfe",
        ),
        (
            "sha512",
            "f6cde2a0f819314cdde55fc227d8d7dae3d28cc556222a0a8ad66d91ccad4aad6094f517a2182360c9aacf6a3dc323162cb6fd8cdffedb0fe038f55e85ffb5b6",
        ),
    ];
    let types: Vec<&str> = digests.iter().map(|(name, _)| *name).collect();
    let json =
        serde_json::json!({"checksum_types": types, "output": "sums/{{.BuildName}}.{{.ChecksumType}}"});
    let processed = bench.process("checksum", json, &["out/package.txt"]).await.expect("written");
    for (name, digest) in digests {
        assert_eq!(bench.read(&format!("sums/b.{name}")), format!("{digest}\tpackage.txt\n"));
    }
    let artifact = processed.artifact.expect("a new one");
    assert_eq!(artifact.builder_id, "packer.post-processor.checksum");
    assert_eq!(artifact.files[0], PathBuf::from("out/package.txt"));
    assert_eq!(artifact.files.len(), 7);
    assert_eq!(processed.made, artifact.files[1..]);
    assert_eq!(processed.input, KeepPolicy::ForceKeep);

    // By default md5, into a file with a name of its own; a second run adds to it, and it is nobody's alone then.
    for run in 1..=2 {
        let processed =
            bench.process("checksum", serde_json::json!({}), &["out/package.txt"]).await.expect("written");
        let lines = bench.read("packer_b_null_md5.checksum");
        assert_eq!(lines, "86fb269d190d2c85f6e0468ceca42a20\tpackage.txt\n".repeat(run));
        assert_eq!(processed.made.len(), usize::from(run == 1));
    }
    // Two types in one file, which did not end with a line.
    bench.write("all", "mine");
    let json = serde_json::json!({"checksum_types": ["md5", "sha1"], "output": "all"});
    bench.process("checksum", json, &["out/package.txt"]).await.expect("written");
    let expected = format!("mine\n{}\tpackage.txt\n{}\tpackage.txt\n", digests[0].1, digests[1].1);
    assert_eq!(bench.read("all"), expected);

    let error = bench.process("checksum", serde_json::json!({}), &["missing"]).await.expect_err("missing");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn archives_are_packed_by_their_name() {
    let bench = Bench::new().await;
    bench.write("out/a.txt", "first");
    bench.write("out/b.txt", "second");
    let both = ["out/a.txt", "out/b.txt"];
    let processed =
        bench.process("compress", serde_json::json!({"output": "x/{{.BuilderType}}.zip"}), &both).await;
    let processed = processed.expect("packed");
    assert_eq!(processed.input, KeepPolicy::Discard);
    assert_eq!(processed.made, paths(&["x/null.zip"]));
    let artifact = processed.artifact.expect("a new one");
    assert_eq!(artifact.files, processed.made);
    assert_eq!(artifact.text, "compressed artifacts in: x/null.zip");
    let file = std::fs::File::open(bench.dir.path().join("x/null.zip")).expect("there");
    let mut archive = zip::ZipArchive::new(file).expect("a zip");
    let mut text = String::new();
    archive.by_name("out/b.txt").expect("an entry").read_to_string(&mut text).expect("read");
    assert_eq!(text, "second");

    bench.process("compress", serde_json::json!({"compression_level": 9}), &both).await.expect("packed");
    let file = std::fs::File::open(bench.dir.path().join("packer_b_null")).expect("there");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let names: Vec<PathBuf> = archive
        .entries()
        .expect("entries")
        .map(|entry| entry.expect("an entry").path().expect("a path").into_owned())
        .collect();
    assert_eq!(names, paths(&["a.txt", "b.txt"]));

    // A file may become what it was packed from.
    let json = serde_json::json!({"output": "out/a.txt", "format": "gz"});
    bench.process("compress", json, &["out/a.txt"]).await.expect("packed");
    let file = std::fs::File::open(bench.dir.path().join("out/a.txt")).expect("there");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("read");
    assert_eq!(text, "first");

    let error = bench.process("compress", serde_json::json!({"output": "x.xz"}), &both).await;
    let error = error.expect_err("two files").to_string();
    assert!(error.contains("1 input file") && error.contains("Found 2"), "{error}");
    assert!(!bench.dir.path().join("x.xz").exists());
}

#[tokio::test]
async fn compress_checks_its_options() {
    let bench = Bench::new().await;
    let extension = bench.host.catalog().find(ExtensionKind::PostProcessor, "compress").expect("built in");
    for (json, code) in [
        (serde_json::json!({"compression_level": -2}), "compress/level"),
        (serde_json::json!({"compression_level": 10}), "compress/level-too-high"),
        (serde_json::json!({"output": "x.tar.bz2"}), "compress/format-unknown"),
        (serde_json::json!({"format": "rar"}), "compress/format-unknown"),
    ] {
        let found = extension.prepare(&config(json)).await.expect("checked").findings;
        assert_eq!(found.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), [code]);
    }
}

#[tokio::test]
async fn artifice_finds_files_that_it_never_owns() {
    let bench = Bench::new().await;
    for name in ["made/2.bin", "made/1.bin", "made/1.txt", "other.bin"] {
        bench.write(name, name);
    }
    let json = serde_json::json!({"files": ["made/*.bin", "none*", "other.bin", "made/1.bin"]});
    let processed = bench.process("artifice", json, &["gone.txt"]).await.expect("found");
    let artifact = processed.artifact.expect("a new one");
    assert_eq!(artifact.files, paths(&["made/1.bin", "made/2.bin", "other.bin"]));
    assert!(processed.made.is_empty());
    assert_eq!(processed.input, KeepPolicy::Keep);
    let said = bench.sink.text();
    assert!(said.contains("No file matches none*") && said.contains("gone.txt"), "{said}");

    for (pattern, says) in [("none*", "No file matches none*"), ("made/[", "is no pattern")] {
        let error = bench.process("artifice", serde_json::json!({"files": [pattern]}), &[]).await;
        let PluginError::Failed { message, causes, .. } = error.expect_err("nothing") else { panic!() };
        assert!(format!("{message} {causes:?}").contains(says), "{message} {causes:?}");
    }
}

/// A state of a running post-processor with one output that is named once it is rendered.
fn state(dir: &Path) -> State {
    let inner = testing_inner(HostConfig { working_dir: dir.to_owned(), ..HostConfig::default() });
    let mut state = inner.bare_state("test/guest", Phase::Process, 1 << 20);
    state.step = Some(step(&Arc::default(), dir, Vec::new()));
    state.named_templates =
        vec![NamedTemplate { text: "out/{{.BuildName}}{{.Own}}".into(), output: true, glob: true }];
    state
}

#[tokio::test]
async fn rendering_names_what_the_template_says_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let cases: [(&str, &str, &str, bool); 6] = [
        ("out/{{.BuildName}}{{.Own}}", "b", ".txt", true),
        ("out/{{.BuildName}}{{.Own}}", "b", "/../../elsewhere", false),
        ("out/{{.BuildName}}{{.Own}}", "", "..", false),
        ("out/{{.BuildName}}{{.Own}}", "", "a\\b", false),
        ("{{.BuildName}}{{.Own}}", "b", ".txt", false),
        ("/etc/{{.BuildName}}{{.Own}}", "b", ".txt", false),
    ];
    for (template, name, own, named) in cases {
        let mut state = state(dir.path());
        let values = vec![("BuildName".to_owned(), name.to_owned()), ("Own".to_owned(), own.to_owned())];
        let rendered = state.render(template.to_owned(), values).await.expect("no trap").expect("rendered");
        assert_eq!(!state.host_outputs.is_empty(), named, "{template} {own}");
        let found = state.find(rendered.clone()).await.expect("no trap");
        assert_eq!(found.is_ok(), named, "{rendered}");
        let published = state.publish_file(dir.path().join("missing"), &rendered, true).await;
        let denied = published.expect_err("nothing is there").code == ErrorCode::Denied;
        assert_eq!(denied, !named, "{rendered}");
    }
}
