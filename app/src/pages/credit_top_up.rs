//! The standing order that tops a partner's credit up: how it stands, for both sides, and the partner's form.

use super::credit_offer;
use crate::{components::*, flash::Flash};
use domain::{credit::package::CreditPackage, money::group_thousands};
use leptos::prelude::*;
use store::TopUpStanding;

/// The form's name in a flash.
pub const TOP_UP: &str = "credit/top-up";

/// `Below 1,000,000 units 1 × million is bought for $1,000.00, and never for more, up to $5,000.00 in a month; $1,000.00 in this one so
/// far.`
pub fn words(standing: &TopUpStanding) -> String {
    let top_up = &standing.top_up;
    let agreed = standing.agreed.map_or_else(String::new, |agreed| format!(" for {agreed}, and never for more,"));
    format!(
        "Below {} units {} × {} is bought{agreed} up to {} in a calendar month; {} in this one so far.",
        group_thousands(top_up.below),
        group_thousands(top_up.quantity.into()),
        top_up.package,
        top_up.monthly_cap,
        standing.spent
    )
}

/// How it stands, for an operator; nothing where there is none.
pub fn top_up_told(standing: Option<&TopUpStanding>) -> Option<AnyView> {
    let standing = standing?;
    let told = words(standing);
    let problem = problem(standing);
    Some(view! { <Card title="Automatic top-up"><p>{told}</p> {problem}</Card> }.into_any())
}

fn problem(standing: &TopUpStanding) -> Option<AnyView> {
    let text = standing.problem.clone()?;
    Some(view! { <Notice tone=Tone::Warning title="The last time nothing was bought">{text}</Notice> }.into_any())
}

/// The partner's card with its form; nothing where nothing is for sale and nothing is ordered.
pub fn top_up_card(
    packages: &[(String, CreditPackage)],
    standing: Option<&TopUpStanding>,
    flash: &Flash,
) -> Option<AnyView> {
    if packages.is_empty() && standing.is_none() {
        return None;
    }
    let order = standing.map(|standing| standing.top_up.clone());
    let verb = if order.is_some() { "Change" } else { "Top up by itself" };
    let first = packages.first().map(|(code, _)| code.clone()).unwrap_or_default();
    let held = move |field: &str| match (field, &order) {
        ("below", Some(order)) => order.below.to_string(),
        ("package", Some(order)) => order.package.clone(),
        ("quantity", Some(order)) => order.quantity.to_string(),
        ("monthly_cap", Some(order)) => order.monthly_cap.to_decimal().normalize().to_string(),
        ("quantity", None) => "1".to_owned(),
        ("package", None) => first.clone(),
        _ => String::new(),
    };
    let (said, wrong) = (flash.clone(), flash.clone());
    let typed = move |field: &str| said.typed(TOP_UP, field, &held(field));
    let problem_of = move |field: &str| wrong.problem(TOP_UP, field);
    let label = |package: &CreditPackage| {
        let one = package.cost(1).map(|cost| cost.to_string()).unwrap_or_default();
        format!("{}: {} units for {one}", package.name, group_thousands(package.units))
    };
    let shown = credit_offer::as_text(packages);
    let choices: Vec<_> = packages.iter().map(|(code, package)| Choice::new(code.clone(), label(package))).collect();
    let told = standing.map_or_else(
        || "When few units are left, a package is bought by itself, as if one of you had bought it. Nothing is ordered now.".to_owned(),
        words,
    );
    let problem = standing.and_then(problem);
    let stop = standing.map(|_| {
        view! { <Form action="/do/credit/top-up/stop" label="Stop the automatic top-up"><Button>"Stop it"</Button></Form> }
    });
    Some(
        view! {
            <Card title="Automatic top-up" description=told>
                {problem}
                <Form action="/do/credit/top-up/save" label="Automatic top-up">
                    <input type="hidden" name="shown" value=shown/>
                    <TextField label="When fewer are left than" name="below" id="field-below" value=typed("below") error=problem_of("below") hint="Of all that is left: what apps and teams have for themselves is part of it" suffix="units" inputmode="numeric" narrow=true required=true/>
                    <SelectField label="Package to buy" name="package" id="field-top-up-package" choices=choices value=typed("package") error=problem_of("package") required=true/>
                    <TextField label="Packages each time" name="quantity" id="field-top-up-quantity" value=typed("quantity") error=problem_of("quantity") inputmode="numeric" narrow=true required=true/>
                    <TextField label="At most in a month" name="monthly_cap" id="field-monthly_cap" value=typed("monthly_cap") error=problem_of("monthly_cap") hint="In the package's currency. Beyond it nothing is bought before the next month, and you are told" inputmode="decimal" narrow=true required=true/>
                    <FormActions><Button>{verb}</Button></FormActions>
                </Form>
                {stop}
            </Card>
        }
        .into_any(),
    )
}
