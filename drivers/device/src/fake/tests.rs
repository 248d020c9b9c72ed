//! The driver against the card in memory.

use std::time::Duration;

use penstock_abi::digest::Digest;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{Counter, ENTRY_WORDS, EcmpSlot, Flow, Ilm, NextHop, TableEntry, Vif};
use penstock_tables::{CONFIG_TABLES, Op};

use super::*;
use crate::card::Card;

fn attached() -> (FakeCard, Card) {
    let fake = FakeCard::new();
    let card = Card::attach(fake.transport()).unwrap();
    (fake, card)
}

#[test]
fn ident_errors_are_distinct() {
    let fake = FakeCard::new();
    fake.set_register(regs::MAGIC, 0x1234);
    assert!(matches!(Card::attach(fake.transport()), Err(DeviceError::NotACard { magic: 0x1234 })));
    let fake = FakeCard::new();
    fake.set_register(regs::LAYOUT_VERSION, layout::VERSION + 0x1_0000);
    let newer = Card::attach(fake.transport());
    assert!(matches!(newer, Err(DeviceError::VersionMismatch { .. })));
    fake.set_register(regs::LAYOUT_VERSION, 0x0003_0001);
    let older = Card::attach(fake.transport()).err().map(|error| error.to_string());
    let told = "the card has layout version 3.1, this host 4.4: load a card image with layout 4 (its tables are written anew), \
                or run the release of the host software for layout 3";
    assert_eq!(older.as_deref(), Some(told));
    let fake = FakeCard::new();
    fake.set_register(regs::LAYOUT_HASH_HI, 0);
    assert!(matches!(Card::attach(fake.transport()), Err(DeviceError::LayoutMismatch { .. })));
    let fake = FakeCard::new();
    fake.kill();
    assert!(matches!(Card::attach(fake.transport()), Err(DeviceError::DeviceGone { .. })));
}

#[test]
fn a_card_with_additions_is_taken() {
    let fake = FakeCard::new();
    fake.set_register(regs::LAYOUT_VERSION, layout::VERSION + 1);
    fake.set_register(regs::CAPABILITIES, layout::CAPABILITIES | 1 << 31);
    let card = Card::attach(fake.transport()).unwrap();
    assert_eq!(card.ident().layout_version, layout::VERSION + 1);
    assert_eq!(card.ident().capabilities, layout::CAPABILITIES | 1 << 31);
}

#[test]
fn a_card_with_another_seed_of_its_hashes_is_refused() {
    use penstock_abi::layout::{Hasher, Item, items};
    let mut hasher = Hasher::new(layout::VERSION);
    items::for_each(&mut |item| {
        let mask = item.group == "function" && item.name == "KEY_MASKS";
        let seeded: Vec<u64> = item.values.iter().map(|v| v ^ u64::from(mask)).collect();
        hasher.eat(&Item { values: &seeded, ..*item });
    });
    let fake = FakeCard::new();
    fake.set_register(regs::LAYOUT_HASH_LO, hasher.finish() as u32);
    fake.set_register(regs::LAYOUT_HASH_HI, (hasher.finish() >> 32) as u32);
    assert!(matches!(Card::attach(fake.transport()), Err(DeviceError::LayoutMismatch { .. })));
}

#[test]
fn nothing_behind_a_refused_operation_is_executed() {
    let (fake, mut card) = attached();
    let word = EcmpSlot { valid: true, ..EcmpSlot::default() };
    let mut ops: Vec<Op> = (0..600).map(|i| Op::write(i, word)).collect();
    ops[299] = Op::write(8, Ilm { valid: true, ..Ilm::default() });
    fake.refuse_writes(Some((TableId::Ilm, Status::NotPermitted)));
    let err = card.apply(&ops).unwrap_err();
    let refused = matches!(
        err,
        DeviceError::BadStatus { table: TableId::Ilm, index: 8, status: Status::NotPermitted, .. }
    );
    assert!(refused, "{err}");
    assert_eq!(
        fake.table(TableId::Ecmp).len(),
        299,
        "what is sent with later doorbells counts too"
    );
    card.apply(&ops[300..]).unwrap();
    assert_eq!(fake.table(TableId::Ecmp).len(), 599, "the next batch is another chain");
}

#[test]
fn a_ring_is_not_set_up_anew_while_the_last_one_ends() {
    let (fake, mut card) = attached();
    card.set_timeout(Duration::from_millis(20));
    card.forget_ring();
    fake.set_ring_busy(true);
    let err = card.fence().unwrap_err();
    assert!(matches!(err, DeviceError::Timeout { .. }), "{err}");
    assert_eq!(fake.register(regs::RING_ENABLE), 0);
    fake.set_ring_busy(false);
    card.fence().unwrap();
}

