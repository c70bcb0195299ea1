//! Accounts under races: blocks come and go while calls take.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use uuid::Uuid;

const PARTNER: PartnerId = PartnerId(Uuid::from_u128(1));

fn period(month: i64) -> Period {
    let at = |n: i64| Timestamp::from_second(n * 2_592_000).expect("in range");
    Period { start: at(month), end: at(month + 1) }
}

/// Takes a unit as a call does; `false` where none is left.
async fn take(account: &Arc<Account>, limit: u64) -> bool {
    loop {
        if account.take(1, Some(limit)).is_some() {
            return true;
        }
        match account.why_short(1, Some(limit)) {
            Short::Exhausted | Short::Unknown => return false,
            Short::Wait(waiting) => answered(waiting).await.expect("an answer"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn units_that_are_given_back_while_calls_take_are_not_spent_twice() {
    const LIMIT: u64 = 20_000;
    let exchange = InProcess::default();
    let of = Allowance::quota(PARTNER, period(0));
    let (served, mut work) = (Arc::new(AtomicU64::new(0)), Vec::new());
    for node in 0..3 {
        let leases = Leases::new(Arc::new(exchange.node(node)));
        leases.begin(Vec::new());
        for _ in 0..4 {
            let (account, served) = (leases.account(of), served.clone());
            work.push(tokio::spawn(async move {
                for call in 0..4_000_u64 {
                    if take(&account, LIMIT).await {
                        served.fetch_add(1, Relaxed);
                        // Some fail, and their unit is somebody else's.
                        if call % 7 == 0 {
                            served.fetch_sub(1, Relaxed);
                            account.release(1);
                        }
                    }
                    if call % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }));
        }
        work.push(tokio::spawn(async move {
            for _ in 0..400 {
                leases.close().await.expect("given back");
                tokio::task::yield_now().await;
            }
        }));
    }
    for work in work {
        work.await.expect("no panic");
    }
    assert!(served.load(Relaxed) <= LIMIT, "{} of {LIMIT}", served.load(Relaxed));
    assert!(exchange.taken(of) <= LIMIT);
    assert!(served.load(Relaxed) <= exchange.taken(of));
}

#[tokio::test]
async fn a_thousand_calls_that_wait_make_few_exchanges() {
    let exchange = InProcess::default();
    let leases = Leases::new(Arc::new(exchange.clone()));
    leases.begin(Vec::new());
    let account = leases.account(Allowance::quota(PARTNER, period(0)));
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let account = account.clone();
            tokio::spawn(async move { take(&account, 10_000).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.expect("no panic"));
    }
    assert!(exchange.exchanges() < 12, "{}", exchange.exchanges());
}

#[tokio::test]
async fn an_exchange_that_panics_ends_and_the_next_is_made() {
    struct Faulty(InProcess, AtomicU64);
    impl Exchange for Faulty {
        fn exchange(&self, ask: crate::ports::Ask) -> crate::ports::Answer<crate::ports::Granted> {
            assert!(self.1.fetch_add(1, Relaxed) > 0, "a bug");
            self.0.exchange(ask)
        }
        fn give_back(&self, asks: Vec<crate::ports::Ask>) -> crate::ports::Answer<Vec<crate::ports::Granted>> {
            self.0.give_back(asks)
        }
        fn read(&self, of: Vec<(Allowance, Option<u64>)>) -> crate::ports::Answer<Vec<Option<crate::ports::Granted>>> {
            self.0.read(of)
        }
    }
    let leases = Leases::new(Arc::new(Faulty(InProcess::default(), AtomicU64::new(0))));
    leases.begin(Vec::new());
    let account = leases.account(Allowance::quota(PARTNER, period(0)));
    assert!(take(&account, 10).await);
}

#[tokio::test]
async fn what_calls_took_before_the_start_was_known_stays_counted() {
    let exchange = InProcess::default();
    let of = Allowance::quota(PARTNER, period(0));
    let leases = Leases::new(Arc::new(exchange.clone()));
    leases.account(of).count(4);
    assert!(matches!(leases.account(of).why_short(1, Some(10)), Short::Unknown), "nothing is leased yet");
    leases.begin(vec![Held { allowance: of, base: 2, elsewhere: 3, limit: 0 }]);
    assert_eq!(leases.used(PARTNER, of.period), 9);
}

#[tokio::test]
async fn calls_wait_for_units_that_are_about_to_be_known_and_do_not_where_they_are_not() {
    let of = Allowance::quota(PARTNER, period(0));
    let unexpected = Leases::new(Arc::new(InProcess::default()));
    assert!(!take(&unexpected.account(of), 10).await, "nobody waits for what nobody said was coming");

    let leases = Leases::new(Arc::new(InProcess::default()));
    leases.expect();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let account = leases.account(of);
            tokio::spawn(async move { take(&account, 10).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(calls.iter().all(|call| !call.is_finished()), "they wait");
    leases.begin(vec![Held { allowance: of, base: 0, elsewhere: 0, limit: 10 }]);
    let mut served = 0;
    for call in calls {
        served += u32::from(call.await.expect("no panic"));
    }
    assert_eq!(served, 10);
}

#[tokio::test]
async fn units_that_do_not_come_are_waited_for_once() {
    let leases = Leases::new(Arc::new(InProcess::default()));
    leases.expect();
    let account = leases.account(Allowance::quota(PARTNER, period(0)));
    let Short::Wait(waiting) = account.why_short(1, Some(10)) else { panic!("it is to be waited for") };
    answered(waiting).await.expect_err("nothing comes");
    assert!(matches!(account.why_short(1, Some(10)), Short::Unknown), "who comes later does not wait");
}

#[tokio::test]
async fn accounts_of_periods_that_are_over_are_forgotten_once_they_hold_nothing() {
    let leases = Leases::in_process();
    let (old, new) = (Allowance::quota(PARTNER, period(0)), Allowance::quota(PARTNER, period(1)));
    assert!(take(&leases.account(old), 10).await);
    leases.account(new).count(1);
    leases.tend(period(1).start, true).await.expect("tended");
    assert_eq!(leases.all().len(), 2, "the old one still holds units");
    leases.close().await.expect("given back");
    leases.tend(period(1).start, true).await.expect("tended");
    assert_eq!(leases.all().len(), 1);
}

#[tokio::test]
async fn what_was_used_is_not_forgotten_where_the_period_turns_out_to_be_longer() {
    let leases = Leases::new(Arc::new(InProcess::default()));
    leases.begin(Vec::new());
    let account = leases.account(Allowance::quota(PARTNER, period(0)));
    assert!(take(&account, 10).await);
    drop(account);
    let long = Period { end: period(2).end, ..period(0) };
    assert_eq!(leases.used(PARTNER, long), 1);
    leases.close().await.expect("given back");
    leases.tend(period(1).start, true).await.expect("tended");
    assert_eq!(leases.used(PARTNER, long), 1);
    leases.tend(long.end, true).await.expect("tended");
    assert_eq!(leases.used(PARTNER, long), 0, "it is over");
}
