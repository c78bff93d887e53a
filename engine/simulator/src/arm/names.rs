//! Azure's rules for names, tags, users, passwords and SSH keys.

use std::sync::LazyLock;

use base64::Engine;
use regex::Regex;
use serde_json::{Map, Value};

use super::reply::{Outcome, err, gateway, invalid};
use super::versions::{self, Kind};

macro_rules! pattern {
    ($name:ident, $text:literal) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new($text).expect("the pattern is a constant and is compiled by the tests")
        });
    };
}

pattern!(GROUP, r"^[-\p{L}\p{N}._()]{0,89}[-\p{L}\p{N}_()]$");
pattern!(VNET, r"^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}[A-Za-z0-9_]$");
pattern!(COMMON, r"^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,78}[A-Za-z0-9_])?$");
pattern!(DISK, r"^[A-Za-z0-9_][-A-Za-z0-9_.]{0,79}$");
pattern!(DNS_LABEL, r"^[a-z][a-z0-9-]{1,61}[a-z0-9]$");
pattern!(FORBIDDEN, r#"[\\/"'\[\]:|<>+=;,?*@&\#%~!(){} ]"#);

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
const REFUSED_PASSWORDS: &[&str] = &[
    "abc@123",
    "P@$$w0rd",
    "P@ssw0rd",
    "P@ssword123",
    "Pa$$word",
    "pass@word1",
    "Password!",
    "Password1",
    "Password22",
    "iloveyou!",
];

/// Whether a resource of this type may have this name.
pub(crate) fn check(kind: &Kind, name: &str) -> Outcome<()> {
    let (fits, length) = if std::ptr::eq(kind, &versions::GROUP) {
        (GROUP.is_match(name), 90)
    } else if std::ptr::eq(kind, &versions::VNET) {
        (VNET.is_match(name), 64)
    } else if std::ptr::eq(kind, &versions::VM) {
        let fits = (1..=64).contains(&name.chars().count())
            && !FORBIDDEN.is_match(name)
            && !name.starts_with('_')
            && !name.ends_with(['.', '-']);
        (fits, 64)
    } else if std::ptr::eq(kind, &versions::DISK) {
        (DISK.is_match(name), 80)
    } else {
        (COMMON.is_match(name), 80)
    };
    if fits {
        return Ok(());
    }
    if std::ptr::eq(kind, &versions::GROUP) {
        return Err(gateway(
            400,
            "InvalidParameter",
            format!(
                "The provided resource group name '{name}' has these invalid characters or length. The name can only be a \
             letter, digit, '-', '.', '(', ')' or '_', may not end with '.', and has at most {length} characters."
            ),
        ));
    }
    let code =
        if kind.name.starts_with("Microsoft.Network/") { "InvalidResourceName" } else { "InvalidParameter" };
    Err(err(400, code, format!(
        "Resource name {name} is invalid. The name can be up to {length} characters long. It must begin with a word \
         character, and it must end with a word character or with '_'. The name may contain word characters or '.', \
         '-', '_'.")).at("name"))
}

pub(crate) fn check_dns_label(label: &str) -> Outcome<()> {
    if DNS_LABEL.is_match(label) {
        return Ok(());
    }
    Err(err(
        400,
        "InvalidDomainNameLabel",
        format!(
            "The domain name label {label} is invalid. It must conform to the following regular expression: \
         ^[a-z][a-z0-9-]{{1,61}}[a-z0-9]$."
        ),
    ))
}

/// Tags of a body: at most 50, names up to 512 characters, values up to 256.
pub(crate) fn tags(body: &Value) -> Outcome<Map<String, Value>> {
    let map = match body.get("tags") {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::Object(map)) => map,
        Some(_) => {
            return Err(gateway(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'tags' must be an object.",
            ));
        }
    };
    if map.len() > 50 {
        return Err(gateway(
            400,
            "InvalidTags",
            format!("The number of tags '{}' exceeds the limit of 50.", map.len()),
        ));
    }
    for (name, value) in map {
        if name.is_empty() || name.chars().count() > 512 {
            return Err(gateway(
                400,
                "InvalidTagNameTooLong",
                format!("The tag name '{name}' is empty or longer than 512 characters."),
            ));
        }
        if let Some(bad) = name.chars().find(|c| "<>%&\\?/".contains(*c)) {
            return Err(gateway(
                400,
                "InvalidTagNameCharacters",
                format!(
                    "The tag names '{name}' have reserved characters '<,>,%,&,\\,?,/' or control characters: '{bad}'."
                ),
            ));
        }
        let Some(value) = value.as_str() else {
            return Err(gateway(
                400,
                "InvalidRequestContent",
                format!(
                    "The request content was invalid and could not be deserialized: the tag '{name}' is no string."
                ),
            ));
        };
        if value.chars().count() > 256 {
            return Err(gateway(
                400,
                "InvalidTagValueTooLong",
                format!(
                    "Tag value too large. Following tag value '{value}' exceeded the maximum length. Maximum allowed \
                 length for tag value - '256' characters."
                ),
            ));
        }
    }
    Ok(map.clone())
}

pub(crate) fn admin_user(name: &str, windows: bool) -> Outcome<()> {
    let longest = if windows { 20 } else { 64 };
    let bad =
        name.is_empty() || name.len() > longest || REFUSED_USERS.contains(&name.to_lowercase().as_str());
    if bad || (windows && name.ends_with('.')) {
        return Err(invalid(
            "adminUsername",
            "The Admin Username specified is not allowed. For more information about disallowed usernames, see \
             https://aka.ms/vmosprofile.",
        ));
    }
    Ok(())
}

