use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn ec2(policy: &str) -> bool {
    admits_only_the_service_of(&EntryType::Ec2Linux, Some(policy))
}

fn allowing(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Node", "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"},
    ]})
    .to_string()
}

#[test]
fn each_node_type_has_its_own_service() {
    for (kind, services) in [
        ("EC2_LINUX", &["ec2"][..]),
        ("EC2_WINDOWS", &["ec2"]),
        ("EC2", &["ec2"]),
        ("FARGATE_LINUX", &["eks-fargate-pods"]),
        ("HYBRID_LINUX", &["ssm", "rolesanywhere"]),
        ("HYPERPOD_LINUX", &["sagemaker"]),
        ("STANDARD", &[]),
        ("EC2_FUTURE", &[]),
    ] {
        let entry_type = EntryType::from(kind.to_owned());
        for service in ["ec2", "eks-fargate-pods", "ssm", "rolesanywhere", "sagemaker", "lambda"] {
            for suffix in [".amazonaws.com", ".amazonaws.com.cn"] {
                let policy = allowing(&json!({"Service": format!("{service}{suffix}")}));
                let admitted = admits_only_the_service_of(&entry_type, Some(&policy));
                assert_eq!(admitted, services.contains(&service), "{kind} {service}{suffix}");
            }
        }
    }
}

#[test]
fn the_usual_node_policies_are_admitted() {
    assert!(ec2(&allowing(&json!({"Service": ["ec2.amazonaws.com"]}))));
    for policy in [
        json!({"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"Bool": {"aws:x": true}}}}),
        json!({"Id": "x", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": {"Null": {"a": 1.5, "b": -1}}},
            {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "*"},
        ]}),
    ] {
        assert!(ec2(&policy.to_string()), "{policy}");
    }
    let either = json!({"Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "rolesanywhere.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]});
    assert!(admits_only_the_service_of(&EntryType::HybridLinux, Some(&either.to_string())));
}

#[test]
fn a_foreign_principal_in_any_form_is_seen() {
    for principal in [
        json!("*"),
        json!({"AWS": "*"}),
        json!({"Service": "*"}),
        json!({"Service": "ec2.amazonaws.com", "AWS": "arn:aws:iam::111122223333:user/mallory"}),
        json!({"Service": "ec2.amazonaws.com", "Federated": "cognito-identity.amazonaws.com"}),
        json!({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}),
        json!({"Service": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}),
        json!({"Service": []}),
        json!({"Service": {"x": "ec2.amazonaws.com"}}),
        json!({"Service": "ec2.amazonaws.com.evil.example"}),
        json!({"Service": "evil.ec2.amazonaws.com"}),
        json!({"Service": "ec2.eu-west-1.amazonaws.com"}),
        json!({"Service": "EC2.amazonaws.com"}),
        json!({"Service": "ec2.amazonaws.com "}),
        json!({"service": "ec2.amazonaws.com"}),
        json!({"AWS": "AROAEXAMPLEMALLORY"}),
        json!(null),
        json!(["ec2.amazonaws.com"]),
    ] {
        assert!(!ec2(&allowing(&principal)), "{principal}");
    }
}

#[test]
fn a_second_statement_is_not_overlooked() {
    let service = json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"});
    for other in [
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/mallory"}, "Action": "*"}),
        json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:user/bob"}, "Action": "*"}),
        json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "NotPrincipal": {"AWS": "*"}}),
        json!({"Effect": "Allow", "Action": "sts:AssumeRole"}),
        json!({"Effect": "allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}),
        json!({"effect": "Allow", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}),
        json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "principal": {"AWS": "*"}}),
        json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Grant": "Allow"}),
        json!({"Principal": {"Service": "ec2.amazonaws.com"}}),
        json!({"Effect": ["Allow"], "Principal": {"AWS": "*"}}),
        json!("Allow"),
        json!([service]),
    ] {
        for statements in [json!([service, other]), json!([other, service])] {
            assert!(!ec2(&json!({"Statement": statements}).to_string()), "{statements}");
        }
    }
}

