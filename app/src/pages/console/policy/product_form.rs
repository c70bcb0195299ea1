//! The form of a product's policy, one section for each concern.

use super::{fields::Fields, meters::meters};
use crate::{components::*, flash::Flash};
use domain::{
    id::ProductId,
    policy::{
        AllowanceOutage, Authentication, Cache, CachePrice, Counted, Counting, HealthCheck, Issuer, Policy, Proof,
        Protocol, StatusClass, Upstream, countable_refusals,
    },
};
use leptos::prelude::*;

const FORM: &str = "policies/product";

const WAYS_IN: [(&str, &str); 8] = [
    ("", "None"),
    ("key", "API key"),
    ("token", "Token"),
    ("certificate", "Client certificate"),
    ("key+token", "API key and token"),
    ("key+certificate", "API key and client certificate"),
    ("token+certificate", "Token and client certificate"),
    ("key+token+certificate", "All three"),
];

#[component]
pub(super) fn ProductPolicyForm(id: ProductId, policy: Policy, flash: Flash) -> impl IntoView {
    let problems = flash.problems_of(FORM);
    let fields = Fields { form: FORM, flash };
    let credentials = credentials(&fields, &policy.authentication);
    let issuers = issuers(&fields, &policy.authentication);
    let certificates = certificates(&fields, &policy.authentication);
    let targets = targets(&fields, &policy.upstream);
    let times = times(&fields, &policy.upstream);
    let trouble = trouble(&fields, &policy.upstream);
    let told = policy.counting_sentence();
    let counting = counting(&fields, &policy.counting);
    let meters = meters(&fields, &policy.meters);
    let cache = cache(&fields, policy.cache);
    let (keep, longest) = (policy.idempotency.keep_seconds, policy.idempotency.max_body_bytes);
    let request = fields.value("idempotency.max_request_bytes", policy.idempotency.max_request_bytes);
    let request = fields.number("idempotency.max_request_bytes", "Longest request", request, "bytes", "");
    let keep = fields.number(
        "idempotency.keep_seconds",
        "Answers are kept for",
        fields.value("idempotency.keep_seconds", keep),
        "seconds",
        "",
    );
    let longest = fields.number(
        "idempotency.max_body_bytes",
        "Longest answer",
        fields.value("idempotency.max_body_bytes", longest),
        "bytes",
        "",
    );
    let (outage, units) = match policy.allowance_outage {
        AllowanceOutage::Closed => ("closed", None),
        AllowanceOutage::Open { overdraft_units } => ("open", Some(overdraft_units)),
    };
    let outage = fields.choice(
        "allowance_outage",
        "Calls whose units cannot be confirmed",
        fields.value("allowance_outage", outage),
        &[("closed", "Refused with 503"), ("open", "Served on overdraft")],
    );
    let units = fields.number(
        "allowance_outage.units",
        "Overdraft",
        fields.any("allowance_outage.units", units),
        "units",
        "For each partner, period and gateway",
    );
    let body = fields.number(
        "max_body_bytes",
        "Longest request body",
        fields.any("max_body_bytes", policy.max_body_bytes),
        "bytes",
        "Empty: as the installation",
    );
    view! {
        <Form action="/do/console/policies/product" wide=true>
            <ErrorSummary problems=problems/>
            <input type="hidden" name="product" value=id.to_string()/>
            <FormSection title="Credentials" description="A call takes one of these ways in and brings all that it asks for, of one partner.">
                {credentials}
            </FormSection>
            <FormSection title="Token issuers" description="Whose signed tokens (JWT) count. The claim names an identity that is registered with an app.">
                {issuers}
            </FormSection>
            <FormSection title="Client certificates" description="Authorities that sign them, and what they have revoked, as PEM.">
                {certificates}
            </FormSection>
            <FormSection title="Targets" description="More addresses of the same API beside the product's own. A larger share gets more calls.">{targets}</FormSection>
            <FormSection title="Times" description="In milliseconds. The product's timeout is the wait for the beginning of an answer.">{times}</FormSection>
            <FormSection title="When it fails" description="Targets that fail are left alone for a while; calls of which nothing was sent go to another.">{trouble}</FormSection>
            <FormSection title="What counts" description="Which calls cost units. Our own errors never do. Partners read the rule on the product's page and on their invoices.">
                {counting}
                <p class="field-hint">"Partners read now: " {told}</p>
            </FormSection>
            <FormSection
                title="Meters"
                description="What is measured of calls that count, besides units: what the API says in a header, which is not passed on, or in its JSON, or what the gateway knows itself. Whole numbers. A row without a code is none."
            >
                {meters}
            </FormSection>
            <FormSection title="Cache" description="Answers are kept by what they say of themselves (RFC 9111), for each partner apart.">{cache}</FormSection>
            <FormSection title="Idempotency-Key" description="For operations that take the header.">
                <FormRow>{keep} {longest} {request}</FormRow>
            </FormSection>
            <FormSection title="Limits of the gateway" description="What it takes, and what it does while the database is away and no units are in hand.">
                <FormRow>{outage} {units}</FormRow>
                <FormRow>{body}</FormRow>
            </FormSection>
            <FormActions cancel=format!("/console/products/{id}")><Button kind=ButtonKind::Primary>"Save policy"</Button></FormActions>
        </Form>
    }
}

