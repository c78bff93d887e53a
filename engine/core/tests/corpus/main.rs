//! Real templates and case tables with the answers of Packer 1.16, read from `../shared/corpus` beside the checkout.
//! `exceptions.json` lists the cases where we differ, each with its reason; a listed case that holds fails too.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

mod config;
mod conversions;
mod formatting;
mod hcl;
mod interpolation;
#[path = "../support/null_data.rs"]
mod null_data;
mod templates;

pub fn corpus(test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !path.is_dir() {
        eprintln!("SKIPPED: {test}: ../shared/corpus is not beside this checkout");
        return None;
    }
    Some(path)
}

pub fn lines(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .filter(|l| !l.trim().is_empty())
        .map(|l| serde_json::from_str(l).expect("a line of JSON"))
        .collect()
}

/// Compares failures with the listed exceptions.
pub fn judge(table: &str, failures: BTreeMap<String, String>) {
    let listed: Json =
        serde_json::from_str(include_str!("exceptions.json")).expect("the exceptions are JSON");
    let listed = listed[table].as_object().cloned().unwrap_or_default();
    let unexpected: Vec<String> = failures
        .iter()
        .filter(|(id, _)| !listed.contains_key(*id))
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    assert!(unexpected.is_empty(), "{} cases differ:\n{}", unexpected.len(), unexpected.join("\n"));
    let stale: Vec<&String> = listed.keys().filter(|id| !failures.contains_key(*id)).collect();
    assert!(stale.is_empty(), "listed as exceptions, but they hold: {stale:?}");
}
