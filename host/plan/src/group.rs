//! The slots of an ECMP group: who keeps which, and under which generation.
//!
//! A member keeps its slot. One that leaves makes a hole that keeps the slot's generation; one that comes fills the first hole
//! under the next generation, or is appended. So a flow that was pinned to (slot, generation) either finds the very member it
//! was pinned to, or none. Slots are given back while the group exists only at its end, and for want of room ([`Size::Slim`]).
//!
//! Worked example: members A, B, C in slots 0, 1, 2. B leaves: `A _ C`. D comes: `A D' C` with slot 1's generation one more.
//! The flows of A and C never notice; a flow of B is placed anew.
//!
//! A member is a hop: the pod behind it counts only if both sides know it (a label or a vif that was given away leads to another
//! member).
//!
//! One that is no longer wanted but still within reach *departs* instead: it keeps its slot for the connections that it has,
//! takes no new ones, and gives up its UDP flows as soon as somebody else takes them. Its slot is a hole only once it is gone,
//! or when the group has no other place for one that comes (`docs/decisions/18-members-depart.md`).
//!
//! A *large* group has room to change in place, so that one member more or less costs some words and not a ring of thousands
//! (`docs/decisions/09-large-groups-change-in-place.md`): holes behind its slots in which nobody ever was, and a word for new flows for each slot. That of
//! a slot that takes none stands in for another member, which depends on the slots alone and seldom changes.

use std::collections::VecDeque;
use std::net::IpAddr;

use penstock_abi::affinity;
use penstock_abi::table::EcmpSlot;
use penstock_compile::{Group, GroupMember, Hop, NextHopKey};

/// What is known of the pods to which a hop of the card leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pods {
    /// Nothing.
    Unknown,
    /// All that it leads to on the card it goes on leading to.
    Same,
    /// It leads to this one on the card, and shall not any more.
    Moved(IpAddr),
}

/// Who is in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) hop: Hop,
    pub(crate) pods: Pods,
    /// Of a member on this node, the address to which its mapping translates, and the mapping's index.
    pub(crate) mapped: Option<(IpAddr, u16)>,
}

impl Who {
    /// Whether this is a wanted member. Both have the same hop.
    fn is(&self, pod: Option<IpAddr>) -> bool {
        // Behind one hop to the node are many.
        let own = matches!(self.hop.next_hop, NextHopKey::Receive(_));
        if own && self.mapped.map(|(address, _)| address) != pod {
            return false;
        }
        match self.pods {
            Pods::Unknown | Pods::Same => true,
            Pods::Moved(known) => pod.is_none_or(|pod| pod == known),
        }
    }
}

/// A slot as the card has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OldSlot {
    /// Who is in it; none for a hole, or a member that cannot be told from its word.
    pub(crate) who: Option<Who>,
    /// Its generation; none for a hole whose word is not known.
    pub(crate) generation: Option<u8>,
    /// If it is not wanted any more it departs, rather than leave a hole.
    pub(crate) stays: bool,
}

/// What a group does with new flows while nobody in it takes any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// Drops their packets.
    Discard,
    /// Leads them to this next hop, which refuses them.
    Reject(u16),
}

/// How much room a group takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Who departed stays.
    Full,
    /// Who departed goes, and so do holes at the end of the slots. A flow of a slot that is given back is placed anew; the
    /// generation of that slot is forgotten, which is why this is for want of room only.
    Slim,
}

/// How a group chooses a member for who is new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) hash_fields: u8,
    /// Time-out of its clients, as the card has it.
    pub(crate) affinity_time: u32,
}

impl Choice {
    /// That of a group on a card with this clock.
    pub(crate) fn of(group: &Group, clock_khz: u32) -> Self {
        let affinity_time = affinity::timeout(group.affinity_seconds, clock_khz);
        Self { hash_fields: group.hash_fields, affinity_time }
    }
}

