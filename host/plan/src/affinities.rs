//! Numbers under which the card keeps clients at their members.
//!
//! What the card keeps of a client names a slot of a group. So listeners share a number if they are of one load balancer, alike but for
//! the floating IP, and no slot has one member here and another there: then a client has its member by each of the addresses. A listener keeps
//! its number as long as that is so. A number is given out again late, as what the card keeps under it stays until its time is out: new ones are
//! above all others, while there are such.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::{EcmpSlot, FipMap};
use penstock_compile::ServiceKey;
use penstock_model::{ObjectName, Protocol};

use crate::card::Card;
use crate::routes::{Owner, Routes};
use crate::words;

/// Whose clients are kept: a load balancer's, in a network, at a protocol and port.
pub(crate) type Clientele = (ObjectName, u16, Protocol, u16);

/// The members of a group by slot: generation, next hop, and label or address.
pub(crate) type Members = BTreeMap<u32, (u8, u16, u32)>;

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Affinities {
    clienteles: BTreeMap<ServiceKey, Clientele>,
    listeners: BTreeMap<Clientele, BTreeSet<ServiceKey>>,
}

impl Affinities {
    /// Notes whose clients a listener keeps. Says whose it kept, if those were others'.
    pub(crate) fn set(
        &mut self,
        key: ServiceKey,
        clientele: Option<Clientele>,
    ) -> Option<Clientele> {
        if self.clienteles.get(&key) == clientele.as_ref() {
            return None;
        }
        let old = self.clienteles.remove(&key);
        if let Some(old) = &old
            && let Some(listeners) = self.listeners.get_mut(old)
        {
            listeners.remove(&key);
            if listeners.is_empty() {
                self.listeners.remove(old);
            }
        }
        if let Some(clientele) = clientele {
            self.listeners.entry(clientele.clone()).or_default().insert(key);
            self.clienteles.insert(key, clientele);
        }
        old
    }

    /// Whose clients a listener keeps.
    pub(crate) fn clientele(&self, key: &ServiceKey) -> Option<&Clientele> {
        self.clienteles.get(key)
    }

    /// The listeners that keep somebody's clients.
    pub(crate) fn listeners(&self, clientele: &Clientele) -> Vec<ServiceKey> {
        self.listeners.get(clientele).into_iter().flatten().copied().collect()
    }
}

/// A number that no listener has.
pub(crate) fn free_number(card: &Card) -> Option<u16> {
    let next = card.last_affinity().checked_add(1);
    next.or_else(|| (1..=u16::MAX).find(|number| card.affinity_named(*number) == 0))
}

/// Who is in which slot of a listener's group, if it has one.
pub(crate) fn members(card: &Card, routes: &Routes, key: ServiceKey) -> Option<Members> {
    let group = routes.composite(card, Owner::Listener(key))?;
    let word = |slot| card.at::<EcmpSlot>(card.shape().ring_index(group.first, slot));
    let who = |word: &EcmpSlot| match words::local_map(word) {
        map if word.local => card.at::<FipMap>(map.into()).pod_ip,
        _ => word.label,
    };
    let slots = (0..group.slots).map(|slot| (slot, word(slot))).filter(|(_, word)| word.valid);
    Some(slots.map(|(slot, word)| (slot, (word.generation, word.nh, who(&word)))).collect())
}
