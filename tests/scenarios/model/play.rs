//! One case: sets the stage, plays the history, and lets everything settle at the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access_entry_guard::error::Error;
use serde_json::{Value, json};

use super::acts::Scene;
use super::cover::Coverage;
use super::finale;
use super::history::{Alias, Named, Step, Trouble, Wake};
use super::plan::Plan;
use super::reference::{Key, News};
use super::witness::{INVOCATION, Watch};
use super::world::{Creator, Setup};
use crate::cloud::World;
use crate::stage::{CLUSTER, REGION, Stage};

/// Plays a case to its end; what it covered, or what went wrong.
pub fn play(setup: &Setup, history: &[Step]) -> Result<Coverage, String> {
    fastrand::seed(setup.dice);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut player = Player::begin(setup).await;
        for step in history {
            player.step(step).await?;
        }
        finale::play(&mut player).await?;
        let mut cover = player.watch().cover.clone();
        (cover.cases, cover.steps) = (1, history.len());
        Ok(cover)
    })
}

/// So much of what happened is told with a failure.
const TALE: usize = 80;

/// The stage, and the witness of all that happens on it.
pub struct Player {
    pub stage: Stage,
    pub setup: Setup,
    watch: Arc<Mutex<Watch>>,
    invocations: usize,
}

/// A payload, the alias that it goes to, and whether it may change anything.
struct Call {
    alias: &'static str,
    payload: Value,
    is_look: bool,
    is_restore: bool,
    is_refused: bool,
}

impl Player {
    async fn begin(setup: &Setup) -> Self {
        let mut stage = Stage::set();
        for (name, value) in setup.settings.variables() {
            stage = stage.with(name, &value);
        }
        stage.cloud.delete_cluster(REGION, CLUSTER);
        stage.cloud.set_region("ap-east-1", "ENABLED");
        let watch = Arc::new(Mutex::new(Watch::new(setup.clone())));
        let player = Self { stage, setup: setup.clone(), watch, invocations: 0 };
        player.with(|scene| {
            for at in 0..setup.clusters.len() {
                scene.world.add_cluster(setup.region_of(at), &setup.cluster(at).0);
            }
            (0..setup.roles.len()).for_each(|role| scene.create_role(role, Creator::Stranger, None, false));
        });
        tokio::time::sleep(Duration::from_mins(1)).await;
        player.with(|scene| {
            for (cluster, role, kind) in &setup.entries {
                scene.create_entry(&scene.key(*cluster, *role), *kind);
            }
        });
        tokio::time::sleep(Duration::from_hours(1)).await;
        player.with(|scene| {
            setup.apply_habits(&mut scene.world.habits);
            for at in 0..setup.clusters.len() {
                let (name, spec) = setup.cluster(at);
                let cluster = scene.world.cluster(setup.region_of(at), &name);
                cluster.authentication_mode = spec.mode.name().map(str::to_owned);
                if spec.ignored {
                    cluster.tags.insert("access-entry-guard".to_owned(), "ignore".to_owned());
                }
            }
        });
        let watch = Arc::clone(&player.watch);
        player.stage.cloud.intercept(move |call, phase, world| lock(&watch).see(call, phase, world));
        player
    }

