//! Answers: the live card read through its ring and shown by `penstock-views`, and the daemon's own state. How they are asked
//! for and written is [`crate::routes`]' matter.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use penstock_abi::limits;
use penstock_abi::table::{Flow, TableId};
use penstock_api::paths::{FlowQuery, LookupQuery};
use penstock_api::types::{
    DeviceState, DeviceStatus, ReconcileState, ReconcileStatus, SourceStatus, Status,
};
use penstock_device::{Card, DeviceError};
use penstock_model::{LoadBalancer, ObjectName, Snapshot};
use penstock_views::{
    CardState, drops, flow, flow_filter, mpls, next_hop, registers, route, service, vif,
};
use tokio::sync::{Semaphore, watch};

use crate::device::{Device, LinkError, LinkState};
use crate::neighbour::Neighbours;

/// What the daemon knows besides the card, as its tasks publish it.
#[derive(Clone)]
pub struct Knowledge {
    /// Device specification, as given.
    pub spec: String,
    /// Name of the node, while no snapshot says it.
    pub node: String,
    /// The last good snapshot.
    pub snapshot: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The sources.
    pub sources: watch::Receiver<Vec<SourceStatus>>,
    /// The reconcile loop.
    pub reconcile: watch::Receiver<ReconcileStatus>,
    /// MAC addresses of nodes; none while the kernel was not asked yet.
    pub neighbours: watch::Receiver<Option<Neighbours>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// What was asked for is not there.
    #[error("{0}")]
    Absent(String),
    /// The request makes no sense.
    #[error("{0}")]
    Misread(String),
    /// The sources were not read yet.
    #[error("{0}")]
    NotReady(String),
    /// The card does not answer, or with an error.
    #[error(transparent)]
    Card(#[from] LinkError),
}

fn absent(why: String) -> Refusal {
    Refusal::Absent(why)
}

/// Answers requests; clones share the card and the knowledge.
#[derive(Clone)]
pub struct Answers {
    device: Device,
    knowledge: Knowledge,
    /// One reader of tables at a time: whatever the daemon itself does waits behind one at most.
    turn: Arc<Semaphore>,
}

impl Answers {
    /// Answers from this card and this knowledge.
    #[must_use]
    pub fn new(device: Device, knowledge: Knowledge) -> Self {
        Self { device, knowledge, turn: Arc::new(Semaphore::new(1)) }
    }

