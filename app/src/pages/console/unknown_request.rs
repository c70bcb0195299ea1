//! `/console/unknown-requests/{attempt}`: all that is known of one, how to find out more, and what the API said.

use super::unknown_requests::reason;
use crate::{
    components::*,
    flash::{Flash, flash},
    frames::OperatorFrame,
    page::{PageError, PageTitle, page},
    viewer::{self, Cx, OperatorViewer},
};
use domain::{id::AttemptId, idempotency::Unknown, key_text::Environment, period::Period, role::OperatorRole};
use jiff::{SignedDuration, Timestamp};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use store::{
    Key, ProductLine, StoreError,
    idempotency::UnknownRequest,
    usage::{LoggedRequest, RequestFilter},
};

const FORM: &str = "unknown-requests/resolve";

/// A gateway that was heard of within this may still run.
const MAY_RUN: SignedDuration = SignedDuration::from_mins(1);

/// Where its usage may be found: a call is recorded when it ends, and gateways' clocks may differ.
const AROUND: SignedDuration = SignedDuration::from_hours(1);

#[component]
pub fn UnknownRequestPage() -> impl IntoView {
    let cx = viewer::operator();
    let attempt = use_params_map().get_untracked().get("attempt");
    let flash = flash();
    page(async move {
        let cx = cx?;
        let attempt: AttemptId = attempt.and_then(|id| id.parse().ok()).ok_or(PageError::NotFound)?;
        let seen = Seen::load(&cx, attempt).await?;
        let request = seen.request.clone();
        let title = match request.path.as_str() {
            "" => "An operation that is no longer there".to_owned(),
            path => format!("{} {path}", request.method),
        };
        let may_resolve = cx.viewer.role == OperatorRole::Admin;
        let problems = flash.problems_of(FORM);
        let overdue_and_running = request.reason == Unknown::Overdue && seen.may_run();
        let facts = facts(&seen);
        let ask = ask(&seen);
        let form = if may_resolve {
            view! { <Resolve attempt=attempt flash=flash/> }.into_any()
        } else {
            view! {
                <Notice title="Your role reads only">"An operator who may change things writes down what the API said."</Notice>
            }
            .into_any()
        };
        Ok(view! {
            <PageTitle text="Unknown request"/>
            <OperatorFrame cx=cx path="/console/unknown-requests">
                <Breadcrumbs
                    trail=vec![Crumb::new("Unknown requests", "/console/unknown-requests")]
                    current=request.request_id.clone()
                />
                <PageHeader title=title description=request.reason.detail() beside=move || view! {
                    <Badge text=reason(request.reason) tone=Tone::Warning/>
                }/>
                <ErrorSummary problems=problems/>
                {overdue_and_running
                    .then(|| view! {
                        <Notice tone=Tone::Warning title="Its gateway may still wait for the answer">
                            "It was heard of within the last minute. Come back later, or stop it, before you say that the request was not carried out."
                        </Notice>
                    })}
                {facts}
                {ask}
                {form}
            </OperatorFrame>
        })
    })
}

/// What the page shows.
struct Seen {
    request: UnknownRequest,
    /// Nothing where it is gone.
    product: Option<ProductLine>,
    /// What was recorded of the call, where it was.
    recorded: Option<LoggedRequest>,
    /// The API key that it came with, where the call was recorded.
    key: Option<Key>,
    /// When its gateway was heard of; nothing where it has ended.
    heard_of: Option<Timestamp>,
    /// Gateways are heard of in real time.
    real_now: Timestamp,
}

impl Seen {
    async fn load(cx: &Cx<OperatorViewer>, attempt: AttemptId) -> Result<Self, PageError> {
        let store = &cx.state.store;
        let request = store.unknown_request_of_any_partner(attempt).await?;
        let product = if_there(store.product(request.product_id).await)?.map(|product| product.line);
        let around = |at: Timestamp| Period {
            start: at.saturating_sub(AROUND).unwrap_or(at),
            end: at.saturating_add(AROUND).unwrap_or(at),
        };
        let filter = RequestFilter { request_id: Some(request.request_id.clone()), ..RequestFilter::default() };
        let log = store.request_log(request.partner, around(request.began_at), &filter, None, 10).await?;
        // A partner may send the same request id more than once.
        let recorded = log.requests.into_iter().find(|one| {
            one.request_id == request.request_id
                && one.product == Some(request.product_id)
                && one.operation_code == request.operation
        });
        let key = match &recorded {
            Some(recorded) => if_there(store.key(request.partner, recorded.key).await)?,
            None => None,
        };
        let nodes = store.gateway_nodes().await?;
        let heard_of = nodes.into_iter().find(|node| node.node == request.node).and_then(|node| node.seen_at);
        Ok(Self { request, product, recorded, key, heard_of, real_now: Timestamp::now() })
    }

    fn may_run(&self) -> bool {
        self.heard_of.is_some_and(|at| self.real_now.duration_since(at) < MAY_RUN)
    }
}

