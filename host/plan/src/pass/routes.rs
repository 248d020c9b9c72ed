//! Host routes to one next hop, and who gets which kind of route.

use std::net::IpAddr;

use penstock_abi::table::{HostRoute, ServiceAddress, TableId, Vrf};
use penstock_compile::{Group, Hop, NextHopKey, ServiceKey};
use penstock_model::{MplsLabel, Reason};

use super::Pass;
use super::keep::Wanted;
use super::listeners::{Want, what};
use crate::card::Step;
use crate::dirty::Dirty;
use crate::group::{self, Otherwise};
use crate::planner::Planner;
use crate::routes::{Owner, RouteKey};
use crate::words;

impl Pass<'_> {
    /// Removes routes and listeners that are not wanted, and notes which groups are there only for those who departed. An
    /// address goes before its listeners: nobody is refused who would be dropped a moment later.
    pub(super) fn unwanted_routes(&mut self, dirty: &Dirty) {
        let routes: Vec<Owner> = dirty.routes.iter().map(|key| Owner::from(*key)).collect();
        self.unwanted_owners(routes);
        for &vrf in dirty.vrfs.iter().filter(|vrf| !self.desired.vrfs.contains_key(*vrf)) {
            self.planner.card.clear::<Vrf>(Step::Unpoint, vrf.0.into());
        }
        self.unwanted_owners(listeners(dirty).collect());
    }

    fn unwanted_owners(&mut self, owners: Vec<Owner>) {
        for key in owners {
            if self.planner.routes.pointed(&self.planner.card, key).is_none() {
                continue;
            }
            let (idle, spare) = match self.want(key) {
                _ if self.is_refused(key.address()) => (false, false),
                None => {
                    self.remove(key);
                    (false, false)
                }
                Some(Want::Group(group)) => (false, self.could_be_slim(key, group)),
                Some(Want::Hop(_)) => (self.somebody_stays(key), false),
                Some(Want::Listener(_)) => (false, false),
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
    fn somebody_stays(&self, key: Owner) -> bool {
        let composite = self.planner.routes.composite(&self.planner.card, key);
        self.desired.services.contains_key(&key.address())
            && composite
                .is_some_and(|group| self.old_slots(key, &group).iter().any(|slot| slot.stays))
    }

    /// Whether a group would be smaller without those who departed.
    fn could_be_slim(&self, key: Owner, group: &Group) -> bool {
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

    /// Removes a route or a listener, and its group.
    pub(super) fn remove(&mut self, key: Owner) {
        match key {
            Owner::Route(vrf, address) => self.remove_route((vrf, address)),
            Owner::Listener(key) => self.remove_listener(key),
            // It goes with the other, and leads nowhere until then.
            Owner::Local(key) => drop(self.local_to_nobody(key)),
        }
    }

    fn remove_route(&mut self, key: RouteKey) {
        self.abandon_group(key.into());
        let Planner { card, routes, .. } = &mut *self.planner;
        if let Some((index, _)) = routes.get(card, key) {
            routes.remove(card, index);
        }
        routes.idle.remove(&key.into());
        routes.spare.remove(&key.into());
    }

    /// Gives up the group of somebody who is about to lead elsewhere, or nowhere.
    pub(super) fn abandon_group(&mut self, key: Owner) {
        let Planner { card, routes, next_hops, .. } = &mut *self.planner;
        if let Some(composite) = routes.composite(card, key) {
            routes.disown(card, key, &composite);
            next_hops.give_up(composite.id);
        }
        self.written.remove(&key);
        self.touched.insert(key.address());
    }

    /// Routes to one next hop first: they may free the rings that groups need. A floating IP is led to when its listeners are there.
    pub(super) fn all_routes(&mut self, dirty: &Dirty) {
        let (mut groups, mut floating) = (Vec::new(), Vec::new());
        let routes = dirty.routes.iter().map(|key| Owner::from(*key));
        for key in listeners(dirty).chain(routes) {
            if let Some(wanted) = self.wanted_at(key) {
                self.keep(key, &wanted);
                if self.want(key).is_some() {
                    self.retry.add(what(key));
                }
                continue;
            }
            match self.want(key) {
                Some(Want::Hop(hop)) => {
                    let is_there = self.planner.routes.pointed(&self.planner.card, key).is_some();
                    let is_route = matches!(key, Owner::Route(..));
                    if self.planner.routes.idle.contains(&key) {
                        groups.push(key);
                    } else if is_route && !is_there && self.is_floating(key.address()) {
                        floating.push(key);
                    } else {
                        self.lead_or_keep(key, hop);
                    }
                }
                Some(Want::Group(_)) => groups.push(key),
                Some(Want::Listener(_)) => floating.push(key),
                None => {}
            }
        }
        let (heard, routed): (Vec<Owner>, Vec<Owner>) =
            groups.into_iter().partition(|key| !matches!(key, Owner::Route(..)));
        self.groups(heard);
        // Who shall meet the listeners does, before an address refuses what they do not have.
        self.vrfs(dirty);
        self.groups(routed);
        for key in floating {
            match (self.want(key), key) {
                (Some(Want::Hop(hop)), _) => self.lead_or_keep(key, hop),
                (Some(Want::Listener(listener)), Owner::Route(vrf, address)) => {
                    self.show((vrf, address), listener);
                }
                _ => {}
            }
        }
    }

    /// Groups that are new or change, and those that are there only for who departed.
    fn groups(&mut self, groups: Vec<Owner>) {
        for key in groups {
            if self.done.contains(&key) {
                continue;
            }
            let done = match self.want(key) {
                Some(Want::Group(group)) => self.group_of(key, group),
                Some(Want::Hop(hop)) => self.idle_group(key, hop),
                Some(Want::Listener(_)) | None => Ok(()),
            };
            if let Err(reason) = done {
                let wanted = match self.want(key) {
                    Some(Want::Group(group)) => Wanted::Group(group),
                    _ => Wanted::Anybody,
                };
                self.keep(key, &wanted);
                self.refuse(what(key), reason);
            }
        }
    }

    /// Whether an address lives by its listeners.
    fn is_floating(&self, address: IpAddr) -> bool {
        self.desired.floating.contains_key(&address)
    }

    fn lead_or_keep(&mut self, key: Owner, hop: Hop) {
        if let Err(reason) = self.lead_to_hop(key, hop) {
            self.keep(key, &Wanted::Anybody);
            self.refuse(what(key), reason);
        }
    }

    /// Leads somebody to one next hop.
    fn lead_to_hop(&mut self, key: Owner, hop: Hop) -> Result<(), Reason> {
        match key {
            Owner::Route(vrf, address) => self.route((vrf, address), hop),
            Owner::Listener(key) => self.listener_to(key, hop),
            Owner::Local(key) => self.local_to_nobody(key),
        }
    }

    /// Leads a route to where its floating IP's only listener leads, for people to see.
    fn show(&mut self, key: RouteKey, listener: ServiceKey) {
        let nh = self.planner.routes.pointed(&self.planner.card, Owner::Listener(listener));
        let led = self.has_place(key.into()).and_then(|()| {
            words::route(key, 0, None, (self.service_at(key.1), 0))?;
            self.abandon_group(key.into());
            self.route_to(key, nh.unwrap_or(0), None)
        });
        if let Err(reason) = led {
            self.refuse(what(key.into()), reason);
        }
    }

    /// What becomes of packets for an address that no listener has.
    pub(super) fn service_at(&self, address: IpAddr) -> ServiceAddress {
        self.desired.floating.get(&address).copied().unwrap_or_default()
    }

    /// Points a route to a next hop; there is a place for it. One that the card has keeps its sources.
    pub(super) fn route_to(
        &mut self,
        key: RouteKey,
        nh: u16,
        label: Option<MplsLabel>,
    ) -> Result<(), Reason> {
        let now = self.planner.routes.get(&self.planner.card, key).map(|(_, route)| route);
        let sources = match now {
            Some(now) => now.sources,
            None => self.sources_at(key, nh),
        };
        let word = words::route(key, nh, label, (self.service_at(key.1), sources))?;
        self.write_route(key, word)
    }

    fn write_route(&mut self, key: RouteKey, word: HostRoute) -> Result<(), Reason> {
        let Planner { card, routes, .. } = &mut *self.planner;
        let place = match routes.get(card, key) {
            Some((place, _)) => Some(place),
            None => routes.make_place(card, key),
        };
        let place = place.ok_or_else(|| self.no_route_place(key))?;
        let Planner { card, routes, .. } = &mut *self.planner;
        if card.at::<HostRoute>(place) != word {
            routes.set(card, place, word);
        }
        Ok(())
    }

    /// Points a route to one next hop.
    pub(super) fn route(&mut self, key: RouteKey, hop: Hop) -> Result<(), Reason> {
        let nh = self.usable(hop.next_hop)?;
        words::route(key, nh, hop.label, (ServiceAddress::No, 0))?;
        self.has_place(key.into())?;
        let sources = if self.has_group(key) {
            // Who may have been sent to may still answer.
            self.widened(key, &words::tunnel_of(hop.next_hop).into_iter().collect())
        } else if self.is_floating(key.1) {
            self.sources_at(key, nh)
        } else {
            self.sources_of(key, hop)
        };
        let nh = self.usable(hop.next_hop).unwrap_or(nh);
        let word = words::route(key, nh, hop.label, (self.service_at(key.1), sources))?;
        self.abandon_group(key.into());
        self.write_route(key, word)
    }

    fn has_group(&self, key: RouteKey) -> bool {
        self.planner.routes.composite(&self.planner.card, key.into()).is_some()
    }

    /// That somebody stands somewhere, or can.
    pub(super) fn has_place(&mut self, key: Owner) -> Result<(), Reason> {
        match key {
            Owner::Route(vrf, address) => {
                let key = (vrf, address);
                let has = |planner: &mut Planner| planner.routes.has_place(key).then_some(());
                self.with_room(TableId::HostRoute, has).ok_or_else(|| self.no_route_place(key))
            }
            Owner::Listener(key) => self.has_listener_place(&key),
            // It stands with the other.
            Owner::Local(key) => {
                let Planner { card, routes, .. } = &*self.planner;
                let there = routes.listener(card, &key).map(drop);
                there.ok_or_else(|| words::text("its listener is not there"))
            }
        }
    }

    fn no_route_place(&self, key: RouteKey) -> Reason {
        self.no_room(TableId::HostRoute, || format!("{} of VRF {}", key.1, key.0))
    }

    /// A floating IP without backends has a group for as long as one is there that departed, and there is room for it.
    fn idle_group(&mut self, key: Owner, hop: Hop) -> Result<(), Reason> {
        let nh = self.usable(hop.next_hop)?;
        let otherwise = match hop.next_hop {
            NextHopKey::Reject => Otherwise::Reject(nh),
            _ => Otherwise::Discard,
        };
        let hash_fields = penstock_abi::hash::FIELD_ALL;
        let nobody = Group { members: Vec::new(), hash_fields, affinity_seconds: 0 };
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
        self.lead_to_hop(key, hop)
    }

    /// Ends a group that is there only for those who departed.
    pub(super) fn dissolve(&mut self, key: Owner) {
        self.planner.routes.idle.remove(&key);
        let hop = match self.want(key) {
            Some(Want::Hop(hop)) => hop,
            _ => Hop::default(),
        };
        if self.lead_to_hop(key, hop).is_err() {
            self.remove(key);
            // Its next hop may still come.
            self.retry.add(what(key));
        }
    }
}

/// Whose groups a listener may have: what comes from vifs first, as that makes its entry.
fn listeners(dirty: &Dirty) -> impl Iterator<Item = Owner> {
    dirty.listeners.iter().flat_map(|key| [Owner::Listener(*key), Owner::Local(*key)])
}
