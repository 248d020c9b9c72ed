//! What keeps traffic near, and what is not a proxy's business at all.

use penstock_model::{Hints, Zone};

use super::*;

/// The chapter's service with further lines in its `spec`, and hints at its first endpoint.
fn with(spec: &str, hints: &str) -> String {
    let text = changed(CHAPTER, "  selector:", &format!("{spec}  selector:"));
    changed(
        &text,
        "    nodeName: cent222\n",
        &format!("    nodeName: cent222\n    hints: {hints}\n"),
    )
}

#[test]
fn hints_are_read() {
    let hints = |text: &str| {
        let members = only(&with("", text)).listeners.remove(0).pool.members;
        assert_eq!(members[1].hints, Hints::default());
        members[0].hints.clone()
    };
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    for (text, nodes, zones) in [
        ("null", &[][..], &[][..]),
        ("{ forZones: null, forNodes: [] }", &[], &[]),
        ("{ forZones: [ { name: b }, { name: a }, { name: b } ] }", &[], &["a", "b"]),
        ("{ forNodes: [ { name: n } ], forZones: [ { name: a } ] }", &["n"], &["a"]),
    ] {
        assert_eq!(hints(text), Hints { nodes: names(nodes), zones: names(zones) }, "{text}");
    }
}

#[test]
fn traffic_distribution_and_classes_are_not_the_proxys_business() {
    let plain = only(&with("", "{}"));
    for spec in [
        "  trafficDistribution: PreferSameZone\n",
        "  trafficDistribution: PreferSameNode\n",
        "  trafficDistribution: SomethingNew\n",
        "  type: LoadBalancer\n  loadBalancerClass: example.com/other\n",
        "  type: LoadBalancer\n  allocateLoadBalancerNodePorts: false\n",
        "  externalTrafficPolicy: Local\n  healthCheckNodePort: 30000\n",
        "  type: LoadBalancer\n  healthCheckNodePort: 30000\n",
        "  type: LoadBalancer\n  externalTrafficPolicy: Local\n  healthCheckNodePort: 0\n",
        "  externalTrafficPolicy: Cluster\n",
    ] {
        let text = with(spec, "{}");
        let text =
            if spec.contains("type:") { changed(&text, "  type: ClusterIP\n", "") } else { text };
        assert_eq!(only(&text), plain, "{spec}");
    }
    let found = faults(&with("  externalTrafficPolicy: Nearby\n", "{}"));
    assert!(found.contains("spec.externalTrafficPolicy \"Nearby\" is not"), "{found}");
}

#[test]
fn nodes_are_asked_where_it_matters_to_which_clients_come() {
    let spec =
        "  type: LoadBalancer\n  externalTrafficPolicy: Local\n  healthCheckNodePort: 30000\n";
    let text = changed(&with(spec, "{}"), "  type: ClusterIP\n", "");
    assert_eq!(only(&text).health_check, Some(30_000));
    let found = faults(&changed(&text, "30000", "70000"));
    assert!(found.contains("spec.healthCheckNodePort"), "{found}");
}

#[test]
fn a_load_balancer_of_any_class_is_served_at_what_its_status_says() {
    let text = with("  type: LoadBalancer\n  loadBalancerClass: example.com/other\n", "{}");
    let text = changed(&text, "  type: ClusterIP\n", "");
    let status = "status: { loadBalancer: { ingress: [ { ip: 192.0.2.1, ipMode: VIP }, { ip: 192.0.2.2, ipMode: Proxy } ] } }\n---\n";
    let ips = only(&changed(&text, "---\n", status)).floating_ips;
    let ips: Vec<String> = ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(ips, ["10.105.139.153", "192.0.2.1"]);
}

#[test]
fn node_ports_are_somebody_elses() {
    let text = changed(CHAPTER, "- port: 8888\n", "- port: 8888\n      nodePort: 30001\n");
    let of = |kind: &str| balancers(&changed(&text, "type: ClusterIP", &format!("type: {kind}"))).1;
    assert!(of("NodePort").contains("its node ports are left to another proxy"));
    assert!(of("LoadBalancer").contains("its node ports are left to another proxy"));
    let none = changed(&text, "nodePort: 30001", "nodePort: 0");
    assert_eq!(balancers(&changed(&none, "type: ClusterIP", "type: LoadBalancer")).1, "");
}

#[test]
fn nodes_say_where_they_are() {
    let node = |name: &str, labels: &str| {
        format!("---\napiVersion: v1\nkind: Node\nmetadata: {{ name: {name}, labels: {labels} }}\n")
    };
    let text = [
        node("a", "{ topology.kubernetes.io/zone: z1 }"),
        node("b", "{ topology.kubernetes.io/zone: \"\" }"),
        node("c", "null"),
    ];
    let said = Said::read(Path::new("m.yaml"), &text.concat());
    assert_eq!(faults_of(&said), [""; 0]);
    let mut all = Balancers::default();
    all.update(said.items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
    let zone = Object::Zone(Arc::new(Zone { node: "a".to_owned(), name: "z1".to_owned() }));
    assert_eq!(all.objects().values().collect::<Vec<_>>(), [&zone]);
    all.update(said.items.keys().map(|key| (key.clone(), None)));
    assert!(all.objects().is_empty());
}
