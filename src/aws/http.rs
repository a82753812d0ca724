//! The HTTP client behind all AWS clients: one connector, so that certificates are read once and connections are shared.
//!
//! Reading some 140 certificates takes longer than everything else before the first poll. So a thread reads them while the
//! process goes on; whoever sends the first request waits for the rest. The certificates are not compiled in: that saves
//! the reading of a file, but not the parsing, which takes the time, and the authorities would age with the binary. The
//! SDK's own client reads them again for each service and Region.

use std::future::pending;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, TlsContext, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::oneshot;

use super::authorities::{Authorities, UnusableBundle};

/// How long a connection may take to be made, for all services.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

type Made = Result<SharedHttpConnector, UnusableBundle>;
type Making = LazyLock<Made, Box<dyn FnOnce() -> Made + Send>>;

/// The HTTP client while its connector is made.
#[derive(Debug)]
pub struct Http {
    client: SharedHttpClient,
    failure: oneshot::Receiver<UnusableBundle>,
}

impl Http {
    /// Begins to read the certificates, beside whatever the caller does next.
    #[must_use]
    pub fn start(authorities: Authorities) -> Self {
        let making: Making = LazyLock::new(Box::new(move || connector(&authorities)));
        let (making, (tell, failure)) = (Arc::new(making), oneshot::channel());
        let made = Arc::clone(&making);
        // If there can be no thread, the first request makes the connector; a bundle that cannot be used then shows as a
        // request without an answer.
        let _ = std::thread::Builder::new().spawn(move || {
            if let Err(unusable) = &**making {
                let _ = tell.send(unusable.clone());
            }
        });
        let client = http_client_fn(move |_, _| match &**made {
            Ok(connector) => connector.clone(),
            Err(_) => SharedHttpConnector::new(NoConnector),
        });
        Self { client, failure }
    }

    /// The client, to be given to all AWS clients.
    #[must_use]
    pub fn client(&self) -> SharedHttpClient {
        self.client.clone()
    }

    /// Ends if the certificates cannot be used, and says why. Nothing is sent then.
    pub async fn failed(self) -> UnusableBundle {
        match self.failure.await {
            Ok(unusable) => unusable,
            Err(_) => pending().await,
        }
    }
}

fn context(authorities: &Authorities) -> Result<TlsContext, UnusableBundle> {
    let context = TlsContext::builder().with_trust_store(authorities.trust_store()?).build();
    // Without the chosen authorities there must be no connector; those of the system would be others.
    Ok(context.expect("a context of a trust store is built without a check that could fail"))
}

/// A client whose connections are probed while nothing is sent, so that a NAT gateway does not drop them: AWS's does after
/// 350 seconds without a word (Amazon VPC User Guide, "Troubleshoot NAT gateways"). The connector above has no such setting.
///
/// # Errors
/// [`UnusableBundle`].
///
/// # Panics
/// Outside of a Tokio runtime, which has to drive the connections.
#[cfg(feature = "cli")]
pub(super) fn kept_alive(authorities: &Authorities, probe_after: Duration) -> Result<SharedHttpClient, UnusableBundle> {
    use aws_smithy_http_client::pool::{Client, ConnectionPool, DriverSpawner, Partition, PartitionId};
    use aws_smithy_runtime_api::shared::IntoShared as _;
    let runtime = tokio::runtime::Handle::current();
    let id = PartitionId::from_index(0);
    let pool = ConnectionPool::builder()
        .tcp_keepalive(probe_after)
        // The crate finds the runtime by itself with one more feature only, which the function does not have.
        .partitions([Partition::new(id, DriverSpawner::from_fn(move |task| drop(runtime.spawn(task))))])
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context(authorities)?)
        .build_https()
        .expect("one partition without an interface is built without a check that could fail");
    Ok(Client::from_partition(&pool, id).expect("the pool has this partition").into_shared())
}

fn connector(authorities: &Authorities) -> Made {
    Ok(SharedHttpConnector::new(
        Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context(authorities)?)
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .build(),
    ))
}

/// In place of a connector without certificates: it sends nothing and never answers. The process ends meanwhile.
#[derive(Debug)]
struct NoConnector;

impl HttpConnector for NoConnector {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(pending())
    }
}
