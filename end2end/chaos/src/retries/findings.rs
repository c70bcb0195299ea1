//! What was promised, held against four ledgers: what clients saw, what the upstream executed, what was metered, and what the
//! table of keys says in the end.

use super::{
    Control, Retries,
    posts::{Order, Seen},
};
use crate::{Trouble, cluster::Cluster, findings::Findings as Found};
use std::{collections::BTreeMap, time::Duration};

pub struct Findings {
    pub seed: u64,
    pub nodes: usize,
    pub kills: usize,
    pub order: Order,
    /// All answers.
    pub seen: Seen,
    /// The answers after the race.
    pub settled: Seen,
    /// By key.
    pub executed: BTreeMap<String, u32>,
    pub books: Books,
    pub restarts: Vec<Duration>,
    pub raced: Duration,
}

/// What Postgres, the command line and the logs say in the end.
pub struct Books {
    /// By the number of the key: ids of served calls, and units of all calls.
    metered: BTreeMap<usize, (Vec<String>, u64)>,
    /// Units of prepaid credit that were taken and not given back.
    taken: u64,
    /// Rows of the table of keys, by state, and by reason where they are unknown.
    states: BTreeMap<String, u64>,
    /// Entries of the audit log about unknown keys.
    noted: u64,
    /// What an operator is shown.
    listed: usize,
    panics: usize,
}

impl Books {
    pub fn read(cluster: &Cluster, listed: usize) -> Result<Self, Trouble> {
        let mut metered: BTreeMap<usize, (Vec<String>, u64)> = BTreeMap::new();
        let rows = cluster.psql(
            "select request_id, outcome, units from usage_events where request_id like 'retry-%'
             and (outcome = 'served' or units > 0)",
        )?;
        for row in rows.lines() {
            let [id, outcome, units] = row.split('|').collect::<Vec<_>>()[..] else { return Err("an odd row".into()) };
            let number = id.split('-').nth(1).ok_or("an odd request id")?.parse()?;
            let (served, all) = metered.entry(number).or_default();
            if outcome == "served" {
                served.push(id.to_owned());
            }
            *all += units.parse::<u64>()?;
        }
        let mut states = BTreeMap::new();
        for row in cluster.psql("select coalesce(reason, state), count(*) from idempotency_keys group by 1")?.lines() {
            let (state, count) = row.split_once('|').ok_or("an odd row")?;
            states.insert(state.to_owned(), count.parse()?);
        }
        let number = |query: &str| -> Result<u64, Trouble> { Ok(cluster.psql(query)?.trim().parse()?) };
        Ok(Self {
            metered,
            taken: number("select coalesce(sum(taken), 0) from allowances where kind = 'credit'")?,
            states,
            noted: number("select count(*) from audit_log where action = 'idempotency_key.unknown'")?,
            listed,
            panics: cluster.log().matches("panicked").count(),
        })
    }
}

impl Findings {
    /// Prints each promise with its figures; whether all are kept.
    pub fn print(&self, control: Option<Control>) -> bool {
        let mut found = Found::new(true);
        for (holds, what) in self.promises() {
            found.check(holds, what);
        }
        let restart = self.restarts.iter().max().map_or(0, Duration::as_millis);
        println!("  the race took {:.1} s, the slowest restart {restart} ms", self.raced.as_secs_f64());
        let control = match control {
            None => "",
            Some(Control::Unmarked) => " (control run, the operation is not marked: it must not hold)",
            Some(Control::Forgotten) => " (control run, what was in flight is forgotten: it must not hold)",
        };
        found.conclude(&format!("retries at {} gateways{control}", self.nodes))
    }

    /// Whether the upstream executed a key more than once.
    pub fn repeated(&self) -> bool {
        self.executed.values().any(|times| *times > 1)
    }

    fn times(&self, number: usize) -> u32 {
        self.executed.get(&Order::text(number)).copied().unwrap_or_default()
    }

    fn sum(&self, count: impl Fn(&super::posts::KeySeen) -> u64) -> u64 {
        self.seen.0.values().map(count).sum()
    }

    /// Keys whose last word is that nobody knows.
    fn unknown(&self) -> Vec<usize> {
        self.settled.0.iter().filter(|(_, seen)| seen.unknown > 0).map(|(number, _)| *number).collect()
    }

    fn promises(&self) -> Vec<(bool, String)> {
        vec![
            self.executed_once(),
            self.every_other_answer(),
            self.same_bodies(),
            self.settled_everywhere(),
            self.never_again(),
            self.charged_once(),
            self.replays_are_free(),
            self.written_down(),
            (self.books.panics == 0, format!("nothing panicked: {} times", self.books.panics)),
        ]
    }

    fn executed_once(&self) -> (bool, String) {
        let keys = 0..self.order.keys;
        let never = keys.clone().filter(|number| self.times(*number) == 0).count();
        let more = keys.clone().filter(|number| self.times(*number) > 1).count();
        let unknown = self.unknown();
        let excused = keys.filter(|number| self.times(*number) == 0).all(|number| unknown.contains(&number));
        let executions: u32 = self.executed.values().sum();
        let what = format!(
            "the upstream executed {executions} times for {} keys: {more} keys more than once, {never} not at all (their \
             gateway was killed first, and they are unknown)",
            self.order.keys
        );
        (more == 0 && excused && self.executed.len() <= self.order.keys, what)
    }

