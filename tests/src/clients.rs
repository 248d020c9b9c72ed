//! Clients that are kept at their members (`docs/datapath.md`, section 9.7): which packets must not be in flight together, as the second
//! would ask for a client while the first is about to put one down in the same row.

use std::collections::{HashMap, HashSet};

use penstock_abi::table::{Affinity, FlowKey};
use penstock_refmodel::{ClientKey, Clients, Decision, RefModel};

/// What a packet has to do with the table of clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Use {
    /// Where the entry of its client may stand.
    places: HashSet<u32>,
    /// It may make or renew that.
    makes: bool,
}

impl Use {
    pub(crate) fn of(model: &RefModel, decision: &Decision) -> Self {
        let made = decision.learn.pair().and_then(|pair| pair.client);
        let keys = decision.client.into_iter().chain(made.map(|client| client.key));
        let places = keys.flat_map(|key| model.clients().places(key)).collect();
        Self { places, makes: made.is_some() }
    }

    /// What another decision about the same packet has to do with it, too.
    pub(crate) fn extend(&mut self, other: Self) {
        self.places.extend(other.places);
        self.makes |= other.makes;
    }
}

/// Where packets in flight may put clients down, and the flow that each is of.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientsInFlight(HashMap<u32, FlowKey>);

impl ClientsInFlight {
    /// Whether a packet must wait until nothing is in flight. One of the same flow need not: it is sent as the first was, by the hash or
    /// by the entry.
    pub(crate) fn conflicts(&self, used: &Use, key: &FlowKey) -> bool {
        used.places.iter().filter_map(|place| self.0.get(place)).any(|owner| owner != key)
    }

    /// The same where tables change meanwhile: the hash may lead elsewhere by then.
    pub(crate) fn meets(&self, used: &Use) -> bool {
        used.places.iter().any(|place| self.0.contains_key(place))
    }

    /// A packet is in flight from now on.
    pub(crate) fn note(&mut self, used: &Use, key: FlowKey) {
        if used.makes {
            self.0.extend(used.places.iter().map(|place| (*place, key)));
        }
    }
}

/// Entries that packets may make while tables change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made(HashSet<(ClientKey, u16, u8, u32)>);

impl Made {
    pub(crate) fn add(&mut self, decisions: &[Decision]) {
        for pair in decisions.iter().filter_map(|d| d.learn.pair()) {
            let (slot, generation) = (pair.forward.ecmp_slot, pair.forward.ecmp_generation);
            self.0.extend(pair.client.map(|c| (c.key, slot, generation, c.timeout)));
        }
    }

    /// One of them made this entry just now.
    pub(crate) fn allow(&self, clients: &Clients, index: u32, entry: &Affinity, now: u32) -> bool {
        let Affinity { slot, generation, timeout, last, .. } = *entry;
        let key = ClientKey::of(entry);
        let here = clients.places(key).contains(&index);
        here && last == now && self.0.contains(&(key, slot, generation, timeout))
    }
}
