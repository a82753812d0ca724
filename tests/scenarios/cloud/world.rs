//! The state of the world: the account, its Regions, roles, clusters, tables and metrics, and the habits in which AWS
//! may differ from one day to the next.
//!
//! Everything is public and plain, so that a test can set up what no API would let it. What has rules is changed by the
//! verbs of `iam` and `entries`, which the wire uses too.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use super::cloudtrail::Record;
use super::cloudwatch::Datum;
use super::dynamodb::Table;
use super::entries::Entry;
use super::iam::RoleChange;
use super::logs::Line;
use super::services::Denial;
use super::stale::{Past, PastEntries};
use super::sts::Session;
use super::users::RoleUser;

/// One AWS account.
#[derive(Debug)]
pub struct World {
    /// Twelve digits.
    pub account: String,
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: String,
    /// Opt status by Region name, such as `ENABLED_BY_DEFAULT`.
    pub regions: BTreeMap<String, String>,
    /// Roles by lower-case name: names are unique irrespective of case and path.
    pub roles: BTreeMap<String, Role>,
    /// Sessions of roles by access key.
    pub sessions: BTreeMap<String, Session>,
    /// Unique IDs of the other principals that EKS can resolve, by ARN: IAM users, and roles of other accounts.
    pub other_principals: BTreeMap<String, String>,
    /// Clusters by Region and name.
    pub clusters: BTreeMap<(String, String), Cluster>,
    /// DynamoDB tables by Region and name.
    pub tables: BTreeMap<(String, String), Table>,
    /// All metric data ever received, in order of arrival.
    pub metrics: Vec<Datum>,
    /// Lines of logs by Region and log group.
    pub logs: BTreeMap<(String, String), Vec<Line>>,
    /// What CloudTrail recorded, oldest first.
    pub trail: Vec<Record>,
    /// Who creates and deletes by the verbs, as `userIdentity`; whoever calls where absent.
    pub actor: Option<Value>,
    /// When the event history was asked in the last second, by Region.
    pub(super) lookups: BTreeMap<String, Vec<OffsetDateTime>>,
    /// What the caller may not do.
    pub denials: Vec<Denial>,
    /// What AWS leaves open.
    pub habits: Habits,
    pub(super) now: OffsetDateTime,
    pub(super) role_history: Vec<RoleChange>,
    pub(super) past: Past,
    /// Whether the call that is being answered shows what was before the last change.
    pub(super) is_stale: bool,
    pub(super) dice: u64,
    /// The access key of the call that is being answered.
    pub(super) calling: String,
}

