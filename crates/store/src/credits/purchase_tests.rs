//! Units that are bought are an invoice once, and a grant when that is paid and not before; the money follows to the cent.

use super::{tests::Credited, *};
use crate::{
    Actor, InvoiceStatus, LedgerAccount, NewPlan, PlanMeta,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    ingest::tests::at,
};
use domain::{credit::package::CreditPackage, id::InvoiceId, money::Currency, plan::Approval};
use serde_json::json;

/// When the plan begins, too: an invoice of the period must still find its place.
const BOUGHT: &str = "2026-03-01T00:00:00Z";

pub(super) fn million() -> CreditPackage {
    serde_json::from_value(json!({
        "name": "One million", "units": 1_000_000, "currency": "USD", "price": "1000.00", "valid_days": 90,
        "discounts": [{ "from": 10, "percent": "15" }],
    }))
    .expect("a package")
}

/// With the package `million`, and on a plan without a price.
pub(super) async fn shop() -> Credited {
    let world = Credited::new().await;
    let meta = PlanMeta {
        name: "Prepaid".to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    };
    let terms = serde_json::from_value(json!({
        "currency": "USD", "products": [], "admission": { "credit": { "required": true } },
    }))
    .expect("terms");
    let now = at(BOUGHT);
    let new = NewPlan { code: "prepaid".to_owned(), meta, terms };
    let plan = world.store.create_plan(&new, Actor::System, now).await.expect("a plan");
    let version = world.store.plan(plan).await.expect("a plan").versions[0].id;
    world.store.assign_plan_version(world.partner, version, Actor::System, now).await.expect("on it");
    world.store.put_credit_package(("million", None), &million(), Actor::System, now).await.expect("sold");
    world
}

impl Credited {
    async fn buy(&self, reference: &str, quantity: u32) -> Result<CreditPurchase, StoreError> {
        let new =
            NewCreditPurchase { code: "million".to_owned(), quantity, reference: reference.to_owned(), cost: None };
        self.store.buy_credit(self.partner, &new, Actor::System, at(BOUGHT)).await
    }

    async fn pay(&self, invoice: InvoiceId) -> bool {
        let paid = self.store.mark_invoice_paid(self.partner, invoice, Actor::System, at(BOUGHT)).await;
        paid.expect("an answer")
    }

    async fn granted(&self) -> Vec<CreditGrant> {
        self.store.credit_grants(self.partner).await.expect("grants")
    }

    /// A credit note over that much of the invoice, issued at noon of the fifth.
    async fn credit(&self, invoice: InvoiceId, cents: i64, paid: bool) -> Result<bool, StoreError> {
        let now = at("2026-03-05T12:00:00Z");
        let amount = Money::new(Currency::Usd, cents * 10_000);
        let lines = vec![NewCreditLine { invoice_position: Some(0), amount }];
        let reason = "They need less".to_owned();
        let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback: Payback::Refund, reason };
        let id = self.store.draft_credit_note(self.partner, &new, false, Actor::System, now).await?;
        let issue = Issue { seen_paid: paid, four_eyes: false };
        self.store.issue_credit_note(self.partner, id, issue, Actor::System, now).await
    }
}

fn owned(sum: &str) -> String {
    sum.to_owned()
}

#[tokio::test]
async fn ten_million_at_15_percent_off_are_usable_when_they_are_paid_and_half_of_them_is_breakage_when_they_expire() {
    let world = shop().await;
    let (one, two) = tokio::join!(world.buy("a", 10), world.buy("a", 10));
    let purchase = one.expect("bought");
    assert_eq!(purchase, two.expect("the same"));
    assert!(matches!(world.buy("a", 9).await, Err(StoreError::Conflict { .. })), "the reference is taken");
    let (invoice, lines) = world.store.invoice(world.partner, purchase.invoice).await.expect("an invoice");
    assert_eq!((invoice.total.to_string(), invoice.stands_alone, lines.len()), (owned("$8,500.00"), true, 1));
    assert_eq!(lines[0].description, "10 × One million: 10,000,000 prepaid units, 15 % off");
    assert_eq!((world.balance().await, world.granted().await), (0, Vec::new()), "not before it is paid");
    assert_eq!(
        world.money().await,
        [(LedgerAccount::Credits, owned("−$8,500.00")), (LedgerAccount::Receivable, owned("$8,500.00"))]
    );
    world.agrees().await;
    let (one, two) = tokio::join!(world.pay(purchase.invoice), world.pay(purchase.invoice));
    assert!(one != two, "paid once");
    let grants = world.granted().await;
    assert_eq!((grants.len(), grants[0].left, world.balance().await), (1, 10_000_000, 10_000_000));
    assert_eq!(grants[0].expires_at, Some(at("2026-05-30T00:00:00Z")), "90 days");
    world.call("a", "2026-03-05T10:15:00Z", 5_000_000).await;
    world.settle("2026-05-30T00:00:00Z").await;
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, owned("−$4,250.00")),
            (LedgerAccount::Cash, owned("$8,500.00")),
            (LedgerAccount::Credits, owned("$0.00")),
            (LedgerAccount::Receivable, owned("$0.00")),
            (LedgerAccount::Revenue, owned("−$4,250.00")),
        ]
    );
}