    /// The witness.
    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        lock(&self.watch)
    }

    /// Looks at, or changes, the world and what is known of it.
    pub fn with<R>(&self, act: impl FnOnce(&mut Scene<'_>) -> R) -> R {
        self.stage.cloud.with(|world| {
            let mut watch = self.watch();
            act(&mut Scene { setup: &self.setup, world, reference: &mut watch.reference })
        })
    }

    /// The same with the whole of the witness.
    pub fn examine<R>(&self, look: impl FnOnce(&mut Watch, &mut World) -> R) -> R {
        self.stage.cloud.with(|world| look(&mut self.watch(), world))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Act(act) => {
                self.watch().tale.push(format!("{act:?}"));
                self.with(|scene| scene.perform(act));
            }
            Step::Pass(seconds) => tokio::time::sleep(Duration::from_secs(*seconds)).await,
            Step::Invoke(wake, trouble) => self.invoke(wake, trouble).await.map(drop)?,
        }
        // Two acts of one party are never closer than this.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        self.verdict(&format!("after {step:?}"))
    }

    /// Whether all was right so far; the tale, if not.
    pub fn verdict(&self, when: &str) -> Result<(), String> {
        let watch = self.watch();
        if watch.violations.is_empty() {
            return Ok(());
        }
        let tale = watch.tale[watch.tale.len().saturating_sub(TALE)..].join("\n");
        Err(format!("{when}: {}\nwhat happened at last:\n{tale}", watch.violations.join("\n")))
    }

    /// Invokes the function, in whatever trouble; its report, where there is one.
    pub async fn invoke(&mut self, wake: &Wake, trouble: &Trouble) -> Result<Option<Value>, String> {
        let call = self.call_of(wake);
        let beside = trouble.beside.as_ref().map(|(wake, delay)| (self.call_of(wake), *delay));
        self.watch().plan = Plan::of(trouble);
        self.watch().tale.push(format!("{wake:?}"));
        let is_pair = beside.is_some();
        let answer = self.send(&call);
        let other = async {
            if let Some((call, delay)) = &beside {
                tokio::time::sleep(Duration::from_millis(*delay)).await;
                let _ = self.send_as(call, self.invocations + 1).await;
            }
        };
        let answer = tokio::select! {
            (answer, ()) = async { tokio::join!(answer, other) } => Some(answer),
            () = self.stage.cloud.stopped() => None,
        };
        self.invocations += 2;
        self.stage.cloud.restart();
        let report = self.examine(|watch, world| {
            world.denials.clear();
            watch.look_around(world);
            watch.cover.invocations += 1 + usize::from(is_pair);
            watch.cover.pairs += usize::from(is_pair);
            watch.cover.cuts += usize::from(watch.plan.was_cut);
            watch.cover.faults += watch.plan.faults;
            watch.cover.acts_between_calls += watch.plan.acts;
            let was_calm = watch.plan.acts == 0 && !is_pair;
            watch.plan = Plan::default();
            match answer {
                Some(Ok(report)) => {
                    finale::report_agrees(watch, world, &report, was_calm);
                    Some(report)
                }
                Some(Err(Error::NotPermitted(_))) if call.is_refused => None,
                Some(Err(error)) => {
                    if call.is_refused || !is_expected(&error) {
                        watch.violations.push(format!("answered {error:?}"));
                    }
                    None
                }
                None => None,
            }
        });
        self.verdict(&format!("{wake:?}, {trouble:?}"))?;
        Ok(report)
    }

    fn send<'a>(&'a self, call: &'a Call) -> impl Future<Output = Result<Value, Error>> + 'a {
        self.send_as(call, self.invocations)
    }

    fn send_as<'a>(&'a self, call: &'a Call, n: usize) -> impl Future<Output = Result<Value, Error>> + 'a {
        if call.is_look {
            self.watch().looking.insert(n);
        }
        if call.is_restore {
            self.watch().restoring.insert(n);
        }
        INVOCATION.scope(n, Box::pin(self.stage.invoke_as(call.alias, call.payload.clone())))
    }

    fn call_of(&self, wake: &Wake) -> Call {
        let alias = |alias: Alias, right, wrong| match alias {
            Alias::Right => right,
            Alias::None => "",
            Alias::Wrong => wrong,
        };
        let call = |alias, payload| Call { alias, payload, is_look: false, is_restore: false, is_refused: false };
        match *wake {
            Wake::Event { back, alias: to } => {
                let news = {
                    let news = &self.watch().reference.news;
                    news[news.len() - 1 - back % news.len()].clone()
                };
                let payload = match news {
                    News::Created(role, by) => {
                        if to == Alias::Right {
                            self.watch().reference.vouched.insert(role.id.clone());
                        }
                        let (id, arn) = by.identity();
                        self.stage.created_by(&role, id, arn)
                    }
                    News::Deleted(name) => self.stage.deleted(&name),
                };
                call(alias(to, "events", "approve"), payload)
            }
            Wake::Sweep => call("events", json!({"command": "sweep"})),
            Wake::Repair { cluster, role, narrow } => {
                let key = self.with(|scene| scene.key(cluster, role));
                let mut payload = json!({"command": "repair", "principalArn": key.2});
                if narrow {
                    (payload["clusterName"], payload["region"]) = (json!(key.1), json!(key.0));
                }
                call("", payload)
            }
            Wake::Approve { cluster, role, id, alias: to } | Wake::Restore { cluster, role, id, alias: to } => {
                let key = self.with(|scene| scene.key(cluster, role));
                let id = self.id_of(role, &key, id);
                let command = if matches!(wake, Wake::Approve { .. }) { "approve" } else { "restore" };
                let payload = json!({"command": command, "principalArn": key.2, "clusterName": key.1,
                    "region": key.0, "roleId": id});
                let is_refused = to != Alias::Right;
                if !is_refused {
                    self.watch().reference.approved.insert((key, id));
                }
                Call { is_refused, is_restore: command == "restore", ..call(alias(to, "approve", "events"), payload) }
            }
            Wake::Check { cluster, role } => {
                let key = self.with(|scene| scene.key(cluster, role));
                let payload = json!({"command": "check", "principalArn": key.2});
                Call { is_look: true, ..call("", payload) }
            }
        }
    }

    fn id_of(&self, role: usize, key: &Key, named: Named) -> String {
        self.with(|scene| {
            let (name, _) = scene.setup.role(role);
            let ids = scene.reference.ids.get(name).cloned().unwrap_or_default();
            let present = scene.world.roles.get(name).filter(|role| role.arn == key.2).map(|role| role.id.clone());
            let id = match named {
                Named::Present => present,
                Named::Former => ids.iter().rev().nth(1).cloned(),
                Named::Nonsense => None,
            };
            id.unwrap_or_else(|| "AROANOBODY00000000001".to_owned())
        })
    }
}

fn is_expected(error: &Error) -> bool {
    matches!(error, Error::RepairIncomplete(_) | Error::LedgerUnavailable(_) | Error::RegionsUnknown(_))
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}
