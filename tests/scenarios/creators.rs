//! Whom to trust, from the event history and the entries that there are. Needs the feature `cli`.

use std::sync::Mutex;
use std::time::Duration;

use access_entry_guard::aws::Reads;
use access_entry_guard::creators::{AssumedBy, Candidate, Creators};
use access_entry_guard::history::{Found, NothingSeen, Progress, search};
use access_entry_guard::model::{Home, Region, RoleArn};
use access_entry_guard::scan;
use serde_json::json;

use crate::cloud::cloudtrail::Record;
use crate::cloud::{EntrySpec, Role, trust};
use crate::stage::{CLUSTER, REGION, Stage, everything, viewer};

/// Hears, and remembers what it heard.
#[derive(Default)]
struct Ear {
    at_least: Mutex<Option<(usize, Duration)>>,
    throttled: Mutex<usize>,
    events: Mutex<usize>,
}

impl scan::Progress for Ear {
    fn region(&self, _: usize) {}
    fn cluster(&self, _: usize) {}
    fn entry(&self) {}
    fn throttled(&self, _: &Region) {
        *self.throttled.lock().unwrap() += 1;
    }
}

impl Progress for Ear {
    fn begins(&self, roles: usize, at_least: Duration) {
        *self.at_least.lock().unwrap() = Some((roles, at_least));
    }
    fn history(&self, events: usize, _: time::OffsetDateTime) {
        *self.events.lock().unwrap() = events;
    }
}

async fn search_with(stage: &Stage, ear: &Ear) -> Result<Found, NothingSeen> {
    let reads = Reads::new(&stage.cloud.sdk_config());
    let home = Home { partition: "aws".to_owned(), account: "111122223333".to_owned() };
    let regions = vec![Region("eu-west-1".to_owned()), Region("us-east-1".to_owned())];
    let clock = stage.cloud.clock();
    search(&reads, &home, regions, Duration::from_hours(90 * 24), ear, &*clock).await
}

async fn search_all(stage: &Stage) -> Found {
    search_with(stage, &Ear::default()).await.expect("something was seen")
}

fn ids(creators: &Creators) -> Vec<&str> {
    creators.candidates.iter().map(|candidate| candidate.creator.unique_id.as_str()).collect()
}

