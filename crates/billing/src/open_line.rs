//! What a line of an invoice is made of: the same usage that it was rated from, by day or hour, app, key and team, with its sum beside
//! the line's quantity and the reason where the two differ.
//!
//! A usage line is exact: the rows add up to its quantity and to the units that a gateway handed over after the close, which usage
//! has and the bill has not ([`Opened::late`]). What was told or corrected after the close is in no sum of the period. A line of a
//! meter that counts sums adds up in the same way; of the other kinds each row is a value of its own. An adjustment line opens to
//! the late and corrected units that the invoice took; several of one operation on one invoice share them.

use crate::BillingError;
use domain::{
    id::{InvoiceId, OperationId, PartnerId, TeamId},
    key_text::Environment,
    period::Period,
    rating::LineKind,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    Invoice, InvoiceLine, LineTeam, Store, StoreError,
    outside::AdjustedPage,
    usage::{Completeness, Dimension, Group, MeterQuery, UsageFilter, UsageQuery, Window},
};
use uuid::Uuid;

/// Late and corrected units of one answer.
const PAGE: u16 = 100;

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenBy {
    #[default]
    Day,
    Hour,
    App,
    Key,
    Team,
}

impl OpenBy {
    pub const ALL: [Self; 5] = [Self::Day, Self::Hour, Self::App, Self::Key, Self::Team];

    /// As in an address.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::App => "app",
            Self::Key => "key",
            Self::Team => "team",
        }
    }

    const fn window(self) -> Window {
        match self {
            Self::Day => Window::Day,
            Self::Hour => Window::Hour,
            Self::App | Self::Key | Self::Team => Window::Total,
        }
    }

    const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Day | Self::Hour => &[],
            Self::App => &[Dimension::App],
            Self::Key => &[Dimension::Key],
            Self::Team => &[Dimension::Team],
        }
    }
}

/// How a line is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening {
    pub by: OpenBy,
    /// A part of the invoice's period, as one of its days; all of it where it is not said.
    pub part: Option<Period>,
    /// One team's part of it, or all zeros for that of no team; all of it where it is not said.
    pub team: Option<TeamId>,
    /// Of adjustments: where the page begins.
    pub after: Option<i64>,
}

/// An opened line.
#[derive(Debug, Clone)]
pub struct Opened {
    pub invoice: Invoice,
    pub line: InvoiceLine,
    /// What the rows are of: the invoice's period, or the part that was asked for.
    pub range: Period,
    /// The team's part of the line, where it is opened by that.
    pub of_team: Option<LineTeam>,
    pub behind: Behind,
}