    fn every_other_answer(&self) -> (bool, String) {
        let first = self.sum(|seen| seen.first.len() as u64);
        let (replays, in_flight, unknown) =
            (self.sum(|seen| seen.replays), self.sum(|seen| seen.in_flight), self.sum(|seen| seen.unknown));
        let mut other: BTreeMap<&(u16, String), u64> = BTreeMap::new();
        let mut later: BTreeMap<&str, u64> = BTreeMap::new();
        for seen in self.seen.0.values() {
            seen.other.iter().for_each(|(what, count)| *other.entry(what).or_default() += count);
            seen.later.iter().for_each(|(code, count)| *later.entry(code).or_default() += count);
        }
        let at_most_one = self.seen.0.values().all(|seen| seen.first.len() <= 1);
        let what = format!(
            "{first} first answers, at most one for each key; {replays} replays, {in_flight} times 409 in flight, {unknown} \
             times 409 unknown, other answers {other:?}; sent again after {} broken connections and 503 {later:?}",
            self.sum(|seen| seen.broken)
        );
        (at_most_one && other.is_empty() && replays > 0 && in_flight > 0, what)
    }

    fn same_bodies(&self) -> (bool, String) {
        let differ = |seen: &&super::posts::KeySeen| {
            seen.replayed.len() > 1 || seen.first.values().any(|body| seen.replayed.iter().any(|again| again != body))
        };
        let different = self.seen.0.values().filter(differ).count();
        (different == 0, format!("every replay is the first answer, byte for byte: {different} keys had another one"))
    }

    fn settled_everywhere(&self) -> (bool, String) {
        let settled = |seen: &&super::posts::KeySeen| {
            let nodes = self.nodes as u64;
            seen.replays == nodes || seen.unknown == nodes
        };
        let well = self.settled.0.values().filter(settled).count();
        let what =
            format!("after the race {well} of {} keys are replayed or unknown, alike at each gateway", self.order.keys);
        (well == self.order.keys, what)
    }

    fn never_again(&self) -> (bool, String) {
        let unknown = self.unknown();
        let executed = unknown.iter().filter(|number| self.times(**number) == 1).count();
        let again = unknown.iter().filter(|number| self.times(**number) > 1).count();
        // Kills that hit nobody show nothing, and of what no kill cut off nothing is left in doubt.
        let hit = self.kills == 0 || !unknown.is_empty();
        let broken = self.sum(|seen| seen.broken);
        let bounded = unknown.len() as u64 <= broken;
        let what = format!(
            "{} kills broke {broken} posts off and left {} keys unknown, of which {executed} had been executed; executed \
             again: {again}",
            self.kills,
            unknown.len()
        );
        (again == 0 && hit && bounded, what)
    }

    fn charged_once(&self) -> (bool, String) {
        let unknown = self.unknown();
        let (mut well, mut free) = (0, 0);
        for number in 0..self.order.keys {
            let (served, units) = self.books.metered.get(&number).cloned().unwrap_or_default();
            let seen = self.seen.0.get(&number).cloned().unwrap_or_default();
            let of_clients = seen.first.keys().all(|id| served.contains(id));
            let in_doubt = unknown.contains(&number);
            if of_clients && served.len() as u64 == units && (units == 1 || (in_doubt && units == 0)) {
                well += 1;
            }
            if units == 0 && self.times(number) == 1 {
                free += 1;
            }
        }
        let what = format!(
            "{well} of {} keys are charged once, or not at all where the answer was lost in a kill ({free} executions were free)",
            self.order.keys
        );
        (well == self.order.keys, what)
    }

    fn replays_are_free(&self) -> (bool, String) {
        let units: u64 = self.books.metered.values().map(|(_, units)| units).sum();
        let served: usize = self.books.metered.values().map(|(served, _)| served.len()).sum();
        let taken = self.books.taken;
        let what =
            format!("{served} served calls, {units} units metered, {taken} units of credit taken: replays are free");
        (units == served as u64 && taken == units, what)
    }

    fn written_down(&self) -> (bool, String) {
        let unknown = self.unknown().len();
        let Books { states, noted, listed, .. } = &self.books;
        let rows = states.get("node_ended").copied().unwrap_or_default();
        let what = format!(
            "{unknown} unknown keys: {rows} left by gateways that ended, {noted} in the audit log, {listed} shown to an \
             operator; the table has {states:?}"
        );
        let no_others = states.keys().all(|state| matches!(state.as_str(), "answered" | "node_ended"));
        (rows == unknown as u64 && *noted == rows && *listed == unknown && no_others, what)
    }

    pub fn to_json(&self, retries: &Retries, holds: bool) -> serde_json::Value {
        serde_json::json!({
            "experiment": "retries", "seed": self.seed, "nodes": self.nodes, "keys": self.order.keys,
            "posts": self.order.posts, "connections": retries.connections, "kills": self.kills, "control": retries.control.is_some(),
            "executions": self.executed.values().sum::<u32>(), "unknown": self.unknown().len(),
            "replays": self.sum(|seen| seen.replays), "in_flight": self.sum(|seen| seen.in_flight),
            "broken": self.sum(|seen| seen.broken), "units": self.books.taken, "seconds": self.raced.as_secs_f64(),
            "holds": holds,
        })
    }
}
