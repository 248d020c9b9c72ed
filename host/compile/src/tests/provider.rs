//! Other providers beside the card itself.

use super::*;
use crate::{Provider, Reach, Served, Vip};
use penstock_model::ProviderName;

/// Leads floating IPs to a pod on this node in which a proxy runs.
struct Proxy {
    pod: IpAddr,
}

impl Provider for Proxy {
    fn name(&self) -> ProviderName {
        "proxy".into()
    }

    fn serve(&self, vip: &Vip<'_>, reach: &Reach<'_>) -> Served {
        let mut served = Served::default();
        for &vrf in vip.vrfs {
            let nowhere = Hop { next_hop: NextHopKey::Discard, label: None };
            let hop = reach.hop(vrf, self.pod).unwrap_or(nowhere);
            served.routes.push((vrf, RouteTarget::Hop(hop)));
        }
        let port = |front: &crate::Front<'_>| (front.listener.protocol, front.listener.port);
        served.ports = vip.fronts.iter().map(port).collect();
        served
    }
}

fn proxied() -> LoadBalancer {
    LoadBalancer { provider: "proxy".into(), ..chapter() }
}

#[test]
fn another_provider_serves_who_asks_for_it() {
    let providers = Providers::default().with(Arc::new(Proxy { pod: pod(240) }));
    let mut compiler = Compiler::new(providers, Shape::default());
    let mut world = cent222().with([proxied()]);
    let mut at = |world: &World| {
        let d = compiler.compile(&world.intent, &world.neighbours).desired;
        (hop(&d), d.fip.len())
    };
    assert_eq!(at(&world), (NextHopKey::Discard, 0));
    // The proxy comes, moves to another vif, and goes: what it asked for is followed.
    world.vif(vif(10, "proxy", 240, 40));
    assert_eq!(at(&world), (NextHopKey::Encap(VifId(10)), 0));
    world.intent.vifs.remove(&VifId(10));
    world.vif(vif(11, "proxy", 240, 40));
    assert_eq!(at(&world), (NextHopKey::Encap(VifId(11)), 0));
    world.intent.vifs.remove(&VifId(11));
    assert_eq!(at(&world), (NextHopKey::Discard, 0));
}

/// Nobody is served, but where a provider leads to stays where it is.
#[test]
fn who_a_provider_has_chosen_is_wanted() {
    let providers = Providers::default().with(Arc::new(Proxy { pod: pod(240) }));
    let shape = Shape { host_route_rows_log2: 0, ..Shape::default() };
    let mut compiler = Compiler::new(providers, shape);
    let mut world = cent222().with([proxied()]);
    world.vif(vif(10, "proxy", 240, 40));
    (1..=2).for_each(|last| world.route(pod_route("cent333", CENT333, last, 100)));
    let mut wanted = |world: &World| -> Option<Vec<IpAddr>> {
        let refused = compiler.compile(&world.intent, &world.neighbours).desired.refused;
        refused.get(&VIP).map(|wanted| wanted.iter().copied().collect())
    };
    assert_eq!(wanted(&world), None);
    world.route(pod_route("cent333", CENT333, 3, 100));
    assert_eq!(wanted(&world), Some(vec![pod(236), pod(238), pod(240)]));
    world.intent.vifs.remove(&VifId(10));
    world.route(pod_route("cent333", CENT333, 4, 100));
    assert_eq!(wanted(&world), Some(vec![pod(236), pod(238)]));
}

#[test]
fn who_asks_for_nobody_is_refused_and_keeps_what_the_card_has() {
    let mut other = service(vec![listener("", 8888, 80, &[237])]);
    other.name = ObjectName::new("other", "web");
    let compiled = cent222().with([proxied(), other]).compile();
    let d = &compiled.desired;
    assert!(!d.routes.contains_key(&(VRF, VIP)) && d.fip.is_empty());
    assert!(!d.services.contains_key(&VIP));
    let wanted: Vec<IpAddr> = d.refused[&VIP].iter().copied().collect();
    assert_eq!(wanted, [pod(236), pod(238)], "and nobody of the other one's");
    assert_eq!(
        findings(&compiled),
        "Service ns-user-1/service-web-clusterip: refused: there is no provider proxy here\n\
         Service other/web: refused: 10.105.139.153 is the cluster IP of ns-user-1/service-web-clusterip: not served"
    );
    let d = cent222().with([chapter()]).desired();
    assert!(d.refused.is_empty());
}
