//! The invoices that were made in a range: all their lines in one file, or a ZIP of the papers with that file beside them.
//!
//! CSV and JSON Lines are read from the database while they are sent, so that a range of any length takes little memory; where that
//! fails, the file breaks off. A ZIP is made whole, and so is bounded.

use super::{
    attachment, invoice_pdf,
    lines::{self, BilledLine},
    teams,
};
use crate::api::csv::Csv;
use app::state::{AppState, Settings};
use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use domain::{id::PartnerId, period::Period};
use paper::PaperError;
use serde::Deserialize;
use std::io::{Cursor, Write as _};
use store::{Store, StoreError, WithLines};
use tokio::sync::{Semaphore, mpsc};
use zip::{CompressionMethod, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// Invoices of one ZIP.
pub const MOST_IN_ZIP: u64 = 500;
/// Invoices that are read at once.
const PAGE: u32 = 100;
/// ZIPs that are made at once: each is in memory whole, and takes a core.
static PACKING: Semaphore = Semaphore::const_new(1);

/// How many are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManyAs {
    Csv,
    Jsonl,
    Zip,
}

/// Whose, and when made.
#[derive(Debug, Clone, Copy)]
pub struct Many {
    /// `None` for all partners'.
    pub partner: Option<PartnerId>,
    pub made: Period,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum NoFile {
    #[error(
        "the range has {0} invoices, and a ZIP holds {MOST_IN_ZIP} at most: ask for a shorter range, or for CSV or JSON Lines"
    )]
    TooMany(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Paper(#[from] PaperError),
    #[error("the ZIP cannot be written: {0}")]
    Zip(#[from] ZipError),
    #[error("the ZIP cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

impl Many {
    /// The file.
    ///
    /// # Errors
    /// A ZIP would hold too many, or the database does not answer.
    pub async fn send(self, state: &AppState, format: ManyAs) -> Result<Response, NoFile> {
        match format {
            ManyAs::Csv => Ok(self.stream(state.store.clone(), false)),
            ManyAs::Jsonl => Ok(self.stream(state.store.clone(), true)),
            ManyAs::Zip => self.zip(state).await,
        }
    }

    async fn page(self, store: &Store, after: i64) -> Result<Vec<WithLines>, StoreError> {
        match self.partner {
            Some(partner) => store.invoices_made(partner, self.made, after, PAGE).await,
            None => store.all_partners_invoices_made(self.made, after, PAGE).await,
        }
    }

    fn stream(self, store: Store, as_json: bool) -> Response {
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            if !as_json && sender.send(Ok(Bytes::from(lines::heading().into_text()))).await.is_err() {
                return;
            }
            let mut after = 0;
            loop {
                let page = self.page(&store, after).await;
                let read = page.as_ref().map_or(0, Vec::len);
                after = page.iter().flatten().map(|(invoice, _)| invoice.number).max().unwrap_or(after);
                let part = page.map(|page| Bytes::from(text(page, as_json)));
                let failed = part.is_err();
                if sender.send(part).await.is_err() || failed || read < PAGE as usize {
                    return;
                }
            }
        });
        let (kind, name) = match as_json {
            true => ("application/jsonl", "invoice-lines.jsonl"),
            false => ("text/csv; charset=utf-8", "invoice-lines.csv"),
        };
        let body = Body::new(crate::api::rows::Stream(receiver));
        (attachment(name), [(header::CONTENT_TYPE, kind)], body).into_response()
    }

    async fn zip(self, state: &AppState) -> Result<Response, NoFile> {
        let _one = PACKING.acquire().await;
        let count = state.store.count_invoices_made(self.partner, self.made).await?;
        if count > MOST_IN_ZIP {
            return Err(NoFile::TooMany(count));
        }
        let mut all: Vec<WithLines> = Vec::new();
        loop {
            let after = all.last().map_or(0, |(invoice, _)| invoice.number);
            let page = self.page(&state.store, after).await?;
            let read = page.len();
            all.extend(page);
            if read < PAGE as usize || all.len() as u64 >= MOST_IN_ZIP {
                break;
            }
        }
        let settings = state.settings.clone();
        let bytes =
            tokio::task::spawn_blocking(move || pack(&settings, all)).await.map_err(std::io::Error::other)??;
        Ok((attachment("invoices.zip"), [(header::CONTENT_TYPE, "application/zip")], bytes).into_response())
    }
}

fn text(page: Vec<WithLines>, as_json: bool) -> String {
    let mut csv = Csv::empty();
    let mut json = String::new();
    for (invoice, lines) in page {
        let lines = BilledLine::all(&invoice, lines);
        match as_json {
            true => json.push_str(&lines::jsonl(&lines)),
            false => lines::append(&mut csv, &lines),
        }
    }
    if as_json { json } else { csv.into_text() }
}

/// A paper for each, and all lines in one file, with one of what teams have of them where any has. Papers are compressed already.
fn pack(settings: &Settings, all: Vec<WithLines>) -> Result<Vec<u8>, NoFile> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let (mut csv, mut by_team, mut has_teams) = (lines::heading(), teams::heading(), false);
    for (invoice, lines) in all {
        zip.start_file(format!("{}.pdf", invoice.code()), options)?;
        zip.write_all(&invoice_pdf::write(settings, &invoice, &lines)?)?;
        has_teams |= lines.iter().any(|line| !line.teams.is_empty());
        let lines = BilledLine::all(&invoice, lines);
        lines::append(&mut csv, &lines);
        teams::append(&mut by_team, &lines);
    }
    zip.start_file("invoice-lines.csv", options)?;
    zip.write_all(csv.into_text().as_bytes())?;
    if has_teams {
        zip.start_file("invoice-teams.csv", options)?;
        zip.write_all(by_team.into_text().as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}
