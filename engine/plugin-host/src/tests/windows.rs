//! The provisioners for Windows as real guests against a machine that records what it is told, as `cmd` would get it:
//! command lines, the texts of scripts, the order of things, and where a canary goes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use fornax_core::Secret;
use fornax_core::communicator::*;
use fornax_core::plugin::PluginError;
use fornax_core::value::Text;

use super::*;

const CANARY: &str = "c4n'ary \"$(id)` %PATH% \\ € & 'end";

/// What a machine was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Ran(String),
    Wrote { path: String, text: String, keep: bool },
    Reconnected(bool),
}

/// A machine with `cmd` that executes nothing: it remembers, and ends commands as the list says, then with 0.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<Told>>,
    ends: Mutex<VecDeque<ExitStatus>>,
}

struct Ended(Option<ExitStatus>);

#[async_trait]
impl Running for Ended {
    async fn next(&mut self) -> Option<CommandEvent> {
        self.0.take().map(CommandEvent::Exited)
    }

    async fn kill(&mut self) {}
}

impl Recorder {
    fn tell(&self, told: Told) {
        self.told.lock().expect("no panic").push(told);
    }

    fn run(&self, line: &Secret) -> Box<dyn Running> {
        self.tell(Told::Ran(line.expose().to_owned()));
        // A command that only writes a file, and one that tidies up, always work.
        let quiet = line.expose() == "exit 0" || line.expose().contains("cleanup");
        let next = if quiet { None } else { self.ends.lock().expect("no panic").pop_front() };
        Box::new(Ended(Some(next.unwrap_or_else(|| code(0)))))
    }
}

fn code(code: i32) -> ExitStatus {
    ExitStatus { code: Some(code), ..ExitStatus::default() }
}

fn gone() -> ExitStatus {
    ExitStatus { disconnected: true, ..ExitStatus::default() }
}

#[async_trait]
impl Communicator for Recorder {
    fn connection(&self) -> ConnectionInfo {
        LocalMachine::default().connection()
    }

    async fn machine(&self) -> Result<MachineInfo, CommunicatorError> {
        Ok(MachineInfo { family: "windows".into(), shell: Shell::Cmd, ..MachineInfo::default() })
    }

    async fn start(&self, command: Command) -> Result<Box<dyn Running>, CommunicatorError> {
        Ok(self.run(&command.line))
    }

    async fn start_script(&self, script: Script) -> Result<Box<dyn Running>, CommunicatorError> {
        let text = match &script.content {
            ScriptContent::Text(text) => text.expose().to_owned(),
            ScriptContent::File(path) => std::fs::read_to_string(path).expect("a file"),
        };
        self.tell(Told::Wrote { path: script.path.clone(), text, keep: script.keep });
        Ok(self.run(&script.command))
    }

    async fn upload(
        &self,
        source: UploadSource,
        to: &str,
        _: &TransferOptions,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        let text = match source {
            UploadSource::File(path) => std::fs::read_to_string(path).expect("a file"),
            UploadSource::Bytes(text) => text.expose().to_owned(),
            UploadSource::Directory(_) => panic!("nobody uploads a folder"),
        };
        self.tell(Told::Wrote { path: to.to_owned(), text, keep: true });
        Ok(TransferStats::default())
    }

    async fn download(
        &self,
        _: &str,
        _: &Path,
        _: Option<ProgressFn>,
    ) -> Result<TransferStats, CommunicatorError> {
        Err(CommunicatorError::Unsupported("it only records".into()))
    }

    async fn read_file(&self, _: &str, _: usize) -> Result<Vec<u8>, CommunicatorError> {
        Err(CommunicatorError::Unsupported("it only records".into()))
    }

    async fn remove_file(&self, _: &str) -> Result<(), CommunicatorError> {
        Ok(())
    }

    async fn reconnect(&self, options: &ReconnectOptions) -> Result<(), CommunicatorError> {
        self.tell(Told::Reconnected(options.expect_disconnect));
        Ok(())
    }

    async fn close(&self) {}
}

struct Bench {
    host: PluginHost,
    dir: tempfile::TempDir,
    sink: Arc<Sink>,
}

