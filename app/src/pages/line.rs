//! `/invoices/{invoice}/lines/{position}`: what a line of an invoice is made of, down to the single calls. The operator's page of the
//! same line has the same parts.

use crate::{
    components::*,
    flash::flash,
    frames::MemberFrame,
    page::{PageError, PageTitle, page},
    pages::{
        by_team::{ByTeam, TeamsOfLine},
        console::trace,
        dispute,
        missing::{MissingNotice, Reader},
        time_text::{local_date, local_time, local_zone, period_in_zone, period_text},
    },
    viewer,
};
use billing::{Behind, OpenBy, Opened, OpenedRow, Opening};
use domain::{
    id::{InvoiceId, OperationId, PartnerId, TeamId},
    key_text::Environment,
    money::{Money, group_thousands},
    period::Period,
    rating::LineKind,
};
use jiff::{Timestamp, tz::TimeZone};
use leptos::prelude::*;
use leptos_router::{
    hooks::{use_params_map, use_query_map},
    params::ParamsMap,
};
use store::{
    Store,
    outside::AdjustedPage,
    usage::{Completeness, LoggedRequest, Place, RequestFilter, RequestPage},
};
use uuid::Uuid;

/// Single calls of one page.
const CALLS: u16 = 50;

#[component]
pub fn InvoiceLinePage() -> impl IntoView {
    let cx = viewer::member();
    let (params, query) = (use_params_map().get_untracked(), use_query_map().get_untracked());
    let flash = flash();
    page(async move {
        let cx = cx?;
        let seen = Seen::load(&cx.state.store, cx.viewer.partner, &params, &query, cx.now).await?;
        let (invoice, position) = (seen.opened.invoice.id, seen.opened.line.position);
        let disputes = cx.state.store.disputes_of_line(cx.viewer.partner, invoice, position).await?;
        let own = cx.state.store.own_part(cx.viewer.partner, invoice, position).await?;
        let disputed = dispute::of_line(&seen.opened, own, disputes, cx.viewer.role, &flash);
        let problems = flash.problems.clone();
        let (title, code, back) =
            (seen.title(), seen.opened.invoice.code(), format!("/invoices/{}", seen.opened.invoice.id));
        let trail = vec![Crumb::new("Invoices", "/invoices"), Crumb::new(code, back.clone())];
        let at = format!("{back}/lines/{}", seen.opened.line.position);
        Ok(view! {
            <PageTitle text=title.clone()/>
            <MemberFrame cx=cx path="/invoices">
                <Breadcrumbs trail=trail current="Line"/>
                <ErrorSummary problems=problems/>
                <OpenedLine seen=seen at=at reader=Reader::Partner/>
                {disputed}
            </MemberFrame>
        })
    })
}

/// A line with what is behind it, and a page of the single calls.
pub struct Seen {
    pub opened: Opened,
    opening: Opening,
    calls: Option<RequestPage>,
    is_first: bool,
}

impl Seen {
    /// As the address asks for it.
    pub async fn load(
        store: &Store,
        partner: PartnerId,
        params: &ParamsMap,
        query: &ParamsMap,
        now: Timestamp,
    ) -> Result<Self, PageError> {
        let invoice: InvoiceId = params.get("invoice").and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let position: i32 = params.get("position").and_then(|text| text.parse().ok()).ok_or(PageError::NotFound)?;
        let instant = |name: &str| query.get(name).and_then(|text| text.parse::<Timestamp>().ok());
        let by = query.get("by").and_then(|code| OpenBy::ALL.into_iter().find(|by| by.code() == code));
        let part = instant("from").zip(instant("to")).map(|(start, end)| Period { start, end });
        let after = query.get("after");
        let adjusted_after = after.as_deref().and_then(|text| text.parse().ok());
        let team = match query.get("team").as_deref() {
            None | Some("") => None,
            Some("none") => Some(TeamId(Uuid::nil())),
            Some(id) => Some(id.parse().map_err(|_| PageError::NotFound)?),
        };
        let opening = Opening { by: by.unwrap_or_default(), part, team, after: adjusted_after };
        let opened =
            billing::open_line(store, (partner, invoice, position), opening, now).await.map_err(
                |error| match error {
                    billing::BillingError::Store(error) => error.into(),
                    other => {
                        tracing::error!(error = %other, "a line cannot be opened");
                        PageError::Unavailable
                    }
                },
            )?;
        let calls = match opened.behind {
            Behind::Usage { .. } | Behind::Meter { .. } => {
                let filter = RequestFilter {
                    environment: Some(Environment::Live),
                    product: opened.line.product,
                    team,
                    operation: match opened.behind {
                        // Calls without an operation, and not those of all.
                        Behind::Usage { .. } => Some(opened.line.operation.unwrap_or(OperationId(Uuid::nil()))),
                        _ => None,
                    },
                    ..RequestFilter::default()
                };
                let place: Option<Place> = after.as_deref().and_then(|text| text.parse().ok());
                Some(store.request_log(partner, opened.range, &filter, place.as_ref(), CALLS).await?)
            }
            Behind::Adjustment(_) | Behind::Nothing => None,
        };
        Ok(Self { opened, opening, calls, is_first: after.is_none() })
    }

