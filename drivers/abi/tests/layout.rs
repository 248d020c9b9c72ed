//! What the layout's hash sees, and what it lets pass.

use penstock_abi::layout::{self, Hasher, Item, items};

/// An item that a test may change.
#[derive(Clone, Debug)]
struct Owned {
    group: &'static str,
    name: &'static str,
    values: Vec<u64>,
    since: u16,
}

fn all() -> Vec<Owned> {
    let mut all = Vec::new();
    items::for_each(&mut |&Item { group, name, values, since }| {
        all.push(Owned { group, name, values: values.to_vec(), since });
    });
    all
}

fn hash(items: &[Owned]) -> u64 {
    let mut hasher = Hasher::new(layout::VERSION);
    for Owned { group, name, values, since } in items {
        hasher.eat(&Item { group, name, values, since: *since });
    }
    hasher.finish()
}

/// The hash of a card in which the value at `at` of `group`/`name` is another one.
fn other(group: &str, name: &str, at: usize) -> u64 {
    let mut items = all();
    let item = items
        .iter_mut()
        .find(|i| i.group == group && i.name == name)
        .unwrap_or_else(|| panic!("{group} {name} is not in the hash"));
    item.values[at] += 1;
    hash(&items)
}

#[test]
fn each_kind_of_thing_is_seen() {
    assert_eq!(hash(&all()), layout::hash());
    for (group, name, at) in [
        ("limits", "HOST_ROUTE_WAYS", 0),
        ("limits", "GATEWAY_MAC", 5),
        ("hash", "FIELD_SIP", 0),
        ("function", "KEY_MASKS", 0),
        ("function", "KEY_MASKS", 1),
        ("function", "MEMBER_MASKS", 0),
        ("function", "row", 0),
        ("function", "prefix_table", 0),
        ("function", "FLOW_MIX", 1),
        ("function", "flow_hash", 0),
        ("function", "flow_row", 0),
        ("function", "flow_fingerprint", 0),
        ("function", "outer_id_mix", 0),
        ("register", "HASH_KEY5", 0),
        ("LearnPolicy", "Never", 0),
        ("function", "fip_key", 0),
        ("function", "service_key", 0),
        ("function", "tunnel_source_key", 0),
        ("function", "plain_fip_key", 0),
        ("SourceCheck", "Off", 0),
        ("ServiceAddress", "Drop", 0),
        ("limits", "SOURCES_KNOWN", 0),
        ("function", "bucket_index", 0),
        ("function", "entropy_port", 0),
        ("VifKind", "Vhost", 0),
        ("NextHopKind", "Tunnel", 0),
        ("Opcode", "GetNext", 0),
        ("Status", "NotFound", 0),
        ("EventKind", "FlowTableFull", 0),
        ("TrapReason", "Reject", 0),
        ("DropReason", "NotForGateway", 0),
        ("CardCounter", "Trapped", 0),
        ("Flow", "generation", 0),
        ("Flow", "generation", 1),
        ("table", "Flow", 0),
        ("table", "Flow", 1),
        ("register", "EPOCH", 0),
        ("register", "EPOCH", 1),
        ("register", "EPOCH", 2),
        ("CONTROL", "enable", 0),
        ("STATUS", "ring_fault", 0),
        ("Command", "cookie", 0),
        ("Completion", "sequence", 0),
        ("Event", "time_cycles", 0),
        ("ring", "FLAG_IRQ", 0),
        ("fw", "RX_BASE", 0),
        ("firmware register", "rx_meta", 0),
        ("regs", "CLEAR_KEY", 0),
    ] {
        assert_ne!(other(group, name, at), layout::hash(), "{group} {name} value {at}");
    }
}

#[test]
fn a_name_gone_or_a_place_changed_is_seen() {
    let mut fewer = all();
    let last = fewer.iter().rposition(|i| i.since == 0).expect("the major version has items");
    fewer.remove(last);
    assert_ne!(hash(&fewer), layout::hash());
    let mut swapped = all();
    swapped.swap(0, 1);
    assert_ne!(hash(&swapped), layout::hash());
    let mut major = Hasher::new(layout::VERSION + 0x1_0000);
    items::for_each(&mut |item| major.eat(item));
    assert_ne!(major.finish(), layout::hash());
}

#[test]
fn an_addition_leaves_the_hash_alone() {
    let mut more = all();
    let addition = |group, name| Owned { group, name, values: vec![0x400, 1, 1], since: 1 };
    let middle = more.len() / 2;
    more.insert(middle, addition("register", "ADDED"));
    more.push(addition("DropReason", "Added"));
    assert_eq!(hash(&more), layout::hash());
    more.last_mut().expect("it was just pushed").since = 0;
    assert_ne!(hash(&more), layout::hash());
    let mut minor = Hasher::new(layout::VERSION + 1);
    items::for_each(&mut |item| minor.eat(item));
    assert_eq!(minor.finish(), layout::hash());
}

