//! An entry of which a bit has flipped, on the Verilated card under the agent that ships: a packet that needs it is dropped and
//! counted, the agent writes it again, and the next packet passes; what no packet meets, an audit finds.
#![allow(clippy::unwrap_used)]

mod look_ups;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use penstock_abi::limits::{VIF_FABRIC, VIF_VHOST};
use penstock_abi::reason::DropReason;
use penstock_abi::regs;
use penstock_abi::table::{Counter, TableId, Vif, VifKind};
use penstock_agent::engine::{Engine, Inputs, Pass, Scope};
use penstock_agent::keep::ServiceManager;
use penstock_agent::{Agent, Config, Opener};
use penstock_card::{CardOptions, CardSim, InProcess};
use penstock_compile::Compiled;
use penstock_model::{Fabric, Intent, MacAddr, Neighbours, Node, ObjectId, Vhost};
use penstock_refmodel::Ingress;
use penstock_tables::{Entry, Op, Tables};
use tokio::sync::watch;

/// How long anything may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
/// No frame takes longer than this.
const DRAIN_CYCLES: u64 = 200_000;

/// Fabric and vhost0 cross-connected, the fabric with the node's MAC address: the least that moves a frame.
#[derive(Default)]
struct CrossConnect {
    tables: Tables,
}

impl Engine for CrossConnect {
    fn adopt(&mut self, tables: Tables) {
        self.tables = tables;
    }

    fn pass(&mut self, inputs: &Inputs, _: Scope) -> Pass {
        let mac = inputs.intent.node.as_ref().map_or(0, |node| node.fabric.mac.to_bits());
        let mut wanted = Tables::new(self.tables.shape());
        let vif = |kind| Vif { valid: true, kind, ..Vif::default() };
        wanted.put(VIF_FABRIC.into(), Vif { mac, ..vif(VifKind::Fabric) });
        wanted.put(VIF_VHOST.into(), vif(VifKind::Vhost));
        let mut ops = Vec::new();
        for difference in self.tables.difference(&wanted) {
            let op = Op::write(difference.index, difference.wanted());
            self.tables.apply(&op);
            ops.push(op);
        }
        Pass { phases: vec![ops], ..Pass::default() }
    }

    fn owner(&self, _: &Inputs, _: &Compiled, _: u32, _: &Entry) -> Option<ObjectId> {
        None
    }
}

fn intent(mac: u8) -> Arc<Intent> {
    let fabric = Fabric { address: "10.169.25.20/24".parse().unwrap(), mac: MacAddr([mac; 6]) };
    let node = Node {
        name: "cent222".to_owned(),
        fabric,
        vhost: Vhost::default(),
        service_labels: None,
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    };
    Arc::new(Intent { complete: true, node: Some(Arc::new(node)), ..Intent::default() })
}

struct Bench {
    sim: Arc<Mutex<CardSim>>,
    agent: Agent,
    intent: watch::Sender<Arc<Intent>>,
    _neighbours: watch::Sender<Option<Neighbours>>,
}

impl Bench {
    fn new() -> Self {
        let sim = Arc::new(Mutex::new(CardSim::new(&CardOptions::default()).unwrap()));
        let card = Arc::clone(&sim);
        let opener: Opener = Arc::new(move || Ok(InProcess::boxed(&card)));
        let (intent, intents) = watch::channel(intent(2));
        let (neighbours, known) = watch::channel(Some(Neighbours::new()));
        let config = Config {
            name: "card".to_owned(),
            spec: "in process".to_owned(),
            opener,
            keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
            engine: Box::new(CrossConnect::default()),
            audit_every: Duration::from_secs(3600),
        };
        let agent = Agent::start(config, intents, known).unwrap();
        Self { sim, agent, intent, _neighbours: neighbours }
    }

