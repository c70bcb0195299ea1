//! A standing order buys once for each time that the balance falls below its threshold, and never beyond a month's cap.

use super::{
    overdraft_tests::lent_units,
    purchase_tests::{million, shop},
    tests::Credited,
    *,
};
use crate::{Actor, InvoiceStatus, NewMail, ingest::tests::at, test_db::world};
use domain::{
    credit::{allocation::Holder, package::CreditPackage, top_up::TopUp},
    money::Currency,
};

fn order(cap_cents: i64) -> TopUp {
    let monthly_cap = Money::new(Currency::Usd, cap_cents * 10_000);
    TopUp { below: 1_000_000, package: "million".to_owned(), quantity: 1, monthly_cap }
}

fn letter(news: &ToppedUp, to: &str) -> Option<NewMail> {
    let subject = match news {
        ToppedUp::Nothing => return None,
        ToppedUp::Bought(_) => "bought".to_owned(),
        ToppedUp::Capped { spent, .. } => format!("capped at {spent}"),
        ToppedUp::Failed(why) => why.clone(),
    };
    Some(NewMail { subject, ..world::mail(to) })
}

impl Credited {
    async fn order(&self, top_up: &TopUp) -> Result<(), StoreError> {
        let now = at("2026-03-01T00:00:00Z");
        sqlx::query("update members set email_verified_at = $1")
            .bind(crate::Ts(now))
            .execute(self.store.pool())
            .await?;
        self.store.put_credit_top_up(self.partner, (top_up, None), Actor::System, now).await
    }

    async fn run(&self, now: &str) -> ToppedUp {
        let due = self.store.all_partners_to_top_up().await.expect("asked");
        if due.is_empty() {
            return ToppedUp::Nothing;
        }
        assert_eq!(due, [self.partner]);
        self.store.top_up_credit(self.partner, letter, at(now)).await.expect("an answer")
    }

    /// The invoice that a run bought.
    async fn buys(&self, now: &str) -> CreditPurchase {
        match self.run(now).await {
            ToppedUp::Bought(purchase) => purchase,
            other => panic!("{now}: {other:?}"),
        }
    }

    async fn set(&self, purchase: &CreditPurchase, status: InvoiceStatus, now: &str) {
        let moved = self.store.set_invoice_status(self.partner, purchase.invoice, status, at(now)).await;
        assert!(moved.expect("an answer"));
    }

    /// Subjects of the mails that were written about it, the oldest first.
    async fn told(&self) -> Vec<String> {
        let all = sqlx::query_scalar::<_, String>(
            "select subject from mails where subject not in ('Verify', 'Already known') order by id",
        );
        all.fetch_all(self.store.pool()).await.expect("mails")
    }
}

#[tokio::test]
async fn it_buys_once_each_time_that_the_balance_is_low_and_tells_them() {
    let world = shop().await;
    world.order(&order(1_000_000)).await.expect("ordered");
    let first = world.buys("2026-03-01T10:00:00Z").await;
    assert_eq!(first.cost.to_string(), "$1,000.00");
    for now in ["2026-03-01T10:00:05Z", "2026-03-09T10:00:00Z"] {
        assert_eq!(world.run(now).await, ToppedUp::Nothing, "it is not paid yet");
    }
    world.set(&first, InvoiceStatus::Paid, "2026-03-10T00:00:00Z").await;
    assert_eq!(world.run("2026-03-10T00:00:05Z").await, ToppedUp::Nothing);
    world.call("a", "2026-03-11T10:00:00Z", 1).await;
    let second = world.buys("2026-03-11T10:00:05Z").await;
    world.set(&second, InvoiceStatus::Void, "2026-03-12T00:00:00Z").await;
    assert_eq!(world.run("2026-03-12T00:00:05Z").await, ToppedUp::Nothing, "somebody did not want it");
    // The balance was not low in between.
    let by_hand =
        NewCreditPurchase { code: "million".to_owned(), quantity: 1, reference: "by hand".to_owned(), cost: None };
    let now = at("2026-03-13T00:00:00Z");
    let by_hand = world.store.buy_credit(world.partner, &by_hand, Actor::System, now).await.expect("bought");
    world.set(&by_hand, InvoiceStatus::Paid, "2026-03-13T00:00:00Z").await;
    assert_eq!(world.run("2026-03-13T00:00:05Z").await, ToppedUp::Nothing);
    world.call("b", "2026-03-14T10:00:00Z", 1_500_000).await;
    let third = world.buys("2026-03-14T10:00:05Z").await;
    // What was bought is in, and too little.
    world.call("c", "2026-03-14T11:00:00Z", 500_000).await;
    world.set(&third, InvoiceStatus::Paid, "2026-03-14T12:00:00Z").await;
    assert_eq!(world.balance().await, 999_999);
    world.buys("2026-03-14T12:00:05Z").await;
    assert_eq!(world.told().await, ["bought"; 4]);
}