fn credentials(fields: &Fields, own: &Authentication) -> AnyView {
    let code = |proofs: &Vec<Proof>| {
        let mut proofs = proofs.clone();
        proofs.sort();
        let name = |proof: &Proof| match proof {
            Proof::Key => "key",
            Proof::Token => "token",
            Proof::Certificate => "certificate",
        };
        proofs.iter().map(name).collect::<Vec<_>>().join("+")
    };
    let rows = (0..own.accept.len().max(3)).map(|row| {
        let field = format!("authentication.accept.{row}");
        let value = fields.value(&field, own.accept.get(row).map(code).unwrap_or_default());
        let label = if row == 0 { "Way in".to_owned() } else { format!("Or ({})", row + 1) };
        fields.choice(&field, &label, value, &WAYS_IN)
    });
    let rows = rows.collect_view();
    let error = fields.problem("authentication.accept");
    let identity = fields.tick(
        "authentication.identity_headers",
        "Tell the upstream who calls, in headers signed under the secret identity-signing",
        own.identity_headers,
    );
    view! {
        <FormRow>{rows}</FormRow>
        {error.map(|text| view! { <p class="field-error">{text}</p> })}
        {identity}
    }
    .into_any()
}

fn issuers(fields: &Fields, own: &Authentication) -> AnyView {
    let rows = (0..=own.issuers.len()).map(|row| {
        let there: Option<&Issuer> = own.issuers.get(row);
        let field = |name: &str| format!("authentication.issuers.{row}.{name}");
        let text = |name: &str, label: &str, own: String, hint: &str| {
            fields.text(&field(name), label, fields.value(&field(name), own), hint)
        };
        let of = |read: fn(&Issuer) -> String| there.map(read).unwrap_or_default();
        let algorithms =
            |issuer: &Issuer| issuer.algorithms.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
        let issuer = text("issuer", "Issuer", of(|one| one.issuer.clone()), "The iss claim, letter by letter");
        let keys = text("jwks_url", "Key set", of(|one| one.jwks_url.clone()), "The address of its JWKS");
        let audiences = text("audiences", "Audiences", of(|one| one.audiences.join(", ")), "One of them is in aud");
        let claim = text("claim", "Claim", of(|one| one.claim.clone()), "Who calls; sub if empty");
        let own = there.map_or("RS256, ES256".to_owned(), algorithms);
        let algorithms = text("algorithms", "Algorithms", own, "");
        let tick = |name: &str, label: &str, own: bool| fields.tick(&field(name), label, own);
        let access = tick(
            "only_access_tokens",
            "Only tokens that say that they are access tokens (at+jwt)",
            there.is_some_and(|one| one.only_access_tokens),
        );
        let private = tick(
            "allow_private_addresses",
            "The key set may be at a private address, without TLS",
            there.is_some_and(|one| one.allow_private_addresses),
        );
        view! {
            <FormRow>{issuer} {keys}</FormRow>
            <FormRow>{audiences} {claim} {algorithms}</FormRow>
            {access}
            {private}
        }
    });
    rows.collect_view().into_any()
}

