//! Puts the daemon's parts together.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use penstock_agent::engine::CardEngine;
use penstock_agent::keep::Keeper;
use penstock_agent::{Agent, Opener};
use penstock_api::server::{self, Limits, Server};
use penstock_attachments::{Attachments, Store};
use penstock_kube::{Access, Timing};
use penstock_model::{Overlay, Policy, Rules};
use penstock_sources::{Sources, Watch};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::answer::{self, Answers, Shared};
use crate::health::Health;
use crate::neighbour::{self, Known4};
use crate::{attach, ipfix, node_port, routes, tell, wanted, watchdog};

/// How long the end of all tasks may take; they end where they wait next.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// What a daemon is told when it starts.
pub struct Config {
    /// Its cards, one at least, no two of one name.
    pub cards: Vec<Card>,
    /// Directory of manifests, if there is one.
    pub manifests: Option<PathBuf>,
    /// API server, if there is one. What both give is the manifests'.
    pub kubernetes: Option<Access>,
    /// Address at which health checks of load balancers are answered, if they are.
    pub health_checks: Option<IpAddr>,
    /// Where connections that ended are told as IPFIX, if anywhere.
    pub ipfix: Option<SocketAddr>,
    /// Socket for requests.
    pub api: PathBuf,
    /// Folder of what must not be lost with the daemon: the pods that a CNI plugin registers. Without one, none can be.
    pub state: Option<PathBuf>,
    /// MAC addresses that the kernel is not asked for.
    pub static_neighbours: Known4,
    /// What the operator allows.
    pub policy: Policy,
    /// What holds for the overlay as a whole.
    pub overlay: Overlay,
    /// Pause between two audits of a card.
    pub audit_every: Duration,
}

/// One of its cards.
pub struct Card {
    /// Its name.
    pub name: String,
    /// Device specification, for people.
    pub spec: String,
    /// The node file for it.
    pub node: PathBuf,
    /// How to reach the device.
    pub opener: Opener,
    /// Who keeps the device from being reset while no daemon runs.
    pub keeper: Arc<dyn Keeper>,
}

/// A running daemon. Dropping it ends its tasks and leaves the cards' tables as they are.
pub struct Daemon {
    tasks: JoinSet<Ended>,
    /// Of files and of the API server. One that ends takes the sources with it that it is a part of, and these an agent.
    _watches: Vec<Watch>,
    _kubernetes: Option<penstock_kube::Watch>,
    _sources: Vec<Sources>,
}

