//! rest-json: which operation a method and path stand for, and the parameters that path and query string carry.

use serde_json::{Map, Value};

use super::{json_members, percent_decoded};

type Decoded = (String, Result<Map<String, Value>, String>);

/// The operations of EKS.
pub(super) fn eks(request: &http::Request<Vec<u8>>, body: &[u8]) -> Decoded {
    let path: Vec<String> = segments(request.uri().path());
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (operation, labels): (&str, Vec<(&str, &str)>) = match (request.method().as_str(), path.as_slice()) {
        ("GET", ["clusters"]) => ("ListClusters", vec![]),
        ("GET", ["clusters", name]) => ("DescribeCluster", vec![("name", name)]),
        (method, ["clusters", cluster, "access-entries"]) => (
            match method {
                "GET" => "ListAccessEntries",
                "POST" => "CreateAccessEntry",
                _ => "?",
            },
            vec![("clusterName", cluster)],
        ),
        (method, ["clusters", cluster, "access-entries", principal]) => (
            match method {
                "GET" => "DescribeAccessEntry",
                "POST" => "UpdateAccessEntry",
                "DELETE" => "DeleteAccessEntry",
                _ => "?",
            },
            vec![("clusterName", cluster), ("principalArn", principal)],
        ),
        (method, ["clusters", cluster, "access-entries", principal, "access-policies"]) => (
            match method {
                "GET" => "ListAssociatedAccessPolicies",
                "POST" => "AssociateAccessPolicy",
                _ => "?",
            },
            vec![("clusterName", cluster), ("principalArn", principal)],
        ),
        ("DELETE", ["clusters", cluster, "access-entries", principal, "access-policies", policy]) => (
            "DisassociateAccessPolicy",
            vec![("clusterName", cluster), ("principalArn", principal), ("policyArn", policy)],
        ),
        ("GET", ["clusters", cluster, "node-groups"]) => ("ListNodegroups", vec![("clusterName", cluster)]),
        ("GET", ["clusters", cluster, "node-groups", name]) => {
            ("DescribeNodegroup", vec![("clusterName", cluster), ("nodegroupName", name)])
        }
        ("GET", ["clusters", cluster, "fargate-profiles"]) => ("ListFargateProfiles", vec![("clusterName", cluster)]),
        ("GET", ["clusters", cluster, "fargate-profiles", name]) => {
            ("DescribeFargateProfile", vec![("clusterName", cluster), ("fargateProfileName", name)])
        }
        ("GET", ["clusters", cluster, "capabilities"]) => ("ListCapabilities", vec![("clusterName", cluster)]),
        ("GET", ["clusters", cluster, "capabilities", name]) => {
            ("DescribeCapability", vec![("clusterName", cluster), ("capabilityName", name)])
        }
        ("POST", ["tags", arn]) => ("TagResource", vec![("resourceArn", arn)]),
        _ => ("?", vec![]),
    };
    decoded(request, operation, &labels, body)
}

/// The operations of Account Management.
pub(super) fn account(request: &http::Request<Vec<u8>>, body: &[u8]) -> Decoded {
    let operation = match (request.method().as_str(), request.uri().path()) {
        ("POST", "/listRegions") => "ListRegions",
        _ => "?",
    };
    decoded(request, operation, &[], body)
}

fn decoded(request: &http::Request<Vec<u8>>, operation: &str, labels: &[(&str, &str)], body: &[u8]) -> Decoded {
    if operation == "?" {
        return (format!("{} {}", request.method(), request.uri().path()), Ok(Map::new()));
    }
    let members = json_members(body).map(|mut members| {
        for (name, value) in pairs(request.uri().query().unwrap_or_default()) {
            if name == "include" {
                let list = members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().expect("made as a list").push(value.into());
            } else {
                members.insert(name, value.into());
            }
        }
        // Labels last: a body cannot override what the path names.
        for (name, value) in labels {
            members.insert((*name).to_owned(), (*value).into());
        }
        members
    });
    // `CreateAccessEntry` carries the principal in its body, all others in the path.
    (operation.to_owned(), members)
}

fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(percent_decoded).collect()
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        })
        .collect()
}
