//! The flow table (sections 5 and 9): entries in pairs, and their statistics.
//!
//! Where a key stands is the card's affair (section 9.2), so there are no rows here, and there is always room: a key finds its
//! entry, and a pair's number the keys of the pair. An index, which the host needs to read or delete, is made of the number.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::age::Ages;
use penstock_abi::evict::Evictions;
use penstock_abi::limits::FLOW_PAIRS;
use penstock_abi::ring::FlowEnd;
use penstock_abi::table::{
    Flow, FlowKey, FlowShareStats, FlowStats, TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN,
};

use crate::clients::Client;
use crate::events::{Log, What};
use crate::fault::Fault;
use crate::shares::{AllShares, Shares};
use crate::tables::Tables;
use crate::wire::{ACK, FIN, RST, SYN, is_bare_syn};

/// Two entries that a packet asks for; `pair` and `generation` are filled in on insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Entry of the packet's own direction.
    pub forward: Flow,
    /// Entry of the replies.
    pub reverse: Flow,
    /// Whose it is.
    pub shares: Shares,
    /// The packet has affinity, and its member was chosen.
    pub client: Option<Client>,
}

/// The key of an entry.
#[must_use]
pub fn key_of(f: &Flow) -> FlowKey {
    f.key()
}

/// An entry without what the card chooses: the partner is named by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowAttributes {
    /// The entry with `pair` and `generation` cleared.
    pub flow: Flow,
    /// Key of the partner, if there is one.
    pub partner: Option<FlowKey>,
}

/// A direction of a pair.
type Side = (u32, bool);

const fn side(f: &Flow) -> Side {
    (f.pair, f.reverse)
}

const fn other_side(f: &Flow) -> Side {
    (f.pair, !f.reverse)
}

/// Turns a dump (index, entry) into key -> attributes. Invalid entries are skipped.
pub fn attributes(dump: impl IntoIterator<Item = (u32, Flow)>) -> HashMap<FlowKey, FlowAttributes> {
    let entries: Vec<Flow> = dump.into_iter().map(|(_, f)| f).filter(|f| f.valid).collect();
    let keys: HashMap<Side, FlowKey> = entries.iter().map(|f| (side(f), key_of(f))).collect();
    let without = |f: &Flow| FlowAttributes {
        flow: Flow { pair: 0, generation: 0, ..*f },
        partner: keys.get(&other_side(f)).copied(),
    };
    entries.iter().map(|f| (key_of(f), without(f))).collect()
}

/// What is noted of a pair when a packet is counted on its forward entry (sections 9.4 and 9.5).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noted {
    /// The number of the port by which it has its time, if by one.
    pub(crate) port: Option<u8>,
    /// Neither entry has a mapping or a member.
    pub(crate) plain: bool,
}

/// The flow table.
#[derive(Clone, Debug)]
pub struct FlowTable {
    entries: BTreeMap<FlowKey, Flow>,
    keys: HashMap<Side, FlowKey>,
    /// Each with the generation under which it was counted.
    stats: HashMap<Side, (u8, FlowStats)>,
    generations: HashMap<Side, u8>,
    /// The number that was given last.
    last_pair: u32,
    /// By pair, what was noted of it last.
    noted: HashMap<u32, Noted>,
    pub(crate) shares: AllShares,
    ages: Ages,
    evictions: Evictions,
    /// Card time in units of `last_hit`.
    now: u32,
    pub(crate) log: Option<Log>,
}

impl Default for FlowTable {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            stats: HashMap::new(),
            generations: HashMap::new(),
            last_pair: 0,
            noted: HashMap::new(),
            shares: AllShares::default(),
            ages: Ages::default(),
            evictions: Evictions::default(),
            now: 1,
            log: None,
        }
    }
}

impl FlowTable {
    /// The entry with this key.
    #[must_use]
    pub fn get(&self, key: &FlowKey) -> Option<&Flow> {
        self.entries.get(key)
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

    /// Every entry with its index, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Flow)> {
        self.entries.values().map(|f| (f.pair << 1 | u32::from(f.reverse), f))
    }

