//! One question for all usage: a range, cut into windows of a time zone, broken down by up to two dimensions, filtered.

use super::{
    Totals, UsageFilter,
    source::{Detail, Ranges, from_used, read_totals, sums, used},
};
use crate::{Store, StoreError};
use domain::{
    id::PartnerId,
    period::{self, Period},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, postgres::PgRow};
use std::str::FromStr;
use uuid::Uuid;

/// What to break totals down by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Product,
    Operation,
    App,
    Key,
    Team,
    Member,
    Environment,
    PlanVersion,
    Outcome,
    StatusClass,
    /// For the operator, who sees them all.
    Partner,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Product,
        Self::Operation,
        Self::App,
        Self::Key,
        Self::Team,
        Self::Member,
        Self::Environment,
        Self::PlanVersion,
        Self::Outcome,
        Self::StatusClass,
        Self::Partner,
    ];

    /// As in an address: `plan_version`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Operation => "operation",
            Self::App => "app",
            Self::Key => "key",
            Self::Team => "team",
            Self::Member => "member",
            Self::Environment => "environment",
            Self::PlanVersion => "plan_version",
            Self::Outcome => "outcome",
            Self::StatusClass => "status_class",
            Self::Partner => "partner",
        }
    }

    /// The shortest roll-ups that have it.
    const fn detail(self) -> Detail {
        match self {
            Self::Product | Self::Environment | Self::Outcome | Self::StatusClass | Self::Partner => Detail::Brief,
            Self::Operation => Detail::Operations,
            Self::App | Self::Key | Self::Team | Self::Member | Self::PlanVersion => Detail::Full,
        }
    }
}

impl FromStr for Dimension {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|dimension| dimension.code() == text);
        known.ok_or_else(|| StoreError::invalid("by", "There is no such dimension"))
    }
}

/// What the range is cut into, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    #[default]
    Total,
    Hour,
    Day,
    /// From Monday on.
    Week,
    Month,
}

impl Window {
    /// As in an address.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery<'a> {
    pub range: Period,
    /// IANA name, as `Pacific/Auckland`: where windows begin.
    pub time_zone: &'a str,
    pub window: Window,
    /// At most two.
    pub by: &'a [Dimension],
    pub filter: UsageFilter,
}

impl UsageQuery<'static> {
    /// The whole range as one window, not broken down.
    pub const fn whole(range: Period, filter: UsageFilter) -> Self {
        Self { range, time_zone: "UTC", window: Window::Total, by: &[], filter }
    }
}

impl UsageQuery<'_> {
    /// All windows that the range touches, each cut where the range is.
    ///
    /// # Errors
    /// The time zone is not known, or there are too many windows.
    pub fn windows(&self) -> Result<Vec<Period>, StoreError> {
        windows(self)
    }
}

/// What was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageAnswer {
    /// All windows that the range touches, each cut where the range is; those without a call too.
    pub windows: Vec<Period>,
    /// Window by window, in each the most calls first. What was not used is left out.
    pub rows: Vec<UsageRow>,
}

/// One row: a window, and a value of each dimension that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Its place in [`UsageAnswer::windows`].
    pub window: usize,
    /// In the order of [`UsageQuery::by`].
    pub groups: Vec<Group>,
    pub totals: Totals,
}

/// One value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// `None` for what has a code instead, and for calls that matched no product, were of no team, and so on.
    pub id: Option<Uuid>,
    /// Of an environment, an outcome or a class of status; of a product or an operation, the product's.
    pub code: String,
    /// For people: a product's or app's name, an operation's method and path. Empty where there is none.
    pub name: String,
}

/// Windows of one answer.
const MOST_WINDOWS: usize = 1_000;
/// Rows of one answer.
pub const MOST_ROWS: usize = 20_000;

macro_rules! id_of {
    ($asked:literal) => {
        concat!(
            "case ",
            $asked,
            "::text when 'product' then product_id when 'operation' then operation_id when 'app' then app_id
             when 'key' then key_id when 'team' then team_id when 'member' then member_id
             when 'plan_version' then plan_version_id when 'partner' then partner_id end"
        )
    };
}

macro_rules! code_of {
    ($asked:literal) => {
        concat!(
            "case ",
            $asked,
            " when 'environment' then environment when 'outcome' then outcome when 'status_class' then status_class::text
             when 'operation' then product_id::text end"
        )
    };
}

