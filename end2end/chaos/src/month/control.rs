//! The control: a number is changed by one behind everybody's back, at one place after the other, with Postgres' own safeguards off. The
//! same look must find each change, at the doors that read that place and at no others, and nothing once it is taken back.

use super::{installation::Installation, look, partner::Partner};
use crate::{Trouble, findings::Findings};
use std::collections::BTreeSet;

/// A number of the first partner.
struct Change {
    what: &'static str,
    /// `{sign}` is `+` to change it and `-` to take it back, `{partner}` the partner.
    sql: &'static str,
    /// Which must differ, and no others.
    doors: &'static [&'static str],
}

const CHANGES: [Change; 4] = [
    Change {
        what: "a unit of a day's sum by operation",
        sql: "update usage_operation_daily set units = units {sign} 1 where (tableoid, ctid) = (
                  select tableoid, ctid from usage_operation_daily
                  where {partner} and environment = 'live' and outcome = 'served' order by day, operation_id limit 1 offset 20)",
        doors: &["page", "usage.csv", "REST", "REST CSV"],
    },
    Change {
        what: "a unit of an hour's sum",
        sql: "update usage_brief set units = units {sign} 1 where (tableoid, ctid) = (
                  select tableoid, ctid from usage_brief
                  where {partner} and environment = 'live' and outcome = 'served' order by hour limit 1 offset 480)",
        doors: &["page", "series", "export CSV", "export JSONL"],
    },
    Change {
        what: "a cent of an invoice's line",
        sql: "update invoice_lines set amount_micros = amount_micros {sign} 10000 where {partner} and kind = 'usage'
                  and operation_id = (select id from operations where code = 'createPayment')
                  and invoice_id = (select id from invoices where {partner} order by number limit 1)",
        doors: &["invoice", "lines.csv", "lines JSONL", "invoice page"],
    },
    Change {
        what: "a late unit",
        sql: "update usage_adjustments set units = units {sign} 1 where {partner}
                  and sequence = (select min(sequence) from usage_adjustments where {partner} and correction_id is null)",
        doors: &["REST", "line opened"],
    },
];

pub(super) async fn run(own: &Installation, partners: &mut [Partner; 2], found: &mut Findings) -> Result<(), Trouble> {
    let id = partners[0].id.trim_start_matches("partner_").to_owned();
    for Change { what, sql, doors } in CHANGES {
        let statement = |sign: &str| {
            let sql = sql.replace("{partner}", &format!("partner_id = '{id}'")).replace("{sign}", sign);
            format!("set session_replication_role = replica; {sql} returning 1")
        };
        let changed = own.cluster.psql(&statement("+"))?;
        let seen = differing_doors(own, &mut partners[..1]).await?;
        own.cluster.psql(&statement("-"))?;
        let expected: BTreeSet<&str> = doors.iter().copied().collect();
        found.check(changed.trim() == "1" && seen == expected, format!("control: {what} is found, at {seen:?}"));
    }
    let seen = differing_doors(own, &mut partners[..1]).await?;
    found.check(seen.is_empty(), format!("control: taken back, {} doors differ", seen.len()));
    // Stripe's books cannot be changed back, so this is the last.
    let customer = own.customer(&partners[1]).await?.ok_or("no customer at Stripe")?;
    own.form_at_stripe("/v1/invoiceitems", &format!("customer={customer}&amount=1&currency=usd")).await?;
    let seen = differing_doors(own, &mut partners[1..]).await?;
    found.check(seen == BTreeSet::from(["Stripe"]), format!("control: a cent more at Stripe is found, at {seen:?}"));
    Ok(())
}

async fn differing_doors(own: &Installation, partners: &mut [Partner]) -> Result<BTreeSet<&'static str>, Trouble> {
    let table = look(own, partners).await?;
    Ok(table.doors().into_iter().filter(|(_, _, differing)| *differing > 0).map(|(door, ..)| door).collect())
}
