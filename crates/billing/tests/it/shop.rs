//! A provider with one product, a store of its own and a stand-in of its own, in one line.

use billing::{
    Closing, ClosingReport, PushSettings, Recipient, Reconciled, close_due_periods,
    payment::{Desk, PaymentNews},
    reconcile,
    stripe::{SecretKey, Stripe, StripeSettings},
};
use domain::{
    id::{AppId, InvoiceId, KeyId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    plan::{Approval, PlanTerms},
    product::Visibility,
    role::MemberRole,
    usage::UsageEvent,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use store::{
    Actor, NewMail, NewMember, NewOperation, NewPartner, NewPlan, NewProduct, PlanMeta,
    ingest::Position,
    test_db::{self, TestStore, world::World},
};
use stripe_stand_in::{Options, StandIn};
use uuid::Uuid;

pub const GRACE: SignedDuration = SignedDuration::from_secs(60);

pub struct Shop {
    pub store: TestStore,
    pub stand_in: StandIn,
    pub stripe: Stripe,
    pub product: ProductId,
    pub operations: Vec<OperationId>,
    batches: AtomicU64,
}

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

pub fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(days * 24)
}

/// 49.00 a month with 1,000 units, then 0.005 each; $5.00 of usage included.
pub fn terms(collect: &str) -> PlanTerms {
    serde_json::from_value(json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 49_000_000,
        "price": { "model": "per_unit", "included": 1000, "unit_price": "0.005" },
        "included_credit_micros": 5_000_000, "collect": collect,
    }))
    .expect("terms")
}

impl Shop {
    /// A shop whose client waits only a little for Stripe, for tests in which Stripe is slow.
    pub async fn impatient() -> Self {
        Self::with_timeout(Duration::from_millis(800)).await
    }

    pub async fn open() -> Self {
        Self::with_timeout(Duration::from_secs(60)).await
    }

    /// The product `payments` with three operations: `cancel`, `create`, `read`.
    async fn with_timeout(timeout: Duration) -> Self {
        let store = test_db::store().await;
        let stand_in = StandIn::start(Options { webhook_secret: "whsec_a".to_owned(), ..Options::default() })
            .await
            .expect("starts");
        let settings = StripeSettings { key: SecretKey::new("sk_test_the_secret"), base_url: stand_in.url(), timeout };
        let operation = |code: &str| NewOperation {
            code: code.to_owned(),
            method: "POST".to_owned(),
            path: format!("/{code}"),
            summary: String::new(),
            weight: 1,
            deprecated: false,
        };
        let new = NewProduct {
            code: "payments".to_owned(),
            name: "Payments".to_owned(),
            summary: String::new(),
            route: "/payments".to_owned(),
            upstream_url: "http://127.0.0.1:4000".to_owned(),
            timeout_ms: 30_000,
            visibility: Visibility::Public,
            document: json!({ "openapi": "3.1.0" }),
            operations: vec![operation("cancel"), operation("create"), operation("read")],
            headers: Vec::new(),
            policy: None,
            secrets: None,
        };
        let product = store.create_product(&new, Actor::System, test_db::world::now()).await.expect("a product");
        let operations =
            store.product(product).await.expect("a product").operations.iter().map(|operation| operation.id).collect();
        let stripe = Stripe::new(settings).expect("settings");
        Self { store, stand_in, stripe, product, operations, batches: AtomicU64::new(0) }
    }

