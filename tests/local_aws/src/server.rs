//! Connections on loopback ports: plain HTTP for everybody, and HTTPS under a certificate authority that exists for this
//! process only. A request goes to the Runtime API, to Lambda's `Invoke`, to SQS, or to the AWS of the scenarios; on a port of
//! its own, to a cluster's API server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::cloud::{Cloud, Reply};
use crate::event_bridge::EventBridge;
use crate::kubernetes;
use crate::runtime_api::{RuntimeApi, TIMEOUT};
use crate::setting::REGIONS;
use crate::sqs::Sqs;

/// What all connections share.
pub struct Site {
    /// The account with all that is in it.
    pub cloud: Cloud,
    /// Where the function polls.
    pub runtime: RuntimeApi,
    /// What is on its way to the function.
    pub events: EventBridge,
    /// The queues.
    pub sqs: Sqs,
    /// How Lambda answers whoever invokes the function.
    pub lambda: Mutex<Lambda>,
    /// Connections accepted, and TLS handshakes made.
    pub connections: AtomicUsize,
    /// See [`Site::connections`].
    pub handshakes: AtomicUsize,
}

/// How Lambda answers whoever invokes the function: for as long as nobody says otherwise, with the function's answer.
#[derive(Debug, Default, Clone)]
pub struct Lambda {
    /// An error of Lambda's instead.
    pub refusal: Option<(u16, String, Value)>,
    /// What was handed to the function, and through which alias.
    pub invoked: Vec<Value>,
}

/// A certificate for every name under which AWS is reached, and the authority that signed it.
pub struct Certificates {
    /// The authority, for `SSL_CERT_FILE` or `AWS_CA_BUNDLE`.
    pub authority_pem: String,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes both again.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let mut authority = rcgen::CertificateParams::new(Vec::new())?;
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        authority.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(rcgen::DnType::CommonName, "local-aws, for one process");
        let authority_key = rcgen::KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "*.amazonaws.com".to_owned()];
        names.extend(REGIONS.iter().map(|region| format!("*.{region}.amazonaws.com")));
        let mut leaf = rcgen::CertificateParams::new(names)?;
        leaf.use_authority_key_identifier_extension = true;
        let key = rcgen::KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { authority_pem, config: Arc::new(config) })
    }
}

/// What is behind a port.
#[derive(Debug, Clone)]
pub enum Door {
    /// AWS, and the Runtime API.
    Aws,
    /// A cluster's API server.
    Cluster(kubernetes::Cluster),
}

/// Listens on a free loopback port and serves from then on; with certificates over TLS.
pub async fn listen(
    site: Arc<Site>,
    door: Door,
    certificates: Option<&Certificates>,
    port: u16,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    let acceptor = certificates.map(|certificates| TlsAcceptor::from(Arc::clone(&certificates.config)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (site, door, acceptor) = (Arc::clone(&site), door.clone(), acceptor.clone());
            tokio::spawn(async move {
                site.connections.fetch_add(1, Ordering::Relaxed);
                match acceptor {
                    None => converse(site, door, stream).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            site.handshakes.fetch_add(1, Ordering::Relaxed);
                            converse(site, door, stream).await;
                        }
                    }
                }
            });
        }
    });
    Ok(address)
}

/// One connection, request after request.
async fn converse(site: Arc<Site>, door: Door, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request| {
        let (site, door) = (Arc::clone(&site), door.clone());
        async move { respond(&site, &door, request).await }
    });
    // A client that goes away ends its connection only.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The answer to one request; an error closes the connection.
async fn respond(
    site: &Site,
    door: &Door,
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let path = parts.uri.path();
    let response = if let Door::Cluster(cluster) = door {
        let (status, body) = kubernetes::answer(&site.cloud, cluster, &http::Request::from_parts(parts, body));
        let response = http::Response::builder().status(status).header("content-type", "application/json");
        response.body(body.to_string().into_bytes()).expect("a status and a text make a response")
    } else if RuntimeApi::is_for(path) {
        site.runtime.answer(&parts.method, path, body).await
    } else if let Some(function) = path.strip_prefix("/2015-03-31/functions/") {
        let Some(function) = function.strip_suffix("/invocations").filter(|_| parts.method == hyper::Method::POST)
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let function = percent_encoding::percent_decode_str(function).decode_utf8_lossy();
        // An ARN ends with the name, and where there is one with the alias.
        let function = function.splitn(7, ':').nth(6).unwrap_or(&function);
        let qualifier = parts.uri.query().and_then(|query| query.strip_prefix("Qualifier="));
        let qualifier = qualifier.map(|text| percent_encoding::percent_decode_str(text).decode_utf8_lossy());
        invoke(site, function, qualifier.as_deref(), body).await
    } else if let Some(operation) = Sqs::operation(&parts.headers) {
        let account = site.cloud.with(|world| world.account.clone());
        site.sqs.answer(operation, &region_of(&parts.headers), &account, &body).await
    } else {
        match site.cloud.handle(http::Request::from_parts(parts, body)).await {
            Reply::Response(response) => response,
            Reply::Closed | Reply::Unresolvable => return Err(io::ErrorKind::ConnectionReset.into()),
        }
    };
    Ok(response.map(|body| Full::new(Bytes::from(body))))
}

/// The Region that a request is signed for.
fn region_of(headers: &http::HeaderMap) -> String {
    let signed = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    signed.split('/').nth(2).unwrap_or_default().to_owned()
}

/// Lambda's `Invoke`, for the function that polls here whatever it is called.
async fn invoke(site: &Site, function: &str, qualifier: Option<&str>, payload: Vec<u8>) -> http::Response<Vec<u8>> {
    let (name, in_name) = function.split_once(':').map_or((function, None), |(name, alias)| (name, Some(alias)));
    let alias = qualifier.or(in_name);
    if alias.is_some_and(|alias| !["$LATEST", "events", "approve"].contains(&alias)) {
        let message = format!("{{\"Message\":\"Function not found: {}\"}}", site.function_arn(name, alias));
        let response = http::Response::builder().status(404).header("x-amzn-errortype", "ResourceNotFoundException");
        return response.body(message.into_bytes()).expect("a status and a text make a response");
    }
    let refusal = {
        let mut lambda = site.lambda.lock().unwrap_or_else(PoisonError::into_inner);
        if lambda.refusal.is_none() {
            let payload: Value = serde_json::from_slice(&payload).unwrap_or_default();
            lambda.invoked.push(json!({"function": name, "alias": alias, "payload": payload}));
        }
        lambda.refusal.clone()
    };
    if let Some((status, code, body)) = refusal {
        let response = http::Response::builder().status(status).header("x-amzn-errortype", code);
        return response.body(body.to_string().into_bytes()).expect("a status and a text make a response");
    }
    let arn = site.function_arn(name, alias);
    let answer = site.runtime.invoke(arn, payload, TIMEOUT).await;
    let response = http::Response::builder().status(200).header("content-type", "application/json");
    match answer {
        Some(answer) if !answer.is_error => response.body(answer.body),
        Some(answer) => response.header("x-amz-function-error", "Unhandled").body(answer.body),
        None => http::Response::builder().status(500).body(b"{\"message\":\"the function is gone\"}".to_vec()),
    }
    .expect("a status, headers of our own and a body make a response")
}

impl Site {
    /// The ARN under which the function sees itself invoked.
    pub fn function_arn(&self, name: &str, qualifier: Option<&str>) -> String {
        let account = self.cloud.with(|world| world.account.clone());
        let qualifier = qualifier.map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
        format!("arn:aws:lambda:{}:{account}:function:{name}{qualifier}", crate::cloud::HOME_REGION)
    }
}