#[test]
fn batches_larger_than_the_ring_keep_their_order() {
    let (fake, mut card) = attached();
    let word = |i| EcmpSlot { valid: true, nh: i as u16, ..EcmpSlot::default() };
    let ops: Vec<Op> = (0..1000).map(|i| Op::write(i % 700, word(i))).collect();
    card.apply(&ops).unwrap();
    assert_eq!(fake.writes(), 1000);
    let dump = card.dump(TableId::Ecmp).unwrap();
    assert_eq!(dump.len(), 700);
    for (index, words) in dump {
        let expected = if index < 300 { index + 700 } else { index };
        assert_eq!(u32::from(EcmpSlot::unpack(&words).nh), expected);
    }
}

#[test]
fn dump_finds_dense_and_sparse_entries() {
    let (fake, mut card) = attached();
    let mut indices: Vec<u32> = (0..90).chain([200, 201, 5000, 8190, 8191]).collect();
    indices.retain(|i| i % 17 != 3);
    for &i in &indices {
        fake.set_entry(i, Ilm { valid: true, nh: i as u16, ..Ilm::default() });
    }
    let dump = card.dump(TableId::Ilm).unwrap();
    assert_eq!(dump.iter().map(|(i, _)| *i).collect::<Vec<_>>(), indices);
    assert!(dump.iter().all(|(i, w)| u32::from(Ilm::unpack(w).nh) == *i));
    assert!(card.dump(TableId::NextHop).unwrap().is_empty());
}

#[test]
fn a_digest_takes_as_many_commands_as_it_must() {
    let (fake, mut card) = attached();
    let entry = |i: u32| NextHop { valid: !i.is_multiple_of(3), dip: i, ..NextHop::default() };
    for i in 0..32_768 {
        fake.set_entry(i, entry(i));
    }
    let expected = Digest::of(TableId::NextHop, (0..32_768).map(|i| (i, entry(i).pack())));
    let before = fake.register(regs::CMD_CONSUMER);
    assert_eq!(card.digest(TableId::NextHop).unwrap(), Some(expected));
    // 21845 entries, 4096 a command.
    assert_eq!(fake.register(regs::CMD_CONSUMER) - before, 6);
    fake.set_entry(32_767, NextHop { gre: true, ..entry(32_767) });
    assert_ne!(card.digest(TableId::NextHop).unwrap(), Some(expected));
}

#[test]
fn a_card_without_the_capability_is_asked_for_no_digest() {
    let fake = FakeCard::new();
    fake.set_register(regs::CAPABILITIES, 0);
    let mut card = Card::attach(fake.transport()).unwrap();
    assert_eq!(card.digest(TableId::Vif).unwrap(), None);
    // Nobody was asked, as such a card does not know the command.
    assert_eq!(fake.register(regs::CMD_CONSUMER), 0);
    let done = card.execute(&[crate::digest::part(TableId::Vif, 0, 0, 0)]).unwrap();
    assert_eq!(done[0].status, Status::BadOpcode as u8);
}

#[test]
fn counters_are_read_whole() {
    let (fake, mut card) = attached();
    fake.set_entry(DropReason::Discard as u32, Entry::DropStats(Counter { count: 7 }));
    let dump = card.dump(TableId::DropStats).unwrap();
    assert_eq!(dump.len(), 64);
    assert_eq!(Counter::unpack(&dump[DropReason::Discard as usize].1).count, 7);
}

#[test]
fn refusals_name_table_and_index() {
    let (fake, mut card) = attached();
    let flow = Flow { valid: true, ..Flow::default() };
    let err = card.write(3, flow).unwrap_err();
    assert!(
        matches!(
            err,
            DeviceError::BadStatus {
                table: TableId::Flow,
                index: 3,
                status: Status::NotPermitted,
                ..
            }
        ),
        "{err}"
    );
    fake.set_entry(3, flow);
    card.write(3, Flow::default()).unwrap();
    assert!(fake.table(TableId::Flow).is_empty());
    let err = card.write(256, Vif::default()).unwrap_err();
    assert!(matches!(err, DeviceError::BadStatus { status: Status::BadIndex, .. }), "{err}");
    assert_eq!(fake.writes(), 1);
}

#[test]
fn a_value_that_does_not_fit_keeps_its_whole_batch_from_the_card() {
    let (fake, mut card) = attached();
    let fits = Op::write(25, Ilm { valid: true, ..Ilm::default() });
    let wide = Op::write(1, NextHop { slots: 1 << 11, ..NextHop::default() });
    let err = card.apply(&[fits, wide]).unwrap_err();
    assert!(matches!(err, DeviceError::Overflow(_)), "{err}");
    assert_eq!(fake.writes(), 0);
}

