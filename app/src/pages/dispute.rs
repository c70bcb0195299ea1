//! `/disputes/{dispute}`: one dispute with its evidence, for the partner. The operator's page has the same parts.

use crate::{
    components::*,
    flash::{Flash, flash},
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        disputes::DisputeBadge,
        time_text::{local_zone, moment, period_in_zone},
    },
    viewer,
};
use billing::{Behind, BillingError, OpenBy, Opened, Opening};
use domain::{id::DisputeId, money::group_thousands, role::MemberRole};
use jiff::Timestamp;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{
    OwnPart, Store,
    disputes::{Dispute, DisputeState, MOST_IN_VAIN},
};

/// The form on a line's page.
const OPEN: &str = "disputes/open";

#[component]
pub fn DisputePage() -> impl IntoView {
    let cx = viewer::member();
    let id = use_params_map().get_untracked().get("dispute");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let id: DisputeId = id.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let dispute = cx.state.store.dispute(cx.viewer.partner, id).await?;
        let evidence = Evidence::load(&cx.state.store, &dispute, cx.now).await?;
        let at = format!("/invoices/{}", dispute.invoice);
        let trail = vec![Crumb::new("Invoices", "/invoices"), Crumb::new("Disputes", "/disputes")];
        let (title, state, is_open) = (dispute.description.clone(), dispute.state, dispute.state == DisputeState::Open);
        let problems = flash.problems.clone();
        let credited = at.clone();
        let note = (state == DisputeState::Accepted)
            .then(|| view! { <Notice tone=Tone::Success title="Accepted">"The credit note stands with the " <a href=credited>"invoice"</a> "."</Notice> });
        let meanwhile = is_open.then(|| {
            let text = match dispute.holds_back {
                true => {
                    format!(
                        "Until there is an answer, nothing follows if {} of the invoice is not paid.",
                        dispute.amount
                    )
                }
                false => "The line was disputed before: the invoice is still due meanwhile.".to_owned(),
            };
            view! { <Notice title="Open">{text}</Notice> }
        });
        let facts = facts(&dispute, &at);
        let evidence = evidence.view(&dispute, &at);
        Ok(view! {
            <PageTitle text="Dispute"/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=trail current=title.clone()/>
                <PageHeader title=title description="A dispute about this line of an invoice" beside=move || view! { <DisputeBadge state=state/> }/>
                <ErrorSummary problems=problems/>
                {note} {meanwhile} {facts} {evidence}
                {is_open.then(|| view! {
                    <Card title="Withdraw" description="The invoice then stands as it is, and what was overdue counts at once. You can open one more dispute about the line; it holds nothing back.">
                        <Form action="/do/disputes/withdraw" inline=true>
                            <input type="hidden" name="dispute" value=id.to_string()/>
                            <Button>"Withdraw"</Button>
                        </Form>
                    </Card>
                })}
            </MemberFrame>
        })
    })
}

/// What was said and answered; `at` is the invoice's page.
pub fn facts(dispute: &Dispute, at: &str) -> impl IntoView + use<> {
    let zone = local_zone(&dispute.time_zone);
    let (billed, amount, code) = (dispute.billed, dispute.amount, dispute.invoice_code());
    let ended = dispute.ended_at.map(|at| moment(at, &zone));
    let (answer, credited) = (dispute.answer.clone(), dispute.credited);
    let opened = moment(dispute.opened_at, &zone);
    let (reason, at, id) = (dispute.reason.clone(), at.to_owned(), dispute.id.to_string());
    view! {
        <StatGrid>
            <Stat label="Billed on the line" figure=billed.to_string()/>
            <Stat label="Disputed" figure=amount.to_string()/>
            {credited.map(|credited| view! { <Stat label="Credited" figure=credited.to_string()/> })}
        </StatGrid>
        <Card title="What was said">
            <DescriptionList>
                <Description label="Invoice"><a href=at>{code}</a></Description>
                <Description label="Why">{reason}</Description>
                <Description label="Opened">{opened}</Description>
                {answer.map(|text| view! { <Description label="Answer">{text}</Description> })}
                {ended.map(|at| view! { <Description label="Ended">{at}</Description> })}
                <Description label="Id"><code>{id}</code></Description>
            </DescriptionList>
        </Card>
    }
}

/// What is known of a disputed line.
pub struct Evidence {
    opened: Opened,
    /// Whether two places that count its usage differ.
    is_doubtful: bool,
    /// Seals that were made in its time, and of how many logs.
    seals: (u64, u64),
}

