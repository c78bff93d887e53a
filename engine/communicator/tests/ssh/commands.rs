//! Commands: output, ends, input, and stopping them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fornax_core::Secret;
use fornax_core::communicator::{Command, CommandEvent, Communicator, Running};

use crate::support::*;

#[tokio::test]
async fn output_codes_and_signals_are_told() {
    let Some((_server, machine)) = connected("commands", "").await else { return };
    let said = run(machine.as_ref(), "echo out; echo err >&2; exit 7").await;
    assert_eq!((said.out.as_str(), said.err.as_str(), said.status.code), ("out\n", "err\n", Some(7)));
    let status = run(machine.as_ref(), "kill -KILL $$").await.status;
    assert_eq!((status.code, status.signal.as_deref(), status.disconnected), (None, Some("KILL"), false));
    assert_eq!(run(machine.as_ref(), "no-such-program").await.status.code, Some(127));
    let said = run(machine.as_ref(), "seq 100000").await;
    assert!(said.out == (1..=100_000).map(|i| format!("{i}\n")).collect::<String>());
    let slow = "for i in 1 2 3 4 5; do echo $i; sleep 0.01; done";
    assert_eq!(run(machine.as_ref(), slow).await.out, "1\n2\n3\n4\n5\n");
}

#[tokio::test]
async fn input_arrives_and_a_command_that_ends_early_does_not_wait_for_it() {
    let Some((_server, machine)) = connected("input", "").await else { return };
    let input = noise(3_000_000);
    let sum = Command { stdin: Bytes::from(input.clone()), ..command("wc -c; exit 4") };
    let said = collect(machine.start(sum).await.unwrap()).await;
    assert_eq!((said.out.trim(), said.status.code), ("3000000", Some(4)));
    let early = Command { stdin: Bytes::from(noise(32 << 20)), ..command("head -c 3 >/dev/null; exit 6") };
    let started = Instant::now();
    let said = collect(machine.start(early).await.unwrap()).await;
    assert_eq!(said.status.code, Some(6));
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(run(machine.as_ref(), "echo still").await.out, "still\n");
}

#[tokio::test]
async fn a_terminal_is_given_where_it_is_asked_for() {
    let Some((_server, machine)) = connected("pty", "").await else { return };
    let said =
        collect(machine.start(Command { pty: true, ..command("tty; echo err >&2; exit 2") }).await.unwrap())
            .await;
    assert!(said.out.starts_with("/dev/pts/") && said.out.ends_with("err\r\n"), "{:?}", said.out);
    assert_eq!((said.err.as_str(), said.status.code), ("", Some(2)));
    assert_eq!(run(machine.as_ref(), "tty").await.out.trim(), "not a tty");
    let Some((_server, machine)) = connected_with("ssh_pty", "", |o| o.pty = true).await else { return };
    assert!(run(machine.as_ref(), "tty").await.out.starts_with("/dev/pts/"));
}

#[tokio::test]
async fn a_background_process_does_not_hold_up_the_end() {
    let Some((_server, machine)) = connected("background", "").await else { return };
    let started = Instant::now();
    let said = run(machine.as_ref(), "sleep 87.31 & echo done; exit 5").await;
    assert_eq!((said.out.as_str(), said.status.code), ("done\n", Some(5)));
    assert!(started.elapsed() < Duration::from_secs(60));
    assert!(process_lives("87.31"), "it goes on");
    run(machine.as_ref(), "pkill -f '[8]7.31'").await;
}

async fn started(machine: &dyn Communicator, seconds: &str, pty: bool) -> Box<dyn Running> {
    let line = Secret::new(format!("echo up; sh -c 'sleep {seconds}; true' | cat; true"));
    let mut running = machine.start(Command { line, stdin: Bytes::new(), pty }).await.unwrap();
    match running.next().await {
        Some(CommandEvent::Stdout(data)) => assert_eq!(String::from_utf8_lossy(&data).trim(), "up"),
        other => panic!("{other:?}"),
    }
    until("it runs", || process_lives(&format!("sleep\0{seconds}"))).await;
    running
}

