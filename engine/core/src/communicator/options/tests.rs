//! What the options make of what people write.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::*;
use crate::source::SourceFile;
use crate::value::Member;

/// A configuration from JSON; every value has the place of its text in the source.
fn config(json: &str) -> Node {
    let file = SourceFile::new("t.json", json);
    fn node(value: &serde_json::Value, file: &std::sync::Arc<SourceFile>) -> Node {
        let shown = value.to_string();
        let at = file.text().find(&shown).unwrap_or(0);
        let span = Span::new(file, at..at + shown.len());
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Number(n.clone()),
            serde_json::Value::String(s) => Value::String(Text::plain(s.clone())),
            serde_json::Value::Array(items) => Value::Array(items.iter().map(|i| node(i, file)).collect()),
            serde_json::Value::Object(members) => Value::Object(
                members
                    .iter()
                    .map(|(k, v)| Member {
                        key: k.clone(),
                        key_span: Span::new(file, 0..1),
                        value: node(v, file),
                    })
                    .collect(),
            ),
        };
        Node { value, span }
    }
    node(&serde_json::from_str(json).unwrap(), &file)
}

fn read(json: &str) -> Result<SshOptions, Vec<(String, String)>> {
    let mut found = Diagnostics::new();
    let options = SshOptions::from_config(&config(json), &SshDefaults::default(), &mut found);
    let told: Vec<_> = found
        .iter()
        .map(|d| {
            let span = d.span.as_ref().unwrap();
            (d.code.clone(), span.file().text()[span.range()].to_owned())
        })
        .collect();
    assert_eq!(options.is_none(), found.has_errors());
    options.ok_or(told)
}

#[test]
fn nothing_means_packers_defaults() {
    let options = read("{}").unwrap();
    assert_eq!((options.port, options.username.as_str(), options.timeout.as_secs()), (22, "", 300));
    assert_eq!(options.handshake_attempts, Some(10));
    assert_eq!(options.keep_alive_interval, Some(Duration::from_secs(5)));
    assert_eq!(options.transfer_method, TransferMethod::Scp);
    assert!(options.bastion.is_none() && options.proxy.is_none() && options.ciphers.is_empty());
}

