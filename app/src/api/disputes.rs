//! Forms about disputes: the partner opens and withdraws, an operator accepts and refuses.

use leptos::prelude::*;

/// Opens a dispute about a line.
#[server(prefix = "/do", endpoint = "disputes/open")]
pub async fn open_dispute(
    invoice: String,
    position: String,
    #[server(default)] amount: String,
    #[server(default)] reason: String,
) -> Result<(), ServerFnError> {
    use crate::{
        dispute_letters,
        form::{self, Done, Failure},
        viewer,
    };
    use domain::id::InvoiceId;
    use store::disputes::NewDispute;
    let back = format!("/invoices/{invoice}/lines/{position}");
    let outcome = async {
        let cx = viewer::member()?;
        let invoice: InvoiceId = form::id(&invoice)?;
        let position = position.parse().map_err(|_| Failure::whole("There is no such line"))?;
        let (held, _) = cx.state.store.invoice(cx.viewer.partner, invoice).await?;
        let amount = parts::amount(&amount, held.total.currency)?;
        let new = NewDispute { invoice, position, amount, reason: reason.clone() };
        let letters = |news: &_| dispute_letters::letters(&cx.state.settings, news);
        let actor = store::Actor::Member(cx.viewer.id);
        let dispute = cx.state.store.open_dispute(cx.viewer.partner, &new, &letters, actor, cx.now).await?;
        Ok(Done::go(format!("/disputes/{}", dispute.id)).saying("Opened. You get a mail when there is an answer."))
    };
    form::answer("disputes/open", &back, &[("amount", &amount), ("reason", &reason)], outcome.await)
}

/// Withdraws a dispute.
#[server(prefix = "/do", endpoint = "disputes/withdraw")]
pub async fn withdraw_dispute(dispute: String) -> Result<(), ServerFnError> {
    use crate::{
        dispute_letters,
        form::{self, Done},
        viewer,
    };
    let back = format!("/disputes/{dispute}");
    let outcome = async {
        let cx = viewer::member()?;
        let letters = |news: &_| dispute_letters::letters(&cx.state.settings, news);
        let actor = store::Actor::Member(cx.viewer.id);
        cx.state.store.withdraw_dispute(cx.viewer.partner, form::id(&dispute)?, &letters, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Withdrawn. The invoice stands as it is."))
    };
    form::answer("disputes/withdraw", &back, &[], outcome.await)
}

/// Accepts a dispute: a credit note, or its draft where that takes two.
#[server(prefix = "/do", endpoint = "console/disputes/accept")]
pub async fn accept_dispute(
    dispute: String,
    #[server(default)] amount: String,
    #[server(default)] payback: String,
    #[server(default)] answer: String,
    /// Whether the page showed the invoice as paid.
    #[server(default)]
    paid: bool,
) -> Result<(), ServerFnError> {
    use crate::{
        dispute_letters,
        form::{self, Done},
        viewer,
    };
    use store::{
        credit_notes::Payback,
        disputes::{Accept, Accepted},
    };
    let back = format!("/console/disputes/{dispute}");
    let typed = [("amount", amount.as_str()), ("payback", &payback), ("answer", &answer)];
    let outcome = async {
        let cx = viewer::operator()?;
        let held = cx.state.store.dispute_of_any_partner(form::id(&dispute)?).await?;
        let amount = match amount.trim() {
            "" => None,
            text => Some(parts::amount(text, held.amount.currency)?),
        };
        let accept = Accept {
            amount,
            payback: if payback == "outside" { Payback::Outside } else { Payback::Refund },
            seen_paid: paid,
            four_eyes: cx.state.settings.four_eyes,
            answer: answer.clone(),
        };
        let letters = |news: &_| dispute_letters::letters(&cx.state.settings, news);
        let actor = store::Actor::Operator(cx.viewer.id);
        let done = cx.state.store.accept_dispute(held.partner, held.id, (&accept, &letters), actor, cx.now).await?;
        let said = match done {
            Accepted::Credited(_) => "Accepted. The credit note is issued.",
            Accepted::Drafted(_) => "The credit note is a draft. Another operator has to agree.",
        };
        Ok(Done::go(&back).saying(said))
    };
    form::answer("disputes/accept", &back, &typed, outcome.await)
}

/// Refuses a dispute with an answer.
#[server(prefix = "/do", endpoint = "console/disputes/refuse")]
pub async fn refuse_dispute(dispute: String, #[server(default)] answer: String) -> Result<(), ServerFnError> {
    use crate::{
        dispute_letters,
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/disputes/{dispute}");
    let outcome = async {
        let cx = viewer::operator()?;
        let held = cx.state.store.dispute_of_any_partner(form::id(&dispute)?).await?;
        let letters = |news: &_| dispute_letters::letters(&cx.state.settings, news);
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.refuse_dispute(held.partner, held.id, (&answer, &letters), actor, cx.now).await?;
        Ok(Done::go(&back).saying("Refused. The partner reads your answer."))
    };
    form::answer("disputes/refuse", &back, &[("answer", &answer)], outcome.await)
}

/// What the forms have in common.
#[cfg(feature = "ssr")]
mod parts {
    use crate::form::Failure;
    use domain::money::{Currency, Money};

    /// An amount as people write it.
    pub(super) fn amount(text: &str, currency: Currency) -> Result<Money, Failure> {
        let wrong = || Failure::field("amount", "Write an amount, as 12.50");
        let decimal = text.trim().replace(',', "").parse().map_err(|_| wrong())?;
        Money::from_decimal_exact(currency, decimal).map_err(|_| wrong())
    }
}
