//! Hash functions that RTL, host and reference model share.
//!
//! [`key_hash`], which places what the host writes, and [`member_hash`], which chooses members, are H3 hashes (Carter and
//! Wegman, 1979): output bit `j` is the parity of `key & MASK[j]`, with masks drawn from splitmix64. In hardware each bit is
//! one XOR tree. H3 is linear over GF(2), and the masks are public: anyone finds keys that collide.
//!
//! So [`flow_hash`], which places what packets bring, has a secret, and is not linear: NH (Black, Halevi, Krawczyk, Krovetz
//! and Rogaway, UMAC, 1999) over words of 16 bits, three times under the secret shifted by two words ("Toeplitz"), then fixed
//! H3 masks that spread the three sums over all output bits. Nothing that leaves the card shows it: what does
//! ([`entropy_port`], [`outer_id_mix`]) comes from [`public_hash`].
//!
//! Keys are 128 bits, packed least significant field first as their `TableEntry` says, zero padded.

use crate::limits::{
    ENTROPY_PORT_MIN, ENTROPY_PORTS, FLOW_WAYS, PREFIX_LEN_MIN, PREFIX_ROWS_LOG2, PREFIX_TABLES,
    PREFIX_WAYS,
};
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

/// Bits of [`flow_hash`].
pub const FLOW_HASH_BITS: u32 = 96;
/// Bits of [`flow_hash`] set aside for the row of each way.
pub const FLOW_ROW_BITS: u32 = 16;
/// Lowest bit of the fingerprint in [`flow_hash`]; it reaches to the top.
pub const FLOW_FINGERPRINT_LSB: u32 = 72;
/// Masks of the last step of [`flow_hash`].
pub const FLOW_MIX: [u128; FLOW_HASH_BITS as usize] = {
    let mut out = masks(0x464c_4f57_4d49_5831);
    let mut i = 0;
    while i < out.len() {
        out[i] &= (1 << FLOW_HASH_BITS) - 1;
        i += 1;
    }
    out
};

/// What each word of a secret is XORed with, as the registers have them: so that the secret of zeros, which a card has from power-on,
/// is one like all others. (With sums of the key's bare words it would be the worst: all three alike, and 0 times what words of 0
/// are multiplied with.)
pub const FLOW_SECRET_BASE: [u32; 6] = {
    let drawn: [u128; 2] = masks(0x464c_4f57_4241_5345);
    [
        drawn[0] as u32,
        (drawn[0] >> 32) as u32,
        (drawn[0] >> 64) as u32,
        (drawn[0] >> 96) as u32,
        drawn[1] as u32,
        (drawn[1] >> 32) as u32,
    ]
};

const _: () = assert!(FLOW_WAYS * FLOW_ROW_BITS <= FLOW_FINGERPRINT_LSB);

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

/// Row of `way` in a table with `2^rows_log2` rows that [`key_hash`] places.
#[must_use]
pub const fn row(hash: u64, way: u32, rows_log2: u32) -> u32 {
    ((hash >> (way * rows_log2)) & ((1 << rows_log2) - 1)) as u32
}

/// The secret of [`flow_hash`], as it is written to the registers `HASH_KEY0` to `HASH_KEY5`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowSecret(pub [u32; 6]);

impl FlowSecret {
    /// The secret that takes [`FLOW_SECRET_BASE`] away: keys are multiplied as they are. Nobody wants it but who makes keys that collide.
    pub const BARE: Self = Self(FLOW_SECRET_BASE);

    /// Word `i` of 12 that keys are hashed under: word 2n is the low half of register n.
    #[must_use]
    pub const fn word(&self, i: usize) -> u16 {
        ((self.0[i / 2] ^ FLOW_SECRET_BASE[i / 2]) >> (16 * (i % 2))) as u16
    }
}

impl core::fmt::Debug for FlowSecret {
    /// Nobody is told, not even by a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("FlowSecret")
    }
}

