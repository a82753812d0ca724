use proptest::prelude::*;

use super::*;
use crate::model::Region;

fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        settings.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    })
}

fn with(variable: &str, value: &str) -> Config {
    config(&[(variable, value)]).unwrap_or_else(|error| panic!("{error}"))
}

fn regions(names: &[&str]) -> Vec<Region> {
    names.iter().map(|name| Region((*name).to_owned())).collect()
}

#[test]
fn without_settings_the_documented_defaults_hold() {
    let config = config(&[]).expect("the defaults");
    assert_eq!(config.regions, RegionSelection::default());
    assert_eq!((config.mode, config.hold), (Mode::Repair, HoldSetting::Privileged));
    assert_eq!(config.on_role_deleted, OnRoleDeleted::Report);
    assert_eq!(config.trusted_creators, []);
    assert_eq!((config.role_patterns, config.cluster_patterns), (Patterns::default(), Patterns::default()));
    assert_eq!((config.max_repairs, config.max_concurrency_per_region), (20, 8));
    assert_eq!(config.settle, Duration::from_mins(1));
    assert_eq!((config.ledger_table, config.metric_namespace.as_str()), (None, "AccessEntryGuard"));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    assert_eq!(Config::from_lookup(|_| Some(String::new())), config(&[]));
}

#[test]
fn each_word_is_read_and_written_alike() {
    for mode in ["repair", "observe"] {
        assert_eq!(with("MODE", mode).mode.as_str(), mode);
    }
    for hold in ["privileged", "all", "none"] {
        assert_eq!(with("HOLD", hold).hold.as_str(), hold);
    }
    for (word, allowed) in [("true", true), ("false", false)] {
        assert_eq!(with("ALLOW_PRIVILEGED_GRANTS", word).allow_privileged_grants, allowed);
    }
    for action in ["report", "remove"] {
        assert_eq!(with("ON_ROLE_DELETED", action).on_role_deleted.as_str(), action);
    }
}

#[test]
fn a_sweep_uses_a_quarter_of_the_requests_and_at_least_one() {
    for (most, sweep) in [("1", 1), ("3", 1), ("8", 2), ("100", 25)] {
        assert_eq!(with("MAX_CONCURRENCY_PER_REGION", most).sweep_concurrency_per_region(), sweep);
    }
}

#[test]
fn the_edges_of_the_numbers_are_accepted() {
    assert_eq!(with("MAX_REPAIRS", "0").max_repairs, 0);
    assert_eq!(with("MAX_REPAIRS", "4294967295").max_repairs, u32::MAX);
    assert_eq!(with("SETTLE_SECONDS", "0").settle, Duration::ZERO);
    assert_eq!(with("SETTLE_SECONDS", "600").settle, Duration::from_mins(10));
}

#[test]
fn a_ledger_is_named_by_name_or_arn() {
    for table in ["abc", "Access-Entry_Guard.1", "arn:aws:dynamodb:eu-west-1:111122223333:table/guard"] {
        assert_eq!(with("LEDGER_TABLE", table).ledger_table.as_deref(), Some(table));
    }
}

