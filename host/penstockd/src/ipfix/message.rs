//! Messages of IPFIX (RFC 7011, section 3), as many as this exporter needs: templates, and a record for each connection that ended.
//!
//! A record tells both directions, the way back by the reverse elements of RFC 5103. What is not known of a connection is not in its
//! record: there is a template for each set of what may be known.
//!
//! ```text
//! message: 16 bytes of header | set | set ...
//! set:     id (2: templates, 256..: records of that template), length | templates or records
//! ```

use std::net::Ipv4Addr;

/// Longest message, in bytes: with the headers of UDP and IPv4 it fits into a packet of 1,420, which tunnels let pass.
const MESSAGE_MAX: usize = 1392;
const VERSION: u16 = 10;
const HEADER_BYTES: usize = 16;
const SET_HEADER_BYTES: usize = 4;
/// Id of a set of templates.
const TEMPLATES: u16 = 2;
/// The template of records of which nothing optional is known.
const FIRST_TEMPLATE: u16 = 256;
/// Private enterprise number of reverse elements (RFC 5103, section 6.1).
const REVERSE: u32 = 29_305;

/// A connection that ended, as a record tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Number of the pair.
    pub(super) flow_id: u64,
    pub(super) protocol: u8,
    pub(super) source: (Ipv4Addr, u16),
    pub(super) destination: (Ipv4Addr, u16),
    /// The beginning, milliseconds since 1970.
    pub(super) start_ms: u64,
    /// The last packet, or the end if there was none.
    pub(super) end_ms: u64,
    pub(super) reason: EndReason,
    /// What was counted, if it is known.
    pub(super) counted: Option<Counted>,
    /// Source and destination after translation, if it was translated.
    pub(super) translated: Option<Sockets>,
}

/// Source and destination.
pub(super) type Sockets = [(Ipv4Addr, u16); 2];

/// Forth and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// IP packets' bytes.
    pub(super) octets: [u64; 2],
    pub(super) packets: [u64; 2],
    /// Flags seen in TCP headers.
    pub(super) tcp: [u16; 2],
}

/// `flowEndReason` (RFC 5102, section 5.11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum EndReason {
    Idle = 1,
    EndOfFlow = 3,
    Forced = 4,
    LackOfResources = 5,
}

/// An information element of IANA's registry, how many bytes its value has, and whether it is one of the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    element: u16,
    bytes: u16,
    reverse: bool,
}

const fn field(element: u16, bytes: u16) -> Field {
    Field { element, bytes, reverse: false }
}

const fn reverse(element: u16, bytes: u16) -> Field {
    Field { element, bytes, reverse: true }
}

/// Of every record: flowId, protocolIdentifier, addresses and ports, flowStartMilliseconds, flowEndMilliseconds, flowEndReason.
const ALWAYS: [Field; 9] = [
    field(148, 8),
    field(4, 1),
    field(8, 4),
    field(7, 2),
    field(12, 4),
    field(11, 2),
    field(152, 8),
    field(153, 8),
    field(136, 1),
];
/// octetDeltaCount, packetDeltaCount, tcpControlBits, forth and back.
const COUNTED: [Field; 6] =
    [field(1, 8), field(2, 8), field(6, 2), reverse(1, 8), reverse(2, 8), reverse(6, 2)];
/// postNATSourceIPv4Address, postNAPTSourceTransportPort, and of the destination.
const TRANSLATED: [Field; 4] = [field(225, 4), field(227, 2), field(226, 4), field(228, 2)];

/// Which optional parts a template has; its id less that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts(u16);

impl Parts {
    const ALL: u16 = 4;

    fn of(record: &Record) -> Self {
        let bit = |known, bit: u16| if known { 1 << bit } else { 0 };
        Self(bit(record.counted.is_some(), 0) | bit(record.translated.is_some(), 1))
    }

    fn id(self) -> u16 {
        FIRST_TEMPLATE + self.0
    }

