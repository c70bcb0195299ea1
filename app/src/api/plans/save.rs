//! From the plan form to the store, whether the form was saved at once or looked at first.

use super::{PlanForm, terms};
use crate::form::{self, Done, Failure};
use domain::plan::PlanTerms;
use jiff::Timestamp;
use store::{Actor, AddedVersion, NewPlan, PlanMeta, Store};

/// The plan that the form means: what it does not ask for is as in the plan's newest version.
pub async fn whole(store: &Store, form: &PlanForm) -> Result<(PlanMeta, PlanTerms), Failure> {
    let (meta, mut terms) = terms::read(form)?;
    if !form.id.is_empty() {
        let plan = store.plan(form::id(&form.id)?).await?;
        if let Some(newest) = plan.versions.into_iter().next() {
            terms::keep_unasked(form, &mut terms, newest.terms)?;
        }
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
