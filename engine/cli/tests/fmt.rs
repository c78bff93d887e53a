//! `fornax fmt` as a person runs it: which files it touches, what it prints, and how it ends.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const UGLY: &str = "a=1\nlong_name=2\n";
const NEAT: &str = "a         = 1\nlong_name = 2\n";
const BROKEN: &str = "a = \n";

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn fmt_with(folder: &TempDir, args: &[&str], stdin: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fornax"))
        .arg("fmt")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that reads no standard input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn fmt(folder: &TempDir, args: &[&str]) -> Ran {
    fmt_with(folder, args, "")
}

#[track_caller]
fn expect(ran: &Ran, code: i32, stdout: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), stdout), "{}", ran.stderr);
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn text(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

#[test]
fn a_folder_is_formatted_without_those_in_it() {
    let folder = folder(&[
        ("b.pkr.hcl", UGLY),
        ("a.pkrvars.hcl", UGLY),
        ("neat.pkr.hcl", NEAT),
        ("in/c.pkr.hcl", UGLY),
        (".hidden.pkr.hcl", UGLY),
        ("other.hcl", UGLY),
        ("#e.pkr.hcl#", UGLY),
    ]);
    expect(&fmt(&folder, &[]), 0, "a.pkrvars.hcl\nb.pkr.hcl\n");
    for name in ["b.pkr.hcl", "a.pkrvars.hcl", "neat.pkr.hcl"] {
        assert_eq!(text(&folder, name), NEAT, "{name}");
    }
    for name in ["in/c.pkr.hcl", ".hidden.pkr.hcl", "other.hcl", "#e.pkr.hcl#"] {
        assert_eq!(text(&folder, name), UGLY, "{name}");
    }
    expect(&fmt(&folder, &["-check", "."]), 0, "");
}

#[test]
fn recursive_goes_into_folders_but_not_behind_links() {
    let folder = folder(&[("x/b.pkr.hcl", UGLY), ("x/in/c.pkr.hcl", UGLY), ("x/.git/d.pkr.hcl", UGLY)]);
    std::os::unix::fs::symlink("..", folder.path().join("x/in/loop")).unwrap();
    expect(&fmt(&folder, &["-recursive", "./x"]), 0, "x/b.pkr.hcl\nx/in/c.pkr.hcl\n");
    assert_eq!(text(&folder, "x/in/c.pkr.hcl"), NEAT);
    assert_eq!(text(&folder, "x/.git/d.pkr.hcl"), UGLY);
}

#[test]
fn check_and_write_false_leave_files_as_they_are() {
    let folder = folder(&[("a.pkr.hcl", UGLY)]);
    for (args, code, told) in [
        (&["-check", "a.pkr.hcl"][..], 3, "a.pkr.hcl\n"),
        (&["--check=true", "./a.pkr.hcl"], 3, "./a.pkr.hcl\n"),
        (&["-check", "-write=true", "."], 3, "a.pkr.hcl\n"),
        (&["-write=false", "a.pkr.hcl"], 0, "a.pkr.hcl\n"),
        (&["-check=false", "-write=false"], 0, "a.pkr.hcl\n"),
    ] {
        expect(&fmt(&folder, args), code, told);
        assert_eq!(text(&folder, "a.pkr.hcl"), UGLY, "{args:?}");
    }
}

#[test]
fn diff_shows_the_change() {
    let folder = folder(&[("a.pkr.hcl", "a=1\nb = 2\n")]);
    let expected = "a.pkr.hcl\n--- old/a.pkr.hcl\n+++ new/a.pkr.hcl\n@@ -1,2 +1,2 @@\n-a=1\n+a = 1\n b = 2\n";
    expect(&fmt(&folder, &["-diff", "-check", "a.pkr.hcl"]), 3, expected);
    expect(&fmt(&folder, &["-diff", "a.pkr.hcl"]), 0, expected);
    assert_eq!(text(&folder, "a.pkr.hcl"), "a = 1\nb = 2\n");
}

#[test]
fn standard_input_goes_to_standard_output() {
    let folder = folder(&[]);
    for (args, input, code, output) in [
        (&["-"][..], UGLY, 0, NEAT),
        (&["-"], NEAT, 0, NEAT),
        (&["-write=false", "-diff", "-"], UGLY, 0, NEAT),
        (&["-check", "-"], UGLY, 3, NEAT),
        (&["-"], BROKEN, 1, ""),
    ] {
        expect(&fmt_with(&folder, args, input), code, output);
    }
}

#[test]
fn errors_are_all_told_and_the_other_files_are_formatted() {
    let folder = folder(&[
        ("a.pkr.hcl", BROKEN),
        ("b.pkr.hcl", UGLY),
        ("c.json", "{}"),
        ("d.pkr.hcl", "b = <<E\n"),
        ("f.pkr.hcl", UGLY),
    ]);
    fs::write(folder.path().join("e.pkr.hcl"), b"a = \"\xff\"\n").unwrap();
    let ran = fmt(&folder, &["-check", "c.json", ".", "missing.pkr.hcl"]);
    expect(&ran, 1, "b.pkr.hcl\nf.pkr.hcl\n");
    for told in [
        "c.json is no HCL file",
        "a.pkr.hcl is not formatted",
        "--> a.pkr.hcl:1:",
        "d.pkr.hcl is not formatted",
        "e.pkr.hcl:1:6: the file is not UTF-8",
        "can't read missing.pkr.hcl",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    expect(&fmt(&folder, &[]), 1, "b.pkr.hcl\nf.pkr.hcl\n");
    assert_eq!(text(&folder, "f.pkr.hcl"), NEAT);
    assert_eq!(text(&folder, "a.pkr.hcl"), BROKEN);
}

#[test]
fn a_file_that_may_not_be_written_stays() {
    let folder = folder(&[("a.pkr.hcl", UGLY)]);
    let path = folder.path().join("a.pkr.hcl");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("SKIPPED: a_file_that_may_not_be_written_stays: root may write every file");
        return;
    }
    let ran = fmt(&folder, &["a.pkr.hcl"]);
    expect(&ran, 1, "");
    assert!(ran.stderr.contains("can't write a.pkr.hcl"), "{}", ran.stderr);
    assert_eq!(text(&folder, "a.pkr.hcl"), UGLY);
}
