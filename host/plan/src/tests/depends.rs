//! What has to be looked at again when something changes on which it depends, though the card does not show it.

use std::sync::Arc;

use penstock_abi::table;
use penstock_compile::{Group, GroupMember, NextHopKey, RouteTarget};
use penstock_model::{Protocol, VrfId};
use penstock_tables::Shape;

use super::world::{Bench, LOCAL, NODE, hop, map, pod, reaches, serve, vip};
use crate::plan;

/// A floating IP has its mappings on the nodes of its backends, whose routes may be elsewhere.
#[test]
fn a_mapping_of_a_service_without_a_route_goes_with_it() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[LOCAL]);
    map(&mut d, vip(1), 80);
    d.services.insert(vip(1), Arc::new([(Protocol::Tcp, 80)].into()));
    bench.bring(&d);
    d.fip.clear();
    bench.bring(&d);
    assert_eq!(bench.card.of::<table::FipKey>().len(), 3, "stays");
    d.services.clear();
    let planned = bench.planner.plan(&d);
    bench.execute(&planned);
    assert_eq!(bench.card.of::<table::FipKey>().len(), 0, "the service is gone");
}

/// The card has no place for the route to a pod of this node, and yet that route says how long the pod stays where it departed.
#[test]
fn who_departed_without_a_route_on_the_card_goes_with_it() {
    let three = VrfId(3);
    let mut bench = Bench::new(Shape { host_route_rows_log2: 0, ..Shape::default() });
    let mut d = reaches(&[1, 2, 3, 4, 5, 6, LOCAL]);
    let member =
        |last| GroupMember { hop: hop(last), pod: Some(pod(last)), draining: false, port: None };
    let group = |lasts: &[u8]| {
        let mut members: Vec<_> = lasts.iter().map(|last| member(*last)).collect();
        members.sort();
        RouteTarget::Group(Arc::new(Group { members, hash_fields: 0x1f, affinity_seconds: 0 }))
    };
    d.services.insert(vip(1), Arc::new([(Protocol::Tcp, 80)].into()));
    d.routes.insert((three, vip(1)), group(&[1, LOCAL]));
    assert_eq!(bench.bring(&d), []);
    d.routes.insert((three, pod(LOCAL)), RouteTarget::Hop(hop(LOCAL)));
    assert_eq!(bench.bring(&d).len(), 1);
    d.routes.insert((three, vip(1)), group(&[1]));
    assert_eq!(bench.bring(&d).len(), 1);
    d.routes.remove(&(three, pod(LOCAL)));
    let full = plan(&d, &bench.card).plan.writes();
    let planned = bench.planner.plan(&d);
    assert_eq!(planned.plan.writes(), full, "incremental, full");
}

/// A next hop that is still wanted, and cannot be said to the card any more, takes with it what names it.
#[test]
fn what_names_a_next_hop_that_cannot_be_said_goes_with_it() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[1, 2, LOCAL]);
    serve(&mut d, vip(1), &[1, LOCAL]);
    assert_eq!(bench.bring(&d), []);
    let mut unsaid = d.clone();
    let tunnel = unsaid.next_hops.get_mut(&NextHopKey::TunnelUdp(NODE)).unwrap();
    tunnel.source = Some("fd00::1".parse().unwrap());
    let refused = bench.bring(&unsaid);
    assert_eq!(refused.len(), 4, "the tunnel, two pods, and the group: {refused:?}");
    assert_eq!(bench.route(pod(1)), None);
    assert_eq!(bench.bring(&d), []);
}

/// So does one that stands in for members who departed.
#[test]
fn a_group_of_departed_members_is_looked_at_when_what_refuses_goes() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[1]);
    serve(&mut d, vip(1), &[1]);
    bench.bring(&d);
    serve(&mut d, vip(1), &[]);
    bench.bring(&d);
    d.next_hops.remove(&NextHopKey::Reject);
    assert_eq!(bench.bring(&d).len(), 1);
}
