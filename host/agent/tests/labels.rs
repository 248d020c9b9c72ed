//! From the node's block of labels to the card's tables, by the engine that is shipped.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::table::{HostRoute, Ilm, NextHop, NextHopKind, ServiceKey};
use penstock_agent::State;
use penstock_device::fake::FakeCard;
use penstock_model::{
    FloatingIp, FloatingIpKind, Hints, Intent, LabelBlock, Listener, LoadBalancer, Member,
    MemberState, MplsLabel, NetworkName, Node, ObjectName, Pool, Scope, Vrf, VrfId,
};
use support::{Bench, intent, node};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 105, 0, 1);

/// A service of the pod at vif 8, on a node that has labels for services or not.
fn wanted(labels: Option<LabelBlock>) -> Arc<Intent> {
    let mut wanted = Intent::clone(&intent(&[(8, "web", 25)]));
    wanted.node = Some(Arc::new(Node { service_labels: labels, ..node() }));
    let networks = vec![NetworkName::services()];
    let vrf = Vrf { id: VrfId(2), name: "pods".to_owned(), networks, ..Vrf::default() };
    wanted.vrfs.insert(vrf.id, Arc::new(vrf));
    let member = Member {
        address: IpAddr::from([10, 47, 255, 8]),
        port: 8080,
        state: MemberState::Active,
        node: String::new(),
        hints: Hints::default(),
    };
    let service = LoadBalancer {
        name: ObjectName::new("shop", "web"),
        floating_ips: vec![FloatingIp {
            address: VIP.into(),
            network: NetworkName::services(),
            kind: FloatingIpKind::Cluster,
            scope: Scope::Cluster,
        }],
        listeners: vec![Listener {
            port: 80,
            pool: Pool { members: [member].into_iter().collect() },
            ..Listener::default()
        }],
        ..LoadBalancer::default()
    };
    wanted.balancers.insert(service.name.clone(), Arc::new(service));
    Arc::new(wanted)
}

#[tokio::test]
async fn a_floating_ip_has_a_label_while_the_node_has_some() {
    let fake = FakeCard::new();
    let bench = Bench::shipped(fake.clone());
    bench.intent.send_replace(wanted(Some(LabelBlock { first: MplsLabel(4096), count: 8 })));
    bench.wait("the tables", |b| b.agent.handle().status().borrow().state == State::InSync).await;
    let tables = fake.tables();
    let (label, own) = tables.of::<Ilm>().iter().find(|(_, ilm)| ilm.service).unwrap();
    assert!((4096..4104).contains(&label));
    let route = tables.of::<HostRoute>().values().find(|r| r.ip == u32::from(VIP)).unwrap();
    assert_eq!((own.vrf, own.nh, own.key_nh), (2, 0, route.nh));
    let key = *tables.of::<ServiceKey>().values().find(|key| key.valid).unwrap();
    let local = *tables.get::<NextHop>(key.local.into()).unwrap();
    assert_eq!((local.kind, local.slots), (NextHopKind::Composite, 1));
    assert!(tables.ring_word(local.base, 0).unwrap().local);
    // Without labels nothing comes by one. Who had connections so keeps them, and gets no more.
    bench.intent.send_replace(wanted(None));
    let takes_none = |b: &Bench| {
        let tables = b.fake.tables();
        let key = tables.of::<ServiceKey>().values().find(|key| key.valid).copied().unwrap();
        let local = *tables.get::<NextHop>(key.local.into()).unwrap();
        key.nh != 0 && tables.ring_word(local.base, 0).is_some_and(|word| word.drain)
    };
    bench.wait("the label's end", |b| b.labels() == [25] && takes_none(b)).await;
}
