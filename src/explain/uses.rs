//! What a role is for, as far as its trust policy says it: which services and who else may become it.
//!
//! A diagnosis, not a guardrail: unlike [`crate::trust`], which has to be sure that nobody else gets in, this only has to
//! recognise the usual policies, and says if it does not understand one. Conditions and `Deny` statements are left out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{EntryType, Role};

/// Who may become a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Users {
    services: BTreeSet<String>,
    has_others: bool,
}

/// The entry types of nodes that a service runs (EKS User Guide, "Create access entries").
const NODES_OF: [(&str, &[EntryType]); 5] = [
    ("ec2", &[EntryType::Ec2Linux, EntryType::Ec2Windows, EntryType::Ec2]),
    ("eks-fargate-pods", &[EntryType::FargateLinux]),
    ("ssm", &[EntryType::HybridLinux]),
    ("rolesanywhere", &[EntryType::HybridLinux]),
    ("sagemaker", &[EntryType::HyperpodLinux]),
];

impl Users {
    /// Who may become this role, if its trust policy was read and is understood.
    pub(super) fn of_role(role: &Role) -> Option<Self> {
        Self::of(role.trust_policy.as_deref()?)
    }

    /// Reads a trust policy; `None` if it is not understood, or lets everybody in.
    pub(super) fn of(trust_policy: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(trust_policy).ok()?;
        let statements = match policy.get("Statement")? {
            Value::Array(statements) => statements.as_slice(),
            statement @ Value::Object(_) => std::slice::from_ref(statement),
            _ => return None,
        };
        let mut users = Self { services: BTreeSet::new(), has_others: false };
        for statement in statements {
            match statement.get("Effect")?.as_str()? {
                "Deny" => {}
                "Allow" => users.add(statement.get("Principal")?)?,
                _ => return None,
            }
        }
        Some(users)
    }

    fn add(&mut self, principal: &Value) -> Option<()> {
        for (kind, names) in principal.as_object()? {
            let names = match names {
                Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?,
                Value::String(name) => vec![name.as_str()],
                _ => return None,
            };
            if names.contains(&"*") {
                return None;
            }
            if kind == "Service" {
                let short = |name: &str| {
                    let short = name.strip_suffix(".amazonaws.com").or_else(|| name.strip_suffix(".amazonaws.com.cn"));
                    short.unwrap_or(name).to_owned()
                };
                self.services.extend(names.into_iter().map(short));
            } else {
                self.has_others = true;
            }
        }
        Some(())
    }

    /// Whether nodes of this type may use the role.
    pub(super) fn admits(&self, kind: &EntryType) -> bool {
        self.node_types().contains(&kind)
    }

    /// The types of all nodes that may use the role.
    pub(super) fn node_types(&self) -> Vec<&'static EntryType> {
        let has = |service: &str| self.services.contains(service);
        let mut types: Vec<&EntryType> =
            NODES_OF.iter().filter(|(service, _)| has(service)).flat_map(|(_, types)| types.iter()).collect();
        types.dedup();
        types
    }

    /// Whether this service, and nobody else, may use the role.
    pub(super) fn are_only(&self, service: &str) -> bool {
        !self.has_others && self.services.len() == 1 && self.services.contains(service)
    }

    /// In words for a person.
    pub(super) fn in_words(&self) -> String {
        let mut words: Vec<String> = self.services.iter().map(|service| format!("the service {service}")).collect();
        if self.has_others {
            words.push("principals other than services".to_owned());
        }
        if words.is_empty() { "nobody".to_owned() } else { words.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(statement: &str) -> Option<Users> {
        Users::of(&format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#))
    }

    #[test]
    fn the_services_that_run_nodes_are_read_from_the_usual_policies() {
        let ec2 =
            users(r#"[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]"#);
        let ec2 = ec2.expect("a usual policy");
        assert!(ec2.are_only("ec2") && ec2.admits(&EntryType::Ec2Linux) && !ec2.admits(&EntryType::FargateLinux));
        let china =
            users(r#"{"Effect":"Allow","Principal":{"Service":["ec2.amazonaws.com.cn"]},"Action":"sts:AssumeRole"}"#);
        assert!(china.expect("a usual policy").are_only("ec2"));
        let both = users(
            r#"[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}},
                {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"}}]"#,
        );
        let both = both.expect("a usual policy");
        assert!(both.admits(&EntryType::Ec2) && !both.are_only("ec2"));
        let hybrid =
            users(r#"{"Effect":"Allow","Principal":{"Service":["ssm.amazonaws.com","rolesanywhere.amazonaws.com"]}}"#);
        assert_eq!(hybrid.expect("a usual policy").node_types(), [&EntryType::HybridLinux]);
    }

    #[test]
    fn a_policy_for_everybody_or_for_all_but_somebody_is_not_understood() {
        for statement in [
            r#"{"Effect":"Allow","Principal":"*"}"#,
            r#"{"Effect":"Allow","Principal":{"AWS":"*"}}"#,
            r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"}}"#,
            r#"{"Effect":"allow","Principal":{"Service":"ec2.amazonaws.com"}}"#,
            "7",
        ] {
            assert_eq!(users(statement), None, "{statement}");
        }
        assert_eq!(Users::of("no JSON"), None);
    }
}
