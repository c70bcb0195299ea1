//! `/`: what the provider sells and how to begin. Who is signed in goes on to where they work.

mod hero;
mod products;
mod steps;

use crate::{
    components::{ButtonKind, ButtonLink, Size},
    form::see_other,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::pricing::{Tiers, names, tiers, today},
    viewer::{self, Viewer},
};
use domain::product::Visibility;
use leptos::prelude::*;

/// As many products as the page shows; the catalogue has them all.
const MOST_PRODUCTS: usize = 12;

#[component]
pub fn LandingPage() -> impl IntoView {
    let cx = viewer::anyone();
    page(async move {
        let cx = cx?;
        match cx.viewer {
            Viewer::Nobody => {}
            Viewer::Member(_) => see_other("/home"),
            Viewer::Operator(_) => see_other("/console"),
        }
        let all = cx.state.store.all_products().await?;
        let today = today(&cx.viewer, cx.now);
        let tiers = tiers(&cx.state, None).await?;
        let names = names(&cx.state, None, &tiers).await?;
        let public = all.iter().filter(|one| one.visibility == Visibility::Public && one.archived_at.is_none());
        let mut shown = Vec::new();
        for product in public.take(MOST_PRODUCTS) {
            shown.push(cx.state.store.product(product.id).await?);
        }
        let provider = cx.state.settings.provider_name.clone();
        let example = format!("{}{}", cx.state.settings.gateway_url, products::example_path(&shown));
        let plans = (!tiers.is_empty()).then(|| {
            view! {
                <section class="landing-section" aria-labelledby="plans">
                    <header class="landing-head">
                        <h2 id="plans">"Pay for what you call"</h2>
                        <p>"Start free of charge, and move up when your traffic does. " <a href="/pricing">"All prices in detail"</a></p>
                    </header>
                    <Tiers tiers products=all names viewer=Viewer::Nobody chosen=None today/>
                </section>
            }
        });
        Ok(view! {
            <PageTitle text=format!("{provider} for developers")/>
            <PublicFrame cx path="/">
                <div class="landing">
                    <hero::Hero provider=provider.clone() example/>
                    <products::Products products=shown/>
                    <steps::Steps/>
                    {plans}
                    <section class="landing-end">
                        <h2>{format!("Make your first call to {provider} today")}</h2>
                        <ButtonLink href="/sign-up" kind=ButtonKind::Primary size=Size::Large>"Create an account"</ButtonLink>
                    </section>
                </div>
            </PublicFrame>
        })
    })
}
