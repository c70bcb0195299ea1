//! What Postgres says, read with SQL of its own.

use crate::{Trouble, postgres::Postgres};
use std::collections::{BTreeMap, HashMap};

/// Units that all gateways together had leased, by partner; of the kind that the partner spends.
#[derive(Debug)]
pub struct Leases(BTreeMap<String, i64>);

impl Leases {
    pub fn read(postgres: &Postgres) -> Result<Self, Trouble> {
        let text = postgres.psql(
            "select p.code, sum(l.granted) from allowance_leases l join partners p on p.id = l.partner_id
             where l.kind = case p.code when 'prepaid' then 'credit' else 'quota' end group by 1",
        )?;
        let mut leased = BTreeMap::new();
        for line in text.lines() {
            let (partner, units) = line.split_once('|').ok_or("psql answered with something else")?;
            leased.insert(partner.to_owned(), units.parse()?);
        }
        Ok(Self(leased))
    }

    pub fn of(&self, partner: &str) -> i64 {
        self.0.get(partner).copied().unwrap_or_default()
    }
}

/// One partner's numbers in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Book {
    /// Of the events.
    pub units: i64,
    pub credits: i64,
    pub taken: i64,
    pub granted: i64,
    pub spent: i64,
    /// By the hourly sums, which invoices are made of.
    pub rolled_up: i64,
}

impl Book {
    pub fn read(postgres: &Postgres, partner: &str, kind: &str) -> Result<Self, Trouble> {
        let of = format!("partner_id = (select id from partners where code = '{partner}')");
        let numbers = postgres.numbers(&format!(
            "select (select coalesce(sum(units), 0) from usage_events where {of}),
                 (select coalesce(sum(credits), 0) from usage_events where {of}),
                 (select coalesce(sum(taken), 0) from allowances where {of} and kind = '{kind}'),
                 (select coalesce(sum(granted), 0) from allowance_leases where {of} and kind = '{kind}'),
                 (select coalesce(sum(spent), 0) from allowance_leases where {of} and kind = '{kind}'),
                 (select coalesce(sum(units), 0) from usage_hourly where {of})"
        ))?;
        match numbers[..] {
            [units, credits, taken, granted, spent, rolled_up] => {
                Ok(Self { units, credits, taken, granted, spent, rolled_up })
            }
            _ => Err("psql answered with something else".into()),
        }
    }
}

/// What was granted to the prepaid partner, its balance by the row that gateways spend from, and what is left of it.
pub fn balance(postgres: &Postgres) -> Result<(i64, i64, i64), Trouble> {
    let numbers = postgres.numbers(
        "select (select coalesce(sum(units), 0) from credit_grants), (select coalesce(sum(units), 0) from credit_balances),
             (select coalesce(sum(units), 0) from credit_balances)
                 - (select coalesce(sum(taken), 0) from allowances where kind = 'credit')",
    )?;
    match numbers[..] {
        [granted, units, left] => Ok((granted, units, left)),
        _ => Err("psql answered with something else".into()),
    }
}

/// How often each call is recorded, and with how many units.
pub fn events(postgres: &Postgres) -> Result<HashMap<String, (u64, u64)>, Trouble> {
    let text = postgres
        .psql("select request_id, count(*), sum(units) from usage_events where request_id like 'chaos-%' group by 1")?;
    let mut events = HashMap::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let [id, count, units] = parts[..] else { return Err("psql answered with something else".into()) };
        events.insert(id.to_owned(), (count.parse()?, units.parse()?));
    }
    Ok(events)
}
