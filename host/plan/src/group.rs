//! The slots of an ECMP group: who keeps which, and under which generation.
//!
//! A member keeps its slot. One that leaves makes a hole that keeps the slot's generation; one that comes fills the first hole
//! under the next generation, or is appended. So a flow that was pinned to (slot, generation) either finds the very member it
//! was pinned to, or none. Slots are never given back while the group exists.
//!
//! Worked example: members A, B, C in slots 0, 1, 2. B leaves: `A _ C`. D comes: `A D' C` with slot 1's generation one more.
//! The flows of A and C never notice; a flow of B is placed anew.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use penstock_abi::limits::ECMP_GROUP_MAX;
use penstock_abi::table::EcmpSlot;
use penstock_compile::{Group, GroupMember, Hop, NextHopKey};

/// What makes a member the same one.
pub(crate) type Identity = (Ipv4Addr, Hop);

/// A slot as the card has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OldSlot {
    /// Who is in it; none for a hole, or a member that cannot be told from its word.
    pub(crate) identity: Option<Identity>,
    /// Its generation; none for a hole whose word is not known.
    pub(crate) generation: Option<u8>,
}

/// The words of a group: its slots, then its live members.
pub(crate) fn ring(
    old: &[OldSlot],
    group: &Group,
    next_hop_id: impl Fn(NextHopKey) -> u16,
) -> Vec<EcmpSlot> {
    let places: HashMap<Identity, usize> = old
        .iter()
        .enumerate()
        .filter_map(|(slot, old)| old.identity.map(|identity| (identity, slot)))
        .collect();
    let mut slots: Vec<(Option<GroupMember>, Option<u8>)> =
        old.iter().map(|slot| (None, slot.generation)).collect();
    let mut newcomers = Vec::new();
    for member in &group.members {
        match places.get(&(member.pod, member.hop)) {
            Some(&slot) => slots[slot].0 = Some(*member),
            None => newcomers.push(*member),
        }
    }
    for member in newcomers {
        let hole = slots.iter().position(|(m, generation)| m.is_none() && generation.is_some());
        let unknown = slots.iter().position(|(m, _)| m.is_none());
        match (hole, unknown) {
            (Some(slot), _) => {
                slots[slot] = (Some(member), slots[slot].1.map(next_generation));
            }
            (None, Some(slot)) if slots.len() >= ECMP_GROUP_MAX as usize => {
                slots[slot] = (Some(member), Some(first_generation(&member)));
            }
            _ => slots.push((Some(member), Some(first_generation(&member)))),
        }
    }
    let words: Vec<EcmpSlot> = slots
        .iter()
        .enumerate()
        .map(|(slot, (member, generation))| {
            let generation = generation.unwrap_or(0);
            member.map_or(EcmpSlot { generation, ..EcmpSlot::default() }, |member| EcmpSlot {
                valid: true,
                drain: member.draining,
                nh: next_hop_id(member.hop.next_hop),
                label: member.hop.label.map_or(0, |label| label.0),
                generation,
                // A group has at most 64 slots.
                slot: slot as u8,
                evict_udp: false,
            })
        })
        .collect();
    let live = words.iter().filter(|word| word.valid && !word.drain).copied();
    let live: Vec<EcmpSlot> = live.collect();
    [words, live].concat()
}

/// 1..=255 in turn; 0 is kept, so that the word of a hole is never all zeros and its generation can be read back.
pub(crate) fn next_generation(generation: u8) -> u8 {
    generation.checked_add(1).unwrap_or(1)
}

/// The generation of a slot that is new. It depends on the member, so that a group that was removed and comes back is
/// unlikely to give a stale flow's slot and generation to another member.
fn first_generation(member: &GroupMember) -> u8 {
    let label = member.hop.label.map_or(0, |label| label.0);
    let mixed = (u32::from(member.pod) ^ label.rotate_left(16)).wrapping_mul(0x9e37_79b1);
    ((mixed >> 24) as u8).max(1)
}

#[cfg(test)]
mod tests {
    use penstock_model::{MplsLabel, VifId};

    use super::*;

    fn member(last: u8) -> GroupMember {
        let hop = Hop { next_hop: NextHopKey::Encap(VifId(last)), label: None };
        GroupMember { pod: Ipv4Addr::new(10, 0, 0, last), hop, draining: false }
    }

    fn group(members: &[GroupMember]) -> Group {
        Group { members: members.to_vec(), hash_fields: 0x1f }
    }

    fn id(key: NextHopKey) -> u16 {
        match key {
            NextHopKey::Encap(vif) => vif.0.into(),
            NextHopKey::TunnelUdp(_) => 99,
            _ => 0,
        }
    }

    /// The slots of words, as they are read back.
    fn slots(words: &[EcmpSlot], count: usize, all: &[GroupMember]) -> Vec<OldSlot> {
        let identity = |word: &EcmpSlot| {
            let found = all.iter().find(|m| id(m.hop.next_hop) == word.nh);
            found.filter(|_| word.valid).map(|m| (m.pod, m.hop))
        };
        let slot = |word: &EcmpSlot| OldSlot {
            identity: identity(word),
            generation: Some(word.generation),
        };
        words[..count].iter().map(slot).collect()
    }

    #[test]
    fn members_keep_their_slots_and_holes_age() {
        let (a, b, c, d) = (member(1), member(2), member(3), member(4));
        let all = [a, b, c, d];
        let first = ring(&[], &group(&[a, b, c]), id);
        assert_eq!(first.len(), 6);
        let second = ring(&slots(&first, 3, &all), &group(&[a, c]), id);
        assert_eq!(second.len(), 3 + 2);
        assert_eq!(second[0], first[0]);
        assert_eq!(second[2], first[2]);
        assert_eq!((second[1].valid, second[1].generation), (false, first[1].generation));
        let third = ring(&slots(&second, 3, &all), &group(&[a, c, d]), id);
        assert_eq!((third[1].nh, third[1].generation), (4, next_generation(first[1].generation)));
        assert_eq!(third[3..].iter().map(|w| w.slot).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn draining_members_are_not_live() {
        let drained = GroupMember { draining: true, ..member(1) };
        let words = ring(&[], &group(&[drained, member(2)]), id);
        assert!(words[0].valid && words[0].drain);
        assert_eq!(words[2..].iter().map(|w| w.nh).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn holes_of_unknown_generation_are_filled_last() {
        let unknown = OldSlot { identity: None, generation: None };
        let words = ring(&[unknown], &group(&[member(1)]), id);
        assert_eq!((words[0].valid, words[1].valid, words[1].slot), (false, true, 1));
        let full = ring(&[unknown; 64], &group(&[member(1)]), id);
        assert_eq!((full.len(), full[0].valid), (65, true));
    }

    #[test]
    fn generations_are_never_zero() {
        assert_eq!(next_generation(255), 1);
        let remote = |label| GroupMember {
            hop: Hop {
                next_hop: NextHopKey::TunnelUdp(Ipv4Addr::new(10, 169, 25, 21)),
                label: Some(MplsLabel(label)),
            },
            ..member(1)
        };
        assert!((16..4000).all(|label| first_generation(&remote(label)) != 0));
    }
}
