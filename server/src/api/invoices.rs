//! Invoices as they were closed; their figures never change.

use super::{
    csv::Csv,
    extract::{Named, Params},
    guard::PartnerCall,
    list::List,
    problem::Problem,
    usage::Format,
};
use crate::documents::{
    attachment, invoice_pdf,
    lines::{self, BilledLine},
    teams::{self, TeamOut},
};
use app::state::AppState;
use axum::{
    Json,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use domain::{id::InvoiceId, money::Money, rating::Charge};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Invoice, InvoiceLine, NewInvoiceLine};
use utoipa::{IntoParams, ToSchema};

/// Whose, and how written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InvoiceParams {
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

impl InvoiceParams {
    pub fn format(&self) -> Option<Format> {
        self.format
    }
}

/// Whose, and how written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OneInvoiceParams {
    /// `json`, `csv` (its lines), `teams_csv` (what teams have of them) or `pdf`.
    #[param(inline)]
    format: Option<InvoiceFormat>,
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// How one invoice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceFormat {
    #[default]
    Json,
    Csv,
    TeamsCsv,
    Pdf,
}

/// What is owed for one billing period.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvoiceOut {
    #[schema(example = "invoice_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    number: i64,
    /// The number as on paper.
    #[schema(example = "TP-000042")]
    code: String,
    plan: String,
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    /// IANA name.
    time_zone: String,
    total: AmountOut,
    /// What Stripe Tax computed on it, which is no part of the total. Null where it computes none, or has not said yet.
    tax: Option<AmountOut>,
    /// The total and that tax: what is paid at Stripe.
    total_with_tax: Option<AmountOut>,
    /// `open`, `sent`, `paid`, `uncollectible` or `void`.
    status: String,
    /// Made after the last period of the subscription, for usage of closed periods that came or was corrected later. No other follows
    /// it by itself: below zero it has to be paid out.
    is_final: bool,
    /// For no period: what it bills was bought by itself, as prepaid units are.
    stands_alone: bool,
    /// Which threshold invoice of its period it is, from 1 on; 0 where it is none. It has what was used from the period's start until
    /// `period_end`, and the invoices of the period after it take it off.
    threshold_number: u32,
    /// Null until somebody collects it.
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    /// Stripe's page on which it is paid.
    pay_url: Option<String>,
    /// Whether it is disputed: nothing follows meanwhile if it is not paid.
    disputed: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// An invoice and its lines.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvoiceWithLinesOut {
    #[serde(flatten)]
    invoice: InvoiceOut,
    lines: Vec<LineOut>,
}

impl InvoiceWithLinesOut {
    pub fn new(invoice: Invoice, lines: Vec<InvoiceLine>) -> Self {
        Self { invoice: invoice.into(), lines: lines.into_iter().map(LineOut::from).collect() }
    }
}

/// One line.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineOut {
    position: i32,
    /// `base_fee`, `usage`, `meter`, `minimum`, `discount`, `committed_use`, `commitment`, `included_credit`, `adjustment` for late
    /// or corrected units of an earlier period, `credit_package` for prepaid units,
    /// `credit_overdraft` for units that were used beyond them, or `billed_before` for what threshold invoices of the period billed
    /// and what was credited on those that are void.
    kind: String,
    /// The product's code, for usage.
    product: Option<String>,
    /// The operation's code, for usage.
    operation: Option<String>,
    description: String,
    /// Units; below zero where an adjustment takes some back.
    quantity: i64,
    /// Units among them that cost nothing.
    free: u64,
    /// Units among them that prepaid credit paid: they cost nothing here.
    prepaid: u64,
    amount: AmountOut,
    /// Of usage and adjustments of it, what each team has: units, free and prepaid ones and the amount add up to the line. Prices are those
    /// of all usage together, so that each team pays the line's average price. Empty where none of it is a team's.
    teams: Vec<TeamOut>,
}

/// An exact amount of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmountOut {
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// Decimal text in the currency's unit.
    #[schema(example = "49.00")]
    amount: String,
}

