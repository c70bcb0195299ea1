//! The console's form of a partner's own threshold.

use leptos::prelude::*;

/// Gives a partner a threshold of its own, none, or its plan's again; `own` is `plan`, `never` or `own`.
#[server(prefix = "/do", endpoint = "console/partners/threshold")]
pub async fn set_invoice_threshold(
    partner: String,
    own: String,
    #[server(default)] amount: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::{money::Money, rating::OwnThreshold};
    let back = format!("/console/partners/{partner}/unpaid");
    let outcome = async {
        let cx = viewer::operator()?;
        let partner = form::id(&partner)?;
        let own = match own.as_str() {
            "plan" => None,
            "never" => Some(OwnThreshold::Never),
            "own" => {
                let plan = cx.state.store.subscription(partner).await?;
                let currency = plan.map(|own| own.terms.currency);
                let currency = currency.ok_or_else(|| {
                    Failure::field("own", "The partner has no plan whose currency the amount would be in")
                })?;
                let read = amount.trim().replace(',', "").parse();
                let read = read.ok().and_then(|amount| Money::from_decimal_exact(currency, amount).ok());
                let amount = read.ok_or_else(|| Failure::field("invoice_threshold", "Enter an amount, as 500.00"))?;
                Some(OwnThreshold::At(amount))
            }
            _ => return Err(Failure::field("own", "Choose one of the three")),
        };
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.set_invoice_threshold(partner, own, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Saved."))
    };
    let typed = [("own", own.as_str()), ("invoice_threshold", &amount)];
    form::answer("partners/threshold", &back, &typed, outcome.await)
}
