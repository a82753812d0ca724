//! Who calls, and the clients that read: nothing here can change anything.

use access_entry_guard::aws::sts::{Caller, NotSignedIn, caller};
use access_entry_guard::aws::{Authorities, Http, Reads, load_config_of_person};
use access_entry_guard::fault::FaultKind;
use access_entry_guard::model::{Region, RoleArn, is_role_name};
use access_entry_guard::scan::RoleNamed;

use crate::stop::Stop;

/// A person or a pipeline, signed in.
pub(crate) struct Session {
    pub(crate) sdk: aws_config::SdkConfig,
    pub(crate) reads: Reads,
    pub(crate) caller: Caller,
}

impl Session {
    /// Finds the caller's credentials and asks whose they are.
    pub(crate) async fn begin() -> Result<Self, Stop> {
        let http = Http::start(Authorities::from_lookup(|name| std::env::var(name).ok()));
        let sdk = load_config_of_person(&http).await;
        let caller = tokio::select! {
            biased;
            unusable = http.failed() => return Err(Stop::because(unusable.to_string())),
            caller = caller(&sdk) => caller.map_err(|why| not_signed_in(&why))?,
        };
        Ok(Self { reads: Reads::new(&sdk), sdk, caller })
    }

    /// The Regions to look at: the named ones, or every one that is enabled for the account.
    pub(crate) async fn regions(&self, named: &[String]) -> Result<Vec<Region>, Stop> {
        let mut regions = Vec::new();
        for name in named {
            let region = Region::parse(name).ok_or_else(|| {
                Stop::because(format!("{name:?} is not the name of a Region; give one such as eu-west-1"))
            })?;
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        match self.reads.list_enabled_regions().await {
            Ok(enabled) if regions.is_empty() => Ok(enabled),
            Ok(enabled) => match regions.iter().find(|region| !enabled.contains(region)) {
                Some(region) => {
                    let all: Vec<&str> = enabled.iter().map(|region| region.0.as_str()).collect();
                    Err(Stop::because(format!(
                        "{region} is not enabled for account {}; the enabled Regions are {}",
                        self.caller.home.account,
                        all.join(", ")
                    )))
                }
                None => Ok(regions),
            },
            Err(fault) if regions.is_empty() => Err(Stop::because(format!(
                "the Regions that are enabled for the account could not be listed ({fault}); allow account:ListRegions, or \
                 name each Region with --region"
            ))),
            // Named by hand, and nobody can say otherwise.
            Err(_) => Ok(regions),
        }
    }

    /// A role that was named on the command line.
    pub(crate) fn role(&self, text: &str) -> Result<RoleNamed, Stop> {
        if let Some(arn) = RoleArn::parse(text) {
            if !arn.is_of(&self.caller.home) {
                return Err(Stop::because(format!(
                    "{text} is of another account than these credentials ({}); sign in to its account",
                    self.caller.home.account
                )));
            }
            return Ok(RoleNamed { name: arn.name().to_owned(), arn: Some(arn) });
        }
        if let Some((_, session)) = text.split_once(":assumed-role/") {
            let name = session.split('/').next().unwrap_or_default();
            return Err(Stop::because(format!("{text} is a session of a role; give the role itself: --role {name}")));
        }
        if is_role_name(text) {
            return Ok(RoleNamed { name: text.to_owned(), arn: None });
        }
        Err(Stop::because(format!("{text:?} is neither the name nor the ARN of an IAM role")))
    }
}

fn not_signed_in(why: &NotSignedIn) -> Stop {
    Stop(match why {
        NotSignedIn::NoCredentials(cause) => format!(
            "no AWS credentials were found ({cause}); sign in as for the AWS CLI, for example with aws sso login, \
             AWS_PROFILE or AWS_ACCESS_KEY_ID"
        ),
        NotSignedIn::Refused(fault) if matches!(fault.kind, FaultKind::Denied { .. } | FaultKind::Refused) => format!(
            "the AWS credentials were not accepted ({}); they may have expired: sign in again, for example with aws sso login",
            fault.code
        ),
        NotSignedIn::Refused(fault) => {
            format!("AWS did not say to whom these credentials belong ({fault}); check the network and try again")
        }
    })
}
