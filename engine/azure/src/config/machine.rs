//! The machine itself: disks, data that it boots with, identities, diagnostics.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fornax_core::{Diagnostic, Secret};
use regex::Regex;

use super::checks::conflict;
use super::reader::{Reader, Word};

/// Azure takes so many bytes of custom data and of user data.
const MAX_DATA: usize = 65_535;

/// How long an operation may take unless the user says so.
pub const OPERATION_LIMIT: Duration = Duration::from_secs(15 * 60);

pub fn disk_size(r: &mut Reader) -> Option<i32> {
    let size = r.int("os_disk_size_gb").filter(|s| *s > 0)?;
    if size > 4095 {
        let summary = format!("\"os_disk_size_gb\" is {size}; an OS disk has at most 4095 GB");
        r.push(Diagnostic::error("azure/invalid-value", summary).at(&r.value_span("os_disk_size_gb")));
        return None;
    }
    i32::try_from(size).ok()
}

pub fn data_disks(r: &mut Reader) -> Vec<(i32, Option<i32>)> {
    let sizes = r.ints("disk_additional_size");
    let luns = r.ints("disk_additional_luns");
    let invalid = |summary: String, span: &fornax_core::Span| {
        Diagnostic::error("azure/invalid-value", summary).at(span)
    };
    let mut good = Vec::new();
    for (size, span) in &sizes {
        match i32::try_from(*size).ok().filter(|s| (1..=65_536).contains(s)) {
            Some(size) => good.push(size),
            None => r.push(invalid(format!("a data disk can't have {size} GB"), span)),
        }
    }
    if luns.is_empty() {
        return good.into_iter().map(|size| (size, None)).collect();
    }
    if sizes.len() != luns.len() {
        let summary = match sizes.len() {
            0 => "\"disk_additional_luns\" is given without disk_additional_size".to_owned(),
            n => format!("\"disk_additional_luns\" has {} entries and disk_additional_size {n}", luns.len()),
        };
        conflict(r, "disk_additional_luns", summary, "give each disk a size and a LUN");
        return Vec::new();
    }
    let mut seen: Vec<i64> = Vec::new();
    for (lun, span) in &luns {
        if !(0..=63).contains(lun) {
            r.push(invalid(
                format!("\"disk_additional_luns\" has {lun}; a LUN is a number from 0 to 63"),
                span,
            ));
        } else if seen.contains(lun) {
            r.push(invalid(format!("\"disk_additional_luns\" has {lun} twice"), span));
        }
        seen.push(*lun);
    }
    good.into_iter().zip(luns).map(|(size, (lun, _))| (size, i32::try_from(lun).ok())).collect()
}

/// Base64 of a text or of a file.
pub fn data(r: &mut Reader, key: &str, file_key: &str, working_dir: &Path) -> Option<Secret> {
    let inline = r.text(key);
    let file = r.word(file_key);
    if inline.is_some() && file.is_some() {
        conflict(
            r,
            file_key,
            format!("only one of \"{key}\" and \"{file_key}\" may be given"),
            "remove one of the two",
        );
        return None;
    }
    let (bytes, span) = if let Some((text, span)) = inline {
        let text = text.expose();
        // The option is documented as base64; who writes the text itself means it.
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        match BASE64.decode(&compact) {
            Ok(bytes) => (bytes, span),
            Err(_) => (text.into_bytes(), span),
        }
    } else {
        let word = file?;
        let path = working_dir.join(&word.value);
        match std::fs::read(&path) {
            Ok(bytes) => (bytes, word.span),
            Err(error) => {
                let summary = format!("\"{file_key}\" can't be read: {}: {error}", word.shown);
                r.push(
                    word.error("azure/file", summary)
                        .help("paths are relative to the folder that fornax runs in"),
                );
                return None;
            }
        }
    };
    if bytes.len() > MAX_DATA {
        let summary = format!("\"{key}\" has {} bytes; Azure takes at most {MAX_DATA}", bytes.len());
        r.push(Diagnostic::error("azure/invalid-value", summary).at(&span));
        return None;
    }
    Some(Secret::new(BASE64.encode(bytes)))
}

pub fn identities(r: &mut Reader) -> Vec<String> {
    static ID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[^/]+$",
        )
        .expect("a valid pattern")
    });
    let mut ids = Vec::new();
    for word in r.words("user_assigned_managed_identities") {
        if ID.is_match(&word.value) {
            ids.push(word.value);
        } else {
            let summary = format!(
                "\"user_assigned_managed_identities\" has \"{}\", which is no id of an identity",
                word.shown
            );
            r.push(word.error("azure/invalid-value", summary).help(
                "write /subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>",
            ));
        }
    }
    ids
}

pub fn storage_account(r: &mut Reader) -> Option<String> {
    let word = r.word("boot_diag_storage_account")?;
    let Word { value, shown, .. } = &word;
    // Packer's users write single letters in tests, but Azure wants three; the upper bound is the service's.
    if value.len() <= 24 && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
        return Some(word.value);
    }
    let summary = format!("\"boot_diag_storage_account\" can't be \"{shown}\"");
    r.push(
        word.error("azure/invalid-name", summary)
            .help("a storage account has 3 to 24 lower-case letters and digits"),
    );
    None
}

pub fn operation_limit(r: &mut Reader) -> Duration {
    let limit = r.duration("polling_duration_timeout").filter(|d| !d.is_zero());
    limit.unwrap_or(OPERATION_LIMIT)
}
