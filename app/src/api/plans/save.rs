//! From the plan form to the store, whether the form was saved at once or looked at first.

use super::{PlanForm, terms};
use crate::form::{self, Done, Failure};
use domain::{
    id::{PartnerId, PlanVersionId},
    plan::PlanTerms,
};
use jiff::Timestamp;
use store::{Actor, AddedVersion, NewPlan, PlanMeta, Store};

/// Whose own plan a new one is, and the version that it begins with.
pub fn derived(form: &PlanForm) -> Option<(PartnerId, PlanVersionId)> {
    Some((form.partner.parse().ok()?, form.from.parse().ok()?))
}

/// The plan that the form means: what it does not ask for is as in the plan's newest version.
pub async fn whole(store: &Store, form: &PlanForm) -> Result<(PlanMeta, PlanTerms), Failure> {
    let (meta, mut terms) = terms::read(form)?;
    let before = match derived(form) {
        _ if !form.id.is_empty() => {
            store.plan(form::id(&form.id)?).await?.versions.into_iter().next().map(|newest| newest.terms)
        }
        Some((_, from)) => Some(store.plan_version_terms(from).await?),
        None => None,
    };
    if let Some(before) = before {
        terms::keep_unasked(form, &mut terms, before)?;
    }
    let problems = store.plan_terms_problems(&terms).await?;
    if problems.is_empty() { Ok((meta, terms)) } else { Err(problems.into()) }
}

/// Keeps the whole form for a while, and goes to the page that says what its terms would cost.
pub async fn look(store: &Store, form: &PlanForm) -> Result<Done, Failure> {
    whole(store, form).await?;
    let form = PlanForm { preview: String::new(), ..form.clone() };
    let kept = serde_json::to_string(&form).map(crate::drafts::keep);
    let name = kept.map_err(|_| Failure::whole("These terms cannot be written down."))?;
    Ok(Done::go(format!("/console/plans/{}/impact?terms={name}", form.id)))
}

/// The form of this plan that was kept under that name.
pub fn kept(plan: &str, name: &str) -> Option<PlanForm> {
    let form: PlanForm = serde_json::from_str(&crate::drafts::find(name)?).ok()?;
    (form.id == plan).then_some(form)
}

/// Adds the plan, or changes it: its name and place at once, its terms as a new version.
pub async fn save(store: &Store, form: &PlanForm, actor: Actor, now: Timestamp) -> Result<Done, Failure> {
    let (meta, terms) = whole(store, form).await?;
    if form.id.is_empty() {
        let new = NewPlan { code: form.code.trim().to_owned(), meta, terms };
        if let Some((partner, from)) = derived(form) {
            let id = store.derive_plan(partner, from, &new, actor, now).await?;
            let version = store.plan(id).await?.newest().map(|newest| newest.id.to_string()).unwrap_or_default();
            let next = format!("/console/partners/{partner}/plan?version={version}&when=usual");
            return Ok(
                Done::go(next).saying("Added. The partner may choose it; confirm here to put it on it yourself.")
            );
        }
        let id = store.create_plan(&new, actor, now).await?;
        return Ok(Done::go(format!("/console/plans/{id}")).saying("Plan added."));
    }
    let id = form::id(&form.id)?;
    store.update_plan(id, &meta, actor, now).await?;
    let notice = match store.add_plan_version(id, &terms, actor, now).await? {
        AddedVersion::Added(_) => "Saved as a new version. Partners stay on theirs until you move them.",
        AddedVersion::Unchanged(_) => "Saved. The terms are the same, so there is no new version.",
    };
    Ok(Done::go(format!("/console/plans/{id}")).saying(notice))
}
