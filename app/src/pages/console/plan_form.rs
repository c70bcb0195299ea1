//! The form of a plan's terms, for a new plan and for the next version of one.

use crate::{components::*, flash::Flash};
use domain::{
    id::{PartnerId, PlanVersionId},
    limit::{Limit, Window},
    money::{Currency, Money},
    period::{Alignment, Interval},
    plan::{Approval, Collect, PlanTerms},
    plan_change::{Downgrade, QuotaOnChange},
    quota::Beyond,
    rating::{FeeDue, discount::DiscountOn, price::Price},
};
use leptos::prelude::*;
use store::{Plan, PlanMeta, Product};

mod admission;
mod bargain;
mod by_operation;
mod meter_prices;
mod offers;
mod unpaid;

const FORM: &str = "plans/save";

/// Steps of a graduated price that the form offers.
const STEPS: usize = 5;

/// What a partner's own plan begins with.
#[derive(Debug, Clone)]
pub struct Basis {
    pub partner: PartnerId,
    pub partner_name: String,
    pub from: PlanVersionId,
    /// `Pro, version 3`.
    pub version_name: String,
    /// The code that is proposed; may be empty.
    pub code: String,
    pub meta: PlanMeta,
    pub terms: PlanTerms,
}

/// All fields; `there` is the plan whose next version is made, `basis` what a partner's own plan begins with.
#[component]
pub fn PlanTermsForm(
    there: Option<Plan>,
    #[prop(optional_no_strip)] basis: Option<Basis>,
    products: Vec<Product>,
    flash: Flash,
) -> impl IntoView {
    let newest = there.as_ref().and_then(|plan| plan.newest()).map(|newest| newest.terms.clone());
    let terms = newest.or_else(|| basis.as_ref().map(|basis| basis.terms.clone()));
    let fields = Fields { flash: flash.clone(), terms };
    let meta = there.as_ref().map(|plan| plan.meta.clone()).or_else(|| basis.as_ref().map(|basis| basis.meta.clone()));
    let is_new = there.is_none();
    let id = there.as_ref().map(|plan| plan.id.to_string()).unwrap_or_default();
    let proposed = basis.as_ref().map(|basis| basis.code.clone()).unwrap_or_default();
    let code = fields.typed("code", there.as_ref().map_or(proposed, |plan| plan.code.clone()));
    let name = fields.typed("name", meta.as_ref().map(|meta| meta.name.clone()).unwrap_or_default());
    let summary = fields.typed("summary", meta.as_ref().map(|meta| meta.summary.clone()).unwrap_or_default());
    let position = fields.typed("position", meta.as_ref().map_or("0".to_owned(), |meta| meta.position.to_string()));
    let private =
        fields.typed("private", meta.as_ref().map_or(String::new(), |meta| meta.private.to_string())) == "true";
    let approval =
        fields.typed("approval", meta.as_ref().map_or(Approval::Automatic, |meta| meta.approval).code().to_owned());
    let approvals = vec![
        Choice::new("automatic", "At once").hint("A partner who chooses it has it"),
        Choice::new("queue", "After approval").hint("It waits until an operator says yes"),
    ];
    let (name_error, code_error, position_error) =
        (fields.problem("name"), fields.problem("code"), fields.problem("position"));
    let proposals = Proposals::of(&products);
    let opens = fields.opens(products);
    let limits = fields.limits("limits", fields.terms.as_ref().map_or(&[], |terms| &terms.limits));
    let (admission, credit, unpaid) = (fields.admission(), fields.credit(), fields.unpaid());
    let opened = fields.typed(
        "opens_features",
        fields.terms.as_ref().map(|terms| terms.opens_features.join("\n")).unwrap_or_default(),
    );
    let quota = fields.quota();
    let trial = fields.trial();
    let changes = fields.changes();
    let price = fields.price(&proposals);
    let (meters, offers) = (fields.meter_prices(&proposals), fields.offers());
    let features =
        fields.typed("features", fields.terms.as_ref().map(|terms| terms.features.join("\n")).unwrap_or_default());
    let collects = vec![
        Choice::new(Collect::InvoiceItems.code(), "Invoice items").hint("We rate; Stripe collects our total"),
        Choice::new(Collect::MeterEvents.code(), "Meter events").hint("Stripe rates the units that we report"),
    ];
    let collect = fields
        .typed("collect", fields.terms.as_ref().map_or(Collect::InvoiceItems, |terms| terms.collect).code().to_owned());
    let (cancel, button) = match (&there, &basis) {
        (None, None) => ("/console/plans".to_owned(), "Add plan"),
        (None, Some(basis)) => (format!("/console/partners/{}", basis.partner), "Add the partner's own plan"),
        (Some(plan), _) => (format!("/console/plans/{}", plan.id), "Save as the next version"),
    };
    let whose = match basis {
        None => view! {
            <CheckField label="Private: only for partners whom operators name or assign it to" name="plan[private]" id="field-private" checked=private/>
        }
        .into_any(),
        Some(basis) => view! {
            <input type="hidden" name="plan[private]" value="true"/>
            <input type="hidden" name="plan[partner]" value=basis.partner.to_string()/>
            <input type="hidden" name="plan[from]" value=basis.from.to_string()/>
            <p class="field-hint">{format!("Private: only {} sees it and may choose it.", basis.partner_name)}</p>
        }
        .into_any(),
    };
    let try_first =
        (!is_new).then(|| view! { <Button name="plan[preview]" value="true">"See what the terms would cost"</Button> });
    view! {
        <Form action="/do/console/plans/save" wide=true>
            <ErrorSummary problems=flash.problems_of(FORM)/>
            <input type="hidden" name="plan[id]" value=id/>
            <FormSection title="Name" description="How the pricing page shows it.">
                <FormRow>
                    <TextField label="Name" name="plan[name]" id="field-name" value=name error=name_error required=true maxlength=100 autocomplete="off"/>
                    <TextField label="Code" name="plan[code]" id="field-code" value=code error=code_error hint="Never changes" required=true maxlength=64 mono=true readonly=!is_new autocomplete="off"/>
                </FormRow>
                <TextField label="Summary" name="plan[summary]" id="field-summary" value=summary hint="One sentence for the pricing page" maxlength=300 autocomplete="off"/>
                <TextArea label="Features" name="plan[features]" id="field-features" value=features rows=4 hint="One per line. Products, limits and quota are added automatically"/>
                <TextField label="Place on the pricing page" name="plan[position]" id="field-position" value=position error=position_error hint="Lower numbers come first" inputmode="numeric" narrow=true autocomplete="off"/>
            </FormSection>
            <FormSection title="Who gets it" description="And from when on.">
                <RadioCards legend="In force" name="plan[approval]" id="field-approval" choices=approvals value=approval/>
                {whose}
            </FormSection>
            <FormSection title="What it opens" description="Partners do not see a closed product, unless it is public.">
                {opens}
                <TextArea label="Gated features" name="plan[opens_features]" id="field-opens_features" value=opened rows=2 mono=true hint="Names that gates of operations ask for, one a line"/>
            </FormSection>
            <FormSection title="Limits" description="Calls in any second, minute, hour or day, for each partner; live and test apart. Empty: no limit.">
                {limits}
                {admission}
            </FormSection>
            <FormSection title="Quota" description="Units in a billing period. Empty: no quota.">{quota}</FormSection>
            <FormSection title="Trial" description="For a partner who never had the plan. Its first period that is paid begins where the trial ends.">{trial}</FormSection>
            <FormSection title="Credit" description="Prepaid units, for calls beyond the quota or for every call where there is none.">{credit}</FormSection>
            <FormSection title="Price" description="In the currency's units, as 49.00. Test calls are never charged.">{price}</FormSection>
            <FormSection title="Meters" description="Prices of what products measure besides units. Without a price a meter costs nothing.">{meters}</FormSection>
            <FormSection title="Phases and promotions" description="What it costs instead: in a partner's first billing periods after a trial, or in those that begin between two days.">{offers}</FormSection>
            <FormSection title="Unpaid invoices" description="Empty: nothing follows.">{unpaid}</FormSection>
            <FormSection title="Stripe" description="Where a Stripe key is configured.">
                <RadioCards legend="How an invoice reaches Stripe" name="plan[collect]" id="field-collect" choices=collects value=collect/>
            </FormSection>
            <FormSection title="Changes of plan" description="When partners come to this plan, or leave it for a smaller one.">{changes}</FormSection>
            <FormActions cancel=cancel><Button kind=ButtonKind::Primary>{button}</Button>{try_first}</FormActions>
        </Form>
    }
}

