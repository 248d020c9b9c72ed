//! How a random node changes: what a host would do to its tables, in the order of section 10.

use penstock_abi::limits::ECMP_GROUP_MAX;
use penstock_abi::table::{FipMap, Vif, VifKind};

use super::{Member, Rng, World};

impl World {
    /// One random change; what it writes is returned in order. Objects that are pointed to are written first.
    pub fn change(&mut self, rng: &mut Rng) -> Vec<super::Write> {
        self.writes.clear();
        let mut n = rng.below(self.services.len() as u64) as usize;
        // Often one that keeps its clients: they come again before their time is out.
        let keep: Vec<usize> =
            (0..self.services.len()).filter(|n| self.services[*n].affinity.0 != 0).collect();
        if rng.one_in(2) {
            n = rng.pick(&keep).copied().unwrap_or(n);
        }
        match rng.below(20) {
            0..=3 => self.change_group(rng, n),
            4 => {
                self.services[n].direct = !self.services[n].direct;
                self.write_route(rng, n);
            }
            5 | 6 => self.replace_mapping(rng),
            7 => self.flip_vif(rng),
            8 => self.move_route(rng, n),
            9 => {
                self.services[n].hash_fields = rng.below(32) as u8;
                self.write_group(rng, n);
            }
            10..=13 => self.drain_half(rng, n),
            17 => self.replace_half(rng, n),
            18 => self.change_network(rng),
            14 | 15 => self.change_floating(rng),
            16 => {
                self.give_affinity(rng, n);
                self.write_group(rng, n);
                self.write_route(rng, n);
            }
            _ => self.change_group(rng, n),
        }
        self.take_writes()
    }

    /// About half of a group's members drain, or all of them; the others take new flows.
    fn drain_half(&mut self, rng: &mut Rng, n: usize) {
        let all = rng.one_in(4);
        for m in self.services[n].slots.iter_mut().flatten() {
            m.drain = all || rng.one_in(2);
            m.evict_udp = m.drain && !rng.one_in(4);
        }
        self.write_group(rng, n);
    }

    /// About half of a group's slots are others' from now on, or nobody's.
    fn replace_half(&mut self, rng: &mut Rng, n: usize) {
        let vrf = self.services[n].vrf;
        for slot in 0..self.services[n].slots.len() {
            if rng.one_in(2) {
                let member = Member { drain: false, ..self.random_member(rng, vrf) };
                let old = self.services[n].slots[slot].take();
                let generation = old.map_or(0, |m| m.generation.wrapping_add(1));
                let new = (!rng.one_in(4)).then_some(Member { generation, ..member });
                self.services[n].slots[slot] = new;
            }
        }
        self.write_group(rng, n);
    }

    /// Members come, drain, go and come back, each keeping its slot; the group is written anew.
    fn change_group(&mut self, rng: &mut Rng, n: usize) {
        let vrf = self.services[n].vrf;
        for _ in 0..rng.between(1, 3) {
            let count = self.services[n].slots.len();
            let slot = rng.below(count as u64) as usize;
            let newcomer = self.random_member(rng, vrf);
            let slots = &mut self.services[n].slots;
            match rng.below(4) {
                0 if count < ECMP_GROUP_MAX as usize => slots.push(Some(newcomer)),
                1 => {
                    if let Some(m) = &mut slots[slot] {
                        m.drain = !m.drain;
                        m.evict_udp = m.drain && rng.one_in(2);
                    }
                }
                2 => {
                    // A hole that is filled again gets the next generation.
                    slots[slot] = match slots[slot].take() {
                        Some(_) => None,
                        None => Some(newcomer),
                    };
                }
                _ => {
                    let generation =
                        slots[slot].as_ref().map_or(0, |m| m.generation.wrapping_add(1));
                    slots[slot] = Some(Member { generation, ..newcomer });
                }
            }
        }
        self.write_group(rng, n);
        if rng.one_in(4) {
            self.write_route(rng, n);
        }
    }

    /// A mapping goes, or another takes its place under the next generation.
    fn replace_mapping(&mut self, rng: &mut Rng) {
        let all: Vec<((usize, usize), u16)> = self.maps.iter().map(|(&k, &m)| (k, m)).collect();
        let Some(&((n, pod), map)) = rng.pick(&all) else { return };
        let old = self.at::<FipMap>(map.into());
        if rng.one_in(3) {
            self.put(map.into(), FipMap::default());
            return;
        }
        if rng.one_in(2) {
            self.services[n].target_port = rng.between(1, 65535) as u16;
        }
        self.write_mapping(rng, n, pod, old.generation.wrapping_add(1));
    }

    /// A pod's vif goes down, comes back, or changes what it checks.
    fn flip_vif(&mut self, rng: &mut Rng) {
        let Some(pod) = rng.pick(&self.pods).cloned() else { return };
        let index = u32::from(pod.vif);
        let mut vif: Vif = self.at(index);
        if vif.valid && rng.one_in(2) {
            vif.rpf = !vif.rpf;
            vif.learn = super::world::learn_policy(rng);
        } else {
            let kind = if pod.vif == 1 { VifKind::Vhost } else { VifKind::Virtual };
            vif = Vif {
                valid: !vif.valid,
                kind,
                vrf: pod.vrf,
                nh: pod.nh,
                ip: pod.ip,
                ..Vif::default()
            };
        }
        self.put(index, vif);
    }

    /// The service's address is suddenly elsewhere: another pod, another node, or back with the group.
    fn move_route(&mut self, rng: &mut Rng, n: usize) {
        let (vrf, vip, group) = (self.services[n].vrf, self.services[n].vip, self.services[n].nh);
        let local: Vec<u16> = self.pods.iter().filter(|p| p.vrf == vrf).map(|p| p.nh).collect();
        let remote: Vec<u16> = self.remotes.iter().map(|r| r.nh).collect();
        let label = Some(rng.below(1 << 20) as u32);
        match rng.below(3) {
            0 => {
                if let Some(&nh) = rng.pick(&local) {
                    self.host_route(rng, vrf, vip, nh, None);
                }
            }
            1 => {
                if let Some(&nh) = rng.pick(&remote) {
                    self.host_route(rng, vrf, vip, nh, label);
                }
            }
            _ => self.host_route(rng, vrf, vip, group, None),
        }
    }
}