fn certificates(fields: &Fields, own: &Authentication) -> AnyView {
    let authorities = fields.lines(
        "authentication.client_authorities",
        "Authorities",
        fields.any("authentication.client_authorities", own.client_authorities.clone()),
        "-----BEGIN CERTIFICATE-----",
    );
    let revoked = fields.lines(
        "authentication.revocation_lists",
        "Revocation lists",
        fields.any("authentication.revocation_lists", own.revocation_lists.clone()),
        "-----BEGIN X509 CRL-----",
    );
    view! { {authorities} {revoked} }.into_any()
}

fn targets(fields: &Fields, own: &Upstream) -> AnyView {
    let rows = (0..own.targets.len() + 2).map(|row| {
        let there = own.targets.get(row);
        let (url, weight) = (format!("upstream.targets.{row}.url"), format!("upstream.targets.{row}.weight"));
        let address = fields.text(&url, "Address", fields.any(&url, there.map(|target| target.url.clone())), "");
        let share = fields.number(&weight, "Share", fields.any(&weight, there.map(|target| target.weight)), "", "");
        view! { <FormRow>{address} {share}</FormRow> }
    });
    let rows = rows.collect_view();
    let share = fields.number(
        "upstream.own_weight",
        "Share of the product's own address",
        fields.any("upstream.own_weight", own.own_weight),
        "",
        "1 if empty; 0 takes it out",
    );
    let protocol = match own.protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    };
    let protocol = fields.choice(
        "upstream.protocol",
        "Protocol",
        fields.value("upstream.protocol", protocol),
        &[("http1", "HTTP/1.1"), ("http2", "HTTP/2, which gRPC needs")],
    );
    let private = match own.allow_private_addresses {
        None => "",
        Some(true) => "yes",
        Some(false) => "no",
    };
    let private = fields.choice(
        "upstream.allow_private_addresses",
        "Private addresses",
        fields.value("upstream.allow_private_addresses", private),
        &[("", "As the installation"), ("yes", "Allowed"), ("no", "Refused")],
    );
    let certificate = fields.text(
        "upstream.client_certificate",
        "Our client certificate",
        fields.any("upstream.client_certificate", own.client_certificate.clone()),
        "The name of a secret below",
    );
    view! { {rows} <FormRow>{share} {protocol}</FormRow> <FormRow>{private} {certificate}</FormRow> }.into_any()
}

fn times(fields: &Fields, own: &Upstream) -> AnyView {
    let time = |name: &str, label: &str, own: Option<u32>, hint: &str| {
        let field = format!("upstream.timeouts.{name}");
        fields.number(&field, label, fields.any(&field, own), "ms", hint)
    };
    let connect = time("connect_ms", "To connect", own.timeouts.connect_ms, "Empty: as the installation");
    let idle = time("idle_ms", "Without a byte", own.timeouts.idle_ms, "Empty: as the installation");
    let total = time("total_ms", "In all", own.timeouts.total_ms, "Empty: without end, as streams need");
    view! { <FormRow>{connect} {idle} {total}</FormRow> }.into_any()
}

fn trouble(fields: &Fields, own: &Upstream) -> AnyView {
    let number = |field: &str, label: &str, own: u32, suffix: &str| {
        fields.number(field, label, fields.value(field, own), suffix, "")
    };
    let failures = number("upstream.breaker.failures", "Failures in a row", own.breaker.failures, "take it out");
    let open = number("upstream.breaker.open_ms", "For", own.breaker.open_ms, "ms");
    let attempts = number("upstream.retry.attempts", "Attempts again", own.retry.attempts, "");
    let budget = number("upstream.retry.budget_percent", "At most", u32::from(own.retry.budget_percent), "% of calls");
    let busy = fields.number(
        "upstream.max_in_flight",
        "Calls in flight",
        fields.any("upstream.max_in_flight", own.max_in_flight),
        "on each core",
        "Empty: as the installation",
    );
    let check = own.health_check.as_ref();
    let of = |read: fn(&HealthCheck) -> u32| check.map(read);
    let path = fields.text(
        "upstream.health_check.path",
        "Health check",
        fields.any("upstream.health_check.path", check.map(|check| check.path.clone())),
        "A path, as /health; empty: none",
    );
    let part = |name: &str, label: &str, own: Option<u32>, suffix: &str| {
        let field = format!("upstream.health_check.{name}");
        fields.number(&field, label, fields.any(&field, own), suffix, "")
    };
    let every = part("interval_seconds", "Every", of(|check| check.interval_seconds), "s");
    let within = part("timeout_ms", "Answered within", of(|check| check.timeout_ms), "ms");
    let threshold = part("threshold", "In a row", of(|check| check.threshold), "");
    view! {
        <FormRow>{failures} {open}</FormRow>
        <FormRow>{attempts} {budget} {busy}</FormRow>
        <FormRow>{path} {every}</FormRow>
        <FormRow>{within} {threshold}</FormRow>
    }
    .into_any()
}

