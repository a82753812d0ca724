//! What must hold, said a second time and as simply as can be: what the owner of every entry wants, and which role ID
//! may be let in without a person. Nothing here calls the function's own guardrails, verdicts or trust policy reading.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::world::{ACCOUNT, Creator, Hold, Pattern, Settings, Trust, Trusted};
use crate::cloud::{Entry, Role};

/// Region, cluster and principal: whose entry, and where.
pub type Key = (String, String, String);

/// An entry as its owner last wanted it: all that has to come back, and nothing that only AWS may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: String,
    pub username: String,
    pub groups: Vec<String>,
    pub tags: BTreeMap<String, String>,
    /// Scope type and namespaces by policy ARN.
    pub policies: BTreeMap<String, (String, Vec<String>)>,
}

impl Wish {
    pub fn of(entry: &Entry) -> Self {
        let own = |key: &str| !key.to_lowercase().starts_with("aws:");
        Self {
            kind: entry.kind.clone(),
            username: entry.username.clone(),
            groups: entry.groups.clone(),
            tags: entry.tags.iter().filter(|(key, _)| own(key)).map(|(k, v)| (k.clone(), v.clone())).collect(),
            policies: entry
                .policies
                .iter()
                .map(|policy| (policy.policy_arn.clone(), (policy.scope.clone(), policy.namespaces.clone())))
                .collect(),
        }
    }

    /// What a row of the ledger keeps.
    pub fn of_row(row: &Map<String, Value>) -> Option<Self> {
        let snapshot = row.get("snapshot")?;
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tags = snapshot["tags"].as_object().into_iter().flatten();
        let policies = snapshot["accessPolicies"].as_array().into_iter().flatten();
        Some(Self {
            kind: text(&snapshot["type"]),
            username: text(&snapshot["username"]),
            groups: texts(&snapshot["kubernetesGroups"]),
            tags: tags.filter(|(key, _)| !key.starts_with("aws:")).map(|(k, v)| (k.clone(), text(v))).collect(),
            policies: policies
                .map(|policy| {
                    let scope = &policy["accessScope"];
                    (text(&policy["policyArn"]), (text(&scope["type"]), texts(&scope["namespaces"])))
                })
                .collect(),
        })
    }

    /// Whether all but the policies is the same.
    pub fn is_named_like(&self, other: &Self) -> bool {
        Self { policies: BTreeMap::new(), ..self.clone() } == Self { policies: BTreeMap::new(), ..other.clone() }
    }

    pub fn is_ignored(&self) -> bool {
        self.tags.get("access-entry-guard").is_some_and(|value| value == "ignore")
    }

    /// Whether EKS would take it from anybody but AWS.
    pub fn is_recreatable(&self) -> bool {
        self.kind != "STANDARD" || !self.groups.iter().any(|group| group.starts_with("system:"))
    }
}

/// What is known of one entry.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What its owner wants; none where he wants none.
    pub wish: Option<Wish>,
    /// What he wanted before.
    pub former: Vec<Wish>,
    /// Entries that other parties made.
    pub others: BTreeSet<String>,
    /// Entries that the function made.
    pub made: BTreeSet<String>,
    /// Of these, the ones that were permitted.
    pub good: BTreeSet<String>,
    /// Of these, the ones whose role was taken between the last look and the creation.
    pub hits: BTreeSet<String>,
    /// An entry made although its owner wants none, and whether an unclear answer explains it.
    pub revived: Option<(String, bool)>,
    /// A change of ours had no clear answer, and the repair is not at its end.
    pub is_unclear: bool,
    /// An invocation was cut after a creation and before the row named what it had created; nor does it now.
    pub is_unnamed: bool,
    /// The function was shown that the role is gone, since the owner's last act.
    pub was_role_absent: bool,
    /// Why the owner's will could not be known.
    pub excused: Option<&'static str>,
}

impl Kept {
    /// The owner has acted: this is his will from now on.
    pub fn wants(&mut self, wish: Option<Wish>) {
        self.former.extend(self.wish.take());
        self.wish = wish;
        self.excused = None;
        self.was_role_absent = false;
    }
}

/// A role that exists or existed.
#[derive(Debug, Clone)]
pub struct Known {
    pub arn: String,
    pub trusts: Vec<Trust>,
    pub creator: Creator,
}

/// Something that CloudTrail told.
#[derive(Debug, Clone)]
pub enum News {
    Created(Role, Creator),
    Deleted(String),
}

