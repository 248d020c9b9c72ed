//! What each command does, in which order, and how it is undone.
//!
//! ADD goes down this list, DEL and whatever undoes a broken ADD goes up it:
//!
//! | | ADD | DEL |
//! | --- | --- | --- |
//! | daemon | reserves a vif and a label | |
//! | IPAM | gives an address | takes it back, last: nobody else may have it while the card knows it |
//! | kernel | the interface is marked, moved, set up | it comes back, first: its vif is nobody else's until then |
//! | daemon | the card forwards | forgets, or [the queue](crate::queue) remembers that it must |
//!
//! Each step can be done again when it is not known whether it was done. Nothing is remembered between commands but by the parts
//! themselves.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use penstock_api::attachments::{Placed, Reserve};
use penstock_model::MacAddr;

use crate::config::NetConf;
use crate::daemon::{Daemon, DaemonError};
use crate::error::{CniError, Code};
use crate::ipam::Ipam;
use crate::links::{Links, Mark, Setup};
use crate::queue::Queue;
use crate::request::{Key, Target};
use crate::result::{Network, Route, previous};

/// All parts that commands work with, for one network.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The network.
    pub conf: &'a NetConf,
    /// The daemon.
    pub daemon: &'a dyn Daemon,
    /// Who gives addresses.
    pub ipam: &'a dyn Ipam,
    /// The kernel.
    pub links: &'a dyn Links,
    /// What the daemon could not be told.
    pub queue: &'a dyn Queue,
}

/// A pod's MAC address: locally administered, with its IP address in it.
#[must_use]
pub fn mac_of(address: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = address.octets();
    MacAddr([2, 0, a, b, c, d])
}

