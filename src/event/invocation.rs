//! How the function was invoked, which says whose word the payload is.
//!
//! Lambda does not tell who invoked a function, but IAM grants invocation per qualified ARN, and the function sees its
//! qualifier. Decides only which alias that was; what follows from it is decided where it matters.

use crate::model::Home;

/// The invoked function's ARN and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Own account and partition.
    pub home: Home,
    /// The alias, which stands for a right.
    pub invoked_as: InvokedAs,
    /// The function's ARN as invoked, with its qualifier.
    pub function_arn: String,
    /// Lambda's ID of the request; the same again in an asynchronous retry.
    pub request_id: String,
}

/// The right in which the function was invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvokedAs {
    /// Through the alias `events`: by the rule, the queue or the schedule.
    Events,
    /// Through the alias `approve`: by somebody who may release what is held.
    Approve,
    /// In any other way, by whoever may invoke the function.
    Plain,
}

/// A text that should be a Lambda function's ARN and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the invoked function's ARN is not one: {0:?}")]
pub struct NotAFunction(String);

impl Invocation {
    /// Reads `arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME`, with or without `:QUALIFIER`.
    ///
    /// # Errors
    ///
    /// Where the text is anything else: then the own account is not known, and nothing can be decided.
    pub fn new(function_arn: impl Into<String>, request_id: impl Into<String>) -> Result<Self, NotAFunction> {
        let function_arn = function_arn.into();
        let (partition, account, qualifier) = match function_arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", partition, "lambda", _, account, "function", name] if !name.is_empty() => {
                (partition, account, None)
            }
            ["arn", partition, "lambda", _, account, "function", name, qualifier] if !name.is_empty() => {
                (partition, account, Some(qualifier))
            }
            _ => return Err(NotAFunction(function_arn)),
        };
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        if !is_account || !partition.starts_with("aws") {
            return Err(NotAFunction(function_arn));
        }
        Ok(Self {
            home: Home { partition: partition.to_owned(), account: account.to_owned() },
            invoked_as: match qualifier {
                Some("events") => InvokedAs::Events,
                Some("approve") => InvokedAs::Approve,
                _ => InvokedAs::Plain,
            },
            function_arn,
            request_id: request_id.into(),
        })
    }

    /// The same function's ARN with another qualifier.
    #[must_use]
    pub fn qualified(&self, qualifier: &str) -> String {
        format!("{}:{qualifier}", self.unqualified())
    }

    /// The same function's ARN without a qualifier.
    #[must_use]
    pub fn unqualified(&self) -> String {
        self.function_arn.split(':').take(7).collect::<Vec<_>>().join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: &str = "arn:aws-cn:lambda:cn-north-1:111122223333:function:guard";

    #[test]
    fn the_qualifier_says_in_which_right_the_function_was_invoked() {
        for (qualifier, expected) in [
            ("", InvokedAs::Plain),
            (":events", InvokedAs::Events),
            (":approve", InvokedAs::Approve),
            (":Events", InvokedAs::Plain),
            (":$LATEST", InvokedAs::Plain),
            (":events2", InvokedAs::Plain),
            (":7", InvokedAs::Plain),
        ] {
            let invocation = Invocation::new(format!("{FUNCTION}{qualifier}"), "r").expect("an invocation");
            assert_eq!(invocation.invoked_as, expected, "{qualifier}");
            assert_eq!(
                (invocation.home.partition.as_str(), invocation.home.account.as_str()),
                ("aws-cn", "111122223333")
            );
            assert_eq!(invocation.qualified("approve"), format!("{FUNCTION}:approve"));
        }
    }

    #[test]
    fn a_function_named_like_an_alias_gives_no_right() {
        let invocation =
            Invocation::new("arn:aws:lambda:us-east-1:111122223333:function:events", "r").expect("an invocation");
        assert_eq!(invocation.invoked_as, InvokedAs::Plain);
    }

    #[test]
    fn without_a_function_arn_the_account_is_not_guessed() {
        for text in [
            "",
            "guard",
            "arn:aws:lambda:us-east-1:111122223333:function:",
            "arn:aws:lambda:us-east-1:1111:function:guard",
            "arn:aws:lambda:us-east-1:111122223333:layer:guard",
            "arn:aws:lambda:us-east-1:111122223333:function:guard:events:more",
            "arn::lambda:us-east-1:111122223333:function:guard",
        ] {
            assert!(Invocation::new(text, "r").is_err(), "{text}");
        }
    }
}
