//! Causes that are the cluster's: its status, and whether it looks at access entries or at `aws-auth`.

use serde_json::json;

use super::super::facts::Listed;
use super::{Answer, Standing, View};
use crate::commands::quoted;
use crate::model::AuthenticationMode;

impl View<'_> {
    pub(super) fn cluster_not_active(&self) -> Answer {
        let (cluster, access) = match &self.facts.cluster {
            Ok(cluster) => cluster,
            Err(fault) => return Answer::unread(fault),
        };
        let detail = format!("The cluster's status is {}.", access.status);
        if cluster.is_workable {
            return Answer::no(detail);
        }
        let next = match access.status.as_str() {
            "CREATING" | "PENDING" => "Wait until the cluster is ACTIVE.",
            "DELETING" => "The cluster is being deleted. Find out which cluster takes its place.",
            _ => "Find out why: aws eks describe-cluster shows the cluster's health.",
        };
        Answer::yes(detail, next)
    }

    pub(super) fn config_map_mode(&self) -> Answer {
        let mode = self.facts.cluster.as_ref().map(|(_, access)| access.mode.as_ref());
        match (mode, &self.facts.listed) {
            (Ok(Some(AuthenticationMode::ConfigMap)), _) => self.only_aws_auth("The authentication mode is CONFIG_MAP"),
            (Ok(Some(mode)), _) => Answer::no(format!("The authentication mode is {}.", mode.as_str())),
            // EKS lists entries in no other mode.
            (_, Ok(Listed::Principals(_))) => Answer::no("The cluster has access entries."),
            (Ok(None), Ok(Listed::Unsupported)) if self.is_not_active() => self.entries_hidden(),
            // With the cluster unread, only EKS's words about the mode end up here.
            (_, Ok(Listed::Unsupported)) => self.only_aws_auth("EKS shows no authentication mode with access entries"),
            (Ok(None), Err(fault)) | (Err(fault), Err(_)) => Answer::unread(fault),
        }
    }

    /// The mode cannot be taken back (EKS User Guide, "Change authentication mode to use access entries").
    fn only_aws_auth(&self, why: &str) -> Answer {
        let at = &self.facts.at;
        let mode = json!({"name": at.name, "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"}});
        Answer::yes(
            format!("{why}: the cluster uses only the aws-auth ConfigMap, and ignores access entries."),
            format!(
                "Map the role in the aws-auth ConfigMap. Or create an entry; first let the cluster use access \
                 entries too, which cannot be undone: aws eks update-cluster-config --region {} --cli-input-json {}",
                at.region,
                quoted(&mode)
            ),
        )
    }

    /// Whether the role's access, if it has or had any, is a matter of `aws-auth` alone. Its contents are never seen.
    pub(super) fn aws_auth_only(&self) -> Answer {
        const LOOK: &str =
            "Read the ConfigMap with a role that is let in: kubectl -n kube-system get configmap aws-auth -o yaml";
        let mode = self.facts.cluster.as_ref().ok().and_then(|(_, access)| access.mode.as_ref());
        match (mode, self.standing()) {
            (Some(AuthenticationMode::ApiAndConfigMap), Standing::None) => Answer::yes(
                "The role has no entry, so only the aws-auth ConfigMap could let it in. That is inside the cluster and not \
                 seen here.",
                format!("{LOOK}. The ConfigMap names a role without its path. Or create an entry."),
            ),
            // EKS User Guide, "Migrating existing aws-auth ConfigMap entries to access entries".
            (Some(AuthenticationMode::ApiAndConfigMap), Standing::Seen(_) | Standing::Listed(_)) => {
                Answer::outside_aws(
                    "The role has an entry, which takes precedence over the aws-auth ConfigMap. AWS does not show \
                     whether the ConfigMap would give the role more.",
                    format!("{LOOK}. If the map gives the role more, give that to the entry too."),
                )
            }
            (Some(AuthenticationMode::Api), _) => Answer::outside_aws(
                "The cluster ignores the aws-auth ConfigMap. AWS does not show whether the role had its access only \
                 from there.",
                "If the role was let in before the mode became API, give it an entry with the same rights.",
            ),
            _ => Answer::outside_aws("The aws-auth ConfigMap is inside the cluster and not seen here.", LOOK),
        }
    }
}
