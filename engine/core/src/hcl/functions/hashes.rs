//! Digests, password hashes, decryption and UUIDs.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use uuid::{Builder, Uuid};

use super::encoding::from_base64;
use super::{Function, Host, Outcome, Param, at, function, gives, int, number, param, string, text};
use crate::hcl::Val;

const STR: &[Param] = &[param("str", string)];
/// The work of bcrypt doubles with each; this one takes seconds.
const MAX_COST: u32 = 16;
/// Bytes of a private key: one of 8192 bits has 4.7 KiB.
const MAX_KEY: usize = 8 << 10;

pub(super) const TABLE: &[Function] = &[
    function(
        "bcrypt",
        "The bcrypt hash of a password, with a new salt each time.",
        STR,
        gives::string,
        bcrypt,
    )
    .rest(param("cost", number)),
    function("md5", "The MD5 digest of a text in hexadecimal.", STR, gives::string, |args, _| {
        Ok(Val::string(hex(&md5::Md5::digest(text(args, 0)))))
    }),
    function(
        "rsadecrypt",
        "The text that was encrypted with RSA (PKCS #1 v1.5) and is in base64 now.",
        &[param("ciphertext", string), param("privatekey", string)],
        gives::string,
        rsadecrypt,
    ),
    function("sha1", "The SHA-1 digest of a text in hexadecimal.", STR, gives::string, |args, _| {
        Ok(Val::string(hex(&Sha1::digest(text(args, 0)))))
    }),
    function("sha256", "The SHA-256 digest of a text in hexadecimal.", STR, gives::string, |args, _| {
        Ok(Val::string(hex(&Sha256::digest(text(args, 0)))))
    }),
    function("sha512", "The SHA-512 digest of a text in hexadecimal.", STR, gives::string, |args, _| {
        Ok(Val::string(hex(&Sha512::digest(text(args, 0)))))
    }),
    function("uuidv4", "A random UUID.", &[], gives::string, |_, _| {
        Ok(Val::string(Uuid::new_v4().to_string()))
    }),
    function(
        "uuidv5",
        "The UUID of a name in a namespace: dns, url, oid, x500, or another UUID.",
        &[param("namespace", string), param("name", string)],
        gives::string,
        uuidv5,
    ),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn bcrypt(args: &[Val], _: &dyn Host) -> Outcome {
    if args.len() > 2 {
        return Err("bcrypt() takes no more than two arguments".into());
    }
    let cost = if args.len() == 2 { int(args, 1)? } else { 10 };
    // A cost that is too small is replaced, as Packer does.
    let cost = u32::try_from(cost).ok().filter(|c| *c >= 4).unwrap_or(10);
    if cost > MAX_COST {
        return Err(at(
            1,
            "a cost of more than 16 is refused: the computation would take longer than a few seconds",
        ));
    }
    let password = text(args, 0);
    if password.len() > 72 {
        return Err(at(0, "a password of more than 72 bytes is refused: bcrypt would ignore the rest"));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| format!("the operating system gave no random bytes: {e}"))?;
    let hash = bcrypt::hash_with_salt(password.as_bytes(), cost, salt)
        .map_err(|e| format!("the password can't be hashed: {e}"))?;
    Ok(Val::string(hash.format_for_version(bcrypt::Version::TwoA)))
}

fn rsadecrypt(args: &[Val], _: &dyn Host) -> Outcome {
    let message = from_base64(&text(args, 0))
        .map_err(|_| at(0, "failed to decode input: cipher text must be base64-encoded"))?;
    let pem = text(args, 1);
    let block = pem_block(&pem).ok_or_else(|| at(1, "failed to parse key: no key found"))?;
    if block.contains("4,ENCRYPTED") {
        return Err(at(
            1,
            "failed to parse key: password protected keys are not supported. Please decrypt the key prior to use",
        ));
    }
    let body: String = block.lines().filter(|l| !l.contains(':')).flat_map(str::split_whitespace).collect();
    let key = STANDARD.decode(body).ok().filter(|der| der.len() <= MAX_KEY);
    let key = key.and_then(|der| RsaPrivateKey::from_pkcs1_der(&der).ok()).ok_or_else(|| {
        at(1, "failed to parse key: it must be an RSA private key of at most 8192 bits in PKCS #1 form")
    })?;
    let decrypted = key
        .decrypt(Pkcs1v15Encrypt, &message)
        .map_err(|_| "decryption failed: the text was not encrypted for this key")?;
    Ok(Val::string(String::from_utf8(decrypted).map_err(|_| "the decrypted text is not valid UTF-8")?))
}

/// What is between the first lines that begin and end something in PEM.
fn pem_block(pem: &str) -> Option<&str> {
    let (_, after) = pem.split_once("-----BEGIN ")?;
    let (_, body) = after.split_once("-----")?;
    Some(body.split_once("-----END ")?.0)
}

fn uuidv5(args: &[Val], _: &dyn Host) -> Outcome {
    let name = text(args, 0);
    let namespace = match name.as_str() {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        other => Uuid::parse_str(other)
            .map_err(|_| at(0, format!("uuidv5() doesn't support namespace {other:?}")))?,
    };
    let digest = Sha1::new().chain_update(namespace.as_bytes()).chain_update(text(args, 1)).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Ok(Val::string(Builder::from_sha1_bytes(bytes).into_uuid().to_string()))
}
