//! Customers: create, list, read.

use crate::{
    fields::Fields,
    listing::{Page, PageQuery},
    problem::Problem,
    query::Query,
    state::{Customer, Shared, now},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use bytes::Bytes;

pub async fn list(
    State(state): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Customer>>, Problem> {
    query.page(&state.lock().customers, |_| true).map(Json)
}

pub async fn create(State(state): State<Shared>, body: Bytes) -> Result<(StatusCode, Json<Customer>), Problem> {
    let mut fields = Fields::read(&body)?;
    let name = fields.required_text("name", 200);
    let email = fields.required_text("email", 254);
    if !email.is_empty() && !email.contains('@') {
        fields.wrong("email", "This is not an e-mail address.");
    }
    let country = fields.required_text("country", 2);
    let is_code = country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase());
    if !country.is_empty() && !is_code {
        fields.wrong("country", "This is a country code of two capital letters, as DE.");
    }
    fields.finish()?;
    let customer = state.lock().customers.add(|id| Customer { id, name, email, country, created_at: now() });
    Ok((StatusCode::CREATED, Json(customer)))
}

pub async fn read(State(state): State<Shared>, Path(id): Path<String>) -> Result<Json<Customer>, Problem> {
    let found = state.lock().customers.get(&id).cloned();
    found.map(Json).ok_or_else(|| Problem::not_found(format!("There is no customer {id:?}.")))
}
