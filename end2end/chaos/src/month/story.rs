//! What happens in the month, and in the one after it: usage all over it, calls on credit, an upgrade, two refunds, late events.

use super::{
    Month,
    amends::{come_late, pay_and_refund, tell_twice_and_void, void_prepaid_calls},
    calendar::{HOUR, MINUTE, SECOND},
    calling::call,
    html,
    installation::Installation,
    ledger::Stretch,
    partner::{LARGE, Partner, SMALL},
    telling::{SOURCE, Told, tell},
};
use crate::{Trouble, findings::Findings};
use serde_json::json;

/// Every so many events is a call through the gateway; no more than so many are.
const CALLS_EACH: u64 = 200;
const MOST_CALLS: u64 = 4_000;

/// Tells the whole story. What has to hold on the way is judged there.
pub(super) async fn tell_all(
    month: &Month,
    own: &mut Installation,
    partners: &mut [Partner; 2],
    found: &mut Findings,
) -> Result<(), Trouble> {
    let start = partners[0].start;
    let end = own.calendar.end_of_month(start);
    let noon = |day: i64| own.calendar.at_noon(day);
    let change = noon(12);
    let set_back = own.calendar.set_back;
    let mut stops: Vec<i64> = [0, 3, 6, 9, 12, 15, 18, 21, 24, 27].map(noon).to_vec();
    // In the hour before three, and in the same hour once more.
    stops.extend([set_back - 45 * MINUTE, set_back + 15 * MINUTE, end - 2 * HOUR]);
    stops.sort_unstable();
    let calls = (month.events / CALLS_EACH).min(MOST_CALLS) / stops.len() as u64;

    let before = stops.iter().filter(|stop| **stop <= change).count() as u64;
    for partner in partners.iter() {
        // Calls cost two units on average: some of the last ones find no credit.
        let grant = json!({ "units": before * calls * 2 * 9 / 10, "reason": "Paid by bank transfer", "kind": "paid" });
        own.rest.post(&format!("/api/partners/{}/credit", partner.id), &grant).await?;
    }
    own.say("the month begins");
    let mut from = start;
    for stop in stops {
        own.move_to(stop).await?;
        let is_last = stop == end - 2 * HOUR;
        let stretch = Stretch { from, to: if is_last { end } else { stop } };
        let share = u128::from(month.events - calls * 13) * (stretch.to - from).unsigned_abs() as u128;
        let events = u64::try_from(share / (end - start).unsigned_abs() as u128)?;
        let [one, other] = &mut *partners;
        let rest = own.rest.clone();
        tokio::try_join!(one.use_over(&rest, stretch, events), other.use_over(&rest, stretch, events))?;
        for partner in &mut *partners {
            at_boundaries(own, partner, stretch).await?;
            let made = call(own.cluster.ports()[0], partner, (calls, own.now()?, stop <= change)).await?;
            made.iter().for_each(|called| partner.ledger.add(called.used));
            if is_last {
                let at = partner.instant(stretch);
                let too_many = Told { units: 9, ..partner.event(at) };
                partner.tell(&own.rest, std::slice::from_ref(&too_many)).await?;
                partner.too_many = Some(too_many);
            }
        }
        if from == start {
            void_prepaid_calls(own, partners).await?;
        }
        if stop == change {
            for partner in &mut *partners {
                tell_twice_and_void(own, partner, found).await?;
                upgrade(own, partner).await?;
            }
            own.say("the plans were changed");
            own.wait_until_billed(partners, 1).await?;
            own.say("the part before that is billed");
            own.wait_for("the new plan at the gateway", async |own| own.gateway_knows_all().await).await?;
        }
        from = stretch.to;
    }
    own.cluster.wait_until_ingested().await?;
    for partner in &mut *partners {
        bill_so_far(own, partner, found).await?;
    }
    own.say("the month ends");
    own.move_to(end + 20 * SECOND).await?;
    own.wait_until_billed(partners, 2).await?;
    own.say("it is billed");
    // Stripe finalises its own invoices after an hour.
    own.move_to(end + 2 * HOUR).await?;
    for partner in &mut *partners {
        come_late(own, partner).await?;
    }
    pay_and_refund(own, partners).await?;
    own.say("late events came, and an invoice was refunded in part");
    let after = own.calendar.end_of_next(start);
    own.move_to(end + 14 * 24 * HOUR).await?;
    for partner in &mut *partners {
        let so_far = Stretch { from: end, to: end + 14 * 24 * HOUR };
        partner.use_over(&own.rest, so_far, 50).await?;
    }
    own.move_to(after + 20 * SECOND).await?;
    own.wait_until_billed(partners, 3).await?;
    own.say("the month after it is billed");
    own.move_to(after + 2 * HOUR).await?;
    // Totals are to be read from every kind of row that there is.
    own.sum_up_days().await
}

