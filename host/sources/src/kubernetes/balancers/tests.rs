//! Random changes to services, slices and pods: that what is done for a change is what would be done for everything.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::Said;
use super::*;

/// What a text's only object says.
fn item(text: &str) -> (Key, Option<Item>) {
    let said = Said::read(Path::new("m.yaml"), text);
    let (key, item) = said.items.first_key_value().expect("the text is right");
    (key.clone(), Some(item.clone()))
}

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")]
}

/// Labels of what is not served here, or is.
fn labels() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        1 => Just("service.kubernetes.io/service-proxy-name: other"),
        1 => Just("service.kubernetes.io/headless: \"\""),
    ]
}

fn change() -> impl Strategy<Value = (Key, Option<Item>)> {
    let service = (name(), labels(), 1_u8..5, 1_u8..5, 80_u16..82).prop_map(|(name, labels, ip, more, port)| {
        item(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, labels: {{ {labels} }} }}\n\
             spec: {{ clusterIP: 10.0.0.{ip}, externalIPs: [ 10.0.0.{more} ], ports: [ {{ port: {port} }} ] }}\n"
        ))
    });
    let slice = (name(), proptest::option::of(name()), labels(), 1_u8..5, any::<bool>()).prop_map(
        |(name, service, labels, pod, ready)| {
            let service = service.map_or_else(String::new, |s| format!("kubernetes.io/service-name: {s}, "));
            item(&format!(
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {{ name: {name}, labels: {{ {service}{labels} }} }}\naddressType: IPv4\n\
                 ports: [ {{ port: 80 }} ]\n\
                 endpoints: [ {{ addresses: [ 10.1.0.{pod} ], conditions: {{ ready: {ready} }} }} ]\n"
            ))
        },
    );
    let pod = (name(), 1_u8..5).prop_map(|(name, last)| {
        item(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nstatus: {{ podIP: 10.1.0.{last} }}\n"
        ))
    });
    let kept = prop_oneof![3 => service, 3 => slice, 1 => pod];
    (kept, any::<bool>()).prop_map(|((key, item), gone)| (key, item.filter(|_| !gone)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn what_changes_comes_to_the_same_as_everything_anew(steps in vec(vec(change(), 1..4), 50)) {
        let mut incremental = Balancers::default();
        let mut items = BTreeMap::new();
        for changes in steps {
            for (key, item) in &changes {
                match item {
                    Some(item) => _ = items.insert(key.clone(), item.clone()),
                    None => _ = items.remove(key),
                }
            }
            incremental.update(changes);
            let mut anew = Balancers::default();
            anew.update(items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
            prop_assert_eq!(incremental.objects(), anew.objects());
            prop_assert_eq!(incremental.findings(), anew.findings());
            prop_assert_eq!(&incremental.foreign, &anew.foreign);
            prop_assert_eq!(&incremental.want_more, &anew.want_more);
            prop_assert_eq!(&incremental.by_service, &anew.by_service);
        }
    }
}
