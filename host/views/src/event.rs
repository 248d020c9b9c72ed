//! `flow --follow`: what becomes of connections, as a card tells it, one value and one line each.
//!
//! In: an event of the card and when it happened. What the event only numbers (the mapping, the interface) is looked up in the tables as
//! they are when it is told; what is gone by then keeps its number.

use std::collections::HashMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use jiff::{Timestamp, Unit};
use penstock_abi::reason::DropReason;
use penstock_abi::ring::{self, EventKind, FlowEnd, FlowEvent};
use penstock_abi::table::{FipMap, TableId, Vif};
use serde::{Deserialize, Serialize};

use crate::firmware::Firmware;
use crate::flow::{TcpSeen, tcp_flags};
use crate::words::{concat, words};
use crate::{CardState, text};

/// Tables that this view reads.
pub const TABLES: &[TableId] = &[TableId::FipMap, TableId::Vif];

const TCP: u8 = 6;

words! {
    /// What events there are.
    pub enum Kind {
        /// [`Event::Made`].
        Made = "made",
        /// [`Event::Ended`].
        Ended = "ended",
        /// [`Event::Repinned`].
        Repinned = "repinned",
        /// [`Event::Refused`].
        Refused = "refused",
        /// [`Event::Pressure`].
        Pressure = "pressure",
        /// [`Event::TableFull`].
        TableFull = "table_full",
        /// [`Event::Firmware`].
        Firmware = "firmware",
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Made,
        Self::Ended,
        Self::Repinned,
        Self::Refused,
        Self::Pressure,
        Self::TableFull,
        Self::Firmware,
    ];

    /// What the card calls it.
    #[must_use]
    pub fn of_card(self) -> EventKind {
        match self {
            Self::Made => EventKind::FlowMade,
            Self::Ended => EventKind::FlowEnded,
            Self::Repinned => EventKind::FlowRepinned,
            Self::Refused => EventKind::FlowRefused,
            Self::Pressure => EventKind::FlowPressure,
            Self::TableFull => EventKind::FlowTableFull,
            Self::Firmware => EventKind::Firmware,
        }
    }
}

/// There is no such kind of events; the user's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are no events `{0}`; there are: {all}", all = Kind::ALL.map(|kind| kind.to_string()).join(", "))]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let known = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        known.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

words! {
    /// Why a connection is not in the flow table any more.
    pub enum Ended {
        /// It was idle, or over, for its time.
        Aged = "aged",
        /// It gave way in a table that fills.
        Evicted = "evicted",
        /// The host deleted it.
        Deleted = "deleted",
        /// Its backend or port map is gone, or it was over and began anew.
        Dead = "dead",
        /// Another one took its place.
        Replaced = "replaced",
        /// A reason that this program does not know.
        Unknown = "unknown",
    }
}

impl From<u8> for Ended {
    fn from(code: u8) -> Self {
        match FlowEnd::from_u8(code) {
            Some(FlowEnd::Aged) => Self::Aged,
            Some(FlowEnd::Evicted) => Self::Evicted,
            Some(FlowEnd::Deleted) => Self::Deleted,
            Some(FlowEnd::Dead) => Self::Dead,
            Some(FlowEnd::Replaced) => Self::Replaced,
            None => Self::Unknown,
        }
    }
}

/// The mapping that translates a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Index in the card's table `FipMap`.
    pub map: u16,
    /// Floating IP and port, unless the mapping is gone.
    pub floating: Option<(Ipv4Addr, u16)>,
    /// Pod's address and port, likewise.
    pub fixed: Option<(Ipv4Addr, u16)>,
}

/// A connection: a pair of flow entries, or a packet that got none, by its first packet before any translation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Number of the pair; 0 of a packet that was refused.
    pub pair: u32,
    /// IP protocol.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Source port (ICMP echo: identifier).
    pub source_port: u16,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Destination port.
    pub destination_port: u16,
    /// Next hop in the key.
    pub key_next_hop: u16,
    /// VRF of that interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<u16>,
    /// The interface of that next hop: it began there, or its label leads there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The mapping, if it is translated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// Slot of the member that it is pinned to, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<u16>,
}

