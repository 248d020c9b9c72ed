//! What must hold of the store whatever it holds.

use std::collections::BTreeMap;

use penstock_abi::digest::Digest;
use penstock_abi::table::{
    FipKey, Flow, HostRoute, Ilm, NextHop, NextHopKind, TABLES, TableId, Words,
};
use penstock_tables::{CONFIG_TABLES, Difference, Entry, Keyed, Op, Shape, Tables};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn table() -> impl Strategy<Value = TableId> {
    select(TABLES).prop_map(|desc| desc.id)
}

/// Words as a host may send them: also with bits that the table does not have.
fn words() -> impl Strategy<Value = Words> {
    prop_oneof![
        any::<Words>(),
        Just(Words::default()),
        any::<u32>().prop_map(|w| {
            let mut words = Words::default();
            words[0] = w & 3;
            words
        })
    ]
}

/// What the card keeps of them.
fn kept(table: TableId, mut words: Words) -> Words {
    for (i, word) in words.iter_mut().enumerate() {
        let bits = table.desc().bits.saturating_sub(i as u32 * 32).min(32);
        *word &= ((1_u64 << bits) - 1) as u32;
    }
    words
}

/// Writes in a few tables at a few places.
fn writes() -> impl Strategy<Value = Vec<(TableId, u32, Words)>> {
    vec((table(), 0_u32..40, words()), 0..80)
}

fn tables(writes: &[(TableId, u32, Words)]) -> Tables {
    let mut tables = Tables::default();
    for (table, index, words) in writes {
        tables.apply(&Op::write(*index, Entry::unpack(*table, words)));
    }
    tables
}

/// The same, kept in the plainest way: as words.
fn plain(writes: &[(TableId, u32, Words)]) -> BTreeMap<(TableId, u32), Words> {
    let all = writes.iter().map(|(table, index, words)| ((*table, *index), kept(*table, *words)));
    let mut plain: BTreeMap<_, _> = all.collect();
    plain.retain(|_, words| *words != Words::default());
    plain
}

