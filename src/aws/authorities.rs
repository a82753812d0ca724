//! Which certificate authorities the function trusts when it connects to AWS.
//!
//! The SDK for Rust knows `SSL_CERT_FILE` and `SSL_CERT_DIR` only. `AWS_CA_BUNDLE` is the variable of the AWS CLI and of
//! the other SDKs (AWS SDKs and Tools Reference Guide, "Environment variables"); it is honoured here, so that whoever
//! works behind a proxy that inspects TLS sets the variable that they set everywhere else.

use std::fs;

use aws_smithy_http_client::tls::TrustStore;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// What a bundle has to be, for the line that refuses one.
const ACCEPTED: &str = "the path of a file with certificates in PEM format";

/// The last line of a certificate in PEM format (RFC 7468).
const END: &str = "-----END CERTIFICATE-----";

/// Where the certificates of the trusted authorities are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// In the file that an environment variable names, and nowhere else.
    Bundle {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: String,
    },
    /// Where the TLS library finds them: in the folders of `SSL_CERT_DIR`, or if that is unset, where the system has them.
    System,
}

/// A bundle that cannot be used; the text is for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={path:?}: {why}; accepted: {ACCEPTED}")]
pub struct UnusableBundle {
    variable: &'static str,
    path: String,
    why: String,
}

impl Authorities {
    /// Chooses by the environment, which `lookup` reads. An empty variable counts as unset.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let value = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        if let Some(path) = value("AWS_CA_BUNDLE") {
            return Self::Bundle { variable: "AWS_CA_BUNDLE", path };
        }
        match (value("SSL_CERT_FILE"), value("SSL_CERT_DIR")) {
            (Some(path), None) => Self::Bundle { variable: "SSL_CERT_FILE", path },
            // The TLS library reads the file and the folders.
            _ => Self::System,
        }
    }

    /// The certificates, read if they are in a bundle; the TLS library reads the system's.
    ///
    /// # Errors
    /// The bundle cannot be read, is damaged, or has no usable certificate.
    pub fn trust_store(&self) -> Result<TrustStore, UnusableBundle> {
        match self {
            Self::System => Ok(TrustStore::default()),
            Self::Bundle { variable, path } => fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|pem| usable(&String::from_utf8_lossy(&pem)))
                .map_err(|why| UnusableBundle { variable, path: path.clone(), why }),
        }
    }
}

/// The certificates of a bundle that rustls accepts as authorities. The others are skipped, as rustls skips them in the
/// system's store: the SDK would end the process at the first one.
fn usable(bundle: &str) -> Result<TrustStore, String> {
    let (mut store, mut used) = (TrustStore::empty(), 0);
    for section in bundle.split_inclusive(END) {
        let found: Vec<_> = CertificateDer::pem_slice_iter(section.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("it is damaged ({error})"))?;
        if !found.is_empty() && found.into_iter().all(|certificate| RootCertStore::empty().add(certificate).is_ok()) {
            store.add_pem_certificate(section);
            used += 1;
        }
    }
    if used == 0 { Err("there is no usable certificate in it".to_owned()) } else { Ok(store) }
}

#[cfg(test)]
mod tests;