#[tokio::test]
async fn what_was_used_and_is_not_booked_yet_is_not_paid_back_out_of_another_grant() {
    let world = shop().await;
    let purchase = world.buy("a", 1).await.expect("bought");
    assert!(world.pay(purchase.invoice).await);
    // It never expires, so the purchase burns first.
    world.grant(NewCreditGrant::new(1_000_000, "Welcome"), BOUGHT).await;
    sqlx::query(
        "insert into allowances (partner_id, kind, period_start, period_end, taken) values ($1, 'credit', 'epoch', 'infinity', 500000)
         on conflict (partner_id, kind, period_start) do update set taken = 500000",
    )
    .bind(world.partner.0)
    .execute(world.store.pool())
    .await
    .expect("a gateway took them");
    assert!(matches!(world.credit(purchase.invoice, 100_000, true).await, Err(StoreError::Conflict { .. })));
    assert!(world.credit(purchase.invoice, 50_000, true).await.expect("the other half"));
}

#[tokio::test]
async fn who_buys_says_what_it_costs_has_a_plan_that_spends_it_and_pays_before_it_buys_on_and_on() {
    let world = shop().await;
    let buy = async |reference: &str, cents: i64| {
        let cost = Some(Money::new(Currency::Usd, cents * 10_000));
        let new = NewCreditPurchase { code: "million".to_owned(), quantity: 1, reference: reference.to_owned(), cost };
        world.store.buy_credit(world.partner, &new, Actor::System, at(BOUGHT)).await
    };
    assert!(matches!(buy("a", 99_999).await, Err(StoreError::Conflict { .. })), "not at another price");
    buy("a", 100_000).await.expect("at its price");
    for more in 1..20 {
        world.buy(&format!("b{more}"), 1).await.expect("bought");
    }
    assert!(matches!(world.buy("one more", 1).await, Err(StoreError::Conflict { .. })), "20 wait to be paid");
    let first = buy("a", 100_000).await.expect("the first one again");
    assert!(world.pay(first.invoice).await);
    world.buy("one more", 1).await.expect("one of them is paid");
    sqlx::query("update partners set suspended_at = now()").execute(world.store.pool()).await.expect("suspended");
    assert!(matches!(buy("c", 100_000).await, Err(StoreError::Conflict { .. })));
    sqlx::query("update partners set suspended_at = null").execute(world.store.pool()).await.expect("not any more");
    sqlx::query("alter table plan_versions disable trigger user").execute(world.store.pool()).await.expect("changed");
    sqlx::query("update plan_versions set terms = terms - 'admission'")
        .execute(world.store.pool())
        .await
        .expect("changed");
    assert!(matches!(buy("c", 100_000).await, Err(StoreError::Conflict { .. })), "its plan spends no credit");
}

#[tokio::test]
async fn what_is_void_or_never_paid_opens_no_grant_and_the_check_would_see_one() {
    let world = shop().await;
    let (void, unpaid) =
        (world.buy("a", 1).await.expect("bought"), world.buy("b", 1).await.expect("at that instant, too"));
    let status = async |invoice, status| {
        world.store.set_invoice_status(world.partner, invoice, status, at(BOUGHT)).await.expect("an answer")
    };
    assert!(status(void.invoice, InvoiceStatus::Void).await);
    assert!(!world.pay(void.invoice).await, "what is void cannot be paid");
    assert!(status(unpaid.invoice, InvoiceStatus::Uncollectible).await);
    assert_eq!((world.balance().await, world.granted().await.len()), (0, 0));
    // The other one is still owed, on both sides.
    assert_eq!(
        world.money().await,
        [(LedgerAccount::Credits, owned("−$1,000.00")), (LedgerAccount::Receivable, owned("$1,000.00"))]
    );
    world.agrees().await;
    // Control: an invoice that is paid beside the grant is named.
    let moved = format!("update invoices set status = 'paid' where id = '{}'", unpaid.invoice.0);
    sqlx::query(sqlx::AssertSqlSafe(moved)).execute(world.store.pool()).await.expect("moved");
    let found = world.store.check_all_credit().await.expect("checked");
    assert!(found.iter().any(|one| one.what.contains("of an invoice that is paid")), "{found:?}");
    let back = format!("update invoices set status = 'uncollectible' where id = '{}'", unpaid.invoice.0);
    sqlx::query(sqlx::AssertSqlSafe(back)).execute(world.store.pool()).await.expect("moved back");
    assert!(world.pay(unpaid.invoice).await, "it may still be paid");
    assert_eq!(world.balance().await, 1_000_000);
    world.agrees().await;
}

