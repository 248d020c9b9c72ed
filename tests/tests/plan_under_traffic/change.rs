//! A plan, and what may become of a packet while it is executed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use penstock_compile::{Desired, FipKey, Hop, NextHopKey, RouteTarget, ServiceKey};
use penstock_model::Protocol;
use penstock_refmodel::RefModel;
use penstock_tables::{Entry, Op};

use crate::probe::{Connection, Fate, Probe};
use crate::world::{TCP_PORT, UDP_PORT, VRF, vip};

pub(crate) fn write(model: &mut RefModel, op: &Op) {
    if let Op::Write { index, entry } = op {
        assert!(model.write(entry.table(), *index, &entry.pack()), "{op:?} is refused");
    }
}

/// Parts of a plan that packets can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Mappings and their keys.
    Coming,
    /// Those that go (a key is cleared, a mapping is a tombstone), which they do later.
    Going,
    /// Vifs, which are rewritten in place.
    Vif,
    /// All else.
    Route,
}

fn port_of(protocol: Protocol) -> u16 {
    if protocol == Protocol::Udp { UDP_PORT } else { TCP_PORT }
}

/// Where a listener leads.
fn target(desired: &Desired, n: u8, protocol: Protocol) -> Option<&RouteTarget> {
    let key = ServiceKey { address: vip(n), net: VRF.0, protocol, port: port_of(protocol) };
    desired.listeners.get(&key).map(|entry| &entry.target)
}

/// A plan, and what it is for.
pub(crate) struct Change<'a> {
    pub(crate) old: &'a Desired,
    pub(crate) new: &'a Desired,
    pub(crate) refused: &'a BTreeSet<IpAddr>,
    /// There is room for everything, and no number is given away at once.
    pub(crate) smooth: bool,
    pub(crate) ops: &'a [Op],
}

impl Change<'_> {
    /// What the card may be, as far as packets can tell: first as it was, last as it will be.
    pub(crate) fn states(&self, model: &RefModel) -> Vec<RefModel> {
        let part = |op: &Op| match op {
            Op::Write { entry: Entry::FipKey(key), .. } if key.valid => Part::Coming,
            Op::Write { entry: Entry::FipMap(map), .. } if map.pod_ip != 0 => Part::Coming,
            Op::Write { entry: Entry::FipKey(_) | Entry::FipMap(_), .. } => Part::Going,
            Op::Write { entry: Entry::Vif(_), .. } => Part::Vif,
            _ => Part::Route,
        };
        let state = |done: &[Part]| {
            let mut state = model.clone();
            let ops = self.ops.iter().filter(|op| done.contains(&part(op)));
            ops.for_each(|op| write(&mut state, op));
            state
        };
        use Part::{Coming, Going, Route, Vif};
        if !self.smooth {
            let all = [Coming, Going, Route, Vif];
            let chosen = |n: usize| {
                let parts = all.into_iter().enumerate().filter(|(at, _)| n >> at & 1 == 1);
                parts.map(|(_, part)| part).collect::<Vec<_>>()
            };
            return (0..16).map(|n| state(&chosen(n))).collect();
        }
        vec![
            state(&[]),
            state(&[Coming]),
            state(&[Coming, Going]),
            state(&[Coming, Vif, Route]),
            state(&[Coming, Vif, Route, Going]),
        ]
    }

    /// New connections go to somebody who is wanted there.
    pub(crate) fn judge_new(&self, probe: &Probe, fate: &Fate) -> Result<(), String> {
        let Some((n, protocol)) = probe.to.filter(|_| probe.opens) else { return Ok(()) };
        // What has no room keeps what it had.
        if self.refused.contains(&vip(n)) {
            return Ok(());
        }
        match (target(self.new, n, protocol), fate.hop()) {
            (Some(RouteTarget::Group(_)), Some(hop)) if !self.is_wanted(n, protocol, hop) => {
                Err(format!("in the end, {} goes to {hop:?}, who is not wanted", probe.what))
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody takes new connections to a floating IP in the end.
    fn is_wanted(&self, n: u8, protocol: Protocol, hop: Hop) -> bool {
        match target(self.new, n, protocol) {
            Some(RouteTarget::Group(group)) => {
                group.members.iter().any(|member| member.hop == hop && !member.draining)
            }
            _ => false,
        }
    }

    /// Whether this may become of a packet for a moment. A group that makes room for another is changed twice: then it may be anybody
    /// who is wanted.
    pub(crate) fn between(&self, probe: &Probe, fate: &Fate) -> bool {
        let wanted = probe.to.zip(fate.hop());
        let wanted = wanted.is_some_and(|((n, protocol), hop)| self.is_wanted(n, protocol, hop));
        !self.smooth && (wanted || *fate == Fate::Dropped)
    }

    /// Whether a connection has to stay with its backend.
    pub(crate) fn stays(&self, connection: &Connection) -> bool {
        let Connection { vip: n, protocol, hop, pod, .. } = *connection;
        let reached =
            |desired: &Desired| desired.routes.get(&(VRF, pod)) == Some(&RouteTarget::Hop(hop));
        let port = port_of(protocol);
        let served = self.new.services.get(&vip(n));
        let served = served.is_some_and(|ports| ports.contains(&(protocol, port)));
        // Who is not wanted any more gives up UDP, and a mapping that is not wanted ends what it translated.
        let member = match target(self.new, n, protocol) {
            Some(RouteTarget::Group(group)) => group.members.iter().any(|member| member.hop == hop),
            _ => false,
        };
        let mapped = match hop.next_hop {
            NextHopKey::Encap(vif) => {
                let key = FipKey { vif, protocol, address: vip(n), port };
                let target = |desired: &Desired| desired.fip.get(&key).copied();
                target(self.new).is_some() && target(self.new) == target(self.old)
            }
            _ => true,
        };
        // Who departed goes for want of room.
        let keeps = member || protocol == Protocol::Tcp && self.smooth;
        let placed = !self.refused.contains(&vip(n));
        placed && reached(self.old) && reached(self.new) && served && mapped && keeps
    }
}
