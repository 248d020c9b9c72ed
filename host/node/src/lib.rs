//! What the node's kernel needs so that the node is an end point of the overlay (`docs/decisions/86-the-node-is-an-end-point.md`), and how it
//! is taken back.
//!
//! [`setup`] leads the ranges of pods and services to the card, by a gateway address on `vhost0` whose neighbour is permanent: a frame to
//! its MAC address is routed by the card, and every other passes to the fabric. Connections that came by the card are marked, and their replies
//! go back by it, whatever their destination. It lets the kernel forward for pods, and masquerades what they send to addresses outside.
//! [`teardown`] restores every value.
//!
//! What is to be changed stands in a file before it is changed, with the values of before ([`state`]). So a set-up that ended
//! in the middle, however it did, can be taken back or gone on with, and one that is repeated changes nothing.
//!
//! Nothing here belongs to others: routes and a rule are known by their protocol number, translations stand in a table of their own. The
//! exception are chains of others that drop what is forwarded; they get one rule each, as an `accept` in a chain of our own
//! would not count there.

mod error;
mod kernel;
mod nft;
mod run;
pub mod state;
mod sysctl;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

pub use error::NodeError;
pub use run::{Report, setup, teardown};

/// The gateway's address unless another is chosen: of the range for links, so that it is nobody's.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The mark of connections that came by the card unless another is chosen: a bit that neither kube-proxy nor kubelet (0x4000, 0x8000) use.
pub const MARK: u32 = 0x2000;
/// Where the state is kept, gone after a boot as what it tells of is.
pub const STATE: &str = "/run/penstock-node/state.json";

/// What is to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The node's own interface on the card.
    pub interface: String,
    /// Address of the gateway on it.
    pub gateway: Ipv4Addr,
    /// The node's address in the overlay, as the card knows it; the interface's first if it is not said.
    pub address: Option<Ipv4Addr>,
    /// Ranges of pods.
    pub pods: Vec<Ipv4Net>,
    /// Ranges of services.
    pub services: Vec<Ipv4Net>,
    /// Ranges of nodes and of others who know the way back to pods: not masqueraded towards them, either.
    pub inside: Vec<Ipv4Net>,
    /// Bits that are set in the mark of a connection that came by the card, and in those of its packets that go back; not 0.
    pub mark: u32,
}

impl Wanted {
    /// What the card routes.
    pub(crate) fn routes(&self) -> Vec<Ipv4Net> {
        Ipv4Net::aggregate(&[&self.pods[..], &self.services].concat())
    }

    /// Whereto pods keep their addresses.
    pub(crate) fn unmasqueraded(&self) -> Vec<Ipv4Net> {
        Ipv4Net::aggregate(&[&self.pods[..], &self.services, &self.inside].concat())
    }
}
