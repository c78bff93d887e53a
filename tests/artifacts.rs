//! What becomes of the files of an artifact: checksums, archives and found files after the builders `file` and `null`,
//! which files stay and which go, and the tools of the system that read the result.

use std::path::Path;
use std::process::Command;

use fornax_tests::Lab;
use serde_json::{Value, json};

/// A template with one `file` builder that writes `out/disk.img`, and these post-processors.
fn template(post_processors: &Value) -> String {
    json!({
        "builders": [{"type": "file", "name": "img", "content": "Hello world!", "target": "out/disk.img"}],
        "post-processors": post_processors,
    })
    .to_string()
}

/// The names of all files below the lab's folder that a build made, sorted.
fn files(lab: &Lab) -> Vec<String> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).expect("below").display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    for name in ["out", "made"] {
        if lab.path().join(name).exists() {
            walk(&lab.path().join(name), lab.path(), &mut found);
        }
    }
    found.sort();
    found
}

fn read(lab: &Lab, name: &str) -> String {
    std::fs::read_to_string(lab.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const MD5: &str = "86fb269d190d2c85f6e0468ceca42a20\tdisk.img\n";

#[test]
fn inputs_are_kept_or_removed_by_packers_rules() {
    let compress = |keep: Value| match keep {
        Value::Null => json!({"type": "compress", "output": "out/disk.tar.gz"}),
        keep => json!({"type": "compress", "output": "out/disk.tar.gz", "keep_input_artifact": keep}),
    };
    let checksum =
        |keep: Value| json!({"type": "checksum", "output": "out/sums", "keep_input_artifact": keep});
    let cases = [
        (json!([]), vec!["out/disk.img"]),
        (json!([compress(Value::Null)]), vec!["out/disk.tar.gz"]),
        (json!([compress(json!(true))]), vec!["out/disk.img", "out/disk.tar.gz"]),
        (json!([checksum(json!(false))]), vec!["out/disk.img", "out/sums"]),
        // A sequence: the checksums are of the archive.
        (json!([[compress(Value::Null), checksum(json!(true))]]), vec!["out/disk.tar.gz", "out/sums"]),
        // Two that start from the builder's file: one of them keeps it.
        (
            json!([compress(Value::Null), checksum(json!(true))]),
            vec!["out/disk.img", "out/disk.tar.gz", "out/sums"],
        ),
        // The archive takes the place of the file and of its checksums; the first step keeps the file.
        (json!([[checksum(json!(true)), compress(Value::Null)]]), vec!["out/disk.img", "out/disk.tar.gz"]),
        // An archive of an archive: only the last remains.
        (
            json!([[compress(Value::Null), {"type": "compress", "output": "out/again.xz"}]]),
            vec!["out/again.xz"],
        ),
        // Packed into itself.
        (json!([{"type": "compress", "output": "./out/disk.img", "format": "gz"}]), vec!["out/disk.img"]),
    ];
    for (post_processors, expected) in cases {
        let lab = Lab::new();
        lab.write("t.json", &template(&post_processors));
        lab.run(&["build", "t.json"]).expect_code(0);
        assert_eq!(files(&lab), expected, "{post_processors}");
    }
}

#[test]
fn a_failed_build_loses_nothing() {
    let lab = Lab::new();
    let failing = json!([
        [{"type": "compress", "output": "out/disk.zip"}, {"type": "artifice", "files": ["nothing/*"]}],
        {"type": "checksum", "output": "out/sums"},
    ]);
    lab.write("t.json", &template(&failing));
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("No file matches nothing/*");
    assert_eq!(files(&lab), ["out/disk.img", "out/disk.zip", "out/sums"]);
}

#[test]
fn found_files_are_used_and_never_removed() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path().join("made")).expect("made");
    lab.write("made/a.bin", "a");
    lab.write("made/b.bin", "b");
    lab.write("made/c.txt", "c");
    let steps = json!([[
        {"type": "artifice", "files": ["made/*.bin"], "keep_input_artifact": false},
        {"type": "checksum", "output": "out/{{.BuildName}}-{{.BuilderType}}-{{.ChecksumType}}", "checksum_types": ["sha1"]},
        {"type": "compress", "output": "out/all.tar"},
    ]]);
    lab.write("t.json", &template(&steps));
    let ran = lab.run(&["build", "t.json"]).expect_code(0);
    assert!(ran.stdout.contains("made/a.bin, made/b.bin"), "{}", ran.stdout);
    // The builder's file goes, as was asked for, and the checksums of the step in between; what was there stays.
    assert_eq!(files(&lab), ["made/a.bin", "made/b.bin", "made/c.txt", "out/all.tar"]);

    let null = json!({
        "builders": [{"type": "null", "communicator": "none"}],
        "post-processors": [[{"type": "artifice", "files": "made/c.txt"}, "checksum", "manifest"]],
    });
    lab.write("null.json", &null.to_string());
    lab.run(&["build", "null.json"]).expect_code(0);
    assert_eq!(read(&lab, "packer_null_null_md5.checksum"), "4a8a08f09d37b73795649038408b5f33\tc.txt\n");
    let manifest: Value = serde_json::from_str(&read(&lab, "packer-manifest.json")).expect("JSON");
    assert_eq!(manifest["builds"][0]["files"][0]["name"], "made/c.txt");
    assert_eq!(manifest["builds"][0]["artifact_id"], "");
}

