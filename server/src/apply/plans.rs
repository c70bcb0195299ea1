//! Plans of the file, in the order of the pricing page.

use super::{ACTOR, ApplyError, Desired, Walk, at, report::differ};
use domain::{plan::PlanTerms, setup::PlanSetup};
use store::{NewPlan, PlanMeta, StoreError};

impl Walk<'_> {
    /// Who may choose private plans, and whose own some are; it comes when the partners are there.
    pub(super) async fn named_partners(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        for (code, setup) in &desired.setup.plans {
            for partner in &setup.partners {
                self.named_partner(code, partner).await.map_err(at(format!("plans.{code}.partners")))?;
            }
            if let (Some(base), Some(partner)) = (&setup.derived_from, setup.partners.first()) {
                self.own_plan(code, base, partner).await.map_err(at(format!("plans.{code}.derived_from")))?;
            }
        }
        Ok(())
    }

    async fn named_partner(&mut self, code: &str, partner: &str) -> Result<(), StoreError> {
        let plan = self.store.find_plan_by_code(code).await?;
        let there = self.store.find_partner_by_code(partner).await?;
        let subject = format!("{partner} for {code}");
        let (Some(plan), Some(there)) = (plan, there) else {
            self.report.created("partner of a private plan", subject);
            return Ok(());
        };
        if self.store.partners_named_for_plan(plan.id).await?.iter().any(|(named, _)| *named == there.id) {
            self.report.compared("partner of a private plan", subject, Vec::new());
            return Ok(());
        }
        self.report.created("partner of a private plan", subject);
        if self.applies() {
            self.store.name_partner_for_plan(there.id, plan.id, ACTOR, self.now).await?;
        }
        Ok(())
    }

    async fn own_plan(&mut self, code: &str, base: &str, partner: &str) -> Result<(), StoreError> {
        let (plan, base_plan) = (self.store.find_plan_by_code(code).await?, self.store.find_plan_by_code(base).await?);
        let there = self.store.find_partner_by_code(partner).await?;
        let subject = format!("{code}, {partner}'s own");
        let (Some(plan), Some(newest), Some(there)) = (plan, base_plan.as_ref().and_then(|plan| plan.newest()), there)
        else {
            self.report.created("own plan", subject);
            return Ok(());
        };
        if self.store.plan_origin(plan.id).await?.is_some_and(|origin| origin.partner == there.id) {
            self.report.compared("own plan", subject, Vec::new());
            return Ok(());
        }
        self.report.created("own plan", subject);
        if self.applies() {
            self.store.make_plan_own(there.id, plan.id, newest.id, ACTOR, self.now).await?;
        }
        Ok(())
    }

    pub(super) async fn plans(&mut self, desired: &Desired) -> Result<(), ApplyError> {
        for (position, (code, setup)) in (1..).zip(&desired.setup.plans) {
            let terms = setup.terms().map_err(ApplyError::Problems)?;
            let meta = meta(setup, position);
            self.plan(code, meta, terms).await.map_err(at(format!("plans.{code}")))?;
        }
        Ok(())
    }

    async fn plan(&mut self, code: &str, meta: PlanMeta, terms: PlanTerms) -> Result<(), StoreError> {
        let Some(there) = self.store.find_plan_by_code(code).await? else {
            self.report.created("plan", code);
            if self.applies() {
                let new = NewPlan { code: code.to_owned(), meta, terms };
                self.store.create_plan(&new, ACTOR, self.now).await?;
            }
            return Ok(());
        };
        let mut details = Vec::new();
        differ(&mut details, "name", &there.meta.name, &meta.name);
        differ(&mut details, "summary", &there.meta.summary, &meta.summary);
        differ(&mut details, "place on the pricing page", there.meta.position, meta.position);
        differ(&mut details, "private", there.meta.private, meta.private);
        differ(&mut details, "approval", there.meta.approval.code(), meta.approval.code());
        let meta_differs = !details.is_empty();
        let terms_differ = there.newest().is_none_or(|newest| newest.terms != terms);
        if terms_differ {
            let old = there.newest().map(|newest| &newest.terms);
            let version = there.newest().map_or(1, |newest| newest.version + 1);
            details.push(format!("version {version}, because of {}", changed_terms(old, &terms)));
        }
        if there.archived_at.is_some() {
            details.push("archived: yes -> no".to_owned());
        }
        if self.applies() {
            if there.archived_at.is_some() {
                self.store.restore_plan(there.id, ACTOR, self.now).await?;
            }
            if meta_differs {
                self.store.update_plan(there.id, &meta, ACTOR, self.now).await?;
            }
            if terms_differ {
                self.store.add_plan_version(there.id, &terms, ACTOR, self.now).await?;
            }
        }
        self.report.compared("plan", code, details);
        Ok(())
    }
}

fn meta(setup: &PlanSetup, position: i32) -> PlanMeta {
    PlanMeta {
        name: setup.name.clone(),
        summary: setup.summary.clone(),
        position,
        private: setup.private,
        approval: setup.approval,
    }
}

/// The names of the terms that differ.
fn changed_terms(old: Option<&PlanTerms>, new: &PlanTerms) -> String {
    let object = |terms: &PlanTerms| serde_json::to_value(terms).unwrap_or_default();
    let (old, new) = (old.map(object).unwrap_or_default(), object(new));
    let names = new.as_object().into_iter().flatten().filter(|(name, value)| old.get(name.as_str()) != Some(*value));
    names.map(|(name, _)| name.replace('_', " ")).collect::<Vec<_>>().join(", ")
}
