//! By which tunnels packets may come: the sets that routes name.
//!
//! Who is sent to may answer. So before a group leads to somebody, the routes to its floating IP name a set with that one in it
//! (`widen`); when all is done, they name one of those to whom the card leads, who drain or departed included (`narrow`), and the
//! sets that nobody names any more go with the round. Where there is no room, a route has set 1: it works, and any tunnel that is
//! known may use its address.

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_abi::limits::{SOURCES_KNOWN, SOURCES_NOBODY};
use penstock_abi::table::{EcmpSlot, HostRoute, NextHop, TableId};
use penstock_compile::{Group, Hop, ServiceKey};
use penstock_model::{IpNet, Reason, VrfId};

use super::Pass;
use crate::card::Step;
use crate::dirty::Dirty;
use crate::planner::Planner;
use crate::prefixes::PrefixKey;
use crate::refusal::What;
use crate::routes::{Owner, RouteKey};
use crate::sets::Set;
use crate::words;

impl Pass<'_> {
    /// Brings set 1 up to date: all tunnels that are known.
    pub(super) fn known_sources(&mut self, dirty: &Dirty) {
        for &address in &dirty.known {
            let IpAddr::V4(ip) = address else { continue };
            if !self.desired.known.contains_key(&address) {
                let Planner { card, sets, .. } = &mut *self.planner;
                sets.forget(card, ip.into());
                continue;
            }
            let know = |planner: &mut Planner| planner.sets.know(&mut planner.card, ip.into());
            if self.with_room(TableId::TunnelSource, know).is_none() {
                let reason = self.no_room(TableId::TunnelSource, || address.to_string());
                self.refuse(What::Known(address), reason);
            }
        }
    }

    /// The number of a set; none if there is no room.
    fn set_number(&mut self, set: &Set) -> Option<u16> {
        let has = |planner: &mut Planner| planner.sets.has_room(set).then_some(());
        self.with_room(TableId::TunnelSource, has)?;
        let Planner { card, sets, .. } = &mut *self.planner;
        sets.number(card, set)
    }

    fn no_set(&self, set: &Set) -> Reason {
        self.no_room(TableId::TunnelSource, || format!("{} tunnels", set.len()))
    }

    /// Tunnels by which packets may come whatever the tables lead to.
    fn besides(&self, vrf: VrfId, prefix: IpNet) -> Set {
        let more = self.desired.sources.get(&(vrf, prefix));
        let more = more.into_iter().flat_map(|more| more.iter());
        more.filter_map(|address| match address {
            IpAddr::V4(address) => Some(u32::from(*address)),
            IpAddr::V6(_) => None,
        })
        .collect()
    }

    /// Those by which a route to one next hop leads, and besides.
    pub(super) fn sources_of(&mut self, key: RouteKey, hop: Hop) -> u16 {
        let mut set = self.besides(key.0, key.1.into());
        set.extend(words::tunnel_of(hop.next_hop));
        // Whether there is room says the end of the pass.
        self.set_number(&set).unwrap_or(SOURCES_KNOWN)
    }

    /// Those to whom a next hop leads, and the listeners of its address: for a route there that the card does not have yet.
    pub(super) fn sources_at(&mut self, key: RouteKey, nh: u16) -> u16 {
        let set = self.led_to(key, nh);
        self.set_number(&set).unwrap_or(SOURCES_KNOWN)
    }

    /// Who may answer for a route as it is, and some more.
    pub(super) fn widened(&mut self, key: RouteKey, more: &Set) -> u16 {
        let Planner { card, routes, sets, .. } = &*self.planner;
        let now = routes.get(card, key).map_or(SOURCES_NOBODY, |(_, route)| route.sources);
        if now == SOURCES_KNOWN {
            return now;
        }
        let mut set = sets.of(now).cloned().unwrap_or_default();
        if more.is_subset(&set) {
            return now;
        }
        set.extend(more);
        self.set_number(&set).unwrap_or(SOURCES_KNOWN)
    }

    /// Before a group leads to its members: who comes may answer.
    pub(super) fn widen(&mut self, owner: Owner, group: &Group) {
        let tunnels = group.members.iter();
        let tunnels = tunnels.filter_map(|member| words::tunnel_of(member.hop.next_hop));
        let tunnels: Set = tunnels.collect();
        let routes: Vec<RouteKey> = match owner {
            Owner::Route(vrf, address) => vec![(vrf, address)],
            Owner::Local(_) => Vec::new(),
            Owner::Listener(listener) => {
                let routes = self.planner.routes.at(listener.address);
                routes.filter(|route| self.hears(*route, &listener)).collect()
            }
        };
        for key in routes {
            if self.planner.routes.get(&self.planner.card, key).is_some() {
                let sources = self.widened(key, &tunnels);
                self.name_sources(key, sources, Step::Point);
            }
        }
    }

    /// When all is done: only those to whom the card leads.
    pub(super) fn narrow_sources(&mut self, dirty: &Dirty) {
        let touched = std::mem::take(&mut self.touched);
        let routes = touched.iter().flat_map(|address| self.planner.routes.at(*address));
        let routes: BTreeSet<RouteKey> = dirty.routes.iter().copied().chain(routes).collect();
        for key in routes {
            let now = self.planner.routes.get(&self.planner.card, key);
            let Some((_, now)) = now else { continue };
            let set = self.led_to(key, now.nh);
            let number = self.set_number(&set);
            if number.is_none() {
                let reason = self.no_set(&set);
                self.refuse(What::Sources(key.0, key.1.into()), reason);
            }
            self.name_sources(key, number.unwrap_or(SOURCES_KNOWN), Step::Unpoint);
        }
    }

    fn name_sources(&mut self, key: RouteKey, sources: u16, step: Step) {
        let Planner { card, routes, .. } = &mut *self.planner;
        if let Some((place, route)) = routes.get(card, key) {
            card.write(step, place, HostRoute { sources, ..route });
        }
    }

    /// The tunnels to which the card leads by a next hop, and by the listeners that packets for an address meet.
    fn led_to(&self, key: RouteKey, nh: u16) -> Set {
        let Planner { card, routes, .. } = &*self.planner;
        let mut set = self.besides(key.0, key.1.into());
        let heard = routes.listeners_at(key.1).filter(|listener| self.hears(key, listener));
        let heard = heard.filter_map(|listener| routes.pointed(card, Owner::Listener(listener)));
        let next_hops: BTreeSet<u16> = heard.chain([nh]).collect();
        for id in next_hops {
            set.extend(words::far_end(&card.at::<NextHop>(id.into())));
            let Some(group) = routes.composite_at(card, id) else { continue };
            let slots = (0..group.slots).map(|n| self.ring_word(&group, n));
            for word in slots.filter(|word: &EcmpSlot| word.valid) {
                set.extend(words::far_end(&card.at::<NextHop>(word.nh.into())));
            }
        }
        set
    }

    /// Whether packets meet a listener in the VRF of a route.
    fn hears(&self, key: RouteKey, listener: &ServiceKey) -> bool {
        let net = self.desired.vrfs.get(&key.0).map_or(0, |vrf| vrf.service_net);
        net != 0 && listener.net == net
    }

    /// The set of a shorter prefix.
    pub(super) fn sources_of_prefix(&mut self, key: PrefixKey, hop: Hop) -> u16 {
        let mut set = self.besides(key.0, key.1);
        set.extend(words::tunnel_of(hop.next_hop));
        match self.set_number(&set) {
            Some(number) => number,
            None => {
                let reason = self.no_set(&set);
                self.refuse(What::Sources(key.0, key.1), reason);
                SOURCES_KNOWN
            }
        }
    }
}
