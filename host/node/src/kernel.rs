//! Routes, a rule and neighbours, by netlink, in the namespace that the process is in.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt as _;
use ipnet::Ipv4Net;
use nix::libc;
use penstock_abi::limits::GATEWAY_MAC;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Error, Handle, IpVersion, RouteMessageBuilder};

use crate::NodeError;

/// Protocol number of our routes: nobody else's (`/etc/iproute2/rt_protos`).
const PROTOCOL: u8 = 112;
/// Table of the way back, and place of the rule that leads to it: behind that of local addresses (0), before the main one (32766).
const WAY_BACK: u8 = 112;

/// The kernel, as long as its netlink socket is open.
pub(crate) struct Kernel(Handle);

/// An interface.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
}

fn failed(what: impl Into<String>) -> impl FnOnce(Error) -> NodeError {
    let what = what.into();
    move |source| NodeError::Kernel { what, source }
}

fn is_error(error: &Error, codes: &[i32]) -> bool {
    matches!(error, Error::NetlinkError(message) if codes.contains(&message.raw_code().abs()))
}

/// Works with the kernel.
pub(crate) fn with<T>(
    work: impl AsyncFnOnce(Kernel) -> Result<T, NodeError>,
) -> Result<T, NodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(NodeError::Socket)?.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NodeError::Socket)?;
        let connection = tokio::spawn(connection);
        let result = work(Kernel(handle)).await;
        connection.abort();
        result
    })
}

