//! `/console`: how the installation stands, for operators. Its pages are in this folder.

pub mod audit;
pub mod clock;
pub mod conflicts;
pub mod hooks;
pub mod identities;
pub mod invoice;
pub mod invoices;
pub mod late_usage;
pub mod overview;
pub mod partner;
pub mod partners;
pub mod plan;
pub mod plan_form;
pub mod plan_new;
pub mod plan_requests;
pub mod plans;
pub mod policy;
pub mod product;
pub mod product_form;
pub mod product_new;
pub mod products;
pub mod reconciliation;
pub mod tokens;
pub mod unknown_request;
pub mod unknown_requests;
pub mod usage;
