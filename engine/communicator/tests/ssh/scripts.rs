//! Scripts over one channel, and by another way where one channel is not enough.

use std::os::unix::fs::PermissionsExt;

use fornax_core::Secret;
use fornax_core::communicator::{Script, ScriptContent};

use crate::support::*;

fn script(path: &str, text: &str, command: &str) -> Script {
    Script {
        content: ScriptContent::Text(Secret::new(text)),
        path: path.to_owned(),
        mode: 0o755,
        command: Secret::new(command.replace("PATH", &format!("'{}'", path.replace('\'', r"'\''")))),
        keep: false,
        pty: false,
    }
}

#[tokio::test]
async fn a_script_runs_whole_with_its_status_and_is_removed() {
    let Some((server, machine)) = connected("scripts", "").await else { return };
    let path = server.text("it's a script.sh");
    let text = "#!/bin/sh\n[ -x \"$0\" ] || exit 9\necho \"value: $VALUE\"\necho bad >&2\nexit 5\n";
    for pty in [false, true] {
        let script = Script { pty, ..script(&path, text, "VALUE='a b' PATH") };
        let said = collect(machine.start_script(script).await.unwrap()).await;
        assert_eq!(said.status.code, Some(5), "{}{}", said.out, said.err);
        assert!(said.out.starts_with("value: a b"), "{}", said.out);
        assert!(!server.path("it's a script.sh").exists());
    }
    // Packer's own line, and a script that reads its input, which is empty.
    let packer = script(&path, "#!/bin/sh -e\ncat\necho \"$A\"", "chmod +x PATH; A='1' PATH");
    let said = collect(machine.start_script(packer).await.unwrap()).await;
    assert_eq!((said.out.as_str(), said.status.code), ("1\n", Some(0)));
    let killed = script(&path, "#!/bin/sh\nkill -9 $$\n", "PATH");
    assert_eq!(collect(machine.start_script(killed).await.unwrap()).await.status.code, Some(137));
    assert!(!server.path("it's a script.sh").exists());
}

#[tokio::test]
async fn a_script_arrives_byte_for_byte_from_memory_and_from_a_file() {
    let Some((server, machine)) = connected("script bytes", "").await else { return };
    let path = server.text("kept");
    let long = format!("#!/bin/sh\nexit 3\n# ü {}\r\nno last newline", "x'\"$`\\".repeat(60_000));
    std::fs::write(server.path("local"), &long).unwrap();
    for content in [ScriptContent::Text(Secret::new(&*long)), ScriptContent::File(server.path("local"))] {
        let script = Script { content, keep: true, mode: 0o751, ..script(&path, "", "PATH") };
        assert_eq!(collect(machine.start_script(script).await.unwrap()).await.status.code, Some(3));
        assert!(std::fs::read_to_string(&path).unwrap() == long);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o751);
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_written_does_not_run() {
    let Some((server, machine)) = connected("unwritable", "").await else { return };
    let script = script(&server.text("nowhere/s"), "#!/bin/sh\necho ran\n", "echo ran");
    let said = collect(machine.start_script(script).await.unwrap()).await;
    assert_eq!((said.out.as_str(), said.status.code), ("", Some(122)));
    assert!(said.err.contains("nowhere/s"), "{}", said.err);
}

#[tokio::test]
async fn what_a_lost_connection_leaves_is_removed_at_the_next() {
    let Some((server, machine)) = connected("leftover", "").await else { return };
    let path = server.text("left");
    // The session's server is the parent of the login shell.
    let script = script(&path, "#!/bin/sh\n:\n", "kill -9 $PPID");
    let said = collect(machine.start_script(script).await.unwrap()).await;
    assert!(said.status.disconnected, "{:?}", said.status);
    std::fs::write(&path, "").unwrap();
    assert_eq!(run(machine.as_ref(), "echo new").await.out, "new\n");
    assert!(!server.path("left").exists());
}

#[tokio::test]
async fn a_killed_script_is_removed() {
    let Some((server, machine)) = connected("killed script", "").await else { return };
    let path = server.text("endless");
    let script = script(&path, "#!/bin/sh\necho up\nsleep 71.13\n", "PATH");
    let mut running = machine.start_script(script).await.unwrap();
    running.next().await;
    running.kill().await;
    until("it is removed", || !server.path("endless").exists()).await;
    until("it is gone", || !process_lives("sleep\x0071.13")).await;
}