/// What AWS does not promise: how late it is, how it pages, in which order it checks.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each set by itself")]
pub struct Habits {
    /// Time from sending a request to having its reply; it takes effect half-way.
    pub request_delay: Duration,
    /// The largest page that any list operation returns, whatever the caller asks for. [AWS-17]
    pub page_size: Option<usize>,
    /// Whether every list begins with an empty page that has a token. [AWS-17]
    pub empty_page_first: bool,
    /// The most rows that a page of `Query` or `Scan` has. [AWS-67]
    pub table_page_size: usize,
    /// How far IAM's answers are behind: `GetRole` and `ListRoles` show the roles as they were so long ago. [AWS-10]
    pub iam_lags_by: Duration,
    /// For how long after `CreateRole` EKS answers "invalid principal". [AWS-12]
    pub role_unknown_to_eks_for: Duration,
    /// For how long after `CreateRole` STS answers that the caller may not assume the role. [AWS-71]
    pub role_unknown_to_sts_for: Duration,
    /// How far the IAM replica is behind from which EKS reads the ID that a new entry is bound to. [AWS-14]
    pub eks_binds_as_of: Duration,
    /// For how long after `CreateAccessEntry` association calls answer 404. [AWS-11]
    pub association_refused_for: Duration,
    /// For how long after `CreateAccessEntry` reads do not show the entry. [AWS-11]
    pub created_entry_hidden_for: Duration,
    /// For how long after `DeleteAccessEntry` reads still show the deleted entry. [AWS-15]
    pub deleted_entry_visible_for: Duration,
    /// For how long after `DeleteAccessEntry` `CreateAccessEntry` answers 409. [AWS-13]
    pub deletion_settles_for: Duration,
    /// Whether `CreateAccessEntry` answers "in use" before it looks at permissions and parameters. [AWS-25]
    pub in_use_first: bool,
    /// Whether the caller may pass roles; without it, node-type entries cannot be created. [AWS-24]
    pub may_pass_roles: bool,
    /// Whether IAM refuses the caller every grant but the view policy, and creation with groups or a user name. [AWS-69]
    pub privileged_grants_refused: bool,
    /// Whether entries of type `EC2` can have access policies (the user guide does it; other texts deny it). [AWS-34]
    pub ec2_entries_have_policies: bool,
    /// Whether replies give groups and namespaces, which are sets, in another order each time. [AWS-81]
    pub sets_in_any_order: bool,
    /// Whether `UpdateAccessEntry` binds the entry to the role's present ID. Nobody has seen it do so. [AWS-3]
    pub update_rebinds: bool,
    /// How far reads from DynamoDB that do not ask for consistency are behind. [AWS-66]
    pub inconsistent_reads_lag_by: Duration,
    /// How many requests for the event history a Region answers in a second. [AWS-90]
    pub lookups_per_second: usize,
    /// Quota of access entries per cluster. [AWS-42]
    pub entries_per_cluster: usize,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            request_delay: Duration::from_millis(20),
            page_size: None,
            empty_page_first: false,
            table_page_size: 100,
            iam_lags_by: Duration::ZERO,
            role_unknown_to_eks_for: Duration::ZERO,
            role_unknown_to_sts_for: Duration::ZERO,
            eks_binds_as_of: Duration::ZERO,
            association_refused_for: Duration::ZERO,
            created_entry_hidden_for: Duration::ZERO,
            deleted_entry_visible_for: Duration::ZERO,
            deletion_settles_for: Duration::ZERO,
            in_use_first: false,
            may_pass_roles: true,
            privileged_grants_refused: false,
            ec2_entries_have_policies: true,
            sets_in_any_order: false,
            update_rebinds: false,
            inconsistent_reads_lag_by: Duration::ZERO,
            lookups_per_second: 2,
            entries_per_cluster: 3000,
        }
    }
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// As the creator spelt it.
    pub name: String,
    /// Begins and ends with `/`.
    pub path: String,
    /// With the path.
    pub arn: String,
    /// `AROA` and 17 characters; every creation has its own.
    pub id: String,
    /// Whole seconds, as IAM shows it.
    pub created_at: OffsetDateTime,
    /// The trust policy as JSON text.
    pub trust: String,
    /// Inline policies by name, as JSON text.
    pub policies: BTreeMap<String, String>,
    /// What its creator tagged it with.
    pub tags: BTreeMap<String, String>,
}

/// An EKS cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The Region it is in.
    pub region: String,
    /// Unique in the Region.
    pub name: String,
    /// To the millisecond.
    pub created_at: OffsetDateTime,
    /// `ACTIVE`, `CREATING`, `UPDATING`, `DELETING`, `FAILED` or `PENDING`.
    pub status: String,
    /// `API`, `API_AND_CONFIG_MAP`, `CONFIG_MAP`, or no `accessConfig` at all.
    pub authentication_mode: Option<String>,
    /// The cluster's own role.
    pub role_arn: String,
    /// Where its API server listens, and the certificate of its authority in Base64; made up where nobody listens.
    pub api_server: Option<(String, String)>,
    /// Shown by `DescribeCluster`.
    pub tags: BTreeMap<String, String>,
    /// Auto Mode's node role, where Auto Mode is on.
    pub node_role_arn: Option<String>,
    /// What of it uses a role.
    pub users: Vec<RoleUser>,
    /// Whether it is an external cluster, connected with the EKS connector.
    pub connected: bool,
    /// Access entries by principal ARN.
    pub entries: BTreeMap<String, Entry>,
    /// Deleted entries and when that was, oldest first.
    pub deleted: Vec<(OffsetDateTime, Entry)>,
    pub(super) past: PastEntries,
}