/// What was typed, or what the newest version says.
struct Fields {
    flash: Flash,
    terms: Option<PlanTerms>,
}

impl Fields {
    fn typed(&self, field: &str, otherwise: String) -> String {
        self.flash.typed(FORM, field, &otherwise)
    }

    fn problem(&self, field: &str) -> Option<String> {
        self.flash.problem(FORM, field)
    }

    fn amount(&self, field: &str, read: fn(&PlanTerms) -> Money) -> String {
        self.typed(field, self.terms.as_ref().map_or("0".to_owned(), |terms| read(terms).to_input()))
    }

    fn opens(&self, products: Vec<Product>) -> AnyView {
        if products.is_empty() {
            return view! { <p>"There are no products yet. " <a href="/console/products/new">"Add one"</a></p> }
                .into_any();
        }
        let chosen = self.typed("operations", String::new());
        let rows = products.into_iter().map(|product| {
            let code = product.line.code.clone();
            let grant = self.terms.as_ref().and_then(|terms| terms.grant(&code)).cloned();
            let now = match &grant {
                None => "none",
                Some(grant) if grant.operations.is_none() => "all",
                Some(_) => "some",
            };
            let value = self.typed(&format!("opens[{code}]"), now.to_owned());
            let choices =
                vec![Choice::new("none", "Closed"), Choice::new("all", "All operations"), Choice::new("some", "Chosen operations")];
            let boxes = product.operations.into_iter().map(|operation| {
                let value = format!("{code}/{}", operation.code);
                let checked = if chosen.is_empty() {
                    grant.as_ref().is_some_and(|grant| grant.opens(&operation.code))
                } else {
                    chosen.split(' ').any(|one| one == value)
                };
                let label = format!("{} {}", operation.method, operation.path);
                view! {
                    <CheckField
                        label=label
                        name="plan[operations][]"
                        id=format!("opens-{code}-{}", operation.code)
                        value=value
                        checked=checked
                        hint=operation.summary
                    />
                }
            });
            let boxes = boxes.collect_view();
            let open = value == "some";
            view! {
                <SelectField label=product.line.name name=format!("plan[opens][{code}]") id=format!("opens-{code}") choices=choices value=value/>
                <details open=open class="chosen-operations">
                    <summary>"Chosen operations"</summary>
                    <div class="chosen-list">{boxes}</div>
                </details>
            }
        });
        rows.collect_view().into_any()
    }

