//! When a partner's usage is invoiced within the period: by its plan, or as an operator says.

use crate::{components::*, flash::Flash};
use domain::{id::PartnerId, rating::OwnThreshold};
use leptos::prelude::*;
use store::Subscription;

const FORM: &str = "partners/threshold";

/// What counts now, and for admins the form.
pub(super) fn card(
    id: PartnerId,
    (plan, own): (Option<&Subscription>, Option<OwnThreshold>),
    may_change: bool,
    flash: &Flash,
) -> impl IntoView + use<> {
    let of_plan = plan.and_then(|plan| plan.terms.invoice_threshold(None));
    let in_force = plan.and_then(|plan| plan.terms.invoice_threshold(own));
    let text = match in_force {
        Some(amount) => format!("An invoice is made whenever usage that is on none comes to {amount}."),
        None => "Usage is invoiced when the period ends.".to_owned(),
    };
    let by_plan = of_plan.map_or_else(|| "None".to_owned(), |amount| amount.to_string());
    let choices = vec![
        Choice::new("plan", "As the plan says").hint(by_plan),
        Choice::new("never", "No threshold invoices"),
        Choice::new("own", "An amount of its own"),
    ];
    let (value, amount) = match own {
        None => ("plan", String::new()),
        Some(OwnThreshold::Never) => ("never", String::new()),
        Some(OwnThreshold::At(amount)) => ("own", amount.to_input()),
    };
    let value = flash.typed(FORM, "own", value);
    let amount = flash.typed(FORM, "invoice_threshold", &amount);
    let own_error = flash.problem(FORM, "own");
    let error = flash.problem(FORM, "invoice_threshold").or(own_error);
    let currency = plan.map_or("", |plan| plan.terms.currency.code());
    let form = may_change.then(|| {
        view! {
            <Form action="/do/console/partners/threshold">
                <input type="hidden" name="partner" value=id.to_string()/>
                <RadioCards legend="Threshold" name="own" id="field-own" choices=choices value=value/>
                <TextField label="Amount" name="amount" id="field-invoice_threshold" value=amount error=error hint="Only for an amount of its own" suffix=currency inputmode="decimal" narrow=true autocomplete="off"/>
                <FormActions><Button>"Save"</Button></FormActions>
            </Form>
        }
    });
    view! {
        <Card title="Threshold invoices" description=text>{form}</Card>
    }
}
