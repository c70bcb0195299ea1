//! R12: Stripe is down across the ends of periods, after it took requests in and answered none of them.

use super::{
    Billed, Stripe,
    books::Books,
    shop::{DAY, SECRET, Shop},
};
use crate::{Trouble, findings::Findings};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// How long answers are lost before Stripe is gone.
const LOST: Duration = Duration::from_secs(7);
/// Units of each partner and day.
const UNITS: u64 = 200;

pub(super) async fn run(stripe: &Stripe, seed: u64) -> Result<bool, Trouble> {
    let partners = stripe.partners.min(40);
    println!("{partners} partners, Stripe is down for {:?} hours", stripe.hours);
    let mut shop = Shop::open(stripe, seed, partners, (false, Billed::Both), SECRET).await?;
    let mut found = Findings::new(false);
    // Those of who looks before asking again; a control run shows nothing.
    let usual = json!({ "blind": stripe.control });
    shop.control("faults", usual.clone()).await?;
    let mut day = 1;
    for hours in &stripe.hours {
        pass(&mut shop, day).await?;
        shop.wait_until_told(Duration::from_secs(60)).await?;
        day += 1;
        shop.move_to(shop.began + day * DAY - 120).await?;
        let today = shop.began + (day - 1) * DAY;
        shop.use_between(today + 60, today + DAY - 180, UNITS * partners as u64).await?;
        // It is done, and nobody is told: answers break off.
        shop.control("faults", json!({ "reset": 100, "only_changes": true, "blind": stripe.control })).await?;
        shop.move_to(shop.began + day * DAY + 600).await?;
        shop.wait_until_closed(shop.began + day * DAY).await?;
        sleep(LOST).await;
        shop.control("faults", json!({ "down": true, "blind": stripe.control })).await?;
        let ends = shop.began + day * DAY + 600 + hours * 3_600;
        shop.restart().await?;
        while shop.began + (day + 1) * DAY + 600 < ends {
            day += 1;
            pass(&mut shop, day).await?;
        }
        let unknown = shop.count("select count(*) from stripe_objects where stripe_id is null")?;
        let open = shop.count("select count(*) from invoices where status = 'open'")?;
        shop.move_to(ends).await?;
        shop.control("faults", usual.clone()).await?;
        let told = shop.wait_until_told(Duration::from_secs(120)).await?;
        found.check(
            told && open > 0,
            format!(
                "after {hours} hours {open} invoices waited, {unknown} requests had no known answer; all were told"
            ),
        );
        day += 1;
    }
    pass(&mut shop, day).await?;
    shop.wait_until_told(Duration::from_secs(60)).await?;
    for later in 1..=2 {
        shop.move_to(shop.began + (day + later) * DAY + 2 * 3_600).await?;
        sleep(Duration::from_secs(2)).await;
        shop.wait_until_told(Duration::from_secs(60)).await?;
    }
    let books = Books::read(&shop.state().await?, &shop.partners);
    books.judge(&shop, &mut found)?;
    if stripe.made {
        found.check(books.rated > 0, format!("{} of the units were rated by Stripe", books.rated));
    }
    shop.cluster.end_all().await?;
    Ok(found.conclude("A Stripe that was down"))
}

/// A day of usage, to ten minutes after its end.
async fn pass(shop: &mut Shop, day: i64) -> Result<(), Trouble> {
    let (start, end) = (shop.began + (day - 1) * DAY, shop.began + day * DAY);
    shop.move_to(end - 120).await?;
    let units = UNITS * shop.partners.len() as u64;
    shop.use_between(start + 60, end - 180, units).await?;
    shop.move_to(end + 600).await?;
    shop.wait_until_closed(end).await
}