    fn fields(self) -> impl Iterator<Item = Field> {
        let has = |bit: u16| self.0 >> bit & 1 == 1;
        let some = |on: bool, fields: &'static [Field]| if on { fields } else { &[] };
        let optional = [some(has(0), &COUNTED), some(has(1), &TRANSLATED)];
        ALWAYS.into_iter().chain(optional.into_iter().flatten().copied())
    }
}

/// Whose messages: their numbers go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Domain {
    /// Observation domain.
    pub(super) id: u32,
    /// Records sent so far, modulo 2^32.
    pub(super) sequence: u32,
}

impl Domain {
    /// A message with all templates.
    pub(super) fn templates(&self, now_s: u32) -> Vec<u8> {
        let mut message = self.header(now_s);
        let set = begin(&mut message, TEMPLATES);
        for parts in (0..Parts::ALL).map(Parts) {
            put16(&mut message, parts.id());
            put16(&mut message, parts.fields().count() as u16);
            for Field { element, bytes, reverse } in parts.fields() {
                put16(&mut message, element | u16::from(reverse) << 15);
                put16(&mut message, bytes);
                if reverse {
                    message.extend(REVERSE.to_be_bytes());
                }
            }
        }
        end(&mut message, set);
        finish(&mut message);
        message
    }

    /// Messages with these records, in order, and how many records each has.
    pub(super) fn records(&mut self, now_s: u32, records: &[Record]) -> Vec<(Vec<u8>, u64)> {
        let mut messages = Vec::new();
        let mut left = records;
        while !left.is_empty() {
            let (mut message, before) = (self.header(now_s), left.len());
            while let Some(first) = left.first() {
                // Records of one template that follow each other share a set.
                let parts = Parts::of(first);
                let bytes: usize = parts.fields().map(|field| usize::from(field.bytes)).sum();
                let room = (MESSAGE_MAX - message.len()).saturating_sub(SET_HEADER_BYTES) / bytes;
                let alike = left.iter().take_while(|record| Parts::of(record) == parts).count();
                let (now, later) = left.split_at(alike.min(room));
                if now.is_empty() {
                    break;
                }
                let set = begin(&mut message, parts.id());
                now.iter().for_each(|record| put_record(&mut message, record));
                end(&mut message, set);
                self.sequence = self.sequence.wrapping_add(now.len() as u32);
                left = later;
            }
            finish(&mut message);
            messages.push((message, (before - left.len()) as u64));
        }
        messages
    }

