//! The root's private key, as `init` exports it.

use super::atomic;
use super::identity::{damaged, key_line, line, private_text};
use crate::error::{CliError, Trouble};
use ln6_crypto::{SigningKey, fingerprint};
use std::path::Path;
use zeroize::Zeroizing;

/// Writes the root key, which must not exist yet.
pub fn create(path: &Path, root: &SigningKey) -> Result<(), CliError> {
    let text = Zeroizing::new(format!(
        "# The root key of an ln6d network: move it to a safe place away from this machine.\n\
         # It is needed to renew the broker's certificate, to change pools and exits, and to name another broker.\n\
         # Network: {}\n\
         {}",
        fingerprint(&root.verify_key()),
        line("ed25519-root", &root.seed()).as_str()
    ));
    atomic::create(path, text.as_bytes())
}

/// Reads it again.
pub fn load(path: &Path) -> Result<SigningKey, CliError> {
    let text = private_text(path)?.ok_or_else(|| {
        CliError::new(Trouble::NotFound, format!("there is no root key {}", path.display()))
            .hint("bring it back from where it is kept")
    })?;
    key_line(&text, "ed25519-root").map(|seed| SigningKey::from_seed(*seed)).ok_or_else(|| damaged(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::atomic::tests::TestDir;

    #[test]
    fn the_root_key_reads_back_and_an_identity_is_not_one() {
        let dir = TestDir::new();
        let path = dir.path().join("root.key");
        let root = SigningKey::from_seed([3; 32]);
        create(&path, &root).expect("written");
        assert_eq!(load(&path).expect("read").verify_key(), root.verify_key());
        let other = dir.path().join("identity.key");
        crate::files::identity::Identity::generate().expect("random").create(&other).expect("written");
        assert_eq!(load(&other).expect_err("not a root").code, "key_file_damaged");
        assert_eq!(load(&dir.path().join("none")).expect_err("none").code, "not_found");
    }
}
