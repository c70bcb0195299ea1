//! Billing meters: one for each product, named `turnpike_units_<product>`.

use super::{StripeError, list::Listed, transport::Stripe};
use rust_decimal::Decimal;
use serde::Deserialize;

/// `/v1/billing/meters`
#[derive(Debug, Clone, Deserialize)]
pub struct Meter {
    pub id: String,
    pub event_name: String,
    #[serde(default)]
    pub display_name: String,
    /// `active` or `inactive`.
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub default_aggregation: Aggregation,
    #[serde(default)]
    pub customer_mapping: CustomerMapping,
    #[serde(default)]
    pub value_settings: ValueSettings,
}

/// How a meter puts events together.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Aggregation {
    #[serde(default)]
    pub formula: String,
}

/// Where an event says whose it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct CustomerMapping {
    #[serde(default, rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub event_payload_key: String,
}

/// Where an event says how much it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ValueSettings {
    #[serde(default)]
    pub event_payload_key: String,
}

#[derive(Deserialize)]
struct Summaries {
    data: Vec<Summary>,
}

#[derive(Deserialize)]
struct Summary {
    aggregated_value: serde_json::Number,
}

impl Listed for Meter {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Stripe {
    pub async fn active_meters(&self) -> Result<Vec<Meter>, StripeError> {
        self.list("/v1/billing/meters", &[("status", "active")]).await
    }

    /// All of them, also those that are switched off.
    pub async fn all_meters(&self) -> Result<Vec<Meter>, StripeError> {
        self.list("/v1/billing/meters", &[]).await
    }

    /// Gives a meter another name to show; nothing else of one can be changed.
    pub async fn rename_meter(&self, id: &str, display_name: &str) -> Result<Meter, StripeError> {
        let parameters = [("display_name".to_owned(), display_name.to_owned())];
        self.post(&format!("/v1/billing/meters/{id}"), &parameters, None).await
    }

    /// Switches a meter on again. Stripe refuses it of one that is on.
    pub async fn reactivate_meter(&self, id: &str) -> Result<Meter, StripeError> {
        self.post(&format!("/v1/billing/meters/{id}/reactivate"), &[], None).await
    }

    /// A meter that sums whole units by customer. Stripe refuses a second active one with the same event name.
    pub async fn create_meter(&self, event_name: &str, display_name: &str) -> Result<Meter, StripeError> {
        let parameters = [
            ("display_name", display_name),
            ("event_name", event_name),
            ("default_aggregation[formula]", "sum"),
            ("customer_mapping[type]", "by_id"),
            ("customer_mapping[event_payload_key]", "stripe_customer_id"),
            ("value_settings[event_payload_key]", "value"),
        ];
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.post("/v1/billing/meters", &parameters, None).await
    }

    /// What a meter has counted for a customer between two instants on whole minutes, in seconds since 1970.
    pub async fn metered(&self, meter: &str, customer: &str, start: i64, end: i64) -> Result<Decimal, StripeError> {
        let (start, end) = (start.to_string(), end.to_string());
        let query = [("customer", customer), ("start_time", start.as_str()), ("end_time", end.as_str())];
        let summaries: Summaries = self.get(&format!("/v1/billing/meters/{meter}/event_summaries"), &query).await?;
        let mut sum = Decimal::ZERO;
        for summary in summaries.data {
            let text = summary.aggregated_value.to_string();
            let value: Decimal = text.parse().map_err(|_| StripeError::Unreadable(format!("{text} is not a count")))?;
            sum = sum.checked_add(value).ok_or_else(|| StripeError::Unreadable("a count is too large".to_owned()))?;
        }
        Ok(sum)
    }
}

/// Meter events that Stripe took and did not count.
#[derive(Debug, Clone, Default)]
pub struct MeterReport {
    /// All of them; only some are named.
    pub count: u64,
    pub problems: Vec<MeterProblem>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct MeterProblem {
    /// Of the meter event, or of its request.
    pub identifier: String,
    pub message: String,
}

#[derive(Deserialize)]
struct Reported {
    data: ReportData,
}

#[derive(Deserialize)]
struct ReportData {
    reason: Reason,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    error_count: u64,
    #[serde(default)]
    error_types: Vec<ErrorType>,
}

#[derive(Deserialize)]
struct ErrorType {
    #[serde(default)]
    sample_errors: Vec<SampleError>,
}

#[derive(Deserialize)]
struct SampleError {
    #[serde(default)]
    error_message: String,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    identifier: String,
}

impl Stripe {
    /// What a report says; the webhook names it only.
    pub async fn meter_report(&self, event: &str) -> Result<MeterReport, StripeError> {
        let Reported { data: ReportData { reason } } = self.get(&format!("/v2/core/events/{event}"), &[]).await?;
        let problem = |sample: SampleError| MeterProblem {
            identifier: sample.request.identifier,
            message: sample.error_message.trim_end_matches('.').to_owned(),
        };
        let samples = reason.error_types.into_iter().flat_map(|kind| kind.sample_errors);
        Ok(MeterReport { count: reason.error_count, problems: samples.map(problem).collect() })
    }
}