#[test]
fn words_are_read_back_as_far_as_the_table_has_bits() {
    let (fake, mut card) = attached();
    for table in CONFIG_TABLES.iter().copied() {
        // Codes that the layout does not name are kept as well.
        let command = Command {
            opcode: Opcode::Write as u8,
            table: table as u8,
            index: 5,
            data: [u32::MAX; ENTRY_WORDS],
            ..Command::default()
        };
        card.execute(&[command]).unwrap();
        let words = card.read_many(table, &[5]).unwrap()[0];
        let bits = table.desc().bits;
        assert_eq!(words.iter().map(|word| word.count_ones()).sum::<u32>(), bits, "{table:?}");
        assert_eq!(words[..bits as usize / 32], vec![u32::MAX; bits as usize / 32], "{table:?}");
        assert_eq!(card.dump(table).unwrap(), [(5, words)]);
        assert_eq!(fake.table(table), [(5, words)]);
    }
}

#[test]
fn dead_card_is_reported() {
    let (fake, mut card) = attached();
    fake.kill_after(3);
    let op = Op::clear::<Ilm>(1);
    let err = card.apply(&[op; 10]).unwrap_err();
    assert!(err.is_gone(), "{err}");
    assert_eq!(fake.writes(), 3);
    assert!(card.read_reg(regs::STATUS).unwrap_err().is_gone());
    fake.revive();
    let mut card = Card::attach(fake.transport()).unwrap();
    card.apply(&[op; 10]).unwrap();
}

#[test]
fn stalled_card_times_out_and_recovers() {
    let (fake, mut card) = attached();
    card.set_timeout(Duration::from_millis(50));
    fake.stall(true);
    assert!(matches!(card.fence(), Err(DeviceError::Timeout { .. })));
    fake.stall(false);
    card.fence().unwrap();
    assert_eq!(fake.fences(), 1);
}

#[test]
fn unmapped_ring_is_a_ring_fault() {
    let (fake, mut card) = attached();
    card.write_reg(regs::CPL_BASE_HI, 0x77).unwrap();
    let err = card.fence().unwrap_err();
    assert!(matches!(err, DeviceError::RingFault { errors: 1, .. }), "{err}");
    card.fence().unwrap();
    assert_eq!(fake.register(regs::RING_ERRORS), 1);
}

#[test]
fn all_ones_in_a_register_is_not_death() {
    let (_fake, mut card) = attached();
    card.write_reg(regs::EPOCH, u32::MAX).unwrap();
    assert_eq!(card.read_reg(regs::EPOCH).unwrap(), u32::MAX);
    assert_eq!(card.mailbox(fw::MBOX_PING, 5).unwrap(), !5);
}

#[test]
fn rings_of_the_last_owner_are_stopped() {
    let fake = FakeCard::new();
    let transport = fake.transport();
    fake.set_register(regs::EVT_ENABLE, 1);
    let mut card = Card::attach(transport).unwrap();
    assert_eq!(fake.register(regs::EVT_ENABLE), 0);
    card.fence().unwrap();
}

#[test]
fn what_pci_says_is_checked_first() {
    let fake = FakeCard::new();
    // No error of what follows may hide one of what comes first.
    fake.set_register(regs::MAGIC, 0x1234);
    let card = fake.function();
    let attach = |function: FunctionInfo| {
        fake.set_function(function);
        Card::attach(fake.transport()).unwrap_err()
    };
    let err = attach(FunctionInfo { vendor: 0x8086, bar0_bytes: 0, ..card });
    assert!(matches!(err, DeviceError::WrongVendor { vendor: 0x8086, .. }), "{err}");
    let err = attach(FunctionInfo { device: 1, bar0_bytes: 0, ..card });
    assert!(matches!(err, DeviceError::WrongVendor { device: 1, .. }), "{err}");
    let err = attach(FunctionInfo { bar0_bytes: 4096, msix_vectors: 0, ..card });
    assert!(matches!(err, DeviceError::BarTooSmall { bytes: 4096, needed: 65_536 }), "{err}");
    for vectors in 0..regs::IRQ_VECTORS {
        let err = attach(FunctionInfo { msix_vectors: vectors, ..card });
        assert!(matches!(err, DeviceError::MissingMsix { needed: 3, .. }), "{err}");
    }
    assert!(matches!(attach(card), DeviceError::NotACard { magic: 0x1234 }));
    fake.set_register(regs::MAGIC, regs::MAGIC_VALUE);
    Card::attach(fake.transport()).unwrap();
}

#[test]
fn firmware_of_another_interface_is_refused() {
    let fake = FakeCard::new();
    for (version, fine) in
        [(fw::VERSION, true), (fw::VERSION + 1, true), (0, true), (fw::VERSION + 0x1_0000, false)]
    {
        fake.set_register(regs::FW_VERSION, version);
        match Card::attach(fake.transport()) {
            Ok(card) => assert!(fine && card.ident().firmware_version == version),
            Err(err) => assert!(
                !fine
                    && matches!(err, DeviceError::FirmwareMismatch { card, .. } if card == version),
                "{err}"
            ),
        }
    }
}

