//! What teams used is a plain sum of their events, whatever is made of days by then, and adds up to what is billed.

use super::*;
use crate::{
    ingest::tests::{at, event, partner, take_in},
    test_db::{self, TestStore},
    usage::tests::{Random, random_events},
};
use domain::usage::UsageEvent;
use jiff::Timestamp;
use std::collections::BTreeMap;

type ByTeam = BTreeMap<(Option<Uuid>, Option<Uuid>, Option<Uuid>), (i64, i64)>;

/// Two teams of a partner that is nowhere else.
async fn with_teams(store: &TestStore) {
    for statement in [
        "alter table teams drop constraint teams_partner_id_fkey",
        "insert into teams (partner_id, id, name, created_at) select '00000000-0000-0000-0000-000000000001',
             ('00000000-0000-0000-0000-0000000000' || id)::uuid, 'Team ' || id, now() from unnest(array['32', '33']) as id",
    ] {
        sqlx::query(statement).execute(store.pool()).await.expect("done");
    }
}

fn plain<'a>(events: impl Iterator<Item = &'a UsageEvent>) -> ByTeam {
    let mut sums = ByTeam::new();
    for event in events.filter(|event| event.units > 0) {
        let of = (event.product.map(|id| id.0), event.operation.map(|id| id.0), event.team.map(|id| id.0));
        let sum = sums.entry(of).or_default();
        sum.0 += i64::try_from(event.units).expect("small");
        sum.1 += i64::try_from(event.credits).expect("small");
    }
    sums
}

fn read(teams: &[TeamUsed]) -> ByTeam {
    let of = |one: &TeamUsed| (one.product.map(|id| id.0), one.operation.map(|id| id.0), one.team.map(|id| id.0));
    teams.iter().map(|one| (of(one), (one.used.units, one.used.prepaid))).collect()
}

#[tokio::test]
async fn units_of_teams_equal_a_plain_count_for_any_range_and_add_up_to_what_is_billed() {
    let store = test_db::store().await;
    with_teams(&store).await;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut events = random_events(&mut random, 1_500);
    for event in events.iter_mut().filter(|event| event.units > 1 && event.environment == Environment::Live) {
        event.credits = random.below(event.units + 1);
    }
    store.make_partitions(at("2026-03-28T12:00:00Z"), 1).await.expect("made");
    take_in(&store, "a", events[..700].to_vec()).await;
    // Two of three days are made, and then most of their calls come late.
    store.make_usage_days(at("2026-03-30T01:30:00Z")).await.expect("made");
    take_in(&store, "b", events[700..].to_vec()).await;
    let base = at("2026-03-28T00:00:00Z").as_microsecond();
    for round in 0..60 {
        if let 20 | 40 = round {
            let now = if round == 20 { "2026-03-30T01:30:00Z" } else { "2026-04-02T00:00:00Z" };
            store.make_usage_days(at(now)).await.expect("made");
        }
        let step = if round % 2 == 0 { 1_800_000_000 } else { 1 };
        let mut instant = || {
            let micros = random.below(3 * 86_400_000_000 / step) * step;
            Timestamp::from_microsecond(base + i64::try_from(micros).expect("fits")).expect("in range")
        };
        let (a, b) = (instant(), instant());
        let range = Period { start: a.min(b), end: a.max(b) };
        let is_billed = |event: &&UsageEvent| {
            event.partner == partner() && range.contains(event.at) && event.environment == Environment::Live
        };
        let (units, teams) = store.units_and_teams_between(partner(), range).await.expect("units");
        let expected = plain(events.iter().filter(is_billed));
        let has_teams = expected.keys().any(|(.., team)| team.is_some());
        assert_eq!(read(&teams), if has_teams { expected } else { ByTeam::new() }, "{range:?}");
        for line in units.iter().filter(|_| has_teams) {
            let own = teams.iter().filter(|one| (one.product, one.operation) == (line.product, line.operation));
            let sum = own.fold((0, 0), |sum, one| (sum.0 + one.used.units, sum.1 + one.used.prepaid));
            let of_line = (line.used.units, line.used.prepaid);
            assert_eq!((u64::try_from(sum.0), u64::try_from(sum.1)), (Ok(of_line.0), Ok(of_line.1)));
        }
    }
}

#[tokio::test]
async fn who_has_no_team_or_used_nothing_for_one_is_told_of_none() {
    let store = test_db::store().await;
    let range = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-03-02T00:00:00Z") };
    let of_none = event(at("2026-03-01T10:00:00Z"), "r");
    take_in(&store, "a", vec![UsageEvent { team: None, ..of_none }]).await;
    let teams = async || store.units_and_teams_between(partner(), range).await.expect("units");
    let (units, none) = teams().await;
    assert_eq!((units.len(), none), (1, vec![]));
    with_teams(&store).await;
    assert_eq!(teams().await.1, [], "it has teams, and none of them used anything");
}
