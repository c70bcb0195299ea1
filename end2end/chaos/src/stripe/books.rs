//! What the stand-in holds against what was used: each unit is a cent on exactly one invoice of the partner's customer.

use super::shop::{Partner, Shop};
use crate::{Trouble, findings::Findings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What was billed.
#[derive(Default)]
pub(super) struct Books {
    /// Partners whose sums differ, as people read it.
    pub wrong: Vec<String>,
    pub units: u64,
    pub billed: i64,
    /// Of it on items that wait for Stripe's next invoice.
    waiting: i64,
    /// Of it on items for a period that was final.
    late: i64,
    /// Units on lines that Stripe has rated on invoices of subscriptions that the server made.
    pub rated: i64,
    invoices: usize,
    drafts: usize,
    /// Invoices of ours that Stripe has twice.
    twice: usize,
    customers: usize,
}

impl Books {
    pub fn read(state: &Value, partners: &[Partner]) -> Self {
        let list = |kind: &str| state[kind].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut books = Self { customers: list("customers").len(), ..Self::default() };
        let mut partner_of: BTreeMap<&str, &str> = BTreeMap::new();
        for customer in list("customers") {
            let partner = customer["metadata"]["turnpike_partner"].as_str().unwrap_or_default();
            partner_of.insert(customer["id"].as_str().unwrap_or_default(), partner);
        }
        let mut cents: BTreeMap<&str, i64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for invoice in list("invoices") {
            let partner = partner_of.get(invoice["customer"].as_str().unwrap_or_default()).copied().unwrap_or_default();
            match invoice["status"].as_str() {
                Some("draft") => books.drafts += 1,
                Some("void") => {}
                _ => {
                    books.invoices += 1;
                    *cents.entry(partner).or_default() += invoice["total"].as_i64().unwrap_or(0);
                }
            }
            if let Some(ours) = invoice["metadata"]["turnpike_invoice"].as_str() {
                books.twice += usize::from(!seen.insert(ours));
            }
        }
        for item in list("invoice_items") {
            let amount = item["amount"].as_i64().unwrap_or(0);
            if item["description"].as_str().is_some_and(|text| text.starts_with("Previous period")) {
                books.late += amount;
            }
            if item["invoice"].is_null() {
                let partner =
                    partner_of.get(item["customer"].as_str().unwrap_or_default()).copied().unwrap_or_default();
                *cents.entry(partner).or_default() += amount;
                books.waiting += amount;
            }
        }
        books.rated = list("rated_lines").iter().filter_map(|line| line["quantity"].as_i64()).sum();
        for partner in partners {
            let billed = cents.remove(partner.id.as_str()).unwrap_or(0);
            books.units += partner.units;
            books.billed += billed;
            if i128::from(billed) != i128::from(partner.units) {
                let mode = if partner.is_metered { "meter events" } else { "invoice items" };
                books.wrong.push(format!("{} ({mode}) used {} and was billed {billed}", partner.id, partner.units));
            }
        }
        books
            .wrong
            .extend(cents.iter().map(|(partner, cents)| format!("{partner:?} is nobody and was billed {cents}")));
        books
    }

    /// The findings that every case has.
    pub fn judge(&self, shop: &Shop, found: &mut Findings) -> Result<(), Trouble> {
        let partners = shop.partners.len();
        found.check(
            self.wrong.is_empty(),
            format!(
                "{} units used by {partners} partners, {} billed; {} of them differ",
                self.units,
                self.billed,
                self.wrong.len()
            ),
        );
        self.wrong.iter().take(5).for_each(|wrong| println!("    {wrong}"));
        let metered = shop.partners.iter().filter(|partner| partner.is_metered).count();
        println!(
            "    {} final invoices there; on items of a later period {} units, of which {} wait for the next; {metered} partners by meter events",
            self.invoices, self.late, self.waiting
        );
        found.check(
            self.twice == 0 && self.drafts == 0 && self.customers == partners,
            format!(
                "{} of our invoices there twice, {} drafts left, {} customers",
                self.twice, self.drafts, self.customers
            ),
        );
        let [open, problems, totals] = shop.cluster.postgres().numbers(
            "select count(*) filter (where status = 'open'), count(*) filter (where push_problem is not null),
                 coalesce(sum(total_micros), 0)::bigint / 10000 from invoices",
        )?[..] else {
            return Err("invoices could not be counted".into());
        };
        found.check(
            open == 0 && problems == 0 && u64::try_from(totals).is_ok_and(|totals| totals == self.units),
            format!("our own invoices come to {totals}; {open} are not told, {problems} have a problem"),
        );
        let said = shop.cluster.psql(
            "select coalesce(push_problem, 'none') || ': ' || count(*) from invoices
             where status = 'open' group by push_problem order by count(*) desc limit 5",
        )?;
        said.lines().for_each(|problem| println!("    not told, problem {problem}"));
        Ok(())
    }
}
