//! The forms that correct usage: try, approve, apply, revert, refuse.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What somebody typed who wants usage corrected; which fields there are depends on the kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CorrectionForm {
    pub from: String,
    pub to: String,
    pub at: String,
    pub environment: String,
    pub product: String,
    pub operation: String,
    pub request_id: String,
    pub source: String,
    pub calls: String,
    pub units: String,
    pub reason: String,
}

/// Tries a correction dry and keeps it as a draft.
#[server(prefix = "/do", endpoint = "console/corrections/draft")]
pub async fn draft_correction(
    partner: String,
    kind: String,
    #[server(flatten)] correction: CorrectionForm,
) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    use domain::{
        correction::{BackFill, Change, Filter, NewCorrection},
        id::PartnerId,
        key_text::Environment,
    };
    let CorrectionForm { from, to, at, environment, product, operation, request_id, source, calls, units, reason } =
        correction;
    let back = format!("/console/partners/{partner}/correct?kind={kind}");
    let typed = [
        ("from", from.as_str()),
        ("to", &to),
        ("at", &at),
        ("environment", &environment),
        ("product", &product),
        ("operation", &operation),
        ("request_id", &request_id),
        ("source", &source),
        ("calls", &calls),
        ("units", &units),
        ("reason", &reason),
    ];
    let drafted = async {
        let cx = viewer::operator()?;
        let partner: PartnerId = form::id(&partner)?;
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let of: Option<Environment> = environment.parse().ok();
        let filter = || -> Result<Filter, Failure> {
            Ok(Filter {
                from: read::instant("from", &from)?,
                to: read::instant("to", &to)?,
                environment: of,
                product: text(&product),
                operation: text(&operation),
                app: None,
                key: None,
                request_id: text(&request_id),
                source: text(&source),
            })
        };
        let (change, filter) = match kind.as_str() {
            "back_fill" => {
                let at = read::instant("at", &at)?;
                let fill = BackFill {
                    at: at.ok_or_else(|| Failure::field("at", "Say when it happened, in UTC"))?,
                    calls: read::count("calls", &calls)?,
                    units: read::count("units", &units)?,
                    environment: of.unwrap_or(Environment::Live),
                    product: text(&product),
                    operation: text(&operation),
                    app: None,
                };
                (Change::BackFill(fill), Filter::default())
            }
            "set_units" => (Change::SetUnits { units: read::count("units", &units)? }, filter()?),
            _ => (Change::Void, filter()?),
        };
        let new = NewCorrection { change, filter, reason: reason.clone() };
        let by = (cx.state.settings.four_eyes, store::Actor::Operator(cx.viewer.id));
        let id = billing::draft_correction(&cx.state.store, partner, new, by, cx.now).await.map_err(read::failure)?;
        Ok(Done::go(format!("/console/corrections/{id}"))
            .saying("Tried, and nothing is changed yet. Look at what it would do."))
    }
    .await;
    form::answer("corrections/draft", &back, &typed, drafted)
}

/// Approves what the page showed.
#[server(prefix = "/do", endpoint = "console/corrections/approve")]
pub async fn approve_correction(correction: String, #[server(default)] hash: String) -> Result<(), ServerFnError> {
    use crate::{form::Failure, viewer};
    use store::corrections::Approval;
    let step = async |id| {
        let cx = viewer::operator()?;
        let seen = billing::read_hash(&hash).ok_or_else(|| Failure::whole("Load the page again."))?;
        let approval = Approval { seen, four_eyes: cx.state.settings.four_eyes };
        let actor = store::Actor::Operator(cx.viewer.id);
        billing::approve_correction(&cx.state.store, id, approval, actor, cx.now).await.map_err(read::failure)?;
        Ok("Approved. It counts when it is applied.")
    };
    read::step("corrections/approve", &correction, "", step).await
}

