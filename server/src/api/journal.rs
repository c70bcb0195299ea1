//! The revenue journal: what was billed, earned and given back, for the provider's books.

use super::{extract::Params, guard::ProviderCall, invoices::AmountOut, problem::Problem, rows::Lines};
use crate::documents::journal;
use axum::{Json, response::Response};
use domain::id::PartnerId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use store::journal::{JournalDays, JournalTotal};
use utoipa::{IntoParams, ToSchema};

/// Which days, and whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JournalParams {
    /// The first day (UTC).
    #[param(value_type = String, format = Date)]
    from: Date,
    /// The last day, which is in as well.
    #[param(value_type = String, format = Date)]
    to: Date,
    /// One partner's entries only.
    #[param(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
}

/// How it is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileParams {
    #[param(inline)]
    format: JournalFormat,
}

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JournalFormat {
    Csv,
    Jsonl,
}

/// What the accounts moved by.
#[derive(Debug, Serialize, ToSchema)]
pub struct JournalOut {
    /// The last day that is written; null before the first.
    #[schema(value_type = Option<String>, format = Date)]
    written_through: Option<Date>,
    accounts: Vec<AccountOut>,
}

/// An account in one currency. A debit is above zero.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountOut {
    /// `accounts_receivable`, `contract_asset`, `contract_liability`, `revenue`, `breakage_revenue`, `cash` or `refunds`.
    account: &'static str,
    /// Before the first day.
    opening: AmountOut,
    debits: AmountOut,
    /// Zero or below.
    credits: AmountOut,
    /// After the last day.
    closing: AmountOut,
}

/// What each account of the revenue journal moved by in some days, by currency.
#[utoipa::path(get, path = "/api/journal", operation_id = "getJournal", tag = "Invoices", params(JournalParams),
    responses((status = 200, description = "The accounts", body = JournalOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall, Params(params): Params<JournalParams>) -> Result<Json<JournalOut>, Problem> {
    let days = params.days()?;
    let written_through = call.state.store.all_partners_journal_through().await?;
    let accounts = call.state.store.all_partners_journal_totals(days).await?;
    Ok(Json(JournalOut { written_through, accounts: accounts.into_iter().map(AccountOut::from).collect() }))
}

/// The entries of the revenue journal of some days. The same days give the same rows again: a day is written once, six hours after it is
/// over (UTC), and nothing in it changes. Days that are not written yet have no rows.
#[utoipa::path(get, path = "/api/journal/export", operation_id = "exportJournal", tag = "Invoices", params(JournalParams, FileParams),
    responses((status = 200, description = "The file", content((String = "text/csv"), (journal::EntryOut = "application/jsonl"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn export(
    call: ProviderCall,
    Params(params): Params<JournalParams>,
    Params(file): Params<FileParams>,
) -> Result<Response, Problem> {
    Ok(journal::send(call.state.store, params.days()?, file.format.into()))
}

impl JournalParams {
    fn days(&self) -> Result<JournalDays, Problem> {
        for (field, day) in [("from", self.from), ("to", self.to)] {
            if day.year() < 1 {
                return Err(Problem::invalid(field, "Write a day of the years 0001 to 9999"));
            }
        }
        if self.to < self.from {
            return Err(Problem::invalid("to", "The last day comes before the first"));
        }
        Ok(JournalDays { first: self.from, last: self.to, partner: self.partner })
    }
}

impl From<JournalFormat> for Lines {
    fn from(format: JournalFormat) -> Self {
        match format {
            JournalFormat::Csv => Self::Csv,
            JournalFormat::Jsonl => Self::Jsonl,
        }
    }
}

impl From<JournalTotal> for AccountOut {
    fn from(total: JournalTotal) -> Self {
        Self {
            account: total.account.code(),
            opening: total.opening.into(),
            debits: total.debits.into(),
            credits: total.credits.into(),
            closing: total.closing.into(),
        }
    }
}