/// Compiled once for all tests of a run.
fn cache() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/plugin-host-tests");
    std::fs::create_dir_all(&dir).expect("made");
    dir
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let host = host(&cache(), |c| c.working_dir = dir.path().to_owned());
        let components: Vec<(&str, &'static [u8])> = fornax_plugin_bundle::components()
            .iter()
            .filter(|c| c.name == "powershell" || c.name.starts_with("windows"))
            .map(|c| (c.name, c.bytes))
            .collect();
        let problems = host.load_builtin(&components).await;
        assert!(problems.is_empty(), "{:?}", reasons(&problems));
        Self { host, dir, sink: Arc::default() }
    }

    /// Runs a step; commands end as the list says.
    async fn run(
        &self,
        name: &str,
        json: serde_json::Value,
        ends: impl IntoIterator<Item = ExitStatus>,
    ) -> (Vec<Told>, Result<(), PluginError>) {
        let extension = self.host.catalog().find(ExtensionKind::Provisioner, name).expect("built in");
        let found = extension.prepare(&config(json.clone())).await.expect("prepared");
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        let machine =
            Arc::new(Recorder { ends: Mutex::new(ends.into_iter().collect()), ..Recorder::default() });
        let context =
            step(&self.sink, self.dir.path(), vec![("pw".into(), Text::secret(Secret::new(CANARY)))]);
        let result = extension.provision(&config(json), context, Some(machine.clone())).await.map(|_| ());
        let events = self.sink.text();
        assert!(!events.contains("ary \\\"$(id)") && !events.contains("sealed_"), "{events}");
        (machine.told.lock().expect("no panic").clone(), result)
    }
}

/// The text with `UUID` for each UUID of version 4.
fn without_uuids(text: &str) -> String {
    let is_uuid = |text: &[u8]| {
        text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'4',
            19 => b"89ab".contains(byte),
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let uuid = rest.as_bytes().get(..36).is_some_and(is_uuid);
        out.push_str(if uuid { "UUID" } else { &rest[..c.len_utf8()] });
        rest = &rest[if uuid { 36 } else { c.len_utf8() }..];
    }
    out
}

/// Checks the paths and lines of what was told.
fn assert_told(told: &[Told], expected: &[&str]) {
    let lines: Vec<String> = told
        .iter()
        .map(|told| match told {
            Told::Ran(line) => line.clone(),
            Told::Wrote { path, keep, .. } => format!("> {path}{}", if *keep { " keep" } else { "" }),
            Told::Reconnected(expect) => format!("reconnect {expect}"),
        })
        .collect();
    let lines: Vec<_> = lines.iter().map(|line| without_uuids(line)).collect();
    assert_eq!(lines, expected);
}

fn text_of(told: &Told) -> &str {
    match told {
        Told::Wrote { text, .. } => text,
        other => panic!("{other:?} is no file"),
    }
}

/// The canary as it stands in double quotes, and as a literal.
const IN_DOUBLE: &str = "c4n'ary `\"`$(id)`` %PATH% \\ € & 'end";
const AS_LITERAL: &str = "'c4n''ary \"$(id)` %PATH% \\ € & ''end'";

const CLEAN_UP: [&str; 2] = [
    "> c:/Windows/Temp/packer-cleanup-UUID.ps1",
    "powershell -executionpolicy bypass -file c:/Windows/Temp/packer-cleanup-UUID.ps1",
];

#[tokio::test]
async fn inline_lines_run_from_one_file() {
    let bench = Bench::new().await;
    let json = serde_json::json!({
        "inline": ["whoami", format!("$p = '@{{{CANARY}}}'")], "env": {"PW": format!("@{{{CANARY}}}"), "A": "it's"}
    });
    let (told, result) = bench.run("powershell", json, []).await;
    result.expect("runs");
    let script = "> c:/Windows/Temp/script-UUID.ps1";
    let line = "powershell -executionpolicy bypass -file c:/Windows/Temp/script-UUID.ps1";
    assert_told(&told, &[script, line, CLEAN_UP[0], CLEAN_UP[1]]);
    let expected = format!(
        "try {{\n$env:A=\"it`'s\"; $env:PACKER_BUILDER_TYPE=\"null\"; $env:PACKER_BUILD_NAME=\"b\"; \
         $env:PW=\"{IN_DOUBLE}\"; \nwhoami\n$p = {AS_LITERAL}\n}} catch {{"
    );
    let text = text_of(&told[0]);
    assert!(text.starts_with('\u{feff}') && text.contains(&expected), "{text}");
    assert!(text_of(&told[2]).contains("foreach ($path in 'c:/Windows/Temp/script-"), "{told:?}");
}

