//! A cluster's API server, as far as its front door goes: HTTPS under an authority of the cluster's own, and the answer
//! that a caller gets before anything in the cluster is asked: 401, 403, or who he is.
//!
//! What is let in follows Kubernetes' default roles: `system:public-info-viewer` (everybody: health and version),
//! `system:discovery` and `system:basic-user` (everybody who is authenticated). Access policies open nothing here.

use serde_json::{Value, json};

use crate::cloud::{Cloud, Identity};
use crate::token;

/// Which cluster's door it is.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its Region.
    pub region: String,
    /// Its name.
    pub name: String,
}

const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

const SELF_REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Answers a request: status and body.
pub fn answer(cloud: &Cloud, cluster: &Cluster, request: &http::Request<Vec<u8>>) -> (u16, Value) {
    let path = request.uri().path();
    let method = request.method().as_str();
    let Some(header) = request.headers().get("authorization") else {
        if method == "GET" && PUBLIC.contains(&path) {
            return (200, json!({}));
        }
        return forbidden("system:anonymous", method, path);
    };
    let token = header.to_str().ok().and_then(|header| header.strip_prefix("Bearer "));
    let Some(identity) = token.and_then(|token| authenticate(cloud, cluster, token)) else {
        return (401, status(401, "Unauthorized", "Unauthorized"));
    };
    // Deeper paths are of resources, which need a permission of their own.
    let discovery = [("/api", 1), ("/apis", 2), ("/openapi", 2)].iter().any(|(root, depth)| {
        let rest = path.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') && rest.matches('/').count() <= *depth)
    });
    match method {
        "GET" if discovery || PUBLIC.contains(&path) => (200, json!({ "kind": "APIVersions", "versions": ["v1"] })),
        "POST" if path == SELF_REVIEW => {
            let mut groups = identity.groups;
            groups.push("system:authenticated".to_owned());
            let user = json!({ "username": identity.username, "groups": groups });
            (201, json!({ "kind": "SelfSubjectReview", "status": { "userInfo": user } }))
        }
        _ => forbidden(&identity.username, method, path),
    }
}

fn authenticate(cloud: &Cloud, cluster: &Cluster, token: &str) -> Option<Identity> {
    let refused = |why: &dyn std::fmt::Debug| eprintln!("{} refuses a token: {why:?}", cluster.name);
    let key = token::access_key(cloud, token, &cluster.name).inspect_err(|why| refused(why)).ok()?;
    cloud.authenticate_session(&cluster.region, &cluster.name, &key).inspect_err(|why| refused(why)).ok()
}

fn forbidden(user: &str, method: &str, path: &str) -> (u16, Value) {
    let verb = method.to_lowercase();
    (403, status(403, "Forbidden", &format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"")))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}
