//! What a node is asked to do, in the words of Contrail and Kubernetes.
//!
//! A [`Snapshot`] is the whole intent for one node at one moment: the node itself ([`NodeConfig`]: VRFs, vifs, remote
//! nodes and their labels), the [`LoadBalancer`]s with their floating IPs, and the neighbours that the kernel knows.
//! Sources build snapshots (`penstock-sources`), `penstock-compile` turns them into tables. The vocabulary is Contrail's,
//! so that Kubernetes manifests and Contrail's REST objects can feed the same compiler:
//!
//! | Kubernetes | here |
//! | --- | --- |
//! | Service | [`LoadBalancer`] |
//! | cluster IP, external IPs, ingress IPs | [`FloatingIp`] |
//! | service port | [`Listener`] with its [`Pool`] |
//! | endpoint | [`Member`] |
//!
//! The crate holds values and no behaviour: no I/O, no clock, nothing that waits.

mod addr;
mod ids;
mod load_balancer;
mod node;
mod snapshot;

pub use addr::{AddrError, MacAddr, Prefix};
pub use ids::{Epoch, MemberId, MplsLabel, NextHopId, VifId, VrfId};
pub use load_balancer::{
    Affinity, FloatingIp, FloatingIpKind, Listener, LoadBalancer, Member, MemberState, ObjectName,
    Pool, Protocol, Scope,
};
pub use node::{Encapsulation, Fabric, NodeConfig, PodVif, RemoteNode, Vrf};
pub use snapshot::{Note, Pod, Snapshot};