impl Daemon {
    /// Starts all tasks on the current runtime.
    ///
    /// # Errors
    /// Another daemon serves the socket, or the socket cannot be made; what was kept of attachments cannot be read. A missing device or bad files are no reason not to
    /// start: they stand in the status, and are tried again.
    pub fn start(config: Config) -> Result<Self> {
        let listener = server::listen(&config.api)?;
        let store = config.state.as_deref().map(Store::open).transpose()?.map(Arc::new);
        let mut tasks = Tasks::default();
        let inputs = Health::default();
        let (neighbours_tx, neighbours) = watch::channel(None);
        let (wanted_tx, wanted) = watch::channel(None);
        let node_file = |card: &Card| penstock_sources::node_file::watch(card.node.clone());
        let mut watches: Vec<Watch> = config.cards.iter().map(node_file).collect();
        let nodes: Vec<_> = watches.iter().map(Watch::fragments).collect();
        watches.extend(config.manifests.map(penstock_sources::manifests::watch));
        // All cards are of one node, whose name each node file says.
        let kubernetes = config.kubernetes.zip(nodes.first().cloned());
        let kubernetes =
            kubernetes.map(|(access, node)| penstock_kube::watch(access, node, Timing::default()));
        let shared = watches[nodes.len()..].iter().map(Watch::fragments);
        let shared: Vec<_> =
            shared.chain(kubernetes.iter().map(penstock_kube::Watch::fragments)).collect();
        let mut sources = Vec::new();
        let mut cards = Vec::new();
        let rules = Rules { policy: config.policy, overlay: config.overlay };
        for (card, node) in config.cards.into_iter().zip(nodes) {
            let attachments =
                store.as_ref().map(|store| Attachments::open(Arc::clone(store), &card.name));
            let attachments = attachments.transpose()?;
            let mut fragments = vec![node];
            fragments.extend(attachments.iter().map(Attachments::fragments));
            fragments.extend(shared.iter().cloned());
            let followed = Sources::start(fragments, rules.clone());
            let (intent, statuses) = (followed.intents(), followed.status());
            sources.push(followed);
            info!(card = card.name, device = card.spec, "card configured");
            let agent = penstock_agent::Config {
                name: card.name,
                spec: card.spec,
                opener: card.opener,
                keeper: card.keeper,
                engine: Box::new(CardEngine::default()),
                audit_every: config.audit_every,
            };
            let mut agent = Agent::start(agent, intent.clone(), neighbours.clone())
                .context("cannot start a card's thread")?;
            let handle = agent.handle().clone();
            let card =
                answer::Card { agent: handle.clone(), intent, sources: statuses, attachments };
            tasks.add("the record of numbers in use", attach::observe(card.clone()));
            cards.push(card);
            tasks.0.spawn(async move {
                let defect = agent.failed().await;
                let why = || format!("the agent of card {} ended", handle.name());
                Ended { result: Err(defect).with_context(why), _agent: Some(agent) }
            });
        }
        if let Some(address) = config.health_checks {
            let intents = cards.iter().map(|card| card.intent.clone()).collect();
            let agents = cards.iter().map(|card| card.agent.clone()).collect();
            let answered = node_port::answer(address, intents, agents, inputs.clone());
            tasks.add("the answers to health checks", answered);
        }
        let intents = cards.iter().map(|card| card.intent.clone()).collect();
        tasks.add("the list of wanted nodes", wanted::follow(intents, wanted_tx));
        let followed = neighbour::Outlets { neighbours: neighbours_tx, health: inputs.clone() };
        let neighbour = neighbour::follow(wanted.clone(), config.static_neighbours, followed);
        tasks.add("the follower of neighbours", neighbour);
        let told = tell::Told {
            cards: cards
                .iter()
                .map(|card| tell::Card { agent: card.agent.clone(), sources: card.sources.clone() })
                .collect(),
            inputs: inputs.subscribe(),
            wanted: wanted.clone(),
            neighbours: neighbours.clone(),
        };
        tasks.add("the line for the service manager", tell::tell(told));
        let beats = cards.iter().map(|card| card.agent.beats()).collect();
        tasks.add("the watchdog's feeder", watchdog::watch(beats));
        if let Some(collector) = config.ipfix {
            let exported = ipfix::export(collector, cards.clone(), inputs.clone());
            tasks.add("the exporter of connections", exported);
        }
        let shared = Shared { inputs: inputs.subscribe(), wanted, neighbours };
        let router = routes::router(Answers::new(cards, shared));
        tasks.add("the API's server", async move {
            Server::new(Limits::default()).serve(listener, router).await;
        });
        info!(api = %config.api.display(), "penstockd starts");
        Ok(Self { tasks: tasks.0, _watches: watches, _kubernetes: kubernetes, _sources: sources })
    }

    /// Waits until a part of the daemon ends, which none does unless it has a defect. The process should end then: half a daemon
    /// is worse than one that is started anew.
    ///
    /// # Errors
    /// Always: what ended.
    pub async fn failed(&mut self) -> Result<()> {
        match self.tasks.join_next().await {
            Some(Ok(ended)) => ended.result,
            Some(Err(error)) => Err(error).context("a task of the daemon failed"),
            None => anyhow::bail!("the daemon has no tasks"),
        }
    }

    /// Ends all tasks, and with the server its socket. Whatever computes at the moment is not waited for.
    pub async fn end(mut self) {
        // A task that cannot be ended has hung, and ends with the process.
        let _ = tokio::time::timeout(END_TIMEOUT, self.tasks.shutdown()).await;
    }
}

/// Outcome of a task.
struct Ended {
    result: Result<()>,
    /// Lives until the outcome is looked at: tasks that follow an agent end with it, and would come first with a consequence.
    _agent: Option<Agent>,
}

#[derive(Default)]
struct Tasks(JoinSet<Ended>);

impl Tasks {
    /// Adds a task whose end is a defect.
    fn add(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            task.await;
            Ended { result: Err(anyhow::anyhow!("{what} ended")), _agent: None }
        });
    }
}
