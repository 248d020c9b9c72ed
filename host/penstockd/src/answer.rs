//! Answers to requests: the live card read through its ring and shown by `penstock-views`, and the daemon's own state.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use penstock_abi::table::{Flow, TableId};
use penstock_device::{Card, DeviceError};
use penstock_model::{ObjectName, Snapshot};
use penstock_views::api::{
    CardStatus, DeviceState, DeviceStatus, Op, ReconcileState, ReconcileStatus, SourceStatus,
    Status,
};
use penstock_views::{
    CardState, drops, flow, flow_filter, mpls, next_hop, registers, route, service, vif,
};
use serde_json::Value;
use tokio::sync::{Semaphore, watch};

use crate::device::{Device, LinkError, LinkState, chain};
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

    /// Answers one request.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn answer(&self, op: Op) -> Result<Value, String> {
        let text = |error: LinkError| chain(&error);
        let value = match op {
            Op::Status => json(&self.status().await),
            Op::Flows { filter } => {
                let filter: Option<flow_filter::FlowFilter> = filter
                    .map(|f| f.parse())
                    .transpose()
                    .map_err(|e: flow_filter::FilterError| e.to_string())?;
                let state = self.on_card(read_flows).await.map_err(text)?;
                json(&flow::view(&state, filter.as_ref()))
            }
            Op::Flow { index } => {
                let state = self.on_card(move |card| read_flow(card, index)).await.map_err(text)?;
                json(
                    &flow::get(&state, index)
                        .ok_or_else(|| format!("flow {index} is not in use"))?,
                )
            }
            Op::NextHops => {
                json(&next_hop::list(&self.read(next_hop::TABLES).await.map_err(text)?))
            }
            Op::NextHop { id } => {
                let hops = next_hop::get(&self.read(next_hop::TABLES).await.map_err(text)?, id);
                if hops.next_hops.is_empty() {
                    return Err(format!("next hop {id} is not in use"));
                }
                json(&hops)
            }
            Op::Vifs { index } => {
                let vifs = vif::view(&self.read(vif::TABLES).await.map_err(text)?, index);
                match index {
                    Some(index) if vifs.interfaces.is_empty() => {
                        return Err(format!("vif0/{index} is not in use"));
                    }
                    _ => json(&vifs),
                }
            }
            Op::Routes { vrf } => {
                let routes = route::view(&self.read(route::TABLES).await.map_err(text)?, vrf);
                if routes.routes.is_empty() {
                    self.check_vrf(vrf)?;
                }
                json(&routes)
            }
            Op::Route { vrf, address, prefix_len } => {
                let found = route::lookup(
                    &self.read(route::TABLES).await.map_err(text)?,
                    vrf,
                    address,
                    prefix_len,
                );
                if found.routes.is_empty() {
                    return Err(format!("no route to {address}/{prefix_len} in VRF {vrf}"));
                }
                json(&found)
            }
            Op::Labels { label } => {
                let map = mpls::view(&self.read(mpls::TABLES).await.map_err(text)?, label);
                match label {
                    Some(label) if map.labels.is_empty() => {
                        return Err(format!("label {label} is not in use"));
                    }
                    _ => json(&map),
                }
            }
            Op::DropStats => json(&drops::view(&self.read(drops::TABLES).await.map_err(text)?)),
            Op::Service { namespace, name } => {
                let intent = self.intent(&ObjectName::new(namespace, name))?;
                json(&service::view(&self.read(service::TABLES).await.map_err(text)?, intent))
            }
        };
        value.map_err(|error| format!("the answer cannot be written: {error}"))
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
    fn check_vrf(&self, vrf: u16) -> Result<(), String> {
        let snapshot = self.knowledge.snapshot.borrow();
        let Some(node) = snapshot.as_ref().map(|snapshot| &snapshot.node) else {
            return Err(format!(
                "the card has no route in VRF {vrf}, and the sources were not read yet"
            ));
        };
        if node.vrfs.iter().any(|known| known.id.0 == vrf) {
            return Ok(());
        }
        let known: Vec<String> = node.vrfs.iter().map(|known| known.id.0.to_string()).collect();
        Err(format!("there is no VRF {vrf} here; there are: {}", known.join(", ")))
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

    fn intent(&self, name: &ObjectName) -> Result<service::Intent, String> {
        let snapshot = self.knowledge.snapshot.borrow();
        let snapshot = snapshot.as_ref().ok_or("the sources were not read yet")?;
        let Some(lb) = snapshot.load_balancers.iter().find(|lb| lb.name == *name) else {
            let notes = self.notes(name);
            if !notes.is_empty() {
                return Err(format!("service {name} is not on the card: {}", notes.join("; ")));
            }
            let known: Vec<String> =
                snapshot.load_balancers.iter().take(10).map(|lb| lb.name.to_string()).collect();
            return Err(format!(
                "no service {name} is known here; there are: {}",
                known.join(", ")
            ));
        };
        let ports = lb.listeners.iter().map(|listener| {
            let members: Vec<String> =
                listener.pool.members.iter().map(|m| format!("{}:{}", m.address, m.port)).collect();
            let members = if members.is_empty() { "nobody".to_owned() } else { members.join(", ") };
            format!("{}/{} -> {members}", listener.port, listener.protocol)
        });
        let members = lb.listeners.iter().flat_map(|listener| &listener.pool.members);
        let endpoints: BTreeSet<Ipv4Addr> = members.map(|member| member.address).collect();
        let notes = self.notes(name);
        let floating_ips: Vec<Ipv4Addr> = lb.floating_ips.iter().map(|fip| fip.address).collect();
        let denied = floating_ips.iter().filter_map(|&address| {
            let note = notes.iter().find(|note| penstock_compile::denies(note, address))?;
            Some((address, note.clone()))
        });
        Ok(service::Intent {
            name: name.to_string(),
            denied: denied.collect(),
            floating_ips,
            ports: ports.collect(),
            endpoints: endpoints.len(),
            notes,
        })
    }

    async fn status(&self) -> Status {
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

fn json(value: &impl serde::Serialize) -> serde_json::Result<Value> {
    serde_json::to_value(value)
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

fn read_status(card: &mut Card) -> Result<(CardStatus, flow::FlowFill), DeviceError> {
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