    /// A field for each window; `part` is the limits' name in the form.
    fn limits(&self, part: &str, limits: &[Limit]) -> AnyView {
        let rows = Window::ALL.into_iter().map(|window| {
            let field = format!("{part}[{}]", window.code());
            let own = limits.iter().find(|limit| limit.window == window);
            let value = self.typed(&field, own.map_or(String::new(), |limit| limit.calls.to_string()));
            let label = if window == Window::Hour { "An hour".to_owned() } else { format!("A {}", window.code()) };
            let error = self.problem(&field);
            let (name, id) =
                (in_plan(&field), format!("{}-{}", part.trim_end_matches(']').replace('[', "-"), window.code()));
            view! {
                <TextField
                    label=label
                    name=name
                    id=id
                    value=value
                    error=error
                    suffix="calls"
                    inputmode="numeric"
                    autocomplete="off"
                />
            }
        });
        let rows = rows.collect_view();
        view! { <FormRow>{rows}</FormRow> }.into_any()
    }

    fn quota(&self) -> AnyView {
        let own = self.terms.as_ref().and_then(|terms| terms.quota);
        let units = self.typed("quota_units", own.map_or(String::new(), |quota| quota.units.to_string()));
        let beyond = self.typed("beyond", own.map_or(Beyond::Block, |quota| quota.beyond).code().to_owned());
        let choices: Vec<Choice> = Beyond::ALL.iter().map(|one| Choice::new(one.code(), one.describe())).collect();
        let error = self.problem("quota_units");
        view! {
            <FormRow>
                <TextField label="Units" name="plan[quota_units]" id="field-quota_units" value=units error=error inputmode="numeric" autocomplete="off"/>
                <SelectField label="Beyond the quota" name="plan[beyond]" id="field-beyond" choices=choices value=beyond/>
            </FormRow>
        }
        .into_any()
    }

