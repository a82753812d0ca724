//! Worlds as plain data: settings, Regions, clusters, roles and entries, and the habits of AWS. What the data mean to
//! AWS is said here; what they mean for who may enter, in `reference`; how they are drawn by lot, in `lot`.

use std::time::Duration;

use crate::cloud::{EntrySpec, Habits, Policy, trust};

/// The account of the stage.
pub const ACCOUNT: &str = "111122223333";
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-east-1"];
/// The third is a beginning of none, the second of none but the first: prefixes must not be taken for names.
const ROLE_NAMES: [&str; 3] = ["app", "app-ro", "node"];

/// Everything that holds for the whole of a case.
#[derive(Debug, Clone)]
pub struct Setup {
    pub settings: Settings,
    pub habits: Slowness,
    pub regions: usize,
    pub clusters: Vec<ClusterSpec>,
    pub roles: Vec<RoleSpec>,
    pub entries: Vec<(usize, usize, Kind)>,
    pub dice: u64,
}

/// The settings that matter to what may be changed.
#[derive(Debug, Clone)]
pub struct Settings {
    pub observe: bool,
    pub hold: Hold,
    pub trusted: Trusted,
    pub remove: bool,
    pub roles: Pattern,
    pub clusters: Pattern,
    pub max_repairs: u32,
    pub settle: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    None,
    Privileged,
    All,
}

/// `TRUSTED_CREATORS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    Nobody,
    PipelineById,
    PipelineByArn,
    PipelineByPattern,
}

/// Who creates roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creator {
    Pipeline,
    /// A role of the pipeline's name, created after the pipeline's own was deleted.
    Namesake,
    Stranger,
}

/// A list of patterns; each is also said in plain Rust, for the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    All,
    /// `app` or `c0`: one name, which begins another.
    One,
    /// All that begin with it.
    Beginning,
    /// All but `app-ro` or `c1`.
    AllBut,
    /// By ARN.
    ByArn,
}

#[derive(Debug, Clone)]
pub struct ClusterSpec {
    pub region: usize,
    pub mode: Mode,
    pub ignored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Api,
    Both,
    ConfigMap,
    None,
}

#[derive(Debug, Clone)]
pub struct RoleSpec {
    /// Under `/team/` instead of `/`.
    pub has_path: bool,
    pub trust: Trust,
}

/// Trust policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    Ec2,
    Ssm,
    Fargate,
    Mallory,
    Ec2AndMallory,
    Nonsense,
}

/// Entries as owners make them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ec2Linux,
    Ec2Windows,
    Ec2Auto,
    Hybrid,
    Fargate,
    Nothing,
    Viewer,
    ViewerInTeams,
    Everything,
    Editor,
    /// With what only AWS may give: it could not be created again.
    Reserved,
    Ignored,
}

/// What AWS leaves open, in steps that stay below `SETTLE_SECONDS`: what it cannot outlast it does not promise to.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each set by itself")]
pub struct Slowness {
    pub page_size: Option<usize>,
    pub empty_page_first: bool,
    pub iam_lags: bool,
    pub role_unknown: u64,
    pub binds_late: bool,
    pub association_refused: u64,
    pub created_hidden: u64,
    pub deleted_visible: u64,
    pub deletion_settles: u64,
    pub in_use_first: bool,
}

impl Setup {
    pub fn region_of(&self, cluster: usize) -> &'static str {
        REGIONS[self.cluster(cluster).1.region % self.regions]
    }

    pub fn cluster(&self, cluster: usize) -> (String, &ClusterSpec) {
        let at = cluster % self.clusters.len();
        (format!("c{at}"), &self.clusters[at])
    }

    pub fn role(&self, role: usize) -> (&'static str, &RoleSpec) {
        let at = role % self.roles.len();
        (ROLE_NAMES[at], &self.roles[at])
    }

    /// The ARN that the role has unless somebody creates it elsewhere.
    pub fn arn(&self, role: usize) -> String {
        let (name, spec) = self.role(role);
        format!("arn:aws:iam::{ACCOUNT}:role{}{name}", path(spec.has_path))
    }

    /// How far IAM's answers, and those that EKS has from it, are behind: less than what the function waits for.
    pub fn lag(&self) -> Duration {
        Duration::from_millis(if self.settings.settle > 2 { 1500 } else { 0 })
    }

    pub fn apply_habits(&self, habits: &mut Habits) {
        let slow = &self.habits;
        let lag = |on: bool| if on { self.lag() } else { Duration::ZERO };
        habits.page_size = slow.page_size;
        habits.table_page_size = slow.page_size.unwrap_or(100);
        habits.empty_page_first = slow.empty_page_first;
        habits.iam_lags_by = lag(slow.iam_lags);
        habits.eks_binds_as_of = lag(slow.binds_late);
        habits.role_unknown_to_eks_for = Duration::from_secs(slow.role_unknown);
        habits.association_refused_for = Duration::from_secs(slow.association_refused);
        habits.created_entry_hidden_for = Duration::from_millis(slow.created_hidden);
        habits.deleted_entry_visible_for = Duration::from_millis(slow.deleted_visible);
        habits.deletion_settles_for = Duration::from_millis(slow.deletion_settles);
        habits.in_use_first = slow.in_use_first;
    }
}