proptest! {
    #[test]
    fn an_entry_is_its_words(table in table(), words in any::<Words>()) {
        let entry = Entry::unpack(table, &words);
        prop_assert_eq!(entry.table(), table);
        prop_assert_eq!(entry.pack(), kept(table, words));
        prop_assert_eq!(Entry::unpack(table, &entry.pack()), entry);
        prop_assert_eq!(entry.check(), Ok(()));
        prop_assert_eq!(entry.is_clear(), entry.pack() == Words::default());
    }

    #[test]
    fn what_was_written_is_there(writes in writes()) {
        let (tables, plain) = (tables(&writes), plain(&writes));
        for desc in TABLES {
            let at = |(&(table, index), &words): (&(TableId, u32), &Words)| {
                (table == desc.id).then_some((index, words))
            };
            let expected: Vec<(u32, Words)> = plain.iter().filter_map(at).collect();
            prop_assert_eq!(tables.words(desc.id).collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(tables.usage(desc.id).used as usize, expected.len());
            let behind: Vec<u32> = tables.entries(desc.id, 7..).map(|(index, _)| index).collect();
            let indices = expected.iter().map(|(index, _)| *index).filter(|index| *index >= 7);
            prop_assert_eq!(behind, indices.collect::<Vec<_>>());
            prop_assert_eq!(tables.digest(desc.id), Digest::of(desc.id, expected));
            for index in 0..40 {
                let entry = tables.entry(desc.id, index).map(|entry| entry.pack());
                prop_assert_eq!(entry, plain.get(&(desc.id, index)).copied());
            }
        }
        let mut loaded = Tables::default();
        for ((table, index), words) in &plain {
            loaded.load(*table, *index, words);
        }
        prop_assert_eq!(loaded, tables);
    }

    #[test]
    fn the_difference_is_what_is_missing(first in writes(), then in writes()) {
        let (mut ours, apart) = (tables(&first), tables(&then));
        // Copies that were changed, and tables that have nothing in common.
        let mut copy = ours.clone();
        then.iter().for_each(|(table, index, words)| copy.load(*table, *index, words));
        for theirs in [copy, apart] {
            let difference = ours.difference(&theirs);
            let mut expected = Vec::new();
            for desc in TABLES {
                for index in 0..40 {
                    let at = |tables: &Tables| tables.entry(desc.id, index);
                    let (ours, theirs) = (at(&ours), at(&theirs));
                    if ours != theirs {
                        expected.push(Difference { table: desc.id, index, ours, theirs });
                    }
                }
            }
            // By table, in whatever order of tables.
            let mut by_id = difference.clone();
            by_id.sort_by_key(|found| (found.table, found.index));
            prop_assert_eq!(&by_id, &expected);
            for found in &difference {
                ours.apply(&Op::write(found.index, found.wanted()));
            }
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(ours.difference(&theirs), vec![]);
        }
    }

    /// Copies of large tables share most of what they hold.
    #[test]
    fn a_large_copy_differs_where_it_was_changed(
        size in 0_u32..3000, changes in vec((0_u32..3000, any::<bool>()), 0..200),
    ) {
        let label = |nh| Ilm { valid: true, nh, ..Ilm::default() };
        let mut ours = Tables::default();
        (0..size).for_each(|index| ours.put(index, label(1)));
        let mut theirs = ours.clone();
        for &(index, there) in &changes {
            theirs.put(index, if there { label(2) } else { Ilm::default() });
        }
        let found: Vec<u32> = ours.difference(&theirs).iter().map(|found| found.index).collect();
        let differs = |&index: &u32| ours.get::<Ilm>(index) != theirs.get::<Ilm>(index);
        prop_assert_eq!(found, (0..3000).filter(differs).collect::<Vec<_>>());
        let back: Vec<u32> = theirs.difference(&ours).iter().map(|found| found.index).collect();
        prop_assert_eq!(back, (0..3000).filter(differs).collect::<Vec<_>>());
    }

    #[test]
    fn each_bit_of_what_is_valid_is_in_the_digest(
        writes in writes(), desc in select(TABLES), at in 0_u32..40, bit in any::<Index>(),
    ) {
        let mut tables = tables(&writes);
        let mut words = Words::default();
        words[0] = 1;
        tables.load(desc.id, at, &words);
        let before = tables.digest(desc.id);
        let bit = bit.index(desc.bits as usize);
        let mut words: Words = tables.entry(desc.id, at).expect("it was just set").pack();
        words[bit / 32] ^= 1 << (bit % 32);
        tables.load(desc.id, at, &words);
        prop_assert_eq!(tables.digest(desc.id) == before, !desc.has_valid);
        // The bit is what makes the difference, and the place.
        words[bit / 32] ^= 1 << (bit % 32);
        tables.load(desc.id, at, &words);
        prop_assert_eq!(tables.digest(desc.id), before);
        tables.load(desc.id, at, &Words::default());
        tables.load(desc.id, 40, &words);
        prop_assert_eq!(tables.digest(desc.id) == before, !desc.has_valid);
    }
}

/// Keys that collide: few values, few rows.
fn shape() -> Shape {
    Shape {
        host_route_rows_log2: 1,
        fip_key_rows_log2: 1,
        prefix_rows_log2: 0,
        flow_rows_log2: 0,
        ..Shape::default()
    }
}

/// The first place at which the card looks and finds the key; every entry is looked at.
fn brute<E: Keyed>(tables: &Tables, key: E::Key) -> Option<(u32, E)> {
    let places: Vec<u32> = E::places(key, tables.shape()).collect();
    let hits = tables.of::<E>().iter().filter(|(_, entry)| entry.key() == key && entry.is_valid());
    let order = |index: u32| places.iter().position(|place| *place == index);
    let hits = hits.filter_map(|(index, entry)| Some((order(index)?, index, *entry)));
    hits.min_by_key(|hit| hit.0).map(|(_, index, entry)| (index, entry))
}

fn found<E: Keyed + std::fmt::Debug>(tables: &Tables, key: E::Key) -> Result<(), TestCaseError> {
    let found = tables.find::<E>(key).map(|(index, entry)| (index, *entry));
    prop_assert_eq!(found, brute::<E>(tables, key));
    prop_assert!(E::places(key, tables.shape()).all(|i| i < tables.shape().capacity(E::TABLE)));
    Ok(())
}

proptest! {
    #[test]
    fn a_key_is_found_where_the_card_looks(
        entries in vec((0_u32..16, 0_u32..4, any::<bool>()), 0..60), asked in 0_u32..4,
    ) {
        let mut tables = Tables::new(shape());
        for (index, key, valid) in entries {
            let (ip, port) = (key, key as u16);
            tables.put(index, HostRoute { valid, vrf: 1, ip, nh: 9, ..HostRoute::default() });
            tables.put(index, FipKey { valid, proto: 6, ip, port, ..FipKey::default() });
            tables.put(index, Flow { valid, proto: 6, sip: ip, dport: 80, ..Flow::default() });
        }
        found::<HostRoute>(&tables, (1, asked))?;
        found::<HostRoute>(&tables, (2, asked))?;
        found::<FipKey>(&tables, (0, 6, asked, asked as u16))?;
        found::<Flow>(&tables, Flow { proto: 6, sip: asked, dport: 80, ..Flow::default() }.key())?;
    }

    /// A card is read by what it shows: dumps of valid entries, and words that are asked for.
    #[test]
    fn a_card_is_read_with_the_holes_of_its_groups(
        groups in btree_map(1_u32..8, (0_u16..64, 0_u8..8, any::<bool>()), 0..4),
        ring in vec((0_u32..64, any::<bool>(), 0_u8..4), 0..64),
    ) {
        let shape = Shape { ecmp_words: 1 << 16, ..Shape::default() };
        let mut card = Tables::new(shape);
        for (id, (base, slots, valid)) in groups {
            let base = base.wrapping_sub(4).into();
            let kind = NextHopKind::Composite;
            card.put(id, NextHop { valid, kind, base, slots: slots.into(), ..NextHop::default() });
        }
        for (index, valid, generation) in ring {
            let word = penstock_abi::table::EcmpSlot { valid, generation, ..Default::default() };
            card.put(card.shape().ring_index(index, 0xfffc), word);
        }
        let valid = |table: TableId| {
            card.words(table).filter(|(_, words)| words[0] & 1 == 1).collect::<Vec<_>>()
        };
        let at = |table, index| card.entry(table, index).map_or(Words::default(), |e| e.pack());
        let read = Tables::read(shape, |table| Ok::<_, ()>(valid(table)), |table, index| Ok(at(table, index)));
        let mut expected = card.clone();
        let group = |nh: &&NextHop| nh.valid && nh.kind == NextHopKind::Composite;
        let of = |nh: &NextHop| (0..u32::from(nh.slots)).map(|n| card.shape().ring_index(nh.base, n)).collect::<Vec<_>>();
        let slots: Vec<u32> = card.of::<NextHop>().values().filter(group).flat_map(of).collect();
        for &table in CONFIG_TABLES {
            for (index, entry) in card.entries(table, ..) {
                if entry.pack()[0] & 1 == 0 && !(table == TableId::Ecmp && slots.contains(&index)) {
                    expected.set(index, Entry::clear(table));
                }
            }
        }
        prop_assert_eq!(read, Ok(expected));
    }
}

#[test]
fn the_usual_shape_is_the_layouts() {
    for desc in TABLES {
        assert_eq!(Shape::default().capacity(desc.id), desc.depth, "{}", desc.name);
    }
}

#[test]
fn a_shape_is_what_the_registers_say() {
    let small = Shape {
        vifs: 16,
        labels: 1024,
        next_hops: 512,
        ecmp_words: 4096,
        ecmp_group_max: 64,
        host_route_rows_log2: 4,
        prefix_rows_log2: 8,
        vrfs: 4096,
        fip_key_rows_log2: 3,
        fip_maps: 256,
        service_key_rows_log2: 5,
        tunnel_source_rows_log2: 4,
        plain_fip_rows_log2: 2,
        flow_rows_log2: 6,
        flows_translated_max: 700,
        flow_shares: 0,
        affinities: 0,
        clock_khz: 250_000,
    };
    let large = Shape {
        labels: 1 << 20,
        next_hops: 1 << 16,
        host_route_rows_log2: 16,
        flow_rows_log2: 16,
        flows_translated_max: 1 << 20,
        ..Shape::default()
    };
    for shape in [small, large, Shape::default()] {
        let said: BTreeMap<u32, u32> = shape.registers().collect();
        let read = Shape::read(|offset| said.get(&offset).copied().ok_or(offset));
        assert_eq!(read, Ok(Ok(shape)));
    }
    assert_eq!(Shape::read(Err), Err(penstock_abi::regs::DEPTH_VIF));
}

#[test]
fn a_size_that_no_card_can_have_is_told() {
    use penstock_abi::regs;
    let wrong = |register: u32, value: u32| {
        let mut said: BTreeMap<u32, u32> = Shape::default().registers().collect();
        said.insert(register, value);
        let read = Shape::read(|offset| Ok::<_, ()>(said[&offset]));
        read.map(|shape| shape.map_err(|wrong| wrong.to_string()))
    };
    for (register, name, values) in [
        (regs::DEPTH_VIF, "DEPTH_VIF", vec![0, 3, 257, u32::MAX]),
        (regs::DEPTH_ILM, "DEPTH_ILM", vec![0, 16, (1 << 20) + 1]),
        (regs::DEPTH_NEXT_HOP, "DEPTH_NEXT_HOP", vec![0, (1 << 16) + 1, u32::MAX]),
        (regs::DEPTH_ECMP, "DEPTH_ECMP", vec![0, (1 << 18) + 1]),
        (regs::DEPTH_HOST_ROUTE, "DEPTH_HOST_ROUTE", vec![0, 7, 24, 65_535, 1 << 21, u32::MAX]),
        (regs::DEPTH_PREFIX, "DEPTH_PREFIX", vec![0, 63, 65_535, u32::MAX]),
        (regs::DEPTH_FIP_KEY, "DEPTH_FIP_KEY", vec![0, 12, 1 << 21]),
        (regs::DEPTH_FIP_MAP, "DEPTH_FIP_MAP", vec![0, (1 << 14) + 1]),
        (regs::DEPTH_VRF, "DEPTH_VRF", vec![0, 4095, 4097]),
        (regs::DEPTH_SERVICE_KEY, "DEPTH_SERVICE_KEY", vec![0, 12, 1 << 21]),
        (regs::DEPTH_TUNNEL_SOURCE, "DEPTH_TUNNEL_SOURCE", vec![0, 12, 1 << 21]),
        (regs::DEPTH_PLAIN_FIP, "DEPTH_PLAIN_FIP", vec![0, 12, 1 << 21]),
        (regs::DEPTH_FLOW, "DEPTH_FLOW", vec![0, 15, 48, 1 << 21, u32::MAX]),
        (regs::DEPTH_FLOW_STATS, "DEPTH_FLOW_STATS", vec![0, 1 << 15]),
        (regs::DEPTH_VIF_STATS, "DEPTH_VIF_STATS", vec![0, 255]),
        (regs::DEPTH_DROP_STATS, "DEPTH_DROP_STATS", vec![0, 65]),
        (regs::DEPTH_FLOW_SHARE, "DEPTH_FLOW_SHARE", vec![1, 4351, 4353]),
        (regs::DEPTH_FLOW_SHARE_STATS, "DEPTH_FLOW_SHARE_STATS", vec![0, 1]),
        (regs::DEPTH_AFFINITY, "DEPTH_AFFINITY", vec![1, 6, 65_535, 1 << 18, u32::MAX]),
        (regs::DEPTH_CARD_STATS, "DEPTH_CARD_STATS", vec![0, 17]),
        (regs::ECMP_GROUP_MAX, "ECMP_GROUP_MAX", vec![0, 1025]),
        (regs::FLOW_ROWS_LOG2, "FLOW_ROWS_LOG2", vec![0, 11, u32::MAX]),
        (
            regs::FLOWS_TRANSLATED_MAX,
            "FLOWS_TRANSLATED_MAX",
            vec![0, penstock_abi::limits::FLOWS + 1],
        ),
    ] {
        for value in values {
            let Ok(Err(text)) = wrong(register, value) else {
                panic!("{name} = {value} is taken");
            };
            assert!(text.starts_with(&format!("{name} is {value}, which can be ")), "{text}");
        }
    }
}

#[test]
fn an_entry_is_of_the_type_that_the_layout_names() {
    for desc in TABLES {
        let text = format!("{:?}", Entry::clear(desc.id));
        assert!(text.contains(&format!("({} {{", desc.entry)), "{text}");
    }
}

#[test]
fn a_card_without_ring_memory_has_no_other_index_than_0() {
    let shape = Shape { ecmp_words: 0, ..Shape::default() };
    assert_eq!(shape.ring_index(3, 4), 0);
}