/// The words of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Its slots, then what takes new flows.
    pub(crate) words: Vec<EcmpSlot>,
    /// How many of them are slots.
    pub(crate) slots: usize,
    /// The slots, as a later look at them in the same plan is to find them.
    pub(crate) holders: Vec<OldSlot>,
    /// It would be smaller if it were slim.
    pub(crate) spare: bool,
}

impl Ring {
    /// How many words stand behind the slots.
    pub(crate) fn live(&self) -> usize {
        self.words.len() - self.slots
    }
}

/// More slots than this make a group large.
pub(crate) const SMALL_SLOTS: usize = Group::SMALL;

/// Generation of a hole in which nobody ever was. Its word is not all zeros either: it drains.
const NEVER: u8 = 0;

/// How many slots a large group has that needs so many: an eighth more at most, the same for all that come near it.
fn with_slack(slots: usize, most: usize) -> usize {
    if slots <= SMALL_SLOTS {
        return slots;
    }
    slots.next_multiple_of(1 << slots.ilog2() >> 3).min(most.max(slots))
}

/// The slot whose member stands in for one that takes no new flows, given which ones take some; somebody does.
fn stand_in(slot: usize, takes: &[bool]) -> usize {
    let len = takes.len();
    // A fixed sequence for each slot, of which the first that takes counts: another slot changes few.
    let mut at = slot as u32;
    for _ in 0..4 * SMALL_SLOTS {
        at = (at ^ at >> 15).wrapping_mul(0x2c1b_3c6d).wrapping_add(0x9e37_79b9);
        let found = (at >> 8) as usize % len;
        if takes[found] {
            return found;
        }
    }
    (slot..slot + len).map(|n| n % len).find(|n| takes[*n]).unwrap_or(slot)
}

/// A slot that is being filled.
#[derive(Clone, Copy, Debug)]
struct Slot {
    member: Option<GroupMember>,
    /// The mapping of one that departed.
    map: Option<u16>,
    /// The member was there before and is not wanted any more.
    departed: bool,
    generation: Option<u8>,
}

impl Slot {
    /// The same slot once it is written.
    fn holder(&self) -> OldSlot {
        // Whoever is put into a slot is reached as is desired.
        let mapped = |member: GroupMember| member.pod.zip(self.map);
        let who = self.member.map(|member| Who {
            hop: member.hop,
            pods: Pods::Same,
            mapped: mapped(member),
        });
        OldSlot { who, generation: self.generation, stays: who.is_some() && self.departed }
    }
}