#[tokio::test]
async fn what_is_allocated_is_left_so_that_moving_units_buys_nothing_and_using_them_does() {
    let world = shop().await;
    world.order(&order(1_000_000)).await.expect("ordered");
    world.grant(NewCreditGrant::new(1_200_000, "Welcome"), "2026-03-01T09:00:00Z").await;
    let id = world.allocate(Holder::App(world.app().await), 900_000, "2026-03-01T09:10:00Z").await;
    // What gateways hold of it is not used.
    world.exchange("a", world.of(id), 600_000, (0, 0)).await;
    for node in ["a", "b"] {
        let now = at("2026-03-01T10:00:00Z");
        assert_eq!(world.store.all_partners_to_top_up().await.expect("asked"), []);
        let done = world.store.top_up_credit(world.partner, letter, now).await.expect("an answer");
        assert_eq!((done, world.balance().await), (ToppedUp::Nothing, 300_000));
        world.call_own(node, "2026-03-01T09:30:00Z", 100_000, Some((id, 100_000))).await;
    }
    world.call_own("c", "2026-03-01T09:40:00Z", 1, Some((id, 1))).await;
    world.buys("2026-03-01T10:00:05Z").await;
    // Nor does what comes back make it more.
    world.back(id, None, "2026-03-01T10:00:10Z").await;
    assert_eq!(world.run("2026-03-01T10:00:15Z").await, ToppedUp::Nothing);
    assert_eq!(world.store.credit_purchases(world.partner).await.expect("purchases").len(), 1);
}

#[tokio::test]
async fn tasks_that_run_at_once_buy_once() {
    for round in 0..5 {
        let world = shop().await;
        world.order(&order(1_000_000)).await.expect("ordered");
        let mut work = Vec::new();
        for _ in 0..8 {
            let (store, partner) = (world.store.handle(), world.partner);
            work.push(tokio::spawn(async move {
                store.top_up_credit(partner, letter, at("2026-03-01T10:00:00Z")).await.expect("an answer")
            }));
        }
        let mut bought = 0;
        for work in work {
            bought += u32::from(matches!(work.await.expect("no panic"), ToppedUp::Bought(_)));
        }
        let held = world.store.credit_purchases(world.partner).await.expect("purchases").len();
        assert_eq!((bought, held, world.told().await.len()), (1, 1, 1), "round {round}");
    }
}

