//! CloudTrail and EventBridge between IAM and the function: once it records, every role that somebody creates or deletes
//! over the wire becomes an event, which the function gets through its alias `events` when the test lets it. Where the
//! function fails, it gets the event twice more, as with asynchronous invocations.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Mutex, mpsc};

use crate::cloud::{Action, Call, HOME_REGION, Phase, World};
use crate::runtime_api::TIMEOUT;
use crate::server::Site;

/// The events that were recorded and not delivered yet.
#[derive(Default)]
pub struct EventBridge(Mutex<Option<mpsc::UnboundedReceiver<Value>>>);

impl EventBridge {
    /// From now on roles that come and go are recorded.
    pub async fn record(&self, site: &Site) {
        let (records, recorded) = mpsc::unbounded_channel();
        *self.0.lock().await = Some(recorded);
        site.cloud.intercept(move |call, phase, world| {
            if phase == Phase::After && call.status == Some(200) {
                // Nobody listens any more once another recording has begun.
                let _ = event(call, world).map(|event| records.send(event));
            }
            Action::Proceed
        });
    }

    /// Delivers what was recorded, so much later than now, and what comes, so much later than it came.
    pub async fn deliver(&self, site: &Arc<Site>, delay: Duration, function: &'static str) {
        let Some(mut recorded) = self.0.lock().await.take() else { return };
        let site = Arc::clone(site);
        tokio::spawn(async move {
            while let Some(event) = recorded.recv().await {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    invoke(&site, &event, function).await;
                });
            }
        });
    }
}

async fn invoke(site: &Site, event: &Value, function: &str) {
    for _ in 0..3 {
        let arn = site.function_arn(function, Some("events"));
        let answer = site.runtime.invoke(arn, event.to_string().into_bytes(), TIMEOUT).await;
        if answer.is_none_or(|answer| !answer.is_error) {
            return;
        }
    }
}

fn event(call: &Call, world: &World) -> Option<Value> {
    let name = call.role_name.as_ref()?;
    let reply = match call.operation.as_str() {
        "CreateRole" => {
            let role = world.roles.get(&name.to_lowercase())?;
            json!({ "role": { "path": role.path, "roleName": role.name, "roleId": role.id, "arn": role.arn } })
        }
        "DeleteRole" => Value::Null,
        _ => return None,
    };
    let (operator, user_id) = world.identity("");
    let at = call.at.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()?;
    Some(json!({
        "version": "0", "id": format!("00000000-0000-4000-a000-{:012}", call.n), "source": "aws.iam",
        "detail-type": "AWS API Call via CloudTrail", "account": world.account, "time": at,
        "region": HOME_REGION, "resources": [],
        "detail": {
            "eventVersion": "1.11", "eventSource": "iam.amazonaws.com", "eventName": call.operation, "eventTime": at,
            "awsRegion": HOME_REGION, "eventID": format!("00000000-0000-4000-b000-{:012}", call.n),
            "userIdentity": {
                "type": "IAMUser", "principalId": user_id, "arn": operator, "accountId": world.account,
                "userName": "operator",
            },
            "requestParameters": { "roleName": name }, "responseElements": reply,
            "eventType": "AwsApiCall", "recipientAccountId": world.account, "eventCategory": "Management",
        },
    }))
}