    /// The flows that a filter lists.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn flows(&self, query: FlowQuery) -> Result<flow::FlowTable, Refusal> {
        let filter: Option<flow_filter::FlowFilter> = query
            .filter
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: flow_filter::FilterError| Refusal::Misread(error.to_string()))?;
        let state = self.on_card(read_flows).await?;
        Ok(flow::view(&state, filter.as_ref()))
    }

    /// One flow.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn flow(&self, index: u32) -> Result<flow::FlowEntry, Refusal> {
        if index >= limits::FLOWS {
            return Err(absent(format!("flow {index} is not in use")));
        }
        let state = self.on_card(move |card| read_flow(card, index)).await?;
        flow::get(&state, index).ok_or_else(|| absent(format!("flow {index} is not in use")))
    }

    /// All next hops.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn next_hops(&self) -> Result<next_hop::Hops, Refusal> {
        Ok(next_hop::list(&self.read(next_hop::TABLES).await?))
    }

    /// One next hop and its members.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn next_hop(&self, id: u32) -> Result<next_hop::Hops, Refusal> {
        let hops = next_hop::get(&self.read(next_hop::TABLES).await?, id);
        if hops.next_hops.is_empty() {
            return Err(absent(format!("next hop {id} is not in use")));
        }
        Ok(hops)
    }

    /// All interfaces, or one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn vifs(&self, only: Option<u32>) -> Result<vif::Interfaces, Refusal> {
        let vifs = vif::view(&self.read(vif::TABLES).await?, only);
        match only {
            Some(id) if vifs.interfaces.is_empty() => {
                Err(absent(format!("vif0/{id} is not in use")))
            }
            _ => Ok(vifs),
        }
    }

    /// All routes of a VRF.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn routes(&self, vrf: u16) -> Result<route::Routes, Refusal> {
        let routes = route::view(&self.read(route::TABLES).await?, vrf);
        if routes.routes.is_empty() {
            self.check_vrf(vrf)?;
        }
        Ok(routes)
    }

    /// The route that a destination takes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn lookup(&self, vrf: u16, query: LookupQuery) -> Result<route::Routes, Refusal> {
        let LookupQuery { address, prefix_len } = query;
        if prefix_len > 32 {
            let why = format!("{address}/{prefix_len} is no IPv4 prefix");
            return Err(Refusal::Misread(why));
        }
        let found = route::lookup(&self.read(route::TABLES).await?, vrf, address, prefix_len);
        if found.routes.is_empty() {
            return Err(absent(format!("no route to {address}/{prefix_len} in VRF {vrf}")));
        }
        Ok(found)
    }

    /// All labels, or one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn labels(&self, only: Option<u32>) -> Result<mpls::LabelMap, Refusal> {
        let map = mpls::view(&self.read(mpls::TABLES).await?, only);
        match only {
            Some(label) if map.labels.is_empty() => {
                Err(absent(format!("label {label} is not in use")))
            }
            _ => Ok(map),
        }
    }

    /// Drops by reason.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn drops(&self) -> Result<drops::DropStats, Refusal> {
        Ok(drops::view(&self.read(drops::TABLES).await?))
    }

    /// What is asked for, by name.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn services(&self) -> Result<service::Services, Refusal> {
        let snapshot = self.snapshot()?;
        let services = snapshot.load_balancers.iter().map(|lb| self.intent(lb)).collect();
        Ok(service::Services { services })
    }

    /// A service as the card has it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn service(&self, name: &ObjectName) -> Result<service::Service, Refusal> {
        let intent = self.intent_of(name)?;
        Ok(service::view(&self.read(service::TABLES).await?, intent))
    }

    /// Reads the card when it is this request's turn.
    async fn on_card<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Card) -> Result<T, DeviceError> + Send + 'static,
    ) -> Result<T, LinkError> {
        // The semaphore is never closed.
        let _turn = self.turn.acquire().await.ok();
        self.device.run(work).await
    }

    /// Whether the node has a VRF that the card has no routes of.
    fn check_vrf(&self, vrf: u16) -> Result<(), Refusal> {
        let snapshot = self.knowledge.snapshot.borrow();
        let Some(node) = snapshot.as_ref().map(|snapshot| &snapshot.node) else {
            let why =
                format!("the card has no route in VRF {vrf}, and the sources were not read yet");
            return Err(Refusal::NotReady(why));
        };
        if node.vrfs.iter().any(|known| known.id.0 == vrf) {
            return Ok(());
        }
        let known: Vec<String> = node.vrfs.iter().map(|known| known.id.0.to_string()).collect();
        Err(absent(format!("there is no VRF {vrf} here; there are: {}", known.join(", "))))
    }

    /// What the sources and the compiler noted about a load balancer.
    fn notes(&self, name: &ObjectName) -> Vec<String> {
        let about = format!("{name}: ");
        let text = |note: &String| {
            let note = note.strip_prefix("Service ").unwrap_or(note);
            note.strip_prefix(&about).map(str::to_owned)
        };
        self.knowledge.reconcile.borrow().notes.iter().filter_map(text).collect()
    }

    async fn read(&self, tables: &'static [TableId]) -> Result<CardState, LinkError> {
        let mut state = self.on_card(move |card| read_tables(card, tables)).await?;
        if let Some(snapshot) = &*self.knowledge.snapshot.borrow() {
            state.vif_names = snapshot
                .node
                .vifs
                .iter()
                .map(|vif| (u32::from(vif.id.0), vif.name.clone()))
                .collect();
        }
        Ok(state)
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, Refusal> {
        let snapshot = self.knowledge.snapshot.borrow().clone();
        snapshot.ok_or_else(|| Refusal::NotReady("the sources were not read yet".to_owned()))
    }

    fn intent_of(&self, name: &ObjectName) -> Result<service::Intent, Refusal> {
        let snapshot = self.snapshot()?;
        let all = &snapshot.load_balancers;
        if let Some(lb) = all.iter().find(|lb| lb.name == *name) {
            return Ok(self.intent(lb));
        }
        let notes = self.notes(name);
        if !notes.is_empty() {
            let why = format!("service {name} is not on the card: {}", notes.join("; "));
            return Err(absent(why));
        }
        let known: Vec<String> = all.iter().take(10).map(|lb| lb.name.to_string()).collect();
        let known = known.join(", ");
        Err(absent(format!("no service {name} is known here; there are: {known}")))
    }

    fn intent(&self, lb: &LoadBalancer) -> service::Intent {
        let ports = lb.listeners.iter().map(|listener| {
            let members: Vec<String> =
                listener.pool.members.iter().map(|m| format!("{}:{}", m.address, m.port)).collect();
            let members = if members.is_empty() { "nobody".to_owned() } else { members.join(", ") };
            format!("{}/{} -> {members}", listener.port, listener.protocol)
        });
        let members = lb.listeners.iter().flat_map(|listener| &listener.pool.members);
        let endpoints: BTreeSet<Ipv4Addr> = members.map(|member| member.address).collect();
        let notes = self.notes(&lb.name);
        let floating_ips: Vec<Ipv4Addr> = lb.floating_ips.iter().map(|fip| fip.address).collect();
        let denied = floating_ips.iter().filter_map(|&address| {
            let note = notes.iter().find(|note| penstock_compile::denies(note, address))?;
            Some((address, note.clone()))
        });
        service::Intent {
            name: lb.name.to_string(),
            denied: denied.collect(),
            floating_ips,
            ports: ports.collect(),
            endpoints: endpoints.len(),
            notes,
        }
    }

    /// How the daemon and its card are.
    pub async fn status(&self) -> Status {
        // Registers and a few counters: not worth a turn of its own.
        let card = self.device.run(read_status).await.ok();
        let mut reconcile = self.knowledge.reconcile.borrow().clone();
        let (state, error) = match &*self.device.state().borrow() {
            LinkState::Attached(_) => (DeviceState::Attached, None),
            LinkState::Lost(why) => (DeviceState::Lost, Some(why.clone())),
        };
        // The loop may not have noticed yet what the link knows already.
        if state == DeviceState::Lost && reconcile.state != ReconcileState::Failing {
            reconcile.state = ReconcileState::WaitingForDevice;
        }
        let (card, flow_table) = card.filter(|_| state == DeviceState::Attached).unzip();
        let snapshot = self.knowledge.snapshot.borrow().clone();
        let neighbours = self.knowledge.neighbours.borrow().clone().unwrap_or_default();
        let remotes: Vec<Ipv4Addr> = snapshot
            .iter()
            .flat_map(|s| s.node.remotes.iter().map(|remote| remote.address))
            .collect();
        Status {
            node: snapshot.map_or_else(|| self.knowledge.node.clone(), |s| s.node.name.clone()),
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
            device: DeviceStatus {
                spec: self.knowledge.spec.clone(),
                state,
                error,
                card,
                flow_table,
            },
            reconcile,
            sources: self.knowledge.sources.borrow().clone(),
            pending_neighbours: remotes
                .into_iter()
                .filter(|ip| !neighbours.contains_key(ip))
                .collect(),
            neighbours: neighbours.iter().map(|(ip, mac)| (*ip, mac.to_string())).collect(),
        }
    }
}

