//! Who serves floating IPs: a [`Provider`] is a pure function from a floating IP and what is known of the addresses behind it
//! to entries of the tables.
//!
//! The card itself is one ([`ProviderName::native`]); others may be registered beside it, one that leads to a proxy on the
//! node, say. What a provider looks up in [`Reach`] is written down: when one of these answers changes, it is asked again, and
//! at no other time unless the floating IP itself changes. So it must ask nothing else.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use penstock_abi::table::ServiceAddress;
use penstock_model::{
    Finding, FloatingIpKind, Listener, LoadBalancer, Member, MplsLabel, NetworkName, ObjectName,
    PodVif, Protocol, ProviderName, Scope, VifId, VrfId,
};

use penstock_tables::Shape;

use crate::native::Native;
use crate::places::Places;
use crate::site::Site;
use crate::{FipKey, FipTarget, Hop, Listening, RouteTarget, ServiceKey};

/// Serves floating IPs.
pub trait Provider: Send + Sync {
    /// Its name, by which load balancers ask for it.
    fn name(&self) -> ProviderName;

    /// What the tables shall hold for a floating IP. Equal arguments give equal results; it remembers nothing.
    fn serve(&self, vip: &Vip<'_>, reach: &Reach<'_>) -> Served;
}

/// The providers of a compiler, by name. [`Native`](ProviderName::native) is one of them unless another one takes its name.
#[derive(Clone)]
pub struct Providers(BTreeMap<ProviderName, Arc<dyn Provider>>);

impl Default for Providers {
    fn default() -> Self {
        Self(BTreeMap::new()).with(Arc::new(Native))
    }
}

impl Providers {
    /// These, and one more.
    #[must_use]
    pub fn with(mut self, provider: Arc<dyn Provider>) -> Self {
        self.0.insert(provider.name(), provider);
        self
    }

    pub(crate) fn get(&self, name: &ProviderName) -> Option<&dyn Provider> {
        self.0.get(name).map(Arc::as_ref)
    }
}

/// A floating IP to be served: an address with one owner, who shares it or not.
#[derive(Clone, Debug)]
pub struct Vip<'a> {
    /// The address.
    pub address: IpAddr,
    /// Whose it is.
    pub owner: &'a LoadBalancer,
    /// The network in which it lives.
    pub network: &'a NetworkName,
    /// Where it comes from.
    pub kind: FloatingIpKind,
    /// VRFs whose pods reach that network: all that may have a route to it.
    pub vrfs: &'a [VrfId],
    /// The service networks that these VRFs meet, each with its VRFs.
    pub nets: Vec<(u16, &'a [VrfId])>,
    /// VRF of packets that come by the floating IP's label; none if this node gives no labels.
    pub label_vrf: Option<VrfId>,
    /// The listeners behind it, the owner's first; no two have the same protocol and port.
    pub fronts: Vec<Front<'a>>,
}

/// A listener in front of which a floating IP stands.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// Whose it is.
    pub balancer: &'a LoadBalancer,
    /// The listener. Those of its pool who serve the floating IP are [`members`](Self::members).
    pub listener: &'a Listener,
    /// The floating IP.
    pub address: IpAddr,
    /// Which members serve it on this node.
    pub scope: Scope,
}

impl<'a> Front<'a> {
    /// The members that can serve the floating IP, ordered by address and port: those of its address family, as nothing
    /// translates between the two. A dual-stack load balancer has members for its addresses of the other family, too.
    pub fn members(&self) -> impl Iterator<Item = &'a Member> + use<'a> {
        let is_ipv4 = self.address.is_ipv4();
        self.listener.pool.members.iter().filter(move |member| member.address.is_ipv4() == is_ipv4)
    }

    /// Whether a member may serve it on a node, by what it says of itself.
    pub(crate) fn is_for(&self, member: &Member, node: &str) -> bool {
        // An endpoint that does not say where it is, is not here.
        self.scope == Scope::Cluster || member.node == node
    }
}

/// What the tables shall hold for a floating IP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// Where it leads, by VRF: each at most once, of [`Vip::vrfs`] only. Hops are those that [`Reach`] gives, or discard or
    /// reject.
    pub routes: Vec<(VrfId, RouteTarget)>,
    /// Its listeners, each at most once in each of [`Vip::nets`]. Members are those that [`Reach`] gives.
    pub listeners: Vec<(ServiceKey, Listening)>,
    /// It lives by its listeners, and this becomes of packets that are for none.
    pub floating: Option<ServiceAddress>,
    /// What is translated for backends on this node; each (vif, protocol, port) at most once.
    pub translations: Vec<Translation>,
    /// VRF of packets that come by its label, [`Vip::label_vrf`], if somebody on this node serves it.
    pub label_vrf: Option<VrfId>,
    /// Ports that are served, here or elsewhere.
    pub ports: BTreeSet<(Protocol, u16)>,
    /// Labels under which this node serves it, by VRF: for other nodes to know. If there are some and it has a label of its own,
    /// that one is told instead.
    pub advertised: BTreeSet<(VrfId, MplsLabel)>,
    /// What is not as the load balancers ask, by load balancer.
    pub findings: Vec<(ObjectName, Finding)>,
}

