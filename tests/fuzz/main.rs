//! One fuzz target under libFuzzer: `FUZZ_TARGET` says which. The targets themselves, their seeds and the tokens of the
//! languages are those of the short run in `engine/core/tests/fuzz`.

#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../engine/core/tests/fuzz/mutate.rs"]
#[allow(dead_code)] // libFuzzer has mutations of its own, and takes the tokens only
mod mutate;
#[path = "../../engine/core/tests/fuzz/seeds.rs"]
#[allow(dead_code)]
mod seeds;
#[path = "../../engine/core/tests/fuzz/targets/mod.rs"]
mod targets;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// Finds the target, and writes its seeds and the dictionary to where the arguments let libFuzzer look for them.
fn prepare() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    let Some((_, target)) = targets::TARGETS.iter().find(|(n, _)| *n == name) else {
        eprintln!("there is no fuzz target {name:?}; set FUZZ_TARGET to one of {}", names.join(", "));
        std::process::exit(1);
    };
    TARGET.get_or_init(|| *target);
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else { return };
    let write = |name: String, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    };
    for (i, seed) in seeds::of(&name).iter().enumerate() {
        write(format!("seed-{i}"), seed);
    }
    let quoted = |token: &&str| token.bytes().map(|b| format!("\\x{b:02x}")).collect::<String>();
    let words: String = mutate::TOKENS.iter().map(|token| format!("\"{}\"\n", quoted(&token))).collect();
    write("../dictionary".to_owned(), words.as_bytes());
}

fuzz_target!(init: prepare(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        target(data);
    }
});
