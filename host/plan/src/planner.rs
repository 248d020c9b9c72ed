//! Makes the plan: compares, allocates, and keeps writes in the phase they belong to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use penstock_abi::table::{
    EcmpSlot, FipKey, FipMap, HostRoute, Ilm, NextHop, NextHopKind, Prefix, TableEntry, Vif,
};
use penstock_abi::{hash, limits};
use penstock_compile::{Desired, Group, Hop, NextHopKey, RouteTarget};
use penstock_model::{MplsLabel, VrfId};
use penstock_tables::{Op, Tables};

use crate::buckets::Buckets;
use crate::group::{self, Identity, OldSlot, Otherwise};
use crate::ring::RingSpace;
use crate::{Plan, PlanError, words};

mod common;
mod departed;
mod mappings;
mod routes;
mod sweep;

pub(crate) use common::common;
pub(crate) use departed::Departed;

/// The plan from `achieved` to `desired`, new before old. Fails if there is no room for both at once.
pub(crate) fn plan(
    desired: &Desired,
    achieved: &Tables,
    departed: Departed,
) -> Result<Plan, PlanError> {
    let mut planner = Planner::new(achieved, departed);
    planner.sweep_strays();
    planner.next_hops(desired)?;
    planner.vifs(desired)?;
    planner.mappings(desired)?;
    planner.routes(desired)?;
    planner.labels(desired)?;
    planner.prefixes(desired)?;
    planner.sweep(desired);
    planner.end_round();
    Ok(Plan { ops: planner.ops })
}

/// A composite next hop that a route of the card points to.
#[derive(Clone, Copy, Debug)]
struct Composite {
    id: u16,
    base: u32,
    slots: u32,
    live: u32,
    hash_fields: u8,
}

impl Composite {
    fn words(&self) -> u32 {
        self.slots + self.live
    }
}

struct Planner<'a> {
    achieved: &'a Tables,
    departed: Departed,
    /// Steps of the rounds that are over.
    ops: Vec<Op>,
    /// Writes of what nothing points to yet.
    make: Vec<Op>,
    /// Writes of the words that point.
    point: Vec<Op>,
    /// Removal of pointers, after a fence.
    unpoint: Vec<Op>,
    /// Removal of objects, after another.
    unmake: Vec<Op>,
    /// Ring ranges that `unmake` frees.
    freed: Vec<(u32, u32)>,

    /// Ids of next hops, new ones included.
    ids: HashMap<NextHopKey, u16>,
    /// Ids that must not be given to a new next hop, and the lowest id that may be free.
    taken: HashSet<u16>,
    next_id: u32,
    /// Ids that are in use when the plan is done.
    kept: HashSet<u16>,
    ring: RingSpace,
    routes: Buckets<HostRoute>,
    fip: Buckets<FipKey>,
    /// Mappings that are not wanted any more and stay, and the marks of all backends.
    staying: BTreeMap<penstock_compile::FipKey, penstock_compile::FipTarget>,
    marks: BTreeSet<penstock_compile::FipKey>,
    /// (VRF, next hop id, label) -> the one pod that a route of the card reaches so; none if there are several.
    pods: HashMap<(u16, u16, u32), Option<Ipv4Addr>>,
}

impl<'a> Planner<'a> {
    fn new(achieved: &'a Tables, departed: Departed) -> Self {
        let mut ids = HashMap::new();
        for (id, word) in achieved.of::<NextHop>().iter() {
            if let (true, Some(key)) = (word.valid, words::next_hop_key(word)) {
                // Ids of the table fit 16 bits.
                ids.entry(key).or_insert(id as u16);
            }
        }
        ids.insert(NextHopKey::Discard, 0);
        let composites = achieved.of::<NextHop>().values().filter(|nh| is_composite(nh));
        let ring = RingSpace::new(
            composites.map(|nh| (nh.base, u32::from(nh.slots) + u32::from(nh.live))),
        );
        let mut pods = HashMap::new();
        for route in achieved.of::<HostRoute>().values().filter(|route| route.valid) {
            pods.entry((route.vrf, route.nh, route_label(route)))
                .and_modify(|pod| *pod = None)
                .or_insert(Some(route.ip.into()));
        }
        let routes = achieved.of::<HostRoute>().iter().filter(|(_, r)| r.valid);
        let routes = routes.map(|(i, r)| (i, hash::host_route_key(r.vrf, r.ip), *r));
        let fip = achieved.of::<FipKey>().iter().filter(|(_, k)| k.valid);
        let fip = fip.map(|(i, k)| (i, hash::fip_key(k.vif, k.proto, k.ip, k.port), *k));
        Self {
            achieved,
            departed,
            ops: Vec::new(),
            make: Vec::new(),
            point: Vec::new(),
            unpoint: Vec::new(),
            unmake: Vec::new(),
            freed: Vec::new(),
            ids,
            taken: achieved.of::<NextHop>().indices().map(|id| id as u16).collect(),
            next_id: 1,
            kept: HashSet::from([0]),
            ring,
            routes: Buckets::new(limits::HOST_ROUTE_ROWS_LOG2, routes),
            fip: Buckets::new(limits::FIP_KEY_ROWS_LOG2, fip),
            staying: BTreeMap::new(),
            marks: BTreeSet::new(),
            pods,
        }
    }