    pub fn title(&self) -> String {
        match &self.opened.of_team {
            Some(part) => format!("{}: {}", self.opened.line.description, part.label()),
            None => self.opened.line.description.clone(),
        }
    }

    /// What the page says of the line: that of all teams, or of the one.
    fn figures(&self) -> (i64, u64, Money) {
        match &self.opened.of_team {
            Some(part) => (part.quantity, part.free, part.amount),
            None => (self.opened.line.quantity, self.opened.line.free, self.opened.line.amount),
        }
    }

    /// The page's address with another choice.
    fn address(&self, at: &str, by: OpenBy, part: Option<Period>, after: Option<&str>) -> String {
        let mut query = ParamsMap::new();
        query.insert("by", by.code().to_owned());
        self.keep_team(&mut query);
        if let Some(part) = part {
            query.insert("from", part.start.to_string());
            query.insert("to", part.end.to_string());
        }
        if let Some(after) = after {
            query.insert("after", after.to_owned());
        }
        format!("{at}{}", query.to_query_string())
    }

    fn keep_team(&self, query: &mut ParamsMap) {
        if let Some(team) = self.opening.team {
            query.insert("team", if team.0.is_nil() { "none".to_owned() } else { team.to_string() });
        }
    }
}

/// The line, its parts, and the single calls.
#[component]
pub fn OpenedLine(
    seen: Seen,
    /// The page's own address.
    at: String,
    reader: Reader,
) -> impl IntoView {
    let zone = local_zone(&seen.opened.invoice.time_zone);
    let line = &seen.opened.line;
    let title = seen.title();
    let description = period_in_zone(seen.opened.range, &zone);
    let (quantity, free, amount) = seen.figures();
    let all_teams = seen.opened.of_team.is_some().then(|| at.clone());
    let teams = by_teams(&seen, &at);
    // A fee or a discount counts nothing.
    let counts = !matches!(
        line.kind,
        LineKind::BaseFee
            | LineKind::Minimum
            | LineKind::Discount
            | LineKind::CommittedUse
            | LineKind::Commitment
            | LineKind::IncludedCredit
            | LineKind::BilledBefore
    );
    let units = counts.then_some((quantity, free));
    let choices = seen.opening.by;
    let tabs = match seen.opened.behind {
        Behind::Usage { .. } | Behind::Meter { .. } => Some(choose(&seen, &at, choices)),
        Behind::Adjustment(_) | Behind::Nothing => None,
    };
    let whole = seen.opening.part.map(|_| seen.address(&at, OpenBy::Day, None, None));
    let calls = calls(&seen, &at, &zone, reader);
    let parts = parts(seen, &at, &zone, reader);
    view! {
        <PageHeader title=title description=description>
            {whole.map(|href| view! { <ButtonLink href=href>"The whole period"</ButtonLink> })}
            {all_teams.map(|href| view! { <ButtonLink href=href>"All teams"</ButtonLink> })}
        </PageHeader>
        <StatGrid>
            {units.map(|(quantity, free)| view! {
                <Stat label="Quantity on the line" figure=signed(quantity)/>
                <Stat label="Of those free" figure=group_thousands(free)/>
            })}
            <Stat label="Amount" figure=amount.to_string()/>
        </StatGrid>
        {tabs}
        {parts}
        {teams}
        {calls}
    }
}

/// What teams have of the line, as the invoice has it; not where it is opened for one of them.
fn by_teams(seen: &Seen, at: &str) -> Option<AnyView> {
    let line = &seen.opened.line;
    let is_told = seen.opened.of_team.is_none() && !line.teams.is_empty();
    let own = TeamsOfLine { description: line.description.clone(), at: Some(at.to_owned()), teams: line.teams.clone() };
    is_told.then(|| view! { <ByTeam lines=vec![own]/> }.into_any())
}

