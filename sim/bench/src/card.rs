//! The Verilated card: packets a cycle, latency and table operations; [`crate::speed`] says how fast the simulation itself runs.
//!
//! Frames are 64 bytes with FCS, 60 without, as the wire's smallest are. Rates are those of the steady state: between the
//! frame that leaves after a quarter of the run and the last. A direction whose frames grow or shrink by the 32 bytes of
//! MPLSoUDP has two beats a frame on one side, so that 0.5 frames a cycle is all its wire can carry. Of new flows that are
//! translated only as many leave as the card stores pairs; the rest is refused and counted.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use penstock_abi::limits::VIF_VHOST;
use penstock_abi::table::NextHop;
use penstock_card::{BusLatency, CardOptions, CardSim, FLOW_SECRET, InProcess};
use penstock_compile::compile;
use penstock_device::Card;
use penstock_plan::plan;
use penstock_refmodel::packet;
use penstock_tables::{Op, Tables};

use crate::host::Cluster;
use crate::report::Report;
use crate::{speed, transport};

const FRAMES: usize = 4000;
const CLIENT: u32 = 0x0a80_0100; // pod 0, vif 3
const NEIGHBOUR: u32 = 0x0a80_0101; // pod 1, vif 4
const NODE: u32 = 0x0aa9_1914;
const PEER: u32 = 0x0aa9_6400;
const REMOTE_POD: u32 = 0x0a80_0164; // pod 100, the first of the first remote node
const SERVICE: u32 = 0x0a60_0002; // service 1, of pod 1 alone
const FABRIC_MAC: u64 = 0x0200_0000_ff01; // as `Cluster` has it
const DATA: [u8; 18] = [0x5a; 18]; // 14 + 20 + 8 + 18 = 60 bytes

pub(crate) struct Bench {
    sim: Arc<Mutex<CardSim>>,
    card: Card,
}

/// One direction: how to make its n-th frame, and where it leaves.
pub(crate) struct Direction {
    name: &'static str,
    from: u8,
    to: u8,
    frame: fn(u16) -> Vec<u8>,
    /// Its packets are translated, so that a new flow that cannot be stored is refused.
    translated: bool,
}

impl Direction {
    /// Queues `count` frames of so many flows, from the flow `first` on.
    pub(crate) fn inject(&self, sim: &mut CardSim, count: usize, flows: u16, first: u16) {
        for n in 0..count {
            sim.inject(self.from, (self.frame)(first.wrapping_add(n as u16 % flows)));
        }
    }
}

fn tunnelled(inner: &packet::Ipv4) -> Vec<u8> {
    // Label 101 is pod 1.
    let outer = packet::mpls_udp(PEER, NODE, 6635, packet::mpls(101, 63), &inner.bytes());
    packet::ethernet(FABRIC_MAC, 0x0200_0000_ff02, None, 0x0800, &outer.bytes())
}

/// The direction whose flows the card knows after [`Bench::rates`], and for which the wire is no limit.
pub(crate) const KNOWN: Direction = Direction {
    name: "local",
    from: 3,
    to: 4,
    frame: |n| packet::frame(&packet::udp(CLIENT, NEIGHBOUR, n, 53, &DATA)),
    translated: false,
};

const DIRECTIONS: [Direction; 7] = [
    KNOWN,
    Direction {
        name: "encap",
        from: 3,
        to: 0,
        frame: |n| packet::frame(&packet::udp(CLIENT, REMOTE_POD, n, 53, &DATA)),
        translated: false,
    },
    Direction {
        name: "decap",
        from: 0,
        to: 4,
        frame: |n| tunnelled(&packet::udp(REMOTE_POD, NEIGHBOUR, n, 53, &DATA)),
        translated: false,
    },
    Direction {
        name: "decap_nat",
        from: 0,
        to: 4,
        frame: |n| tunnelled(&packet::tcp(REMOTE_POD, SERVICE, n, 80, 0x10, &[])),
        translated: true,
    },
    Direction {
        name: "service_key",
        from: 3,
        to: 4,
        frame: |n| packet::frame(&packet::tcp(CLIENT, SERVICE, n, 80, 0x10, &[])),
        translated: true,
    },
    Direction {
        name: "vhost_to_pod",
        from: VIF_VHOST,
        to: 4,
        frame: |n| packet::frame(&packet::udp(NODE, NEIGHBOUR, n, 53, &DATA)),
        translated: false,
    },
    Direction {
        name: "pod_to_vhost",
        from: 3,
        to: VIF_VHOST,
        frame: |n| packet::frame(&packet::udp(CLIENT, NODE, n, 53, &DATA)),
        translated: false,
    },
];

