//! Answers about one card: what it holds, shown by `penstock-views`, and what is known of it. How they are asked for and written
//! is [`crate::routes`]' matter.
//!
//! They come from memory: configuration tables as the card has confirmed them, counters as the observer read them last. Only
//! flows are read from the card, which alone knows them, in pieces between the agent's own operations.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use penstock_abi::regs;
use penstock_abi::table::TableId;
use penstock_agent::{Audit, AuditError, FlowAudit, Handle, LinkError, Reading};
use penstock_api::paths::{FlowQuery, LookupQuery};
use penstock_api::types::SourceStatus;
use penstock_attachments::{Attachments, StoreError};
use penstock_model::{Intent, Neighbours, ObjectName};
use penstock_tables::{Entry, Tables};
use penstock_views::{
    CardState, drops, flow, flow_filter, mpls, next_hop, route, service, trace, tunnel, vif,
};
use tokio::sync::watch;

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
    /// There is an answer, and no way to write it down: a defect.
    #[error("the answer cannot be written: {0}")]
    Unwritten(String),
    /// It cannot be audited.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// There is none left of what it asks for.
    #[error("{0}")]
    Exhausted(String),
    /// The disk does not take it.
    #[error("it cannot be kept")]
    Unkept(#[source] StoreError),
}

pub(crate) fn absent(why: String) -> Refusal {
    Refusal::Absent(why)
}

fn no_flow(index: u32) -> Refusal {
    absent(format!("flow {index} is not in use"))
}

/// What is known of one card.
#[derive(Clone)]
pub struct Card {
    /// Its agent.
    pub agent: Handle,
    /// What it is to do.
    pub intent: watch::Receiver<Arc<Intent>>,
    /// The sources of that.
    pub sources: watch::Receiver<Arc<[penstock_sources::SourceStatus]>>,
    /// Pods that a CNI plugin has registered; none if the daemon keeps none.
    pub attachments: Option<Attachments>,
}

/// What all cards share.
#[derive(Clone)]
pub struct Shared {
    /// Inputs besides the sources.
    pub inputs: watch::Receiver<Vec<SourceStatus>>,
    /// Nodes whose MAC address is needed.
    pub wanted: watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    /// MAC addresses of nodes; none while the kernel was not asked yet.
    pub neighbours: watch::Receiver<Option<Neighbours>>,
}

/// Answers requests; clones share what they know.
#[derive(Clone)]
pub struct Answers {
    cards: Arc<[Card]>,
    pub(crate) shared: Shared,
}

impl Answers {
    /// Answers about these cards, of which there is one at least.
    #[must_use]
    pub fn new(cards: Vec<Card>, shared: Shared) -> Self {
        Self { cards: cards.into(), shared }
    }

    /// Names of all cards.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.cards.iter().map(|card| card.agent.name().to_owned()).collect()
    }

    /// The card with this name; without one, the only one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn card(&self, name: Option<&str>) -> Result<&Card, Refusal> {
        let known = || self.names().join(", ");
        match (name, &self.cards[..]) {
            (None, [only]) => Ok(only),
            (None, _) => {
                Err(Refusal::Misread(format!("say which card is meant; there are: {}", known())))
            }
            (Some(name), cards) => {
                cards.iter().find(|card| card.agent.name() == name).ok_or_else(|| {
                    absent(format!("there is no card {name} here; there are: {}", known()))
                })
            }
        }
    }
}

