//! `turnpike correct`: corrections of usage, for operators without a browser. Tried dry, drafted, approved, applied, reverted.
//!
//! Whoever runs it is nobody by name: where a correction takes two operators, the console is where they act.

use super::{CommandError, reach::with_installation};
use crate::config::Config;
use billing::{BilledOn, DryRun};
use clap::{Args, Subcommand};
use domain::{
    correction::{BackFill, Change, Filter, NewCorrection, State},
    id::{AppId, CorrectionId, KeyId, PartnerId},
    key_text::Environment,
};
use jiff::Timestamp;
use std::process::ExitCode;
use store::{
    Actor, Store,
    corrections::{Approval, Correction, Person},
};

/// Corrections that are listed at once.
const PAGE: u32 = 200;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Correct {
    /// Show what a correction would do: events, calls, units, and each bill before and after. Nothing is kept.
    Try(What),
    /// Try it, and keep it as a draft, which waits for an approval.
    Draft {
        #[command(flatten)]
        what: What,
        /// Why, 1 to 500 characters. The partner reads it.
        #[arg(long)]
        reason: String,
    },
    /// List corrections, newest first.
    List {
        /// Only those of the partner with this code or id.
        #[arg(long)]
        partner: Option<String>,
        /// Only those in this state: draft, approved, applied, reverted or refused.
        #[arg(long)]
        state: Option<State>,
    },
    /// Show one, and the hash that its approval names.
    Show { correction: CorrectionId },
    /// Approve a draft, if it would still do just what was shown.
    Approve {
        correction: CorrectionId,
        /// As `turnpike correct show` prints it: it names what was looked at.
        #[arg(long)]
        hash: String,
    },
    /// Carry an approved one out. Once: asking again changes nothing.
    Apply { correction: CorrectionId },
    /// Take an applied one back. Once: asking again changes nothing.
    Revert {
        correction: CorrectionId,
        /// For the audit log.
        #[arg(long)]
        reason: String,
    },
    /// Give one up that does not count yet.
    Refuse {
        correction: CorrectionId,
        /// For the audit log.
        #[arg(long)]
        reason: String,
    },
}

/// Which usage, and what becomes of it.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true))]
pub struct What {
    /// The partner's code or id.
    #[arg(long)]
    partner: String,
    /// The calls that are chosen count nothing.
    #[arg(long, group = "change")]
    void: bool,
    /// Each of them costs so many units.
    #[arg(long, group = "change", value_name = "UNITS")]
    set_units: Option<u64>,
    /// Add so many calls that nobody counted, with --units and --at.
    #[arg(long, group = "change", value_name = "CALLS", requires = "at")]
    back_fill: Option<u64>,
    /// Units of all back-filled calls together.
    #[arg(long, default_value_t = 0, requires = "back_fill")]
    units: u64,
    /// When the back-filled calls were, as 2026-03-01T00:00:00Z.
    #[arg(long, requires = "back_fill")]
    at: Option<Timestamp>,
    /// Calls from this instant on.
    #[arg(long)]
    from: Option<Timestamp>,
    /// Up to this one.
    #[arg(long)]
    to: Option<Timestamp>,
    /// One call, as the answer's header x-request-id has it; of what was told from outside, the producer's id.
    #[arg(long)]
    request_id: Option<String>,
    /// live or test.
    #[arg(long)]
    environment: Option<Environment>,
    /// Code of a product.
    #[arg(long)]
    product: Option<String>,
    /// Code of one of its operations.
    #[arg(long)]
    operation: Option<String>,
    #[arg(long)]
    app: Option<AppId>,
    #[arg(long)]
    key: Option<KeyId>,
    /// Who told it, where that was no gateway.
    #[arg(long)]
    source: Option<String>,
}

