//! Two gateways on one Postgres, as far as their leases go.

use super::*;
use crate::{config::LeaseCheck, leases::PostgresExchange};
use gateway::Leases;
use std::collections::BTreeSet;
use store::test_db::{self, TestStore, world::World};

fn tender(store: &TestStore, node: &str) -> Tender {
    let exchange = PostgresExchange::new(store.handle(), node, LeaseCheck::Exact);
    Tender {
        store: store.handle(),
        clock: Clock::default(),
        leases: Leases::new(Arc::new(exchange)),
        node: node.into(),
        started_at: Timestamp::now(),
        progress: settled(),
    }
}

/// All usage is stored.
fn settled() -> Progress {
    let progress = Progress::default();
    progress.settle(&[], &BTreeSet::new(), &BTreeSet::new());
    progress
}

#[tokio::test]
async fn nothing_is_leased_before_an_earlier_lifes_usage_is_stored() {
    let store = test_db::store().await;
    let mut tender = tender(&store, "a");
    tender.progress = Progress::default();
    tender.tend().await.expect("tended");
    assert!(!tender.leases.has_begun());
    tender.progress = settled();
    tender.tend().await.expect("tended");
    assert!(tender.leases.has_begun());
}

#[tokio::test]
async fn a_node_that_ends_is_no_longer_shared_with_and_is_not_listed() {
    let store = test_db::store().await;
    let _world = World::new(&store).await;
    let (one, two) = (tender(&store, "a"), tender(&store, "b"));
    one.tend().await.expect("tended");
    two.tend().await.expect("tended");
    assert_eq!(store.gateway_nodes().await.expect("nodes").len(), 2);
    two.finish(Duration::from_secs(1)).await;
    let nodes = store.gateway_nodes().await.expect("nodes");
    assert_eq!(nodes.iter().map(|node| node.node.as_str()).collect::<Vec<_>>(), ["a"]);
}
