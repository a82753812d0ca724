//! Which exit status an answer means.

use serde_json::{Value, json};

use super::{Answer, FunctionNamed, Word, meaning, reasons, summary};
use crate::model::Home;

fn home() -> Home {
    Home { partition: "aws".to_owned(), account: "111122223333".to_owned() }
}

fn entry(verdict: &str, outcome: &str, reason: &str) -> Value {
    let mut entry = json!({"verdict": verdict, "outcome": outcome});
    if !reason.is_empty() {
        entry["reason"] = json!(reason);
    }
    entry
}

fn report(command: &str, entries: &[Value]) -> Value {
    json!({
        "version": "1", "trigger": "command", "command": command, "regions": 2, "clusters": 1, "entriesExamined": entries.len(),
        "entriesNotReached": 0, "entries": entries, "entriesOmitted": 0, "blindSpots": [], "batchItemFailures": [],
    })
}

fn with(mut report: Value, name: &str, value: Value) -> Value {
    report[name] = value;
    report
}

fn status(word: Word, answer: &Value, is_error: bool, accepted: &[&str]) -> u8 {
    let accepted: Vec<String> = accepted.iter().map(|&reason| reason.to_owned()).collect();
    meaning(word, &Answer::read(word, answer.to_string().as_bytes(), is_error), &accepted).status
}

#[test]
fn the_status_of_a_check_says_whether_the_entries_are_good() {
    let (fresh, stale) = (entry("fresh", "none", ""), entry("stale", "none", ""));
    let undecided = entry("undecided", "none", "serviceLinkedRole");
    let blind = json!([{"region": "eu-west-1", "reason": "accessDenied", "detail": "ListClusters: AccessDenied"}]);
    let check = |entries: &[Value]| report("check", entries);
    let cases = [
        ("every entry fresh", check(&[fresh.clone(), fresh.clone()]), 0),
        ("one stale", check(&[stale.clone(), fresh.clone()]), 1),
        ("one orphaned", check(&[entry("orphaned", "none", ""), fresh.clone()]), 1),
        ("one missing", check(&[entry("missing", "none", "")]), 1),
        ("one stale beside a blind spot", with(check(std::slice::from_ref(&stale)), "blindSpots", blind.clone()), 1),
        ("one stale, others not reached", with(check(&[stale]), "entriesNotReached", json!(2)), 1),
        ("one undecided", check(&[fresh.clone(), undecided]), 2),
        ("a verdict of a later version", check(&[entry("new", "none", "")]), 2),
        ("a blind spot", with(check(std::slice::from_ref(&fresh)), "blindSpots", blind), 2),
        (
            "entries cut off by the deadline",
            with(check(std::slice::from_ref(&fresh)), "entriesNotReached", json!(3)),
            2,
        ),
        ("entries left out of the report", with(check(std::slice::from_ref(&fresh)), "entriesOmitted", json!(1)), 2),
        ("nothing to look at", check(&[]), 2),
        ("no such cluster", with(check(&[]), "reason", json!("there is no EKS cluster prod")), 2),
        ("the report of another command", report("sweep", std::slice::from_ref(&fresh)), 2),
        ("no report", json!({"hello": "world"}), 2),
        ("another thing than an object", json!([]), 2),
        ("entries of another form", with(check(&[]), "entries", json!([null])), 2),
    ];
    for (name, answer, expected) in cases {
        assert_eq!(status(Word::Check, &answer, false, &[]), expected, "{name}");
    }
    let failure = json!({"errorType": "RepairIncomplete", "errorMessage": "1 blind spots (eu-west-1 throttled)"});
    assert_eq!(status(Word::Check, &failure, true, &[]), 2);
    assert_eq!(status(Word::Check, &check(&[fresh]), true, &[]), 2, "an error that looks like a report");
    assert_eq!(meaning(Word::Check, &Answer::read(Word::Check, b"<html>", false), &[]).status, 2);
}

