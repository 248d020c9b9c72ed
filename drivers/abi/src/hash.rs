//! Hash functions that RTL, host and reference model share.
//!
//! Both are H3 hashes (Carter and Wegman, 1979): output bit `j` is the parity of `key & MASK[j]`, with masks drawn from
//! splitmix64. In hardware each bit is one XOR tree. H3 is linear over GF(2), so it does not resist an attacker who knows
//! the masks; a card-private seed is a matter of the masks alone.
//!
//! Keys are 128 bits, packed least significant field first as their `TableEntry` says, zero padded.

use crate::limits::{ENTROPY_PORT_MIN, ENTROPY_PORTS};
use crate::table::{FlowKey, TableEntry};

/// Member hash covers the IP protocol.
pub const FIELD_PROTO: u8 = 0x1;
/// Member hash covers the source address.
pub const FIELD_SIP: u8 = 0x2;
/// Member hash covers the source port.
pub const FIELD_SPORT: u8 = 0x4;
/// Member hash covers the destination address.
pub const FIELD_DIP: u8 = 0x8;
/// Member hash covers the destination port.
pub const FIELD_DPORT: u8 = 0x10;
/// Member hash covers the whole 5-tuple.
pub const FIELD_ALL: u8 = 0x1f;

const fn splitmix64(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, z ^ (z >> 31))
}

const fn masks<const N: usize>(seed: u64) -> [u128; N] {
    let mut out = [0; N];
    let mut state = seed;
    let mut i = 0;
    while i < N {
        let (s, lo) = splitmix64(state);
        let (s, hi) = splitmix64(s);
        state = s;
        out[i] = ((hi as u128) << 64) | lo as u128;
        i += 1;
    }
    out
}

/// Masks of [`key_hash`].
pub const KEY_MASKS: [u128; 64] = masks(0x5045_4e53_544f_434b);
/// Masks of [`member_hash`].
pub const MEMBER_MASKS: [u128; 32] = masks(0x4543_4d50_4d45_4d42);

/// Masks of the mix behind the flow hash: output bit `j` is the parity of `x & FLOW_MIX[j]`, of 96 bits `x`.
pub const FLOW_MIX: [u128; 96] = masks96(0x464c_4f57_4d49_5831);

const fn masks96(seed: u64) -> [u128; 96] {
    let mut out: [u128; 96] = masks(seed);
    let mut i = 0;
    while i < out.len() {
        out[i] &= (1 << 96) - 1;
        i += 1;
    }
    out
}

const fn h3<const N: usize>(masks: &[u128; N], key: u128) -> u64 {
    let mut out = 0;
    let mut i = 0;
    while i < N {
        out |= (((key & masks[i]).count_ones() & 1) as u64) << i;
        i += 1;
    }
    out
}

/// The 64-bit hash that places keys in tables: way `w` of a table with `2^r` rows uses bits `[w*r +: r]`.
#[must_use]
pub const fn key_hash(key: u128) -> u64 {
    h3(&KEY_MASKS, key)
}

/// Row of `way` in a table with `2^rows_log2` rows.
#[must_use]
pub const fn row(hash: u64, way: u32, rows_log2: u32) -> u32 {
    ((hash >> (way * rows_log2)) & ((1 << rows_log2) - 1)) as u32
}

/// Key of the flow table.
#[must_use]
pub fn flow_key(key: &FlowKey) -> u128 {
    let w = key.pack();
    u128::from(w[0]) | u128::from(w[1]) << 32 | u128::from(w[2]) << 64 | u128::from(w[3]) << 96
}

/// Key of the host-route table: `vrf[11:0]`, then `ip[31:0]`.
#[must_use]
pub const fn host_route_key(vrf: u16, ip: u32) -> u128 {
    (vrf as u128 & 0xfff) | (ip as u128) << 12
}

/// Key of the floating-IP table: `vif`, `proto`, `ip`, `port`, lowest first.
#[must_use]
pub const fn fip_key(vif: u8, proto: u8, ip: u32, port: u16) -> u128 {
    vif as u128 | (proto as u128) << 8 | (ip as u128) << 16 | (port as u128) << 48
}

/// The 32-bit hash that picks an ECMP member: the tuple's fields selected by `fields`, the others 0, packed
/// `proto`, `sip`, `dip`, `sport`, `dport`, lowest first.
#[must_use]
pub fn member_hash(key: &FlowKey, fields: u8) -> u32 {
    let pick = |on: u8, v: u64| if fields & on != 0 { u128::from(v) } else { 0 };
    let packed = pick(FIELD_PROTO, u64::from(key.proto))
        | pick(FIELD_SIP, u64::from(key.sip)) << 8
        | pick(FIELD_DIP, u64::from(key.dip)) << 40
        | pick(FIELD_SPORT, u64::from(key.sport)) << 72
        | pick(FIELD_DPORT, u64::from(key.dport)) << 88;
    h3_member(packed)
}

/// The hash under [`member_hash`], of an already masked and packed key.
#[must_use]
pub const fn h3_member(packed: u128) -> u32 {
    h3(&MEMBER_MASKS, packed) as u32
}

/// Index in `0..count` from a 32-bit hash: the high word of `hash * count` (no modulo).
#[must_use]
pub const fn scale(hash: u32, count: u32) -> u32 {
    ((hash as u64 * count as u64) >> 32) as u32
}

/// UDP source port of the outer header: 49152 + (h * 16383 >> 14), `h` = bits 63..50 of the flow key's hash.
#[must_use]
pub const fn entropy_port(key_hash: u64) -> u16 {
    ENTROPY_PORT_MIN + (((key_hash >> 50) * ENTROPY_PORTS as u64) >> 14) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_stays_in_the_dynamic_range() {
        assert_eq!(entropy_port(0), 49152);
        assert_eq!(entropy_port(u64::MAX), 65534);
    }

    #[test]
    fn members_get_even_shares() {
        let mut seen = [0u32; 5];
        for sport in 0..5000u16 {
            let key = FlowKey {
                nh: 7,
                proto: 6,
                sip: 0x0a2f_ffed,
                dip: 0x0a69_8b99,
                sport: 32768 + sport,
                dport: 8888,
            };
            seen[scale(member_hash(&key, FIELD_ALL), 5) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
    }

    #[test]
    fn unselected_fields_do_not_matter() {
        let a = FlowKey { nh: 1, proto: 6, sip: 1, dip: 2, sport: 3, dport: 4 };
        let b = FlowKey { nh: 2, sport: 99, ..a };
        assert_eq!(member_hash(&a, FIELD_SIP | FIELD_DIP), member_hash(&b, FIELD_SIP | FIELD_DIP));
        assert_ne!(member_hash(&a, FIELD_ALL), member_hash(&b, FIELD_ALL));
    }
}