    fn trial(&self) -> AnyView {
        let own = self.terms.as_ref().and_then(|terms| terms.trial);
        let quota = own.and_then(|trial| trial.quota);
        let days = self.typed("trial_days", own.map_or(String::new(), |trial| trial.days.to_string()));
        let free = self.typed("trial_free", own.map_or(DiscountOn::Everything, |trial| trial.free).code().to_owned());
        let units = self.typed("trial_units", quota.map_or(String::new(), |quota| quota.units.to_string()));
        let beyond = self.typed("trial_beyond", quota.map_or(Beyond::Block, |quota| quota.beyond).code().to_owned());
        let frees = vec![
            Choice::new(DiscountOn::Everything.code(), "Base fee and usage"),
            Choice::new(DiscountOn::BaseFee.code(), "The base fee"),
            Choice::new(DiscountOn::Usage.code(), "Usage"),
        ];
        let beyonds: Vec<Choice> = Beyond::ALL.iter().map(|one| Choice::new(one.code(), one.describe())).collect();
        let days_error = self.problem("trial_days").or_else(|| self.problem("trial.days"));
        let (units_error, trial_error) = (self.problem("trial_units"), self.problem("trial"));
        let open = !days.is_empty()
            || !units.is_empty()
            || trial_error.is_some()
            || days_error.is_some()
            || units_error.is_some();
        view! {
            <details class="chosen-operations" open=open>
                <summary>"Free days at the beginning"</summary>
                {trial_error.map(|text| view! { <p class="field-error" id="field-trial">{text}</p> })}
                <FormRow>
                    <TextField label="Days" name="plan[trial_days]" id="field-trial_days" value=days error=days_error hint="Empty: no trial" inputmode="numeric" autocomplete="off"/>
                    <SelectField label="What is free" name="plan[trial_free]" id="field-trial_free" choices=frees value=free/>
                </FormRow>
                <FormRow>
                    <TextField label="Units in a trial" name="plan[trial_units]" id="field-trial_units" value=units error=units_error hint="For each billing period that it touches. Empty: the plan's quota" inputmode="numeric" autocomplete="off"/>
                    <SelectField label="Beyond the trial's units" name="plan[trial_beyond]" id="field-trial_beyond" choices=beyonds value=beyond/>
                </FormRow>
            </details>
        }
        .into_any()
    }

    fn changes(&self) -> AnyView {
        let own = self.terms.as_ref().map(|terms| terms.changes).unwrap_or_default();
        let downgrade = self.typed("downgrade", own.downgrade.code().to_owned());
        let quota = self.typed("quota_on_change", own.quota.code().to_owned());
        let downgrades = vec![
            Choice::new(Downgrade::PeriodEnd.code(), "When the period ends"),
            Choice::new(Downgrade::AtOnce.code(), "At once"),
        ];
        let quotas = vec![
            Choice::new(QuotaOnChange::Whole.code(), "The whole quota"),
            Choice::new(QuotaOnChange::Prorated.code(), "For the rest of the period, to the second"),
        ];
        let days = if own.grace_days == 0 { String::new() } else { own.grace_days.to_string() };
        let grace = self.typed("grace_days", days);
        let grace_error = self.problem("grace_days").or_else(|| self.problem("changes.grace_days"));
        let (downgrade_error, quota_error) = (self.problem("downgrade"), self.problem("quota_on_change"));
        view! {
            <FormRow>
                <SelectField label="A move to a smaller plan takes effect" name="plan[downgrade]" id="field-downgrade" choices=downgrades value=downgrade error=downgrade_error/>
                <SelectField label="Quota for those who join within a period" name="plan[quota_on_change]" id="field-quota_on_change" choices=quotas value=quota error=quota_error/>
                <TextField label="Days of grace after a move to a smaller plan" name="plan[grace_days]" id="field-grace_days" value=grace error=grace_error hint="0 to 90, with the limits and features from before. Fee, prices and quota are the smaller plan's at once" inputmode="numeric" autocomplete="off"/>
            </FormRow>
        }
        .into_any()
    }

