//! MAC addresses of remote nodes, as the node's kernel knows them.
//!
//! In: the node addresses wanted. Out: a map from node address to the MAC address of its next hop on the fabric. The kernel
//! resolves: this module only makes it want to, by a UDP datagram to the discard port, and follows its neighbour table by
//! rtnetlink. The table is read whole at the start and with every tick, so a lost event costs a delay, not a wrong state.
//! An address that fails later keeps its last MAC address: the card's packets are then lost on the wire and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use penstock_model::MacAddr;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

/// MAC address by node address.
pub type Neighbours = BTreeMap<Ipv4Addr, MacAddr>;

/// Port to which the datagram goes that makes the kernel resolve (RFC 863, discard).
const DISCARD_PORT: u16 = 9;
/// First pause before an unresolved address is tried again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest pause before an unresolved address is tried again.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Pause between two whole reads of the kernel's table.
const REFRESH: Duration = Duration::from_secs(10);
/// Pause before netlink is set up anew after an error.
const RECONNECT: Duration = Duration::from_secs(1);

/// What went wrong between this process and the kernel.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("netlink")]
    Netlink(#[from] rtnetlink::Error),
    #[error("netlink socket")]
    Socket(#[from] std::io::Error),
    #[error("the kernel ended the netlink connection")]
    Ended,
}

/// Follows the kernel until nobody wants its results any more. `fixed` addresses are never asked for.
pub async fn follow(
    mut wanted: watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    fixed: Neighbours,
    publish: watch::Sender<Option<Neighbours>>,
) {
    let mut last = fixed.clone();
    while !publish.is_closed() {
        let ended = session(&mut wanted, &fixed, &mut last, &publish).await;
        if wanted.has_changed().is_err() {
            // The daemon ends.
            return;
        }
        if let Err(error) = ended {
            warn!("cannot follow the kernel's neighbours: {}", crate::device::chain(&error));
            // Without the kernel the fixed addresses are all that is known; the rest of the daemon goes on.
            publish
                .send_if_modified(|map| map.is_none().then(|| *map = Some(last.clone())).is_some());
            sleep(RECONNECT).await;
        }
    }
}

async fn session(
    wanted: &mut watch::Receiver<Option<BTreeSet<Ipv4Addr>>>,
    fixed: &Neighbours,
    last: &mut Neighbours,
    publish: &watch::Sender<Option<Neighbours>>,
) -> Result<(), FollowError> {
    wanted.wait_for(Option::is_some).await.map_err(|_| FollowError::Ended)?;
    let (connection, handle, mut events) = new_multicast_connection(&[MulticastGroup::Neigh])?;
    let connection = tokio::spawn(connection);
    let _ended = AbortOnDrop(connection);
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let mut kernel = read_table(&handle).await?;
    let mut via = BTreeMap::new();
    let mut retry = RETRY_MIN;
    loop {
        let targets: BTreeSet<Ipv4Addr> = wanted
            .borrow_and_update()
            .iter()
            .flatten()
            .copied()
            .filter(|ip| !fixed.contains_key(ip))
            .collect();
        for &node in &targets {
            if let Some(hop) = next_hop(&handle, node).await {
                via.insert(node, hop);
            }
        }
        let mut pending = false;
        for &node in &targets {
            let hop = via.get(&node).copied().unwrap_or(node);
            match kernel.get(&hop) {
                Some(&mac) => {
                    if last.insert(node, mac) != Some(mac) {
                        info!(%node, %mac, "neighbour resolved");
                    }
                }
                None => {
                    pending |= !last.contains_key(&node);
                    let to = SocketAddrV4::new(node, DISCARD_PORT);
                    if let Err(error) = probe.send_to(&[], to).await {
                        debug!(%node, %error, "cannot make the kernel resolve a neighbour");
                    }
                }
            }
        }
        last.retain(|node, _| targets.contains(node) || fixed.contains_key(node));
        publish.send_if_modified(|map| {
            let changed = map.as_ref() != Some(last);
            if changed {
                *map = Some(last.clone());
            }
            changed
        });
        let pause = if pending { retry } else { REFRESH };
        retry = if pending { (retry * 2).min(RETRY_MAX) } else { RETRY_MIN };
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => {
                    kernel = read_table(&handle).await?;
                    break;
                }
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return Err(FollowError::Ended);
                    }
                    retry = RETRY_MIN;
                    break;
                }
                event = events.next() => {
                    let (message, _) = event.ok_or(FollowError::Ended)?;
                    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(message)) = message.payload
                        && let Some((ip, mac)) = usable(&message)
                        && kernel.insert(ip, mac) != Some(mac)
                    {
                        break;
                    }
                }
            }
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The kernel's IPv4 neighbour table: entries with a MAC address that may be used.
async fn read_table(handle: &Handle) -> Result<Neighbours, FollowError> {
    let mut entries = handle.neighbours().get().set_address_family(AddressFamily::Inet).execute();
    let mut table = Neighbours::new();
    while let Some(message) = entries.try_next().await? {
        table.extend(usable(&message));
    }
    Ok(table)
}

fn usable(message: &NeighbourMessage) -> Option<(Ipv4Addr, MacAddr)> {
    use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
    if !matches!(message.header.state, Reachable | Stale | Delay | Probe | Permanent) {
        return None;
    }
    let (mut ip, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => ip = Some(*address),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr);
            }
            _ => {}
        }
    }
    Some((ip?, mac.filter(|mac| mac.is_unicast())?))
}

/// The neighbour through which `node` is reached: the route's gateway, or the node itself. None if there is no route.
async fn next_hop(handle: &Handle, node: Ipv4Addr) -> Option<Ipv4Addr> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(node, 32).build();
    let answer = handle.route().get(route).execute().try_next().await.ok()??;
    let gateway = answer.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
        _ => None,
    });
    Some(gateway.unwrap_or(node))
}