/// What is behind a line.
#[derive(Debug, Clone)]
pub enum Behind {
    Usage {
        rows: Vec<OpenedRow>,
        /// Of the rows.
        units: u64,
        /// Live units that gateways handed over after the close, in the rows and not on the line. Of the whole period. Of a threshold
        /// invoice, what came of its hours since it was made; below zero where a correction took some back.
        late: i64,
        /// What is known of the range's usage.
        known: Completeness,
    },
    Meter {
        rows: Vec<OpenedRow>,
        /// Of the whole range, as the line counts it.
        quantity: u64,
        /// Whether the rows add up to it.
        adds_up: bool,
        known: Completeness,
    },
    Adjustment(AdjustedPage),
    /// A fee, a discount, a credit: nothing was used for it.
    Nothing,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedRow {
    /// The window that it is of.
    pub window: Period,
    /// Who made the calls, where it is by that.
    pub group: Option<Group>,
    pub calls: u64,
    /// Units, or what was measured.
    pub quantity: u64,
}

/// Opens the line.
///
/// # Errors
/// There is no such line, the team has no part of it, or the part has too many hours or days.
pub async fn open_line(
    store: &Store,
    (partner, invoice, position): (PartnerId, InvoiceId, i32),
    opening: Opening,
    now: Timestamp,
) -> Result<Opened, BillingError> {
    let (invoice, lines) = store.invoice(partner, invoice).await?;
    let line = lines.into_iter().find(|line| line.position == position).ok_or(StoreError::NotFound)?;
    let range = match opening.part {
        Some(part) => Period { start: part.start.max(invoice.period.start), end: part.end.min(invoice.period.end) },
        None => invoice.period,
    };
    if range.start >= range.end {
        return Err(StoreError::invalid("from", "This is not a part of the invoice's period").into());
    }
    let of_team = match opening.team {
        None => None,
        Some(team) => Some(part_of(&line, team).ok_or(StoreError::NotFound)?.clone()),
    };
    let behind = match line.kind {
        // Without a product nothing tells its calls from others.
        LineKind::Usage if line.product.is_none() => Behind::Nothing,
        LineKind::Usage => usage(store, &invoice, &line, (range, opening), now).await?,
        LineKind::Meter => meter(store, &invoice, &line, (range, opening.by), now).await?,
        LineKind::Adjustment => {
            let of = (line.product, line.operation);
            Behind::Adjustment(
                store.adjusted_on_invoice(partner, invoice.id, of, opening.team, opening.after, PAGE).await?,
            )
        }
        _ => Behind::Nothing,
    };
    Ok(Opened { invoice, line, range, of_team, behind })
}

fn part_of(line: &InvoiceLine, team: TeamId) -> Option<&LineTeam> {
    line.teams.iter().find(|part| part.team.map(|id| id.0).unwrap_or_default() == team.0)
}

async fn usage(
    store: &Store,
    invoice: &Invoice,
    line: &InvoiceLine,
    (range, Opening { by, team, .. }): (Period, Opening),
    now: Timestamp,
) -> Result<Behind, BillingError> {
    let environment = Some(Environment::Live);
    // A line without an operation is of the calls that had none, and not of all.
    let operation = Some(line.operation.unwrap_or(OperationId(Uuid::nil())));
    let filter = UsageFilter { environment, product: line.product, operation, team, ..UsageFilter::EVERYTHING };
    let query = UsageQuery { range, time_zone: &invoice.time_zone, window: by.window(), by: by.dimensions(), filter };
    let answer = store.usage(invoice.partner, &query).await?;
    let row = |row: store::usage::UsageRow| {
        let window = answer.windows.get(row.window).copied()?;
        let group = row.groups.into_iter().next();
        Some(OpenedRow { window, group, calls: row.totals.calls, quantity: row.totals.units })
    };
    let rows: Vec<OpenedRow> = answer.rows.into_iter().filter_map(row).collect();
    let of = (line.product, line.operation);
    let late = match invoice.threshold_number {
        0 => store.handed_over_late(invoice.partner, (invoice.subscription, invoice.period), of, team).await?,
        _ => after_cut(store, invoice, line, team).await?,
    };
    Ok(Behind::Usage {
        units: rows.iter().map(|row| row.quantity).sum(),
        rows,
        late,
        known: store.completeness(invoice.partner, range, now).await?,
    })
}

/// Units of the hours of a threshold invoice that came after it, or were corrected: they are on the next invoice of the period.
async fn after_cut(
    store: &Store,
    invoice: &Invoice,
    line: &InvoiceLine,
    team: Option<TeamId>,
) -> Result<i64, BillingError> {
    let (stored, teams) = store.units_and_teams_between(invoice.partner, invoice.period).await?;
    let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
    let of = (line.product, line.operation);
    let (units, billed) = match team {
        None => {
            let own = stored.iter().filter(|one| (one.product, one.operation) == of);
            (own.fold(0_i64, |sum, one| sum.saturating_add(signed(one.used.units))), line.quantity)
        }
        Some(team) => {
            let own = teams.iter().filter(|one| {
                (one.product, one.operation) == of && one.team.map(|id| id.0).unwrap_or_default() == team.0
            });
            let billed = part_of(line, team).map_or(0, |part| part.quantity);
            (own.fold(0_i64, |sum, one| sum.saturating_add(one.used.units)), billed)
        }
    };
    Ok(units.saturating_sub(billed))
}

async fn meter(
    store: &Store,
    invoice: &Invoice,
    line: &InvoiceLine,
    (range, by): (Period, OpenBy),
    now: Timestamp,
) -> Result<Behind, BillingError> {
    let filter = UsageFilter { environment: Some(Environment::Live), product: line.product, ..UsageFilter::EVERYTHING };
    let usage = UsageQuery { range, time_zone: &invoice.time_zone, window: by.window(), by: by.dimensions(), filter };
    let meter = line.meter.as_deref();
    // Lines of long ago do not say of which meter they are.
    let Some(code) = meter else { return Ok(Behind::Nothing) };
    let answer = store.metered(invoice.partner, &MeterQuery { usage, meter, now }).await?;
    let adds_up = answer.rows.iter().all(|row| row.kind == domain::usage::MeterKind::Sum);
    let row = |row: store::usage::MeterRow| {
        let window = answer.windows.get(row.window).copied()?;
        let level_hours = row.level_seconds.map(|level| level / 3_600);
        let quantity = u64::try_from(level_hours.unwrap_or(row.quantity)).unwrap_or(0);
        Some(OpenedRow { window, group: row.groups.into_iter().next(), calls: row.events, quantity })
    };
    let rows = answer.rows.into_iter().filter_map(row).collect();
    let whole = store.metered_between(invoice.partner, range, now).await?;
    let of_line = whole.iter().filter(|one| one.product == line.product && one.used.meter == code);
    Ok(Behind::Meter {
        rows,
        quantity: of_line.map(|one| one.used.quantity).sum(),
        adds_up,
        known: store.completeness(invoice.partner, range, now).await?,
    })
}
