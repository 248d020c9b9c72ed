//! What takes the place of another object: a pod that is given the number, the label or the address of one that is gone.
//!
//! To let the one that is gone stay then would keep the other one from its place, or send it the other one's packets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use penstock_model::{MplsLabel, Object, VifId, VrfId};

/// Something of which there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Vrf(VrfId),
    Vif(VifId),
    Label(MplsLabel),
    Address(IpAddr),
    /// A label that a remote advertises for a pod.
    Advertised(Arc<str>, MplsLabel),
}

/// What objects are in.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeSet<Place>);

impl Places {
    /// Those in which these objects are.
    pub(super) fn of<'a>(objects: impl Iterator<Item = &'a Object>) -> Self {
        Self(objects.flat_map(places).collect())
    }

    /// Whether the object is in one of them.
    pub(super) fn has(&self, object: &Object) -> bool {
        places(object).iter().any(|place| self.0.contains(place))
    }
}

fn places(object: &Object) -> Vec<Place> {
    match object {
        Object::Node(node) => vec![Place::Address(node.fabric.address.addr())],
        Object::Vrf(vrf) => vec![Place::Vrf(vrf.id)],
        Object::Vif(vif) => {
            vec![Place::Vif(vif.id), Place::Label(vif.label), Place::Address(vif.address)]
        }
        Object::Peer(peer) => vec![Place::Address(peer.address)],
        // Shorter prefixes may share a label, and have no place of their own.
        Object::Route(route) if route.prefix.prefix_len() == route.prefix.max_prefix_len() => {
            let advertised = Place::Advertised(Arc::clone(&route.path.announcer), route.path.label);
            vec![Place::Address(route.prefix.addr()), advertised]
        }
        _ => Vec::new(),
    }
}
