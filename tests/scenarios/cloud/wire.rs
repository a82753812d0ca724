//! The protocols: from an HTTP request to service, Region, operation and parameters, and from an answer back to an HTTP
//! response. EKS and Account Management speak rest-json, IAM and STS awsQuery, DynamoDB awsJson 1.0, CloudWatch
//! rpc-v2-cbor, CloudWatch Logs and CloudTrail awsJson 1.1.

mod cbor;
mod query;
mod routes;

use std::io::Read as _;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::parameters::Parameters;
use super::refusal::Refusal;
use super::services::Service;

/// A request, decoded.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Whom it is for.
    pub service: Service,
    /// The Region it was signed for.
    pub region: String,
    /// The access key that it was signed with; empty where it was not signed.
    pub access_key: String,
    /// As the API calls it, or method and path where the service has no such operation.
    pub operation: String,
    /// Its members, wherever the protocol carries them.
    pub parameters: Parameters,
    /// What is wrong with the body, where it could not be read.
    pub unreadable: Option<String>,
}

/// An HTTP response with its whole body.
pub type Response = http::Response<Vec<u8>>;

/// Reads a request; `None` where it is for no service of this world.
pub fn decode(request: &http::Request<Vec<u8>>) -> Option<Incoming> {
    let (service, region) = addressee(request)?;
    let access_key = access_key(request).unwrap_or_default();
    let body = plain_body(request);
    let (operation, parameters) = match (service, body) {
        (_, Err(why)) => (String::from("?"), Err(why)),
        (Service::Eks, Ok(body)) => routes::eks(request, &body),
        (Service::Account, Ok(body)) => routes::account(request, &body),
        (Service::Iam | Service::Sts, Ok(body)) => query::decode(&body),
        (Service::DynamoDb | Service::Logs | Service::CloudTrail, Ok(body)) => {
            (named_in(request, "x-amz-target", '.'), json_members(&body))
        }
        (Service::CloudWatch, Ok(body)) => {
            (request.uri().path().rsplit('/').next().unwrap_or_default().to_owned(), cbor::decode(&body))
        }
    };
    let (members, unreadable) = match parameters {
        Ok(members) => (members, None),
        Err(why) => (Map::new(), Some(why)),
    };
    Some(Incoming { service, region, access_key, operation, parameters: Parameters::new(members), unreadable })
}

/// Gives an answer the shape of the service's protocol.
pub fn encode(service: Service, operation: &str, answer: &Result<Value, Refusal>, request_id: &str) -> Response {
    let status = answer.as_ref().err().map_or(200, |refusal| refusal.status);
    let mut response = http::Response::builder().status(status).header("x-amzn-requestid", request_id);
    let body = match service {
        Service::Eks | Service::Account => {
            if let Err(refusal) = answer {
                response = response.header("x-amzn-errortype", &refusal.code);
            }
            response = response.header("content-type", "application/json");
            let message = |refusal: &Refusal| json!({ "message": refusal.message });
            answer.as_ref().map_or_else(message, Value::clone).to_string().into_bytes()
        }
        Service::DynamoDb => {
            response = response.header("content-type", "application/x-amz-json-1.0");
            answer.as_ref().map_or_else(dynamodb_error, Value::clone).to_string().into_bytes()
        }
        Service::Logs | Service::CloudTrail => {
            response = response.header("content-type", "application/x-amz-json-1.1");
            let error = |refusal: &Refusal| json!({ "__type": refusal.code, "message": refusal.message });
            answer.as_ref().map_or_else(error, Value::clone).to_string().into_bytes()
        }
        Service::Iam | Service::Sts => {
            response = response.header("content-type", "text/xml");
            query::encode(service, operation, answer, request_id).into_bytes()
        }
        Service::CloudWatch => {
            response = response.header("content-type", "application/cbor").header("smithy-protocol", "rpc-v2-cbor");
            if let Err(refusal) = answer {
                let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
                response = response.header("x-amzn-query-error", format!("{};{fault}", refusal.code));
            }
            let typed = |refusal: &Refusal| {
                let shape = cloudwatch_shape(&refusal.code);
                let message = if shape == "InternalServiceFault" { "Message" } else { "message" };
                json!({ "__type": format!("com.amazonaws.cloudwatch#{shape}"), message: refusal.message })
            };
            cbor::encode(&answer.as_ref().map_or_else(typed, Value::clone))
        }
    };
    response.body(body).expect("a status and headers of our own make a response")
}

/// A success that no client can read.
pub fn garbage(request_id: &str) -> Response {
    http::Response::builder()
        .status(200)
        .header("x-amzn-requestid", request_id)
        .body(b"\x00{<garbage".to_vec())
        .expect("a status and a header of our own make a response")
}

fn dynamodb_error(refusal: &Refusal) -> Value {
    json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{}", refusal.code), "message": refusal.message,
    })
}

/// The shape of an error, by its code in the query protocol: bodies name the one, the header for older clients the other.
fn cloudwatch_shape(code: &str) -> &str {
    match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InternalServiceError" => "InternalServiceFault",
        "ValidationError" => "ValidationException",
        other => other,
    }
}

/// Service and Region: from the scope of the signature, else from the host.
fn addressee(request: &http::Request<Vec<u8>>) -> Option<(Service, String)> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let signed = header("authorization").and_then(|text| {
        let scope = text.split_once("Credential=")?.1.split([',', ' ']).next()?;
        let mut parts = scope.rsplit('/');
        let ("aws4_request", service, region) = (parts.next()?, parts.next()?, parts.next()?) else { return None };
        Some((Service::by_signing_name(service)?, region.to_owned()))
    });
    signed.or_else(|| {
        let host = request.uri().host().or_else(|| header("host"))?;
        let mut labels = host.split('.');
        let service = Service::by_signing_name(labels.next()?)?;
        let region = labels.next().filter(|label| label.contains('-')).unwrap_or(super::HOME_REGION);
        Some((service, region.to_owned()))
    })
}

/// The first part of the signature's scope.
fn access_key(request: &http::Request<Vec<u8>>) -> Option<String> {
    let text = request.headers().get("authorization")?.to_str().ok()?;
    Some(text.split_once("Credential=")?.1.split('/').next()?.to_owned())
}

/// The body without its compression.
fn plain_body(request: &http::Request<Vec<u8>>) -> Result<Vec<u8>, String> {
    let encoding = request.headers().get("content-encoding").and_then(|value| value.to_str().ok());
    match encoding {
        None | Some("identity") => Ok(request.body().clone()),
        Some("gzip") => {
            let mut plain = Vec::new();
            let read = flate2::read::GzDecoder::new(request.body().as_slice()).read_to_end(&mut plain);
            read.map(|_| plain).map_err(|error| error.to_string())
        }
        Some(other) => Err(format!("unknown content encoding {other}")),
    }
}

fn named_in(request: &http::Request<Vec<u8>>, header: &str, separator: char) -> String {
    let text = request.headers().get(header).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.rsplit(separator).next().unwrap_or_default().to_owned()
}

fn json_members(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the body is not an object".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
