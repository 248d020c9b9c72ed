//! Shares of the flow table (`docs/datapath.md`, section 9.6): when a script limits them, and which packets must not be in flight
//! together as the order in which a share meets them would show.

use std::collections::HashMap;

use penstock_abi::share::ONE;
use penstock_abi::table::{FlowKey, FlowShare, TableId, Words};
use penstock_refmodel::r#gen::{Rng, World, Write};
use penstock_refmodel::{Decision, Learn, RefModel, Shares};

/// Limits that a script sets and lifts. While there are any, no tables change under traffic: which pairs came first would be open.
#[derive(Debug)]
pub(crate) struct Limits {
    rng: Rng,
    often: bool,
}

impl Limits {
    /// Of a script with this seed; many have none. Nor have those with more new flows than the card takes: which of these it puts off
    /// is open, and so would be who finds a share full.
    pub(crate) fn of(seed: u64, flood: bool) -> Self {
        Self { rng: Rng::new(!seed), often: seed % 3 == 1 && !flood }
    }

    /// Writes that limit some shares, or lift all limits.
    pub(crate) fn act(&mut self, world: &World, model: &RefModel) -> Option<Vec<Write>> {
        let limited: Vec<u32> = model.tables().flow_shares().map(|(share, _)| share).collect();
        let rng = &mut self.rng;
        if self.often && rng.one_in(if limited.is_empty() { 40 } else { 25 }) {
            let few = rng.between(1, 3);
            return Some((0..few).map(|_| world.some_limit(rng, model.flows())).collect());
        }
        if limited.is_empty() || !rng.one_in(100) {
            return None;
        }
        let lifted = |share| (TableId::FlowShare, share, Words::default());
        Some(limited.into_iter().map(lifted).collect())
    }
}

/// Some share is limited.
pub(crate) fn are_limited(model: &RefModel) -> bool {
    model.tables().flow_shares().next().is_some()
}

/// What a packet has to do with shares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Use {
    /// Those whose limits count for it.
    asked: Shares,
    /// Those that were over them.
    over: Shares,
    /// Those in which its pair is.
    adds: Shares,
    /// Those of pairs that its request may delete.
    frees: Vec<Shares>,
}

impl Use {
    pub(crate) fn of(model: &RefModel, decision: &Decision, touches: &[FlowKey]) -> Self {
        let flows = model.flows();
        let forward = |key: &FlowKey| flows.get(key).filter(|f| !f.reverse);
        let frees = touches.iter().filter_map(forward).map(|f| flows.shares_of(f)).collect();
        let adds = decision.learn.pair().map(|pair| pair.shares).unwrap_or_default();
        let (asked, over) = match (&decision.refusal, &decision.learn) {
            (Some(refusal), _) => (refusal.of, refusal.over),
            (None, Learn::New(_)) => (adds, Shares::default()),
            (None, _) => Default::default(),
        };
        Self { asked, over, adds, frees }
    }
}

/// What packets in flight have to do with one share.
#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    added: u32,
    freed: u32,
    /// Its limits counted for one of them,
    asked: bool,
    /// which found it over them.
    over: bool,
}

/// What packets in flight have to do with shares.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharesInFlight(HashMap<u32, InFlight>);

impl SharesInFlight {
    /// Whether a packet must wait until nothing is in flight: as a share would be met in another order, it might be over its limit
    /// where it is not, or the other way round.
    pub(crate) fn conflicts(&self, model: &RefModel, used: &Use) -> bool {
        let asks = used.asked.iter().any(|n| self.room(model, n, 0) == Some(Room::Perhaps));
        // Who asked before, and perhaps was refused for another share, might have come after this one.
        let adds = used.adds.iter().any(|n| {
            self.at(n).asked && self.room(model, n, 1).is_some_and(|room| room != Room::Yes)
        });
        let frees = used.frees.iter().flat_map(|shares| shares.iter()).any(|n| self.at(n).over);
        asks || adds || frees
    }

    /// A packet is in flight from now on.
    pub(crate) fn note(&mut self, used: &Use) {
        for n in used.asked.iter() {
            self.0.entry(n).or_default().asked = true;
        }
        for n in used.over.iter() {
            self.0.entry(n).or_default().over = true;
        }
        for n in used.adds.iter() {
            self.0.entry(n).or_default().added += 1;
        }
        for n in used.frees.iter().flat_map(|shares| shares.iter()) {
            self.0.entry(n).or_default().freed += 1;
        }
    }

    fn at(&self, share: u32) -> InFlight {
        self.0.get(&share).copied().unwrap_or_default()
    }

    /// Whether there is room for one more in a share that is limited, whatever of what is in flight came first, and so many others.
    fn room(&self, model: &RefModel, share: u32, others: u32) -> Option<Room> {
        let FlowShare { pairs, burst, .. } = *model.tables().flow_share(share)?;
        let InFlight { added, freed, .. } = self.at(share);
        let (has, bucket) = (model.flows().share_stats(share).pairs, model.flows().bucket(share));
        let surely = (pairs == 0 || has + freed + others < pairs)
            && (burst == 0 || bucket >= ONE * (1 + others));
        let never = (pairs != 0 && has.saturating_sub(added) >= pairs)
            || (burst != 0 && bucket + added * ONE < ONE);
        Some(match (surely, never) {
            (true, _) => Room::Yes,
            (false, true) => Room::No,
            (false, false) => Room::Perhaps,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Yes,
    No,
    Perhaps,
}