impl Bench {
    fn new(firmware: Option<std::path::PathBuf>) -> Result<Self> {
        let options = CardOptions { unchecked: true, firmware, ..CardOptions::default() };
        let sim = Arc::new(Mutex::new(CardSim::new(&options)?));
        let mut card = InProcess::attach(&sim, FLOW_SECRET)?;
        // Service 1 has pod 1's floating IP in front of it too.
        let cluster = Cluster::small(10);
        let (mut intent, neighbours) = cluster.intent()?;
        let mut service = cluster.service(1, 0);
        let members = &mut service.listeners[0].pool.members;
        members.truncate(1);
        members[0].address = IpAddr::V4(NEIGHBOUR.into());
        intent.balancers.insert(service.name.clone(), Arc::new(service));
        let planned = plan(&compile(&intent, &neighbours).desired, &Tables::default());
        ensure!(planned.refused.is_empty(), "{:?}", planned.refused);
        for phase in &planned.plan.phases {
            card.apply(&phase.ops)?;
        }
        card.set_enabled(true)?;
        Ok(Self { sim, card })
    }

    pub(crate) fn sim(&self) -> std::sync::MutexGuard<'_, CardSim> {
        self.sim.lock().expect("the bench has one thread")
    }

    /// Sends `count` frames at once and returns the cycles in which they left; all of them, unless they are of new flows that
    /// may be refused.
    fn send(
        &self,
        direction: &Direction,
        count: usize,
        flows: u16,
        first: u16,
    ) -> Result<Vec<u64>> {
        let mut sim = self.sim();
        direction.inject(&mut sim, count, flows, first);
        sim.drain(10_000_000)?;
        let out = sim.take_egress();
        let may_be_refused = direction.translated && usize::from(flows) >= count;
        ensure!(
            (out.len() == count || may_be_refused) && out.iter().all(|e| e.vif == direction.to),
            "{}: {} of {count} frames left",
            direction.name,
            out.len()
        );
        Ok(out.iter().map(|e| e.cycle).collect())
    }

    fn rates(&self, report: &mut Report) -> Result<()> {
        for direction in &DIRECTIONS {
            for (kind, flows, first) in [("known_flows", 16, 100), ("new_flows", u16::MAX, 20_000)]
            {
                if kind == "known_flows" {
                    self.send(direction, 64, flows, first)?; // now they are known
                }
                let cycles = self.send(direction, FRAMES, flows, first)?;
                let start = cycles.len() / 4;
                let last = *cycles.last().context("frames left")?;
                let rate = (cycles.len() - 1 - start) as f64 / (last - cycles[start]) as f64;
                report.add(
                    format!("card.rate_64B.{}.{kind}", direction.name),
                    rate,
                    "packets/cycle",
                );
            }
        }
        Ok(())
    }

    fn latencies(&self, report: &mut Report) -> Result<()> {
        for direction in &DIRECTIONS {
            self.send(direction, 1, 1, 7)?;
            let before = self.sim().cycles();
            let left = self.send(direction, 1, 1, 7)?[0];
            // Frames that leave in two beats show their first one a cycle before the last.
            let beats_out = if direction.to == 0 { 2 } else { 1 };
            let cycles = left - before - (beats_out - 1);
            report.add(
                format!("card.first_beat_latency_64B.{}", direction.name),
                cycles as f64,
                "cycles",
            );
        }
        Ok(())
    }

    fn table_operations(&mut self, report: &mut Report) -> Result<()> {
        for batch in [1, 32, 2048] {
            let cycles = self.write_cycles(batch)?;
            report.add(format!("card.table_write.batch_{batch}"), cycles, "cycles/op");
        }
        // Reads of a microsecond, and 0.3 of them until a write is acknowledged, as behind a root complex.
        self.sim().set_bus_latency(BusLatency { read_cycles: 322, answer_cycles: 100 });
        for (name, batch) in [("cycles_per_op", 2048), ("cycles_of_one", 1)] {
            let cycles = self.write_cycles(batch)?;
            report.add(format!("card.ring.{name}.bus_1us"), cycles, "cycles/op");
        }
        self.sim().set_bus_latency(BusLatency::default());
        transport::measure(report, "in_process", &mut self.card)
    }

    /// Cycles that a write takes in batches of this size.
    fn write_cycles(&mut self, batch: u32) -> Result<f64> {
        let entry = |i| NextHop { valid: true, dip: i, ..NextHop::default() };
        let ops: Vec<Op> = (0..batch).map(|i| Op::write(20_000 + i, entry(i))).collect();
        let rounds = (4096 / batch).min(512);
        let before = self.sim().cycles();
        for _ in 0..rounds {
            self.card.apply(&ops)?;
        }
        Ok((self.sim().cycles() - before) as f64 / f64::from(batch * rounds))
    }
}

/// Measures nothing but the speed of the simulation.
///
/// # Errors
/// As [`run`].
pub(crate) fn speed(report: &mut Report, firmware: Option<std::path::PathBuf>) -> Result<()> {
    let bench = Bench::new(firmware)?;
    bench.send(&KNOWN, 64, 16, 100)?; // now they are known
    speed::measure(report, &bench)
}

/// Measures the card.
///
/// # Errors
/// The card does not do what is being measured.
pub(crate) fn run(report: &mut Report, firmware: Option<std::path::PathBuf>) -> Result<()> {
    let mut bench = Bench::new(firmware)?;
    bench.latencies(report)?;
    bench.rates(report)?;
    bench.table_operations(report)?;
    speed::measure(report, &bench)
}
