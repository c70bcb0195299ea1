//! Forms of the console about unpaid invoices.

use leptos::prelude::*;

/// Lets nothing follow for a partner's unpaid invoices until a day.
#[server(prefix = "/do", endpoint = "console/dunning/pause")]
pub async fn pause_dunning(
    partner: String,
    #[server(default)] until: String,
    #[server(default)] reason: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/partners/{partner}/unpaid");
    let outcome = async {
        let cx = viewer::operator()?;
        let day = until.trim().parse::<jiff::civil::Date>().and_then(|day| day.in_tz("UTC"));
        let until = day.map_err(|_| Failure::field("until", "Enter a day, as 2027-01-31"))?.timestamp();
        let pause = store::Pause { until, reason: reason.clone() };
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.pause_dunning(form::id(&partner)?, Some(&pause), actor, cx.now).await?;
        Ok(Done::go(&back).saying("Paused. The partner's calls are served as usual within a second."))
    };
    form::answer("dunning/pause", &back, &[("until", &until), ("reason", &reason)], outcome.await)
}

/// Ends a pause.
#[server(prefix = "/do", endpoint = "console/dunning/resume")]
pub async fn resume_dunning(partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}/unpaid");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.pause_dunning(form::id(&partner)?, None, actor, cx.now).await?;
        Ok(Done::go(&back).saying("The pause has ended. The days count from now."))
    };
    form::answer("dunning/resume", &back, &[], outcome.await)
}

/// Gives a partner days of its own.
#[server(prefix = "/do", endpoint = "console/dunning/days")]
pub async fn set_dunning_days(
    partner: String,
    #[server(default)] grace_days: String,
    #[server(default)] limited_days: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/partners/{partner}/unpaid");
    let outcome = async {
        let cx = viewer::operator()?;
        let days = |field: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| Failure::field(field, "Enter a whole number of days, up to 365"))
            }
        };
        let own = domain::dunning::OwnDays {
            grace: days("grace_days", &grace_days)?,
            limited: days("limited_days", &limited_days)?,
        };
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.set_dunning_days(form::id(&partner)?, own, actor, cx.now).await?;
        Ok(Done::go(&back).saying("Saved."))
    };
    let typed = [("grace_days", grace_days.as_str()), ("limited_days", &limited_days)];
    form::answer("dunning/days", &back, &typed, outcome.await)
}

/// Holds an invoice back because it is disputed, or lets it go on.
#[server(prefix = "/do", endpoint = "console/invoices/dispute")]
pub async fn dispute_invoice(
    partner: String,
    invoice: String,
    #[server(default)] disputed: bool,
    #[server(default)] reason: String,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/partners/{partner}/invoices/{invoice}");
    let outcome = async {
        let cx = viewer::operator()?;
        let (partner, invoice) = (form::id(&partner)?, form::id(&invoice)?);
        let actor = store::Actor::Operator(cx.viewer.id);
        let why = disputed.then_some(reason.as_str());
        cx.state.store.dispute_invoice(partner, invoice, why, actor, cx.now).await?;
        let said = if disputed { "Held back. Nothing follows while it is." } else { "The dispute has ended." };
        Ok(Done::go(&back).saying(said))
    };
    form::answer("invoices/dispute", &back, &[("reason", &reason)], outcome.await)
}
