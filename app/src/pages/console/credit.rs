//! `/console/partners/{partner}/credit`: a partner's prepaid units; an operator gives some, or takes some back.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    pages::{
        credit_allocations::{self, Allocations, Forms},
        credit_bound::bound_card,
        credit_grants::grants_card,
        credit_offer::{offer, purchases_card, sold_to},
        credit_top_up::top_up_told,
        time_text::{local_date, local_zone},
    },
    viewer,
};
use domain::{
    credit::GrantKind,
    id::PartnerId,
    money::{Currency, group_thousands},
    role::OperatorRole,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{CreditGrant, GrantState};
use uuid::Uuid;

const GRANT: &str = "credit/grant";
const VOID: &str = "credit/void";
const SELL: &str = "credit/sell";

#[component]
pub fn PartnerCreditPage() -> impl IntoView {
    let cx = viewer::operator();
    let id = use_params_map().get_untracked().get("partner");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: PartnerId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let partner = cx.state.store.partner(id).await?;
        let standing = cx.state.store.credit(id).await?;
        let bound = bound_card(cx.state.store.bound_credit(id).await?, &local_zone(&partner.time_zone));
        let grants = cx.state.store.credit_grants(id).await?;
        let purchases = cx.state.store.credit_purchases(id).await?;
        let own = cx.state.store.subscription(id).await?;
        let packages = sold_to(cx.state.store.credit_packages().await?, own.as_ref());
        let allocations = Allocations::load(&cx.state.store, id).await?;
        let zone = local_zone(&partner.time_zone);
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(partner.name.clone(), format!("/console/partners/{id}")),
        ];
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let problems: Vec<_> = match credit_allocations::problems(&flash) {
            none if none.is_empty() => flash.problems.clone(),
            of_own => of_own,
        };
        let usable: Vec<_> =
            grants.iter().filter(|grant| grant.state == GrantState::Usable && grant.left > 0).collect();
        let choices: Vec<_> =
            usable.into_iter().map(|grant| Choice::new(grant.id.to_string(), choice_text(grant, &zone))).collect();
        let purchases = purchases_card(purchases, &zone, &format!("/console/partners/{id}/invoices"));
        let order = cx.state.store.credit_top_up(id, cx.now).await?;
        let top_up = top_up_told(order.as_ref());
        let to_sell = (SELL, "/do/console/credit/sell");
        let offer = may_change.then(|| offer(packages, to_sell, (Some(id.to_string()), false), &flash)).flatten();
        let own_units = {
            let to = Forms {
                allocate: "/do/console/credit/allocate",
                give_back: "/do/console/credit/give-back",
                partner: Some(id),
                flash: &flash,
            };
            // Who was never given any has none to allocate.
            let has_any = !grants.is_empty() || allocations.left() > 0;
            has_any.then(|| allocations.cards(may_change.then_some(to)))
        };
        let forms = may_change.then(|| {
            view! {
                <GrantForm partner=id flash=flash.clone()/>
                {(!choices.is_empty()).then(|| view! { <VoidForm partner=id choices=choices flash=flash/> })}
            }
        });
        let left = match standing.balance {
            0.. => group_thousands(standing.balance.unsigned_abs()),
            _ => format!("−{}", group_thousands(standing.balance.unsigned_abs())),
        };
        let overdraft = (standing.overdraft > 0).then(|| {
            let told = format!("{} units", group_thousands(standing.overdraft));
            view! { <Stat label="May go below zero" figure=told/> }
        });
        let billed = (standing.to_be_billed > 0).then(|| {
            let told = format!("{} units", group_thousands(standing.to_be_billed));
            view! { <Stat label="To be billed" figure=told/> }
        });
        let own = (standing.allocated > 0).then(|| {
            view! { <Stat label="Left to apps and teams" figure=group_thousands(standing.allocated)/> }
        });
        let for_some = (standing.bound > 0).then(|| {
            view! { <Stat label="Left for some products" figure=group_thousands(standing.bound)/> }
        });
        let card = grants_card(grants, &zone, "Grant units below, or sell the partner a package.");
        Ok(view! {
            <PageTitle text="Credit"/>
            <OperatorFrame cx=cx path="/console/partners">
                <Breadcrumbs trail=trail current="Credit"/>
                <PageHeader title="Credit" description=partner.name/>
                <ErrorSummary problems=problems/>
                <StatGrid>
                    <Stat label="Units left" figure=left/>
                    <Stat label="Granted" figure=group_thousands(standing.granted)/>
                    <Stat label="Used" figure=group_thousands(standing.used)/>
                    {overdraft}
                    {billed}
                    {own}
                    {for_some}
                </StatGrid>
                {bound}
                {card}
                {own_units}
                {top_up}
                {purchases}
                {offer}
                {forms}
            </OperatorFrame>
        })
    })
}

