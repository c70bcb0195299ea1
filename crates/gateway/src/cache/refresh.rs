//! A new answer fetched in the background while a stale one is given (RFC 5861). Nobody asked for it, so nobody pays.

use super::{Asked, Missed, condition, entries::Stored};
use crate::{
    accept::{Connection, Core},
    cost,
    forward::{self, Journey},
    headers::Outward,
    identity,
    matching::Target,
    meter::{Upload, UploadState},
    reserve::Draft,
};
use http::{
    HeaderMap, Method, Request, Version,
    header::{IF_RANGE, RANGE},
};
use http_body::Body;
use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};
use tokio::{task::spawn_local, time::timeout};

/// Starts it, unless one is under way for the same answer.
pub(super) fn start(core: &Rc<Core>, connection: &Rc<Connection>, target: &Target, asked: &Asked, stale: &Arc<Stored>) {
    if stale.refreshing.swap(true, Ordering::AcqRel) {
        return;
    }
    let (core, connection, target, stale) = (core.clone(), connection.clone(), target.clone(), stale.clone());
    let asked = Asked { head_only: false, directives: Default::default(), ..asked.clone() };
    spawn_local(async move {
        let fetched = fetch(&core, connection, &target, asked, &stale).await;
        // The next stale answer may try again.
        stale.refreshing.store(false, Ordering::Release);
        if fetched.is_none() {
            tracing::debug!(product = %target.product().id, "a kept answer could not be refreshed");
        }
    });
}

async fn fetch(
    core: &Rc<Core>,
    connection: Rc<Connection>,
    target: &Target,
    mut asked: Asked,
    stale: &Arc<Stored>,
) -> Option<()> {
    let upstream = target.product().upstream.as_ref()?;
    let now = core.shared.clock.now();
    let request_id = core.request_ids.take(&HeaderMap::new(), now);
    let draft = Draft {
        at: now,
        arrived: Instant::now(),
        request_id,
        method: Method::GET,
        trace: None,
        trace_id: None,
        recorded: Cell::default(),
    };
    let mut headers = asked.headers.clone();
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    let validates = condition::validate(&mut headers, &stale.headers);
    let environment = target.caller.key().environment;
    if target.operation().reads_json {
        cost::ask_for_plain(&mut headers);
    }
    let outward = Outward::new(&headers, core, &connection, &draft, environment, upstream, Version::HTTP_11);
    outward.put(&mut headers, &upstream.targets[0].host);
    let (mut head, ()) = Request::new(()).into_parts();
    head.headers = headers;
    head.uri = match &asked.address.query {
        Some(query) => format!("/?{query}").parse().ok()?,
        None => Default::default(),
    };
    asked.at = core.shared.monotonic();
    let upload = Rc::new(UploadState::new(connection.clone(), Rc::default()));
    upload.ended.set(true);
    let mut request = forward::readdress(head, upstream, &target.path_below, Upload::Empty).ok()?;
    let tell = |request: &mut Request<Upload>| {
        if target.product().entry.is_some() {
            identity::tell(target, &connection, &draft, request);
        }
    };
    tell(&mut request);
    let (operation, path_below, arrived) = (target.operation(), &*target.path_below, draft.arrived);
    let journey = Journey {
        core,
        upstream,
        operation,
        path_below,
        upload: &upload,
        arrived,
        began: arrived,
        tell: &tell,
        outward: None,
        as_lines: None,
    };
    let (answer, _) = forward::send(&journey, request).await.ok()?;
    if answer.head.status.is_server_error() {
        return None;
    }
    let mut missed = Missed { asked, why: "stale", stale: Some(stale.clone()), validates, lead: None };
    let mut body = missed.receive(core, target, answer).body;
    let whole = async { while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    timeout(core.shared.deadlines.body_idle, whole).await.ok()
}
