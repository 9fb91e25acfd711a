//! The broker's own certificate, in a file of its own, with what the root took back from brokers that it succeeds. Without it
//! nothing the broker signs is believed.

use super::{armour, atomic};
use crate::error::{CliError, Trouble};
use ln6_crypto::{Certificate, Reason, Revocation, Revoked, Signed};
use ln6_types::{Fingerprint, PublicKey};
use std::path::Path;

const MOST: u64 = 64 * 1024;
const CERTIFICATE: &str = "CERTIFICATE";
const REVOCATION: &str = "REVOCATION";
/// Revocations in one file: of one broker there is one.
const REVOCATIONS: usize = 16;

/// What the root has signed for a broker.
#[derive(Clone, Debug)]
pub struct Papers {
    /// What the broker may do.
    pub certificate: Signed<Certificate>,
    /// What the root took back.
    pub revocations: Vec<Signed<Revocation>>,
}

impl Papers {
    /// The brokers that this one succeeds.
    pub fn predecessors(&self) -> impl Iterator<Item = PublicKey> {
        self.revocations.iter().filter_map(|signed| match (signed.what, signed.reason) {
            (Revoked::Key(key), Reason::Replaced) => Some(key),
            _ => None,
        })
    }
}

/// Writes them in text; replaces older ones.
pub fn store(path: &Path, papers: &Papers) -> Result<(), CliError> {
    let text = render(Some(&papers.certificate), &papers.revocations);
    atomic::replace(path, text.as_bytes())
}

/// As text that can be pasted.
pub fn render(certificate: Option<&Signed<Certificate>>, revocations: &[Signed<Revocation>]) -> String {
    let mut text = String::new();
    if let Some(signed) = certificate {
        text += &format!(
            "# The certificate of the broker '{}', signed by the root of network {}. Not secret.\n",
            signed.name, signed.network
        );
        text += &armour::write(CERTIFICATE, signed.bytes());
    }
    for signed in revocations {
        if let Revoked::Key(key) = signed.what {
            text += &format!(
                "# The root of network {} takes back what it gave to {key}. Not secret.\n",
                signed.network
            );
        }
        text += &armour::write(REVOCATION, signed.bytes());
    }
    text
}

/// A certificate, revocations, or both.
pub type Signatures = (Option<Signed<Certificate>>, Vec<Signed<Revocation>>);

/// Reads what the root of `network` signed. The reason why it is nothing of the kind, in words.
pub fn read(text: &str, network: &Fingerprint) -> Result<Signatures, String> {
    let (mut certificate, mut revocations) = (None, Vec::new());
    for (kind, bytes) in armour::read(text, CERTIFICATE)? {
        match kind.as_str() {
            CERTIFICATE if certificate.is_none() => {
                let read = Signed::<Certificate>::decode(&bytes).and_then(|read| read.verify_named());
                let signed = read.map_err(|error| error.to_string())?;
                if signed.network != *network {
                    return Err("it belongs to another network".into());
                }
                signed.check_issued_by_root().map_err(|error| error.to_string())?;
                certificate = Some(signed);
            }
            CERTIFICATE => return Err("it holds two certificates".into()),
            REVOCATION if revocations.len() < REVOCATIONS => {
                let read = Signed::<Revocation>::decode(&bytes).and_then(|read| read.verify_named());
                let signed = read.map_err(|error| error.to_string())?;
                if signed.network != *network || ln6_crypto::fingerprint(&signed.issuer) != *network {
                    return Err("it is not signed by this network's root".into());
                }
                revocations.push(signed);
            }
            REVOCATION => return Err("it holds too many revocations".into()),
            other => return Err(format!("it holds a {}", other.to_lowercase())),
        }
    }
    Ok((certificate, revocations))
}

/// Reads the broker's file; `None` if there is none.
pub fn load(path: &Path, network: &Fingerprint) -> Result<Option<Papers>, CliError> {
    let Some(bytes) = atomic::read(path, MOST)? else { return Ok(None) };
    let damaged = |why: String| {
        CliError::new(
            Trouble::KeyFileDamaged,
            format!("{} is no certificate of a broker: {why}", path.display()),
        )
    };
    let (certificate, revocations) = read(&String::from_utf8_lossy(&bytes), network).map_err(damaged)?;
    let certificate = certificate.ok_or_else(|| damaged("it holds none".into()))?;
    Ok(Some(Papers { certificate, revocations }))
}
