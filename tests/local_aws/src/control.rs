//! The control channel: a command of JSON per line of standard input, an answer per line of standard output.
//!
//! | `do` | members | answer |
//! |---|---|---|
//! | `world` | `regions`, `clusters`, `entries`, `matches`, `delayMs` | makes a new world ([`crate::setting`]) |
//! | `limit` | `perSecond`, `burst` | from now on EKS throttles, Region by Region |
//! | `refuse` | `share`, `seed` | from now on EKS throttles this share of all requests by chance |
//! | `hang` | `region` | from now on EKS in this Region never answers |
//! | `cluster` | `region`, `name`, `tags` | adds a cluster with an API server that listens ([`crate::kubernetes`]) |
//! | `uses-role` | `region`, `cluster`, `kind`, `name`, `role`, `status`, `issues`, `ageSeconds` | adds a `nodegroup`, `fargateProfile` or `capability` that uses the role of this ARN |
//! | `habits` | names and values | changes what AWS leaves open ([`interference::change_habits`]) |
//! | `principal` | `arn` | adds an IAM user, or a principal of another account, that EKS knows |
//! | `record-events` | | from now on roles that come and go are recorded ([`crate::event_bridge`]) |
//! | `deliver-events` | `afterMs` | from now on the function gets what was recorded |
//! | `log` | `line` | what the function wrote |
//! | `spoil` | `what` | from now on an entry that is created again is not as it was ([`interference::spoil_recreations`]) |
//! | `bring-back` | | the next entry that is deleted is there again at once |
//! | `act-as` | `role` | from now on a session of this role creates and deletes what the channel asks for |
//! | `deny`, `allow` | `operation` | nobody, everybody may call it |
//! | `left` | | the roles and access entries there are |
//! | `recreate` | `role` | deletes the role, if it is there, and creates it; the role |
//! | `regions` | | the Regions that worlds are made of |
//! | `admitted` | `role` | in how many clusters it is let in |
//! | `await-poll` | `sinceNs` | when a function polled, then or later, in nanoseconds of Unix time |
//! | `invoke` | `payload`, `alias`, `timeoutSeconds` | the function's answer and how long it took |
//! | `lambda` | `refuses`: `status`, `code`, `body` | from now on Lambda refuses to invoke the function; without `refuses` it does not |
//! | `invoked` | | what was handed to the function since the last time, and through which alias |
//! | `queue` | `name`, `region`, `bodies` | makes a queue, and puts messages into it; their IDs |
//! | `queued` | `name`, `region` | the messages of a queue, and for how long each is hidden |
//! | `calls` | | what was called since the last time ([`crate::tally`]) |
//! | `connections` | | connections and TLS handshakes since the start |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::cloud::{Cloud, HOME_REGION};
use crate::runtime_api::{RuntimeApi, TIMEOUT};
use crate::server::{Certificates, Door, Lambda, Site, listen};
use crate::{interference, kubernetes, setting, tally};

/// The name of the function that polls here.
const FUNCTION: &str = "access-entry-guard";

/// Serves until standard input ends.
pub async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let site = Arc::new(Site {
        cloud: Cloud::new(),
        runtime: RuntimeApi::new(),
        events: Default::default(),
        connections: Default::default(),
        handshakes: Default::default(),
        sqs: Default::default(),
        lambda: Default::default(),
    });
    let certificates = Certificates::new()?;
    // A fixed port is for those who reach AWS by its own names, in a network of their own.
    let tls_port = std::env::args().nth(1).map(|port| port.parse()).transpose()?.unwrap_or(0);
    let plain = listen(Arc::clone(&site), Door::Aws, None, 0).await?;
    let tls = listen(Arc::clone(&site), Door::Aws, Some(&certificates), tls_port).await?;
    let addresses = json!({
        "http": format!("http://{plain}"),
        "https": format!("https://{tls}"),
        "runtimeApi": plain.to_string(),
        "authority": certificates.authority_pem,
    });
    say(&addresses).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut delay = Duration::ZERO;
    while let Some(line) = lines.next_line().await? {
        let command: Value = serde_json::from_str(&line)?;
        say(&obey(&site, &command, &mut delay).await).await?;
    }
    Ok(())
}

