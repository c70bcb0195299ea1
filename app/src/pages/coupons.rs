//! Coupons of one partner: what it has off its bills, on its page about the plan and on the operators' page about it.

use crate::{components::*, flash::Flash, pages::time_text::local_date};
use domain::id::PartnerId;
use jiff::tz::TimeZone;
use leptos::prelude::*;
use store::{CouponLine, CouponStanding, RedeemedCoupon};

/// The partner's own coupons and the field for a code; nothing for somebody who has none and may not redeem any.
pub fn of_plan(coupons: Vec<RedeemedCoupon>, decides: bool, flash: &Flash, zone: &TimeZone) -> Option<AnyView> {
    const FORM: &str = "plan/coupon";
    if coupons.is_empty() && !decides {
        return None;
    }
    let rows = rows(coupons, zone, None);
    let (typed, problem) = (flash.typed(FORM, "code", ""), flash.problem(FORM, "code"));
    let form = decides.then(|| {
        view! {
            <Form action="/do/plan/coupon" inline=true>
                <TextField label="Coupon code" name="code" id="field-code" value=typed error=problem required=true mono=true maxlength=64 autocomplete="off"/>
                <Button>"Redeem"</Button>
            </Form>
        }
    });
    Some(
        view! {
            <Card title="Coupons" description="They come off your invoices last, each on a line of its own." id="coupons">
                <Stack>{rows} {form}</Stack>
            </Card>
        }
        .into_any(),
    )
}

/// A partner's coupons for operators, with forms to give one and to take one back.
pub fn of_partner(
    partner: PartnerId,
    (coupons, all): (Vec<RedeemedCoupon>, Vec<CouponLine>),
    may_change: bool,
    flash: &Flash,
    zone: &TimeZone,
) -> Option<AnyView> {
    const FORM: &str = "coupons/give";
    let open = |line: &CouponLine| {
        let is_full = line.coupon.max_redemptions.is_some_and(|most| line.redemptions >= most.into());
        !line.coupon.withdrawn && !is_full && !coupons.iter().any(|own| own.code == line.code)
    };
    let choices: Vec<Choice> = all
        .iter()
        .filter(|line| open(line))
        .map(|line| Choice::new(line.code.clone(), format!("{}, {}", line.coupon.name, line.coupon.words())))
        .collect();
    if coupons.is_empty() && choices.is_empty() {
        return None;
    }
    let (typed, problem) = (flash.typed(FORM, "coupon", ""), flash.problem(FORM, "code"));
    let form = (may_change && !choices.is_empty()).then(|| {
        view! {
            <Form action="/do/console/coupons/give" inline=true>
                <input type="hidden" name="partner" value=partner.to_string()/>
                <SelectField label="Coupon" name="coupon" id="field-code" choices=choices value=typed error=problem blank="Choose a coupon" required=true/>
                <Button>"Give it"</Button>
            </Form>
        }
    });
    let rows = rows(coupons, zone, may_change.then_some(partner));
    Some(
        view! {
            <Card title="Coupons" description="They come off the partner's invoices last, each on a line of its own." id="coupons">
                <Stack>{rows} {form}</Stack>
            </Card>
        }
        .into_any(),
    )
}

/// A line for each; `taken_from` is whose they are where they can be taken back.
fn rows(coupons: Vec<RedeemedCoupon>, zone: &TimeZone, taken_from: Option<PartnerId>) -> Option<AnyView> {
    if coupons.is_empty() {
        return None;
    }
    let row = |own: RedeemedCoupon| {
        let (text, tone) = match own.standing {
            CouponStanding::TakenBack => ("Taken back", Tone::Neutral),
            CouponStanding::UsedUp => ("Used up", Tone::Neutral),
            CouponStanding::Waits => ("Waits: not for this plan", Tone::Info),
            CouponStanding::Counts => ("Counts", Tone::Success),
        };
        let used = match own.coupon.periods {
            Some(periods) => format!("{} of {periods}", own.periods_used),
            None => own.periods_used.to_string(),
        };
        let (code, name, words) = (own.code.clone(), own.coupon.name.clone(), own.coupon.words());
        let from = local_date(own.starts_at, zone);
        let back = taken_from.filter(|_| own.standing.may_count()).map(|partner| {
            view! {
                <Form action="/do/console/coupons/take-back" inline=true>
                    <input type="hidden" name="partner" value=partner.to_string()/>
                    <input type="hidden" name="coupon" value=own.code.clone()/>
                    <Button size=Size::Small>"Take back"</Button>
                </Form>
            }
        });
        let last = taken_from.map(|_| view! { <Cell label="Actions">{back}</Cell> });
        view! {
            <tr>
                <Cell label="Coupon" head=true>{name} " " <code>{code}</code></Cell>
                <Cell label="What"><span>{words}</span></Cell>
                <Cell label="State"><Badge text=text tone=tone/></Cell>
                <Cell label="From">{from}</Cell>
                <Cell label="Periods">{used}</Cell>
                {last}
            </tr>
        }
    };
    let mut columns = ["Coupon", "What", "State", "From", "Periods"].map(Column::text).to_vec();
    columns.extend(taken_from.map(|_| Column::actions()));
    let rows = coupons.into_iter().map(row).collect_view();
    Some(
        view! {
            <DataTable caption="Coupons" caption_hidden=true columns=columns stack=true>{rows}</DataTable>
        }
        .into_any(),
    )
}
