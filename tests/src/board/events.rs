//! What the card tells of its flow table, against what the model tells, and against itself.

use std::collections::{BTreeMap, HashMap};

use penstock_abi::hash::flow_key;
use penstock_abi::ring::{EventKind, FLOW_EVENT_UNCOUNTED, FlowEnd, FlowEvent};
use penstock_abi::table::{Flow, FlowKey, FlowStats};
use penstock_refmodel::events::{Told, What};
use penstock_refmodel::flows::key_of;

use super::{Board, Failure};
use crate::dut::Heard;

/// What the model told, and how many packets the card may have counted less than it.
pub(super) struct Foretold {
    told: Told,
    open: [u64; 2],
}

/// What the events said so far.
#[derive(Default)]
pub(super) struct Events {
    foretold: Vec<Foretold>,
    /// Pairs that there are, by number; unknown after some were lost.
    pairs: Option<HashMap<u32, FlowKey>>,
    lost: u32,
}

impl Events {
    /// Of a card whose flow table is empty.
    pub(super) fn new() -> Self {
        Self { pairs: Some(HashMap::new()), ..Self::default() }
    }
}

fn key(e: &FlowEvent) -> FlowKey {
    FlowKey {
        nh: e.nh,
        proto: e.protocol,
        sip: e.source,
        dip: e.destination,
        sport: e.source_port,
        dport: e.destination_port,
    }
}

fn is(e: &FlowEvent, kind: EventKind) -> bool {
    e.kind == kind as u8
}

/// What a pair counted.
fn counted(e: &FlowEvent) -> [FlowStats; 2] {
    std::array::from_fn(|side| FlowStats {
        packets: e.packets[side].into(),
        bytes: u64::from(e.bytes_low[side]) | u64::from(e.bytes_high[side]) << 32,
        tcp: e.tcp >> (4 * side) & 0xf,
        last_hit: 0,
    })
}

/// Without what the card chooses, and what is compared by itself.
fn said(e: &FlowEvent) -> FlowEvent {
    FlowEvent {
        time_cycles: 0,
        pair: 0,
        tcp: 0,
        packets: [0; 2],
        bytes_low: [0; 2],
        bytes_high: [0; 2],
        last_hit: 0,
        sequence: 0,
        phase: 0,
        ..*e
    }
}

/// Events by what they are about: of a pair's key in order, refused packets apart, which wait for nobody.
fn by_key<T>(events: Vec<T>, of: impl Fn(&T) -> FlowEvent) -> BTreeMap<(u128, bool), Vec<T>> {
    let mut sorted: BTreeMap<_, Vec<T>> = BTreeMap::new();
    for event in events {
        let e = of(&event);
        let at = (flow_key(&key(&e)), is(&e, EventKind::FlowRefused));
        sorted.entry(at).or_default().push(event);
    }
    sorted
}

/// Packets that a batch has behind the one that ended a pair: on the card they may have been looked up before, and count on it.
const BEHIND_MOST: u64 = 256;

/// Why an event is not the one that was foretold.
fn difference(card: &FlowEvent, model: &Foretold) -> Option<String> {
    let told = model.told.event();
    let by_packet = matches!(model.told.what, What::Ended(FlowEnd::Replaced | FlowEnd::Dead));
    let counts = counted(card).iter().zip(counted(&told)).zip(model.open).all(|((c, m), open)| {
        let missed = m.packets.wrapping_sub(c.packets);
        let more = c.packets.wrapping_sub(m.packets);
        *c == m
            || ((1..=open).contains(&missed) && c.bytes < m.bytes && c.tcp == m.tcp)
            || (by_packet
                && (1..=BEHIND_MOST).contains(&more)
                && c.bytes > m.bytes
                && m.tcp & !c.tcp == 0)
    });
    let hit = card.packets != [0; 2];
    let agrees = said(card) == said(&told) && counts && hit == (card.last_hit != 0);
    (!agrees).then(|| format!("event\n  card  {card:?}\n  model {told:?}\n  open {:?}", model.open))
}

