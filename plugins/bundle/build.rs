//! Compiles the built-in plugins to WebAssembly and hands their paths to the crate, which embeds them.
//!
//! The guests are built by a cargo of their own, in a target folder of their own: the cargo that runs this script holds
//! the lock of the usual one.

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: [&str; 3] = ["shell", "file", "manifest"];

/// Settings of the outer build that would be wrong for the guests, or would make cargo build them again and again.
const FOREIGN: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_TARGET",
    "LLVM_PROFILE_FILE",
];

fn main() {
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = manifest.join("../..");
    println!("cargo::rerun-if-env-changed=FORNAX_BUILTIN_PLUGINS");
    // Prebuilt components (NAME.wasm) for builds without the WebAssembly target.
    if let Some(folder) = std::env::var_os("FORNAX_BUILTIN_PLUGINS").map(PathBuf::from) {
        for name in PLUGINS {
            let path = folder.join(format!("{name}.wasm"));
            println!("cargo::rerun-if-changed={}", path.display());
            publish(name, &path);
        }
        return;
    }
    for watched in ["wit", "plugins/sdk", "plugins/shell", "plugins/file", "plugins/manifest", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    assert_target();
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let target_dir = out.ancestors().nth(4).expect("the target folder is above").join("plugins");
    let mut cargo = Command::new(std::env::var_os("CARGO").expect("cargo sets it"));
    cargo.args(["build", "--locked", "--profile", "plugin", "--target", TARGET]).current_dir(&root);
    cargo.arg("--target-dir").arg(&target_dir);
    for name in PLUGINS {
        cargo.arg("-p").arg(format!("fornax-plugin-{name}"));
    }
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(&name);
        }
    }
    let status = cargo.status().expect("the cargo that runs this script can be started again");
    assert!(status.success(), "the built-in plugins do not build; the lines above say why");
    for name in PLUGINS {
        publish(name, &target_dir.join(TARGET).join("plugin").join(format!("fornax_plugin_{name}.wasm")));
    }
}

fn assert_target() {
    let rustc = std::env::var_os("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let installed = output.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir());
    assert!(
        installed,
        "the Rust target {TARGET} is not installed, which the built-in plugins need: run `rustup target add {TARGET}`, or point FORNAX_BUILTIN_PLUGINS to prebuilt components"
    );
}

fn publish(name: &str, path: &Path) {
    println!("cargo::rustc-env=FORNAX_PLUGIN_{}={}", name.to_uppercase(), path.display());
}
