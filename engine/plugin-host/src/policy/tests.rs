use super::*;

fn id<'a>(name: &'a str, digest: &'a str) -> PluginId<'a> {
    PluginId { name, digest, built_in: false }
}

fn built_in(name: &str) -> PluginId<'_> {
    PluginId { name, digest: "", built_in: true }
}

fn any_program() -> Capability {
    Capability::HostExec(vec!["*".into()])
}

#[test]
fn requested_and_granted() {
    let mut policy = Policy::new();
    policy.grant("acme/x=network:*.example.org,[::1]:8080").expect("valid");
    policy.grant("acme/x=host-exec:git").expect("valid");
    let requests = [
        Capability::Network(vec!["api.example.org".into(), "::1".into()]),
        Capability::HostExec(vec!["*".into()]),
        Capability::SecretsReveal,
    ];
    let rights = policy.effective(id("acme/x", "00"), &requests);
    assert!(rights.allows_host("api.example.org", 443));
    assert!(!rights.allows_host("www.example.org", 443), "granted but not requested");
    assert!(!rights.allows_host("other.org", 443));
    assert!(rights.allows_program("git"));
    assert!(!rights.allows_program("rm"), "requested but not granted");
    assert!(!rights.allows_reveal());
    assert!(rights.covers(&Capability::Network(vec!["api.example.org".into()])));
    assert!(!rights.covers(&requests[1]));
    assert!(!policy.effective(id("acme/y", "00"), &requests).allows_program("git"));
    policy.deny("acme/x=host-exec").expect("valid");
    assert!(!policy.effective(id("acme/x", "00"), &requests).allows_program("git"));
}

#[test]
fn digests_bind() {
    let digest = "ab".repeat(32);
    let mut policy = Policy::new();
    policy.grant(&format!("x@sha256:{digest}=secrets-reveal")).expect("valid");
    assert!(policy.effective(id("x", &digest), &[Capability::SecretsReveal]).allows_reveal());
    assert!(!policy.effective(id("x", &"00".repeat(32)), &[Capability::SecretsReveal]).allows_reveal());
}

#[test]
fn wrong_flags_say_what_is_right() {
    for flag in
        ["x", "=network:a", "x=network", "x=network:", "x=fly", "x@12=secrets-reveal", "x=secrets-reveal:y"]
    {
        let message = Policy::new().grant(flag).expect_err(flag).to_string();
        assert!(message.contains("NAME=network:HOST"), "{message}");
    }
}

#[test]
fn flags_can_be_typed_again() {
    let flag = flag_for("acme/x", &Capability::Network(vec!["a.org".into(), "b.org:80".into()]));
    assert_eq!(flag, "--grant acme/x=network:a.org,b.org:80");
    let mut policy = Policy::new();
    policy.grant(flag.trim_start_matches("--grant ")).expect("valid");
    assert!(
        policy.effective(id("acme/x", ""), &[Capability::Network(vec!["*".into()])]).allows_host("b.org", 80)
    );
}