impl Board<'_> {
    /// Takes down what the model told since this was last called.
    pub(super) fn foretell(&mut self) {
        for told in self.model.flows_mut().take_told() {
            let open = [Some(told.key), told.reverse]
                .map(|key| key.and_then(|key| self.uncertain.get(&key)).copied().unwrap_or(0));
            self.events.foretold.push(Foretold { told, open });
        }
    }

    /// Hears what the card told; it must be what the model told, if that knows what happened.
    pub(crate) fn hear(&mut self, exactly: bool) -> Result<(), Failure> {
        self.foretell();
        let foretold = std::mem::take(&mut self.events.foretold);
        let heard = self.dut.heard();
        let Some(Heard { flows, pressures, dropped }) = self.device("reading events", heard)?
        else {
            return Ok(());
        };
        self.model.flows_mut().take_pressures();
        if let Some(&last) = pressures.last()
            && last != self.model.flows().pressure()
        {
            return self.fail(format!("pressure {pressures:?} at the end of a change"));
        }
        let lost = dropped - self.events.lost;
        self.events.lost = dropped;
        self.summary.told += flows.len() as u64;
        self.summary.lost += u64::from(lost);
        if exactly && flows.len() + lost as usize != foretold.len() {
            return self.unheard(&flows, &foretold, lost);
        }
        if lost > 0 {
            self.events.pairs = None;
        }
        self.keep_account(&flows)?;
        if exactly && lost == 0 {
            let card = by_key(flows, |e| *e);
            let model = by_key(foretold, |f| f.told.event());
            for (key, told) in &model {
                let heard = card.get(key).map_or(&[][..], Vec::as_slice);
                if heard.len() != told.len() {
                    return self.fail(format!(
                        "{} events were foretold, {} heard: {:?}, {heard:?}",
                        told.len(),
                        heard.len(),
                        told[0].told
                    ));
                }
                if let Some(what) = heard.iter().zip(told).find_map(|(c, m)| difference(c, m)) {
                    return self.fail(what);
                }
            }
        }
        Ok(())
    }

    fn unheard(
        &self,
        heard: &[FlowEvent],
        foretold: &[Foretold],
        lost: u32,
    ) -> Result<(), Failure> {
        let keys: Vec<FlowKey> = heard.iter().map(key).collect();
        let missed = foretold.iter().find(|f| !keys.contains(&f.told.key));
        let known: Vec<FlowKey> = foretold.iter().map(|f| f.told.key).collect();
        let more = heard.iter().find(|e| !known.contains(&key(e)));
        let kinds: Vec<_> = heard.iter().map(|e| (e.kind, e.pair)).collect();
        let whats: Vec<_> = foretold.iter().map(|f| (f.told.what, f.told.pair)).collect();
        self.fail(format!(
            "heard {kinds:?}, {lost} lost, foretold {whats:?}; unheard {:?}, unforetold {more:?}",
            missed.map(|f| f.told)
        ))
    }

    /// A pair is made before it ends, and has one key from beginning to end.
    fn keep_account(&mut self, events: &[FlowEvent]) -> Result<(), Failure> {
        let Some(mut pairs) = self.events.pairs.take() else { return Ok(()) };
        for e in events {
            let (pair, of) = (e.pair, key(e));
            let right = if is(e, EventKind::FlowMade) {
                pairs.insert(pair, of).is_none()
            } else if is(e, EventKind::FlowEnded) {
                pairs.remove(&pair) == Some(of) && e.flags & FLOW_EVENT_UNCOUNTED == 0
            } else {
                is(e, EventKind::FlowRefused) || pairs.get(&pair) == Some(&of)
            };
            if !right {
                return self.fail(format!("an event of a pair that is not so: {e:?}"));
            }
        }
        self.events.pairs = Some(pairs);
        Ok(())
    }

    /// The pairs that the events say there are are those in the table.
    pub(super) fn check_pairs(&mut self, flows: &[(u32, Flow, FlowStats)]) -> Result<(), Failure> {
        let forward = flows.iter().map(|(_, f, _)| f).filter(|f| !f.reverse);
        let there: HashMap<u32, FlowKey> = forward.map(|f| (f.pair, key_of(f))).collect();
        let told = self.events.pairs.replace(there.clone());
        let differ = |told: HashMap<u32, FlowKey>| {
            let of_both = there
                .iter()
                .chain(&told)
                .find(|(n, key)| there.get(n) != Some(key) || told.get(n) != Some(key));
            of_both
                .map(|(n, key)| format!("pair {n} {key:?} is told of and not there, or not told"))
        };
        match told.filter(|_| self.dut.tells()).and_then(differ) {
            Some(what) => self.fail(what),
            None => Ok(()),
        }
    }

    /// The card was cleared: all pairs are gone, and nothing is told of it.
    pub(super) fn hear_clearing(&mut self) -> Result<(), Failure> {
        let heard = self.dut.heard();
        self.device("reading events", heard)?;
        self.model.flows_mut().take_told();
        self.events.foretold.clear();
        self.events.pairs = Some(HashMap::new());
        Ok(())
    }

    /// The ring began anew.
    pub(super) fn hear_anew(&mut self) {
        self.events.lost = 0;
    }
}
