//! The role as a person names it: by name, or by an ARN of this account or another.

use crate::model::{Home, Principal, RoleArn, is_role_name};

/// The role that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleAsked {
    /// By its name, in the caller's account.
    Name(String),
    /// By its ARN, of whatever account.
    Arn(RoleArn),
}

/// Why nothing can be said about what was named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The ARN of a session: it lacks the role's path.
    #[error("{arn} is a session of a role; give the role itself: --role {role}")]
    Session {
        /// As given.
        arn: String,
        /// The role's name, or what to put in its place.
        role: String,
    },
    /// An IAM user.
    #[error(
        "{0} is an IAM user, and this command explains only roles; look at its entry with aws eks \
         describe-access-entry"
    )]
    User(String),
    /// A role of another partition can have no entry here.
    #[error("{arn} is of partition {partition}, but these credentials are for {own}; give a role of partition {own}")]
    OtherPartition {
        /// As given.
        arn: String,
        /// The ARN's.
        partition: String,
        /// The caller's.
        own: String,
    },
    /// Anything else.
    #[error("{0:?} is neither the name nor the ARN of an IAM role")]
    NotARole(String),
}

impl RoleAsked {
    /// Reads what was named on the command line.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn parse(text: &str, home: &Home) -> Result<Self, Unfit> {
        match Principal::parse(text) {
            Principal::Role(arn) if arn.partition() != home.partition => {
                let (partition, own) = (arn.partition().to_owned(), home.partition.clone());
                Err(Unfit::OtherPartition { arn: text.to_owned(), partition, own })
            }
            Principal::Role(arn) => Ok(Self::Arn(arn)),
            Principal::User { arn, .. } => Err(Unfit::User(arn)),
            Principal::Other { account, .. } => match text.split_once(":assumed-role/") {
                Some((_, session)) => {
                    let name = session.split('/').next().unwrap_or_default();
                    let role = match account {
                        Some(account) if account != home.account => {
                            format!("with the ARN of the role {name} of account {account}, path included")
                        }
                        _ => name.to_owned(),
                    };
                    Err(Unfit::Session { arn: text.to_owned(), role })
                }
                None if is_role_name(text) => Ok(Self::Name(text.to_owned())),
                None => Err(Unfit::NotARole(text.to_owned())),
            },
        }
    }

    /// The role's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Arn(arn) => arn.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RoleAsked, Unfit> {
        RoleAsked::parse(text, &Home { partition: "aws".to_owned(), account: "111122223333".to_owned() })
    }

    #[test]
    fn a_role_is_asked_for_by_name_or_by_an_arn_of_any_account() {
        assert_eq!(parse("node"), Ok(RoleAsked::Name("node".to_owned())));
        for arn in ["arn:aws:iam::111122223333:role/team/node", "arn:aws:iam::999999999999:role/node"] {
            assert_eq!(parse(arn).map(|asked| asked.name().to_owned()), Ok("node".to_owned()));
        }
    }

    #[test]
    fn what_is_no_role_of_this_partition_is_refused_with_what_to_do() {
        for (text, says) in [
            ("arn:aws:sts::111122223333:assumed-role/node/alice", "give the role itself: --role node"),
            ("arn:aws:sts::999999999999:assumed-role/node/alice", "the ARN of the role node of account 999999999999"),
            ("arn:aws:iam::111122223333:user/alice", "is an IAM user"),
            ("arn:aws-cn:iam::111122223333:role/node", "of partition aws-cn"),
            ("arn:aws:iam::111122223333:root", "neither the name nor the ARN"),
            ("no role", "neither the name nor the ARN"),
            ("", "neither the name nor the ARN"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(says) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