#[test]
fn an_undecided_entry_passes_by_its_reason_and_a_stale_one_never() {
    let undecided = entry("undecided", "none", "serviceLinkedRole");
    let check = report("check", std::slice::from_ref(&undecided));
    assert_eq!(status(Word::Check, &check, false, &["iamUser", "serviceLinkedRole"]), 0);
    assert_eq!(status(Word::Check, &check, false, &["iamUser"]), 2);
    let stale = report("check", &[entry("stale", "none", "serviceLinkedRole"), undecided]);
    assert_eq!(status(Word::Check, &stale, false, &["serviceLinkedRole"]), 1);
    let without_reason = report("check", &[entry("undecided", "none", "")]);
    assert_eq!(status(Word::Check, &without_reason, false, &["serviceLinkedRole"]), 2);
}

#[test]
fn whoever_acts_is_told_what_was_not_done() {
    for (word, name) in [(Word::Repair, "repair"), (Word::Sweep, "sweep"), (Word::Event, "repair")] {
        let done = report(name, &[entry("stale", "repaired", ""), entry("stale", "held", "privileged")]);
        assert_eq!(status(word, &done, false, &[]), 0, "{name}: what is held waits for a person");
        for outcome in ["failed", "deferred"] {
            let left = report(name, &[entry("stale", "repaired", ""), entry("stale", outcome, "awsError")]);
            assert_eq!(status(word, &left, false, &[]), 1, "{name}: {outcome}");
        }
    }
    let batch = with(report("", &[]), "batchItemFailures", json!([{"itemIdentifier": "1"}]));
    assert_eq!(status(Word::Event, &batch, false, &[]), 1);
}

#[test]
fn an_approval_is_done_if_the_entry_is_good_afterwards_and_not_if_it_waits() {
    let good = entry("fresh", "none", "");
    let approved = vec![entry("stale", "repaired", ""), good.clone()];
    for (word, name, all_done) in
        [(Word::Approve, "approve", approved), (Word::Restore, "restore", vec![entry("missing", "restored", "")])]
    {
        for left in [
            entry("stale", "held", "observing"),
            entry("stale", "wouldRepair", ""),
            entry("missing", "none", ""),
            entry("undecided", "none", "roleUnreadable"),
            entry("stale", "none", "replacedByOther"),
        ] {
            assert_eq!(status(word, &report(name, std::slice::from_ref(&left)), false, &[]), 1, "{name}: {left}");
        }
        for done in all_done {
            assert_eq!(status(word, &report(name, std::slice::from_ref(&done)), false, &[]), 0, "{name}: {done}");
        }
        let no_cluster = with(report(name, &[]), "reason", json!("there is no EKS cluster prod"));
        assert_eq!(status(word, &no_cluster, false, &[]), 2, "{name}");
    }
    assert_eq!(status(Word::Restore, &report("restore", &[good]), false, &[]), 1, "nothing was restored");
}

#[test]
fn an_invocation_that_failed_is_not_one_that_was_refused() {
    let error = |kind: &str| json!({"errorType": kind, "errorMessage": "why"});
    for word in [Word::Repair, Word::Approve, Word::Restore, Word::Forget, Word::Sweep, Word::Event] {
        for kind in ["RepairIncomplete", "LedgerUnavailable", "Runtime.ExitError", ""] {
            assert_eq!(status(word, &error(kind), true, &[]), 1, "{word:?} {kind}");
        }
        for kind in ["UnrecognizedPayload", "NotPermitted"] {
            assert_eq!(status(word, &error(kind), true, &[]), 2, "{word:?} {kind}");
        }
    }
    for word in [Word::Check, Word::Inventory] {
        assert_eq!(status(word, &error("LedgerUnavailable"), true, &[]), 2, "{word:?}");
    }
}

