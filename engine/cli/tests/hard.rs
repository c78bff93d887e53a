//! Inputs that are hard to read, through the binary as a user gives them: whatever a path names, a command ends in good
//! time with an error that says what is wrong with it.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const HCL: &str = "variable \"a\" {\n  default = \"\"\n}\nsource \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n";
const JSON: &str =
    "{\"variables\": {\"a\": \"\"}, \"builders\": [{\"type\": \"null\", \"communicator\": \"none\"}]}";
/// A run that takes longer is killed and fails the test.
const LIMIT: Duration = Duration::from_secs(120);

fn lab() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.pkr.hcl"), HCL).unwrap();
    std::fs::write(folder.path().join("t.json"), JSON).unwrap();
    folder
}

/// Exit code, and what was said on standard error.
#[track_caller]
fn run(folder: &TempDir, args: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fornax"))
        .args(args)
        .current_dir(folder)
        .env("FORNAX_STATE_DIR", folder.path().join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = stderr.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let start = Instant::now();
    while !reader.is_finished() {
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{args:?} does not end within {LIMIT:?}");
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    (child.wait().unwrap().code(), reader.join().unwrap())
}

#[track_caller]
fn expect(folder: &TempDir, args: &[&str], told: &str) {
    let (code, said) = run(folder, args);
    assert_eq!(code, Some(1), "{args:?}: {said}");
    assert!(said.contains(told), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?}: {said}");
}

/// What each command that reads templates of a language does with this one.
#[track_caller]
fn every_command(folder: &TempDir, path: &str, told: &str) {
    let commands: &[&[&str]] = match path.ends_with(".pkr.hcl") {
        true => &[&["validate"], &["validate", "-syntax-only"], &["inspect"], &["fmt", "-check"], &["build"]],
        false => &[
            &["validate"],
            &["validate", "-syntax-only"],
            &["inspect"],
            &["fix"],
            &["hcl2_upgrade"],
            &["build"],
        ],
    };
    for command in commands {
        expect(folder, &[*command, &[path]].concat(), told);
    }
}

#[test]
fn templates_that_are_no_text() {
    let folder = lab();
    for extension in ["json", "pkr.hcl"] {
        let bad = format!("bad.{extension}");
        std::fs::write(folder.path().join(&bad), b"{\n\"\xc3\xa9\xff\": 1}\n").unwrap();
        every_command(&folder, &bad, &format!("{bad}:2:3: the file is not UTF-8 text"));
        let large = format!("large.{extension}");
        std::fs::write(folder.path().join(&large), " ".repeat(20 << 20)).unwrap();
        every_command(&folder, &large, &format!("{large} has more than 16 MiB"));
        let endless = format!("endless.{extension}");
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(&endless)).unwrap();
        every_command(&folder, &endless, &format!("{endless} has more than 16 MiB"));
        every_command(&folder, &format!("missing.{extension}"), "No such file");
    }
    std::fs::write(folder.path().join("empty.json"), "").unwrap();
    every_command(&folder, "empty.json", "the text is empty");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    expect(&folder, &["validate", "folder"], "there is no template in the folder folder");
}

#[test]
fn variable_files_that_are_none() {
    let folder = lab();
    std::fs::create_dir(folder.path().join("d.pkrvars.hcl")).unwrap();
    std::fs::write(folder.path().join("bad.pkrvars.hcl"), b"a = \"x\"\nb = \"\xff\"\n").unwrap();
    for template in ["t.json", "t.pkr.hcl"] {
        for (file, told) in [
            ("/dev/zero", "/dev/zero has more than 16 MiB"),
            ("d.pkrvars.hcl", "d.pkrvars.hcl is a folder"),
            ("missing.pkrvars.hcl", "can't read missing.pkrvars.hcl: No such file"),
            ("bad.pkrvars.hcl", "bad.pkrvars.hcl:2:6: the file is not UTF-8 text"),
        ] {
            expect(&folder, &["validate", &format!("-var-file={file}"), template], told);
        }
    }
}

/// A pipe gives its text once, also where the template has findings, whose lines are searched for secrets.
#[test]
fn a_variable_file_may_be_a_pipe() {
    let folder = lab();
    std::fs::write(folder.path().join("broken.json"), JSON.replace("\"a\"", "\"a\": 1, \"a\"")).unwrap();
    for (template, code) in [("t.json", 0), ("broken.json", 1)] {
        let pipe = folder.path().join(format!("{template}.pipe.json"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let to = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::write(to, "{\"a\": \"from the pipe\"}"));
        let (got, said) = run(&folder, &["validate", &format!("-var-file={}", pipe.display()), template]);
        assert_eq!(got, Some(code), "{said}");
        writer.join().unwrap().unwrap();
    }
}

#[test]
fn byte_order_marks_and_line_ends_of_other_systems() {
    let folder = lab();
    for (name, text) in [
        ("bom.json", format!("\u{feff}{JSON}")),
        ("crlf.json", JSON.replace(',', ",\r\n")),
        ("bom.pkr.hcl", format!("\u{feff}{HCL}")),
        ("crlf.pkr.hcl", HCL.replace('\n', "\r\n")),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let (code, said) = run(&folder, &["validate", name]);
        assert_eq!(code, Some(0), "{name}: {said}");
    }
}

/// The whole way, down to the printing of the findings, on the stack that a command has.
#[test]
fn deep_and_long_templates() {
    let folder = lab();
    let nested =
        |open: &str, close: &str, count: usize| format!("{}1{}", open.repeat(count), close.repeat(count));
    let chains = (0..90).fold("1".to_owned(), |e, _| format!("({e}{})", "+1".repeat(240)));
    let wrapped: String = (0..3000).map(|i| format!("l{} = [local.l{i}]\n", i + 1)).collect();
    for (name, text, told) in [
        ("a.pkr.hcl", format!("locals {{\na = {chains}\n}}\n"), "hcl/too-deep"),
        ("b.pkr.hcl", format!("a = {}\n", nested("[", "]", 100_000)), "hcl/too-deep"),
        ("c.pkr.hcl", "b {\n".repeat(100_000), "hcl/too-deep"),
        ("d.json", nested("[", "]", 100_000), "nested more than 128 levels"),
        ("e.json", nested("{\"a\":", "}", 100_000), "nested more than 128 levels"),
        ("f.pkr.hcl", "@\n".repeat(2000), "more findings"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        let commands: &[&str] =
            if name.ends_with(".json") { &["validate", "fix"] } else { &["validate", "fmt"] };
        for command in commands {
            expect(&folder, &[command, name], told);
        }
    }
    std::fs::write(folder.path().join("g.pkr.hcl"), format!("{HCL}locals {{\nl0 = 1\n{wrapped}}}\n"))
        .unwrap();
    expect(&folder, &["validate", "g.pkr.hcl"], "hcl/too-deep");
}

#[test]
fn a_reader_that_goes_away_stops_no_command_and_a_full_disk_is_told() {
    let folder = lab();
    let fornax = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fornax"));
        command.args(["docs", "functions"]).current_dir(&folder).stdout(stdout).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut child = fornax(Stdio::piped());
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));

    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
        eprintln!("SKIPPED: a full disk is told: there is no /dev/full");
        return;
    };
    let ended = fornax(full.into()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with("Error: can't write to standard output: "), "{said}");
}
