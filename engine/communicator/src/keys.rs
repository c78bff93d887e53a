//! Keys: made for one build, or read from the files that the options name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fornax_core::Secret;
use fornax_core::communicator::{ConnectError, KeyKind, KeyPair};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::{Algorithm, Certificate, EcdsaCurve, PrivateKey};

/// What Azure demands at least.
const RSA_BITS: u32 = 2048;
/// Larger keys take minutes to make.
const MOST_RSA_BITS: u32 = 8192;
/// Keys and certificates are small; anything larger is not one.
const MOST_BYTES: u64 = 1 << 20;

pub(crate) fn generate(kind: KeyKind, bits: Option<u32>, comment: &str) -> Result<KeyPair, ConnectError> {
    let mut rng = russh::keys::key::safe_rng();
    let failed = |e: &dyn std::fmt::Display| ConnectError::Config(format!("no key pair could be made: {e}"));
    let algorithm = match kind {
        KeyKind::Ed25519 => Algorithm::Ed25519,
        KeyKind::EcdsaP256 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        KeyKind::EcdsaP384 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        KeyKind::EcdsaP521 => Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
        KeyKind::Rsa => Algorithm::Rsa { hash: None },
    };
    let mut key = if kind == KeyKind::Rsa {
        let bits = bits.unwrap_or(RSA_BITS);
        if !(RSA_BITS..=MOST_RSA_BITS).contains(&bits) {
            return Err(ConnectError::Config(format!(
                "an RSA key of {bits} bits can't be used; temporary_key_pair_bits must lie between {RSA_BITS} and \
                 {MOST_RSA_BITS}"
            )));
        }
        let pair = RsaKeypair::random(&mut rng, bits as usize).map_err(|e| failed(&e))?;
        PrivateKey::new(KeypairData::from(pair), "").map_err(|e| failed(&e))?
    } else {
        PrivateKey::random(&mut rng, algorithm).map_err(|e| failed(&e))?
    };
    key.set_comment(comment);
    let pem = key.to_openssh(LineEnding::LF).map_err(|e| failed(&e))?;
    Ok(KeyPair {
        public_openssh: key.public_key().to_openssh().map_err(|e| failed(&e))?,
        private_pem: Secret::new(pem.as_str()),
    })
}

/// A path of the options; `~/` is the home folder of who runs the engine.
pub(crate) fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

async fn read(path: &Path, what: &str) -> Result<Secret, ConnectError> {
    let wrong =
        |why: &dyn std::fmt::Display| ConnectError::Config(format!("the {what} {}: {why}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(|e| wrong(&e))?.len();
    if size > MOST_BYTES {
        return Err(wrong(&"it is too large to be one"));
    }
    tokio::fs::read_to_string(path).await.map(Secret::new).map_err(|e| wrong(&e))
}

pub(crate) async fn load(path: &str) -> Result<Arc<PrivateKey>, ConnectError> {
    let path = expand(path);
    let text = read(&path, "SSH key").await?;
    parse(&text, &path.display().to_string())
}

pub(crate) fn parse(text: &Secret, name: &str) -> Result<Arc<PrivateKey>, ConnectError> {
    let encrypted = || {
        ConnectError::Config(format!(
            "the SSH key {name} is protected by a passphrase; add it to an agent and set ssh_agent_auth, or use a key \
             without one"
        ))
    };
    match russh::keys::decode_secret_key(text.expose(), None) {
        Ok(key) if key.is_encrypted() => Err(encrypted()),
        Ok(key) => Ok(Arc::new(key)),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(encrypted()),
        Err(_) if text.expose().contains("ENCRYPTED") => Err(encrypted()),
        Err(error) => Err(ConnectError::Config(format!("the SSH key {name} can't be read: {error}"))),
    }
}

pub(crate) async fn load_certificate(path: &str) -> Result<Certificate, ConnectError> {
    let path = expand(path);
    let text = read(&path, "SSH certificate").await?;
    Certificate::from_openssh(text.expose().trim()).map_err(|e| {
        ConnectError::Config(format!("the SSH certificate {} can't be read: {e}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key_comes_back_from_its_text() {
        let cases = [
            (KeyKind::Ed25519, None, "ssh-ed25519 "),
            (KeyKind::EcdsaP256, None, "ecdsa-sha2-nistp256 "),
            (KeyKind::EcdsaP384, None, "ecdsa-sha2-nistp384 "),
            (KeyKind::EcdsaP521, None, "ecdsa-sha2-nistp521 "),
            (KeyKind::Rsa, Some(2048), "ssh-rsa "),
        ];
        for (kind, bits, prefix) in cases {
            let pair = generate(kind, bits, "build 7").unwrap();
            assert!(pair.public_openssh.starts_with(prefix), "{}", pair.public_openssh);
            assert!(pair.public_openssh.ends_with(" build 7"), "{}", pair.public_openssh);
            let key = parse(&pair.private_pem, "k").unwrap();
            assert_eq!(key.public_key().to_openssh().unwrap(), pair.public_openssh);
        }
        for bits in [1024, 16384] {
            assert!(matches!(generate(KeyKind::Rsa, Some(bits), ""), Err(ConnectError::Config(_))));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_name() {
        let error = parse(&Secret::new("hello"), "/k").unwrap_err().to_string();
        assert!(error.contains("/k can't be read"), "{error}");
        let key = generate(KeyKind::Ed25519, None, "").unwrap();
        let key = parse(&key.private_pem, "k").unwrap();
        let locked = key.encrypt(&mut russh::keys::key::safe_rng(), "secret").unwrap();
        let text = Secret::new(locked.to_openssh(LineEnding::LF).unwrap().as_str());
        let error = parse(&text, "/k").unwrap_err().to_string();
        assert!(error.contains("passphrase"), "{error}");
    }
}
