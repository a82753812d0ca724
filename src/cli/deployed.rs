//! The deployed function by hand: what is asked of it, and what its answer means for a person and a pipeline.

mod arguments;
mod inventory;
mod release;
mod report;

use std::io::Read as _;
use std::time::Duration;

use access_entry_guard::aws::Authorities;
use access_entry_guard::aws::lambda::{Function, NotInvoked, Reply};
use access_entry_guard::deployed::{Answer, FunctionNamed, Meaning, Word, meaning};
use access_entry_guard::fault::FaultKind;
use access_entry_guard::model::{Region, RoleArn, RoleState};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use crate::output::{Format, Output, print, shown};
use crate::redrive;
use crate::session::Session;
use crate::stop::Stop;

use arguments::{Check, Forget, Invoke, Repair, Sweep};
pub(crate) use arguments::{Command, Which};

/// Asks, prints the answer, and gives the exit status.
pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Stop> {
    match command {
        Command::Check(arguments) => check(session, arguments).await,
        Command::Inventory(arguments) => inventory::run(session, arguments).await,
        Command::Repair(arguments) => repair(session, arguments).await,
        Command::Approve(arguments) => release::run(session, Word::Approve, arguments).await,
        Command::Restore(arguments) => release::run(session, Word::Restore, arguments).await,
        Command::Forget(arguments) => forget(session, arguments).await,
        Command::Sweep(arguments) => sweep(session, arguments).await,
        Command::Invoke(arguments) => invoke(session, arguments).await,
        Command::Redrive(arguments) => redrive::run(session, arguments).await,
    }
}

async fn check(session: &Session, arguments: Check) -> Result<u8, Stop> {
    let guard = Guard::find(session, &arguments.which)?;
    let mut payload = Payload::of(Word::Check);
    payload.set("principalArn", guard.role_if_named(arguments.role.as_deref()).await?);
    payload.set("clusterName", arguments.cluster);
    payload.set("region", guard.region(arguments.region.as_deref()).await?);
    guard.ask(Word::Check, payload, format_of(arguments.output)?, &arguments.accept).await
}

async fn repair(session: &Session, arguments: Repair) -> Result<u8, Stop> {
    let guard = Guard::find(session, &arguments.which)?;
    let mut payload = Payload::of(Word::Repair);
    payload.set("principalArn", Some(guard.role(&arguments.role).await?.as_str().to_owned()));
    payload.set("clusterName", arguments.cluster);
    payload.set("region", guard.region(arguments.region.as_deref()).await?);
    guard.ask(Word::Repair, payload, format_of(arguments.output)?, &[]).await
}

async fn sweep(session: &Session, arguments: Sweep) -> Result<u8, Stop> {
    let guard = Guard::find(session, &arguments.which)?;
    let mut payload = Payload::of(Word::Sweep);
    payload.set("clusterName", arguments.cluster);
    payload.set("region", guard.region(arguments.region.as_deref()).await?);
    guard.ask(Word::Sweep, payload, format_of(arguments.output)?, &[]).await
}

async fn forget(session: &Session, arguments: Forget) -> Result<u8, Stop> {
    const BREAKER: &str = "#breaker";
    let guard = Guard::find(session, &arguments.which)?;
    let mut payload = Payload::of(Word::Forget);
    let principal = match (arguments.principal, &arguments.role) {
        (Some(principal), _) => principal,
        (None, role) => guard.role(role.as_deref().unwrap_or_default()).await?.as_str().to_owned(),
    };
    let is_placed = match (&arguments.cluster, &arguments.region) {
        (Some(_), Some(_)) => true,
        (None, None) => false,
        _ => return Err(Stop::because("give --cluster and --region together")),
    };
    if is_placed == (principal == BREAKER) {
        return Err(Stop::because(if is_placed {
            "the breaker's row has no cluster; leave --cluster and --region out"
        } else {
            "to name a row, give --role, --cluster and --region; inventory shows all three"
        }));
    }
    payload.set("principalArn", Some(principal));
    payload.set("clusterName", arguments.cluster);
    payload.set("region", arguments.region);
    payload.set("claimedBy", Some(session.caller.arn.clone()));
    if arguments.even_open {
        payload.0.insert("evenOpen".to_owned(), json!(true));
    }
    guard.ask(Word::Forget, payload, format_of(arguments.output)?, &[]).await
}