impl Kernel {
    /// An interface by its name.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Link>, NodeError> {
        let answer = self.0.link().get().match_name(name.to_owned()).execute().try_next().await;
        match answer {
            Ok(message) => {
                Ok(message.map(|m| Link { index: m.header.index, name: name.to_owned() }))
            }
            Err(error) if is_error(&error, &[libc::ENODEV]) => Ok(None),
            Err(error) => Err(failed(format!("{name} cannot be looked up"))(error)),
        }
    }

    /// The first IPv4 address of an interface.
    pub(crate) async fn address(&self, link: &Link) -> Result<Option<Ipv4Addr>, NodeError> {
        let mut answers = self.0.address().get().set_link_index_filter(link.index).execute();
        let what = || format!("addresses of {} cannot be listed", link.name);
        let mut first = None;
        while let Some(message) = answers.try_next().await.map_err(failed(what()))? {
            for attribute in &message.attributes {
                if let AddressAttribute::Local(IpAddr::V4(address)) = attribute {
                    first.get_or_insert(*address);
                }
            }
        }
        Ok(first)
    }

    /// Routes of a table, as the kernel tells them.
    async fn routes(&self, table: u8) -> Result<Vec<RouteMessage>, NodeError> {
        let filter = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let mut answers = self.0.route().get(filter).execute();
        let mut all = Vec::new();
        let what = "routes cannot be listed";
        while let Some(message) = answers.try_next().await.map_err(failed(what))? {
            if message.header.table == table {
                all.push(message);
            }
        }
        Ok(all)
    }

    /// Ranges to which we have routes, and those among `ranges` to which somebody else has one of our rank.
    pub(crate) async fn taken(&self, ranges: &[Ipv4Net]) -> Result<Vec<Ipv4Net>, NodeError> {
        let all = self.routes(RouteHeader::RT_TABLE_MAIN).await?;
        let others = all.iter().filter(|route| !is_ours(route) && rank(route) == 0);
        Ok(others.filter_map(destination).filter(|net| ranges.contains(net)).collect())
    }

    /// Leads a range to the gateway.
    pub(crate) async fn add_route(
        &self,
        link: &Link,
        gateway: Ipv4Addr,
        source: Ipv4Addr,
        to: Ipv4Net,
    ) -> Result<(), NodeError> {
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(to.network(), to.prefix_len())
            .gateway(gateway)
            .output_interface(link.index)
            .pref_source(source)
            .protocol(RouteProtocol::Other(PROTOCOL))
            .onlink()
            .build();
        let add = self.0.route().add(message).replace();
        add.execute().await.map_err(failed(format!("{to} cannot go by {gateway} on {}", link.name)))
    }

    /// Takes our routes away, but for those to `keep`.
    pub(crate) async fn remove_routes(&self, keep: &[Ipv4Net]) -> Result<(), NodeError> {
        self.remove_from(RouteHeader::RT_TABLE_MAIN, keep).await
    }

    async fn remove_from(&self, table: u8, keep: &[Ipv4Net]) -> Result<(), NodeError> {
        for route in self.routes(table).await? {
            let to = destination(&route);
            if !is_ours(&route) || to.is_some_and(|to| keep.contains(&to)) {
                continue;
            }
            match self.0.route().del(route).execute().await {
                Err(error) if !is_error(&error, &[libc::ESRCH]) => {
                    return Err(failed("a route cannot be removed")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Leads packets with this mark to the gateway, wherever they go but for the node's own addresses.
    pub(crate) async fn add_way_back(
        &self,
        link: &Link,
        gateway: Ipv4Addr,
        mark: u32,
    ) -> Result<(), NodeError> {
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(WAY_BACK.into())
            .gateway(gateway)
            .output_interface(link.index)
            .protocol(RouteProtocol::Other(PROTOCOL))
            .onlink()
            .build();
        let add = self.0.route().add(message).replace();
        let what = format!("replies cannot go by {gateway} on {}", link.name);
        add.execute().await.map_err(failed(what))?;
        let marks = [RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mark)];
        let mut there = false;
        for rule in self.rules().await? {
            if marks.iter().all(|attribute| rule.attributes.contains(attribute)) && !there {
                there = true;
            } else {
                self.remove_rule(rule).await?;
            }
        }
        if there {
            return Ok(());
        }
        let add = self.0.rule().add().v4().action(RuleAction::ToTable);
        let mut add = add.table_id(WAY_BACK.into()).priority(WAY_BACK.into());
        let attributes = &mut add.message_mut().attributes;
        attributes.extend(marks);
        attributes.push(RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)));
        add.execute().await.map_err(failed("there can be no rule for marked packets"))
    }

    /// Marked packets go as all others.
    pub(crate) async fn remove_way_back(&self) -> Result<(), NodeError> {
        for rule in self.rules().await? {
            self.remove_rule(rule).await?;
        }
        self.remove_from(WAY_BACK, &[]).await
    }

    /// Our rules.
    async fn rules(&self) -> Result<Vec<RuleMessage>, NodeError> {
        let mut answers = self.0.rule().get(IpVersion::V4).execute();
        let ours = RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL));
        let mut found = Vec::new();
        let what = "rules cannot be listed";
        while let Some(message) = answers.try_next().await.map_err(failed(what))? {
            if message.attributes.contains(&ours) {
                found.push(message);
            }
        }
        Ok(found)
    }

    async fn remove_rule(&self, rule: RuleMessage) -> Result<(), NodeError> {
        match self.0.rule().del(rule).execute().await {
            Err(error) if !is_error(&error, &[libc::ENOENT]) => {
                Err(failed("a rule cannot be removed")(error))
            }
            _ => Ok(()),
        }
    }

    /// The entry of an address in the table of neighbours, unless it is one that comes and goes.
    async fn neighbour(
        &self,
        link: &Link,
        address: Ipv4Addr,
    ) -> Result<Option<NeighbourMessage>, NodeError> {
        let request = self.0.neighbours().get().set_address_family(AddressFamily::Inet);
        let mut answers = request.execute();
        let mut found = None;
        let wanted = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        let what = "neighbours cannot be listed";
        while let Some(message) = answers.try_next().await.map_err(failed(what))? {
            let permanent = message.header.state == NeighbourState::Permanent;
            if message.header.ifindex == link.index
                && permanent
                && message.attributes.contains(&wanted)
            {
                found = Some(message);
            }
        }
        Ok(found)
    }

    /// Whether a permanent neighbour has the address that is not the gateway.
    pub(crate) async fn is_others(
        &self,
        link: &Link,
        address: Ipv4Addr,
    ) -> Result<bool, NodeError> {
        let found = self.neighbour(link, address).await?;
        let gateway = NeighbourAttribute::LinkLayerAddress(GATEWAY_MAC.to_vec());
        Ok(found.is_some_and(|message| !message.attributes.contains(&gateway)))
    }

    /// Makes the gateway a permanent neighbour.
    pub(crate) async fn add_neighbour(
        &self,
        link: &Link,
        address: Ipv4Addr,
    ) -> Result<(), NodeError> {
        let add = self.0.neighbours().add(link.index, IpAddr::V4(address));
        let add = add.link_layer_address(&GATEWAY_MAC).state(NeighbourState::Permanent).replace();
        add.execute()
            .await
            .map_err(failed(format!("{address} cannot be a neighbour on {}", link.name)))
    }

    /// It is no neighbour any more.
    pub(crate) async fn remove_neighbour(
        &self,
        link: &Link,
        address: Ipv4Addr,
    ) -> Result<(), NodeError> {
        let Some(message) = self.neighbour(link, address).await? else { return Ok(()) };
        match self.0.neighbours().del(message).execute().await {
            Err(error) if !is_error(&error, &[libc::ENOENT]) => {
                Err(failed(format!("the neighbour {address} cannot be removed"))(error))
            }
            _ => Ok(()),
        }
    }
}

fn is_ours(route: &RouteMessage) -> bool {
    u8::from(route.header.protocol) == PROTOCOL
}

fn rank(route: &RouteMessage) -> u32 {
    let ranks = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Priority(rank) => Some(*rank),
        _ => None,
    });
    ranks.sum()
}

fn destination(route: &RouteMessage) -> Option<Ipv4Net> {
    let to = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    });
    let to = to.unwrap_or(Ipv4Addr::UNSPECIFIED);
    Ipv4Net::new(to, route.header.destination_prefix_length).ok()
}