    fn price(&self, proposals: &Proposals) -> AnyView {
        let terms = self.terms.as_ref();
        let currencies: Vec<Choice> = Currency::ALL.iter().map(|one| Choice::new(one.code(), one.code())).collect();
        let currency = self.typed("currency", terms.map_or(Currency::Usd, |terms| terms.currency).code().to_owned());
        let named = |interval: Interval| {
            let word = interval.word();
            Choice::new(interval.code(), format!("{}{}", word[..1].to_uppercase(), &word[1..]))
        };
        let intervals: Vec<Choice> = Interval::ALL.into_iter().map(named).collect();
        let interval = self.typed("interval", terms.map_or(Interval::Month, |terms| terms.interval).code().to_owned());
        let alignments = vec![
            Choice::new(Alignment::Anchored.code(), "When the subscription begins"),
            Choice::new(Alignment::Calendar.code(), "With the calendar, the first one in part"),
        ];
        let periods = self.typed("periods", terms.map_or(Alignment::Anchored, |terms| terms.periods).code().to_owned());
        let periods_error = self.problem("periods");
        let fee = self.amount("base_fee", PlanTerms::base_fee);
        let dues = vec![
            Choice::new(FeeDue::Arrears.code(), "When the period ends"),
            Choice::new(FeeDue::Advance.code(), "When the period begins"),
        ];
        let due = self.typed("fee_due", terms.map_or(FeeDue::Arrears, |terms| terms.fee_due).code().to_owned());
        let due_error = self.problem("fee_due");
        let credit = self.amount("included_credit", PlanTerms::included_credit);
        let threshold = terms.and_then(|terms| terms.invoice_threshold_micros);
        let threshold = match threshold {
            Some(_) => self.amount("invoice_threshold", |terms| {
                Money::new(terms.currency, terms.invoice_threshold_micros.unwrap_or_default())
            }),
            None => self.typed("invoice_threshold", String::new()),
        };
        let threshold_error = self.problem("invoice_threshold");
        let models = vec![
            Choice::new("free", "Free").hint("Usage costs nothing"),
            Choice::new("per_unit", "Per unit").hint("Some units included, each further one the same"),
            Choice::new("graduated", "Graduated").hint("Each step has its own price"),
            Choice::new("volume", "Volume").hint("All units have the price of the step that is reached"),
            Choice::new("package", "Package").hint("So much for each package that is begun"),
            Choice::new("matrix", "By operation").hint("Products and operations have prices of their own"),
        ];
        let mut package_size = String::new();
        let (model, included, unit) = match terms.map(|terms| &terms.price) {
            Some(Price::PerUnit { included, unit_price }) => ("per_unit", included.to_string(), unit_price.to_string()),
            Some(Price::Package { included, size, package_price }) => {
                package_size = size.to_string();
                ("package", included.to_string(), package_price.to_string())
            }
            Some(Price::Graduated { .. }) => ("graduated", String::new(), String::new()),
            Some(Price::Volume { .. }) => ("volume", String::new(), String::new()),
            Some(Price::Matrix { included, .. }) => ("matrix", included.to_string(), String::new()),
            // Units never have a percentage.
            Some(Price::Free | Price::Percentage(_)) | None => ("free", String::new(), String::new()),
        };
        let package_size = self.typed("package_size", package_size);
        let size_error = self.problem("package_size").or_else(|| self.problem("price.size"));
        let model = self.typed("model", model.to_owned());
        let included = self.typed("included_units", included);
        let unit = self.typed("unit_price", unit);
        let (fee_error, credit_error) = (self.problem("base_fee"), self.problem("included_credit"));
        let (included_error, unit_error) = (self.problem("included_units"), self.problem("unit_price"));
        let steps_error = self.problem("steps").or_else(|| self.problem("price.steps"));
        let steps = self.steps();
        let has_steps = matches!(terms.map(|terms| &terms.price), Some(Price::Graduated { .. } | Price::Volume { .. }));
        let open = steps_error.is_some() || has_steps;
        let by_operation = self.by_operation(proposals);
        let bargain = self.bargain();
        view! {
            <FormRow>
                <SelectField label="Currency" name="plan[currency]" id="field-currency" choices=currencies value=currency/>
                <SelectField label="Billing period" name="plan[interval]" id="field-interval" choices=intervals value=interval/>
                <SelectField label="Periods begin" name="plan[periods]" id="field-periods" choices=alignments value=periods error=periods_error/>
                <TextField label="Base fee" name="plan[base_fee]" id="field-base_fee" value=fee error=fee_error hint="For each period" inputmode="decimal" autocomplete="off"/>
                <SelectField label="Base fee is billed" name="plan[fee_due]" id="field-fee_due" choices=dues value=due error=due_error/>
                <TextField label="Included credit" name="plan[included_credit]" id="field-included_credit" value=credit error=credit_error hint="Taken off usage" inputmode="decimal" autocomplete="off"/>
            </FormRow>
            <TextField label="Threshold" name="plan[invoice_threshold]" id="field-invoice_threshold" value=threshold error=threshold_error hint="Whenever so much was used that is not invoiced, an invoice is made at once. Empty: only when the period ends" inputmode="decimal" narrow=true autocomplete="off"/>
            <RadioCards legend="Usage" name="plan[model]" id="field-model" choices=models value=model/>
            <FormRow>
                <TextField label="Included units" name="plan[included_units]" id="field-included_units" value=included error=included_error hint="Per unit, package, by operation" inputmode="numeric" autocomplete="off"/>
                <TextField label="Price" name="plan[unit_price]" id="field-unit_price" value=unit error=unit_error hint="Of a unit or package, as 0.005" inputmode="decimal" autocomplete="off"/>
                <TextField label="Units in a package" name="plan[package_size]" id="field-package_size" value=package_size error=size_error hint="Package only" inputmode="numeric" autocomplete="off"/>
            </FormRow>
            <details class="chosen-operations" open=open>
                <summary>"Steps of a graduated or volume price"</summary>
                {steps_error.map(|text| view! { <p class="field-error" id="field-steps">{text}</p> })}
                {steps}
            </details>
            {by_operation}
            {bargain}
        }
        .into_any()
    }

