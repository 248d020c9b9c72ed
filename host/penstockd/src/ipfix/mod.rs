//! Tells a collector of connections that ended, as IPFIX over UDP (RFC 7011, section 10.3).
//!
//! Each card is an observation domain, by its place among the daemon's cards, from 1. UDP may lose messages and has no answer: templates are
//! sent again and again, records are numbered, and what the operating system refuses is counted as lost and told in the status.

mod message;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use penstock_abi::ring::{EventKind, FlowEnd, FlowEvent};
use penstock_abi::table::{TCP_ESTABLISHED, TCP_FIN, TCP_RST, TCP_SYN};
use penstock_agent::Told;
use penstock_api::types::SourceStatus;
use penstock_device::{CardEvent, Kinds, Wanted};
use penstock_views::event::{self, Teller};
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::warn;

use crate::answer::Card;
use crate::health::Health;
use message::{Counted, Domain, EndReason, Record, Sockets};

/// The exporter's name in the status.
const NAME: &str = "ipfix";
/// Pause between two messages of templates, which a collector that was started anew waits for.
const TEMPLATES_EVERY: Duration = Duration::from_secs(30);
/// Pause before a socket that could not be had is tried again, and between two lines in the log.
const RETRY: Duration = Duration::from_secs(10);

const ICMP: u8 = 1;
/// Header of a frame without tag.
const ETHERNET_BYTES: u64 = 14;
/// Of TCP's header.
const FIN: u16 = 1;
const SYN: u16 = 2;
const RST: u16 = 4;
const ACK: u16 = 16;

/// Tells `collector` of connections that end at these cards. Goes on until it is dropped.
pub(crate) async fn export(collector: SocketAddr, cards: Vec<Card>, health: Health) {
    let exports = cards.into_iter().zip(1..).map(|(card, domain)| {
        let health = health.clone();
        export_card(collector, card, Domain { id: domain, sequence: 0 }, health)
    });
    futures_util::future::join_all(exports).await;
}

async fn export_card(collector: SocketAddr, card: Card, mut domain: Domain, health: Health) {
    let wanted = Wanted { kinds: Kinds::of(&[EventKind::FlowEnded]), sample_log2: 0 };
    let since = SystemTime::now();
    let mut ends = card.agent.follow(wanted).await;
    let mut sender =
        Sender { name: format!("{NAME} {}", card.agent.name()), health, lost: 0, said: None };
    let socket = loop {
        match connected(collector).await {
            Ok(socket) => break socket,
            Err(error) => {
                sender.failed(&error, 0);
                sleep(RETRY).await;
            }
        }
    };
    sender.works();
    let mut templates = interval(TEMPLATES_EVERY);
    templates.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = templates.tick() => sender.send(&socket, &domain.templates(now_s()), 0).await,
            news = ends.next() => {
                // The agent has ended, which is told elsewhere.
                let Some(news) = news else { return std::future::pending().await };
                let state = card.state().unwrap_or_default();
                let teller = Teller::new(&state);
                let records: Vec<Record> =
                    news.events.iter().filter_map(|told| record(&teller, told, since)).collect();
                for (message, count) in domain.records(now_s(), &records) {
                    sender.send(&socket, &message, count).await;
                }
            }
        }
    }
}

async fn connected(collector: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match collector {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(collector).await?;
    Ok(socket)
}

/// Sends, and says how that goes.
struct Sender {
    name: String,
    health: Health,
    /// Records that could not be sent.
    lost: u64,
    /// When the log was told last.
    said: Option<Instant>,
}

impl Sender {
    async fn send(&mut self, socket: &UdpSocket, message: &[u8], records: u64) {
        match socket.send(message).await {
            Ok(_) => self.works(),
            // An earlier message was not wanted, and this one was not sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                let lost = if socket.send(message).await.is_ok() { 0 } else { records };
                self.failed(&error, lost);
            }
            Err(error) => self.failed(&error, records),
        }
    }

    fn works(&self) {
        self.tell(None);
    }

    fn failed(&mut self, error: &io::Error, records: u64) {
        self.lost += records;
        self.tell(Some(error));
        if self.said.is_none_or(|said| said.elapsed() >= RETRY) {
            self.said = Some(Instant::now());
            warn!(exporter = self.name, %error, lost = self.lost, "connections that ended cannot be told to the collector");
        }
    }

    fn tell(&self, error: Option<&io::Error>) {
        let lost = (self.lost > 0).then(|| format!("{} records were lost", self.lost));
        let errors = error.map(ToString::to_string).into_iter().chain(lost).collect();
        let (name, read) = (self.name.clone(), error.is_none());
        self.health.set(SourceStatus { name, read, errors, ..SourceStatus::default() });
    }
}

fn now_s() -> u32 {
    (ms(SystemTime::now()) / 1000) as u32
}

