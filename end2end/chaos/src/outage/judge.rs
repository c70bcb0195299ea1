//! Holds what was seen against what was promised.

use super::{
    How, OVERDRAFT, Outage,
    books::{self, Book, Leases},
    load::{CALLERS, Call, Phase},
};
use crate::{Trouble, findings::Findings, postgres::Postgres};
use std::time::Duration;

/// A call may wait so long for a lease while Postgres hangs.
const LONGEST_WAIT: Duration = Duration::from_millis(1_250);
/// From the return of Postgres to the first call that is served from a new lease.
const SERVED_AGAIN: Duration = Duration::from_secs(5);
/// Within which the portal says that it cannot answer.
const PORTAL: Duration = Duration::from_secs(8);
/// Within which a server ends, whatever Postgres does.
const ENDS: Duration = Duration::from_secs(6);
/// Within which a gateway starts from its disk.
const STARTS: Duration = Duration::from_secs(8);

/// A gateway that ended and started while Postgres was away.
pub struct Restart {
    pub number: usize,
    pub ended: Duration,
    pub open: Duration,
}

/// What was seen.
pub struct Observed {
    pub held: Leases,
    pub all_spent: bool,
    pub portal: (Option<u16>, Duration),
    pub restart: Restart,
    /// By gateway.
    pub overdraft: Vec<i64>,
    pub seen: Vec<Call>,
}

/// Collects verdicts.
pub struct Judge {
    found: Findings,
    went_beyond: bool,
}

impl Judge {
    pub fn of(outage: &Outage, how: How, postgres: &Postgres, observed: Observed) -> Result<Self, Trouble> {
        let mut judge = Self { found: Findings::new(outage.untimed), went_beyond: false };
        judge.while_away(&observed, outage.nodes);
        judge.waits(&observed, how);
        judge.afterwards(postgres, &observed)?;
        Ok(judge)
    }

    /// Whether all of it is as promised; says so under that name.
    pub fn conclude(&self, name: &str) -> bool {
        self.found.conclude(name)
    }

    /// Whether a closed product spent more than was leased: what a control run must show.
    pub const fn went_beyond(&self) -> bool {
        self.went_beyond
    }

    fn while_away(&mut self, observed: &Observed, nodes: usize) {
        let Observed { held, all_spent, portal, restart, overdraft, seen } = observed;
        let of = |partner: &'static str, phase: Phase| {
            seen.iter().filter(move |call| call.partner == partner && call.phase == phase)
        };
        let count =
            |partner, phase, status| of(partner, phase).filter(|call| call.status == Some(status)).count() as i64;

        let billed = count("billed", Phase::Away, 200);
        let others: Vec<_> = of("billed", Phase::Away).filter(|call| call.status != Some(200)).collect();
        // The gateway that ends breaks its connections off and refuses others until it is back.
        let strange = others.iter().filter(|call| call.node != restart.number || call.status.is_some()).count();
        self.found.check(
            billed > 100 && strange == 0,
            format!("no hard quota: {billed} calls were served while Postgres was away, {strange} otherwise"),
        );
        self.found.check(*all_spent, "every hard quota and credit ran out on every gateway");

        let (leased, spent) =
            (held.of("closed"), count("closed", Phase::First, 200) + count("closed", Phase::Away, 200));
        self.went_beyond = spent > leased;
        self.found.check(spent == leased, format!("closed: {leased} units were leased, {spent} were spent"));
        // A gateway that starts anew begins its count of overdraft anew.
        let lives = nodes as i64 + 1;
        for partner in ["open", "prepaid"] {
            let (leased, before) = (held.of(partner), count(partner, Phase::First, 200));
            let served = before + count(partner, Phase::Away, 200);
            let most = leased + OVERDRAFT * lives;
            self.found.check(served == most, format!("{partner}: {leased} leased and {OVERDRAFT} overdraft in {lives} lives make {most}; {served} were served"));
        }
        let brim = count("brim", Phase::First, 200) + count("brim", Phase::Away, 200);
        self.found
            .check(brim > 240, format!("the overdraft of an open product may pass a quota: {brim} of 240 were served"));