/// What a connection counted, forth and back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Packets, modulo 2^32.
    pub packets: [u64; 2],
    /// Frame bytes, modulo 2^40.
    pub bytes: [u64; 2],
    /// What was seen of a TCP connection, in `flow`'s letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Vec<TcpSeen>>,
}

/// One event. Times are those of the card, told by this machine's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A connection is in the flow table.
    Made {
        /// When.
        time: Timestamp,
        /// Which.
        #[serde(flatten)]
        connection: Connection,
    },
    /// A connection is not in the flow table any more.
    Ended {
        /// When.
        time: Timestamp,
        /// Which.
        #[serde(flatten)]
        connection: Connection,
        /// Why.
        why: Ended,
        /// What it counted, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<Counted>,
        /// When it was made, if that was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        began: Option<Timestamp>,
        /// When its last packet came, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_packet: Option<Timestamp>,
    },
    /// A connection stays, and is bound to another backend or mapping.
    Repinned {
        /// When.
        time: Timestamp,
        /// Which.
        #[serde(flatten)]
        connection: Connection,
    },
    /// A packet was dropped, as its connection found no place.
    Refused {
        /// When.
        time: Timestamp,
        /// Which.
        #[serde(flatten)]
        connection: Connection,
        /// Identifier of the reason, as in the card's reference.
        reason: String,
        /// Name under which `dropstats` prints it.
        label: String,
    },
    /// The pressure on the flow table changed.
    Pressure {
        /// When.
        time: Timestamp,
        /// What it is, 0 to 3.
        pressure: u32,
        /// Entries in use.
        in_use: u32,
    },
    /// The flow table has no place for a new connection.
    TableFull {
        /// When.
        time: Timestamp,
        /// How often that was so.
        so_far: u32,
    },
    /// The firmware's state changed.
    Firmware {
        /// When.
        time: Timestamp,
        /// What it is.
        state: Firmware,
    },
    /// What was to be told is lost: events came faster than they could be taken.
    Lost {
        /// When that was noticed.
        time: Timestamp,
        /// How many, of whatever kind.
        count: u64,
    },
}

impl Event {
    /// Its time.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Made { time, .. }
            | Self::Ended { time, .. }
            | Self::Repinned { time, .. }
            | Self::Refused { time, .. }
            | Self::Pressure { time, .. }
            | Self::TableFull { time, .. }
            | Self::Firmware { time, .. }
            | Self::Lost { time, .. } => *time,
        }
    }

    /// The connection that it is about, if it is about one.
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Made { connection, .. }
            | Self::Ended { connection, .. }
            | Self::Repinned { connection, .. }
            | Self::Refused { connection, .. } => Some(connection),
            Self::Pressure { .. }
            | Self::TableFull { .. }
            | Self::Firmware { .. }
            | Self::Lost { .. } => None,
        }
    }

    /// That `count` were lost.
    #[must_use]
    pub fn lost(time: Timestamp, count: u64) -> Self {
        Self::Lost { time: micros(time), count }
    }

    /// An event about anything but connections; none of a kind that this program does not know.
    #[must_use]
    pub fn of_card(event: &ring::Event, time: Timestamp) -> Option<Self> {
        let time = micros(time);
        let (arg0, arg1) = (event.arg0, event.arg1);
        Some(match EventKind::from_u8(event.kind)? {
            EventKind::FlowPressure => Self::Pressure { time, pressure: arg0, in_use: arg1 },
            EventKind::FlowTableFull => Self::TableFull { time, so_far: arg0 },
            EventKind::Firmware => Self::Firmware { time, state: Firmware::of(arg0, arg1) },
            _ => return None,
        })
    }
}

/// When something of a connection happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The event.
    pub at: Timestamp,
    /// The connection was made, if that is known.
    pub began: Option<Timestamp>,
    /// Its last packet came, likewise.
    pub last_packet: Option<Timestamp>,
}

/// Tells of connections by what the card's tables hold now.
pub struct Teller<'a> {
    state: &'a CardState,
    /// Interfaces and their VRFs, by next hop.
    interfaces: HashMap<u16, (u32, u16)>,
}