pub(crate) fn admin_password(password: &str, windows: bool) -> Outcome<()> {
    let (shortest, longest) = if windows { (8, 123) } else { (6, 72) };
    let length = password.chars().count();
    let classes = [
        password.chars().any(|c| c.is_lowercase()),
        password.chars().any(|c| c.is_uppercase()),
        password.chars().any(|c| c.is_ascii_digit()),
        password.chars().any(|c| !c.is_alphanumeric()),
    ];
    if !(shortest..=longest).contains(&length) || classes.into_iter().filter(|c| *c).count() < 3 {
        return Err(invalid(
            "adminPassword",
            format!(
                "The supplied password must be between {shortest}-{longest} characters long and must satisfy at least 3 \
             of password complexity requirements from the following: 1) Contains an uppercase character 2) Contains a \
             lowercase character 3) Contains a numeric digit 4) Contains a special character 5) Control characters \
             are not allowed"
            ),
        ));
    }
    if REFUSED_PASSWORDS.contains(&password) {
        return Err(invalid("adminPassword", "The specified Admin Password is not allowed."));
    }
    Ok(())
}

pub(crate) fn computer_name(name: &str, windows: bool) -> Outcome<()> {
    let longest = if windows { 15 } else { 64 };
    let signs = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || (!windows && c == '.'));
    let digits = windows && name.chars().all(|c| c.is_ascii_digit());
    if name.is_empty() || name.len() > longest || !signs || digits || name.ends_with('-') {
        let kind = if windows { "Windows" } else { "Linux" };
        return Err(invalid(
            "computerName",
            format!(
                "{kind} computer name cannot be more than {longest} characters long, be entirely numeric, or contain the \
             following characters: ` ~ ! @ # $ % ^ & * ( ) = + _ [ ] {{ }} \\ | ; : . ' \" , < > / ?."
            ),
        ));
    }
    Ok(())
}

/// An authorized key as Azure takes it: RSA of at least 2048 bits, or ed25519.
pub(crate) fn ssh_key(key: &str) -> Outcome<()> {
    let bad = || {
        invalid(
            "linuxConfiguration.ssh.publicKeys.keyData",
            "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is invalid.",
        )
    };
    let mut parts = key.split_ascii_whitespace();
    let (Some(kind), Some(data)) = (parts.next(), parts.next()) else { return Err(bad()) };
    let blob = base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| bad())?;
    let fields = wire_fields(&blob).ok_or_else(bad)?;
    if fields.first().is_none_or(|name| *name != kind.as_bytes()) {
        return Err(bad());
    }
    let fits = match kind {
        // Field two is the modulus, with a zero in front where its first bit is set.
        "ssh-rsa" => fields.get(2).is_some_and(|n| {
            let n = n.strip_prefix(&[0]).unwrap_or(n);
            n.first().is_some_and(|first| n.len() * 8 - first.leading_zeros() as usize >= 2048)
        }),
        "ssh-ed25519" => fields.get(1).is_some_and(|k| k.len() == 32),
        _ => false,
    };
    if fits { Ok(()) } else { Err(bad()) }
}

fn wire_fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        fields.push(rest.get(..length)?);
        blob = &rest[length..];
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_table() {
        for (kind, name, fits) in [
            (&versions::GROUP, "a", true),
            (&versions::GROUP, "pkr-Resource-Group-(x)_1", true),
            (&versions::GROUP, "ends.with.", false),
            (&versions::GROUP, "has blank", false),
            (&versions::GROUP, "größe", true),
            (&versions::VNET, "v", false),
            (&versions::VNET, "v1", true),
            (&versions::NIC, "n", true),
            (&versions::NIC, "-n", false),
            (&versions::VM, "_vm", false),
            (&versions::VM, "vm-", false),
            (&versions::VM, "vm name", false),
            (&versions::VM, "pkrvm1", true),
            (&versions::IMAGE, "my image", false),
            (&versions::IMAGE, "img.1_", true),
            (&versions::DISK, "_d", true),
        ] {
            assert_eq!(check(kind, name).is_ok(), fits, "{} {name}", kind.name);
        }
        assert!(check(&versions::IMAGE, &"a".repeat(81)).is_err());
    }

    #[test]
    fn passwords_users_and_computers() {
        for (password, windows, fits) in [
            ("Aa1!aa", false, true),
            ("aaaaaa1", false, false),
            ("Aa1!", false, false),
            ("Aa1!aaa", true, false),
            ("P@ssw0rd", true, false),
        ] {
            assert_eq!(admin_password(password, windows).is_ok(), fits, "{password}");
        }
        assert!(admin_user("packer", false).is_ok());
        assert!(admin_user("Root", false).is_err());
        assert!(computer_name("pkrvm1", true).is_ok());
        assert!(computer_name("12345", true).is_err());
        assert!(computer_name("a_b", false).is_err());
    }

    #[test]
    fn keys_that_azure_refuses() {
        let ed = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKSUTyz1HwHReFVvD5obVsALAgJRNarH4TRpNePnAS me";
        assert!(ssh_key(ed).is_ok());
        let mut small = Vec::new();
        for field in [b"ssh-rsa".as_slice(), &[1, 0, 1], &[0xff; 128]] {
            small.extend((field.len() as u32).to_be_bytes());
            small.extend(field);
        }
        let small = base64::engine::general_purpose::STANDARD.encode(small);
        for key in ["", "ssh-rsa", "ssh-rsa AAAA", "ecdsa-sha2-nistp256 AAAA", &format!("ssh-rsa {small}")] {
            assert!(ssh_key(key).is_err(), "{key}");
        }
    }
}
