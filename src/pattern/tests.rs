use proptest::prelude::*;

use super::*;

fn patterns(text: &str) -> Patterns {
    Patterns::parse(text).expect("patterns")
}

fn admitted<'a>(text: &str, names: &[&'a str]) -> Vec<&'a str> {
    let patterns = patterns(text);
    let arn = |name: &str| format!("arn:aws:iam::111122223333:role/team/{name}");
    names.iter().copied().filter(|name| patterns.admits(name, &arn(name))).collect()
}

#[test]
fn exclusions_win_and_alone_mean_all_but_these() {
    let names = ["prod-node", "prod-admin", "test-node"];
    for (text, expected) in [
        ("", &names[..]),
        ("  ", &names),
        (" , ", &names),
        ("*", &names),
        ("prod-*", &["prod-node", "prod-admin"]),
        ("prod-*,!*-admin", &["prod-node"]),
        ("!*-admin , prod-*", &["prod-node"]),
        ("!prod-*", &["test-node"]),
        ("! prod-*,", &["test-node"]),
        ("????-node", &["prod-node", "test-node"]),
        ("node", &[]),
        ("PROD-*", &[]),
        ("arn:aws:iam::111122223333:role/team/prod-*,!prod-admin", &["prod-node"]),
        ("!arn:aws:iam::*:role/team/prod-*", &["test-node"]),
        ("arn:aws:iam::999999999999:role/*", &[]),
        ("!*", &[]),
    ] {
        assert_eq!(admitted(text, &names), expected, "{text:?}");
    }
}

#[test]
fn a_pattern_that_could_never_match_is_refused() {
    for text in ["!", "prod,!team/prod-*", "!!x", "prod node", "rôle", "iam::111122223333:role/x", "ARN:aws:x", "[ab]*"]
    {
        let error = Patterns::parse(text).expect_err(text);
        assert!(!error.contains('\n'), "{error}");
    }
}

proptest! {
    #[test]
    fn what_is_excluded_is_never_admitted(
        list in proptest::collection::vec("!?[ab*?]{1,4}", 0..5),
        excluded in "[ab*?]{1,4}",
        name in "[ab]{1,5}",
    ) {
        let alone = Pattern::parse(&excluded).expect("a pattern");
        let list = format!("{},!{excluded}", list.join(","));
        prop_assert!(!(alone.matches(&name, "arn:x") && patterns(&list).admits(&name, "arn:x")));
    }

    #[test]
    fn no_text_makes_the_parsers_panic(text in ".{0,80}", arn in "arn:[a-z*]{0,4}:(iam|sts)?:.?:[0-9*]{0,12}:.{0,20}") {
        let _ = (Patterns::parse(&text), CreatorPattern::parse_list(&text), CreatorPattern::parse_list(&arn));
    }
}

fn trusted(pattern: &str, arn: &str, unique_id: &str) -> bool {
    let creator = Creator { arn: arn.to_owned(), unique_id: unique_id.to_owned() };
    CreatorPattern::parse(pattern).expect("a creator pattern").matches(&creator)
}

#[test]
fn a_unique_id_is_compared_exactly() {
    let arn = "arn:aws:iam::111122223333:role/ci";
    assert!(trusted("AROAEXAMPLECREATOR", arn, "AROAEXAMPLECREATOR"));
    assert!(!trusted("AROAEXAMPLECREATOR", arn, "AROAEXAMPLECREATO"));
    assert!(!trusted("AROAEXAMPLECREATOR", arn, "AROAEXAMPLECREATOR:session"));
    assert!(trusted("AIDAEXAMPLEUSER", "arn:aws:iam::111122223333:user/bob", "AIDAEXAMPLEUSER"));
}

#[test]
fn a_wildcard_of_a_creator_stays_within_one_part() {
    let account = "arn:aws:iam::111122223333";
    for (pattern, resource, expected) in [
        ("role/ci-*", "role/ci-deploy", true),
        ("role/ci-*", "role/team/ci-deploy", false),
        ("role/*", "role/team/ci-deploy", false),
        ("role/*", "user/ci-deploy", false),
        ("role/*/ci-?", "role/team/ci-1", true),
        ("role/*/ci-?", "role/team/sub/ci-1", false),
        // A path may contain a colon.
        ("role/*/ci", "role/te:am/ci", false),
        ("role/ci", "role/ci/ci", false),
        ("role/ci*", "role/ci/", false),
        ("role/ci", "role/CI", false),
        ("user/bob", "user/bob", true),
        ("user/bob", "role/bob", false),
    ] {
        let (pattern, arn) = (format!("{account}:{pattern}"), format!("{account}:{resource}"));
        assert_eq!(trusted(&pattern, &arn, "AROAX"), expected, "{pattern} {arn}");
    }
    assert!(!trusted("arn:aws:iam::111122223333:role/ci", "arn:aws:iam::444455556666:role/ci", "AROAX"));
    assert!(!trusted("arn:aws:iam::111122223333:role/ci", "arn:aws-cn:iam::111122223333:role/ci", "AROAX"));
    assert!(trusted("arn:aws*:iam::111122223333:role/ci", "arn:aws-cn:iam::111122223333:role/ci", "AROAX"));
}

#[test]
fn what_is_neither_a_unique_id_nor_an_arn_of_a_role_or_user_is_refused() {
    for text in [
        "*",
        "ci-deploy",
        "role/ci",
        "!arn:aws:iam::111122223333:role/ci",
        "AROA",
        "AROA*",
        "AROAEXAMPLE:session",
        "ASIAEXAMPLE",
        "aroaexample",
        "arn:aws:iam::*:role/ci",
        "arn:aws:iam::11112222333?:role/ci",
        "arn:aws:iam::111122223333:*",
        "arn:aws:iam::111122223333:*/ci",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/team/",
        "arn:aws:iam::111122223333:role",
        "arn:aws:iam:us-east-1:111122223333:role/ci",
        "arn:aws:*::111122223333:role/ci",
        "arn:aws:iam::111122223333:role/c i",
        "arn:",
        "arn:*",
    ] {
        assert!(CreatorPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_arn_of_a_session_is_refused_with_the_reason() {
    let error =
        CreatorPattern::parse_list("AROAX, arn:aws:sts::111122223333:assumed-role/ci/anyone").expect_err("an error");
    assert!(error.contains("session") && error.contains("role behind"), "{error}");
}
