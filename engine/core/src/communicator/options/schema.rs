//! What the options of the communicator say of themselves. Every builder that connects adds them to its own; a test
//! proves that reader and schema know the same.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{CIPHERS, KEY_EXCHANGES, NOT_YET, SshDefaults, USUAL_ATTEMPTS, USUAL_TIMEOUT};

/// Properties by name, with the defaults of a builder.
pub fn properties(defaults: &SshDefaults) -> Map<String, Json> {
    let mut all = login();
    if !defaults.username.is_empty() {
        all["ssh_username"]["default"] = defaults.username.as_str().into();
    }
    all.append(&mut connection(defaults));
    all.append(&mut detours());
    for (name, instead) in NOT_YET {
        all.insert((*name).to_owned(), json!({"x-not-supported": true, "description": instead}));
    }
    all
}

fn login() -> Map<String, Json> {
    object(json!({
        "communicator": {"type": "string", "enum": ["ssh", "none"], "default": "ssh",
            "description": "How the machine is reached; `none` for a build whose steps need no machine."},
        "ssh_host": {"type": "string", "description": "The machine's address; wins over the one that the builder finds."},
        "ssh_port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 22, "description": "Port of SSH."},
        "ssh_username": {"type": "string", "description": "Who logs in."},
        "ssh_password": {"type": "string", "writeOnly": true, "description": "The user's password."},
        "ssh_private_key_file": {"type": "string", "x-host-path": true,
            "description": "Private key to log in with; `~` is the home folder."},
        "ssh_certificate_file": {"type": "string", "x-host-path": true,
            "description": "Certificate of the key; needs `ssh_private_key_file`."},
        "ssh_agent_auth": {"type": "boolean", "default": false, "description": "Log in with the keys of the SSH agent."},
        "temporary_key_pair_type": {"type": "string", "enum": ["ed25519", "rsa", "ecdsa"], "default": "ed25519",
            "description": "Type of the key that is made for a build which names none."},
        "temporary_key_pair_bits": {"type": "integer", "minimum": 0,
            "description": "Length of that key: 2048 to 8192 for rsa, 256, 384 or 521 for ecdsa; 0 leaves it to the type."},
        "ssh_clear_authorized_keys": {"type": "boolean", "default": false,
            "description": "Take the build's key out of the machine's list of authorized keys at the end."},
        "ssh_keypair_name": {"type": "string", "x-no-effect": true,
            "description": "Names a key that is stored in a cloud; no builder here stores keys."},
        "temporary_key_pair_name": {"type": "string", "x-no-effect": true,
            "description": "The key that is made for a build is not stored in the cloud, so that it needs no name."}
    }))
}

fn connection(defaults: &SshDefaults) -> Map<String, Json> {
    let attempts = if defaults.timeout == USUAL_TIMEOUT {
        format!("{USUAL_ATTEMPTS} without it and without `ssh_timeout`, else")
    } else {
        "without it".to_owned()
    };
    object(json!({
        "ssh_timeout": {"type": "string", "x-duration": true, "default": duration(defaults.timeout),
            "description": "How long to try to connect at first."},
        "ssh_wait_timeout": {"type": "string", "x-duration": true, "deprecated": true,
            "description": "The old name of `ssh_timeout`, which wins over it."},
        "ssh_handshake_attempts": {"type": "integer", "minimum": 0,
            "description": format!("Refused logins after which the build gives up; {attempts} as many as fit into the timeout.")},
        "pause_before_connecting": {"type": "string", "x-duration": true,
            "description": "How long to wait before connecting, once the machine answers."},
        "ssh_keep_alive_interval": {"type": "string", "x-duration": true, "default": "5s",
            "description": "How often to make sure that the connection stands; 0 or a negative one never."},
        "ssh_read_write_timeout": {"type": "string", "x-duration": true,
            "description": "The connection is given up when nothing moves for so long; there is no limit without it."},
        "ssh_pty": {"type": "boolean", "default": false, "description": "Run commands in a terminal of the machine."},
        "ssh_disable_agent_forwarding": {"type": "boolean", "default": false,
            "description": "Do not let the machine use the SSH agent."},
        "ssh_file_transfer_method": {"type": "string", "enum": ["scp", "sftp"], "default": "scp",
            "description": "How files are copied."},
        "ssh_ciphers": {"type": "array", "items": {"type": "string", "examples": CIPHERS},
            "description": format!("Ciphers, the preferred one first. Known are {}; the part before `@` is enough.", CIPHERS.join(", "))},
        "ssh_key_exchange_algorithms": {"type": "array", "items": {"type": "string", "examples": KEY_EXCHANGES},
            "description": format!("Key exchanges, the preferred one first. Known are {}.", KEY_EXCHANGES.join(", "))}
    }))
}

fn detours() -> Map<String, Json> {
    object(json!({
        "ssh_bastion_host": {"type": "string", "description": "Connect through this jump host. Not together with a proxy."},
        "ssh_bastion_port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 22,
            "description": "Its port."},
        "ssh_bastion_username": {"type": "string", "description": "Who logs in there."},
        "ssh_bastion_password": {"type": "string", "writeOnly": true, "description": "The user's password there."},
        "ssh_bastion_private_key_file": {"type": "string", "x-host-path": true,
            "description": "Private key to log in there; `ssh_private_key_file` without it."},
        "ssh_bastion_certificate_file": {"type": "string", "x-host-path": true, "description": "Certificate of that key."},
        "ssh_bastion_agent_auth": {"type": "boolean", "default": false,
            "description": "Log in there with the keys of the SSH agent."},
        "ssh_proxy_host": {"type": "string", "description": "Connect through this SOCKS5 proxy."},
        "ssh_proxy_port": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 1080,
            "description": "Its port."},
        "ssh_proxy_username": {"type": "string", "description": "Who logs in to the proxy, if it asks."},
        "ssh_proxy_password": {"type": "string", "writeOnly": true, "description": "The user's password there."}
    }))
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}

/// As people write it.
fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