fn choice_text(grant: &CreditGrant, zone: &jiff::tz::TimeZone) -> String {
    let CreditGrant { reason, left, granted_at, .. } = grant;
    format!("{reason}, {}: {} left", local_date(*granted_at, zone), group_thousands(*left))
}

#[component]
fn GrantForm(partner: PartnerId, flash: Flash) -> impl IntoView {
    let kinds = [
        (GrantKind::Promotional, "Promotional: given away"),
        (GrantKind::Compensation, "Compensation: something went wrong"),
        (GrantKind::Paid, "Paid outside of the portal"),
    ];
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, label)| Choice::new(kind.code(), label)).collect();
    let currencies: Vec<_> = Currency::ALL.into_iter().map(|one| Choice::new(one.code(), one.code())).collect();
    let said = flash.clone();
    let typed = move |field: &str| said.typed(GRANT, field, "");
    let problem = move |field: &str| flash.problem(GRANT, field);
    let ((units, units_error), (kind, kind_error)) =
        ((typed("units"), problem("units")), (typed("kind"), problem("kind")));
    let ((cost, cost_error), (currency, currency_error)) =
        ((typed("cost"), problem("cost")), (typed("currency"), problem("currency")));
    let (expires, expires_error) = (typed("expires"), problem("expires").or_else(|| problem("expires_at")));
    let (priority, priority_error) = (typed("priority"), problem("priority"));
    let (products, products_error) = (typed("products"), problem("products"));
    view! {
        <Card title="Grant units" description="Calls can use them at once. A number below zero takes units back that no gateway holds.">
            <Form action="/do/console/credit/grant">
                <input type="hidden" name="grant[partner]" value=partner.to_string()/>
                <input type="hidden" name="grant[once]" value=format!("form-{}", Uuid::now_v7())/>
                <FormRow>
                    <TextField label="Units" name="grant[units]" id="field-units" value=units error=units_error required=true inputmode="numeric"/>
                    <SelectField label="Kind" name="grant[kind]" id="field-kind" choices=kinds value=kind error=kind_error required=true/>
                </FormRow>
                <TextField label="Reason" name="grant[reason]" id="field-reason" value=typed("reason") error=problem("reason") hint="The partner reads it" maxlength=200 required=true/>
                <FormRow>
                    <TextField label="Cost" name="grant[cost]" id="field-cost" value=cost error=cost_error hint="What a paid grant was sold for" inputmode="decimal"/>
                    <SelectField label="Currency" name="grant[currency]" id="field-currency" choices=currencies value=currency error=currency_error hint="Of the cost"/>
                </FormRow>
                <FormRow>
                    <TextField label="Expires" name="grant[expires]" id="field-expires_at" kind="date" value=expires error=expires_error hint="When that day begins in UTC. Empty: never"/>
                    <TextField label="Priority" name="grant[priority]" id="field-priority" value=priority error=priority_error hint="0 to 255, lower is used sooner. Empty: 100" inputmode="numeric"/>
                </FormRow>
                <TextField label="Only for products" name="grant[products]" id="field-products" value=products error=products_error hint="Their codes, with commas between them: calls of others do not spend it. Empty: every product" maxlength=2000/>
                <TextField label="Your reference" name="grant[reference]" id="field-reference" value=typed("reference") error=problem("reference") hint="Granting the same reference again changes nothing" maxlength=200/>
                <FormActions><Button kind=ButtonKind::Primary>"Grant"</Button></FormActions>
            </Form>
        </Card>
    }
}

#[component]
fn VoidForm(partner: PartnerId, choices: Vec<Choice>, flash: Flash) -> impl IntoView {
    view! {
        <Card title="Take a grant back" description="What is left of it, once gateways hold none of it. It cannot be undone; grant the units anew if need be.">
            <Form action="/do/console/credit/void">
                <input type="hidden" name="partner" value=partner.to_string()/>
                <SelectField label="Grant" name="grant" choices=choices blank="Choose a grant" value=flash.typed(VOID, "grant", "") error=flash.problem(VOID, "grant").or_else(|| flash.problem(VOID, "units")) required=true/>
                <TextField label="Reason" name="reason" id="field-void-reason" value=flash.typed(VOID, "reason", "") error=flash.problem(VOID, "reason") hint="For the audit log" maxlength=200 required=true/>
                <CheckField label="Its unused share is paid back, outside of the portal" name="refund" hint="What was bought by an invoice is paid back by a credit note over that" error=flash.problem(VOID, "refund")/>
                <FormActions><Button kind=ButtonKind::Danger>"Take it back"</Button></FormActions>
            </Form>
        </Card>
    }
}
