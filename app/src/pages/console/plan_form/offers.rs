//! The plan form's fields about phases and promotions.

use super::Fields;
use crate::{
    api::plans::offers::{FIELDS, Kind, is_shown, places},
    components::*,
};
use domain::{
    money::Money,
    plan::PlanTerms,
    rating::{offers::Instead, price::Price},
};
use leptos::prelude::*;

impl Fields {
    /// A part for each offer, and one more.
    pub(super) fn offers(&self) -> AnyView {
        let own = self.terms.as_ref().map(lines).unwrap_or_default();
        let typed = self.typed("offers", own.join("\n"));
        let rows: Vec<[String; 9]> = typed.lines().map(texts).collect();
        let places = places(rows.iter().map(|row| (row[1].as_str(), row[3].as_str())));
        let parts = rows.into_iter().zip(places).map(|(row, (kind, place))| self.offer(row, Some(kind), &place));
        let parts = parts.collect_view();
        let another = self.offer(std::array::from_fn(|_| String::new()), None, "offers");
        let whole = ["phases", "promotions"].iter().find_map(|field| Some((*field, self.problem(field)?)));
        let whole = whole.map(|(field, text)| view! { <p class="field-error" id=field_id(field)>{text}</p> });
        view! {
            <input type="hidden" name="plan[offers][asked]" value="true"/>
            {whole}
            {parts}
            {another}
        }
        .into_any()
    }

    fn offer(&self, row: [String; 9], kind: Option<Kind>, place: &str) -> AnyView {
        let title = match (kind, row[0].as_str()) {
            (None, _) => "Another offer".to_owned(),
            (Some(_), "") => "Offer without a name".to_owned(),
            (Some(_), name) => name.to_owned(),
        };
        let kept = kind.and_then(|_| self.kept(&row[0]));
        let of = |name: &str| match name {
            "name" | "periods" | "from" | "until" => vec![format!("{place}.{name}")],
            "included" | "unit_price" => vec![format!("{place}.instead.price.{name}")],
            // What is wrong with the whole of it stands beside its first amount.
            "base_fee" => vec![format!("{place}.instead.{name}"), format!("{place}.instead")],
            name => vec![format!("{place}.instead.{name}")],
        };
        let found = FIELDS.map(|name| self.first_problem(&of(name)));
        let [name, periods, from, until, fee, included, unit, minimum, credit] = row;
        let [name_at, periods_at, from_at, until_at, fee_at, included_at, unit_at, minimum_at, credit_at] =
            found.map(|(field, error)| (field_id(&field), error));
        let name_of_group = title.clone();
        view! {
            <details class="chosen-operations" open=kind.is_some() role="group" aria-label=name_of_group>
                <summary>{title}</summary>
                <FormRow>
                    <TextField label="Name" name="plan[offers][name][]" id=name_at.0 value=name error=name_at.1 hint="For the invoice, as Launch offer" maxlength=100 autocomplete="off"/>
                    <TextField label="Billing periods" name="plan[offers][periods][]" id=periods_at.0 value=periods error=periods_at.1 hint="Of each partner, after the offer before; or days" inputmode="numeric" autocomplete="off"/>
                    <TextField label="From" name="plan[offers][from][]" id=from_at.0 kind="date" value=from error=from_at.1 hint="Empty: it has begun" autocomplete="off"/>
                    <TextField label="Until" name="plan[offers][until][]" id=until_at.0 kind="date" value=until error=until_at.1 hint="The last day" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="Base fee" name="plan[offers][base_fee][]" id=fee_at.0 value=fee error=fee_at.1 hint="Empty: the plan's" inputmode="decimal" autocomplete="off"/>
                    <TextField label="Included units" name="plan[offers][included][]" id=included_at.0 value=included error=included_at.1 inputmode="numeric" autocomplete="off"/>
                    <TextField label="Price of a unit" name="plan[offers][unit_price][]" id=unit_at.0 value=unit error=unit_at.1 hint="Empty: the plan's price" inputmode="decimal" autocomplete="off"/>
                </FormRow>
                <FormRow>
                    <TextField label="Minimum" name="plan[offers][minimum][]" id=minimum_at.0 value=minimum error=minimum_at.1 hint="Empty: the plan's" inputmode="decimal" autocomplete="off"/>
                    <TextField label="Included credit" name="plan[offers][included_credit][]" id=credit_at.0 value=credit error=credit_at.1 hint="Empty: the plan's" inputmode="decimal" autocomplete="off"/>
                </FormRow>
                {kept.map(|text| view! { <p class="field-hint">{text}</p> })}
            </details>
        }
        .into_any()
    }

    /// What the offer of that name has besides, for which there are no fields.
    fn kept(&self, name: &str) -> Option<String> {
        let terms = self.terms.as_ref()?;
        let phase = terms.phases.iter().find(|phase| phase.name == name).map(|phase| &phase.instead);
        let own = phase.or_else(|| terms.promotions.iter().find(|one| one.name == name).map(|one| &one.instead))?;
        let priced = own.price.as_ref().is_some_and(|price| !is_shown(price));
        let what = match (priced, own.meters.is_empty()) {
            (false, true) => return None,
            (true, true) => "a price of units with steps, packages or operations",
            (false, false) => "prices of meters",
            (true, false) => "a price of units with steps, packages or operations, and prices of meters",
        };
        Some(format!("It has {what}, as the set-up file or the REST API said. They stay with its name."))
    }
}

fn texts(line: &str) -> [String; 9] {
    let mut texts = line.split('\t').map(str::to_owned);
    std::array::from_fn(|_| texts.next().unwrap_or_default())
}

/// As the form types them back, phases first.
fn lines(terms: &PlanTerms) -> Vec<String> {
    let phase = |phase: &domain::rating::offers::Phase| {
        let head = [phase.name.clone(), phase.periods.to_string(), String::new(), String::new()];
        [&head[..], &amounts(terms, &phase.instead)].concat().join("\t")
    };
    let promotion = |one: &domain::rating::offers::Promotion| {
        let from = one.from.map_or_else(String::new, |day| day.to_string());
        let head = [one.name.clone(), String::new(), from, one.until.to_string()];
        [&head[..], &amounts(terms, &one.instead)].concat().join("\t")
    };
    terms.phases.iter().map(phase).chain(terms.promotions.iter().map(promotion)).collect()
}

fn amounts(terms: &PlanTerms, own: &Instead) -> [String; 5] {
    let money =
        |micros: Option<i64>| micros.map_or_else(String::new, |micros| Money::new(terms.currency, micros).to_input());
    let (included, unit_price) = match &own.price {
        Some(Price::PerUnit { included, unit_price }) => (included.to_string(), unit_price.to_string()),
        _ => (String::new(), String::new()),
    };
    [money(own.base_fee_micros), included, unit_price, money(own.minimum_micros), money(own.included_credit_micros)]
}
