//! A partner that has one of everything, and a product that is nobody else's.

use crate::portal::Portal;
use billing::{Closing, close_due_periods};
use domain::money::{Currency, Money};
use domain::{
    correction::{Change, Filter, NewCorrection},
    id::{
        AppId, AttemptId, CorrectionId, CreditNoteId, DisputeId, InvoiceId, KeyId, MemberId, PartnerId, PlanId,
        ProductId, SubscriptionId, TokenId,
    },
    idempotency::{self, Slot, Unknown},
    key_text::{Environment, KeyKind, KeyText},
    plan::{Approval, PlanTerms},
    product::Visibility,
    role::MemberRole,
    usage::UsageEvent,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback};
use store::disputes::NewDispute;
use store::{
    Actor, Chosen, NewApiToken, NewApp, NewInvitation, NewKey, NewMember, NewOperation, NewPartner, NewPlan,
    NewProduct, NewSecret, NewToken, PlanMeta, Store,
    idempotency::{Attempt, Begun},
    ingest::Position,
    test_db::world,
    usage::{Place, RequestFilter},
};
use uuid::Uuid;

/// A partner. All its names begin with its own.
pub struct Company {
    pub name: &'static str,
    pub id: PartnerId,
    pub owner: MemberId,
    pub admin: MemberId,
    pub developer: MemberId,
    pub billing: MemberId,
    pub viewer: MemberId,
    /// Has not accepted.
    pub invited: MemberId,
    pub app: AppId,
    /// A live key.
    pub key: KeyId,
    pub key_text: String,
    pub token: TokenId,
    pub invoice: InvoiceId,
    /// Of that invoice.
    pub credit_note: CreditNoteId,
    /// About its first line.
    pub dispute: DisputeId,
    /// A call in the log.
    pub place: Place,
    pub request_id: String,
    /// The product that only this partner's plan opens.
    pub product: ProductId,
    pub product_code: String,
    /// An operation of it.
    pub operation: String,
    /// A plan that waits for approval.
    pub requested: SubscriptionId,
    pub plan: PlanId,
    /// A request of which nobody knows whether it was carried out.
    pub attempt: AttemptId,
    /// A draft.
    pub correction: CorrectionId,
}

/// A document with a description, a schema and an operation whose names begin with `name`.
pub fn document(name: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": format!("{name} ledger"), "version": "1", "description": format!("What {name} keeps.") },
        "paths": { "/entries": { "get": {
            "operationId": format!("{name}ListEntries"),
            "summary": format!("List {name} entries"),
            "parameters": [{ "name": "after", "in": "query", "schema": { "type": "string" } }],
            "responses": { "200": { "description": "The entries.", "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{name}Entry") }
            } } } }
        } } },
        "components": { "schemas": { format!("{name}Entry"): {
            "type": "object", "properties": { format!("{name}Balance"): { "type": "integer" } }
        } } }
    })
}

/// A product with that document.
pub fn new_product(name: &str, visibility: Visibility, upstream_url: &str) -> NewProduct {
    NewProduct {
        code: format!("{name}-ledger"),
        name: format!("{name} ledger"),
        summary: format!("What {name} keeps"),
        route: format!("/{name}-ledger"),
        upstream_url: upstream_url.to_owned(),
        timeout_ms: 5_000,
        visibility,
        document: document(name),
        operations: vec![NewOperation {
            code: format!("{name}ListEntries"),
            method: "GET".to_owned(),
            path: "/entries".to_owned(),
            summary: format!("List {name} entries"),
            weight: 1,
            deprecated: false,
        }],
        headers: Vec::new(),
        policy: None,
        secrets: None,
    }
}

/// A plan that opens this product.
pub fn new_plan(code: &str, product: &str, private: bool, approval: Approval) -> NewPlan {
    let meta = PlanMeta { name: code.to_owned(), summary: String::new(), position: 0, private, approval };
    let terms: PlanTerms = serde_json::from_value(json!({
        "currency": "EUR", "products": [{ "product": product }], "base_fee_micros": 49_000_000,
    }))
    .expect("terms");
    NewPlan { code: code.to_owned(), meta, terms }
}

