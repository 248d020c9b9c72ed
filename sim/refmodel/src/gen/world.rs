//! A random node and the table words that describe it.

mod fresh;
mod networks;
mod place;
mod services;

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::limits::{ECMP_WORDS, GATEWAY_MAC};
use penstock_abi::table::{
    Ilm, LearnPolicy, NextHop, NextHopKind, ServiceAddress, TableId, Vif, VifKind, Words,
};
use penstock_tables::Tables;

use super::Rng;

/// One table write.
pub type Write = (TableId, u32, Words);

/// A pod on this node.
#[derive(Clone, Debug)]
pub struct Pod {
    /// vif number.
    pub vif: u8,
    /// Its Encap next hop, the key next hop too.
    pub nh: u16,
    /// Its address (the vif's entry may say 0 all the same).
    pub ip: u32,
    /// Label that leads to it.
    pub label: u32,
    /// VRF.
    pub vrf: u16,
}

/// Another node.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its tunnel end point.
    pub ip: u32,
    /// Tunnel next hop.
    pub nh: u16,
    /// Addresses of pods there, each a host or within a prefix, all routed in every VRF.
    pub pods: Vec<u32>,
}

/// Who serves a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A pod here, by its place in [`World::pods`].
    Local(usize),
    /// A pod of a remote node, with the label it advertises.
    Remote(usize, u32),
    /// Something else: a next hop of any kind, valid or not.
    Odd(u16),
}

/// A slot of a group that is not a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who serves.
    pub target: Target,
    /// Keeps its flows, takes no new ones.
    pub drain: bool,
    /// Does not even keep its UDP flows.
    pub evict_udp: bool,
    /// Generation of the slot.
    pub generation: u8,
}

/// A service: one address, port and protocol.
#[derive(Clone, Debug)]
pub struct Service {
    /// Address.
    pub vip: u32,
    /// Port; 0 for ICMP.
    pub port: u16,
    /// Port of the pods.
    pub target_port: u16,
    /// Protocol.
    pub proto: u8,
    /// VRF.
    pub vrf: u16,
    /// Composite next hop.
    pub nh: u16,
    /// Composite next hop of its members on this node.
    pub local: u16,
    /// Label that leads to the group.
    pub label: u32,
    /// Slots; `None` is a hole.
    pub slots: Vec<Option<Member>>,
    /// Fields of the member hash.
    pub hash_fields: u8,
    /// Number and time-out of its session affinity; 0 is none, of either.
    pub affinity: (u16, u32),
    /// The route leads straight to the first local pod, if there is one, not to the group.
    pub direct: bool,
}

/// A floating IP without port map.
#[derive(Clone, Debug)]
pub struct Floating {
    /// Its address.
    pub ip: u32,
    /// Label that leads to it.
    pub label: u32,
    /// Its pod, by the place in [`World::pods`].
    pub pod: usize,
    /// Its mapping.
    pub map: u16,
}

/// A random node: what is configured, and how.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The fabric's address.
    pub ip: u32,
    /// The fabric's MAC.
    pub mac: u64,
    /// Pods here.
    pub pods: Vec<Pod>,
    /// Other nodes.
    pub remotes: Vec<Remote>,
    /// Services.
    pub services: Vec<Service>,
    /// Floating IPs without port map.
    pub floating: Vec<Floating>,
    /// Addresses to which only floating IPs' networks have a route, each a part of a prefix.
    pub outside: Vec<u32>,
    /// VRFs in use, but that of floating IPs.
    pub vrfs: Vec<u16>,
    /// VRF of floating IPs.
    pub public: u16,
    /// Next hops of odd kinds, or not valid.
    pub odd_next_hops: Vec<u16>,
    /// The next hop that refuses, one of these.
    pub reject: u16,
    /// Destinations that lead to odd next hops, in every VRF.
    pub odd_ips: Vec<u32>,
    /// Labels that lead to odd next hops.
    pub odd_labels: Vec<u32>,
    /// Valid ones only.
    entries: Tables,
    used: BTreeSet<(u8, u32)>,
    pub(super) maps: BTreeMap<(usize, usize), u16>,
    pub(super) ecmp_at: u32,
    pub(super) writes: Vec<Write>,
}

/// Most vifs make flows.
pub(super) fn learn_policy(rng: &mut Rng) -> LearnPolicy {
    use LearnPolicy::{Always, Never, Translated, Undefined};
    match rng.below(12) {
        0 => Translated,
        1 => Never,
        2 => Undefined(3),
        _ => Always,
    }
}