async fn invoke(session: &Session, arguments: Invoke) -> Result<u8, Stop> {
    let mut bytes = Vec::new();
    let read = match arguments.file.as_str() {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.map_err(|error| Stop(format!("{} could not be read: {error}", arguments.file)))?;
    if let Err(error) = serde_json::from_slice::<Value>(&bytes) {
        return Err(Stop(format!(
            "{} is not JSON ({error}); give an event, for example the output of access-entry-guard event",
            arguments.file
        )));
    }
    let guard = Guard::find(session, &arguments.which)?;
    let format = format_of(arguments.output)?;
    let reply = guard.send(Word::Event, bytes).await?;
    guard.show(Word::Event, &reply, format, &[])
}

/// The form of a result that is no page. It is known before the function is asked: what it answers is answered once.
pub(crate) fn format_of(output: Output) -> Result<Format, Stop> {
    match output.format() {
        Format::Html => Err(Stop::because("this command prints no HTML; use --output table, json, markdown or csv")),
        format => Ok(format),
    }
}

/// The members of a command's payload; what was not given is not sent.
struct Payload(Map<String, Value>);

impl Payload {
    fn of(word: Word) -> Self {
        Self(Map::from_iter([("command".to_owned(), json!(word.name()))]))
    }

    fn set(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), json!(value));
        }
    }

    fn bytes(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }
}

/// The deployed function, as this caller reaches it.
pub(crate) struct Guard<'a> {
    pub(crate) session: &'a Session,
    pub(crate) named: FunctionNamed,
    function: Function,
}

impl<'a> Guard<'a> {
    /// The function that was named; nothing is asked yet.
    pub(crate) fn find(session: &'a Session, which: &Which) -> Result<Self, Stop> {
        let named = FunctionNamed::parse(&which.function, which.function_region.as_deref(), &session.caller.home)
            .map_err(Stop)?;
        let authorities = Authorities::from_lookup(|name| std::env::var(name).ok());
        let function = Function::new(&session.sdk, &authorities, &named.region, &which.function)
            .map_err(|unusable| Stop(unusable.to_string()))?;
        Ok(Self { session, named, function })
    }

    /// A role of the function's account, with its path.
    async fn role(&self, text: &str) -> Result<RoleArn, Stop> {
        let home = &self.named.home;
        if let Some(arn) = RoleArn::parse(text) {
            return if arn.is_of(home) {
                Ok(arn)
            } else {
                Err(Stop(format!("{text} is not a role of account {}, to which the function belongs", home.account)))
            };
        }
        let name = self.session.role(text)?.name;
        if *home != self.session.caller.home {
            return Err(Stop(format!(
                "the function is of another account than these credentials, so the path of {name} cannot be read; give the \
                 role's ARN"
            )));
        }
        match self.session.reads.get_role(&name).await {
            RoleState::Present(role) => Ok(role.arn),
            RoleState::Absent => Err(Stop(format!(
                "there is no role {name} in account {}; to name a deleted role, give its ARN",
                home.account
            ))),
            RoleState::Unreadable(fault) => {
                Err(Stop(format!("the path of role {name} could not be read ({fault}); give the role's ARN")))
            }
        }
    }

    async fn role_if_named(&self, text: Option<&str>) -> Result<Option<String>, Stop> {
        match text {
            Some(text) => Ok(Some(self.role(text).await?.as_str().to_owned())),
            None => Ok(None),
        }
    }

    /// A Region that the account has, if these credentials may say so.
    async fn region(&self, name: Option<&str>) -> Result<Option<String>, Stop> {
        let Some(name) = name else { return Ok(None) };
        if self.named.home == self.session.caller.home {
            self.session.regions(&[name.to_owned()]).await?;
        } else if Region::parse(name).is_none() {
            return Err(Stop(format!("{name:?} is not the name of a Region; give one such as eu-west-1")));
        }
        Ok(Some(name.to_owned()))
    }