/// What everybody sees: a public product, and the plans `starter` and `enterprise`, which is reviewed.
pub async fn open_catalogue(portal: &Portal) {
    let (store, now) = (&portal.store, portal.now());
    let product = new_product("open", Visibility::Public, "http://127.0.0.1:1");
    store.create_product(&product, Actor::System, now).await.expect("a product");
    for (code, approval) in [("starter", Approval::Automatic), ("enterprise", Approval::Queue)] {
        let plan = new_plan(code, "open-ledger", false, approval);
        store.create_plan(&plan, Actor::System, now).await.expect("a plan");
    }
}

impl Company {
    /// Founds it; the catalogue must be open.
    pub async fn found(portal: &Portal, name: &'static str) -> Self {
        Self::with(portal, name, Visibility::Plan, "http://127.0.0.1:1").await
    }

    pub async fn with(portal: &Portal, name: &'static str, visibility: Visibility, upstream: &str) -> Self {
        let (store, now) = (&portal.store, portal.now());
        let system = Actor::System;
        let new = NewPartner { code: None, name: name.to_owned(), time_zone: "UTC".to_owned() };
        let id = store.create_partner(&new, system, now).await.expect("a partner");
        let mut members = Vec::new();
        for role in MemberRole::ALL {
            let new = NewMember {
                email: format!("{role}@{name}.example"),
                name: format!("{name} {role}"),
                role,
                password_hash: Some("$argon2id$none".to_owned()),
                verified: true,
            };
            members.push(store.create_member(id, &new, system, now).await.expect("a member"));
        }
        let [owner, admin, developer, billing, viewer] = members.try_into().expect("five members");
        let email = format!("invited@{name}.example");
        let token = NewToken { hash: secret(portal).1.hash, expires_at: now + SignedDuration::from_hours(24) };
        let new = NewInvitation { role: MemberRole::Viewer, token, mail: world::mail(&email), email };
        let invited = store.invite_member(id, &new, Actor::Member(owner), now).await.expect("an invitation");

        let product =
            store.create_product(&new_product(name, visibility, upstream), system, now).await.expect("a product");
        if visibility == Visibility::Invitation {
            store.invite_partner_to_product(id, product, system, now).await.expect("invited");
        }
        let plan = new_plan(&format!("{name}-only"), &format!("{name}-ledger"), true, Approval::Automatic);
        let plan = store.create_plan(&plan, system, now).await.expect("a plan");
        let plan_version = store.plan(plan).await.expect("a plan").versions[0].id;
        let began = now - SignedDuration::from_hours(24 * 40);
        store.assign_plan_version(id, plan_version, system, began).await.expect("a subscription");
        let enterprise = store.find_plan_by_code("enterprise").await.expect("an answer").expect("a catalogue").id;
        let Ok(Chosen::Requested(requested)) = store.choose_plan(id, enterprise, system, now).await else {
            panic!("enterprise is reviewed")
        };

        let app = NewApp::named(format!("{name} app"));
        let app = store.create_app(id, &app, system, now).await.expect("an app");
        let (key_text, secret) = secret(portal);
        let new = NewKey::text(app, format!("{name} key"), Environment::Live, secret);
        let key = store.create_key(id, &new, system, now).await.expect("a key");
        let new = NewApiToken {
            name: format!("{name} token"),
            hash: self::secret(portal).1.hash,
            last_four: "1234".to_owned(),
            scopes: vec!["usage:read".to_owned()],
            expires_at: None,
        };
        let token = store.create_api_token(Some(id), &new, system, now).await.expect("a token");
        let closing = Closing { grace: SignedDuration::ZERO, ingested_through: Some(now) };
        close_due_periods(&portal.store, closing, now).await.expect("closed");
        let invoice = store.invoices(id).await.expect("invoices").first().expect("an invoice").id;

        let lines = vec![NewCreditLine { invoice_position: None, amount: Money::new(Currency::Eur, 10_000) }];
        let (payback, reason) = (Payback::Refund, format!("{name} was billed twice"));
        let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
        let credit_note = store.draft_credit_note(id, &new, false, system, now).await.expect("a draft");
        let issue = Issue { seen_paid: false, four_eyes: false };
        store.issue_credit_note(id, credit_note, issue, system, now).await.expect("issued");
        let (amount, reason) = (Money::new(Currency::Eur, 10_000), format!("{name} never called that"));
        let new = NewDispute { invoice, position: 0, amount, reason };
        let dispute = store.open_dispute(id, &new, &|_| Vec::new(), system, now).await.expect("opened").id;
        let operation = store.product(product).await.expect("a product").operations[0].id;
        let slot = Slot {
            partner: id,
            environment: Environment::Live,
            product,
            operation,
            key: idempotency::Key::parse(format!("{name}-idempotency").as_bytes()).expect("a key"),
        };
        let attempt = unknown_request(store, &slot, &format!("{name}-unknown"), now).await;
        let request_id = format!("{name}-request");
        let event = UsageEvent {
            request_id: request_id.clone(),
            plan_version: Some(plan_version),
            product: Some(product),
            operation: Some(operation),
            method: "GET".to_owned(),
            path: "/entries".to_owned(),
            units: 1,
            bytes_out: 2,
            duration_us: 900,
            upstream_us: 800,
            ..UsageEvent::new(now - SignedDuration::from_mins(5), id, app, key)
        };
        store.make_partitions(now, 1).await.expect("partitions");
        let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
        store.ingest((name, 0, vec![(0, event)]), Position::default(), to, now).await.expect("taken in");
        let void = NewCorrection {
            change: Change::Void,
            filter: Filter { request_id: Some(request_id.clone()), ..Filter::default() },
            reason: format!("{name} reason"),
        };
        let correction = billing::draft_correction(store, id, void, (false, system), now).await.expect("a draft");
        let range = domain::period::Period { start: began, end: now };
        let log = store.request_log(id, range, &RequestFilter::default(), None, 1).await.expect("a log");
        let place = log.requests.first().expect("a call").place.clone();
        Self {
            name,
            id,
            owner,
            admin,
            developer,
            billing,
            viewer,
            invited,
            app,
            key,
            key_text,
            token,
            invoice,
            credit_note,
            dispute,
            place,
            request_id,
            product,
            product_code: format!("{name}-ledger"),
            operation: format!("{name}ListEntries"),
            requested,
            plan,
            attempt,
            correction,
        }
    }

