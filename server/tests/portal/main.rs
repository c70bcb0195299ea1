//! The whole portal, as `turnpike serve` builds it, on a real Postgres: who may do what, what one partner learns of
//! another, sessions, headers, and text that tries to be markup.

mod access_list;
mod allocated_credit;
mod bad_requests;
mod browser;
mod calculator;
mod company;
mod corrections;
mod counting;
mod coupons;
mod credit_packages;
mod deliveries;
mod figures;
mod headers;
mod hooks;
mod keyed_operations;
mod markup;
mod meters;
mod named_plans;
mod origin;
mod payment;
mod plan_changes;
mod plan_moves;
mod plan_terms;
mod portal;
mod reconciliation;
mod same_answers;
mod sessions;
mod sign_up;
mod stripe_drift;
mod tenants;
mod thresholds;
mod trials;
mod two_products;
mod unknown_requests;
