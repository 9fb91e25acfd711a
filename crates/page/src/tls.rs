//! Certificate and key of the page, from two files, read again when they were renewed.

use ln6_api::{CliError, Trouble};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring, version};

/// TLS 1.2 and 1.3 with a certificate of the operator's.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.certificate.display())
    }
}

impl Tls {
    /// Reads a chain of certificates, the own one first, and its private key; both PEM.
    ///
    /// # Errors
    /// `tls_invalid`, with the file that is to blame.
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, CliError> {
        let now = Arc::new(RwLock::new(Arc::new(read(certificate, key)?)));
        Ok(Tls { certificate: certificate.to_owned(), key: key.to_owned(), now })
    }

    /// Reads the files again; connections from now on have what they say. After an error all is as before.
    pub fn renew(&self) -> Result<(), CliError> {
        let new = Arc::new(read(&self.certificate, &self.key)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, CliError> {
    let bad = |file: &Path, why: String| {
        CliError::new(Trouble::TlsInvalid, format!("{} is of no use: {why}", file.display()))
    };
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(bad(certificate, "it has no certificate in PEM".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error.to_string()))?;
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| bad(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| bad(certificate, error.to_string()))
}
