//! What calls tell of their targets: to the breaker, the log and the metrics.

use super::{Failure, LiveUpstream, Stage};
use crate::{accept::Core, snapshot::Upstream};
use http::StatusCode;
use metrics::{counter, gauge};
use std::fmt::Display;

/// The target that a call's answer comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    target: usize,
    /// What it is if the answer does not end well.
    pub broke: Failure,
}

impl Sent {
    pub(crate) const fn to(target: usize) -> Self {
        Self { target, broke: Failure::BodyBroken }
    }
}

/// An answer's head came.
pub(crate) fn head(core: &Core, upstream: &Upstream, target: usize, status: StatusCode) {
    if is_of_a_gateway(status.as_u16()) {
        return fail(core, upstream, target, Failure::BadGateway, Stage::Head, &status);
    }
    note_well(core, upstream, target, |live| live.targets[target].breaker.answered());
}

/// A whole answer came.
pub(crate) fn end(core: &Core, upstream: &Upstream, sent: Sent, status: u16) {
    if !is_of_a_gateway(status) {
        note_well(core, upstream, sent.target, |live| live.targets[sent.target].breaker.ended());
    }
}

/// The answer broke off after its head, by the upstream's doing.
pub(crate) fn broke(core: &Core, upstream: &Upstream, sent: Sent) {
    fail(core, upstream, sent.target, sent.broke, Stage::Body, &"the answer did not come to its end");
}

/// A call failed on that target.
pub(crate) fn fail(
    core: &Core,
    upstream: &Upstream,
    target: usize,
    failure: Failure,
    stage: Stage,
    error: &dyn Display,
) {
    let (product, class) = (&upstream.code, failure.class());
    counter!("turnpike_gateway_upstream_failures_total", "product" => product.clone(), "class" => class).increment(1);
    let Some(live) = upstream.live(&core.shared).targets.get(target) else { return };
    let url = &*live.url;
    if failure.blames_target() && live.breaker.fail(&upstream.breaker, core.shared.millis(), stage) {
        let open_ms = upstream.breaker.open_ms;
        tracing::warn!(product, target = url, class, %error, open_ms, "a target failed too often in a row and is left alone");
        counter!("turnpike_gateway_breaker_opened_total", "product" => product.clone()).increment(1);
        show(upstream, url, true);
    } else if live.may_say(core.second()) {
        tracing::warn!(product, target = url, class, %error, "a call of an upstream failed");
    }
}

fn note_well(core: &Core, upstream: &Upstream, target: usize, closes: impl Fn(&LiveUpstream) -> bool) {
    let live = upstream.live(&core.shared);
    if let Some(this) = live.targets.get(target)
        && !this.breaker.is_sound()
        && closes(live)
    {
        tracing::info!(product = upstream.code, target = &*this.url, "a target answers again and gets calls");
        show(upstream, &this.url, false);
    }
}

fn show(upstream: &Upstream, url: &str, open: bool) {
    gauge!("turnpike_gateway_breaker_open", "product" => upstream.code.clone(), "target" => url.to_owned())
        .set(f64::from(u8::from(open)));
}

/// Statuses that say that something behind the upstream failed.
const fn is_of_a_gateway(status: u16) -> bool {
    matches!(status, 502..=504)
}