    /// The header but for its length. The number is that of records before this message.
    fn header(&self, now_s: u32) -> Vec<u8> {
        let mut message = Vec::with_capacity(MESSAGE_MAX);
        put16(&mut message, VERSION);
        put16(&mut message, 0);
        message.extend(now_s.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(self.id.to_be_bytes());
        debug_assert_eq!(message.len(), HEADER_BYTES);
        message
    }
}

/// In the order of the fields.
fn put_record(message: &mut Vec<u8>, record: &Record) {
    let socket = |message: &mut Vec<u8>, (address, port): (Ipv4Addr, u16)| {
        message.extend(address.octets());
        put16(message, port);
    };
    message.extend(record.flow_id.to_be_bytes());
    message.push(record.protocol);
    socket(message, record.source);
    socket(message, record.destination);
    message.extend(record.start_ms.to_be_bytes());
    message.extend(record.end_ms.to_be_bytes());
    message.push(record.reason as u8);
    if let Some(Counted { octets, packets, tcp }) = record.counted {
        for way in 0..2 {
            message.extend(octets[way].to_be_bytes());
            message.extend(packets[way].to_be_bytes());
            put16(message, tcp[way]);
        }
    }
    for side in record.translated.into_iter().flatten() {
        socket(message, side);
    }
}

fn put16(message: &mut Vec<u8>, value: u16) {
    message.extend(value.to_be_bytes());
}

/// Begins a set; where it stands.
fn begin(message: &mut Vec<u8>, id: u16) -> usize {
    let at = message.len();
    put16(message, id);
    put16(message, 0);
    at
}

/// Writes its length into a set, which is not longer than a message.
fn end(message: &mut [u8], set: usize) {
    let length = (message.len() - set) as u16;
    message[set + 2..set + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes its length into a message.
fn finish(message: &mut [u8]) {
    let length = message.len() as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            flow_id: 7,
            protocol: 6,
            source: (Ipv4Addr::new(10, 47, 255, 237), 40_000),
            destination: (Ipv4Addr::new(10, 105, 139, 153), 8888),
            start_ms: 1_000,
            end_ms: 2_000,
            reason: EndReason::Idle,
            counted: None,
            translated: None,
        }
    }

    /// The sets of a message: their ids and contents.
    fn sets(message: &[u8]) -> Vec<(u16, &[u8])> {
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        assert_eq!((word(0), usize::from(word(2))), (VERSION, message.len()));
        let (mut at, mut sets) = (HEADER_BYTES, Vec::new());
        while at < message.len() {
            let length = usize::from(word(at + 2));
            sets.push((word(at), &message[at + SET_HEADER_BYTES..at + length]));
            at += length;
        }
        assert_eq!(at, message.len());
        sets
    }

    #[test]
    fn a_template_has_a_field_for_each_value_of_its_records() {
        let counted = Some(Counted { octets: [1, 2], packets: [3, 4], tcp: [5, 6] });
        let translated = Some([record().source, record().destination]);
        for counted in [None, counted] {
            for translated in [None, translated] {
                let record = Record { counted, translated, ..record() };
                let mut bytes = Vec::new();
                put_record(&mut bytes, &record);
                let fields = Parts::of(&record).fields();
                assert_eq!(bytes.len(), fields.map(|f| usize::from(f.bytes)).sum::<usize>());
            }
        }
        let message = Domain { id: 3, sequence: 9 }.templates(1_000);
        assert!(message.len() <= MESSAGE_MAX);
        assert_eq!(message[4..16], [0, 0, 3, 232, 0, 0, 0, 9, 0, 0, 0, 3]);
        let [(TEMPLATES, templates)] = sets(&message)[..] else { panic!("one set") };
        // Template 256 with 9 fields, of which the first is a flowId of 8 bytes.
        assert_eq!(templates[..8], [1, 0, 0, 9, 0, 148, 0, 8]);
    }

    #[test]
    fn records_fill_messages_and_are_numbered() {
        let counted = Counted { octets: [1, 2], packets: [3, 4], tcp: [5, 6] };
        let other = Record { counted: Some(counted), ..record() };
        let records: Vec<Record> =
            (0..100).map(|i| if i < 60 { record() } else { other }).collect();
        let mut domain = Domain { id: 1, sequence: u32::MAX - 9 };
        let messages = domain.records(0, &records);
        assert_eq!(domain.sequence, 90);
        assert!(messages.iter().all(|(message, _)| message.len() <= MESSAGE_MAX));
        // 38 bytes each, then 74.
        let all: Vec<(u16, usize)> = messages
            .iter()
            .flat_map(|(message, _)| sets(message))
            .map(|(id, records)| (id, records.len() / if id == 256 { 38 } else { 74 }))
            .collect();
        let of = |wanted| all.iter().filter(|(id, _)| *id == wanted).map(|(_, n)| n).sum::<usize>();
        assert_eq!((of(256), of(257)), (60, 40), "{all:?}");
        assert_eq!(messages.len(), 4);
        // The second message's number is that of the records in the first.
        let in_first = sets(&messages[0].0)[0].1.len() / 38;
        assert_eq!(messages[0].1, in_first as u64);
        let number = u32::from_be_bytes(messages[1].0[8..12].try_into().unwrap_or_default());
        assert_eq!(number, (u32::MAX - 9).wrapping_add(in_first as u32));
        assert!(domain.records(0, &[]).is_empty());
    }
}
