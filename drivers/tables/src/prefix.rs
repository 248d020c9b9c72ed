//! Where prefixes stand: tables of one length each, to which the host expands the lengths between.
//!
//! A look-up asks for [`PREFIX_LENGTHS`] of an address at once, and for no others. A prefix of another length becomes as many
//! *parts* of the next longer one as it takes: 10.47.254.0/23 is 10.47.254.0/24 and 10.47.255.0/24. Of several prefixes that have
//! a part in common, the longest has it.
//!
//! Parts of one length do not stand in one table: which it is depends on VRF and first byte, too (`hash::prefix_table`).

use penstock_abi::hash::{host_route_key, key_hash, prefix_table};
use penstock_abi::limits::{BUCKET_SLOTS, PREFIX_TABLES, PREFIX_WAYS};
use penstock_abi::table::{Prefix, PrefixLength};

use crate::{Shape, Tables, bucket_slots};

/// The lengths that the host sets by rank, the longest first.
pub const PREFIX_LENGTHS: [u8; PREFIX_TABLES as usize] = [31, 28, 24, 22, 20, 16, 12, 8];

/// A piece of address space that a table of prefixes has one entry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrefixPart {
    /// Rank of its length: 0 is the longest.
    pub rank: u8,
    /// VRF.
    pub vrf: u16,
    /// First address.
    pub ip: u32,
}

impl PrefixPart {
    /// Its key among those of its rank.
    #[must_use]
    pub fn key(self) -> u128 {
        host_route_key(self.vrf, self.ip)
    }

    /// The table that it stands in.
    #[must_use]
    pub fn table(self) -> u32 {
        prefix_table(self.rank.into(), self.vrf, self.ip)
    }

    /// The indices at which the card looks for it, in its order.
    pub fn places(self, shape: Shape) -> impl Iterator<Item = u32> {
        let first = self.table() * table_entries(shape);
        let slots = bucket_slots(key_hash(self.key()), PREFIX_WAYS, shape.prefix_rows_log2);
        slots.map(move |slot| first + slot)
    }

    /// What an entry at an index is looked up as, if it is in its row.
    #[must_use]
    pub fn of(index: u32, entry: &Prefix, shape: Shape) -> Option<Self> {
        let table = index / table_entries(shape);
        // Exclusive-or: the table of a table is the rank.
        let rank = prefix_table(table, entry.vrf, entry.ip);
        let part = Self { rank: u8::try_from(rank).ok()?, vrf: entry.vrf, ip: entry.ip };
        part.places(shape).any(|place| place == index).then_some(part)
    }
}

/// Entries of one of the tables.
#[must_use]
pub fn table_entries(shape: Shape) -> u32 {
    (PREFIX_WAYS * BUCKET_SLOTS) << shape.prefix_rows_log2
}

/// The address with all bits beyond a length clear.
#[must_use]
pub fn masked(ip: u32, len: u8) -> u32 {
    ip & !u32::MAX.checked_shr(len.into()).unwrap_or(0)
}

/// Rank of the length to which prefixes of `len` bits are expanded; none if no table has them (0 bits, or more than 31).
#[must_use]
pub fn prefix_rank(len: u8) -> Option<u8> {
    let rank = PREFIX_LENGTHS.iter().rposition(|&length| length >= len)?;
    (len > 0).then_some(rank as u8)
}

/// The lengths whose prefixes are expanded to that of a rank, the longest first.
pub fn prefix_lengths(rank: u8) -> impl Iterator<Item = u8> {
    let length = |rank: usize| PREFIX_LENGTHS.get(rank).copied().unwrap_or(0);
    (length(usize::from(rank) + 1) + 1..=length(rank.into())).rev()
}

/// How many parts a prefix of `len` bits has: what it costs in the table; 0 if no table has it.
#[must_use]
pub fn prefix_cost(len: u8) -> u32 {
    prefix_rank(len).map_or(0, |rank| 1 << (PREFIX_LENGTHS[usize::from(rank)] - len))
}

