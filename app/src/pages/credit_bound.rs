//! Prepaid units that only calls of some products spend, on the pages about credit.

use crate::{components::*, pages::time_text::local_date};
use domain::money::group_thousands;
use jiff::tz::TimeZone;
use leptos::prelude::*;
use store::BoundCredit;

/// What is left of them, in the order in which a call spends it; nothing where there are none.
pub fn bound_card(bound: Vec<BoundCredit>, zone: &TimeZone) -> Option<AnyView> {
    if bound.is_empty() {
        return None;
    }
    let rows = bound.into_iter().map(|one| row(one, zone)).collect_view();
    let card = view! {
        <Card
            title="For some products only"
            description="Calls of these products spend this before the units that all calls share, the soonest expiry first. No other call does."
            flush=true
        >
            <DataTable
                caption="For some products only"
                caption_hidden=true
                columns=vec![Column::text("For calls of"), Column::text("First expiry"), Column::numeric("Left")]
                stack=true
            >
                {rows}
            </DataTable>
        </Card>
    };
    Some(card.into_any())
}

fn row(one: BoundCredit, zone: &TimeZone) -> impl IntoView + use<> {
    let expires = one.first_end.map_or_else(|| "Never".to_owned(), |at| local_date(at, zone));
    let (products, left) = (one.words(), one.left);
    view! {
        <tr>
            <Cell label="For calls of" head=true>{products}</Cell>
            <Cell label="First expiry">{expires}</Cell>
            <Cell label="Left" numeric=true><Figure value=left/></Cell>
        </tr>
    }
}

/// ` Another 300 units are for calls of Payments only.`, for each; empty where there are none.
pub fn besides(bound: &[BoundCredit]) -> String {
    let one = |bound: &BoundCredit| {
        let units = match bound.left {
            1 => "unit is".to_owned(),
            left => format!("{} units are", group_thousands(left)),
        };
        format!(" Another {units} for calls of {} only.", bound.words())
    };
    bound.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::AllocationId;
    use store::BoundProduct;

    #[test]
    fn the_words_say_how_much_is_left_for_what() {
        let product = |name: &str| BoundProduct { code: name.to_lowercase(), name: name.to_owned() };
        let bound = |left, names: &[&str]| BoundCredit {
            id: AllocationId(uuid::Uuid::nil()),
            products: names.iter().map(|name| product(name)).collect(),
            left,
            first_end: None,
        };
        assert_eq!(besides(&[]), "");
        assert_eq!(
            besides(&[bound(1_300, &["Payments"]), bound(1, &["Cards", "Payouts"])]),
            " Another 1,300 units are for calls of Payments only. Another unit is for calls of Cards and Payouts only."
        );
    }
}