fn signed(number: i64) -> String {
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", group_thousands(number.unsigned_abs()))
}

fn choose(seen: &Seen, at: &str, chosen: OpenBy) -> AnyView {
    let label = |by: OpenBy| match by {
        OpenBy::Day => "Days",
        OpenBy::Hour => "Hours",
        OpenBy::App => "Apps",
        OpenBy::Key => "Keys",
        OpenBy::Team => "Teams",
    };
    let link = |by: OpenBy| {
        let href = seen.address(at, by, seen.opening.part, None);
        let current = (by == chosen).then_some("page");
        view! { <a class="button button-secondary button-small" href=href aria-current=current>{label(by)}</a> }
    };
    let links = OpenBy::ALL.map(link).into_iter().collect_view();
    view! { <nav class="cluster" aria-label="Break the line down by">{links}</nav> }.into_any()
}

fn parts(seen: Seen, at: &str, zone: &TimeZone, reader: Reader) -> AnyView {
    let is_whole = seen.opening.part.is_none();
    let (quantity, ..) = seen.figures();
    let mut kept = ParamsMap::new();
    seen.keep_team(&mut kept);
    let of_adjusted = format!("{at}{}", kept.to_query_string());
    let address = {
        let opening = seen.opening;
        let at = at.to_owned();
        move |part: Period| {
            let mut query = kept.clone();
            query.insert("by", OpenBy::Hour.code().to_owned());
            query.insert("from", part.start.to_string());
            query.insert("to", part.end.to_string());
            (opening.by == OpenBy::Day).then(|| format!("{at}{}", query.to_query_string()))
        }
    };
    let Opened { invoice, line, range, behind, .. } = seen.opened;
    let is_cut = invoice.threshold_number > 0;
    match behind {
        Behind::Usage { rows, units, late, known } => {
            let told = is_whole.then(|| usage_sum((quantity, units, late), is_cut, &known));
            let table = table(rows, "Units", Some(units), zone, address);
            let missing = missing(known, range, zone, reader);
            view! { {missing} {told} {table} }.into_any()
        }
        Behind::Meter { rows, quantity, adds_up, known } => {
            let told = is_whole.then(|| meter_sum(line.quantity, quantity, adds_up));
            let table = table(rows, "Measured", adds_up.then_some(quantity), zone, address);
            let missing = missing(known, range, zone, reader);
            view! { {missing} {told} {table} }.into_any()
        }
        Behind::Adjustment(page) => adjusted(page, &of_adjusted, zone, reader),
        Behind::Nothing => view! {
            <Card>
                <p>{nothing(line.kind)}</p>
            </Card>
        }
        .into_any(),
    }
}

fn missing(known: Completeness, range: Period, zone: &TimeZone, reader: Reader) -> impl IntoView + use<> {
    view! { <MissingNotice known=known range=range zone=zone.clone() reader=reader/> }
}

/// Whether the sum is the line's, and why where it is not.
fn usage_sum((quantity, units, late): (i64, u64, i64), is_cut: bool, known: &Completeness) -> AnyView {
    let units = i64::try_from(units).unwrap_or(i64::MAX);
    if units == quantity {
        return view! { <Notice tone=Tone::Success>{format!("The parts add up to {} units, as the line says.", signed(units))}</Notice> }
            .into_any();
    }
    if is_cut && units.saturating_sub(late) == quantity {
        let text = format!(
            "The parts come to {} units, {} of them since the invoice was made: the next invoice of the period has them.",
            signed(units),
            signed(late)
        );
        return view! { <Notice>{text}</Notice> }.into_any();
    }
    if units.saturating_sub(late) == quantity {
        let text = format!(
            "The parts add up to {} units: {} of them were handed over after the invoice was made and are an adjustment on a later one.",
            signed(units),
            signed(late)
        );
        return view! { <Notice>{text}</Notice> }.into_any();
    }
    let why = match known.is_whole() {
        true => "Usage of that time may no longer be kept in this detail; the line stands as it was closed.",
        false => "Some usage of that time is missing here; the line stands as it was closed.",
    };
    let text = format!("The parts come to {} units and the line has {}. {why}", signed(units), signed(quantity));
    view! { <Notice tone=Tone::Warning title="The parts do not add up">{text}</Notice> }.into_any()
}

