//! Compiles the built-in plugins to WebAssembly and hands their paths to the crate, which embeds them.
//!
//! The guests are built by a cargo of their own, in a target folder of their own: the cargo that runs this script holds
//! the lock of the usual one.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: [&str; 12] = [
    "shell",
    "file",
    "manifest",
    "shell-local",
    "breakpoint",
    "sleep",
    "checksum",
    "compress",
    "artifice",
    "powershell",
    "windows-shell",
    "windows-restart",
];

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

/// What the guests are made from. Their tests are not among it: a change there builds nothing again.
const SOURCES: [&str; 44] = [
    "wit",
    "Cargo.toml",
    "Cargo.lock",
    "plugins/sdk/src",
    "plugins/sdk/build.rs",
    "plugins/sdk/Cargo.toml",
    "plugins/shell/src",
    "plugins/shell/README.md",
    "plugins/shell/Cargo.toml",
    "plugins/file/src",
    "plugins/file/README.md",
    "plugins/file/Cargo.toml",
    "plugins/manifest/src",
    "plugins/manifest/README.md",
    "plugins/manifest/Cargo.toml",
    "plugins/shell-local/src",
    "plugins/shell-local/README.md",
    "plugins/shell-local/Cargo.toml",
    "plugins/breakpoint/src",
    "plugins/breakpoint/README.md",
    "plugins/breakpoint/Cargo.toml",
    "plugins/sleep/src",
    "plugins/sleep/README.md",
    "plugins/sleep/Cargo.toml",
    "plugins/checksum/src",
    "plugins/checksum/README.md",
    "plugins/checksum/Cargo.toml",
    "plugins/compress/src",
    "plugins/compress/README.md",
    "plugins/compress/Cargo.toml",
    "plugins/artifice/src",
    "plugins/artifice/README.md",
    "plugins/artifice/Cargo.toml",
    "plugins/scripts/src",
    "plugins/scripts/Cargo.toml",
    "plugins/powershell/src",
    "plugins/powershell/README.md",
    "plugins/powershell/Cargo.toml",
    "plugins/windows-shell/src",
    "plugins/windows-shell/README.md",
    "plugins/windows-shell/Cargo.toml",
    "plugins/windows-restart/src",
    "plugins/windows-restart/README.md",
    "plugins/windows-restart/Cargo.toml",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=FORNAX_BUILTIN_PLUGINS");
    // Prebuilt components (NAME.wasm) for builds without the WebAssembly target.
    if let Some(folder) = std::env::var_os("FORNAX_BUILTIN_PLUGINS").map(PathBuf::from) {
        return PLUGINS.iter().try_for_each(|name| {
            let path = folder.join(format!("{name}.wasm"));
            println!("cargo::rerun-if-changed={}", path.display());
            publish(name, &path)
        });
    }
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    require_target()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    // OUT_DIR is TARGET/PROFILE/build/PACKAGE/out.
    let target_dir = out.ancestors().nth(4).ok_or("OUT_DIR is not below a target folder")?.join("plugins");
    let mut cargo = Command::new(variable("CARGO")?);
    // `--offline` of the outer call is not passed on by cargo, but with `--locked` and the dependencies of the outer
    // build at hand nothing is fetched; CARGO_NET_OFFLINE is inherited.
    cargo.args(["build", "--locked", "--profile", "plugin", "--target", TARGET]).current_dir(&root);
    cargo.arg("--target-dir").arg(&target_dir);
    for name in PLUGINS {
        cargo.arg("-p").arg(format!("fornax-plugin-{name}"));
    }
    let profile = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("CARGO_PROFILE_");
    for name in std::env::vars_os().map(|(name, _)| name).filter(|name| profile(name)) {
        cargo.env_remove(name);
    }
    for name in FOREIGN {
        cargo.env_remove(name);
    }
    let status = cargo.status().map_err(|error| format!("cargo can't be started: {error}"))?;
    if !status.success() {
        return Err("the built-in plugins do not build; the lines above say why".into());
    }
    let built = target_dir.join(TARGET).join("plugin");
    PLUGINS.iter().try_for_each(|name| {
        publish(name, &built.join(format!("fornax_plugin_{}.wasm", name.replace('-', "_"))))
    })
}

fn variable(name: &str) -> Result<std::ffi::OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("cargo did not set {name}"))
}

fn require_target() -> Result<(), String> {
    let output =
        Command::new(variable("RUSTC")?).args(["--print", "target-libdir", "--target", TARGET]).output();
    let installed = output.is_ok_and(|o| Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir());
    if installed {
        return Ok(());
    }
    Err(format!(
        "the Rust target {TARGET} is not installed, which the built-in plugins need: run `rustup target add {TARGET}`, \
         or let FORNAX_BUILTIN_PLUGINS name a folder with prebuilt components"
    ))
}

fn publish(name: &str, path: &Path) -> Result<(), String> {
    if !path.is_file() {
        return Err(format!("{} is missing", path.display()));
    }
    let variable = name.to_uppercase().replace('-', "_");
    println!("cargo::rustc-env=FORNAX_PLUGIN_{variable}={}", path.display());
    Ok(())
}
