//! Hostile and clumsy guests: each is loaded from a folder like any third-party plugin, and must do no harm.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fornax_core::plugin::{ExtensionKind, PluginError};

use crate::testing::{Guest, LocalMachine, Sink, config, step};
use crate::{HostConfig, Limits, LoadProblem, PluginHost, Policy};

mod artifacts;
mod builtin;
mod host_exec;
mod http;
mod load;
mod machine;
mod windows;

fn host(cache: &Path, change: impl FnOnce(&mut HostConfig)) -> PluginHost {
    let mut config = HostConfig {
        cache_dir: Some(cache.to_owned()),
        working_dir: cache.to_owned(),
        limits: Limits { grace: Duration::from_millis(200), ..Limits::default() },
        ..HostConfig::default()
    };
    change(&mut config);
    PluginHost::new(config)
}

/// The plugin for which tests call the host without any guest.
fn id() -> crate::policy::PluginId<'static> {
    crate::policy::PluginId { name: "test/guest", digest: "", built_in: false }
}

fn folder(guests: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in guests {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    dir
}

fn reasons(problems: &[LoadProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// Loads one guest and runs its provisioner.
async fn provision(
    guest: Guest,
    change: impl FnOnce(&mut fornax_core::plugin::StepContext),
) -> (Result<(), PluginError>, Arc<Sink>) {
    let dir = folder(&[("guest/plugin.wasm", guest.build())]);
    let cache = tempfile::tempdir().expect("a folder");
    let host = host(cache.path(), |_| {});
    let problems = host.load_dir(dir.path()).await;
    assert!(problems.is_empty(), "{:?}", reasons(&problems));
    let extension = host.catalog().find(ExtensionKind::Provisioner, guest.name).expect("loaded");
    let sink = Arc::new(Sink::default());
    let mut context = step(&sink, cache.path(), Vec::new());
    change(&mut context);
    let machine = Arc::new(LocalMachine::default());
    let result = extension.provision(&config(serde_json::json!({})), context, Some(machine)).await;
    (result.map(|_| ()), sink)
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_time_limit() {
    let guest = Guest { body: "(loop $l (br $l))", ..Guest::default() };
    let start = Instant::now();
    let (result, _) = provision(guest, |c| c.timeout = Some(Duration::from_millis(100))).await;
    assert!(matches!(result, Err(PluginError::Timeout(_))), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn an_endless_loop_ends_after_the_grace_period() {
    let guest = Guest { body: "(loop $l (br $l))", ..Guest::default() };
    let (result, _) = provision(guest, |c| c.cancel.cancel()).await;
    assert!(matches!(result, Err(PluginError::Cancelled)), "{result:?}");
}

#[tokio::test]
async fn a_sleeping_guest_hears_of_the_cancellation() {
    let guest = Guest {
        imports: r#"(import "fornax:plugin/run@0.1.0" "sleep" (func $sleep (param i64 i32)))
                    (import "fornax:plugin/run@0.1.0" "is-cancelled" (func $cancelled (result i32)))"#,
        // Returns normally when the sleep was cancelled, traps when it was not.
        body: "(call $sleep (i64.const 3600000) (i32.const 2048)) (if (i32.eqz (call $cancelled)) (then unreachable))
               (if (i32.ne (i32.load8_u (i32.const 2048)) (i32.const 1)) (then unreachable))",
        ..Guest::default()
    };
    let (result, _) = provision(guest, |c| {
        let cancel = c.cancel.clone();
        tokio::spawn(async move { cancel.cancel() });
    })
    .await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn a_trap_names_plugin_digest_and_function() {
    let (result, _) = provision(Guest { body: "unreachable", ..Guest::default() }, |_| {}).await;
    let Err(PluginError::Trapped { plugin, digest, function, reason }) = result else { panic!("{result:?}") };
    assert_eq!((plugin.as_str(), function.as_str()), ("test/guest", "provision"));
    assert_eq!(digest.len(), 64);
    assert!(reason.contains("panicked"), "{reason}");
}

#[tokio::test]
async fn a_memory_bomb_is_stopped() {
    let body = "(loop $l (drop (memory.grow (i32.const 256))) (br $l))";
    let (result, _) = provision(Guest { body, ..Guest::default() }, |_| {}).await;
    let Err(PluginError::Trapped { reason, .. }) = result else { panic!("{result:?}") };
    assert!(reason.contains("256 MiB"), "{reason}");
}

const SAY: &str = r#"(import "fornax:plugin/ui@0.1.0" "say" (func $say (param i32 i32)))"#;

#[tokio::test]
async fn a_flood_of_messages_is_bounded_and_reported() {
    let body = "(local.set $n (i32.const 200000))
                (loop $l (call $say (i32.const 4096) (i32.const 5)) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))";
    let (result, sink) = provision(Guest { imports: SAY, body, ..Guest::default() }, |_| {}).await;
    assert!(result.is_ok(), "{result:?}");
    let said = sink.0.lock().expect("no panic").len();
    assert!((5_000..150_000).contains(&said), "{said}");
    assert!(sink.text().contains("were dropped"));
}

#[tokio::test]
async fn a_huge_message_is_cut() {
    let body = "(drop (memory.grow (i32.const 400))) (memory.fill (i32.const 131072) (i32.const 97) (i32.const 20000000))
                (call $say (i32.const 131072) (i32.const 20000000))";
    let (result, sink) = provision(Guest { imports: SAY, body, ..Guest::default() }, |_| {}).await;
    assert!(result.is_ok(), "{result:?}");
    let text = sink.text();
    assert!((16_000..20_000).contains(&text.len()) && text.contains("aaa…"), "{}", text.len());
}

#[tokio::test]
async fn describe_has_a_budget() {
    let guests = [
        ("loop", Guest { describe: "(loop $l (br $l))", ..Guest::default() }, "computed for too long"),
        (
            "bomb",
            Guest { describe: "(loop $l (drop (memory.grow (i32.const 256))) (br $l))", ..Guest::default() },
            "64 MiB",
        ),
        ("trap", Guest { describe: "unreachable", ..Guest::default() }, "panicked"),
    ];
    for (name, guest, says) in guests {
        let dir = folder(&[(&format!("{name}.wasm"), guest.build())]);
        let cache = tempfile::tempdir().expect("a folder");
        let problems = host(cache.path(), |_| {}).load_dir(dir.path()).await;
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].reason.contains(says) && problems[0].reason.contains("describe"),
            "{}",
            problems[0]
        );
    }
}

#[tokio::test]
async fn a_required_right_must_be_granted() {
    let guest = Guest {
        requires: Some("git"),
        imports: r#"(import "fornax:plugin/host-exec@0.1.0" "run" (func $run (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32)))"#,
        world: "import host-exec;",
        ..Guest::default()
    };
    let dir = folder(&[("guest.wasm", guest.build())]);
    let cache = tempfile::tempdir().expect("a folder");
    let loaded = host(cache.path(), |_| {});
    assert!(loaded.load_dir(dir.path()).await.is_empty());
    let extension = loaded.catalog().find(ExtensionKind::Provisioner, "guest").expect("loaded");
    assert!(!extension.info().capabilities[0].granted);
    let error = extension.prepare(&config(serde_json::json!({}))).await.expect_err("not granted").to_string();
    assert!(error.contains("--grant test/guest=host-exec:git") && error.contains("to test"), "{error}");

    let mut policy = Policy::new();
    policy.grant("test/guest=host-exec:git").expect("valid");
    let loaded = host(cache.path(), |c| c.policy = policy);
    assert!(loaded.load_dir(dir.path()).await.is_empty());
    let extension = loaded.catalog().find(ExtensionKind::Provisioner, "guest").expect("loaded");
    assert!(extension.info().capabilities[0].granted);
    extension.prepare(&config(serde_json::json!({}))).await.expect("granted");
}

#[tokio::test]
async fn what_is_imported_must_be_asked_for() {
    let guest = Guest {
        imports: r#"(import "fornax:plugin/host-exec@0.1.0" "run" (func $run (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32)))"#,
        world: "import host-exec;",
        ..Guest::default()
    };
    let dir = folder(&[("guest.wasm", guest.build())]);
    let cache = tempfile::tempdir().expect("a folder");
    let problems = host(cache.path(), |_| {}).load_dir(dir.path()).await;
    assert!(reasons(&problems)[0].contains("asks for the capability host-exec"), "{:?}", reasons(&problems));
}

#[tokio::test]
async fn interface_versions() {
    let cache = tempfile::tempdir().expect("a folder");
    let dir = folder(&[("old.wasm", Guest { version: "0.2.0", ..Guest::default() }.build())]);
    let problems = host(cache.path(), |_| {}).load_dir(dir.path()).await;
    assert!(
        reasons(&problems)[0].contains("another version of the plugin interface"),
        "{:?}",
        reasons(&problems)
    );
    let dir = folder(&[("new.wasm", Guest { version: "0.1.7", ..Guest::default() }.build())]);
    assert!(host(cache.path(), |_| {}).load_dir(dir.path()).await.is_empty());
}
