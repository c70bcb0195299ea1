//! A number that is not what another place says, named so that a person can look.

use crate::{
    row::{ReadRow as _, unreadable},
    time::Ts,
};
use domain::id::PartnerId;
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Gateway,
    Sequence,
    Hourly,
    Daily,
    Meters,
    Credit,
    Invoice,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Gateway, Self::Sequence, Self::Hourly, Self::Daily, Self::Meters, Self::Credit, Self::Invoice];

    /// As the table and the command line have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Sequence => "sequence",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Meters => "meters",
            Self::Credit => "credit",
            Self::Invoice => "invoice",
        }
    }

    /// What the two numbers are.
    pub const fn between(self) -> (&'static str, &'static str) {
        match self {
            Self::Gateway => ("the gateway counted", "the events say"),
            Self::Sequence => ("there should be", "there are"),
            Self::Hourly | Self::Meters => ("the events say", "the roll-up has"),
            Self::Daily => ("the hours say", "the day has"),
            Self::Credit => ("to be booked", "booked"),
            Self::Invoice => ("the events say", "the invoice has"),
        }
    }
}

/// One number that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    /// `None` where nobody can say whose it is.
    pub partner: Option<PartnerId>,
    pub hour: Timestamp,
    /// `calls`, `units`, `records`, ...
    pub meter: String,
    /// Where it is of one lane.
    pub lane: Option<(String, u16)>,
    /// More of where it is: an operation, an invoice's line, records.
    pub place: String,
    pub expected: String,
    pub actual: String,
}

impl Finding {
    /// What makes it this one, whatever the numbers are.
    pub(super) fn key(&self) -> impl Ord + '_ {
        let Self { kind, partner, hour, meter, lane, place, .. } = self;
        (kind.code(), partner.map(|partner| partner.0), *hour, meter, lane.as_ref(), place)
    }

    /// The node and the lane, as the table has them.
    pub(super) fn of_lane(&self) -> (&str, i32) {
        self.lane.as_ref().map_or(("", -1), |(node, lane)| (node.as_str(), i32::from(*lane)))
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, hour, meter, place, expected, actual, .. } = self;
        write!(f, "{}: ", kind.code())?;
        if let Some(partner) = self.partner {
            write!(f, "{partner}, ")?;
        }
        write!(f, "hour {hour}, {meter}: {} {expected}, {} {actual}", kind.between().0, kind.between().1)?;
        if let Some((node, lane)) = &self.lane {
            write!(f, "; node {node} lane {lane}")?;
        }
        if place.is_empty() { Ok(()) } else { write!(f, "; {place}") }
    }
}

/// How many numbers the row stands for that were compared; said once in each answer.
pub(super) fn compared(row: &PgRow) -> Result<u64, sqlx::Error> {
    row.count("compared")
}

/// What differs in a row of a comparison: each of its meters.
pub(super) fn read(kind: Kind, row: &PgRow) -> Result<Vec<Finding>, sqlx::Error> {
    let meters: Vec<String> = row.try_get::<Option<_>, _>("meters")?.unwrap_or_default();
    let expected: Vec<String> = row.try_get::<Option<_>, _>("expected")?.unwrap_or_default();
    let actual: Vec<String> = row.try_get::<Option<_>, _>("actual")?.unwrap_or_default();
    let mut findings = Vec::new();
    for ((meter, expected), actual) in meters.into_iter().zip(expected).zip(actual) {
        if expected != actual {
            findings.push(Finding { meter, expected, actual, ..place(kind, row)? });
        }
    }
    Ok(findings)
}

/// A finding as it was kept.
pub(super) fn kept(row: &PgRow) -> Result<Finding, sqlx::Error> {
    let kind = kind(row.try_get("kind")?)?;
    let (meter, expected, actual) = (row.try_get("meter")?, row.try_get("expected")?, row.try_get("actual")?);
    Ok(Finding { meter, expected, actual, ..place(kind, row)? })
}

/// The kind as the table has it.
pub(super) fn kind(code: &str) -> Result<Kind, sqlx::Error> {
    let known = Kind::ALL.into_iter().find(|kind| kind.code() == code);
    known.ok_or_else(|| unreadable("kind", format!("{code} is not known")))
}

fn place(kind: Kind, row: &PgRow) -> Result<Finding, sqlx::Error> {
    let partner: Uuid = row.try_get("partner_id")?;
    let (node, lane): (String, i32) = (row.try_get("node")?, row.try_get("lane")?);
    Ok(Finding {
        kind,
        partner: (!partner.is_nil()).then_some(PartnerId(partner)),
        hour: row.at("hour")?,
        meter: String::new(),
        lane: u16::try_from(lane).ok().map(|lane| (node, lane)),
        place: row.try_get("place")?,
        expected: String::new(),
        actual: String::new(),
    })
}

/// Keeps what was found; what was found before is seen again.
pub(super) async fn keep(tx: &mut PgConnection, findings: &[Finding], now: Timestamp) -> Result<(), sqlx::Error> {
    for finding in findings {
        let (node, lane) = finding.of_lane();
        sqlx::query(
            "insert into reconciliation_findings (kind, partner_id, hour, meter, node, lane, place, expected, actual,
                 first_seen_at, last_seen_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8::numeric, $9::numeric, $10, $10)
             on conflict (kind, partner_id, hour, meter, node, lane, place) do update
                 set expected = excluded.expected, actual = excluded.actual, last_seen_at = excluded.last_seen_at,
                     accepted_at = case when reconciliation_findings.expected = excluded.expected
                         and reconciliation_findings.actual = excluded.actual then reconciliation_findings.accepted_at end,
                     resolved_at = null",
        )
        .bind(finding.kind.code())
        .bind(finding.partner.map(|partner| partner.0).unwrap_or_default())
        .bind(Ts(finding.hour))
        .bind(&finding.meter)
        .bind(node)
        .bind(lane)
        .bind(&finding.place)
        .bind(&finding.expected)
        .bind(&finding.actual)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// They are not found any more.
pub(super) async fn resolve(tx: &mut PgConnection, findings: &[&Finding], now: Timestamp) -> Result<(), sqlx::Error> {
    for finding in findings {
        let (node, lane) = finding.of_lane();
        sqlx::query(
            "update reconciliation_findings set resolved_at = $8
             where kind = $1 and partner_id = $2 and hour = $3 and meter = $4 and node = $5 and lane = $6 and place = $7
                 and resolved_at is null and last_seen_at < $8",
        )
        .bind(finding.kind.code())
        .bind(finding.partner.map(|partner| partner.0).unwrap_or_default())
        .bind(Ts(finding.hour))
        .bind(&finding.meter)
        .bind(node)
        .bind(lane)
        .bind(&finding.place)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
