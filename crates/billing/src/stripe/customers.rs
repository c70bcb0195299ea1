//! Customers: a partner is one.

use super::{StripeError, list::Listed, transport::Stripe};
use serde::Deserialize;
use std::collections::HashMap;
use store::Parameters;

/// `/v1/customers`
#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    pub id: String,
    /// Stripe still knows its name and holds nothing more of it.
    #[serde(default)]
    pub deleted: bool,
    pub name: Option<String>,
    pub email: Option<String>,
    #[serde(default)]
    pub invoice_settings: InvoiceSettings,
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// What a customer's invoices are paid by.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct InvoiceSettings {
    pub default_payment_method: Option<String>,
}

impl Listed for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    /// The customer that carries this metadata. The lists are up to date at once: by e-mail address, or, where there is none,
    /// of those created since `since` (seconds since 1970). The search finds the others and lags by about a minute.
    pub async fn find_customer(
        &self,
        email: Option<&str>,
        since: i64,
        key: &str,
        value: &str,
    ) -> Result<Option<Customer>, StripeError> {
        let since = since.to_string();
        let filter = match email {
            Some(email) => ("email", email),
            None => ("created[gte]", since.as_str()),
        };
        let listed: Vec<Customer> = self.list("/v1/customers", &[filter]).await?;
        let ours = |customer: &Customer| customer.metadata.get(key).is_some_and(|held| held == value);
        if let Some(found) = listed.into_iter().find(ours) {
            return Ok(Some(found));
        }
        let found = self.search("/v1/customers/search", &format!("metadata['{key}']:'{value}'")).await?;
        Ok(found.into_iter().next())
    }

    /// Those that are not deleted, newest first: up to a hundred of them that come after one, and whether there are more.
    pub async fn customers_after(&self, after: Option<&str>) -> Result<(Vec<Customer>, bool), StripeError> {
        self.page("/v1/customers", &[], after).await
    }

    /// One by its id, deleted or not.
    pub async fn customer(&self, id: &str) -> Result<Customer, StripeError> {
        self.get(&format!("/v1/customers/{id}"), &[]).await
    }

    /// Changes what is given and leaves the rest.
    pub async fn update_customer(&self, id: &str, parameters: &Parameters) -> Result<Customer, StripeError> {
        self.post(&format!("/v1/customers/{id}"), parameters, None).await
    }
}
