//! Random histories, as plain data that shrinks: what other parties do, when time passes, what wakes the function up,
//! and what goes wrong meanwhile. Roles, entries and events are named by a number modulo how many there are, so that
//! every part of a history has a meaning without the rest.

use proptest::prelude::*;

use super::lot::{kinds, trusts};
use super::world::{Creator, Kind, Mode, Trust};

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Another party acts.
    Act(Act),
    /// So many seconds pass.
    Pass(u64),
    /// The function is invoked.
    Invoke(Wake, Trouble),
}

/// What another party does. What EKS or IAM would refuse does not happen.
#[derive(Debug, Clone)]
pub enum Act {
    /// Deletes the role if it is there, and creates it: as it was, or with another trust policy or path.
    Recreate {
        role: usize,
        by: Creator,
        trust: Option<Trust>,
        moved: bool,
    },
    DeleteRole(usize),
    CreateRole {
        role: usize,
        by: Creator,
        trust: Option<Trust>,
    },
    SetTrust(usize, Trust),
    CreateEntry(usize, usize, Kind),
    /// Deletes and creates it, as infrastructure as code does.
    ReplaceEntry(usize, usize, Kind),
    DeleteEntry(usize, usize),
    SetGroups(usize, usize, u8),
    Associate(usize, usize, usize),
    Disassociate(usize, usize, usize),
    TagEntry(usize, usize, bool),
    TagCluster(usize, bool),
    SetStatus(usize, bool),
    SetMode(usize, Mode),
    RecreateCluster(usize),
}

/// What wakes the function up.
#[derive(Debug, Clone)]
pub enum Wake {
    /// The event so many before the latest: late, again, in another order or never.
    Event {
        back: usize,
        alias: Alias,
    },
    Sweep,
    Repair {
        cluster: usize,
        role: usize,
        narrow: bool,
    },
    Approve {
        cluster: usize,
        role: usize,
        id: Named,
        alias: Alias,
    },
    Restore {
        cluster: usize,
        role: usize,
        id: Named,
        alias: Alias,
    },
    Check {
        cluster: usize,
        role: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    Right,
    None,
    Wrong,
}

/// Which role ID a person names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Present,
    Former,
    Nonsense,
}

/// What goes wrong, or comes between, while the function works.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// The world stops; what runs is lost.
    pub stop: Option<(When, bool)>,
    pub fault: Option<Fault>,
    pub meanwhile: Option<(When, Act)>,
    /// A second invocation, so many milliseconds later.
    pub beside: Option<(Box<Wake>, u64)>,
}