#[test]
fn a_value_that_means_nothing_stops_with_one_line_that_names_it() {
    let long = "x".repeat(256);
    for (variable, value, accepted) in [
        ("MODE", "Repair", "repair, observe"),
        ("MODE", " repair", "repair, observe"),
        ("MODE", "dry\nrun", "repair, observe"),
        ("HOLD", "everything", "privileged, all, none"),
        ("ON_ROLE_DELETED", "delete", "report, remove"),
        ("MAX_REPAIRS", "-1", "from 0 to"),
        ("MAX_REPAIRS", "+1", "from 0 to"),
        ("MAX_REPAIRS", "1.5", "from 0 to"),
        ("MAX_REPAIRS", "4294967296", "from 0 to"),
        ("SETTLE_SECONDS", "601", "from 0 to 600"),
        ("SETTLE_SECONDS", "1m", "from 0 to 600"),
        ("MAX_CONCURRENCY_PER_REGION", "0", "from 1 to 100"),
        ("MAX_CONCURRENCY_PER_REGION", "101", "from 1 to 100"),
        ("MAX_REPORT_KB", "49", "from 50 to 5000"),
        ("MAX_REPORT_KB", "5001", "from 50 to 5000"),
        ("METRIC_NAMESPACE", ":x", "255"),
        ("METRIC_NAMESPACE", "AWS/EKS", "AWS/"),
        ("METRIC_NAMESPACE", "naïve", "ASCII"),
        ("METRIC_NAMESPACE", " ", "ASCII"),
        ("METRIC_NAMESPACE", long.as_str(), "255"),
        ("LEDGER_TABLE", "ab", "3 to 255"),
        ("LEDGER_TABLE", long.as_str(), "3 to 255"),
        ("LEDGER_TABLE", "my table", "3 to 255"),
        ("LEDGER_TABLE", "arn:aws:s3:::bucket", "ARN"),
        ("LEDGER_TABLE", "arn:aws:dynamodb:eu-west-1:111122223333:table/ab", "ARN"),
        ("LEDGER_TABLE", "arn:aws:dynamodb:eu-west-1:111122223333:table/guard/index/x", "ARN"),
        ("LEDGER_TABLE", "arn:aws:dynamodb:eu-west-1:1111:table/guard", "ARN"),
        ("ROLE_PATTERNS", "ok,!team/x", "comma list"),
        ("CLUSTER_PATTERNS", "prod cluster", "comma list"),
        ("TRUSTED_CREATORS", "ci-role", "AROA"),
        ("TRUSTED_CREATORS", "arn:aws:sts::111122223333:assumed-role/ci/x", "AROA"),
        ("REGIONS", "!ap-*", "all,!ap-*"),
        ("REGIONS", "ALL", "all,!ap-*"),
        ("REGIONS", "all,eu-west-1", "all,!ap-*"),
        ("REGIONS", "eu-west-1,!ap-*", "all,!ap-*"),
        ("REGIONS", "eu-*", "all,!ap-*"),
        ("REGIONS", "all,!", "all,!ap-*"),
        ("REGIONS", ",", "all,!ap-*"),
        ("REGIONS", "eu-west-1 us-east-1", "all,!ap-*"),
        ("REGIONS", "evil.example/eu-west-1", "all,!ap-*"),
    ] {
        let line = config(&[(variable, value)]).expect_err(value).to_string();
        assert!(line.starts_with(&format!("{variable}={value:?}")), "{line}");
        assert!(line.contains(accepted) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn all_regions_are_the_enabled_ones_but_those_excluded() {
    let enabled = regions(&["ap-south-1", "eu-south-1", "eu-west-1", "us-gov-west-1"]);
    for (text, expected) in [
        ("all", &enabled[..]),
        ("all,!ap-*", &enabled[1..]),
        (" all , !ap-* , !us-gov-west-1 ", &enabled[1..3]),
        ("!ap-*,all,!??-south-1", &enabled[2..]),
    ] {
        let selection = with("REGIONS", text).regions;
        assert_eq!(selection.choose(&enabled), expected, "{text}");
        assert!(selection.needs_enabled());
    }
}

#[test]
fn regions_named_by_hand_need_no_list() {
    let selection = with("REGIONS", "us-gov-east-1, us-gov-west-1,us-gov-east-1,").regions;
    assert!(!selection.needs_enabled());
    assert_eq!(selection.choose(&[]), regions(&["us-gov-east-1", "us-gov-west-1"]));
}

#[test]
fn the_regions_of_every_partition_have_a_known_form() {
    for name in [
        "us-east-1",
        "ap-southeast-5",
        "mx-central-1",
        "cn-north-1",
        "us-gov-west-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "eusc-de-east-1",
    ] {
        assert_eq!(Region::parse(name), Some(Region(name.to_owned())));
    }
    for name in
        ["", "eu", "eu-1", "eu-west", "EU-west-1", "eu-west-1a", "eu--1", "eu-west-123", "a.b-c-1", "eu-west-1/"]
    {
        assert_eq!(Region::parse(name), None, "{name}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_the_reading_panic_or_its_error_longer_than_a_line(value in ".{0,60}") {
        for variable in ["REGIONS", "MODE", "TRUSTED_CREATORS", "ROLE_PATTERNS", "MAX_REPAIRS", "SETTLE_SECONDS",
            "LEDGER_TABLE", "METRIC_NAMESPACE"]
        {
            if let Err(error) = config(&[(variable, &value)]) {
                prop_assert!(!error.to_string().contains(['\n', '\r']));
            }
        }
    }
}
