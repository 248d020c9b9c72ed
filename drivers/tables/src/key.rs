//! Entries that are found by what they are about, and where in a table those may stand.

use std::hash::Hash;

use penstock_abi::hash::{
    fip_key, flow_key, host_route_key, key_hash, plain_fip_key, row, service_key, tunnel_source_key,
};
use penstock_abi::limits::{
    BUCKET_SLOTS, FIP_KEY_WAYS, FLOW_WAYS, HOST_ROUTE_WAYS, PLAIN_FIP_WAYS, SERVICE_KEY_WAYS,
    TUNNEL_SOURCE_WAYS,
};
use penstock_abi::table::{
    FipKey, Flow, FlowKey, HostRoute, PlainFip, ServiceKey, TunnelSource, bucket_index,
};

use crate::{Shape, Stored};

/// An entry that has a key.
pub trait Keyed: Stored {
    /// What it is found by.
    type Key: Copy + Eq + Hash + Ord + std::fmt::Debug;

    /// What this one is found by.
    fn key(&self) -> Self::Key;

    /// Whether it is found at all.
    fn is_valid(&self) -> bool;

    /// The indices at which the card looks for a key, in its order.
    fn places(key: Self::Key, shape: Shape) -> impl Iterator<Item = u32>;
}

impl Keyed for HostRoute {
    /// VRF, address.
    type Key = (u16, u32);

    fn key(&self) -> Self::Key {
        (self.vrf, self.ip)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places((vrf, ip): Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        let hash = key_hash(host_route_key(vrf, ip));
        bucket_slots(hash, HOST_ROUTE_WAYS, shape.host_route_rows_log2)
    }
}

impl Keyed for FipKey {
    /// vif, IP protocol, address, port.
    type Key = (u8, u8, u32, u16);

    fn key(&self) -> Self::Key {
        (self.vif, self.proto, self.ip, self.port)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places((vif, proto, ip, port): Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        let hash = key_hash(fip_key(vif, proto, ip, port));
        bucket_slots(hash, FIP_KEY_WAYS, shape.fip_key_rows_log2)
    }
}

impl Keyed for ServiceKey {
    /// Service network, IP protocol, address, port.
    type Key = (u16, u8, u32, u16);

    fn key(&self) -> Self::Key {
        (self.net, self.proto, self.ip, self.port)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places((net, proto, ip, port): Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        let hash = key_hash(service_key(net, proto, ip, port));
        bucket_slots(hash, SERVICE_KEY_WAYS, shape.service_key_rows_log2)
    }
}

impl Keyed for TunnelSource {
    /// Set, outer source address.
    type Key = (u16, u32);

    fn key(&self) -> Self::Key {
        (self.set, self.ip)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places((set, ip): Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        let hash = key_hash(tunnel_source_key(set, ip));
        bucket_slots(hash, TUNNEL_SOURCE_WAYS, shape.tunnel_source_rows_log2)
    }
}

impl Keyed for PlainFip {
    /// vif, address.
    type Key = (u8, u32);

    fn key(&self) -> Self::Key {
        (self.vif, self.ip)
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places((vif, ip): Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        let hash = key_hash(plain_fip_key(vif, ip));
        bucket_slots(hash, PLAIN_FIP_WAYS, shape.plain_fip_rows_log2)
    }
}

impl Keyed for Flow {
    type Key = FlowKey;

    fn key(&self) -> Self::Key {
        FlowKey {
            nh: self.nh,
            proto: self.proto,
            sip: self.sip,
            dip: self.dip,
            sport: self.sport,
            dport: self.dport,
        }
    }

    fn is_valid(&self) -> bool {
        self.valid
    }

    fn places(key: Self::Key, shape: Shape) -> impl Iterator<Item = u32> {
        bucket_slots(key_hash(flow_key(&key)), FLOW_WAYS, shape.flow_rows_log2)
    }
}

/// Indices of all the slots in which a key with this hash may stand: those of its row in each way.
pub fn bucket_slots(hash: u64, ways: u32, rows_log2: u32) -> impl Iterator<Item = u32> {
    (0..ways).flat_map(move |way| {
        let row = row(hash, way, rows_log2);
        (0..BUCKET_SLOTS).map(move |slot| bucket_index(way, row, slot, rows_log2))
    })
}
