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

#[test]
fn who_asks_for_nobody_is_refused_and_keeps_what_the_card_has() {
    let mut other = chapter();
    other.name = ObjectName::new("other", "web");
    let compiled = cent222().with([proxied(), other]).compile();
    let d = &compiled.desired;
    assert!(!d.routes.contains_key(&(VRF, VIP)) && d.fip.is_empty());
    assert!(d.refused.contains_key(&VIP) && !d.services.contains_key(&VIP));
    assert_eq!(
        findings(&compiled),
        "Service ns-user-1/service-web-clusterip: refused: there is no provider proxy here\n\
         Service other/web: refused: 10.105.139.153 is the cluster IP of ns-user-1/service-web-clusterip: not served"
    );
    let d = cent222().with([chapter()]).desired();
    assert!(d.refused.is_empty());
}
