//! What the gateway counts.

use super::world::World;
use gateway::{Spool, WhenFull};
use metrics_exporter_prometheus::PrometheusBuilder;

/// The value of a series, or zero where there is none.
fn value(rendered: &str, series: &str) -> usize {
    let line = rendered.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().expect("a number"))
}

#[tokio::test]
async fn only_partners_that_somebody_asked_for_have_series_of_their_own() {
    for asked in [true, false] {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        let _local = metrics::set_default_local_recorder(&recorder);
        let world = World::with(|directory, config| {
            config.counted_partners = directory.partners.iter().map(|partner| partner.id).filter(|_| asked).collect();
        })
        .await;
        world.get("/payments/items/1").await;
        world.get("/hidden/items/1").await;
        let (rendered, partner) = (metrics.render(), world.partner());
        let requests = format!("turnpike_gateway_partner_requests_total{{partner=\"{partner}\"");
        let served = format!("{requests},outcome=\"served\",status_class=\"2xx\"}}");
        let refused = format!("{requests},outcome=\"refused\",status_class=\"4xx\"}}");
        for series in [served, refused] {
            assert_eq!(value(&rendered, &series), usize::from(asked), "{series}");
        }
        assert_eq!(rendered.contains(&partner.to_string()), asked);
    }
}

#[tokio::test]
async fn calls_are_counted_by_product_and_outcome_and_unmetered_ones_exactly() {
    // Of this thread only: the handles are made where the gateway is started.
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let world = World::with(|_, config| {
        config.cores = 1;
        if let Spool::On { max_bytes, when_full, segment_bytes, .. } = &mut config.spool {
            (*max_bytes, *when_full, *segment_bytes) = (16_000, WhenFull::ServeUnmetered, 4_000);
        }
    })
    .await;
    for _ in 0..120 {
        assert_eq!(world.get("/payments/items/1").await.status, 200);
    }
    world.get("/hidden/items/1").await;
    let rendered = metrics.render();
    let recorded = world.events().iter().filter(|event| event.units == 1).count();
    assert!(recorded < 120);
    let unmetered = value(&rendered, "turnpike_gateway_unmetered_total");
    assert_eq!(recorded + unmetered, 120, "each call that was served is in the log or counted as lost");
    let served = "turnpike_gateway_requests_total{product=\"payments\",outcome=\"served\",status_class=\"2xx\"}";
    assert_eq!(value(&rendered, served), 120);
    assert_eq!(value(&rendered, "turnpike_gateway_refusals_total{code=\"not-found\"}"), 1);
    assert!(rendered.contains("turnpike_gateway_request_duration_seconds"));
    for secret in [&world.live, "partner_", "/items/1"] {
        assert!(!rendered.contains(secret), "{secret} is in a label");
    }
}
