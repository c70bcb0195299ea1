//! Plans: versions that never change, on a real Postgres.

use super::{AddedVersion, NewPlan, PlanMeta};
use crate::{
    Actor, Store, StoreError, products, test_db,
    test_db::world::{World, now},
};
use domain::{
    id::PlanId,
    limit::{Limit, Window},
    money::Currency,
    plan::{Approval, Collect, Grant, PlanTerms},
    product::Visibility,
    rating::{matrix::Cell, price::Price},
};
use rust_decimal::Decimal;

pub(crate) fn terms() -> PlanTerms {
    PlanTerms {
        currency: Currency::Eur,
        interval: domain::period::Interval::Month,
        periods: Default::default(),
        products: Vec::new(),
        limits: vec![Limit { calls: 100, window: Window::Minute }],
        quota: None,
        base_fee_micros: 49_000_000,
        fee_due: Default::default(),
        price: Price::PerUnit { included: 1000, unit_price: "0.005".parse().expect("a decimal") },
        meters: Vec::new(),
        minimum_micros: 0,
        discounts: Vec::new(),
        phases: Vec::new(),
        promotions: Vec::new(),
        offered: Default::default(),
        commitment: None,
        trial: None,
        invoice_threshold_micros: None,
        included_credit_micros: 0,
        features: vec!["Support by e-mail".to_owned()],
        opens_features: Vec::new(),
        admission: Default::default(),
        collect: Collect::InvoiceItems,
        changes: Default::default(),
        unpaid: None,
    }
}

pub(crate) fn meta(name: &str) -> PlanMeta {
    PlanMeta {
        name: name.to_owned(),
        summary: String::new(),
        position: 0,
        private: false,
        approval: Approval::Automatic,
    }
}

pub(crate) async fn create(store: &Store, code: &str, terms: PlanTerms) -> PlanId {
    let new = NewPlan { code: code.to_owned(), meta: meta(code), terms };
    store.create_plan(&new, Actor::System, now()).await.expect("created")
}

#[tokio::test]
async fn other_terms_make_a_version_and_the_same_terms_make_none() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let plan = create(&store, "starter", terms()).await;
    store.choose_plan(world.partner, plan, world.actor(), now()).await.expect("chosen");
    let first = store.plan(plan).await.expect("a plan").versions[0].id;
    let same = store.add_plan_version(plan, &terms(), Actor::System, now()).await.expect("answered");
    assert_eq!(same, AddedVersion::Unchanged(first));
    let dearer = PlanTerms { base_fee_micros: 59_000_000, ..terms() };
    let added = store.add_plan_version(plan, &dearer, Actor::System, now()).await.expect("added");
    let found = store.plan(plan).await.expect("a plan");
    assert_eq!(added, AddedVersion::Added(found.versions[0].id));
    let seen: Vec<_> = found.versions.iter().map(|v| (v.version, v.partners, v.terms.base_fee_micros)).collect();
    assert_eq!(seen, [(2, 0, 59_000_000), (1, 1, 49_000_000)]);
    assert_eq!(found.versions[0].created_by, "system");
    let changed = sqlx::query("update plan_versions set terms = '{}'").execute(store.pool()).await;
    assert!(changed.is_err(), "a version never changes");
}

#[tokio::test]
async fn terms_that_cannot_be_sold_are_refused_with_their_field() {
    let store = test_db::store().await;
    products::tests::create(&store, "payments", Visibility::Public, &["create"]).await;
    let grant = |product: &str, operations: Option<Vec<String>>| PlanTerms {
        products: vec![Grant { product: product.to_owned(), operations }],
        ..terms()
    };
    let cases = [
        ("products[0].product", grant("nothing", None)),
        ("products[0].operations[1]", grant("payments", Some(vec!["create".to_owned(), "refund".to_owned()]))),
        ("base_fee", PlanTerms { base_fee_micros: -1, ..terms() }),
        (
            "price.cells[0].operation",
            PlanTerms {
                price: Price::Matrix {
                    included: 0,
                    cells: vec![Cell {
                        product: "payments".to_owned(),
                        operation: Some("refund".to_owned()),
                        unit_price: Decimal::ONE,
                    }],
                    otherwise: Decimal::ZERO,
                },
                ..grant("payments", None)
            },
        ),
        ("limits[0].calls", PlanTerms { limits: vec![Limit { calls: 0, window: Window::Day }], ..terms() }),
    ];
    for (expected, terms) in cases {
        assert_eq!(store.plan_terms_problems(&terms).await.expect("checked")[0].field, expected);
        let new = NewPlan { code: "starter".to_owned(), meta: meta("Starter"), terms };
        let refused = store.create_plan(&new, Actor::System, now()).await;
        assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == expected));
    }
    assert!(store.all_plans().await.expect("plans").is_empty());
    create(&store, "starter", grant("payments", Some(vec!["create".to_owned()]))).await;
}

