//! Prefixes of the card: which are served, and where the parts that they were expanded to stand.
//!
//! A prefix is served if the card sends to it what no longer one takes. Its parts (`penstock_tables::prefix`) that a longer prefix
//! has, it does not write. When that one goes, its parts are written over with the word of the next shorter prefix of the same
//! expanded length, if there is one; so an address is never without a route in between, nor has one that is about to go.
//!
//! Example: 10.1.2.0/23 leads to A, 10.1.3.0/24 to B; both are expanded to 24 bits: 10.1.2.0 -> A, 10.1.3.0 -> B. Without the /24,
//! the word of 10.1.3.0 becomes A's, in place. Without the /23, 10.1.2.0 is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use penstock_abi::limits::PREFIX_TABLES;
use penstock_abi::table::{DefaultRoute, Prefix, PrefixLength};
use penstock_model::{IpNet, VrfId};
use penstock_tables::prefix::{
    PREFIX_LENGTHS, masked, prefix_lengths, prefix_parts, table_entries,
};
use penstock_tables::{PrefixPart, Shape};

use crate::buckets::Buckets;
use crate::card::{Card, Step};
use crate::words;

/// What identifies a prefix.
pub(crate) type PrefixKey = (VrfId, IpNet);

/// The prefix of 0 bits.
const ALL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// The index.
#[derive(Debug)]
pub(crate) struct Prefixes {
    shape: Shape,
    /// Prefixes that are served, with the word of each (of whichever part).
    served: BTreeMap<PrefixKey, Prefix>,
    /// The parts in each table.
    tables: Vec<Buckets>,
}

/// The parts of a prefix that the card can have.
pub(crate) fn parts_of((vrf, prefix): PrefixKey) -> impl Iterator<Item = PrefixPart> {
    let bits = match prefix.network() {
        IpAddr::V4(address) => Some(u32::from(address)),
        IpAddr::V6(_) => None,
    };
    bits.into_iter().flat_map(move |bits| prefix_parts(vrf.0, bits, prefix.prefix_len()))
}

/// Prefixes that would have a part if they were there, the longest first.
pub(crate) fn owners(part: PrefixPart) -> impl Iterator<Item = PrefixKey> {
    prefix_lengths(part.rank).filter_map(move |len| key_of(part.vrf, part.ip, len))
}

fn key_of(vrf: u16, ip: u32, len: u8) -> Option<PrefixKey> {
    let net = IpNet::new(words::address(masked(ip, len)), len).ok()?;
    Some((VrfId(vrf), net))
}

/// The words that say which length each rank has.
fn length_words() -> impl Iterator<Item = (u32, PrefixLength)> {
    (0..).zip(PREFIX_LENGTHS.map(|len| PrefixLength { valid: true, len }))
}

impl Prefixes {
    /// The index, and the indices of entries that no look-up needs. If the card looks for other lengths than ours, those are all.
    pub(crate) fn new(card: &Card) -> (Self, Vec<u32>) {
        let shape = card.shape();
        let ours = length_words().all(|(rank, word)| card.at::<PrefixLength>(rank) == word);
        let entries = card.tables().of::<Prefix>();
        let part_of = |index: u32, word: &Prefix| {
            let part = PrefixPart::of(index, word, shape).filter(|_| ours && word.valid)?;
            let is_part = prefix_lengths(part.rank).any(|len| len == word.len)
                && masked(word.ip, PREFIX_LENGTHS[usize::from(part.rank)]) == word.ip;
            is_part.then_some(part)
        };
        let mut strays: BTreeSet<u32> = entries.indices().collect();
        let size = table_entries(shape);
        let mut by_table: Vec<Vec<(u32, u128)>> = vec![Vec::new(); PREFIX_TABLES as usize];
        for (index, word) in entries.iter() {
            let table = by_table.get_mut((index / size) as usize);
            if let Some((table, part)) = table.zip(part_of(index, word)) {
                table.push((index % size, part.key()));
                strays.remove(&index);
            }
        }
        let mut tables = Vec::new();
        for (first, entries) in (0..).step_by(size as usize).zip(by_table) {
            let (buckets, copies) = Buckets::new(shape.prefix_rows_log2, entries.into_iter());
            strays.extend(copies.into_iter().map(|index: u32| first + index));
            tables.push(buckets);
        }
        let mut served = BTreeMap::new();
        for (_, word) in entries.iter().filter(|(index, _)| !strays.contains(index)) {
            if let Some(key) = key_of(word.vrf, word.ip, word.len) {
                served.entry(key).or_insert(*word);
            }
        }
        for (vrf, word) in card.tables().of::<DefaultRoute>().iter().filter(|(_, w)| w.valid) {
            if let Some(key) = u16::try_from(vrf).ok().and_then(|vrf| key_of(vrf, 0, 0)) {
                let DefaultRoute { nh, label, label_valid, sources, .. } = *word;
                let word = Prefix {
                    valid: true,
                    vrf: key.0.0,
                    nh,
                    label,
                    label_valid,
                    sources,
                    ..Prefix::default()
                };
                served.insert(key, word);
            }
        }
        (Self { shape, served, tables }, strays.into_iter().collect())
    }

