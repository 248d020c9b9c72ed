//! The card in this process: driver without a socket, frames through the data path, back-pressure.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use penstock_abi::limits::{VIF_FABRIC, VIF_VHOST};
use penstock_abi::reason::DropReason;
use penstock_abi::table::{Counter, NextHop, TableEntry, TableId, Vif, VifKind, VifStats};
use penstock_card::port::channel_port;
use penstock_card::{
    AFFINITY_ROWS_LOG2, BackPressure, CardOptions, CardSim, Egress, FLOW_ROWS_LOG2, InProcess,
};
use penstock_device::Card;
use penstock_tables::{Op, Shape};

fn card(back_pressure: Option<BackPressure>) -> (Arc<Mutex<CardSim>>, Card) {
    let sim = CardSim::new(&CardOptions { back_pressure, ..CardOptions::default() }).unwrap();
    let sim = Arc::new(Mutex::new(sim));
    let card = Card::attach(InProcess::boxed(&sim)).unwrap();
    (sim, card)
}

/// Fabric and vhost0 cross-connected: the least that moves a frame.
fn cross_connect(card: &mut Card) {
    let vif = |kind| Vif { valid: true, kind, ..Vif::default() };
    card.write(VIF_FABRIC.into(), vif(VifKind::Fabric)).unwrap();
    card.write(VIF_VHOST.into(), vif(VifKind::Vhost)).unwrap();
    card.set_enabled(true).unwrap();
}

fn frame(len: usize, seed: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len).map(|i| (i * 7 + seed * 13) as u8).collect();
    // Not IPv4, so that it is nobody's tunnel packet.
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

fn exchange(back_pressure: Option<BackPressure>) {
    let (sim, mut card) = card(back_pressure);
    cross_connect(&mut card);
    let lengths = [14, 60, 63, 64, 65, 127, 128, 129, 1514, 9216];
    let mut sim = sim.lock().unwrap();
    for (i, &len) in lengths.iter().cycle().take(60).enumerate() {
        sim.inject(if i % 2 == 0 { VIF_FABRIC } else { VIF_VHOST }, frame(len, i));
    }
    sim.drain(200_000).unwrap();
    let out = sim.take_egress();
    drop(sim);
    for (parity, from, to) in [(0, VIF_FABRIC, VIF_VHOST), (1, VIF_VHOST, VIF_FABRIC)] {
        let sent: Vec<Vec<u8>> = (0..60)
            .filter(|i| i % 2 == parity)
            .map(|i| frame(lengths[i % lengths.len()], i))
            .collect();
        let got: Vec<&Egress> = out.iter().filter(|e| e.vif == to).collect();
        assert_eq!(got.len(), sent.len(), "frames from vif {from}");
        for (n, (egress, frame)) in got.iter().zip(&sent).enumerate() {
            assert_eq!(&egress.frame, frame, "frame {n} from vif {from}");
        }
        let bytes: usize = sent.iter().map(Vec::len).sum();
        let stats: VifStats = card.read(TableId::VifStats, from.into()).unwrap();
        assert_eq!((stats.rx_packets, stats.rx_bytes, stats.drops), (30, bytes as u64, 0));
        let stats: VifStats = card.read(TableId::VifStats, to.into()).unwrap();
        assert_eq!((stats.tx_packets, stats.tx_bytes), (30, bytes as u64));
    }
}

#[test]
fn the_card_says_its_sizes() {
    let (_, card) = card(None);
    let shape = Shape::default().with_flow_rows_log2(FLOW_ROWS_LOG2);
    assert_eq!(card.ident().shape, shape.with_affinity_rows_log2(AFFINITY_ROWS_LOG2));
}

#[test]
fn frames_of_all_lengths_cross_unchanged() {
    exchange(None);
}

#[test]
fn back_pressure_changes_nothing() {
    for seed in [1, 2, 3] {
        exchange(Some(BackPressure { seed, of_256: 100 }));
    }
}

#[test]
fn disabled_card_counts_every_drop() {
    let (sim, mut card) = card(None);
    cross_connect(&mut card);
    card.set_enabled(false).unwrap();
    for i in 0..5 {
        sim.lock().unwrap().inject(VIF_FABRIC, frame(100, i));
    }
    sim.lock().unwrap().drain(100_000).unwrap();
    assert!(sim.lock().unwrap().take_egress().is_empty());
    let drops: Counter = card.read(TableId::DropStats, DropReason::Disabled as u32).unwrap();
    assert_eq!(drops.count, 5);
}

#[test]
fn ring_works_under_back_pressure() {
    let (_sim, mut card) = card(Some(BackPressure { seed: 7, of_256: 128 }));
    let entry = |i: u32| NextHop { valid: true, dip: i, ..NextHop::default() };
    let ops: Vec<Op> = (0..700).map(|i| Op::write(i, entry(i))).collect();
    card.apply(&ops).unwrap();
    let dump = card.dump(TableId::NextHop).unwrap();
    assert_eq!(dump.len(), 700);
    for (index, words) in dump {
        assert_eq!(words, entry(index).pack(), "entry {index}");
    }
}

#[test]
fn idle_card_needs_few_cycles() {
    let (sim, _card) = card(None);
    let mut sim = sim.lock().unwrap();
    sim.drain(100_000).unwrap();
    let before = sim.cycles();
    for _ in 0..10 {
        sim.skip_time(30_000_000);
        assert!(sim.run(10_000));
    }
    assert!(
        sim.cycles() - before < 1000,
        "{} cycles for a second of idle time",
        sim.cycles() - before
    );
}

#[test]
fn years_without_work_need_no_more_cycles_than_seconds() {
    const YEARS_CYCLES: u64 = 100 * 365 * 86_400 * 322_266_000;
    let (sim, mut card) = card(None);
    let before = {
        let mut sim = sim.lock().unwrap();
        sim.drain(100_000).unwrap();
        let before = sim.cycles();
        sim.skip_time(YEARS_CYCLES);
        assert!(sim.run(10_000));
        assert!(sim.cycles() - before < 100, "{} cycles", sim.cycles() - before);
        before
    };
    // The card's own clock has moved as well.
    let shown = card.time_cycles().unwrap();
    assert!((YEARS_CYCLES..YEARS_CYCLES + before + 10_000).contains(&shown), "{shown}");
}

#[test]
fn channel_ports_carry_frames() {
    let (sim, mut card) = card(None);
    cross_connect(&mut card);
    let mut sim = sim.lock().unwrap();
    let (wire, wire_end) = channel_port().unwrap();
    let (vhost, vhost_end) = channel_port().unwrap();
    sim.attach_port(VIF_FABRIC, "wire", Box::new(wire));
    sim.attach_port(VIF_VHOST, "vhost0", Box::new(vhost));
    for i in 0..10 {
        assert!(wire_end.send(frame(200, i)));
    }
    assert!(sim.receive());
    sim.drain(100_000).unwrap();
    let got: Vec<Vec<u8>> = vhost_end.frames().try_iter().collect();
    assert_eq!(got, (0..10).map(|i| frame(200, i)).collect::<Vec<_>>());
    // A peer that has gone: the frame is counted, not lost silently.
    drop(vhost_end);
    assert!(wire_end.send(frame(200, 0)));
    sim.receive();
    sim.drain(100_000).unwrap();
    let stats = sim.port_stats().find(|(name, ..)| *name == "vhost0").unwrap().2;
    assert_eq!((stats.tx_frames, stats.tx_dropped), (10, 1));
}
