//! Payments: create, list, read, capture, cancel.

use crate::{
    fields::Fields,
    listing::{Page, PageQuery},
    problem::Problem,
    query::Query,
    state::{Payment, PaymentStatus, Shared, now},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bytes::Bytes;

/// The largest amount, in the smallest coin.
const MOST: i64 = 99_999_999;
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "CHF"];

pub async fn list(State(state): State<Shared>, Query(query): Query<PageQuery>) -> Result<Json<Page<Payment>>, Problem> {
    let status = match query.status.as_deref() {
        None => None,
        Some(code) => match PaymentStatus::ALL.into_iter().find(|status| status.code() == code) {
            None => return Err(Problem::bad_request("status is requires_capture, succeeded, refunded or canceled.")),
            known => known,
        },
    };
    let customer = query.customer.clone();
    let wanted = |payment: &Payment| {
        status.is_none_or(|status| payment.status == status) && (customer.is_none() || payment.customer == customer)
    };
    query.page(&state.lock().payments, wanted).map(Json)
}

pub async fn create(State(state): State<Shared>, body: Bytes) -> Result<(StatusCode, Json<Payment>), Problem> {
    let mut fields = Fields::read(&body)?;
    let amount = fields.required_count("amount", MOST);
    let currency = fields.required_text("currency", 3);
    if !currency.is_empty() && !CURRENCIES.contains(&currency.as_str()) {
        fields.wrong("currency", format!("This is one of {}.", CURRENCIES.join(", ")));
    }
    let customer = fields.text("customer", 40);
    let reference = fields.text("reference", 80);
    let description = fields.text("description", 200);
    let manual = fields.choice("capture", &["automatic", "manual"]).as_deref() == Some("manual");
    let mut state = state.lock();
    if customer.as_ref().is_some_and(|id| state.customers.get(id).is_none()) {
        fields.wrong("customer", "There is no such customer.");
    }
    fields.finish()?;
    let created_at = now();
    let payment = state.payments.add(|id| Payment {
        id,
        status: if manual { PaymentStatus::RequiresCapture } else { PaymentStatus::Succeeded },
        amount,
        amount_refunded: 0,
        currency,
        customer,
        reference,
        description,
        captured_at: if manual { None } else { Some(created_at.clone()) },
        canceled_at: None,
        created_at,
    });
    Ok((StatusCode::CREATED, Json(payment)))
}

pub async fn read(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Payment>, Problem> {
    state.lock().payments.get(&id).cloned().map(Json).ok_or_else(|| missing(&id))
}

pub async fn capture(
    State(state): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Payment>, Problem> {
    let mut fields = Fields::read(&body)?;
    let amount = fields.count("amount", MOST);
    let mut state = state.lock();
    let payment = state.payments.get_mut(&id).ok_or_else(|| missing(&id))?;
    if payment.status != PaymentStatus::RequiresCapture {
        return Err(Problem::conflict(format!("This payment is {}; it cannot be captured.", payment.status.code())));
    }
    if amount.is_some_and(|amount| amount > payment.amount) {
        fields.wrong("amount", "This is more than was authorised.");
    }
    fields.finish()?;
    payment.amount = amount.unwrap_or(payment.amount);
    payment.status = PaymentStatus::Succeeded;
    payment.captured_at = Some(now());
    Ok(Json(payment.clone()))
}

pub async fn cancel(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Payment>, Problem> {
    let mut state = state.lock();
    let payment = state.payments.get_mut(&id).ok_or_else(|| missing(&id))?;
    if payment.status != PaymentStatus::RequiresCapture {
        return Err(Problem::conflict(format!("This payment is {}; it cannot be canceled.", payment.status.code())));
    }
    payment.status = PaymentStatus::Canceled;
    payment.canceled_at = Some(now());
    Ok(Json(payment.clone()))
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format!("There is no payment {id:?}."))
}