/// What minor versions add, they add: cards and hosts of the first 4.0 know this number. The next major has another.
#[test]
fn the_hash_is_that_of_the_major_version() {
    assert_eq!(layout::hash(), 0x1df4_1eba_271a_42b8);
}

/// A capability's bit is what announces an addition: each has its own. Those of older major versions are part of this one.
#[test]
fn capabilities_have_a_bit_each() {
    let items = all();
    let known: Vec<&Owned> = items.iter().filter(|i| i.group == "Capability").collect();
    let bits = known.iter().fold(0, |bits, i| bits | 1 << i.values[0]);
    assert_eq!(bits, layout::CAPABILITIES);
    assert_eq!(bits.count_ones() as usize, known.len());
}

/// A digest covers as many words as an entry has: if a minor version added one, hosts and cards of both sides of it would
/// disagree on every digest.
#[test]
fn an_added_field_stays_within_the_words_of_its_entry() {
    layout::for_each_entry(|name, _, fields, bits| {
        let major: u32 = fields.iter().filter(|f| f.since == 0).map(|f| f.width).sum();
        let is_new = fields.iter().all(|f| f.since > 0);
        assert!(is_new || major.div_ceil(32) == bits.div_ceil(32), "{name}");
    });
}

#[test]
fn the_minor_number_is_that_of_the_last_addition() {
    let last = all().iter().map(|i| i.since).max();
    assert_eq!(last.map(u32::from), Some(layout::VERSION & 0xffff));
}

/// Whether a constant may be missing, as a difference is noticed by other means.
fn told_otherwise(module: &str, name: &str) -> bool {
    match module {
        // A register tells.
        "limits" => {
            let sizes = [
                "VIFS",
                "LABELS",
                "NEXT_HOPS",
                "HOST_ROUTES",
                "PREFIXES",
                "FIP_KEYS",
                "FIP_MAPS",
                "SERVICE_KEYS",
                "TUNNEL_SOURCES",
                "PLAIN_FIPS",
                "FLOWS",
                "AFFINITIES",
            ];
            let more = [
                "ECMP_WORDS",
                "ECMP_GROUP_MAX",
                "FLOW_PAIRS",
                "FLOW_SHARES",
                "TUNNEL_SHARE_FIRST",
                "FLOWS_TRANSLATED_MAX",
                "CORE_CLOCK_KHZ",
            ];
            name.ends_with("_ROWS_LOG2") || sizes.contains(&name) || more.contains(&name)
        }
        "regs" => matches!(name, "BAR0_BYTES" | "PCI_VENDOR_ID" | "PCI_DEVICE_ID" | "REGISTERS"),
        "fw" => {
            name == "VERSION" || ["STATUS_", "MBOX_", "STAT_"].iter().any(|p| name.starts_with(p))
        }
        "table" => name == "TABLES",
        // Follow from the width of fields.
        "share" => matches!(name, "PAIRS_MAX" | "RATE_MAX"),
        "affinity" => matches!(name, "TIME_BITS" | "TIME_MAX"),
        _ => false,
    }
}

#[test]
fn no_constant_is_forgotten() {
    let items = all();
    let mut seen = 0;
    for (module, source) in [
        ("limits", include_str!("../src/limits.rs")),
        ("regs", include_str!("../src/regs.rs")),
        ("ring", include_str!("../src/ring.rs")),
        ("table", include_str!("../src/table.rs")),
        ("table", include_str!("../src/word.rs")),
        ("hash", include_str!("../src/hash.rs")),
        ("digest", include_str!("../src/digest.rs")),
        ("fw", include_str!("../src/fw.rs")),
        ("share", include_str!("../src/share.rs")),
        ("affinity", include_str!("../src/affinity.rs")),
    ] {
        let names = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'))
            .map(|(name, _)| name)
            .filter(|name| {
                name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            });
        for name in names.filter(|name| !told_otherwise(module, name)) {
            let known = items
                .iter()
                .any(|i| (i.group == module || i.group == "function") && i.name == name);
            assert!(known, "{module}::{name} is not in layout::items");
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} constants found");
}

#[test]
fn records_have_no_bytes_besides_their_fields() {
    let items = all();
    for record in ["Command", "Completion", "Event", "FlowEvent"] {
        let of_record = || items.iter().filter(|i| i.group == record);
        let bytes: u64 = of_record().filter(|i| i.name != "record").map(|i| i.values[1]).sum();
        let whole = of_record().find(|i| i.name == "record").map(|i| i.values[0]);
        assert_eq!(Some(bytes), whole, "{record}");
    }
    let registers = items.iter().filter(|i| i.group == "firmware register").count();
    assert_eq!(registers * 4, size_of::<penstock_abi::fw::Registers>());
}
