//! The communicator's options as this builder needs them: SSH or none, with Azure's defaults and its rules for the
//! administrator, who is the user that logs in.

use std::time::Duration;

use fornax_core::communicator::options::SshDefaults;
use fornax_core::communicator::{CommunicatorKind, KeyKind, SshOptions};
use fornax_core::{Diagnostic, Node};

use super::reader::Reader;

/// Names that Azure does not take for the administrator of a Linux machine.
const REFUSED_USERS: &[&str] = &[
    "administrator",
    "admin",
    "user",
    "user1",
    "test",
    "user2",
    "test1",
    "user3",
    "admin1",
    "1",
    "123",
    "a",
    "actuser",
    "adm",
    "admin2",
    "aspnet",
    "backup",
    "console",
    "david",
    "guest",
    "john",
    "owner",
    "root",
    "server",
    "sql",
    "support",
    "support_388945a0",
    "sys",
    "test2",
    "test3",
    "user4",
    "user5",
];

/// What this builder changes of the usual values.
pub fn defaults() -> SshDefaults {
    SshDefaults { username: "packer".into(), timeout: Duration::from_secs(20 * 60) }
}

/// Reads them. The outer none: there are errors; the inner one: no communicator.
pub fn read(config: &Node, reader: &mut Reader) -> Option<Option<SshOptions>> {
    if let Some(word) = reader.word("communicator").filter(|w| w.value == "winrm") {
        reader.push(
            word.error("azure/not-supported-yet", "communicator \"winrm\" is not supported yet")
                .help("use \"ssh\" with a Linux image"),
        );
        return None;
    }
    match CommunicatorKind::from_config(config, reader.found)? {
        CommunicatorKind::None => Some(None),
        CommunicatorKind::Ssh => {
            let options = SshOptions::from_config(config, &defaults(), reader.found)?;
            check_user(&options, reader);
            Some(Some(options))
        }
    }
}

fn check_user(options: &SshOptions, reader: &mut Reader) {
    if REFUSED_USERS.iter().any(|u| u.eq_ignore_ascii_case(&options.username)) {
        reader.push(
            Diagnostic::warning(
                "azure/refused-username",
                format!(
                    "Azure does not create a machine whose administrator is called \"{}\"",
                    options.username
                ),
            )
            .at(&reader.value_span("ssh_username"))
            .help("choose another ssh_username, for instance \"packer\""),
        );
    }
    if let Some(password) = &options.password {
        let text = password.expose();
        let kinds: [fn(char) -> bool; 4] =
            [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_numeric(), |c| !c.is_alphanumeric()];
        let kinds = kinds.iter().filter(|kind| text.chars().any(kind)).count();
        let length = text.chars().count();
        if !(6..=72).contains(&length) || kinds < 3 {
            reader.push(
                Diagnostic::warning("azure/weak-password", "Azure will refuse this ssh_password")
                    .at(&reader.value_span("ssh_password"))
                    .detail(
                        "The administrator's password has 6 to 72 characters and three of: lower case, upper case, \
                         digit, another character.",
                    ),
            );
        }
    }
    if !matches!(options.key_kind, KeyKind::Rsa | KeyKind::Ed25519) {
        reader.push(
            Diagnostic::error("azure/key-type", "Azure takes RSA and Ed25519 keys only")
                .at(&reader.value_span("temporary_key_pair_type"))
                .help("set temporary_key_pair_type to \"ed25519\" or \"rsa\""),
        );
    }
}
