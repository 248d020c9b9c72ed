//! 64-byte records of the command, completion and event rings. Little endian, as PCI is.
//!
//! The host writes commands into the command ring and the doorbell (`regs::CMD_PRODUCER`); the card executes them strictly
//! in order and writes one completion a command into the completion ring, at the same position. Producer and consumer
//! counts run freely modulo 2^32; position = count mod ring size. A completion is new when its `phase` equals the ring's
//! current lap: 1 on the first lap, 0 on the second, and so on. The phase is a record's last byte: a record that becomes
//! visible in pieces, lower addresses first, is whole when its phase is seen.
//!
//! Several completions may be on their way at once; `regs::CMD_CONSUMER` counts, in order, those whose writes are acknowledged.
//!
//! A command with [`FLAG_CHAINED`] is executed only if the one before it ended with `Ok`; else it ends with `Skipped`, and so
//! do all chained ones behind it. A list of commands of which all but the first are chained is thus carried out up to the first
//! that fails and no further, however many of them are sent ahead. A run of the ring begins as if one had ended with `Ok`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::table::Words;
use crate::word::codes;

/// Bytes of every record.
pub const RECORD_BYTES: usize = 64;
/// Smallest ring, as a power of two of records.
pub const RING_LOG2_MIN: u32 = 4;
/// Largest ring, as a power of two of records.
pub const RING_LOG2_MAX: u32 = 16;

codes! {
    /// What a command asks for.
    Opcode {
        /// Nothing; completes.
        Nop = 0;
        /// Writes `data` at `index` of `table`.
        Write = 1;
        /// Reads the entry at `index` of `table`.
        Read = 2;
        /// Finds the first valid entry at or after `index`; the completion's `index` says where. NotFound past the end.
        GetNext = 3;
        /// Completes when every packet decided under earlier tables has left the match-action core.
        Fence = 4;
        /// Digest of the valid entries of `table` in order of index, from `index` on: CRC-64/XZ over the index and the words of each, 32 bits little endian ([`crate::digest`]). `data[0]`: how many entries at most (0 or more than `DIGEST_ENTRIES_MAX`: that many, so that no command holds the ring for long); `data[1]`, `data[2]`: low and high word of the digest of the entries before, 0 at the beginning. The completion has the digest so far in `data[0]`, `data[1]`, the entries covered in `data[2]`, and where to go on in `index`. Ok: there may be more; NotFound: it is complete, no valid entry is left, `index` is the table's size. Each entry counts as it is when its turn comes: of a table that changes meanwhile (`Flow` by the card's own hand) the digest is of no use. NotPermitted for tables without valid bits.
        Digest = 5;
    }
}

codes! {
    /// How a command ended.
    Status {
        /// Done.
        Ok = 0;
        /// Opcode not known.
        BadOpcode = 1;
        /// Table not known.
        BadTable = 2;
        /// Index beyond the table.
        BadIndex = 3;
        /// Table does not allow this.
        NotPermitted = 4;
        /// No further valid entry.
        NotFound = 5;
        /// Not executed, as it is chained to one that did not end with Ok.
        Skipped = 6;
        /// The entry at the completion's `index` stands in the card with the wrong parity: what it says is not to be believed. A Digest or a search ends there.
        Parity = 7;
    }
}

/// Command flag: raise the completion interrupt when this one completes.
pub const FLAG_IRQ: u8 = 1;
/// Command flag: execute this one only if the one before it ended with `Ok`.
pub const FLAG_CHAINED: u8 = 2;
/// Most entries that one Digest covers: about 100,000 core cycles.
pub const DIGEST_ENTRIES_MAX: u32 = 4096;

/// A command, written by the host.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Command {
    /// [`Opcode`].
    pub opcode: u8,
    /// `table::TableId`.
    pub table: u8,
    /// `FLAG_*`.
    pub flags: u8,
    /// Zero.
    pub reserved0: u8,
    /// Index in the table.
    pub index: u32,
    /// Returned in the completion.
    pub cookie: u32,
    /// Zero.
    pub reserved1: u32,
    /// Entry (Write), or what Digest asks for.
    pub data: Words,
}

/// A completion, written by the card.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Completion {
    /// Entry (Read, GetNext), or what Digest found.
    pub data: Words,
    /// Index of the entry (Read, Write, GetNext), or where to go on (Digest).
    pub index: u32,
    /// The command's cookie.
    pub cookie: u32,
    /// Commands completed since the ring was set up, modulo 2^32, this one included.
    pub sequence: u32,
    /// [`Status`].
    pub status: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Lap bit, see the module. The last byte.
    pub phase: u8,
}

