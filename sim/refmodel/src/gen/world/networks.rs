//! What VRFs belong to, who may answer, the node as an end point, and floating IPs without port map.

use penstock_abi::limits::{SOURCES_KNOWN, SOURCES_NOBODY};
use penstock_abi::table::{
    FipMap, Ilm, NextHop, NextHopKind, PlainFip, ServiceAddress, SourceCheck, TunnelSource, Vif,
    VifKind, Vrf,
};

use super::{Floating, Pod, World};
use crate::r#gen::Rng;

impl World {
    /// Service networks and source checks; seldom a VRF has no entry.
    pub(super) fn networks(&mut self, rng: &mut Rng) {
        for vrf in self.vrfs.clone().into_iter().chain([self.public]) {
            let entry = some_vrf(rng);
            self.put(vrf.into(), entry);
        }
    }

    /// One VRF is another's from now on.
    pub(in crate::r#gen) fn change_network(&mut self, rng: &mut Rng) {
        let (vrf, entry) = (self.any_vrf(rng), some_vrf(rng));
        self.put(vrf.into(), entry);
    }

    /// A set of sources: mostly one that has the tunnel of a remote node.
    pub(in crate::r#gen) fn some_sources(&self, rng: &mut Rng, remote: Option<usize>) -> u16 {
        match (rng.below(12), remote) {
            (0, _) => SOURCES_NOBODY,
            (1, _) => rng.below(1 << 14) as u16,
            (2..=6, Some(remote)) => set_of(remote),
            _ => SOURCES_KNOWN,
        }
    }

    /// The tunnel of the remote node that is added.
    pub(super) fn add_sources(&mut self, rng: &mut Rng, ip: u32) {
        let own = set_of(self.remotes.len());
        if !rng.one_in(8) {
            self.put_keyed(rng, TunnelSource { valid: true, set: SOURCES_KNOWN, ip });
        }
        self.put_keyed(rng, TunnelSource { valid: true, set: own, ip });
    }

    /// The node as an end point, like a pod behind vif 1.
    pub(super) fn add_node(&mut self, rng: &mut Rng) {
        let pod = Pod {
            vif: 1,
            nh: self.fresh_nh(rng),
            ip: self.ip,
            label: self.fresh_label(rng),
            vrf: self.any_vrf(rng),
        };
        let vhost: Vif = self.at(1);
        let entry = Vif {
            kind: VifKind::Vhost,
            vrf: pod.vrf,
            nh: pod.nh,
            rpf: rng.one_in(8),
            ip: if rng.one_in(8) { 0 } else { self.ip },
            ..vhost
        };
        self.put(1, entry);
        let nh = NextHop {
            valid: true,
            kind: NextHopKind::Receive,
            vif: 1,
            dmac: rng.bits() >> 16,
            smac: rng.bits() >> 16,
            ..NextHop::default()
        };
        self.put(pod.nh.into(), nh);
        let ilm = Ilm { valid: true, nh: pod.nh, key_nh: pod.nh, vrf: pod.vrf, service: false };
        self.put(pod.label, ilm);
        for vrf in self.vrfs.clone() {
            let hop = (pod.nh, None);
            self.put_host_route(rng, (vrf, pod.ip), hop, ServiceAddress::No, SOURCES_NOBODY);
        }
        self.pods.push(pod);
    }

    /// Pods with a floating IP, and what only its network leads to.
    pub(super) fn add_floating(&mut self, rng: &mut Rng) {
        let hop = |w: &Self, rng: &mut Rng| {
            let nh = rng.pick(&w.remotes).map_or(0, |r| r.nh);
            (nh, rng.below(1 << 20) as u32)
        };
        for _ in 0..3 {
            let ip = self.fresh_ip(rng, 0xcb00_0000);
            let (to, sources) = (hop(self, rng), self.some_sources(rng, None));
            let len = rng.of([31, 24, 23, 0]);
            self.prefix(rng, self.public, ip, len, to, sources);
            // The pods' own network knows it as well now and then, by a shorter or a longer prefix.
            if rng.one_in(2) {
                let (vrf, len) = (self.any_vrf(rng), rng.of([31, 24, 23, 0]));
                let to = hop(self, rng);
                self.prefix(rng, vrf, ip, len, to, sources);
            }
            self.outside.push(ip);
        }
        for pod in 0..self.pods.len() {
            if self.pods[pod].vif == 1 || !rng.one_in(2) {
                continue;
            }
            let floating = Floating {
                ip: self.fresh_ip(rng, 0xc633_0000),
                label: self.fresh_label(rng),
                pod,
                map: self.fresh_map(rng),
            };
            self.write_floating(rng, &floating, 1);
            self.floating.push(floating);
        }
    }

    /// A floating IP goes, comes back, or another mapping takes the place of its own.
    pub(in crate::r#gen) fn change_floating(&mut self, rng: &mut Rng) {
        let Some(floating) = rng.pick(&self.floating).cloned() else { return };
        let old = self.at::<FipMap>(floating.map.into());
        if old.valid && rng.one_in(3) {
            self.put(floating.map.into(), FipMap::default());
        } else {
            self.write_floating(rng, &floating, old.generation.wrapping_add(1));
        }
    }

    fn write_floating(&mut self, rng: &mut Rng, floating: &Floating, generation: u8) {
        let Floating { ip, label, pod, map } = *floating;
        let Pod { vif, nh, ip: pod_ip, vrf, .. } = self.pods[pod].clone();
        let entry = FipMap {
            valid: !rng.one_in(20),
            generation,
            pod_ip,
            pod_port: 0,
            vip: ip,
            vip_port: 0,
        };
        self.put(map.into(), entry);
        // Direction egress has no key, direction ingress does not begin anything.
        let (ingress, egress) = rng.of([(true, true), (true, true), (true, false), (false, true)]);
        if ingress {
            self.put_keyed(rng, PlainFip { valid: true, vif, ip, map });
        }
        let of: Vif = self.at(vif.into());
        let (egress_vrf, egress_map) = (self.public, map);
        self.put(vif.into(), Vif { egress, egress_vrf, egress_map, ..of });
        self.put(label, Ilm { valid: true, nh, key_nh: nh, vrf: self.public, service: false });
        for vrf in [vrf, self.public] {
            if !rng.one_in(4) {
                self.put_host_route(rng, (vrf, ip), (nh, None), ServiceAddress::No, 0);
            }
        }
    }
}

/// The set of a remote node's tunnel.
const fn set_of(remote: usize) -> u16 {
    // There are a handful.
    2 + remote as u16
}

fn some_vrf(rng: &mut Rng) -> Vrf {
    use SourceCheck::{Loose, Off, Strict, Undefined};
    Vrf {
        valid: !rng.one_in(12),
        service_net: rng.of([1, 1, 1, 2, 0, 4095]),
        source_check: rng.of([Strict, Strict, Strict, Loose, Off, Undefined(3)]),
    }
}