impl Cluster {
    /// The cluster itself.
    pub(super) fn without_entries(&self) -> Self {
        let mut cluster = self.clone();
        (cluster.entries, cluster.deleted, cluster.past) = Default::default();
        cluster
    }
}

impl World {
    /// An account with `us-east-1` and `eu-west-1` enabled in partition `aws`; in another partition, with no Region.
    pub fn new(partition: &str, account: &str) -> Self {
        let regions: &[(&str, &str)] = match partition {
            "aws" => &[
                ("af-south-1", "DISABLED"),
                ("ap-east-1", "DISABLED"),
                ("eu-west-1", "ENABLED_BY_DEFAULT"),
                ("me-south-1", "DISABLED"),
                ("us-east-1", "ENABLED_BY_DEFAULT"),
            ],
            _ => &[],
        };
        Self {
            account: account.to_owned(),
            partition: partition.to_owned(),
            regions: regions.iter().map(|(name, status)| ((*name).to_owned(), (*status).to_owned())).collect(),
            roles: BTreeMap::new(),
            sessions: BTreeMap::new(),
            other_principals: BTreeMap::new(),
            clusters: BTreeMap::new(),
            tables: BTreeMap::new(),
            metrics: Vec::new(),
            logs: BTreeMap::new(),
            trail: Vec::new(),
            actor: None,
            lookups: BTreeMap::new(),
            denials: Vec::new(),
            habits: Habits::default(),
            now: super::EPOCH,
            role_history: Vec::new(),
            past: Past::default(),
            is_stale: false,
            dice: 0,
            calling: String::new(),
        }
    }

    /// The present moment.
    pub fn now(&self) -> OffsetDateTime {
        self.now
    }

    /// Another present moment, for a world that takes the place of one.
    #[allow(dead_code, reason = "tests/local_aws uses it")]
    pub fn set_now(&mut self, now: OffsetDateTime) {
        self.now = now;
    }

    /// The present moment to the millisecond, as EKS stores it.
    pub(super) fn now_ms(&self) -> OffsetDateTime {
        self.now.replace_millisecond(self.now.millisecond()).expect("a millisecond of its own is valid")
    }

    /// Whether a Region can be used.
    pub fn is_enabled(&self, region: &str) -> bool {
        self.regions.get(region).is_some_and(|status| status.starts_with("ENABLED"))
    }

    /// A cluster that the test knows to exist.
    pub fn cluster(&mut self, region: &str, name: &str) -> &mut Cluster {
        let key = (region.to_owned(), name.to_owned());
        self.clusters.get_mut(&key).unwrap_or_else(|| panic!("no cluster {name} in {region}"))
    }

    /// Deletes a cluster with all its entries.
    pub fn delete_cluster(&mut self, region: &str, name: &str) {
        self.note_cluster(region, name);
        self.clusters.remove(&(region.to_owned(), name.to_owned()));
    }

    /// The next number of a fixed random-looking sequence (splitmix64), so that runs can be compared.
    pub(super) fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A set as a reply gives it.
    pub(super) fn in_some_order(&mut self, set: &mut [String]) {
        if self.habits.sets_in_any_order && !set.is_empty() {
            let turn = self.roll() % set.len() as u64;
            set.rotate_left(usize::try_from(turn).expect("below the length of a list"));
        }
    }

    /// A fresh UUID.
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.roll(), self.roll());
        let tail = b & 0xffff_ffff_ffff;
        format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{tail:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff, b >> 52)
    }

    /// A fresh unique ID of IAM: a prefix such as `AROA` and 17 upper-case letters and digits.
    pub(super) fn unique_id(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let mut id = prefix.to_owned();
        for _ in 0..17 {
            let at = usize::try_from(self.roll() % 36).expect("below 36");
            id.push(char::from(ALPHABET[at]));
        }
        id
    }
}