fn meter_sum(quantity: i64, measured: u64, adds_up: bool) -> AnyView {
    if !adds_up {
        let text = "This meter counts different, largest or latest values, or a level: each part is a value of its own, and they do not add up to the line's.";
        return view! { <Notice>{text}</Notice> }.into_any();
    }
    let measured = i64::try_from(measured).unwrap_or(i64::MAX);
    if measured == quantity {
        let text = format!("The parts add up to {}, as the line says.", signed(measured));
        return view! { <Notice tone=Tone::Success>{text}</Notice> }.into_any();
    }
    let text = format!(
        "The parts come to {} and the line has {}. What was measured later, or is no longer kept, is not on it.",
        signed(measured),
        signed(quantity)
    );
    view! { <Notice tone=Tone::Warning title="The parts do not add up">{text}</Notice> }.into_any()
}

const fn nothing(kind: LineKind) -> &'static str {
    match kind {
        LineKind::BaseFee => "This is the plan's fee for the period. No calls are behind it.",
        LineKind::Minimum => "This is what was missing to the plan's minimum. It follows from the other lines.",
        LineKind::Discount | LineKind::CommittedUse => "This is a discount. It follows from the other lines.",
        LineKind::Commitment => "This is what was missing to the commitment. It follows from the other lines.",
        LineKind::CreditPackage => {
            "These are prepaid units. They can be used once the invoice is paid, and calls that use them cost nothing more."
        }
        LineKind::CreditOverdraft => {
            "These units were used when no prepaid unit was left. The plan bills them; the calls are on the lines of their operations, as units \
             that were paid by credit."
        }
        LineKind::IncludedCredit => "This is the credit that the plan includes. It follows from the other lines.",
        LineKind::BilledBefore => {
            "A threshold invoice billed this within the period, or a credit note took it off one that is void. The other lines have all usage since the period began, so it is taken off. Above zero it was credited before, of what costs less by now: it is not given back twice."
        }
        _ => "The invoice does not say of this line what it was counted from.",
    }
}

fn table(
    rows: Vec<OpenedRow>,
    what: &'static str,
    total: Option<u64>,
    zone: &TimeZone,
    hours_of: impl Fn(Period) -> Option<String>,
) -> AnyView {
    if rows.is_empty() {
        return view! { <Card><EmptyState title="Nothing here" text="Nothing was used in this time, or it is no longer kept." icon=IconName::Chart/></Card> }
            .into_any();
    }
    let calls: u64 = rows.iter().map(|row| row.calls).sum();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let label = match &row.group {
                Some(group) if group.name.is_empty() && group.id.is_none() => "None".to_owned(),
                Some(group) if group.name.is_empty() => "Deleted".to_owned(),
                Some(group) => group.name.clone(),
                None => window_text(row.window, zone),
            };
            let head = match hours_of(row.window).filter(|_| row.group.is_none()) {
                Some(href) => view! { <a href=href>{label}</a> }.into_any(),
                None => label.into_any(),
            };
            view! {
                <tr>
                    <Cell label="Part" head=true>{head}</Cell>
                    <Cell label="Calls" numeric=true><Figure value=row.calls/></Cell>
                    <Cell label=what numeric=true><Figure value=row.quantity/></Cell>
                </tr>
            }
        })
        .collect();
    let total = total.map(|total| view! { <Figure value=total/> });
    view! {
        <Card flush=true>
            <DataTable
                caption="The parts of the line"
                caption_hidden=true
                columns=vec![Column::text("Part"), Column::numeric("Calls"), Column::numeric(what)]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="Part" head=true>"Sum"</Cell>
                        <Cell label="Calls" numeric=true><Figure value=calls/></Cell>
                        <Cell label=what numeric=true>{total}</Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
        </Card>
    }
    .into_any()
}

/// A day, or an hour of it.
fn window_text(window: Period, zone: &TimeZone) -> String {
    let short = window.end.as_second() - window.start.as_second() <= 3_600;
    if short { local_time(window.start, zone) } else { local_date(window.start, zone) }
}

