//! Pages of Stripe's from outside: what is done on them, and what Stripe tells of that and of all else.

use crate::shop::{Shop, list};
use billing::{apply_pending_webhooks, receive_webhook};
use domain::id::CheckoutId;
use jiff::Timestamp;
use serde_json::{Value, json};
use stripe_stand_in::signature;

impl Shop {
    /// The newest page: ours and Stripe's name of it.
    pub async fn newest_page(&self) -> (CheckoutId, String) {
        let state = self.state().await;
        let session = list(&state, "checkout_sessions").last().expect("a session");
        let own = session["metadata"]["turnpike_checkout"].as_str().expect("ours");
        (own.parse().expect("an identifier"), session["id"].as_str().expect("an id").to_owned())
    }

    /// Somebody does that on the page.
    pub async fn on_page(&self, session: &str, step: &str) {
        self.control("checkout", json!({ "session": session, "step": step })).await;
    }

    /// The page is open at Stripe, as where it could not be ended.
    pub async fn open_page_again(&self, session: &str) {
        let set = json!({ "status": "open", "url": "https://checkout.stripe.com/c/pay/again" });
        self.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
    }

    /// The events are posted in this order, signed by Stripe, and looked at.
    pub async fn hears(&self, events: impl IntoIterator<Item = &Value>, now: Timestamp) {
        for event in events {
            let body = event.to_string();
            let header = signature("whsec_a", now.as_second(), body.as_bytes());
            receive_webhook(&self.store, &["whsec_a".to_owned()], body.as_bytes(), &header, now).await.expect("kept");
        }
        apply_pending_webhooks(self.desk(), now).await.expect("applied");
    }

    /// Those of the events that Stripe has are posted, so often, newest first or not.
    pub async fn told(&self, which: impl Fn(&Value) -> bool, times: usize, reversed: bool) {
        let now = self.now().await;
        let state = self.state().await;
        let mut events: Vec<&Value> = list(&state, "events").iter().filter(|event| which(event)).collect();
        if reversed {
            events.reverse();
        }
        for _ in 0..times {
            self.hears(events.iter().copied(), now).await;
        }
    }
}
