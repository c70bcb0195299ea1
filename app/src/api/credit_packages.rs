//! Forms about packages of prepaid units: what is sold, who buys, and that an invoice was paid.

use leptos::prelude::*;

/// What the form about a package sends.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct PackageFields {
    pub code: String,
    pub name: String,
    pub units: String,
    /// Decimal text.
    pub price: String,
    pub currency: String,
    /// As `5: 10, 10: 15`: from so many on, so many percent off.
    pub discounts: String,
    pub valid_days: String,
    /// Codes, with commas between them.
    pub plans: String,
    pub withdrawn: String,
}

/// Sells a package, or changes it for purchases to come.
#[server(prefix = "/do", endpoint = "console/credit-packages/save")]
pub async fn save_credit_package(#[server(default)] package: PackageFields) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    const LIST: &str = "/console/credit-packages";
    let outcome = async {
        let cx = viewer::operator()?;
        let read = read_package(&package)?;
        let problems = read.problems();
        if !problems.is_empty() {
            return Err(problems.into());
        }
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.put_credit_package((package.code.trim(), None), &read, actor, cx.now).await?;
        Ok(Done::go(LIST).saying(if read.withdrawn {
            "Saved: it is no longer sold."
        } else {
            "Saved: it is sold like that from now on."
        }))
    };
    let typed = [
        ("code", package.code.as_str()),
        ("name", &package.name),
        ("units", &package.units),
        ("price", &package.price),
        ("currency", &package.currency),
        ("discounts", &package.discounts),
        ("valid_days", &package.valid_days),
        ("plans", &package.plans),
        ("withdrawn", &package.withdrawn),
    ];
    form::answer("credit-packages/save", LIST, &typed, outcome.await)
}

/// Buys packages of units: on a page of Stripe's where `how` is `now`, else on an invoice; the units come once they are paid.
#[server(prefix = "/do", endpoint = "credit/buy")]
pub async fn buy_credit(
    #[server(default)] package: String,
    #[server(default)] quantity: String,
    #[server(default)] once: String,
    #[server(default)] shown: String,
    #[server(default)] how: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        payment, viewer,
    };
    let outcome = async {
        let cx = viewer::member()?;
        let new = read_purchase(&package, &quantity, once)?;
        let actor = store::Actor::Member(cx.viewer.id);
        let new = as_shown(&cx.state.store, cx.viewer.partner, new, &shown).await?;
        if how == "now" {
            let page = payment::buy(&cx.state, (cx.viewer.partner, actor), &new, cx.now).await?;
            return Ok(Err(page));
        }
        let invoice = cx.state.store.buy_credit(cx.viewer.partner, &new, actor, cx.now).await?.invoice;
        Ok(Ok(
            Done::go(format!("/invoices/{invoice}")).saying("Bought. The units can be used once this invoice is paid.")
        ))
    };
    let done = match outcome.await {
        Ok(Err(page)) => return form::leave("credit/buy", "/credit", Ok(page)),
        Ok(Ok(done)) => Ok(done),
        Err(failure) => Err(failure),
    };
    form::answer("credit/buy", "/credit", &[("package", &package), ("quantity", &quantity)], done)
}

/// Buys packages for a partner.
#[server(prefix = "/do", endpoint = "console/credit/sell")]
pub async fn sell_credit(
    #[server(default)] partner: String,
    #[server(default)] package: String,
    #[server(default)] quantity: String,
    #[server(default)] once: String,
    #[server(default)] shown: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}/credit");
    let outcome = async {
        let cx = viewer::operator()?;
        let new = read_purchase(&package, &quantity, once)?;
        let (of, actor) = (form::id(&partner)?, store::Actor::Operator(cx.viewer.id));
        let new = as_shown(&cx.state.store, of, new, &shown).await?;
        let invoice = cx.state.store.buy_credit(of, &new, actor, cx.now).await?.invoice;
        let to = format!("/console/partners/{partner}/invoices/{invoice}");
        Ok(Done::go(to).saying("Sold. The units can be used once this invoice is paid."))
    };
    form::answer("credit/sell", &back, &[("package", &package), ("quantity", &quantity)], outcome.await)
}

/// Says that an invoice was paid elsewhere.
#[server(prefix = "/do", endpoint = "console/invoices/paid")]
pub async fn mark_invoice_paid(
    #[server(default)] partner: String,
    #[server(default)] invoice: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        payment, viewer,
    };
    let back = format!("/console/partners/{partner}/invoices/{invoice}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let (partner, invoice) = (form::id(&partner)?, form::id(&invoice)?);
        let (held, _) = cx.state.store.invoice(partner, invoice).await?;
        if payment::stripe_collects(&cx.state.settings, &held) {
            return Err(Failure::whole("Stripe collects this invoice and says when it is paid."));
        }
        let moved = cx.state.store.mark_invoice_paid(partner, invoice, actor, cx.now).await?;
        Ok(Done::go(&back).saying(if moved { "Paid." } else { "Nothing changed: it is paid, or counts no more." }))
    };
    form::answer("invoices/paid", &back, &[], outcome.await)
}