/// One sum of NH over the first words of a key, under as many of the secret from `2 * shift` on, modulo 2^32.
const fn nh(key: u128, secret: &FlowSecret, words: usize, shift: usize) -> u32 {
    let mut sum: u32 = 0;
    let mut i = 0;
    while i < words {
        let a = ((key >> (16 * i)) as u16).wrapping_add(secret.word(i + 2 * shift));
        let b = ((key >> (16 * (i + 1))) as u16).wrapping_add(secret.word(i + 1 + 2 * shift));
        sum = sum.wrapping_add(a as u32 * b as u32);
        i += 2;
    }
    sum
}

/// The 96-bit hash that places flow keys: [`flow_row`] and [`flow_fingerprint`] say what is taken from it.
///
/// ```
/// use penstock_abi::hash::{FlowSecret, flow_hash};
/// // Without a secret all three sums were alike: 0x0003 * 0x0002, no more.
/// let x: u128 = 0x00000006_00000006_00000006;
/// let out = (0..96).fold(0, |out, b| {
///     out | u128::from((x & penstock_abi::hash::FLOW_MIX[b]).count_ones() & 1) << b
/// });
/// assert_eq!(flow_hash(0x0003_0002, &FlowSecret::BARE), out);
/// assert_ne!(flow_hash(0x0003_0002, &FlowSecret::default()), out);
/// ```
#[must_use]
pub const fn flow_hash(key: u128, secret: &FlowSecret) -> u128 {
    flow_mix(
        nh(key, secret, 8, 0) as u128
            | (nh(key, secret, 8, 1) as u128) << 32
            | (nh(key, secret, 8, 2) as u128) << 64,
    )
}

/// The last step of [`flow_hash`], over its three sums.
const fn flow_mix(sums: u128) -> u128 {
    let mut out = 0;
    let mut i = 0;
    while i < FLOW_MIX.len() {
        out |= (((sums & FLOW_MIX[i]).count_ones() & 1) as u128) << i;
        i += 1;
    }
    out
}

/// The 96-bit hash of a client's address, from which its rows in the table `Affinity` come ([`affinity_row`]): as [`flow_hash`] of a key that
/// is no longer than the address, so that the sums have one product each.
#[must_use]
pub const fn client_hash(client: u32, secret: &FlowSecret) -> u128 {
    let key = client as u128;
    flow_mix(
        nh(key, secret, 2, 0) as u128
            | (nh(key, secret, 2, 1) as u128) << 32
            | (nh(key, secret, 2, 2) as u128) << 64,
    )
}

/// Row of `way` in a table `Affinity` with `2^rows_log2` rows a way: the client's, exclusive-or one that [`key_hash`] gives the number, so
/// that most of it is known before the number is.
#[must_use]
pub const fn affinity_row(client_hash: u128, number: u16, way: u32, rows_log2: u32) -> u32 {
    flow_row(client_hash, way, rows_log2) ^ row(key_hash(number as u128), way, rows_log2)
}

/// Row of `way` in a flow table with `2^rows_log2` rows a way.
#[must_use]
pub const fn flow_row(hash: u128, way: u32, rows_log2: u32) -> u32 {
    ((hash >> (way * FLOW_ROW_BITS)) & ((1 << rows_log2) - 1)) as u32
}

/// What stands for a key where requests that are pending are compared.
#[must_use]
pub const fn flow_fingerprint(hash: u128) -> u32 {
    (hash >> FLOW_FINGERPRINT_LSB) as u32
}

/// Key of the flow table.
#[must_use]
pub fn flow_key(key: &FlowKey) -> u128 {
    let w = key.pack();
    u128::from(w[0]) | u128::from(w[1]) << 32 | u128::from(w[2]) << 64 | u128::from(w[3]) << 96
}

/// Key of the host-route table, and of the tables of prefixes: `vrf[11:0]`, then `ip[31:0]`.
#[must_use]
pub const fn host_route_key(vrf: u16, ip: u32) -> u128 {
    (vrf as u128 & 0xfff) | (ip as u128) << 12
}

/// Table in which prefixes of the length `PrefixLength[rank]` stand, of the address `ip` in a VRF: `rank` exclusive-or bits 22..20 of
/// the [`key_hash`] of VRF and first 8 bits of the address. So prefixes of one length use all tables, as long as they are of
/// many VRFs or begin with different bits, and an address finds those of each length in another table.
#[must_use]
pub const fn prefix_table(rank: u32, vrf: u16, ip: u32) -> u32 {
    let first = ip & !(u32::MAX >> PREFIX_LEN_MIN);
    let hash = key_hash(host_route_key(vrf, first)) >> (PREFIX_WAYS * PREFIX_ROWS_LOG2);
    rank ^ (hash as u32 & (PREFIX_TABLES - 1))
}