async fn obey(site: &Arc<Site>, command: &Value, delay: &mut Duration) -> Value {
    let text = |name: &str| command[name].as_str().unwrap_or_default();
    let cloud = &site.cloud;
    match text("do") {
        "world" => {
            *delay = Duration::from_millis(command["delayMs"].as_u64().unwrap_or_default());
            setting::set(cloud, setting::Size::of(command), *delay);
            json!({})
        }
        "limit" => {
            let number = |name: &str| command[name].as_f64().unwrap_or(f64::INFINITY);
            cloud.limit_eks(number("perSecond"), number("burst"));
            json!({})
        }
        "refuse" => {
            let (share, seed) = (command["share"].as_f64(), command["seed"].as_u64());
            cloud.refuse_eks(share.unwrap_or_default(), seed.unwrap_or_default());
            json!({})
        }
        "hang" => {
            cloud.silent_region(text("region"));
            json!({})
        }
        "cluster" => {
            let cluster = kubernetes::Cluster { region: text("region").to_owned(), name: text("name").to_owned() };
            match serve_cluster(site, cluster, &command["tags"]).await {
                Ok(endpoint) => json!({"endpoint": endpoint}),
                Err(why) => json!({"error": why.to_string()}),
            }
        }
        "uses-role" => setting::add_user(cloud, command),
        "habits" => interference::change_habits(cloud, command),
        "principal" => {
            cloud.add_principal(text("arn"));
            json!({})
        }
        "record-events" => {
            site.events.record(site).await;
            json!({})
        }
        "deliver-events" => {
            let delay = Duration::from_millis(command["afterMs"].as_u64().unwrap_or_default());
            site.events.deliver(site, delay, FUNCTION).await;
            json!({})
        }
        "log" => {
            cloud.with(|world| world.log(HOME_REGION, &format!("/aws/lambda/{FUNCTION}"), text("line")));
            json!({})
        }
        "spoil" => {
            interference::spoil_recreations(cloud, text("what"));
            json!({})
        }
        "bring-back" => {
            interference::bring_back_once(cloud);
            json!({})
        }
        "act-as" => {
            cloud.acting_as_role(&cloud.role(text("role")));
            json!({})
        }
        "deny" => {
            cloud.deny(text("operation"));
            json!({})
        }
        "allow" => {
            cloud.allow(text("operation"));
            json!({})
        }
        "left" => interference::left(cloud),
        "recreate" => {
            let is_there = cloud.with(|world| world.roles.contains_key(&text("role").to_lowercase()));
            if is_there {
                cloud.recreate_role(text("role"))
            } else {
                cloud.add_role(text("role"))
            };
            setting::shown(cloud, text("role"))
        }
        "regions" => json!(setting::REGIONS),
        "admitted" => json!(setting::admitted(cloud, text("role"))),
        "await-poll" => {
            let since = UNIX_EPOCH + Duration::from_nanos(command["sinceNs"].as_u64().unwrap_or_default());
            let at = site.runtime.poll_since(since).await.duration_since(UNIX_EPOCH).unwrap_or_default();
            json!(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX))
        }
        "invoke" => {
            let timeout = command["timeoutSeconds"].as_u64().map_or(TIMEOUT, Duration::from_secs);
            let arn = site.function_arn(FUNCTION, command["alias"].as_str());
            let answer = site.runtime.invoke(arn, command["payload"].to_string().into_bytes(), timeout);
            // Lambda ends a function at its deadline; this one is not answered any more.
            let answer = tokio::time::timeout(timeout, answer).await.ok().flatten();
            answer.map_or(Value::Null, |answer| answer.to_value())
        }
        "lambda" => {
            let refusal = &command["refuses"];
            let status = refusal["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let code = refusal["code"].as_str().unwrap_or_default().to_owned();
            lambda(site).refusal = status.map(|status| (status, code, refusal["body"].clone()));
            json!({})
        }
        "invoked" => json!(std::mem::take(&mut lambda(site).invoked)),
        "queue" => {
            let region = command["region"].as_str().unwrap_or(HOME_REGION);
            site.sqs.make(region, text("name"));
            let bodies = command["bodies"].as_array().into_iter().flatten().filter_map(Value::as_str);
            json!(bodies.map(|body| site.sqs.put(region, text("name"), body)["messageId"].clone()).collect::<Vec<_>>())
        }
        "queued" => site.sqs.shown(command["region"].as_str().unwrap_or(HOME_REGION), text("name")),
        "calls" => {
            let tally = tally::tally(cloud, *delay);
            cloud.clear_calls();
            tally
        }
        "connections" => json!({
            "connections": site.connections.load(Ordering::Relaxed),
            "handshakes": site.handshakes.load(Ordering::Relaxed),
        }),
        other => json!({"error": format!("unknown command {other:?}")}),
    }
}

fn lambda(site: &Site) -> std::sync::MutexGuard<'_, Lambda> {
    site.lambda.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Adds a cluster, and listens as its API server under an authority of its own.
async fn serve_cluster(
    site: &Arc<Site>,
    cluster: kubernetes::Cluster,
    tags: &Value,
) -> Result<String, Box<dyn std::error::Error>> {
    let certificates = Certificates::new()?;
    let address = listen(Arc::clone(site), Door::Cluster(cluster.clone()), Some(&certificates), 0).await?;
    let endpoint = format!("https://{address}");
    let handle = site.cloud.add_cluster(&cluster.region, &cluster.name);
    handle.api_server(&endpoint, &BASE64.encode(certificates.authority_pem.as_bytes()));
    for (key, value) in tags.as_object().into_iter().flatten() {
        handle.tag(key, value.as_str().unwrap_or_default());
    }
    Ok(endpoint)
}

async fn say(answer: &Value) -> std::io::Result<()> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{answer}\n").as_bytes()).await?;
    out.flush().await
}
