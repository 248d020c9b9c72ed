//! Driver and card over a real vfio-user socket.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::CardProcess;
use penstock_abi::table::{EcmpSlot, Ilm, NextHop, NextHopKind, TableEntry, TableId};
use penstock_abi::{layout, regs};
use penstock_device::{Card, DeviceError, PciTransport, VfioUser, open};
use penstock_tables::Op;

fn attach(card: &CardProcess) -> Card {
    Card::attach(open(&card.spec()).unwrap()).unwrap()
}

fn next_hop(i: u32) -> NextHop {
    NextHop {
        valid: true,
        kind: NextHopKind::Tunnel,
        dmac: 0x0200_0000_0000 | u64::from(i),
        smac: 0x0400_0000_0000 | u64::from(i) << 8,
        sip: 0x0aa9_1914,
        dip: i.wrapping_mul(0x9e37_79b9),
        gre: i % 2 == 1,
        ..NextHop::default()
    }
}

#[test]
fn identifies_itself() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    let ident = *card.ident();
    assert_eq!((ident.layout_version, ident.layout_hash), (layout::VERSION, layout::hash()));
    // A host that left is a function-level reset; nobody was here before.
    assert_eq!((ident.reset_cause, ident.flr_count), (regs::RESET_POWER_ON, 0));
    assert!(!card.is_enabled().unwrap());
    card.set_enabled(true).unwrap();
    assert!(card.is_enabled().unwrap());
    let before = card.time_cycles().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let passed = card.time_cycles().unwrap() - before;
    // 20 ms at 322 MHz are 6.4 million cycles: card time follows the wall clock though few of them are simulated.
    assert!(passed > 6_000_000, "{passed} cycles in 20 ms");
    drop(card);
    process.end();
}

#[test]
fn ten_thousand_entries_read_back() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    let ops: Vec<Op> = (0..10_000).map(|i| Op::write(i, next_hop(i))).collect();
    // 39 laps of the ring.
    card.apply(&ops).unwrap();
    let dump = card.dump(TableId::NextHop).unwrap();
    assert_eq!(dump.len(), ops.len());
    for (i, (index, words)) in dump.iter().enumerate() {
        assert_eq!(*index as usize, i);
        assert_eq!(NextHop::unpack(words), next_hop(*index), "entry {index}");
    }
    for i in [0, 4095, 9999] {
        assert_eq!(card.read::<NextHop>(TableId::NextHop, i).unwrap(), next_hop(i));
    }
    drop(card);
    process.end();
}

#[test]
fn sparse_entries_are_found_at_the_ends_of_a_table() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    let indices = [0, 1, 777, 65_534, 65_535];
    for index in indices {
        let word = EcmpSlot { valid: true, nh: index as u16, ..EcmpSlot::default() };
        card.write(index, word).unwrap();
    }
    let found: Vec<u32> = card.dump(TableId::Ecmp).unwrap().into_iter().map(|(i, _)| i).collect();
    assert_eq!(found, indices);
    let err = card.write(8192, Ilm::default()).unwrap_err();
    assert!(
        matches!(err, DeviceError::BadStatus { table: TableId::Ilm, index: 8192, .. }),
        "{err}"
    );
    card.clear_all().unwrap();
    assert!(card.dump(TableId::Ecmp).unwrap().is_empty());
    drop(card);
    process.end();
}

#[test]
fn unmapped_ring_is_reported_and_recovered() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    card.write(16, Ilm { valid: true, nh: 3, ..Ilm::default() }).unwrap();
    // The command ring now lies where no memory is mapped.
    card.write_reg(regs::CMD_BASE_HI, 0x3f).unwrap();
    let started = Instant::now();
    let err = card.fence().unwrap_err();
    assert!(matches!(err, DeviceError::RingFault { .. }), "{err}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    card.write_reg(regs::CPL_BASE_HI, 0x3f).unwrap();
    // The next command sets the ring up anew.
    card.fence().unwrap();
    assert_eq!(card.read::<Ilm>(TableId::Ilm, 16).unwrap().nh, 3);
    drop(card);
    process.end();
}

#[test]
fn dead_server_is_noticed() {
    let mut process = CardProcess::start(&[]);
    let mut card = attach(&process);
    card.fence().unwrap();
    process.kill();
    let started = Instant::now();
    let err = card.fence().unwrap_err();
    assert!(err.is_gone(), "{err}");
    assert!(card.read_reg(regs::MAGIC).unwrap_err().is_gone());
    assert!(started.elapsed() < Duration::from_secs(2));
    let err = open(&process.spec()).err().unwrap();
    assert!(matches!(err, DeviceError::Connect { .. }), "{err}");
}

