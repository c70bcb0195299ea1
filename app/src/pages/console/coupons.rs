//! `/console/coupons`: what partners can redeem, and the form that changes it.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageTitle, page},
    pages::time_text::local_date,
    viewer,
};
use domain::{money::Currency, money::group_thousands, role::OperatorRole};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use store::CouponLine;

const SAVE: &str = "coupons/save";

#[component]
pub fn CouponsPage() -> impl IntoView {
    let cx = viewer::operator();
    let chosen = use_query_map().with_untracked(|query| query.get("coupon"));
    let flash = flash();
    page(async move {
        let cx = cx?;
        let coupons = cx.state.store.coupons().await?;
        let may_change = cx.viewer.role == OperatorRole::Admin;
        let changed = chosen.and_then(|chosen| coupons.iter().find(|line| line.code == chosen).cloned());
        let problems = flash.problems_of(SAVE);
        let form = may_change.then(|| form(changed, flash));
        let list = list(coupons, may_change, cx.now);
        Ok(view! {
            <PageTitle text="Coupons"/>
            <OperatorFrame cx=cx path="/console/coupons">
                <PageHeader
                    title="Coupons"
                    description="Discounts on invoices. Partners redeem a code on their plan page, or you give them a coupon on the partner's page."
                />
                <ErrorSummary problems=problems/>
                {list}
                {form}
            </OperatorFrame>
        })
    })
}

fn list(coupons: Vec<CouponLine>, may_change: bool, now: Timestamp) -> AnyView {
    if coupons.is_empty() {
        let text = if may_change {
            "Add one below; partners redeem its code on their plan page."
        } else {
            "There is nothing to redeem."
        };
        return view! { <Card flush=true><EmptyState title="No coupons yet" text=text icon=IconName::Receipt/></Card> }
            .into_any();
    }
    let row = |CouponLine { code, coupon, redemptions }: CouponLine| {
        let is_full = coupon.max_redemptions.is_some_and(|most| redemptions >= most.into());
        let (text, tone) = match (coupon.withdrawn, coupon.redeem_until.is_some_and(|until| until <= now), is_full) {
            (true, ..) => ("Withdrawn", Tone::Neutral),
            (_, true, _) => ("Expired", Tone::Neutral),
            (.., true) => ("Used up", Tone::Neutral),
            _ => ("Open", Tone::Success),
        };
        let redeemed = match coupon.max_redemptions {
            Some(most) => format!("{} of {}", group_thousands(redemptions), group_thousands(most.into())),
            None => group_thousands(redemptions),
        };
        let until = coupon.redeem_until.map(|until| local_date(last_day(until), &TimeZone::UTC));
        let until = until.unwrap_or_else(|| "Any day".to_owned());
        let plans = if coupon.plans.is_empty() { "All".to_owned() } else { coupon.plans.join(", ") };
        let words = coupon.words();
        let name = match may_change {
            true => view! { <a href=format!("/console/coupons?coupon={code}#coupon")>{coupon.name}</a> }.into_any(),
            false => coupon.name.into_any(),
        };
        view! {
            <tr>
                <Cell label="Coupon" head=true>{name} " " <code>{code}</code></Cell>
                <Cell label="State"><Badge text=text tone=tone/></Cell>
                <Cell label="What"><span>{words}</span></Cell>
                <Cell label="Redeemed">{redeemed}</Cell>
                <Cell label="Until">{until}</Cell>
                <Cell label="Plans">{plans}</Cell>
            </tr>
        }
    };
    let columns = ["Coupon", "State", "What", "Redeemed", "Until", "Plans"].map(Column::text).to_vec();
    let rows = coupons.into_iter().map(row).collect_view();
    view! {
        <Card flush=true>
            <DataTable caption="Coupons" caption_hidden=true columns=columns stack=true>{rows}</DataTable>
        </Card>
    }
    .into_any()
}

/// The last day of which something is left before that instant.
fn last_day(until: Timestamp) -> Timestamp {
    until.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(until)
}

