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

/// The first and the last line of a certificate in PEM format (RFC 7468).
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Where the certificates of the trusted authorities are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// In this file, which `AWS_CA_BUNDLE` names, and nowhere else.
    Bundle(String),
    /// Where the TLS library finds them: in the file of `SSL_CERT_FILE`, which is given here, and in the folders of
    /// `SSL_CERT_DIR`, or if neither is set, where the system has them.
    Found(Option<String>),
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
        let found = value("SSL_CERT_FILE");
        match value("AWS_CA_BUNDLE") {
            // The same file and no folders beside it: the TLS library reads it in half the time.
            Some(path) if found.as_ref() == Some(&path) && value("SSL_CERT_DIR").is_none() => Self::Found(found),
            Some(path) => Self::Bundle(path),
            None => Self::Found(found),
        }
    }

    /// The certificates, for the TLS library.
    ///
    /// # Errors
    /// A file that a variable names cannot be read, is damaged, or has no usable certificate.
    pub fn trust_store(&self) -> Result<TrustStore, UnusableBundle> {
        let (variable, path, store) = match self {
            Self::Bundle(path) => ("AWS_CA_BUNDLE", path, read(path).and_then(|pem| usable(&pem))),
            // The TLS library reads the file itself, and goes on without authorities if it cannot.
            Self::Found(Some(path)) => {
                let whole = read(path).and_then(|pem| complete(&pem));
                ("SSL_CERT_FILE", path, whole.map(|()| TrustStore::default()))
            }
            Self::Found(None) => return Ok(TrustStore::default()),
        };
        store.map_err(|why| UnusableBundle { variable, path: path.clone(), why })
    }
}

/// A file as text. What is not UTF-8 stands between the certificates.
fn read(path: &str) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Whether there are certificates, and each has an end. Says nothing about their content, which costs more to read.
fn complete(pem: &str) -> Result<(), String> {
    match (pem.matches(BEGIN).count(), pem.matches(END).count()) {
        (0, _) => Err("there is no usable certificate in it".to_owned()),
        (begun, ended) if begun == ended => Ok(()),
        (begun, ended) => Err(format!("it is damaged ({begun} certificates begin, {ended} end)")),
    }
}

/// The certificates of a bundle that rustls accepts as authorities. The others are skipped, as rustls skips them in the
/// system's store: the SDK would end the process at the first one.
fn usable(pem: &str) -> Result<TrustStore, String> {
    complete(pem)?;
    let (mut store, mut used) = (TrustStore::empty(), 0);
    for section in pem.split_inclusive(END) {
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