    /// Asks, prints the answer, and gives the exit status.
    async fn ask(&self, word: Word, payload: Payload, format: Format, accepted: &[String]) -> Result<u8, Stop> {
        let reply = self.send(word, payload.bytes()).await?;
        self.show(word, &reply, format, accepted)
    }

    /// Invokes the function once and waits for it, with a word on a terminal.
    pub(crate) async fn send(&self, word: Word, payload: Vec<u8>) -> Result<Reply, Stop> {
        let bar = ProgressBar::new_spinner();
        bar.set_message(format!(
            "{} in {} is at work, for 15 minutes at most: it waits until a new role is SETTLE_SECONDS old (a minute, if it \
             was not changed), and it waits as long before it removes an entry",
            self.named.name, self.named.region
        ));
        bar.enable_steady_tick(Duration::from_millis(200));
        let reply = self.function.invoke(word.alias(), payload).await;
        bar.finish_and_clear();
        reply.map_err(|why| self.not_invoked(word, &why))
    }

    /// Prints an answer, and gives the exit status.
    fn show(&self, word: Word, reply: &Reply, format: Format, accepted: &[String]) -> Result<u8, Stop> {
        let answer = Answer::read(word, &reply.payload, reply.is_error);
        let Meaning { status, summary } = meaning(word, &answer, accepted);
        match (&answer, format) {
            (Answer::Report(_), Format::Json) => {
                print(&String::from_utf8_lossy(&reply.payload))?;
                // The program that reads the report reads no summary; a person beside it may.
                if status != 0 {
                    eprintln!("access-entry-guard: {}", shown(&summary));
                }
            }
            (Answer::Report(report), format) => print(&report::as_text(report, &summary, format, &self.named)?)?,
            _ => eprintln!("access-entry-guard: {}", shown(&self.why_it_failed(&answer, &summary))),
        }
        Ok(status)
    }

    /// What to do about an answer that is no report.
    fn why_it_failed(&self, answer: &Answer, summary: &str) -> String {
        match answer {
            Answer::Failed(error) if !matches!(error.kind.as_str(), "UnrecognizedPayload" | "NotPermitted") => {
                format!("{summary} (to see the report in the function's log: {})", self.log())
            }
            _ => summary.to_owned(),
        }
    }

    /// The command that shows the function's log.
    fn log(&self) -> String {
        let FunctionNamed { name, region, .. } = &self.named;
        format!("aws logs tail /aws/lambda/{name} --region {region} --since 1h")
    }

    /// Why Lambda did not answer for the function, and what to do.
    fn not_invoked(&self, word: Word, why: &NotInvoked) -> Stop {
        let FunctionNamed { name, region, .. } = &self.named;
        let alias = word.alias().map_or_else(String::new, |alias| format!(":{alias}"));
        let fault = &why.fault;
        Stop(match fault.kind {
            FaultKind::NotFound => format!(
                "there is no function {name}{alias} in {region}; name the deployed function with --function and \
                 --function-region, or use access-entry-guard scan, which needs no function"
            ),
            FaultKind::Denied { by_organization: true } => {
                format!(
                    "the organization denies the invocation ({fault}); ask for lambda:InvokeFunction on {}{alias}",
                    self.named.arn()
                )
            }
            FaultKind::Denied { .. } => {
                format!(
                    "the invocation was denied ({fault}); allow lambda:InvokeFunction on {}{alias}",
                    self.named.arn()
                )
            }
            FaultKind::Throttled if why.is_reserved_concurrency => format!(
                "the function is stopped (its reserved concurrency is 0), or all its reserved concurrency is in use; \
                 if the function is stopped, start it again with aws lambda delete-function-concurrency --region \
                 {region} --function-name {name}, or set the value of ReservedConcurrency again, if the stack has one"
            ),
            FaultKind::Throttled => {
                format!("Lambda refuses invocations for now ({fault}); run the command again later")
            }
            FaultKind::Unresolvable => {
                format!("Lambda in {region} could not be reached ({fault}); check --function-region and the network")
            }
            FaultKind::TimedOut | FaultKind::ServerError => format!(
                "the function did not answer ({fault}); the invocation may still run, or may have ended, so look at \
                 the function's log before you run the command again: {}",
                self.log()
            ),
            _ => format!("Lambda refused the invocation ({fault})"),
        })
    }
}
