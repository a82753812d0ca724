//! How a cluster lets principals in: what `DescribeCluster` says of it besides [`super::Cluster`].

/// Whether a cluster can answer, and whom it asks who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// As EKS writes it, such as `ACTIVE`.
    pub status: String,
    /// `None` if EKS shows no `accessConfig`.
    pub mode: Option<AuthenticationMode>,
}

/// A cluster's authentication mode (EKS API Reference, `AccessConfigResponse`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationMode {
    /// The `aws-auth` `ConfigMap` alone.
    ConfigMap,
    /// Access entries and the `aws-auth` `ConfigMap`.
    ApiAndConfigMap,
    /// Access entries alone.
    Api,
    /// A mode newer than this code.
    Unknown(String),
}

impl From<&str> for AuthenticationMode {
    fn from(text: &str) -> Self {
        match text {
            "CONFIG_MAP" => Self::ConfigMap,
            "API_AND_CONFIG_MAP" => Self::ApiAndConfigMap,
            "API" => Self::Api,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl AuthenticationMode {
    /// The name that the API uses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ConfigMap => "CONFIG_MAP",
            Self::ApiAndConfigMap => "API_AND_CONFIG_MAP",
            Self::Api => "API",
            Self::Unknown(text) => text,
        }
    }
}
