//! Host side of `machine`: the functions of the interface over what [`crate::commands`] does. What comes back from the
//! machine is masked before a guest sees it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fornax_core::Secret;
use fornax_core::communicator::{Command, Shell, UploadSource};
use fornax_core::event::OutputStream;
use wasmtime::component::Resource;

use crate::bindings::host::fornax::plugin::machine as api;
use crate::bindings::host::fornax::plugin::types::ErrorCode;
use crate::process::{Job, Keep};
use crate::resources::{HostFile, Process, Target, WorkspaceHandle};
use crate::state::{Answer, State};

const READ_FILE: usize = 1024 * 1024;
/// Commands that one instance runs at the same time.
const PROCESSES: usize = 64;

impl api::Host for State {
    async fn current(&mut self) -> Answer<Resource<Target>> {
        match self.communicator() {
            Ok(_) => Ok(Ok(self.table.push(Target)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl api::HostProcess for State {
    async fn next(&mut self, this: Resource<Process>) -> Answer<api::ProcessEvent> {
        let mut process = std::mem::replace(&mut self.table.get_mut(&this)?.ended, true);
        if process {
            return Ok(Err(self.error(ErrorCode::NotFound, "the command has ended")));
        }
        let entry = self.table.get_mut(&this)?;
        let (stop, expected) = (entry.stop.clone(), entry.expect_disconnect);
        let next = stop.run("the command", entry.job.next()).await;
        if next.is_err() {
            entry.job.kill().await;
        }
        let answer = match next {
            Ok(Ok(piece)) => {
                process = false;
                Ok(match piece.stream {
                    OutputStream::Stdout => api::ProcessEvent::Stdout(piece.bytes),
                    OutputStream::Stderr => api::ProcessEvent::Stderr(piece.bytes),
                })
            }
            Ok(Err(ended)) => {
                process = true;
                self.exit_status(ended, expected).map(api::ProcessEvent::Exited)
            }
            Err(stopped) => {
                process = true;
                Err(stopped)
            }
        };
        self.table.get_mut(&this)?.ended = process;
        Ok(answer)
    }

    async fn wait(&mut self, this: Resource<Process>) -> Answer<api::ExitStatus> {
        let shown = self.shown();
        let entry = self.table.get_mut(&this)?;
        if std::mem::replace(&mut entry.ended, true) {
            return Ok(Err(self.error(ErrorCode::NotFound, "the command has ended")));
        }
        entry.job.show_rest(shown);
        let (stop, expected) = (entry.stop.clone(), entry.expect_disconnect);
        let ended = stop.run("the command", entry.job.wait()).await;
        if ended.is_err() {
            entry.job.kill().await;
        }
        Ok(match ended {
            Ok(ended) => self.exit_status(ended, expected),
            Err(stopped) => Err(stopped),
        })
    }

    async fn kill(&mut self, this: Resource<Process>) -> Answer<()> {
        self.table.get_mut(&this)?.job.kill().await;
        Ok(Ok(()))
    }

    async fn drop(&mut self, this: Resource<Process>) -> wasmtime::Result<()> {
        let mut process = self.table.delete(this)?;
        self.processes = self.processes.saturating_sub(1);
        if !process.ended {
            process.job.kill().await;
        }
        Ok(())
    }
}

impl api::HostTarget for State {
    async fn info(&mut self, _: Resource<Target>) -> Answer<api::OsInfo> {
        let machine = match self.communicator() {
            Ok(machine) => machine,
            Err(error) => return Ok(Err(error)),
        };
        let info =
            match self.stop(false, None).run("asking for the operating system", machine.machine()).await {
                Ok(Ok(info)) => info,
                Ok(Err(error)) => return Ok(Err(self.communicator_error(&error))),
                Err(stopped) => return Ok(Err(stopped)),
            };
        let windows = info.family == "windows";
        Ok(Ok(api::OsInfo {
            family: match info.family.as_str() {
                "linux" => api::OsFamily::Linux,
                "windows" => api::OsFamily::Windows,
                "macos" => api::OsFamily::Macos,
                "bsd" => api::OsFamily::Bsd,
                _ => api::OsFamily::Other,
            },
            id: info.id,
            version: info.version,
            arch: info.arch,
            hostname: info.hostname,
            user: info.user,
            shell: match info.shell {
                Shell::PowerShell => api::ShellKind::Powershell,
                Shell::Cmd => api::ShellKind::Cmd,
                Shell::Posix | Shell::Unknown if windows => api::ShellKind::Cmd,
                Shell::Posix | Shell::Unknown => api::ShellKind::Posix,
            },
            temp_dir: if windows { "C:/Windows/Temp" } else { "/tmp" }.into(),
        }))
    }

    async fn start(
        &mut self,
        _: Resource<Target>,
        command: api::CommandLine,
        options: api::ExecOptions,
    ) -> Answer<Resource<Process>> {
        if self.processes >= PROCESSES {
            return Ok(Err(self.error(ErrorCode::TooLarge, format!("{PROCESSES} commands run already"))));
        }
        match self.start_command(&command, &options).await {
            Ok((job, stop)) => {
                self.processes += 1;
                let expect_disconnect = options.expect_disconnect;
                Ok(Ok(self.table.push(Process { job, stop, expect_disconnect, ended: false })?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn exec(
        &mut self,
        _: Resource<Target>,
        command: api::CommandLine,
        options: api::ExecOptions,
    ) -> Answer<api::ExitStatus> {
        if matches!(options.output, api::OutputMode::Pull) {
            return Ok(Err(self.error(
                ErrorCode::InvalidArgument,
                "output is pulled from a command that was started with `start`",
            )));
        }
        Ok(match self.start_command(&command, &options).await {
            Ok((mut job, stop)) => self.run_to_end(&mut job, &stop, options.expect_disconnect).await,
            Err(error) => Err(error),
        })
    }

    async fn run_script(
        &mut self,
        _: Resource<Target>,
        script: api::Script,
        options: api::ExecOptions,
    ) -> Answer<api::ExitStatus> {
        Ok(match self.start_script(&script, &options).await {
            Ok((mut job, stop)) => self.run_to_end(&mut job, &stop, options.expect_disconnect).await,
            Err(error) => Err(error),
        })
    }

    async fn upload(
        &mut self,
        _: Resource<Target>,
        source: Resource<HostFile>,
        to: String,
        options: api::TransferOptions,
    ) -> Answer<api::TransferStats> {
        let file = self.table.get(&source)?.clone();
        let content = if file.unseal {
            match self.unsealed(&file) {
                Ok(text) => UploadSource::Bytes(text),
                Err(error) => return Ok(Err(error)),
            }
        } else if file.path.is_dir() {
            UploadSource::Directory(file.path.clone())
        } else {
            UploadSource::File(file.path.clone())
        };
        Ok(self.transfer(content, &file.name, &to, &options).await)
    }

    async fn upload_text(
        &mut self,
        _: Resource<Target>,
        content: String,
        to: String,
        options: api::TransferOptions,
    ) -> Answer<api::TransferStats> {
        let content = UploadSource::Bytes(self.sealer.unseal_raw(&content));
        Ok(self.transfer(content, &to, &to, &options).await)
    }

    async fn download(
        &mut self,
        _: Resource<Target>,
        path: String,
        into: Resource<WorkspaceHandle>,
        to: String,
    ) -> Answer<Resource<HostFile>> {
        let folder = Arc::clone(&self.table.get(&into)?.folder);
        let machine = match self.communicator() {
            Ok(machine) => machine,
            Err(error) => return Ok(Err(error)),
        };
        let target = match folder.place_for(&to) {
            Ok(place) => place,
            Err(error) => return Ok(Err(self.path_error(&error))),
        };
        let progress = self.progress(&path);
        match self.stop(false, None).run("the download", machine.download(&path, &target, progress)).await {
            Ok(Ok(_)) => Ok(Ok(self.file_in(&folder, target)?)),
            Ok(Err(error)) => Ok(Err(self.communicator_error(&error))),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn read_file(&mut self, _: Resource<Target>, path: String) -> Answer<Vec<u8>> {
        let machine = match self.communicator() {
            Ok(machine) => machine,
            Err(error) => return Ok(Err(error)),
        };
        match self.stop(false, None).run("reading the file", machine.read_file(&path, READ_FILE)).await {
            Ok(Ok(bytes)) => {
                let mut mask = self.redactor.stream();
                let mut masked = mask.push(&bytes);
                masked.extend(mask.finish());
                Ok(Ok(masked))
            }
            Ok(Err(error)) => Ok(Err(self.communicator_error(&error))),
            Err(stopped) => Ok(Err(stopped)),
        }
    }

    async fn temp_path(&mut self, _: Resource<Target>, suffix: String) -> Answer<String> {
        if let Err(error) = self.communicator() {
            return Ok(Err(error));
        }
        if suffix.len() > 64 || !suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return Ok(Err(self.error(
                ErrorCode::InvalidArgument,
                "a suffix has at most 64 letters, digits, `.`, `_` and `-`",
            )));
        }
        let path = format!("/tmp/fornax-{}{suffix}", crate::random_hex::<8>());
        let mut paths = self.shared.machine_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() >= 1000 {
            drop(paths);
            return Ok(Err(self.error(ErrorCode::TooLarge, "a step has at most 1000 temporary paths")));
        }
        paths.push(path.clone());
        Ok(Ok(path))
    }

    async fn reconnect(&mut self, _: Resource<Target>, options: api::ReconnectOptions) -> Answer<()> {
        Ok(self.reconnect_with(&options).await)
    }

    async fn reboot(&mut self, _: Resource<Target>, options: api::ReconnectOptions) -> Answer<()> {
        let reboot = async {
            let machine = self.communicator()?;
            let stop = self.stop(false, Some(Duration::from_millis(options.timeout_ms)));
            self.need_posix(machine.as_ref(), &stop, "a reboot").await?;
            let line = "if [ \"$(id -u)\" = 0 ]; then shutdown -r now || reboot; else sudo -n shutdown -r now || sudo -n reboot; fi";
            let command = Command { line: Secret::new(line), stdin: Bytes::new(), pty: false };
            let running = match stop.run("the reboot", machine.start(command)).await? {
                Ok(running) => running,
                Err(error) => return Err(self.communicator_error(&error)),
            };
            let mut job = Job::new(running, Keep::Nothing, self.shown(), &self.redactor);
            let status = self.run_to_end(&mut job, &stop, true).await?;
            if !status.disconnected && status.code.is_some_and(|c| c != 0) {
                return Err(self.error(ErrorCode::CommandFailed, "the machine refused to restart"));
            }
            self.reconnect_with(&api::ReconnectOptions { expect_disconnect: true, ..options }).await
        };
        Ok(reboot.await)
    }

    async fn drop(&mut self, this: Resource<Target>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
