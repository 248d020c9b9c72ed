//! The kernel: what a session asks of it, and the answers by rtnetlink. None of it needs a privilege.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};

use futures_util::{StreamExt as _, TryStreamExt as _};
use penstock_model::MacAddr;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};

use super::table::{Entry, Hop, Resolution};

/// Port to which the datagram goes that makes the kernel resolve (RFC 863, discard).
const DISCARD_PORT: u16 = 9;
/// What the kernel tells of its own accord: neighbours, and most of what changes the way to a node. What it does not tell, such as
/// a link that went down, is found at the next tick.
const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Neigh, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv4Route];

/// What went wrong between this process and the kernel.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    /// No netlink socket; the machine's, or its sandbox's.
    #[error("no netlink socket")]
    Socket(#[from] std::io::Error),
    /// A connection failed.
    #[error("the kernel's neighbour table cannot be followed")]
    Lost {
        /// Whether the table had been read before.
        worked: bool,
        /// What failed.
        #[source]
        source: KernelError,
    },
}

/// What failed in a connection to the kernel.
#[derive(Debug, thiserror::Error)]
pub(super) enum KernelError {
    /// A request was refused.
    #[error("netlink")]
    Netlink(#[from] rtnetlink::Error),
    /// There will be no more answers.
    #[error("the kernel ended the netlink connection")]
    Ended,
}

/// What the kernel tells of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An entry of the neighbour table changed.
    Neighbour(Entry),
    /// Some route or address changed.
    Routes,
    /// Events came faster than they were read, and some are lost.
    Lost,
}

/// What a session needs of a kernel.
pub(super) trait Kernel {
    /// The whole neighbour table: one round trip.
    async fn entries(&mut self) -> Result<Vec<Entry>, KernelError>;
    /// How packets to `node` leave: one round trip. None if there is no way by a neighbour.
    async fn route(&mut self, node: Ipv4Addr) -> Result<Option<Hop>, KernelError>;
    /// The next event; may be abandoned without losing one.
    async fn event(&mut self) -> Result<Event, KernelError>;
    /// Makes the kernel resolve or verify the neighbour by which it reaches `node`. Never waits: the kernel keeps datagrams
    /// to nodes that it has not resolved for seconds, and takes no more than fit into the socket's buffer (some 270). What
    /// it does not take is [`std::io::ErrorKind::WouldBlock`].
    fn ask(&mut self, node: Ipv4Addr) -> std::io::Result<()>;
}

type Events =
    futures_util::stream::BoxStream<'static, (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// The kernel of this machine.
pub(super) struct Netlink {
    handle: Handle,
    events: Events,
    /// Made when it is first needed: a sandbox that forbids it forbids nothing else.
    datagrams: Option<UdpSocket>,
    _connection: AbortOnDrop,
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Netlink {
    pub(super) fn connect() -> Result<Self, FollowError> {
        let (connection, handle, events) = new_multicast_connection(&GROUPS)?;
        let connection = AbortOnDrop(tokio::spawn(connection));
        Ok(Self { handle, events: events.boxed(), datagrams: None, _connection: connection })
    }
}

impl Kernel for Netlink {
    async fn entries(&mut self) -> Result<Vec<Entry>, KernelError> {
        let request = self.handle.neighbours().get().set_address_family(AddressFamily::Inet);
        let mut answers = request.execute();
        let mut table = Vec::new();
        while let Some(message) = answers.try_next().await? {
            table.extend(entry(&message));
        }
        Ok(table)
    }

    async fn route(&mut self, node: Ipv4Addr) -> Result<Option<Hop>, KernelError> {
        let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(node, 32).build();
        match self.handle.route().get(route).execute().try_next().await {
            Ok(answer) => Ok(answer.and_then(|answer| hop(node, &answer))),
            // Unreachable, prohibited, no such network.
            Err(rtnetlink::Error::NetlinkError(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn event(&mut self) -> Result<Event, KernelError> {
        loop {
            let (message, _) = self.events.next().await.ok_or(KernelError::Ended)?;
            let message = match message.payload {
                NetlinkPayload::InnerMessage(message) => message,
                NetlinkPayload::Overrun(_) => return Ok(Event::Lost),
                _ => continue,
            };
            match message {
                RouteNetlinkMessage::NewNeighbour(message) => {
                    if let Some(entry) = entry(&message) {
                        return Ok(Event::Neighbour(entry));
                    }
                }
                RouteNetlinkMessage::DelNeighbour(message) => {
                    if let Some(entry) = entry(&message) {
                        let entry = Entry { resolution: Resolution::None, ..entry };
                        return Ok(Event::Neighbour(entry));
                    }
                }
                RouteNetlinkMessage::NewRoute(_)
                | RouteNetlinkMessage::DelRoute(_)
                | RouteNetlinkMessage::NewAddress(_)
                | RouteNetlinkMessage::DelAddress(_) => return Ok(Event::Routes),
                _ => {}
            }
        }
    }

    fn ask(&mut self, node: Ipv4Addr) -> std::io::Result<()> {
        let socket = match &self.datagrams {
            Some(socket) => socket,
            None => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.set_nonblocking(true)?;
                self.datagrams.insert(socket)
            }
        };
        socket.send_to(&[], SocketAddrV4::new(node, DISCARD_PORT)).map(|_| ())
    }
}

/// An IPv4 entry of the neighbour table.
fn entry(message: &NeighbourMessage) -> Option<Entry> {
    use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(*ip),
            NeighbourAttribute::LinkLayerAddress(bytes) => {
                mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr);
            }
            _ => {}
        }
    }
    let hop = Hop { interface: message.header.ifindex, address: address? };
    let resolution = match (message.header.state, mac.filter(|mac| mac.is_unicast())) {
        (Reachable | Delay | Probe | Permanent, Some(mac)) => Resolution::Good(mac),
        (Stale, Some(mac)) => Resolution::Stale(mac),
        _ => Resolution::None,
    };
    Some(Entry { hop, resolution })
}

/// The neighbour through which a route leads: its gateway, or the node itself.
fn hop(node: Ipv4Addr, route: &RouteMessage) -> Option<Hop> {
    let (mut interface, mut address) = (None, node);
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => interface = Some(*index),
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => address = *gateway,
            // A gateway of another family has its entry in another table.
            RouteAttribute::Via(_) => return None,
            _ => {}
        }
    }
    (route.header.kind == RouteType::Unicast).then_some(Hop { interface: interface?, address })
}
