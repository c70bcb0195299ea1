//! `/credit`: a partner's prepaid units, grant by grant; and the same table for the console.

use super::{
    credit::Balance,
    credit_allocations::{self, Allocations, Forms},
    credit_bound::bound_card,
    credit_offer::{offer, purchases_card, sold_to},
    credit_top_up::{TOP_UP, top_up_card},
    payment,
};
use crate::{
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageTitle, page},
    pages::time_text::{local_date, local_zone},
    viewer,
};
use domain::{credit::package::CreditPackage, money::group_thousands, role::MemberRole};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::{CreditGrant, GrantState, Subscription};

const BUY: &str = "credit/buy";

#[component]
pub fn CreditPage() -> impl IntoView {
    let cx = viewer::member();
    let checkout = use_query_map().get_untracked().get("checkout");
    page(async move {
        let cx = cx?;
        let store = &cx.state.store;
        let own = store.subscription(cx.viewer.partner).await?;
        let balance = Balance::load(&cx, own.as_ref()).await?;
        let grants = store.credit_grants(cx.viewer.partner).await?;
        let zone = local_zone(&store.partner(cx.viewer.partner).await?.time_zone);
        let packages = sold_to(store.credit_packages().await?, own.as_ref());
        let purchases = store.credit_purchases(cx.viewer.partner).await?;
        let takes_none = own.is_some() && balance.is_none();
        let balance_is_kept = balance.is_some();
        let card = balance.map(Balance::card);
        // Who has none either is told so where the grants would be.
        let tells_none_used = takes_none && !grants.is_empty();
        let begin = Begin::of(own.as_ref(), &packages, &cx.state.settings.provider_name);
        let grants = match grants.is_empty() {
            true => begin.card(),
            false => grants_card(grants, &zone, ""),
        };
        let paid = payment::came_of(&cx, checkout).await?;
        let back = payment::goes_back(&cx).await?;
        let flash = flash();
        let allocations = Allocations::load(store, cx.viewer.partner).await?;
        // Where nothing takes credit and none is allocated, there is nothing to say about it.
        let has_own = balance_is_kept || allocations.left() > 0;
        let bound = bound_card(store.bound_credit(cx.viewer.partner).await?, &zone);
        let may_allocate = matches!(cx.viewer.role, MemberRole::Owner | MemberRole::Admin);
        let forms =
            Forms { allocate: "/do/credit/allocate", give_back: "/do/credit/give-back", partner: None, flash: &flash };
        let own_units = has_own.then(|| allocations.cards(may_allocate.then_some(forms)));
        let standing = store.credit_top_up(cx.viewer.partner, cx.now).await?;
        let top_up = top_up_card(&packages, standing.as_ref(), &flash);
        let offer = offer(packages, (BUY, "/do/credit/buy"), (None, cx.state.stripe.is_some()), &flash);
        let purchases = purchases_card(purchases, &zone, "/invoices");
        // Both forms have a package and a number.
        let of_order = flash.problems_of(TOP_UP).into_iter().map(|(field, message)| match field.as_str() {
            "package" | "quantity" => (format!("top-up-{field}"), message),
            _ => (field, message),
        });
        let of_own = credit_allocations::problems(&flash);
        let problems: Vec<_> = flash.problems_of(BUY).into_iter().chain(of_order).chain(of_own).collect();
        Ok(view! {
            <PageTitle text="Credit"/>
            <MemberFrame cx=cx path="/credit">
                <PageHeader title="Credit" description="Units that were given to you or paid for beforehand, and what became of them."/>
                {tells_none_used.then(|| view! { <Notice>"Your plan does not use prepaid units, so calls use none of these."</Notice> })}
                <ErrorSummary problems=problems/>
                {back}
                {paid}
                {card}
                {offer}
                {top_up}
                {bound}
                {own_units}
                {grants}
                {purchases}
            </MemberFrame>
        })
    })
}

/// What somebody does who has no prepaid units yet.
struct Begin {
    title: &'static str,
    text: String,
    /// Where, and what the button says.
    next: Option<(&'static str, &'static str)>,
}