/// The words that a group needs; it has no more than `most` members.
pub(crate) fn ring(
    old: &[OldSlot],
    group: &Group,
    otherwise: Otherwise,
    (most, size): (usize, Size),
    next_hop_id: impl Fn(NextHopKey) -> u16,
    map_of: impl Fn(&GroupMember) -> Option<u16>,
) -> Ring {
    let mut slots = slots(old, group, most, size);
    for slot in &mut slots {
        if let Some(member) = slot.member.filter(|_| !slot.departed) {
            slot.map = map_of(&member);
        }
    }
    let spare = slots.last().is_some_and(|slot| slot.member.is_none())
        || slots.iter().any(|slot| slot.member.is_some() && slot.departed);
    match size {
        Size::Slim => {
            while slots.last().is_some_and(|slot| slot.member.is_none()) {
                slots.pop();
            }
        }
        Size::Full => {
            let never = Slot { member: None, map: None, departed: false, generation: Some(NEVER) };
            slots.resize(with_slack(slots.len(), most), never);
        }
    }
    let nobody = slots.iter().all(|slot| slot.departed || slot.member.is_none_or(|m| m.draining));
    let word = |(slot, entry): (usize, &Slot)| {
        let generation = entry.generation.unwrap_or(0);
        let drain = entry.generation == Some(NEVER);
        let hole = EcmpSlot { generation, drain, ..EcmpSlot::default() };
        entry.member.map_or(hole, |member| EcmpSlot {
            valid: true,
            drain: entry.departed || member.draining,
            nh: next_hop_id(member.hop.next_hop),
            label: match entry.map {
                Some(map) => map.into(),
                None => member.hop.label.map_or(0, |label| label.0),
            },
            generation,
            // Of more the planner says that they do not fit the card.
            slot: u16::try_from(slot).unwrap_or(u16::MAX),
            // A refusal must not count as somebody else who takes them.
            evict_udp: entry.departed && !(nobody && otherwise != Otherwise::Discard),
            local: entry.map.is_some(),
        })
    };
    let mut words: Vec<EcmpSlot> = slots.iter().enumerate().map(word).collect();
    let takes: Vec<bool> = words.iter().map(|word| word.valid && !word.drain).collect();
    let large = size == Size::Full && slots.len() > SMALL_SLOTS && takes.contains(&true);
    let live: Vec<EcmpSlot> = if large {
        let by = |n: usize| if takes[n] { n } else { stand_in(n, &takes) };
        (0..slots.len()).map(|n| words[by(n)]).collect()
    } else {
        words.iter().zip(&takes).filter(|(_, takes)| **takes).map(|(word, _)| *word).collect()
    };
    let spare = spare || (large && takes.contains(&false));
    words.extend(live);
    if let (true, Otherwise::Reject(nh)) = (nobody, otherwise) {
        // No slot has generation 0, so nothing is ever pinned to it.
        words.push(EcmpSlot { valid: true, nh, ..EcmpSlot::default() });
    }
    let holders = slots.iter().map(Slot::holder).collect();
    Ring { words, slots: slots.len(), holders, spare: spare && size == Size::Full }
}

/// Which wanted member is in a slot, by its place in the group's list.
pub(crate) fn wanted(old: &OldSlot, group: &Group) -> Option<usize> {
    let who = old.who.as_ref()?;
    // Members are ordered by hop.
    let first = group.members.partition_point(|member| member.hop < who.hop);
    let here = group.members[first..].iter().take_while(|member| member.hop == who.hop);
    here.zip(first..).find(|(member, _)| who.is(member.pod)).map(|(_, at)| at)
}

/// Who is in which slot.
fn slots(old: &[OldSlot], group: &Group, most: usize, size: Size) -> Vec<Slot> {
    let mut here = vec![false; group.members.len()];
    let mut slots: Vec<Slot> = Vec::with_capacity(old.len());
    for old in old {
        let generation = old.generation;
        slots.push(match wanted(old, group).filter(|&at| !here[at]) {
            Some(at) => {
                here[at] = true;
                Slot { member: Some(group.members[at]), map: None, departed: false, generation }
            }
            None => {
                let who = old.who.as_ref().filter(|_| old.stays && size == Size::Full);
                let mapped = who.and_then(|who| who.mapped);
                let departed = |who: &Who| GroupMember {
                    hop: who.hop,
                    pod: mapped.map(|(address, _)| address),
                    draining: true,
                    port: None,
                };
                let map = mapped.map(|(_, map)| map);
                Slot { member: who.map(departed), map, departed: true, generation }
            }
        });
    }
    // Where one that comes may be put: holes first, then those of which less is known or that somebody holds, at need.
    let places = |is: fn(&Slot) -> bool| -> VecDeque<usize> {
        slots.iter().enumerate().filter(|(_, slot)| is(slot)).map(|(n, _)| n).collect()
    };
    let mut holes = places(|slot| slot.member.is_none() && slot.generation.is_some());
    let mut at_need = places(|slot| slot.member.is_none() && slot.generation.is_none());
    at_need.extend(places(|slot| slot.member.is_some() && slot.departed));
    for (&member, _) in group.members.iter().zip(here).filter(|(_, here)| !here) {
        let full = slots.len() >= most;
        let place = holes.pop_front().or_else(|| full.then(|| at_need.pop_front()).flatten());
        let before = place.and_then(|place| slots[place].generation);
        let generation = match before {
            None | Some(NEVER) => first_generation(&member),
            Some(before) => next_generation(before),
        };
        let slot =
            Slot { member: Some(member), map: None, departed: false, generation: Some(generation) };
        match place {
            Some(place) => slots[place] = slot,
            None => slots.push(slot),
        }
    }
    slots
}

