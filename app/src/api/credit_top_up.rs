//! Forms about a partner's standing order for prepaid credit.

use leptos::prelude::*;

/// Orders packages by itself when the balance is low, or changes the order.
#[server(prefix = "/do", endpoint = "credit/top-up/save")]
pub async fn save_top_up(
    #[server(default)] below: String,
    #[server(default)] package: String,
    #[server(default)] quantity: String,
    #[server(default)] monthly_cap: String,
    #[server(default)] shown: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        pages::credit_offer,
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let store = &cx.state.store;
        let own = store.subscription(cx.viewer.partner).await?;
        let offer = credit_offer::sold_to(store.credit_packages().await?, own.as_ref());
        let seen = offer.iter().find(|(code, _)| *code == package).map(|(_, package)| package);
        let top_up = read_top_up((&below, &package, &quantity, &monthly_cap), seen.map(|package| package.currency))?;
        if credit_offer::as_text(&offer) != shown {
            let told = seen.map(credit_offer::words).unwrap_or_default();
            let message =
                format!("The offer has changed since this page was opened: {told} Order again if that is right");
            return Err(Failure::field("package", message));
        }
        let actor = store::Actor::Member(cx.viewer.id);
        store.put_credit_top_up(cx.viewer.partner, (&top_up, seen), actor, cx.now).await?;
        Ok(Done::go("/credit").saying("Saved. It looks every few seconds whether the balance is low."))
    };
    let typed =
        [("below", below.as_str()), ("package", &package), ("quantity", &quantity), ("monthly_cap", &monthly_cap)];
    form::answer("credit/top-up", "/credit", &typed, outcome.await)
}

/// Ends the order. What it has bought stays bought.
#[server(prefix = "/do", endpoint = "credit/top-up/stop")]
pub async fn stop_top_up() -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.stop_credit_top_up(cx.viewer.partner, actor, cx.now).await?;
        Ok(Done::go("/credit").saying("Nothing is bought by itself any more."))
    };
    form::answer("credit/top-up", "/credit", &[], outcome.await)
}

#[cfg(feature = "ssr")]
fn read_top_up(
    (below, package, quantity, monthly_cap): (&str, &str, &str, &str),
    currency: Option<domain::money::Currency>,
) -> Result<domain::credit::top_up::TopUp, crate::form::Failure> {
    use crate::form::Failure;
    use domain::money::Money;
    let plain = |text: &str| text.replace([',', ' ', '_'], "");
    let below = plain(below).parse().map_err(|_| Failure::field("below", "Enter a whole number of units"))?;
    let quantity = plain(quantity)
        .parse()
        .map_err(|_| Failure::field("quantity", "Enter how many packages, as a whole number"))?;
    let currency = currency.ok_or_else(|| Failure::field("package", "Choose a package"))?;
    let wrong = || Failure::field("monthly_cap", "Enter an amount, as 5000.00");
    let amount = monthly_cap.trim().parse().map_err(|_| wrong())?;
    let monthly_cap = Money::from_decimal_exact(currency, amount).map_err(|_| wrong())?;
    Ok(domain::credit::top_up::TopUp { below, package: package.to_owned(), quantity, monthly_cap })
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use domain::money::Currency;

    #[test]
    fn an_order_is_read_and_the_field_that_is_wrong_is_named() {
        let read = |typed, currency| read_top_up(typed, currency);
        let top_up = read(("100,000", "million", "2", "5000.00"), Some(Currency::Usd)).expect("an order");
        assert_eq!(
            (top_up.below, top_up.quantity, top_up.monthly_cap.to_string()),
            (100_000, 2, "$5,000.00".to_owned())
        );
        for (typed, currency, field) in [
            (("few", "million", "1", "1"), Some(Currency::Usd), "below"),
            (("1", "million", "", "1"), Some(Currency::Usd), "quantity"),
            (("1", "", "1", "1"), None, "package"),
            (("1", "million", "1", "a lot"), Some(Currency::Usd), "monthly_cap"),
        ] {
            assert_eq!(read(typed, currency).expect_err("refused").0[0].0, field);
        }
    }
}