impl<'a> Teller<'a> {
    /// Over these tables.
    #[must_use]
    pub fn new(state: &'a CardState) -> Self {
        let vifs = state.tables.of::<Vif>();
        let valid = vifs.iter().filter(|(_, vif)| vif.valid && vif.nh != 0);
        let interfaces = valid.map(|(index, vif)| (vif.nh, (index, vif.vrf))).collect();
        Self { state, interfaces }
    }

    /// An event about a connection; none of a kind that this program does not know.
    #[must_use]
    pub fn tell(&self, event: &FlowEvent, times: Times) -> Option<Event> {
        let (time, connection) = (micros(times.at), self.connection(event));
        Some(match EventKind::from_u8(event.kind)? {
            EventKind::FlowMade => Event::Made { time, connection },
            EventKind::FlowRepinned => Event::Repinned { time, connection },
            EventKind::FlowRefused => {
                let known = DropReason::ALL.iter().find(|(known, ..)| *known as u8 == event.reason);
                let (reason, label) = known.map_or_else(
                    || (event.reason.to_string(), event.reason.to_string()),
                    |(reason, identifier, _)| ((*identifier).to_owned(), reason.label().to_owned()),
                );
                Event::Refused { time, connection, reason, label }
            }
            EventKind::FlowEnded => Event::Ended {
                time,
                connection,
                why: event.reason.into(),
                counted: counted(event),
                began: times.began.map(micros),
                last_packet: times.last_packet.map(micros),
            },
            _ => return None,
        })
    }

    fn connection(&self, event: &FlowEvent) -> Connection {
        let interface = self.interfaces.get(&event.nh);
        Connection {
            pair: event.pair,
            protocol: event.protocol,
            source: text::ip(event.source),
            source_port: event.source_port,
            destination: text::ip(event.destination),
            destination_port: event.destination_port,
            key_next_hop: event.nh,
            vrf: interface.map(|(_, vrf)| *vrf),
            interface: interface.map(|(vif, _)| self.state.vif_name(*vif)),
            mapping: self.mapping(event),
            member: (event.flags & ring::FLOW_EVENT_MEMBER != 0).then_some(event.ecmp_slot),
        }
    }

    /// The mapping that an event names, as it is now.
    #[must_use]
    pub fn mapping(&self, event: &FlowEvent) -> Option<Mapping> {
        (event.flags & ring::FLOW_EVENT_MAP != 0).then(|| {
            let map = self.state.tables.get::<FipMap>(event.map.into()).filter(|map| map.valid);
            Mapping {
                map: event.map,
                floating: map.map(|map| (text::ip(map.vip), map.vip_port)),
                fixed: map.map(|map| (text::ip(map.pod_ip), map.pod_port)),
            }
        })
    }
}

/// A microsecond is as exact as the two clocks are held against each other.
fn micros(time: Timestamp) -> Timestamp {
    time.round(Unit::Microsecond).unwrap_or(time)
}