    /// Prefixes that are served.
    pub(crate) fn keys(&self) -> impl Iterator<Item = PrefixKey> {
        self.served.keys().copied()
    }

    /// Prefixes that lead to one of these next hops.
    pub(crate) fn users<'a>(&'a self, ids: &'a BTreeSet<u16>) -> impl Iterator<Item = PrefixKey> {
        self.served.iter().filter(|(_, word)| ids.contains(&word.nh)).map(|(key, _)| *key)
    }

    /// Where a part stands.
    pub(crate) fn place(&self, part: PrefixPart) -> Option<u32> {
        let table = part.table();
        let index = self.tables.get(table as usize)?.get(part.key())?;
        Some(table * table_entries(self.shape) + index)
    }

    /// Has the card look for our lengths. Only while nothing stands in the tables is anything written.
    pub(crate) fn look_for_lengths(&self, card: &mut Card) {
        for (rank, word) in length_words() {
            card.write(Step::Make, rank, word);
        }
    }

    /// Writes those parts of a prefix that stand nowhere: no prefix has had them. All or none, if there is no room for all.
    pub(crate) fn expand(&mut self, card: &mut Card, key: PrefixKey, word: Prefix) -> Option<()> {
        let missing: Vec<PrefixPart> =
            parts_of(key).filter(|part| self.place(*part).is_none()).collect();
        if missing.len() > 1 {
            // One may be moved for another, so only trying tells.
            let mut tried = BTreeMap::new();
            for part in &missing {
                let table = part.table();
                let real = self.tables.get(table as usize)?;
                tried.entry(table).or_insert_with(|| real.clone()).place(part.key())?;
            }
        }
        for part in missing {
            let table = part.table();
            let first = table * table_entries(self.shape);
            let place = self.tables.get_mut(table as usize)?.place(part.key())?;
            for (from, to) in place.moves {
                let moved: Prefix = card.at(first + from);
                card.write(Step::Point, first + to, moved);
            }
            card.write(Step::Point, first + place.index, Prefix { ip: part.ip, ..word });
        }
        Some(())
    }

    /// A prefix is served from now on by this word.
    pub(crate) fn serve(&mut self, key: PrefixKey, word: Prefix) {
        self.served.insert(key, word);
    }

    /// A prefix is not served any more; what becomes of its parts is for [`Self::settle`] to say.
    pub(crate) fn forget(&mut self, key: PrefixKey) -> bool {
        self.served.remove(&key).is_some()
    }

    /// Gives a part to the longest prefix that is served, or takes it away.
    pub(crate) fn settle(&mut self, card: &mut Card, part: PrefixPart) {
        let Some(index) = self.place(part) else { return };
        match owners(part).find_map(|key| self.served.get(&key)) {
            Some(word) => card.write(Step::Point, index, Prefix { ip: part.ip, ..*word }),
            None => self.clear(card, part),
        }
    }

    /// Takes a part away.
    pub(crate) fn clear(&mut self, card: &mut Card, part: PrefixPart) {
        let Some(index) = self.place(part) else { return };
        card.clear::<Prefix>(Step::Unpoint, index);
        let size = table_entries(self.shape);
        if let Some(table) = self.tables.get_mut((index / size) as usize) {
            table.leave(index % size);
        }
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        for table in &mut self.tables {
            table.end_round();
        }
    }
}

/// Whether a prefix is a VRF's default route.
pub(crate) fn is_default((_, prefix): PrefixKey) -> bool {
    prefix.prefix_len() == 0 && prefix.network() == ALL
}
