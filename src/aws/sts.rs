//! STS: whose credentials these are.

use aws_sdk_sts::error::SdkError;

use super::fault::fault_of;
use super::patient;
use crate::fault::Fault;
use crate::model::Home;

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account and partition.
    pub home: Home,
    /// The ARN of the user, or of the role's session.
    pub arn: String,
}

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSignedIn {
    /// No credentials were found.
    NoCredentials(String),
    /// STS did not accept the credentials, or could not be asked.
    Refused(Fault),
}

/// Asks whose credentials these are. Needs no permission (STS API Reference, `GetCallerIdentity`).
///
/// # Errors
/// [`NotSignedIn`].
pub async fn caller(config: &aws_config::SdkConfig) -> Result<Caller, NotSignedIn> {
    const OPERATION: &str = "GetCallerIdentity";
    let client = aws_sdk_sts::Client::new(&patient(config));
    let reply = client.get_caller_identity().send().await;
    let reply = reply.map_err(|error| match &error {
        SdkError::ServiceError(_) | SdkError::TimeoutError(_) | SdkError::ResponseError(_) => {
            NotSignedIn::Refused(fault_of(OPERATION, &error))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
            NotSignedIn::Refused(fault_of(OPERATION, &error))
        }
        _ => NotSignedIn::NoCredentials(innermost(&error)),
    })?;
    let malformed = || NotSignedIn::Refused(Fault::malformed(OPERATION, "Account, Arn"));
    let (account, arn) = (reply.account.ok_or_else(malformed)?, reply.arn.ok_or_else(malformed)?);
    let partition = arn.split(':').nth(1).ok_or_else(malformed)?.to_owned();
    Ok(Caller { home: Home { partition, account }, arn })
}

/// The cause at the bottom of an error: the only part that says what to do.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
