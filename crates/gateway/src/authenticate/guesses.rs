//! Who guesses: credentials that nobody has, counted by network address on each core.
//!
//! A table of fixed size, in rows of four places. An address that finds its row full takes the place of the one with the
//! fewest guesses, so that a flood from many addresses costs no memory and cannot push out the busiest guesser first.

use jiff::Timestamp;
use std::{collections::hash_map::RandomState, hash::BuildHasher, net::IpAddr};

const ROWS: usize = 1024;
const PLACES: usize = 4;

/// How long guesses are counted together, in seconds.
const WINDOW: i64 = 60;

#[derive(Debug, Clone, Copy)]
struct Place {
    /// The address in IPv6 form; of IPv6 only the network of 64 bits that one customer has at least.
    address: u128,
    since: i64,
    count: u32,
}

/// The table of one core. 128 KiB.
pub(crate) struct Guesses {
    places: Box<[Place]>,
    hasher: RandomState,
    /// Guesses of an address within a minute after which it is told so.
    allowed: u32,
    /// Whole seconds of the last costly check for a guesser, and how many there were in that second.
    costly: (i64, u32),
}

/// Costly checks (signatures) that all guessers together still get in a second, on each core.
const COSTLY_PER_SECOND: u32 = 50;

impl Guesses {
    pub(crate) fn new(allowed: u32) -> Self {
        let empty = Place { address: 0, since: i64::MIN, count: 0 };
        Self {
            places: vec![empty; ROWS * PLACES].into_boxed_slice(),
            hasher: RandomState::new(),
            allowed,
            costly: (0, 0),
        }
    }

    /// Counts a guess, and says after how many seconds the address may guess on, where it has guessed too often.
    pub(crate) fn count(&mut self, address: IpAddr, now: Timestamp) -> Option<u32> {
        let (second, allowed) = (now.as_second(), self.allowed);
        let address = network(address);
        let row = self.row(address);
        let known = row.iter().position(|place| place.address == address && is_current(place, second));
        let at = known.or_else(|| {
            let weakest = |(_, place): &(usize, &Place)| if is_current(place, second) { place.count } else { 0 };
            row.iter().enumerate().min_by_key(weakest).map(|(at, _)| at)
        });
        let place = row.get_mut(at?)?;
        if known.is_none() {
            *place = Place { address, since: second, count: 0 };
        }
        place.count = place.count.saturating_add(1);
        let wait = place.since.saturating_add(WINDOW).saturating_sub(second);
        (place.count > allowed).then(|| u32::try_from(wait.max(1)).unwrap_or(1))
    }

    /// Whether a costly check may be made for the address: always, unless it has guessed too often and other guessers have
    /// used up this second's.
    pub(crate) fn may_be_costly(&mut self, address: IpAddr, now: Timestamp) -> bool {
        let (second, allowed) = (now.as_second(), self.allowed);
        let address = network(address);
        let guesses = self.row(address).iter();
        let mut own = guesses.filter(|place| place.address == address && is_current(place, second));
        if !own.any(|place| place.count > allowed) {
            return true;
        }
        if self.costly.0 != second {
            self.costly = (second, 0);
        }
        self.costly.1 += 1;
        self.costly.1 <= COSTLY_PER_SECOND
    }

    fn row(&mut self, address: u128) -> &mut [Place] {
        let row = usize::try_from(self.hasher.hash_one(address) % ROWS as u64).unwrap_or(0);
        &mut self.places[row * PLACES..(row + 1) * PLACES]
    }
}

fn is_current(place: &Place, second: i64) -> bool {
    (0..WINDOW).contains(&second.saturating_sub(place.since)) && place.count > 0
}

fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().into(),
        IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    #[test]
    fn an_address_is_told_after_its_guesses_and_forgotten_after_a_minute() {
        let mut guesses = Guesses::new(3);
        let (one, other) = ("192.0.2.1".parse().expect("an address"), "192.0.2.2".parse().expect("an address"));
        assert_eq!(
            (0..5).map(|_| guesses.count(one, at(0))).collect::<Vec<_>>(),
            [None, None, None, Some(60), Some(60)]
        );
        assert_eq!(guesses.count(one, at(59)), Some(1));
        assert_eq!(guesses.count(other, at(59)), None);
        assert_eq!(guesses.count(one, at(60)), None);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_are_one() {
        let mut guesses = Guesses::new(1);
        guesses.count("2001:db8::1".parse().expect("an address"), at(0));
        assert!(guesses.count("2001:db8::ffff".parse().expect("an address"), at(0)).is_some());
        assert!(guesses.count("2001:db8:0:1::1".parse().expect("an address"), at(0)).is_none());
    }

    #[test]
    fn a_flood_from_a_million_addresses_takes_no_memory_and_the_busiest_guesser_stays_known() {
        let mut guesses = Guesses::new(10);
        let busy = "198.51.100.1".parse().expect("an address");
        (0..20).for_each(|_| assert!(guesses.count(busy, at(0)).is_none_or(|wait| wait == 60)));
        for number in 0..1_000_000 {
            guesses.count(IpAddr::V4(Ipv4Addr::from(number)), at(1));
        }
        assert_eq!(guesses.places.len(), ROWS * PLACES);
        assert!(guesses.count(busy, at(2)).is_some());
    }

    #[test]
    fn guessers_share_few_costly_checks_and_everybody_else_has_all() {
        let mut guesses = Guesses::new(1);
        let (guesser, honest) = ("192.0.2.1".parse().expect("an address"), "192.0.2.2".parse().expect("an address"));
        assert!((0..3).any(|_| guesses.count(guesser, at(0)).is_some()));
        assert_eq!((0..200).filter(|_| guesses.may_be_costly(guesser, at(0))).count(), 50);
        assert!((0..200).all(|_| guesses.may_be_costly(honest, at(0))));
        assert!(guesses.may_be_costly(guesser, at(1)));
    }
}