    /// Statistics of the entry with this key.
    #[must_use]
    pub fn stats(&self, key: &FlowKey) -> Option<FlowStats> {
        let f = self.get(key)?;
        let counted = self.stats.get(&side(f)).filter(|(of, _)| *of == f.generation);
        Some(counted.map(|(_, stats)| *stats).unwrap_or_default())
    }

    /// Entries by key, without what the card chooses.
    #[must_use]
    pub fn attributes(&self) -> HashMap<FlowKey, FlowAttributes> {
        attributes(self.iter().map(|(i, &f)| (i, f)))
    }

    /// The entry of the other direction.
    #[must_use]
    pub fn partner(&self, flow: &Flow) -> Option<&Flow> {
        self.keys.get(&other_side(flow)).and_then(|key| self.get(key))
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
        self.delete_with(index, None);
    }

    /// As [`FlowTable::delete`], breaking a rule.
    pub(crate) fn delete_with(&mut self, index: u32, fault: Option<Fault>) {
        let (pair, reverse) = (index >> 1, index & 1 != 0);
        let Some(key) = self.keys.get(&(pair, reverse)).copied() else { return };
        let partner = self.keys.get(&(pair, !reverse)).copied();
        self.end(&key, partner, FlowEnd::Deleted, fault);
        self.shares.end(pair);
    }

    /// Deletes the entry with this key and its partner, as the host does.
    pub fn delete_key(&mut self, key: &FlowKey) {
        self.end_key(key, FlowEnd::Deleted, None);
    }

    /// Deletes the entry with this key and its partner.
    pub(crate) fn end_key(&mut self, key: &FlowKey, why: FlowEnd, fault: Option<Fault>) {
        let Some(flow) = self.get(key).copied() else { return };
        let partner = self.partner(&flow).map(key_of);
        self.end(key, partner, why, fault);
        self.shares.end(flow.pair);
    }

    /// A pair is gone.
    fn end(&mut self, key: &FlowKey, partner: Option<FlowKey>, why: FlowEnd, fault: Option<Fault>) {
        if fault != Some(Fault::ReplacedIsSilent) || why != FlowEnd::Replaced {
            self.tell(key, What::Ended(why), fault);
        }
        for key in [Some(*key), partner].into_iter().flatten() {
            self.remove(&key);
        }
    }

    /// How long pairs may rest.
    #[must_use]
    pub fn ages(&self) -> &Ages {
        &self.ages
    }

    /// Sets how long pairs may rest.
    pub fn set_ages(&mut self, ages: Ages) {
        self.ages = ages;
    }

    /// Which pairs give way in a table that fills.
    #[must_use]
    pub fn evictions(&self) -> &Evictions {
        &self.evictions
    }

    /// Sets which pairs give way in a table that fills.
    pub fn set_evictions(&mut self, evictions: Evictions) {
        self.evictions = evictions;
    }

    /// The pressure on the table (section 9.5).
    #[must_use]
    pub fn pressure(&self) -> u8 {
        self.evictions.pressure(self.len() as u32)
    }

    /// Card time in units of `last_hit`, never 0.
    #[must_use]
    pub fn now(&self) -> u32 {
        self.now
    }

    /// Time passes, in such units.
    pub(crate) fn pass(&mut self, units: u32) {
        self.now = self.now.wrapping_add(units).max(1);
    }

    /// What was noted of the pair of an entry.
    pub(crate) fn noted(&self, flow: &Flow) -> Noted {
        self.noted.get(&flow.pair).copied().unwrap_or_default()
    }

    fn note(&mut self, forward: &Flow) {
        let port = self.ages.find(forward.proto, forward.dport);
        let plain = self.is_plain_pair(forward);
        self.noted.insert(forward.pair, Noted { port, plain });
    }

    /// What was counted last on one side of a pair, and under which generation.
    pub(crate) fn counted_last(&self, pair: u32, reverse: bool) -> (u8, FlowStats) {
        self.stats.get(&(pair, reverse)).copied().unwrap_or_default()
    }

