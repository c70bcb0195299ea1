//! `/console/partners/{partner}/correct`: a correction of a partner's usage, before it is tried.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer,
};
use domain::id::PartnerId;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

const FORM: &str = "corrections/draft";

const KINDS: [(&str, &str, &str); 3] = [
    (
        "void",
        "Void calls",
        "Calls that should not count: they cost no units, and are in no total of an open period. What meters measured of them stays.",
    ),
    (
        "set_units",
        "Set units",
        "Calls that cost the wrong number of units. Of several, only those that cost something are changed.",
    ),
    ("back_fill", "Back-fill", "Calls that nobody counted. They are billed, and held against no quota."),
];

#[component]
pub fn NewCorrectionPage() -> impl IntoView {
    let cx = viewer::operator();
    let partner = use_params_map().get_untracked().get("partner");
    let query = use_query_map().get_untracked();
    let flash = flash();
    page(async move {
        let cx = cx?;
        let partner: PartnerId = partner.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let name = cx.state.store.partner(partner).await?.name;
        let asked = query.get("kind").unwrap_or_default();
        let (kind, _, about) = KINDS.into_iter().find(|(code, ..)| *code == asked).unwrap_or(KINDS[0]);
        let products = cx.state.store.all_products().await?;
        let products: Vec<Choice> = products.into_iter().map(|line| Choice::new(line.code, line.name)).collect();
        let four_eyes = cx.state.settings.four_eyes;
        let request = query.get("request").unwrap_or_default();
        let address = move |kind: &str| format!("/console/partners/{partner}/correct?kind={kind}");
        let tabs = KINDS.iter().map(|(code, label, _)| Tab::new(*label, address(code))).collect();
        let trail = vec![
            Crumb::new("Partners", "/console/partners"),
            Crumb::new(name.clone(), format!("/console/partners/{partner}")),
        ];
        let problems = flash.problems_of(FORM);
        Ok(view! {
            <PageTitle text="Correct usage"/>
            <OperatorFrame cx=cx path="/console/corrections">
                <Breadcrumbs trail=trail current="Correct usage"/>
                <PageHeader title="Correct usage" description=format!("Of {name}. {about}")/>
                <ErrorSummary problems=problems/>
                <Tabs label="What is wrong" tabs=tabs current=address(kind)/>
                <Fields partner=partner kind=kind products=products request=request flash=flash/>
                <p class="key-note">
                    {if four_eyes {
                        "It is tried first, and changes nothing until another operator has approved it."
                    } else {
                        "It is tried first, and changes nothing until you have approved and applied it."
                    }}
                </p>
            </OperatorFrame>
        })
    })
}

#[component]
fn Fields(
    partner: PartnerId,
    kind: &'static str,
    products: Vec<Choice>,
    /// A request id that the address brings.
    request: String,
    flash: Flash,
) -> impl IntoView {
    let flash = StoredValue::new(flash);
    let typed = move |field: &str| flash.with_value(|flash| flash.typed(FORM, field, ""));
    let problem = move |field: &str| flash.with_value(|flash| flash.problem(FORM, field));
    let request = flash.with_value(|flash| flash.typed(FORM, "request_id", &request));
    let fills = kind == "back_fill";
    let environments = vec![Choice::new("live", "Live"), Choice::new("test", "Test")];
    let when = if fills {
        view! {
            <TextField label="When" name="at" value=typed("at") error=problem("at") required=true narrow=true
                kind="datetime-local" hint="In UTC"/>
        }
        .into_any()
    } else {
        view! {
            <FormRow>
                <TextField label="From" name="from" value=typed("from") error=problem("from") kind="datetime-local" hint="In UTC"/>
                <TextField label="To" name="to" value=typed("to") error=problem("to") kind="datetime-local" hint="In UTC; this instant is not in it"/>
            </FormRow>
            <FormRow>
                <TextField
                    label="Request id" name="request_id" value=request error=problem("request_id") mono=true
                    hint="Of one call; of a report from outside, its id. Then no times are needed"
                />
                <TextField
                    label="Told by" name="source" value=typed("source") error=problem("source") mono=true
                    hint="The source of a report from outside"
                />
            </FormRow>
        }
        .into_any()
    };
    let units = match kind {
        "set_units" => Some(("Units of each call", "0 lets the call count and cost nothing")),
        "back_fill" => Some(("Units", "Of all of the calls together")),
        _ => None,
    };
    let blank = if fills { "Live" } else { "Both" };
    view! {
        <Card>
            <Form action="/do/console/corrections/draft">
                <input type="hidden" name="partner" value=partner.to_string()/>
                <input type="hidden" name="kind" value=kind/>
                {when}
                <FormRow>
                    <SelectField label="Product" name="product" choices=products value=typed("product") error=problem("product") blank=if fills { "None" } else { "All" }/>
                    <TextField label="Operation" name="operation" value=typed("operation") error=problem("operation") mono=true hint="Its code; leave it out for all of the product"/>
                </FormRow>
                <SelectField label="Environment" name="environment" choices=environments value=typed("environment") error=problem("environment") blank=blank/>
                {fills
                    .then(|| view! {
                        <TextField label="Calls" name="calls" value=typed("calls") error=problem("calls") required=true narrow=true inputmode="numeric"/>
                    })}
                {units
                    .map(|(label, hint)| view! {
                        <TextField label=label name="units" value=typed("units") error=problem("units") required=true narrow=true inputmode="numeric" hint=hint/>
                    })}
                <TextArea label="Why" name="reason" rows=3 value=typed("reason") error=problem("reason") required=true
                    hint="The partner reads this. Up to 500 characters"/>
                <FormActions cancel=format!("/console/partners/{partner}")>
                    <Button kind=ButtonKind::Primary>"Try it"</Button>
                </FormActions>
            </Form>
        </Card>
    }
}
