//! What happened between two samples, as rates, in the order in which it is worth looking at.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use penstock_api::types::Status;
use penstock_views::drops::{DropStats, NamedCount};
use penstock_views::flow::{FlowEntry, FlowTable};
use penstock_views::service::Services;
use penstock_views::vif::Interfaces;
use serde::Serialize;

/// What the daemon said at a time.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// When.
    pub at: Instant,
    /// Of the card.
    pub status: Status,
    /// Of interfaces.
    pub interfaces: Interfaces,
    /// Of drops and other counters.
    pub drops: DropStats,
    /// Of flows, if they were asked for, and the services that they may be of.
    pub flows: Option<(FlowTable, Services)>,
}

/// Packets and bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Rate {
    /// Packets a second.
    pub packets: f64,
    /// Bits a second, of frames without FCS.
    pub bits: f64,
}

impl Rate {
    fn of(seconds: f64, packets: u64, bytes: u64) -> Self {
        Self { packets: packets as f64 / seconds, bits: bytes as f64 * 8.0 / seconds }
    }

    fn and(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bits: self.bits + other.bits }
    }
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct InterfaceRate {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// From it.
    pub received: Rate,
    /// To it.
    pub sent: Rate,
    /// Drops a second of what came from it.
    pub drops: f64,
    /// Connections that it has of the flow table; none of a card that does not count them.
    pub connections: Option<u32>,
}

/// Connections of one listener of a service, both directions together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ServiceRate {
    /// `NAMESPACE/NAME`; none if no service that is known has the address.
    pub name: Option<String>,
    /// Floating IP.
    pub address: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Connections at this node.
    pub connections: u32,
    /// What passes.
    pub rate: Rate,
}

/// One direction of a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct FlowRate {
    /// Index of its entry.
    pub index: u32,
    /// IP protocol.
    pub protocol: u8,
    /// Source address and port.
    pub source: (Ipv4Addr, u16),
    /// Destination address and port, as packets arrive.
    pub destination: (Ipv4Addr, u16),
    /// The service's address and port, if it is a connection of one.
    pub service: Option<(Ipv4Addr, u16)>,
    /// What passes.
    pub rate: Rate,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CountRate {
    /// Its name.
    pub label: String,
    /// A second.
    pub per_second: f64,
    /// Since the card was cleared.
    pub total: u64,
}

/// What is going on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Top {
    /// Seconds between the two samples.
    pub seconds: f64,
    /// Name of the node.
    pub node: String,
    /// Where the card is, or what is wrong with it.
    pub card: String,
    /// Entries of the flow table in use; a connection takes two.
    pub entries: u64,
    /// Entries that it can hold.
    pub capacity: u32,
    /// The pressure on it, 0 to 3.
    pub pressure: u8,
    /// Connections that were made, a second.
    pub made: f64,
    /// Connections that went because they were old, or gave way, a second.
    pub ended: f64,
    /// Interfaces, the busiest first.
    pub interfaces: Vec<InterfaceRate>,
    /// Listeners of services, the busiest first; none if flows were not read.
    pub services: Option<Vec<ServiceRate>>,
    /// Directions of connections, the busiest first; none if flows were not read.
    pub flows: Option<Vec<FlowRate>>,
    /// Drops, the most frequent first, then by their number so far; those that never occurred are left out.
    pub drops: Vec<CountRate>,
}

/// What happened from one sample to a later one. A counter that went back was cleared meanwhile, and counts from 0.
pub(super) fn between(before: &Sample, now: &Sample) -> Top {
    let seconds = now.at.duration_since(before.at).as_secs_f64().max(f64::EPSILON);
    let fill = now.status.device.flow_table.clone().unwrap_or_default();
    let counted = |sample: &Sample, name: &str| {
        let found = sample.drops.counters.iter().find(|named| named.reason == name);
        found.map_or(0, |named| named.count)
    };
    let per_second = |name: &str| grown(counted(before, name), counted(now, name)) as f64 / seconds;
    let device = &now.status.device;
    let (services, flows) = flows(before, now, seconds).unzip();
    Top {
        seconds,
        node: now.status.node.clone(),
        card: device.error.clone().unwrap_or_else(|| device.spec.clone()),
        entries: fill.in_use,
        capacity: fill.capacity,
        pressure: fill.pressure.unwrap_or(0),
        made: per_second("FlowsLearned"),
        ended: per_second("FlowsAged") + per_second("FlowsEvicted"),
        interfaces: interfaces(&before.interfaces, &now.interfaces, seconds),
        services,
        flows,
        drops: drops(&before.drops, &now.drops, seconds),
    }
}

fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn interfaces(before: &Interfaces, now: &Interfaces, seconds: f64) -> Vec<InterfaceRate> {
    let old: HashMap<u32, _> = before.interfaces.iter().map(|vif| (vif.index, vif)).collect();
    let mut rates: Vec<InterfaceRate> = now
        .interfaces
        .iter()
        .map(|vif| {
            let old = old.get(&vif.index);
            let grown = |now: u64, before: Option<u64>| grown(before.unwrap_or(now), now);
            let rate = |packets, bytes| Rate::of(seconds, packets, bytes);
            InterfaceRate {
                index: vif.index,
                name: vif.name.clone(),
                received: rate(
                    grown(vif.rx_packets, old.map(|old| old.rx_packets)),
                    grown(vif.rx_bytes, old.map(|old| old.rx_bytes)),
                ),
                sent: rate(
                    grown(vif.tx_packets, old.map(|old| old.tx_packets)),
                    grown(vif.tx_bytes, old.map(|old| old.tx_bytes)),
                ),
                drops: grown(vif.drops, old.map(|old| old.drops)) as f64 / seconds,
                connections: vif.flows.map(|share| share.pairs),
            }
        })
        .collect();
    let busy = |vif: &InterfaceRate| vif.received.bits + vif.sent.bits;
    rates.sort_by(|a, b| busy(b).total_cmp(&busy(a)).then(a.index.cmp(&b.index)));
    rates
}

/// Names a direction of a connection, as long as it is the same.
type Name = (u32, bool, u8);

fn flows(before: &Sample, now: &Sample, seconds: f64) -> Option<(Vec<ServiceRate>, Vec<FlowRate>)> {
    let name = |flow: &FlowEntry| -> Name { (flow.pair, flow.reverse, flow.generation) };
    let (table, services) = now.flows.as_ref()?;
    let old: HashMap<Name, &FlowEntry> = before
        .flows
        .iter()
        .flat_map(|(table, _)| &table.flows)
        .map(|flow| (name(flow), flow))
        .collect();
    let names: HashMap<IpAddr, &String> = services
        .services
        .iter()
        .flat_map(|service| service.floating_ips.iter().map(move |ip| (*ip, &service.name)))
        .collect();
    let mut listeners: HashMap<(Ipv4Addr, u16, u8), (u32, Rate)> = HashMap::new();
    let mut rates = Vec::with_capacity(table.flows.len());
    for flow in &table.flows {
        // One that was not there has begun since.
        let (packets, bytes) = old.get(&name(flow)).map_or((0, 0), |old| (old.packets, old.bytes));
        let rate = Rate::of(seconds, grown(packets, flow.packets), grown(bytes, flow.bytes));
        // Only a backend's node translates; a client's sees the floating IP as the far end.
        let far = if flow.reverse {
            (flow.source, flow.source_port)
        } else {
            (flow.destination, flow.destination_port)
        };
        let mapped = flow.mapping.as_ref().and_then(|mapping| mapping.floating);
        let service = mapped.or(Some(far).filter(|(ip, _)| names.contains_key(&IpAddr::V4(*ip))));
        if let Some((address, port)) = service {
            let (connections, sum) = listeners.entry((address, port, flow.protocol)).or_default();
            *connections += u32::from(!flow.reverse);
            *sum = sum.and(rate);
        }
        rates.push(FlowRate {
            index: flow.index,
            protocol: flow.protocol,
            source: (flow.source, flow.source_port),
            destination: (flow.destination, flow.destination_port),
            service,
            rate,
        });
    }
    let mut listeners: Vec<ServiceRate> = listeners
        .into_iter()
        .map(|((address, port, protocol), (connections, rate))| ServiceRate {
            name: names.get(&IpAddr::V4(address)).map(ToString::to_string),
            address,
            port,
            protocol,
            connections,
            rate,
        })
        .collect();
    let busier = |a: &Rate, b: &Rate| b.bits.total_cmp(&a.bits);
    listeners.sort_by(|a, b| {
        let place = |rate: &ServiceRate| (rate.address, rate.port, rate.protocol);
        busier(&a.rate, &b.rate).then(place(a).cmp(&place(b)))
    });
    rates.sort_by(|a, b| busier(&a.rate, &b.rate).then(a.index.cmp(&b.index)));
    Some((listeners, rates))
}