    /// All that the database holds of it, as one text: equal texts mean that nothing was changed.
    pub async fn fingerprint(&self, portal: &Portal) -> String {
        let store = &portal.store;
        let audit = store.audit_page(self.id, None, 200).await.expect("an audit trail");
        format!(
            "{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}",
            store.partner(self.id).await.expect("a partner"),
            store.members(self.id).await.expect("members"),
            store.apps(self.id).await.expect("apps"),
            store.keys(self.id).await.expect("keys"),
            store.api_tokens(Some(self.id)).await.expect("tokens"),
            store.subscription_history(self.id).await.expect("subscriptions"),
            store.invoices(self.id).await.expect("invoices"),
            store.product(self.product).await.expect("a product"),
            audit.items,
        )
    }
}

/// A request that a gateway called `one` sends on.
pub fn attempt(request_id: &str, lost_at: Timestamp) -> Attempt {
    Attempt {
        id: Uuid::now_v7(),
        fingerprint: [1; 32],
        request_id: request_id.to_owned(),
        node: "one".to_owned(),
        life: Uuid::from_u128(1),
        lost_at,
    }
}

/// A request with that key and id, to which the upstream gave no whole answer.
pub async fn unknown_request(store: &Store, slot: &Slot, request_id: &str, now: Timestamp) -> AttemptId {
    let attempt = attempt(request_id, now + SignedDuration::from_mins(1));
    assert_eq!(store.begin_attempt(slot.partner, slot, &attempt, now).await.expect("begun"), Begun::Fresh);
    let given_up = store.give_up_attempt(slot.partner, attempt.id, Unknown::NoAnswer, now, now).await;
    given_up.expect("given up");
    AttemptId(attempt.id)
}

/// A key's text and what is kept of it.
pub fn secret(portal: &Portal) -> (String, NewSecret) {
    let text = KeyText::generate(KeyKind::Gateway(Environment::Live), app::secrets::fill_random);
    let secret =
        NewSecret { hash: portal.state.secrets.hash_key(text.expose()), last_four: text.last_four().to_owned() };
    (text.expose().to_owned(), secret)
}