#[cfg(feature = "ssr")]
fn read_purchase(
    package: &str,
    quantity: &str,
    once: String,
) -> Result<store::NewCreditPurchase, crate::form::Failure> {
    use crate::form::Failure;
    if package.is_empty() {
        return Err(Failure::field("package", "Choose a package"));
    }
    let number = quantity.replace([',', ' ', '_'], "");
    let quantity =
        number.parse().map_err(|_| Failure::field("quantity", "Enter how many packages, as a whole number"))?;
    Ok(store::NewCreditPurchase { code: package.to_owned(), quantity, reference: once, cost: None })
}

/// The purchase at the price of the offer that its buyer saw.
#[cfg(feature = "ssr")]
async fn as_shown(
    store: &store::Store,
    partner: domain::id::PartnerId,
    new: store::NewCreditPurchase,
    shown: &str,
) -> Result<store::NewCreditPurchase, crate::form::Failure> {
    use crate::{form::Failure, pages::credit_offer};
    let own = store.subscription(partner).await?;
    let offer = credit_offer::sold_to(store.credit_packages().await?, own.as_ref());
    if credit_offer::as_text(&offer) != shown {
        return Err(Failure::field(
            "package",
            "The offer has changed since this page was opened: look at it, then buy",
        ));
    }
    let cost = offer.iter().find(|(code, _)| *code == new.code).map(|(_, package)| package.cost(new.quantity));
    Ok(store::NewCreditPurchase { cost: cost.and_then(Result::ok), ..new })
}

#[cfg(feature = "ssr")]
fn read_package(fields: &PackageFields) -> Result<domain::credit::package::CreditPackage, crate::form::Failure> {
    use crate::form::Failure;
    use domain::credit::package::{CreditPackage, VolumeDiscount};
    let number = fields.units.replace([',', ' ', '_'], "");
    let units = number.parse().map_err(|_| Failure::field("units", "Enter a whole number of units"))?;
    let price = fields.price.trim().parse().map_err(|_| Failure::field("price", "Enter an amount, as 1000.00"))?;
    let currency = fields.currency.parse().map_err(|_| Failure::field("currency", "Choose a currency"))?;
    let valid_days = match fields.valid_days.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| Failure::field("valid_days", "Enter a number of days"))?),
    };
    let parts = |text: &str| -> Vec<String> {
        text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let mut discounts = Vec::new();
    for part in parts(&fields.discounts) {
        let wrong = || Failure::field("discounts", "Write from how many on and the percent, as 5: 10, 10: 15");
        let (from, percent) = part.split_once(':').ok_or_else(wrong)?;
        let percent = percent.trim().trim_end_matches('%').trim().parse().map_err(|_| wrong())?;
        discounts.push(VolumeDiscount { from: from.trim().parse().map_err(|_| wrong())?, percent });
    }
    let plans = parts(&fields.plans);
    let (name, withdrawn) = (fields.name.trim().to_owned(), !fields.withdrawn.is_empty());
    Ok(CreditPackage { name, units, currency, price, discounts, valid_days, plans, withdrawn })
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_and_the_field_that_is_wrong_is_named() {
        let typed = PackageFields {
            code: "million".to_owned(),
            name: " One million ".to_owned(),
            units: "1,000,000".to_owned(),
            price: "1000.00".to_owned(),
            currency: "USD".to_owned(),
            discounts: "5: 10, 10:15 %".to_owned(),
            plans: "starter, pro".to_owned(),
            ..PackageFields::default()
        };
        let package = read_package(&typed).expect("a package");
        assert_eq!(package.problems(), []);
        assert_eq!(package.cost(10).map(|cost| cost.to_string()), Ok("$8,500.00".to_owned()));
        assert_eq!((package.name.as_str(), package.units, package.plans.len()), ("One million", 1_000_000, 2));
        assert_eq!((package.valid_days, package.withdrawn), (None, false));
        for (wrong, field) in [
            (PackageFields { units: "some".to_owned(), ..typed.clone() }, "units"),
            (PackageFields { price: "a lot".to_owned(), ..typed.clone() }, "price"),
            (PackageFields { currency: "XXQ".to_owned(), ..typed.clone() }, "currency"),
            (PackageFields { valid_days: "a year".to_owned(), ..typed.clone() }, "valid_days"),
            (PackageFields { discounts: "5 10".to_owned(), ..typed }, "discounts"),
        ] {
            assert_eq!(read_package(&wrong).expect_err("refused").0[0].0, field);
        }
        assert_eq!(read_purchase("million", "ten", String::new()).expect_err("refused").0[0].0, "quantity");
    }
}