fn if_there<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn facts(seen: &Seen) -> impl IntoView + use<> {
    let UnknownRequest { partner, partner_name, environment, key, request_id, node, began_at, until, .. } =
        seen.request.clone();
    let product = match &seen.product {
        Some(line) => view! { <a href=format!("/console/products/{}", line.id)>{line.name.clone()}</a> }.into_any(),
        None => "No longer there".into_any(),
    };
    let operation = match seen.request.operation.as_str() {
        "" => "No longer there".into_any(),
        code => view! { <code>{code.to_owned()}</code> }.into_any(),
    };
    let api_key = match &seen.key {
        Some(key) => {
            let last_four =
                (!key.last_four.is_empty()).then(|| view! { " " <code>{format!("…{}", key.last_four)}</code> });
            view! { {key.name.clone()} " of " {key.app_name.clone()} {last_four} }.into_any()
        }
        None => "Not known: nothing was recorded of the call".into_any(),
    };
    let recorded = match &seen.recorded {
        Some(one) => {
            let units = if one.units == 1 { "1 unit".to_owned() } else { format!("{} units", one.units) };
            view! { <StatusCode code=one.status/> " " {units} }.into_any()
        }
        None => "Nothing was recorded of the call, so it is not billed".into_any(),
    };
    let now = seen.real_now;
    let heard_of = match seen.heard_of {
        Some(at) => view! { "heard of " <RelativeTime at=at now=now/> }.into_any(),
        None => "not running".into_any(),
    };
    view! {
        <Card title="What is known">
            <DescriptionList>
                <Description label="Partner"><a href=format!("/console/partners/{partner}")>{partner_name}</a></Description>
                <Description label="API key">{api_key}</Description>
                <Description label="Environment"><EnvironmentBadge live=environment == Environment::Live/></Description>
                <Description label="Product">{product}</Description>
                <Description label="Operation">{operation}</Description>
                <Description label="Idempotency-Key">
                    <code>{key.clone()}</code> <CopyButton text=key label="Copy key"/>
                </Description>
                <Description label="X-Request-Id">
                    <code>{request_id.clone()}</code> <CopyButton text=request_id label="Copy request id"/>
                </Description>
                <Description label="Sent">
                    <TimeText at=began_at seconds=true/> " UTC"
                </Description>
                <Description label="Sent by">"Gateway " <code>{node}</code> ", " {heard_of}</Description>
                <Description label="Given to the partner">{recorded}</Description>
                <Description label="Refused until">
                    <TimeText at=until/> " UTC. Then the key is forgotten, whatever became of the request."
                </Description>
            </DescriptionList>
        </Card>
    }
}

/// How to find out.
fn ask(seen: &Seen) -> impl IntoView + use<> {
    let upstream = match &seen.product {
        Some(line) => view! { "the API at " <code>{line.upstream_url.clone()}</code> }.into_any(),
        None => "the API".into_any(),
    };
    let audit = format!("/console/audit?partner={}", seen.request.partner);
    view! {
        <Card title="How to find out">
            <Prose>
                <ol>
                    <li>
                        "Ask " {upstream} ", in its log or its own list, for the request above. It got both headers as they stand here, Idempotency-Key and X-Request-Id."
                    </li>
                    <li>
                        "If it has no trace of the request, be sure that none will come: that its gateway is done with it, and that the API does not work on it any more."
                    </li>
                    <li>
                        "If nobody can tell, leave it. A request with this key is answered with 409 and never carried out again, until the key is forgotten."
                    </li>
                </ol>
                <p><a href=audit>"What the audit log has of this partner"</a></p>
            </Prose>
        </Card>
    }
}

#[component]
fn Resolve(attempt: AttemptId, flash: Flash) -> impl IntoView {
    let outcomes = vec![
        Choice::new("carried_out", "It carried the request out")
            .hint("The key goes on to be refused, and its answer says that the request was carried out."),
        Choice::new("not_carried_out", "It did not, and will not")
            .hint("The key is forgotten, and the same request may be sent again: be sure, or it is carried out twice."),
    ];
    view! {
        <Card title="What the API said" description="It cannot be taken back. The audit log keeps who said it, and the note.">
            <Form action="/do/console/unknown-requests/resolve">
                <input type="hidden" name="attempt" value=attempt.to_string()/>
                <RadioCards
                    legend="What became of the request"
                    name="outcome"
                    choices=outcomes
                    value=flash.typed(FORM, "outcome", "")
                    error=flash.problem(FORM, "outcome")
                    required=true
                />
                <TextArea
                    label="Note"
                    name="note"
                    rows=3
                    value=flash.typed(FORM, "note", "")
                    error=flash.problem(FORM, "note")
                    hint="Who was asked, and what was found; up to 500 characters"
                />
                <FormActions cancel="/console/unknown-requests"><Button kind=ButtonKind::Primary>"Write it down"</Button></FormActions>
            </Form>
        </Card>
    }
}
