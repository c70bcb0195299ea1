//! What of prepaid units is for sale to a partner, and what it has bought: on its own page and in the console.

use crate::{
    components::*,
    flash::Flash,
    pages::{invoices::InvoiceState, time_text::local_date},
};
use domain::{credit::package::CreditPackage, money::group_thousands};
use jiff::tz::TimeZone;
use leptos::prelude::*;
use store::{CreditPurchase, Subscription};
use uuid::Uuid;

/// The packages that a partner with this plan may buy.
pub fn sold_to(packages: Vec<(String, CreditPackage)>, own: Option<&Subscription>) -> Vec<(String, CreditPackage)> {
    let Some(own) = own else { return Vec::new() };
    if !own.terms.admission.credit.required {
        return Vec::new();
    }
    packages.into_iter().filter(|(_, package)| package.is_sold_to(&own.plan_code, own.terms.currency)).collect()
}

/// The offer as it is shown: what somebody buys is compared with it.
pub fn as_text(packages: &[(String, CreditPackage)]) -> String {
    packages.iter().map(|(code, package)| format!("{code}: {} ", words(package))).collect()
}

/// `1,000,000 units for $1,000.00, 10 % off from 5, 15 % off from 10. They expire 365 days after they are paid.`
pub fn words(package: &CreditPackage) -> String {
    let one = package.cost(1).map(|cost| cost.to_string()).unwrap_or_default();
    let mut words = format!("{} units for {one}", group_thousands(package.units));
    for discount in &package.discounts {
        words.push_str(&format!(
            ", {} % off from {}",
            discount.percent.normalize(),
            group_thousands(discount.from.into())
        ));
    }
    match package.valid_days {
        Some(1) => words.push_str(". They expire a day after they are paid."),
        Some(days) => words.push_str(&format!(". They expire {days} days after they are paid.")),
        None => words.push_str(". They do not expire."),
    }
    words
}

/// The form that buys; nothing where nothing is for sale. `partner` is whom an operator sells to; `pays_now` is whether it can be paid at once,
/// on a page of Stripe's.
pub fn offer(
    packages: Vec<(String, CreditPackage)>,
    (form, action): (&'static str, &'static str),
    (partner, pays_now): (Option<String>, bool),
    flash: &Flash,
) -> Option<AnyView> {
    if packages.is_empty() {
        return None;
    }
    let shown = as_text(&packages);
    let lines: Vec<_> = packages.iter().map(|(_, package)| (package.name.clone(), words(package))).collect();
    let lines =
        lines.into_iter().map(|(name, words)| view! { <li><strong>{name}</strong> ": " {words}</li> }).collect_view();
    let choices: Vec<_> = packages.into_iter().map(|(code, package)| Choice::new(code, package.name)).collect();
    let first = choices.first().map(|choice| choice.value.clone()).unwrap_or_default();
    let package = flash.typed(form, "package", &first);
    let quantity = flash.typed(form, "quantity", "1");
    let (wrong_package, wrong_quantity) = (flash.problem(form, "package"), flash.problem(form, "quantity"));
    let description = match pays_now {
        true => {
            "Paid at Stripe, the units can be used a few seconds later, and who gives up there owes nothing. On an invoice they can be used once that is paid."
        }
        false => "Each purchase is an invoice of its own. The units can be used once it is paid.",
    };
    let buttons = match pays_now {
        true => view! {
            <FormActions>
                <Button kind=ButtonKind::Primary icon=IconName::External name="how" value="now">"Pay at Stripe"</Button>
                <Button name="how" value="invoice">"Buy on an invoice"</Button>
            </FormActions>
        }
        .into_any(),
        false => view! { <FormActions><Button kind=ButtonKind::Primary>"Buy"</Button></FormActions> }.into_any(),
    };
    let once = format!("form-{}", Uuid::now_v7());
    Some(
        view! {
            <Card title="Buy units" description=description>
                <Stack>
                    <ul>{lines}</ul>
                    <Form action=action label="Buy units">
                        {partner.map(|partner| view! { <input type="hidden" name="partner" value=partner/> })}
                        <input type="hidden" name="once" value=once/>
                        <input type="hidden" name="shown" value=shown/>
                        <SelectField label="Package" name="package" choices=choices value=package error=wrong_package required=true/>
                        <TextField label="How many" name="quantity" value=quantity error=wrong_quantity inputmode="numeric" narrow=true required=true/>
                        {buttons}
                    </Form>
                </Stack>
            </Card>
        }
        .into_any(),
    )
}

/// The purchases, the newest first; nothing where there is none. `at` is what the addresses of invoices begin with.
pub fn purchases_card(purchases: Vec<CreditPurchase>, zone: &TimeZone, at: &str) -> Option<AnyView> {
    if purchases.is_empty() {
        return None;
    }
    let row = |one: CreditPurchase| {
        let href = format!("{at}/{}", one.invoice);
        let number = format!("TP-{:06}", one.number);
        let bought = local_date(one.bought_at, zone);
        view! {
            <tr>
                <Cell label="Invoice" head=true><a href=href>{number}</a></Cell>
                <Cell label="Bought">{bought}</Cell>
                <Cell label="For">{format!("{} × {}", group_thousands(one.quantity.into()), one.package.name)}</Cell>
                <Cell label="State"><InvoiceState status=one.status/></Cell>
                <Cell label="Units" numeric=true><Figure value=one.units/></Cell>
                <Cell label="Cost" numeric=true><MoneyText amount=one.cost/></Cell>
            </tr>
        }
    };
    let rows = purchases.into_iter().map(row).collect_view();
    Some(
        view! {
            <Card title="Purchases" description="Units become a grant when their invoice is paid." flush=true>
                <DataTable
                    caption="Purchases"
                    caption_hidden=true
                    columns=vec![
                        Column::text("Invoice"),
                        Column::text("Bought"),
                        Column::text("For"),
                        Column::text("State"),
                        Column::numeric("Units"),
                        Column::numeric("Cost"),
                    ]
                    stack=true
                >
                    {rows}
                </DataTable>
            </Card>
        }
        .into_any(),
    )
}
