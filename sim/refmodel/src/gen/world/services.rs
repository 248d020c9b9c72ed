//! Services: their groups, routes and mappings.

use penstock_abi::hash::{FIELD_ALL, FIELD_DIP, FIELD_PROTO, FIELD_SIP, FIELD_SPORT};
use penstock_abi::limits::{ECMP_GROUP_MAX, ECMP_WORDS};
use penstock_abi::table::{
    EcmpSlot, FipMap, Ilm, NextHop, NextHopKind, ServiceAddress, ServiceKey, Vrf,
};

use super::{Member, Service, Target, World};
use crate::r#gen::Rng;
use crate::wire::{ICMP, SCTP, TCP, UDP};

impl World {
    pub(super) fn add_service(&mut self, rng: &mut Rng) {
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
            local: self.fresh_nh(rng),
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
            affinity: (0, 0),
            direct: rng.one_in(6),
        };
        let n = self.services.len();
        self.services.push(service);
        let most = match rng.of([1, 2, 3, 8, 64]) {
            64 if rng.one_in(10) => ECMP_GROUP_MAX.into(),
            most => most,
        };
        let slots = (0..rng.between(1, most))
            .map(|_| (!rng.one_in(6)).then(|| self.random_member(rng, vrf)))
            .collect();
        self.services[n].slots = slots;
        if rng.one_in(2) {
            self.give_affinity(rng, n);
        }
        self.write_group(rng, n);
        self.write_route(rng, n);
    }

    /// Clients of a service are kept at their members, for some units of time or none. Few numbers, so that other services have had them.
    pub(in crate::r#gen) fn give_affinity(&mut self, rng: &mut Rng, n: usize) {
        let s = &mut self.services[n];
        s.affinity = (rng.below(8) as u16, rng.of([0, 1, 2, 3, 6, 9]));
        s.hash_fields = FIELD_SIP;
    }

    /// A remote pod that is reached over several nodes: a group in the way of replies to it.
    pub(super) fn add_shared_way(&mut self, rng: &mut Rng) {
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
            local: self.fresh_nh(rng),
            label: self.fresh_label(rng),
            slots,
            hash_fields: FIELD_ALL,
            affinity: (0, 0),
            direct: false,
        };
        self.services.push(service);
        self.write_group(rng, self.services.len() - 1);
        self.write_route(rng, self.services.len() - 1);
    }

    /// A member: mostly a pod of the service's VRF or of a remote node.
    pub(in crate::r#gen) fn random_member(&mut self, rng: &mut Rng, vrf: u16) -> Member {
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
    pub(in crate::r#gen) fn write_group(&mut self, rng: &mut Rng, n: usize) {
        let s = self.services[n].clone();
        let mut words = Vec::new();
        for (slot, member) in s.slots.iter().enumerate() {
            let Some(m) = member else {
                words.push(EcmpSlot::default());
                continue;
            };
            let (nh, label, local) = match m.target {
                Target::Local(pod) => {
                    self.ensure_mapping(rng, n, pod);
                    let local = !rng.one_in(12);
                    let other = rng.below(1 << 20) as u32;
                    let label = if local { u32::from(self.maps[&(n, pod)]) } else { other };
                    (self.pods[pod].nh, label, local)
                }
                Target::Remote(node, label) => (self.remotes[node].nh, label, rng.one_in(40)),
                Target::Odd(nh) => (nh, 0, rng.one_in(2)),
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
                local,
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
        let nh = nh.with_affinity_time(s.affinity.1);
        self.put(u32::from(s.nh), nh);
        self.write_local_group(rng, &s, &words);
    }

    /// The members here once more, for what comes by the floating IP's label.
    fn write_local_group(&mut self, rng: &mut Rng, s: &Service, words: &[EcmpSlot]) {
        let here = |word: &EcmpSlot| word.valid && word.local;
        let hole = EcmpSlot::default();
        let slots: Vec<EcmpSlot> = words.iter().map(|w| if here(w) { *w } else { hole }).collect();
        let live: Vec<EcmpSlot> = slots.iter().filter(|w| w.valid && !w.drain).copied().collect();
        let nh = NextHop {
            valid: !rng.one_in(30),
            kind: NextHopKind::Composite,
            base: self.ecmp_at,
            slots: slots.len() as u16,
            live: live.len() as u16,
            hash_fields: s.hash_fields,
            ..NextHop::default()
        };
        let nh = nh.with_affinity_time(s.affinity.1);
        for word in slots.into_iter().chain(live) {
            let at = self.ecmp_at;
            self.put(at, word);
            self.ecmp_at = (self.ecmp_at + 1) % ECMP_WORDS;
        }
        self.put(u32::from(s.local), nh);
    }

    /// Route and label of a service.
    pub(in crate::r#gen) fn write_route(&mut self, rng: &mut Rng, n: usize) {
        use ServiceAddress::{Drop, No, Reject, Undefined};
        let s = self.services[n].clone();
        let first_local = s.slots.iter().flatten().find_map(|m| match m.target {
            Target::Local(pod) => Some(self.pods[pod].nh),
            _ => None,
        });
        let nh = first_local.filter(|_| s.direct).unwrap_or(s.nh);
        let here = |m: &Member| matches!(m.target, Target::Local(_));
        let own = s.slots.iter().flatten().all(here) || rng.one_in(20);
        let sources = if own { 0 } else { self.some_sources(rng, None) };
        // A floating IP has a listener, or is a plain address in front of a group.
        let net = self.at::<Vrf>(s.vrf.into()).service_net;
        let listens = net != 0 && s.port != 0 && !rng.one_in(6);
        if listens {
            let lead = if rng.one_in(12) { rng.of([0, self.reject]) } else { nh };
            let local = if s.slots.iter().flatten().any(here) { s.local } else { 0 };
            let Service { proto, vip: ip, port, affinity: (affinity, _), .. } = s;
            let key = ServiceKey { valid: true, net, proto, ip, port, nh: lead, local, affinity };
            self.put_keyed(rng, key);
        }
        let service = match rng.of([Reject, Reject, Drop, Undefined(3)]) {
            Undefined(code) if !rng.one_in(4) => Undefined(code),
            _ if !listens && !rng.one_in(6) => No,
            other => other,
        };
        self.put_host_route(rng, (s.vrf, s.vip), (nh, None), service, sources);
        let service = listens && !rng.one_in(4);
        self.put(s.label, Ilm { valid: true, nh, key_nh: nh, vrf: s.vrf, service });
    }

    fn ensure_mapping(&mut self, rng: &mut Rng, n: usize, pod: usize) {
        if !self.maps.contains_key(&(n, pod)) {
            let map = self.fresh_map(rng);
            self.maps.insert((n, pod), map);
            self.write_mapping(rng, n, pod, rng_generation(map));
        }
    }

    /// Mapping and key of a pod that serves; seldom one of the two is missing.
    pub(in crate::r#gen) fn write_mapping(
        &mut self,
        rng: &mut Rng,
        n: usize,
        pod: usize,
        generation: u8,
    ) {
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
}

fn rng_generation(map: u16) -> u8 {
    (map % 251) as u8
}
