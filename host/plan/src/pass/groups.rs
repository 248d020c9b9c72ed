//! ECMP groups: a new ring beside the old one, and the word that points to it.

use penstock_abi::table::{EcmpSlot, HostRoute, TableId};
use penstock_compile::Group;
use penstock_model::Reason;

use super::Pass;
use crate::card::Step;
use crate::group::{self, Otherwise};
use crate::planner::Planner;
use crate::routes::{Composite, RouteKey, Routes};
use crate::words;

impl Pass<'_> {
    /// The group of a route that has members.
    pub(super) fn group_of(&mut self, key: RouteKey, group: &Group) -> Result<(), Reason> {
        for member in &group.members {
            self.usable(member.hop.next_hop)?;
        }
        let most = self.planner.card.shape().ecmp_group_max;
        if group.members.len() > most as usize {
            let of = u32::try_from(group.members.len()).unwrap_or(u32::MAX);
            return Err(Reason::GroupTooLarge { address: key.1, served: 0, of });
        }
        self.group(key, group, Otherwise::Discard)
    }

    /// Brings a route's group up to date, or makes it.
    pub(super) fn group(
        &mut self,
        key: RouteKey,
        group: &Group,
        otherwise: Otherwise,
    ) -> Result<(), Reason> {
        let old = self.planner.routes.composite(&self.planner.card, key);
        let slots = old.map(|old| self.old_slots(key.0, &old)).unwrap_or_default();
        let most = self.planner.card.shape().ecmp_group_max as usize;
        let ring = group::ring(&slots, group, otherwise, most, |next_hop| {
            self.planner.next_hops.id(next_hop).unwrap_or(0)
        });
        for word in &ring.words {
            // Groups of a larger card have more slots than the field counts.
            words::fits(EcmpSlot { slot: 0, ..*word })?;
        }
        let mut route = HostRoute { own: ring.local, ..words::route(key, 0, None, false)? };
        if let Some(old) = old
            && (old.slots, old.live) == (ring.slots as u32, ring.live() as u32)
            && (0..).zip(&ring.words).all(|(n, word)| self.ring_word(&old, n) == *word)
        {
            let word = Routes::composite_word(old.first, &ring, group.hash_fields);
            self.planner.card.write(Step::Point, old.id.into(), word);
            route.nh = old.id;
            let place = self.route_place(key)?;
            self.set_route(place, route);
            return Ok(());
        }
        let place = self.route_place(key)?;
        let made = self.ring_for(key, old, ring.words.len() as u32);
        let (id, first) = made.inspect_err(|_| self.give_place_back(key, place))?;
        route.nh = id;
        let Planner { card, routes, .. } = &mut *self.planner;
        routes.write_ring(card, first, &ring);
        let word = Routes::composite_word(first, &ring, group.hash_fields);
        match old {
            Some(old) => {
                // Before the first packet can come from elsewhere.
                let now: HostRoute = card.at(place);
                if now.own && !ring.local {
                    routes.set(card, place, HostRoute { own: false, ..now });
                }
                routes.flip(card, key, &old, word);
            }
            None => routes.found(card, key, id, word),
        }
        self.set_route(place, route);
        Ok(())
    }

    /// An id and a range for the ring of a group.
    fn ring_for(
        &mut self,
        key: RouteKey,
        old: Option<Composite>,
        len: u32,
    ) -> Result<(u16, u32), Reason> {
        let id = match old {
            Some(old) => old.id,
            None => self.new_id(|| format!("the group of {}", key.1))?,
        };
        let first = self.with_room(TableId::Ecmp, |planner| planner.routes.ring.allocate(len));
        match first {
            Some(first) => Ok((id, first)),
            None => {
                if old.is_none() {
                    self.planner.next_hops.put_back(id);
                }
                Err(self.no_room(TableId::Ecmp, String::new))
            }
        }
    }

    /// Gives back a place that was made for a route that is not written after all.
    fn give_place_back(&mut self, key: RouteKey, place: u32) {
        let Planner { card, routes, .. } = &mut *self.planner;
        let there: HostRoute = card.at(place);
        let own = there.valid && (there.vrf.into(), words::address(there.ip)) == key;
        if !own {
            routes.unmake_place(card, place);
        }
    }

    pub(super) fn ring_word(&self, composite: &Composite, n: u32) -> EcmpSlot {
        let card = &self.planner.card;
        card.at(card.shape().ring_index(composite.first, n))
    }
}
