//! rtnetlink in a network namespace: requests and answers, each a few round trips.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use futures_util::TryStreamExt as _;
use nix::sched::{CloneFlags, setns};
use penstock_model::MacAddr;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, VlanProtocol};
use rtnetlink::packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute};
use rtnetlink::{Error, Handle, LinkMessageBuilder, LinkUnspec, LinkVlan, RouteMessageBuilder};

use crate::result::Route;

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// What failed, and at what.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The namespace is gone, or cannot be joined.
    #[error("the network namespace {path}")]
    Namespace { path: String, source: io::Error },
    /// No netlink socket, or no thread for it.
    #[error("no netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refuses.
    #[error("{what}")]
    Kernel { what: String, source: Error },
}

impl LinkError {
    /// Whether there is no such namespace any more: no file, or one that is no namespace.
    pub(super) fn is_gone(&self) -> bool {
        let kinds = [io::ErrorKind::NotFound, io::ErrorKind::InvalidInput];
        matches!(self, Self::Namespace { source, .. } if kinds.contains(&source.kind()))
    }
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) mac: Option<MacAddr>,
    pub(super) mtu: u32,
    pub(super) alias: String,
    pub(super) up: bool,
}

/// An open namespace.
#[derive(Debug)]
pub(super) struct Namespace(File);

impl Namespace {
    pub(super) fn open(path: &Path) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Namespace { path: path.display().to_string(), source };
        File::open(path).map(Self).map_err(failed)
    }

    pub(super) fn own() -> Result<Self, LinkError> {
        Self::open(Path::new(OWN))
    }

    /// Works in the namespace, on a thread of its own: this one stays where it is.
    pub(super) fn within<T: Send>(
        &self,
        work: impl AsyncFnOnce(Netlink) -> Result<T, LinkError> + Send,
    ) -> Result<T, LinkError> {
        let run = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|error| LinkError::Namespace {
                path: "of the pod cannot be joined".to_owned(),
                source: error.into(),
            })?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(LinkError::Socket)?;
            runtime.block_on(async {
                let (connection, handle, _) =
                    rtnetlink::new_connection().map_err(LinkError::Socket)?;
                let connection = tokio::spawn(connection);
                let result = work(Netlink(handle)).await;
                connection.abort();
                result
            })
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, run);
            let thread = thread.map_err(LinkError::Socket)?;
            // It ends by itself, or by a defect that is not hidden here.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The kernel, in a namespace.
pub(super) struct Netlink(Handle);

fn failed(what: impl Into<String>) -> impl FnOnce(Error) -> LinkError {
    let what = what.into();
    move |source| LinkError::Kernel { what, source }
}

