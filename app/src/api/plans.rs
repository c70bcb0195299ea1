//! Forms about plans. Changing the terms makes a new version; partners stay on the one they have.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

#[cfg(feature = "ssr")]
mod admission;
#[cfg(feature = "ssr")]
mod bargain;
#[cfg(feature = "ssr")]
mod by_operation;
#[cfg(feature = "ssr")]
pub mod meter_prices;
#[cfg(feature = "ssr")]
pub mod offers;
#[cfg(feature = "ssr")]
pub mod save;
#[cfg(feature = "ssr")]
mod terms;
#[cfg(feature = "ssr")]
mod unpaid;

/// The plan form as it is typed; every field may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct PlanForm {
    /// The plan that is changed; empty for a new one.
    pub id: String,
    /// The partner whose own plan a new one is, and the version that it was derived from; both empty for any other.
    pub partner: String,
    pub from: String,
    /// Whether to show what the terms would do, and save nothing.
    pub preview: String,
    pub code: String,
    pub name: String,
    pub summary: String,
    pub position: String,
    pub private: String,
    pub approval: String,
    pub currency: String,
    pub interval: String,
    /// Decimal text, as `49.00`.
    pub base_fee: String,
    /// Decimal text.
    pub included_credit: String,
    /// Decimal text; empty for no threshold invoices.
    pub invoice_threshold: String,
    /// `free`, `per_unit`, `graduated`, `volume`, `package` or `matrix`.
    pub model: String,
    pub included_units: String,
    /// Decimal text: of a unit, or of a package.
    pub unit_price: String,
    pub package_size: String,
    /// Last unit of each step, empty for the last one; beside `step_price`.
    pub step_up_to: Vec<String>,
    /// Decimal texts; an empty one is no step.
    pub step_price: Vec<String>,
    pub quota_units: String,
    /// Empty for no trial.
    pub trial_days: String,
    /// `everything`, `base_fee` or `usage`.
    pub trial_free: String,
    /// Empty for the plan's quota.
    pub trial_units: String,
    /// As `beyond`.
    pub trial_beyond: String,
    /// `block`, `bill` or `warn`.
    pub beyond: String,
    /// Calls by window code.
    pub limits: HashMap<String, String>,
    /// `none`, `all` or `some` by product code.
    pub opens: HashMap<String, String>,
    /// `product/operation`, for products that are opened in part.
    pub operations: Vec<String>,
    /// One a line.
    pub features: String,
    /// `invoice_items` or `meter_events`.
    pub collect: String,
    /// `arrears` or `advance`.
    pub fee_due: String,
    /// `anchored` or `calendar`.
    pub periods: String,
    /// `period_end` or `at_once`.
    pub downgrade: String,
    /// `whole` or `prorated`.
    pub quota_on_change: String,
    /// Days.
    pub grace_days: String,
    /// Features that gates of operations ask for, one a line.
    pub opens_features: String,
    pub admission: AdmissionForm,
    pub bargain: BargainForm,
    pub matrix: MatrixForm,
    pub meters: MeterPricesForm,
    pub offers: OffersForm,
    pub unpaid: UnpaidForm,
}

/// The part of the form about prices by product and operation; decimal texts. Lists have a text for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct MatrixForm {
    /// `product/operation`, or a product alone.
    pub what: Vec<String>,
    pub price: Vec<String>,
    pub otherwise: String,
}

/// The part of the form about phases and promotions. Lists have a text for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct OffersForm {
    /// Not empty where the form asked for them; else those of the version before are kept.
    pub asked: String,
    pub name: Vec<String>,
    /// Billing periods of a phase; empty for a promotion.
    pub periods: Vec<String>,
    /// Days of a promotion, as `2027-03-31`.
    pub from: Vec<String>,
    pub until: Vec<String>,
    /// Decimal texts, as all that follow; empty for the plan's.
    pub base_fee: Vec<String>,
    pub included: Vec<String>,
    pub unit_price: Vec<String>,
    pub minimum: Vec<String>,
    pub included_credit: Vec<String>,
}

/// The part of the form about prices of meters; decimal texts. Lists have a text for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct MeterPricesForm {
    /// Not empty where the form asked for them; else those of the version before are kept.
    pub asked: String,
    /// `product/meter`.
    pub meter: Vec<String>,
    /// `free`, `per_unit`, `graduated`, `volume`, `package` or `percentage`.
    pub model: Vec<String>,
    pub included: Vec<String>,
    /// Of one, or of a package.
    pub price: Vec<String>,
    pub size: Vec<String>,
    /// As `1000: 0.01; 0.005`.
    pub steps: Vec<String>,
    /// Of a hundred.
    pub percent: Vec<String>,
    pub unit_value: Vec<String>,
    pub fixed: Vec<String>,
    pub cap: Vec<String>,
}

/// The part of the form about the least that a period costs, and what is taken off; decimal texts. Lists have a text for each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct BargainForm {
    /// Not empty where the form asked for them; else those of the version before are kept.
    pub asked: String,
    pub minimum: String,
    pub commitment: String,
    /// Where each part of the usage charges ends, empty for the last one.
    pub committed_up_to: Vec<String>,
    /// Of a hundred; an empty one is no part.
    pub committed_percent: Vec<String>,
    /// A discount's; without name and percentage it is none.
    pub name: Vec<String>,
    /// Of a hundred.
    pub percent: Vec<String>,
    /// `everything`, `base_fee` or `usage`.
    pub on: Vec<String>,
    /// Empty for good.
    pub periods: Vec<String>,
}