#[tokio::test]
async fn a_month_of_the_partners_time_zone_never_costs_more_than_its_cap() {
    let world = shop().await;
    sqlx::query("update partners set time_zone = 'Pacific/Auckland'").execute(world.store.pool()).await.expect("moved");
    world.order(&order(250_000)).await.expect("ordered");
    let mut node = 0;
    let mut use_up = async |when: &str| {
        node += 1;
        world.call(&format!("n{node}"), when, 1_000_000).await;
    };
    // March begins in Auckland at 11:00 UTC on 28 February, and ends there on 31 March.
    for day in ["02", "03"] {
        let bought = world.buys(&format!("2026-03-{day}T10:00:00Z")).await;
        world.set(&bought, InvoiceStatus::Paid, &format!("2026-03-{day}T10:00:00Z")).await;
        use_up(&format!("2026-03-{day}T10:00:01Z")).await;
    }
    for now in ["2026-03-04T00:00:00Z", "2026-03-05T00:00:00Z", "2026-03-31T10:59:59Z"] {
        let capped = world.run(now).await;
        assert!(matches!(&capped, ToppedUp::Capped { spent, .. } if spent.to_string() == "$2,000.00"), "{capped:?}");
    }
    let standing = world.store.credit_top_up(world.partner, at("2026-03-31T10:59:59Z")).await.expect("read");
    let standing = standing.expect("an order");
    assert_eq!(standing.problem.as_deref(), Some("The month's cap is reached"));
    assert_eq!(standing.spent.to_string(), "$2,000.00");
    let april = world.buys("2026-03-31T11:00:00Z").await;
    assert_eq!(world.told().await, ["bought", "bought", "capped at $2,000.00", "bought"]);
    // What became void costs nothing.
    world.set(&april, InvoiceStatus::Void, "2026-03-31T12:00:00Z").await;
    let standing = world.store.credit_top_up(world.partner, at("2026-04-01T00:00:00Z")).await.expect("read");
    assert_eq!(standing.expect("an order").spent.to_string(), "$0.00");
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_is_told_once_and_one_that_never_could_is_refused() {
    let world = shop().await;
    for (wrong, field) in [
        (order(99_999), "monthly_cap"),
        (TopUp { below: 0, ..order(100_000) }, "below"),
        (TopUp { quantity: 0, ..order(100_000) }, "quantity"),
        (TopUp { package: "none".to_owned(), ..order(100_000) }, "package"),
    ] {
        let refused = world.order(&wrong).await;
        let Err(StoreError::Invalid { field: named, .. }) = refused else { panic!("{field}: {refused:?}") };
        assert_eq!(named, field);
    }
    world.order(&order(100_000)).await.expect("ordered");
    let gone = domain::credit::package::CreditPackage { withdrawn: true, ..million() };
    let now = at("2026-03-01T10:00:00Z");
    world.store.put_credit_package(("million", None), &gone, Actor::System, now).await.expect("withdrawn");
    for _ in 0..2 {
        let failed = world.run("2026-03-01T10:00:00Z").await;
        assert!(matches!(failed, ToppedUp::Failed(_)), "{failed:?}");
    }
    assert_eq!(world.told().await.len(), 1);
    world.store.put_credit_package(("million", None), &million(), Actor::System, now).await.expect("sold again");
    world.buys("2026-03-01T10:00:10Z").await;
    assert!(world.store.stop_credit_top_up(world.partner, Actor::System, now).await.expect("stopped"));
    assert!(!world.store.stop_credit_top_up(world.partner, Actor::System, now).await.expect("it was"));
    assert_eq!(world.run("2026-04-01T10:00:00Z").await, ToppedUp::Nothing);
}

#[tokio::test]
async fn it_buys_for_what_was_agreed_or_less_and_stops_and_tells_once_where_it_would_be_more() {
    let world = shop().await;
    world.order(&order(10_000_000)).await.expect("ordered");
    let sell = async |change: fn(&mut domain::credit::package::CreditPackage)| {
        let mut package = million();
        change(&mut package);
        let now = at("2026-03-01T01:00:00Z");
        world.store.put_credit_package(("million", None), &package, Actor::System, now).await.expect("sold");
    };
    sell(|package| package.price = "1000.01".parse().expect("a decimal")).await;
    let dearer = "It costs $1,000.01 by now, and $1,000.00 was agreed: order it again to go on".to_owned();
    for now in ["2026-03-01T10:00:00Z", "2026-03-01T10:00:05Z"] {
        assert_eq!(world.run(now).await, ToppedUp::Failed(dearer.clone()));
    }
    let standing = async || {
        let now = at("2026-03-02T00:00:00Z");
        world.store.credit_top_up(world.partner, now).await.expect("an answer").expect("an order")
    };
    assert_eq!((standing().await.problem, standing().await.spent.micros), (Some(dearer.clone()), 0));
    sell(|package| package.units -= 1).await;
    let ToppedUp::Failed(fewer) = world.run("2026-03-02T00:00:00Z").await else { panic!("not stopped") };
    assert!(fewer.starts_with("One has 999,999 units"), "{fewer}");
    sell(|package| package.price = "900".parse().expect("a decimal")).await;
    let cheaper = world.buys("2026-03-03T00:00:00Z").await;
    assert_eq!(cheaper.cost.to_string(), "$900.00");
    world.set(&cheaper, InvoiceStatus::Paid, "2026-03-03T01:00:00Z").await;
    world.call("a", "2026-03-03T02:00:00Z", 1).await;
    // What was agreed still is.
    sell(|_| {}).await;
    let again = world.buys("2026-03-03T03:00:00Z").await;
    assert_eq!(
        (again.cost.to_string(), standing().await.agreed.map(|money| money.to_string())),
        ("$1,000.00".to_owned(), Some("$1,000.00".to_owned()))
    );
    assert_eq!(world.told().await, [dearer, fewer, "bought".to_owned(), "bought".to_owned()]);
    // Ordered again, it is agreed anew; and an order of before prices were kept agrees with what it buys next.
    sell(|package| package.price = "1200".parse().expect("a decimal")).await;
    world.order(&order(10_000_000)).await.expect("ordered");
    assert_eq!(standing().await.agreed.map(|money| money.to_string()), Some("$1,200.00".to_owned()));
    sqlx::query("update credit_top_ups set agreed = null").execute(world.store.pool()).await.expect("as before");
    world.set(&again, InvoiceStatus::Paid, "2026-03-04T00:00:00Z").await;
    world.call("b", "2026-03-04T01:00:00Z", 1_000_000).await;
    world.buys("2026-03-04T02:00:00Z").await;
    assert_eq!(standing().await.agreed.map(|money| money.to_string()), Some("$1,200.00".to_owned()));
}

#[tokio::test]
async fn for_units_that_an_invoice_will_bill_nothing_is_bought() {
    let (world, _) = lent_units(500).await;
    let fifty = CreditPackage { units: 50, valid_days: None, ..million() };
    let now = at("2026-03-01T00:00:00Z");
    world.store.put_credit_package(("fifty", None), &fifty, Actor::System, now).await.expect("sold");
    world.order(&TopUp { below: 50, package: "fifty".to_owned(), ..order(10_000_000) }).await.expect("ordered");
    world.call("a", "2026-03-05T10:10:00Z", 300).await;
    let first = world.buys("2026-03-05T10:20:00Z").await;
    world.set(&first, InvoiceStatus::Paid, "2026-03-05T10:21:00Z").await;
    assert_eq!(world.run("2026-03-05T10:21:05Z").await, ToppedUp::Nothing, "one is bought for one low balance");
    // The first paid for calls of its hour, and so none is left of it.
    world.settle("2026-03-05T11:00:00Z").await;
    let second = world.buys("2026-03-05T11:00:05Z").await;
    world.set(&second, InvoiceStatus::Paid, "2026-03-05T11:01:00Z").await;
    for now in ["2026-03-05T11:01:05Z", "2026-03-06T00:00:00Z"] {
        assert_eq!(world.run(now).await, ToppedUp::Nothing, "250 units are below zero, and billed");
    }
    let standing = world.store.credit(world.partner).await.expect("a standing");
    assert_eq!((standing.balance, standing.to_be_billed), (-200, 250));
    world.call("b", "2026-03-06T10:00:00Z", 1).await;
    world.buys("2026-03-06T10:00:05Z").await;
    world.agrees().await;
}

#[tokio::test]
async fn what_was_bought_and_used_up_within_the_hour_is_bought_again() {
    let (world, _) = lent_units(500).await;
    let fifty = CreditPackage { units: 50, valid_days: None, ..million() };
    let now = at("2026-03-01T00:00:00Z");
    world.store.put_credit_package(("fifty", None), &fifty, Actor::System, now).await.expect("sold");
    world.order(&TopUp { below: 20, package: "fifty".to_owned(), ..order(10_000_000) }).await.expect("ordered");
    // A grant of the same hour that nobody ordered is left as it is.
    world.grant(NewCreditGrant::new(30, "Welcome"), "2026-03-05T10:00:00Z").await;
    world.call("a", "2026-03-05T10:05:00Z", 15).await;
    for (minute, units) in [(10, 65), (20, 40), (30, 50)] {
        let first = world.buys(&format!("2026-03-05T10:{minute}:00Z")).await;
        world.set(&first, InvoiceStatus::Paid, &format!("2026-03-05T10:{minute}:01Z")).await;
        let at_once = format!("2026-03-05T10:{minute}:05Z");
        assert_eq!(world.run(&at_once).await, ToppedUp::Nothing, "one is bought for one low balance");
        world.call(&format!("of {minute}"), &format!("2026-03-05T10:{minute}:30Z"), units).await;
    }
    world.buys("2026-03-05T10:59:00Z").await;
}

#[tokio::test]
async fn an_order_at_an_offer_that_is_another_one_by_now_is_refused() {
    let world = shop().await;
    let now = at("2026-03-01T00:00:00Z");
    for (field, other) in [
        ("price", CreditPackage { price: "999".parse().expect("a decimal"), ..million() }),
        ("units", CreditPackage { units: 999_999, ..million() }),
        ("validity", CreditPackage { valid_days: None, ..million() }),
    ] {
        let top_up = order(1_000_000);
        let refused = world.store.put_credit_top_up(world.partner, (&top_up, Some(&other)), Actor::System, now).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{field}: {refused:?}");
        assert_eq!(world.store.credit_top_up(world.partner, now).await.expect("an answer"), None, "{field}");
    }
    let seen = CreditPackage { name: "Renamed".to_owned(), ..million() };
    let top_up = order(1_000_000);
    world.store.put_credit_top_up(world.partner, (&top_up, Some(&seen)), Actor::System, now).await.expect("ordered");
}
