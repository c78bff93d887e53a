//! Publishing: the only way from a step's folder to a place that the configuration names. A file appears whole or not at
//! all, and never with a placeholder or a secret in it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use tokio_util::sync::CancellationToken;

use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::config::absolute;
use crate::copy::Source;
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
        let content = masked.as_ref().map_or_else(|| source.clone(), |file| file.path().to_owned());
        let cancel = self.cancel.clone();
        let work = tokio::task::spawn_blocking(move || publish(&content, &source, &target, replace, &cancel));
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

/// Makes `target` a copy of `content`; it appears whole or not at all. A new file gets the mode of `source`, one that is
/// replaced keeps its own.
fn publish(
    content: &Path,
    source: &Path,
    target: &Path,
    replace: bool,
    cancel: &CancellationToken,
) -> io::Result<()> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(parent)?;
    let there = target.symlink_metadata().ok();
    if there.is_some() && !replace {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    if content.is_dir() {
        let part = tempfile::Builder::new().prefix(".fornax-part-").tempdir_in(parent)?;
        let fresh = part.path().join("new");
        copy_tree(content, &fresh)?;
        if there.is_some() {
            std::fs::rename(target, part.path().join("old"))?;
        }
        return std::fs::rename(&fresh, target);
    }
    let mut part = tempfile::Builder::new()
        .prefix(".fornax-part-")
        .permissions(default_permissions())
        .tempfile_in(parent)?;
    Source::open(content, cancel)?.copy_to_file(part.as_file_mut())?;
    let model = match there.filter(|meta| meta.is_file()) {
        Some(replaced) => replaced,
        None => source.metadata()?,
    };
    set_mode(part.as_file(), &model)?;
    part.as_file().sync_all()?;
    if replace {
        part.persist(target).map_err(|e| e.error)?;
    } else {
        part.persist_noclobber(target).map_err(|e| e.error)?;
    }
    Ok(())
}

/// Never more than who may read, write and run it: no other user's identity.
#[cfg(unix)]
fn set_mode(file: &std::fs::File, model: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(model.permissions().mode() & 0o777))
}

#[cfg(not(unix))]
fn set_mode(_: &std::fs::File, _: &std::fs::Metadata) -> io::Result<()> {
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_has_the_mode_of_the_source_and_a_replaced_one_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let (source, target) = (dir.path().join("s"), dir.path().join("new/t"));
        std::fs::write(&source, "one").expect("written");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set")
        };
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o7777;
        let cancel = CancellationToken::new();
        set(&source, 0o4750);
        publish(&source, &source, &target, false, &cancel).expect("published");
        assert_eq!(mode(&target), 0o750);
        set(&target, 0o600);
        std::fs::write(&source, "two").expect("written");
        let error = publish(&source, &source, &target, false, &cancel).expect_err("it exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        publish(&source, &source, &target, true, &cancel).expect("published");
        assert_eq!((mode(&target), std::fs::read_to_string(&target).expect("read")), (0o600, "two".into()));
        cancel.cancel();
        std::fs::write(&source, "three").expect("written");
        assert!(publish(&source, &source, &target, true, &cancel).is_err());
        assert_eq!(std::fs::read_to_string(&target).expect("read"), "two");
        assert_eq!(std::fs::read_dir(dir.path().join("new")).expect("read").count(), 1, "a part remains");
    }
}
