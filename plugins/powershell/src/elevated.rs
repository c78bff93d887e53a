//! Running a command line as another user with highest privileges: a wrapper script registers a scheduled task for the
//! user, runs it, shows its output as it grows, removes the task, and ends with the exit code of the command. The
//! wrapper holds the password, as a placeholder until the host writes it, so it is removed right behind its run.

use fornax_plugin_sdk::{Error, Result, sealed};

use crate::text::{BOM, literal};

/// What a scheduled task needs.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// Makes the names of task, wrapper and output unique.
    pub uuid: &'a str,
    pub user: &'a str,
    /// Empty for accounts of services.
    pub password: &'a str,
    /// For the command interpreter of Windows.
    pub command: &'a str,
}

impl Task<'_> {
    /// The name of the scheduled task.
    pub fn name(&self) -> String {
        format!("packer-{}", self.uuid)
    }

    /// Where the command's output goes; a variable of the machine is in it.
    pub fn output(&self) -> String {
        format!("%SYSTEMROOT%/Temp/packer-{}.out", self.uuid)
    }

    /// Where the wrapper is written.
    pub fn path(&self) -> String {
        format!("C:/Windows/Temp/packer-elevated-shell-{}.ps1", self.uuid)
    }

    /// The command line that runs the wrapper, for any shell of the machine.
    pub fn run_wrapper(&self) -> String {
        format!("powershell -executionpolicy bypass -file {}", self.path())
    }

    /// The wrapper. Fails where a secret stands in the command line: two more shells would read it there.
    pub fn wrapper(&self) -> Result<String> {
        if sealed::contains(self.command) {
            return Err(Error::invalid(
                "a secret value can't stand in elevated_execute_command, where other users of the machine could read \
                 it; pass it in `env`",
            ));
        }
        let settings = format!(
            "$name = {name}\n$user = {user}\n$password = {password}\n$command = {command}\n$output = \
             [Environment]::ExpandEnvironmentVariables({output})\n",
            name = literal(&self.name()),
            user = literal(self.user),
            password = literal(self.password),
            command = literal(self.command),
            output = literal(&self.output()),
        );
        Ok(format!("{BOM}{settings}{WRAPPER}"))
    }
}

/// Numbers of the Task Scheduler: log on with a password 1, as a service account 5; highest run level 1; create or
/// update a task 6; the task is queued 2 or running 4; it has not run yet 267011, it runs 267009.
const WRAPPER: &str = r#"$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$reader = $null
$folder = $null
$result = 1
try {
    $service = New-Object -ComObject 'Schedule.Service'
    $service.Connect()
    $folder = $service.GetFolder('\')
    $definition = $service.NewTask(0)
    $definition.RegistrationInfo.Description = 'Runs one step of an image build'
    $definition.Principal.UserId = $user
    $definition.Principal.RunLevel = 1
    $definition.Settings.Enabled = $true
    $definition.Settings.AllowDemandStart = $true
    $definition.Settings.DisallowStartIfOnBatteries = $false
    $definition.Settings.StopIfGoingOnBatteries = $false
    $definition.Settings.ExecutionTimeLimit = 'PT0S'
    $definition.Settings.Priority = 4
    $action = $definition.Actions.Create(0)
    $action.Path = $env:ComSpec
    $action.Arguments = '/s /c "' + $command + ' > "' + $output + '" 2>&1"'
    $logon = 1
    if ($password -eq '') {
        $logon = 5
        $password = $null
    }
    $definition.Principal.LogonType = $logon
    $task = $folder.RegisterTaskDefinition($name, $definition, 6, $user, $password, $logon)
    [void]$task.Run($null)
    $started = Get-Date
    while ($true) {
        $ended = $task.State -ne 2 -and $task.State -ne 4
        if ($null -eq $reader -and (Test-Path -LiteralPath $output)) {
            $share = [IO.FileShare]::ReadWrite -bor [IO.FileShare]::Delete
            $stream = New-Object IO.FileStream($output, [IO.FileMode]::Open, [IO.FileAccess]::Read, $share)
            $reader = New-Object IO.StreamReader($stream, [Console]::OutputEncoding)
        }
        if ($null -ne $reader) { [Console]::Out.Write($reader.ReadToEnd()) }
        if ($ended) {
            $result = $task.LastTaskResult
            if ($result -ne 267011 -and $result -ne 267009) { break }
            if (((Get-Date) - $started).TotalSeconds -gt 60) {
                throw "the scheduled task of $user does not start; may this account log on as a batch job?"
            }
        }
        Start-Sleep -Milliseconds 100
    }
} catch {
    $Host.UI.WriteErrorLine(($_ | Out-String))
    $result = 1
} finally {
    if ($null -ne $reader) { $reader.Dispose() }
    if ($null -ne $folder) {
        try { $folder.DeleteTask($name, 0) } catch { }
    }
    Remove-Item -Force -LiteralPath $output -ErrorAction SilentlyContinue
}
exit $result
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn task<'a>(password: &'a str, command: &'a str) -> Task<'a> {
        Task { uuid: "U", user: "it's me", password, command }
    }

    #[test]
    fn settings_are_literals() {
        let sealed = format!("sealed_{}", "0".repeat(32));
        let text = task(&sealed, "powershell \"& { 'x' }\"").wrapper().unwrap();
        let settings = format!(
            "\u{feff}$name = 'packer-U'\n$user = 'it''s me'\n$password = '{sealed}'\n$command = 'powershell \"& {{ ''x'' \
             }}\"'\n$output = [Environment]::ExpandEnvironmentVariables('%SYSTEMROOT%/Temp/packer-U.out')\n"
        );
        assert!(text.starts_with(&settings), "{text}");
        assert!(text.ends_with("exit $result\n"));
        let names = task("", "x");
        assert_eq!(names.path(), "C:/Windows/Temp/packer-elevated-shell-U.ps1");
        assert!(names.run_wrapper().ends_with(&names.path()));
    }

    #[test]
    fn no_secret_in_the_command_line() {
        let command = format!("x sealed_{}", "0".repeat(32));
        assert!(task("", &command).wrapper().unwrap_err().message.contains("elevated_execute_command"));
    }

    #[test]
    fn braces_and_quotes_of_the_wrapper_are_balanced() {
        let (mut depth, mut quotes) = (0_i32, 0);
        for c in WRAPPER.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                '\'' => quotes += 1,
                _ => {}
            }
            assert!(depth >= 0);
        }
        assert_eq!((depth, quotes % 2), (0, 0));
    }
}