    /// A forwarded packet was on the usable flow with this key.
    pub fn count(&mut self, key: &FlowKey, frame_bytes: usize, tcp_flags: Option<u8>) {
        let (Some(f), Some(mut s)) = (self.get(key).copied(), self.stats(key)) else { return };
        s.packets = (s.packets + 1) & 0xffff_ffff;
        s.bytes = (s.bytes + frame_bytes as u64) & 0xff_ffff_ffff;
        s.tcp = tcp_state(s.tcp, tcp_flags);
        s.last_hit = self.now;
        if !f.reverse {
            self.note(&f);
        }
        self.stats.insert(side(&f), (f.generation, s));
    }

    /// Takes over entries and statistics that were read from a card whose time is this one's. Of pairs that it did not have before, the
    /// entries say whose they are.
    pub fn restore(&mut self, entries: impl IntoIterator<Item = (u32, Flow, FlowStats)>) {
        let known = self.shares.named(self.pairs());
        let shares = std::mem::take(&mut self.shares);
        let log = self.log.take();
        let Self { now, ages, evictions, .. } = *self;
        *self = Self { now, ages, evictions, shares, log, ..Self::default() };
        for (_, f, s) in entries {
            self.keys.insert(side(&f), key_of(&f));
            self.generations.insert(side(&f), f.generation);
            self.stats.insert(side(&f), (f.generation, s));
            self.entries.insert(key_of(&f), f);
        }
        let forward: Vec<Flow> = self.iter().map(|(_, f)| *f).filter(|f| !f.reverse).collect();
        forward.iter().for_each(|f| self.note(f));
        let mut shares = std::mem::take(&mut self.shares);
        shares.restore(&known, self.pairs());
        self.shares = shares;
    }

    /// Forward entries, each with its partner.
    fn pairs(&self) -> impl Iterator<Item = (&Flow, Option<&Flow>)> {
        let forward = self.entries.values().filter(|f| !f.reverse);
        forward.map(|f| (f, self.partner(f)))
    }

    /// Whose the pair of an entry is.
    #[must_use]
    pub fn shares_of(&self, flow: &Flow) -> Shares {
        self.shares.of(flow.pair)
    }

    /// Those of some shares that are over their limit.
    #[must_use]
    pub fn over(&self, tables: &Tables, of: Shares) -> Shares {
        self.shares.over(tables, of, None)
    }

    /// What the host reads of a share.
    #[must_use]
    pub fn share_stats(&self, index: u32) -> FlowShareStats {
        self.shares.stats(index)
    }

    /// What is in a share's bucket, in parts of which a pair is [`penstock_abi::share::ONE`].
    #[must_use]
    pub fn bucket(&self, index: u32) -> u32 {
        self.shares.bucket(index)
    }

    /// Shares that have, or had, anything.
    #[must_use]
    pub fn known_shares(&self) -> Vec<u32> {
        self.shares.known()
    }

    /// A share has refused so many packets.
    pub fn set_refused(&mut self, index: u32, refused: u32) {
        self.shares.set_refused(index, refused);
    }

    pub(crate) fn entry_mut(&mut self, key: &FlowKey) -> Option<&mut Flow> {
        self.entries.get_mut(key)
    }

    /// Deletes one entry; its partner is deleted or gets another one.
    pub(crate) fn remove(&mut self, key: &FlowKey) {
        if let Some(f) = self.entries.remove(key) {
            self.keys.remove(&side(&f));
        }
    }

    /// A number that no pair has.
    pub(crate) fn free_pair(&mut self) -> Option<u32> {
        let taken = |p: &u32| [false, true].iter().any(|&r| self.keys.contains_key(&(*p, r)));
        let numbers = (1..=FLOW_PAIRS).map(|n| (self.last_pair + n) % FLOW_PAIRS);
        self.last_pair = numbers.into_iter().find(|p| !taken(p))?;
        Some(self.last_pair)
    }

    /// A new generation for this side: its statistics are zeros.
    pub(crate) fn restart(&mut self, pair: u32, reverse: bool) -> u8 {
        let generation = self.generations.entry((pair, reverse)).or_default();
        *generation = generation.wrapping_add(1);
        *generation
    }

    /// Writes an entry in place of one with its key, if there is one.
    pub(crate) fn put(&mut self, entry: Flow) {
        self.keys.insert(side(&entry), key_of(&entry));
        self.entries.insert(key_of(&entry), entry);
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