/// Names are looked up once for each row of the answer.
macro_rules! name_of {
    ($asked:literal, $n:literal) => {
        concat!(
            "coalesce(case ",
            $asked,
            "
                 when 'product' then (select p.name from products p where p.id = id_",
            $n,
            ")
                 when 'operation' then (select o.method || ' ' || o.path from operations o where o.id = id_",
            $n,
            ")
                 when 'app' then (select a.name from apps a where a.partner_id = $1 and a.id = id_",
            $n,
            ")
                 when 'key' then (select k.name from keys k where k.partner_id = $1 and k.id = id_",
            $n,
            ")
                 when 'team' then (select t.name from teams t where t.partner_id = $1 and t.id = id_",
            $n,
            ")
                 when 'member' then (select coalesce(nullif(m.name, ''), m.email) from members m
                     where m.partner_id = $1 and m.id = id_",
            $n,
            ")
                 when 'plan_version' then (select p.name || ', version ' || v.version
                     from plan_versions v join plans p on p.id = v.plan_id where v.id = id_",
            $n,
            ")
                 when 'partner' then (select p.name from partners p where p.id = id_",
            $n,
            ")
                 else code_",
            $n,
            " end, '') as name_",
            $n,
            ",
             coalesce(case ",
            $asked,
            "
                 when 'product' then (select p.code from products p where p.id = id_",
            $n,
            ")
                 when 'operation' then (select p.code from products p where p.id = code_",
            $n,
            "::uuid)
                 else code_",
            $n,
            " end, '') as code_of_",
            $n
        )
    };
}

pub(in crate::usage) use {code_of, id_of, name_of};

macro_rules! usage {
    ($who:ident) => {
        from_used!(
            $who;
            "select grouped.*, ", name_of!("$28", "1"), ", ", name_of!("$29", "2"), "
             from (
                 select part, ", id_of!("$28"), " as id_1, ", code_of!("$28"), " as code_1, ",
            id_of!("$29"), " as id_2, ", code_of!("$29"), " as code_2, ", sums!(), "
                 from used group by part, id_1, code_1, id_2, code_2
                 order by part, calls desc, id_1, code_1, id_2, code_2 limit $30 offset $31
             ) as grouped order by part, calls desc, id_1, code_1, id_2, code_2"
        )
    };
}

const OF_ONE: &str = usage!(one);
const OF_ALL: &str = usage!(all);

impl Store {
    /// What the partner used.
    ///
    /// # Errors
    /// The time zone is not known, there are more than two dimensions, or the answer would be too long.
    pub async fn usage(&self, partner: PartnerId, query: &UsageQuery<'_>) -> Result<UsageAnswer, StoreError> {
        whole(self.ask_for_usage(Some(partner), query, 0, MOST_ROWS + 1).await?)
    }

    /// What all partners used. Of apps, keys, teams and members only the identifiers are told.
    ///
    /// # Errors
    /// As of [`Self::usage`].
    pub async fn all_partners_usage_by(&self, query: &UsageQuery<'_>) -> Result<UsageAnswer, StoreError> {
        whole(self.ask_for_usage(None, query, 0, MOST_ROWS + 1).await?)
    }

    /// The same without an end: the rows behind so many, of one partner or of all, those with most calls first, and how many were
    /// read. Where that is [`MOST_ROWS`] there may be more behind them. What is used meanwhile may move rows from page to page.
    ///
    /// # Errors
    /// As of [`Self::usage`], but for the length.
    pub async fn usage_page(
        &self,
        partner: Option<PartnerId>,
        query: &UsageQuery<'_>,
        behind: usize,
    ) -> Result<(UsageAnswer, usize), StoreError> {
        self.ask_for_usage(partner, query, behind, MOST_ROWS).await
    }

    async fn ask_for_usage(
        &self,
        partner: Option<PartnerId>,
        query: &UsageQuery<'_>,
        behind: usize,
        most: usize,
    ) -> Result<(UsageAnswer, usize), StoreError> {
        let statement = if partner.is_some() { OF_ONE } else { OF_ALL };
        let [first, second] = match *query.by {
            [] => [None, None],
            [one] => [Some(one), None],
            [one, other] => [Some(one), Some(other)],
            _ => return Err(StoreError::invalid("by", "Name at most two dimensions")),
        };
        let windows = windows(query)?;
        let detail = query.by.iter().map(|dimension| dimension.detail()).fold(query.filter.detail(), Detail::min);
        let mut tx = self.one_planned_instant().await?;
        let rows = used(statement, partner, Ranges::new(&windows), &query.filter, detail)
            .bind(first.map(Dimension::code))
            .bind(second.map(Dimension::code))
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .bind(i64::try_from(behind).unwrap_or(i64::MAX))
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        let read_rows = rows.len();
        let rows = rows.iter().map(|row| read(row, first, second)).collect::<Result<Vec<_>, _>>()?;
        let rows = rows.into_iter().filter(|row| row.totals.calls > 0).collect();
        Ok((UsageAnswer { windows, rows }, read_rows))
    }
}

/// The answer, where it is all there is.
fn whole((answer, rows): (UsageAnswer, usize)) -> Result<UsageAnswer, StoreError> {
    if rows > MOST_ROWS {
        return Err(StoreError::invalid("by", "The answer would be too long: ask for a shorter range or filter it"));
    }
    Ok(answer)
}

pub(super) fn windows(query: &UsageQuery<'_>) -> Result<Vec<Period>, StoreError> {
    let Period { start, end } = query.range;
    let unit = match query.window {
        Window::Total => return Ok(vec![query.range]),
        Window::Hour => period::Step::Hour,
        Window::Day => period::Step::Day,
        Window::Week => period::Step::Week,
        Window::Month => period::Step::Month,
    };
    let begins = period::windows(start, end, query.time_zone, unit, MOST_WINDOWS)
        .map_err(|error| StoreError::invalid("time_zone", error.to_string()))?;
    if begins.len() > MOST_WINDOWS {
        return Err(StoreError::invalid("window", "The range has too many of these windows: ask for a shorter one"));
    }
    let ends = begins.iter().copied().skip(1).chain([end]);
    let cut = |(begin, past): (&Timestamp, Timestamp)| Period { start: (*begin).max(start), end: past.min(end) };
    Ok(begins.iter().zip(ends).map(cut).collect())
}

fn read(row: &PgRow, first: Option<Dimension>, second: Option<Dimension>) -> Result<UsageRow, sqlx::Error> {
    let part: i32 = row.try_get("part")?;
    let mut groups = Vec::with_capacity(2);
    for (asked, id, code, name) in [(first, "id_1", "code_of_1", "name_1"), (second, "id_2", "code_of_2", "name_2")] {
        if asked.is_some() {
            let id: Option<Uuid> = row.try_get(id)?;
            groups.push(Group { id: id.filter(|id| !id.is_nil()), code: row.try_get(code)?, name: row.try_get(name)? });
        }
    }
    Ok(UsageRow { window: usize::try_from(part).unwrap_or_default(), groups, totals: read_totals(row)? })
}