impl Evidence {
    pub async fn load(store: &Store, dispute: &Dispute, now: Timestamp) -> Result<Self, PageError> {
        let line = (dispute.partner, dispute.invoice, dispute.position);
        let opening = Opening { by: OpenBy::default(), part: None, team: None, after: None };
        let opened = billing::open_line(store, line, opening, now).await.map_err(|error| match error {
            BillingError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a disputed line cannot be opened");
                PageError::Unavailable
            }
        })?;
        let is_doubtful = store.doubt(dispute.partner, opened.range).await?.is_some();
        let seals = store.all_partners_seals(opened.range).await?;
        Ok(Self { opened, is_doubtful, seals })
    }

    /// Links into the line; `at` is the invoice's page.
    pub fn view(self, dispute: &Dispute, at: &str) -> AnyView {
        let at = format!("{at}/lines/{}", dispute.position);
        let [days, hours, apps, keys, teams] = ["day", "hour", "app", "key", "team"].map(|by| format!("{at}?by={by}"));
        let zone = local_zone(&dispute.time_zone);
        let range = period_in_zone(self.opened.range, &zone);
        let parts = match self.opened.behind {
            Behind::Usage { units, .. } => Some(format!("{} units in what is stored", group_thousands(units))),
            Behind::Meter { quantity, adds_up: true, .. } => {
                Some(format!("{} measured in what is stored", group_thousands(quantity)))
            }
            Behind::Meter { .. } => Some("Measured".to_owned()),
            Behind::Adjustment(_) | Behind::Nothing => None,
        };
        let Some(parts) = parts else {
            let adjusted = matches!(self.opened.behind, Behind::Adjustment(_));
            let text = match adjusted {
                true => "The late and corrected units behind it are listed on the line.",
                false => "No calls are behind this line: it follows from the plan.",
            };
            return view! { <Card title="Evidence"><p>{text} " " <a href=at>"Open the line"</a></p></Card> }.into_any();
        };
        let counted = match self.is_doubtful {
            true => {
                view! { <Badge text="Two places differ" tone=Tone::Warning/> " Somebody is looking at it." }.into_any()
            }
            false => "All places that count it say the same.".into_any(),
        };
        let (seals, logs) = self.seals;
        let sealed = match seals {
            0 => "No seal of that time is kept.".to_owned(),
            _ => format!("{} seals of {} were made in that time.", group_thousands(seals), many(logs)),
        };
        view! {
            <Card title="Evidence" description=range>
                <DescriptionList>
                    <Description label="Usage">{parts}</Description>
                    <Description label="By time"><a href=days>"Days"</a> ", " <a href=hours>"hours"</a></Description>
                    <Description label="By whom"><a href=apps>"Apps"</a> ", " <a href=keys>"keys"</a> ", " <a href=teams>"teams"</a></Description>
                    <Description label="Single calls"><a href=at>"Each call of the line"</a></Description>
                    <Description label="Counted">{counted}</Description>
                    <Description label="Sealed log">{sealed} " " <code>"turnpike verify"</code> " compares the stored calls with them."</Description>
                </DescriptionList>
            </Card>
        }
        .into_any()
    }
}

fn many(logs: u64) -> String {
    if logs == 1 { "one log".to_owned() } else { format!("{logs} logs") }
}

/// On a line's page: its disputes, and the form that opens one. `own` is what of the line its invoice is the first to bill, where others
/// have it, too.
pub fn of_line(
    opened: &Opened,
    own: Option<OwnPart>,
    disputes: Vec<Dispute>,
    role: MemberRole,
    flash: &Flash,
) -> AnyView {
    let may = matches!(role, MemberRole::Owner | MemberRole::Admin | MemberRole::Billing);
    let is_open = disputes.iter().any(|dispute| dispute.state == DisputeState::Open);
    let is_in_vain = |dispute: &&Dispute| matches!(dispute.state, DisputeState::Refused | DisputeState::Withdrawn);
    let in_vain = disputes.iter().filter(is_in_vain).count();
    let too_often = in_vain >= MOST_IN_VAIN;
    let description = match in_vain {
        0 => {
            "Say how much is wrong and why. Until the provider answers, nothing happens if that much of the invoice stays unpaid."
        }
        _ => "It was disputed before. You can dispute it once more, but the invoice is still due meanwhile.",
    };
    let listed: Vec<_> = disputes
        .into_iter()
        .map(|dispute| {
            let (href, state) = (format!("/disputes/{}", dispute.id), dispute.state);
            let text = format!("{} disputed", dispute.amount);
            view! { <p><a href=href>{text}</a> " " <DisputeBadge state=state/></p> }
        })
        .collect();
    let nothing = listed.is_empty();
    let most = own.as_ref().map_or(opened.line.amount, |own| own.amount);
    let can_open = may && !is_open && !too_often && most.micros > 0;
    let elsewhere = own.and_then(|own| own.rest).filter(|_| may && opened.line.amount.micros > 0);
    let elsewhere = elsewhere.map(|rest| {
        let text = format!("Of this line {most} can be disputed on this invoice: {rest}.");
        view! { <Notice>{text}</Notice> }
    });
    if nothing && !can_open && elsewhere.is_none() {
        return ().into_any();
    }
    let form = can_open.then(|| {
        let (invoice, position) = (opened.invoice.id.to_string(), opened.line.position.to_string());
        let amount = flash.typed(OPEN, "amount", &most.to_input());
        let (reason, amount_error) = (flash.typed(OPEN, "reason", ""), flash.problem(OPEN, "amount"));
        let (reason_error, currency) = (flash.problem(OPEN, "reason"), opened.line.amount.currency.code());
        view! {
            <Form action="/do/disputes/open">
                <input type="hidden" name="invoice" value=invoice/>
                <input type="hidden" name="position" value=position/>
                <TextField label="How much is wrong" name="amount" value=amount error=amount_error suffix=currency inputmode="decimal" narrow=true required=true/>
                <TextArea label="What is wrong" name="reason" value=reason error=reason_error required=true/>
                <FormActions><Button>"Dispute this line"</Button></FormActions>
            </Form>
        }
    });
    view! {
        <Card title="Is this line wrong?" description=description>
            <Stack>{listed} {elsewhere} {form}</Stack>
        </Card>
    }
    .into_any()
}