impl Begin {
    fn of(own: Option<&Subscription>, packages: &[(String, CreditPackage)], provider: &str) -> Self {
        let Some(own) = own else {
            let text =
                "Prepaid units are for plans whose calls take them. Choose a plan first; it says whether it does."
                    .to_owned();
            return Self { title: "Choose a plan first", text, next: Some(("/plan", "See the plans")) };
        };
        let credit = own.terms.admission.credit;
        if !credit.required {
            let text = format!("{} bills calls without them. There is nothing to do here.", own.plan_name);
            return Self { title: "Your plan needs no prepaid units", text, next: Some(("/plan", "See your plan")) };
        }
        let text = match (credit.allotment, packages.is_empty()) {
            (Some(allotment), _) => format!(
                "{} gives {} units when each period begins, within seconds of it. They will be listed here.",
                own.plan_name,
                group_thousands(allotment.units)
            ),
            (None, false) => "Buy a package above. Once its invoice is paid its units are listed here, and calls can use them at once.".to_owned(),
            (None, true) => format!("Calls take prepaid units. Ask {provider} for some; they will be listed here."),
        };
        Self { title: "No prepaid units yet", text, next: None }
    }

    fn card(self) -> AnyView {
        let Self { title, text, next } = self;
        let state = match next {
            None => view! { <EmptyState title=title text=text icon=IconName::Card/> }.into_any(),
            Some((href, label)) => view! {
                <EmptyState title=title text=text icon=IconName::Card>
                    <ButtonLink href=href kind=ButtonKind::Primary>{label}</ButtonLink>
                </EmptyState>
            }
            .into_any(),
        };
        view! { <Card flush=true>{state}</Card> }.into_any()
    }
}

/// The grants, the newest first.
pub fn grants_card(grants: Vec<CreditGrant>, zone: &TimeZone, none: &'static str) -> AnyView {
    if grants.is_empty() {
        return view! {
            <Card flush=true><EmptyState title="No prepaid credit" text=none icon=IconName::Card/></Card>
        }
        .into_any();
    }
    let rows = grants.into_iter().map(|grant| row(grant, zone)).collect_view();
    view! {
        <Card
            title="Grants"
            description="Calls use the lowest priority first, then what expires first, then what was given before what was paid for. Each hour is booked when it is over."
            flush=true
        >
            <DataTable
                caption="Grants"
                caption_hidden=true
                columns=vec![
                    Column::text("For"),
                    Column::text("State"),
                    Column::text("Expires"),
                    Column::numeric("Units"),
                    Column::numeric("Used"),
                    Column::numeric("Left"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn row(grant: CreditGrant, zone: &TimeZone) -> impl IntoView + use<> {
    let (state, tone) = match grant.state {
        GrantState::Waiting => ("Not yet", Tone::Neutral),
        GrantState::Usable => ("Usable", Tone::Success),
        GrantState::Expired => ("Expired", Tone::Neutral),
        GrantState::Voided => ("Taken back", Tone::Neutral),
    };
    let expires = grant.expires_at.map_or_else(|| "Never".to_owned(), |at| local_date(at, zone));
    let kind = kind_text(&grant);
    view! {
        <tr>
            <Cell label="For" head=true>{grant.reason} " " <span class="invoice-prepaid">{kind}</span></Cell>
            <Cell label="State"><Badge text=state tone=tone/></Cell>
            <Cell label="Expires">{expires}</Cell>
            <Cell label="Units" numeric=true><SignedFigure value=grant.units/></Cell>
            <Cell label="Used" numeric=true><Figure value=grant.used/></Cell>
            <Cell label="Left" numeric=true><Figure value=grant.left/></Cell>
        </tr>
    }
}

/// `Paid, $8,500.00, for calls of Payments`.
fn kind_text(grant: &CreditGrant) -> String {
    let kind = match grant.kind {
        domain::credit::GrantKind::Promotional => "Promotional",
        domain::credit::GrantKind::Compensation => "Compensation",
        domain::credit::GrantKind::Paid => "Paid",
    };
    let kind = grant.cost.map_or_else(|| kind.to_owned(), |cost| format!("{kind}, {cost}"));
    grant.bound_words().map_or_else(|| kind.clone(), |products| format!("{kind}, for calls of {products} only"))
}