fn drops(before: &DropStats, now: &DropStats, seconds: f64) -> Vec<CountRate> {
    let old: HashMap<&str, u64> =
        before.drops.iter().map(|named| (named.reason.as_str(), named.count)).collect();
    let rate = |named: &NamedCount| {
        let before = old.get(named.reason.as_str()).copied().unwrap_or(0);
        CountRate {
            label: named.label.clone(),
            per_second: grown(before, named.count) as f64 / seconds,
            total: named.count,
        }
    };
    let mut rates: Vec<CountRate> =
        now.drops.iter().filter(|named| named.count > 0).map(rate).collect();
    rates.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then(b.total.cmp(&a.total)));
    rates
}

/// A rate with a unit's prefix, in at most six characters.
pub(super) fn short(value: f64) -> String {
    let (value, prefix) = match value {
        v if v < 999.5 => (v, ""),
        v if v < 999.5e3 => (v / 1e3, "k"),
        v if v < 999.5e6 => (v / 1e6, "M"),
        v => (v / 1e9, "G"),
    };
    let digits = if prefix.is_empty() || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$}{prefix}")
}

/// Name of an IP protocol, or its number.
pub(super) fn protocol(number: u8) -> String {
    match number {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        132 => "SCTP".to_owned(),
        number => number.to_string(),
    }
}

impl Top {
    /// How the card is, in a line.
    pub(super) fn headline(&self) -> String {
        let Self { node, card, entries, capacity, pressure, .. } = self;
        let (made, ended) = (short(self.made), short(self.ended));
        format!(
            "{node}  {card}  flows {entries}/{capacity}, pressure {pressure}, {made}/s made, {ended}/s ended"
        )
    }
}

/// Heads and rows of a table.
pub(super) struct Rows {
    pub(super) head: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
}

/// What can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Interfaces,
    Services,
    Flows,
    Drops,
}

impl Panel {
    pub(super) const ALL: [Self; 4] = [Self::Interfaces, Self::Services, Self::Flows, Self::Drops];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Interfaces => "Interfaces",
            Self::Services => "Services",
            Self::Flows => "Flows",
            Self::Drops => "Drops",
        }
    }

    /// Whether it needs the flow table.
    pub(super) fn reads_flows(self) -> bool {
        matches!(self, Self::Services | Self::Flows)
    }

    /// What it shows; none while that was not read.
    pub(super) fn rows(self, top: &Top) -> Option<Rows> {
        let place = |(address, port): (Ipv4Addr, u16)| format!("{address}:{port}");
        let both = |rate: Rate| [short(rate.packets), short(rate.bits)];
        let (head, rows): (&'static [&'static str], Vec<Vec<String>>) = match self {
            Self::Interfaces => {
                let row = |vif: &InterfaceRate| {
                    let named = [format!("vif0/{}", vif.index), vif.name.clone()];
                    let connections = vif.connections.map_or("-".to_owned(), |n| n.to_string());
                    let rates = [both(vif.received), both(vif.sent)].concat();
                    [named.to_vec(), rates, vec![short(vif.drops), connections]].concat()
                };
                (
                    &[
                        "vif", "name", "rx pps", "rx bit/s", "tx pps", "tx bit/s", "drops/s",
                        "conns",
                    ],
                    top.interfaces.iter().map(row).collect(),
                )
            }
            Self::Services => {
                let row = |of: &ServiceRate| {
                    let name = of.name.clone().unwrap_or_else(|| "-".to_owned());
                    let named = [name, place((of.address, of.port)), protocol(of.protocol)];
                    let counted = [of.connections.to_string()];
                    [named.to_vec(), counted.to_vec(), both(of.rate).to_vec()].concat()
                };
                (
                    &["service", "floating IP", "proto", "conns", "pps", "bit/s"],
                    top.services.as_ref()?.iter().map(row).collect(),
                )
            }
            Self::Flows => {
                let row = |flow: &FlowRate| {
                    let service = flow.service.map_or("-".to_owned(), place);
                    let ends = [place(flow.source), place(flow.destination)];
                    let named = [flow.index.to_string(), protocol(flow.protocol)];
                    [named.to_vec(), ends.to_vec(), vec![service], both(flow.rate).to_vec()]
                        .concat()
                };
                (
                    &["index", "proto", "source", "destination", "service", "pps", "bit/s"],
                    top.flows.as_ref()?.iter().map(row).collect(),
                )
            }
            Self::Drops => {
                let row = |drop: &CountRate| {
                    vec![drop.label.clone(), short(drop.per_second), drop.total.to_string()]
                };
                (&["reason", "per second", "total"], top.drops.iter().map(row).collect())
            }
        };
        Some(Rows { head, rows })
    }
}

