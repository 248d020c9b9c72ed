//! Prefixes: of routes, and of route targets.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use penstock_model::MplsLabel;

use super::super::notification::{Notification, code};
use super::Fault;
use crate::community::RouteTarget;
use crate::path::{RouteDistinguisher, VpnPrefix};

/// Route targets that a peer wants: those that begin with these bits (RFC 4684 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Membership {
    /// The AS that wants them; 0 in the membership of all targets.
    pub asn: u32,
    /// How many bits of the target count; none = all targets.
    pub bits: u8,
    target: [u8; 8],
}

impl Membership {
    /// All targets.
    pub const ALL: Self = Self { asn: 0, bits: 0, target: [0; 8] };

    /// Whether it is about this target.
    #[must_use]
    pub fn covers(&self, target: RouteTarget) -> bool {
        let differing = u64::from_be_bytes(self.target) ^ u64::from_be_bytes(target.octets());
        differing.leading_zeros() >= u32::from(self.bits)
    }
}

/// The next prefix of at most `longest` bits: how many it has, and its octets.
pub(super) fn take_prefix<'a>(bytes: &mut &'a [u8], longest: u8) -> Option<(u8, &'a [u8])> {
    let (&bits, rest) = bytes.split_first()?;
    let (octets, rest) = rest.split_at_checked(usize::from(bits.div_ceil(8)))?;
    *bytes = rest;
    (bits <= longest).then_some((bits, octets))
}

/// Bits of a label and a distinguisher.
const BEFORE_PREFIX: u8 = 24 + 64;

/// Labelled prefixes (RFC 8277 section 2.2: one label; RFC 4364 section 4.3.4).
pub(super) fn vpn_prefixes(
    mut nlri: &[u8],
    faults: &mut Vec<Fault>,
) -> Result<Vec<(VpnPrefix, MplsLabel)>, Notification> {
    let broken = || Notification::new(code::UPDATE, code::INVALID_NETWORK);
    let mut prefixes = Vec::with_capacity(nlri.len() / 12);
    while !nlri.is_empty() {
        let (bits, octets) = take_prefix(&mut nlri, BEFORE_PREFIX + 32).ok_or_else(broken)?;
        let length = bits.checked_sub(BEFORE_PREFIX).ok_or_else(broken)?;
        let (&[a, b, c], rest) = octets.split_first_chunk::<3>().ok_or_else(broken)?;
        let (&distinguisher, rest) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        let mut address = [0; 4];
        address[..rest.len()].copy_from_slice(rest);
        let address = Ipv4Addr::from(address);
        let prefix = Ipv4Net::new(address, length).map_err(|_| broken())?.trunc();
        if prefix.addr().is_multicast() || prefix.addr().is_broadcast() {
            faults.push(Fault::Unusable);
            continue;
        }
        let distinguisher = RouteDistinguisher(distinguisher);
        let label = MplsLabel(u32::from_be_bytes([0, a, b, c]) >> 4);
        prefixes.push((VpnPrefix { distinguisher, prefix }, label));
    }
    Ok(prefixes)
}

/// Route targets, or what they begin with (RFC 4684 section 4).
pub(super) fn target_prefixes(mut nlri: &[u8]) -> Result<Vec<Membership>, Notification> {
    let broken = || Notification::new(code::UPDATE, code::INVALID_NETWORK);
    let mut memberships = Vec::with_capacity(nlri.len() / 13);
    while !nlri.is_empty() {
        let (bits, octets) = take_prefix(&mut nlri, 96).ok_or_else(broken)?;
        let Some((&asn, rest)) = octets.split_first_chunk::<4>() else {
            if bits != 0 {
                return Err(broken());
            }
            memberships.push(Membership::ALL);
            continue;
        };
        let bits = bits.checked_sub(32).ok_or_else(broken)?;
        let mut target = [0; 8];
        target[..rest.len()].copy_from_slice(rest);
        let masked =
            u64::from_be_bytes(target) & u64::MAX.checked_shl(64 - u32::from(bits)).unwrap_or(0);
        let target = masked.to_be_bytes();
        memberships.push(Membership { asn: u32::from_be_bytes(asn), bits, target });
    }
    Ok(memberships)
}