/// The part of the form about invoices that stay unpaid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct UnpaidForm {
    pub grace_days: String,
    pub limited_days: String,
    /// Of a hundred.
    pub limited_percent: String,
    /// Calls by window code.
    pub limited_limits: HashMap<String, String>,
    /// Decimal text.
    pub minimum: String,
}

/// The part of the form about admission beyond the partner's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct AdmissionForm {
    /// Calls by window code, for each app.
    pub app_limits: HashMap<String, String>,
    /// Calls by window code, for each key.
    pub key_limits: HashMap<String, String>,
    pub concurrency: String,
    /// `burst_through`, `spread` or `hybrid`.
    pub pace: String,
    pub throttle_from: String,
    pub throttle_delay_ms: String,
    pub soft: String,
    pub credit: String,
    /// As `pace`.
    pub credit_pace: String,
    pub credit_per_minute: String,
    pub allotment: String,
    pub rollover_percent: String,
    pub rollover_cap: String,
    pub rollover_periods: String,
    pub fee_bonus: String,
    pub fee_bonus_days: String,
    pub overdraft: String,
    pub overdraft_price: String,
}

/// Adds a plan, or changes one: its name and place at once, its terms as a new version.
#[server(prefix = "/do", endpoint = "console/plans/save")]
pub async fn save_plan(#[server(default)] plan: PlanForm) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = match (plan.id.is_empty(), save::derived(&plan)) {
        (false, _) => format!("/console/plans/{}", plan.id),
        (true, Some((partner, from))) => format!("/console/plans/new?for={partner}&from={from}"),
        (true, None) => "/console/plans/new".to_owned(),
    };
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let store = &cx.state.store;
        match plan.preview.is_empty() || plan.id.is_empty() {
            true => save::save(store, &plan, actor, cx.now).await,
            false => save::look(store, &plan).await,
        }
    };
    let outcome = outcome.await;
    let typed = terms::typed(&plan);
    let typed: Vec<(&str, &str)> = typed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    form::answer("plans/save", &back, &typed, outcome)
}

/// Saves the form whose terms' effect was looked at, as if it had been saved at once.
#[server(prefix = "/do", endpoint = "console/plans/publish")]
pub async fn publish_terms(plan: String, terms: String) -> Result<(), ServerFnError> {
    use crate::{form, viewer};
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let kept = save::kept(&plan, &terms);
        let form = kept
            .ok_or_else(|| form::Failure::whole("These terms were kept for a while only; fill in the form again."))?;
        save::save(&cx.state.store, &form, store::Actor::Operator(cx.viewer.id), cx.now).await
    };
    form::answer("plans/publish", &back, &[], outcome.await)
}

/// Moves every partner of a plan to its newest version.
#[server(prefix = "/do", endpoint = "console/plans/move")]
pub async fn move_partners(plan: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let moved = terms::move_all(&cx.state.store, form::id(&plan)?, actor, cx.now).await?;
        let notice = match moved {
            1 => "1 partner moved to the newest version.".to_owned(),
            moved => format!("{moved} partners moved to the newest version."),
        };
        Ok(Done::go(&back).saying(notice))
    };
    form::answer("plans/move", &back, &[], outcome.await)
}

/// Lets a partner see and choose a private plan.
#[server(prefix = "/do", endpoint = "console/plans/name")]
pub async fn name_partner(plan: String, #[server(default)] partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done, Failure},
        viewer,
    };
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let partner = partner.parse().map_err(|_| Failure::field("partner", "Choose a partner"))?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.name_partner_for_plan(partner, form::id(&plan)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("The partner sees the plan and may choose it."))
    };
    form::answer("plans/name", &back, &[], outcome.await)
}

/// Takes back that a partner may choose a private plan.
#[server(prefix = "/do", endpoint = "console/plans/unname")]
pub async fn unname_partner(plan: String, partner: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        cx.state.store.unname_partner_for_plan(form::id(&partner)?, form::id(&plan)?, actor, cx.now).await?;
        Ok(Done::go(&back).saying("The partner no longer sees the plan. Where it is on it, it stays."))
    };
    form::answer("plans/unname", &back, &[], outcome.await)
}

/// Takes a plan off the pricing page, or puts it back.
#[server(prefix = "/do", endpoint = "console/plans/archive")]
pub async fn archive_plan(plan: String, #[server(default)] restore: String) -> Result<(), ServerFnError> {
    use crate::{
        form::{self, Done},
        viewer,
    };
    let back = format!("/console/plans/{plan}");
    let outcome = async {
        let cx = viewer::operator()?;
        let actor = store::Actor::Operator(cx.viewer.id);
        let id = form::id(&plan)?;
        if restore.is_empty() {
            cx.state.store.archive_plan(id, actor, cx.now).await?;
            Ok(Done::go(&back).saying("Archived. Nobody can choose it; partners who are on it stay."))
        } else {
            cx.state.store.restore_plan(id, actor, cx.now).await?;
            Ok(Done::go(&back).saying("The plan can be chosen again."))
        }
    };
    form::answer("plans/archive", &back, &[], outcome.await)
}
