//! Rows of usage as they leave: CSV or JSON Lines, window by window, so that an export of any length takes little memory.

use super::csv::Csv;
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    period::Period,
};
use hyper::body::Frame;
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    pin::Pin,
    task::{Context, Poll},
};
use store::{
    Store, StoreError,
    usage::{
        Completeness, Dimension, Group, MOST_ROWS, Missing, Totals, UsageAnswer, UsageFilter, UsageQuery, UsageRow,
        Window,
    },
};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    Csv,
    Jsonl,
}

/// One row, under the names that all formats have.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowOut {
    /// Where the window begins and ends; the first and the last are cut where the range is.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// None where nothing of the window is stored and some of it is missing.
    pub groups: Vec<GroupOut>,
    /// Whether all usage of the window is stored. Where it is not, the total is what is there so far.
    pub complete: bool,
    pub total: super::usage::TotalsOut,
}

/// One value of a dimension.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupOut {
    /// The dimension.
    by: &'static str,
    /// The identifier; null for what has a code only, and for what matched nothing.
    id: Option<String>,
    /// Of an environment, an outcome or a class of status; of a product or an operation, the product's.
    code: String,
    name: String,
}

impl GroupOut {
    pub fn new(dimension: Dimension, group: Group) -> Self {
        let id = group.id.and_then(|id| id_text(dimension, id));
        Self { by: dimension.code(), id, code: group.code, name: group.name }
    }

    fn of_partner(partner: PartnerId) -> Self {
        let (by, id) = (Dimension::Partner.code(), Some(partner.to_string()));
        Self { by, id, code: String::new(), name: String::new() }
    }

    /// As [`columns`] has them.
    pub fn cells(&self) -> [String; 3] {
        [self.id.clone().unwrap_or_default(), self.code.clone(), self.name.clone()]
    }
}

/// The columns of a file that say where a window begins and ends, and what the row is of.
pub fn columns(by: &[Dimension]) -> Vec<String> {
    let mut columns = vec!["from".to_owned(), "to".to_owned()];
    for dimension in by {
        let code = dimension.code();
        columns.extend([format!("{code}_id"), format!("{code}_code"), format!("{code}_name")]);
    }
    columns
}

/// Whose rows they are, and what is known of their usage.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    /// `None` where each row is of the partner that it names, or of all.
    pub partner: Option<PartnerId>,
    pub known: &'a Completeness,
}

impl Whose<'_> {
    /// The rows, and one for each window, and of each partner, of which nothing is stored and something is missing.
    pub fn rows(self, by: &[Dimension], answer: UsageAnswer) -> Vec<RowOut> {
        let UsageAnswer { windows, rows } = answer;
        let mut told = Vec::with_capacity(rows.len());
        let mut rows = rows.into_iter().peekable();
        for (place, window) in windows.into_iter().enumerate() {
            let mut named = BTreeSet::new();
            let before = told.len();
            while let Some(row) = rows.next_if(|row| row.window == place) {
                let partner = self.partner.or_else(|| partner_of(by, &row));
                named.extend(partner);
                told.push(RowOut::new(by, window, row, self.known.covers(window, partner)));
            }
            told.extend(self.unheard_of(by, window, &named, told.len() == before));
        }
        told
    }

    /// Rows without figures, for what would otherwise look as if nothing had been used.
    fn unheard_of(self, by: &[Dimension], window: Period, named: &BTreeSet<PartnerId>, is_empty: bool) -> Vec<RowOut> {
        let of = |partner: Option<PartnerId>| RowOut {
            from: window.start,
            to: window.end,
            groups: partner.map(GroupOut::of_partner).into_iter().collect(),
            complete: false,
            total: Totals::default().into(),
        };
        if self.partner.is_some() || by.first() != Some(&Dimension::Partner) {
            return if is_empty && self.known.misses(window, self.partner) { vec![of(None)] } else { Vec::new() };
        }
        let theirs = |partner: &PartnerId| {
            let is = |missing: &&Missing| missing.partner == Some(*partner);
            self.known.missing.iter().filter(is).any(|missing| overlap(missing.range, window))
        };
        let whose: BTreeSet<PartnerId> = self.known.missing.iter().filter_map(|missing| missing.partner).collect();
        let mut rows: Vec<RowOut> =
            whose.into_iter().filter(|one| !named.contains(one) && theirs(one)).map(|one| of(Some(one))).collect();
        let of_all = |missing: &Missing| missing.partner.is_none() && overlap(missing.range, window);
        if is_empty && self.known.missing.iter().any(of_all) {
            rows.push(of(None));
        }
        rows
    }
}

fn overlap(one: Period, other: Period) -> bool {
    one.start < other.end && other.start < one.end
}

