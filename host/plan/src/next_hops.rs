//! Ids of next hops, and vifs: who may be named, and what is removed once nobody names it.
//!
//! A next hop keeps its id while its key is the same (`docs/decisions/13-next-hops-change-in-place.md`). One that is not wanted
//! any more is *dying*: nothing new names it, and it is cleared at the end of the first round in which nothing else does. So is a
//! vif, once nothing but its own word names the next hop that leads to it.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::{NextHop, Vif};
use penstock_compile::NextHopKey;
use penstock_model::VifId;

use crate::card::{Card, Step};
use crate::space::NumberSpace;
use crate::words;

/// Numbers that an id can be.
const IDS: u32 = 1 << 16;

/// The index.
#[derive(Debug)]
pub(crate) struct NextHops {
    /// Ids of the next hops that the card has, but groups; 0 discards, always.
    ids: BTreeMap<NextHopKey, u16>,
    /// Ids, those of groups included.
    space: NumberSpace,
    /// Ids that go once nobody names them.
    dying: BTreeSet<u16>,
    dying_vifs: BTreeSet<VifId>,
}

impl NextHops {
    pub(crate) fn new(card: &Card) -> Self {
        let mut ids = BTreeMap::from([(NextHopKey::Discard, 0)]);
        let mut dying = BTreeSet::new();
        for (id, word) in card.tables().of::<NextHop>().iter() {
            // Ids of the table fit 16 bits.
            let id = id as u16;
            match words::next_hop_key(word).filter(|_| word.valid) {
                // Nothing but what discards stays at 0.
                Some(key) if id != 0 && *ids.entry(key).or_insert(id) == id => {}
                _ if words::is_composite(word) => {}
                // Another one of the same meaning, or without any.
                _ => drop(dying.insert(id)),
            }
        }
        dying.remove(&0);
        let words = card.tables().of::<NextHop>().indices();
        // An id has 16 bits, however large a card is.
        let space = NumberSpace::new(1, card.shape().next_hops.min(IDS), words);
        Self { ids, space, dying, dying_vifs: BTreeSet::new() }
    }

    /// The id that the card has for a next hop, dying or not.
    pub(crate) fn id(&self, key: NextHopKey) -> Option<u16> {
        self.ids.get(&key).copied()
    }

    /// The id of a next hop that may be named.
    pub(crate) fn usable(&self, card: &Card, key: NextHopKey) -> Option<u16> {
        let id = self.id(key).filter(|id| !self.dying.contains(id))?;
        match key {
            NextHopKey::Encap(vif) | NextHopKey::Receive(vif) => {
                self.vif_stands(card, vif).then_some(id)
            }
            _ => Some(id),
        }
    }

    fn vif_stands(&self, card: &Card, vif: VifId) -> bool {
        !self.dying_vifs.contains(&vif) && card.at::<Vif>(vif.0.into()).valid
    }

    /// All next hops of the card, groups apart.
    pub(crate) fn keys(&self) -> impl Iterator<Item = NextHopKey> {
        self.ids.keys().copied()
    }

    /// Takes an id that nothing uses.
    pub(crate) fn take(&mut self) -> Option<u16> {
        // Below `IDS`.
        self.space.take().map(|id| id as u16)
    }

    /// Gives back an id that was not used.
    pub(crate) fn put_back(&mut self, id: u16) {
        self.space.put_back(id.into());
    }

    /// Notes the id of a new next hop.
    pub(crate) fn learn(&mut self, key: NextHopKey, id: u16) {
        self.ids.insert(key, id);
    }

    /// A next hop is wanted (again).
    pub(crate) fn want(&mut self, id: u16) {
        self.dying.remove(&id);
    }

    /// A next hop, or a group, is not wanted any more.
    pub(crate) fn give_up(&mut self, id: u16) {
        if id != 0 {
            self.dying.insert(id);
        }
    }

    pub(crate) fn want_vif(&mut self, vif: VifId) {
        self.dying_vifs.remove(&vif);
    }

    pub(crate) fn give_up_vif(&mut self, card: &Card, vif: VifId) {
        if card.get::<Vif>(vif.0.into()).is_some() {
            self.dying_vifs.insert(vif);
        }
    }

    /// Ids of groups and of others that go now, as nobody names them.
    pub(crate) fn nameless(&self, card: &Card) -> Vec<u16> {
        self.dying.iter().copied().filter(|&id| card.named(id) == 0).collect()
    }

    /// Clears an id that nobody names.
    pub(crate) fn clear(&mut self, card: &mut Card, id: u16) {
        let word: NextHop = card.at(id.into());
        if let Some(key) = words::next_hop_key(&word)
            && self.ids.get(&key) == Some(&id)
        {
            self.ids.remove(&key);
        }
        card.clear::<NextHop>(Step::Unmake, id.into());
        self.dying.remove(&id);
        self.space.release(id.into());
    }

    /// Clears vifs to which nothing leads any more.
    pub(crate) fn clear_vifs(&mut self, card: &mut Card) {
        let ids = &self.ids;
        self.dying_vifs.retain(|&vif| {
            let own: Vif = card.at(vif.0.into());
            let lead_there = [NextHopKey::Encap(vif), NextHopKey::Receive(vif)];
            let lead_there = lead_there.into_iter().filter_map(|key| ids.get(&key).copied());
            let others: u32 =
                lead_there.map(|id| card.named(id) - u32::from(own.valid && own.nh == id)).sum();
            if others == 0 {
                card.clear::<Vif>(Step::Unmake, vif.0.into());
            }
            others != 0
        });
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        self.space.end_round();
    }
}
