//! Packets that disturb connections: clashes, strangers, replies that lost their flow.

use super::traffic::{Entry, Seen, Tuple};
use super::world::{Member, Service, Target};
use super::{Traffic, World};
use crate::parse;
use crate::verdict::Ingress;
use crate::wire::{ACK, ICMP, RST, SCTP, TCP, UDP};

impl Traffic {
    /// A connection whose replies are those of one that was seen.
    pub(super) fn clash(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        if let Some(s) = self.doomed.take() {
            let (entry, tuple) = self.other_address(world, &s).unwrap_or((s.entry, s.tuple));
            return self.packet_of(world, entry, tuple, None);
        }
        let s = self.pick_seen();
        if s.tuple.proto == TCP && self.rng.one_in(2) {
            self.flags = Some(RST | ACK);
            self.doomed = Some(s.clone());
            return self.packet_of(world, s.entry, s.tuple, None);
        }
        let other = match self.rng.below(3) {
            0 => self.elsewhere(world, &s),
            _ => self.other_address(world, &s),
        };
        let (entry, tuple) = other.unwrap_or((s.entry, s.tuple));
        self.packet_of(world, entry, tuple, None)
    }

    /// The same client and port straight to the pod, or by a service of the pod.
    fn other_address(&mut self, world: &World, s: &Seen) -> Option<(Entry, Tuple)> {
        let out = parse::ipv4(&s.out, 0).ok()?;
        let (n, pod) = world.pods.iter().enumerate().find(|(_, p)| p.ip == out.dip)?;
        let mut ways = vec![(pod.ip, out.key.dport, pod.label)];
        for (at, service) in world.services.iter().enumerate() {
            let port_fits = service.target_port == out.key.dport
                || (matches!(out.proto, SCTP) && service.port == out.key.dport);
            if world.maps.contains_key(&(at, n)) && service.proto == out.proto && port_fits {
                ways.push((service.vip, service.port, service.label));
            }
        }
        ways.retain(|w| w.0 != s.tuple.dip || w.1 != s.tuple.dport);
        let (dip, dport, label) = self.rng.pick(&ways).copied()?;
        let entry = match s.entry {
            Entry::Label(_, node) => Entry::Label(label, node),
            pod => pod,
        };
        Some((entry, Tuple { dip, dport, ..s.tuple }))
    }

    /// The same packet from this node instead of another, or the other way round.
    fn elsewhere(&mut self, world: &World, s: &Seen) -> Option<(Entry, Tuple)> {
        let to = world.pods.iter().find(|p| p.ip == s.tuple.dip)?;
        let entry = match s.entry {
            Entry::Pod(_) => Entry::Label(to.label, self.rng.pick(&world.remotes)?.ip),
            Entry::Label(..) => {
                Entry::Pod(self.rng.pick(&world.pods).filter(|p| p.vrf == to.vrf)?.vif)
            }
        };
        Some((entry, s.tuple))
    }

    /// A packet of a known flow, or of its replies, by another tunnel.
    pub(super) fn stranger(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let s = self.pick_seen();
        let Ok(ip) = parse::ipv4(&s.out, 0) else { return self.fresh(world) };
        let node = self.rng.pick(&world.remotes).map_or(1, |r| r.ip);
        let reply = Tuple {
            proto: ip.proto,
            sip: ip.dip,
            dip: ip.sip,
            sport: if ip.l4 == parse::L4::Echo { ip.key.sport } else { ip.key.dport },
            dport: if ip.l4 == parse::L4::Echo { 0 } else { ip.key.sport },
        };
        match (s.entry, s.back) {
            (Entry::Label(label, _), _) => {
                self.packet_of(world, Entry::Label(label, node), s.tuple, None)
            }
            (_, Entry::Label(label, _)) => {
                self.packet_of(world, Entry::Label(label, node), reply, None)
            }
            _ => self.fresh(world),
        }
    }

    /// A backend's packet from a port that it serves, to somebody who has not asked, or its ICMP error about one that it never got.
    pub(super) fn orphan(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let all: Vec<(usize, usize)> = world.maps.keys().copied().collect();
        let Some(&(n, pod)) = self.rng.pick(&all) else { return self.fresh(world) };
        let (service, pod) = (&world.services[n], &world.pods[pod]);
        let far = world.remotes.iter().flat_map(|r| r.pods.iter().copied());
        let near = world.pods.iter().map(|p| p.ip);
        let dip = self.rng.pick(&far.chain(near).collect::<Vec<_>>()).copied().unwrap_or(1);
        let ports = matches!(service.proto, TCP | UDP | SCTP);
        let tuple = Tuple {
            proto: service.proto,
            sip: pod.ip,
            dip,
            sport: if ports { service.target_port } else { 7 },
            dport: if ports { self.rng.between(1024, 1024 + 4000) as u16 } else { 0 },
        };
        if self.rng.one_in(4) {
            let (sip, sport, dport) = (tuple.dip, tuple.dport, tuple.sport);
            let about = Tuple { sip, dip: tuple.sip, sport, dport, ..tuple };
            return self.icmp_error_about(world, Entry::Pod(pod.vif), about);
        }
        // The request comes after all, by the service.
        let client = world.pods.iter().find(|p| p.ip == dip).map(|p| Entry::Pod(p.vif));
        let node = || world.remotes.iter().find(|r| r.pods.contains(&dip));
        let entry = client.or_else(|| Some(Entry::Label(service.label, node()?.ip)));
        self.answered = entry.map(|e| (e, answered(&tuple, service)));
        self.packet_of(world, Entry::Pod(pod.vif), tuple, None)
    }

    /// What pretends to be the reply of a service's member elsewhere, before its client here has asked. One here may serve it, too.
    pub(super) fn early_reply(&mut self, world: &World) -> (Ingress, Vec<u8>) {
        let here = |m: &Member| matches!(m.target, Target::Local(_));
        let some_here = |s: &&Service| {
            let mut members = s.slots.iter().flatten();
            members.clone().any(here) && !members.all(here)
        };
        let services: Vec<&Service> = world.services.iter().filter(some_here).collect();
        let Some(&service) = self.rng.pick(&services) else { return self.fresh(world) };
        let clients: Vec<_> = world.pods.iter().filter(|p| p.vrf == service.vrf).collect();
        let (client, node) = (self.rng.pick(&clients).copied(), self.rng.pick(&world.remotes));
        let (Some(client), Some(node)) = (client, node) else { return self.fresh(world) };
        let ports = service.proto != ICMP;
        let tuple = Tuple {
            proto: service.proto,
            sip: service.vip,
            dip: client.ip,
            sport: if ports { service.port } else { 7 },
            dport: if ports { self.rng.between(1024, 1024 + 4000) as u16 } else { 0 },
        };
        self.answered = Some((Entry::Pod(client.vif), answered(&tuple, service)));
        self.packet_of(world, Entry::Label(client.label, node.ip), tuple, None)
    }
}

/// The request to a service to which this is a reply.
fn answered(reply: &Tuple, service: &Service) -> Tuple {
    let (sport, dport) = match reply.proto {
        ICMP => (reply.sport, 0),
        _ => (reply.dport, service.port),
    };
    Tuple { proto: reply.proto, sip: reply.dip, dip: service.vip, sport, dport }
}
