//! The identity file: two private keys in text, readable by their owner only.

use super::{atomic, layout};
use crate::error::{CliError, Trouble};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::SigningKey;
use ln6_crypto::keys::StaticSecret;
use std::path::Path;
use zeroize::{Zeroize as _, Zeroizing};

const MOST: u64 = 4096;

/// Who a node is.
#[derive(Debug)]
pub struct Identity {
    /// WireGuard's static key.
    pub secret: StaticSecret,
    /// Signs this node's records, and what it delegates.
    pub signing: SigningKey,
}

impl Identity {
    /// A new identity from the system's randomness.
    pub fn generate() -> Result<Self, CliError> {
        let secret = StaticSecret::from_bytes(*random::<32>()?);
        Ok(Identity { secret, signing: SigningKey::from_seed(*random::<32>()?) })
    }

    /// Reads the file; refuses it if others than its owner can.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        let text = private_text(path)?.ok_or_else(|| {
            CliError::new(Trouble::NoIdentity, format!("there is no identity file {}", path.display()))
        })?;
        let secret = key_line(&text, "x25519").map(|bytes| StaticSecret::from_bytes(*bytes));
        let signing = key_line(&text, "ed25519").map(|bytes| SigningKey::from_seed(*bytes));
        match (secret, signing) {
            (Some(secret), Some(signing)) => Ok(Identity { secret, signing }),
            _ => Err(damaged(path)),
        }
    }

    /// Writes the file, which must not exist yet.
    pub fn create(&self, path: &Path) -> Result<(), CliError> {
        let mut bytes = self.secret.expose_bytes();
        let text = Zeroizing::new(format!(
            "# The identity of an ln6d node. Keep it secret and keep a copy: who has it is this node.\n\
             # Public key: {}\n\
             {}{}",
            self.secret.public(),
            line("x25519", &bytes).as_str(),
            line("ed25519", &self.signing.seed()).as_str(),
        ));
        bytes.zeroize();
        atomic::create(path, text.as_bytes())
    }
}

pub(super) fn line(word: &str, key: &[u8; 32]) -> Zeroizing<String> {
    let key = Zeroizing::new(STANDARD.encode(key));
    Zeroizing::new(format!("{word} {}\n", key.as_str()))
}

/// The key on the only line that begins with `word`.
pub(super) fn key_line(text: &str, word: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut found = text.lines().filter_map(|line| line.trim().strip_prefix(word)?.strip_prefix(' '));
    let (Some(value), None) = (found.next(), found.next()) else { return None };
    let bytes = Zeroizing::new(STANDARD.decode(value.trim()).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

pub(super) fn damaged(path: &Path) -> CliError {
    CliError::new(Trouble::KeyFileDamaged, format!("{} is not a key file of ln6d", path.display()))
}

/// The text of a file that only its owner may read; `None` if there is none.
pub(crate) fn private_text(path: &Path) -> Result<Option<Zeroizing<String>>, CliError> {
    if let Some(mode) = layout::mode(path).filter(|mode| mode & 0o077 != 0) {
        let message = format!("{} can be read by others (mode {mode:04o})", path.display());
        let hint = format!(
            "make it private: chmod 600 {}; if someone may have read it, make a new identity and ask for 'ln6d replace'",
            path.display()
        );
        return Err(CliError::new(Trouble::KeyFileExposed, message).hint(hint));
    }
    let Some(bytes) = atomic::read(path, MOST)? else { return Ok(None) };
    String::from_utf8(bytes).map(|text| Some(Zeroizing::new(text))).map_err(|error| {
        error.into_bytes().zeroize();
        damaged(path)
    })
}

/// `N` octets of the system's randomness.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, CliError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
        CliError::new(Trouble::Internal, format!("the system gives no randomness: {error}"))
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn an_identity_reads_back_from_a_private_file() {
        let dir = TestDir::new();
        let path = dir.path().join("identity.key");
        let made = Identity::generate().expect("random");
        made.create(&path).expect("written");
        assert_eq!(layout::mode(&path), Some(0o600));
        let read = Identity::load(&path).expect("read");
        assert_eq!(read.secret.public(), made.secret.public());
        assert_eq!(read.signing.verify_key(), made.signing.verify_key());
        assert_eq!(made.create(&path).expect_err("exists").code, "already_exists");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_helps() {
        let dir = TestDir::new();
        let path = dir.path().join("identity.key");
        Identity::generate().expect("random").create(&path).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("chmod");
        let error = Identity::load(&path).expect_err("exposed");
        assert_eq!(error.code, "key_file_exposed");
        assert!(error.message.contains("0640"), "{error}");
        assert!(error.hint.expect("hint").contains(&format!("chmod 600 {}", path.display())));
    }

    #[test]
    fn what_is_not_two_keys_is_refused() {
        let dir = TestDir::new();
        let path = dir.path().join("identity.key");
        assert_eq!(Identity::load(&path).expect_err("none").code, "no_identity");
        let key = STANDARD.encode([7; 32]);
        let cases = [
            String::new(),
            format!("x25519 {key}\n"),
            format!("x25519 {key}\ned25519 short\n"),
            format!("x25519 {key}\nx25519 {key}\ned25519 {key}\n"),
        ];
        for text in cases {
            atomic::replace(&path, text.as_bytes()).expect("write");
            assert_eq!(Identity::load(&path).expect_err("damaged").code, "key_file_damaged", "{text}");
        }
        atomic::replace(&path, &[0xff, 0xfe]).expect("write");
        assert_eq!(Identity::load(&path).expect_err("damaged").code, "key_file_damaged");
    }
}