#[tokio::test]
async fn killed_and_dropped_commands_do_not_live_on() {
    let Some((_server, machine)) = connected("kill", "").await else { return };
    for (pty, seconds) in [(false, "61.07"), (true, "61.08")] {
        let mut running = started(machine.as_ref(), seconds, pty).await;
        running.kill().await;
        until("it is gone", || !process_lives(&format!("sleep\0{seconds}"))).await;
        match running.next().await {
            Some(CommandEvent::Exited(status)) => {
                assert!(!status.disconnected && status.code != Some(0), "{status:?}")
            }
            other => panic!("{other:?}"),
        }
    }
    drop(started(machine.as_ref(), "61.09", false).await);
    until("it is gone", || !process_lives("sleep\x0061.09")).await;
    assert_eq!(run(machine.as_ref(), "echo alive").await.out, "alive\n");
}

#[tokio::test]
async fn one_session_at_a_time_is_enough() {
    let Some((_server, machine)) = connected("MaxSessions 1", "MaxSessions 1").await else { return };
    for i in 0..30 {
        assert_eq!(run(machine.as_ref(), &format!("echo {i}")).await.out, format!("{i}\n"));
    }
    let commands = (0..5).map(|i| {
        let machine = machine.clone();
        async move { run(machine.as_ref(), &format!("sleep 0.05; exit {i}")).await.status.code }
    });
    let codes = futures::future::join_all(commands).await;
    assert_eq!(codes, (0..5).map(Some).collect::<Vec<_>>());
}

#[tokio::test]
async fn new_keys_in_the_middle_change_nothing() {
    let Some((_server, machine)) = connected("rekey", "RekeyLimit 1M").await else { return };
    let said = run(machine.as_ref(), "seq 1000000").await;
    assert!(said.out == (1..=1_000_000).map(|i| format!("{i}\n")).collect::<String>());
    let input = Command { stdin: Bytes::from(noise(8 << 20)), ..command("sha256sum") };
    let said = collect(machine.start(input).await.unwrap()).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), noise(8 << 20)).unwrap();
    let expected = std::process::Command::new("sha256sum").arg(dir.path().join("f")).output().unwrap().stdout;
    assert_eq!(said.out.as_bytes()[..64], expected[..64]);
}

#[tokio::test]
async fn a_reader_that_sleeps_holds_up_nobody_else() {
    let Some((_server, machine)) = connected("slow reader", "").await else { return };
    let mut slow = machine.start(command("head -c 60000000 /dev/zero; exit 8")).await.unwrap();
    for i in 0..20 {
        assert_eq!(run(machine.as_ref(), &format!("echo {i}")).await.out, format!("{i}\n"));
    }
    let (mut bytes, mut note, mut code) = (0, String::new(), None);
    while let Some(event) = slow.next().await {
        match event {
            CommandEvent::Stdout(data) => bytes += data.len(),
            CommandEvent::Stderr(data) => note.push_str(&String::from_utf8_lossy(&data)),
            CommandEvent::Exited(status) => code = status.code,
        }
    }
    assert_eq!(code, Some(8));
    assert!(bytes == 60_000_000 || note.contains("bytes of output were dropped"), "{bytes} {note}");
}

#[tokio::test]
async fn alone_a_reader_that_sleeps_loses_nothing() {
    let Some((server, machine)) = connected("slow and alone", "").await else { return };
    // More than is buffered here, so that the rest has to wait.
    let line =
        format!("head -c 17000000 /dev/zero; echo >{}; head -c 43000000 /dev/zero", server.text("taken"));
    let mut slow = machine.start(command(&line)).await.unwrap();
    let mut bytes = 0;
    until("the buffer is full", || server.path("taken").exists()).await;
    while let Some(event) = slow.next().await {
        if let CommandEvent::Stdout(data) = event {
            bytes += data.len();
        }
    }
    assert_eq!(bytes, 60_000_000);
}

#[tokio::test]
async fn a_frozen_server_ends_the_connection() {
    let interval = Some(Duration::from_millis(200));
    let Some((_server, machine)) = connected_with("frozen", "", |o| o.keep_alive_interval = interval).await
    else {
        return;
    };
    let server = run(machine.as_ref(), "echo $PPID").await.out.trim().to_owned();
    let mut running = machine.start(command("echo up; sleep 50.17")).await.unwrap();
    running.next().await;
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &server]).status().unwrap().success());
    };
    signal("-STOP");
    // Less than the command takes.
    let end = tokio::time::timeout(Duration::from_secs(45), running.next()).await;
    signal("-KILL");
    match end.unwrap() {
        Some(CommandEvent::Exited(status)) => assert!(status.disconnected && status.code.is_none()),
        other => panic!("{other:?}"),
    }
    assert!(std::process::Command::new("pkill").args(["-f", "sleep 50.1[7]"]).status().is_ok());
}