/// Before which call.
#[derive(Debug, Clone)]
pub enum When {
    Call(usize),
    Of(&'static str, usize),
}

#[derive(Debug, Clone)]
pub struct Fault {
    /// Of one operation or of all.
    pub operation: Option<&'static str>,
    pub from: usize,
    pub times: usize,
    pub kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    Throttle,
    ServerError,
    Close,
    LoseReply,
    Deny,
}

pub fn histories() -> impl Strategy<Value = Vec<Step>> {
    let parts = prop_oneof![3 => steps().prop_map(|step| vec![step]), 2 => stories()];
    prop::collection::vec(parts, 1..8).prop_map(|parts| parts.concat())
}

/// The usual: a role is created again, and its event arrives, or a person releases the entry; or a role goes for good,
/// is tidied up after, and comes back at a person's word.
fn stories() -> impl Strategy<Value = Vec<Step>> {
    let trust = || prop::option::weighted(0.15, trusts());
    let invoke = |wake, trouble| Step::Invoke(wake, trouble);
    let event = move |trouble| invoke(Wake::Event { back: 0, alias: Alias::Right }, trouble);
    let recreated = ((0..3usize, creators(), trust()), prop::option::weighted(0.7, Just(90u64)), troubles()).prop_map(
        move |((role, by, trust), wait, trouble)| {
            let mut story = vec![Step::Act(Act::Recreate { role, by, trust, moved: false })];
            story.extend(wait.map(Step::Pass));
            story.push(event(trouble));
            story
        },
    );
    let place = || (0..3usize, 0..3usize);
    let released = (place(), creators(), trust(), troubles()).prop_map(move |((cluster, role), by, trust, trouble)| {
        let id = Named::Present;
        vec![
            Step::Act(Act::Recreate { role, by, trust, moved: false }),
            event(Trouble::default()),
            invoke(Wake::Approve { cluster, role, id, alias: Alias::Right }, trouble),
        ]
    });
    let restored = (place(), creators(), trust(), troubles(), troubles()).prop_map(
        move |((cluster, role), by, trust, one, other)| {
            let id = Named::Present;
            vec![
                Step::Act(Act::DeleteRole(role)),
                Step::Pass(90),
                event(one),
                Step::Act(Act::CreateRole { role, by, trust }),
                Step::Pass(90),
                invoke(Wake::Restore { cluster, role, id, alias: Alias::Right }, other),
            ]
        },
    );
    prop_oneof![4 => recreated, 1 => released, 1 => restored]
}

fn steps() -> impl Strategy<Value = Step> {
    let pass =
        prop_oneof![3 => Just(90u64), 2 => Just(2u64), 1 => Just(20u64), 2 => Just(400u64), 1 => Just(100_000u64)];
    prop_oneof![
        4 => acts().prop_map(Step::Act),
        2 => pass.prop_map(Step::Pass),
        7 => (wakes(), troubles()).prop_map(|(wake, trouble)| Step::Invoke(wake, trouble))
    ]
}

fn creators() -> impl Strategy<Value = Creator> {
    prop_oneof![3 => Just(Creator::Pipeline), 1 => Just(Creator::Namesake), 2 => Just(Creator::Stranger)]
}

pub fn acts() -> impl Strategy<Value = Act> {
    let c = || 0..3usize;
    let r = || 0..3usize;
    let mode = prop_oneof![2 => Just(Mode::Both), 2 => Just(Mode::Api), 1 => Just(Mode::ConfigMap)];
    let recreate = (r(), creators(), prop::option::weighted(0.3, trusts()), prop::bool::weighted(0.05))
        .prop_map(|(role, by, trust, moved)| Act::Recreate { role, by, trust, moved });
    let create = (r(), creators(), prop::option::weighted(0.3, trusts()))
        .prop_map(|(role, by, trust)| Act::CreateRole { role, by, trust });
    prop_oneof![
        12 => recreate,
        3 => r().prop_map(Act::DeleteRole),
        3 => create,
        1 => (r(), trusts()).prop_map(|(role, trust)| Act::SetTrust(role, trust)),
        3 => (c(), r(), kinds()).prop_map(|(c, r, kind)| Act::CreateEntry(c, r, kind)),
        2 => (c(), r(), kinds()).prop_map(|(c, r, kind)| Act::ReplaceEntry(c, r, kind)),
        2 => (c(), r()).prop_map(|(c, r)| Act::DeleteEntry(c, r)),
        1 => (c(), r(), 0..3u8).prop_map(|(c, r, n)| Act::SetGroups(c, r, n)),
        1 => (c(), r(), 0..4usize).prop_map(|(c, r, n)| Act::Associate(c, r, n)),
        1 => (c(), r(), 0..4usize).prop_map(|(c, r, n)| Act::Disassociate(c, r, n)),
        1 => (c(), r(), any::<bool>()).prop_map(|(c, r, on)| Act::TagEntry(c, r, on)),
        1 => (c(), any::<bool>()).prop_map(|(c, on)| Act::TagCluster(c, on)),
        1 => (c(), any::<bool>()).prop_map(|(c, on)| Act::SetStatus(c, on)),
        1 => (c(), mode).prop_map(|(c, mode)| Act::SetMode(c, mode)),
        1 => c().prop_map(Act::RecreateCluster)
    ]
}

fn wakes() -> impl Strategy<Value = Wake> {
    let alias = || prop_oneof![8 => Just(Alias::Right), 1 => Just(Alias::None), 1 => Just(Alias::Wrong)];
    let id = || prop_oneof![6 => Just(Named::Present), 2 => Just(Named::Former), 1 => Just(Named::Nonsense)];
    let back = prop_oneof![6 => Just(0usize), 2 => 1..4usize];
    let (c, r) = (|| 0..3usize, || 0..3usize);
    prop_oneof![
        9 => (back, alias()).prop_map(|(back, alias)| Wake::Event { back, alias }),
        4 => Just(Wake::Sweep),
        1 => (c(), r(), any::<bool>()).prop_map(|(cluster, role, narrow)| Wake::Repair { cluster, role, narrow }),
        3 => (c(), r(), id(), alias())
            .prop_map(|(cluster, role, id, alias)| Wake::Approve { cluster, role, id, alias }),
        2 => (c(), r(), id(), alias())
            .prop_map(|(cluster, role, id, alias)| Wake::Restore { cluster, role, id, alias }),
        1 => (c(), r()).prop_map(|(cluster, role)| Wake::Check { cluster, role })
    ]
}

fn whens() -> impl Strategy<Value = When> {
    let operation = prop_oneof![
        3 => Just("CreateAccessEntry"),
        3 => Just("DeleteAccessEntry"),
        2 => Just("AssociateAccessPolicy"),
        2 => Just("GetRole"),
        2 => Just("DescribeAccessEntry"),
        1 => Just("DescribeCluster"),
        1 => Just("ListAssociatedAccessPolicies"),
        2 => Just("PutItem")
    ];
    // The rehearsal is a creation too.
    let crucial = prop_oneof![
        3 => Just(("DeleteAccessEntry", 1)),
        3 => Just(("CreateAccessEntry", 2)),
        1 => Just(("CreateAccessEntry", 1)),
        1 => Just(("AssociateAccessPolicy", 1))
    ];
    prop_oneof![
        2 => (1..70usize).prop_map(When::Call),
        3 => (operation, 1..6usize).prop_map(|(operation, n)| When::Of(operation, n)),
        2 => crucial.prop_map(|(operation, n)| When::Of(operation, n))
    ]
}

fn troubles() -> impl Strategy<Value = Trouble> {
    let kind = prop_oneof![
        2 => Just(FaultKind::Throttle),
        1 => Just(FaultKind::ServerError),
        1 => Just(FaultKind::Close),
        3 => Just(FaultKind::LoseReply),
        1 => Just(FaultKind::Deny)
    ];
    let operation = prop_oneof![
        2 => Just(None),
        2 => Just(Some("CreateAccessEntry")),
        2 => Just(Some("DeleteAccessEntry")),
        2 => Just(Some("AssociateAccessPolicy")),
        1 => Just(Some("DescribeAccessEntry")),
        1 => Just(Some("GetRole")),
        1 => Just(Some("PutItem")),
        1 => Just(Some("Query"))
    ];
    let times = prop_oneof![3 => Just(1usize), 1 => Just(3usize), 1 => Just(1000usize)];
    let fault = (operation, 1..4usize, times, kind).prop_map(|(operation, from, times, kind)| Fault {
        operation,
        from,
        times,
        kind,
    });
    (
        prop::option::weighted(0.2, (whens(), any::<bool>())),
        prop::option::weighted(0.25, fault),
        prop::option::weighted(0.35, (whens(), acts())),
        prop::option::weighted(0.1, (wakes().prop_map(Box::new), 0..2000u64)),
    )
        .prop_map(|(stop, fault, meanwhile, beside)| Trouble { stop, fault, meanwhile, beside })
}
