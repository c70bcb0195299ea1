//! What a set of limits asks of one node: the limits, how they let calls through, and which share of them is this node's.

use super::Limit;
use crate::policy::Preset;

/// Limits of one scope, as one node keeps them.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    pub limits: &'a [Limit],
    pub preset: Preset,
    pub share: Share,
}

impl<'a> Rule<'a> {
    /// All of the limits, a whole window at once.
    pub const fn whole(limits: &'a [Limit]) -> Self {
        Self { limits, preset: Preset::BurstThrough, share: Share::WHOLE }
    }
}

/// Which part of every limit one of several nodes lets through.
///
/// The parts of all nodes add up to the limit, so together they never overshoot, without a word between them. What is left
/// of the division goes to one node more each; where a limit is smaller than the number of nodes, the others let nothing
/// through. More is not possible: nodes that do not talk may all let a call through at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    nodes: u32,
    index: u32,
}

impl Share {
    /// One node that has all.
    pub const WHOLE: Self = Self { nodes: 1, index: 0 };

    /// The part of node `index`, counted from zero, of `nodes`; `None` where there is no such node.
    pub const fn new(nodes: u32, index: u32) -> Option<Self> {
        if index < nodes { Some(Self { nodes, index }) } else { None }
    }

    /// The same for one caller: what is left of a division goes to other nodes for other callers.
    pub const fn of(self, caller: u128) -> Self {
        if self.nodes == 1 {
            return self;
        }
        let turn = (caller % self.nodes as u128) as u32;
        Self { nodes: self.nodes, index: (self.index % self.nodes + turn) % self.nodes }
    }

    /// The part of that many calls.
    pub const fn calls(self, calls: u32) -> u32 {
        if self.nodes == 1 {
            return calls;
        }
        calls / self.nodes + (self.index < calls % self.nodes) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_nodes_are_the_limit_for_every_caller() {
        for nodes in 1..9 {
            for calls in [0, 1, 2, 5, 100, 1_000, u32::MAX] {
                for caller in [0, 1, 7, u128::MAX] {
                    let parts = (0..nodes).filter_map(|index| Share::new(nodes, index));
                    let parts: Vec<u32> = parts.map(|share| share.of(caller).calls(calls)).collect();
                    assert_eq!(parts.iter().map(|part| u64::from(*part)).sum::<u64>(), u64::from(calls));
                    assert!(parts.iter().max() <= parts.iter().min().map(|least| least.saturating_add(1)).as_ref());
                }
            }
        }
        assert_eq!(Share::new(3, 3), None);
    }
}
