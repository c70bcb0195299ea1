//! Forms of the console about prepaid credit.

use leptos::prelude::*;

/// What the form to grant units sends.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct GrantFields {
    pub partner: String,
    pub units: String,
    pub kind: String,
    pub reason: String,
    pub expires: String,
    pub cost: String,
    pub currency: String,
    pub priority: String,
    pub reference: String,
    /// Codes of products, with commas between them.
    pub products: String,
    /// The same for the same page: sent twice, it grants once.
    pub once: String,
}

/// Gives a partner units, or takes some back.
#[server(prefix = "/do", endpoint = "console/credit/grant")]
pub async fn grant_credit(#[server(default)] grant: GrantFields) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{}/credit", grant.partner);
    let outcome = async {
        let cx = viewer::operator()?;
        let new = read_grant(&grant)?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.grant_credit(form::id(&grant.partner)?, &new, actor, cx.now).await?;
        let said = if new.units > 0 { "Granted. Calls can use the units within a second." } else { "Taken back." };
        Ok(Done::go(&back).saying(said))
    };
    let typed = [
        ("units", grant.units.as_str()),
        ("kind", &grant.kind),
        ("reason", &grant.reason),
        ("expires", &grant.expires),
        ("cost", &grant.cost),
        ("currency", &grant.currency),
        ("priority", &grant.priority),
        ("reference", &grant.reference),
        ("products", &grant.products),
    ];
    form::answer("credit/grant", &back, &typed, outcome.await)
}

/// Takes back what is left of a grant.
#[server(prefix = "/do", endpoint = "console/credit/void")]
pub async fn void_credit(
    partner: String,
    grant: String,
    #[server(default)] reason: String,
    #[server(default)] refund: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/partners/{partner}/credit");
    let outcome = async {
        let cx = viewer::operator()?;
        let grant = form::id(&grant).map_err(|_| Failure::field("grant", "Choose a grant"))?;
        let how = if refund.is_empty() { store::Void::Kept } else { store::Void::Refunded };
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.void_credit_grant(form::id(&partner)?, grant, (how, &reason), actor, cx.now).await?;
        Ok(Done::go(&back).saying("Taken back."))
    };
    form::answer("credit/void", &back, &[("grant", &grant), ("reason", &reason)], outcome.await)
}

#[cfg(feature = "ssr")]
fn read_grant(fields: &GrantFields) -> Result<store::NewCreditGrant, crate::form::Failure> {
    use crate::form::Failure;
    use domain::money::Money;
    use store::NewCreditGrant;
    let number = fields.units.replace([',', ' ', '_'], "").replace('−', "-");
    let units = number.parse().map_err(|_| Failure::field("units", "Enter a whole number of units"))?;
    let kind = fields.kind.parse().map_err(|_| Failure::field("kind", "Choose a kind"))?;
    let priority = match fields.priority.trim() {
        "" => domain::credit::USUAL_PRIORITY,
        text => text.parse().map_err(|_| Failure::field("priority", "Enter a number from 0 to 255"))?,
    };
    let expires_at = match fields.expires.trim() {
        "" => None,
        text => {
            let midnight = text.parse::<jiff::civil::Date>().and_then(|day| day.in_tz("UTC"));
            Some(midnight.map_err(|_| Failure::field("expires", "Enter a day, as 2027-01-31"))?.timestamp())
        }
    };
    let cost = match fields.cost.trim() {
        "" => None,
        text => {
            let wrong = || Failure::field("cost", "Enter an amount, as 85.00");
            let currency = fields.currency.parse().map_err(|_| Failure::field("currency", "Choose a currency"))?;
            Some(Money::from_decimal_exact(currency, text.parse().map_err(|_| wrong())?).map_err(|_| wrong())?)
        }
    };
    let given = fields.reference.trim();
    let reference = if given.is_empty() { &fields.once } else { given };
    let reference = (!reference.is_empty()).then(|| reference.to_owned());
    let codes = fields.products.split([',', ' ']).filter(|code| !code.is_empty());
    let products = codes.map(str::to_owned).collect();
    let plain = NewCreditGrant::new(units, fields.reason.trim());
    Ok(NewCreditGrant { reference, kind, priority, expires_at, cost, products, ..plain })
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_a_grant_or_says_which_field_is_wrong() {
        let typed = GrantFields {
            units: "10,000".to_owned(),
            kind: "paid".to_owned(),
            reason: " Package ".to_owned(),
            expires: "2027-01-31".to_owned(),
            cost: "85.00".to_owned(),
            currency: "USD".to_owned(),
            products: "payments, payouts".to_owned(),
            once: "form-1".to_owned(),
            ..GrantFields::default()
        };
        let grant = read_grant(&typed).expect("a grant");
        assert_eq!(
            (grant.units, grant.reason.as_str(), grant.reference.as_deref()),
            (10_000, "Package", Some("form-1"))
        );
        assert_eq!(grant.expires_at.expect("a day").to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(grant.cost.expect("a cost").to_string(), "$85.00");
        assert_eq!(grant.products, ["payments", "payouts"]);
        for (wrong, field) in [
            (GrantFields { units: "ten".to_owned(), ..typed.clone() }, "units"),
            (GrantFields { kind: String::new(), ..typed.clone() }, "kind"),
            (GrantFields { priority: "256".to_owned(), ..typed.clone() }, "priority"),
            (GrantFields { expires: "soon".to_owned(), ..typed.clone() }, "expires"),
            (GrantFields { cost: "a lot".to_owned(), ..typed.clone() }, "cost"),
            (GrantFields { currency: "XXQ".to_owned(), ..typed }, "currency"),
        ] {
            assert_eq!(read_grant(&wrong).expect_err("refused").0[0].0, field);
        }
    }
}
