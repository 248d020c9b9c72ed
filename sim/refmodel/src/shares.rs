//! Shares of the flow table (section 9.6): whose a pair is, how many pairs each share has, and when it is over its limit.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::share::{self, ONE};
use penstock_abi::table::{Flow, FlowKey, FlowShareStats};

use crate::fault::Fault;
use crate::flows::key_of;
use crate::tables::Tables;

/// Some of a pair's shares, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// That of a vif.
    pub vif: Option<u32>,
    /// That of a tunnel.
    pub tunnel: Option<u32>,
}

impl Shares {
    /// Of a pair that a packet from a vif makes.
    #[must_use]
    pub fn from_vif(vif: u8) -> Self {
        Self { vif: Some(vif.into()), tunnel: None }
    }

    /// Of a pair that a packet from the fabric makes, by its outer source, and by the vif to which it goes.
    #[must_use]
    pub fn from_fabric(outer_sip: u32, to: Option<u8>) -> Self {
        Self { vif: to.map(u32::from), tunnel: Some(share::of_tunnel(outer_sip)) }
    }

    /// As a pair's entries say it, if it has not moved to another tunnel since it was made. (Nobody's outer source is as low as the
    /// number of a vif.)
    #[must_use]
    pub fn told_by(forward: &Flow, reverse: Option<&Flow>) -> Self {
        match u8::try_from(forward.src_info) {
            Ok(vif) => Self::from_vif(vif),
            Err(_) => Self::from_fabric(
                forward.src_info,
                reverse.and_then(|reverse| u8::try_from(reverse.src_info).ok()),
            ),
        }
    }

    /// Their indices.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        self.vif.into_iter().chain(self.tunnel)
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn filter(self, keep: impl Fn(u32) -> bool) -> Self {
        Self { vif: self.vif.filter(|n| keep(*n)), tunnel: self.tunnel.filter(|n| keep(*n)) }
    }
}

/// Which pair was refused, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Keys of its entries.
    pub keys: [FlowKey; 2],
    /// The shares that it would have been in.
    pub of: Shares,
    /// Those of them that were over their limit.
    pub over: Shares,
}

/// A pair as the entries name it: forward and reverse key, and by what its packets come now.
type Name = (FlowKey, Option<FlowKey>, u32);

fn name(forward: &Flow, reverse: Option<&Flow>) -> Name {
    (key_of(forward), reverse.map(key_of), forward.src_info)
}

/// What all shares have.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllShares {
    /// By pair.
    of: HashMap<u32, Shares>,
    /// Pairs that there are, and pairs that were admitted and wait to be made.
    pairs: BTreeMap<u32, u32>,
    waiting: BTreeMap<u32, u32>,
    refused: BTreeMap<u32, u32>,
    /// What is in the buckets, in parts of which a pair is [`ONE`].
    buckets: BTreeMap<u32, u32>,
}

fn add(counts: &mut BTreeMap<u32, u32>, shares: Shares) {
    shares.iter().for_each(|n| *counts.entry(n).or_default() += 1);
}

fn subtract(counts: &mut BTreeMap<u32, u32>, shares: Shares) {
    for n in shares.iter() {
        let count = counts.entry(n).or_default();
        *count = count.saturating_sub(1);
    }
}

impl AllShares {
    /// Those of some that are over their limit.
    pub(crate) fn over(&self, tables: &Tables, of: Shares, fault: Option<Fault>) -> Shares {
        let of = match fault {
            Some(Fault::TunnelsHaveNoShare) => Shares { tunnel: None, ..of },
            Some(Fault::ReceiversHaveNoShare) if of.tunnel.is_some() => Shares { vif: None, ..of },
            _ => of,
        };
        of.filter(|n| self.is_over(tables, n, fault))
    }

    fn is_over(&self, tables: &Tables, n: u32, fault: Option<Fault>) -> bool {
        let Some(limit) = tables.flow_share(n) else { return false };
        let most = limit.pairs + u32::from(fault == Some(Fault::OneMoreThanPairs));
        let least = if fault == Some(Fault::PartOfOneIsEnough) { 1 } else { ONE };
        let has = self.stats(n).pairs;
        let bucket = self.bucket(n);
        (limit.pairs != 0 && has >= most) || (limit.burst != 0 && bucket < least)
    }

