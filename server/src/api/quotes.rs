//! Quotes: what plans would cost with calls that somebody thinks of, as the calculator on the pricing page has them.

use super::{
    extract::{Body, Params},
    guard::PartnerOrProvider,
    invoices::AmountOut,
    keys::Whose,
    list::List,
    problem::Problem,
};
use app::{
    islands::calculator::QuotedPlan,
    quotes::{Quotable, quotable},
};
use axum::Json;
use domain::{
    money::MoneyError,
    rating::{
        Charge, MeterUsed,
        quote::{Asked, Called, Measured, Quote, quote as rate},
    },
    usage::MeterKind,
};
use serde::{Deserialize, Serialize};
use store::VisibleProduct;
use utoipa::ToSchema;

/// Lines of one request, calls and meters together.
const MOST_LINES: usize = 1_000;
/// Larger counts are a slip of the pen.
const MOST: u64 = 1_000_000_000_000;

/// What is thought of, for a month.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteIn {
    #[serde(default)]
    calls: Vec<CallsIn>,
    #[serde(default)]
    meters: Vec<MeterIn>,
}

/// Calls of one operation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallsIn {
    /// Product code.
    #[schema(example = "payments")]
    product: String,
    /// Operation code.
    #[schema(example = "createPayment")]
    operation: String,
    /// At most 1,000,000,000,000.
    calls: u64,
}

/// What one meter comes to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterIn {
    /// Product code.
    product: String,
    /// Meter code.
    meter: String,
    quantity: u64,
    /// Calls that it measures, where a price has a fixed part for each.
    #[serde(default)]
    calls: u64,
}

/// The bill of one billing period on one plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteOut {
    /// The plan's code.
    plan: String,
    name: String,
    /// Whether it is the partner's own, in the version and the period that it has.
    own: bool,
    /// The length of the period: `month`. A period of another length is quoted with its share of the month.
    interval: &'static str,
    /// `anchored`: periods begin with the subscription. `calendar`: with the calendar, the first one as a part of a whole one, which is not what
    /// is quoted.
    periods: &'static str,
    /// Missing, as is all else, where it is more than an invoice can hold.
    total: Option<AmountOut>,
    /// What each period costs once all offers are over, where that is another figure: discounts, phases and promotions.
    later: Option<AmountOut>,
    lines: Vec<QuoteLineOut>,
    /// Units beyond a quota that refuses them; they are not in the bill.
    refused_units: u64,
    /// Units that take prepaid credit, which is bought apart.
    prepaid_units: u64,
    /// Operations that the plan does not open; their calls are not in the bill.
    not_opened: Vec<OperationOut>,
}

/// A line of that bill.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuoteLineOut {
    /// As on invoices: `base_fee`, `usage`, `discount` …
    kind: &'static str,
    product: Option<String>,
    operation: Option<String>,
    meter: Option<String>,
    label: Option<String>,
    quantity: u64,
    free: u64,
    prepaid: u64,
    amount: AmountOut,
    /// The plan's phase or promotion that it is by, where it is not by the list price.
    #[schema(example = "Launch offer until 31 March 2027")]
    offer: Option<String>,
}

/// An operation, by codes.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationOut {
    product: String,
    operation: String,
}

