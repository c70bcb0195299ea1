//! The gateway over real sockets, in front of a real upstream.

mod calls {
    pub mod alone;
    pub mod client;
    pub mod faulty;
    pub mod frames;
    pub mod issuer;
    pub mod keys;
    pub mod log;
    pub mod scripted;
    pub mod upstream;
    pub mod world;

    mod allocations;
    mod alpn;
    mod answers;
    mod bounds;
    mod cache;
    mod certificates;
    mod client_certificate;
    mod cost;
    mod counting;
    mod credentials;
    mod entitlement;
    mod floods;
    mod forwarding;
    mod full_disk;
    mod gates;
    mod hostile;
    mod http1;
    mod http2;
    mod http2_upstream;
    mod http_cache_tests;
    mod https;
    mod idempotency;
    mod large;
    mod leases;
    mod lifecycle;
    mod limits;
    mod metering;
    mod meters;
    mod metrics;
    mod names;
    mod overload;
    mod pace;
    mod places;
    mod quota;
    mod refused_early;
    mod restart;
    mod reuse;
    mod scopes;
    mod streams;
    mod targets;
    mod tls;
    mod tokens;
    mod unpaid;
    mod websocket;
}
