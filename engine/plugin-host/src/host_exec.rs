//! Host side of `host-exec`: programs and scripts on the machine that runs the build. Nothing here happens without the
//! right; a refusal is an ordinary error that names the grant, or the denial.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fornax_core::Secret;
use fornax_core::plugin::Capability;
use tokio::io::AsyncWriteExt;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::host_exec::{Argument, Host, HostCommand, HostHostScript};
use crate::bindings::host::fornax::plugin::machine;
use crate::bindings::host::fornax::plugin::types::{Error, ErrorCode};
use crate::local::LocalProcess;
use crate::resources::{HostScript, WorkspaceHandle};
use crate::state::{Answer, State};

/// The longest ending of a script's name.
const SUFFIX: usize = 32;

impl State {
    /// An argument with the values in it.
    fn argument(&self, argument: &Argument) -> Result<Secret, Error> {
        let value = match argument {
            Argument::Plain(text) => self.sealer.unseal_raw(text),
            Argument::ShellLine(line) => self.sealer.unseal_line(line).map_err(|e| self.refused(e))?,
        };
        self.no_nul(value)
    }

    fn no_nul(&self, value: Secret) -> Result<Secret, Error> {
        if value.expose().contains('\0') {
            return Err(
                self.error(ErrorCode::InvalidArgument, "a NUL character can't be passed to a program")
            );
        }
        Ok(value)
    }

    fn local_command(&self, command: &HostCommand, cwd: &Path) -> Result<std::process::Command, Error> {
        self.only_while_working("host-exec")?;
        let Some(Argument::Plain(program)) = command.argv.first() else {
            return Err(self.error(ErrorCode::InvalidArgument, "there is no program to run"));
        };
        if !self.rights.allows_program(program) {
            return Err(self.denied(
                &format!("running {program} on this host"),
                &Capability::HostExec(vec![program.clone()]),
            ));
        }
        if matches!(command.output, machine::OutputMode::Pull) {
            return Err(self.error(ErrorCode::Unsupported, "the output of host programs can't be pulled"));
        }
        if self.cancel.is_cancelled() {
            return Err(self.error(ErrorCode::Cancelled, "the build is being cancelled"));
        }
        let mut process = std::process::Command::new(program);
        process.current_dir(cwd);
        if !command.inherit_env {
            let path: Option<OsString> = std::env::var_os("PATH");
            process.env_clear().envs(path.map(|path| ("PATH", path)));
        }
        for argument in &command.argv[1..] {
            process.arg(self.argument(argument)?.expose());
        }
        for (name, value) in &command.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(self.error(
                    ErrorCode::InvalidArgument,
                    format!("{name:?} is no name for an environment variable"),
                ));
            }
            process.env(name, self.no_nul(self.sealer.unseal_raw(value))?.expose());
        }
        process.stdin(if command.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        Ok(process)
    }

    fn host_script(&self, text: &str, suffix: &str) -> Result<HostScript, Error> {
        self.only_while_working("host-exec")?;
        if !self.rights.allows_programs() {
            let any = Capability::HostExec(vec!["*".to_owned()]);
            return Err(self.denied("running programs on this host", &any));
        }
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if suffix.len() > SUFFIX || !suffix.bytes().all(harmless) {
            let message =
                format!("{suffix:?} can't end the name of a script: letters, digits, `.`, `_` and `-` can");
            return Err(self.error(ErrorCode::InvalidArgument, message));
        }
        let folder = self.folder()?;
        let write = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix("script-").suffix(suffix);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let mut file = builder.tempfile_in(folder.parts())?;
            file.write_all(self.sealer.unseal_raw(text).expose().as_bytes())?;
            // A program whose file is open for writing can't be started.
            Ok(file.into_temp_path())
        };
        let path = write().map_err(|e| self.io_error("the script can't be written", &e))?;
        Ok(HostScript { path, _folder: Arc::clone(&folder) })
    }
}

impl HostHostScript for State {
    async fn create(&mut self, text: String, suffix: String) -> Answer<Resource<HostScript>> {
        match self.host_script(&text, &suffix) {
            Ok(script) => Ok(Ok(self.table.push(script)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn path(&mut self, this: Resource<HostScript>) -> wasmtime::Result<String> {
        Ok(self.table.get(&this)?.path.display().to_string())
    }

    async fn drop(&mut self, this: Resource<HostScript>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl Host for State {
    async fn run(
        &mut self,
        command: HostCommand,
        cwd: Option<Resource<WorkspaceHandle>>,
    ) -> Answer<machine::ExitStatus> {
        let folder = match cwd {
            Some(workspace) => self.table.get(&workspace)?.folder.work().to_owned(),
            None => self.working_dir.clone(),
        };
        let process = match self.local_command(&command, &folder) {
            Ok(process) => process,
            Err(error) => return Ok(Err(error)),
        };
        let program = process.get_program().to_string_lossy().into_owned();
        let stdin = command.stdin.as_ref().map(|s| self.sealer.unseal_raw(s));
        let (running, pipe) = match LocalProcess::start(process).await {
            Ok(started) => started,
            Err(error) => return Ok(Err(self.io_error(&format!("{program} can't be started"), &error))),
        };
        if let (Some(mut pipe), Some(text)) = (pipe, stdin) {
            tokio::spawn(async move {
                // A program that does not read its input is no error.
                let _ = pipe.write_all(text.expose().as_bytes()).await;
            });
        }
        let mut job = self.job(Box::new(running), &command.output, false);
        let stop = self.stop(false, command.timeout_ms.map(Duration::from_millis));
        Ok(self.run_to_end(&mut job, &stop, false).await)
    }
}