#[tokio::test]
async fn files_run_behind_their_variables() {
    let bench = Bench::new().await;
    std::fs::write(bench.dir.path().join("s.ps1"), "whoami\r\n").expect("written");
    let json = serde_json::json!({"scripts": ["s.ps1", "s.ps1"], "remote_path": "c:/x/s.ps1",
        "valid_exit_codes": [0, 3010], "skip_clean": true});
    let (told, result) = bench.run("powershell", json, [code(3010), code(0)]).await;
    result.expect("runs");
    let (script, vars) = ("> c:/x/s.ps1 keep", "> c:/Windows/Temp/packer-ps-env-vars-UUID.ps1 keep");
    let line = "powershell -executionpolicy bypass \"& { if (Test-Path variable:global:ProgressPreference)\
                {set-variable -name variable:global:ProgressPreference -value 'SilentlyContinue'};. \
                c:/Windows/Temp/packer-ps-env-vars-UUID.ps1; &'c:/x/s.ps1'; exit $LastExitCode }\"";
    assert_told(&told, &[script, vars, line, script, vars, line]);
    assert_eq!(text_of(&told[0]), "whoami\r\n");
    let expected = "\u{feff}$env:PACKER_BUILDER_TYPE=\"null\"; $env:PACKER_BUILD_NAME=\"b\"; ";
    assert_eq!(text_of(&told[1]), expected);
}

#[tokio::test]
async fn secrets_are_removed_after_a_failure_and_with_skip_clean() {
    let bench = Bench::new().await;
    std::fs::write(bench.dir.path().join("s.ps1"), "exit 3").expect("written");
    let json = serde_json::json!({"script": "s.ps1", "environment_vars": [format!("PW=@{{{CANARY}}}")],
        "skip_clean": true, "remote_path": "c:/x/s.ps1"});
    let (told, result) = bench.run("powershell", json, [code(3)]).await;
    let error = result.expect_err("fails").to_string();
    assert!(error.contains("non-zero exit status: 3. Allowed exit codes are: [0]"), "{error}");
    assert_eq!(told.len(), 5);
    assert!(text_of(&told[1]).contains(&format!("$env:PW=\"{IN_DOUBLE}\"; ")), "{told:?}");
    assert!(matches!(&told[1], Told::Wrote { keep: false, .. }));
    let cleanup = text_of(&told[3]);
    assert!(cleanup.contains("packer-ps-env-vars-") && !cleanup.contains("c:/x/s.ps1"), "{cleanup}");
}

#[tokio::test]
async fn elevated_scripts_run_as_a_task() {
    let bench = Bench::new().await;
    let json = serde_json::json!({"inline": ["whoami"], "elevated_user": "it's me",
        "elevated_password": format!("@{{{CANARY}}}"), "env": {"PW": format!("@{{{CANARY}}}")}});
    let (told, result) = bench.run("powershell", json, []).await;
    result.expect("runs");
    let script = "> c:/Windows/Temp/script-UUID.ps1 keep";
    let wrapper = "> C:/Windows/Temp/packer-elevated-shell-UUID.ps1";
    let line = "powershell -executionpolicy bypass -file C:/Windows/Temp/packer-elevated-shell-UUID.ps1";
    assert_told(&told, &[script, "exit 0", wrapper, line, CLEAN_UP[0], CLEAN_UP[1]]);
    assert!(text_of(&told[0]).contains(IN_DOUBLE));
    let wrapper = text_of(&told[2]);
    for part in [
        "$user = 'it''s me'\n".to_owned(),
        format!("$password = {AS_LITERAL}\n"),
        "$command = 'powershell -executionpolicy bypass -file c:/Windows/Temp/script-".to_owned(),
    ] {
        assert!(wrapper.contains(&part), "{part} is not in {wrapper}");
    }
    let cleanup = text_of(&told[4]);
    assert!(cleanup.contains("script-") && cleanup.contains("packer-elevated-shell-"), "{cleanup}");
    assert!(!cleanup.contains("GetTask"), "the task was removed already: {cleanup}");
}

#[tokio::test]
async fn an_elevated_script_that_takes_the_connection_leaves_no_task() {
    let bench = Bench::new().await;
    let json = serde_json::json!({"inline": ["Restart-Computer"], "elevated_user": "SYSTEM",
        "valid_exit_codes": [0, 2300218]});
    let (told, result) = bench.run("powershell", json, [gone()]).await;
    result.expect("runs");
    assert!(matches!(told[3], Told::Reconnected(false)), "{told:?}");
    assert!(text_of(&told[4]).contains("$folder.DeleteTask('packer-"), "{told:?}");
}

