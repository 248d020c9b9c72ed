//! The flow table (sections 5 and 9): entries in pairs, their statistics, and where a key may stand.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::hash::{flow_key, key_hash, row};
use penstock_abi::limits::{BUCKET_SLOTS, FLOW_ROWS_LOG2, FLOW_WAYS};
use penstock_abi::table::{
    Flow, FlowKey, FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN, bucket_index,
};

use crate::tables::Tables;
use crate::wire::{ACK, FIN, RST, SYN, is_bare_syn};

/// Two entries that a packet asks for; `partner…` and `generation` are filled in on insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Entry of the packet's own direction.
    pub forward: Flow,
    /// Entry of the replies.
    pub reverse: Flow,
}

/// The key of an entry.
#[must_use]
pub fn key_of(f: &Flow) -> FlowKey {
    FlowKey { nh: f.nh, proto: f.proto, sip: f.sip, dip: f.dip, sport: f.sport, dport: f.dport }
}

/// An entry without what depends on its place: the partner is named by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAttributes {
    /// The entry with `partner` and `generation` cleared.
    pub flow: Flow,
    /// Key of the partner, if `partner_valid` and an entry is there.
    pub partner: Option<FlowKey>,
}

/// Turns a dump (index, entry) into key -> attributes. Invalid entries are skipped.
pub fn attributes(dump: impl IntoIterator<Item = (u32, Flow)>) -> HashMap<FlowKey, FlowAttributes> {
    let entries: BTreeMap<u32, Flow> = dump.into_iter().filter(|(_, f)| f.valid).collect();
    let partner =
        |f: &Flow| entries.get(&u32::from(f.partner)).filter(|_| f.partner_valid).map(key_of);
    entries
        .values()
        .map(|f| {
            (
                key_of(f),
                FlowAttributes {
                    flow: Flow { partner: 0, generation: 0, ..*f },
                    partner: partner(f),
                },
            )
        })
        .collect()
}

/// The flow table.
#[derive(Clone, Debug, Default)]
pub struct FlowTable {
    entries: BTreeMap<u32, Flow>,
    index: HashMap<FlowKey, u32>,
    stats: HashMap<u32, FlowStats>,
    generations: HashMap<u32, u8>,
}