fn read_tables(card: &mut Card, tables: &[TableId]) -> Result<CardState, DeviceError> {
    let mut state = CardState::default();
    for &table in tables {
        state.tables.load_all(table, &card.dump(table)?);
    }
    Ok(state)
}

fn read_flows(card: &mut Card) -> Result<CardState, DeviceError> {
    let others: Vec<TableId> =
        flow::TABLES.iter().copied().filter(|table| *table != TableId::FlowStats).collect();
    let mut state = read_tables(card, &others)?;
    let indices: Vec<u32> = state.tables.of::<Flow>().indices().collect();
    insert_stats(card, &mut state, &indices)?;
    Ok(state)
}

fn read_flow(card: &mut Card, index: u32) -> Result<CardState, DeviceError> {
    let mut state = read_tables(card, &[TableId::FipMap])?;
    let flow: Flow = card.read(TableId::Flow, index)?;
    state.tables.put(index, flow);
    let partner = flow.partner_valid.then_some(u32::from(flow.partner));
    let indices: Vec<u32> = partner.into_iter().chain([index]).collect();
    insert_stats(card, &mut state, &indices)?;
    Ok(state)
}

fn insert_stats(
    card: &mut Card,
    state: &mut CardState,
    indices: &[u32],
) -> Result<(), DeviceError> {
    for (&index, words) in indices.iter().zip(&card.read_many(TableId::FlowStats, indices)?) {
        state.tables.load(TableId::FlowStats, index, words);
    }
    Ok(())
}

fn read_status(card: &mut Card) -> Result<(registers::CardStatus, flow::FlowFill), DeviceError> {
    let registers = registers::card_status(|offset| card.read_reg(offset))?;
    Ok((registers, flow::fill(&read_tables(card, flow::FILL_TABLES)?)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_device::fake::FakeCard;

    use super::*;
    use crate::keep::ServiceManager;

    #[tokio::test]
    async fn a_card_that_is_lost_is_not_in_sync() {
        let fake = FakeCard::new();
        let opened = fake.clone();
        let nobody = ServiceManager::new(String::new(), Vec::new());
        let device =
            Device::start(Arc::new(move || Ok(opened.transport())), Arc::new(nobody)).unwrap();
        device.attach().await.unwrap();
        // A loop that has not noticed anything.
        let in_sync = ReconcileStatus { state: ReconcileState::InSync, ..Default::default() };
        let (_loop, reconcile) = watch::channel(in_sync);
        // A source that goes on reading well.
        let files = SourceStatus { name: "files".to_owned(), read: true, errors: Vec::new() };
        let knowledge = Knowledge {
            spec: "fake".to_owned(),
            node: String::new(),
            snapshot: watch::channel(None).1,
            sources: watch::channel(vec![files]).1,
            reconcile,
            neighbours: watch::channel(None).1,
        };
        let answers = Answers::new(device, knowledge);
        let status = answers.status().await;
        assert_eq!(
            (status.device.state, status.reconcile.state),
            (DeviceState::Attached, ReconcileState::InSync)
        );
        assert!(status.device.card.is_some() && status.device.flow_table.is_some());
        fake.kill();
        let status = answers.status().await;
        assert_eq!(
            (status.device.state, status.reconcile.state),
            (DeviceState::Lost, ReconcileState::WaitingForDevice)
        );
        assert!(status.device.error.is_some() && status.device.card.is_none());
        assert!(!status.to_string().contains("in sync"), "{status}");
    }
}
