//! Names that change, vanish and lead inside.

use super::*;
use std::{
    pin::Pin,
    sync::{Mutex, atomic::AtomicUsize},
};
use tokio::time::sleep;

/// A DNS that a test writes.
#[derive(Debug, Default)]
struct Book {
    answer: Mutex<Option<Vec<IpAddr>>>,
    asked: AtomicUsize,
    slow: Mutex<Duration>,
}

impl Book {
    fn says(&self, addresses: &[&str]) {
        *self.answer.lock().expect("no panic") =
            Some(addresses.iter().map(|text| text.parse().expect("an address")).collect());
    }

    fn fails(&self) {
        *self.answer.lock().expect("no panic") = None;
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

impl Names for Book {
    fn look_up<'a>(&'a self, _name: &'a str) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        self.asked.fetch_add(1, Relaxed);
        let (answer, slow) = (self.answer.lock().expect("no panic").clone(), *self.slow.lock().expect("no panic"));
        Box::pin(async move {
            sleep(slow).await;
            answer.ok_or_else(|| io::Error::other("no such name"))
        })
    }
}

fn resolver(fresh_ms: u64, stale_ms: u64) -> (Arc<Book>, Arc<Resolver>) {
    let book = Arc::new(Book::default());
    let freshness = Freshness { fresh: Duration::from_millis(fresh_ms), stale: Duration::from_millis(stale_ms) };
    (book.clone(), Resolver::new(book, freshness))
}

async fn addresses(resolver: &Arc<Resolver>) -> Result<Vec<String>, String> {
    let candidates = resolver.resolve("api.internal").await.map_err(|error| error.to_string())?;
    Ok(candidates.addresses().map(|ip| ip.to_string()).collect())
}

#[tokio::test]
async fn a_fresh_answer_is_asked_for_once_however_many_want_it() {
    let (book, resolver) = resolver(10_000, 60_000);
    book.says(&["192.0.2.1"]);
    *book.slow.lock().expect("no panic") = Duration::from_millis(50);
    let many: Vec<_> = (0..20)
        .map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { addresses(&resolver).await })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.expect("no panic"), Ok(vec!["192.0.2.1".to_owned()]));
    }
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.1".to_owned()]));
    assert_eq!(book.asked(), 1);
}

#[tokio::test]
async fn an_old_answer_serves_while_a_new_one_is_fetched_behind_it() {
    let (book, resolver) = resolver(3_000, 600_000);
    book.says(&["192.0.2.1"]);
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.1".to_owned()]));
    book.says(&["192.0.2.2"]);
    sleep(Duration::from_millis(3_100)).await;
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.1".to_owned()]), "nobody waits");
    for _ in 0..6_000 {
        if addresses(&resolver).await != Ok(vec!["192.0.2.1".to_owned()]) {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.2".to_owned()]));
    book.says(&["192.0.2.3"]);
    sleep(Duration::from_millis(6_100)).await;
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.3".to_owned()]), "too old to be used unasked");
}

#[tokio::test]
async fn the_last_answer_serves_while_look_ups_fail_but_not_for_ever() {
    let (book, resolver) = resolver(10, 4_000);
    book.says(&["192.0.2.1"]);
    assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.1".to_owned()]));
    book.fails();
    sleep(Duration::from_millis(50)).await;
    for _ in 0..5 {
        assert_eq!(addresses(&resolver).await, Ok(vec!["192.0.2.1".to_owned()]));
    }
    assert!(book.asked() < 6, "a failure is not repeated for each call: {}", book.asked());
    sleep(Duration::from_millis(4_000)).await;
    assert!(addresses(&resolver).await.is_err());
}

#[tokio::test]
async fn a_name_without_an_answer_is_an_error_until_it_has_one() {
    let (book, resolver) = resolver(10_000, 60_000);
    for _ in 0..3 {
        let error = addresses(&resolver).await.expect_err("no answer");
        assert!(error.contains("api.internal") && error.contains("no such name"), "{error}");
    }
    assert!(book.asked() < 3, "not for each: {}", book.asked());
    book.says(&[]);
    sleep(PAUSE_AFTER_FAILURE + Duration::from_millis(20)).await;
    assert!(addresses(&resolver).await.is_err(), "an empty answer is none");
    book.says(&["192.0.2.1"]);
    sleep(PAUSE_AFTER_FAILURE + Duration::from_millis(20)).await;
    assert!(addresses(&resolver).await.is_ok());
}

#[tokio::test]
async fn families_take_turns_and_what_did_not_answer_comes_last() {
    let (book, resolver) = resolver(10_000, 60_000);
    book.says(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    let first = resolver.resolve("api.internal").await.expect("an answer");
    assert_eq!(
        first.addresses().map(|ip| ip.to_string()).collect::<Vec<_>>(),
        ["2001:db8::1", "192.0.2.1", "192.0.2.2"]
    );
    assert_eq!(addresses(&resolver).await.expect("an answer"), ["2001:db8::1", "192.0.2.2", "192.0.2.1"]);
    first.shun("2001:db8::1".parse().expect("an address"));
    assert_eq!(addresses(&resolver).await.expect("an answer"), ["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
}

#[tokio::test]
async fn an_address_is_its_own_answer() {
    let (book, resolver) = resolver(10_000, 60_000);
    let candidates = resolver.resolve("::1").await.expect("an answer");
    assert_eq!(candidates.addresses().collect::<Vec<_>>(), ["::1".parse::<IpAddr>().expect("an address")]);
    assert_eq!(book.asked(), 0);
}

#[tokio::test]
async fn names_that_nobody_asks_for_are_forgotten() {
    let (book, resolver) = resolver(10, 3_000);
    book.says(&["192.0.2.1"]);
    assert!(addresses(&resolver).await.is_ok());
    resolver.forget_unused();
    assert_eq!(resolver.known.read().expect("no panic").len(), 1);
    sleep(Duration::from_millis(3_100)).await;
    resolver.forget_unused();
    assert!(resolver.known.read().expect("no panic").is_empty());
}