#[tokio::test]
async fn a_secret_in_a_command_line_is_refused() {
    let bench = Bench::new().await;
    for (name, option) in [
        ("powershell", "execute_command"),
        ("powershell", "elevated_execute_command"),
        ("windows-shell", "execute_command"),
    ] {
        let json = serde_json::json!({"inline": ["x"], option: format!("x {{{{ .Path }}}} '@{{{CANARY}}}'"),
            "elevated_user": if option.starts_with('e') && option.contains("elevated") { "u" } else { "" }});
        let json = if name == "windows-shell" {
            serde_json::json!({"inline": ["x"], option: json[option]})
        } else {
            json
        };
        let extension = bench.host.catalog().find(ExtensionKind::Provisioner, name).expect("built in");
        let machine = Arc::new(Recorder::default());
        let context = step(&bench.sink, bench.dir.path(), Vec::new());
        let error = extension
            .provision(&config(json), context, Some(machine.clone()))
            .await
            .expect_err("refused")
            .to_string();
        assert!(error.contains("secret value can't"), "{error}");
        let told = machine.told.lock().expect("no panic").clone();
        assert!(told.iter().all(|told| !format!("{told:?}").contains("c4n")), "{told:?}");
    }
}

#[tokio::test]
async fn batch_scripts() {
    let bench = Bench::new().await;
    let json = serde_json::json!({
        "inline": ["whoami", format!("set P=@{{{CANARY}}}")], "env": {"PW": format!("x&@{{{CANARY}}}"), "A": "it's"}
    });
    let (told, result) = bench.run("windows-shell", json, []).await;
    result.expect("runs");
    let set = "set \"A=it's\" && set \"PACKER_BUILDER_TYPE=null\" && set \"PACKER_BUILD_NAME=b\" && ";
    let secret = "c4n'ary ^\"$^(id^)` ^%PATH^% \\ € ^& 'end";
    let line = format!("{set}set PW=x^&{secret}&& \"c:/Windows/Temp/script.bat\"");
    assert_eq!(
        told,
        [
            Told::Wrote {
                path: "c:/Windows/Temp/script.bat".into(),
                text: format!("whoami\nset P={}\n", secret.replace("^%", "%%")),
                keep: false,
            },
            Told::Ran(line),
        ]
    );
    let json = serde_json::json!({"inline": ["exit 3"]});
    let error = bench.run("windows-shell", json, [code(3)]).await.1.expect_err("fails").to_string();
    assert!(error.contains("non-zero exit status: 3"), "{error}");
    let json = serde_json::json!({"inline": ["shutdown /r"], "valid_exit_codes": [2300218]});
    let (told, result) = bench.run("windows-shell", json, [gone()]).await;
    result.expect("runs");
    assert!(matches!(told.last(), Some(Told::Reconnected(false))), "{told:?}");
}

#[tokio::test]
async fn restarts() {
    let bench = Bench::new().await;
    let json = serde_json::json!({"restart_timeout": "1m", "check_registry": true});
    let (told, result) = bench.run("windows-restart", json, [code(0), gone()]).await;
    result.expect("restarted");
    let key = "HKLM:SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\";
    assert_told(
        &told,
        &[
            "shutdown /r /f /t 0 /c \"packer restart\"",
            "shutdown /r /f /t 60 /c \"packer restart test\"",
            "reconnect false",
            "powershell -NoProfile -Command \"Write-Output ('{0} restarted.' -f [System.Net.Dns]::GetHostName())\"",
            &format!(
                "powershell -NoProfile -Command \"Test-Path -LiteralPath '{key}RebootPending','{key}PackagesPending',\
                 '{key}RebootInProgress'\""
            ),
        ],
    );
    let events = bench.sink.text();
    let said = [
        "Restarting Machine",
        "Waiting for machine to restart...",
        "Machine successfully restarted, moving on",
    ];
    assert!(said.iter().all(|text| events.contains(text)), "{events}");
    let error = bench.run("windows-restart", serde_json::json!({}), [code(5)]).await.1.expect_err("fails");
    assert!(error.to_string().contains("Restart script exited with non-zero exit status: 5"), "{error}");
}
