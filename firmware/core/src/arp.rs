//! ARP for the virtual gateway.
//!
//! A pod has no neighbours but the card: whatever address it asks for, be it the gateway's, another pod's or a
//! service's, the answer is [`GATEWAY_MAC`], and the card routes what is sent there. Not answered are
//! announcements and probes of the pod's own address (RFC 5227): target equal to sender, or sender 0.0.0.0; an answer to
//! a probe would tell the pod that its address is taken.
//!
//! Worked example: pod 10.47.255.237 asks for 10.105.139.153 (a service address).
//! Request `who-has 10.105.139.153 tell 10.47.255.237`, from 02:..:01; reply `10.105.139.153 is-at 00:00:5e:00:01:00`, to 02:..:01.

use crate::frame::{Arp, ETHERTYPE_ARP, ETHERTYPE_IPV4, Frame, Link, push};
use penstock_abi::limits::GATEWAY_MAC;
use zerocopy::FromBytes as _;

const HARDWARE_ETHERNET: u16 = 1;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const GROUP_BIT: u8 = 1;

/// Writes the answer to a frame, if it is a request to be answered, into the empty `answer`.
#[must_use]
pub fn reply(frame: &[u8], answer: &mut Frame) -> Option<()> {
    let (link, payload) = Link::split(frame)?;
    let (request, _) = Arp::ref_from_prefix(payload).ok()?;
    let valid = link.ethertype == ETHERTYPE_ARP
        && request.hardware_type.get() == HARDWARE_ETHERNET
        && request.protocol_type.get() == ETHERTYPE_IPV4
        && request.hardware_bytes == 6
        && request.protocol_bytes == 4
        && request.operation.get() == REQUEST
        && link.source[0] & GROUP_BIT == 0;
    let own = request.sender_ip == request.target_ip || request.sender_ip == [0; 4];
    if !valid || own {
        return None;
    }
    link.answer(GATEWAY_MAC, answer)?;
    push(
        answer,
        &Arp {
            operation: REPLY.into(),
            sender_mac: GATEWAY_MAC,
            sender_ip: request.target_ip,
            target_mac: request.sender_mac,
            target_ip: request.sender_ip,
            ..*request
        },
    )
}
