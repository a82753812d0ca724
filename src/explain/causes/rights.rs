//! Does the entry have the type that the role's users need, and does it give them rights? What RBAC gives to its user name
//! and groups is inside the cluster and not seen.

use super::super::uses::Users;
use super::{Answer, Standing, View, made};
use crate::impact::{Unread, UserKind};
use crate::model::{AccessEntry, AccessPolicy, EntryType, RoleArn, RoleState};

/// What the nodes of Auto Mode need (EKS User Guide, "Create a Node Class for Amazon EKS").
const AUTO_NODE_POLICY: &str = "AmazonEKSAutoNodePolicy";

const RBAC: &str = "explain does not see RBAC in the cluster: kubectl auth can-i --list, run as the role, shows it.";

/// What the entry gives besides the type's own rights, as far as AWS shows it.
enum Rights<'a> {
    Policies(&'a [AccessPolicy]),
    /// No policy, but a user name or groups that RBAC may know.
    Names,
    Nothing,
}

impl View<'_> {
    pub(super) fn wrong_type(&self) -> Answer {
        let standing = self.standing();
        if let Some(answer) = self.without_entry(&standing) {
            return answer;
        }
        let Standing::Seen(entry) = standing else { return Answer::no("The role has no entry in this cluster.") };
        let kind = entry.kind.as_str();
        if let EntryType::Unknown(_) = entry.kind {
            let detail = format!("This version does not know the type {kind}.");
            return Answer::not_told(detail, "Use a newer version of access-entry-guard.");
        }
        if self.is_of_other_account() {
            // EKS User Guide, "Create access entries": only a STANDARD entry may be for a role of another account.
            if entry.kind.is_node() {
                return wrong(entry, "the role is of another account than the cluster", "STANDARD");
            }
            return Answer::no(format!("The type is {kind}, the only one for roles of other accounts."));
        }
        if self.is_auto_mode_node_role() {
            return match entry.kind {
                EntryType::Ec2 => Answer::no("The type is EC2, as the nodes of Auto Mode need it."),
                _ => wrong(entry, "the role is the node role of the cluster's Auto Mode", "EC2"),
            };
        }
        let role = match &self.facts.role {
            RoleState::Present(role) => role,
            RoleState::Absent => {
                return Answer::outside_aws(
                    "The role does not exist, so nothing says what it was for.",
                    "See orphaned.",
                );
            }
            RoleState::Unreadable(fault) => return Answer::unread(fault),
        };
        if let Some(answer) = self.used_by_nodes(entry) {
            return answer;
        }
        match (Users::of_role(role), &entry.kind) {
            (None, _) => Answer::outside_aws(
                format!("The type is {kind}. The role's trust policy does not say plainly who may use the role."),
                format!("Find out who uses the role. {WHICH_TYPE}"),
            ),
            (Some(users), EntryType::Standard) => self.standard(entry, &users),
            (Some(users), node) => node_type(entry, node, &users),
        }
    }

    /// A managed node group or a Fargate profile of the cluster uses the role, which says what type its entry needs (EKS User
    /// Guide, "Create access entries").
    fn used_by_nodes(&self, entry: &AccessEntry) -> Option<Answer> {
        let principal = self.facts.principal.as_ref()?.as_str();
        let user = self.facts.users.of_role(principal, &UserKind::OF_NODES)?;
        let (who, needed) = match user.kind {
            UserKind::Nodegroup => ("the managed node group", "EC2_LINUX (EC2_WINDOWS for Windows nodes)"),
            UserKind::FargateProfile | UserKind::Capability => ("the Fargate profile", "FARGATE_LINUX"),
        };
        let (kind, name) = (entry.kind.as_str(), &user.name);
        Some(if UserKind::entering_by(&entry.kind) == Some(user.kind) {
            Answer::no(format!("The type is {kind}, as {who} {name}, which uses the role, needs it."))
        } else {
            wrong(entry, &format!("{who} {name} uses the role"), needed)
        })
    }

    /// Why not all node groups and Fargate profiles were seen, if so, for the end of a sentence.
    fn nodes_not_seen(&self) -> String {
        let why = UserKind::OF_NODES.into_iter().find_map(|kind| match self.facts.users.unread(kind) {
            Some(Unread::Fault(fault)) => Some(fault),
            _ => None,
        });
        why.map(|why| format!(" Node groups and Fargate profiles could not all be read ({why}).")).unwrap_or_default()
    }

    /// Whether a `STANDARD` entry should be one for nodes.
    fn standard(&self, entry: &AccessEntry, users: &Users) -> Answer {
        let policies = self.facts.policies.as_deref().unwrap_or_default();
        if policies.iter().any(|policy| policy.name() == AUTO_NODE_POLICY) {
            return wrong(entry, "the entry has AmazonEKSAutoNodePolicy, which is for the nodes of Auto Mode", "EC2");
        }
        let types = users.node_types();
        if types.is_empty() {
            let who = users.in_words();
            return Answer::no(format!(
                "The type is STANDARD, and no nodes can use the role: its trust policy admits {who}."
            ));
        }
        let (ec2, fargate) = (users.are_only("ec2"), users.are_only("eks-fargate-pods"));
        match self.rights(entry) {
            _ if fargate => wrong(entry, "the role's trust policy admits Fargate pods alone", "FARGATE_LINUX"),
            Ok(Rights::Nothing) if ec2 => wrong(
                entry,
                "the role's trust policy admits only the service ec2, and only nodes could use the entry: it has no \
                 access policy, no groups and no user name of its own",
                "EC2_LINUX (EC2_WINDOWS for Windows nodes, EC2 for those of Auto Mode)",
            ),
            Err(fault) if ec2 => Answer::unread(fault),
            _ => Answer::outside_aws(
                format!(
                    "The type is STANDARD, and nodes could use the role: its trust policy admits {}. No managed node group \
                     or Fargate profile that was seen uses it; AWS does not show whether other nodes do.{}",
                    users.in_words(),
                    self.nodes_not_seen()
                ),
                format!(
                    "If nodes use the role, delete the entry and create it again with the type {}. A type cannot be changed.",
                    either(&types)
                ),
            ),
        }
    }

    pub(super) fn no_rights(&self) -> Answer {
        let standing = self.standing();
        if let Some(answer) = self.without_entry(&standing) {
            return answer;
        }
        let Standing::Seen(entry) = standing else { return Answer::no("The role has no entry in this cluster.") };
        let kind = entry.kind.as_str();
        match (&entry.kind, self.rights(entry)) {
            (EntryType::Unknown(_), _) => Answer::not_told(
                format!("This version does not know what the type {kind} gives."),
                "Use a newer version of access-entry-guard.",
            ),
            (EntryType::Standard | EntryType::Ec2, Err(fault)) => Answer::unread(fault),
            (EntryType::Standard | EntryType::Ec2, Ok(Rights::Policies(policies))) => {
                let names: Vec<&str> = policies.iter().map(AccessPolicy::name).collect();
                Answer::no(format!("The entry has access policies: {}. {RBAC}", names.join(", ")))
            }
            (EntryType::Ec2, Ok(_)) => Answer::outside_aws(
                format!("The entry has no access policy that EKS shows. Nodes of Auto Mode need {AUTO_NODE_POLICY}."),
                format!("If its nodes are refused with 403, associate {AUTO_NODE_POLICY} for the cluster."),
            ),
            (EntryType::Standard, Ok(Rights::Names)) => Answer::outside_aws(
                format!(
                    "The entry has no access policy. So the role has only the rights that RBAC gives to its user \
                     name and groups ({}). If RBAC gives none, the cluster answers 403, not 401. {RBAC}",
                    names(entry)
                ),
                "If the cluster answers 403, bind the role's groups in RBAC, or associate an access policy.",
            ),
            (EntryType::Standard, Ok(Rights::Nothing)) => Answer::yes(
                format!(
                    "The entry has no access policy, no groups and no user name of its own. The cluster lets the \
                     role in, but answers its requests with 403, not 401, unless RBAC names the user name that EKS \
                     generated. {RBAC}"
                ),
                "Decide what the role may do, and associate an access policy: aws eks associate-access-policy; or give the \
                 entry groups that RBAC knows: aws eks update-access-entry.",
            ),
            _ => Answer::no(format!("An entry of type {kind} has the rights of a node.")),
        }
    }

    pub(super) fn namespace_only(&self) -> Answer {
        let standing = self.standing();
        if let Some(answer) = self.without_entry(&standing) {
            return answer;
        }
        let Standing::Seen(entry) = standing else { return Answer::no("The role has no entry in this cluster.") };
        let policies = match self.rights(entry) {
            Ok(Rights::Policies(policies)) => policies,
            Ok(Rights::Names | Rights::Nothing) => return Answer::no("The entry has no access policy."),
            Err(fault) => return Answer::unread(fault),
        };
        if policies.iter().any(|policy| policy.access_scope.kind != "namespace") {
            return Answer::no(format!("An access policy is for the whole cluster. {RBAC}"));
        }
        let each =
            policies.iter().map(|policy| format!("{} in {}", policy.name(), policy.access_scope.namespaces.join(", ")));
        let each = each.collect::<Vec<_>>().join("; ");
        let detail = format!(
            "Every access policy is for some namespaces only: {each}. The cluster answers 403, not 401, to requests \
             for other namespaces and for cluster-scoped resources. {RBAC}"
        );
        let next = "If the role needs more, associate the policy again with a wider scope: aws eks \
                    associate-access-policy. The command replaces the scope.";
        if self.facts.has_names_of_its_own(entry) {
            return Answer::outside_aws(format!("{detail} RBAC may give more to {}.", names(entry)), next);
        }
        Answer::yes(detail, next)
    }

    fn rights(&self, entry: &AccessEntry) -> Result<Rights<'_>, &crate::fault::Fault> {
        match self.facts.policies.as_ref()?.as_slice() {
            [] if self.facts.has_names_of_its_own(entry) => Ok(Rights::Names),
            [] => Ok(Rights::Nothing),
            policies => Ok(Rights::Policies(policies)),
        }
    }

    fn is_auto_mode_node_role(&self) -> bool {
        let node_role = self.facts.cluster.as_ref().ok().and_then(|(cluster, _)| cluster.node_role_arn.as_deref());
        node_role.is_some() && node_role == self.facts.principal.as_ref().map(RoleArn::as_str)
    }
}