        let (mut refused, mut wrong) = (0, Vec::new());
        for call in seen.iter().filter(|call| call.phase == Phase::Away && call.partner != "billed") {
            match call.status {
                Some(200) => {}
                Some(503) if call.code == "allowance-unavailable" && call.retry_after => refused += 1,
                None if call.node == restart.number => {}
                // What another gateway held came back before Postgres went away.
                Some(429) if call.partner == "brim" && call.code == "quota-exceeded" => {}
                _ => wrong.push(format!("{} {:?} {}", call.id, call.status, call.code)),
            }
        }
        wrong.truncate(5);
        self.found.check(
            refused > 0 && wrong.is_empty(),
            format!("refused with 503 allowance-unavailable and Retry-After: {refused}; otherwise: {wrong:?}"),
        );
        let expected = OVERDRAFT * 3;
        let counted = overdraft.iter().all(|units| *units == expected);
        self.found
            .check(counted, format!("overdraft counted by each gateway since its start: {overdraft:?}, of {expected}"));
        self.found.check(
            portal.0 == Some(503) || portal.0 == Some(200),
            format!("the portal answered {:?} after {} ms", portal.0, portal.1.as_millis()),
        );
        let served_after = seen.iter().any(|call| {
            call.node == restart.number
                && call.phase == Phase::Away
                && call.partner == "billed"
                && call.status == Some(200)
        });
        self.found.check(
            served_after,
            format!(
                "gateway {} ended within {} ms and answered {} ms after its start, without Postgres",
                restart.number,
                restart.ended.as_millis(),
                restart.open.as_millis()
            ),
        );
    }

    fn waits(&mut self, observed: &Observed, how: How) {
        let Observed { portal, restart, seen, .. } = observed;
        let waits = |partner: Option<&str>, phase: Phase| {
            let of = |call: &&Call| call.phase == phase && call.status.is_some();
            let mine = seen.iter().filter(of).filter(|call| partner.is_none_or(|partner| call.partner == partner));
            let mut waits: Vec<Duration> = mine.map(|call| call.wait).collect();
            waits.sort_unstable();
            waits
        };
        let part = |waits: &[Duration], thousandths: usize| {
            waits.get(waits.len() * thousandths / 1000).or(waits.last()).copied().unwrap_or_default()
        };
        let all = waits(None, Phase::Away);
        let longest = all.last().copied().unwrap_or_default();
        self.found.check_time(
            longest <= LONGEST_WAIT,
            format!(
                "the longest of {} waits was {} ms, p99 {} ms",
                all.len(),
                longest.as_millis(),
                ms(part(&all, 990))
            ),
        );
        let (before, away) =
            (part(&waits(Some("billed"), Phase::First), 990), part(&waits(Some("billed"), Phase::Away), 990));
        // A fifth, and what the scheduler of a busy machine gives and takes.
        self.found.check_time(
            away <= before + before / 5 + Duration::from_millis(2),
            format!(
                "p99 of calls without a hard quota: {} ms before, {} ms while Postgres was away",
                ms(before),
                ms(away)
            ),
        );
        self.found.check_time(portal.1 <= PORTAL, format!("the portal answered within {} ms", portal.1.as_millis()));
        if how == How::Frozen {
            self.found.check_time(restart.ended <= ENDS, format!("SIGTERM took {} ms", restart.ended.as_millis()));
        }
        self.found.check_time(restart.open <= STARTS, format!("the start took {} ms", restart.open.as_millis()));
        let mut back = Duration::ZERO;
        for caller in CALLERS.iter().filter(|caller| caller.partner != "brim") {
            let of = |call: &&Call| call.partner == caller.partner && call.phase == Phase::Back;
            let nodes: std::collections::BTreeSet<usize> = seen.iter().filter(of).map(|call| call.node).collect();
            for node in nodes {
                let mut served = seen.iter().filter(of).filter(|call| call.node == node && call.status == Some(200));
                back = back.max(served.next().map_or(Duration::MAX, |call| call.after + call.wait));
            }
        }
        let mut answers = std::collections::BTreeMap::<_, u64>::new();
        for call in seen.iter().filter(|call| call.phase == Phase::Back) {
            *answers.entry((call.partner, call.status, call.code.as_str())).or_default() += 1;
        }
        let answers = if back == Duration::MAX { format!(": {answers:?}") } else { String::new() };
        self.found.check(back != Duration::MAX, format!("everybody is served again on every gateway{answers}"));
        self.found.check_time(back <= SERVED_AGAIN, format!("the last one {:?} after the return of Postgres", back));
    }

    fn afterwards(&mut self, postgres: &Postgres, observed: &Observed) -> Result<(), Trouble> {
        let events = books::events(postgres)?;
        let answered = observed.seen.iter().filter(|call| call.status.is_some());
        let (mut total, mut wrong) = (0, Vec::new());
        for call in answered {
            total += 1;
            let units = u64::from(call.status == Some(200));
            if events.get(&call.id) != Some(&(1, units)) {
                wrong.push(format!("{} {:?} is {:?}", call.id, call.status, events.get(&call.id)));
            }
        }
        let (missed, unanswered) = (wrong.len(), observed.seen.iter().filter(|call| call.status.is_none()));
        let doubled = unanswered.filter(|call| events.get(&call.id).is_some_and(|(count, _)| *count > 1)).count();
        wrong.truncate(5);
        self.found.check(
            missed == 0 && doubled == 0,
            format!(
                "{total} answered calls, {missed} not recorded exactly once, {doubled} broken ones twice {wrong:?}"
            ),
        );
        for caller in &CALLERS {
            let kind = if caller.partner == "prepaid" { "credit" } else { "quota" };
            let book = Book::read(postgres, caller.partner, kind)?;
            let mine = observed.seen.iter().filter(|call| call.partner == caller.partner);
            let (served, broken) = mine.fold((0, 0), |(served, broken), call| {
                (served + i64::from(call.status == Some(200)), broken + i64::from(call.status.is_none()))
            });
            let Book { units, credits, taken, granted, spent, rolled_up } = book;
            let same = [taken, granted, spent, rolled_up].iter().all(|sum| *sum == units)
                && credits == if kind == "credit" { units } else { 0 };
            self.found.check(
                same && (served..=served + broken).contains(&units),
                format!("{}: {served} served; units {units}, by hour {rolled_up}, credit {credits}, taken {taken}, granted {granted}, spent {spent}", caller.partner),
            );
        }
        let (granted, units, left) = books::balance(postgres)?;
        let spent = Book::read(postgres, "prepaid", "credit")?.units;
        self.found.check(
            granted == units && left == units - spent,
            format!("credit: {granted} granted, {units} on the account, {spent} spent, {left} left"),
        );
        Ok(())
    }
}

/// Milliseconds with one place.
fn ms(duration: Duration) -> String {
    let tenths = duration.as_micros() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}