/// Milliseconds since 1970.
fn ms(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// What is told of an event, if it is the end of a connection. Of one that nobody has seen begin it is told that it was there when events
/// began to be followed.
fn record(teller: &Teller<'_>, told: &Told, since: SystemTime) -> Option<Record> {
    let CardEvent::Flow(flow) = &told.event else { return None };
    if flow.kind != EventKind::FlowEnded as u8 {
        return None;
    }
    // ICMP has no ports: what the card has there is the identifier.
    let port = |port: u16| if flow.protocol == ICMP { 0 } else { port };
    let source = (Ipv4Addr::from(flow.source), port(flow.source_port));
    let destination = (Ipv4Addr::from(flow.destination), port(flow.destination_port));
    let mapping = teller.mapping(flow);
    let end_ms = ms(told.last_packet.unwrap_or(told.at));
    Some(Record {
        flow_id: flow.pair.into(),
        protocol: flow.protocol,
        source,
        destination,
        start_ms: ms(told.began.unwrap_or(since)).min(end_ms),
        end_ms,
        reason: reason(flow),
        counted: event::counted(flow).map(|event::Counted { packets, bytes, .. }| Counted {
            octets: [octets(bytes[0], packets[0]), octets(bytes[1], packets[1])],
            packets,
            tcp: [control_bits(flow.tcp & 0xf), control_bits(flow.tcp >> 4)],
        }),
        translated: mapping.and_then(|mapping| translated([source, destination], &mapping)),
    })
}

/// Bytes of IP packets as they arrive, of a tunnel's if they come by one, from those of their frames.
fn octets(bytes: u64, packets: u64) -> u64 {
    bytes.saturating_sub(packets * ETHERNET_BYTES)
}

/// Where a packet of the way forth comes from and goes to once the mapping was applied.
fn translated([source, destination]: Sockets, mapping: &event::Mapping) -> Option<Sockets> {
    let (floating, fixed) = (mapping.floating?, mapping.fixed?);
    // One without ports leaves them as they are.
    let with_port = |to: (Ipv4Addr, u16), port: u16| (to.0, if to.1 == 0 { port } else { to.1 });
    if destination.0 == floating.0 {
        return Some([source, with_port(fixed, destination.1)]);
    }
    (source.0 == fixed.0).then(|| [with_port(floating, source.1), destination])
}

fn reason(flow: &FlowEvent) -> EndReason {
    let (forth, back) = (flow.tcp & 0xf, flow.tcp >> 4);
    let over = (forth | back) & TCP_RST != 0 || forth & back & TCP_FIN != 0;
    match FlowEnd::from_u8(flow.reason) {
        Some(FlowEnd::Evicted) => EndReason::LackOfResources,
        _ if over => EndReason::EndOfFlow,
        Some(FlowEnd::Aged) => EndReason::Idle,
        Some(FlowEnd::Deleted | FlowEnd::Dead | FlowEnd::Replaced) | None => EndReason::Forced,
    }
}

/// Flags of TCP's header that were seen, from what the card keeps of them.
fn control_bits(seen: u8) -> u16 {
    let bits = [(TCP_SYN, SYN), (TCP_ESTABLISHED, ACK), (TCP_FIN, FIN), (TCP_RST, RST)];
    bits.into_iter().filter(|(flag, _)| seen & flag != 0).map(|(_, bit)| bit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 47, 255, 237), 40_000);
    const FLOATING: Ipv4Addr = Ipv4Addr::new(10, 105, 139, 153);
    const POD: Ipv4Addr = Ipv4Addr::new(10, 47, 255, 236);

    #[test]
    fn a_mapping_translates_the_side_that_it_is_of() {
        let mapping = |ports: (u16, u16)| event::Mapping {
            map: 1,
            floating: Some((FLOATING, ports.0)),
            fixed: Some((POD, ports.1)),
        };
        let listener = mapping((8888, 80));
        assert_eq!(translated([CLIENT, (FLOATING, 8888)], &listener), Some([CLIENT, (POD, 80)]));
        // Without port map.
        let plain = mapping((0, 0));
        assert_eq!(translated([CLIENT, (FLOATING, 22)], &plain), Some([CLIENT, (POD, 22)]));
        let out = [(POD, 5_000), (Ipv4Addr::new(203, 0, 113, 5), 443)];
        assert_eq!(translated(out, &plain), Some([(FLOATING, 5_000), out[1]]));
        assert_eq!(translated([CLIENT, out[1]], &plain), None);
        let gone = event::Mapping { map: 1, floating: None, fixed: None };
        assert_eq!(translated([CLIENT, (FLOATING, 22)], &gone), None);
    }

    #[test]
    fn the_reason_of_an_end_is_one_of_the_five() {
        let reason = |end: FlowEnd, tcp| {
            reason(&FlowEvent { reason: end as u8, tcp, ..FlowEvent::default() })
        };
        assert_eq!(reason(FlowEnd::Aged, 0), EndReason::Idle);
        assert_eq!(reason(FlowEnd::Aged, TCP_FIN), EndReason::Idle);
        assert_eq!(reason(FlowEnd::Aged, TCP_FIN | TCP_FIN << 4), EndReason::EndOfFlow);
        assert_eq!(reason(FlowEnd::Dead, TCP_RST << 4), EndReason::EndOfFlow);
        assert_eq!(reason(FlowEnd::Evicted, TCP_RST), EndReason::LackOfResources);
        assert_eq!(reason(FlowEnd::Deleted, 0), EndReason::Forced);
    }
}
