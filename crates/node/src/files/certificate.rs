//! The broker's own certificate, in a file of its own: without it nothing the broker signs is believed.

use super::atomic;
use crate::error::{CliError, Trouble};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ln6_crypto::{Certificate, Signed};
use ln6_types::Fingerprint;
use std::path::Path;

const MOST: u64 = 64 * 1024;

/// Writes the certificate in text; replaces an older one.
pub fn store(path: &Path, certificate: &Signed<Certificate>) -> Result<(), CliError> {
    let mut text = format!(
        "# The certificate of the broker '{}', signed by the root of network {}. Not secret.\n",
        certificate.name, certificate.network
    );
    for line in STANDARD.encode(certificate.bytes()).as_bytes().chunks(76) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    atomic::replace(path, text.as_bytes())
}

/// Reads a certificate that the root of `network` signed; `None` if there is no file.
pub fn load(path: &Path, network: &Fingerprint) -> Result<Option<Signed<Certificate>>, CliError> {
    let Some(bytes) = atomic::read(path, MOST)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let code: String = text.lines().filter(|line| !line.starts_with('#')).map(str::trim).collect();
    let damaged = |why: String| {
        CliError::new(
            Trouble::KeyFileDamaged,
            format!("{} is no certificate of a broker: {why}", path.display()),
        )
    };
    let bytes = STANDARD.decode(code).map_err(|_| damaged("it is not base64".into()))?;
    let read = Signed::<Certificate>::decode(&bytes).and_then(|read| read.verify_named());
    let certificate = read.map_err(|error| damaged(error.to_string()))?;
    if certificate.network != *network {
        return Err(damaged("it belongs to another network".into()));
    }
    certificate.check_issued_by_root().map_err(|error| damaged(error.to_string()))?;
    Ok(Some(certificate))
}
