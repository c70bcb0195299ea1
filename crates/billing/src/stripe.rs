//! A small client for the part of Stripe's API that is used here, written by hand.
//!
//! One file per resource. Answers are read leniently: unknown fields are ignored, so that an account on another API version
//! does not break billing. The version that we speak is pinned in each request.

mod connect;
mod create;
mod credit_notes;
mod customers;
mod error;
mod form;
mod invoice_items;
mod invoices;
mod list;
mod meter_stream;
mod meters;
mod prices;
mod products;
mod refunds;
mod sessions;
mod subscriptions;
mod transport;
pub mod webhook_signature;

pub use credit_notes::{CreditPreview, CreditedLine, RefundOfNote, StripeCreditNote};
pub use customers::Customer;
pub use error::StripeError;
pub use invoice_items::InvoiceItem;
pub use invoices::{AutomaticTax, StripeInvoice, StripeLine};
pub use meter_stream::{MOST_AT_ONCE as MOST_STREAMED, MeterSession, Payload, StreamedEvent};
pub use meters::{Meter, MeterProblem, MeterReport};
pub use prices::{Price, Recurring, Tier, TransformQuantity};
pub use products::Product;
pub use refunds::{Dispute, Refund};
pub use sessions::{CheckoutSession, PaymentIntent, PaymentMethod, PortalSession, TotalDetails};
pub use subscriptions::{Items, StripeSubscription, SubscriptionItem};
pub use transport::{SecretKey, Stripe, StripeSettings};

/// The API version of every request.
pub const API_VERSION: &str = "2026-10-28.endive";