impl FlowTable {
    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &FlowKey) -> Option<&Flow> {
        self.index.get(key).map(|i| &self.entries[i])
    }

    /// Entries in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No entry is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry with its index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Flow)> {
        self.entries.iter().map(|(&i, f)| (i, f))
    }

    /// Statistics of the entry with this key.
    #[must_use]
    pub fn stats(&self, key: &FlowKey) -> Option<FlowStats> {
        self.index.get(key).map(|i| self.stats.get(i).copied().unwrap_or_default())
    }

    /// Entries by key, without what depends on their place.
    #[must_use]
    pub fn attributes(&self) -> HashMap<FlowKey, FlowAttributes> {
        attributes(self.entries.iter().map(|(&i, &f)| (i, f)))
    }

    /// The entry of the other direction.
    #[must_use]
    pub fn partner(&self, flow: &Flow) -> Option<&Flow> {
        self.entries.get(&u32::from(flow.partner)).filter(|_| flow.partner_valid)
    }

    /// Neither the entry nor its partner has a mapping or a member.
    #[must_use]
    pub fn is_plain_pair(&self, flow: &Flow) -> bool {
        let plain = |f: &Flow| !f.map_valid && !f.ecmp_valid;
        plain(flow) && self.partner(flow).is_none_or(plain)
    }

    fn tcp(&self, flow: &Flow) -> u8 {
        self.stats(&key_of(flow)).map_or(0, |s| s.tcp)
    }

    /// A segment with these flags changes the TCP state of the entry with this key.
    #[must_use]
    pub fn tcp_changes(&self, key: &FlowKey, flags: u8) -> bool {
        self.stats(key).is_some_and(|s| tcp_state(s.tcp, Some(flags)) != s.tcp)
    }

    /// The TCP connection of an entry is over (section 5).
    #[must_use]
    pub fn is_over(&self, flow: &Flow) -> bool {
        let (own, other) = (self.tcp(flow), self.partner(flow).map_or(0, |p| self.tcp(p)));
        own & other & TCP_FIN != 0 || (own | other) & TCP_RST != 0
    }

    /// The TCP connection of an entry is opening (section 6): so says the forward entry.
    #[must_use]
    pub fn is_opening(&self, flow: &Flow) -> bool {
        let forward = if flow.reverse { self.partner(flow) } else { Some(flow) };
        forward.is_some_and(|f| self.tcp(f) & (TCP_SYN | TCP_ESTABLISHED) == TCP_SYN)
    }

    /// The connection of an entry is dead (section 9.1): its mapping is gone, or it is over.
    #[must_use]
    pub fn is_dead(&self, tables: &Tables, flow: &Flow) -> bool {
        !tables.usable(flow) || self.is_over(flow)
    }

    /// Deletes the entry at `index` and its partner, as the host does by writing zeros to either.
    pub fn delete(&mut self, index: u32) {
        let Some(f) = self.entries.remove(&index) else { return };
        self.index.remove(&key_of(&f));
        if f.partner_valid
            && let Some(p) = self.entries.remove(&u32::from(f.partner))
        {
            self.index.remove(&key_of(&p));
        }
    }

    /// Deletes the entry with this key and its partner.
    pub fn delete_key(&mut self, key: &FlowKey) {
        if let Some(&i) = self.index.get(key) {
            self.delete(i);
        }
    }

    /// A forwarded packet was on the usable flow with this key.
    pub fn count(&mut self, key: &FlowKey, frame_bytes: usize, tcp_flags: Option<u8>) {
        let Some(&i) = self.index.get(key) else { return };
        let s = self.stats.entry(i).or_default();
        s.packets += 1;
        s.bytes += frame_bytes as u64;
        s.tcp = tcp_state(s.tcp, tcp_flags);
    }

    /// Takes over entries and statistics that were read from a card.
    pub fn restore(&mut self, entries: impl IntoIterator<Item = (u32, Flow, FlowStats)>) {
        *self = Self::default();
        for (i, f, s) in entries {
            self.index.insert(key_of(&f), i);
            self.generations.insert(i, f.generation);
            self.stats.insert(i, FlowStats { last_hit: 0, ..s });
            self.entries.insert(i, f);
        }
    }

    pub(crate) fn index_of(&self, key: &FlowKey) -> Option<u32> {
        self.index.get(key).copied()
    }

    pub(crate) fn entry_mut(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        self.index.get(key).and_then(|i| self.entries.get_mut(i))
    }

    pub(crate) fn set_stats(&mut self, index: u32, stats: FlowStats) {
        self.stats.insert(index, stats);
    }

    /// Deletes one entry of a pair whose other entry is rewritten.
    pub(crate) fn delete_single(&mut self, key: &FlowKey) {
        if let Some(i) = self.index.remove(key) {
            self.entries.remove(&i);
        }
    }

    /// Writes an entry at a slot that is free, or has an entry with its key.
    pub(crate) fn put(&mut self, index: u32, entry: Flow, partner: u32) {
        let generation = self.generations.entry(index).or_default();
        *generation = generation.wrapping_add(1);
        let entry =
            Flow { partner_valid: true, partner: partner as u16, generation: *generation, ..entry };
        self.index.insert(key_of(&entry), index);
        self.entries.insert(index, entry);
    }

    /// The way with the most free slots in its row, lowest way first; the lowest free slot in it.
    pub(crate) fn free_slot(&self, key: &FlowKey, taken: Option<u32>) -> Option<u32> {
        let hash = key_hash(flow_key(key));
        let free = |i: &u32| !self.entries.contains_key(i) && Some(*i) != taken;
        let slots = |w: u32| {
            let r = row(hash, w, FLOW_ROWS_LOG2);
            (0..BUCKET_SLOTS).map(move |s| bucket_index(w, r, s, FLOW_ROWS_LOG2))
        };
        let mut best: Option<(usize, u32)> = None;
        for w in 0..FLOW_WAYS {
            let count = slots(w).filter(free).count();
            if count > best.map_or(0, |(n, _)| n) {
                best = slots(w).find(free).map(|i| (count, i));
            }
        }
        best.map(|(_, i)| i)
    }
}

/// The TCP state after a segment (section 9.3).
pub(crate) fn tcp_state(old: u8, flags: Option<u8>) -> u8 {
    let Some(flags) = flags else { return old };
    let mut new = old;
    for (flag, state) in [(SYN, TCP_SYN), (FIN, TCP_FIN), (RST, TCP_RST)] {
        if flags & flag != 0 {
            new |= state;
        }
    }
    if flags & (ACK | SYN) == ACK && old & TCP_SYN != 0 {
        new |= TCP_ESTABLISHED;
    }
    if flags & RST == 0 && !is_bare_syn(flags) {
        new &= !TCP_RST;
    }
    new
}