/// Does it, and prints what came of it.
pub async fn run(config: Config, what: Correct) -> Result<ExitCode, CommandError> {
    let four_eyes = config.four_eyes;
    with_installation(&config, async |store, _, now| {
        for line in answer(store, what, four_eyes, now).await? {
            println!("{line}");
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Does it; the lines that people read.
async fn answer(store: &Store, what: Correct, four_eyes: bool, now: Timestamp) -> Result<Vec<String>, CommandError> {
    let by = (four_eyes, Actor::System);
    Ok(match what {
        Correct::Try(what) => {
            let partner = partner(store, &what.partner).await?;
            let tried = billing::try_correction(store, partner, what.asked("Tried".to_owned())?, now).await?;
            effect(&tried)
        }
        Correct::Draft { what, reason } => {
            let partner = partner(store, &what.partner).await?;
            let id = billing::draft_correction(store, partner, what.asked(reason)?, by, now).await?;
            shown(&store.correction_of_any_partner(id).await?)
        }
        Correct::List { partner: code, state } => list(store, code.as_deref(), state).await?,
        Correct::Show { correction } => shown(&store.correction_of_any_partner(correction).await?),
        Correct::Approve { correction, hash } => {
            let seen = billing::read_hash(&hash).ok_or("this is no hash: turnpike correct show prints it")?;
            let approval = Approval { seen, four_eyes };
            billing::approve_correction(store, correction, approval, Actor::System, now).await?;
            vec![format!("{correction} is approved. It counts when it is applied: turnpike correct apply {correction}")]
        }
        Correct::Apply { correction } => {
            let first = billing::apply_correction(store, correction, by, now).await?;
            vec![match first {
                true => format!("{correction} is applied: all figures have it."),
                false => format!("{correction} was applied already, and counts once."),
            }]
        }
        Correct::Revert { correction, reason } => {
            let held = store.correction_of_any_partner(correction).await?;
            let why = (reason.as_str(), four_eyes);
            let first = store.revert_correction(held.partner, correction, why, Actor::System, now).await?;
            vec![match first {
                true => format!("{correction} is taken back."),
                false => format!("{correction} was taken back already."),
            }]
        }
        Correct::Refuse { correction, reason } => {
            let held = store.correction_of_any_partner(correction).await?;
            store.refuse_correction(held.partner, correction, &reason, Actor::System, now).await?;
            vec![format!("{correction} is refused: it will never count.")]
        }
    })
}

/// By its id, or by its code; those who signed up themselves have none.
async fn partner(store: &Store, code: &str) -> Result<PartnerId, CommandError> {
    if let Ok(id) = code.parse() {
        return Ok(store.partner(id).await?.id);
    }
    let found = store.find_partner_by_code(code).await?;
    Ok(found.ok_or_else(|| format!("no partner has the code {code}"))?.id)
}

impl What {
    fn asked(self, reason: String) -> Result<NewCorrection, CommandError> {
        let Self { from, to, environment, product, operation, app, key, request_id, source, .. } = self;
        let filter = Filter { from, to, environment, product, operation, app, key, request_id, source };
        let (change, filter) = match (self.void, self.set_units, self.back_fill) {
            (true, ..) => (Change::Void, filter),
            (_, Some(units), _) => (Change::SetUnits { units }, filter),
            (.., Some(calls)) => {
                let at = self.at.ok_or("a back-fill needs --at")?;
                let Filter { environment, product, operation, app, .. } = filter.clone();
                let environment = environment.unwrap_or(Environment::Live);
                let rest = Filter { environment: None, product: None, operation: None, app: None, ..filter };
                (
                    Change::BackFill(BackFill { at, calls, units: self.units, environment, product, operation, app }),
                    rest,
                )
            }
            _ => return Err("say --void, --set-units or --back-fill".into()),
        };
        Ok(NewCorrection { change, filter, reason })
    }
}

async fn list(store: &Store, code: Option<&str>, state: Option<State>) -> Result<Vec<String>, CommandError> {
    let partner = match code {
        Some(code) => Some(partner(store, code).await?),
        None => None,
    };
    let states = state.map_or_else(|| State::ALL.to_vec(), |state| vec![state]);
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let page = store.corrections_of_any_partner(partner, &states, after.as_deref(), PAGE).await?;
        lines.extend(page.items.iter().map(|one| {
            let Correction { id, state, partner_name, new, made, .. } = one;
            format!("{id}  {state:<8}  {:.0}  {partner_name}: {}, {}", made.at, new.change.code(), new.reason)
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if lines.is_empty() {
        lines.push("There is none.".to_owned());
    }
    Ok(lines)
}

fn shown(correction: &Correction) -> Vec<String> {
    let Correction { id, partner_name, new, state, dry_run, hash, made, approved, applied, ended, .. } = correction;
    let mut lines =
        vec![format!("{id}, {state}, of {partner_name}: {}", what(&new.change)), format!("  reason    {}", new.reason)];
    let filter = serde_json::to_value(&new.filter).unwrap_or_default();
    let chosen = filter.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    lines.extend(chosen.map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("  {name:<8}  {text}")
    }));
    let ended_word = if *state == State::Refused { "refused" } else { "reverted" };
    let (ended, why) = ended.clone().unzip();
    let steps = [
        ("made", Some(made)),
        ("approved", approved.as_ref()),
        ("applied", applied.as_ref()),
        (ended_word, ended.as_ref()),
    ];
    lines.extend(steps.into_iter().filter_map(|(word, person)| Some(format!("  {word:<8}  {}", step(person?)))));
    lines.extend(why.map(|why| format!("  because   {why}")));
    match serde_json::from_value::<DryRun>(dry_run.clone()) {
        Ok(dry_run) => lines.extend(effect(&dry_run)),
        Err(_) => lines.push("  what it does was written by another version, and cannot be read here".to_owned()),
    }
    if *state == State::Draft {
        lines.push(format!("  approve   turnpike correct approve {id} --hash {}", billing::write_hash(hash)));
    }
    lines
}

fn what(change: &Change) -> String {
    match change {
        Change::Void => "they count nothing".to_owned(),
        Change::SetUnits { units } => format!("each costs {units} units"),
        Change::BackFill(fill) => format!("{} calls of {} units more, at {}", fill.calls, fill.units, fill.at),
    }
}

fn step(person: &Person) -> String {
    let who = if person.name.is_empty() { &person.kind } else { &person.name };
    format!("{:.0} by {who}", person.at)
}

/// What a dry run found.
fn effect(tried: &DryRun) -> Vec<String> {
    let DryRun { events, calls_before, calls_after, units_before, units_after, .. } = tried;
    let mut lines = vec![
        format!("  events    {events}"),
        format!("  calls     {calls_before} before, {calls_after} after"),
        format!("  units     {units_before} before, {units_after} after"),
    ];
    for bill in &tried.bills {
        let place = match tried.billed_on(bill) {
            BilledOn::Final => {
                "closed: the difference is on a final invoice a day later; below zero, pay it out by hand"
            }
            BilledOn::Next => "closed: the difference is on the next invoice",
            BilledOn::ItsOwn => "open: on its own invoice; amounts so far",
        };
        let (before, after) = (bill.before, bill.after);
        lines.push(format!(
            "  bill      {} to {}: {before} before, {after} after ({place})",
            bill.period.start, bill.period.end
        ));
    }
    for (units, place) in [(tried.quota_back, "the quota"), (tried.credit_back, "prepaid credit")] {
        if units != 0 {
            lines.push(format!("  back      {units} units to {place}"));
        }
    }
    if tried.unbilled_units != 0 {
        lines.push(format!("  unbilled  {} units of it: test calls, or a time without a plan", tried.unbilled_units));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app;
    use clap::Parser;
    use domain::usage::UsageEvent;
    use store::{
        ingest::Position,
        test_db::{self, TestStore, world::World},
    };

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        what: Correct,
    }

    /// A partner and one call of ten units.
    async fn used() -> (TestStore, World) {
        let store = test_db::store().await;
        let world = World::named(&store, "acme").await;
        let event = UsageEvent {
            request_id: "r1".to_owned(),
            ..test_app::event(world.partner, Environment::Live, 10, world.now)
        };
        let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
        store.ingest(("a", 0, vec![(0, event)]), Position::default(), to, world.now).await.expect("taken in");
        (store, world)
    }

    async fn said(store: &TestStore, world: &World, line: &str, four_eyes: bool) -> Result<Vec<String>, String> {
        let words = ["correct"].into_iter().chain(line.split(' '));
        let Line { what } = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let now = world.now + jiff::SignedDuration::from_hours(1);
        answer(store, what, four_eyes, now).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_correction_goes_all_its_way_on_the_command_line_and_each_step_counts_once() {
        let (store, world) = used().await;
        let code = world.partner;
        let hours = jiff::SignedDuration::from_hours(2);
        let range = domain::period::Period { start: world.now - hours, end: world.now + hours };
        let all = store::usage::UsageFilter::default();
        let units = async || store.usage_totals(world.partner, range, &all).await.expect("totals").units;
        let say = async |line: String| said(&store, &world, &line, false).await;
        let void = format!("--partner {code} --void --request-id r1");
        let tried = say(format!("try {void}")).await.expect("tried");
        assert!(tried.contains(&"  units     10 before, 0 after".to_owned()), "{tried:?}");
        assert_eq!(say("list".to_owned()).await.expect("listed"), ["There is none."], "a try keeps nothing");
        let drafted = say(format!("draft {void} --reason Twice")).await.expect("drafted");
        let last = drafted.last().expect("lines");
        let approve = last.split_once("turnpike correct ").expect("what to do next").1.to_owned();
        let id = approve.split(' ').nth(1).expect("an id").to_owned();
        assert!(say(format!("apply {id}")).await.expect_err("too early").contains("approve it first"));
        say(approve).await.expect("approved");
        assert_eq!(units().await, 10);
        for told in ["is applied", "already"] {
            assert!(say(format!("apply {id}")).await.expect("applied")[0].contains(told));
            assert_eq!(units().await, 0);
        }
        let listed = say(format!("list --partner {code} --state applied")).await.expect("listed");
        assert!(listed.len() == 1 && listed[0].starts_with(&id), "{listed:?}");
        assert!(say(format!("refuse {id} --reason No")).await.is_err());
        for told in ["is taken back", "already"] {
            assert!(say(format!("revert {id} --reason Right")).await.expect("reverted")[0].contains(told));
            assert_eq!(units().await, 10);
        }
        let shown = say(format!("show {id}")).await.expect("shown");
        assert!(shown.contains(&"  because   Right".to_owned()), "{shown:?}");
    }

    #[tokio::test]
    async fn where_it_takes_two_operators_the_command_line_is_neither() {
        let (store, world) = used().await;
        let code = world.partner;
        let line = format!("--partner {code} --void --request-id r1");
        said(&store, &world, &format!("try {line}"), true).await.expect("anybody may look");
        let refused = said(&store, &world, &format!("draft {line} --reason Twice"), true).await;
        assert!(refused.expect_err("refused").contains("two operators"));
    }

    #[test]
    fn one_change_is_named_and_a_back_fill_says_when() {
        let read = |line: &str| {
            let words = ["correct", "try", "--partner", "acme"].into_iter().chain(line.split(' '));
            let Line { what } = Line::try_parse_from(words).map_err(|error| error.to_string())?;
            let Correct::Try(what) = what else { return Err("another command".to_owned()) };
            what.asked("Why".to_owned()).map_err(|error| error.to_string())
        };
        assert!(read("--from 2026-03-01T00:00:00Z").is_err());
        assert!(read("--void --set-units 4 --request-id r").is_err());
        assert!(read("--back-fill 5 --units 9").is_err());
        let fill = read("--back-fill 5 --units 9 --at 2026-03-01T00:00:00Z --product payments").expect("a back-fill");
        assert_eq!(fill.filter, Filter::default(), "what is filled in chooses no call");
        let Change::BackFill(fill) = fill.change else { panic!("{fill:?}") };
        assert_eq!((fill.calls, fill.units, fill.product.as_deref()), (5, 9, Some("payments")));
    }
}
