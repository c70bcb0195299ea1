//! A period that is billed in parts, whatever its plan, its usage and its cuts: the sum is the one invoice that it would have been.
//!
//! Each plan has two partners that do the same at the same time; one has threshold invoices and the other has none.

use crate::{
    corrections::no_finding,
    meters::{call, measuring},
    revenue::Dice,
    shop::{Shop, days, hours},
    threshold_papers::credit,
    thresholds::{END, START, at, made},
};
use domain::{
    id::{PartnerId, PlanVersionId},
    key_text::Environment,
    money::{Currency, Money},
    plan::PlanTerms,
    rating::{LineKind, OwnThreshold},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Actor, Invoice, InvoiceLine, InvoiceStatus, OrderedBy};

const PLANS: usize = 10;

/// One that is cut, and its twin that is not.
struct Twins {
    cut: PartnerId,
    /// Its threshold, in micro-units.
    threshold: i64,
    whole: PartnerId,
    /// Where they go within the month.
    moves: Option<PlanVersionId>,
}

impl Twins {
    const fn both(&self) -> [PartnerId; 2] {
        [self.cut, self.whole]
    }
}

fn decimal(dice: &mut Dice, bound: u64, scale: u32) -> String {
    let number = 1 + dice.below(bound);
    let by = 10_u64.pow(scale);
    format!("{}.{:0width$}", number / by, number % by, width = usize::try_from(scale).expect("small"))
}

fn steps(dice: &mut Dice) -> Value {
    let first = 1 + dice.below(400);
    let second = first + 1 + dice.below(400);
    json!([
        { "up_to": first, "unit_price": decimal(dice, 9_000, 4) },
        { "up_to": second, "unit_price": decimal(dice, 5_000, 4) },
        { "unit_price": decimal(dice, 3_000, 4) },
    ])
}

/// Each model in its turn, with chance in all else.
fn price(dice: &mut Dice, number: usize) -> Value {
    match number % 5 {
        0 => json!({ "model": "per_unit", "included": dice.below(200), "unit_price": decimal(dice, 9_000, 4) }),
        1 => json!({ "model": "graduated", "steps": steps(dice) }),
        2 => json!({ "model": "volume", "steps": steps(dice) }),
        3 => {
            json!({ "model": "package", "included": dice.below(50), "size": 1 + dice.below(90), "package_price": decimal(dice, 999, 2) })
        }
        _ => json!({ "model": "matrix", "included": dice.below(50),
            "cells": [{ "product": "payments", "operation": "create", "unit_price": decimal(dice, 9_000, 4) }], "otherwise": decimal(dice, 900, 4) }),
    }
}

fn meters(dice: &mut Dice) -> Value {
    let one = |meter: &str, price: Value| json!({ "product": "payments", "meter": meter, "price": price });
    json!([
        one("tokens", json!({ "model": "graduated", "steps": steps(dice) })),
        one("users", json!({ "model": "per_unit", "unit_price": decimal(dice, 500, 2) })),
        one("depth", json!({ "model": "volume", "steps": steps(dice) })),
        one("booked", json!({ "model": "package", "size": 7, "package_price": decimal(dice, 500, 2) })),
        one("machines", json!({ "model": "per_unit", "unit_price": decimal(dice, 90, 4) })),
    ])
}

fn plan(dice: &mut Dice, number: usize) -> PlanTerms {
    let mut some = |value: Value| if dice.below(2) == 0 { value } else { json!(0) };
    let (minimum, credit) = (some(json!(150_000_000)), some(json!(12_340_000)));
    let mut terms = json!({
        "currency": "USD", "products": [{ "product": "payments" }], "collect": "invoice_items", "base_fee_micros": 37_010_000,
        "fee_due": if dice.below(2) == 0 { "advance" } else { "arrears" }, "minimum_micros": minimum, "included_credit_micros": credit,
        "invoice_threshold_micros": 1_000_000_000, "price": price(dice, number),
    });
    if dice.below(2) == 0 {
        terms["discounts"] = json!([
            { "name": "Launch", "percent": "12.5" }, { "name": "Usage", "percent": "3.33", "on": "usage", "periods": 1 },
        ]);
    }
    if dice.below(2) == 0 {
        terms["commitment"] = json!({ "micros": 200_000_000, "discounts": [{ "up_to_micros": 90_000_000, "percent": "5" }, { "percent": "11.1" }] });
    }
    if number.is_multiple_of(3) {
        terms["meters"] = meters(dice);
    }
    if number % 7 == 5 {
        terms["trial"] = json!({ "days": 4, "free": "usage" });
    }
    serde_json::from_value(terms).expect("terms")
}

