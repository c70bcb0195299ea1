//! The burn order and what follows from it, for any grants and any use.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 / HOUR_SECONDS * HOUR_SECONDS + hour * HOUR_SECONDS).expect("in range")
}

fn grant(id: u128, left: u64) -> GrantLeft {
    GrantLeft {
        id: CreditGrantId(Uuid::from_u128(id)),
        kind: GrantKind::Paid,
        priority: USUAL_PRIORITY,
        effective_at: at(0),
        expires_at: None,
        left,
    }
}

fn order(grants: &[GrantLeft]) -> Vec<u128> {
    burn(grants, u64::MAX, at(5)).parts.iter().map(|(id, _)| id.0.as_u128()).collect()
}

#[test]
fn the_burn_order_is_priority_expiry_kind_age_and_identifier() {
    let first = GrantLeft { priority: 1, ..grant(9, 1) };
    let soon = GrantLeft { expires_at: Some(at(10)), ..grant(8, 1) };
    let later = GrantLeft { expires_at: Some(at(20)), kind: GrantKind::Promotional, ..grant(7, 1) };
    let promotional = GrantLeft { kind: GrantKind::Promotional, ..grant(6, 1) };
    let compensation = GrantLeft { kind: GrantKind::Compensation, ..grant(5, 1) };
    let old = GrantLeft { effective_at: at(-1), ..grant(4, 1) };
    let all = [grant(3, 1), grant(2, 1), old, compensation, promotional, later, soon, first];
    assert_eq!(order(&all), [9, 8, 7, 6, 5, 4, 2, 3]);
}

#[test]
fn hours_before_the_first_and_after_the_last_burn_nothing() {
    let half = at(3) + SignedDuration::from_mins(30);
    let one = GrantLeft { effective_at: half, expires_at: Some(at(6)), ..grant(1, 10) };
    let burnt = |hour| burn(&[one], 4, at(hour)).short;
    assert_eq!([2, 3, 5, 6].map(burnt), [4, 0, 0, 4]);
    assert_eq!([full_hour(half), full_hour(at(3)), hour_of(half)], [at(4), at(3), at(3)]);
    let before_1970 = Timestamp::from_nanosecond(-1).expect("in range");
    assert_eq!((hour_of(before_1970).as_second(), full_hour(before_1970).as_second()), (-3_600, 0));
}

#[test]
fn what_is_earned_adds_up_to_the_cost() {
    assert_eq!([0, 1, 2, 3].map(|used| earned_micros(100, 3, used)), [0, 33, 66, 100]);
    assert_eq!(earned_micros(i64::MAX, u64::MAX, u64::MAX - 1), i64::MAX - 1);
}

fn any_grant() -> impl Strategy<Value = GrantLeft> {
    let kind = prop_oneof![Just(GrantKind::Paid), Just(GrantKind::Promotional), Just(GrantKind::Compensation)];
    (any::<u128>(), kind, 0..3_u8, -3..6_i64, proptest::option::of(1..8_i64), 0..50_u64).prop_map(
        |(id, kind, priority, from, length, left)| GrantLeft {
            kind,
            priority,
            effective_at: at(from),
            expires_at: length.map(|hours| at(from + hours)),
            ..grant(id, left)
        },
    )
}

/// Burns each in turn; what each grant gave by the hour, and what was short.
fn burn_all(mut grants: Vec<GrantLeft>, calls: &[(i64, u64)]) -> (BTreeMap<(CreditGrantId, i64), u64>, u64) {
    let (mut given, mut short) = (BTreeMap::new(), 0);
    for (hour, units) in calls {
        let burn = burn(&grants, *units, at(*hour));
        assert_eq!(burn.parts.iter().map(|(_, units)| units).sum::<u64>() + burn.short, *units);
        for (id, units) in burn.parts {
            *given.entry((id, *hour)).or_default() += units;
            let grant = grants.iter_mut().find(|grant| grant.id == id).expect("one of them");
            grant.left -= units;
        }
        short += burn.short;
    }
    (given, short)
}

proptest! {
    #[test]
    fn nothing_is_burnt_beyond_a_grant_nor_outside_its_hours(
        grants in proptest::collection::vec(any_grant(), 0..6),
        calls in proptest::collection::vec((-4..10_i64, 0..40_u64), 0..12),
    ) {
        let (given, _) = burn_all(grants.clone(), &calls);
        for grant in &grants {
            let of = given.iter().filter(|((id, _), _)| *id == grant.id);
            prop_assert!(of.clone().map(|(_, units)| units).sum::<u64>() <= grant.left);
            for ((_, hour), _) in of {
                prop_assert!(at(*hour + 1) > grant.effective_at);
                prop_assert!(grant.expires_at.is_none_or(|expires| at(*hour) < expires));
            }
        }
    }

    #[test]
    fn equal_calls_of_an_hour_give_the_same_in_any_order_and_grouping(
        grants in proptest::collection::vec(any_grant(), 0..6),
        (calls, shuffled) in proptest::collection::vec(0..40_u64, 0..12)
            .prop_flat_map(|calls| (Just(calls.clone()), Just(calls).prop_shuffle())),
        hour in -4..10_i64,
    ) {
        let of = |calls: &[u64]| calls.iter().map(|units| (hour, *units)).collect::<Vec<_>>();
        let once = [(hour, calls.iter().sum())];
        prop_assert_eq!(burn_all(grants.clone(), &of(&calls)), burn_all(grants.clone(), &of(&shuffled)));
        prop_assert_eq!(burn_all(grants.clone(), &of(&calls)), burn_all(grants.clone(), &once));
        let mut other_way: Vec<_> = grants.clone();
        other_way.reverse();
        prop_assert_eq!(burn_all(grants, &once), burn_all(other_way, &once));
    }
}

#[test]
fn what_is_owed_is_covered_by_grants_of_its_hour_and_else_by_the_next_one_unless_it_is_billed() {
    let of_the_hour = GrantLeft { expires_at: Some(at(6)), ..grant(1, 1) };
    let next = GrantLeft { effective_at: at(9), ..grant(2, 1) };
    let before = GrantLeft { expires_at: Some(at(5)), ..grant(3, 1) };
    let covers = |is_over, is_billed| [of_the_hour, next, before].map(|grant| grant.covers(at(5), is_over, is_billed));
    assert_eq!(covers(false, false), [true, true, false]);
    assert_eq!(covers(false, true), [true, false, false]);
    assert_eq!(covers(true, false), [true, false, false], "what expired meanwhile was usable then");
}
