//! The insertion unit (section 9.2): requests executed one at a time. That a key may find no room is not modelled.

use penstock_abi::hash::flow_key;
use penstock_abi::ring::FlowEnd;
use penstock_abi::table::{Flow, FlowKey, NextHopKind, TCP_ESTABLISHED};

use crate::admit::gives_way;
use crate::events::What;
use crate::fault::Fault;
use crate::flows::{FlowTable, Pair, key_of};
use crate::tables::Tables;
use crate::verdict::Learn;

/// What the execution of a request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The forward key is new.
    Learned,
    /// The forward key was present and its entry is rewritten.
    Repinned,
    /// An entry of the reply direction has another member.
    ReverseRepinned,
    /// An entry has another tunnel.
    Moved,
    /// A dead pair is gone.
    Deleted,
    /// Nothing.
    Unchanged,
    /// No pair is free: nothing.
    Full,
}

/// What the packet brought that asked for a pair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrived {
    /// Bytes of its frame.
    pub frame_bytes: usize,
    /// TCP flags byte, if it is TCP.
    pub tcp_flags: Option<u8>,
}

impl FlowTable {
    /// Executes one request; `None` if there is none.
    pub fn execute(
        &mut self,
        tables: &Tables,
        request: &Learn,
        arrived: Arrived,
    ) -> Option<Inserted> {
        self.execute_with(tables, request, arrived, None)
    }

    /// As [`FlowTable::execute`], breaking a rule.
    pub(crate) fn execute_with(
        &mut self,
        tables: &Tables,
        request: &Learn,
        arrived: Arrived,
        fault: Option<Fault>,
    ) -> Option<Inserted> {
        match request {
            Learn::No => None,
            Learn::New(pair) | Learn::Replace(pair) | Learn::Repin(pair) => {
                Some(self.insert(pair, request, arrived, fault))
            }
            Learn::ReverseRepin { key, slot, generation } => Some(match self.entry_mut(key) {
                Some(f) if f.reverse => {
                    let was = *f;
                    pin(f, *slot, *generation);
                    if *f != was {
                        self.tell(key, What::Repinned, fault);
                    }
                    Inserted::ReverseRepinned
                }
                _ => Inserted::Unchanged,
            }),
            Learn::Move { key, outer_sip, service, nh } => {
                let to = Tunnel { outer_sip: *outer_sip, service: *service, nh: *nh };
                Some(self.move_to(tables, key, to, fault))
            }
            Learn::DeadPair { key } => {
                let dead = self.get(key).is_some_and(|f| self.is_dead(tables, f));
                if dead {
                    self.end_key(key, FlowEnd::Dead, fault);
                }
                Some(if dead { Inserted::Deleted } else { Inserted::Unchanged })
            }
        }
    }

    /// Keys whose entries the execution of a request may write or delete, in the order of keys.
    #[must_use]
    pub fn touched_by(&self, request: &Learn) -> Vec<FlowKey> {
        let mut keys = match request {
            Learn::No => Vec::new(),
            Learn::New(pair) | Learn::Replace(pair) | Learn::Repin(pair) => {
                let keys = [key_of(&pair.forward), key_of(&pair.reverse)];
                if matches!(request, Learn::Repin(_)) && self.holds_already(pair) {
                    return vec![keys[0]];
                }
                keys.to_vec()
            }
            Learn::ReverseRepin { key, .. } => return vec![*key],
            Learn::Move { key, .. } | Learn::DeadPair { key } => vec![*key],
        };
        let partners: Vec<FlowKey> =
            keys.iter().filter_map(|k| self.partner(self.get(k)?)).map(key_of).collect();
        keys.extend(partners);
        keys.sort_by_key(flow_key);
        keys.dedup();
        keys
    }

    /// An entry that is equal to the forward one in all that matters is there.
    fn holds_already(&self, pair: &Pair) -> bool {
        let strip = |f: &Flow| Flow { generation: 0, pair: 0, src_info: 0, ..*f };
        self.get(&key_of(&pair.forward)).is_some_and(|old| strip(old) == strip(&pair.forward))
    }

