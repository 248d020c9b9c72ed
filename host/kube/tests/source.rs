//! What comes of an API server's objects, and of what happens to its connections.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use penstock_kube::Timing;
use penstock_model::{Fragment, ObjectId, ObjectKind, ObjectName};
use serde_json::json;
use support::{Bench, NODE, findings, named, node, pod, service, services, slice, timing};

fn of_kind(fragment: &Fragment, kind: ObjectKind) -> Vec<String> {
    let ids = fragment.objects.keys().filter(|id| id.kind() == kind);
    ids.map(ToString::to_string).collect()
}

#[tokio::test]
async fn objects_come_change_and_go() {
    let mut bench =
        Bench::complete(timing(), [service("web", 1), slice("web-1", "web", &[5])]).await;
    bench.serves(&[("web", &[5])]).await;
    bench.fake.put(slice("web-2", "web", &[6, 7]));
    bench.serves(&[("web", &[5, 6, 7])]).await;
    bench.fake.put(service("db", 2));
    bench.fake.delete(&slice("web-1", "web", &[]));
    bench.serves(&[("db", &[]), ("web", &[6, 7])]).await;
    bench.fake.delete(&service("web", 1));
    let fragment = bench.serves(&[("db", &[])]).await;
    assert!(!fragment.stale && findings(&fragment).is_empty(), "{fragment:?}");
}

#[tokio::test]
async fn long_lists_come_by_pages() {
    let names: Vec<String> = (10..60).map(|n| format!("web{n}")).collect();
    let objects = names.iter().zip(10..).map(|(name, last)| service(name, last));
    let mut bench = Bench::complete(timing(), objects).await;
    let expected: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    bench.serves(&expected).await;
    // A list for each kind, whatever the pages.
    assert_eq!(bench.fake.lists(), 4);
}

#[tokio::test]
async fn only_this_nodes_pods_and_zone_are_asked_for() {
    let mut headless = slice("headless-1", "headless", &[9]);
    headless["metadata"]["labels"]["service.kubernetes.io/headless"] = "".into();
    let objects = [
        pod("here", NODE, 5),
        pod("there", "cent333", 6),
        node(NODE, "z1"),
        node("cent333", "z2"),
        headless,
    ];
    let mut bench = Bench::complete(timing(), objects).await;
    let fragment = bench.until(|f| f.objects.len() == 2).await;
    assert_eq!(of_kind(&fragment, ObjectKind::Pod), ["Pod x/here"]);
    assert_eq!(of_kind(&fragment, ObjectKind::Zone), [format!("Node {NODE}")]);
    assert!(fragment.findings.is_empty(), "{:?}", fragment.findings);
    // One that moves here comes, and one that moves away goes: the selector says so.
    bench.fake.put(pod("there", NODE, 6));
    bench.fake.put(pod("here", "cent333", 5));
    bench.until(|f| of_kind(f, ObjectKind::Pod) == ["Pod x/there"]).await;
    // Another name, other pods.
    bench.node.send_replace(named("cent333"));
    let of_other = |f: &Fragment| of_kind(f, ObjectKind::Pod) == ["Pod x/here"];
    bench.until(|f| of_other(f) && of_kind(f, ObjectKind::Zone) == ["Node cent333"]).await;
}

