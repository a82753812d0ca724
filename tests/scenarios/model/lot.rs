//! The lot by which worlds are drawn: how often which setting, habit, cluster, role or entry turns up. Weighted so that
//! most cases have something to repair.

use proptest::prelude::*;

use super::world::{ClusterSpec, Hold, Kind, Mode, Pattern, RoleSpec, Settings, Setup, Slowness, Trust, Trusted};

/// Whole worlds.
pub fn setups() -> impl Strategy<Value = Setup> {
    // Few, so that what happens happens to the same.
    let clusters = prop_oneof![prop::collection::vec(clusters(), 1), prop::collection::vec(clusters(), 2..4)];
    let roles = prop_oneof![2 => prop::collection::vec(roles(), 1), 1 => prop::collection::vec(roles(), 2..4)];
    let entries = prop::collection::vec((0..3usize, 0..3usize, kinds()), 1..6);
    (settings(), slowness(), 1..4usize, clusters, roles, entries, any::<u64>()).prop_map(
        |(settings, habits, regions, clusters, roles, entries, dice)| Setup {
            settings,
            habits,
            regions,
            clusters,
            roles,
            entries,
            dice,
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let hold = prop_oneof![4 => Just(Hold::Privileged), 6 => Just(Hold::None), 1 => Just(Hold::All)];
    let trusted = prop_oneof![
        Just(Trusted::Nobody),
        Just(Trusted::PipelineById),
        Just(Trusted::PipelineByArn),
        Just(Trusted::PipelineByPattern)
    ];
    let max_repairs = prop_oneof![12 => Just(20u32), 3 => Just(1u32), 1 => Just(0u32)];
    let settle = prop_oneof![4 => Just(60u64), 1 => Just(0u64), 1 => Just(5u64), 1 => Just(300u64)];
    let observe = prop::bool::weighted(0.05);
    (observe, hold, trusted, prop::bool::weighted(0.5), patterns(), patterns(), max_repairs, settle).prop_map(
        |(observe, hold, trusted, remove, roles, clusters, max_repairs, settle)| Settings {
            observe,
            hold,
            trusted,
            remove,
            roles,
            clusters,
            max_repairs,
            settle,
        },
    )
}

fn patterns() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        20 => Just(Pattern::All),
        1 => Just(Pattern::One),
        1 => Just(Pattern::Beginning),
        1 => Just(Pattern::AllBut),
        1 => Just(Pattern::ByArn)
    ]
}

fn slowness() -> impl Strategy<Value = Slowness> {
    let seldom = || prop::bool::weighted(0.15);
    let page_size = prop_oneof![3 => Just(None), 1 => Just(Some(1usize)), 1 => Just(Some(2usize))];
    let few = |values: [u64; 3]| prop_oneof![6 => Just(values[0]), 1 => Just(values[1]), 1 => Just(values[2])];
    (
        (page_size, seldom(), seldom(), few([0, 3, 15]), seldom(), few([0, 1, 3])),
        (few([0, 400, 2000]), few([0, 400, 2000]), few([0, 400, 3000]), any::<bool>()),
    )
        .prop_map(|(one, two)| {
            let (page_size, empty_page_first, iam_lags, role_unknown, binds_late, association_refused) = one;
            let (created_hidden, deleted_visible, deletion_settles, in_use_first) = two;
            Slowness {
                page_size,
                empty_page_first,
                iam_lags,
                role_unknown,
                binds_late,
                association_refused,
                created_hidden,
                deleted_visible,
                deletion_settles,
                in_use_first,
            }
        })
}

fn clusters() -> impl Strategy<Value = ClusterSpec> {
    let mode =
        prop_oneof![10 => Just(Mode::Both), 8 => Just(Mode::Api), 1 => Just(Mode::ConfigMap), 1 => Just(Mode::None)];
    (0..3usize, mode, prop::bool::weighted(0.03)).prop_map(|(region, mode, ignored)| ClusterSpec {
        region,
        mode,
        ignored,
    })
}

fn roles() -> impl Strategy<Value = RoleSpec> {
    (prop::bool::weighted(0.3), trusts()).prop_map(|(has_path, trust)| RoleSpec { has_path, trust })
}

pub fn trusts() -> impl Strategy<Value = Trust> {
    prop_oneof![
        14 => Just(Trust::Ec2),
        1 => Just(Trust::Ssm),
        1 => Just(Trust::Fargate),
        2 => Just(Trust::Mallory),
        1 => Just(Trust::Ec2AndMallory),
        1 => Just(Trust::Nonsense)
    ]
}

pub fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::Ec2Linux),
        1 => Just(Kind::Ec2Windows),
        4 => Just(Kind::Ec2Auto),
        1 => Just(Kind::Hybrid),
        1 => Just(Kind::Fargate),
        1 => Just(Kind::Nothing),
        6 => Just(Kind::Viewer),
        1 => Just(Kind::ViewerInTeams),
        8 => Just(Kind::Everything),
        1 => Just(Kind::Editor),
        1 => Just(Kind::Reserved),
        1 => Just(Kind::Ignored)
    ]
}