#[tokio::test]
async fn the_pricing_page_offers_the_newest_terms_of_open_plans_and_names_no_hidden_product() {
    let store = test_db::store().await;
    products::tests::create(&store, "open", Visibility::Public, &["a"]).await;
    products::tests::create(&store, "paid", Visibility::Plan, &["a"]).await;
    let products = ["open", "paid"].map(|code| Grant { product: code.to_owned(), operations: None }).to_vec();
    let pro = create(&store, "pro", PlanTerms { products: products.clone(), ..terms() }).await;
    let starter = create(&store, "starter", terms()).await;
    let private = create(&store, "bespoke", terms()).await;
    let archived = create(&store, "old", terms()).await;
    store.update_plan(pro, &PlanMeta { position: 2, ..meta("Pro") }, Actor::System, now()).await.expect("updated");
    store
        .update_plan(starter, &PlanMeta { position: 1, ..meta("Starter") }, Actor::System, now())
        .await
        .expect("updated");
    store
        .update_plan(private, &PlanMeta { private: true, ..meta("Bespoke") }, Actor::System, now())
        .await
        .expect("updated");
    store.archive_plan(archived, Actor::System, now()).await.expect("archived");
    let cells =
        ["open", "paid"].map(|code| Cell { product: code.to_owned(), operation: None, unit_price: Decimal::ONE });
    let price = Price::Matrix { included: 0, cells: cells.to_vec(), otherwise: Decimal::ZERO };
    let dearer = PlanTerms { products, base_fee_micros: 99_000_000, price, ..terms() };
    store.add_plan_version(pro, &dearer, Actor::System, now()).await.expect("added");

    let offered = store.offered_plans(None).await.expect("plans");
    let seen: Vec<_> =
        offered.iter().map(|plan| (plan.name.as_str(), plan.version, plan.terms.base_fee_micros)).collect();
    assert_eq!(seen, [("Starter", 1, 49_000_000), ("Pro", 2, 99_000_000)]);
    assert_eq!(offered[1].terms.products.iter().map(|grant| grant.product.as_str()).collect::<Vec<_>>(), ["open"]);
    assert!(!serde_json::to_string(&offered).expect("written").contains("paid"), "nor what is priced of it");
    assert_eq!(store.all_plans().await.expect("plans").len(), 4);
    assert!(store.find_plan_by_code("bespoke").await.expect("answered").expect("a plan").meta.private);
}

#[tokio::test]
async fn racing_versions_of_one_plan_number_without_a_gap() {
    let store = test_db::store().await;
    let plan = create(&store, "starter", terms()).await;
    let fees = [1, 2, 3, 4].map(|euro| PlanTerms { base_fee_micros: euro * 1_000_000, ..terms() });
    let [a, b, c, d] = &fees;
    let add = |terms| store.add_plan_version(plan, terms, Actor::System, now());
    store.warm().await;
    let (a, b, c, d) = tokio::join!(add(a), add(b), add(c), add(d));
    assert!([a, b, c, d].iter().all(Result::is_ok));
    let versions: Vec<_> = store.plan(plan).await.expect("a plan").versions.iter().map(|v| v.version).collect();
    assert_eq!(versions, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn an_operation_that_a_plan_has_a_price_for_stays_in_the_document() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let product = products::tests::create(&store, "cards", Visibility::Public, &["create", "list", "refund"]).await;
    products::tests::create(&store, "loans", Visibility::Public, &["list"]).await;
    let cell = |product: &str, operation: &str| Cell {
        product: product.to_owned(),
        operation: Some(operation.to_owned()),
        unit_price: Decimal::ONE,
    };
    let with = |cells: Vec<Cell>| PlanTerms {
        products: ["cards", "loans"].map(|code| Grant { product: code.to_owned(), operations: None }).to_vec(),
        price: Price::Matrix { included: 0, cells, otherwise: Decimal::ZERO },
        ..terms()
    };
    let plan = create(&store, "starter", with(vec![cell("cards", "refund"), cell("loans", "list")])).await;
    let becomes = async |operations: &[&str]| {
        let new = products::tests::new_product("cards", Visibility::Public, operations);
        store.update_product(product, &new, Actor::System, now()).await
    };
    let refused = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Conflict { field, message }) => format!("{field}: {message}"),
        other => panic!("it was not refused: {other:?}"),
    };
    // `list` is priced of another product only.
    becomes(&["create", "refund"]).await.expect("updated");
    let told = refused(becomes(&["create"]).await);
    assert!(told.starts_with("document: The plan starter, version 1, has a price for refund"), "{told}");
    assert_eq!(store.product(product).await.expect("a product").operations.len(), 2, "nothing was changed");

    store.choose_plan(world.partner, plan, world.actor(), now()).await.expect("chosen");
    let dropped = with(vec![cell("loans", "list")]);
    store.add_plan_version(plan, &dropped, Actor::System, now()).await.expect("added");
    let told = refused(becomes(&["create"]).await);
    assert!(told.contains("version 1") && told.contains("Move the partners of that version"), "{told}");
    let later = now() + jiff::SignedDuration::from_secs(1);
    store.move_to_newest_version(world.partner, Actor::System, later).await.expect("moved");
    assert!(becomes(&["create"]).await.is_err(), "what was used until then is not billed yet");
    sqlx::query("update subscriptions set started_at = ended_at where status = 'ended'")
        .execute(store.pool())
        .await
        .expect("as if nothing were left to bill");
    becomes(&["create"]).await.expect("updated");
}
