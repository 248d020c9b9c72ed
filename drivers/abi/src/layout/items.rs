//! Everything that host, card and firmware must agree on, as a list of named numbers.
//!
//! Left out, and by what a difference is noticed instead: what a register tells ([`crate::limits::CORE_CLOCK_KHZ`], and how
//! large each table is, [`crate::regs::depth`]), what PCI tells (ids, the size of BAR 0), and what the firmware's own version covers (status words, mailbox codes).
//! `tests/layout.rs` fails when a constant of this crate is in neither list.

use core::mem::{offset_of, size_of_val};

use crate::digest::{self, Digest};
use crate::layout::Capability;
use crate::reason::{CardCounter, DropReason, TrapReason};
use crate::regs::{Access, CardStatus, Control, REGISTERS};
use crate::ring::{Command, Completion, Event, EventKind, FlowEnd, FlowEvent, Opcode, Status};
use crate::table::{
    FlowKey, HostRoute, LearnPolicy, NextHop, NextHopKind, ServiceAddress, SourceCheck, TABLES,
    TableEntry as _, TableId, VifKind, bucket_index,
};
use crate::{affinity, fw, hash, limits, regs, ring, share, table};

/// One thing that is agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// What kind of thing it is, or what it is part of.
    pub group: &'static str,
    /// Its name, unique within the group.
    pub name: &'static str,
    /// The numbers that define it.
    pub values: &'a [u64],
    /// Minor version that added it; 0 = as old as the major version.
    pub since: u16,
}

