//! Rules that a machine can check: which crate may know which, and that documents and sources keep their form.

use std::path::{Path, PathBuf};

use fornax_tests::workspace;

fn manifest(folder: &str) -> String {
    let path = workspace().join(folder).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The crates of ours that a manifest names among its dependencies (not its dev-dependencies).
fn ours(folder: &str) -> Vec<String> {
    let manifest = manifest(folder);
    let start = manifest.find("[dependencies]").map_or(manifest.len(), |at| at + 14);
    let rest = &manifest[start..];
    let end = rest.find("\n[").unwrap_or(rest.len());
    rest[..end]
        .lines()
        .filter_map(|l| l.split(['.', ' ', '=']).next())
        .filter(|n| n.starts_with("fornax"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn dependencies_point_inwards() {
    for (folder, allowed) in [
        ("engine/core", &[][..]),
        ("engine/simulator", &[]),
        ("engine/azure", &["fornax-core"]),
        ("engine/communicator", &["fornax-core"]),
        ("engine/plugin-host", &["fornax-core"]),
        ("plugins/sdk", &[]),
        ("plugins/scripts", &["fornax-plugin-sdk"]),
        ("plugins/shell", &["fornax-plugin-sdk", "fornax-plugin-scripts"]),
        ("plugins/powershell", &["fornax-plugin-sdk", "fornax-plugin-scripts"]),
        ("plugins/windows-shell", &["fornax-plugin-sdk", "fornax-plugin-scripts"]),
        ("plugins/windows-restart", &["fornax-plugin-sdk"]),
        ("plugins/file", &["fornax-plugin-sdk"]),
        ("plugins/manifest", &["fornax-plugin-sdk"]),
        ("plugins/shell-local", &["fornax-plugin-sdk", "fornax-plugin-scripts"]),
        ("plugins/breakpoint", &["fornax-plugin-sdk"]),
        ("plugins/sleep", &["fornax-plugin-sdk"]),
    ] {
        for name in ours(folder) {
            assert!(allowed.contains(&name.as_str()), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn the_core_has_no_input_and_output() {
    // Unit tests may read the tables that they hold against.
    let is_test = |file: &std::path::Path| file.components().any(|part| part.as_os_str() == "tests");
    for file in sources("engine/core/src").iter().filter(|file| !is_test(file)) {
        let text = read(file);
        for word in
            ["std::fs::", "std::net::", "std::env::var", "println!(", "eprintln!(", "tokio::net", "tokio::fs"]
        {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

#[test]
fn every_source_says_what_it_is_for() {
    for folder in ["engine", "plugins", "tests", "examples"] {
        // Unit tests that stand in files of their own are told by what they test.
        let is_test =
            |f: &PathBuf| f.ends_with("tests.rs") || f.components().any(|c| c.as_os_str() == "tests");
        for file in sources(folder).into_iter().filter(|f| folder == "tests" || !is_test(f)) {
            assert!(read(&file).starts_with("//!"), "{} does not open with what it is for", file.display());
        }
    }
}

#[test]
fn only_the_client_names_the_sdk() {
    for file in sources("engine") {
        if read(&file).contains("azure_mgmt_compute::") {
            let path = file.display().to_string();
            assert!(path.contains("engine/azure/src/client"), "{path} names the SDK");
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Rust files below a folder, build output left out.
fn sources(folder: &str) -> Vec<PathBuf> {
    fornax_tests::files_below(&workspace().join(folder))
        .into_iter()
        .filter(|f| {
            f.extension().is_some_and(|e| e == "rs") && !f.components().any(|c| c.as_os_str() == "target")
        })
        .collect()
}