#[test]
fn a_timeout_of_the_user_or_the_builder_lifts_the_limit_of_attempts() {
    assert_eq!(read(r#"{"ssh_timeout":"1m"}"#).unwrap().handshake_attempts, None);
    assert_eq!(
        read(r#"{"ssh_timeout":"1m","ssh_handshake_attempts":3}"#).unwrap().handshake_attempts,
        Some(3)
    );
    let azure = SshDefaults { username: "packer".into(), timeout: Duration::from_secs(1200) };
    let options = SshOptions::from_config(&config("{}"), &azure, &mut Diagnostics::new()).unwrap();
    assert_eq!((options.handshake_attempts, options.username.as_str()), (None, "packer"));
}

#[test]
fn types_are_weak_and_names_ignore_case() {
    let options = read(
        r#"{"SSH_Port":"2222","ssh_pty":"1","ssh_agent_auth":"TRUE","ssh_wait_timeout":"1h30m",
            "ssh_keep_alive_interval":"-1s","ssh_read_write_timeout":"10m","ssh_handshake_attempts":"4",
            "ssh_ciphers":["aes128-gcm","aes256-ctr"],"ssh_key_exchange_algorithms":"curve25519-sha256, ecdh-sha2-nistp256",
            "ssh_private_key_file":"~/.ssh/k","ssh_certificate_file":"~/.ssh/k-cert.pub","ssh_password":12345,
            "ssh_file_transfer_method":"sftp","pause_before_connecting":"2s","temporary_key_pair_type":"rsa",
            "temporary_key_pair_bits":"4096","ssh_disable_agent_forwarding":true}"#,
    )
    .unwrap();
    assert_eq!(options.port, 2222);
    assert!(options.pty && options.agent_auth && options.disable_agent_forwarding);
    assert_eq!(options.timeout.as_secs(), 5400);
    assert_eq!(options.keep_alive_interval, None);
    assert_eq!(options.read_write_timeout, Some(Duration::from_secs(600)));
    assert_eq!(options.handshake_attempts, Some(4));
    assert_eq!(options.ciphers, ["aes128-gcm@openssh.com", "aes256-ctr"]);
    assert_eq!(options.key_exchange_algorithms, ["curve25519-sha256", "ecdh-sha2-nistp256"]);
    assert_eq!(options.certificate_file.as_deref(), Some("~/.ssh/k-cert.pub"));
    assert_eq!(options.password.unwrap().expose(), "12345");
    assert_eq!(options.transfer_method, TransferMethod::Sftp);
    assert_eq!(options.pause_before_connecting, Some(Duration::from_secs(2)));
    assert_eq!((options.key_kind, options.key_bits), (KeyKind::Rsa, Some(4096)));
}

#[test]
fn bastion_and_proxy_are_read() {
    let options = read(
        r#"{"ssh_private_key_file":"/k","ssh_bastion_host":"jump","ssh_bastion_port":"2200","ssh_bastion_username":"j"}"#,
    )
    .unwrap();
    let bastion = options.bastion.unwrap();
    assert_eq!((bastion.host.as_str(), bastion.port, bastion.username.as_str()), ("jump", 2200, "j"));
    assert_eq!(bastion.private_key_file.as_deref(), Some("/k"), "the machine's key serves the bastion, too");
    let proxy = read(r#"{"ssh_proxy_host":"p","ssh_proxy_username":"u","ssh_proxy_password":"s"}"#)
        .unwrap()
        .proxy
        .unwrap();
    assert_eq!((proxy.port, proxy.username.as_deref()), (1080, Some("u")));
}

#[test]
fn key_types_and_lengths_are_checked() {
    let kind = |json: &str| read(json).map(|o| (o.key_kind, o.key_bits));
    assert_eq!(kind(r#"{"temporary_key_pair_type":"ecdsa"}"#), Ok((KeyKind::EcdsaP521, None)));
    assert_eq!(
        kind(r#"{"temporary_key_pair_type":"ecdsa","temporary_key_pair_bits":256}"#),
        Ok((KeyKind::EcdsaP256, None))
    );
    assert_eq!(kind(r#"{"temporary_key_pair_type":"rsa"}"#), Ok((KeyKind::Rsa, None)));
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    let cases = [
        (r#"{"ssh_port":"x"}"#, "ssh/wrong-type", "\"x\""),
        (r#"{"ssh_port":70000}"#, "ssh/port", "70000"),
        (r#"{"ssh_timeout":"soon"}"#, "ssh/duration", "\"soon\""),
        (r#"{"ssh_pty":"maybe"}"#, "ssh/wrong-type", "\"maybe\""),
        (r#"{"ssh_bastion_host":"jump"}"#, "ssh/bastion-login", "\"jump\""),
        (
            r#"{"ssh_bastion_host":"jump","ssh_bastion_password":"p","ssh_proxy_host":"proxy"}"#,
            "ssh/bastion-and-proxy",
            "\"proxy\"",
        ),
        (r#"{"ssh_certificate_file":"/c"}"#, "ssh/certificate-without-key", "\"/c\""),
        (
            r#"{"ssh_bastion_host":"j","ssh_bastion_password":"p","ssh_bastion_certificate_file":"/c"}"#,
            "ssh/certificate-without-key",
            "\"/c\"",
        ),
        (r#"{"ssh_ciphers":["aes128-gcm","rot13"]}"#, "ssh/algorithm", "\"rot13\""),
        (r#"{"ssh_ciphers":[1]}"#, "ssh/wrong-type", "1"),
        (r#"{"ssh_file_transfer_method":"ftp"}"#, "ssh/transfer-method", "\"ftp\""),
        (r#"{"temporary_key_pair_type":"dsa"}"#, "ssh/key-type", "\"dsa\""),
        (r#"{"temporary_key_pair_type":"rsa","temporary_key_pair_bits":1024}"#, "ssh/key-bits", "1024"),
        (r#"{"temporary_key_pair_type":"ecdsa","temporary_key_pair_bits":255}"#, "ssh/key-bits", "255"),
        (r#"{"ssh_remote_tunnels":["1:h:2"]}"#, "ssh/not-supported-yet", "[\"1:h:2\"]"),
        (r#"{"ssh_bastion_interactive":true}"#, "ssh/not-supported-yet", "true"),
        (r#"{"ssh_username":{"a":1}}"#, "ssh/wrong-type", "{\"a\":1}"),
    ];
    for (json, code, place) in cases {
        let told = read(json).unwrap_err();
        assert!(told.contains(&(code.to_owned(), place.to_owned())), "{json}: {told:?}");
    }
}

#[test]
fn unused_options_may_be_empty() {
    read(r#"{"ssh_local_tunnels":[],"ssh_ciphers":[],"ssh_bastion_interactive":false,"ssh_timeout":"","ssh_port":0}"#)
        .unwrap();
}

#[test]
fn the_communicator_is_named() {
    let kind = |json: &str| {
        let mut found = Diagnostics::new();
        let kind = CommunicatorKind::from_config(&config(json), &mut found);
        (kind, found.iter().map(|d| d.code.clone()).next())
    };
    assert_eq!(kind("{}"), (Some(CommunicatorKind::Ssh), None));
    assert_eq!(kind(r#"{"communicator":"none"}"#), (Some(CommunicatorKind::None), None));
    let refused = (None, Some("communicator/not-supported-yet".to_owned()));
    assert_eq!(kind(r#"{"communicator":"winrm"}"#), refused);
    assert_eq!(kind(r#"{"communicator":"telnet"}"#).1.as_deref(), Some("communicator/unknown"));
}

thread_local! {
    /// The options that readers asked for.
    pub(super) static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Configurations that lead to everything which is read.
const WAYS: [&str; 4] = [
    "{}",
    r#"{"ssh_bastion_host": "b", "ssh_bastion_password": "p"}"#,
    r#"{"ssh_proxy_host": "p"}"#,
    r#"{"ssh_private_key_file": "k", "ssh_timeout": "1m"}"#,
];

#[test]
fn schema_and_reader_know_the_same_options() {
    ASKED.take();
    for way in WAYS {
        read(way).unwrap();
        let kind = CommunicatorKind::from_config(&config(way), &mut Diagnostics::new());
        assert_eq!(kind, Some(CommunicatorKind::Ssh));
    }
    let asked = ASKED.take();
    let properties = properties(&SshDefaults::default());
    let used = properties.iter().filter(|(_, p)| p["x-no-effect"] != true);
    assert_eq!(used.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), asked);
    for (name, property) in properties.iter().filter(|(_, p)| p["x-not-supported"] == true) {
        assert!(NOT_YET.iter().any(|(key, _)| key == name) && property["description"].is_string(), "{name}");
    }
}

#[test]
fn defaults_and_limits_of_the_schema_are_those_of_the_reader() {
    let defaults = SshDefaults { username: "packer".into(), timeout: Duration::from_secs(20 * 60) };
    let read = |way: &str, key: &str, value: &serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_str(way).unwrap();
        json[key] = value.clone();
        let (config, mut found) = (config(&json.to_string()), Diagnostics::new());
        let kind = CommunicatorKind::from_config(&config, &mut found);
        let options = SshOptions::from_config(&config, &defaults, &mut found);
        (!found.has_errors()).then(|| format!("{kind:?} {options:?}"))
    };
    for (key, property) in properties(&defaults) {
        let absent = |way: &str| read(way, &key, &serde_json::Value::Null);
        if let Some(default) = property.get("default") {
            let other = match default {
                serde_json::Value::Bool(b) => (!b).into(),
                serde_json::Value::Number(_) => 77.into(),
                _ if property["x-duration"] == true => "77m".into(),
                _ => property["enum"].get(1).cloned().unwrap_or_else(|| "other".into()),
            };
            let same = |way: &&str| read(way, &key, default) == absent(way);
            assert!(WAYS.iter().all(same), "{key}: {default} is not the default");
            assert!(
                WAYS.iter().any(|way| read(way, &key, &other) != absent(way)),
                "{key}: {other} changes nothing"
            );
        }
        for word in property["enum"].as_array().into_iter().flatten() {
            assert!(read("{}", &key, word).is_some(), "{key} can't be {word}");
            assert!(read("{}", &key, &"nonsense".into()).is_none(), "{key}");
        }
        for name in property["items"]["examples"].as_array().into_iter().flatten() {
            assert!(read("{}", &key, name).is_some(), "{key} can't have {name}");
        }
        if let Some(most) = property["maximum"].as_u64() {
            let fits = |n: u64| WAYS.iter().all(|way| read(way, &key, &n.into()).is_some());
            assert!(fits(most) && !fits(most + 1), "{key}: {most} is not the most");
        }
        let wrong = match property["type"].as_str() {
            Some("boolean") => "perhaps",
            Some("integer") => "many",
            _ if property["x-duration"] == true => "soon",
            _ => continue,
        };
        assert!(WAYS.iter().any(|way| read(way, &key, &wrong.into()).is_none()), "{key} may be {wrong}");
    }
}