#[test]
fn a_policy_that_grants_nothing_or_is_not_understood_is_not_admitted() {
    assert!(!admits_only_the_service_of(&EntryType::Ec2Linux, None));
    for policy in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"Statement": []}"#,
        r#"{"Statement": "x"}"#,
        r#"{"Statement": [{"Effect": "Deny", "Principal": "*"}]}"#,
        r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}, "statement": []}"#,
        r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}} {}"#,
        r#"{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}, "Statements": []}"#,
    ] {
        assert!(!ec2(policy), "{policy}");
    }
}

#[test]
fn a_key_that_occurs_twice_fools_nobody() {
    let service = r#"{"Service": "ec2.amazonaws.com"}"#;
    let twice = r#"{"Service": "lambda.amazonaws.com", "Service": "ec2.amazonaws.com"}"#;
    let allow = format!(r#"{{"Effect": "Allow", "Principal": {service}}}"#);
    assert!(ec2(&format!(r#"{{"Statement": {allow}}}"#)));
    for policy in [
        format!(r#"{{"Statement": {{"Effect": "Allow", "Principal": {{"AWS": "*"}}, "Principal": {service}}}}}"#),
        format!(r#"{{"Statement": {{"Effect": "Allow", "Principal": {service}, "Princip\u0061l": {{"AWS": "*"}}}}}}"#),
        format!(r#"{{"Statement": {{"Effect": "Deny", "Effect": "Allow", "Principal": {service}}}}}"#),
        format!(r#"{{"Statement": {{"Effect": "Allow", "Principal": "*"}}, "Statement": {allow}}}"#),
        format!(r#"{{"Statement": {{"Effect": "Allow", "Principal": {twice}}}}}"#),
    ] {
        assert!(!ec2(&policy), "{policy}");
    }
}

#[test]
fn a_policy_nested_without_end_is_refused_without_a_crash() {
    let deep = format!(r#"{{"Statement": {}"#, "[".repeat(100_000));
    assert!(!ec2(&deep));
}

#[test]
fn a_document_is_decoded_where_it_is_encoded() {
    let plain = allowing(&json!({"Service": "ec2.amazonaws.com"}));
    let encoded = utf8_percent_encode(&plain, NON_ALPHANUMERIC).to_string();
    assert_eq!(decode(&encoded).as_deref(), Some(plain.as_str()));
    assert_eq!(decode(&plain).as_deref(), Some(plain.as_str()));
    // A plain document may quote an encoded text; a plus sign is no blank in RFC 3986.
    let quoting = r#" {"Sid": "%7B+%"}"#;
    assert_eq!(decode(quoting).as_deref(), Some(quoting));
    assert_eq!(decode("%7B%22a%22%3A%22b+c%22%7D").as_deref(), Some(r#"{"a":"b+c"}"#));
    for neither in ["", "  ", "None", "%7", "%7B%zz%7D", "%7B%ff%7D", "%257B%257D", "%5B%5D"] {
        assert_eq!(decode(neither), None, "{neither}");
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(text in r"\{.{0,60}") {
        let encoded = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        prop_assert_eq!(decode(&encoded), Some(text));
    }

    #[test]
    fn no_text_makes_the_reading_panic(text in ".{0,120}", json in r#"[{}\[\]":,aPE0-9 %]{0,60}"#) {
        for text in [text, json] {
            let _ = (decode(&text), ec2(&text));
        }
    }

    #[test]
    fn a_principal_added_anywhere_takes_the_admission_away(
        before in 0_usize..3, after in 0_usize..3, kind in "AWS|Federated|CanonicalUser|Other", wildcard: bool,
    ) {
        let service = json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "*"});
        let mut statements = vec![service; before + 1 + after];
        let policy = |statements: &[Value]| json!({"Statement": statements}).to_string();
        prop_assert!(ec2(&policy(&statements)));
        statements[before]["Principal"][kind] = json!(if wildcard { "*" } else { "arn:aws:iam::111122223333:root" });
        prop_assert!(!ec2(&policy(&statements)));
    }
}