/// A role that creates others, here long before.
async fn pipeline(stage: &Stage, name: &str) -> Role {
    stage.cloud.acting_as(json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"}));
    let role = stage.cloud.create_role("/ci/", name, &trust::aws("arn:aws:iam::111122223333:user/ana"));
    tokio::time::sleep(Duration::from_mins(1)).await;
    role
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_whose_roles_get_entries_is_a_candidate_with_what_it_could_release_and_who_may_assume_it() {
    let stage = Stage::set();
    let deploy = pipeline(&stage, "deploy").await;
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("viewer", viewer()).await;
    stage.role_with("admin", everything()).await;
    stage.node("node").await;

    let found = search_all(&stage).await;

    assert_eq!(ids(&found.creators), [deploy.id.as_str()]);
    let Candidate { roles, could_release, assumed_by, .. } = &found.creators.candidates[0];
    assert_eq!(roles.len(), 3);
    let released: Vec<&str> = could_release.iter().map(|it| it.principal.name()).collect();
    assert_eq!(released, ["admin"], "neither a view entry nor a plain node's waits for anybody");
    assert!(could_release[0].grants.contains("AmazonEKSClusterAdminPolicy"), "{could_release:?}");
    assert_eq!(*assumed_by, AssumedBy::Principals(vec!["AWS arn:aws:iam::111122223333:user/ana".to_owned()]));
    assert!(found.blind_spots.is_empty() && !found.is_unsure);
    assert!(!format!("{found:?}").contains("session-of-nobody"), "a caller chooses the session's name");
    // Whom a search finds is whom the function would trust.
    let trusting = stage.clone().with("TRUSTED_CREATORS", ids(&found.creators)[0]);
    let admin = stage.recreate("admin").await;
    trusting.deliver(stage.created_by(&admin, &deploy.id, &deploy.arn)).await.unwrap();
    assert!(stage.admits("admin"));
}

#[tokio::test(start_paused = true)]
async fn whoever_recreates_freed_names_is_shown_without_a_value_and_never_as_a_candidate() {
    let stage = Stage::set();
    let (deploy, mallory) = (pipeline(&stage, "deploy").await, pipeline(&stage, "mallory").await);
    stage.cloud.acting_as_role(&deploy);
    for n in 0..12 {
        stage.role_with(&format!("app{n}"), everything()).await;
    }
    for n in 0..10 {
        stage.cloud.delete_role(&format!("app{n}"));
    }
    stage.cloud.acting_as_role(&mallory);
    stage.role_with("bait", viewer()).await;
    for n in 0..10 {
        stage.cloud.add_role(&format!("app{n}"));
    }
    stage.settle().await;

    let found = search_all(&stage).await.creators;

    assert_eq!(ids(&found), [deploy.id.as_str()]);
    let askers: Vec<(&str, usize)> = found.askers.iter().map(|it| (it.name.as_str(), it.taken.len())).collect();
    assert_eq!(askers, [("role/ci/mallory", 10)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_function_repaired_is_no_evidence_for_whoever_took_the_name() {
    let stage = Stage::set();
    let (deploy, mallory) = (pipeline(&stage, "deploy").await, pipeline(&stage, "mallory").await);
    stage.cloud.acting_as_role(&deploy);
    stage.node("node").await;
    stage.node("other").await;
    stage.cloud.delete_role("node");
    stage.cloud.acting_as_role(&mallory);
    let node = stage.cloud.add_role("node");
    stage.settle().await;
    stage.deliver(stage.created_by(&node, &mallory.id, &mallory.arn)).await.unwrap();
    assert!(stage.admits("node"), "a plain node's entry is repaired for whomever");

    let found = search_all(&stage).await.creators;

    assert_eq!(ids(&found), [deploy.id.as_str()]);
    assert_eq!(found.askers, []);
}

#[tokio::test(start_paused = true)]
async fn a_creator_that_was_recreated_itself_is_no_candidate() {
    let stage = Stage::set();
    let deploy = pipeline(&stage, "deploy").await;
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("app", viewer()).await;
    stage.cloud.recreate_role("deploy");
    stage.settle().await;

    let found = search_all(&stage).await.creators;

    assert_eq!((ids(&found), found.gone.as_slice()), (vec![], &["role/ci/deploy".to_owned()][..]));
}

#[tokio::test(start_paused = true)]
async fn whoever_fails_to_create_a_role_is_nobodys_creator() {
    let stage = Stage::set();
    let (deploy, mallory) = (pipeline(&stage, "deploy").await, pipeline(&stage, "mallory").await);
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("app", viewer()).await;
    stage.cloud.acting_as_role(&mallory);
    stage.cloud.with(|world| {
        let by = world.actor.clone().unwrap();
        let created = world.trail.iter().rfind(|record| record.resource == "app").unwrap().clone();
        let error_code = Some("EntityAlreadyExistsException".to_owned());
        world.trail.push(Record { at: world.now(), by, error_code, response: json!(null), ..created });
    });

    let found = search_all(&stage).await.creators;

    assert_eq!((ids(&found), found.askers.len()), (vec![deploy.id.as_str()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_user_counts_while_it_has_the_id_that_created() {
    let stage = Stage::set();
    let arn = "arn:aws:iam::111122223333:user/team/bob";
    stage.cloud.add_principal(arn);
    let id = stage.cloud.with(|world| world.other_principals[arn].clone());
    stage.cloud.acting_as(json!({"type": "IAMUser", "arn": arn, "principalId": id, "userName": "bob"}));
    stage.role_with("app", viewer()).await;

    let found = search_all(&stage).await.creators;
    assert_eq!(ids(&found), [id.as_str()]);
    assert_eq!(found.candidates[0].assumed_by, AssumedBy::User);

    stage.cloud.add_principal(arn);
    let found = search_all(&stage).await.creators;
    assert_eq!((ids(&found), found.gone.len()), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn the_history_is_read_page_by_page_at_its_pace_and_the_time_is_told_beforehand() {
    let stage = Stage::set();
    let deploy = pipeline(&stage, "deploy").await;
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("app", viewer()).await;
    for n in 0..430 {
        stage.cloud.add_role(&format!("many{n}"));
    }
    let (ear, before) = (Ear::default(), tokio::time::Instant::now());

    let found = search_with(&stage, &ear).await.expect("something was seen");

    assert_eq!((found.creations, *ear.events.lock().unwrap()), (432, 432));
    assert_eq!(ids(&found.creators), [deploy.id.as_str()]);
    let told = ear.at_least.lock().unwrap().expect("told");
    assert_eq!(told.0, 432);
    assert!(told.1 > Duration::from_secs(4) && before.elapsed() >= told.1, "{told:?}");
    let lookups = stage.cloud.calls_of("LookupEvents");
    assert!(lookups.iter().all(|call| call.error.is_none()), "nothing was refused for its pace");
    assert_eq!(lookups.iter().filter(|call| call.region == "us-east-1").count(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_throttles_is_waited_for_with_a_word() {
    let stage = Stage::set();
    let deploy = pipeline(&stage, "deploy").await;
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("app", viewer()).await;
    stage.cloud.throttle("LookupEvents", 15);
    let ear = Ear::default();

    let found = search_with(&stage, &ear).await.expect("something was seen");

    assert_eq!(ids(&found.creators), [deploy.id.as_str()]);
    assert!(*ear.throttled.lock().unwrap() > 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_told_and_never_taken_for_evidence() {
    let set = async || {
        let stage = Stage::set();
        let deploy = pipeline(&stage, "deploy").await;
        stage.cloud.acting_as_role(&deploy);
        stage.role_with("app", viewer()).await;
        stage
    };
    let stage = set().await;
    stage.cloud.deny("LookupEvents");
    assert!(matches!(search_with(&stage, &Ear::default()).await, Err(NothingSeen::History(_))));

    let stage = set().await;
    stage.cloud.deny("ListRoles");
    assert!(matches!(search_with(&stage, &Ear::default()).await, Err(NothingSeen::Roles(_))));

    // Whether the entry took another's place is not known.
    let stage = set().await;
    stage.cloud.when("LookupEvents").in_region(REGION).reply(400, "AccessDeniedException", "no");
    let found = search_all(&stage).await;
    assert_eq!((ids(&found.creators), found.blind_spots.len()), (vec![], 1));

    let stage = set().await;
    stage.cloud.when("GetRole").for_role("deploy").reply(403, "AccessDenied", "no");
    let found = search_all(&stage).await;
    assert_eq!((ids(&found.creators), found.creators.unknown.len()), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn a_role_older_than_the_history_is_told() {
    let stage = Stage::set();
    let role = stage.cloud.add_role("ancient");
    stage.cloud.pass(Duration::from_hours(100 * 24));
    stage.cloud.add_entry(REGION, CLUSTER, &role.arn, EntrySpec::of_type("EC2_LINUX"));
    stage.cloud.pass(Duration::from_mins(5));

    let found = search_all(&stage).await.creators;

    assert_eq!(ids(&found), [""; 0]);
    let older: Vec<&str> = found.older_roles.iter().map(RoleArn::name).collect();
    assert_eq!(older, ["ancient"]);
}

#[tokio::test(start_paused = true)]
async fn a_search_sends_nothing_but_reads() {
    let stage = Stage::set();
    let deploy = pipeline(&stage, "deploy").await;
    stage.cloud.acting_as_role(&deploy);
    stage.role_with("admin", everything()).await;
    stage.recreate("admin").await;
    search_all(&stage).await;
    for call in stage.cloud.calls() {
        let reads = ["Describe", "Get", "List", "Lookup"];
        assert!(reads.iter().any(|verb| call.operation.starts_with(verb)), "{}", call.operation);
    }
}
