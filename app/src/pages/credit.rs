//! How prepaid credit stands, on every page that says how the plan is used.

use crate::{
    components::*,
    page::PageError,
    pages::credit_bound::besides,
    viewer::{Cx, MemberViewer},
};
use domain::money::group_thousands;
use leptos::prelude::*;
use store::{BoundCredit, CreditStanding, Subscription};

/// What the card says.
pub struct Balance {
    standing: CreditStanding,
    /// What only calls of some products use.
    bound: Vec<BoundCredit>,
    beyond_quota: bool,
    /// What a unit below zero costs, where the plan bills it.
    overdraft_price: Option<String>,
    provider: String,
}

impl Balance {
    /// Nothing where the plan spends no credit.
    pub async fn load(cx: &Cx<MemberViewer>, own: Option<&Subscription>) -> Result<Option<Self>, PageError> {
        let Some(own) = own.filter(|own| own.terms.admission.credit.required) else { return Ok(None) };
        Ok(Some(Self {
            standing: cx.state.store.credit(cx.viewer.partner).await?,
            bound: cx.state.store.bound_credit(cx.viewer.partner).await?,
            beyond_quota: own.terms.quota.is_some(),
            overdraft_price: own
                .terms
                .admission
                .credit
                .overdraft
                .map(|overdraft| format!("{}{}", own.terms.currency.sign(), overdraft.unit_price.normalize())),
            provider: cx.state.settings.provider_name.clone(),
        }))
    }

    /// What is left, and what happens when nothing is.
    fn words(&self) -> String {
        let Self { standing, bound, beyond_quota, overdraft_price, provider } = self;
        let beyond = if *beyond_quota { " beyond the quota" } else { "" };
        // Calls of products that have units of their own go on.
        let others = if bound.is_empty() { "" } else { " of other products" };
        if let Some(price) = overdraft_price {
            return self.overdraft_words(beyond, price);
        }
        match standing.balance.saturating_add_unsigned(standing.to_be_billed) {
            _ if standing.granted == 0 && standing.allocated == 0 => {
                format!(
                    "Live calls{others}{beyond} take prepaid units, and there are none yet: ask {provider} for some."
                )
            }
            below @ ..0 => format!(
                "{} were served beyond the credit while it could not be checked; the next grant pays for them first. \
                 Live calls{others}{beyond} are refused until {provider} adds more.",
                units(below.unsigned_abs())
            ),
            0 => format!("Nothing is left. Live calls{others}{beyond} are refused until {provider} adds more."),
            left => format!(
                "{} left. Live calls{beyond} take one for each unit that they cost; with too few left they are refused.",
                units(left.unsigned_abs())
            ),
        }
    }

    fn overdraft_words(&self, beyond: &str, price: &str) -> String {
        let CreditStanding { balance, overdraft, to_be_billed, .. } = self.standing;
        // Of what was given or bought; below zero by what the hour that runs has taken beyond it.
        let left = balance.saturating_add_unsigned(to_be_billed);
        let prepaid = left.max(0).unsigned_abs();
        let more = balance.saturating_add_unsigned(overdraft).saturating_sub_unsigned(prepaid);
        let used_beyond = to_be_billed.saturating_add(left.min(0).unsigned_abs());
        let billed = match used_beyond {
            0 => String::new(),
            some => {
                format!("Used beyond the prepaid units: {}, billed with this period at {price} each. ", units(some))
            }
        };
        let more_units = units(more.max(0).unsigned_abs());
        match (prepaid, more) {
            (0, ..=0) if used_beyond == 0 => {
                format!("Nothing is left. Live calls{beyond} are refused until {} adds more.", self.provider)
            }
            (0, ..=0) => {
                format!("{billed}Live calls{beyond} are refused until that is billed, or {} adds more.", self.provider)
            }
            (0, _) if used_beyond > 0 => {
                format!("{billed}Live calls{beyond} may take {more_units} more before they are refused.")
            }
            (_, ..=0) => format!("{billed}{} left for calls to come.", units(prepaid)),
            _ => format!(
                "{billed}{} left. Live calls{beyond} take one for each unit that they cost; when none is left they may take {more_units} \
                 more, which are billed at {price} each.",
                units(prepaid)
            ),
        }
    }

    /// The card.
    pub fn card(self) -> impl IntoView + use<> {
        let hint = self.words();
        let CreditStanding { granted, used, allocated, .. } = self.standing;
        let hint = match allocated {
            0 => hint,
            own => format!("{hint} Besides, apps and teams have {} for themselves.", units(own)),
        };
        let hint = format!("{hint}{}", besides(&self.bound));
        view! {
            <Card title="Credit" actions=move || view! { <a href="/docs/errors/credit-exhausted">"What happens when it runs out"</a> }>
                <Meter label="Prepaid units used" used=used limit=Some(granted) unit="units" hint=hint/>
            </Card>
        }
    }
}

fn units(count: u64) -> String {
    if count == 1 { "1 unit".to_owned() } else { format!("{} units", group_thousands(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_what_is_left_and_what_happens_then() {
        let words = |granted: u64, used: u64| {
            let balance = i64::try_from(granted).expect("fits") - i64::try_from(used).expect("fits");
            let standing = CreditStanding { granted, used, balance, ..CreditStanding::default() };
            Balance {
                standing,
                bound: Vec::new(),
                beyond_quota: true,
                overdraft_price: None,
                provider: "Toll".to_owned(),
            }
            .words()
        };
        for (granted, used, expected) in [
            (0, 0, "there are none yet: ask Toll for some"),
            (2_000, 760, "1,240 units left. Live calls beyond the quota"),
            (2_000, 1_999, "1 unit left."),
            (2_000, 2_000, "Nothing is left. Live calls beyond the quota are refused until Toll adds more"),
            (2_000, 2_012, "12 units were served beyond the credit"),
        ] {
            let said = words(granted, used);
            assert!(said.contains(expected), "{granted} {used}: {said}");
        }
    }

    #[test]
    fn the_words_about_an_overdraft_say_what_it_costs_and_where_it_ends() {
        for (balance, to_be_billed, expected) in [
            (
                7,
                0,
                "7 units left. Live calls take one for each unit that they cost; when none is left they may take 100 units more",
            ),
            (-1, 0, "Used beyond the prepaid units: 1 unit, billed with this period at $0.02 each."),
            (-60, 20, "Live calls may take 40 units more before they are refused."),
            (-60, 20, "Used beyond the prepaid units: 60 units, billed with this period"),
            (-100, 100, "Live calls are refused until that is billed, or Toll adds more."),
            // Bought since.
            (-50, 80, "Used beyond the prepaid units: 80 units, billed with this period at $0.02 each. 30 units left."),
            (-50, 80, "when none is left they may take 20 units more"),
            (
                -70,
                100,
                "Used beyond the prepaid units: 100 units, billed with this period at $0.02 each. 30 units left for calls to come.",
            ),
        ] {
            let standing = CreditStanding { balance, overdraft: 100, to_be_billed, ..CreditStanding::default() };
            let price = Some("$0.02".to_owned());
            let said = Balance {
                standing,
                bound: Vec::new(),
                beyond_quota: false,
                overdraft_price: price,
                provider: "Toll".to_owned(),
            }
            .words();
            assert!(said.contains(expected), "{balance}: {said}");
        }
    }
}
