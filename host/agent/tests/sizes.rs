//! Cards of other sizes than the RTL's: the same intent on each, as far as its tables reach.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use penstock_abi::regs;
use penstock_abi::table::{HostRoute, Ilm, NextHop, NextHopKind, TableId};
use penstock_agent::State;
use penstock_device::fake::FakeCard;
use penstock_model::{
    Encapsulation, FloatingIp, FloatingIpKind, Hints, Intent, IpNet, Listener, LoadBalancer,
    MacAddr, Member, MemberState, MplsLabel, NetworkName, ObjectId, ObjectName, Path, Peer, Pool,
    Reason, Scope, Vrf, VrfId,
};
use penstock_tables::Shape;
use support::{Bench, intent};

const VRF: VrfId = VrfId(2);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 169, 25, 21));
/// Pods on the other node, all of them behind one service.
const MEMBERS: u16 = 1000;
const LABEL: u32 = 9000;

fn pod(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    IpAddr::from([10, 48, high, low])
}

/// A pod under a label that only a large card has, and a service with more members than a small one's groups have slots.
fn wanted() -> Arc<Intent> {
    let mut wanted = Intent::clone(&intent(&[(8, "web", LABEL)]));
    let networks = vec![NetworkName::services()];
    let vrf = Vrf { id: VRF, name: "pods".to_owned(), networks, ..Vrf::default() };
    wanted.vrfs.insert(VRF, Arc::new(vrf));
    let peer = Peer { name: "cent333".to_owned(), address: PEER };
    wanted.peers.insert(peer.name.clone(), Arc::new(peer));
    for n in 0..MEMBERS {
        let path = Path {
            next_hop: PEER,
            label: MplsLabel(100 + u32::from(n)),
            encapsulation: Encapsulation::MplsOverUdp,
            preference: Path::PREFERENCE,
            announcer: "cent333".into(),
        };
        wanted.rib.insert((VRF, IpNet::from(pod(n))), [path].into());
    }
    let member = |n| Member {
        address: pod(n),
        port: 80,
        state: MemberState::Active,
        node: String::new(),
        hints: Hints::default(),
    };
    let pool = Pool { members: (0..MEMBERS).map(member).collect() };
    let service = LoadBalancer {
        name: ObjectName::new("shop", "web"),
        floating_ips: vec![FloatingIp {
            address: IpAddr::from([10, 105, 0, 1]),
            network: NetworkName::services(),
            kind: FloatingIpKind::Cluster,
            scope: Scope::Cluster,
        }],
        listeners: vec![Listener { port: 80, pool, ..Listener::default() }],
        ..LoadBalancer::default()
    };
    wanted.balancers.insert(service.name.clone(), Arc::new(service));
    Arc::new(wanted)
}

/// What a card makes of it: the objects that are not served whole and why, and what it holds.
async fn outcome(shape: Shape) -> (Vec<(String, Reason)>, FakeCard) {
    let fake = FakeCard::with_shape(shape);
    let bench = Bench::shipped(fake.clone());
    bench.neighbours.send_replace(Some([(PEER, MacAddr([2; 6]))].into_iter().collect()));
    bench.intent.send_replace(wanted());
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    let findings = bench.agent.handle().status().borrow().findings.clone();
    let told = findings.iter().flat_map(|(object, list)| {
        list.iter().map(|finding| (object.to_string(), finding.reason.clone())).collect::<Vec<_>>()
    });
    let audit = bench.agent.handle().audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let tables = bench.agent.handle().tables().unwrap();
    assert_eq!((tables.shape(), &*tables), (shape, &fake.tables()));
    for table in [TableId::HostRoute, TableId::Ecmp, TableId::NextHop, TableId::Ilm] {
        let last = fake.tables().entries(table, ..).last().map_or(0, |(index, _)| index);
        assert!(last < shape.capacity(table), "{table:?}[{last}]");
    }
    let told = told.collect();
    let writes = fake.writes();
    drop(bench);
    // Who comes next finds it as it should be.
    let bench = Bench::shipped(fake.clone());
    bench.neighbours.send_replace(Some([(PEER, MacAddr([2; 6]))].into_iter().collect()));
    bench.intent.send_replace(wanted());
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    assert_eq!(fake.writes(), writes);
    (told, fake)
}

