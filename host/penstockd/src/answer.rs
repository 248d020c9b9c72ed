//! Answers to requests: the live card read through its ring and shown by `penstock-views`, and the daemon's own state.

use std::net::Ipv4Addr;
use std::sync::Arc;

use penstock_abi::table::{Flow, TableEntry, TableId};
use penstock_device::{Card, DeviceError};
use penstock_model::{ObjectName, Snapshot};
use penstock_views::api::{CardStatus, DeviceStatus, Op, ReconcileStatus, SourceStatus, Status};
use penstock_views::{
    CardState, drops, flow, flow_filter, mpls, next_hop, registers, route, service, vif,
};
use serde_json::Value;
use tokio::sync::watch;

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
}

impl Answers {
    /// Answers from this card and this knowledge.
    #[must_use]
    pub fn new(device: Device, knowledge: Knowledge) -> Self {
        Self { device, knowledge }
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
                let state = self.device.run(read_flows).await.map_err(text)?;
                json(&flow::view(&state, filter.as_ref()))
            }
            Op::Flow { index } => {
                let state =
                    self.device.run(move |card| read_flow(card, index)).await.map_err(text)?;
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
                json(&route::view(&self.read(route::TABLES).await.map_err(text)?, vrf))
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

    async fn read(&self, tables: &'static [TableId]) -> Result<CardState, LinkError> {
        let mut state = self.device.run(move |card| read_tables(card, tables)).await?;
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
        Ok(service::Intent {
            name: name.to_string(),
            floating_ips: lb.floating_ips.iter().map(|fip| fip.address).collect(),
            ports: ports.collect(),
        })
    }

    async fn status(&self) -> Status {
        let card = self.device.run(read_registers).await;
        let (state, error) = match &*self.device.state().borrow() {
            LinkState::Attached(_) => ("attached", None),
            LinkState::Lost(why) => ("lost", Some(why.clone())),
        };
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
                state: state.to_owned(),
                error,
                card: card.ok(),
            },
            reconcile: self.knowledge.reconcile.borrow().clone(),
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
        state.insert_all(table, &card.dump(table)?);
    }
    Ok(state)
}

fn read_flows(card: &mut Card) -> Result<CardState, DeviceError> {
    let others: Vec<TableId> =
        flow::TABLES.iter().copied().filter(|table| *table != TableId::FlowStats).collect();
    let mut state = read_tables(card, &others)?;
    let indices: Vec<u32> = state.flows.keys().copied().collect();
    insert_stats(card, &mut state, &indices)?;
    Ok(state)
}

fn read_flow(card: &mut Card, index: u32) -> Result<CardState, DeviceError> {
    let mut state = read_tables(card, &[TableId::FipMap])?;
    let flow: Flow = card.read(TableId::Flow, index)?;
    state.insert(TableId::Flow, index, &flow.pack());
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
        state.insert(TableId::FlowStats, index, words);
    }
    Ok(())
}

fn read_registers(card: &mut Card) -> Result<CardStatus, DeviceError> {
    registers::card_status(|offset| card.read_reg(offset))
}