impl Netlink {
    /// A link by its name.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Link>, LinkError> {
        let answer = self.0.link().get().match_name(name.to_owned()).execute().try_next().await;
        match answer {
            Ok(message) => Ok(message.map(|message| link(&message))),
            Err(Error::NetlinkError(error)) if error.raw_code().abs() == nix::libc::ENODEV => {
                Ok(None)
            }
            Err(error) => Err(failed(format!("{name} cannot be looked up"))(error)),
        }
    }

    /// All links.
    pub(super) async fn all(&self) -> Result<Vec<Link>, LinkError> {
        let mut answers = self.0.link().get().execute();
        let mut all = Vec::new();
        while let Some(message) =
            answers.try_next().await.map_err(failed("links cannot be listed"))?
        {
            all.push(link(&message));
        }
        Ok(all)
    }

    async fn set(&self, message: LinkMessage, what: String) -> Result<(), LinkError> {
        self.0.link().set(message).execute().await.map_err(failed(what))
    }

    pub(super) async fn set_alias(&self, link: &Link, alias: &str) -> Result<(), LinkError> {
        let message = LinkUnspec::new_with_index(link.index).alias(alias).build();
        self.set(message, format!("{} cannot be marked", link.name)).await
    }

    /// Moves a link into another namespace, under another name there; in one step.
    pub(super) async fn give(
        &self,
        link: &Link,
        to: &Namespace,
        name: &str,
    ) -> Result<(), LinkError> {
        let message =
            LinkUnspec::new_with_index(link.index).setns_by_fd(to.0.as_raw_fd()).name(name).build();
        self.set(message, format!("{} cannot be moved to become {name}", link.name)).await
    }

    pub(super) async fn down(&self, link: &Link) -> Result<(), LinkError> {
        let message = LinkUnspec::new_with_index(link.index).down().build();
        self.set(message, format!("{} cannot be set down", link.name)).await
    }

    /// Address and MTU, then up.
    pub(super) async fn up(
        &self,
        link: &Link,
        mac: MacAddr,
        mtu: Option<u32>,
    ) -> Result<(), LinkError> {
        let new = || LinkUnspec::new_with_index(link.index);
        let message = new().address(mac.0.to_vec()).build();
        self.set(message, format!("{} does not take the MAC address {mac}", link.name)).await?;
        if let Some(mtu) = mtu {
            let message = new().mtu(mtu).build();
            self.set(message, format!("{} does not take the MTU {mtu}", link.name)).await?;
        }
        self.set(new().up().build(), format!("{} cannot be set up", link.name)).await
    }

    /// Makes a link under a service tag.
    pub(super) async fn make_tagged(
        &self,
        name: &str,
        below: &Link,
        vif: u8,
        alias: &str,
        mtu: u32,
    ) -> Result<(), LinkError> {
        let message = LinkMessageBuilder::<LinkVlan>::new(name)
            .link(below.index)
            .id(vif.into())
            .protocol(VlanProtocol::Ieee8021Ad)
            .mtu(mtu)
            .build();
        let what = format!("no link with service tag {vif} can be made on {}", below.name);
        self.0.link().add(message).execute().await.map_err(failed(what))?;
        // The kernel takes no alias when a link is made.
        match self.find(name).await? {
            Some(link) => self.set_alias(&link, alias).await,
            None => Ok(()),
        }
    }

    pub(super) async fn delete(&self, link: &Link) -> Result<(), LinkError> {
        let what = format!("{} cannot be deleted", link.name);
        self.0.link().del(link.index).execute().await.map_err(failed(what))
    }

    pub(super) async fn add_address(
        &self,
        link: &Link,
        address: Ipv4Addr,
    ) -> Result<(), LinkError> {
        let what = format!("{} does not take the address {address}", link.name);
        let add = self.0.address().add(link.index, IpAddr::V4(address), 32);
        add.execute().await.map_err(failed(what))
    }

    pub(super) async fn add_neighbour(
        &self,
        link: &Link,
        address: Ipv4Addr,
        mac: MacAddr,
    ) -> Result<(), LinkError> {
        let add = self.0.neighbours().add(link.index, IpAddr::V4(address));
        let add = add.link_layer_address(&mac.0).state(NeighbourState::Permanent).replace();
        add.execute().await.map_err(failed(format!("the gateway {address} cannot be a neighbour")))
    }

    pub(super) async fn add_route(
        &self,
        link: &Link,
        route: Route,
        gateway: Ipv4Addr,
    ) -> Result<(), LinkError> {
        let (to, length) = route.to;
        let message = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(to, length)
            .gateway(gateway)
            .output_interface(link.index)
            .onlink()
            .build();
        let what = format!("{to}/{length} cannot go by {gateway}");
        self.0.route().add(message).execute().await.map_err(failed(what))
    }

    /// IPv4 addresses of a link, with the lengths of their prefixes.
    pub(super) async fn addresses(&self, link: &Link) -> Result<Vec<(Ipv4Addr, u8)>, LinkError> {
        let mut answers = self.0.address().get().set_link_index_filter(link.index).execute();
        let mut all = Vec::new();
        while let Some(message) =
            answers.try_next().await.map_err(failed("addresses cannot be listed"))?
        {
            for attribute in &message.attributes {
                if let AddressAttribute::Local(IpAddr::V4(address)) = attribute {
                    all.push((*address, message.header.prefix_len));
                }
            }
        }
        Ok(all)
    }

    /// Routes by a gateway over a link.
    pub(super) async fn routes(&self, link: &Link, by: Ipv4Addr) -> Result<Vec<Route>, LinkError> {
        let filter = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let mut answers = self.0.route().get(filter).execute();
        let mut all = Vec::new();
        while let Some(message) =
            answers.try_next().await.map_err(failed("routes cannot be listed"))?
        {
            let (mut to, mut over, mut gateway) = (Ipv4Addr::UNSPECIFIED, None, None);
            for attribute in &message.attributes {
                match attribute {
                    RouteAttribute::Destination(RouteAddress::Inet(address)) => to = *address,
                    RouteAttribute::Oif(index) => over = Some(*index),
                    RouteAttribute::Gateway(RouteAddress::Inet(address)) => {
                        gateway = Some(*address);
                    }
                    _ => {}
                }
            }
            if (over, gateway) == (Some(link.index), Some(by)) {
                all.push(Route { to: (to, message.header.destination_prefix_length) });
            }
        }
        Ok(all)
    }

    /// Whether a permanent neighbour has this MAC address.
    pub(super) async fn has_neighbour(
        &self,
        link: &Link,
        address: Ipv4Addr,
        mac: MacAddr,
    ) -> Result<bool, LinkError> {
        let request = self.0.neighbours().get().set_address_family(AddressFamily::Inet);
        let mut answers = request.execute();
        let mut found = false;
        while let Some(message) =
            answers.try_next().await.map_err(failed("neighbours cannot be listed"))?
        {
            let has = |wanted: &NeighbourAttribute| message.attributes.contains(wanted);
            found |= message.header.ifindex == link.index
                && message.header.state == NeighbourState::Permanent
                && has(&NeighbourAttribute::Destination(NeighbourAddress::Inet(address)))
                && has(&NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        }
        Ok(found)
    }
}

fn link(message: &LinkMessage) -> Link {
    use rtnetlink::packet_route::link::LinkFlags;
    let up = message.header.flags.contains(LinkFlags::Up);
    let mut link = Link { index: message.header.index, up, ..Link::default() };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => {
                link.mac = <[u8; 6]>::try_from(bytes.as_slice()).ok().map(MacAddr);
            }
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::IfAlias(alias) => link.alias = alias.trim_end_matches('\0').to_owned(),
            _ => {}
        }
    }
    link
}