#[test]
fn an_ignored_event_is_a_success_that_says_why() {
    let ignored = with(with(report("", &[]), "trigger", json!("ignored")), "reason", json!("it is of another account"));
    let answer = Answer::read(Word::Event, ignored.to_string().as_bytes(), false);
    let meaning = meaning(Word::Event, &answer, &[]);
    assert_eq!((meaning.status, meaning.summary.as_str()), (0, "Ignored: it is of another account."));
}

#[test]
fn a_summary_says_what_was_not_seen_and_counts_in_english() {
    let unseen = |number: usize| {
        let mut report = report("", &[entry("stale", "repaired", "")]);
        report["entriesNotReached"] = json!(number);
        report["clustersExcluded"] = json!(number);
        report["blindSpots"] = json!(vec!["one"; number]);
        summary(&report)
    };
    let all = "1 entry examined in 1 cluster of 2 Regions; 1 repaired";
    assert_eq!(unseen(0), format!("{all}."));
    assert_eq!(
        unseen(1),
        format!("{all}; 1 entry not reached; 1 cluster excluded by CLUSTER_PATTERNS; 1 cluster or Region not read.")
    );
    assert_eq!(
        unseen(2),
        format!(
            "{all}; 2 entries not reached; 2 clusters excluded by CLUSTER_PATTERNS; 2 clusters or Regions not read."
        )
    );
}

#[test]
fn a_row_that_was_not_deleted_is_not_forgotten() {
    let kept = with(report("forget", &[]), "reason", json!("the row is of an unfinished repair"));
    assert_eq!(status(Word::Forget, &kept, false, &[]), 1);
    let gone = with(report("forget", &[]), "forgotten", json!({"state": "recorded"}));
    assert_eq!(status(Word::Forget, &gone, false, &[]), 0);
}

#[test]
fn an_error_is_one_line() {
    let payload = json!({"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1\nError: exit status 1\n"});
    let Answer::Failed(error) = Answer::read(Word::Sweep, payload.to_string().as_bytes(), true) else {
        panic!("failed")
    };
    assert_eq!(error.to_string(), "Runtime.ExitError: RequestId: 1 Error: exit status 1");
}

#[test]
fn a_function_is_named_by_its_name_or_its_arn_and_never_with_an_alias() {
    let parse = |text: &str, region: Option<&str>| FunctionNamed::parse(text, region, &home());
    let arn = "arn:aws-cn:lambda:cn-north-1:444455556666:function:guard";
    let function = parse(arn, None).expect("an ARN");
    assert_eq!((function.region.0.as_str(), function.home.account.as_str()), ("cn-north-1", "444455556666"));
    assert_eq!(function.arn(), arn);
    assert_eq!(parse("guard", Some("eu-west-1")).expect("a name").region.0, "eu-west-1");
    assert_eq!(parse("guard", None).expect("a name").region.0, "us-east-1");
    for (text, region) in [
        ("guard:approve", None),
        ("arn:aws:lambda:us-east-1:111122223333:function:guard:approve", None),
        ("arn:aws:lambda:us-east-1:111122223333:function:guard", Some("eu-west-1")),
        ("arn:aws:iam::111122223333:role/guard", None),
        ("", None),
        ("guard", Some("Ireland")),
    ] {
        assert!(parse(text, region).is_err(), "{text} {region:?}");
    }
}

#[test]
fn the_default_region_is_that_of_the_partitions_iam_events() {
    for (partition, region) in [("aws", "us-east-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")] {
        let home = Home { partition: partition.to_owned(), account: "111122223333".to_owned() };
        assert_eq!(FunctionNamed::parse("guard", None, &home).expect("a name").region.0, region);
    }
}

#[test]
fn every_reason_is_in_the_list_once() {
    let reasons = reasons();
    let mut once = reasons.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), reasons.len());
    assert!(
        ["privileged", "serviceLinkedRole", "awsError", "roleGone", "leaseTaken"].iter().all(|it| reasons.contains(it))
    );
}
