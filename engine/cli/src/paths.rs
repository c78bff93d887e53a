//! Where Fornax keeps things: journals in the state folder, compiled plugins and root file systems in the cache.

use std::path::PathBuf;

fn first(names: &[(&str, &str)]) -> Option<PathBuf> {
    names.iter().find_map(|(name, below)| {
        let value = std::env::var_os(name).filter(|v| !v.is_empty())?;
        Some(if below.is_empty() { PathBuf::from(value) } else { PathBuf::from(value).join(below) })
    })
}

/// `$FORNAX_STATE_DIR`, else `$XDG_STATE_HOME/fornax`, else `~/.local/state/fornax`.
pub fn state_dir() -> PathBuf {
    first(&[("FORNAX_STATE_DIR", ""), ("XDG_STATE_HOME", "fornax"), ("HOME", ".local/state/fornax")])
        .unwrap_or_else(|| std::env::temp_dir().join("fornax-state"))
}

/// `$FORNAX_CACHE_DIR`, else `$XDG_CACHE_HOME/fornax`, else `~/.cache/fornax`.
pub fn cache_dir() -> PathBuf {
    first(&[("FORNAX_CACHE_DIR", ""), ("XDG_CACHE_HOME", "fornax"), ("HOME", ".cache/fornax")])
        .unwrap_or_else(|| std::env::temp_dir().join("fornax-cache"))
}
