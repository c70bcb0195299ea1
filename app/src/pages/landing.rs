//! `/`: what the provider sells and how to begin. Who is signed in goes on to where they work.

mod hero;
mod steps;

use crate::{
    components::{ButtonKind, ButtonLink, EmptyState, Icon, IconName, Size},
    form::see_other,
    frames::PublicFrame,
    page::{PageTitle, page},
    pages::pricing::{Tiers, tiers},
    viewer::{self, Viewer},
};
use domain::product::Visibility;
use leptos::prelude::*;
use store::ProductLine;

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
        let tiers = tiers(&cx.state).await?;
        let public =
            all.iter().filter(|product| product.visibility == Visibility::Public && product.archived_at.is_none());
        let public: Vec<ProductLine> = public.cloned().collect();
        let provider = cx.state.settings.provider_name.clone();
        let example = public.first().map(|product| format!("{}{}", cx.state.settings.gateway_url, product.route));
        let example = example.unwrap_or_else(|| cx.state.settings.gateway_url.clone());
        let plans = (!tiers.is_empty()).then(|| {
            view! {
                <section class="landing-section" aria-labelledby="plans">
                    <header class="landing-head">
                        <h2 id="plans">"Pay for what you call"</h2>
                        <p>"Start free of charge, and move up when your traffic does. " <a href="/pricing">"All prices in detail"</a></p>
                    </header>
                    <Tiers tiers products=all viewer=Viewer::Nobody chosen=None/>
                </section>
            }
        });
        Ok(view! {
            <PageTitle text=format!("{provider} for developers")/>
            <PublicFrame cx path="/">
                <div class="landing">
                    <hero::Hero provider=provider.clone() example/>
                    <Products products=public/>
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

#[component]
fn Products(products: Vec<ProductLine>) -> impl IntoView {
    let body = if products.is_empty() {
        view! {
            <EmptyState
                title="The catalogue opens when you sign in"
                text="Which APIs you see depends on your plan."
                icon=IconName::Box
            >
                <ButtonLink href="/sign-up">"Sign up"</ButtonLink>
            </EmptyState>
        }
        .into_any()
    } else {
        let cards = products.into_iter().map(|product| {
            let count = match product.operations {
                1 => "1 operation".to_owned(),
                count => format!("{count} operations"),
            };
            view! {
                <li class="landing-product">
                    <span class="landing-product-icon"><Icon name=IconName::Box/></span>
                    <h3>{product.name}</h3>
                    <p>{product.summary}</p>
                    <p class="landing-product-facts"><code>{product.route}</code> <span>{count}</span></p>
                </li>
            }
        });
        let cards = cards.collect_view();
        view! { <ul class="landing-products">{cards}</ul> }.into_any()
    };
    view! {
        <section class="landing-section" aria-labelledby="products">
            <header class="landing-head">
                <h2 id="products">"What you can build on"</h2>
                <p>"Each API with its reference, code in six languages, and a console to try it in."</p>
            </header>
            {body}
        </section>
    }
}