    /// What the host reads of a share.
    pub(crate) fn stats(&self, n: u32) -> FlowShareStats {
        let of = |counts: &BTreeMap<u32, u32>| counts.get(&n).copied().unwrap_or_default();
        FlowShareStats { pairs: of(&self.pairs) + of(&self.waiting), refused: of(&self.refused) }
    }

    /// What is in a share's bucket, in parts of which a pair is [`ONE`].
    pub(crate) fn bucket(&self, n: u32) -> u32 {
        self.buckets.get(&n).copied().unwrap_or_default()
    }

    /// Shares that have, or had, anything.
    pub(crate) fn known(&self) -> Vec<u32> {
        let mut known: Vec<u32> = self
            .pairs
            .keys()
            .chain(self.waiting.keys())
            .chain(self.refused.keys())
            .copied()
            .collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The host writes a share's entry.
    pub(crate) fn fill(&mut self, n: u32, burst: u32) {
        self.buckets.insert(n, burst * ONE);
    }

    /// Time passes.
    pub(crate) fn refill(&mut self, tables: &Tables, units: u32, fault: Option<Fault>) {
        for (n, bucket) in &mut self.buckets {
            let Some(limit) = tables.flow_share(*n) else { continue };
            let more = u64::from(*bucket) + u64::from(limit.rate) * u64::from(units);
            let most = u64::from(limit.burst * ONE);
            let level = if fault == Some(Fault::BucketsOverflow) { more } else { more.min(most) };
            *bucket = u32::try_from(level).unwrap_or(u32::MAX);
        }
    }

    /// A packet was refused as these were over their limit.
    pub(crate) fn refuse(&mut self, over: Shares, fault: Option<Fault>) {
        let counts = match fault {
            Some(Fault::OneShareRefuses) if over.vif.is_some() => Shares { tunnel: None, ..over },
            _ => over,
        };
        for n in counts.iter() {
            let refused = self.refused.entry(n).or_default();
            *refused = refused.wrapping_add(1);
        }
    }

    /// A pair was admitted.
    pub(crate) fn admit(&mut self, of: Shares) {
        add(&mut self.waiting, of);
        for n in of.iter() {
            if let Some(bucket) = self.buckets.get_mut(&n).filter(|bucket| **bucket >= ONE) {
                *bucket -= ONE;
            }
        }
    }

    /// A pair that was admitted waits no longer: it was made, or was not after all.
    pub(crate) fn executed(&mut self, of: Shares) {
        subtract(&mut self.waiting, of);
    }

    /// A pair is made.
    pub(crate) fn begin(&mut self, pair: u32, of: Shares) {
        self.of.insert(pair, of);
        add(&mut self.pairs, of);
    }

    /// A pair is gone.
    pub(crate) fn end(&mut self, pair: u32) {
        if let Some(of) = self.of.remove(&pair) {
            subtract(&mut self.pairs, of);
        }
    }

    /// A pair's packets come by another tunnel, as a model takes it for a new one there that breaks the rule.
    pub(crate) fn shift(&mut self, pair: u32, outer_sip: u32) {
        if let Some(of) = self.of.get(&pair).copied().filter(|of| of.tunnel.is_some()) {
            self.end(pair);
            self.begin(pair, Shares { tunnel: Some(share::of_tunnel(outer_sip)), ..of });
        }
    }

    /// The shares of a pair.
    pub(crate) fn of(&self, pair: u32) -> Shares {
        self.of.get(&pair).copied().unwrap_or_default()
    }

    /// What is known of pairs, by name.
    pub(crate) fn named<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a Flow, Option<&'a Flow>)>,
    ) -> HashMap<Name, Shares> {
        pairs.map(|(forward, reverse)| (name(forward, reverse), self.of(forward.pair))).collect()
    }

    /// These pairs are there and no others: of those that were known before what was known, of the rest what their entries say.
    pub(crate) fn restore<'a>(
        &mut self,
        known: &HashMap<Name, Shares>,
        pairs: impl Iterator<Item = (&'a Flow, Option<&'a Flow>)>,
    ) {
        self.of.clear();
        self.pairs.values_mut().for_each(|pairs| *pairs = 0);
        for (forward, reverse) in pairs {
            let of = known.get(&name(forward, reverse)).copied();
            self.begin(forward.pair, of.unwrap_or_else(|| Shares::told_by(forward, reverse)));
        }
    }

    /// The card's own count of refused packets.
    pub(crate) fn set_refused(&mut self, n: u32, refused: u32) {
        self.refused.insert(n, refused);
    }
}
