//! Keys that say what a backend only sends translated.
//!
//! A backend of a service answers with the service's address. If the card knows nothing of the connection (its flow is gone,
//! the table was full, the packet is a fragment), the answer must not leave with the pod's own address. So for each vif with
//! mappings there are keys with the pod's own address: one for each target port of TCP, and one with port 0 for each
//! protocol. Example, for `(vif 8, TCP, 10.105.139.153, 8888) -> 10.47.255.236:80`:
//!
//! ```text
//! (vif 8, TCP, 10.47.255.236, 80)
//! (vif 8, TCP, 10.47.255.236, 0)
//! ```
//!
//! They stand in the table of the mappings' keys, but name no mapping. No mapping has such a key: a floating IP is never
//! the address of a pod.

use std::collections::BTreeSet;

use penstock_model::Protocol;

use crate::{FipKey, FipTarget};

/// The marks that go with these mappings.
pub fn marks<'a>(fip: impl IntoIterator<Item = (&'a FipKey, &'a FipTarget)>) -> BTreeSet<FipKey> {
    fip.into_iter().flat_map(|(key, target)| of(key, target)).collect()
}

/// The marks that go with one mapping.
pub fn of(key: &FipKey, target: &FipTarget) -> impl Iterator<Item = FipKey> + use<> {
    let (key, address) = (*key, target.address);
    let port = (key.protocol == Protocol::Tcp).then_some(target.port);
    [Some(0), port].into_iter().flatten().map(move |port| FipKey { address, port, ..key })
}