    fn steps(&self) -> AnyView {
        let own = match self.terms.as_ref().map(|terms| &terms.price) {
            Some(Price::Graduated { steps } | Price::Volume { steps }) => steps.clone(),
            _ => Vec::new(),
        };
        let (ends, prices) = (self.typed("step_up_to", String::new()), self.typed("step_price", String::new()));
        let rows = (0..STEPS.max(own.len() + 1)).map(|position| {
            let step = own.get(position);
            let end = ends.split(';').nth(position).filter(|end| !end.is_empty()).map(str::to_owned);
            let end = end.or_else(|| step.and_then(|step| step.up_to).map(|end| end.to_string()));
            let price = prices.split(';').nth(position).filter(|price| !price.is_empty()).map(str::to_owned);
            let price = price.or_else(|| step.map(|step| step.unit_price.to_string()));
            let number = position + 1;
            view! {
                <FormRow>
                    <TextField label=format!("Step {number}, up to unit") name="plan[step_up_to][]" id=format!("step-end-{number}") value=end hint="Empty in the last step" inputmode="numeric" autocomplete="off"/>
                    <TextField label="Price of a unit" name="plan[step_price][]" id=format!("step-price-{number}") value=price inputmode="decimal" autocomplete="off"/>
                </FormRow>
            }
        });
        rows.collect_view().into_any()
    }
}

/// Names that fields propose, as they are written there.
struct Proposals {
    /// Products, and `product/operation`.
    operations: Vec<String>,
    /// `product/meter`.
    meters: Vec<String>,
}

impl Proposals {
    fn of(products: &[Product]) -> Self {
        let mut proposals = Self { operations: Vec::new(), meters: Vec::new() };
        for product in products {
            let code = &product.line.code;
            proposals.operations.push(code.clone());
            proposals
                .operations
                .extend(product.operations.iter().map(|operation| format!("{code}/{}", operation.code)));
            proposals.meters.extend(product.policy.meters.keys().map(|meter| format!("{code}/{meter}")));
        }
        proposals
    }
}

/// A list that fields of that id propose from.
fn datalist(id: &'static str, values: &[String]) -> AnyView {
    let options = values.iter().cloned().map(|value| view! { <option value=value></option> }).collect_view();
    view! { <datalist id=id>{options}</datalist> }.into_any()
}

/// `limits[minute]` as the form sends it: `plan[limits][minute]`.
fn in_plan(field: &str) -> String {
    match field.split_once('[') {
        Some((name, rest)) => format!("plan[{name}][{rest}"),
        None => format!("plan[{field}]"),
    }
}
