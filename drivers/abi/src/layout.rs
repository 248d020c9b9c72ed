//! Version and hash of the layout: how host and card find out whether they speak of the same thing.
//!
//! A **major** version freezes everything that [`items`] lists: positions, widths, codes, sizes, hash functions. The hash
//! covers all of it, and the host refuses a card with another major version or another hash. A change of *meaning* that
//! leaves every number as it was cannot be seen in a hash: it needs a new major version all the same.
//!
//! A **minor** version adds: a register, a field in unused bits, a drop reason, a table. An addition says with which minor
//! it came (`since`), stands behind everything older, and is no part of the hash, so host and card of one major version
//! understand each other whichever of them is newer. Whether a card has an addition is told by a bit of the register
//! `CAPABILITIES`, which a host asks for only if it needs it. The next major version freezes the additions (`since` goes
//! back to 0).

pub mod items;

use crate::table::*;
use crate::word::codes;
pub use items::Item;

/// Layout version: major in 31..16 (incompatible change), minor in 15..0 (addition).
pub const VERSION: u32 = 0x0004_0004;

codes! {
    /// An addition to this major version, or once to an earlier one, that a card may have or lack: the number of its bit in the register `CAPABILITIES`.
    Capability {
        /// The command Digest.
        Digest = 0;
        /// Entries are kept with their parity: the status `Parity`, the drop reason `TableParity` and the registers `PARITY_ERRORS`, `PARITY_LAST` and `PARITY_INJECT`.
        Parity = 1;
        /// Pairs of flow entries age: the registers `FLOW_AGE0` and those that follow, and the counter `FlowsAged`.
        Ageing = 2, since 1;
        /// A flow table that fills lets pairs give way: the registers `FLOW_PRESSURE1` to `FLOW_PRESSURE3`, `FLOW_KEEP0` and those that follow and `FLOW_KEEP_PLAIN`, and the counter `FlowsEvicted`.
        Eviction = 3, since 2;
        /// Vifs and tunnels have shares of the flow table: the tables `FlowShare` and `FlowShareStats`, and the drop reason `FlowQuota`.
        Shares = 4, since 2;
        /// Clients of a service are kept at their members: the table `Affinity`, the field `affinity` of `ServiceKey`, the time-out in `NextHop` and the counters `AffinityLearned` and `AffinityEvicted`.
        Affinity = 5, since 3;
        /// The card tells what becomes of pairs of flow entries: events `FlowMade` to `FlowPressure`, and the registers `EVT_KINDS` and `EVT_SAMPLE`.
        FlowEvents = 6, since 4;
    }
}

impl Capability {
    /// Its bit in `CAPABILITIES`.
    #[must_use]
    pub const fn mask(self) -> u32 {
        1 << self as u32
    }
}

/// Additions to the major version that the RTL generated from these definitions has, all that there are: the value of the
/// register `CAPABILITIES`.
pub const CAPABILITIES: u32 = {
    let mut all = 0;
    let mut i = 0;
    while i < Capability::ALL.len() {
        all |= Capability::ALL[i].0.mask();
        i += 1;
    }
    all
};

/// Calls `f` with every table-entry type's name, documentation, fields and width.
pub fn for_each_entry(mut f: impl FnMut(&'static str, &'static str, &'static [FieldDesc], u32)) {
    macro_rules! visit { ($($t:ty),*) => { $(f(<$t>::NAME, <$t>::DOC, <$t>::FIELDS, <$t>::BITS);)* }; }
    visit!(
        Vif,
        Ilm,
        NextHop,
        EcmpSlot,
        HostRoute,
        Prefix,
        FipKey,
        FipMap,
        FlowKey,
        Flow,
        FlowStats,
        VifStats,
        Counter,
        DefaultRoute,
        PrefixLength,
        Vrf,
        ServiceKey,
        TunnelSource,
        PlainFip,
        FlowShare,
        FlowShareStats,
        Affinity
    );
}

/// The hash of the major version: equal on both sides, or the layouts differ.
#[must_use]
pub fn hash() -> u64 {
    let mut hasher = Hasher::new(VERSION);
    items::for_each(&mut |item| hasher.eat(item));
    hasher.finish()
}

/// 64-bit FNV-1a over a major version's number and its items.
#[derive(Clone, Debug)]
pub struct Hasher(u64);

impl Hasher {
    /// For this version, of which only the major number counts.
    #[must_use]
    pub fn new(version: u32) -> Self {
        let mut hasher = Self(0xcbf2_9ce4_8422_2325);
        hasher.bytes(&(version >> 16).to_le_bytes());
        hasher
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Takes the next item, unless it is an addition to the major version.
    pub fn eat(&mut self, item: &Item<'_>) {
        if item.since > 0 {
            return;
        }
        for name in [item.group, item.name] {
            self.bytes(name.as_bytes());
            self.bytes(&[0]);
        }
        self.bytes(&(item.values.len() as u64).to_le_bytes());
        for value in item.values {
            self.bytes(&value.to_le_bytes());
        }
    }

    /// The hash.
    #[must_use]
    pub const fn finish(&self) -> u64 {
        self.0
    }
}