#[test]
fn reads_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("grants.json");
    std::fs::write(&path, r#"{"grants": [{"plugin": "x", "host-exec": ["git"], "secrets-reveal": true}]}"#)
        .expect("written");
    let mut policy = Policy::new();
    policy.add_file(&path).expect("valid");
    assert!(policy.effective(id("x", ""), &[Capability::SecretsReveal]).allows_reveal());
    std::fs::write(&path, r#"{"grants": [{"plugin": "x", "hostexec": ["git"]}]}"#).expect("written");
    let message = policy.add_file(&path).expect_err("misspelt").to_string();
    assert!(message.contains("hostexec") && message.contains("grants.json"), "{message}");
}

#[test]
fn built_in_components_get_what_users_take_for_granted() {
    let requests = [any_program(), Capability::Network(vec!["*".into()]), Capability::SecretsReveal];
    let rights = Policy::new().effective(built_in("fornax/shell-local"), &requests);
    assert!(rights.allows_program("/bin/sh") && rights.allows_host("example.org", 443));
    assert!(rights.covers(&requests[0]) && rights.covers(&requests[1]));
    assert!(!rights.allows_reveal() && !rights.covers(&requests[2]));
    // What was not asked for is not there either.
    assert!(!Policy::new().effective(built_in("fornax/x"), &[]).allows_program("/bin/sh"));
    // The name alone is worth nothing.
    let stranger = Policy::new().effective(id("fornax/shell-local", ""), &requests);
    assert!(!stranger.allows_program("/bin/sh") && !stranger.allows_programs());
    assert!(!stranger.covers(&requests[0]) && stranger.denial(&requests[0]).is_none());
}

#[test]
fn the_operator_takes_rights_away() {
    let network = Capability::Network(vec!["*".into()]);
    for (flag, programs, hosts) in [
        ("host-exec", false, true),
        ("network", true, false),
        ("all", false, false),
        ("shell-local=host-exec", false, true),
        ("fornax/shell-local=host-exec", false, true),
        ("fornax/shell-local=all", false, false),
        ("*=host-exec:*", false, true),
        ("other=host-exec", true, true),
        ("local=host-exec", true, true),
        ("secrets-reveal", true, true),
    ] {
        let mut policy = Policy::new();
        policy.deny(flag).expect(flag);
        policy.grant("*=host-exec:*").expect("a denial outweighs it");
        let rights = policy.effective(built_in("fornax/shell-local"), &[any_program(), network.clone()]);
        assert_eq!(rights.allows_program("/bin/sh"), programs, "{flag}");
        assert_eq!(rights.allows_programs(), programs, "{flag}");
        assert_eq!(rights.covers(&any_program()), programs, "{flag}");
        assert_eq!(rights.allows_host("example.org", 443), hosts, "{flag}");
        let told = rights.denial(&any_program());
        assert_eq!(told.map(str::to_owned), (!programs).then(|| format!("--deny {flag}")), "{flag}");
    }
}

#[test]
fn a_part_is_taken_away() {
    let mut policy = Policy::new();
    policy.deny("shell-local=host-exec:git,/bin/dash").expect("valid");
    let rights = policy.effective(built_in("fornax/shell-local"), &[any_program()]);
    assert!(rights.covers(&any_program()));
    for (program, allowed) in [
        ("git", false),
        ("/usr/bin/git", false),
        ("/bin/dash", false),
        ("dash", false),
        ("/opt/dash", true),
        ("/bin/sh", true),
    ] {
        assert_eq!(rights.allows_program(program), allowed, "{program}");
    }
    let named = Capability::HostExec(vec!["git".into(), "make".into()]);
    assert!(!policy.effective(built_in("fornax/shell-local"), std::slice::from_ref(&named)).covers(&named));
}

#[test]
fn wrong_denials_say_what_is_right() {
    for flag in ["", "host-exec:", "fly", "x=fly", "=host-exec", "all:x", "x@12=all", "secrets-reveal:y"] {
        let message = Policy::new().deny(flag).expect_err(flag).to_string();
        assert!(message.contains("NAME=host-exec:PROGRAM"), "{message}");
    }
}

#[test]
fn misspelt_names_are_found() {
    let mut policy = Policy::new();
    for flag in ["shel-local=host-exec", "shell-local=all", "acme/x=network", "host-exec"] {
        policy.deny(flag).expect(flag);
    }
    assert_eq!(policy.denied_strangers(&["fornax/shell-local", "acme/x"]), ["shel-local"]);
}

#[test]
fn a_file_takes_away() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("policy.json");
    let rights = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let mut policy = Policy::new();
        policy.add_file(&path)?;
        Ok::<_, PolicyError>(policy.effective(built_in("fornax/shell-local"), &[any_program()]))
    };
    for text in [
        r#"{"deny": ["network", "host-exec"]}"#,
        r#"{"deny": ["all"]}"#,
        r#"{"denials": [{"plugin": "shell-local", "host-exec": ["*"]}]}"#,
    ] {
        let rights = rights(text).expect(text);
        assert!(!rights.allows_program("/bin/sh"), "{text}");
        assert!(rights.denial(&any_program()).is_some_and(|told| told.contains("policy.json")), "{text}");
    }
    assert!(rights(r#"{"deny": ["network"]}"#).expect("valid").allows_program("/bin/sh"));
    let message = rights(r#"{"deny": ["fly"]}"#).expect_err("unknown").to_string();
    assert!(message.contains("policy.json") && message.contains("fly"), "{message}");
}
