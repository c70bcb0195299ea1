//! A product's document as one partner may see it: filtered to what the plan opens, before anything is shown, with what the
//! gateway takes besides.

pub mod keyed;
pub mod markdown;

use crate::{page::PageError, state::AppState};
use domain::{
    id::PartnerId,
    openapi::{self, Document},
};
use serde_json::Value;
use std::collections::HashSet;
use store::VisibleProduct;

/// A product and the part of its document that the partner may see.
pub struct PartnerDocument {
    pub product: VisibleProduct,
    pub document: Document,
    /// Where calls go: the gateway's address with the product's route.
    pub base_url: String,
}

/// Loads and filters. A product that the partner may not know of is not found.
pub async fn load(state: &AppState, partner: PartnerId, code: &str) -> Result<PartnerDocument, PageError> {
    let (product, value) = state.store.visible_product_with_document(partner, code).await?;
    let base_url = format!("{}{}", state.settings.gateway_url, product.line.route);
    let filtered = filtered(&product, value, &base_url)?;
    let document = Document::from_value(filtered).map_err(|problems| unreadable(code, &problems))?;
    Ok(PartnerDocument { product, document, base_url })
}

/// The document that the partner may download.
pub async fn download(state: &AppState, partner: PartnerId, code: &str) -> Result<Value, PageError> {
    let (product, value) = state.store.visible_product_with_document(partner, code).await?;
    let base_url = format!("{}{}", state.settings.gateway_url, product.line.route);
    filtered(&product, value, &base_url)
}

fn filtered(product: &VisibleProduct, value: Value, base_url: &str) -> Result<Value, PageError> {
    let whole = Document::from_value(value).map_err(|problems| unreadable(&product.line.code, &problems))?;
    let seen: HashSet<&str> = product.operations.iter().map(|operation| operation.code.as_str()).collect();
    let mut filtered = openapi::filter(&whole, |code| seen.contains(code), base_url);
    for (code, keyed) in product.keyed.iter().filter(|(code, _)| seen.contains(code.as_str())) {
        openapi::declare_key(&whole, &mut filtered, code, keyed.required, &keyed::sentence(*keyed));
    }
    Ok(filtered)
}

fn unreadable(code: &str, problems: &[openapi::Problem]) -> PageError {
    tracing::error!(product = code, ?problems, "a stored document cannot be read");
    PageError::Unavailable
}