    /// Puts the phases of a round in order, and gives free what it freed.
    fn end_round(&mut self) {
        self.ops.append(&mut self.make);
        self.ops.append(&mut self.point);
        for phase in [&mut self.unpoint, &mut self.unmake] {
            if !phase.is_empty() {
                // Nothing is under way yet when nothing was written.
                if !self.ops.is_empty() {
                    self.ops.push(Op::Fence);
                }
                self.ops.append(phase);
            }
        }
        for (base, len) in self.freed.drain(..) {
            self.ring.release(base, len);
        }
    }

    /// Index of word `n` of the group at `base`.
    fn ring_index(&self, base: u32, n: u32) -> u32 {
        self.achieved.shape().ring_index(base, n)
    }

    fn next_hops(&mut self, desired: &Desired) -> Result<(), PlanError> {
        for (&key, spec) in &desired.next_hops {
            let word = words::next_hop(key, spec);
            word.check()?;
            let id = match self.ids.get(&key) {
                Some(&id) => id,
                None => self.new_id(desired)?,
            };
            self.ids.insert(key, id);
            self.kept.insert(id);
            if self.achieved.get::<NextHop>(id.into()) != Some(&word) {
                self.make.push(Op::write(id.into(), word));
            }
        }
        Ok(())
    }

    /// An id that nothing uses, not even what this plan removes.
    fn new_id(&mut self, desired: &Desired) -> Result<u16, PlanError> {
        while self.next_id < limits::NEXT_HOPS {
            let id = self.next_id as u16;
            self.next_id += 1;
            if self.taken.insert(id) {
                return Ok(id);
            }
        }
        let groups = desired.routes.values().filter(|t| matches!(t, RouteTarget::Group(_))).count();
        Err(PlanError::TableFull {
            table: "NextHop",
            needed: desired.next_hops.len() + groups,
            capacity: limits::NEXT_HOPS as usize,
        })
    }

    /// The id of a compiled next hop; `who` refers to it.
    fn id(&self, key: NextHopKey, who: impl FnOnce() -> String) -> Result<u16, PlanError> {
        let id = self.ids.get(&key).filter(|id| self.kept.contains(id));
        id.copied().ok_or_else(|| PlanError::Dangling(who()))
    }

    fn vifs(&mut self, desired: &Desired) -> Result<(), PlanError> {
        for (&vif, entry) in &desired.vifs {
            let word = words::vif(entry, self.id(entry.next_hop, || format!("vif {vif}"))?);
            word.check()?;
            let index = u32::from(vif.0);
            if self.achieved.get::<Vif>(index) != Some(&word) {
                self.make.push(Op::write(index, word));
            }
        }
        Ok(())
    }

    fn labels(&mut self, desired: &Desired) -> Result<(), PlanError> {
        for (&label, entry) in &desired.labels {
            let word = words::label(entry, self.id(entry.next_hop, || format!("label {label}"))?);
            word.check()?;
            if self.achieved.get::<Ilm>(label.0) != Some(&word) {
                self.point.push(Op::write(label.0, word));
            }
        }
        Ok(())
    }

    fn prefixes(&mut self, desired: &Desired) -> Result<(), PlanError> {
        let mut places: HashMap<(u16, u32, u8), u32> = HashMap::new();
        for (index, word) in self.achieved.of::<Prefix>().iter().filter(|(_, word)| word.valid) {
            places.entry((word.vrf, word.ip, word.len)).or_insert(index);
        }
        let mut free =
            (0..limits::PREFIXES).filter(|&index| !self.achieved.of::<Prefix>().contains(index));
        for (&(vrf, prefix), hop) in &desired.prefixes {
            let nh = self.id(hop.next_hop, || format!("prefix {prefix} of VRF {vrf}"))?;
            let (label, label_valid) = label_fields(hop.label);
            let (ip, len) = (u32::from(prefix.network().address), prefix.len);
            let word = Prefix { valid: true, vrf: vrf.0, ip, len, nh, label, label_valid };
            word.check()?;
            let index = places.get(&(vrf.0, ip, len)).copied().or_else(|| free.next());
            let Some(index) = index else {
                return Err(PlanError::TableFull {
                    table: "Prefix",
                    needed: desired.prefixes.len(),
                    capacity: limits::PREFIXES as usize,
                });
            };
            if self.achieved.get::<Prefix>(index) != Some(&word) {
                self.point.push(Op::write(index, word));
            }
        }
        Ok(())
    }
}

fn is_composite(word: &NextHop) -> bool {
    word.valid && word.kind == NextHopKind::Composite
}

fn label_fields(label: Option<MplsLabel>) -> (u32, bool) {
    label.map_or((0, false), |label| (label.0, true))
}

/// The label of a route, 0 for none: no valid label is 0.
fn route_label(route: &HostRoute) -> u32 {
    if route.label_valid { route.label } else { 0 }
}
