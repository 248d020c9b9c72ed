//! What is Penstock's own: parts that are wrong, annotations, and how little is done for a change.

use penstock_model::{NetworkName, Object, ProviderName};

use super::*;

#[test]
fn networks_and_providers_are_annotations() {
    let balancer = only(CHAPTER);
    assert_eq!(balancer.provider, ProviderName::native());
    assert_eq!(balancer.floating_ips[0].network, NetworkName::services());
    let metadata = "  namespace: ns-user-1
  annotations: { penstock.dev/network: blue, penstock.dev/provider: haproxy, other: kept }
spec";
    let balancer = only(&changed(CHAPTER, "  namespace: ns-user-1\nspec", metadata));
    assert_eq!(balancer.provider, ProviderName::from("haproxy"));
    assert_eq!(balancer.floating_ips[0].network, NetworkName::from("blue"));
}

#[test]
fn a_part_that_is_wrong_harms_only_itself() {
    let parts = |text: &str| {
        let told = told(text);
        assert!(told.said.refused.is_empty() && told.said.untold.is_empty());
        let ports: Vec<_> = told.balancers[0].listeners.iter().map(|l| l.port).collect();
        let members =
            told.balancers[0].listeners.iter().map(|l| l.pool.members.len()).sum::<usize>();
        (ports, members, faults_of(&told.said).join("\n"))
    };
    for (from, to, why) in [
        ("port: 9999", "port: ninety", "spec.ports[1].port: invalid type"),
        ("port: 9999", "port: 0", "spec.ports[1].port 0 is not in"),
        ("port: 9999", "port: 99999", "spec.ports[1].port: invalid value"),
        ("name: port2\n      port: 9999", "port: 9999", "spec.ports[1].name is needed"),
        ("port: 9999", "port: 8888", "spec.ports[1] 8888/TCP is spec.ports[0] again"),
    ] {
        let (ports, _, found) = parts(&changed(TWO_PORTS, from, to));
        assert_eq!(ports, [8888], "{found}");
        assert!(found.contains(why) && found.contains("service-web-clusterip-mp"), "{found}");
    }
    for (from, to, why) in [
        (
            "[10.47.255.236]",
            "[10.47.255.436]",
            "endpoints[0].addresses[0] \"10.47.255.436\" is not an IPv4 address",
        ),
        ("[10.47.255.236]", "[\"fd00::1\"]", "is not an IPv4 address"),
        ("[10.47.255.236]", "[]", "endpoints[0].addresses is empty"),
        ("[10.47.255.236]", "7", "endpoints[0].addresses: invalid type"),
        ("{ ready: true,", "{ ready: perhaps,", "endpoints[0].conditions.ready: invalid type"),
    ] {
        let (_, members, found) = parts(&changed(CHAPTER, from, to));
        assert_eq!(members, 1, "{found}");
        assert!(found.contains(why), "{found}");
    }
    let external =
        changed(CHAPTER, "  selector:", "  externalIPs: [192.0.2.7, nowhere]\n  selector:");
    let (_, members, found) = parts(&external);
    assert!(members == 2 && found.contains("spec.externalIPs[1] \"nowhere\""), "{found}");
    // Nothing would be left.
    for text in [
        changed(CHAPTER, "port: 8888", "port: 0"),
        changed(CHAPTER, "port: 80\n    protocol: TCP", "port: 80\n    protocol: QUIC"),
        CHAPTER.replace("[10.47.255.23", "[10.47.255.43"),
    ] {
        assert_eq!(told(&text).said.refused.len(), 1, "{}", faults(&text));
    }
}

/// One slice among many services.
#[test]
fn a_change_touches_its_own_service_only() {
    let many: String = (0..20)
        .map(|i| CHAPTER.replace("service-web-clusterip", &format!("s{i}")) + "---\n")
        .collect();
    let said = Said::read(Path::new("m.yaml"), &many);
    let mut all = Balancers::default();
    all.update(said.items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
    let before = all.objects().clone();
    let changed = CHAPTER.replace("service-web-clusterip", "s7").replacen(
        "10.47.255.236",
        "10.47.255.239",
        1,
    );
    let said = Said::read(Path::new("m.yaml"), &changed);
    all.update(said.items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
    let same = |id: &ObjectId| match (&before[id], &all.objects()[id]) {
        (Object::LoadBalancer(a), Object::LoadBalancer(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    let others: Vec<_> = before.keys().filter(|id| !same(id)).map(ToString::to_string).collect();
    assert_eq!(others, ["Service ns-user-1/s7"]);
}
