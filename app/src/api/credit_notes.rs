//! The forms that credit an invoice or make it void: draft, issue, discard.

use leptos::prelude::*;

/// Keeps a credit note, or a void, to be looked at. Nothing is credited yet.
#[server(prefix = "/do", endpoint = "console/credit-notes/draft")]
pub async fn draft_credit_note(
    partner: String,
    invoice: String,
    #[server(default)] kind: String,
    #[server(default)] line: String,
    #[server(default)] amount: String,
    #[server(default)] payback: String,
    #[server(default)] reason: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::{
        id::{InvoiceId, PartnerId},
        money::Money,
    };
    use store::credit_notes::{CreditKind, NewCreditLine, NewCreditNote, Payback};
    let back = format!("/console/partners/{partner}/invoices/{invoice}/credit");
    let typed = [("line", line.as_str()), ("amount", &amount), ("payback", &payback), ("reason", &reason)];
    let form = if kind == "void" { "credit-notes/void" } else { "credit-notes/draft" };
    let drafted = async {
        let cx = viewer::operator()?;
        let (partner, invoice): (PartnerId, InvoiceId) = (form::id(&partner)?, form::id(&invoice)?);
        let (held, _) = cx.state.store.invoice(partner, invoice).await?;
        let kind = if kind == "void" { CreditKind::Void } else { CreditKind::Credit };
        let lines = match kind {
            CreditKind::Void => Vec::new(),
            CreditKind::Credit => {
                let wrong = || Failure::field("amount", "Write an amount, as 12.50");
                let decimal = amount.trim().replace(',', "").parse().map_err(|_| wrong())?;
                let amount = Money::from_decimal_exact(held.total.currency, decimal).map_err(|_| wrong())?;
                let invoice_position = match line.trim() {
                    "" => None,
                    text => Some(text.parse().map_err(|_| Failure::field("line", "There is no such line"))?),
                };
                vec![NewCreditLine { invoice_position, amount }]
            }
        };
        let payback = if payback == "outside" { Payback::Outside } else { Payback::Refund };
        let new = NewCreditNote { invoice, kind, lines, payback, reason: reason.clone() };
        let actor = store::Actor::Operator(cx.viewer.id);
        let id = cx.state.store.draft_credit_note(partner, &new, cx.state.settings.four_eyes, actor, cx.now).await?;
        Ok(Done::go(format!("/console/credit-notes/{id}")).saying("Nothing is credited yet. Look at what it would do."))
    }
    .await;
    form::answer(form, &back, &typed, drafted)
}

/// Issues what the page showed.
#[server(prefix = "/do", endpoint = "console/credit-notes/issue")]
pub async fn issue_credit_note(
    credit_note: String,
    /// Whether the page showed the invoice as paid.
    #[server(default)]
    paid: bool,
) -> Result<(), ServerFnError> {
    use crate::viewer;
    use store::credit_notes::Issue;
    let step = async |id| {
        let cx = viewer::operator()?;
        let (note, _) = cx.state.store.credit_note_of_any_partner(id).await?;
        let issue = Issue { seen_paid: paid, four_eyes: cx.state.settings.four_eyes };
        let actor = store::Actor::Operator(cx.viewer.id);
        let first = cx.state.store.issue_credit_note(note.partner, id, issue, actor, cx.now).await?;
        Ok(if first { "Issued." } else { "It was issued already, and counts once." })
    };
    step::take("credit-notes/issue", &credit_note, step).await
}

/// Gives a draft up.
#[server(prefix = "/do", endpoint = "console/credit-notes/discard")]
pub async fn discard_credit_note(credit_note: String) -> Result<(), ServerFnError> {
    use crate::viewer;
    let step = async |id| {
        let cx = viewer::operator()?;
        let (note, _) = cx.state.store.credit_note_of_any_partner(id).await?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.discard_credit_note(note.partner, id, actor, cx.now).await?;
        Ok("Discarded. It will never count.")
    };
    step::take("credit-notes/discard", &credit_note, step).await
}

/// What issuing and discarding have in common.
#[cfg(feature = "ssr")]
mod step {
    use crate::form::{self, Done, Failure};
    use domain::id::CreditNoteId;
    use leptos::prelude::ServerFnError;

    /// Takes one step, and comes back to the credit note's page.
    pub(super) async fn take(
        form: &str,
        note: &str,
        take: impl AsyncFnOnce(CreditNoteId) -> Result<&'static str, Failure>,
    ) -> Result<(), ServerFnError> {
        let id: Result<CreditNoteId, Failure> = form::id(note);
        let back = id.as_ref().map_or("/console/credit-notes".to_owned(), |id| format!("/console/credit-notes/{id}"));
        let taken = match id {
            Ok(id) => take(id).await.map(|told| Done::go(back.clone()).saying(told)),
            Err(failure) => Err(failure),
        };
        form::answer(form, &back, &[], taken)
    }
}
