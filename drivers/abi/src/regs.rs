//! Registers of BAR 0: 32 bits wide, little endian, accessed whole and aligned.
//!
//! Offsets are append-only: a register never moves, and `layout::VERSION`'s major number changes when a meaning does. A
//! register that is added to a major says since which minor it is there (`, since 1`).
//! Reads of an address without a register return 0, writes there do nothing. A device that is gone reads as all ones.

use bitfield::bitfield;

use crate::limits;
use crate::ring::EventKind;
use crate::table::{TABLES, TableId};

/// How a register may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Ro,
    /// Read and write.
    Rw,
    /// Reads as state, writing ones acts or clears.
    W1,
    /// Write only: reads as 0.
    Wo,
}

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct RegDesc {
    /// Name in UPPER_CASE.
    pub name: &'static str,
    /// Byte offset in BAR 0.
    pub offset: u32,
    /// Access.
    pub access: Access,
    /// Survives a function-level reset.
    pub survives_flr: bool,
    /// What it means.
    pub doc: &'static str,
    /// Minor version that added it; 0 = as old as the major version.
    pub since: u16,
}

macro_rules! registers {
    ($( $(#[doc = $doc:literal])+ $name:ident = $offset:literal, $access:ident, $flr:ident $(, since $since:literal)?; )*) => {
        $( $(#[doc = $doc])+ pub const $name: u32 = $offset; )*
        /// Every register, by offset.
        pub const REGISTERS: &[RegDesc] = &[
            $(RegDesc { name: stringify!($name), offset: $offset, access: Access::$access, survives_flr: registers!(@ $flr), doc: concat!($($doc),+), since: 0 $(+ $since)? }),*
        ];
    };
    (@ keeps) => { true };
    (@ clears) => { false };
}

/// Bytes of BAR 0.
pub const BAR0_BYTES: u32 = 0x1_0000;
/// Value of [`MAGIC`].
pub const MAGIC_VALUE: u32 = 0x5053_544b;
/// PCI vendor id of the card (not assigned by the PCI-SIG; a place-holder until a board vendor's id is used).
pub const PCI_VENDOR_ID: u16 = 0x1e55;
/// PCI device id of the card.
pub const PCI_DEVICE_ID: u16 = 0x5053;
/// MSI-X vectors.
pub const IRQ_VECTORS: u32 = 3;
/// MSI-X vector of completions (commands with `FLAG_IRQ`).
pub const IRQ_COMPLETION: u32 = 0;
/// MSI-X vector of events.
pub const IRQ_EVENT: u32 = 1;
/// MSI-X vector of faults (a ring access failed, the firmware died).
pub const IRQ_FAULT: u32 = 2;

registers! {
    /// `MAGIC_VALUE`: this is a Penstock card.
    MAGIC = 0x000, Ro, keeps;
    /// Layout version: major in 31..16, minor in 15..0.
    LAYOUT_VERSION = 0x004, Ro, keeps;
    /// Hash of the layout's description, low word.
    LAYOUT_HASH_LO = 0x008, Ro, keeps;
    /// Hash of the layout's description, high word.
    LAYOUT_HASH_HI = 0x00c, Ro, keeps;
    /// Nominal core clock in kHz.
    CLOCK_KHZ = 0x010, Ro, keeps;
    /// Free for the host.
    SCRATCH = 0x014, Rw, clears;
    /// Additions to the major version that the card has, a bit each, see `layout::Capability`. A bit that is not known means nothing.
    CAPABILITIES = 0x018, Ro, keeps;

    /// Control, see [`Control`].
    CONTROL = 0x100, Rw, keeps;
    /// Status, see [`CardStatus`].
    STATUS = 0x104, Ro, keeps;
    /// Writing `CLEAR_KEY` clears all tables, flows and counters; `STATUS.clearing` is set meanwhile, and EPOCH becomes 0. Nothing else clears them but power.
    CLEAR = 0x108, W1, clears;
    /// Cause of the last reset: 1 power-on, 2 function-level reset.
    RESET_CAUSE = 0x10c, Ro, keeps;
    /// Function-level resets since power-on.
    FLR_COUNT = 0x110, Ro, keeps;
    /// The host's mark: epoch of the last complete reconcile.
    EPOCH = 0x114, Rw, keeps;
    /// Card time in core cycles, low word. Reading it latches the high word.
    TIME_LO = 0x118, Ro, keeps;
    /// Card time, high word as latched.
    TIME_HI = 0x11c, Ro, keeps;
    /// Secret of the flow table's hash, words 1 and 0 (16 bits each, `hash::FlowSecret`). What is written to the six registers counts from the next CLEAR on; 0 after power-on.
    HASH_KEY0 = 0x120, Wo, keeps;
    /// Words 3 and 2 of the secret.
    HASH_KEY1 = 0x124, Wo, keeps;
    /// Words 5 and 4 of the secret.
    HASH_KEY2 = 0x128, Wo, keeps;
    /// Words 7 and 6 of the secret.
    HASH_KEY3 = 0x12c, Wo, keeps;
    /// Words 9 and 8 of the secret.
    HASH_KEY4 = 0x130, Wo, keeps;
    /// Words 11 and 10 of the secret.
    HASH_KEY5 = 0x134, Wo, keeps;
    /// Words of tables that were met with the wrong parity, by packets or by reads of the host, modulo 2^32: one that stays so counts each time.
    PARITY_ERRORS = 0x138, Ro, keeps;
    /// Where the last of them was: the table in 31..24, the entry's index in 23..0. 0 before the first.
    PARITY_LAST = 0x13c, Ro, keeps;
    /// Writing `PARITY_INJECT_KEY` has the next write to a table store the wrong parity, in every copy, of a table that is kept with one; anything else takes that back. Reads as 1 until then. For tests of what mends it.
    PARITY_INJECT = 0x140, W1, clears;

    /// `FlowsInUse` above which there is pressure 1 on the flow table; 0, as after power-on, is never. See `docs/datapath.md`, section 9.5.
    FLOW_PRESSURE1 = 0x150, Rw, keeps, since 2;
    /// Likewise, pressure 2.
    FLOW_PRESSURE2 = 0x154, Rw, keeps, since 2;
    /// Likewise, pressure 3.
    FLOW_PRESSURE3 = 0x158, Rw, keeps, since 2;
    /// As `FLOW_KEEP0`, of pairs in any state that are plain.
    FLOW_KEEP_PLAIN = 0x15c, Rw, keeps, since 2;

    /// Time after which pairs of flow entries are old: closed TCP connections. In units of 2^16 cycles of card time; 0, as after power-on, is for ever. See `docs/datapath.md`, section 9.4.
    FLOW_AGE0 = 0x180, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: TCP connections that are opening.
    FLOW_AGE1 = 0x184, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: half-closed TCP connections.
    FLOW_AGE2 = 0x188, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: established TCP connections.
    FLOW_AGE3 = 0x18c, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: UDP in one direction only.
    FLOW_AGE4 = 0x190, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: UDP.
    FLOW_AGE5 = 0x194, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: ICMP.
    FLOW_AGE6 = 0x198, Rw, keeps, since 1;
    /// Time after which pairs of flow entries are old: other protocols.
    FLOW_AGE7 = 0x19c, Rw, keeps, since 1;
    /// Pairs whose forward key has this protocol (23..16) and destination port (15..0) have a time of their own, if bit 31 is set.
    FLOW_AGE_PORT0 = 0x1a0, Rw, keeps, since 1;
    /// Likewise, number 1.
    FLOW_AGE_PORT1 = 0x1a4, Rw, keeps, since 1;
    /// Likewise, number 2.
    FLOW_AGE_PORT2 = 0x1a8, Rw, keeps, since 1;
    /// Likewise, number 3.
    FLOW_AGE_PORT3 = 0x1ac, Rw, keeps, since 1;
    /// Likewise, number 4.
    FLOW_AGE_PORT4 = 0x1b0, Rw, keeps, since 1;
    /// Likewise, number 5.
    FLOW_AGE_PORT5 = 0x1b4, Rw, keeps, since 1;
    /// Likewise, number 6.
    FLOW_AGE_PORT6 = 0x1b8, Rw, keeps, since 1;
    /// Likewise, number 7.
    FLOW_AGE_PORT7 = 0x1bc, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT0` names.
    FLOW_AGE_BY_PORT0 = 0x1c0, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT1` names.
    FLOW_AGE_BY_PORT1 = 0x1c4, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT2` names.
    FLOW_AGE_BY_PORT2 = 0x1c8, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT3` names.
    FLOW_AGE_BY_PORT3 = 0x1cc, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT4` names.
    FLOW_AGE_BY_PORT4 = 0x1d0, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT5` names.
    FLOW_AGE_BY_PORT5 = 0x1d4, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT6` names.
    FLOW_AGE_BY_PORT6 = 0x1d8, Rw, keeps, since 1;
    /// Time of what `FLOW_AGE_PORT7` names.
    FLOW_AGE_BY_PORT7 = 0x1dc, Rw, keeps, since 1;

    /// When pairs of flow entries give way in a table that fills: closed TCP connections. From which pressure on (31..30; 0, as after power-on: never), whether at pressure 3 at any time (29), else after how long a rest (28..0, in units of 2^16 cycles of card time). See `docs/datapath.md`, section 9.5.
    FLOW_KEEP0 = 0x1e0, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: TCP connections that are opening.
    FLOW_KEEP1 = 0x1e4, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: half-closed TCP connections.
    FLOW_KEEP2 = 0x1e8, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: established TCP connections.
    FLOW_KEEP3 = 0x1ec, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: UDP in one direction only.
    FLOW_KEEP4 = 0x1f0, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: UDP.
    FLOW_KEEP5 = 0x1f4, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: ICMP.
    FLOW_KEEP6 = 0x1f8, Rw, keeps, since 2;
    /// When pairs of flow entries give way in a table that fills: other protocols.
    FLOW_KEEP7 = 0x1fc, Rw, keeps, since 2;

    /// Command ring: bus address, low word (64-byte aligned).
    CMD_BASE_LO = 0x200, Rw, clears;
    /// Command ring: bus address, high word.
    CMD_BASE_HI = 0x204, Rw, clears;
    /// Completion ring: bus address, low word (64-byte aligned).
    CPL_BASE_LO = 0x208, Rw, clears;
    /// Completion ring: bus address, high word.
    CPL_BASE_HI = 0x20c, Rw, clears;
    /// Records of both rings, as a power of two: 4..=16.
    RING_LOG2 = 0x210, Rw, clears;
    /// 1 runs the ring; the transition from 0 to 1 resets both counts. A ring fault (`STATUS.ring_fault`) clears it.
    RING_ENABLE = 0x214, Rw, clears;
    /// Doorbell: commands written so far, modulo 2^32. More than the ring holds beyond those that the card has fetched is a ring fault: none of them is executed.
    CMD_PRODUCER = 0x218, Rw, clears;
    /// Commands completed so far, modulo 2^32.
    CMD_CONSUMER = 0x21c, Ro, clears;
    /// Ring faults: bus errors met by ring accesses, and impossible values of CMD_PRODUCER (saturating).
    RING_ERRORS = 0x220, Ro, clears;

    /// Event ring: bus address, low word (64-byte aligned).
    EVT_BASE_LO = 0x240, Rw, clears;
    /// Event ring: bus address, high word.
    EVT_BASE_HI = 0x244, Rw, clears;
    /// Records of the event ring, as a power of two: 4..=16.
    EVT_LOG2 = 0x248, Rw, clears;
    /// 1 writes events; the transition from 0 to 1 resets the counts.
    EVT_ENABLE = 0x24c, Rw, clears;
    /// Events written so far, modulo 2^32.
    EVT_PRODUCER = 0x250, Ro, clears;
    /// Events consumed so far, written by the host; a full ring drops events and counts them.
    EVT_CONSUMER = 0x254, Rw, clears;
    /// Events lost because the ring was full, or because they came faster than they could be written (saturating).
    EVT_DROPPED = 0x258, Ro, clears;
    /// Which events are written: bit `n` those of kind `n` (`ring::EventKind`). After a reset `EVT_KINDS_FIRST`. See `docs/datapath.md`, section 9.8.
    EVT_KINDS = 0x25c, Rw, clears, since 4;
    /// `n` in 3..0: events about pairs are written of one pair in 2^`n` (those whose number is 0 in its low `n` bits), and of packets that were refused one in 2^`n`; 0 is all.
    EVT_SAMPLE = 0x260, Rw, clears, since 4;

    /// Firmware status word, see `fw::STATUS_*`.
    FW_STATUS = 0x300, Ro, keeps;
    /// Detail of the firmware status (panic: hash of the file name; trap: mepc).
    FW_INFO = 0x304, Ro, keeps;
    /// Firmware version: major in 31..16, minor in 15..0.
    FW_VERSION = 0x308, Ro, keeps;
    /// Counts up about ten times a second of card time while the firmware lives.
    FW_HEARTBEAT = 0x30c, Ro, keeps;
    /// Mailbox: request code, `fw::MBOX_*`. Writing it hands the request to the firmware and clears `MBOX_READY`.
    MBOX_REQUEST = 0x310, Rw, clears;
    /// Mailbox: argument, written before the request.
    MBOX_ARG = 0x314, Rw, clears;
    /// Mailbox: 1 when the reply to the last request stands in `MBOX_REPLY`.
    MBOX_READY = 0x318, Ro, clears;
    /// Mailbox: reply.
    MBOX_REPLY = 0x31c, Ro, clears;

    /// Entries of the table `Vif`.
    DEPTH_VIF = 0x400, Ro, keeps;
    /// Entries of the table `Ilm`.
    DEPTH_ILM = 0x404, Ro, keeps;
    /// Entries of the table `NextHop`.
    DEPTH_NEXT_HOP = 0x408, Ro, keeps;
    /// Entries of the table `Ecmp`.
    DEPTH_ECMP = 0x40c, Ro, keeps;
    /// Entries of the table `HostRoute`.
    DEPTH_HOST_ROUTE = 0x410, Ro, keeps;
    /// Entries of the table `Prefix`.
    DEPTH_PREFIX = 0x414, Ro, keeps;
    /// Entries of the table `FipKey`.
    DEPTH_FIP_KEY = 0x418, Ro, keeps;
    /// Entries of the table `FipMap`.
    DEPTH_FIP_MAP = 0x41c, Ro, keeps;
    /// Entries of the table `Flow`.
    DEPTH_FLOW = 0x420, Ro, keeps;
    /// Entries of the table `FlowStats`.
    DEPTH_FLOW_STATS = 0x424, Ro, keeps;
    /// Entries of the table `VifStats`.
    DEPTH_VIF_STATS = 0x428, Ro, keeps;
    /// Entries of the table `DropStats`.
    DEPTH_DROP_STATS = 0x42c, Ro, keeps;
    /// Entries of the table `CardStats`.
    DEPTH_CARD_STATS = 0x430, Ro, keeps;
    /// Entries of the table `DefaultRoute`.
    DEPTH_DEFAULT_ROUTE = 0x434, Ro, keeps;
    /// Entries of the table `PrefixLength`.
    DEPTH_PREFIX_LENGTH = 0x438, Ro, keeps;
    /// Entries of the table `Vrf`.
    DEPTH_VRF = 0x43c, Ro, keeps;
    /// Entries of the table `ServiceKey`.
    DEPTH_SERVICE_KEY = 0x440, Ro, keeps;
    /// Entries of the table `TunnelSource`.
    DEPTH_TUNNEL_SOURCE = 0x444, Ro, keeps;
    /// Entries of the table `PlainFip`.
    DEPTH_PLAIN_FIP = 0x448, Ro, keeps;
    /// Entries of the table `FlowShare`.
    DEPTH_FLOW_SHARE = 0x44c, Ro, keeps, since 2;
    /// Entries of the table `FlowShareStats`.
    DEPTH_FLOW_SHARE_STATS = 0x450, Ro, keeps, since 2;
    /// Entries of the table `Affinity`.
    DEPTH_AFFINITY = 0x454, Ro, keeps, since 3;
    /// Most slots of one ECMP group.
    ECMP_GROUP_MAX = 0x500, Ro, keeps;
    /// Rows of one way of the table `Flow`, as a power of two.
    FLOW_ROWS_LOG2 = 0x504, Ro, keeps;
    /// Flow entries in use above which a new flow that needs translation is dropped.
    FLOWS_TRANSLATED_MAX = 0x508, Ro, keeps;
}

/// The register that says how many entries a table has.
#[must_use]
pub const fn depth(table: TableId) -> u32 {
    DEPTH_VIF + 4 * table as u32
}

/// Every register that says how large something is, with what the card says there that the RTL generated from these
/// definitions is.
pub fn sizes() -> impl Iterator<Item = (u32, u32)> {
    let depths = TABLES.iter().map(|table| (depth(table.id), table.depth));
    depths.chain([
        (ECMP_GROUP_MAX, limits::ECMP_GROUP_MAX),
        (FLOW_ROWS_LOG2, limits::FLOW_ROWS_LOG2),
        (FLOWS_TRANSLATED_MAX, limits::FLOWS_TRANSLATED_MAX),
    ])
}

/// Value that makes [`CLEAR`] act: "CLR!".
pub const CLEAR_KEY: u32 = 0x434c_5221;
/// Value that makes [`PARITY_INJECT`] act: "PAR!".
pub const PARITY_INJECT_KEY: u32 = 0x5041_5221;
/// [`EVT_KINDS`] after a reset: what hosts know that do not know the register.
pub const EVT_KINDS_FIRST: u32 =
    1 << EventKind::Firmware as u32 | 1 << EventKind::FlowTableFull as u32;
/// [`RESET_CAUSE`] after power-on.
pub const RESET_POWER_ON: u32 = 1;
/// [`RESET_CAUSE`] after a function-level reset.
pub const RESET_FLR: u32 = 2;

bitfield! {
    /// Fields of [`CONTROL`].
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Control(u32);
    impl Debug;
    /// Forwards packets; otherwise every packet is dropped and counted (`Disabled`).
    pub enable, set_enable: 0;
}

bitfield! {
    /// Fields of [`STATUS`].
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct CardStatus(u32);
    impl Debug;
    /// Tables are being cleared; commands wait.
    pub clearing, _: 0;
    /// No packet, command or insertion is in flight.
    pub idle, _: 1;
    /// The command ring stopped: on a bus error, or as CMD_PRODUCER said more commands than the ring holds.
    pub ring_fault, _: 2;
    /// Something of the command ring is under way, perhaps of a run that was stopped: its memory may still be read and written.
    pub ring_busy, _: 3;
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::*;

    #[test]
    fn each_table_has_a_register_that_says_its_depth() {
        for table in TABLES {
            let register = REGISTERS.iter().find(|r| r.offset == depth(table.id));
            let named = register.map(|r| r.name.replace('_', "").to_lowercase());
            assert_eq!(named, Some(format!("depth{}", table.name.to_lowercase())));
        }
        for (offset, value) in sizes() {
            let register = REGISTERS.iter().find(|r| r.offset == offset);
            assert!(register.is_some_and(|r| r.access == Access::Ro && r.survives_flr));
            assert!(value > 0, "{offset:#x}");
        }
    }
}
