//! Listeners of floating IPs, and what everybody who has a group wants.

use penstock_abi::table::{ServiceKey as Word, TableId};
use penstock_compile::{Desired, Group, Hop, RouteTarget, ServiceKey};
use penstock_model::Reason;

use super::Pass;
use crate::planner::Planner;
use crate::refusal::What;
use crate::routes::Owner;
use crate::words;

/// Where somebody shall lead.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want<'a> {
    /// To a group of its own.
    Group(&'a Group),
    /// To one next hop.
    Hop(Hop),
    /// Where a listener leads.
    Listener(ServiceKey),
}

/// Where somebody shall lead; nothing if it shall not be.
pub(super) fn want(desired: &Desired, owner: Owner) -> Option<Want<'_>> {
    let target = |target| match target {
        &RouteTarget::Hop(hop) => Want::Hop(hop),
        RouteTarget::Group(group) => Want::Group(group),
        &RouteTarget::Listener(key) => Want::Listener(key),
    };
    match owner {
        Owner::Route(vrf, address) => desired.routes.get(&(vrf, address)).map(target),
        Owner::Listener(key) => desired.listeners.get(&key).map(|entry| target(&entry.target)),
        Owner::Local(key) => desired.listeners.get(&key).map(|entry| match &entry.local {
            Some(group) => Want::Group(group),
            None => Want::Hop(Hop::default()),
        }),
    }
}

/// What a refusal of somebody is about.
pub(super) fn what(owner: Owner) -> What {
    match owner {
        Owner::Route(vrf, address) => What::Route(vrf, address),
        Owner::Listener(key) => What::Listener(key),
        Owner::Local(key) => What::Local(key),
    }
}

impl<'a> Pass<'a> {
    /// Where somebody shall lead.
    pub(super) fn want(&self, owner: Owner) -> Option<Want<'a>> {
        want(self.desired, owner)
    }

    /// Changes a listener's word, or writes a new one; there is a place for it. What shows where it leads follows.
    pub(super) fn listen(
        &mut self,
        key: &ServiceKey,
        change: impl FnOnce(&mut Word),
    ) -> Result<(), Reason> {
        let Planner { card, routes, .. } = &mut *self.planner;
        let now = routes.listener(card, key).map(|(_, word)| word);
        let mut word = words::service(key, 0, 0)?;
        if let Some(now) = now {
            word = now;
        }
        change(&mut word);
        routes.set_listener(card, key, word).ok_or_else(|| self.no_listener_place(key))?;
        if now.is_some_and(|now| now.nh != word.nh) {
            self.follow(*key);
        }
        Ok(())
    }

    /// Leads the routes that show where a listener leads to where it leads now.
    fn follow(&mut self, key: ServiceKey) {
        let Planner { card, routes, .. } = &mut *self.planner;
        let Some(nh) = routes.pointed(card, Owner::Listener(key)) else { return };
        for route in routes.at(key.address).collect::<Vec<_>>() {
            if self.desired.routes.get(&route) == Some(&RouteTarget::Listener(key))
                && let Some((place, word)) = routes.get(card, route)
                && routes.composite(card, route.into()).is_none()
            {
                let word = penstock_abi::table::HostRoute { nh, ..word };
                routes.set(card, place, word);
            }
        }
    }

    /// That a listener stands somewhere, or can.
    pub(super) fn has_listener_place(&mut self, key: &ServiceKey) -> Result<(), Reason> {
        let has = |planner: &mut Planner| planner.routes.has_listener_place(key).then_some(());
        self.with_room(TableId::ServiceKey, has).ok_or_else(|| self.no_listener_place(key))
    }

    fn no_listener_place(&self, key: &ServiceKey) -> Reason {
        let ServiceKey { address, port, protocol, .. } = key;
        self.no_room(TableId::ServiceKey, || format!("{address}:{port}/{protocol}"))
    }

    /// Points a listener to one next hop.
    pub(super) fn listener_to(&mut self, key: ServiceKey, hop: Hop) -> Result<(), Reason> {
        let nh = self.usable(hop.next_hop)?;
        words::service(&key, nh, 0)?;
        self.has_listener_place(&key)?;
        self.abandon_group(Owner::Listener(key));
        self.listen(&key, |word| word.nh = nh)
    }

    /// Leads packets from the fabric for a listener nowhere.
    pub(super) fn local_to_nobody(&mut self, key: ServiceKey) -> Result<(), Reason> {
        let Planner { card, routes, .. } = &*self.planner;
        match routes.pointed(card, Owner::Local(key)) {
            None | Some(0) => Ok(()),
            Some(_) => {
                self.abandon_group(Owner::Local(key));
                self.listen(&key, |word| word.local = 0)
            }
        }
    }

    /// Removes a listener, and its groups.
    pub(super) fn remove_listener(&mut self, key: ServiceKey) {
        for owner in [Owner::Listener(key), Owner::Local(key)] {
            self.abandon_group(owner);
            self.planner.routes.idle.remove(&owner);
            self.planner.routes.spare.remove(&owner);
        }
        let Planner { card, routes, .. } = &mut *self.planner;
        routes.remove_listener(card, &key);
    }
}