/// All invoices, newest first.
#[utoipa::path(get, path = "/api/invoices", operation_id = "listInvoices", tag = "Invoices", params(InvoiceParams),
    responses((status = 200, description = "Newest first", content((List<InvoiceOut> = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerCall, Params(params): Params<InvoiceParams>) -> Result<Response, Problem> {
    let invoices = call.state.store.invoices(call.partner).await?;
    let invoices: Vec<InvoiceOut> = invoices.into_iter().map(InvoiceOut::from).collect();
    if params.format == Some(Format::Csv) {
        return Ok(invoices_csv(&invoices).into_response());
    }
    Ok(Json(List::whole(invoices)).into_response())
}

/// One invoice with its lines.
#[utoipa::path(get, path = "/api/invoices/{invoice}", operation_id = "getInvoice", tag = "Invoices",
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$"), OneInvoiceParams),
    responses((status = 200, description = "The invoice", content((InvoiceWithLinesOut = "application/json"), (String = "text/csv"), (Vec<u8> = "application/pdf"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Named(invoice): Named<InvoiceId>,
    Params(params): Params<OneInvoiceParams>,
) -> Result<Response, Problem> {
    let (invoice, lines) = call.state.store.invoice(call.partner, invoice).await?;
    file(&call.state, invoice, lines, params.format.unwrap_or_default())
}

/// One invoice, under its number where it is a file.
pub fn file(
    state: &AppState,
    invoice: Invoice,
    lines: Vec<InvoiceLine>,
    format: InvoiceFormat,
) -> Result<Response, Problem> {
    let name = invoice.code();
    match format {
        InvoiceFormat::Json => Ok(Json(InvoiceWithLinesOut::new(invoice, lines)).into_response()),
        InvoiceFormat::Csv => {
            let mut csv = lines::heading();
            lines::append(&mut csv, &BilledLine::all(&invoice, lines));
            Ok((attachment(&format!("{name}.csv")), csv).into_response())
        }
        InvoiceFormat::TeamsCsv => {
            let mut csv = teams::heading();
            teams::append(&mut csv, &BilledLine::all(&invoice, lines));
            Ok((attachment(&format!("{name}-teams.csv")), csv).into_response())
        }
        InvoiceFormat::Pdf => {
            let paper = invoice_pdf::write(&state.settings, &invoice, &lines).map_err(|error| {
                tracing::error!(%error, "an invoice cannot be written");
                Problem::unavailable("The paper cannot be written.")
            })?;
            Ok((attachment(&format!("{name}.pdf")), [(CONTENT_TYPE, "application/pdf")], paper).into_response())
        }
    }
}

impl From<Invoice> for InvoiceOut {
    fn from(invoice: Invoice) -> Self {
        let total_with_tax = invoice.total_with_tax();
        Self {
            id: invoice.id.to_string(),
            number: invoice.number,
            code: invoice.code(),
            plan: invoice.plan_name,
            period_start: invoice.period.start,
            period_end: invoice.period.end,
            time_zone: invoice.time_zone,
            tax: invoice.tax.map(AmountOut::from),
            total_with_tax: total_with_tax.map(AmountOut::from),
            total: invoice.total.into(),
            status: invoice.status.code().to_owned(),
            is_final: invoice.is_final,
            stands_alone: invoice.stands_alone,
            threshold_number: invoice.threshold_number,
            due_at: invoice.due_at,
            pay_url: invoice.pay_url,
            disputed: invoice.dispute_reason.is_some(),
            created_at: invoice.created_at,
        }
    }
}

impl LineOut {
    /// A line that is on no invoice yet.
    pub fn of_charge(position: i32, charge: Charge, line: NewInvoiceLine) -> Self {
        Self {
            position,
            kind: charge.kind.code().to_owned(),
            product: charge.product,
            operation: charge.operation,
            description: line.description,
            quantity: i64::try_from(charge.quantity).unwrap_or(i64::MAX),
            free: charge.free,
            prepaid: charge.prepaid,
            amount: charge.amount.into(),
            teams: TeamOut::all(line.teams),
        }
    }
}

impl From<InvoiceLine> for LineOut {
    fn from(line: InvoiceLine) -> Self {
        Self {
            position: line.position,
            kind: line.kind.code().to_owned(),
            product: line.product_code,
            operation: line.operation_code,
            description: line.description,
            quantity: line.quantity,
            free: line.free,
            prepaid: line.prepaid,
            amount: line.amount.into(),
            teams: TeamOut::all(line.teams),
        }
    }
}

impl From<Money> for AmountOut {
    fn from(money: Money) -> Self {
        Self { currency: money.currency.to_string(), amount: lines::amount(money) }
    }
}

fn invoices_csv(invoices: &[InvoiceOut]) -> Csv {
    let mut csv = Csv::new(&[
        "id",
        "number",
        "plan",
        "period_start",
        "period_end",
        "time_zone",
        "currency",
        "total",
        "status",
        "threshold_number",
        "tax",
        "total_with_tax",
    ]);
    let nothing = String::new();
    for invoice in invoices {
        csv.row(&[
            &invoice.id,
            &invoice.number.to_string(),
            &invoice.plan,
            &invoice.period_start.to_string(),
            &invoice.period_end.to_string(),
            &invoice.time_zone,
            &invoice.total.currency,
            &invoice.total.amount,
            &invoice.status,
            &invoice.threshold_number.to_string(),
            invoice.tax.as_ref().map_or(&nothing, |tax| &tax.amount),
            invoice.total_with_tax.as_ref().map_or(&nothing, |total| &total.amount),
        ]);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::Currency;

    #[test]
    fn amounts_are_exact_and_have_at_least_the_coins_decimals() {
        let text = |micros| AmountOut::from(Money::new(Currency::Usd, micros)).amount;
        assert_eq!(text(49_000_000), "49.00");
        assert_eq!(text(500), "0.0005");
        assert_eq!(text(-3_500_000), "-3.50");
        assert_eq!(AmountOut::from(Money::new(Currency::Jpy, 1_200_000_000)).amount, "1200");
    }
}
