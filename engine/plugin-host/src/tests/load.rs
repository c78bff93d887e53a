//! Loading of plugin folders and the compile cache.

use super::*;

#[tokio::test]
async fn bad_files_are_refused_with_a_reason() {
    let good = Guest::default().build();
    let dir = folder(&[
        ("a.wasm", b"\0asm\x01\0\0\0".to_vec()),
        ("b.wasm", b"hello".to_vec()),
        ("c.cwasm", good.clone()),
        ("d/plugin.wasm", [&good[..8], b"rubbish"].concat()),
        ("e.wasm", b"\x7fELF0000".to_vec()),
        ("good/plugin.wasm", good.clone()),
        ("notes.txt", b"not looked at".to_vec()),
    ]);
    let outside = folder(&[("x.wasm", good)]);
    std::os::unix::fs::symlink(outside.path().join("x.wasm"), dir.path().join("link.wasm")).expect("linked");
    let large = std::fs::File::create(dir.path().join("large.wasm")).expect("made");
    large.set_len(65 * 1024 * 1024).expect("sparse");
    let cache = tempfile::tempdir().expect("a folder");
    let host = host(cache.path(), |_| {});
    let problems = host.load_dir(dir.path()).await;
    let found = reasons(&problems);
    for (file, says) in [
        ("a.wasm", "module, not a component"),
        ("b.wasm", "no WebAssembly component"),
        ("c.cwasm", "native code"),
        ("d/plugin.wasm", "no valid WebAssembly component"),
        ("e.wasm", "native code"),
        ("link.wasm", "leaves the plugin folder"),
        ("large.wasm", "larger than 64 MiB"),
    ] {
        assert!(found.iter().any(|r| r.contains(file) && r.contains(says)), "{file}: {found:?}");
    }
    assert_eq!(problems.len(), 7, "{found:?}");
    assert!(host.catalog().find(ExtensionKind::Provisioner, "guest").is_some());
    let missing = host.load_dir(&dir.path().join("nowhere")).await;
    assert!(reasons(&missing)[0].contains("nowhere"), "{missing:?}");
}

#[tokio::test]
async fn clashing_names_are_refused() {
    let dir = folder(&[
        ("a.wasm", Guest { plugin: "one", name: "same", ..Guest::default() }.build()),
        ("b.wasm", Guest { plugin: "two", name: "same", ..Guest::default() }.build()),
        ("c.wasm", Guest { plugin: "one", name: "other", ..Guest::default() }.build()),
    ]);
    let cache = tempfile::tempdir().expect("a folder");
    let host = host(cache.path(), |_| {});
    let problems = reasons(&host.load_dir(dir.path()).await);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(
        problems[0].contains("b.wasm") && problems[0].contains("a.wasm") && problems[0].contains("\"same\""),
        "{problems:?}"
    );
    assert!(
        problems[1].contains("c.wasm") && problems[1].contains("a.wasm") && problems[1].contains("\"one\""),
        "{problems:?}"
    );
    assert_eq!(host.catalog().list().len(), 1);
}

#[tokio::test]
async fn the_cache_saves_compiling_and_heals() {
    let bytes: &'static [u8] = Guest::default().build().leak();
    let cache = tempfile::tempdir().expect("a folder");
    let first = host(cache.path(), |_| {});
    assert!(first.load_builtin(&[("guest", bytes)]).await.is_empty());
    let file = |extension: &str| {
        let entries = std::fs::read_dir(cache.path().join("plugins")).expect("made");
        entries
            .filter_map(|e| Some(e.ok()?.path()))
            .find(|p| p.extension().is_some_and(|e| e == extension))
            .expect("cached")
    };
    let (code, descriptor) = (file("cwasm"), file("json"));

    // Warm: neither the engine nor the native code is needed to know the extension.
    std::fs::remove_file(&code).expect("removed");
    let warm = host(cache.path(), |_| {});
    assert!(warm.load_builtin(&[("guest", bytes)]).await.is_empty());
    let extension = warm.catalog().find(ExtensionKind::Provisioner, "guest").expect("known");
    assert!(extension.info().origin == "built-in" && !code.exists());
    // The code is made when it is called.
    extension.prepare(&config(serde_json::json!({}))).await.expect("compiled");
    assert!(code.exists());

    // Spoiled files count as missing.
    for rubbish in [&b"rubbish"[..], b"\x7fELF\x02\x01\x01"] {
        std::fs::write(&code, rubbish).expect("written");
        std::fs::write(&descriptor, "{").expect("written");
        let healed = host(cache.path(), |_| {});
        assert!(healed.load_builtin(&[("guest", bytes)]).await.is_empty());
        let extension = healed.catalog().find(ExtensionKind::Provisioner, "guest").expect("known");
        extension.prepare(&config(serde_json::json!({}))).await.expect("runs");
    }
}
