//! What can be wrong.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use ipnet::Ipv4Net;

/// Why the node cannot be set up, or not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no such interface: the card is not there, or its driver.
    #[error(
        "there is no interface {0}: is the card's driver loaded, or the simulated card running?"
    )]
    NoInterface(String),
    /// The interface has no address by which the node could be known to others.
    #[error("{0} has no IPv4 address; give it the node's, or name one by --address")]
    NoAddress(String),
    /// Neither pods nor services: nothing would go to the card.
    #[error("no ranges: name those of pods (--pod-cidr), of services (--service-cidr), or both")]
    NoRanges,
    /// A mark of 0 marks nothing.
    #[error("the mark must have a bit that is 1")]
    NoMark,
    /// Somebody else has a route there.
    #[error(
        "there is another route to {0} already, which would take turns with ours: remove it, or leave the range out"
    )]
    Taken(Ipv4Net),
    /// Somebody else has the gateway's address.
    #[error(
        "{gateway} is somebody else's neighbour on {interface} already: choose another by --gateway"
    )]
    GatewayTaken {
        /// The gateway's address.
        gateway: Ipv4Addr,
        /// Where.
        interface: String,
    },
    /// It is set up in another way.
    #[error("the node is set up for {interface} by {gateway}: `penstock node teardown` first")]
    Otherwise {
        /// Its interface.
        interface: String,
        /// Its gateway.
        gateway: Ipv4Addr,
    },
    /// There is no nftables.
    #[error("`nft` cannot be started: install the package nftables")]
    NoNft(#[source] io::Error),
    /// nftables refuses.
    #[error("nftables: {what}: {text}")]
    Nft {
        /// What was asked.
        what: String,
        /// What `nft` said.
        text: String,
    },
    /// A setting of the kernel.
    #[error("the setting {} cannot be {what}", path.display())]
    Setting {
        /// Its file.
        path: PathBuf,
        /// Read or written.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file in which the state is kept.
    #[error("the state in {} cannot be {what}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Read or written.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// No netlink.
    #[error("no netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refuses.
    #[error("{what}")]
    Kernel {
        /// What was asked.
        what: String,
        /// Why not.
        source: rtnetlink::Error,
    },
}
