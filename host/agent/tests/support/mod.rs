//! An agent over a card in memory, with an engine that does what a test says.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_abi::table::{Ilm, NextHop, NextHopKind};
use penstock_agent::engine::{CardEngine, Engine, Inputs, Pass, Scope};
use penstock_agent::keep::ServiceManager;
use penstock_agent::{Agent, Config, Opener};
use penstock_compile::Compiled;
use penstock_device::PciTransport;
use penstock_device::fake::FakeCard;
use penstock_model::{
    Fabric, Intent, LearnPolicy, MacAddr, MplsLabel, Neighbours, Node, ObjectId, ObjectName,
    PodVif, VifId, VrfId,
};
use penstock_tables::{Entry, Op, Tables};
use tokio::sync::watch;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Label and next hop of each vif: the next hop in the first phase, the label that points to it in the second.
#[derive(Default)]
pub struct Script {
    tables: Tables,
    pub seen: Arc<Seen>,
}

/// What an engine was asked for.
#[derive(Default)]
pub struct Seen {
    pub adoptions: AtomicUsize,
    pub passes: Mutex<Vec<Scope>>,
    pub neighbours: Mutex<Neighbours>,
}

impl Engine for Script {
    fn adopt(&mut self, tables: Tables) {
        self.seen.adoptions.fetch_add(1, Ordering::SeqCst);
        self.tables = tables;
    }

    fn pass(&mut self, inputs: &Inputs, scope: Scope) -> Pass {
        self.seen.passes.lock().unwrap().push(scope);
        *self.seen.neighbours.lock().unwrap() = inputs.neighbours.clone();
        let mut wanted = Tables::default();
        for vif in inputs.intent.vifs.values() {
            assert_ne!(vif.name, "poison", "on purpose");
            let nh = u16::from(vif.id.0);
            let hop = NextHop {
                valid: true,
                kind: NextHopKind::Encap,
                vif: vif.id.0,
                ..NextHop::default()
            };
            wanted.put(nh.into(), hop);
            wanted.put(vif.label.0, Ilm { valid: true, nh, ..Ilm::default() });
        }
        let mut phases = vec![Vec::new(), Vec::new()];
        for difference in self.tables.difference(&wanted) {
            let op = Op::write(difference.index, difference.wanted());
            let hop = difference.table == penstock_abi::table::TableId::NextHop;
            phases[usize::from(!hop)].push(op);
            self.tables.apply(&op);
        }
        Pass { phases, ..Pass::default() }
    }

    fn owner(&self, inputs: &Inputs, _: &Compiled, _: u32, entry: &Entry) -> Option<ObjectId> {
        let number = entry.get::<NextHop>()?.vif;
        let vif = inputs.intent.vifs.get(&VifId(number))?;
        Some(ObjectId::Vif(vif.name.clone()))
    }
}

pub fn node() -> Node {
    let fabric = Fabric { address: "10.169.25.20/24".parse().unwrap(), mac: MacAddr([2; 6]) };
    Node {
        name: "cent222".to_owned(),
        fabric,
        vhost: Default::default(),
        service_labels: None,
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    }
}

/// A complete intent with these vifs: (number, name, label).
pub fn intent(vifs: &[(u8, &str, u32)]) -> Arc<Intent> {
    let vif = |&(id, name, label): &(u8, &str, u32)| {
        let vif = PodVif {
            id: VifId(id),
            name: name.to_owned(),
            pod: ObjectName::new("ns", name),
            address: IpAddr::from([10, 47, 255, id]),
            mac: MacAddr([2, 0, 0, 0, 0, id]),
            vrf: VrfId(2),
            label: MplsLabel(label),
            learn: LearnPolicy::default(),
            flow_limit: None,
        };
        (VifId(id), Arc::new(vif))
    };
    Arc::new(Intent {
        complete: true,
        node: Some(Arc::new(node())),
        vifs: vifs.iter().map(vif).collect(),
        ..Intent::default()
    })
}

pub struct Bench {
    pub fake: FakeCard,
    pub agent: Agent,
    pub intent: watch::Sender<Arc<Intent>>,
    pub neighbours: watch::Sender<Option<Neighbours>>,
    pub seen: Arc<Seen>,
    pub opened: Arc<AtomicUsize>,
}

impl Bench {
    /// An agent whose sources have not said anything yet.
    pub fn idle() -> Self {
        Self::with(FakeCard::new(), |transport| transport)
    }

    /// An agent that has done as it was told.
    pub async fn new(vifs: &[(u8, &str, u32)]) -> Self {
        let bench = Self::idle();
        bench.intent.send_replace(intent(vifs));
        bench.wait("the first reconcile", |bench| bench.completed() == 1).await;
        bench
    }

    pub fn with(
        fake: FakeCard,
        wrap: impl Fn(Box<dyn PciTransport>) -> Box<dyn PciTransport> + Send + Sync + 'static,
    ) -> Self {
        let opened = Arc::new(AtomicUsize::new(0));
        let (card, count) = (fake.clone(), Arc::clone(&opened));
        let opener: Opener = Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(wrap(card.transport()))
        });
        Self::open(fake, opener, opened)
    }

    pub fn open(fake: FakeCard, opener: Opener, opened: Arc<AtomicUsize>) -> Self {
        let script = Script::default();
        let seen = Arc::clone(&script.seen);
        Self::run(fake, opener, opened, Box::new(script), seen)
    }

    /// An agent with the engine that is shipped.
    pub fn shipped(fake: FakeCard) -> Self {
        let card = fake.clone();
        let opener: Opener = Arc::new(move || Ok(card.transport()));
        let engine = Box::new(CardEngine::default());
        Self::run(fake, opener, Arc::default(), engine, Arc::default())
    }

    fn run(
        fake: FakeCard,
        opener: Opener,
        opened: Arc<AtomicUsize>,
        engine: Box<dyn Engine>,
        seen: Arc<Seen>,
    ) -> Self {
        let (intent, intents) = watch::channel(Arc::new(Intent::default()));
        let (neighbours, known) = watch::channel(Some(Neighbours::new()));
        let config = Config {
            name: "card".to_owned(),
            spec: "fake".to_owned(),
            opener,
            keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
            engine,
            audit_every: Duration::from_secs(3600),
        };
        let agent = Agent::start(config, intents, known).unwrap();
        Self { fake, agent, intent, neighbours, seen, opened }
    }

    pub fn completed(&self) -> u64 {
        self.agent.handle().status().borrow().completed
    }

    pub fn labels(&self) -> Vec<u32> {
        self.fake.tables().of::<Ilm>().indices().collect()
    }

    pub fn last_error(&self) -> Option<String> {
        self.agent.handle().status().borrow().last_error.clone()
    }

    /// Waits for what no channel tells.
    pub async fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !condition(self) {
            let status = self.agent.handle().status().borrow().clone();
            assert!(tokio::time::Instant::now() < deadline, "{what} did not happen: {status:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
