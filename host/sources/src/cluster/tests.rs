//! What an API server tells, and what comes of it.

// Literals are what is passed.
#![allow(clippy::needless_pass_by_value)]

use penstock_model::{Object, Zone};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document(value: impl serde::Serialize) -> Document {
    serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap()
}

fn service(name: &str, port: serde_json::Value) -> Document {
    document(json!({
        "metadata": { "name": name, "namespace": "x", "resourceVersion": "7" },
        "spec": { "clusterIP": format!("10.0.0.{}", name.len()), "ports": [ { "port": port } ] },
    }))
}

fn slice(service: &str, pod: &str) -> Document {
    document(json!({
        "metadata": { "name": "s", "namespace": "x", "labels": { "kubernetes.io/service-name": service } },
        "addressType": "IPv4",
        "ports": [ { "name": "", "port": 80 } ],
        "endpoints": [ { "addresses": [ pod ] } ],
    }))
}

fn list(cluster: &mut Cluster, kind: Kind, documents: impl IntoIterator<Item = Document>) {
    cluster.begin(kind);
    documents.into_iter().for_each(|document| cluster.list(kind, document));
    cluster.end(kind);
}

/// A server without objects.
fn empty() -> Cluster {
    let mut cluster = Cluster::new("test");
    Kind::ALL.into_iter().for_each(|kind| list(&mut cluster, kind, []));
    cluster
}

/// Names and ports of its services.
fn services(cluster: &mut Cluster) -> Vec<(String, u16)> {
    let fragment = cluster.fragment();
    let service = |object: &Object| match object {
        Object::LoadBalancer(lb) => Some((lb.name.name.clone(), lb.listeners[0].port)),
        _ => None,
    };
    fragment.objects.values().filter_map(service).collect()
}

fn findings(cluster: &mut Cluster) -> Vec<String> {
    let findings = cluster.fragment().findings;
    let all = findings.iter();
    all.flat_map(|(id, list)| list.iter().map(move |one| format!("{id}: {one}"))).collect()
}

#[test]
fn it_is_complete_when_each_kind_was_listed() {
    let mut cluster = Cluster::new("test");
    for kind in Kind::ALL {
        assert!(!cluster.fragment().complete);
        cluster.begin(kind);
        assert!(!cluster.fragment().complete);
        cluster.end(kind);
    }
    assert!(cluster.fragment().complete);
    // For good.
    cluster.begin(Kind::Slice);
    cluster.trouble(Kind::Slice, "gone");
    let fragment = cluster.fragment();
    assert!(fragment.complete && fragment.stale);
}

#[test]
fn a_list_counts_when_it_is_complete_and_takes_away_what_it_lacks() {
    let mut cluster = empty();
    list(&mut cluster, Kind::Service, [service("a", 1.into()), service("bb", 2.into())]);
    let before = [("a".to_owned(), 1), ("bb".to_owned(), 2)];
    assert_eq!(services(&mut cluster), before);
    cluster.begin(Kind::Service);
    cluster.list(Kind::Service, service("bb", 3.into()));
    assert_eq!(services(&mut cluster), before);
    // It breaks off, and another one comes.
    cluster.begin(Kind::Service);
    cluster.list(Kind::Service, service("ccc", 4.into()));
    cluster.end(Kind::Service);
    assert_eq!(services(&mut cluster), [("ccc".to_owned(), 4)]);
    // Other kinds have nothing to do with that.
    list(&mut cluster, Kind::Slice, []);
    cluster.put(Kind::Service, service("a", 1.into()));
    cluster.remove(Kind::Service, &service("ccc", 4.into()));
    assert_eq!(services(&mut cluster), [("a".to_owned(), 1)]);
}

#[test]
fn an_object_that_is_wrong_harms_no_other_and_stays_what_it_was() {
    let mut cluster = empty();
    list(&mut cluster, Kind::Service, [service("a", 1.into()), service("bb", json!("eighty"))]);
    assert_eq!(services(&mut cluster), [("a".to_owned(), 1)]);
    let found = findings(&mut cluster);
    assert!(
        matches!(&found[..], [one] if one.starts_with("Service x/bb: refused: spec.ports[0].port: ")),
        "{found:?}"
    );
    cluster.put(Kind::Service, service("a", json!([1])));
    cluster.put(Kind::Service, service("bb", 2.into()));
    assert_eq!(services(&mut cluster), [("a".to_owned(), 1), ("bb".to_owned(), 2)]);
    let found = findings(&mut cluster);
    assert!(
        matches!(&found[..], [one] if one.ends_with("what it was before stays in force")),
        "{found:?}"
    );
    // The same by a list.
    list(&mut cluster, Kind::Service, [service("a", json!(null)), service("bb", 3.into())]);
    assert_eq!(services(&mut cluster), [("a".to_owned(), 1), ("bb".to_owned(), 3)]);
    // It goes as any other does, and what was found with it.
    cluster.remove(Kind::Service, &service("a", json!({})));
    assert_eq!(services(&mut cluster), [("bb".to_owned(), 3)]);
    assert_eq!(findings(&mut cluster), [""; 0]);
    // What has no name is nobody's, and is told.
    cluster.put(Kind::Slice, document(json!({ "metadata": {} })));
    cluster.put(Kind::Slice, document(json!("what?")));
    assert_eq!(findings(&mut cluster).len(), 1);
}

