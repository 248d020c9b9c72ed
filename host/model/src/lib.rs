//! What a node is asked to do, in the words of Contrail and Kubernetes.
//!
//! Sources give [`Fragment`]s: their objects by what identifies them. A merger decides whose version of each counts, and
//! [`Admission`] makes one [`Intent`] of those that may stand beside one another: the node, its VRFs and vifs, the RIB of
//! what others announce, and the [`LoadBalancer`]s with their floating IPs. `penstock-compile` turns
//! that into tables. The vocabulary is Contrail's, so that Kubernetes manifests and Contrail's REST objects can feed the same
//! compiler:
//!
//! | Kubernetes | here |
//! | --- | --- |
//! | Service | [`LoadBalancer`] |
//! | cluster IP, external IPs, ingress IPs | [`FloatingIp`] |
//! | service port | [`Listener`] with its [`Pool`] |
//! | endpoint | [`Member`] |
//! | FloatingIP (`penstock.dev/v1`) | [`PodFloatingIp`] |
//!
//! The crate holds values and the rules about them ([`check`], [`Admission`]): no I/O, no clock, nothing that waits.

mod addr;
mod admission;
mod finding;
mod floating_ip;
mod flow_aging;
mod flow_limits;
mod ids;
mod intent;
mod load_balancer;
mod name;
mod node;
mod object;
mod rib;
mod validate;

pub use addr::{AddrError, MacAddr};
pub use admission::Admission;
pub use finding::{Denial, Effect, Finding, Findings, Reason};
pub use floating_ip::{Direction, PodFloatingIp};
pub use flow_aging::{FlowAging, PortAging};
pub use flow_limits::{FlowLimit, FlowLimits};
pub use ids::{Epoch, MemberId, MplsLabel, NextHopId, VifId, VrfId};
pub use imbl::OrdMap;
pub use intent::{Intent, Neighbours, Overlay, Pod, Policy, Rules, SourceCheck};
pub use ipnet::IpNet;
pub use load_balancer::{
    Affinity, FloatingIp, FloatingIpKind, Hints, Listener, LoadBalancer, Member, MemberState, Pool,
    Protocol, Scope,
};
pub use name::{NetworkName, ObjectName, ProviderName, SourceName};
pub use node::{
    Encapsulation, Fabric, LabelBlock, LearnPolicy, Node, Peer, PodVif, Vhost, Vrf, Zone,
};
pub use object::{Fragment, Object, ObjectId, ObjectKind};
pub use rib::{Advertisement, Path, Rib, Route};
pub use validate::{check, is_host_address};