fn form(changed: Option<CouponLine>, flash: Flash) -> AnyView {
    let title =
        changed.as_ref().map_or_else(|| "Add a coupon".to_owned(), |line| format!("Change {}", line.coupon.name));
    let is_new = changed.is_none();
    let is_withdrawn = changed.as_ref().is_some_and(|line| line.coupon.withdrawn);
    let held = move |field: &str| -> String {
        let Some(CouponLine { code, coupon, .. }) = &changed else { return String::new() };
        match field {
            "code" => code.clone(),
            "name" => coupon.name.clone(),
            "percent" => coupon.percent.map(|percent| percent.normalize().to_string()).unwrap_or_default(),
            "amount" => coupon.amount.map(|amount| amount.to_string()).unwrap_or_default(),
            "currency" => coupon.currency.map(|currency| currency.code().to_owned()).unwrap_or_default(),
            "periods" => coupon.periods.map(|periods| periods.to_string()).unwrap_or_default(),
            "redeem_until" => coupon
                .redeem_until
                .map(|until| last_day(until).to_zoned(TimeZone::UTC).date().to_string())
                .unwrap_or_default(),
            "max_redemptions" => coupon.max_redemptions.map(|most| most.to_string()).unwrap_or_default(),
            "plans" => coupon.plans.join(", "),
            _ => String::new(),
        }
    };
    let withdrawn = !flash.typed(SAVE, "withdrawn", if is_withdrawn { "true" } else { "" }).is_empty();
    let said = flash.clone();
    let typed = move |field: &str| said.typed(SAVE, field, &held(field));
    let problem = move |field: &str| flash.problem(SAVE, field);
    let currencies: Vec<_> = Currency::ALL.into_iter().map(|one| Choice::new(one.code(), one.code())).collect();
    let [percent, amount, currency] = ["percent", "amount", "currency"].map(|field| (typed(field), problem(field)));
    view! {
        <Card title=title description="Enter a percentage or an amount. Partners who redeemed it before keep it as it was." id="coupon">
            <Form action="/do/console/coupons/save">
                <TextField label="Code" name="coupon[code]" id="field-code" value=typed("code") error=problem("code") hint="Lower-case letters, digits and hyphens; partners may type capitals. Saving a code that exists changes that coupon" required=true readonly=!is_new mono=true maxlength=64/>
                <TextField label="Name" name="coupon[name]" id="field-name" value=typed("name") error=problem("name") hint="Partners read it, also on invoices" required=true maxlength=100/>
                <FormRow>
                    <TextField label="Percentage" name="coupon[percent]" id="field-percent" value=percent.0 error=percent.1 hint="Off each bill" suffix="%" inputmode="decimal"/>
                    <TextField label="Amount" name="coupon[amount]" id="field-amount" value=amount.0 error=amount.1 hint="Off each billing period" inputmode="decimal"/>
                    <SelectField label="Currency" name="coupon[currency]" id="field-currency" choices=currencies value=currency.0 error=currency.1 hint="Of the amount" blank="None"/>
                </FormRow>
                <TextField label="Billing periods" name="coupon[periods]" id="field-periods" value=typed("periods") error=problem("periods") hint="1 for once. Empty: for good" inputmode="numeric" narrow=true/>
                <TextField label="Redeemed until" name="coupon[redeem_until]" id="field-redeem_until" kind="date" value=typed("redeem_until") error=problem("redeem_until") hint="The last day, in UTC. Empty: any day" narrow=true/>
                <TextField label="Partners at most" name="coupon[max_redemptions]" id="field-max_redemptions" value=typed("max_redemptions") error=problem("max_redemptions") hint="Empty: any number" inputmode="numeric" narrow=true/>
                <TextField label="Plans" name="coupon[plans]" id="field-plans" value=typed("plans") error=problem("plans") hint="Codes of the plans whose bills it lowers, with commas. Empty: all"/>
                <CheckField label="No longer redeemed" name="coupon[withdrawn]" checked=withdrawn/>
                <FormActions><Button kind=ButtonKind::Primary>"Save"</Button></FormActions>
            </Form>
        </Card>
    }
    .into_any()
}