fn counting(fields: &Fields, own: &Counting) -> AnyView {
    let classes = StatusClass::ALL.into_iter().map(|class| {
        let label = match class {
            StatusClass::Success => "Answers of the API with 2xx, and WebSockets",
            StatusClass::Redirection => "Answers with 3xx",
            StatusClass::ClientError => "Answers with 4xx",
            StatusClass::ServerError => "Answers with 5xx",
        };
        fields.tick(&format!("counting.{}", class.text()), label, own.statuses.contains(&class))
    });
    let classes = classes.collect_view();
    let interrupted = fields.tick(
        "counting.interrupted",
        "Calls that the client breaks off after the first byte of the answer's body",
        own.interrupted,
    );
    let (kind, units) = match own.replays {
        Counted::Free => ("free", None),
        Counted::Full => ("full", None),
        Counted::Units(units) => ("units", Some(units)),
    };
    let replays = fields.choice(
        "counting.replays",
        "An answer given again for its Idempotency-Key",
        fields.value("counting.replays", kind),
        &[("free", "Free"), ("full", "The operation's units"), ("units", "So many units")],
    );
    let replayed = fields.number(
        "counting.replays.units",
        "Units",
        fields.any("counting.replays.units", units),
        "units",
        "Where it costs so many",
    );
    let refusals = own.refusals.as_ref();
    let codes = refusals.map(|rule| rule.codes.iter().cloned().collect::<Vec<_>>().join(", "));
    let known: Vec<&str> = countable_refusals().map(|code| code.describe().code).collect();
    let codes = fields.text(
        "counting.refusals.codes",
        "Refusals that cost units",
        fields.any("counting.refusals.codes", codes),
        &format!("Empty: none. These may: {}", known.join(", ")),
    );
    let each = fields.number(
        "counting.refusals.units",
        "Each",
        fields.any("counting.refusals.units", refusals.map(|rule| rule.units)),
        "units",
        "Free where no units are left",
    );
    view! { {classes} {interrupted} <FormRow>{replays} {replayed}</FormRow> <FormRow>{codes} {each}</FormRow> }
        .into_any()
}

fn cache(fields: &Fields, own: Option<Cache>) -> AnyView {
    let on = fields.tick("cache.on", "Keep answers", own.is_some());
    let own = own.unwrap_or_default();
    let public =
        fields.tick("cache.public", "Share them between partners: answers are the same for everybody", own.public);
    let number = |name: &str, label: &str, own: String, suffix: &str, hint: &str| {
        let field = format!("cache.{name}");
        fields.number(&field, label, fields.value(&field, own), suffix, hint)
    };
    let all = number("max_bytes", "In all", own.max_bytes.to_string(), "bytes", "On each gateway");
    let one = number("max_body_bytes", "Longest answer", own.max_body_bytes.to_string(), "bytes", "");
    let fresh = number(
        "default_fresh_seconds",
        "Fresh for",
        own.default_fresh_seconds.to_string(),
        "s",
        "Where the answer does not say",
    );
    let stale = number(
        "stale_while_revalidate_seconds",
        "Stale for",
        own.stale_while_revalidate_seconds.to_string(),
        "s",
        "While a new one is fetched",
    );
    let price = match own.price {
        CachePrice::Full => String::new(),
        CachePrice::Units(units) => units.to_string(),
    };
    let price = number("price", "Price of a hit", price, "units", "Empty: as a call that the API answers");
    view! { {on} {public} <FormRow>{all} {one}</FormRow> <FormRow>{fresh} {stale} {price}</FormRow> }.into_any()
}