#[tokio::test]
async fn nothing_is_asked_before_the_node_is_known() {
    let fake = penstock_kube::fake::Fake::start().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    std::fs::write(&path, fake.kubeconfig()).unwrap();
    let (node, receiver) = tokio::sync::watch::channel(Fragment::empty("node file"));
    let watch = penstock_kube::watch(penstock_kube::Access::Kubeconfig(path), receiver, timing());
    let mut fragments = watch.fragments();
    tokio::task::yield_now().await;
    assert!(!fragments.borrow().complete && fake.requests().is_empty());
    node.send_replace(named(NODE));
    let complete = fragments.wait_for(|fragment| fragment.complete);
    tokio::time::timeout(Duration::from_secs(60), complete).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_first_list_of_each_kind_is_waited_for() {
    let fake = penstock_kube::fake::Fake::start().unwrap();
    fake.put(service("web", 1));
    fake.refuse("endpointslices", Some(403));
    let mut bench = Bench::of(fake, timing());
    let fragment = bench.until(|f| f.stale && services(f).len() == 1).await;
    assert!(!fragment.complete);
    let found = findings(&fragment);
    assert!(
        matches!(&found[..], [one] if one.starts_with("API server of ") && one.contains("refused: ")
            && one.contains("not now") && one.ends_with("(EndpointSlice)")),
        "{found:?}"
    );
    bench.fake.refuse("endpointslices", None);
    let fragment = bench.serves(&[("web", &[])]).await;
    assert!(!fragment.stale && findings(&fragment).is_empty());
}

#[tokio::test]
async fn a_server_that_comes_back_tells_what_it_lost_meanwhile() {
    let objects = [service("a", 1), service("b", 2), slice("a-1", "a", &[5])];
    let mut bench = Bench::complete(timing(), objects).await;
    bench.serves(&[("a", &[5]), ("b", &[])]).await;
    bench.fake.go_away();
    let fragment = bench.until(|f| f.stale).await;
    assert!(fragment.complete);
    assert_eq!(services(&fragment).len(), 2, "nothing changes for want of news");
    assert!(findings(&fragment)[0].ends_with("what it was before stays in force"));
    bench.fake.delete(&service("b", 2));
    bench.fake.delete(&slice("a-1", "a", &[]));
    bench.fake.put(service("c", 3));
    bench.fake.come_back().unwrap();
    let fragment = bench.serves(&[("a", &[]), ("c", &[])]).await;
    let fragment = if fragment.stale { bench.until(|f| !f.stale).await } else { fragment };
    assert!(findings(&fragment).is_empty());
}

#[tokio::test]
async fn a_server_that_answers_again_without_news_is_not_silent() {
    let mut bench = Bench::complete(timing(), [service("a", 1)]).await;
    let lists = bench.fake.lists();
    bench.fake.go_away();
    bench.until(|f| f.stale).await;
    bench.fake.come_back().unwrap();
    let fragment = bench.until(|f| !f.stale).await;
    assert_eq!(services(&fragment), [("a".to_owned(), Vec::new())]);
    assert_eq!(bench.fake.lists(), lists, "watches are resumed, and do not begin with a list");
}

#[tokio::test]
async fn watches_that_end_are_resumed() {
    let mut bench = Bench::complete(timing(), [service("a", 1)]).await;
    let lists = bench.fake.lists();
    for last in 5..15 {
        bench.fake.end_watches();
        bench.fake.put(slice("a-1", "a", &[last]));
        bench.serves(&[("a", &[last])]).await;
    }
    assert_eq!(bench.fake.lists(), lists);
}

#[tokio::test]
async fn versions_that_are_forgotten_lead_to_a_new_list() {
    let objects = [service("a", 1), service("b", 2), slice("a-1", "a", &[5])];
    let mut bench = Bench::complete(timing(), objects).await;
    for plural in ["services", "endpointslices"] {
        bench.fake.hold(plural, true);
    }
    bench.fake.delete(&service("b", 2));
    bench.fake.put(slice("a-1", "a", &[6]));
    bench.fake.forget();
    let lists = bench.fake.lists();
    for plural in ["services", "endpointslices"] {
        bench.fake.hold(plural, false);
    }
    bench.serves(&[("a", &[6])]).await;
    assert!(bench.fake.lists() > lists);
    let fragment = bench.until(|f| !f.stale).await;
    assert!(findings(&fragment).is_empty());
}

#[tokio::test]
async fn a_server_from_a_backup_is_listed_anew() {
    let short = Timing { relist_after: Duration::ZERO, ..timing() };
    let objects = (1..9).map(|n| service(&format!("old{n}"), n));
    let mut bench = Bench::complete(short, objects).await;
    bench.fake.go_away();
    bench.until(|f| f.stale).await;
    // Its versions are below those that were seen: a watch that is resumed would wait for them for ever.
    bench.fake.become_another();
    bench.fake.put(service("new", 1));
    bench.fake.come_back().unwrap();
    bench.serves(&[("new", &[])]).await;
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_named_and_harms_no_other() {
    let wrong = |name: &str| {
        let mut wrong = service(name, 2);
        wrong["spec"]["ports"] = json!([ { "port": "eighty" } ]);
        wrong
    };
    // In a list, and the only one of its page's that is.
    let mut bench = Bench::complete(timing(), [service("a", 1), wrong("b")]).await;
    let fragment = bench.serves(&[("a", &[])]).await;
    let found = findings(&fragment);
    assert!(
        matches!(&found[..], [one] if one.starts_with("Service x/b: refused: spec.ports[0].port")),
        "{found:?}"
    );
    // As a change, and with other changes behind it.
    bench.fake.put(wrong("a"));
    bench.fake.put(service("c", 3));
    let fragment = bench.serves(&[("a", &[]), ("c", &[])]).await;
    assert!(!fragment.stale && findings(&fragment).len() == 2, "{:?}", findings(&fragment));
    // Once they are right, or gone, all is well.
    bench.fake.put(service("a", 4));
    bench.fake.delete(&wrong("b"));
    let fragment = bench.until(|f| findings(f).is_empty()).await;
    assert_eq!(services(&fragment).len(), 2);
    let a = &fragment.objects[&ObjectId::LoadBalancer(ObjectName::new("x", "a"))];
    let penstock_model::Object::LoadBalancer(a) = a else { panic!("{a:?}") };
    assert_eq!(a.floating_ips[0].address.to_string(), "10.96.0.4");
}

#[tokio::test]
async fn credentials_may_change_while_it_runs() {
    let mut bench = Bench::complete(timing(), [service("a", 1)]).await;
    // A file that is being written, say: what it held before is used.
    bench.write_kubeconfig("apiVersion: [");
    bench.fake.put(service("b", 2));
    bench.serves(&[("a", &[]), ("b", &[])]).await;
    bench.fake.set_token("another");
    bench.fake.end_watches();
    let fragment = bench.until(|f| f.stale).await;
    assert!(findings(&fragment)[0].contains("who are you?"), "{:?}", findings(&fragment));
    bench.fake.delete(&service("a", 1));
    bench.write_kubeconfig(&bench.fake.kubeconfig());
    let fragment = bench.serves(&[("b", &[])]).await;
    if fragment.stale {
        bench.until(|f| !f.stale).await;
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_yet_is_waited_for() {
    let fake = penstock_kube::fake::Fake::start().unwrap();
    fake.put(service("a", 1));
    let text = fake.kubeconfig();
    let mut bench = Bench::of(fake, timing());
    bench.write_kubeconfig("");
    let path = bench.dir.path().join("later");
    let (_node, receiver) = tokio::sync::watch::channel(named(NODE));
    bench.watch =
        penstock_kube::watch(penstock_kube::Access::Kubeconfig(path.clone()), receiver, timing());
    bench.fragments = bench.watch.fragments();
    let fragment = bench.until(|f| f.stale).await;
    let found = findings(&fragment);
    assert!(found[0].contains("later") && found[0].contains("refused"), "{found:?}");
    std::fs::write(path, text).unwrap();
    bench.serves(&[("a", &[])]).await;
}

/// The manifest gives the rights that are used, and no others.
#[tokio::test]
async fn the_manifests_rights_are_those_that_are_used() {
    let bench = Bench::complete(timing(), []).await;
    let mut used = BTreeSet::new();
    // Watches begin behind the lists.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while used.len() < 8 {
        assert!(std::time::Instant::now() < deadline, "{used:?}");
        used = bench.fake.requests();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = include_str!("../../../packaging/kubernetes/rbac.yaml");
    let mut given = BTreeSet::new();
    for document in text.split("---\n") {
        let value: serde_json::Value = serde_yaml_ng::from_str(document).unwrap();
        for rule in value["rules"].as_array().into_iter().flatten() {
            let texts = |field: &str| {
                let list = rule[field].as_array().unwrap().iter();
                list.map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            for (verb, resource) in texts("verbs")
                .iter()
                .flat_map(|v| texts("resources").into_iter().map(|r| (v.clone(), r)))
            {
                let group = if resource == "endpointslices" { "discovery.k8s.io" } else { "" };
                assert_eq!(texts("apiGroups"), [group], "{resource}");
                given.insert((verb, resource));
            }
        }
    }
    let used: BTreeSet<_> = used.into_iter().map(|(verb, r)| (verb.to_owned(), r)).collect();
    assert_eq!(given, used);
}