const WHICH_TYPE: &str = "Nodes need EC2_LINUX, EC2_WINDOWS, EC2 (Auto Mode), FARGATE_LINUX, HYBRID_LINUX or HYPERPOD_LINUX; \
                          people and pipelines need STANDARD.";

/// Whether a node type is not the one of the nodes that may use the role.
fn node_type(entry: &AccessEntry, node: &EntryType, users: &Users) -> Answer {
    let (kind, who) = (node.as_str(), users.in_words());
    if users.admits(node) {
        return Answer::no(format!("The type is {kind}, and the role's trust policy admits such nodes."));
    }
    let why = format!("the role's trust policy admits {who}, and so no nodes of this type");
    match users.node_types().as_slice() {
        [] => wrong(entry, &why, "STANDARD"),
        types => wrong(entry, &why, &either(types)),
    }
}

fn wrong(entry: &AccessEntry, why: &str, needed: &str) -> Answer {
    Answer::yes(
        format!("The type is {}, but {why}. The entry: {}.", entry.kind.as_str(), made(entry)),
        format!("Delete the entry and create it again with the type {needed}. A type cannot be changed."),
    )
}

fn either(types: &[&EntryType]) -> String {
    types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ")
}

fn names(entry: &AccessEntry) -> String {
    let groups = entry.groups.iter().map(|group| format!("group {group}"));
    let username = entry.username.iter().map(|username| format!("user name {username}"));
    username.chain(groups).collect::<Vec<_>>().join(", ")
}
