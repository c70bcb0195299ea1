//! R11 and R13: every request may meet a fault, and the server is killed between a request and what it makes of the answer.

use super::{
    Billed, Stripe,
    books::Books,
    shop::{DAY, SECRET, Shop},
};
use crate::{Trouble, findings::Findings};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long Stripe is told in peace at the end of a day. What is not told then is late. Where it is to rate by subscriptions of ours, that takes
/// some more requests in a row that meet no fault.
const PEACE: Duration = Duration::from_secs(8);
const PEACE_OF_MADE: Duration = Duration::from_secs(20);

/// Seconds after the end of a period: shortly before its usage is no longer told to Stripe's meters, and shortly after.
const TOO_LATE: [i64; 2] = [44 * 60, 46 * 60];

/// Kills so far.
#[derive(Default)]
struct Kills {
    done: u32,
    /// Of them those that left something asked for and not known to be there.
    between: u32,
}

pub(super) async fn run(stripe: &Stripe, seed: u64, billed: Billed) -> Result<bool, Trouble> {
    let monthly = stripe.days >= 28;
    let how = if billed == Billed::Streamed { ", by streamed meter events" } else { "" };
    println!(
        "{} partners for {} days{how}, {} of 100 requests meet each fault, {} kills",
        stripe.partners, stripe.days, stripe.share, stripe.kills
    );
    let mut shop = Shop::open(stripe, seed, stripe.partners, (monthly, billed), SECRET).await?;
    let share = stripe.share;
    let remembered = if stripe.control { 0 } else { 24 * 3_600 };
    // Of the stream so many sessions are dead, and so many answers are lost in any case.
    let of_stream = if billed == Billed::Streamed { 1 + stripe.kills / 4 } else { 0 };
    let faults = json!({ "error_before": share, "error_after": share, "conflict": share, "rate_limited": share, "timeout": share,
        "reset": share, "timeout_ms": 500, "remembered_seconds": remembered, "seed": seed | 1,
        "dead_sessions": of_stream, "lost_streams": of_stream });
    shop.control("faults", faults).await?;
    shop.control(
        "webhooks",
        json!({ "url": format!("http://127.0.0.1:{}/webhooks/stripe", shop.cluster.portal_port()),
        "secret": SECRET, "copies": 3, "shuffled": true, "seed": seed }),
    )
    .await?;
    let mut kills = Kills::default();
    let last = if monthly { stripe.days.max(31) } else { stripe.days };
    for day in 1..=last {
        let (start, end) = (shop.began + (day - 1) * DAY, shop.began + day * DAY);
        shop.move_to(end - 120).await?;
        if day <= stripe.days {
            shop.use_between(start + 60, end - 180, stripe.units / stripe.days.unsigned_abs()).await?;
        }
        if day > 1 && day <= stripe.days {
            // Some of it comes when its period is closed.
            shop.use_between(start - DAY / 2, start - 180, shop.partners.len() as u64 * 4).await?;
        }
        shop.move_to(end + 600).await?;
        shop.wait_until_closed(end).await?;
        // Half of the kills while a day's few invoices are told, the others where there are most.
        let share_of_day = stripe.kills / 2 / u32::try_from(last)?;
        let most = if day == last { stripe.kills } else { kills.done + share_of_day.max(1) };
        // A hundred streamed events are one request.
        let between = if billed == Billed::Streamed { 2 } else { 12 };
        kill(&mut shop, &mut kills, (most.min(stripe.kills), between)).await?;
        shop.wait_until_told(if stripe.made { PEACE_OF_MADE } else { PEACE }).await?;
        // Clocks leap here as none does: a server that is a day further between two requests would look for what came a second ago. So first
        // it is too late for Stripe's meters, and only then so late that their summaries are believed.
        for at in TOO_LATE.into_iter().filter(|_| day < last) {
            shop.move_to(end + at).await?;
        }
    }
    let busy = shop.state().await?["limits"].clone();
    println!("  {} requests; the most in a second {}", shop.requests().await?, busy["most_in_a_second"]);
    // A last day without faults: what waits for the next invoice gets onto one.
    shop.control("faults", json!({ "remembered_seconds": remembered })).await?;
    // In a control run something may never be told.
    let patience = if stripe.control { Duration::from_secs(10) } else { Duration::from_secs(300) };
    let told = shop.wait_until_told(patience).await?;
    shop.move_to(shop.began + (last + 1) * DAY + 2 * 3_600).await?;
    sleep(Duration::from_secs(3)).await;
    shop.wait_until_told(patience.min(Duration::from_secs(120))).await?;
    shop.move_to(shop.began + (last + 2) * DAY + 2 * 3_600).await?;
    let state = shop.state().await?;
    let books = Books::read(&state, &shop.partners);
    let mut found = Findings::new(false);
    found.check(told, "Stripe was told of every invoice within five minutes after the last fault");
    books.judge(&shop, &mut found)?;
    if stripe.made {
        found.check(books.rated > 0, format!("{} of the units were rated by Stripe", books.rated));
    }
    if billed == Billed::Streamed {
        let of_stream =
            "from stripe_objects e where subject like 'meter_event:%' and parameters @> '[[\"via\", \"stream\"]]'";
        let streamed = shop.count(&format!("select count(*) {of_stream}"))?;
        // What did not arrive in time is an item of the next invoice.
        let lost = shop.count(&format!(
            "select count(*) {of_stream} and stripe_id is null and not exists (select from stripe_objects i
                 where i.partner_id = e.partner_id and i.subject = replace(e.subject, 'meter_event:', 'item:'))"
        ))?;
        let others = shop.count("select count(*) from stripe_objects where subject like 'meter_event:%'")? - streamed;
        found.check(
            streamed > 0 && (lost == 0 || stripe.control),
            format!("{streamed} meter events went by the stream, {others} one by one; of {lost} streamed ones nobody knows whether they arrived"),
        );
    }
    found.check(
        kills.done >= stripe.kills,
        format!(
            "{} kills while Stripe was told, of which {} left a request without a known answer",
            kills.done, kills.between
        ),
    );
    // A server that is killed leaves a request behind that its next life may meet: Stripe answers 429 to one of them.
    println!(
        "  {} meter events met another of their customer and meter that was not answered, and were refused",
        state["limits"]["overlapping_meter_events"]
    );
    shop.cluster.end_all().await?;
    Ok(found.conclude(if billed == Billed::Streamed {
        "A Stripe that fails, streamed to"
    } else {
        "A Stripe that fails"
    }))
}

/// Kills the server while it asks Stripe, each time after so many requests at most, until so many kills were done or nothing is asked any
/// more.
async fn kill(shop: &mut Shop, kills: &mut Kills, (most, between): (u32, u64)) -> Result<(), Trouble> {
    while kills.done < most {
        let (before, more) = (shop.requests().await?, 1 + shop.random.below(between));
        let begin = Instant::now();
        while shop.requests().await? < before + more {
            if begin.elapsed() > Duration::from_secs(8) {
                return Ok(());
            }
            sleep(Duration::from_micros(200)).await;
        }
        sleep(Duration::from_micros(shop.random.below(5_000))).await;
        shop.cluster.kill(0)?;
        kills.done += 1;
        kills.between += u32::from(shop.count("select count(*) from stripe_objects where stripe_id is null")? > 0);
        shop.cluster.begin(0)?;
        shop.cluster.wait_until_open(0).await?;
    }
    Ok(())
}
