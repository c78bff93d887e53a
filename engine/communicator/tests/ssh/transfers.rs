//! Files and folders, there and back, byte for byte, by every way.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use fornax_core::Secret;
use fornax_core::communicator::{
    Communicator, CommunicatorError, ProgressFn, TransferMethod, TransferOptions, UploadSource,
};

use crate::support::*;

const AS_IS: TransferOptions = TransferOptions { mode: None };

fn seen() -> (ProgressFn, Arc<Mutex<Vec<(u64, Option<u64>)>>>) {
    let calls: Arc<Mutex<Vec<(u64, Option<u64>)>>> = Arc::default();
    let sink = calls.clone();
    (Arc::new(move |done, total| sink.lock().unwrap().push((done, total))), calls)
}

async fn files(server: &Server, machine: &dyn Communicator) {
    for (i, size) in [0, 1, 255, 262_144, 5_000_001].into_iter().enumerate() {
        let content = noise(size);
        let from = server.path("from");
        std::fs::write(&from, &content).unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o640)).unwrap();
        let name = ["plain", "it's \"q\"", " blank ", "ünï$code`\\", "-dash"][i];
        let (to, back) = (server.path(name), server.path("back"));
        let (progress, calls) = seen();
        let to_text = to.display().to_string();
        let stats = machine.upload(UploadSource::File(from), &to_text, &AS_IS, Some(progress)).await.unwrap();
        assert_eq!((stats.files, stats.bytes), (1, size as u64));
        assert!(std::fs::read(&to).unwrap() == content, "{name}");
        assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(calls.lock().unwrap().last(), Some(&(size as u64, Some(size as u64))));
        let down = machine.download(&to_text, &back, None).await.unwrap();
        assert!(std::fs::read(&back).unwrap() == content, "{name}");
        assert_eq!(down, stats, "the same digest both ways");
        assert_eq!(stats.sha256.len(), 64);
        machine.remove_file(&to_text).await.unwrap();
        machine.remove_file(&to_text).await.unwrap();
        assert!(!to.exists());
    }
    let to = server.text("secret");
    let content = UploadSource::Bytes(Secret::new("geheim"));
    let stats = machine.upload(content, &to, &TransferOptions { mode: Some(0o600) }, None).await.unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(stats.sha256, "addb0f5e7826c857d7376d1bd9bc33c0c544790a2eac96144a8af22b1298c940");
    assert_eq!(machine.read_file(&to, 6).await.unwrap(), b"geheim");
    let error = machine.read_file(&to, 5).await.unwrap_err();
    assert!(error.to_string().contains("larger than 5 bytes"), "{error}");
}

async fn problems(server: &Server, machine: &dyn Communicator) {
    let local = server.path("local");
    std::fs::write(&local, "x").unwrap();
    let gone = server.text("gone/file");
    let is_missing = |error: &CommunicatorError| matches!(error, CommunicatorError::NotFound { .. });
    let error = machine.upload(UploadSource::File(local.clone()), &gone, &AS_IS, None).await.unwrap_err();
    assert!(is_missing(&error), "{error}");
    let error =
        machine.upload(UploadSource::File(server.path("gone")), "/tmp/x", &AS_IS, None).await.unwrap_err();
    assert!(is_missing(&error), "{error}");
    let error = machine
        .upload(UploadSource::Directory(server.path("gone")), "/tmp/x", &AS_IS, None)
        .await
        .unwrap_err();
    assert!(is_missing(&error), "{error}");
    let error = machine.download(&gone, &server.path("here"), None).await.unwrap_err();
    assert!(is_missing(&error), "{error}");
    let error = machine.read_file(&gone, 10).await.unwrap_err();
    assert!(is_missing(&error), "{error}");
    let folder = server.text("a folder");
    std::fs::create_dir_all(&folder).unwrap();
    let error = machine.upload(UploadSource::File(local.clone()), &folder, &AS_IS, None).await.unwrap_err();
    assert!(matches!(error, CommunicatorError::Transfer { .. }), "{error}");
    let error = machine.upload(UploadSource::Directory(local), &folder, &AS_IS, None).await.unwrap_err();
    assert!(matches!(error, CommunicatorError::Transfer { .. }), "{error}");
    let parts = std::fs::read_dir(server.dir.path()).unwrap().flatten();
    assert!(
        parts.into_iter().all(|e| !e.file_name().to_string_lossy().ends_with(".part")),
        "nothing half remains"
    );
}

fn make_folder(root: &Path) {
    std::fs::create_dir_all(root.join("sub dir/empty")).unwrap();
    for i in 0..1000 {
        let folder = root.join(format!("d{}", i % 10));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("file {i}")), format!("content {i}")).unwrap();
    }
    std::fs::write(root.join("sub dir/it's ü"), noise(700_000)).unwrap();
    std::fs::write(root.join("nothing"), "").unwrap();
    std::fs::write(root.join("run"), "#!/bin/sh").unwrap();
    std::fs::set_permissions(root.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("run", root.join("link")).unwrap();
    symlink("sub dir", root.join("folder link")).unwrap();
}