/// Takes items one by one.
pub type Visitor<'a> = &'a mut dyn FnMut(&Item<'_>);

/// Calls `f` with every item, always in the same order.
pub fn for_each(f: Visitor<'_>) {
    constants(f);
    entries(f);
    tables(f);
    registers(f);
    codes(f);
    records(f);
    firmware(f);
    functions(f);
}

fn constants(f: Visitor<'_>) {
    macro_rules! list {
        ($($module:ident: $($name:ident),+;)+) => { $($(
            f(&Item { group: stringify!($module), name: stringify!($name), values: &[$module::$name as u64], since: 0 });
        )+)+ };
    }
    list! {
        limits: VIF_FABRIC, VIF_VHOST, VIF_FIRST_POD, VRFS, LABEL_FIRST, BUCKET_SLOTS, HOST_ROUTE_WAYS, PREFIX_TABLES,
            PREFIX_WAYS, PREFIX_LEN_MIN, FIP_KEY_WAYS, SERVICE_KEY_WAYS, TUNNEL_SOURCE_WAYS, PLAIN_FIP_WAYS,
            SOURCES_NOBODY, SOURCES_KNOWN,
            FLOW_WAYS, MPLS_UDP_PORT, MPLS_UDP_PORT_OLD, ENTROPY_PORT_MIN, ENTROPY_PORTS, OUTER_TTL, BEAT_BYTES,
            FRAME_MAX_BYTES, DRAIN_CYCLES;
        regs: MAGIC_VALUE, IRQ_VECTORS, IRQ_COMPLETION, IRQ_EVENT, IRQ_FAULT, CLEAR_KEY, RESET_POWER_ON,
            RESET_FLR;
        ring: RECORD_BYTES, RING_LOG2_MIN, RING_LOG2_MAX, FLAG_IRQ, FLAG_CHAINED;
        table: ENTRY_WORDS, TCP_SYN, TCP_FIN, TCP_RST, TCP_ESTABLISHED;
        hash: FIELD_PROTO, FIELD_SIP, FIELD_SPORT, FIELD_DIP, FIELD_DPORT, FIELD_ALL, FLOW_HASH_BITS,
            FLOW_ROW_BITS, FLOW_FINGERPRINT_LSB;
        fw: RAM_BASE, RAM_BYTES, MMIO_BASE, RX_BASE, TX_BASE, FRAME_BYTES, RX_QUEUE_FRAMES, TIME_SHIFT;
    }
    let most = [ring::DIGEST_ENTRIES_MAX.into()];
    f(&Item { group: "ring", name: "DIGEST_ENTRIES_MAX", values: &most, since: 0 });
    let key = [regs::PARITY_INJECT_KEY.into()];
    f(&Item { group: "regs", name: "PARITY_INJECT_KEY", values: &key, since: 0 });
    let shares = [limits::TUNNEL_SHARE_FIRST.into(), limits::TUNNEL_SHARES.into()];
    f(&Item { group: "limits", name: "TUNNEL_SHARES", values: &shares, since: 2 });
    f(&Item {
        group: "limits",
        name: "AFFINITY_WAYS",
        values: &[limits::AFFINITY_WAYS.into()],
        since: 3,
    });
    let times = [affinity::UNIT_LOG2.into(), affinity::TIME_BITS.into()];
    f(&Item { group: "affinity", name: "UNIT_LOG2", values: &times, since: 3 });
    let first = [regs::EVT_KINDS_FIRST.into()];
    f(&Item { group: "regs", name: "EVT_KINDS_FIRST", values: &first, since: 4 });
    for (name, flag) in [
        ("FLOW_EVENT_PLAIN", ring::FLOW_EVENT_PLAIN),
        ("FLOW_EVENT_MAP", ring::FLOW_EVENT_MAP),
        ("FLOW_EVENT_MEMBER", ring::FLOW_EVENT_MEMBER),
        ("FLOW_EVENT_UNCOUNTED", ring::FLOW_EVENT_UNCOUNTED),
    ] {
        f(&Item { group: "ring", name, values: &[flag.into()], since: 4 });
    }
    let mac = limits::GATEWAY_MAC.map(u64::from);
    f(&Item { group: "limits", name: "GATEWAY_MAC", values: &mac, since: 0 });
}

fn entries(f: Visitor<'_>) {
    super::for_each_entry(|entry, _, fields, _| {
        for field in fields {
            let values = [field.lsb.into(), field.width.into()];
            f(&Item { group: entry, name: field.name, values: &values, since: field.since });
        }
    });
}

fn tables(f: Visitor<'_>) {
    for table in TABLES {
        let values = [table.id as u64, table.has_valid.into()];
        f(&Item { group: "table", name: table.name, values: &values, since: table.since });
        f(&Item { group: "entry of table", name: table.entry, values: &[], since: table.since });
    }
}

fn registers(f: Visitor<'_>) {
    for register in REGISTERS {
        let access = match register.access {
            Access::Ro => 0,
            Access::Rw => 1,
            Access::W1 => 2,
            Access::Wo => 3,
        };
        let values = [register.offset.into(), access, register.survives_flr.into()];
        f(&Item { group: "register", name: register.name, values: &values, since: register.since });
    }
    let mut enable = Control(0);
    enable.set_enable(true);
    f(&Item { group: "CONTROL", name: "enable", values: &[enable.0.into()], since: 0 });
    let status = |set: fn(&CardStatus) -> bool| {
        (0..32).fold(0, |bits, bit| bits | u64::from(set(&CardStatus(1 << bit))) << bit)
    };
    for (name, bits) in [
        ("clearing", status(CardStatus::clearing)),
        ("idle", status(CardStatus::idle)),
        ("ring_fault", status(CardStatus::ring_fault)),
        ("ring_busy", status(CardStatus::ring_busy)),
    ] {
        f(&Item { group: "STATUS", name, values: &[bits], since: 0 });
    }
}

fn codes(f: Visitor<'_>) {
    let mut code = |group, name, code: u8, since| {
        f(&Item { group, name, values: &[code.into()], since });
    };
    for (kind, name, value, _) in VifKind::ALL {
        code("VifKind", name, *value, kind.since());
    }
    for (policy, name, value, _) in LearnPolicy::ALL {
        code("LearnPolicy", name, *value, policy.since());
    }
    for (kind, name, value, _) in NextHopKind::ALL {
        code("NextHopKind", name, *value, kind.since());
    }
    for (check, name, value, _) in SourceCheck::ALL {
        code("SourceCheck", name, *value, check.since());
    }
    for (service, name, value, _) in ServiceAddress::ALL {
        code("ServiceAddress", name, *value, service.since());
    }
    for (reason, name, _) in DropReason::ALL {
        code("DropReason", name, *reason as u8, reason.since());
    }
    for (counter, name, _) in CardCounter::ALL {
        code("CardCounter", name, *counter as u8, counter.since());
    }
    macro_rules! bytes { ($($kind:ident),+) => { $(for (value, name, since, _) in $kind::ALL {
        code(stringify!($kind), name, *value as u8, *since);
    })+ }; }
    bytes!(TrapReason, Opcode, Status, EventKind, FlowEnd, Capability);
}

fn records(f: Visitor<'_>) {
    macro_rules! fields { ($($record:ident $since:literal: $($field:ident),+;)+) => { $({
        let record = $record::default();
        f(&Item { group: stringify!($record), name: "record", values: &[size_of_val(&record) as u64], since: $since });
        $(
            let place = [offset_of!($record, $field) as u64, size_of_val(&record.$field) as u64];
            f(&Item { group: stringify!($record), name: stringify!($field), values: &place, since: $since });
        )+
    })+ }; }
    fields! {
        Command 0: opcode, table, flags, reserved0, index, cookie, reserved1, data;
        Completion 0: data, index, cookie, sequence, status, reserved, phase;
        Event 0: time_cycles, arg0, arg1, reserved0, sequence, kind, reserved1, phase;
        FlowEvent 4: time_cycles, pair, reason, flags, ecmp_slot, source, destination, source_port, destination_port, nh, protocol, tcp,
            packets, bytes_low, bytes_high, map, last_hit, sequence, kind, reserved, phase;
    }
}

fn firmware(f: Visitor<'_>) {
    macro_rules! registers { ($($field:ident),+) => { $(
        let offset = offset_of!(fw::Registers, $field) as u64;
        f(&Item { group: "firmware register", name: stringify!($field), values: &[offset], since: 0 });
    )+ }; }
    registers!(
        status,
        info,
        version,
        heartbeat,
        mbox_pending,
        mbox_request,
        mbox_arg,
        mbox_reply,
        time_lo,
        time_hi,
        timecmp_lo,
        timecmp_hi,
        rx_frames,
        rx_meta,
        rx_pop,
        tx_free,
        tx_send
    );
}

/// The masks make the hashes; how keys are packed and results used is seen in the results for a key whose bits are all
/// distinguishable.
fn functions(f: Visitor<'_>) {
    // Of no card in particular.
    const ROWS_LOG2: u32 = 12;
    const COUNT: u32 = 1000;
    let mut function =
        |name, values: &[u64]| f(&Item { group: "function", name, values, since: 0 });
    let halves = |mask: u128| [mask as u64, (mask >> 64) as u64];
    for (name, masks) in [
        ("KEY_MASKS", &hash::KEY_MASKS[..]),
        ("MEMBER_MASKS", &hash::MEMBER_MASKS),
        ("FLOW_MIX", &hash::FLOW_MIX),
    ] {
        for mask in masks {
            function(name, &halves(*mask));
        }
    }
    function("FLOW_SECRET_BASE", &hash::FLOW_SECRET_BASE.map(u64::from));
    let key = FlowKey {
        nh: 0x0123,
        proto: 0x45,
        sip: 0x6789_abcd,
        dip: 0xef01_2345,
        sport: 0x6789,
        dport: 0xabcd,
    };
    let hashed = hash::key_hash(hash::flow_key(&key));
    function("flow_key", &halves(hash::flow_key(&key)));
    function("host_route_key", &halves(hash::host_route_key(0x0123, key.sip)));
    for rank in 0..limits::PREFIX_TABLES {
        function("prefix_table", &[hash::prefix_table(rank, 0x0123, key.sip).into()]);
    }
    function("fip_key", &halves(hash::fip_key(0x01, key.proto, key.dip, key.dport)));
    function("service_key", &halves(hash::service_key(0x0123, key.proto, key.dip, key.dport)));
    function("tunnel_source_key", &halves(hash::tunnel_source_key(0x0123, key.sip)));
    function("plain_fip_key", &halves(hash::plain_fip_key(0x01, key.dip)));
    function("key_hash", &[hashed]);
    for way in 0..limits::HOST_ROUTE_WAYS {
        function("row", &[hash::row(hashed, way, ROWS_LOG2).into()]);
    }
    let secret = hash::FlowSecret(core::array::from_fn(|i| 0x89ab_4567_u32.rotate_left(i as u32)));
    let hashed = hash::flow_hash(hash::flow_key(&key), &secret);
    function("flow_hash", &halves(hashed));
    for way in 0..limits::FLOW_WAYS {
        function("flow_row", &[hash::flow_row(hashed, way, ROWS_LOG2).into()]);
    }
    function("flow_fingerprint", &[hash::flow_fingerprint(hashed).into()]);
    for bit in 0..=hash::FIELD_ALL.trailing_ones() {
        let member = hash::member_hash(&key, hash::FIELD_ALL >> bit);
        function("member_hash", &[member.into()]);
        function("scale", &[hash::scale(member, COUNT).into()]);
    }
    function("entropy_port", &[hash::entropy_port(hash::public_hash(&key)).into()]);
    function("outer_id_mix", &[hash::outer_id_mix(hash::public_hash(&key)).into()]);
    function("bucket_index", &[bucket_index(1, 2, 3, ROWS_LOG2).into()]);
    function("pack", &key.pack().map(u64::from));
    let masks = digest::MASKS.map(u64::from);
    f(&Item { group: "function", name: "MASKS", values: &masks, since: 0 });
    let route =
        HostRoute { valid: true, vrf: 0x0123, ip: key.sip, nh: 0x4567, ..HostRoute::default() };
    let digest = Digest::of(TableId::HostRoute, [(0x0123, route.pack())]);
    f(&Item { group: "function", name: "digest", values: &[digest], since: 0 });
    let tunnel = share::of_tunnel(key.sip);
    f(&Item { group: "function", name: "of_tunnel", values: &[tunnel.into()], since: 2 });
    let one = [share::ONE.into()];
    f(&Item { group: "function", name: "ONE", values: &one, since: 2 });
    let hashed = hash::client_hash(key.sip, &secret);
    f(&Item { group: "function", name: "client_hash", values: &halves(hashed), since: 3 });
    for way in 0..limits::AFFINITY_WAYS {
        let row = hash::affinity_row(hashed, 0x0123, way, ROWS_LOG2);
        f(&Item { group: "function", name: "affinity_row", values: &[row.into()], since: 3 });
    }
    let group = NextHop { kind: NextHopKind::Composite, ..NextHop::default() };
    let timed = group.with_affinity_time(0x1_2345).pack().map(u64::from);
    f(&Item { group: "function", name: "with_affinity_time", values: &timed, since: 3 });
}
