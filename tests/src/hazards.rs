//! Which packets must not be in flight together, because the card's order of flow look-ups and insertions would show.

use std::collections::HashMap;

use penstock_abi::table::FlowKey;
use penstock_refmodel::parse::{self, Bytes};
use penstock_refmodel::{Decision, Ingress, Learn, RefModel};

use crate::board::pair_of;

/// Where packets of a flow come from: port, and label if from the fabric.
type Origin = (Ingress, u32);

#[derive(Clone, Copy, Debug)]
struct Looked {
    origin: Origin,
    /// Several origins, or ICMP errors among them.
    mixed: bool,
}

/// Flow keys that packets in flight look up, and those that their insertions write or delete.
#[derive(Debug, Default)]
pub struct Hazards {
    looked: HashMap<FlowKey, Looked>,
    /// Key -> forward key of the insertion that touches it.
    touched: HashMap<FlowKey, FlowKey>,
    requests: usize,
}

/// Keys that the insertion asked for by a decision touches.
#[must_use]
pub fn touches(model: &RefModel, decision: &Decision) -> Vec<FlowKey> {
    match (&decision.learn, pair_of(decision)) {
        (_, Some(pair)) => model.flows().touched_by(pair),
        (Learn::ReverseRepin { key, .. }, _) => vec![*key],
        _ => Vec::new(),
    }
}

fn origin(model: &RefModel, ingress: Ingress, frame: &[u8]) -> Origin {
    let label = match ingress {
        Ingress::Fabric => parse::tunnel(frame, model.tables().vif(0).ip)
            .map_or(0, |t| Bytes(frame).u32(t.label_at) >> 12),
        Ingress::Host(_) => 0,
    };
    (ingress, label)
}

impl Hazards {
    /// Requests for insertions in flight.
    #[must_use]
    pub fn new_flows(&self) -> usize {
        self.requests
    }

    /// An insertion in flight writes or deletes this key's entry.
    #[must_use]
    pub fn is_touched(&self, key: &FlowKey) -> bool {
        self.touched.contains_key(key)
    }

    /// Nothing is in flight any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether a packet must wait until the card is idle.
    #[must_use]
    pub fn conflicts(
        &self,
        model: &RefModel,
        ingress: Ingress,
        frame: &[u8],
        decision: &Decision,
    ) -> bool {
        self.conflicts_with(origin(model, ingress, frame), decision, &touches(model, decision))
    }

    fn conflicts_with(&self, origin: Origin, decision: &Decision, touches: &[FlowKey]) -> bool {
        let Some(key) = decision.lookup else { return false };
        let mixes = decision.icmp_error
            || self.looked.get(&key).is_some_and(|l| l.mixed || l.origin != origin);
        if self.touched.get(&key).is_some_and(|owner| *owner != key || mixes) {
            return true;
        }
        touches.iter().any(|t| {
            if *t == key {
                mixes
            } else {
                self.looked.contains_key(t)
                    || self.touched.get(t).is_some_and(|owner| *owner != key)
            }
        })
    }

    /// A packet is in flight from now on.
    pub fn note(&mut self, model: &RefModel, ingress: Ingress, frame: &[u8], decision: &Decision) {
        let touches = touches(model, decision);
        self.note_touching(model, ingress, frame, decision, &touches);
    }

    /// As [`Hazards::note`], for a packet that may touch these keys.
    pub fn note_touching(
        &mut self,
        model: &RefModel,
        ingress: Ingress,
        frame: &[u8],
        decision: &Decision,
        touches: &[FlowKey],
    ) {
        let Some(key) = decision.lookup else { return };
        let origin = origin(model, ingress, frame);
        let looked = self.looked.entry(key).or_insert(Looked { origin, mixed: false });
        looked.mixed |= decision.icmp_error || looked.origin != origin;
        for t in touches {
            self.touched.insert(*t, key);
        }
        self.requests += usize::from(!touches.is_empty());
    }

    /// As [`Hazards::conflicts`], for a packet that may touch these keys.
    #[must_use]
    pub fn conflicts_touching(
        &self,
        model: &RefModel,
        ingress: Ingress,
        frame: &[u8],
        decision: &Decision,
        touches: &[FlowKey],
    ) -> bool {
        self.conflicts_with(origin(model, ingress, frame), decision, touches)
    }
}