#[test]
fn several_builds_and_runs_share_a_checksum_file() {
    let lab = Lab::new();
    let builders: Vec<Value> = (0..6)
        .map(|n| json!({"type": "file", "name": format!("b{n}"), "content": "Hello world!", "target": format!("out/{n}/disk.img")}))
        .collect();
    let all = json!({"builders": builders, "post-processors": [{"type": "checksum", "output": "out/SUMS"}]});
    lab.write("t.json", &all.to_string());
    for runs in 1..=2 {
        lab.run(&["build", "t.json"]).expect_code(0);
        assert_eq!(read(&lab, "out/SUMS"), MD5.repeat(6 * runs));
    }
}

#[test]
fn the_tools_of_the_system_read_the_archives() {
    let lab = Lab::new();
    let outputs: [(&str, &[&str], &str); 10] = [
        ("disk.tar", &["tar", "-xOf"], ""),
        ("disk.tar.gz", &["tar", "-xzOf"], ""),
        ("disk.tar.xz", &["tar", "-xJOf"], "xz"),
        ("disk.tar.bzip2", &["tar", "-xjOf"], "bzip2"),
        ("disk.zip", &["unzip", "-p"], ""),
        ("disk.gz", &["gzip", "-dc"], ""),
        ("disk.xz", &["xz", "-dc"], ""),
        ("disk.bzip2", &["bzip2", "-dc"], ""),
        ("disk.bgzf", &["gzip", "-dc"], ""),
        ("disk.lz4", &["lz4", "-dc"], ""),
    ];
    let steps: Vec<Value> = outputs
        .iter()
        .map(
            |(name, ..)| json!({"type": "compress", "output": format!("out/{name}"), "compression_level": 9}),
        )
        .collect();
    lab.write("t.json", &template(&json!(steps)));
    lab.run(&["build", "t.json"]).expect_code(0);
    for (name, program, needs) in outputs {
        if !needs.is_empty() && Command::new(needs).arg("--version").output().is_err() {
            eprintln!("SKIPPED: {name}: {needs} is not installed");
            continue;
        }
        let path = lab.path().join("out").join(name);
        let reader = std::fs::File::open(&path).expect("the archive");
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).stdin(reader);
        if matches!(program[0], "tar" | "unzip") {
            command.arg(&path);
        }
        match command.output() {
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{name}: {told}");
                assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello world!", "{name}");
            }
            Err(error) => eprintln!("SKIPPED: {name}: {}: {error}", program[0]),
        }
    }
}

#[test]
fn mistakes_are_found_before_anything_is_made() {
    let cases = [
        (json!([{"type": "checksum", "checksum_types": ["sha257"]}]), "sha256"),
        (json!([{"type": "checksum", "outputs": "x"}]), "did you mean \"output\"?"),
        (json!([{"type": "compress", "compression_level": -2}]), "between -1 and 9"),
        (json!([{"type": "compress", "compression_level": "much"}]), "compression_level"),
        (json!([{"type": "artifice"}]), "files"),
        (json!([{"type": "artifice", "files": []}]), "files"),
    ];
    for (post_processors, says) in cases {
        let lab = Lab::new();
        lab.write("t.json", &template(&post_processors));
        for command in ["validate", "build"] {
            lab.run(&[command, "t.json"]).expect_code(1).expect_says(says);
        }
        assert!(files(&lab).is_empty(), "{post_processors}");
    }
    let lab = Lab::new();
    lab.write("mine.img", "precious");
    let copy = json!({"builders": [{"type": "file", "source": "mine.img", "target": "./mine.img"}],
        "post-processors": ["compress"]});
    lab.write("t.json", &copy.to_string());
    lab.run(&["build", "t.json"]).expect_code(1).expect_says("the same file");
    assert_eq!(read(&lab, "mine.img"), "precious");
}

#[test]
fn names_that_are_rendered_lead_where_the_template_says() {
    let lab = Lab::new();
    let output = "made/{{build_type}}/{{.BuildName}}-{{user `version`}}.gz";
    let template = json!({
        "variables": {"version": "1.2"},
        "builders": [{"type": "file", "name": "img", "content": "Hello world!", "target": "out/disk.img"}],
        "post-processors": [{"type": "compress", "output": output}],
    });
    lab.write("t.json", &template.to_string());
    lab.run(&["build", "t.json"]).expect_code(0);
    assert_eq!(files(&lab), ["made/file/img-1.2.gz"]);
}

#[cfg(unix)]
#[test]
fn modes_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    lab.write("tool", "#!/bin/sh\n");
    let path = lab.path().join("tool");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o750)).expect("set");
    std::fs::create_dir(lab.path().join("out")).expect("made");
    lab.write("out/SUMS", "");
    let sums = lab.path().join("out/SUMS");
    std::fs::set_permissions(&sums, std::fs::Permissions::from_mode(0o640)).expect("set");
    let copy = json!({"builders": [{"type": "file", "source": "tool", "target": "out/tool"}],
        "post-processors": [{"type": "checksum", "output": "out/SUMS"}]});
    lab.write("t.json", &copy.to_string());
    lab.run(&["build", "t.json"]).expect_code(0);
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&lab.path().join("out/tool")), 0o750);
    assert_eq!(mode(&sums), 0o640);
}