impl Parts<'_> {
    /// ADD: gives a pod an interface for which the card forwards.
    ///
    /// # Errors
    /// There is none; what was done for it is undone, and if something of that failed too, the details say so.
    pub fn add(&self, target: &Target) -> Result<Network, CniError> {
        let Target { key, netns, .. } = target;
        let netns = netns.as_deref().unwrap_or(Path::new(""));
        self.catch_up()?;
        if self.links.is_there(netns, &key.interface)? {
            let text = format!("there is an interface {} in {}", key.interface, netns.display());
            return Err(CniError::new(Code::Attached, text));
        }
        self.ipam.is_there()?;
        let wanted = self.conf.wanted()?;
        let offered = self.links.offered(&wanted, key)?;
        if offered.is_empty() {
            let text = format!("of {} vifs none has a free interface here", wanted.len());
            return Err(CniError::new(Code::Exhausted, text));
        }
        let reserved = self.daemon.reserve(&Reserve {
            network: key.network.clone(),
            container: key.container.clone(),
            interface: key.interface.clone(),
            pod_namespace: target.pod_namespace.clone(),
            pod_name: target.pod_name.clone(),
            vrf: self.conf.vrf.clone(),
            vifs: offered.into_iter().collect(),
        })?;
        let mark = Mark { vif: reserved.vif, key: key.clone() };
        self.attach(&mark, netns).map_err(|error| {
            match self.clean(key, Some(mark.vif), Some(netns)) {
                Ok(()) => error,
                Err(also) => error.with(format_args!("and not all of it could be undone: {also}")),
            }
        })
    }

    /// What can be undone by [`Parts::clean`].
    fn attach(&self, mark: &Mark, netns: &Path) -> Result<Network, CniError> {
        let key = &mark.key;
        let lease = self.ipam.add(key, Some(netns))?;
        let gateway = lease.gateway.or(self.conf.gateway).ok_or_else(|| {
            let text = "there is no gateway: neither IPAM nor the network configuration names one";
            CniError::new(Code::InvalidConfig, text)
        })?;
        let mut routes = lease.routes;
        if routes.is_empty() {
            routes.push(Route { to: (Ipv4Addr::UNSPECIFIED, 0) });
        }
        let (address, mac) = (lease.address, mac_of(lease.address));
        let mut setup = Setup { mac, mtu: self.conf.mtu, address, gateway, routes };
        self.links.prepare(mark)?;
        self.links.hand_over(mark, netns)?;
        let mtu = self.links.set_up(netns, &key.interface, &setup)?;
        self.daemon.place(key, &Placed { address, mac: mac.to_string() })?;
        Ok(Network {
            interface: key.interface.clone(),
            mac,
            mtu,
            sandbox: netns.display().to_string(),
            address,
            gateway,
            routes: std::mem::take(&mut setup.routes),
            dns: self.conf.dns.clone().or(lease.dns),
        })
    }

    /// DEL: takes all back, whatever of it there is.
    ///
    /// # Errors
    /// Something of it could not be taken back; it is to be asked for again.
    pub fn del(&self, target: &Target) -> Result<(), CniError> {
        // Another call will catch up if this one cannot.
        let _ = self.catch_up();
        let known = self.daemon.get(&target.key).ok().flatten();
        self.clean(&target.key, known.map(|known| known.vif), target.netns.as_deref())
    }

    fn clean(&self, key: &Key, vif: Option<u8>, netns: Option<&Path>) -> Result<(), CniError> {
        self.links.take_back(key, vif, netns)?;
        self.forget(key)?;
        self.ipam.del(key, netns)
    }

    /// Has the daemon forget an attachment, now or when it is back.
    fn forget(&self, key: &Key) -> Result<(), CniError> {
        match self.daemon.remove(key) {
            Ok(()) => Ok(()),
            Err(DaemonError::Away(_)) => self.queue.put(key),
            Err(DaemonError::Refused(error)) => Err(error),
        }
    }

    /// Tells the daemon what it could not be told before.
    fn catch_up(&self) -> Result<(), CniError> {
        for key in self.queue.all(&self.conf.name)? {
            self.daemon.remove(&key)?;
            self.queue.done(&key)?;
        }
        Ok(())
    }

    /// CHECK: all is as ADD made it.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self, target: &Target) -> Result<(), CniError> {
        let Target { key, netns, .. } = target;
        let netns = netns.as_deref().unwrap_or(Path::new(""));
        let sandbox = netns.display().to_string();
        let before = self.conf.prev_result.clone().unwrap_or_default();
        let before = previous(&before, &key.interface, &sandbox)?;
        let not = |text: String| CniError::new(Code::NotAsMade, text);
        let known = self.daemon.get(key)?;
        let known = known.ok_or_else(|| not("the daemon does not know the pod".to_owned()))?;
        let placed = Placed { address: before.address, mac: before.mac.to_string() };
        if known.placed.as_ref() != Some(&placed) {
            let text = format!("the daemon has the pod at {:?}, not at {placed:?}", known.placed);
            return Err(not(text));
        }
        if let Some(why) = known.why {
            return Err(not(format!("the card does not forward: {why}")));
        }
        let setup = Setup {
            mac: before.mac,
            mtu: Some(before.mtu).filter(|mtu| *mtu > 0),
            address: before.address,
            gateway: before.gateway,
            routes: before.routes,
        };
        let wrong = self.links.compare(netns, &key.interface, &setup)?;
        if !wrong.is_empty() {
            return Err(not(format!("{} of the pod: {}", key.interface, wrong.join("; "))));
        }
        self.ipam.check(key, Some(netns))
    }

    /// GC: takes back what belongs to none of these.
    ///
    /// # Errors
    /// Something of it could not be taken back; the rest was.
    pub fn gc(&self) -> Result<(), CniError> {
        let valid = self.conf.valid_attachments.iter().flatten();
        let valid: BTreeSet<Key> = valid
            .map(|one| Key {
                network: self.conf.name.clone(),
                container: one.container.clone(),
                interface: one.ifname.clone(),
            })
            .collect();
        self.catch_up()?;
        let known = self.daemon.list()?;
        let known = known.into_iter().map(|one| {
            let key =
                Key { network: one.network, container: one.container, interface: one.interface };
            (key, Some(one.vif))
        });
        let left = self.links.marked(&self.conf.name)?.into_iter().map(|key| (key, None));
        let mut failed: Option<CniError> = None;
        let mut seen = BTreeSet::new();
        for (key, vif) in known.chain(left) {
            let is_stale = key.network == self.conf.name && !valid.contains(&key);
            if is_stale && seen.insert(key.clone()) {
                // Its namespace is not known, and has gone if the runtime has done what it should.
                note(&mut failed, self.clean(&key, vif, None));
            }
        }
        note(&mut failed, self.ipam.gc().map(|_| ()));
        failed.map_or(Ok(()), Err)
    }

    /// STATUS: whether ADD would work.
    ///
    /// # Errors
    /// It would not.
    pub fn status(&self) -> Result<(), CniError> {
        self.daemon.ready()?;
        self.ipam.status()
    }
}

fn note(failed: &mut Option<CniError>, result: Result<(), CniError>) {
    if let Err(error) = result {
        *failed = Some(match failed.take() {
            Some(first) => first.with(error),
            None => error,
        });
    }
}

#[cfg(test)]
mod tests;