/// The parts of a prefix, in order of address.
pub fn prefix_parts(vrf: u16, ip: u32, len: u8) -> impl Iterator<Item = PrefixPart> {
    prefix_rank(len).into_iter().flat_map(move |rank| {
        let (ip, length) = (masked(ip, len), PREFIX_LENGTHS[usize::from(rank)]);
        (0..prefix_cost(len)).map(move |n| PrefixPart { rank, vrf, ip: ip | n << (32 - length) })
    })
}

impl Tables {
    /// The entry that the card finds for a rank and an address, and whether it looks for that rank at all: the first in its places.
    #[must_use]
    pub fn find_prefix(&self, rank: u8, vrf: u16, ip: u32) -> Option<(u32, &Prefix)> {
        let length = self.get::<PrefixLength>(rank.into()).filter(|length| length.valid)?;
        self.find_part(PrefixPart { rank, vrf, ip: masked(ip, length.len) })
    }

    /// The valid entry of a part: the first in the places where the card looks for it.
    #[must_use]
    pub fn find_part(&self, part: PrefixPart) -> Option<(u32, &Prefix)> {
        part.places(self.shape()).find_map(|index| {
            let entry = self.get::<Prefix>(index)?;
            let is_it = entry.valid && (entry.vrf, entry.ip) == (part.vrf, part.ip);
            is_it.then_some((index, entry))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_a_rank_and_its_cost() {
        let costs: Vec<u32> = (0..=32).map(prefix_cost).collect();
        let expected = [
            0, 128, 64, 32, 16, 8, 4, 2, 1, 8, 4, 2, 1, 8, 4, 2, 1, 8, 4, 2, 1, 2, 1, 2, 1, 8, 4,
            2, 1, 4, 2, 1, 0,
        ];
        assert_eq!(costs, expected);
        for len in 1..=31 {
            let rank = prefix_rank(len).unwrap();
            assert!(prefix_lengths(rank).any(|l| l == len));
        }
        assert_eq!((0..8).flat_map(prefix_lengths).count(), 31);
    }

    #[test]
    fn parts_cover_their_prefix_and_nothing_else() {
        let parts: Vec<_> = prefix_parts(5, 0x0a2f_ff01, 21).collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0], PrefixPart { rank: 3, vrf: 5, ip: 0x0a2f_f800 });
        assert_eq!(parts[1].ip, 0x0a2f_fc00);
        assert_eq!(prefix_parts(5, 0, 0).count() + prefix_parts(5, 0, 32).count(), 0);
        assert_eq!(prefix_parts(5, 0xffff_ffff, 1).last().unwrap().ip, 0xff00_0000);
    }

    #[test]
    fn an_entry_tells_its_rank_by_where_it_stands() {
        let shape = Shape::default();
        for part in prefix_parts(77, 0x0a2f_0000, 13).chain(prefix_parts(4000, 0xc000_0200, 24)) {
            let entry = Prefix { valid: true, vrf: part.vrf, ip: part.ip, ..Prefix::default() };
            for index in part.places(shape) {
                assert!(index < shape.capacity(penstock_abi::table::TableId::Prefix));
                assert_eq!(PrefixPart::of(index, &entry, shape), Some(part));
            }
            let foreign = part.places(shape).next().unwrap() ^ 4;
            assert_eq!(PrefixPart::of(foreign, &entry, shape), None);
        }
    }

    /// One length alone fills all tables if its prefixes are of many VRFs.
    #[test]
    fn one_length_of_many_vrfs_uses_every_table() {
        let mut used = [0_u32; PREFIX_TABLES as usize];
        for vrf in 0..4096 {
            used[PrefixPart { rank: 2, vrf, ip: 0x0a2f_ff00 }.table() as usize] += 1;
        }
        assert!(used.iter().all(|&n| n == 512), "{used:?}");
    }
}
