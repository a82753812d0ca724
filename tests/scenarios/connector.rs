//! The fake wire under the real SDK clients: an HTTP client without a socket, and the SDK's configuration around it.

use std::fmt;
use std::io;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_eks::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::cloud::exchange::Door;
use crate::cloud::{Cloud, HOME_REGION, Reply};

impl Cloud {
    /// The configuration for the product's clients: this cloud, in its home Region, with credentials that never expire.
    ///
    /// Its time source is the machine's clock, which only dates signatures; waiting is tokio's, so it can be paused.
    pub fn sdk_config(&self) -> SdkConfig {
        self.sdk_config_in(HOME_REGION)
    }

    /// The same with another home Region, for another partition.
    pub fn sdk_config_in(&self, region: &str) -> SdkConfig {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "in-process");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(self.clone())
            .build()
    }

    /// The same for one of several callers: all its requests go through this door.
    pub fn sdk_config_through(&self, door: Door) -> SdkConfig {
        let line = Line { cloud: self.clone(), door };
        self.sdk_config().into_builder().http_client(line).build()
    }

    async fn carry(&self, door: Option<&Door>, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::io(error.into()))?;
        match self.handle_through(door, http::Request::from_parts(parts, body.to_vec())).await {
            Reply::Response(response) => HttpResponse::try_from(response.map(SdkBody::from))
                .map_err(|error| ConnectorError::other(error.into(), None)),
            Reply::Closed => {
                let reset =
                    io::Error::new(io::ErrorKind::ConnectionReset, "connection closed before message completed");
                Err(ConnectorError::io(reset.into()))
            }
            Reply::Unresolvable => {
                let inner = io::Error::other("failed to lookup address information: Name or service not known");
                let dns = Because("dns error", Some(Box::new(inner)));
                let client = Because("client error (Connect)", Some(Box::new(dns)));
                Err(ConnectorError::io(client.into()).never_connected())
            }
        }
    }
}

impl HttpConnector for Cloud {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let cloud = self.clone();
        HttpConnectorFuture::new(async move { cloud.carry(None, request).await })
    }
}

impl HttpClient for Cloud {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A caller's own wire to the cloud.
#[derive(Clone)]
struct Line {
    cloud: Cloud,
    door: Door,
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let line = self.clone();
        HttpConnectorFuture::new(async move { line.cloud.carry(Some(&line.door), request).await })
    }
}

impl HttpClient for Line {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

/// An error with a cause, as the real HTTP client nests them.
#[derive(Debug)]
struct Because(&'static str, Option<Box<dyn std::error::Error + Send + Sync>>);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Because {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|error| error as _)
    }
}