impl World {
    /// A random node.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let mut w = Self { ecmp_at: rng.below(u64::from(ECMP_WORDS)) as u32, ..Self::default() };
        w.ip = w.fresh_ip(rng, 0x0aa9_0000);
        w.mac = 0x0200_0000_0000 | rng.bits() >> 24;
        w.vrfs = (0..rng.between(1, 3)).map(|_| rng.below(4096) as u16).collect();
        w.public = w.fresh(rng, TableId::Vrf as u8, 0, 4095) as u16;
        w.networks(rng);
        w.ports(rng);
        for _ in 0..rng.between(1, 10) {
            w.add_pod(rng);
        }
        w.add_node(rng);
        w.add_odd(rng);
        for _ in 0..rng.between(1, 4) {
            w.add_remote(rng);
        }
        for _ in 0..rng.between(1, 8) {
            w.add_service(rng);
        }
        w.add_shared_way(rng);
        w.add_floating(rng);
        w.writes = w.dump();
        w
    }

    /// vifs 0 to 2; seldom one of them is missing or odd.
    fn ports(&mut self, rng: &mut Rng) {
        let vif = |kind, valid, ip| Vif { valid, kind, ip, ..Vif::default() };
        let kind = if rng.one_in(10) { VifKind::Virtual } else { VifKind::Fabric };
        let fabric = Vif { mac: self.mac, ..vif(kind, !rng.one_in(25), self.ip) };
        self.put(0, fabric);
        self.put(1, vif(VifKind::Vhost, !rng.one_in(12), self.ip));
        self.put(2, vif(VifKind::Packet, true, 0));
        self.put(255, vif(VifKind::Fabric, true, self.ip));
    }

    pub(super) fn any_vrf(&self, rng: &mut Rng) -> u16 {
        rng.pick(&self.vrfs).copied().unwrap_or(0)
    }

    fn add_pod(&mut self, rng: &mut Rng) {
        let vif = self.fresh(rng, TableId::Vif as u8, 3, 254) as u8;
        let pod = Pod {
            vif,
            nh: self.fresh_nh(rng),
            ip: self.fresh_ip(rng, 0x0a2f_0000),
            label: self.fresh_label(rng),
            vrf: self.any_vrf(rng),
        };
        let entry = Vif {
            valid: true,
            kind: VifKind::Virtual,
            vrf: pod.vrf,
            nh: pod.nh,
            mac: rng.bits() >> 16,
            ip: if rng.one_in(6) { 0 } else { pod.ip },
            rpf: rng.one_in(2),
            learn: learn_policy(rng),
            ..Vif::default()
        };
        self.put(u32::from(vif), entry);
        let kind = if rng.one_in(12) { NextHopKind::Receive } else { NextHopKind::Encap };
        let gateway =
            u64::from_be_bytes([0, 0, 0, 0, 0x5e, 0, 1, 0]) | u64::from(GATEWAY_MAC[0]) << 40;
        let nh = NextHop {
            valid: true,
            kind,
            vif,
            dmac: rng.bits() >> 16,
            smac: gateway,
            ..NextHop::default()
        };
        self.put(u32::from(pod.nh), nh);
        let ilm = Ilm { valid: true, nh: pod.nh, key_nh: pod.nh, vrf: pod.vrf, service: false };
        self.put(pod.label, ilm);
        if !rng.one_in(10) {
            let sources = if rng.one_in(3) { self.some_sources(rng, None) } else { 0 };
            let key = (pod.vrf, pod.ip);
            self.put_host_route(rng, key, (pod.nh, None), ServiceAddress::No, sources);
        }
        self.pods.push(pod);
    }

    /// Next hops that drop, trap, or are not valid, and ways to them.
    fn add_odd(&mut self, rng: &mut Rng) {
        let tunnel = NextHop {
            valid: true,
            kind: NextHopKind::Tunnel,
            sip: self.ip,
            dip: 0x0aa9_ffff,
            ..NextHop::default()
        };
        let of = |kind, vif, valid| NextHop { valid, kind, vif, ..NextHop::default() };
        for nh in [
            of(NextHopKind::Discard, 0, true),
            of(NextHopKind::Reject, 0, true),
            of(NextHopKind::Encap, 0, true),
            of(NextHopKind::Receive, 253, true),
            of(NextHopKind::Receive, 1, true),
            of(NextHopKind::Composite, 0, true),
            of(NextHopKind::Encap, 3, false),
            tunnel,
        ] {
            let id = self.fresh_nh(rng);
            self.put(u32::from(id), nh);
            if nh.kind == NextHopKind::Reject {
                self.reject = id;
            }
            let (ip, label) = (self.fresh_ip(rng, 0x0a0d_0000), self.fresh_label(rng));
            for vrf in self.vrfs.clone() {
                self.host_route(rng, vrf, ip, id, None);
            }
            let ilm =
                Ilm { valid: true, nh: id, key_nh: id, vrf: self.any_vrf(rng), service: false };
            self.put(label, ilm);
            self.odd_next_hops.push(id);
            self.odd_ips.push(ip);
            self.odd_labels.push(label);
        }
    }

    fn add_remote(&mut self, rng: &mut Rng) {
        let nh = self.fresh_nh(rng);
        let ip = self.fresh_ip(rng, 0x0aa9_0000);
        let entry = NextHop {
            valid: true,
            kind: NextHopKind::Tunnel,
            dmac: rng.bits() >> 16,
            smac: rng.bits() >> 16,
            sip: self.ip,
            dip: ip,
            gre: rng.one_in(3),
            ..NextHop::default()
        };
        self.put(u32::from(nh), entry);
        self.add_sources(rng, ip);
        let mut pods = Vec::new();
        for _ in 0..rng.between(1, 4) {
            let (pod, label) = (self.fresh_ip(rng, 0x0a30_0000), rng.below(1 << 20) as u32);
            let prefix_len = rng.of([32, 32, 31, 24, 16, 13]);
            for vrf in self.vrfs.clone() {
                let sources = self.some_sources(rng, Some(self.remotes.len()));
                let hop = (nh, Some(label));
                if prefix_len == 32 {
                    self.put_host_route(rng, (vrf, pod), hop, ServiceAddress::No, sources);
                } else {
                    self.prefix(rng, vrf, pod, prefix_len, (nh, label), sources);
                }
            }
            pods.push(pod);
        }
        self.remotes.push(Remote { ip, nh, pods });
    }
}
