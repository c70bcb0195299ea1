//! Credit notes as they stand beside their invoice, for the partner and for the operator.

use crate::{
    components::*,
    pages::time_text::{local_date, local_zone},
};
use leptos::prelude::*;
use store::credit_notes::{CreditKind, CreditNote, CreditStanding, CreditState};

/// What was credited of an invoice, and what is left. Nothing where nothing was.
#[component]
pub fn CreditsOfInvoice(
    notes: Vec<CreditNote>,
    standing: CreditStanding,
    /// What the addresses of the notes begin with; their files are below it.
    #[prop(into)]
    at: String,
    /// Whether drafts are shown, and notes lead to a page of their own.
    #[prop(optional)]
    operator: bool,
) -> impl IntoView {
    let shown: Vec<CreditNote> =
        notes.into_iter().filter(|note| operator || note.state == CreditState::Issued).collect();
    (!shown.is_empty()).then(|| {
        let void = shown.iter().find(|note| note.kind == CreditKind::Void && note.state == CreditState::Issued);
        let void = void.map(|note| {
            let zone = local_zone(&note.time_zone);
            let day = note.ended_at.map(|at| local_date(at, &zone)).unwrap_or_default();
            format!(
                "This invoice was made void on {day}: {}. Nothing of it is owed. What was used in its period is not billed again, but for that of a threshold invoice that was made void before the period ended: the next invoice of the period has it, less what credit notes took off this one.",
                note.reason
            )
        });
        let rows = shown.into_iter().map(|note| row(note, &at, operator)).collect_view();
        let left = standing.left();
        view! {
            {void.map(|text| view! { <Notice title="Void">{text}</Notice> })}
            <Card title="Credited" description=format!("{} of {} is credited; {left} is left.", standing.credited, standing.total) flush=true>
                <DataTable
                    caption="Credit notes of this invoice"
                    caption_hidden=true
                    columns=vec![
                        Column::text("Credit note"),
                        Column::text("Day"),
                        Column::text("Why"),
                        Column::text("State"),
                        Column::numeric("Amount"),
                        Column::text("Files"),
                    ]
                    stack=true
                >
                    {rows}
                </DataTable>
            </Card>
        }
    })
}

fn row(note: CreditNote, at: &str, operator: bool) -> impl IntoView + use<> {
    let zone = local_zone(&note.time_zone);
    let day = local_date(note.ended_at.unwrap_or(note.made_at), &zone);
    let name = name(&note);
    let address = format!("{at}/{}", note.id);
    let name = match operator {
        true => view! { <a href=address.clone()>{name}</a> }.into_any(),
        false => name.into_any(),
    };
    let files = note.number.map(|_| view! { <CreditNoteFiles at=address/> });
    let (state, paid, total) = (note.state, note.was_paid, note.total);
    view! {
        <tr>
            <Cell label="Credit note" head=true>{name}</Cell>
            <Cell label="Day">{day}</Cell>
            <Cell label="Why">{note.reason}</Cell>
            <Cell label="State"><CreditBadge state=state/> {(paid == Some(true)).then_some(" paid back")}</Cell>
            <Cell label="Amount" numeric=true><MoneyText amount=total/></Cell>
            <Cell label="Files">{files}</Cell>
        </tr>
    }
}

/// Its number, or what it is where it has none.
pub fn name(note: &CreditNote) -> String {
    match (note.kind, note.code()) {
        (_, Some(code)) => code,
        (CreditKind::Void, None) => format!("Void of {}", note.invoice_code()),
        (CreditKind::Credit, None) => format!("Credit of {}", note.total),
    }
}

/// The credit note as files; `at` is what their addresses begin with.
#[component]
pub fn CreditNoteFiles(#[prop(into)] at: String) -> impl IntoView {
    view! {
        <a href=format!("{at}/credit-note.pdf")>"PDF"</a>
        " "
        <a href=format!("{at}/credit-note.csv")>"CSV"</a>
        " "
        <a href=format!("{at}/credit-note.json")>"JSON"</a>
    }
}

/// How far it is, in a word.
#[component]
pub fn CreditBadge(state: CreditState) -> impl IntoView {
    let (text, tone) = match state {
        CreditState::Draft => ("Draft", Tone::Info),
        CreditState::Issued => ("Issued", Tone::Success),
        CreditState::Discarded => ("Discarded", Tone::Neutral),
    };
    view! { <Badge text=text tone=tone/> }
}