    fn insert(
        &mut self,
        pair: &Pair,
        request: &Learn,
        arrived: Arrived,
        fault: Option<Fault>,
    ) -> Inserted {
        let (fkey, rkey) = (key_of(&pair.forward), key_of(&pair.reverse));
        let old = self.get(&fkey).copied();
        let old_partner = old.and_then(|f| self.partner(&f)).copied();
        // Step 1.
        match old {
            Some(_) if matches!(request, Learn::New(_)) => return Inserted::Unchanged,
            Some(_) if matches!(request, Learn::Repin(_)) && self.holds_already(pair) => {
                return Inserted::Unchanged;
            }
            _ => {}
        }
        if let Some(other) =
            self.get(&rkey).filter(|_| old_partner.map(|p| key_of(&p)) != Some(rkey))
        {
            if !gives_way(self, other, pair) {
                return Inserted::Unchanged;
            }
            self.end_key(&rkey, FlowEnd::Replaced, fault);
        }
        // Step 4: the pair stays if only what it says changes; any other is gone, and a new one comes.
        let kept = old.filter(|f| matches!(request, Learn::Repin(_)) && !f.reverse);
        if old.is_some() && kept.is_none() {
            self.end_key(&fkey, FlowEnd::Replaced, fault);
        }
        for key in [old, old_partner].into_iter().flatten().map(|f| key_of(&f)) {
            self.remove(&key);
        }
        // Step 3.
        let Some(number) = kept.map(|f| f.pair).or_else(|| self.free_pair()) else {
            return Inserted::Full;
        };
        // Step 5.
        let reverse = Flow { pair: number, generation: self.restart(number, true), ..pair.reverse };
        self.put(reverse);
        let generation = kept.map_or_else(|| self.restart(number, false), |f| f.generation);
        self.put(Flow { pair: number, generation, ..pair.forward });
        if kept.is_none() {
            self.shares.begin(number, pair.shares);
            self.count(&fkey, arrived.frame_bytes, arrived.tcp_flags);
        }
        let made = kept.is_none() || fault == Some(Fault::RepinnedIsMade);
        self.tell(&fkey, if made { What::Made } else { What::Repinned }, fault);
        if old.is_some() { Inserted::Repinned } else { Inserted::Learned }
    }

    fn move_to(
        &mut self,
        tables: &Tables,
        key: &FlowKey,
        to: Tunnel,
        fault: Option<Fault>,
    ) -> Inserted {
        let Tunnel { outer_sip, service, nh } = to;
        let leads_there = |id: u16| {
            tables.next_hop(id).is_some_and(|n| n.kind == NextHopKind::Tunnel && n.dip == outer_sip)
        };
        let partner = self.get(key).and_then(|f| self.partner(f)).map(key_of);
        // An established connection is where its member is: what comes from another is not of it.
        let established =
            partner.and_then(|k| self.stats(&k)).is_some_and(|s| s.tcp & TCP_ESTABLISHED != 0);
        let stays = match fault {
            Some(Fault::EstablishedMoves) => false,
            Some(Fault::GatewayPinned) => established,
            _ => established && service,
        };
        let group = tables.next_hop(nh).filter(|n| n.kind == NextHopKind::Composite && !stays);
        let member = group.and_then(|group| {
            (0..group.slots).find_map(|slot| {
                let w = tables.ecmp(group.base, u32::from(slot));
                (w.valid && leads_there(w.nh)).then_some((slot, w.generation))
            })
        });
        let by_route = member.is_some() || leads_there(nh);
        let moves = match fault {
            Some(Fault::MovesByRouteOnly | Fault::GatewayPinned) => by_route,
            _ => !service || member.is_some(),
        };
        let Some(flow) = self.entry_mut(key).filter(|_| moves) else {
            return Inserted::Unchanged;
        };
        flow.src_info = outer_sip;
        let number = flow.pair;
        if let Some((slot, generation)) = member
            && let Some(p) = partner.and_then(|k| self.entry_mut(&k))
        {
            pin(p, slot, generation);
        }
        if fault == Some(Fault::MovesTakeTheirShare) {
            self.shares.shift(number, outer_sip);
        }
        if fault != Some(Fault::MovesAreSilent) {
            self.tell(key, What::Repinned, fault);
        }
        Inserted::Moved
    }
}

/// By what a flow's packets come from now on, and where that is looked for.
#[derive(Clone, Copy)]
struct Tunnel {
    outer_sip: u32,
    service: bool,
    nh: u16,
}

fn pin(flow: &mut Flow, slot: u16, generation: u8) {
    (flow.ecmp_valid, flow.ecmp_slot, flow.ecmp_generation) = (true, slot, generation);
}