async fn twins(shop: &Shop, dice: &mut Dice, number: usize) -> Twins {
    let version = shop.plan(&format!("plan-{number}"), plan(dice, number)).await;
    let moves = match dice.below(3) {
        0 => Some(shop.plan(&format!("other-{number}"), plan(dice, number + 1)).await),
        _ => None,
    };
    let cut = shop.partner_without_members(&format!("cut-{number}"), version, at(START)).await;
    let whole = shop.partner_without_members(&format!("whole-{number}"), version, at(START)).await;
    let threshold = Money::new(Currency::Usd, (1 + i64::try_from(dice.below(6_000)).expect("small")) * 10_000);
    for (partner, own) in [(cut, OwnThreshold::At(threshold)), (whole, OwnThreshold::Never)] {
        shop.store.set_invoice_threshold(partner, Some(own), Actor::System, at(START)).await.expect("set");
    }
    let coupon = match dice.below(3) {
        0 => Some(json!({ "name": "Share", "percent": "33.3", "periods": 1 })),
        1 => Some(json!({ "name": "Sum", "amount": "25", "currency": "USD" })),
        _ => None,
    };
    if let Some(coupon) = coupon {
        let (code, coupon) = (format!("coupon-{number}"), serde_json::from_value(coupon).expect("a coupon"));
        shop.store.put_coupon(&code, &coupon, Actor::System, at(START)).await.expect("saved");
        for partner in [cut, whole] {
            let redeemed = shop.store.redeem_coupon(partner, &code, OrderedBy::Operator, Actor::System, at(START));
            redeemed.await.expect("redeemed");
        }
    }
    Twins { cut, threshold: threshold.micros, whole, moves }
}

/// The same for both.
async fn used(shop: &Shop, dice: &mut Dice, twins: &Twins, now: Timestamp) {
    let (operation, units) = (usize::try_from(dice.below(3)).expect("small"), dice.below(90));
    let credits = if dice.below(4) == 0 { dice.below(units + 1) } else { 0 };
    // Some is of hours that may be cut already.
    let back = i64::try_from(if dice.below(3) == 0 { dice.below(60) } else { 0 }).expect("small");
    let when = (now - hours(back)).max(at(START));
    let measured = [("tokens", 300), ("users", 0), ("depth", 400), ("booked", 90), ("machines", 3)];
    let meters: Vec<(&str, i64, u8)> = measured
        .iter()
        .map(|(meter, most)| match *meter {
            "users" | "machines" => {
                let item = u8::try_from(1 + dice.below(9)).expect("small");
                (*meter, i64::try_from(dice.below(most + 1)).expect("small"), item)
            }
            _ => (*meter, i64::try_from(dice.below(*most)).expect("small"), 0),
        })
        .collect();
    for partner in twins.both() {
        shop.paid_by_credit(partner, (when, now), Environment::Live, &[(operation, units, credits)]).await;
        call(shop, partner, &now.to_string(), Environment::Live, &meters).await;
    }
}

/// What was billed by invoices that stand and what was credited on void ones, which stays credited; and how many of those that stand are
/// threshold invoices.
async fn owed(shop: &Shop, partner: PartnerId) -> (i64, usize, usize) {
    let all = made(shop, partner).await;
    let stands = all.iter().filter(|(invoice, _)| invoice.status != InvoiceStatus::Void);
    let mut total: i64 = stands.clone().map(|(invoice, _)| invoice.total.micros).sum();
    for (invoice, _) in all.iter().filter(|(invoice, _)| invoice.status == InvoiceStatus::Void) {
        total += shop.store.credit_standing(partner, invoice.id).await.expect("standing").credited.micros;
    }
    let cuts = stands.filter(|(invoice, _)| invoice.threshold_number > 0).count();
    (total, cuts, all.len())
}

/// What was rated for it.
fn rated((_, lines): &(Invoice, Vec<InvoiceLine>)) -> i64 {
    lines.iter().filter(|line| line.kind != LineKind::BilledBefore).map(|line| line.amount.micros).sum()
}

