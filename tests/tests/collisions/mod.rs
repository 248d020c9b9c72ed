//! Flows that press the insertion unit: keys in the same bucket of every way, as whoever knows the hash's secret finds them, more
//! new flows at once than it can keep up with, and a table that is nearly full.
#![allow(dead_code)] // Each test takes what it needs.

use penstock_abi::hash::{FlowSecret, flow_hash, flow_key};
use penstock_abi::table::{
    DefaultRoute, EcmpSlot, FipMap, FlowKey, NextHop, NextHopKind, ServiceKey, TableEntry, TableId,
    Vif, VifKind, Vrf,
};
use penstock_refmodel::Ingress;
use penstock_refmodel::r#gen::Write;
use penstock_refmodel::packet::{frame, udp};
use penstock_refmodel::wire::UDP;
use penstock_tables::{Keyed, Shape};
use penstock_tests::script::{NEW_FLOWS_ALONE, Script, Step};

const POD_NH: u16 = 21;
const BASE: FlowKey =
    FlowKey { nh: POD_NH, proto: 17, sip: 0x0a2f_0005, dip: 0x0b00_0007, sport: 4000, dport: 5000 };

/// `count` keys of a protocol that fall into the same bucket of every way under the secret that adds nothing, and whose replies' keys do, too:
/// what they differ in is multiplied by 0. Their fingerprints are equal as well.
pub(crate) fn in_one_bucket(proto: u8, count: u16) -> Vec<FlowKey> {
    let base = FlowKey { proto, sport: 1, dport: 0x100, ..BASE };
    let reply =
        |k: &FlowKey| FlowKey { sip: k.dip, dip: k.sip, sport: k.dport, dport: k.sport, ..*k };
    let hash = |k: &FlowKey| flow_hash(flow_key(k), &FlowSecret::BARE);
    let keys: Vec<FlowKey> = (0..count)
        .map(|n| FlowKey { sport: 1 + n % 16, dport: (1 + n / 16) << 8, ..base })
        .collect();
    let alike = |k: &FlowKey| hash(k) == hash(&base) && hash(&reply(k)) == hash(&reply(&base));
    assert!(keys.iter().all(alike), "{keys:x?}");
    keys
}

/// `count` new flows in one bucket, then some age, then all again.
pub(crate) fn script(count: u16) -> Script {
    let keys = in_one_bucket(UDP, count);
    let mut steps: Vec<Step> = keys.iter().map(send).collect();
    steps.push(Step::Check);
    for pick in 0..5 {
        steps.push(Step::Age(pick * 7));
    }
    steps.extend(keys.iter().rev().map(send));
    steps.push(Step::Check);
    // One at a time: with equal fingerprints, one that is pending would be taken for the next.
    Script { seed: 0, tables: tables(), steps, new_flows: 1 }
}

/// One packet each of `count` flows, back to back, twice over.
pub(crate) fn flood(count: u16) -> Script {
    let keys = (0..count).map(|n| FlowKey { sport: 1000 + n, ..BASE });
    let mut steps: Vec<Step> = keys.clone().map(|k| send(&k)).collect();
    steps.push(Step::Check);
    steps.extend(keys.map(|k| send(&k)));
    steps.push(Step::Check);
    Script { seed: 0, tables: tables(), steps, new_flows: usize::MAX }
}

/// One packet each of `count` flows to a service, back to back, twice over.
pub(crate) fn flood_of_service(count: u16) -> Script {
    let mut steps: Vec<Step> = (0..count).map(|n| send(&to_service(n))).collect();
    steps.push(Step::Check);
    steps.extend((0..count).map(|n| send(&to_service(n))));
    steps.push(Step::Check);
    Script { seed: 0, tables: with_service(), steps, new_flows: usize::MAX }
}

/// So many flows that one that translates is refused; then one pair goes, and it is admitted.
pub(crate) fn nearly_full(card: Shape) -> Script {
    let flows = card.flows_translated_max / 2 + 1;
    let keys =
        (0..flows).map(|n| FlowKey { dip: BASE.dip + n / 1000, sport: (n % 1000) as u16, ..BASE });
    let mut steps: Vec<Step> = keys.map(|k| send(&k)).collect();
    steps.push(send(&to_service(1)));
    steps.push(Step::Age(0));
    steps.extend([send(&to_service(1)), send(&to_service(1)), Step::Check]);
    Script { seed: 0, tables: with_service(), steps, new_flows: NEW_FLOWS_ALONE }
}

const VIP: u32 = 0x0a69_0001;

fn to_service(n: u16) -> FlowKey {
    FlowKey { dip: VIP, sport: 1000 + n, dport: 53, ..BASE }
}

/// As [`tables`], and a service whose backend is a pod of this node.
fn with_service() -> Vec<Write> {
    let (pod_ip, pod_port) = (0x0a2f_0006, 5353);
    let pod = Vif { valid: true, kind: VifKind::Virtual, vrf: 1, nh: 22, ..Vif::default() };
    let encap = NextHop { valid: true, kind: NextHopKind::Encap, vif: 6, ..NextHop::default() };
    let kind = NextHopKind::Composite;
    let group = NextHop { valid: true, kind, slots: 1, live: 1, ..NextHop::default() };
    let member = EcmpSlot { valid: true, nh: 22, label: 77, local: true, ..EcmpSlot::default() };
    let map = FipMap { valid: true, generation: 1, pod_ip, pod_port, vip: VIP, vip_port: 53 };
    let key = ServiceKey {
        valid: true,
        net: 1,
        proto: UDP,
        ip: VIP,
        port: 53,
        nh: 23,
        local: 23,
        affinity: 0,
    };
    let key_at = ServiceKey::places(key.key(), Shape::default()).next();
    let vrf = Vrf { valid: true, service_net: 1, ..Vrf::default() };
    let mut all = tables();
    all.extend([
        (TableId::Vrf, 1, vrf.pack()),
        (TableId::Vif, 6, Vif { ip: pod_ip, ..pod }.pack()),
        (TableId::NextHop, 22, encap.pack()),
        (TableId::FipMap, 77, map.pack()),
        // A slot, and the list of those that take new flows.
        (TableId::Ecmp, 0, member.pack()),
        (TableId::Ecmp, 1, member.pack()),
        (TableId::NextHop, 23, group.pack()),
        (TableId::ServiceKey, key_at.expect("every key has places"), key.pack()),
    ]);
    all
}

/// A pod that sends everything into one tunnel.
pub(crate) fn tables() -> Vec<Write> {
    let vif = Vif { valid: true, kind: VifKind::Virtual, vrf: 1, nh: POD_NH, ..Vif::default() };
    let tunnel =
        NextHop { valid: true, kind: NextHopKind::Tunnel, dip: 9, sip: 8, ..NextHop::default() };
    let all = DefaultRoute { valid: true, nh: 30, label: 77, label_valid: true, sources: 1 };
    vec![
        (
            TableId::Vif,
            0,
            Vif { valid: true, kind: VifKind::Fabric, ip: 8, ..Vif::default() }.pack(),
        ),
        (TableId::Vif, 5, vif.pack()),
        (TableId::NextHop, 30, tunnel.pack()),
        (TableId::DefaultRoute, 1, all.pack()),
    ]
}

fn send(k: &FlowKey) -> Step {
    let frame = frame(&udp(k.sip, k.dip, k.sport, k.dport, b"full?"));
    Step::Frame { ingress: Ingress::Host(5), frame, gap: 0 }
}
