//! Which tasks run under which settings.

use super::*;
use crate::{config::read::Reader, tasks::StopSwitch, test_app};
use std::collections::HashMap;
use store::test_db;
use stripe_stand_in::{Options, StandIn};
use tokio::time::{Instant, sleep, timeout};

fn config(set: &[(&str, &str)]) -> Config {
    let set: HashMap<String, String> = set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::read(Reader::new(None, move |name| set.get(name).cloned()).expect("settings")).expect("a configuration")
}

#[tokio::test]
async fn what_stripe_has_taken_is_followed_wherever_invoices_go_by_now() {
    let stripe = StandIn::start(Options::default()).await.expect("starts");
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(&[
        ("TURNPIKE_DEVELOPMENT", "1"),
        ("TURNPIKE_DATA_DIR", folder.path().to_str().expect("a path")),
        ("TURNPIKE_STRIPE_KEY", "sk_test_1"),
        ("TURNPIKE_STRIPE_URL", &stripe.url()),
        ("TURNPIKE_INVOICE_SINK", "none"),
    ]);
    let store = test_db::store().await;
    let (state, board, (switch, stop)) = (test_app::state(&store), Board::default(), StopSwitch::new());
    let mut tasks = Tasks::new(stop, board.clone());
    Background { config: &config, state: &state, board: &board }.start(&mut tasks).expect("starts");
    let compared = timeout(Duration::from_secs(30), async {
        while store.stripe_comparison().await.expect("asked").compared_at.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    let compared = compared.await;
    switch.stop();
    tasks.finish(Instant::now() + Duration::from_secs(10)).await;
    compared.expect("Stripe is asked what went back");
}
