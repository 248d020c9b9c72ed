//! The whole daemon and an API server.
#![allow(clippy::unwrap_used)]

mod support;

use penstock_kube::Access;
use penstock_kube::fake::Fake;
use serde_json::Value;
use support::{Bench, SERVICE, manifests, source};

/// The chapter's service, at a port, as objects.
fn objects(port: u16) -> Vec<Value> {
    let text = manifests(port);
    text.split("---\n").map(|document| serde_yaml_ng::from_str(document).unwrap()).collect()
}

/// A daemon, not started yet, and its API server, which has the chapter's service.
fn bench() -> (Bench, Fake) {
    let fake = Fake::start().unwrap();
    objects(8888).into_iter().for_each(|object| fake.put(object));
    let mut bench = Bench::new();
    let path = bench.dir.path().join("kubeconfig");
    std::fs::write(&path, fake.kubeconfig()).unwrap();
    bench.kubernetes = Some(Access::Kubeconfig(path));
    (bench, fake)
}

#[test]
fn services_of_an_api_server_reach_the_card() {
    let (mut bench, fake) = bench();
    bench.start();
    let status = bench.wait_in_sync(1);
    let kubernetes = source(&status, "kubernetes");
    assert_eq!((&kubernetes["read"], &kubernetes["stale"]), (&true.into(), &false.into()));
    assert_eq!(kubernetes["objects"]["services"], 1);
    assert_eq!(bench.fip_ports(), [8888]);
    objects(9999).into_iter().for_each(|object| fake.put(object));
    bench.wait("the new port", |s| {
        s["reconcile"]["state"] == "in sync" && bench.fip_ports() == [9999]
    });
    fake.delete(&objects(9999)[0]);
    bench.wait("an empty card", |_| bench.fip_ports().is_empty());
    assert_eq!(bench.ask("GET", SERVICE).0, 404);
}

#[test]
fn without_its_api_server_a_daemon_keeps_what_the_card_has() {
    let (mut bench, mut fake) = bench();
    bench.start();
    bench.wait_in_sync(1);
    fake.go_away();
    let status = bench.wait("the silence", |s| source(s, "kubernetes")["stale"] == true);
    let errors = source(&status, "kubernetes")["errors"].to_string();
    assert!(errors.contains("API server of"), "{status:#}");
    assert_eq!(bench.fip_ports(), [8888]);
    // Nor does one that starts without take anything away.
    let writes = bench.fake().writes();
    bench.stop();
    bench.start();
    let status = bench.wait("the device", |s| {
        s["device"]["state"] == "attached" && source(s, "kubernetes")["stale"] == true
    });
    assert_eq!(source(&status, "kubernetes")["read"], false);
    assert_eq!((bench.fip_ports(), bench.fake().writes()), (vec![8888], writes));
    // What is back says what was lost meanwhile.
    objects(9999).into_iter().for_each(|object| fake.put(object));
    fake.come_back().unwrap();
    bench.wait("the new port", |s| {
        s["reconcile"]["state"] == "in sync" && bench.fip_ports() == [9999]
    });
}