/// 1..=255 in turn; 0 is kept, so that the word of a hole is never all zeros and its generation can be read back.
pub(crate) fn next_generation(generation: u8) -> u8 {
    generation.checked_add(1).unwrap_or(1)
}

/// The generation of a slot that is new. It depends on the member, so that a group that was removed and comes back is
/// unlikely to give a stale flow's slot and generation to another member.
fn first_generation(member: &GroupMember) -> u8 {
    let label = member.hop.label.map_or(0, |label| label.0);
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u32::from(address),
        IpAddr::V6(address) => address.to_bits().to_le_bytes().chunks(4).fold(0, |mixed, word| {
            word.iter().fold(mixed, |mixed: u32, byte| mixed.rotate_left(5) ^ u32::from(*byte))
        }),
    };
    let who = member.pod.map_or_else(
        || match member.hop.next_hop {
            NextHopKey::TunnelUdp(node) | NextHopKey::TunnelGre(node) => number(node),
            NextHopKey::Encap(vif) | NextHopKey::Receive(vif) => vif.0.into(),
            NextHopKey::Discard | NextHopKey::Reject => 0,
        },
        number,
    );
    let mixed = (who ^ label.rotate_left(16)).wrapping_mul(0x9e37_79b1);
    ((mixed >> 24) as u8).max(1)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use penstock_model::{MplsLabel, VifId};

    use super::*;

    fn pod(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    fn member(last: u8) -> GroupMember {
        let hop = Hop { next_hop: NextHopKey::Encap(VifId(last)), label: None };
        GroupMember { hop, pod: Some(pod(last)), draining: false, port: None }
    }

    fn group(members: &[GroupMember]) -> Group {
        Group { members: members.to_vec(), hash_fields: 0x1f, affinity_seconds: 0 }
    }

    fn ring(
        old: &[OldSlot],
        group: &Group,
        next_hop_id: impl Fn(NextHopKey) -> u16,
    ) -> Vec<EcmpSlot> {
        super::ring(old, group, Otherwise::Discard, (64, Size::Full), next_hop_id, |_| None).words
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
        let who = |word: &EcmpSlot| {
            let found = all.iter().find(|m| id(m.hop.next_hop) == word.nh);
            found.filter(|_| word.valid).map(|m| Who { hop: m.hop, pods: Pods::Same, mapped: None })
        };
        let slot = |word: &EcmpSlot| OldSlot {
            who: who(word),
            generation: Some(word.generation),
            stays: false,
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
        let unknown = OldSlot { who: None, generation: None, stays: false };
        let words = ring(&[unknown], &group(&[member(1)]), id);
        assert_eq!((words[0].valid, words[1].valid, words[1].slot), (false, true, 1));
        let full = ring(&vec![unknown; 64], &group(&[member(1)]), id);
        assert_eq!((full.len(), full[0].valid), (65, true));
    }

    #[test]
    fn who_departs_keeps_the_slot_until_it_is_needed() {
        let members: Vec<GroupMember> = (1..=64).map(member).collect();
        let first = ring(&[], &group(&members), id);
        let old = |words: &[EcmpSlot]| {
            let mut old = slots(words, 64, &members);
            old.iter_mut().for_each(|slot| slot.stays = true);
            old
        };
        let second = ring(&old(&first), &group(&members[2..]), id);
        assert_eq!(second.len(), 64 + 62);
        for slot in [0, 1] {
            let expected = EcmpSlot { drain: true, evict_udp: true, ..first[slot] };
            assert_eq!(second[slot], expected);
        }
        // One that comes back is as it was.
        assert_eq!(ring(&old(&second), &group(&members), id), first);
        // One that comes takes the place of one that departed, and of nobody else.
        let more = [&members[2..], &[member(65)]].concat();
        let third = ring(&old(&second), &group(&more), id);
        assert_eq!(third.len(), 64 + 63);
        assert_eq!((third[0].nh, third[0].drain, third[0].evict_udp), (65, false, false));
        assert_eq!(third[0].generation, next_generation(first[0].generation));
        assert_eq!(third[1..64], second[1..64]);
    }

    #[test]
    fn new_flows_are_refused_while_all_have_departed() {
        let (a, b) = (member(1), GroupMember { draining: true, ..member(2) });
        let first = ring(&[], &group(&[a, b]), id);
        let mut old = slots(&first, 2, &[a, b]);
        old.iter_mut().for_each(|slot| slot.stays = true);
        let refused =
            super::ring(&old, &group(&[]), Otherwise::Reject(7), (64, Size::Full), id, |_| None);
        let kept = |word: EcmpSlot| EcmpSlot { drain: true, ..word };
        let refuses = EcmpSlot { valid: true, nh: 7, ..EcmpSlot::default() };
        assert_eq!((refused.slots, refused.live()), (2, 1));
        assert_eq!(refused.words, [kept(first[0]), kept(first[1]), refuses]);
        let dropped =
            super::ring(&old, &group(&[]), Otherwise::Discard, (64, Size::Full), id, |_| None);
        assert_eq!((dropped.slots, dropped.live()), (2, 0));
    }

    #[test]
    fn a_slim_group_has_nobody_who_departed_and_no_holes_at_its_end() {
        let members = [member(1), member(2), member(3), member(4)];
        let mut old = slots(&ring(&[], &group(&members), id), 4, &members);
        old.iter_mut().for_each(|slot| slot.stays = true);
        let ring = |size, wanted: &[GroupMember]| {
            super::ring(&old, &group(wanted), Otherwise::Discard, (64, size), id, |_| None)
        };
        let wanted = [member(2), member(5)];
        let full = ring(Size::Full, &wanted);
        assert_eq!((full.slots, full.live(), full.spare), (5, 2, true));
        let slim = ring(Size::Slim, &wanted);
        assert_eq!((slim.slots, slim.live(), slim.spare), (2, 2, false));
        assert_eq!((slim.words[0].nh, slim.words[1]), (5, full.words[1]));
        assert_eq!(slim.words[0].generation, next_generation(full.words[0].generation));
        assert!(!ring(Size::Full, &members).spare);
    }

    /// A hop is the same member as long as nobody knows better; a label that was given away is another one.
    #[test]
    fn a_member_is_a_hop_and_the_pod_if_it_is_known() {
        let nameless = GroupMember { pod: None, ..member(1) };
        let other = GroupMember { pod: Some(pod(9)), ..member(1) };
        let first = ring(&[], &group(&[member(1)]), id);
        let slot = |pods| {
            let who = Some(Who { hop: member(1).hop, pods, mapped: None });
            [OldSlot { who, generation: Some(first[0].generation), stays: false }]
        };
        let again = |pods, member| ring(&slot(pods), &group(&[member]), id)[0].generation;
        let same = first[0].generation;
        for pods in [Pods::Unknown, Pods::Same, Pods::Moved(pod(1))] {
            assert_eq!(again(pods, member(1)), same);
            assert_eq!(again(pods, nameless), same);
        }
        let given_away = ring(&slot(Pods::Moved(pod(1))), &group(&[other]), id);
        assert_eq!((given_away.len(), given_away[0].generation), (2, next_generation(same)));
    }

    #[test]
    fn generations_are_never_zero() {
        assert_eq!(next_generation(255), 1);
        let remote = |label| GroupMember {
            hop: Hop {
                next_hop: NextHopKey::TunnelUdp(Ipv4Addr::new(10, 169, 25, 21).into()),
                label: Some(MplsLabel(label)),
            },
            ..member(1)
        };
        assert!((16..4000).all(|label| first_generation(&remote(label)) != 0));
    }
}
