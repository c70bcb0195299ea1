//! How prepaid credit stands, on every page that says how the plan is used.

use crate::{
    components::*,
    page::PageError,
    viewer::{Cx, MemberViewer},
};
use domain::money::group_thousands;
use leptos::prelude::*;
use store::{CreditStanding, Subscription};

/// What the card says.
pub struct Balance {
    standing: CreditStanding,
    beyond_quota: bool,
    provider: String,
}

impl Balance {
    /// Nothing where the plan spends no credit.
    pub async fn load(cx: &Cx<MemberViewer>, own: Option<&Subscription>) -> Result<Option<Self>, PageError> {
        let Some(own) = own.filter(|own| own.terms.admission.credit.required) else { return Ok(None) };
        Ok(Some(Self {
            standing: cx.state.store.credit(cx.viewer.partner).await?,
            beyond_quota: own.terms.quota.is_some(),
            provider: cx.state.settings.provider_name.clone(),
        }))
    }

    /// What is left, and what happens when nothing is.
    fn words(&self) -> String {
        let Self { standing, beyond_quota, provider } = self;
        let beyond = if *beyond_quota { " beyond the quota" } else { "" };
        match standing.balance {
            _ if standing.granted == 0 => {
                format!("Live calls{beyond} take prepaid units, and there are none yet: ask {provider} for some.")
            }
            ..0 => format!(
                "{} were served beyond the credit while it could not be checked; the next grant pays for them first. \
                 Live calls{beyond} are refused until {provider} adds more.",
                units(standing.balance.unsigned_abs())
            ),
            0 => format!("Nothing is left. Live calls{beyond} are refused until {provider} adds more."),
            left => format!(
                "{} left. Live calls{beyond} take one for each unit that they cost; with too few left they are refused.",
                units(left.unsigned_abs())
            ),
        }
    }

    /// The card.
    pub fn card(self) -> impl IntoView + use<> {
        let hint = self.words();
        let CreditStanding { granted, used, .. } = self.standing;
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
            let standing = CreditStanding { granted, used, balance };
            Balance { standing, beyond_quota: true, provider: "Toll".to_owned() }.words()
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
}
