//! What may run at once, and how much in a second of real time: one request with a key, one meter event of a customer and meter.

use crate::{failure::Failure, params::Params, serve::Shared};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// What is running, and how much began in this second.
#[derive(Default)]
pub struct Limits {
    running: BTreeSet<String>,
    second: Option<Instant>,
    begun: u32,
    /// The most that ever began in one second.
    pub most_begun: u32,
    /// Requests that are not answered yet.
    at_once: u32,
    /// The most of them that there ever were.
    pub most_at_once: u32,
    /// Requests that were refused since another of the same customer and meter was running.
    pub overlapping: u64,
}

impl Limits {
    /// Takes the request's places, or says which is taken.
    fn enter(&mut self, places: &[String], most_per_second: u32) -> Result<(), Failure> {
        if self.second.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            self.second = Some(Instant::now());
            self.begun = 0;
        }
        self.begun += 1;
        self.most_begun = self.most_begun.max(self.begun);
        if self.begun > most_per_second {
            let failure = Failure::api(429, "invalid_request_error", "Too many requests hit the API too quickly.");
            return Err(failure.code("rate_limit"));
        }
        if let Some(taken) = places.iter().find(|place| self.running.contains(*place)) {
            return Err(if taken.starts_with("key ") {
                let message = "There is currently another in-progress request using this idempotency key.";
                Failure::api(409, "idempotency_error", message).code("idempotency_key_in_use")
            } else {
                self.overlapping += 1;
                let message = "Another meter event of this customer and meter is being taken in.";
                Failure::api(429, "invalid_request_error", message).code("lock_timeout")
            });
        }
        self.running.extend(places.iter().cloned());
        self.at_once += 1;
        self.most_at_once = self.most_at_once.max(self.at_once);
        Ok(())
    }
}

/// A request that runs; its places are free again when this is dropped, also where its client has left.
pub struct Running {
    shared: Arc<Shared>,
    places: Vec<String>,
}

impl Running {
    /// Begins a request, unless one like it runs or there were too many in this second.
    pub fn begin(shared: &Arc<Shared>, path: &str, params: &Params, key: Option<&str>) -> Result<Self, Failure> {
        let mut places: Vec<String> = key.map(|key| format!("key {key}")).into_iter().collect();
        if path == "/v1/billing/meter_events" {
            let name = |name: &str| params.get(name).unwrap_or_default().to_owned();
            places.push(format!("meter {} {}", name("event_name"), name("payload[stripe_customer_id]")));
        }
        let mut account = shared.account();
        let most = account.faults.most_per_second;
        account.limits.enter(&places, most)?;
        drop(account);
        Ok(Self { shared: shared.clone(), places })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut account = self.shared.account();
        account.limits.at_once -= 1;
        for place in &self.places {
            account.limits.running.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_a_limit_and_a_place_one_request() {
        let mut limits = Limits::default();
        let places = ["meter units cus_1".to_owned()];
        assert!(limits.enter(&places, 2).is_ok());
        assert_eq!(limits.enter(&places, 2).expect_err("it runs").code, Some("lock_timeout"));
        assert_eq!(limits.enter(&[], 2).expect_err("too many").code, Some("rate_limit"));
        assert_eq!((limits.overlapping, limits.most_begun, limits.most_at_once), (1, 3, 1));
    }
}
