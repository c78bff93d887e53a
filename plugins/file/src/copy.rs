//! The step itself. The bytes never enter this plugin: the host moves them between the paths that it is told.

use fornax_plugin_sdk::files::Workspace;
use fornax_plugin_sdk::machine::OutputMode;
use fornax_plugin_sdk::prelude::*;
use fornax_plugin_sdk::say;

use crate::Config;
use crate::paths::{
    Download, base_name, content_target, download, join, parent, shell_pattern, upload_target,
};

/// Matches of one pattern that are listed, in bytes of their names.
const LISTING: u32 = 1 << 20;
/// Folders within folders that are merged with what is there.
const DEPTH: usize = 64;

/// Uploads content or all sources.
pub fn upload(config: &Config, machine: &Machine) -> Result<()> {
    let destination = config.destination.as_str();
    if let Some(content) = config.content() {
        let to = content_target(destination);
        say(format!("Uploading content => {to}"));
        return machine.write(content, &to, 0o600).map(|_| ()).map_err(|error| upload_failed(error, &to));
    }
    for source in config.all_sources() {
        say(format!("Uploading {source} => {destination}"));
        let read = || files::open(source).and_then(|file| Ok((file.info()?.is_directory, file)));
        let (is_directory, file) =
            read().map_err(|error| error.context(format!("Upload failed: {source} can't be read")))?;
        let to = upload_target(source, is_directory, destination);
        machine.upload_file(&file, &to).map_err(|error| upload_failed(error, &to))?;
    }
    Ok(())
}

fn upload_failed(error: Error, to: &str) -> Error {
    if error.is(ErrorCode::NotFound) {
        return error.context(format!(
            "Upload failed: the folder {} does not exist on the machine; make it with a shell provisioner before",
            parent(to)
        ));
    }
    error.context("Upload failed")
}

/// Downloads all sources.
pub fn download_all(config: &Config, machine: &Machine) -> Result<()> {
    let workspace = files::step_workspace()?;
    let mut number = 0;
    for source in config.all_sources() {
        say(format!("Downloading {source} => {}", config.destination));
        match download(source, &config.destination) {
            Download::One { from, to } => one(machine, &workspace, &from, &to, &mut number)?,
            Download::Matching { pattern, folder } => {
                for from in matching(machine, &pattern)? {
                    one(machine, &workspace, &from, &join(&folder, base_name(&from)), &mut number)?;
                }
            }
        }
    }
    Ok(())
}

fn one(machine: &Machine, workspace: &Workspace, from: &str, to: &str, number: &mut usize) -> Result<()> {
    let name = format!("download-{number}");
    *number += 1;
    let failed = |error: Error| error.context(format!("Download failed: {from} => {to}"));
    machine.target().download(from, workspace, &name).map_err(failed)?;
    publish(workspace, &name, to, DEPTH).map_err(failed)?;
    workspace.remove(&name).map_err(failed)
}

/// Publishes a file or directory; what is in an existing directory already stays.
fn publish(workspace: &Workspace, name: &str, to: &str, depth: usize) -> Result<()> {
    let file = workspace.open(name)?;
    if !file.info()?.is_directory || !exists(to) {
        return workspace.publish(&file, to, true).map(|_| ());
    }
    if depth == 0 {
        return Err(Error::new(ErrorCode::TooLarge, format!("more than {DEPTH} folders within each other")));
    }
    for entry in workspace.entries(name)? {
        publish(workspace, &join(name, &entry.name), &join(to, &entry.name), depth - 1)?;
    }
    Ok(())
}

fn exists(path: &str) -> bool {
    files::open(path).is_ok()
}

/// The paths on the machine that match a pattern.
fn matching(machine: &Machine, pattern: &str) -> Result<Vec<String>> {
    let word = shell_pattern(pattern);
    let line = format!("for f in {word}; do if [ -e \"$f\" ]; then printf '%s\\000' \"$f\"; fi; done");
    let status = machine.target().exec(
        &fornax_plugin_sdk::machine::CommandLine::Raw(line),
        &fornax_plugin_sdk::machine::ExecOptions {
            output: OutputMode::Capture(LISTING),
            ..Default::default()
        },
    )?;
    if !status.success() {
        return Err(Error::command(format!("{pattern} can't be listed: {}", status.describe())));
    }
    if status.truncated {
        return Err(Error::new(ErrorCode::TooLarge, format!("too many files match {pattern}")));
    }
    let names = String::from_utf8(status.stdout)?;
    let found: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if found.is_empty() {
        return Err(Error::new(ErrorCode::NotFound, format!("Download failed: nothing matches {pattern}")));
    }
    Ok(found)
}