#[test]
fn only_a_bus_master_reaches_memory() {
    let (_fake, mut card) = attached();
    crate::transport::set_bus_master(card.transport(), false).unwrap();
    let err = card.fence().unwrap_err();
    assert!(matches!(err, DeviceError::RingFault { .. }), "{err}");
    crate::transport::set_bus_master(card.transport(), true).unwrap();
    card.fence().unwrap();
}

#[test]
fn reset_keeps_tables() {
    let (fake, mut card) = attached();
    card.write(20, Ilm { valid: true, ..Ilm::default() }).unwrap();
    card.reset().unwrap();
    assert_eq!((card.ident().flr_count, card.ident().reset_cause), (1, regs::RESET_FLR));
    assert_eq!(card.dump(TableId::Ilm).unwrap().len(), 1);
    assert_eq!(fake.writes(), 1);
}

#[test]
fn either_entry_of_a_pair_takes_the_other_along() {
    let fake = FakeCard::new();
    let mut card = Card::attach(fake.transport()).unwrap();
    let entry = |pair, reverse| Flow { valid: true, pair, reverse, ..Flow::default() };
    for (index, flow) in [(3, entry(1, false)), (9, entry(1, true)), (5, entry(2, true))] {
        fake.set_entry(index, flow);
    }
    card.write(9, Flow::default()).unwrap();
    let left: Vec<u32> = fake.table(TableId::Flow).iter().map(|(index, _)| *index).collect();
    assert_eq!(left, [5]);
}

#[test]
fn a_secret_counts_from_the_next_clear_on_and_is_not_told() {
    let fake = FakeCard::new();
    let mut card = Card::attach(fake.transport()).unwrap();
    let secret = FlowSecret([1, 2, 3, 4, 5, 6]);
    card.set_flow_secret(secret).unwrap();
    card.reset().unwrap();
    assert!(fake.flow_secret() == FlowSecret::default());
    card.clear_all().unwrap();
    assert!(fake.flow_secret() == secret);
    assert_eq!(card.read_reg(regs::HASH_KEY5).unwrap(), 0);
}

#[test]
fn an_entry_with_the_wrong_parity_is_told_and_never_taken_for_right() {
    let (fake, mut card) = attached();
    let label = |nh| Ilm { valid: true, nh, ..Ilm::default() };
    for index in (16..200).chain([4000, 8000]) {
        card.write(index, label(index as u16)).unwrap();
    }
    assert_eq!(card.parity_errors().unwrap(), None);
    for odd in [20, 4000] {
        card.write_reg(regs::PARITY_INJECT, 1).unwrap();
        assert_eq!(card.read_reg(regs::PARITY_INJECT).unwrap(), 0, "not the key");
        card.write_reg(regs::PARITY_INJECT, regs::PARITY_INJECT_KEY).unwrap();
        assert_eq!(card.read_reg(regs::PARITY_INJECT).unwrap(), 1);
        card.write(odd, label(odd as u16)).unwrap();
        assert_eq!(card.read_reg(regs::PARITY_INJECT).unwrap(), 0, "used up");
    }
    let error = card.read::<Ilm>(TableId::Ilm, 20).unwrap_err();
    assert!(
        matches!(error, DeviceError::BadStatus { index: 20, status: Status::Parity, .. }),
        "{error}"
    );
    let errors = card.parity_errors().unwrap().unwrap();
    assert_eq!((errors.count, errors.table, errors.index), (1, TableId::Ilm, 20));
    assert_eq!(card.digest(TableId::Ilm).unwrap(), None);
    let sound = card.read_sound(TableId::Ilm, &[19, 20]).unwrap();
    assert_eq!(sound, [Some(label(19).pack()), None]);
    let mut dump = card.dump_from_start(TableId::Ilm);
    while !card.dump_on(&mut dump).unwrap() {}
    assert_eq!(dump.odd().collect::<Vec<_>>(), [20, 4000]);
    let found: Vec<u32> = dump.finish().iter().map(|(index, _)| *index).collect();
    let expected: Vec<u32> =
        (16..200).chain([4000, 8000]).filter(|i| ![20, 4000].contains(i)).collect();
    assert_eq!(found, expected);
    assert!(fake.meet(TableId::Ilm, 4000));
    for odd in [20, 4000] {
        card.write(odd, label(odd as u16)).unwrap();
    }
    assert!(!fake.meet(TableId::Ilm, 4000));
    assert_eq!(card.digest(TableId::Ilm).unwrap(), Some(fake.tables().digest(TableId::Ilm)));
}