pub fn path(has_path: bool) -> &'static str {
    if has_path { "/team/" } else { "/" }
}

impl Settings {
    /// As the environment variables have them.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let word = |is: bool, yes: &str, no: &str| (if is { yes } else { no }).to_owned();
        let hold = match self.hold {
            Hold::None => "none",
            Hold::Privileged => "privileged",
            Hold::All => "all",
        };
        let trusted = match self.trusted {
            Trusted::Nobody => "",
            Trusted::PipelineById => "AROAPIPELINE000000001",
            Trusted::PipelineByArn => "arn:aws:iam::111122223333:role/pipeline",
            Trusted::PipelineByPattern => "arn:aws:iam::111122223333:role/pipe*",
        };
        let roles = match self.roles {
            Pattern::All => "*",
            Pattern::One => "app",
            Pattern::Beginning => "app*",
            Pattern::AllBut => "!app-ro",
            Pattern::ByArn => "arn:aws:iam::111122223333:role/team/*",
        };
        let clusters = match self.clusters {
            Pattern::All => "*",
            Pattern::One => "c0",
            Pattern::Beginning => "c*",
            Pattern::AllBut => "!c1",
            Pattern::ByArn => "arn:aws:eks:us-east-1:*",
        };
        vec![
            ("MODE", word(self.observe, "observe", "repair")),
            ("HOLD", hold.to_owned()),
            ("TRUSTED_CREATORS", trusted.to_owned()),
            ("ON_ROLE_DELETED", word(self.remove, "remove", "report")),
            ("ROLE_PATTERNS", roles.to_owned()),
            ("CLUSTER_PATTERNS", clusters.to_owned()),
            ("MAX_REPAIRS", self.max_repairs.to_string()),
            ("SETTLE_SECONDS", self.settle.to_string()),
        ]
    }
}

impl Creator {
    /// Unique ID and ARN, as CloudTrail tells them.
    pub fn identity(self) -> (&'static str, &'static str) {
        match self {
            Self::Pipeline => ("AROAPIPELINE000000001", "arn:aws:iam::111122223333:role/pipeline"),
            Self::Namesake => ("AROANAMESAKE000000001", "arn:aws:iam::111122223333:role/pipeline"),
            Self::Stranger => ("AROAMALLORY0000000001", "arn:aws:iam::111122223333:role/pipelines/mallory"),
        }
    }
}

impl Mode {
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Api => Some("API"),
            Self::Both => Some("API_AND_CONFIG_MAP"),
            Self::ConfigMap => Some("CONFIG_MAP"),
            Self::None => None,
        }
    }
}

impl Trust {
    pub fn document(self) -> String {
        let mallory = "arn:aws:iam::111122223333:user/mallory";
        match self {
            Self::Ec2 => trust::ec2(),
            Self::Ssm => trust::ssm(),
            Self::Fargate => trust::fargate(),
            Self::Mallory => trust::aws(mallory),
            Self::Ec2AndMallory => trust::ec2_and_aws(mallory),
            Self::Nonsense => "{}".to_owned(),
        }
    }
}

impl Kind {
    pub fn spec(self) -> EntrySpec {
        let standard = EntrySpec::standard;
        match self {
            Self::Ec2Linux => EntrySpec::of_type("EC2_LINUX"),
            Self::Ec2Windows => EntrySpec::of_type("EC2_WINDOWS").tag("team", "windows"),
            Self::Ec2Auto => EntrySpec::of_type("EC2").policy("AmazonEKSAutoNodePolicy"),
            Self::Hybrid => EntrySpec::of_type("HYBRID_LINUX"),
            Self::Fargate => EntrySpec::of_type("FARGATE_LINUX"),
            Self::Nothing => standard(),
            Self::Viewer => standard().policy("AmazonEKSViewPolicy"),
            Self::ViewerInTeams => {
                standard().policy_in("AmazonEKSViewPolicy", &["team-*", "default"]).tag("team", "viewers")
            }
            Self::Everything => standard()
                .username("pipelines:{{SessionName}}")
                .groups(&["deployers", "viewers"])
                .tag("team", "platform")
                .tag("aws:cloudformation:stack-name", "access")
                .policy("AmazonEKSClusterAdminPolicy")
                .policy_in("AmazonEKSEditPolicy", &["team-*"])
                .made_by_aws(),
            Self::Editor => standard().groups(&["editors"]).policy("AmazonEKSEditPolicy"),
            Self::Reserved => standard().groups(&["system:masters"]).made_by_aws(),
            Self::Ignored => standard().policy("AmazonEKSViewPolicy").tag("access-entry-guard", "ignore"),
        }
    }
}

/// The policies that other parties associate and take away.
pub fn policy(n: usize) -> Policy {
    match n % 4 {
        0 => Policy::cluster("AmazonEKSViewPolicy"),
        1 => Policy::namespaces("AmazonEKSViewPolicy", &["audit"]),
        2 => Policy::cluster("AmazonEKSEditPolicy"),
        _ => Policy::namespaces("AmazonEKSEditPolicy", &["team-*"]),
    }
}
