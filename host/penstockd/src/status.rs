//! The status of the daemon and of one card, and audits, as the API has them.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use penstock_abi::table::{FipMap, TableId};
use penstock_agent::events::Counts;
use penstock_agent::{Audit, Firmware, FlowAudit, FlowFault, LinkState, Reading, State};
use penstock_api::types::{
    self, AuditSummary, AuditedEntry, AuditedTable, Comparison, DeviceState, DeviceStatus,
    EventCounts, ReconcileState, ReconcileStatus, Status, TableFill,
};
use penstock_tables::{CONFIG_TABLES, Tables};
use penstock_views::{CardState, flow, registers};

use crate::answer::{Answers, Card, add_counters};
use crate::health;

/// Notes that a status holds; the rest is counted.
const NOTES_MAX: usize = 200;

/// How the daemon and this card are.
pub(crate) async fn status(answers: &Answers, card: &Card) -> Status {
    let reading = card.agent.reading().await;
    let mut device = device(card, reading.as_deref());
    let mut reconcile = reconcile(&card.agent.status().borrow());
    // The loop may not have noticed yet what the link knows already.
    if device.state == DeviceState::Lost && reconcile.state != ReconcileState::Failing {
        reconcile.state = ReconcileState::WaitingForDevice;
    }
    if let Ok(tables) = card.agent.tables() {
        device.tables = fill(&tables);
    }
    let shared = &answers.shared;
    let known = shared.neighbours.borrow().clone().unwrap_or_default();
    let wanted = shared.wanted.borrow().clone().unwrap_or_default();
    let mut sources = health::statuses(&card.sources.borrow());
    sources.extend(shared.inputs.borrow().iter().cloned());
    let node = card.intent.borrow().node.clone();
    Status {
        card: card.agent.name().to_owned(),
        cards: answers.names(),
        node: node.map(|node| node.name.clone()).unwrap_or_default(),
        daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        device,
        reconcile,
        sources,
        pending_neighbours: wanted
            .into_iter()
            .map(IpAddr::V4)
            .filter(|node| !known.contains_key(node))
            .collect(),
        neighbours: known.iter().map(|(node, mac)| (*node, mac.to_string())).collect(),
    }
}

fn device(card: &Card, reading: Option<&Reading>) -> DeviceStatus {
    let spec = card.agent.spec().to_owned();
    if let LinkState::Lost(why) = card.agent.link() {
        let error = Some(why);
        let events = events(card);
        return DeviceStatus { spec, error, events, ..DeviceStatus::default() };
    }
    let flow_table = reading.map(|reading| {
        let tables = Tables::new(reading.counters.shape());
        let mut state = CardState { tables, ..CardState::default() };
        add_counters(&mut state.tables, reading);
        flow::fill(&state, reading.flow_pressure_above())
    });
    DeviceStatus {
        spec,
        state: DeviceState::Attached,
        error: None,
        card: reading.and_then(card_status),
        flow_table,
        age_ms: reading.map(|reading| reading.taken.elapsed().as_millis() as u64),
        tables: Vec::new(),
        events: events(card),
    }
}

fn events(card: &Card) -> EventCounts {
    let Counts { taken, lost, pressure, table_full, firmware, followers } =
        card.agent.event_counts();
    EventCounts { taken, lost, pressure, table_full, firmware, followers }
}

fn card_status(reading: &Reading) -> Option<registers::CardStatus> {
    let read = |offset| reading.register(offset).ok_or(());
    let mut status = registers::card_status(read).ok()?;
    if reading.firmware == Firmware::Silent {
        status.firmware = penstock_views::firmware::Firmware::Silent;
    }
    Some(status)
}

fn fill(tables: &Tables) -> Vec<TableFill> {
    let of = |table| {
        let usage = tables.usage(table);
        let used = match table {
            // The others remember generations, and give way.
            TableId::FipMap => {
                tables.of::<FipMap>().values().filter(|map| map.valid).count() as u32
            }
            _ => usage.used,
        };
        TableFill { table: format!("{table:?}"), used, capacity: usage.capacity }
    };
    // The lengths of prefixes and what each may have of the flow table are settings.
    let is_setting = |table: TableId| matches!(table, TableId::PrefixLength | TableId::FlowShare);
    let tables = CONFIG_TABLES.iter().filter(|table| !is_setting(**table));
    tables.map(|&table| of(table)).collect()
}

fn reconcile(status: &penstock_agent::Status) -> ReconcileStatus {
    let mut texts = health::texts(&status.findings, |_| true);
    let notes: Vec<String> = texts.by_ref().take(NOTES_MAX).collect();
    ReconcileStatus {
        state: match status.state {
            State::WaitingForDevice => ReconcileState::WaitingForDevice,
            State::WaitingForSources => ReconcileState::WaitingForSources,
            State::InSync => ReconcileState::InSync,
            State::Failing => ReconcileState::Failing,
        },
        completed: status.completed,
        empty: status.empty,
        last_operations: status.last.operations as u64,
        last_ms: status.last.took.as_millis() as u64,
        last_phases: status.last.phases as u64,
        last_error: status.last_error.clone(),
        refused: status.refused as u64,
        notes,
        more_notes: texts.count() as u64,
        last_audit: status.audit.as_deref().map(|audit| AuditSummary {
            at: seconds(audit.at),
            differing: audit.tables.iter().map(|table| table.differing as u64).sum(),
            operations: (audit.repairs + audit.left_out) as u64,
        }),
    }
}

/// An audit as the API has it.
pub(crate) fn audit(audit: &Audit, flows: &FlowAudit) -> types::Audit {
    let table = |table: &penstock_agent::TableAudit| AuditedTable {
        table: format!("{:?}", table.table),
        entries: table.entries as u64,
        by: if table.read_back { Comparison::ReadBack } else { Comparison::Digest },
        differing: table.differing as u64,
        differences: table.odd.iter().map(odd).chain(table.differences.iter().map(entry)).collect(),
    };
    types::Audit {
        clean: audit.is_clean() && flows.is_clean(),
        at: seconds(audit.at),
        ms: audit.took.as_millis() as u64,
        tables: audit.tables.iter().map(table).collect(),
        operations: audit.repairs as u64,
        left_out: audit.left_out as u64,
        not_mended: !audit.mended,
        flows: types::AuditedFlows {
            entries: flows.entries as u64,
            in_use: flows.in_use,
            defects: flows.defects.iter().map(flow_defect).collect(),
            stale: flows.stale as u64,
            ended: flows.ended as u64,
        },
    }
}

fn flow_defect(defect: &penstock_agent::FlowDefect) -> types::FlowDefect {
    types::FlowDefect {
        index: defect.index,
        entry: format!("{:?}", defect.flow),
        fault: match defect.fault {
            FlowFault::Lone => types::FlowFault::Lone,
            FlowFault::Twice => types::FlowFault::Twice,
            FlowFault::Crossed => types::FlowFault::Crossed,
        },
    }
}

fn entry(difference: &penstock_tables::Difference) -> AuditedEntry {
    let text = |entry: Option<penstock_tables::Entry>| entry.map(|entry| format!("{entry:?}"));
    AuditedEntry {
        index: difference.index,
        ours: text(difference.ours),
        theirs: text(difference.theirs),
    }
}

fn odd((index, entry): &(u32, penstock_tables::Entry)) -> AuditedEntry {
    let ours = (!entry.is_clear()).then(|| format!("{entry:?}"));
    AuditedEntry { index: *index, ours, theirs: Some("wrong parity".to_owned()) }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