fn state(bench: &Bench) -> State {
    bench.agent.handle().status().borrow().state
}

/// Members of the groups.
fn members(card: &FakeCard) -> Vec<usize> {
    let tables = card.tables();
    let hops = tables.of::<NextHop>().values();
    let groups = hops.filter(|nh| nh.valid && nh.kind == NextHopKind::Composite);
    let words = |nh: &NextHop| {
        let (base, slots) = (nh.base, u32::from(nh.slots));
        (0..slots).filter(|n| tables.ring_word(base, *n).is_some_and(|word| word.valid)).count()
    };
    groups.map(words).collect()
}

fn out_of_range(last: u32) -> Reason {
    Reason::OutOfRange { what: "label".to_owned(), value: LABEL, first: 16, last }
}

#[tokio::test]
async fn a_card_is_used_as_far_as_its_registers_say() {
    let service = ObjectId::LoadBalancer(ObjectName::new("shop", "web")).to_string();
    let vif = ObjectId::Vif("web".to_owned()).to_string();
    let (told, card) = outcome(Shape::default()).await;
    assert_eq!(told, [(vif.clone(), out_of_range(8191))]);
    assert_eq!(members(&card), [usize::from(MEMBERS)]);

    // More labels, and more room for routes.
    let large = Shape {
        labels: 1 << 14,
        host_route_rows_log2: Shape::default().host_route_rows_log2 + 3,
        ..Shape::default()
    };
    let (told, card) = outcome(large).await;
    assert_eq!(told, []);
    assert_eq!(members(&card), [usize::from(MEMBERS)]);
    assert!(card.tables().get::<Ilm>(LABEL).is_some_and(|label| label.valid));
    let most = Shape::default().capacity(TableId::HostRoute);
    let beyond = card.tables().entries(TableId::HostRoute, most..).count();
    assert!(beyond > 0, "nothing stands where the default card has no entries");

    // Smaller groups.
    let small = Shape { labels: 1 << 10, ecmp_group_max: 16, ecmp_words: 256, ..Shape::default() };
    let (told, card) = outcome(small).await;
    let too_large = Reason::GroupTooLarge {
        address: IpAddr::from([10, 105, 0, 1]),
        served: 16,
        of: MEMBERS.into(),
    };
    assert!(told.contains(&(vif, out_of_range(1023))), "{told:?}");
    assert!(told.contains(&(service.clone(), too_large)), "{told:?}");
    assert_eq!(members(&card), [16]);

    // Fewer routes than pods: those that have no place are refused by name, and there are as many as can be.
    let (told, card) = outcome(Shape { host_route_rows_log2: 6, ..Shape::default() }).await;
    let refused: Vec<_> = told.iter().filter(|(object, _)| object.contains("10.48.")).collect();
    let routes = card.tables().of::<HostRoute>().len();
    assert!((400..=512).contains(&routes), "{routes}");
    assert!(refused.len() >= usize::from(MEMBERS) - routes, "{}", refused.len());
}

#[tokio::test]
async fn a_card_whose_sizes_cannot_be_is_not_touched() {
    for (register, value, text) in [
        (regs::DEPTH_ECMP, 0, "DEPTH_ECMP is 0"),
        (regs::DEPTH_NEXT_HOP, 1 << 17, "DEPTH_NEXT_HOP is 131072"),
        (regs::DEPTH_HOST_ROUTE, 1000, "DEPTH_HOST_ROUTE is 1000"),
        (regs::ECMP_GROUP_MAX, 4096, "ECMP_GROUP_MAX is 4096"),
    ] {
        let fake = FakeCard::new();
        fake.set_register(register, value);
        let bench = Bench::shipped(fake.clone());
        bench.neighbours.send_replace(Some(Default::default()));
        bench.intent.send_replace(wanted());
        bench.wait("the refusal", |b| state(b) == State::Failing).await;
        assert!(bench.last_error().unwrap().contains(text), "{:?}", bench.last_error());
        assert_eq!(fake.writes(), 0);
        // It is another card once it says what can be.
        fake.set_register(
            register,
            Shape::default().registers().find(|r| r.0 == register).unwrap().1,
        );
        bench.wait("the tables", |b| state(b) == State::InSync).await;
    }
}