#[test]
fn a_server_that_is_silent_is_told_and_changes_nothing() {
    let mut cluster = Cluster::new("https://api");
    cluster.trouble(Kind::Service, "no answer");
    cluster.trouble(Kind::Slice, "no answer");
    let (fragment, found) = (cluster.fragment(), findings(&mut cluster));
    assert!(fragment.stale && !fragment.complete);
    assert_eq!(found, ["API server https://api: refused: no answer (Service, EndpointSlice)"]);
    Kind::ALL.into_iter().for_each(|kind| list(&mut cluster, kind, []));
    list(&mut cluster, Kind::Service, [service("a", 1.into())]);
    assert!(!cluster.fragment().stale && findings(&mut cluster).is_empty());
    cluster.trouble(Kind::Service, "gone");
    let (fragment, found) = (cluster.fragment(), findings(&mut cluster));
    assert!(fragment.stale && fragment.complete);
    assert_eq!(
        found,
        ["API server https://api: gone (Service); what it was before stays in force"]
    );
    assert_eq!(services(&mut cluster), [("a".to_owned(), 1)]);
    cluster.put(Kind::Service, service("a", 2.into()));
    assert!(!cluster.fragment().stale && findings(&mut cluster).is_empty());
}

#[test]
fn slices_and_nodes_are_read_as_from_manifests() {
    let mut cluster = empty();
    cluster.put(Kind::Service, service("a", 1.into()));
    cluster.put(Kind::Slice, slice("a", "10.1.0.1"));
    let zone =
        json!({ "metadata": { "name": "n", "labels": { "topology.kubernetes.io/zone": "z" } } });
    cluster.put(Kind::Node, document(zone.clone()));
    let fragment = cluster.fragment();
    let objects: Vec<_> = fragment.objects.values().collect();
    let [Object::LoadBalancer(lb), Object::Zone(zone_of)] = &objects[..] else {
        panic!("{objects:?}")
    };
    assert_eq!(lb.listeners[0].pool.members[0].address.to_string(), "10.1.0.1");
    assert_eq!(**zone_of, Zone { node: "n".to_owned(), name: "z".to_owned() });
    cluster.remove(Kind::Node, &document(zone));
    assert_eq!(cluster.fragment().objects.len(), 1);
}

/// One step of a server and of what is heard of it.
#[derive(Clone, Debug)]
enum Step {
    /// An object comes, changes or goes; it is heard, or is lost with a connection.
    Change { service: bool, name: usize, to: Option<u8>, heard: bool },
    /// A kind is listed; the list breaks off after some objects.
    Break { service: bool, after: usize },
    /// A kind is listed.
    List { service: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (any::<bool>(), 1_usize..5, proptest::option::weighted(0.7, 1_u8..6), prop::bool::weighted(0.7))
            .prop_map(|(service, name, to, heard)| Step::Change { service, name, to, heard }),
        1 => (any::<bool>(), 0_usize..4).prop_map(|(service, after)| Step::Break { service, after }),
        2 => any::<bool>().prop_map(|service| Step::List { service }),
    ]
}

/// The state of a server: versions of its services and slices, by name.
#[derive(Default)]
struct Server([BTreeMap<usize, u8>; 2]);

impl Server {
    fn document(service: bool, name: usize, version: u8) -> Document {
        let name = "a".repeat(name);
        if service { self::service(&name, version.into()) } else { slice_of(&name, version) }
    }

    fn documents(&self, service: bool) -> Vec<Document> {
        let objects = self.0[usize::from(service)].iter();
        objects.map(|(name, version)| Self::document(service, *name, *version)).collect()
    }
}

fn slice_of(service: &str, last: u8) -> Document {
    document(json!({
        "metadata": {
            "name": format!("{service}-1"), "namespace": "x",
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [ { "name": "", "port": 80 } ],
        "endpoints": [ { "addresses": [ format!("10.1.0.{last}") ] } ],
    }))
}

fn kind(service: bool) -> Kind {
    if service { Kind::Service } else { Kind::Slice }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Ten thousand steps: what is in force after lists is what the server has, whatever was lost before.
    #[test]
    fn lists_make_good_what_was_lost(steps in vec(step(), 50)) {
        let (mut cluster, mut server) = (empty(), Server::default());
        for step in steps {
            match step {
                Step::Change { service, name, to, heard } => {
                    let objects = &mut server.0[usize::from(service)];
                    let before = match to {
                        Some(version) => objects.insert(name, version),
                        None => objects.remove(&name),
                    };
                    match to {
                        Some(version) if heard => {
                            cluster.put(kind(service), Server::document(service, name, version));
                        }
                        None if heard && before.is_some() => {
                            cluster.remove(kind(service), &Server::document(service, name, 1));
                        }
                        _ => {}
                    }
                }
                Step::Break { service, after } => {
                    let before = cluster.fragment();
                    cluster.begin(kind(service));
                    for document in server.documents(service).into_iter().take(after) {
                        cluster.list(kind(service), document);
                    }
                    prop_assert_eq!(before, cluster.fragment());
                }
                Step::List { service } => {
                    list(&mut cluster, kind(service), server.documents(service));
                }
            }
            let _ = cluster.fragment();
        }
        let mut anew = empty();
        for service in [true, false] {
            list(&mut cluster, kind(service), server.documents(service));
            list(&mut anew, kind(service), server.documents(service));
        }
        prop_assert_eq!(cluster.fragment(), anew.fragment());
    }
}

#[test]
fn an_object_without_a_name_is_told_until_a_list_has_none() {
    let mut cluster = empty();
    let nameless = || document(json!({ "metadata": {} }));
    list(&mut cluster, Kind::Pod, [nameless(), nameless()]);
    assert_eq!(
        findings(&mut cluster),
        ["object Pod: refused: gave Pod without a name: passed over"]
    );
    cluster.put(Kind::Service, nameless());
    assert_eq!(findings(&mut cluster).len(), 2);
    list(&mut cluster, Kind::Pod, []);
    list(&mut cluster, Kind::Service, []);
    assert_eq!(findings(&mut cluster), [""; 0]);
}
