//! Which members serve when a floating IP has more of them than a group can have.
//!
//! Rendezvous hashing: each pod has a number that depends on the node, the floating IP and the pod alone, and those with the
//! highest numbers serve. So one pod more or less changes the choice by one at most; all nodes together use all pods, as each
//! chooses others; and the choice is the same after a restart. Pods that take new connections come before those that drain.

use std::cmp::Reverse;
use std::net::IpAddr;

use crate::GroupMember;

/// Leaves `max` of the members, in order.
pub(crate) fn keep(members: &mut Vec<GroupMember>, max: usize, node: &str, vip: IpAddr) {
    if members.len() <= max {
        return;
    }
    let seed = octets(fnv(FNV_OFFSET, node.bytes()), Some(vip));
    let rank = |member: &GroupMember| {
        (member.draining, Reverse(mix(octets(seed, member.pod))), member.hop)
    };
    members.sort_by_cached_key(rank);
    members.truncate(max);
    members.sort_unstable_by_key(|member| (member.hop, member.pod));
}

/// A number for an address that is the same for ever, and near to no other's.
pub(crate) fn number(address: IpAddr) -> u64 {
    mix(octets(FNV_OFFSET, Some(address)))
}

/// FNV-1a: as good as any where nobody attacks, and the same for ever.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn octets(hash: u64, address: Option<IpAddr>) -> u64 {
    match address {
        None => hash,
        Some(IpAddr::V4(address)) => fnv(hash, address.octets().into_iter()),
        Some(IpAddr::V6(address)) => fnv(hash, address.octets().into_iter()),
    }
}

/// Lets the last octet, in which pods differ, reach the highest bits (the finaliser of MurmurHash3).
fn mix(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ hash >> 33).wrapping_mul(factor);
    }
    hash ^ hash >> 33
}
