//! Publishing: the only way from a step's folder to a place that the configuration names. A file appears whole or not at
//! all, and never with a placeholder or a secret in it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::config::absolute;
use crate::state::State;
use crate::workspace::copy_tree;

/// Larger texts are published as they are.
const MASKED: u64 = 16 * 1024 * 1024;

impl State {
    pub(crate) async fn publish_file(
        &mut self,
        source: PathBuf,
        output: &str,
        replace: bool,
    ) -> Result<String, Error> {
        self.only_while_working("workspace.publish")?;
        let target = absolute(&self.working_dir, output);
        if self.named_output(&target).is_none() {
            return Err(self.error(
                ErrorCode::Denied,
                format!("{output} is not an output that the configuration names"),
            ));
        }
        let masked = self.masked_copy(&source)?;
        let source = masked.as_ref().map_or(source, |file| file.path().to_owned());
        let work = tokio::task::spawn_blocking(move || publish(&source, &target, replace));
        match self.stop(false, None).run("publishing", work).await? {
            Ok(Ok(())) => {
                self.shared
                    .published
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(PathBuf::from(output));
                Ok(output.to_owned())
            }
            Ok(Err(error)) => Err(self.io_error(&format!("{output} can't be written"), &error)),
            Err(error) => Err(self.error(ErrorCode::Other, format!("{output} can't be written: {error}"))),
        }
    }

    /// Placeholders mean nothing outside of this instance, and a published file is no destination of a secret: a text
    /// with placeholders is published with the usual mask in their place.
    fn masked_copy(&self, source: &Path) -> Result<Option<tempfile::NamedTempFile>, Error> {
        let small = source.metadata().is_ok_and(|m| m.is_file() && m.len() <= MASKED);
        let Some(text) = small.then(|| std::fs::read_to_string(source).ok()).flatten() else {
            return Ok(None);
        };
        if !self.sealer.text(&text).is_sensitive() {
            return Ok(None);
        }
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(self.shared.folder()?.parts())?;
            file.write_all(self.sealer.mask(&text, &self.redactor).as_bytes())?;
            io::Result::Ok(file)
        };
        write().map(Some).map_err(|e| self.io_error("the file can't be masked", &e))
    }
}

/// Makes `target` a copy of `source`; it appears whole or not at all.
fn publish(source: &Path, target: &Path, replace: bool) -> io::Result<()> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(parent)?;
    let exists = target.symlink_metadata().is_ok();
    if exists && !replace {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    if source.is_dir() {
        let part = tempfile::Builder::new().prefix(".fornax-part-").tempdir_in(parent)?;
        let fresh = part.path().join("new");
        copy_tree(source, &fresh)?;
        if exists {
            std::fs::rename(target, part.path().join("old"))?;
        }
        return std::fs::rename(&fresh, target);
    }
    let mut part = tempfile::Builder::new()
        .prefix(".fornax-part-")
        .permissions(default_permissions())
        .tempfile_in(parent)?;
    io::copy(&mut File::open(source)?, part.as_file_mut())?;
    part.as_file().sync_all()?;
    if replace {
        part.persist(target).map_err(|e| e.error)?;
    } else {
        part.persist_noclobber(target).map_err(|e| e.error)?;
    }
    Ok(())
}

/// What a new file of the user would get, their umask applied.
#[cfg(unix)]
pub fn default_permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(not(unix))]
pub fn default_permissions() -> std::fs::Permissions {
    std::fs::metadata(std::env::temp_dir()).map(|m| m.permissions()).expect("the temporary folder exists")
}