/// Events at the first and last instants of the month, of a local day, and of the hour that comes twice; those that must not count.
async fn at_boundaries(own: &Installation, partner: &mut Partner, stretch: Stretch) -> Result<(), Trouble> {
    let end = own.calendar.end_of_month(partner.start);
    let mut instants = vec![];
    for boundary in [own.calendar.set_back - HOUR, own.calendar.set_back, own.calendar.set_back + HOUR] {
        instants.extend([boundary - 1, boundary]);
    }
    instants.extend(
        own.calendar.midnights(end).into_iter().skip(1).step_by(7).flat_map(|midnight| [midnight - 1, midnight]),
    );
    instants.extend([partner.start, end - 1]);
    instants.retain(|at| stretch.holds(*at));
    let mut events: Vec<Told> = instants.into_iter().map(|at| partner.event(at)).collect();
    if stretch.holds(end - 1) {
        // The next month's first.
        events.push(partner.event(end));
    }
    let test = partner.event(stretch.from);
    events.push(Told { is_test: true, units: 7, ..test });
    partner.tell(&own.rest, &events).await?;
    // Told again, it counts once; told otherwise, the first one counts; before there was a plan, nothing does.
    let other = Told { units: events[0].units + 1, ..events[0].clone() };
    let early = partner.event(partner.start - 1);
    let said = tell(&own.rest, &partner.id, SOURCE, &[events[0].clone(), other, early]).await?;
    if said != ["duplicate", "conflict", "invalid"] {
        return Err(format!("a repeat, a contradiction and an event before the plan were {said:?}").into());
    }
    Ok(())
}

/// To the larger plan at once: by the form at the portal for the one, over REST for the other. At Stripe the provider puts the new price in
/// force from the same instant on.
async fn upgrade(own: &Installation, partner: &mut Partner) -> Result<(), Trouble> {
    if partner.is_metered {
        let (plan, whose) = ("large-meter-events", &partner.id);
        let shown = own.rest.post(&format!("/api/plan/preview?partner={whose}"), &json!({ "plan": plan })).await?;
        let order = json!({ "plan": plan, "preview": shown["preview"] });
        own.rest.post(&format!("/api/plan/change?partner={whose}"), &order).await?;
    } else {
        let plan = "large-invoice-items";
        let page = partner.browser.page(&format!("/plan/change?to={plan}")).await?;
        let preview = html::hidden(&page, "preview").ok_or("the page shows no preview")?;
        let to = partner.browser.send("/do/plan/choose", &[("plan", plan), ("preview", &preview)]).await?;
        if to != "/plan" {
            return Err(format!("the plan was not changed: {to}").into());
        }
    }
    partner.change = own.plan_since(partner).await?;
    if partner.change <= partner.start {
        return Err("the plan was not changed at once".into());
    }
    if partner.is_set_up_by_hand {
        let customer = own.customer(partner).await?.ok_or("no customer")?;
        let seconds = |at: i64| at.div_euclid(SECOND);
        let end = own.calendar.end_of_month(partner.start);
        let rest = [partner.change, end, own.calendar.end_of_next(partner.start)].map(seconds).to_vec();
        let parts = [(vec![seconds(partner.start), seconds(partner.change)], SMALL.unit), (rest, LARGE.unit)];
        for (boundaries, unit_amount) in parts {
            let subscription = json!({ "customer": customer, "event_name": "turnpike_units_payments", "currency": "usd",
                "unit_amount": unit_amount, "boundaries": boundaries });
            own.control("subscriptions", subscription).await?;
        }
    }
    // The last instant of the old plan, which may be late by now, and the first of the new one.
    let events = [partner.event(partner.change - 1), partner.event(partner.change)];
    partner.tell(&own.rest, &events).await
}

/// Just before the month ends the portal's first page tells what the invoice will be.
async fn bill_so_far(own: &Installation, partner: &mut Partner, found: &mut Findings) -> Result<(), Trouble> {
    let [_, after, whole, _] = partner.stretches(&own.calendar);
    let page = partner.browser.page("/home").await?;
    let figures = html::figures(&page);
    let figure = |label: &str| figures.iter().find(|(own, _)| own == label).map(|(_, figure)| figure.as_str());
    let seen = figure("Bill so far").and_then(html::cents);
    let units = figure("Units since the change of plan").and_then(html::number);
    let (expected, (sums, _)) = (partner.ledger.bill(after, whole, LARGE).total(), partner.ledger.sums(after));
    found.check(
        seen == Some(expected) && units == Some(sums.units),
        format!("{}: bill so far {seen:?} cents of {units:?} units, ledger {expected} of {}", partner.code, sums.units),
    );
    Ok(())
}