impl Card {
    /// The flows that a filter lists, a [`flow::FlowTable`] as JSON. There may be a whole table of them: whoever asks waits for those who asked
    /// before to have theirs written, and a thread of its own does that.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn flows(&self, query: &FlowQuery) -> Result<Vec<u8>, Refusal> {
        let filter: Option<flow_filter::FlowFilter> = query
            .filter
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: flow_filter::FilterError| Refusal::Misread(error.to_string()))?;
        let mut state = self.counted().await?;
        let flows = self.agent.flows().await?;
        let written = tokio::task::spawn_blocking(move || {
            add_flows(&mut state.tables, &flows.tables);
            let body = serde_json::to_vec(&flow::view(&state, filter.as_ref()));
            // Only now is it the next one's turn.
            drop(flows);
            body
        });
        match written.await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => Err(Refusal::Unwritten(error.to_string())),
            Err(error) => Err(Refusal::Unwritten(error.to_string())),
        }
    }

    /// One flow.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn flow(&self, index: u32) -> Result<flow::FlowEntry, Refusal> {
        let mut state = self.state_with_flow(index)?;
        add_flows(&mut state.tables, &self.agent.flow(index).await?);
        flow::get(&state, index).ok_or_else(|| no_flow(index))
    }

    /// Ends the connection of which an entry stands at `index`, both its entries, and says what stood there.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn end_flow(&self, index: u32) -> Result<flow::FlowEntry, Refusal> {
        let mut state = self.state_with_flow(index)?;
        let ended = self.agent.delete_flow(index).await?;
        let (flow, stats) = ended.ok_or_else(|| no_flow(index))?;
        state.tables.set(index, Entry::Flow(flow));
        state.tables.set(index, Entry::FlowStats(stats));
        flow::get(&state, index).ok_or_else(|| no_flow(index))
    }

    /// What the card's configuration tables hold, for a flow that stands at an index.
    fn state_with_flow(&self, index: u32) -> Result<CardState, Refusal> {
        let state = self.state()?;
        if index < state.tables.shape().capacity(TableId::Flow) {
            return Ok(state);
        }
        Err(no_flow(index))
    }

    /// All next hops.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn next_hops(&self) -> Result<next_hop::Hops, Refusal> {
        Ok(next_hop::list(&self.state()?))
    }

    /// One next hop and its members.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn next_hop(&self, id: u32) -> Result<next_hop::Hops, Refusal> {
        let hops = next_hop::get(&self.state()?, id);
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
        let vifs = vif::view(&self.counted().await?, only);
        match only {
            Some(id) if vifs.interfaces.is_empty() => {
                Err(absent(format!("vif0/{id} is not in use")))
            }
            _ => Ok(vifs),
        }
    }

    /// All tunnels by which packets come.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn tunnels(&self) -> Result<tunnel::Tunnels, Refusal> {
        Ok(tunnel::view(&self.counted().await?))
    }

    /// All routes of a VRF.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn routes(&self, vrf: u16) -> Result<route::Routes, Refusal> {
        let routes = route::view(&self.state()?, vrf);
        if routes.routes.is_empty() {
            self.check_vrf(vrf)?;
        }
        Ok(routes)
    }

    /// The route that a destination takes.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn lookup(&self, vrf: u16, query: &LookupQuery) -> Result<route::Routes, Refusal> {
        let LookupQuery { address, prefix_len, .. } = *query;
        if prefix_len > 32 {
            let why = format!("{address}/{prefix_len} is no IPv4 prefix");
            return Err(Refusal::Misread(why));
        }
        let found = route::lookup(&self.state()?, vrf, address, prefix_len);
        if found.routes.is_empty() {
            return Err(absent(format!("no route to {address}/{prefix_len} in VRF {vrf}")));
        }
        Ok(found)
    }

    /// All labels, or one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn labels(&self, only: Option<u32>) -> Result<mpls::LabelMap, Refusal> {
        let map = mpls::view(&self.state()?, only);
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
        Ok(drops::view(&self.counted().await?))
    }

    /// What the card's firmware did last, and what it died of.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn firmware_trace(&self) -> Result<trace::Trace, Refusal> {
        let entries = self.agent.firmware_trace().await?;
        let death = self.agent.firmware_death().await?;
        let reading = self.agent.reading().await;
        let register = |offset| reading.as_ref().and_then(|r| r.register(offset)).unwrap_or(0);
        let state = [regs::FW_STATUS, regs::FW_INFO, regs::FW_BOOT].map(register);
        let count = entries.last().map_or(0, |entry| entry.number.wrapping_add(1));
        let clock_khz = register(regs::CLOCK_KHZ);
        Ok(trace::Trace::new(state.into(), death.as_ref(), clock_khz, count, &entries))
    }

    /// What is asked for, by name.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn services(&self) -> Result<service::Services, Refusal> {
        let intent = self.intent()?;
        let findings = self.agent.status().borrow().findings.clone();
        let services =
            intent.balancers.values().map(|lb| crate::service::intent(lb, &findings)).collect();
        Ok(service::Services { services })
    }

    /// A service as the card has it: what is asked for, what was found about that, and what the card holds.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn service(&self, name: &ObjectName) -> Result<service::Service, Refusal> {
        let findings = self.agent.status().borrow().findings.clone();
        let intent = crate::service::find(&*self.intent()?, name, &findings).map_err(absent)?;
        Ok(service::view(&self.state()?, intent))
    }

    /// Compares the card with what it should hold, and mends it; then looks at its flows, and ends those that are wrong if it is to `fix` them.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn audit(&self, fix: bool) -> Result<(Arc<Audit>, FlowAudit), Refusal> {
        let audit = self.agent.audit().await?;
        Ok((audit, self.agent.audit_flows(fix).await?))
    }

    /// The intent, once there is something to go by.
    pub(crate) fn intent(&self) -> Result<Arc<Intent>, Refusal> {
        let intent = Arc::clone(&self.intent.borrow());
        if intent.complete && intent.node.is_some() {
            return Ok(intent);
        }
        Err(Refusal::NotReady("the sources were not read yet".to_owned()))
    }

    /// Whether the node has a VRF that the card has no routes of.
    pub(crate) fn check_vrf(&self, vrf: u16) -> Result<(), Refusal> {
        let intent = self.intent()?;
        if intent.vrfs.keys().any(|known| known.0 == vrf) {
            return Ok(());
        }
        let known: Vec<String> = intent.vrfs.keys().map(ToString::to_string).collect();
        Err(absent(format!("there is no VRF {vrf} here; there are: {}", known.join(", "))))
    }

    /// What the card's configuration tables hold.
    pub(crate) fn state(&self) -> Result<CardState, Refusal> {
        // Copies share all entries.
        let tables = Tables::clone(&*self.agent.tables()?);
        let vifs = self.intent.borrow().vifs.clone();
        let names = vifs.values().map(|vif| (u32::from(vif.id.0), vif.name.clone()));
        Ok(CardState { tables, vif_names: names.collect() })
    }

    /// The same, with what counts.
    async fn counted(&self) -> Result<CardState, Refusal> {
        let reading = self.agent.reading().await;
        let mut state = self.state()?;
        let reading = reading
            .ok_or_else(|| Refusal::NotReady("the card's counters were not read yet".to_owned()))?;
        add_counters(&mut state.tables, &reading);
        Ok(state)
    }
}

/// Adds what counts.
pub(crate) fn add_counters(tables: &mut Tables, reading: &Reading) {
    for table in
        [TableId::VifStats, TableId::FlowShareStats, TableId::DropStats, TableId::CardStats]
    {
        add(tables, &reading.counters, table);
    }
}

fn add_flows(tables: &mut Tables, flows: &Tables) {
    for table in [TableId::Flow, TableId::FlowStats] {
        add(tables, flows, table);
    }
}

fn add(tables: &mut Tables, from: &Tables, table: TableId) {
    from.entries(table, ..).for_each(|(index, entry)| tables.set(index, entry));
}