    /// Where payments on pages of Stripe's are taken.
    pub fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, stripe: &self.stripe, letters: &letter }
    }

    /// The subjects of the mails to somebody, in the order in which they were written.
    pub async fn letters_to(&self, recipient: &str) -> Vec<String> {
        let mails = self.store.all_mails(500).await.expect("a list");
        mails.into_iter().rev().filter(|mail| mail.recipient == recipient).map(|mail| mail.subject).collect()
    }

    /// By the stand-in's clock, to the second.
    pub async fn now(&self) -> Timestamp {
        let state = self.state().await;
        Timestamp::from_second(state["now"].as_i64().expect("a number")).expect("in range")
    }

    pub async fn advance(&self, by: SignedDuration) {
        self.control("clock", json!({ "advance_seconds": by.as_secs() })).await;
    }

    pub async fn control(&self, path: &str, body: Value) {
        self.stand_in.control("POST", path, body).await.expect("the stand-in obeys");
    }

    /// Everything that the stand-in holds.
    pub async fn state(&self) -> Value {
        self.stand_in.control("GET", "state", Value::Null).await.expect("a state")
    }

    pub async fn plan(&self, code: &str, terms: PlanTerms) -> PlanVersionId {
        let meta = PlanMeta {
            name: code.to_owned(),
            summary: String::new(),
            position: 0,
            private: false,
            approval: Approval::Automatic,
        };
        let new = NewPlan { code: code.to_owned(), meta, terms };
        let plan = self.store.create_plan(&new, Actor::System, test_db::world::now()).await.expect("a plan");
        self.store.plan(plan).await.expect("a plan").versions[0].id
    }

    /// A partner with an owner, on the plan since `since`.
    pub async fn partner(&self, name: &str, plan: PlanVersionId, since: Timestamp) -> PartnerId {
        let partner = World::named(&self.store, name).await.partner;
        self.store.assign_plan_version(partner, plan, Actor::System, since).await.expect("a subscription");
        partner
    }

    /// A partner of `apply`, which nobody has joined.
    pub async fn partner_without_members(&self, name: &str, plan: PlanVersionId, since: Timestamp) -> PartnerId {
        let new = NewPartner { code: None, name: name.to_owned(), time_zone: "UTC".to_owned() };
        let partner = self.store.create_partner(&new, Actor::System, test_db::world::now()).await.expect("a partner");
        self.store.assign_plan_version(partner, plan, Actor::System, since).await.expect("a subscription");
        partner
    }

    /// A member with the billing role.
    pub async fn member(&self, partner: PartnerId, email: &str) {
        let new = NewMember {
            email: email.to_owned(),
            name: String::new(),
            role: MemberRole::Billing,
            password_hash: None,
            verified: true,
        };
        self.store.create_member(partner, &new, Actor::System, test_db::world::now()).await.expect("a member");
    }

    /// Calls of `units` each to operations by index.
    pub async fn calls(&self, partner: PartnerId, at: Timestamp, environment: Environment, calls: &[(usize, u64)]) {
        self.handed_over(partner, (at, at), environment, calls).await;
    }

    /// Calls that were made at one time and taken in at another.
    pub async fn handed_over(
        &self,
        partner: PartnerId,
        (at, taken_in): (Timestamp, Timestamp),
        environment: Environment,
        calls: &[(usize, u64)],
    ) {
        let calls: Vec<_> = calls.iter().map(|(operation, units)| (*operation, *units, 0)).collect();
        self.paid_by_credit(partner, (at, taken_in), environment, &calls).await;
    }

    /// The same, with how many of the units credit paid.
    pub async fn paid_by_credit(
        &self,
        partner: PartnerId,
        (at, taken_in): (Timestamp, Timestamp),
        environment: Environment,
        calls: &[(usize, u64, u64)],
    ) {
        self.of_team(partner, None, (at, taken_in), environment, calls).await;
    }

    /// The same, of an app that is in a team.
    pub async fn of_team(
        &self,
        partner: PartnerId,
        team: Option<TeamId>,
        (at, taken_in): (Timestamp, Timestamp),
        environment: Environment,
        calls: &[(usize, u64, u64)],
    ) {
        let event = |(operation, units, credits): &(usize, u64, u64)| UsageEvent {
            request_id: "r".to_owned(),
            team,
            environment,
            product: Some(self.product),
            operation: Some(self.operations[*operation]),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            units: *units,
            credits: *credits,
            period: Some(Period { start: at, end: at + hours(24) }),
            duration_us: 1,
            upstream_us: 1,
            ..UsageEvent::new(at, partner, AppId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)))
        };
        let batch: Vec<_> = (0..).zip(calls.iter().map(event)).collect();
        let to = Position { segment: 0, byte_offset: 1, sequence: batch.len() as u64 };
        let node = format!("batch-{}", self.batches.fetch_add(1, Ordering::Relaxed));
        self.store.ingest((node.as_str(), 0, batch), Position::default(), to, taken_in).await.expect("taken in");
    }

    /// Live calls.
    pub async fn live(&self, partner: PartnerId, at: Timestamp, calls: &[(usize, u64)]) {
        self.calls(partner, at, Environment::Live, calls).await;
    }

    /// Closes what is due, with all usage taken in.
    pub async fn close(&self, now: Timestamp) -> ClosingReport {
        let closing = Closing { grace: GRACE, ingested_through: Some(now) };
        let report = close_due_periods(&self.store, closing, now).await.expect("closes");
        assert!(report.problems.is_empty(), "{report:?}");
        report
    }

    pub async fn reconcile(&self) -> Reconciled {
        // Periods of these tests end long before Stripe is told, as where the provider lets Stripe's drafts stay open.
        self.reconcile_with(PushSettings { meters_open: days(40), ..PushSettings::default() }).await
    }

    pub async fn reconcile_with(&self, settings: PushSettings) -> Reconciled {
        let now = self.now().await;
        // As the server does it, in a task of its own.
        let (store, stripe) = (self.store.handle(), self.stripe.clone());
        let run = tokio::spawn(async move {
            let desk = Desk { store: &store, stripe: &stripe, letters: &letter };
            reconcile(desk, settings, &|| now).await
        });
        run.await.expect("no panic").expect("reconciles")
    }

    /// Keeps what was sent to the stand-in, for the referee that checks it against the types of Stripe's own library.
    pub async fn keep_requests(&self, name: &str) {
        let requests = self.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("stripe-requests");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("{name}.json")), requests.to_string()).expect("written");
    }

    /// Stripe's invoice with our id in its metadata, and how many there are.
    pub async fn at_stripe(&self, invoice: InvoiceId) -> (Value, usize) {
        let state = self.state().await;
        let id = invoice.to_string();
        let held: Vec<&Value> = list(&state, "invoices")
            .iter()
            .filter(|held| held["metadata"]["turnpike_invoice"] == id.as_str())
            .collect();
        (held.first().map(|held| (*held).clone()).unwrap_or_default(), held.len())
    }
}

/// A letter that says what it is about, and nothing else.
fn letter(to: &Recipient, news: &PaymentNews) -> NewMail {
    let subject = match news {
        PaymentNews::PlanBegun { plan, cost, .. } => format!("{plan} begun for {cost}"),
        PaymentNews::GoesBack { cost, why, .. } => format!("{cost} back: {why}"),
    };
    NewMail { recipient: to.email.clone(), subject, body_text: String::new(), body_html: String::new() }
}

pub fn list<'a>(state: &'a Value, kind: &str) -> &'a [Value] {
    state[kind].as_array().map(Vec::as_slice).unwrap_or_default()
}
