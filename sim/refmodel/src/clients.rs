//! Clients that are kept at their members (section 9.7). What has expired is gone at once here; on the card it stays for a while, as what
//! counts as not there.

use std::collections::BTreeMap;

use penstock_abi::affinity::units;
use penstock_abi::age::TICK_LOG2;
use penstock_abi::hash::{FlowSecret, affinity_row, client_hash};
use penstock_abi::limits::AFFINITY_WAYS;
use penstock_abi::table::{Affinity, Flow};
use penstock_tables::Shape;

use crate::fault::Fault;

/// Key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey {
    /// Number of the service's affinity.
    pub number: u16,
    /// Address of the client.
    pub client: u32,
}

impl ClientKey {
    /// The key of an entry.
    #[must_use]
    pub const fn of(entry: &Affinity) -> Self {
        Self { number: entry.number, client: entry.client }
    }

    fn places(self, shape: Shape, secret: &FlowSecret) -> impl Iterator<Item = u32> + use<> {
        let rows = shape.affinities / AFFINITY_WAYS;
        let hash = client_hash(self.client, secret);
        let row = move |way| affinity_row(hash, self.number, way, rows.ilog2());
        (0..if rows == 0 { 0 } else { AFFINITY_WAYS }).map(move |way| way * rows + row(way))
    }
}

/// What a packet that has affinity brings to the execution of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its entry's key.
    pub key: ClientKey,
    /// Time-out of its group.
    pub timeout: u32,
}

/// What became of a client's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was there.
    Renewed,
    /// It is made.
    Learned,
    /// It is made in the place of another.
    Evicted,
}

/// The table of clients.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    shape: Shape,
    secret: FlowSecret,
    entries: BTreeMap<u32, Affinity>,
}

/// Card time in the units of this table, from that in units of `last_hit`.
#[must_use]
pub fn now(ticks: u32) -> u32 {
    units(u64::from(ticks) << TICK_LOG2)
}

impl Clients {
    pub(crate) fn new(shape: Shape, secret: FlowSecret) -> Self {
        Self { shape, secret, entries: BTreeMap::new() }
    }

    pub(crate) fn secret(&self) -> FlowSecret {
        self.secret
    }

    /// Where an entry with this key may stand, the lower way first.
    #[must_use]
    pub fn places(&self, key: ClientKey) -> Vec<u32> {
        key.places(self.shape, &self.secret).collect()
    }

    /// All entries by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Affinity)> {
        self.entries.iter().map(|(index, entry)| (*index, entry))
    }

    /// The entry with this key, unless it has expired.
    pub(crate) fn get(&self, key: ClientKey, now: u32, fault: Option<Fault>) -> Option<&Affinity> {
        let is = |entry: &&Affinity| match fault {
            Some(Fault::NumbersAreOne) => entry.client == key.client,
            _ => ClientKey::of(entry) == key,
        };
        let counts = |entry: &&Affinity| match fault {
            Some(Fault::ClientsStay) => true,
            Some(Fault::ClientsGoEarly) => entry.age(now) < entry.timeout,
            _ => !entry.has_expired(now),
        };
        let places = match fault {
            // Where it stands depends on the number as well.
            Some(Fault::NumbersAreOne) => self.entries.keys().copied().collect(),
            _ => self.places(key),
        };
        places.iter().filter_map(|at| self.entries.get(at)).find(|e| is(e) && counts(e))
    }

    /// Makes or renews the entry of a client whose connection, of which this is the forward entry, was made.
    pub(crate) fn keep(
        &mut self,
        client: &Client,
        forward: &Flow,
        now: u32,
        fault: Option<Fault>,
    ) -> Option<Kept> {
        let Client { key, timeout } = *client;
        let made = Affinity {
            valid: true,
            number: key.number,
            client: key.client,
            slot: forward.ecmp_slot,
            generation: forward.ecmp_generation,
            last: now,
            timeout,
        };
        let places = self.places(key);
        let there = |at: &u32| self.entries.get(at).filter(|e| !e.has_expired(now));
        if let Some(at) =
            places.iter().find(|at| there(at).is_some_and(|e| ClientKey::of(e) == key))
        {
            let renewed = match (fault, self.entries[at]) {
                (Some(Fault::ClientsAreNotRenewed), old) => old,
                (Some(Fault::MembersAreKept), old) => {
                    Affinity { slot: old.slot, generation: old.generation, ..made }
                }
                _ => made,
            };
            self.entries.insert(*at, renewed);
            return Some(Kept::Renewed);
        }
        let free = places.iter().find(|at| match fault {
            Some(Fault::ExpiredTakeRoom) => !self.entries.contains_key(at),
            _ => there(at).is_none(),
        });
        let age = |at: &&u32| self.entries.get(at).map_or(0, |e| e.age(now));
        let victim = || match fault {
            Some(Fault::YoungestGivesWay) => places.iter().min_by_key(age),
            // Of equal ones the last of a maximum, hence the reverse.
            _ => places.iter().rev().max_by_key(age),
        };
        let (at, kept) = match free {
            Some(at) => (*at, Kept::Learned),
            None => (*victim()?, Kept::Evicted),
        };
        self.entries.insert(at, made);
        Some(kept)
    }

    /// What has expired is gone.
    pub(crate) fn expire(&mut self, now: u32, fault: Option<Fault>) {
        if !matches!(fault, Some(Fault::ClientsStay | Fault::ExpiredTakeRoom)) {
            self.entries.retain(|_, entry| !entry.has_expired(now));
        }
    }

    /// The host deletes what stands there.
    pub(crate) fn delete(&mut self, index: u32) {
        self.entries.remove(&index);
    }

    /// Takes over the entries of a card whose time is this one's.
    pub fn restore(&mut self, entries: impl IntoIterator<Item = (u32, Affinity)>) {
        self.entries = entries.into_iter().collect();
    }
}
