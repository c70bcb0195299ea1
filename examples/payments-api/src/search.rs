//! A search that takes as long as it is told to: for timeouts and concurrency.

use crate::{
    problem::Problem,
    query::Query,
    state::{Payment, Shared},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const MOST_FOUND: usize = 20;
/// Milliseconds.
const LONGEST: u64 = 30_000;
/// Milliseconds; a search is slower than a look-up.
const USUAL: u64 = 150;

#[derive(Debug, Deserialize)]
pub struct SearchQuery {
    q: Option<String>,
    delay_ms: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Found {
    query: String,
    took_ms: u64,
    total: usize,
    data: Vec<Payment>,
}

pub async fn search(State(state): State<Shared>, Query(query): Query<SearchQuery>) -> Result<Json<Found>, Problem> {
    let text = query.q.unwrap_or_default();
    if !(1..=100).contains(&text.trim().chars().count()) {
        return Err(Problem::bad_request("q is what to search for, 1 to 100 characters."));
    }
    let delay = match query.delay_ms {
        None => USUAL,
        Some(text) => text
            .parse()
            .ok()
            .filter(|delay| *delay <= LONGEST)
            .ok_or_else(|| Problem::bad_request(format!("delay_ms is a whole number of at most {LONGEST}.")))?,
    };
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let word = text.trim().to_lowercase();
    let state = state.lock();
    let says = |field: &Option<String>| field.as_ref().is_some_and(|field| field.to_lowercase().contains(&word));
    let found: Vec<Payment> = state
        .payments
        .newest_before(None)
        .map(|(_, payment)| payment)
        .filter(|payment| payment.id == word || says(&payment.reference) || says(&payment.description))
        .cloned()
        .collect();
    let total = found.len();
    let data = found.into_iter().take(MOST_FOUND).collect();
    Ok(Json(Found { query: text, took_ms: delay, total, data }))
}