/// Some of an invoice that is not paid.
async fn credited(shop: &Shop, dice: &mut Dice, (partner, invoice): (PartnerId, &Invoice), now: Timestamp) {
    let cents = 1 + dice.below(invoice.total.micros.unsigned_abs() / 10_000);
    let amount = Money::new(Currency::Usd, i64::try_from(cents).expect("small") * 10_000);
    credit(shop, (partner, invoice.id), (None, amount), now).await.expect("credited");
}

#[tokio::test]
async fn the_sum_of_a_period_s_invoices_is_the_one_invoice_that_it_would_have_been() {
    for seed in [11, 20_261_122] {
        let shop = measuring().await;
        let mut dice = Dice(seed);
        let mut all = Vec::new();
        for number in 0..PLANS {
            all.push(twins(&shop, &mut dice, number).await);
        }
        let mut now = at(START) + hours(2);
        let mut moved = false;
        while now < at(END) {
            for pair in &all {
                for _ in 0..dice.below(3) {
                    used(&shop, &mut dice, pair, now).await;
                }
            }
            now = (now + hours(5 + i64::try_from(dice.below(40)).expect("small"))).min(at(END) + hours(2));
            if now >= at(END) {
                // Levels are held on: what they come to in July is billed of one twin alone.
                for pair in &all {
                    let never = Some(OwnThreshold::Never);
                    shop.store.set_invoice_threshold(pair.cut, never, Actor::System, now).await.expect("set");
                }
            }
            shop.close(now).await;
            if !moved && now > at(START) + days(14) && now < at(END) {
                moved = true;
                for pair in &all {
                    let Some(to) = pair.moves else { continue };
                    for partner in pair.both() {
                        shop.store.assign_plan_version(partner, to, Actor::System, now).await.expect("changed");
                    }
                }
            }
            // Some are a mistake.
            for pair in &all {
                let open = made(&shop, pair.cut).await;
                let last = open.last().map(|(invoice, _)| invoice).filter(|invoice| invoice.threshold_number > 0);
                if let (Some(invoice), 0) = (last, dice.below(9)) {
                    if invoice.status == InvoiceStatus::Open && dice.below(2) == 0 {
                        credited(&shop, &mut dice, (pair.cut, invoice), now).await;
                    }
                    let void = shop.store.set_invoice_status(pair.cut, invoice.id, InvoiceStatus::Void, now);
                    void.await.expect("void");
                }
            }
        }
        // Periods of those with a trial began at its end.
        shop.close(at(END) + days(25)).await;
        let (mut cuts, mut below) = (0, 0);
        for (number, pair) in all.iter().enumerate() {
            let (cut, whole) = (owed(&shop, pair.cut).await, owed(&shop, pair.whole).await);
            assert_eq!(cut.0, whole.0, "plan {number} of {seed}: {cut:?} {whole:?}");
            assert_eq!(whole.1, 0);
            cuts += cut.1;
            // But for what was billed before, each invoice that closes is its twin's.
            let closing = async |partner| {
                let all = made(&shop, partner).await;
                let lines =
                    all.into_iter().filter(|(invoice, _)| invoice.threshold_number == 0).flat_map(|(_, lines)| lines);
                let lines = lines.filter(|line| line.kind != LineKind::BilledBefore);
                lines
                    .map(|line| (line.kind, line.description, line.quantity, line.free, line.prepaid, line.amount))
                    .collect::<Vec<_>>()
            };
            assert_eq!(closing(pair.cut).await, closing(pair.whole).await, "plan {number} of {seed}");
            // From cut to cut it is at least the threshold, void or not.
            let all = made(&shop, pair.cut).await;
            for two in all.windows(2).filter(|two| two[0].0.period.start == two[1].0.period.start) {
                if two.iter().all(|(invoice, _)| invoice.threshold_number > 0) {
                    assert!(rated(&two[1]) - rated(&two[0]) >= pair.threshold, "plan {number} of {seed}");
                }
            }
            below += made(&shop, pair.cut).await.iter().filter(|(invoice, _)| invoice.total.micros < 0).count();
        }
        assert!(cuts > 2 * PLANS, "{cuts} threshold invoices, {below} below zero");
        no_finding(&shop, "2026-07-27T00:00:00Z").await;
    }
}