/// The reference.
#[derive(Debug)]
pub struct Reference {
    pub settings: Settings,
    pub entries: BTreeMap<Key, Kept>,
    /// By ID.
    pub roles: BTreeMap<String, Known>,
    /// By name, in order of creation.
    pub ids: BTreeMap<String, Vec<String>>,
    /// Since when there is no role of this ARN, where there was one.
    pub absent_since: BTreeMap<String, OffsetDateTime>,
    pub news: Vec<News>,
    /// Role IDs that a person approved or asked to restore, for one entry each.
    pub approved: BTreeSet<(Key, String)>,
    /// Role IDs whose creation an event told that may be believed.
    pub vouched: BTreeSet<String>,
}

impl Reference {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            entries: BTreeMap::new(),
            roles: BTreeMap::new(),
            ids: BTreeMap::new(),
            absent_since: BTreeMap::new(),
            news: Vec::new(),
            approved: BTreeSet::new(),
            vouched: BTreeSet::new(),
        }
    }

    pub fn entry(&mut self, key: &Key) -> &mut Kept {
        self.entries.entry(key.clone()).or_default()
    }

    pub fn role_created(&mut self, role: &Role, creator: Creator, trust: Trust) {
        let known = Known { arn: role.arn.clone(), trusts: vec![trust], creator };
        self.roles.insert(role.id.clone(), known);
        self.ids.entry(role.name.clone()).or_default().push(role.id.clone());
        self.absent_since.remove(&role.arn);
        self.news.push(News::Created(role.clone(), creator));
    }

    pub fn role_deleted(&mut self, role: &Role, at: OffsetDateTime) {
        self.absent_since.insert(role.arn.clone(), at);
        self.news.push(News::Deleted(role.name.clone()));
    }

    /// Whether this role ID may be let in by this entry: with a person's word, or unattended.
    pub fn permits(&self, key: &Key, wish: &Wish, id: &str) -> bool {
        !self.settings.observe
            && !wish.is_ignored()
            && wish.is_recreatable()
            && self.roles.get(id).is_some_and(|role| role.arn == key.2)
            && (self.approved.contains(&(key.clone(), id.to_owned()))
                || self.roles[id].trusts.iter().any(|trust| self.permits_unattended(key, wish, id, *trust)))
    }

    /// Whether it may without a person, if the role trusts these.
    pub fn permits_unattended(&self, key: &Key, wish: &Wish, id: &str, trust: Trust) -> bool {
        self.is_looked_after(key)
            && (self.is_by_trusted(id)
                || match self.settings.hold {
                    Hold::None => true,
                    Hold::Privileged => !is_privileged(key, wish, trust),
                    Hold::All => false,
                })
    }

    fn is_by_trusted(&self, id: &str) -> bool {
        self.vouched.contains(id)
            && match (self.settings.trusted, self.roles[id].creator) {
                (Trusted::Nobody, _) | (_, Creator::Stranger) => false,
                (Trusted::PipelineById, creator) => creator == Creator::Pipeline,
                (Trusted::PipelineByArn | Trusted::PipelineByPattern, _) => true,
            }
    }

    /// Whether the patterns mean this role and this cluster.
    pub fn is_looked_after(&self, (region, cluster, arn): &Key) -> bool {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let role = match self.settings.roles {
            Pattern::All => true,
            Pattern::One => name == "app",
            Pattern::Beginning => name.starts_with("app"),
            Pattern::AllBut => name != "app-ro",
            Pattern::ByArn => arn.contains(":role/team/"),
        };
        let cluster = match self.settings.clusters {
            Pattern::All | Pattern::Beginning => true,
            Pattern::One => cluster == "c0",
            Pattern::AllBut => cluster != "c1",
            Pattern::ByArn => region == "us-east-1",
        };
        role && cluster
    }
}

/// Whether the entry gives more than is handed out without a person.
fn is_privileged(key: &Key, wish: &Wish, trust: Trust) -> bool {
    let is_only = |name: &str| {
        let arn = format!("arn:aws:eks::aws:cluster-access-policy/{name}");
        wish.policies.keys().all(|policy| *policy == arn)
    };
    match (wish.kind.as_str(), trust) {
        ("STANDARD", _) => {
            let name = key.2.rsplit('/').next().unwrap_or_default();
            let generated = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{{{{SessionName}}}}");
            !(wish.username == generated
                && wish.groups.is_empty()
                && wish.policies.len() == 1
                && is_only("AmazonEKSViewPolicy"))
        }
        ("EC2_LINUX" | "EC2_WINDOWS" | "EC2", Trust::Ec2)
        | ("HYBRID_LINUX", Trust::Ssm)
        | ("FARGATE_LINUX", Trust::Fargate) => !is_only("AmazonEKSAutoNodePolicy"),
        _ => true,
    }
}