    fn sim(&self) -> MutexGuard<'_, CardSim> {
        self.sim.lock().unwrap()
    }

    async fn completed(&self, passes: u64) {
        let mut status = self.agent.handle().status();
        let done = status.wait_for(|status| status.completed >= passes);
        tokio::time::timeout(PATIENCE, done).await.unwrap().unwrap();
    }

    /// Whether a frame crosses from the fabric.
    fn crosses(&self) -> bool {
        let mut sim = self.sim();
        let mut frame = vec![0; 60];
        // Not IPv4, so that it is nobody's tunnel packet.
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        sim.inject(VIF_FABRIC, frame);
        sim.drain(DRAIN_CYCLES).unwrap();
        !sim.take_egress().is_empty()
    }

    fn errors(&self) -> (u32, u32) {
        let mut sim = self.sim();
        (sim.read_reg(regs::PARITY_ERRORS).unwrap(), sim.read_reg(regs::PARITY_LAST).unwrap())
    }

    /// The fabric's entry is written anew, with the wrong parity.
    async fn damage(&self, mac: u8) {
        let completed = self.agent.handle().status().borrow().completed;
        self.sim().write_reg(regs::PARITY_INJECT, regs::PARITY_INJECT_KEY).unwrap();
        self.intent.send_replace(intent(mac));
        self.completed(completed + 1).await;
        assert_eq!(self.sim().read_reg(regs::PARITY_INJECT).unwrap(), 0, "nothing was written");
    }

    async fn dropped(&self) -> u64 {
        let mut readings = self.agent.handle().readings();
        readings.mark_unchanged();
        // Two: one may have been begun before.
        for _ in 0..2 {
            tokio::time::timeout(PATIENCE, readings.changed()).await.unwrap().unwrap();
        }
        let reading = readings.borrow().clone().unwrap();
        let drops = reading.counters.drop_stats();
        drops.get(DropReason::TableParity as u32).map_or(0, |counter| counter.count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_needs_it_is_dropped_until_it_is_written_again() {
    let bench = Bench::new();
    bench.completed(1).await;
    assert!(bench.crosses(), "before");
    assert_eq!(bench.errors(), (0, 0));

    bench.damage(3).await;
    assert!(!bench.crosses(), "a packet that needs the entry");
    let (errors, last) = bench.errors();
    assert!(errors > 0);
    assert_eq!(last, u32::from(TableId::Vif as u8) << 24 | u32::from(VIF_FABRIC));
    assert!(bench.dropped().await > 0);
    let deadline = Instant::now() + PATIENCE;
    while !bench.crosses() {
        assert!(Instant::now() < deadline, "nobody has written it again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // What no packet has met: the audit.
    let (errors, _) = bench.errors();
    bench.damage(4).await;
    let audit = bench.agent.handle().audit().await.unwrap();
    let vifs = audit.tables.iter().find(|table| table.table == TableId::Vif).unwrap();
    let odd: Vec<u32> = vifs.odd.iter().map(|(index, _)| *index).collect();
    assert_eq!((odd, audit.repairs), (vec![u32::from(VIF_FABRIC)], 1), "{audit:?}");
    assert!(bench.errors().0 > errors);
    assert!(bench.crosses(), "after");
    let audit = bench.agent.handle().audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

/// Services, tunnels' sources, floating IPs without port map, and VRFs: a row that cannot be read right is no proof that nobody has the
/// key, so that nobody is refused by one, or let in.
#[test]
fn what_is_looked_up_in_a_broken_row_is_dropped() {
    let sim = Arc::new(Mutex::new(CardSim::new(&CardOptions::default()).unwrap()));
    let mut card = InProcess::attach(&sim, penstock_card::FLOW_SECRET).unwrap();
    let op = |(table, index, words): &penstock_refmodel::r#gen::Write| {
        Op::write(*index, Entry::unpack(*table, words))
    };
    let all: Vec<Op> = look_ups::tables().iter().map(op).collect();
    card.apply(&all).unwrap();
    card.set_enabled(true).unwrap();
    let passes = |frame: (Ingress, Vec<u8>)| {
        let mut sim = sim.lock().unwrap();
        sim.inject(frame.0.vif(), frame.1);
        sim.drain(DRAIN_CYCLES).unwrap();
        sim.take_egress().iter().any(|out| out.vif == look_ups::OUT)
    };
    let reg = |reg| sim.lock().unwrap().read_reg(reg).unwrap();
    for (entry, frame) in look_ups::needs() {
        let (table, index, _) = entry;
        let drops = |card: &mut penstock_device::Card| {
            let index = DropReason::TableParity as u32;
            card.read::<Counter>(TableId::DropStats, index).unwrap().count
        };
        assert!(passes(frame(0)), "{table:?}, before");
        let dropped = drops(&mut card);
        let inject = (regs::PARITY_INJECT, regs::PARITY_INJECT_KEY);
        sim.lock().unwrap().write_reg(inject.0, inject.1).unwrap();
        card.apply(&[op(&entry)]).unwrap();
        assert!(!passes(frame(1)), "{table:?}, broken");
        assert_eq!(drops(&mut card), dropped + 1, "{table:?}");
        assert_eq!(reg(regs::PARITY_LAST), u32::from(table as u8) << 24 | index, "{table:?}");
        card.apply(&[op(&entry)]).unwrap();
        assert!(passes(frame(2)), "{table:?}, mended");
    }
}
