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
    pin::Pin,
    task::{Context, Poll},
};
use store::{
    Store, StoreError,
    usage::{Dimension, Group, UsageAnswer, UsageFilter, UsageQuery, UsageRow, Window},
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
    pub groups: Vec<GroupOut>,
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

impl RowOut {
    pub fn new(by: &[Dimension], windows: &[Period], row: UsageRow) -> Self {
        let window = windows.get(row.window).copied();
        let groups = by.iter().zip(row.groups).map(|(dimension, group)| GroupOut::new(*dimension, group));
        Self {
            from: window.map_or(Timestamp::UNIX_EPOCH, |window| window.start),
            to: window.map_or(Timestamp::UNIX_EPOCH, |window| window.end),
            groups: groups.collect(),
            total: row.totals.into(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.from.to_string(), self.to.to_string()];
        cells.extend(self.groups.iter().flat_map(GroupOut::cells));
        cells.extend(self.total.cells());
        cells.extend(self.total.times());
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
        columns.extend(super::usage::SUMS.into_iter().chain(["p50_us", "p95_us", "p99_us"]).map(str::to_owned));
        Csv::new(&columns.iter().map(String::as_str).collect::<Vec<_>>()).into_text()
    }

    pub fn rows(self, by: &[Dimension], answer: UsageAnswer) -> String {
        let UsageAnswer { windows, rows } = answer;
        let rows = rows.into_iter().map(|row| RowOut::new(by, &windows, row));
        match self {
            Self::Csv => {
                let mut csv = Csv::empty();
                rows.for_each(|row| csv.row(&row.cells()));
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
    /// The file. It is read from the database while it is sent, a window at a time; where that fails, the file breaks off.
    ///
    /// # Errors
    /// The time zone is not known, or there are too many windows.
    pub fn send(self, store: Store, lines: Lines, name: &str) -> Result<Response, StoreError> {
        let windows = self.query(self.range, self.window).windows()?;
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let heading = lines.heading(&self.by);
            if sender.send(Ok(Bytes::from(heading))).await.is_err() {
                return;
            }
            for window in windows {
                let query = self.query(window, Window::Total);
                let answer = match self.partner {
                    Some(partner) => store.usage(partner, &query).await,
                    None => store.all_partners_usage_by(&query).await,
                };
                let rows = answer.map(|answer| Bytes::from(lines.rows(&self.by, answer)));
                let failed = rows.is_err();
                if sender.send(rows).await.is_err() || failed {
                    return;
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

struct Stream(mpsc::Receiver<Result<Bytes, StoreError>>);

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
