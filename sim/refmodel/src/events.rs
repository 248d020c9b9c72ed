//! What the host is told of the flow table (section 9.8): a log, for whoever listens.

use penstock_abi::reason::DropReason;
use penstock_abi::ring::{
    EventKind, FLOW_EVENT_MAP, FLOW_EVENT_MEMBER, FLOW_EVENT_PLAIN, FlowEnd, FlowEvent,
};
use penstock_abi::table::{Flow, FlowKey, FlowStats};

use crate::fault::Fault;
use crate::flows::{FlowTable, key_of};

/// What became of a pair, or of a packet that needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was made.
    Made,
    /// It is gone.
    Ended(FlowEnd),
    /// Its member, mapping or next hop was chosen anew in place, or it moved.
    Repinned,
    /// The packet was dropped.
    Refused(DropReason),
}

/// An event about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub what: What,
    /// The number that the pair has here; 0 of a packet that was refused.
    pub pair: u32,
    /// Key of the forward entry.
    pub key: FlowKey,
    /// Key of the reverse entry, of a pair that there is. The card does not tell it.
    pub reverse: Option<FlowKey>,
    /// It has neither a mapping nor a member.
    pub plain: bool,
    /// Its mapping.
    pub map: Option<u16>,
    /// Slot of its member: of the forward entry, or else of the reverse one.
    pub member: Option<u16>,
    /// What it counted, forward and reverse, if it ended.
    pub counted: [FlowStats; 2],
}

impl Told {
    /// The record that says so, but for its time.
    #[must_use]
    pub fn event(&self) -> FlowEvent {
        let (kind, reason) = match self.what {
            What::Made => (EventKind::FlowMade, 0),
            What::Ended(why) => (EventKind::FlowEnded, why as u8),
            What::Repinned => (EventKind::FlowRepinned, 0),
            What::Refused(why) => (EventKind::FlowRefused, why as u8),
        };
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let [own, other] = self.counted;
        FlowEvent {
            kind: kind as u8,
            pair: self.pair,
            reason,
            flags: flag(self.plain, FLOW_EVENT_PLAIN)
                | flag(self.map.is_some(), FLOW_EVENT_MAP)
                | flag(self.member.is_some(), FLOW_EVENT_MEMBER),
            ecmp_slot: self.member.unwrap_or(0),
            source: self.key.sip,
            destination: self.key.dip,
            source_port: self.key.sport,
            destination_port: self.key.dport,
            nh: self.key.nh,
            protocol: self.key.proto,
            tcp: own.tcp | other.tcp << 4,
            packets: [own.packets as u32, other.packets as u32],
            bytes_low: [own.bytes as u32, other.bytes as u32],
            bytes_high: [(own.bytes >> 32) as u8, (other.bytes >> 32) as u8],
            map: self.map.unwrap_or(0),
            last_hit: own.last_hit.max(other.last_hit),
            ..FlowEvent::default()
        }
    }
}

/// What was told, in order; and the pressure that was told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    told: Vec<Told>,
    pressures: Vec<u8>,
    pressure: u8,
}

impl FlowTable {
    /// Writes down what happens from now on.
    pub fn listen(&mut self) {
        self.log = Some(Log::default());
    }

    /// What happened since this was last asked.
    pub fn take_told(&mut self) -> Vec<Told> {
        self.log.as_mut().map(|log| std::mem::take(&mut log.told)).unwrap_or_default()
    }

    /// How the pressure changed since this was last asked.
    pub fn take_pressures(&mut self) -> Vec<u8> {
        self.log.as_mut().map(|log| std::mem::take(&mut log.pressures)).unwrap_or_default()
    }

    /// Something became of the pair of an entry that is in the table.
    pub(crate) fn tell(&mut self, of: &FlowKey, what: What, fault: Option<Fault>) {
        if self.log.is_none() {
            return;
        }
        let Some(found) = self.get(of).copied() else { return };
        let partner = self.partner(&found).copied();
        let (forward, reverse) =
            if found.reverse { (partner.unwrap_or(found), Some(found)) } else { (found, partner) };
        let member = [Some(forward), reverse].into_iter().flatten().find(|f| f.ecmp_valid);
        let counts = |f: Option<Flow>| {
            f.filter(|_| matches!(what, What::Ended(_)))
                .and_then(|f| self.stats(&key_of(&f)))
                .unwrap_or_default()
        };
        let counted = match fault {
            Some(Fault::OneDirectionIsTold) => [counts(Some(forward)), FlowStats::default()],
            _ => [counts(Some(forward)), counts(reverse)],
        };
        let told = Told {
            what,
            pair: forward.pair,
            key: if fault == Some(Fault::KeysAsAsked) { *of } else { key_of(&forward) },
            reverse: reverse.map(|f| key_of(&f)),
            plain: self.is_plain_pair(&forward),
            map: forward.map_valid.then_some(forward.map),
            member: member.map(|f| f.ecmp_slot),
            counted,
        };
        self.note_told(told);
    }

    /// A packet was dropped that needs this pair.
    pub(crate) fn tell_refused(&mut self, forward: &Flow, reason: DropReason) {
        self.note_told(Told {
            what: What::Refused(reason),
            pair: 0,
            key: key_of(forward),
            reverse: None,
            plain: !forward.map_valid && !forward.ecmp_valid,
            map: forward.map_valid.then_some(forward.map),
            member: forward.ecmp_valid.then_some(forward.ecmp_slot),
            counted: [FlowStats::default(); 2],
        });
    }

    fn note_told(&mut self, told: Told) {
        if let Some(log) = &mut self.log {
            log.told.push(told);
        }
    }

    /// The table was cleared, of which nothing is told.
    pub(crate) fn begin_anew(&mut self) {
        if let Some(log) = &mut self.log {
            *log = Log::default();
        }
    }

    /// The pressure may be another than was told.
    pub(crate) fn tell_pressure(&mut self, fault: Option<Fault>) {
        let pressure = self.pressure();
        let told = |log: &&mut Log| {
            log.pressure != pressure
                && (pressure > log.pressure || fault != Some(Fault::PressureOnlyRises))
        };
        if let Some(log) = self.log.as_mut().filter(told) {
            log.pressure = pressure;
            log.pressures.push(pressure);
        }
    }
}
