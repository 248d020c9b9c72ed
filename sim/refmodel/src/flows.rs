//! The flow table and its insertion unit (section 9), slot placement included, so that a full bucket is modelled too.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::hash::{flow_key, key_hash, row};
use penstock_abi::limits::{BUCKET_SLOTS, FLOW_ROWS_LOG2, FLOW_WAYS};
use penstock_abi::table::{
    Flow, FlowKey, FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN, bucket_index,
};

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

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The forward key is new.
    Learned,
    /// The forward key was present and its entry is rewritten.
    Repinned,
    /// An equal entry was present: nothing.
    Unchanged,
    /// No free slot: nothing.
    Full,
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

    /// Deletes the entry at `index`, as the host does by writing zeros.
    pub fn delete(&mut self, index: u32) {
        if let Some(f) = self.entries.remove(&index) {
            self.index.remove(&key_of(&f));
        }
    }

    /// Deletes the entry with this key; its partner stays.
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

    /// New `ecmp…` fields of an entry of the reply direction.
    pub fn repin_reverse(&mut self, key: &FlowKey, slot: u8, generation: u8) {
        let Some(f) = self.index.get(key).and_then(|i| self.entries.get_mut(i)) else { return };
        (f.ecmp_valid, f.ecmp_slot, f.ecmp_generation) = (true, slot, generation);
    }

    /// Keys whose entries an insertion of this pair would write or delete; the forward key always.
    #[must_use]
    pub fn touched_by(&self, pair: &Pair) -> Vec<FlowKey> {
        let (fkey, rkey) = (key_of(&pair.forward), key_of(&pair.reverse));
        if self.get(&fkey).is_some_and(|old| equal_but_placement(old, &pair.forward)) {
            return vec![fkey];
        }
        let mut keys = vec![fkey, rkey];
        for f in
            [self.get(&fkey), self.get(&rkey)].into_iter().flatten().filter(|f| f.partner_valid)
        {
            keys.extend(self.entries.get(&u32::from(f.partner)).map(key_of));
        }
        keys.sort_by_key(flow_key);
        keys.dedup();
        keys
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

    /// The insertion unit's four steps.
    pub fn insert(
        &mut self,
        pair: &Pair,
        repin: bool,
        frame_bytes: usize,
        tcp_flags: Option<u8>,
    ) -> Inserted {
        let (fkey, rkey) = (key_of(&pair.forward), key_of(&pair.reverse));
        let (fwd_at, rev_at) = (self.index.get(&fkey).copied(), self.index.get(&rkey).copied());
        if let Some(old) = fwd_at.map(|i| self.entries[&i])
            && equal_but_placement(&old, &pair.forward)
        {
            return Inserted::Unchanged;
        }
        let Some(fi) = fwd_at.or_else(|| self.free_slot(&fkey, None)) else {
            return Inserted::Full;
        };
        let Some(ri) = rev_at.or_else(|| self.free_slot(&rkey, Some(fi))) else {
            return Inserted::Full;
        };
        for i in [fwd_at, rev_at].into_iter().flatten() {
            if let Some(old) = self.entries.get(&i).filter(|f| f.partner_valid)
                && ![fi, ri].contains(&u32::from(old.partner))
            {
                self.delete(u32::from(old.partner));
            }
        }
        self.put(ri, pair.reverse, fi);
        self.put(fi, pair.forward, ri);
        self.stats.insert(ri, FlowStats::default());
        if !(repin && fwd_at.is_some()) {
            let tcp = tcp_state(0, tcp_flags);
            self.stats
                .insert(fi, FlowStats { packets: 1, bytes: frame_bytes as u64, tcp, last_hit: 0 });
        }
        if fwd_at.is_some() { Inserted::Repinned } else { Inserted::Learned }
    }

    fn put(&mut self, index: u32, entry: Flow, partner: u32) {
        let generation = self.generations.entry(index).or_default();
        *generation = generation.wrapping_add(1);
        let entry =
            Flow { partner_valid: true, partner: partner as u16, generation: *generation, ..entry };
        self.index.insert(key_of(&entry), index);
        self.entries.insert(index, entry);
    }

    /// The way with the most free slots in its row, lowest way first; the lowest free slot in it.
    fn free_slot(&self, key: &FlowKey, taken: Option<u32>) -> Option<u32> {
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

fn equal_but_placement(a: &Flow, b: &Flow) -> bool {
    let strip =
        |f: &Flow| Flow { generation: 0, partner_valid: false, partner: 0, src_info: 0, ..*f };
    strip(a) == strip(b)
}

fn tcp_state(old: u8, flags: Option<u8>) -> u8 {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
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
    new
}
