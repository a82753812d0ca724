//! The ways an invocation can fail. Each says what to do, and carries the word that Lambda shows as `errorType`.

use lambda_runtime::Diagnostic;

use crate::event::{NotPermitted, UnrecognizedPayload};

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The payload is of no accepted form: sending it again does not help.
    #[error(transparent)]
    UnrecognizedPayload(#[from] UnrecognizedPayload),
    /// The command needs another alias: sending it again the same way does not help.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// Lambda named this function by something that is not the ARN of a function.
    #[error("The invoked function's ARN cannot be read: {0}")]
    UnreadableFunctionArn(String),
    /// Which Regions to look at could not be told: a retry may help.
    #[error("{0}")]
    RegionsUnknown(String),
    /// The ledger is needed for this and is not there, or could not be read: a retry may help.
    #[error("{0}")]
    LedgerUnavailable(String),
    /// Something is left to do: the retry goes on where this invocation stopped.
    #[error("{0}")]
    RepairIncomplete(String),
}

impl Error {
    /// The name that Lambda's response shows as `errorType`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnrecognizedPayload(_) => "UnrecognizedPayload",
            Self::NotPermitted(_) => "NotPermitted",
            Self::UnreadableFunctionArn(_) => "UnreadableFunctionArn",
            Self::RegionsUnknown(_) => "RegionsUnknown",
            Self::LedgerUnavailable(_) => "LedgerUnavailable",
            Self::RepairIncomplete(_) => "RepairIncomplete",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.to_string() }
    }
}