/// Key of the floating-IP table: `vif`, `proto`, `ip`, `port`, lowest first.
#[must_use]
pub const fn fip_key(vif: u8, proto: u8, ip: u32, port: u16) -> u128 {
    vif as u128 | (proto as u128) << 8 | (ip as u128) << 16 | (port as u128) << 48
}

/// Key of the table of services: `net[11:0]`, `proto`, `ip`, `port`, lowest first.
#[must_use]
pub const fn service_key(net: u16, proto: u8, ip: u32, port: u16) -> u128 {
    (net as u128 & 0xfff) | (proto as u128) << 12 | (ip as u128) << 20 | (port as u128) << 52
}

/// Key of the table of tunnel sources: `set[13:0]`, `ip`, lowest first.
#[must_use]
pub const fn tunnel_source_key(set: u16, ip: u32) -> u128 {
    (set as u128 & 0x3fff) | (ip as u128) << 14
}

/// Key of the table of floating IPs without port map: `vif`, `ip`, lowest first.
#[must_use]
pub const fn plain_fip_key(vif: u8, ip: u32) -> u128 {
    vif as u128 | (ip as u128) << 8
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

/// The hash of a flow key that may be seen outside: [`member_hash`] over all fields.
#[must_use]
pub fn public_hash(key: &FlowKey) -> u32 {
    member_hash(key, FIELD_ALL)
}

/// UDP source port of the outer header: 49152 + (h * 16383 >> 14), `h` = bits 31..18 of [`public_hash`].
#[must_use]
pub const fn entropy_port(public_hash: u32) -> u16 {
    ENTROPY_PORT_MIN + (((public_hash >> 18) * ENTROPY_PORTS) >> 14) as u16
}

/// What the outer IPv4 header's identification differs by from the inner one's: bits 15..0 of [`public_hash`].
#[must_use]
pub const fn outer_id_mix(public_hash: u32) -> u16 {
    public_hash as u16
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn entropy_stays_in_the_dynamic_range() {
        assert_eq!(entropy_port(0), 49152);
        assert_eq!(entropy_port(u32::MAX), 65534);
    }

    /// Rows and fingerprint are independent of each other as far as 96 bits of sums can make them.
    #[test]
    fn the_mix_loses_nothing_of_what_is_taken() {
        let rows = 0..FLOW_WAYS * FLOW_ROW_BITS;
        let taken = rows.chain(FLOW_FINGERPRINT_LSB..FLOW_HASH_BITS);
        let mut pivots: Vec<u128> = Vec::new();
        for bit in taken {
            let mask = pivots.iter().fold(FLOW_MIX[bit as usize], |m, p| m.min(m ^ p));
            assert_ne!(mask, 0, "bit {bit} follows from those below");
            pivots.push(mask);
            pivots.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    #[test]
    fn each_word_of_the_secret_counts() {
        let key = 0x0012_3456_789a_bcde_f012_3456_789a_bcde;
        let base = flow_hash(key, &FlowSecret::default());
        for bit in 0..192 {
            let mut secret = FlowSecret::default();
            secret.0[bit / 32] ^= 1 << (bit % 32);
            assert_ne!(flow_hash(key, &secret), base, "bit {bit}");
        }
    }

    #[test]
    fn clients_and_numbers_spread_over_the_rows() {
        let secret = FlowSecret([1, 2, 3, 4, 5, 6]);
        for way in 0..2 {
            let row =
                |client: u32, number| affinity_row(client_hash(client, &secret), number, way, 15);
            let mut clients: Vec<u32> = (0..4096).map(|n| row(0x0a2f_0000 + n, 7)).collect();
            let mut numbers: Vec<u32> = (1..=4096).map(|n| row(0x0a2f_ffed, n)).collect();
            for rows in [&mut clients, &mut numbers] {
                rows.sort_unstable();
                rows.dedup();
                assert!(rows.len() > 3600, "way {way}: {}", rows.len());
            }
        }
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