/// What a month of these calls would cost on each plan that the partner may choose, and on its own. For a token of the provider's that
/// names no partner: on what everybody may choose. By the engine that makes invoices, before tax.
#[utoipa::path(post, path = "/api/plans/quotes", operation_id = "quotePlans", tag = "Plans", params(Whose),
    request_body = QuoteIn,
    responses((status = 200, description = "A bill for each plan, in the pricing page's order", body = List<QuoteOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn quote(
    call: PartnerOrProvider,
    _: Params<Whose>,
    Body(body): Body<QuoteIn>,
) -> Result<Json<List<QuoteOut>>, Problem> {
    if body.calls.len() + body.meters.len() > MOST_LINES {
        return Err(Problem::invalid("calls", "At most 1,000 lines, calls and meters together"));
    }
    let Quotable { plans, known } = quotable(&call.state.store, call.partner, call.state.clock.now()).await?;
    let asked = asked(&body, &known).map_err(Problem::invalid_fields)?;
    let quotes = plans.into_iter().map(|plan| QuoteOut::of(plan, &asked)).collect::<Result<_, MoneyError>>();
    let quotes = quotes.map_err(|error| Problem::invalid("", error.to_string()))?;
    Ok(Json(List::whole(quotes)))
}

fn asked(body: &QuoteIn, known: &[VisibleProduct]) -> Result<Asked, Vec<(String, String)>> {
    let (mut asked, mut problems) = (Asked::default(), Vec::new());
    let product = |code: &str| known.iter().find(|product| product.line.code == code);
    for (index, line) in body.calls.iter().enumerate() {
        let mut wrong =
            |field: &str, message: &str| problems.push((format!("calls[{index}].{field}"), message.to_owned()));
        if line.calls > MOST {
            wrong("calls", "At most 1,000,000,000,000");
        }
        let operations = product(&line.product).map(|product| &product.operations);
        match operations.and_then(|all| all.iter().find(|one| one.code == line.operation)) {
            Some(operation) => asked.calls.push(Called {
                product: line.product.clone(),
                operation: line.operation.clone(),
                calls: line.calls,
                weight: operation.weight,
            }),
            None => wrong("operation", "There is no such operation of such a product"),
        }
    }
    for (index, line) in body.meters.iter().enumerate() {
        let mut wrong =
            |field: &str, message: &str| problems.push((format!("meters[{index}].{field}"), message.to_owned()));
        if line.quantity.max(line.calls) > MOST {
            wrong("quantity", "At most 1,000,000,000,000");
        }
        let meters = product(&line.product).map(|product| &product.meters);
        match meters.and_then(|all| all.iter().find(|one| one.code == line.meter)) {
            Some(meter) => asked.metered.push(Measured {
                used: MeterUsed {
                    product: line.product.clone(),
                    meter: line.meter.clone(),
                    quantity: line.quantity,
                    calls: line.calls,
                },
                grows: matches!(meter.kind, MeterKind::Sum | MeterKind::Gauge),
            }),
            None => wrong("meter", "There is no such meter of such a product"),
        }
    }
    if problems.is_empty() { Ok(asked) } else { Err(problems) }
}

impl QuoteOut {
    fn of(plan: QuotedPlan, asked: &Asked) -> Result<Self, MoneyError> {
        let quoted = match rate(&plan.terms, plan.period, asked) {
            Ok(quoted) => Some(quoted),
            Err(MoneyError::TooLarge) => None,
            Err(error) => return Err(error),
        };
        let empty = Self {
            plan: plan.code,
            name: plan.name,
            own: plan.own,
            interval: plan.terms.interval.code(),
            periods: plan.terms.periods.code(),
            total: None,
            later: None,
            lines: Vec::new(),
            refused_units: 0,
            prepaid_units: 0,
            not_opened: Vec::new(),
        };
        let Some(Quote { rated, later, closed, refused, prepaid, .. }) = quoted else { return Ok(empty) };
        Ok(Self {
            total: Some(rated.total.into()),
            later: later.map(AmountOut::from),
            lines: rated.charges.into_iter().map(QuoteLineOut::from).collect(),
            refused_units: refused,
            prepaid_units: prepaid,
            not_opened: closed.into_iter().map(|(product, operation)| OperationOut { product, operation }).collect(),
            ..empty
        })
    }
}

impl From<Charge> for QuoteLineOut {
    fn from(charge: Charge) -> Self {
        let Charge { kind, product, operation, meter, label, quantity, free, prepaid, amount, offer } = charge;
        let (kind, amount) = (kind.code(), amount.into());
        Self { kind, product, operation, meter, label, quantity, free, prepaid, amount, offer }
    }
}
