//! `/console/partners/{partner}/plan?version=&when=`: what a change of a partner's plan means, before an operator makes it.

use crate::{
    api::plan::refused,
    components::*,
    flash::flash,
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{change_shown::Shown, pricing::names::Names},
    viewer,
};
use billing::Wanted;
use domain::{
    id::PartnerId,
    plan_change::{Direction, When},
};
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};
use store::{OrderedBy, Wish};

/// What an operator chose: a plan version, or `none`.
pub fn wanted(version: &str, when: &str) -> Option<Wanted> {
    let wish = match version {
        "none" => Wish::Nothing,
        version => Wish::Version(version.parse().ok()?),
    };
    let when = if when.is_empty() { When::Usual } else { when.parse().ok()? };
    Some(Wanted { wish, when, by: OrderedBy::Operator })
}

#[component]
pub fn PartnerPlanPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("partner");
    let asked = use_query_map().get_untracked();
    let problems = flash().problems;
    page(async move {
        let cx = cx?;
        let id: PartnerId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let store = &cx.state.store;
        let partner = store.partner(id).await?;
        let (version, when) = (asked.get("version").unwrap_or_default(), asked.get("when").unwrap_or_default());
        let back = format!("/console/partners/{id}");
        let trail = vec![Crumb::new("Partners", "/console/partners"), Crumb::new(partner.name.clone(), back.clone())];
        let looked = match wanted(&version, &when) {
            None => Err("Choose a plan version on the partner's page first.".to_owned()),
            Some(wanted) => match billing::preview_change(store, id, wanted, cx.now).await {
                Ok(proposal) => Ok(proposal),
                Err(error) => Err(refused(error)?),
            },
        };
        let ends = matches!(&looked, Ok(proposal) if proposal.preview.direction == Direction::Cancel);
        let body = match looked {
            Err(why) => view! {
                <Card>
                    <EmptyState title="Nothing to change" text=why icon=IconName::Layers>
                        <ButtonLink href=back.clone()>"Back to the partner"</ButtonLink>
                    </EmptyState>
                </Card>
            }
            .into_any(),
            Ok(proposal) => {
                let products = store.all_products().await?.into_iter().map(|line| (line.code, line.name)).collect();
                let (old, new) = (
                    proposal.from.as_ref().map(|own| own.terms.clone()),
                    proposal.to.as_ref().map(|target| target.terms.clone()),
                );
                let token = proposal.token.clone();
                let shown = Shown { proposal, old, new, products, names: Names::codes(), own: false };
                // Beside no plan there is nothing to compare.
                let terms = (!ends).then(|| shown.terms());
                let facts = shown.facts();
                let (button, kind, keep) = match ends {
                    true => ("End the plan", ButtonKind::Danger, "Keep the plan"),
                    false => ("Change the plan", ButtonKind::Primary, "Cancel"),
                };
                view! {
                    {terms}
                    <Card title="When and what it costs" description="The partner's owners, admins and billing members get an e-mail.">
                        <Stack>
                            {facts}
                            <Form action="/do/console/partners/assign">
                                <input type="hidden" name="partner" value=id.to_string()/>
                                <input type="hidden" name="version" value=version/>
                                <input type="hidden" name="when" value=when/>
                                <input type="hidden" name="preview" value=token/>
                                <FormActions cancel=back cancel_label=keep><Button kind=kind>{button}</Button></FormActions>
                            </Form>
                        </Stack>
                    </Card>
                }
                .into_any()
            }
        };
        let title = format!("{} the plan of {}", if ends { "End" } else { "Change" }, partner.name);
        Ok(view! {
            <PageTitle text=title.clone()/>
            <OperatorFrame cx=cx path="/console/partners">
                <Breadcrumbs trail=trail current="Change of plan"/>
                <PageHeader title=title/>
                <ErrorSummary problems=problems/>
                {body}
            </OperatorFrame>
        })
    })
}
