//! A product's upstream as the gateway uses it: where it is, how long we wait, what happens when it fails.

use super::compile::Unseal;
use crate::{
    accept::Shared,
    snapshot::Sealed,
    upstream::{Identity, LiveUpstream, MAX_TARGETS, Origin},
};
use domain::{
    directory::{ProductSecret, UpstreamHeader},
    id::ProductId,
    policy::{Breaker, HealthCheck, Retry},
    product,
};
use http::{HeaderName, HeaderValue, Uri};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

#[derive(Debug)]
pub(crate) struct Upstream {
    pub product: ProductId,
    /// The product's code, for the log and metrics.
    pub code: String,
    /// At least one; the product's own address first, unless it weighs nothing.
    pub targets: Vec<Target>,
    pub weights: Vec<u32>,
    /// The wait for the answer's head.
    pub timeout: Duration,
    /// The wait for the answer's end, from the request's arrival.
    pub total: Option<Duration>,
    /// The wait for another byte of the answer's body, where it is not the installation's.
    pub body_idle: Option<Duration>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub breaker: Breaker,
    pub retry: Retry,
    pub health_check: Option<HealthCheck>,
    live: OnceLock<Arc<LiveUpstream>>,
}

/// One address.
#[derive(Debug)]
pub(crate) struct Target {
    pub url: String,
    pub origin: Arc<Origin>,
    pub host: HeaderValue,
    /// What comes before the path below the route; no slash at the end.
    pub base_path: String,
}

impl Upstream {
    /// What is known of it while the gateway runs.
    pub(crate) fn live(&self, shared: &Shared) -> &Arc<LiveUpstream> {
        self.live
            .get_or_init(|| shared.upstreams.of(self.product, self.targets.iter().map(|target| target.url.as_str())))
    }
}

/// What the directory says of one product's upstream.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub product: &'a product::Product,
    pub headers: &'a [&'a UpstreamHeader],
    pub secrets: &'a [ProductSecret],
    pub unseal: Unseal<'a>,
}

pub(super) fn compile(from: Source<'_>) -> Result<Upstream, String> {
    let policy = &from.product.policy.upstream;
    let identity = policy.client_certificate.as_deref().map(|name| identity(from, name)).transpose()?.map(Arc::new);
    let own = (from.product.upstream_url.as_str(), policy.own_weight.unwrap_or(1));
    let others = policy.targets.iter().map(|target| (target.url.as_str(), target.weight));
    let in_use: Vec<_> = [own].into_iter().chain(others).filter(|(_, weight)| *weight > 0).collect();
    if in_use.is_empty() || in_use.len() > MAX_TARGETS {
        return Err(format!(
            "An upstream has 1 to {MAX_TARGETS} targets that weigh something, this one {}",
            in_use.len()
        ));
    }
    let millis = |time: u32| Duration::from_millis(u64::from(time));
    let connect = policy.timeouts.connect_ms.map(millis);
    let open = |url: &str| {
        let with =
            |origin: Origin| origin.with(policy.allow_private_addresses, identity.clone(), connect, policy.protocol);
        target(url, with)
    };
    Ok(Upstream {
        product: from.product.id,
        code: from.product.code.clone(),
        targets: in_use.iter().map(|(url, _)| open(url)).collect::<Result<_, _>>()?,
        weights: in_use.iter().map(|(_, weight)| *weight).collect(),
        timeout: millis(from.product.timeout_ms),
        total: policy.timeouts.total_ms.map(millis),
        body_idle: policy.timeouts.idle_ms.map(millis),
        headers: from.headers.iter().map(|header| added(header, from.unseal)).collect::<Result<_, _>>()?,
        breaker: policy.breaker,
        retry: policy.retry,
        health_check: policy.health_check.clone(),
        live: OnceLock::new(),
    })
}

fn target(url: &str, with: impl FnOnce(Origin) -> Origin) -> Result<Target, String> {
    let unusable = || format!("The upstream address {url:?} is not http:// or https:// with a host");
    let uri: Uri = url.parse().map_err(|_| unusable())?;
    let authority = uri.authority().ok_or_else(unusable)?;
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(unusable());
    }
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(unusable()),
    };
    let origin = Origin::new(tls, authority.host(), authority.port_u16()).ok_or_else(unusable)?;
    Ok(Target {
        url: url.to_owned(),
        origin: Arc::new(with(origin)),
        host: HeaderValue::from_str(authority.as_str()).map_err(|_| unusable())?,
        base_path: uri.path().trim_end_matches('/').to_owned(),
    })
}

fn added(header: &UpstreamHeader, unseal: Unseal<'_>) -> Result<(HeaderName, HeaderValue), String> {
    let value = unseal(Sealed::Header(header))
        .map_err(|error| format!("The header {} cannot be unsealed: {error}", header.name))?;
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|_| format!("The value of the header {} holds a character that headers cannot", header.name))?;
    value.set_sensitive(true);
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_| format!("{:?} is not the name of a header", header.name))?;
    Ok((name, value))
}

fn identity(from: Source<'_>, name: &str) -> Result<Identity, String> {
    let secret = from.secrets.iter().find(|secret| secret.product == from.product.id && secret.name == name);
    let secret = secret.ok_or_else(|| format!("The client certificate {name:?} is not among the product's secrets"))?;
    let pem = (from.unseal)(Sealed::Secret(secret))
        .map_err(|error| format!("The client certificate {name:?} cannot be unsealed: {error}"))?;
    Identity::from_pem(&pem).map_err(|problem| format!("The client certificate {name:?} cannot be used: {problem}"))
}
