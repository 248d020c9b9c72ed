//! Host routes to one next hop, and who gets which kind of route.

use penstock_abi::table::{HostRoute, TableId};
use penstock_compile::{Group, Hop, NextHopKey, RouteTarget};
use penstock_model::Reason;

use super::Pass;
use super::keep::Wanted;
use crate::dirty::Dirty;
use crate::group::{self, Otherwise};
use crate::planner::Planner;
use crate::refusal::What;
use crate::routes::RouteKey;
use crate::words;

impl Pass<'_> {
    /// Removes routes that are not wanted, and notes which groups are there only for those who departed.
    pub(super) fn unwanted_routes(&mut self, dirty: &Dirty) {
        for &key in &dirty.routes {
            if self.planner.routes.get(&self.planner.card, key).is_none() {
                continue;
            }
            let (idle, spare) = match self.desired.routes.get(&key) {
                _ if self.is_refused(key.1) => (false, false),
                None => {
                    self.remove_route(key);
                    (false, false)
                }
                Some(RouteTarget::Group(group)) => (false, self.could_be_slim(key, group)),
                Some(RouteTarget::Hop(_)) => (self.somebody_stays(key), false),
            };
            let routes = &mut self.planner.routes;
            for (groups, is) in [(&mut routes.idle, idle), (&mut routes.spare, spare)] {
                if is {
                    groups.insert(key);
                } else {
                    groups.remove(&key);
                }
            }
        }
    }

    /// Whether somebody who departed stays in the group of a floating IP.
    fn somebody_stays(&self, key: RouteKey) -> bool {
        let composite = self.planner.routes.composite(&self.planner.card, key);
        self.desired.services.contains_key(&key.1)
            && composite
                .is_some_and(|group| self.old_slots(key, &group).iter().any(|slot| slot.stays))
    }

    /// Whether a group would be smaller without those who departed.
    fn could_be_slim(&self, key: RouteKey, group: &Group) -> bool {
        let Some(composite) = self.planner.routes.composite(&self.planner.card, key) else {
            return false;
        };
        let slots = self.old_slots(key, &composite);
        let slimmer = slots.last().is_some_and(|slot| slot.who.is_none())
            || slots.iter().any(|slot| slot.stays && group::wanted(slot, group).is_none())
            // A word for new flows for each slot.
            || (slots.len() > group::SMALL_SLOTS && composite.live == composite.slots);
        slimmer && !group.members.is_empty()
    }

    /// Removes a route, and its group.
    pub(super) fn remove_route(&mut self, key: RouteKey) {
        self.abandon_group(key);
        let Planner { card, routes, .. } = &mut *self.planner;
        if let Some((index, _)) = routes.get(card, key) {
            routes.remove(card, index);
        }
        routes.idle.remove(&key);
        routes.spare.remove(&key);
    }

    /// Gives up the group of a route that is about to lead elsewhere, or nowhere.
    fn abandon_group(&mut self, key: RouteKey) {
        let Planner { card, routes, next_hops, .. } = &mut *self.planner;
        if let Some(composite) = routes.composite(card, key) {
            routes.disown(card, key, &composite);
            next_hops.give_up(composite.id);
        }
        self.written.remove(&key);
    }

    /// Routes to one next hop first: they may free the rings that groups need.
    pub(super) fn all_routes(&mut self, dirty: &Dirty) {
        let mut groups = Vec::new();
        let desired = self.desired;
        for &key in &dirty.routes {
            if let Some(wanted) = self.wanted_at(key) {
                self.keep(key, &wanted);
                if desired.routes.contains_key(&key) {
                    self.retry.add(What::Route(key.0, key.1));
                }
                continue;
            }
            match desired.routes.get(&key) {
                Some(RouteTarget::Hop(hop)) => {
                    if self.planner.routes.idle.contains(&key) {
                        groups.push(key);
                    } else if let Err(reason) = self.route(key, *hop) {
                        self.keep(key, &Wanted::Anybody);
                        self.refuse(What::Route(key.0, key.1), reason);
                    }
                }
                Some(RouteTarget::Group(_)) => groups.push(key),
                None => {}
            }
        }
        for key in groups {
            if self.done.contains(&key) {
                continue;
            }
            let done = match desired.routes.get(&key) {
                Some(RouteTarget::Group(group)) => self.group_of(key, group),
                Some(RouteTarget::Hop(hop)) => self.idle_group(key, *hop),
                None => Ok(()),
            };
            if let Err(reason) = done {
                let wanted = match desired.routes.get(&key) {
                    Some(RouteTarget::Group(group)) => Wanted::Group(group),
                    _ => Wanted::Anybody,
                };
                self.keep(key, &wanted);
                self.refuse(What::Route(key.0, key.1), reason);
            }
        }
    }

    /// Points a route to one next hop.
    pub(super) fn route(&mut self, key: RouteKey, hop: Hop) -> Result<(), Reason> {
        let nh = self.usable(hop.next_hop)?;
        let own = matches!(hop.next_hop, NextHopKey::Encap(_));
        let word = words::route(key, nh, hop.label, own)?;
        let place = self.route_place(key)?;
        self.abandon_group(key);
        let Planner { card, routes, .. } = &mut *self.planner;
        routes.set(card, place, word);
        Ok(())
    }

    /// Where a route stands, or is to be written before the round ends.
    pub(super) fn route_place(&mut self, key: RouteKey) -> Result<u32, Reason> {
        if let Some((index, _)) = self.planner.routes.get(&self.planner.card, key) {
            return Ok(index);
        }
        let make = |planner: &mut Planner| planner.routes.make_place(&mut planner.card, key);
        self.with_room(TableId::HostRoute, make).ok_or_else(|| self.no_route_place(key))
    }

    /// That a route stands somewhere, or can.
    pub(super) fn has_place(&mut self, key: RouteKey) -> Result<(), Reason> {
        self.with_room(TableId::HostRoute, |planner| planner.routes.has_place(key).then_some(()))
            .ok_or_else(|| self.no_route_place(key))
    }

    fn no_route_place(&self, key: RouteKey) -> Reason {
        self.no_room(TableId::HostRoute, || format!("{} of VRF {}", key.1, key.0))
    }

    /// A floating IP without backends has a group for as long as one is there that departed, and there is room for it.
    fn idle_group(&mut self, key: RouteKey, hop: Hop) -> Result<(), Reason> {
        let nh = self.usable(hop.next_hop)?;
        let otherwise = match hop.next_hop {
            NextHopKey::Reject => Otherwise::Reject(nh),
            _ => Otherwise::Discard,
        };
        let nobody = Group { members: Vec::new(), hash_fields: penstock_abi::hash::FIELD_ALL };
        // It may have gone for want of room meanwhile.
        if self.planner.routes.idle.remove(&key) {
            // It is no reason for another one to go.
            self.departed_go = false;
            let made = self.group(key, &nobody, otherwise);
            self.departed_go = true;
            if made.is_ok() {
                self.planner.routes.idle.insert(key);
                return Ok(());
            }
        }
        self.route(key, hop)
    }

    /// Ends a group that is there only for those who departed.
    pub(super) fn dissolve(&mut self, key: RouteKey) {
        self.planner.routes.idle.remove(&key);
        let hop = match self.desired.routes.get(&key) {
            Some(RouteTarget::Hop(hop)) => *hop,
            _ => Hop::default(),
        };
        if self.route(key, hop).is_err() {
            self.remove_route(key);
            // Its next hop may still come.
            self.retry.add(What::Route(key.0, key.1));
        }
    }

    /// Writes a route at its place.
    pub(super) fn set_route(&mut self, place: u32, route: HostRoute) {
        let Planner { card, routes, .. } = &mut *self.planner;
        if card.at::<HostRoute>(place) != route {
            routes.set(card, place, route);
        }
    }
}
