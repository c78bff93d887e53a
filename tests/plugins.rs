//! Third-party plugins as their users have them: built into a folder, loaded from it, with and without rights.

use std::io::{Read, Write};
use std::process::Command;

use fornax_tests::{Cloud, DEBIAN, Lab, azure_template, workspace};

/// Builds the examples into the lab and returns the folder.
fn build_examples(lab: &Lab) -> String {
    let dir = lab.path().join("plugins").display().to_string();
    let script = workspace().join("examples/plugins/build.sh");
    let status =
        Command::new("sh").arg(script).arg(&dir).env("CARGO", env!("CARGO")).status().expect("sh starts");
    assert!(status.success(), "the example plugins do not build");
    dir
}

#[test]
fn example_plugins_load_from_a_folder_work_and_are_denied_what_was_not_granted() {
    let mut lab = Lab::new();
    let dir = build_examples(&lab);

    lab.write(
        "image.json",
        r#"{"builders": [{"type": "file", "content": "x", "target": "out.txt"}],
        "post-processors": [{"type": "acme-image-note", "output": "note.txt", "heading": "Golden image"}]}"#,
    );
    lab.run(&["build", "image.json"]).expect_code(1).expect_says("--plugin-dir");
    lab.run(&["build", "--plugin-dir", &dir, "image.json"]).expect_code(0);
    let note = std::fs::read_to_string(lab.path().join("note.txt")).expect("the plugin wrote its file");
    assert!(note.starts_with("Golden image") && note.contains("sha256:"), "{note}");

    // Wrong options are found with their line, before anything is created.
    lab.write("wrong.json", "{\"builders\": [{\"type\": \"null\", \"communicator\": \"none\"}],\n\"provisioners\": [{\"type\": \"greedy\",\n\"programm\": \"id\"}]}");
    lab.run(&["validate", "--plugin-dir", &dir, "wrong.json"])
        .expect_code(1)
        .expect_says("wrong.json:3:")
        .expect_says("did you mean \"program\"?");

    let cloud = Cloud::start(&mut lab, &["--machine", "record"]);
    let step = r#", "provisioners": [{"type": "greedy", "secret": "{{user `client_secret`}}", "fail_if_granted": true}]"#;
    lab.write("greedy.json", &azure_template(&cloud, DEBIAN, step));
    let granted = ["build", "--plugin-dir", &dir, "--grant", "acme/greedy=secrets-reveal", "greedy.json"];
    lab.run(&granted).expect_code(1).expect_says("secrets-reveal granted");
    let denied = lab.run(&["build", "--plugin-dir", &dir, "greedy.json"]).expect_code(0);
    assert_eq!(denied.stdout.matches(" denied").count(), 4, "{}", denied.stdout);

    // With the right, and only for the host that was named, a request goes out.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("the plugin connects");
        let _ = client.read(&mut [0; 4096]);
        let _ = client.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    });
    let step = format!(r#", "provisioners": [{{"type": "greedy", "url": "http://{address}/"}}]"#);
    lab.write("http.json", &azure_template(&cloud, DEBIAN, &step));
    lab.run(&[
        "build",
        "-force",
        "--plugin-dir",
        &dir,
        "--grant",
        "acme/greedy=network:127.0.0.1",
        "http.json",
    ])
    .expect_code(0)
    .expect_says("network granted: status 204");
    server.join().expect("the server has answered");

    // A name that is there twice is refused.
    lab.run(&["build", "--plugin-dir", &dir, "--plugin-dir", &dir, "image.json"]).expect_code(1);
}