#[test]
fn frozen_server_times_out() {
    let process = CardProcess::start(&[]);
    let path = process.socket();
    // Connects and says nothing: neither an owner nor in the way of one.
    let _silent = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let timeout = Duration::from_millis(500);
    let mut client = VfioUser::connect_with_timeout(&path, timeout).unwrap();
    let pid = nix::unistd::Pid::from_raw(process.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let started = Instant::now();
    let err = client.read32(regs::MAGIC).unwrap_err();
    assert!(matches!(err, DeviceError::Timeout { .. }), "{err}");
    assert!(started.elapsed() < timeout * 10);
    assert!(client.read32(regs::MAGIC).unwrap_err().is_gone());
}

#[test]
fn second_owner_is_refused() {
    let process = CardProcess::start(&[]);
    let mut first = attach(&process);
    let err = open(&process.spec()).err().unwrap();
    assert!(matches!(err, DeviceError::InUse { .. }), "{err}");
    // The first one did not notice.
    first.fence().unwrap();
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(err) = open(&process.spec()) {
        assert!(matches!(err, DeviceError::InUse { .. }), "{err}");
        assert!(Instant::now() < deadline, "the card stays occupied");
    }
    process.end();
}

#[test]
fn tables_survive_reset_and_a_new_owner() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    card.write(25, Ilm { valid: true, nh: 7, ..Ilm::default() }).unwrap();
    card.set_enabled(true).unwrap();
    card.write_reg(regs::EPOCH, 42).unwrap();
    card.reset().unwrap();
    assert_eq!((card.ident().reset_cause, card.ident().flr_count), (regs::RESET_FLR, 1));
    assert_eq!(card.ident().epoch, 42);
    assert_eq!(card.dump(TableId::Ilm).unwrap().len(), 1);
    drop(card);
    let mut card = attach(&process);
    assert_eq!((card.ident().flr_count, card.ident().epoch), (2, 42));
    assert!(card.is_enabled().unwrap());
    assert_eq!(card.read::<Ilm>(TableId::Ilm, 25).unwrap().nh, 7);
    drop(card);
    process.end();
}

#[test]
fn nonsense_on_the_socket_harms_nobody() {
    use std::io::{Read, Write};
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    let connect = || std::os::unix::net::UnixStream::connect(process.socket()).unwrap();
    // Too long, too short, not a version first, a header that never gets its body.
    let mut long = connect();
    long.write_all(&[0xff; 64]).unwrap();
    let mut short = connect();
    short.write_all(&[1, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut early = connect();
    early.write_all(&[1, 0, 13, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut half = connect();
    half.write_all(&[1, 0, 1, 0, 99, 0, 0, 0, 0]).unwrap();
    for mut gone in [long, short, early] {
        let mut rest = Vec::new();
        gone.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // Closed by the card, at most after an error reply; a reset counts as closed.
        if let Err(err) = gone.read_to_end(&mut rest) {
            assert_eq!(err.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert!(rest.is_empty() || rest[8] & 0x20 != 0, "{rest:?}");
    }
    card.fence().unwrap();
    drop(half);
    drop(card);
    process.end();
}

#[test]
fn an_independent_client_gets_along() {
    // The crate `vfio_user` is not ours: its client checks that our server speaks the protocol, not our idea of it.
    let process = CardProcess::start(&[]);
    let mut client = vfio_user::Client::new(&process.socket()).unwrap();
    let mut word = [0; 4];
    client.region_read(0, u64::from(regs::MAGIC), &mut word).unwrap();
    assert_eq!(u32::from_le_bytes(word), regs::MAGIC_VALUE);
    client.region_read(7, 0, &mut word).unwrap();
    assert_eq!(word, [0x55, 0x1e, 0x53, 0x50]);
    // Beyond the BAR, unaligned, and a region that is not there: all ones, and the connection lives.
    for (region, offset) in [(0, 0x1_0000), (0, 2), (5, 0)] {
        client.region_read(region, offset, &mut word).unwrap();
        assert_eq!(word, [0xff; 4], "region {region} at {offset:#x}");
    }
    client.region_write(0, u64::from(regs::SCRATCH), &[1, 2, 3, 4]).unwrap();
    client.region_read(0, u64::from(regs::SCRATCH), &mut word).unwrap();
    assert_eq!(word, [1, 2, 3, 4]);
    let memory = penstock_device::SharedMemory::create(8192).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&memory));
    client.dma_map(0, 1 << 32, 8192, fd).unwrap();
    client.dma_unmap(1 << 32, 8192).unwrap();
    let msix = client.get_irq_info(2).unwrap();
    assert_eq!(msix.count, regs::IRQ_VECTORS);
    client.reset().unwrap();
    client.region_read(0, u64::from(regs::SCRATCH), &mut word).unwrap();
    assert_eq!(word, [0; 4]);
    drop(client);
    process.end();
}

#[test]
fn a_card_that_is_pulled_out_reads_as_all_ones() {
    let process = CardProcess::start(&[]);
    let mut card = attach(&process);
    let pid = nix::unistd::Pid::from_raw(process.pid());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        match card.read_reg(regs::LAYOUT_VERSION) {
            Err(error) => break error,
            Ok(_) => assert!(Instant::now() < deadline, "the card is still there"),
        }
    };
    assert!(
        matches!(&error, DeviceError::DeviceGone { how } if how.contains("all ones")),
        "{error}"
    );
    // Neither a write nor a command does any harm, nor takes long.
    card.write_reg(regs::SCRATCH, 1).unwrap();
    assert!(card.fence().unwrap_err().is_gone());
    drop(card);
    // The server may not have seen yet that its host has gone.
    let again = loop {
        match open(&process.spec()) {
            Err(DeviceError::InUse { .. }) if Instant::now() < deadline => {}
            again => break again.unwrap(),
        }
    };
    assert!(Card::attach(again).unwrap_err().is_gone());
    process.end();
}
