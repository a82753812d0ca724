//! Whatever arrives, classification ends, and points at this account's roles only.

use proptest::prelude::*;

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        ".{0,12}".prop_map(|value| json!(value)),
        prop_oneof!["None", "444455556666", "CreateRole", "AcquireRole", "arn:aws:iam::444455556666:role/x", "/é/"]
            .prop_map(|value| json!(value)),
    ];
    let key = prop_oneof![
        "[a-z]{1,4}",
        Just("command".to_owned()),
        Just("Records".to_owned()),
        Just("requestPayload".to_owned()),
        Just("detail".to_owned()),
        Just("source".to_owned()),
        Just("Events".to_owned()),
        Just("eventName".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// The pointers of all members and items.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| pointers(member, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| pointers(item, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

fn mutated() -> impl Strategy<Value = Value> {
    let samples = prop_oneof![
        Just(create_role()),
        Just(delete_role()),
        Just(json!({"requestPayload": create_role()})),
        Just(json!({"source": "lambda", "detail-type": "Lambda Function Invocation Result - Failure",
            "detail": {"requestPayload": create_role()}})),
        Just(create_role()["detail"].clone()),
        Just(looked_up(&[create_role(), delete_role()])),
        Just(json!({"Records": [message("a", &create_role().to_string())]})),
        Just(approve()),
    ];
    (samples, proptest::collection::vec((any::<proptest::sample::Index>(), any_json()), 1..4)).prop_map(
        |(mut sample, changes)| {
            for (index, replacement) in changes {
                let mut found = Vec::new();
                pointers(&sample, "", &mut found);
                if let Some(place) = sample.pointer_mut(index.get(&found).as_str()) {
                    *place = replacement;
                }
            }
            sample
        },
    )
}

fn role_events(trigger: Trigger) -> Vec<RoleEvent> {
    match trigger {
        Trigger::Role(event) => vec![event],
        Trigger::Roles(events) => events,
        Trigger::Batch(records) => records
            .into_iter()
            .filter_map(|record| match record.content {
                Ok(BatchContent::Role(event)) => Some(event),
                _ => None,
            })
            .collect(),
        Trigger::Ignored { .. } | Trigger::Command(_) => Vec::new(),
    }
}

proptest! {
    #[test]
    fn no_payload_makes_the_classification_panic_or_points_it_abroad(
        payload in prop_oneof![any_json(), mutated()],
        qualifier in prop_oneof![Just(""), Just(":events"), Just(":approve")],
    ) {
        let invocation = invoked(qualifier);
        for event in classify(&payload, &invocation).into_iter().flat_map(role_events) {
            if let RoleChange::Created { arn, .. } = &event.change {
                prop_assert!(arn.is_of(&invocation.home) && !arn.is_service_linked());
            }
            prop_assert!(event.creator.is_none() || qualifier == ":events");
        }
    }
}
