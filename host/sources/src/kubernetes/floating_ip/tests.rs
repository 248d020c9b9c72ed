//! Floating IPs of pods, right and wrong.

use penstock_model::{Direction, MplsLabel, Object, ObjectName};

use crate::kubernetes::tests::faults_of;
use crate::kubernetes::{Balancers, Said};

fn manifest(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: penstock.dev/v1\nkind: FloatingIP\nmetadata: {{ namespace: x, name: {name} }}\nspec: {spec}\n---\n"
    )
}

#[test]
fn one_bad_object_is_one_clear_error() {
    let good = "{ address: 198.51.100.10, network: public, pod: web, label: 55 }";
    let ingress =
        "{ address: 198.51.100.11, network: public, pod: web, label: 56, direction: ingress }";
    let text = [
        manifest("a", good),
        manifest("b", ingress),
        manifest("c", "{ address: 198.51.100, network: public, pod: web, label: 55 }"),
        manifest("d", "{ address: 224.0.0.1, network: public, pod: web, label: 55 }"),
        manifest("e", "{ address: 198.51.100.12, network: public, pod: web, label: 3 }"),
        manifest("f", "{ address: 198.51.100.12, pod: web, label: 57 }"),
        manifest("g", &good.replace("label", "lable")),
        manifest("h", &good.replace(" }", ", direction: out }")),
    ]
    .concat();
    let said = Said::read(std::path::Path::new("m.yaml"), &text);
    let faults = faults_of(&said);
    for (fault, why) in faults.iter().zip([
        "spec.address: invalid IP address",
        "spec.address 224.0.0.1 is not a host's",
        "spec.label 3 is not in 16..=1048575",
        "missing field `network`",
        "unknown field `lable`",
        "unknown variant `out`",
    ]) {
        assert!(fault.contains(why) && fault.contains("m.yaml:"), "{fault} should say: {why}");
    }
    assert_eq!(faults.len(), 6, "{faults:?}");
    let mut all = Balancers::default();
    all.update(said.items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
    let ips: Vec<_> = all
        .objects()
        .values()
        .map(|object| match object {
            Object::FloatingIp(ip) => (ip.pod.clone(), ip.label, ip.direction),
            other => panic!("{other:?}"),
        })
        .collect();
    let web = ObjectName::new("x", "web");
    let expected =
        [(web.clone(), MplsLabel(55), Direction::Both), (web, MplsLabel(56), Direction::Ingress)];
    assert_eq!(ips, expected);
}
