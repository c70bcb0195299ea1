//! The only room with SQL.
//!
//! Owns: the pool, the migrations, every query, and the transactions that keep the tables true to each other.
//! Does not own: HTTP, secrets (it is given hashes), the clock (`now` is an argument), or what usage costs.
//! Always true: a partner's rows are reached through the partner's id, which is the first argument; one public function
//! is one whole transaction; what crosses partners says so in its name.
//! When it fails: [`StoreError::Unavailable`] is Postgres; everything else is an answer for the person who asked.

mod advance_fees;
mod api_requests;
mod api_tokens;
mod apps;
mod audit;
mod billing_periods;
mod cache_purges;
mod checkouts;
mod clock;
pub mod corrections;
mod coupons;
pub mod credit_notes;
mod credits;
pub mod directory;
pub mod disputes;
pub mod document_deliveries;
mod dunning;
mod error;
mod final_invoices;
mod give_way;
pub mod hooks;
pub mod idempotency;
pub mod ingest;
pub mod invoices;
pub mod journal;
mod keys;
pub mod leases;
mod ledger;
mod mails;
mod members;
mod operators;
pub mod outside;
mod page;
mod partitions;
mod partners;
mod passwords;
pub mod payment_methods;
mod plan_moves;
mod plans;
mod pool;
mod products;
pub mod reconcile;
mod row;
mod sessions;
mod sign_in;
pub mod stripe_drift;
pub mod stripe_events;
mod stripe_objects;
pub mod stripe_returns;
pub mod stripe_subscriptions;
mod subscriptions;
mod teams;
mod thresholds;
mod time;
mod tokens;
pub mod trace;
mod upkeep;
pub mod usage;

#[cfg(any(test, feature = "test-db"))]
pub mod test_db;

pub use advance_fees::{FeeInAdvance, GivenBack, UnusedFee};
pub use api_requests::{ApiRequest, ApiSlot};
pub use api_tokens::{ApiToken, NewApiToken};
pub use apps::{App, AppWithKeys, NewApp};
pub use audit::{Actor, AuditEntry};
pub use billing_periods::{Beside, BillGround, Closed, OpenSubscription};
pub use cache_purges::CachePurge;
pub use checkouts::{NewPlanCheckout, PageLetters, PageNews, PagePaid, PagePayment, PaymentPage};
pub use coupons::{CouponLine, CouponStanding, CouponsOfBill, CouponsTaken, LateTaken, RedeemedCoupon};
pub use credits::{
    AllocatedCredit, BoundCredit, BoundProduct, CreditAllocation, CreditDifference, CreditGrant, CreditPurchase,
    CreditStanding, ExpiringCredit, GiveBackCredit, GrantState, NewCreditAllocation, NewCreditGrant, NewCreditPurchase,
    Overdrawn, TopUpStanding, ToppedUp, Void,
};
pub use dunning::{Collection, Dunning, DunningLine, DunningStep, Pause, UnpaidInvoice};
pub use error::StoreError;
pub use final_invoices::Stranded;
pub use give_way::give_way;
pub use invoices::{
    BilledAlready, Collector, Invoice, InvoiceLine, InvoiceStatus, LeftBehind, LineTeam, NewInvoice, NewInvoiceLine,
    WithLines,
};
pub use keys::{Key, KeyState, LONGEST_OVERLAP, NewKey, NewSecret};
pub use ledger::LedgerAccount;
pub use mails::{Mail, NewMail};
pub use members::{Invitation, Member, MemberOfPartner, MemberSignIn, NewInvitation, NewMember};
pub use operators::{NewOperator, Operator, OperatorSignIn};
pub use page::Page;
pub use partners::{NewPartner, NewSignUp, Partner, PartnerLine, SignedUp};
pub use plan_moves::{Cancelled, MoveTarget, NewPlanMove, PlanMove, ShownMove};
pub use plans::{AddedVersion, NamedPlan, NewPlan, OfferedPlan, Plan, PlanHolder, PlanMeta, PlanOrigin, PlanVersion};
pub use pool::{Standing, Store};
pub use products::{
    KeyedOperation, NewOperation, NewProduct, Product, ProductLine, SealedSecret, VisibleMeter, VisibleProduct,
};
pub use sessions::{OwnSession, SessionRow};
pub use sqlx::postgres::PgConnectOptions;
pub use stripe_events::StripeEvent;
pub use stripe_objects::{BillingContact, Parameters, StripeObject};
pub use subscriptions::{
    ChangeGround, ChangeTarget, Chosen, EndingTrial, Ordered, OrderedBy, PlanOrder, PlanRequest, PutInForce,
    ScheduledChange, ScheduledMove, ScheduledPlan, Subscription, SubscriptionStatus, Wish,
};
pub use teams::Team;
pub use thresholds::{BilledBefore, CreditedBeyond, Cut, OwnPart, ThresholdOf};
pub use time::Ts;
pub use tokens::{Account, NewToken};
pub use upkeep::{Dropped, Kept, KeptFrom, UsageStorage, UsageTable};
