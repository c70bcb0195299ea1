//! Refunds: create, read.

use crate::{
    fields::Fields,
    problem::Problem,
    state::{PaymentStatus, Refund, Shared, now},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bytes::Bytes;

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

pub async fn create(State(state): State<Shared>, body: Bytes) -> Result<(StatusCode, Json<Refund>), Problem> {
    let mut fields = Fields::read(&body)?;
    let id = fields.required_text("payment", 40);
    let amount = fields.count("amount", i64::MAX);
    let reason = fields.choice("reason", &REASONS);
    let mut state = state.lock();
    let Some(payment) = state.payments.get_mut(&id) else {
        if !id.is_empty() {
            fields.wrong("payment", "There is no such payment.");
        }
        fields.finish()?;
        return Err(Problem::not_found("There is no such payment."));
    };
    let left = payment.amount - payment.amount_refunded;
    let amount = amount.unwrap_or(left);
    if amount > left && payment.status == PaymentStatus::Succeeded {
        fields.wrong("amount", format!("Only {left} of this payment can still be refunded."));
    }
    fields.finish()?;
    if payment.status != PaymentStatus::Succeeded {
        return Err(Problem::conflict(format!("This payment is {}; it cannot be refunded.", payment.status.code())));
    }
    payment.amount_refunded += amount;
    if payment.amount_refunded == payment.amount {
        payment.status = PaymentStatus::Refunded;
    }
    let currency = payment.currency.clone();
    let refund = state.refunds.add(|refund_id| Refund {
        id: refund_id,
        payment: id,
        amount,
        currency,
        reason,
        status: "succeeded",
        created_at: now(),
    });
    Ok((StatusCode::CREATED, Json(refund)))
}

pub async fn read(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Refund>, Problem> {
    let found = state.lock().refunds.get(&id).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(format!("There is no refund {id:?}.")))
}
