//! The bearer tokens of EKS: `k8s-aws-v1.` and, in Base64, a presigned `GetCallerIdentity` of STS that was signed for
//! one cluster. As strict as the authenticator of the AWS project (aws-iam-authenticator): whatever the URL has too much
//! or too little is refused, and the signature is computed again with the secret key of the session.

use std::collections::BTreeMap;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use percent_encoding::percent_decode_str;
use ring::{digest, hmac};
use time::macros::format_description;
use time::{Duration, PrimitiveDateTime};

use crate::cloud::Cloud;

const PREFIX: &str = "k8s-aws-v1.";

/// The header that the signature covers, so that a token is good for one cluster only.
const CLUSTER_HEADER: &str = "x-k8s-aws-id";

/// The longest time for which a token is believed, whatever its URL says.
const LIFE: Duration = Duration::minutes(15);

/// What a token's query may have, and must have.
const PARAMETERS: [&str; 9] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// The access key of the session that a token was signed with, if the token is good for this cluster.
pub fn access_key(cloud: &Cloud, token: &str, cluster: &str) -> Result<String, String> {
    let url = token.strip_prefix(PREFIX).ok_or("the token does not begin with k8s-aws-v1.")?;
    let url = String::from_utf8(BASE64URL_NOPAD.decode(url.as_bytes()).map_err(|_| "the token is not Base64")?)
        .map_err(|error| error.to_string())?;
    let (host, query) = url.strip_prefix("https://").and_then(|url| url.split_once("/?")).ok_or("not a URL of STS")?;
    if !is_sts(host) {
        return Err(format!("{host} is not a host of STS"));
    }
    let mut members = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or("a parameter without value")?;
        if !PARAMETERS.contains(&name) || members.insert(name, value).is_some() {
            return Err(format!("{name} is not a parameter of a token, or there twice"));
        }
    }
    let text = |name: &str| {
        let value = members.get(name).ok_or(format!("{name} is missing"))?;
        percent_decode_str(value).decode_utf8().map(String::from).map_err(|error| error.to_string())
    };
    if (text("Action")?.as_str(), text("X-Amz-Algorithm")?.as_str()) != ("GetCallerIdentity", "AWS4-HMAC-SHA256") {
        return Err("not a signed GetCallerIdentity".to_owned());
    }
    if text("X-Amz-SignedHeaders")? != format!("host;{CLUSTER_HEADER}") {
        return Err("the signature does not cover host and cluster".to_owned());
    }
    check_age(cloud, &text("X-Amz-Date")?, &text("X-Amz-Expires")?)?;
    let credential = text("X-Amz-Credential")?;
    let (key, scope) = credential.split_once('/').ok_or("a credential without scope")?;
    let session = cloud.with(|world| world.session(key).cloned()).ok_or("the access key is of no living session")?;
    if text("X-Amz-Security-Token")? != session.token {
        return Err("another session's token".to_owned());
    }
    let signed: Vec<String> = members
        .iter()
        .filter(|(name, _)| **name != "X-Amz-Signature")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let request = format!(
        "GET\n/\n{}\nhost:{host}\n{CLUSTER_HEADER}:{cluster}\n\nhost;{CLUSTER_HEADER}\n{}",
        signed.join("&"),
        HEXLOWER.encode(digest::digest(&digest::SHA256, b"").as_ref())
    );
    if text("X-Amz-Signature")? != signature(&session.secret_key, scope, &text("X-Amz-Date")?, &request)? {
        return Err("the signature is not the session's for this cluster".to_owned());
    }
    Ok(key.to_owned())
}

fn is_sts(host: &str) -> bool {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let Some(region) = host.strip_prefix("sts.").and_then(|host| host.strip_suffix("amazonaws.com")) else {
        return false;
    };
    region.is_empty() || region.strip_suffix('.').is_some_and(|region| region.contains('-') && !region.contains('.'))
}

fn check_age(cloud: &Cloud, date: &str, expires: &str) -> Result<(), String> {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    let signed_at = PrimitiveDateTime::parse(date, form).map_err(|error| error.to_string())?.assume_utc();
    let expires: i64 = expires.parse().map_err(|_| "X-Amz-Expires is no number")?;
    let age = cloud.now() - signed_at;
    if !(0..=900).contains(&expires) || age > LIFE.min(Duration::seconds(expires)) || age < Duration::minutes(-5) {
        return Err(format!("the token is of {date}, good for {expires} s"));
    }
    Ok(())
}

/// Signature Version 4.
fn signature(secret: &str, scope: &str, date: &str, request: &str) -> Result<String, String> {
    let [day, region, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(format!("not a scope of STS: {scope}"));
    };
    let sign = |key: &[u8], text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, "sts", "aws4_request"] {
        key = sign(&key, part);
    }
    let digest = HEXLOWER.encode(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    Ok(HEXLOWER.encode(&sign(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"))))
}