impl Served {
    /// The same under a label of its own, or without one.
    pub(crate) fn under(mut self, label: Option<MplsLabel>) -> Self {
        match label.zip(self.label_vrf) {
            Some((label, vrf)) if !self.advertised.is_empty() => {
                self.advertised = [(vrf, label)].into();
            }
            Some(_) => {}
            None => self.listeners.iter_mut().for_each(|(_, entry)| entry.local = None),
        }
        self
    }
}

/// A translation of a floating IP at a backend's vif.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// vif of the backend.
    pub vif: VifId,
    /// Protocol.
    pub protocol: Protocol,
    /// Service port.
    pub port: u16,
    /// The backend.
    pub target: FipTarget,
}

impl Translation {
    /// The entry that it is at a floating IP.
    pub(crate) fn entry(&self, address: IpAddr) -> (FipKey, FipTarget) {
        let Self { vif, protocol, port, target } = *self;
        (FipKey { vif, protocol, address, port }, target)
    }
}

/// What is known of addresses. It remembers of which ones it was asked.
pub struct Reach<'a> {
    site: &'a Site,
    places: &'a Places,
    shape: Shape,
    asked: RefCell<Vec<IpAddr>>,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(site: &'a Site, places: &'a Places, shape: Shape) -> Self {
        Self { site, places, shape, asked: RefCell::default() }
    }

    /// Addresses of which it was asked, each once.
    pub(crate) fn asked(self) -> Box<[IpAddr]> {
        let mut asked = self.asked.into_inner();
        asked.sort_unstable();
        asked.dedup();
        asked.into()
    }

    fn ask(&self, address: IpAddr) {
        let mut asked = self.asked.borrow_mut();
        // One address is mostly asked of several times in a row.
        if asked.last() != Some(&address) {
            asked.push(address);
        }
    }

    /// The way to a pod in a VRF; none if it is not known, or not within reach yet.
    #[must_use]
    pub fn hop(&self, vrf: VrfId, address: IpAddr) -> Option<Hop> {
        self.ask(address);
        self.places.hop(vrf, address)
    }

    /// The way to an address in the first of some VRFs that has one.
    #[must_use]
    pub fn hop_in(&self, vrfs: &[VrfId], address: IpAddr) -> Option<Hop> {
        self.ask(address);
        self.places.hop_in(vrfs, address)
    }

    /// Whether the node's kernel is to be asked for an address: another node's of which no label is known, or one outside the
    /// cluster.
    #[must_use]
    pub fn is_for_kernel(&self, member: &Member) -> bool {
        let address = member.address;
        self.ask(address);
        if self.places.peer(address).is_some() {
            return !self.places.knows_pod(address);
        }
        // A pod's endpoint says where it is; one that does not was written by hand.
        let inside = self.site.policy.cluster_ranges.iter().any(|range| range.contains(&address));
        member.node.is_empty() && !inside && !self.places.knows(address)
    }

    /// This node's own address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.site.address()
    }

    /// The label under which this node accepts packets for itself.
    #[must_use]
    pub fn node_label(&self) -> Option<MplsLabel> {
        self.site.node.vhost.label
    }

    /// Whether cluster IPs drop packets that are for no listener, rather than refuse them.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.site.overlay.silent
    }

    /// The vif of a pod on this node.
    #[must_use]
    pub fn vif(&self, address: IpAddr) -> Option<&'a PodVif> {
        self.ask(address);
        self.places.vif(address)
    }

    /// Whether a pod is known at an address, in any VRF, within reach or not.
    #[must_use]
    pub fn is_pod(&self, address: IpAddr) -> bool {
        self.ask(address);
        self.places.knows_pod(address)
    }

    /// The name of the node whose own address it is.
    #[must_use]
    pub fn node_at(&self, address: IpAddr) -> Option<&'a str> {
        if address == self.site.address() {
            return Some(self.node());
        }
        self.ask(address);
        self.places.peer(address)
    }

    /// The name of this node.
    #[must_use]
    pub fn node(&self) -> &'a str {
        &self.site.node.name
    }

    /// The zone in which this node is, if that is known.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        self.site.zone()
    }

    /// Most members of a group.
    #[must_use]
    pub fn group_max(&self) -> usize {
        self.shape.ecmp_group_max as usize
    }

    /// Whether the card keeps clients at their members.
    #[must_use]
    pub fn keeps_clients(&self) -> bool {
        self.shape.affinities > 0
    }
}