fn partner_of(by: &[Dimension], row: &UsageRow) -> Option<PartnerId> {
    let place = by.iter().position(|dimension| *dimension == Dimension::Partner)?;
    row.groups.get(place)?.id.map(PartnerId)
}

impl RowOut {
    fn new(by: &[Dimension], window: Period, row: UsageRow, complete: bool) -> Self {
        let groups = by.iter().zip(row.groups).map(|(dimension, group)| GroupOut::new(*dimension, group));
        Self { from: window.start, to: window.end, groups: groups.collect(), complete, total: row.totals.into() }
    }

    /// As many as the heading has for that number of dimensions.
    fn cells(&self, dimensions: usize) -> Vec<String> {
        let mut cells = vec![self.from.to_string(), self.to.to_string()];
        for place in 0..dimensions {
            cells.extend(self.groups.get(place).map(GroupOut::cells).unwrap_or_default());
        }
        cells.extend(self.total.cells());
        cells.extend(self.total.times());
        cells.push(self.complete.to_string());
        cells
    }
}

fn id_text(dimension: Dimension, id: Uuid) -> Option<String> {
    Some(match dimension {
        Dimension::Product => ProductId(id).to_string(),
        Dimension::Operation => OperationId(id).to_string(),
        Dimension::App => AppId(id).to_string(),
        Dimension::Key => KeyId(id).to_string(),
        Dimension::Team => TeamId(id).to_string(),
        Dimension::Member => MemberId(id).to_string(),
        Dimension::PlanVersion => PlanVersionId(id).to_string(),
        Dimension::Partner => PartnerId(id).to_string(),
        Dimension::Environment | Dimension::Outcome | Dimension::StatusClass => return None,
    })
}

impl Lines {
    /// What comes before the first row.
    pub fn heading(self, by: &[Dimension]) -> String {
        if self == Self::Jsonl {
            return String::new();
        }
        let mut columns = columns(by);
        let rest = ["p50_us", "p95_us", "p99_us", "complete"];
        columns.extend(super::usage::SUMS.into_iter().chain(rest).map(str::to_owned));
        Csv::new(&columns.iter().map(String::as_str).collect::<Vec<_>>()).into_text()
    }

    pub fn rows(self, by: &[Dimension], answer: UsageAnswer, whose: Whose<'_>) -> String {
        let rows = whose.rows(by, answer).into_iter();
        match self {
            Self::Csv => {
                let mut csv = Csv::empty();
                rows.for_each(|row| csv.row(&row.cells(by.len())));
                csv.into_text()
            }
            Self::Jsonl => rows.filter_map(|row| serde_json::to_string(&row).ok()).map(|row| row + "\n").collect(),
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
        }
    }
}

/// What an export holds.
pub struct Export {
    /// Of one partner, or of all.
    pub partner: Option<PartnerId>,
    pub range: Period,
    pub time_zone: String,
    pub window: Window,
    pub by: Vec<Dimension>,
    pub filter: UsageFilter,
}

impl Export {
    /// The file. It is read from the database while it is sent, a window at a time, and of that so many rows; where that fails, the file breaks off.
    ///
    /// # Errors
    /// The time zone is not known, or there are too many windows.
    pub fn send(self, store: Store, lines: Lines, name: &str, now: Timestamp) -> Result<Response, StoreError> {
        let windows = self.query(self.range, self.window).windows()?;
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let heading = lines.heading(&self.by);
            if sender.send(Ok(Bytes::from(heading))).await.is_err() {
                return;
            }
            let known = match self.partner {
                Some(partner) => store.completeness(partner, self.range, now).await,
                None => store.all_partners_completeness(self.range, now).await,
            };
            let known = match known {
                Ok(known) => known,
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
            let whose = Whose { partner: self.partner, known: &known };
            for window in windows {
                let query = self.query(window, Window::Total);
                let mut behind = 0;
                loop {
                    let answer = store.usage_page(self.partner, &query, behind).await;
                    let read = answer.as_ref().map_or(0, |(_, read)| *read);
                    let rows = answer.map(|(answer, _)| Bytes::from(lines.rows(&self.by, answer, whose)));
                    let failed = rows.is_err();
                    if sender.send(rows).await.is_err() || failed {
                        return;
                    }
                    behind += read;
                    if read < MOST_ROWS {
                        break;
                    }
                }
            }
        });
        let disposition = format!("attachment; filename=\"{name}\"");
        let headers =
            [(header::CONTENT_TYPE, lines.content_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
        Ok((headers, Body::new(Stream(receiver))).into_response())
    }

    fn query(&self, range: Period, window: Window) -> UsageQuery<'_> {
        UsageQuery { range, time_zone: &self.time_zone, window, by: &self.by, filter: self.filter }
    }
}

/// A body of parts as they come.
pub struct Stream(pub mpsc::Receiver<Result<Bytes, StoreError>>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
