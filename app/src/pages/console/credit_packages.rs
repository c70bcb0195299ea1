//! `/console/credit-packages`: what of prepaid units is sold, and the form that changes it.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::credit_offer::words,
    viewer,
};
use domain::{credit::package::CreditPackage, money::Currency, role::OperatorRole};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const SAVE: &str = "credit-packages/save";

#[component]
pub fn CreditPackagesPage() -> impl IntoView {
    let cx = viewer::operator();
    let chosen = use_query_map().with_untracked(|query| query.get("package"));
    let flash = flash();
    page(async move {
        let cx = cx?;
        let packages = cx.state.store.credit_packages().await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let changed = chosen.and_then(|chosen| packages.iter().find(|(code, _)| *code == chosen).cloned());
        let problems = flash.problems_of(SAVE);
        let form = may_change.then(|| form(changed, flash));
        let list = list(packages, may_change);
        Ok(view! {
            <PageTitle text="Credit packages"/>
            <OperatorFrame cx=cx path="/console/credit-packages">
                <PageHeader
                    title="Credit packages"
                    description="Prepaid units that partners buy. A purchase is an invoice of its own, and its units can be used once it is paid."
                />
                <ErrorSummary problems=problems/>
                {list}
                {form}
            </OperatorFrame>
        })
    })
}

fn list(packages: Vec<(String, CreditPackage)>, may_change: bool) -> AnyView {
    if packages.is_empty() {
        let text = if may_change { "Add one below; partners buy it on their credit page." } else { "Nothing is sold." };
        return view! { <Card flush=true><EmptyState title="No packages yet" text=text icon=IconName::Card/></Card> }
            .into_any();
    }
    let row = |(code, package): (String, CreditPackage)| {
        let (text, tone) = if package.withdrawn { ("Withdrawn", Tone::Neutral) } else { ("Sold", Tone::Success) };
        let plans = if package.plans.is_empty() { "All in its currency".to_owned() } else { package.plans.join(", ") };
        let words = words(&package);
        let name = match may_change {
            true => view! { <a href=format!("/console/credit-packages?package={code}#package")>{package.name}</a> }
                .into_any(),
            false => package.name.into_any(),
        };
        view! {
            <tr>
                <Cell label="Package" head=true>{name} " " <code>{code}</code></Cell>
                <Cell label="State"><Badge text=text tone=tone/></Cell>
                <Cell label="Terms">{words}</Cell>
                <Cell label="Plans">{plans}</Cell>
            </tr>
        }
    };
    let rows = packages.into_iter().map(row).collect_view();
    view! {
        <Card flush=true>
            <DataTable
                caption="Credit packages"
                caption_hidden=true
                columns=vec![
                    Column::text("Package"),
                    Column::text("State"),
                    Column::text("Terms"),
                    Column::text("Plans"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

fn form(changed: Option<(String, CreditPackage)>, flash: Flash) -> AnyView {
    let title =
        changed.as_ref().map_or_else(|| "Add a package".to_owned(), |(_, package)| format!("Change {}", package.name));
    let is_new = changed.is_none();
    let is_withdrawn = changed.as_ref().is_some_and(|(_, package)| package.withdrawn);
    let held = move |field: &str| -> String {
        let Some((code, package)) = &changed else { return String::new() };
        match field {
            "code" => code.clone(),
            "name" => package.name.clone(),
            "units" => package.units.to_string(),
            "price" => package.price.to_string(),
            "currency" => package.currency.code().to_owned(),
            "discounts" => {
                let steps = package.discounts.iter().map(|one| format!("{}: {}", one.from, one.percent.normalize()));
                steps.collect::<Vec<_>>().join(", ")
            }
            "valid_days" => package.valid_days.map(|days| days.to_string()).unwrap_or_default(),
            "plans" => package.plans.join(", "),
            _ => String::new(),
        }
    };
    // A step's own field is a part of the one that is typed.
    let steps = flash.problems_of(SAVE).into_iter().find(|(field, _)| field.starts_with("discounts"));
    let withdrawn = !flash.typed(SAVE, "withdrawn", if is_withdrawn { "true" } else { "" }).is_empty();
    let said = flash.clone();
    let typed = move |field: &str| said.typed(SAVE, field, &held(field));
    let problem = move |field: &str| flash.problem(SAVE, field);
    let [(units, units_error), (price, price_error), (currency, currency_error)] =
        ["units", "price", "currency"].map(|field| (typed(field), problem(field)));
    let currencies: Vec<_> = Currency::ALL.into_iter().map(|one| Choice::new(one.code(), one.code())).collect();
    view! {
        <Card title=title description="Packages that were bought before stay as they were." id="package">
            <Form action="/do/console/credit-packages/save">
                <TextField label="Code" name="package[code]" id="field-code" value=typed("code") error=problem("code") hint="Lower-case letters, digits and hyphens. Saving a code that exists changes that package" required=true readonly=!is_new mono=true maxlength=64/>
                <TextField label="Name" name="package[name]" id="field-name" value=typed("name") error=problem("name") hint="Partners read it, also on invoices" required=true maxlength=100/>
                <FormRow>
                    <TextField label="Units" name="package[units]" id="field-units" value=units error=units_error required=true inputmode="numeric"/>
                    <TextField label="Price of a package" name="package[price]" id="field-price" value=price error=price_error required=true inputmode="decimal"/>
                    <SelectField label="Currency" name="package[currency]" id="field-currency" choices=currencies value=currency error=currency_error required=true/>
                </FormRow>
                <TextField label="Volume discount" name="package[discounts]" id="field-discounts" value=typed("discounts") error=steps.map(|(_, message)| message) hint="From how many packages on, and the percent off all of them, as 5: 10, 10: 15"/>
                <TextField label="Valid for" name="package[valid_days]" id="field-valid_days" value=typed("valid_days") error=problem("valid_days") suffix="days" hint="From when they are paid. Empty: for ever" inputmode="numeric" narrow=true/>
                <TextField label="Plans" name="package[plans]" id="field-plans" value=typed("plans") error=problem("plans") hint="Codes of the plans that it is sold to, with commas. Empty: all in its currency"/>
                <CheckField label="No longer sold" name="package[withdrawn]" checked=withdrawn/>
                <FormActions><Button kind=ButtonKind::Primary>"Save"</Button></FormActions>
            </Form>
        </Card>
    }
    .into_any()
}
