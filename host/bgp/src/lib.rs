//! A BGP speaker for the routes of a node's VRFs, as values: no socket, no clock, nothing that waits.
//!
//! A node tells others how its pods and floating IPs are reached, and learns how theirs are: MP-BGP with labelled VPN routes
//! (RFC 4271, 4364, 4760), route target constraint (RFC 4684), encapsulation communities (RFC 9012), AS numbers of four octets
//! (RFC 6793), graceful restart (RFC 4724, 8538, 9494), route refresh (RFC 2918), and the error handling of RFC 7606.
//!
//! ```text
//!              bytes                                    routes of the VRFs
//!  peer ──> wire ──> Session ─ learned ─┐         ┌──> model::Route
//!  peer <── wire <── Session <──────────┼─ policy ─┤
//!  peer ──> wire ──> Session ─ learned ─┘         └<── model::Advertisement
//! ```
//!
//! It passes nothing on from one peer to another: a node is no transit.
//!
//! Example: node 10.169.25.21 advertises its pod of VRF 2, whose network has the target 64512:8000002, as
//! `10.169.25.21:2:10.47.255.238/32`, label 43, next hop 10.169.25.21, communities `target:64512:8000002` and
//! `encapsulation: MPLS in UDP`. A node whose VRF 5 imports that target has `10.47.255.238/32` in VRF 5.

mod community;
mod path;
mod policy;
mod session;
pub mod wire;

pub use community::{
    ExtendedCommunity, NotATarget, Offer, RouteTarget, TUNNEL_GRE, TUNNEL_MPLS_IN_GRE,
    TUNNEL_MPLS_IN_UDP, offer, offering,
};
pub use path::{Attributes, RouteDistinguisher, VpnPath, VpnPrefix};
pub use policy::{Exporter, Imported, Importer, Policy, PolicyError, Targets, Unused};
pub use session::{End, Learned, Phase, Session, SessionConfig, Status, Want};
pub use wire::{Family, Fault, Notification};