async fn folders(server: &Server, machine: &dyn Communicator) {
    let root = server.path("root");
    make_folder(&root);
    let target = server.path("tar get/deep");
    std::fs::create_dir_all(&target).unwrap();
    std::fs::write(target.join("old"), "stays").unwrap();
    let (progress, calls) = seen();
    let to = target.display().to_string();
    let up =
        machine.upload(UploadSource::Directory(root.clone()), &to, &AS_IS, Some(progress)).await.unwrap();
    assert_eq!(up.files, 1005);
    assert!(calls.lock().unwrap().last().unwrap().0 >= 1_400_000);
    let returned = server.path("returned");
    let down = machine.download(&to, &returned, None).await.unwrap();
    assert_eq!(down.files, 1006);
    for base in [&target, &returned] {
        assert_eq!(std::fs::read_to_string(base.join("d9/file 999")).unwrap(), "content 999");
        assert_eq!(std::fs::read_to_string(base.join("old")).unwrap(), "stays");
        assert!(std::fs::read(base.join("folder link/it's ü")).unwrap() == noise(700_000));
        assert!(std::fs::symlink_metadata(base.join("link")).unwrap().is_file());
        assert!(base.join("sub dir/empty").is_dir());
        assert_eq!(std::fs::read(base.join("nothing")).unwrap(), b"");
    }
    assert_eq!(std::fs::metadata(target.join("run")).unwrap().permissions().mode() & 0o777, 0o755);
    symlink("..", root.join("sub dir/up")).unwrap();
    let error = machine.upload(UploadSource::Directory(root), &to, &AS_IS, None).await.unwrap_err();
    assert!(error.to_string().contains("leads back"), "{error}");
}

#[tokio::test]
async fn through_a_shell() {
    let Some((server, machine)) = connected("shell transfers", "").await else { return };
    files(&server, machine.as_ref()).await;
    problems(&server, machine.as_ref()).await;
    folders(&server, machine.as_ref()).await;
}

#[tokio::test]
async fn over_sftp_where_the_options_ask_for_it() {
    let sftp =
        |options: &mut fornax_core::communicator::SshOptions| options.transfer_method = TransferMethod::Sftp;
    let Some((server, machine)) = connected_with("sftp transfers", "", sftp).await else { return };
    files(&server, machine.as_ref()).await;
    problems(&server, machine.as_ref()).await;
    folders(&server, machine.as_ref()).await;
}

#[tokio::test]
async fn over_sftp_where_there_is_no_shell() {
    let Some((server, machine)) = connected("no shell", "ForceCommand internal-sftp").await else { return };
    assert_eq!(machine.machine().await.unwrap().family, "other");
    files(&server, machine.as_ref()).await;
}

#[tokio::test]
async fn folders_travel_without_tar() {
    let Some((server, machine)) = connected("no tar", "SetEnv PATH=DIR/bin").await else { return };
    std::fs::create_dir(server.path("bin")).unwrap();
    for program in ["sh", "cat", "wc", "chmod", "rm", "mkdir", "uname", "id", "test"] {
        let found = ["/bin", "/usr/bin"].map(|d| Path::new(d).join(program)).into_iter().find(|p| p.exists());
        symlink(found.unwrap(), server.path("bin").join(program)).unwrap();
    }
    assert_eq!(run(machine.as_ref(), "tar --version").await.status.code, Some(127));
    folders(&server, machine.as_ref()).await;
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_that_looks_complete() {
    let Some((server, machine)) = connected("full disk", "").await else { return };
    std::fs::write(server.path("big"), noise(3_000_000)).unwrap();
    let to = server.text("target");
    // A limit on the size of files stands for the full disk.
    let session = run(machine.as_ref(), "echo $PPID").await.out;
    let limited =
        std::process::Command::new("prlimit").args(["--fsize=1000000", "--pid", session.trim()]).status();
    if !limited.is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: a full disk: prlimit is not there or not allowed");
        return;
    }
    let error = machine.upload(UploadSource::File(server.path("big")), &to, &AS_IS, None).await.unwrap_err();
    assert!(matches!(error, CommunicatorError::Transfer { .. }), "{error}");
    assert!(!server.path("target").exists());
}

#[tokio::test]
async fn a_dropped_upload_ends_on_both_sides() {
    let Some((server, machine)) = connected("dropped", "").await else { return };
    let file = std::fs::File::create(server.path("huge")).unwrap();
    file.set_len(20 << 30).unwrap();
    let upload = machine.upload(UploadSource::File(server.path("huge")), "/dev/null", &AS_IS, None);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), upload).await.is_err());
    assert_eq!(run(machine.as_ref(), "echo free").await.out, "free\n");
}