impl fmt::Display for Top {
    /// All panels below each other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        for panel in Panel::ALL {
            let Some(Rows { head, rows }) = panel.rows(self) else { continue };
            writeln!(f, "\n{}", panel.title())?;
            let head: Vec<String> = head.iter().map(ToString::to_string).collect();
            let width = |column: usize| {
                let cells = rows.iter().chain([&head]).map(|row| row[column].len());
                cells.max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..head.len()).map(width).collect();
            for row in [&head].into_iter().chain(&rows) {
                let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
                writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::time::Duration;

    use penstock_abi::reason::{CardCounter, DropReason};
    use penstock_abi::table::{Counter, FipMap, Flow, FlowStats, Vif, VifStats};
    use penstock_tables::Entry;
    use penstock_views::flow::FlowFill;
    use penstock_views::service::Intent;
    use penstock_views::{CardState, drops, flow, vif};

    use super::*;

    /// A card at which this many packets of 100 bytes have passed in both directions of each of two connections, one of them to a service, and as
    /// many were dropped.
    pub(in super::super) fn sample(at: Instant, packets: u64) -> Sample {
        let mut state = CardState::default();
        let tables = &mut state.tables;
        let word = |octet| u32::from(Ipv4Addr::new(10, 47, 255, octet));
        let fip = u32::from(Ipv4Addr::new(10, 105, 139, 153));
        for (number, bytes) in [(1, 0), (3, 100)] {
            tables.put(number, Vif { valid: true, ip: word(number as u8), ..Vif::default() });
            let (rx_packets, rx_bytes) = (packets, packets * bytes);
            tables.put(number, VifStats { rx_packets, rx_bytes, ..VifStats::default() });
        }
        let map = FipMap {
            valid: true,
            vip: fip,
            vip_port: 8888,
            pod_ip: word(2),
            pod_port: 80,
            ..FipMap::default()
        };
        tables.put(5, map);
        let plain =
            Flow { valid: true, pair: 1, proto: 17, sip: word(3), dip: word(4), ..Flow::default() };
        let called = Flow {
            pair: 2,
            proto: 6,
            dip: fip,
            dport: 8888,
            dnat: true,
            map_valid: true,
            map: 5,
            ..plain
        };
        let answers = Flow {
            sip: called.dip,
            sport: called.dport,
            dip: called.sip,
            dport: called.sport,
            reverse: true,
            ..called
        };
        for (index, flow, share) in [(10, plain, 1), (20, called, 2), (30, answers, 3)] {
            tables.put(index, flow);
            let (packets, bytes) = (packets * share, packets * share * 100);
            tables.put(index, FlowStats { packets, bytes, ..FlowStats::default() });
        }
        let count = |count| Counter { count };
        tables.set(DropReason::FlowTableFull as u32, Entry::DropStats(count(7)));
        tables.set(DropReason::Checksum as u32, Entry::DropStats(count(packets)));
        tables.set(CardCounter::FlowsLearned as u32, Entry::CardStats(count(packets)));
        let web = Intent {
            name: "ns/web".to_owned(),
            floating_ips: vec![Ipv4Addr::from(fip).into()],
            ..Intent::default()
        };
        let mut status = Status { node: "cent222".to_owned(), ..Status::default() };
        status.device.spec = "pci:0000:3b:00.0".to_owned();
        status.device.flow_table = Some(FlowFill {
            in_use: 4,
            capacity: 65_536,
            pressure: Some(1),
            ..FlowFill::default()
        });
        Sample {
            at,
            status,
            interfaces: vif::view(&state, None),
            drops: drops::view(&state),
            flows: Some((flow::view(&state, None), Services { services: vec![web] })),
        }
    }

    #[test]
    fn what_passed_is_told_by_second_the_busiest_first() {
        let start = Instant::now();
        let top = between(&sample(start, 1000), &sample(start + Duration::from_secs(2), 5000));
        assert_eq!(top.seconds, 2.0);
        assert_eq!((top.made, top.ended, top.entries, top.pressure), (2000.0, 0.0, 4, 1));
        let vifs: Vec<_> = top.interfaces.iter().map(|vif| (vif.index, vif.received)).collect();
        let rate = |packets| Rate { packets, bits: packets * 800.0 };
        assert_eq!(vifs, [(3, rate(2000.0)), (1, Rate { packets: 2000.0, bits: 0.0 })]);
        let flows: Vec<_> = top.flows.unwrap().iter().map(|flow| (flow.index, flow.rate)).collect();
        assert_eq!(flows, [(30, rate(6000.0)), (20, rate(4000.0)), (10, rate(2000.0))]);
        let services = top.services.unwrap();
        let [web] = &services[..] else { panic!("{services:?}") };
        assert_eq!((web.name.as_deref(), web.port, web.protocol), (Some("ns/web"), 8888, 6));
        assert_eq!((web.connections, web.rate), (1, rate(10_000.0)));
        let drops: Vec<_> = top.drops.iter().map(|drop| (drop.per_second, drop.total)).collect();
        assert_eq!(drops, [(2000.0, 5000), (0.0, 7)]);
    }

    #[test]
    fn what_begins_and_what_is_cleared_counts_from_nothing() {
        let start = Instant::now();
        let later = sample(start + Duration::from_secs(1), 300);
        // No flows were read before, and the counters were higher.
        let before = Sample { flows: None, ..sample(start, 1000) };
        let top = between(&before, &later);
        assert_eq!(top.flows.unwrap()[0].rate.packets, 900.0);
        assert_eq!(top.drops[0].per_second, 300.0);
        assert_eq!(top.interfaces[0].received.packets, 300.0);
    }

    #[test]
    fn a_clients_node_knows_the_service_by_its_address() {
        let start = Instant::now();
        let untranslated = |mut sample: Sample| {
            let (table, _) = sample.flows.as_mut().unwrap();
            table.flows.iter_mut().for_each(|flow| flow.mapping = None);
            sample
        };
        let before = untranslated(sample(start, 0));
        let now = untranslated(sample(start + Duration::from_secs(1), 100));
        let services = between(&before, &now).services.unwrap();
        let [to] = &services[..] else { panic!("{services:?}") };
        assert_eq!((to.name.as_deref(), to.connections), (Some("ns/web"), 1));
        assert_eq!(to.rate.packets, 500.0);
    }

    #[test]
    fn rates_are_short() {
        let of = [0.0, 7.4, 999.0, 999.6, 12_345.0, 99_960.0, 123_456.0, 4.5e6, 98.7e9, 400e9];
        let told = ["0", "7", "999", "1.0k", "12.3k", "100.0k", "123k", "4.5M", "98.7G", "400G"];
        assert_eq!(of.map(short), told.map(str::to_owned));
    }
}
