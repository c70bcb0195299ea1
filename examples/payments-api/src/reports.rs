//! The settlement report: lines that arrive over two seconds, for a gateway that must not wait for the last.

use crate::{
    problem::Problem,
    query::Query,
    state::{Payment, PaymentStatus, Shared},
};
use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body::Frame;
use serde::Deserialize;
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;

/// The whole report takes about this long, however many lines it has.
const TAKES: Duration = Duration::from_secs(2);
/// Of the newest payments, at most this many.
const LINES: usize = 40;

#[derive(Debug, Deserialize)]
pub struct ReportQuery {
    currency: Option<String>,
}

pub async fn settlement(State(state): State<Shared>, Query(query): Query<ReportQuery>) -> Result<Response, Problem> {
    let currency = query.currency;
    if currency.as_ref().is_some_and(|code| code.len() != 3 || !code.bytes().all(|letter| letter.is_ascii_uppercase()))
    {
        return Err(Problem::bad_request("currency is a code of three capital letters, as EUR."));
    }
    let settled = |payment: &&Payment| {
        matches!(payment.status, PaymentStatus::Succeeded | PaymentStatus::Refunded)
            && currency.as_ref().is_none_or(|code| payment.currency == *code)
    };
    let mut payments: Vec<Payment> = {
        let state = state.lock();
        state.payments.newest_before(None).map(|(_, payment)| payment).filter(settled).take(LINES).cloned().collect()
    };
    payments.reverse();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(write(payments, sender));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"settlement.csv\""),
    ];
    Ok((headers, Body::new(Lines(receiver))).into_response())
}

/// Ends early where nobody listens any more.
async fn write(payments: Vec<Payment>, sender: mpsc::Sender<Bytes>) {
    let pause = TAKES.checked_div(u32::try_from(payments.len()).unwrap_or(1).max(1)).unwrap_or(TAKES);
    if sender.send(Bytes::from_static(b"payment,captured_at,currency,amount,refunded,net\n")).await.is_err() {
        return;
    }
    for payment in payments {
        tokio::time::sleep(pause).await;
        let line = format!(
            "{},{},{},{},{},{}\n",
            payment.id,
            payment.captured_at.unwrap_or_default(),
            payment.currency,
            payment.amount,
            payment.amount_refunded,
            payment.amount - payment.amount_refunded
        );
        if sender.send(line.into()).await.is_err() {
            return;
        }
    }
}

/// A body that is sent as it is written.
struct Lines(mpsc::Receiver<Bytes>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