codes! {
    /// Kind of an [`Event`].
    EventKind {
        /// The firmware's state changed: `arg0` = `FW_STATUS`, `arg1` = `FW_INFO`.
        Firmware = 1;
        /// A flow pair found no room: `arg0` = count so far.
        FlowTableFull = 2;
        /// A pair of flow entries was made. This and the three that follow are [`FlowEvent`]s.
        FlowMade = 3, since 4;
        /// A pair is gone: `reason` is a [`FlowEnd`].
        FlowEnded = 4, since 4;
        /// A pair keeps its number, but its member, mapping or next hop was chosen anew in place, or moved.
        FlowRepinned = 5, since 4;
        /// A packet that needs a pair was dropped: `reason` is the `DropReason`.
        FlowRefused = 6, since 4;
        /// The pressure on the flow table changed: `arg0` = what it is from now on, 0 to 3, `arg1` = `FlowsInUse`.
        FlowPressure = 7, since 4;
    }
}

codes! {
    /// Why a pair of flow entries is gone.
    FlowEnd {
        /// It was old (`docs/datapath.md`, section 9.4).
        Aged = 1, since 4;
        /// It gave way in a table that fills (section 9.5).
        Evicted = 2, since 4;
        /// The host deleted it.
        Deleted = 3, since 4;
        /// Its member or mapping is gone, or its connection is over (section 9.2, "dead pair?").
        Dead = 4, since 4;
        /// Another pair took its key or its place.
        Replaced = 5, since 4;
    }
}

/// Flag of a [`FlowEvent`]: the pair is plain, that is, has neither a mapping nor a member.
pub const FLOW_EVENT_PLAIN: u8 = 1;
/// Flag of a [`FlowEvent`]: `map` counts.
pub const FLOW_EVENT_MAP: u8 = 2;
/// Flag of a [`FlowEvent`]: `ecmp_slot` counts.
pub const FLOW_EVENT_MEMBER: u8 = 4;
/// Flag of a [`FlowEvent`]: what the pair counted is not known, as somebody else had its statistics already.
pub const FLOW_EVENT_UNCOUNTED: u8 = 8;

/// An event, written by the card into the event ring.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Event {
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// First argument.
    pub arg0: u32,
    /// Second argument.
    pub arg1: u32,
    /// Zero.
    pub reserved0: [u32; 10],
    /// Events since the ring was set up, modulo 2^32, this one included.
    pub sequence: u32,
    /// [`EventKind`].
    pub kind: u8,
    /// Zero.
    pub reserved1: [u8; 2],
    /// Lap bit, as in [`Completion`]. The last byte.
    pub phase: u8,
}

/// An [`Event`] about a pair of flow entries, or about a packet that got none. Its key is that of the forward entry: of the
/// packet as it arrived, before translation. Of what both entries have, that of the forward one comes first. What was
/// counted (`tcp`, `packets`, `bytes…`, `last_hit`) is told of pairs that ended, and 0 otherwise.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FlowEvent {
    /// Card time in core cycles.
    pub time_cycles: u64,
    /// The pair's number; 0 of a packet that was refused.
    pub pair: u32,
    /// [`FlowEnd`] or `DropReason`, by `kind`; else 0.
    pub reason: u8,
    /// `FLOW_EVENT_*`.
    pub flags: u8,
    /// The member's slot in its group.
    pub ecmp_slot: u16,
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Source port; of ICMP echo, its identifier.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// `nh` of the key.
    pub nh: u16,
    /// IP protocol.
    pub protocol: u8,
    /// `table::TCP_*` of the forward entry in 3..0, of the reverse one in 7..4.
    pub tcp: u8,
    /// Packets.
    pub packets: [u32; 2],
    /// Frame bytes on arrival, low words.
    pub bytes_low: [u32; 2],
    /// Frame bytes on arrival, bits 39..32.
    pub bytes_high: [u8; 2],
    /// The mapping.
    pub map: u16,
    /// Card time of the last packet of either, in units of 2^16 core cycles; 0 = none came.
    pub last_hit: u32,
    /// As in [`Event`].
    pub sequence: u32,
    /// [`EventKind`].
    pub kind: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Lap bit, as in [`Completion`]. The last byte.
    pub phase: u8,
}

const _: () = assert!(size_of::<Command>() == RECORD_BYTES);
const _: () = assert!(size_of::<Completion>() == RECORD_BYTES);
const _: () = assert!(size_of::<Event>() == RECORD_BYTES);
const _: () = assert!(size_of::<FlowEvent>() == RECORD_BYTES);
const _: () = assert!(core::mem::offset_of!(Completion, phase) == RECORD_BYTES - 1);
const _: () = assert!(core::mem::offset_of!(Event, phase) == RECORD_BYTES - 1);
const _: () = assert!(core::mem::offset_of!(FlowEvent, phase) == RECORD_BYTES - 1);