/// Carries an approved correction out.
#[server(prefix = "/do", endpoint = "console/corrections/apply")]
pub async fn apply_correction(correction: String) -> Result<(), ServerFnError> {
    use crate::viewer;
    let step = async |id| {
        let cx = viewer::operator()?;
        let by = (cx.state.settings.four_eyes, store::Actor::Operator(cx.viewer.id));
        let first = billing::apply_correction(&cx.state.store, id, by, cx.now).await.map_err(read::failure)?;
        Ok(if first { "Applied. All figures have it." } else { "It was applied already, and counts once." })
    };
    read::step("corrections/apply", &correction, "", step).await
}

/// Takes an applied correction back.
#[server(prefix = "/do", endpoint = "console/corrections/revert")]
pub async fn revert_correction(correction: String, #[server(default)] reason: String) -> Result<(), ServerFnError> {
    use crate::viewer;
    let step = async |id| {
        let cx = viewer::operator()?;
        let (store, actor) = (&cx.state.store, store::Actor::Operator(cx.viewer.id));
        let partner = store.correction_of_any_partner(id).await?.partner;
        let why = (reason.as_str(), cx.state.settings.four_eyes);
        let first = store.revert_correction(partner, id, why, actor, cx.now).await?;
        Ok(if first { "Reverted. All figures are as if it had never counted." } else { "It was reverted already." })
    };
    read::step("corrections/revert", &correction, &reason, step).await
}

/// Gives up a correction that does not count yet.
#[server(prefix = "/do", endpoint = "console/corrections/refuse")]
pub async fn refuse_correction(correction: String, #[server(default)] reason: String) -> Result<(), ServerFnError> {
    use crate::viewer;
    let step = async |id| {
        let cx = viewer::operator()?;
        let (store, actor) = (&cx.state.store, store::Actor::Operator(cx.viewer.id));
        let partner = store.correction_of_any_partner(id).await?.partner;
        store.refuse_correction(partner, id, &reason, actor, cx.now).await?;
        Ok("Refused. It will never count.")
    };
    read::step("corrections/refuse", &correction, &reason, step).await
}

/// What the forms have in common.
#[cfg(feature = "ssr")]
mod read {
    use crate::form::{self, Done, Failure};
    use domain::id::CorrectionId;
    use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
    use leptos::prelude::ServerFnError;

    /// Takes one step, and comes back to the correction's page.
    pub(super) async fn step(
        form: &str,
        correction: &str,
        reason: &str,
        take: impl AsyncFnOnce(CorrectionId) -> Result<&'static str, Failure>,
    ) -> Result<(), ServerFnError> {
        let id: Result<CorrectionId, Failure> = form::id(correction);
        let back = id.as_ref().map_or("/console/corrections".to_owned(), |id| format!("/console/corrections/{id}"));
        let taken = match id {
            Ok(id) => take(id).await.map(|told| Done::go(back.clone()).saying(told)),
            Err(failure) => Err(failure),
        };
        form::answer(form, &back, &[("reason", reason)], taken)
    }

    /// An instant as RFC 3339, or as a browser's field has it: then in UTC. Nothing where nothing was typed.
    pub(super) fn instant(field: &str, text: &str) -> Result<Option<Timestamp>, Failure> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp());
        let instant = text.parse::<Timestamp>().ok().or_else(local);
        instant.map(Some).ok_or_else(|| Failure::field(field, "Write a time in UTC, as 2026-03-01T10:00"))
    }

    /// A number, however its digits are grouped.
    pub(super) fn count(field: &str, text: &str) -> Result<u64, Failure> {
        let digits: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != ',').collect();
        digits.parse().map_err(|_| Failure::field(field, "Enter a whole number, zero or more"))
    }

    pub(super) fn failure(error: billing::BillingError) -> Failure {
        match error {
            billing::BillingError::Store(error) => error.into(),
            other => {
                tracing::warn!(error = %other, "a correction cannot be rated");
                Failure::whole(format!("What this costs cannot be said: {other}"))
            }
        }
    }
}