#[tokio::test]
async fn a_credit_note_takes_the_unused_units_back_that_it_pays_for_and_no_more() {
    let world = shop().await;
    let purchase = world.buy("a", 1).await.expect("bought");
    let refused = world.credit(purchase.invoice, 100, false).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "what is not paid is made void: {refused:?}");
    assert!(world.pay(purchase.invoice).await);
    let id = world.granted().await[0].id;
    // 250,000 of a million for $1,000.00.
    world.call("a", "2026-03-05T10:15:00Z", 250_000).await;
    let how = (Void::Refunded, "They asked");
    let twice = world.store.void_credit_grant(world.partner, id, how, Actor::System, at("2026-03-05T12:00:00Z")).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "only a credit note pays back: {twice:?}");
    let Err(StoreError::Conflict { message, .. }) = world.credit(purchase.invoice, 75_001, true).await else {
        panic!("more than is unused was paid back")
    };
    assert_eq!(message, "The units that are unused are worth $750.00: credit at most that");
    assert!(world.credit(purchase.invoice, 30_033, true).await.expect("issued"));
    assert_eq!(world.stands(id).await, [449_670, 250_000, 0, 300_330]);
    world.agrees().await;
    assert!(world.credit(purchase.invoice, 44_967, true).await.expect("issued"));
    assert_eq!((world.stands(id).await, world.balance().await), ([0, 250_000, 0, 750_000], 0));
    assert_eq!(world.granted().await[0].state, GrantState::Voided);
    assert_eq!(
        world.money().await,
        [
            (LedgerAccount::Breakage, owned("$0.00")),
            (LedgerAccount::Cash, owned("$250.00")),
            (LedgerAccount::Credits, owned("$0.00")),
            (LedgerAccount::Receivable, owned("$0.00")),
            (LedgerAccount::Revenue, owned("−$250.00")),
        ]
    );
    world.agrees().await;
}

#[tokio::test]
async fn a_package_is_sold_to_whom_it_is_for_as_it_is_at_that_time() {
    let world = shop().await;
    let now = at(BOUGHT);
    let put = async |package: &CreditPackage| {
        world.store.put_credit_package(("million", None), package, Actor::System, now).await
    };
    let bought = world.buy("a", 1).await.expect("bought");
    let unknown = CreditPackage { plans: vec!["none".to_owned()], ..million() };
    assert!(matches!(put(&unknown).await, Err(StoreError::Invalid { .. })), "no such plan");
    let euros = CreditPackage { currency: Currency::Eur, ..million() };
    for other in [euros, CreditPackage { withdrawn: true, ..million() }] {
        put(&other).await.expect("changed");
        assert!(world.buy("b", 1).await.is_err(), "{other:?}");
    }
    assert_eq!(world.buy("a", 1).await.expect("it was bought before"), bought);
    let dearer =
        CreditPackage { price: "2000.00".parse().expect("a decimal"), plans: vec!["prepaid".to_owned()], ..million() };
    put(&dearer).await.expect("changed");
    assert_eq!(world.buy("b", 1).await.expect("bought").cost.to_string(), "$2,000.00");
    let all = world.store.credit_purchases(world.partner).await.expect("purchases");
    let costs: Vec<_> = all.iter().map(|one| one.cost.to_string()).collect();
    assert_eq!(costs, ["$2,000.00", "$1,000.00"], "what was bought stays as it was bought");
    let none = Credited::new().await;
    none.store.put_credit_package(("million", None), &million(), Actor::System, now).await.expect("sold");
    assert!(matches!(none.buy("a", 1).await, Err(StoreError::Conflict { .. })), "an invoice goes with a plan");
}

#[tokio::test]
async fn a_server_of_the_version_before_gives_no_units_for_what_goes_back() {
    let world = shop().await;
    let new = NewCreditPurchase { code: "million".to_owned(), quantity: 1, reference: "a".to_owned(), cost: None };
    let page = world.store.open_credit_checkout(world.partner, &new, Actor::System, at(BOUGHT)).await.expect("opened");
    let other = world.buy("b", 1).await.expect("bought").invoice;
    // What such a server writes once it has made the invoice of a page that is paid.
    let give = async || {
        sqlx::query("update credit_checkouts set invoice_id = $3 where partner_id = $1 and checkout_id = $2")
            .bind(world.partner.0)
            .bind(page.id.0)
            .bind(other.0)
            .execute(world.store.pool())
            .await
    };
    let goes_back = async |why: Option<&str>| {
        sqlx::query("update checkouts set pay_back = $3 where partner_id = $1 and id = $2")
            .bind(world.partner.0)
            .bind(page.id.0)
            .bind(why)
            .execute(world.store.pool())
            .await
            .expect("noted")
    };
    goes_back(Some("Another page was paid before")).await;
    assert!(give().await.expect_err("refused").to_string().contains("goes back"));
    goes_back(None).await;
    assert!(give().await.is_ok(), "any other page gives them");
}
