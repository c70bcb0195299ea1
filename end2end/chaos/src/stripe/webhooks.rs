//! R14: the same story twice. The first half of the partners' events come once, in order and at once; those of the other half come
//! three times, shuffled, three days late, among forged ones and replays of genuine ones. Both halves must end in the same state.

use super::{
    Billed, Stripe,
    shop::{DAY, SECRET, Shop},
};
use crate::{Trouble, findings::Findings};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What becomes of an invoice, by its place.
const STORIES: [&[&str]; 5] = [&["pay"], &["void"], &["mark_uncollectible"], &["mark_uncollectible", "pay"], &[]];
/// Dedicated to control runs: what the forger signs with.
const OF_SOMEBODY_ELSE: &str = "whsec_of_somebody_else";

pub(super) async fn run(stripe: &Stripe, seed: u64) -> Result<bool, Trouble> {
    let half = STORIES.len() * stripe.partners.div_ceil(2 * STORIES.len()).clamp(1, 10);
    let secrets = if stripe.control {
        format!("{SECRET},{OF_SOMEBODY_ELSE}")
    } else {
        format!("whsec_before_rotation, {SECRET}")
    };
    println!("{} partners, half of whose events are hostile", 2 * half);
    // Every other partner has invoices at Stripe.
    let mut shop = Shop::open(stripe, seed, 4 * half, (false, Billed::Both), &secrets).await?;
    if stripe.control {
        shop.cluster.psql(
            "create function another_name() returns trigger language plpgsql as $$
             begin new.id := new.id || '-' || gen_random_uuid(); return new; end $$;
             create trigger another_name before insert on stripe_events for each row execute function another_name()",
        )?;
    }
    let portal = shop.cluster.portal_port();
    let url = format!("http://127.0.0.1:{portal}/webhooks/stripe");
    shop.control("webhooks", json!({ "url": url, "secret": SECRET, "hold": true })).await?;
    shop.move_to(shop.began + DAY - 120).await?;
    shop.use_between(shop.began + 60, shop.began + DAY - 180, 400 * half as u64).await?;
    shop.move_to(shop.began + DAY + 600).await?;
    shop.wait_until_closed(shop.began + DAY).await?;
    shop.wait_until_told(Duration::from_secs(60)).await?;

    let invoices = of_partners(&shop.state().await?, &shop);
    act(&shop, &invoices[..half]).await?;
    shop.control("webhooks/deliver", Value::Null).await?;
    wait_until_applied(&shop).await?;
    let quiet = outcome(&shop, &invoices[..half])?;

    act(&shop, &invoices[half..]).await?;
    let hostile = json!({ "url": url, "secret": SECRET, "hold": true, "copies": 3, "shuffled": true, "late_seconds": 3 * DAY,
        "forged": true, "replayed": true, "seed": seed });
    shop.control("webhooks", hostile).await?;
    let early = shop.control("webhooks/deliver", Value::Null).await?["posted"].as_u64().unwrap_or(0);
    shop.move_to(shop.began + 4 * DAY + 1_200).await?;
    shop.control("webhooks/deliver", Value::Null).await?;
    wait_until_applied(&shop).await?;
    let shuffled = outcome(&shop, &invoices[half..])?;

    let posted = shop.look("webhooks").await?;
    let number = |name: &str| posted[name].as_u64().unwrap_or(0);
    let mut found = Findings::new(false);
    found.check(
        quiet == shuffled && !quiet.is_empty() && early == 0,
        format!(
            "{half} invoices end as they do in order: {}",
            quiet.iter().take(STORIES.len()).cloned().collect::<Vec<_>>().join("; ")
        ),
    );
    for (hostile, expected) in shuffled.iter().zip(&quiet).filter(|(one, other)| one != other).take(5) {
        println!("    {hostile} in place of {expected}");
    }
    found.check(
        number("genuine") > 0 && number("genuine") == number("genuine_accepted"),
        format!("{} of {} genuine posts were accepted", number("genuine_accepted"), number("genuine")),
    );
    found.check(
        number("forged") > 0 && number("forged_accepted") == 0,
        format!("{} of {} forged posts were accepted", number("forged_accepted"), number("forged")),
    );
    found.check(
        number("replayed") > 0 && number("replayed_accepted") == 0,
        format!(
            "{} of {} posts with a signature of 400 s ago were accepted",
            number("replayed_accepted"),
            number("replayed")
        ),
    );
    let happened = number("events");
    let kept = shop.count("select count(*) from stripe_events")?;
    let [twice] = shop.cluster.postgres().numbers(
        "select count(*) from (select from ledger_transactions group by partner_id, description having count(*) > 1) twice",
    )?[..] else {
        return Err("the ledger could not be counted".into());
    };
    found.check(
        kept == happened && twice == 0,
        format!("{happened} events were posted, {kept} are kept; {twice} were posted to the ledger twice"),
    );
    shop.cluster.end_all().await?;
    Ok(found.conclude("Webhooks"))
}

/// Stripe's invoices of ours, by the partner's place.
fn of_partners(state: &Value, shop: &Shop) -> Vec<(String, String)> {
    let customers = state["customers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let invoices = state["invoices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |partner: &super::shop::Partner| {
        let customer =
            customers.iter().find(|customer| customer["metadata"]["turnpike_partner"] == partner.id.as_str())?;
        let invoice = invoices.iter().find(|invoice| {
            invoice["customer"] == customer["id"] && invoice["metadata"]["turnpike_invoice"].is_string()
        })?;
        Some((partner.uuid.clone(), invoice["id"].as_str()?.to_owned()))
    };
    shop.partners.iter().filter(|partner| !partner.is_metered).filter_map(of).collect()
}

/// Lets happen at Stripe what the stories tell.
async fn act(shop: &Shop, invoices: &[(String, String)]) -> Result<(), Trouble> {
    for (index, (_, invoice)) in invoices.iter().enumerate() {
        for step in STORIES[index % STORIES.len()] {
            shop.control("invoices", json!({ "invoice": invoice, "step": step })).await?;
        }
    }
    Ok(())
}

async fn wait_until_applied(shop: &Shop) -> Result<(), Trouble> {
    let begin = Instant::now();
    while shop.count("select count(*) from stripe_events where applied_at is null")? > 0 {
        if begin.elapsed() > Duration::from_secs(120) {
            return Err("events were not applied within two minutes".into());
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// The state of each partner's invoice, and what the ledger says of it: signs and not sums, which differ by partner.
fn outcome(shop: &Shop, invoices: &[(String, String)]) -> Result<Vec<String>, Trouble> {
    let mut outcome = Vec::new();
    for (partner, _) in invoices {
        let said = shop.cluster.psql(&format!(
            "select (select string_agg(status, ',' order by number) from invoices where partner_id = '{partner}' and total_micros > 0),
                 (select string_agg(account || ' ' || sign, ', ' order by account) from (
                     select account, case sign(sum(amount_micros)) when 1 then 'owed' when -1 then 'owes' else 'even' end as sign
                     from ledger_entries where partner_id = '{partner}' group by account) sums)"
        ))?;
        outcome.push(said.trim().to_owned());
    }
    Ok(outcome)
}