/// What a pair that ended counted, if that is known.
#[must_use]
pub fn counted(event: &FlowEvent) -> Option<Counted> {
    if event.flags & ring::FLOW_EVENT_UNCOUNTED != 0 {
        return None;
    }
    let bytes =
        |way: usize| u64::from(event.bytes_high[way]) << 32 | u64::from(event.bytes_low[way]);
    Some(Counted {
        packets: event.packets.map(u64::from),
        bytes: [bytes(0), bytes(1)],
        tcp: (event.protocol == TCP).then(|| tcp_flags(event.tcp & 0xf, event.tcp >> 4)),
    })
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = text::protocol(self.protocol);
        write!(f, "{protocol} {}:{}", self.source, self.source_port)?;
        write!(f, " -> {}:{}", self.destination, self.destination_port)?;
        if let Some(interface) = &self.interface {
            write!(f, " {interface}")?;
        }
        if let Some(Mapping { map, floating, fixed }) = &self.mapping {
            write!(f, ", mapping {map}")?;
            if let (Some((vip, vip_port)), Some((pod, pod_port))) = (floating, fixed) {
                write!(f, " {vip}:{vip_port} <-> {pod}:{pod_port}")?;
            }
        }
        if let Some(member) = self.member {
            write!(f, ", member {member}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([packets, back], [bytes, bytes_back]) = (self.packets, self.bytes);
        write!(f, "{packets}/{bytes} forth, {back}/{bytes_back} back")?;
        match &self.tcp {
            Some(seen) if !seen.is_empty() => write!(f, ", TCP:{}", concat(seen)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Event {
    /// A line without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<27}  ", self.time())?;
        match self {
            Self::Made { connection, .. } => write!(f, "made      {connection}"),
            Self::Repinned { connection, .. } => write!(f, "repinned  {connection}"),
            Self::Refused { connection, label, .. } => {
                write!(f, "refused   {connection}: {label}")
            }
            Self::Ended { time, connection, why, counted, began, .. } => {
                write!(f, "ended     {connection}: {why}")?;
                if let Some(began) = began {
                    write!(f, " after {:.3} s", time.duration_since(*began).as_secs_f64())?;
                }
                match counted {
                    Some(counted) => write!(f, ", {counted}"),
                    None => write!(f, ", what it counted is not known"),
                }
            }
            Self::Pressure { pressure, in_use, .. } => {
                write!(f, "pressure  {pressure} of 3, {in_use} entries in use")
            }
            Self::TableFull { so_far, .. } => {
                write!(f, "full      a new connection found no place, {so_far} so far")
            }
            Self::Firmware { state, .. } => write!(f, "firmware  {state}"),
            Self::Lost { count, .. } => write!(f, "lost      {count} events"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_abi::table::{TCP_ESTABLISHED, TCP_RST, TCP_SYN};
    use penstock_tables::Entry;

    use super::*;
    use crate::flow_filter::FlowFilter;

    fn state() -> CardState {
        let mut state = CardState::default();
        state.tables.set(7, Entry::Vif(Vif { valid: true, nh: 20, ..Vif::default() }));
        let map = FipMap {
            valid: true,
            vip: 0x0a69_8b99,
            vip_port: 8888,
            pod_ip: 0x0a2f_ffee,
            pod_port: 80,
            ..FipMap::default()
        };
        state.tables.set(3, Entry::FipMap(map));
        state.vif_names.insert(7, "tap-client".to_owned());
        state
    }

    fn event(kind: EventKind, flags: u8) -> FlowEvent {
        FlowEvent {
            pair: 9,
            flags,
            ecmp_slot: 2,
            source: 0x0a2f_ffed,
            destination: 0x0a69_8b99,
            source_port: 40_000,
            destination_port: 8888,
            nh: 20,
            protocol: 6,
            map: 3,
            kind: kind as u8,
            ..FlowEvent::default()
        }
    }

    fn times() -> Times {
        let at: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        let began = Some("2026-01-02T03:04:01Z".parse().unwrap());
        Times { at, began, last_packet: None }
    }

    fn tell(event: &FlowEvent) -> Event {
        Teller::new(&state()).tell(event, times()).unwrap()
    }

    #[test]
    fn an_event_is_one_line_and_one_value() {
        let made =
            tell(&event(EventKind::FlowMade, ring::FLOW_EVENT_MAP | ring::FLOW_EVENT_MEMBER));
        assert_eq!(
            made.to_string(),
            "2026-01-02T03:04:05.123457Z  made      TCP 10.47.255.237:40000 -> 10.105.139.153:8888 tap-client, \
             mapping 3 10.105.139.153:8888 <-> 10.47.255.238:80, member 2"
        );
        let json = serde_json::to_value(&made).unwrap();
        assert_eq!(json["event"], "made");
        assert_eq!(json["time"], "2026-01-02T03:04:05.123457Z");
        assert_eq!((&json["pair"], &json["member"]), (&9.into(), &2.into()));
        assert_eq!(json["mapping"]["fixed"], serde_json::json!(["10.47.255.238", 80]));
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), made);
    }

    #[test]
    fn an_end_says_why_and_what_was_counted() {
        let counted = FlowEvent {
            reason: FlowEnd::Evicted as u8,
            tcp: TCP_SYN | TCP_ESTABLISHED | (TCP_SYN | TCP_RST) << 4,
            packets: [5, 4],
            bytes_low: [500, 4],
            bytes_high: [0, 1],
            ..event(EventKind::FlowEnded, ring::FLOW_EVENT_PLAIN)
        };
        let ended = tell(&counted);
        let line = ended.to_string();
        let end = ": evicted after 4.123 s, 5/500 forth, 4/4294967300 back, TCP:SSrER";
        assert!(line.ends_with(end), "{line}");
        let json = serde_json::to_string(&ended).unwrap();
        assert!(!json.contains("mapping") && !json.contains("member"), "{json}");
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), ended);
        let uncounted = FlowEvent { flags: ring::FLOW_EVENT_UNCOUNTED, ..counted };
        assert!(tell(&uncounted).to_string().ends_with(", what it counted is not known"));
        // Of a card that is newer than this program.
        let strange = FlowEvent { reason: 77, ..counted };
        assert!(matches!(tell(&strange), Event::Ended { why: Ended::Unknown, .. }));
    }

    #[test]
    fn what_is_gone_keeps_its_number() {
        let gone = FlowEvent { map: 4, nh: 21, ..event(EventKind::FlowMade, ring::FLOW_EVENT_MAP) };
        let line = tell(&gone).to_string();
        assert!(line.ends_with("10.105.139.153:8888, mapping 4"), "{line}");
    }

    #[test]
    fn a_kind_has_the_word_that_its_events_have() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "mode".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("`mode`") && error.contains("made, ended"), "{error}");
        let word = |event: &Event| serde_json::to_value(event).unwrap()["event"].clone();
        for kind in [Kind::Made, Kind::Ended, Kind::Repinned, Kind::Refused] {
            assert_eq!(word(&tell(&event(kind.of_card(), 0))), kind.to_string());
        }
        for kind in [Kind::Pressure, Kind::TableFull, Kind::Firmware] {
            let event = ring::Event { kind: kind.of_card() as u8, ..ring::Event::default() };
            assert_eq!(word(&Event::of_card(&event, times().at).unwrap()), kind.to_string());
        }
    }

    #[test]
    fn a_filter_sees_connections_as_it_sees_flows() {
        let told = tell(&event(EventKind::FlowMade, 0));
        let connection = told.connection().unwrap();
        let matches =
            |text: &str| text.parse::<FlowFilter>().unwrap().matches_connection(connection);
        assert!(matches("10.105.139.153:8888 & proto tcp & vrf 0") && matches("10.47.255.237"));
        assert!(!matches("10.105.139.154") && !matches("proto udp") && !matches("vrf 2"));
    }

    #[test]
    fn a_refusal_says_why() {
        let reason = DropReason::FlowQuota as u8;
        let line = tell(&FlowEvent { reason, ..event(EventKind::FlowRefused, 0) }).to_string();
        assert!(line.ends_with(&format!(": {}", DropReason::FlowQuota.label())), "{line}");
        let line = tell(&FlowEvent { reason: 250, ..event(EventKind::FlowRefused, 0) }).to_string();
        assert!(line.ends_with(": 250"), "{line}");
    }

    #[test]
    fn what_the_card_tells_of_itself() {
        let other = |kind: u8, arg0, arg1| {
            Event::of_card(&ring::Event { kind, arg0, arg1, ..ring::Event::default() }, times().at)
        };
        let line = |event: Option<Event>| event.unwrap().to_string();
        let pressure = line(other(EventKind::FlowPressure as u8, 2, 50_000));
        assert!(pressure.ends_with("pressure  2 of 3, 50000 entries in use"), "{pressure}");
        assert!(line(other(EventKind::Firmware as u8, 0, 0)).contains("firmware"));
        assert_eq!(other(31, 0, 0), None);
        let lost = Event::lost(times().at, 12);
        assert!(lost.to_string().ends_with("lost      12 events"));
    }
}
