//! A random node and the table words that describe it.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::hash::{FIELD_ALL, FIELD_DIP, FIELD_PROTO, FIELD_SIP, FIELD_SPORT};
use penstock_abi::limits::{
    ECMP_WORDS, FIP_MAPS, GATEWAY_MAC, LABEL_FIRST, LABELS, NEXT_HOPS, PREFIXES,
};
use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, TableId, Vif, VifKind,
    Words,
};
use penstock_tables::{CONFIG_TABLES, Keyed, Stored, Tables};

use super::Rng;
use crate::parse::{ICMP, SCTP, TCP, UDP};

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
    /// Label that leads to the group.
    pub label: u32,
    /// Slots; `None` is a hole.
    pub slots: Vec<Option<Member>>,
    /// Fields of the member hash.
    pub hash_fields: u8,
    /// The route leads straight to the first local pod, if there is one, not to the group.
    pub direct: bool,
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
    /// VRFs in use.
    pub vrfs: Vec<u16>,
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

const NH_IDS: u8 = 200;
const LABEL_IDS: u8 = 201;
const MAP_IDS: u8 = 202;
const IPS: u8 = 203;

impl World {
    /// A random node.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let mut w = Self { ecmp_at: rng.below(u64::from(ECMP_WORDS)) as u32, ..Self::default() };
        w.ip = w.fresh_ip(rng, 0x0aa9_0000);
        w.mac = 0x0200_0000_0000 | rng.bits() >> 24;
        w.vrfs = (0..rng.between(1, 3)).map(|_| rng.below(4096) as u16).collect();
        w.ports(rng);
        for _ in 0..rng.between(1, 10) {
            w.add_pod(rng);
        }
        w.add_odd(rng);
        for _ in 0..rng.between(1, 4) {
            w.add_remote(rng);
        }
        for _ in 0..rng.between(1, 8) {
            w.add_service(rng);
        }
        w.add_shared_way(rng);
        w.writes = w.dump();
        w
    }

    /// Everything that is configured, as writes into a cleared card.
    #[must_use]
    pub fn dump(&self) -> Vec<Write> {
        let of =
            |&table| self.entries.words(table).map(move |(index, words)| (table, index, words));
        CONFIG_TABLES.iter().flat_map(of).collect()
    }

    /// The writes made since this was last asked, in order.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// What stands at an index, all zeros if nothing valid does.
    pub(super) fn at<E: Stored>(&self, index: u32) -> E {
        self.entries.of::<E>().at(index)
    }

    pub(super) fn put<E: Stored>(&mut self, index: u32, entry: E) {
        let words = entry.pack();
        // What is not valid counts as nothing.
        let kept = if words[0] & 1 == 0 { E::default() } else { E::unpack(&words) };
        self.entries.put(index, kept);
        self.writes.push((E::TABLE, index, words));
    }

    fn fresh(&mut self, rng: &mut Rng, space: u8, low: u32, high: u32) -> u32 {
        loop {
            // Low numbers now and then: their other bits are 0, so a cut index shows elsewhere.
            let top = if rng.one_in(3) { high.min(low + 300) } else { high };
            let id = rng.between(u64::from(low), u64::from(top)) as u32;
            if self.used.insert((space, id)) {
                return id;
            }
        }
    }

    pub(super) fn fresh_nh(&mut self, rng: &mut Rng) -> u16 {
        self.fresh(rng, NH_IDS, 1, NEXT_HOPS - 1) as u16
    }

    fn fresh_label(&mut self, rng: &mut Rng) -> u32 {
        self.fresh(rng, LABEL_IDS, LABEL_FIRST, LABELS - 1)
    }

    pub(super) fn fresh_map(&mut self, rng: &mut Rng) -> u16 {
        // Map 0 is what marks name: mostly not valid, and they count all the same.
        if rng.one_in(40) && self.used.insert((MAP_IDS, 0)) {
            return 0;
        }
        self.fresh(rng, MAP_IDS, 1, FIP_MAPS - 1) as u16
    }

    fn fresh_ip(&mut self, rng: &mut Rng, net: u32) -> u32 {
        net | self.fresh(rng, IPS, 1, 0xfffe)
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
        let ilm = Ilm { valid: true, nh: pod.nh, key_nh: pod.nh, vrf: pod.vrf };
        self.put(pod.label, ilm);
        if !rng.one_in(10) {
            let own = !rng.one_in(3);
            self.put_host_route(rng, pod.vrf, pod.ip, pod.nh, None, own);
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
            let ilm = Ilm { valid: true, nh: id, key_nh: id, vrf: self.any_vrf(rng) };
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
        let mut pods = Vec::new();
        for _ in 0..rng.between(1, 4) {
            let (pod, label) = (self.fresh_ip(rng, 0x0a30_0000), rng.below(1 << 20) as u32);
            let prefix_len = rng.of([32, 32, 31, 24, 16, 13]);
            for vrf in self.vrfs.clone() {
                if prefix_len == 32 {
                    self.host_route(rng, vrf, pod, nh, Some(label));
                } else {
                    self.prefix(rng, vrf, pod, prefix_len, nh, label);
                }
            }
            pods.push(pod);
        }
        self.remotes.push(Remote { ip, nh, pods });
    }

    fn add_service(&mut self, rng: &mut Rng) {
        // Several services share an address, as several ports of one do.
        let shared =
            if rng.one_in(3) { rng.pick(&self.services).map(|s| (s.vip, s.vrf)) } else { None };
        let (vip, vrf) =
            shared.unwrap_or_else(|| (self.fresh_ip(rng, 0x0a69_0000), self.any_vrf(rng)));
        let proto = rng.of([TCP, TCP, TCP, UDP, UDP, SCTP, ICMP]);
        let port = if proto == ICMP { 0 } else { rng.between(1, 65535) as u16 };
        let target_port =
            if proto == ICMP || rng.one_in(3) { port } else { rng.between(1, 65535) as u16 };
        // Two services of one pod and port: their connections can clash.
        let like = self.services.iter().rfind(|s| (s.proto, s.vrf) == (proto, vrf));
        let target_port =
            like.map(|s| s.target_port).filter(|_| rng.one_in(2)).unwrap_or(target_port);
        let service = Service {
            vip,
            port,
            target_port,
            proto,
            vrf,
            nh: self.fresh_nh(rng),
            label: self.fresh_label(rng),
            slots: Vec::new(),
            hash_fields: rng.of([
                FIELD_ALL,
                FIELD_ALL,
                FIELD_SIP | FIELD_DIP,
                FIELD_SPORT,
                FIELD_PROTO,
                0,
            ]),
            direct: rng.one_in(6),
        };
        let n = self.services.len();
        self.services.push(service);
        let most = rng.of([1, 2, 3, 8, 64]);
        let slots = (0..rng.between(1, most))
            .map(|_| (!rng.one_in(6)).then(|| self.random_member(rng, vrf)))
            .collect();
        self.services[n].slots = slots;
        self.write_group(rng, n);
        self.write_route(rng, n);
    }

    /// A remote pod that is reached over several nodes: a group in the way of replies to it.
    fn add_shared_way(&mut self, rng: &mut Rng) {
        let pods: Vec<u32> = self.remotes.iter().flat_map(|r| r.pods.clone()).collect();
        let Some(&vip) = rng.pick(&pods) else { return };
        let member = |rng: &mut Rng, nodes: usize| {
            let target =
                Target::Remote(rng.below(nodes as u64) as usize, rng.below(1 << 20) as u32);
            let generation = rng.below(4) as u8;
            Some(Member { target, drain: false, evict_udp: false, generation })
        };
        let slots = (0..rng.between(1, 4)).map(|_| member(rng, self.remotes.len())).collect();
        let service = Service {
            vip,
            port: 80,
            target_port: 80,
            proto: TCP,
            vrf: self.any_vrf(rng),
            nh: self.fresh_nh(rng),
            label: self.fresh_label(rng),
            slots,
            hash_fields: FIELD_ALL,
            direct: false,
        };
        self.services.push(service);
        self.write_group(rng, self.services.len() - 1);
        self.write_route(rng, self.services.len() - 1);
    }

    /// A member: mostly a pod of the service's VRF or of a remote node.
    pub(super) fn random_member(&mut self, rng: &mut Rng, vrf: u16) -> Member {
        let local: Vec<usize> = (0..self.pods.len()).filter(|&i| self.pods[i].vrf == vrf).collect();
        let target = match rng.below(20) {
            0 => Target::Odd(rng.pick(&self.odd_next_hops).copied().unwrap_or(0)),
            1..=9 if !self.remotes.is_empty() => Target::Remote(
                rng.below(self.remotes.len() as u64) as usize,
                rng.below(1 << 20) as u32,
            ),
            _ => rng.pick(&local).map_or(Target::Odd(0), |&i| Target::Local(i)),
        };
        let drain = rng.one_in(8);
        let evict_udp = rng.one_in(if drain { 2 } else { 12 });
        Member { target, drain, evict_udp, generation: rng.below(4) as u8 }
    }

    /// Writes a service's group at a fresh place, its mappings first and the composite last (section 10).
    pub(super) fn write_group(&mut self, rng: &mut Rng, n: usize) {
        let s = self.services[n].clone();
        let mut words = Vec::new();
        for (slot, member) in s.slots.iter().enumerate() {
            let Some(m) = member else {
                words.push(EcmpSlot::default());
                continue;
            };
            let (nh, label) = match m.target {
                Target::Local(pod) => {
                    self.ensure_mapping(rng, n, pod);
                    (self.pods[pod].nh, rng.below(1 << 20) as u32)
                }
                Target::Remote(node, label) => (self.remotes[node].nh, label),
                Target::Odd(nh) => (nh, 0),
            };
            let slot = slot as u16;
            words.push(EcmpSlot {
                valid: true,
                drain: m.drain,
                nh,
                label,
                generation: m.generation,
                slot,
                evict_udp: m.evict_udp,
            });
        }
        let mut live: Vec<EcmpSlot> =
            words.iter().filter(|w| w.valid && !w.drain).copied().collect();
        if live.is_empty() && !rng.one_in(3) {
            // All have departed: who is new is refused, by a word of no slot.
            live.push(EcmpSlot { valid: true, nh: self.reject, ..EcmpSlot::default() });
        }
        let base = self.ecmp_at;
        for w in words.iter().chain(&live) {
            let at = self.ecmp_at;
            self.put(at, *w);
            self.ecmp_at = (self.ecmp_at + 1) % ECMP_WORDS;
        }
        let nh = NextHop {
            valid: true,
            kind: NextHopKind::Composite,
            base,
            slots: s.slots.len() as u16,
            live: live.len() as u16,
            hash_fields: s.hash_fields,
            ..NextHop::default()
        };
        self.put(u32::from(s.nh), nh);
    }

    /// Route and label of a service.
    pub(super) fn write_route(&mut self, rng: &mut Rng, n: usize) {
        let s = self.services[n].clone();
        let first_local = s.slots.iter().flatten().find_map(|m| match m.target {
            Target::Local(pod) => Some(self.pods[pod].nh),
            _ => None,
        });
        let nh = first_local.filter(|_| s.direct).unwrap_or(s.nh);
        let here = |m: &Member| matches!(m.target, Target::Local(_));
        let own = s.slots.iter().flatten().all(here) || rng.one_in(20);
        self.put_host_route(rng, s.vrf, s.vip, nh, None, own);
        self.put(s.label, Ilm { valid: true, nh, key_nh: nh, vrf: s.vrf });
    }

    fn ensure_mapping(&mut self, rng: &mut Rng, n: usize, pod: usize) {
        if !self.maps.contains_key(&(n, pod)) {
            let map = self.fresh_map(rng);
            self.maps.insert((n, pod), map);
            self.write_mapping(rng, n, pod, rng_generation(map));
        }
    }

    /// Mapping and key of a pod that serves; seldom one of the two is missing.
    pub(super) fn write_mapping(&mut self, rng: &mut Rng, n: usize, pod: usize, generation: u8) {
        let s = self.services[n].clone();
        let p = self.pods[pod].clone();
        let map = self.maps[&(n, pod)];
        let entry = FipMap {
            valid: !rng.one_in(20),
            generation,
            pod_ip: p.ip,
            pod_port: s.target_port,
            vip: s.vip,
            vip_port: s.port,
        };
        self.put(u32::from(map), entry);
        if !rng.one_in(20) {
            self.fip_key(rng, p.vif, s.proto, s.vip, s.port, map);
        }
        if rng.one_in(2) {
            // What the pod sends from there it only sends translated.
            self.fip_key(rng, p.vif, s.proto, p.ip, s.target_port, 0);
            self.fip_key(rng, p.vif, s.proto, p.ip, 0, 0);
        }
    }

    fn fip_key(&mut self, rng: &mut Rng, vif: u8, proto: u8, ip: u32, port: u16, map: u16) {
        let key = FipKey { valid: true, vif, proto, ip, port, map };
        self.put_keyed(rng, key);
    }

    pub(super) fn host_route(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        nh: u16,
        label: Option<u32>,
    ) {
        self.put_host_route(rng, vrf, ip, nh, label, false);
    }

    fn put_host_route(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        nh: u16,
        label: Option<u32>,
        own: bool,
    ) {
        let r = HostRoute {
            valid: true,
            vrf,
            ip,
            nh,
            label: label.unwrap_or(0),
            label_valid: label.is_some(),
            own,
        };
        self.put_keyed(rng, r);
    }

    /// Puts an entry where its key stands already, else in a random free slot of its buckets.
    fn put_keyed<E: Keyed>(&mut self, rng: &mut Rng, entry: E) {
        let places: Vec<u32> = E::places(entry.key(), self.entries.shape()).collect();
        let present = self.entries.find::<E>(entry.key()).map(|(index, _)| index);
        let there = self.entries.of::<E>();
        let free: Vec<u32> = places.into_iter().filter(|&i| !there.contains(i)).collect();
        if let Some(i) = present.or_else(|| rng.pick(&free).copied()) {
            self.put(i, entry);
        }
    }

    fn prefix(&mut self, rng: &mut Rng, vrf: u16, ip: u32, len: u8, nh: u16, label: u32) {
        let ip = ip & !(u32::MAX >> len);
        let there = self.entries.of::<Prefix>();
        let free: Vec<u32> = (0..PREFIXES).filter(|&i| !there.contains(i)).collect();
        if let Some(&i) = rng.pick(&free) {
            let entry =
                Prefix { valid: true, vrf, ip, len, nh, label, label_valid: !rng.one_in(8) };
            self.put(i, entry);
        }
    }
}

fn rng_generation(map: u16) -> u8 {
    (map % 251) as u8
}