fn adjusted(page: AdjustedPage, at: &str, zone: &TimeZone, reader: Reader) -> AnyView {
    let join = if at.contains('?') { '&' } else { '?' };
    let next = page.next.map(|next| format!("{at}{join}after={next}"));
    let units = page.units;
    let rows: Vec<_> = page
        .rows
        .into_iter()
        .map(|row| {
            let what = match (row.correction, reader) {
                (Some(id), Reader::Operator) => {
                    view! { <a href=format!("/console/corrections/{id}")>"Correction"</a> }.into_any()
                }
                (Some(_), Reader::Partner) => "Correction".into_any(),
                (None, _) if row.source.is_empty() => "Calls that a gateway handed over late".into_any(),
                (None, _) => format!("Told late by {}", row.source).into_any(),
            };
            let id = match reader {
                Reader::Operator if !row.id.is_empty() => {
                    view! { <a href=trace::address(&row.id)><code>{row.id.clone()}</code></a> }.into_any()
                }
                _ => view! { <code>{row.id}</code> }.into_any(),
            };
            let when = format!("{} {}", local_date(row.at, zone), local_time(row.at, zone));
            let period = period_text(row.period, zone);
            view! {
                <tr>
                    <Cell label="When" head=true>{when}</Cell>
                    <Cell label="Of the period">{period}</Cell>
                    <Cell label="What">{what} " " {id}</Cell>
                    <Cell label="Units" numeric=true><SignedFigure value=row.units/></Cell>
                </tr>
            }
        })
        .collect();
    if rows.is_empty() {
        let text = "No late or corrected units of this operation are on the invoice: late units of other operations changed the price of this one's.";
        return view! { <Card><EmptyState title="No units behind it" text=text icon=IconName::Receipt/></Card> }
            .into_any();
    }
    view! {
        <Notice>
            "Adjustment lines of one operation on one invoice share what is listed here: their quantities add up to it, as far as no period would fall below zero."
        </Notice>
        <Card flush=true>
            <DataTable
                caption="Late and corrected units on this invoice"
                caption_hidden=true
                columns=vec![
                    Column::text("When"),
                    Column::text("Of the period"),
                    Column::text("What"),
                    Column::numeric("Units"),
                ]
                stack=true
                foot=move || view! {
                    <tr>
                        <Cell label="When" head=true>"Sum"</Cell>
                        <Cell>{None::<String>}</Cell>
                        <Cell>{None::<String>}</Cell>
                        <Cell label="Units" numeric=true><SignedFigure value=units/></Cell>
                    </tr>
                }
            >
                {rows}
            </DataTable>
        </Card>
        <Pagination next=next summary=String::new()/>
    }
    .into_any()
}

fn calls(seen: &Seen, at: &str, zone: &TimeZone, reader: Reader) -> Option<AnyView> {
    let page = seen.calls.as_ref()?;
    let next =
        page.next.as_ref().map(|next| seen.address(at, seen.opening.by, seen.opening.part, Some(&next.to_string())));
    let first = (!seen.is_first).then(|| seen.address(at, seen.opening.by, seen.opening.part, None));
    let rows: Vec<_> = page.requests.iter().map(|request| call(request.clone(), zone, reader)).collect();
    let table = if rows.is_empty() {
        view! {
            <EmptyState
                title="No single calls"
                text="Single calls are kept for a while only; the figures above are kept for longer."
                icon=IconName::Terminal
            />
        }
        .into_any()
    } else {
        view! {
            <DataTable
                caption="Single calls, newest first"
                caption_hidden=true
                columns=vec![
                    Column::text("Time"),
                    Column::text("Call"),
                    Column::text("App and key"),
                    Column::text("Answer"),
                    Column::numeric("Units"),
                ]
                stack=true
            >
                {rows}
            </DataTable>
        }
        .into_any()
    };
    let view = view! {
        <Card title="Single calls" description="As they were recorded; those that cost nothing are among them, and what a correction did later is not." flush=true>
            {table}
        </Card>
        <Pagination previous=first next=next summary=String::new()/>
    };
    Some(view.into_any())
}

fn call(request: LoggedRequest, zone: &TimeZone, reader: Reader) -> impl IntoView + use<> {
    let time = format!("{} {}", local_date(request.at, zone), local_time(request.at, zone));
    let time = match reader {
        Reader::Partner => view! { <a href=format!("/requests/{}", request.place)>{time}</a> }.into_any(),
        Reader::Operator => time.into_any(),
    };
    let id = request.request_id;
    let id = match reader {
        Reader::Partner => view! { <code>{id}</code> }.into_any(),
        Reader::Operator => view! { <a href=trace::address(&id)><code>{id.clone()}</code></a> }.into_any(),
    };
    view! {
        <tr>
            <Cell label="Time" head=true>{time}</Cell>
            <Cell label="Call"><code>{request.method} " " {request.path}</code> " " {id}</Cell>
            <Cell label="App and key">{request.app_name} " " {request.key_name}</Cell>
            <Cell label="Answer">{request.status} " " {request.outcome}</Cell>
            <Cell label="Units" numeric=true><Figure value=request.units/></Cell>
        </tr>
    }
}
