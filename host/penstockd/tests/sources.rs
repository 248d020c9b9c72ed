//! The whole daemon and its files: one that is wrong, cut, empty or missing harms what it says, and nothing else.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Bench, NODE, SERVICE, complaints, manifests, source};

#[test]
fn a_change_is_followed_and_a_bad_manifest_changes_nothing() {
    // A pass is counted when the card has told its end; the new port can be read from the card before that.
    let written = |status: &Value| {
        let count = |what: &str| status["reconcile"][what].as_u64().unwrap();
        count("completed") - count("empty")
    };
    let mut bench = Bench::new();
    bench.start();
    let first = written(&bench.wait_in_sync(1));
    bench.write(&manifests(9999));
    bench.wait("the new port", |s| {
        s["reconcile"]["state"] == "in sync"
            && bench.fip_ports() == [9999]
            && written(s) == first + 1
    });
    let writes = bench.fake().writes();

    bench.write("kind: Service\nmetadata: [ broken");
    let status = bench.wait("the error", |s| complaints(s) != "[]");
    assert!(complaints(&status).contains("web.yaml"), "{status:#}");
    assert_eq!(source(&status, "manifests")["read"], true);
    assert_eq!((bench.fake().writes(), bench.fip_ports()), (writes, vec![9999]));

    bench.write(&manifests(7777));
    // One change for the mended file, none for the broken one.
    let status = bench.wait("the mended file", |s| {
        complaints(s) == "[]" && bench.fip_ports() == [7777] && written(s) > first + 1
    });
    assert_eq!(written(&status), first + 2, "{status:#}");
    assert_eq!(status["device"]["state"], "attached");
}

#[test]
fn bad_manifests_at_the_start_touch_no_card() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    bench.stop();
    let writes = bench.fake().writes();
    bench.write("kind: Service\nmetadata: [ broken");
    bench.start();
    let status = bench.wait("the error", |s| complaints(s) != "[]");
    assert_eq!(source(&status, "manifests")["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    assert_eq!(bench.fake().writes(), writes);
    bench.write(&manifests(8888));
    bench.wait_in_sync(1);
    assert_eq!(bench.fake().writes(), writes);
}

#[test]
fn files_that_are_gone_by_accident_change_nothing() {
    let mut bench = Bench::new();
    let error = |status: &Value| complaints(status);
    bench.start();
    bench.wait_in_sync(1);
    let writes = bench.fake().writes();
    // A shell truncates a file before it writes.
    bench.write("");
    bench.wait("the error", |s| error(s).contains("holds no object, and held 2 before"));
    // A mount is missing when the daemon starts.
    bench.stop();
    let (manifests, away) = (bench.dir.path().join("manifests"), bench.dir.path().join("away"));
    std::fs::rename(&manifests, &away).unwrap();
    bench.start();
    let status = bench.wait("the error", |s| error(s).contains("mount what holds it"));
    assert_eq!(source(&status, "manifests")["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    // Its mount point is not.
    bench.stop();
    std::fs::create_dir(&manifests).unwrap();
    bench.start();
    let status = bench.wait("the error", |s| error(s).contains("mount what holds them"));
    assert_eq!(source(&status, "manifests")["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    std::fs::remove_dir(&manifests).unwrap();
    std::fs::rename(&away, &manifests).unwrap();
    bench.write(&self::manifests(8888));
    bench.wait_in_sync(1);
    assert_eq!((bench.fake().writes(), bench.fip_ports()), (writes, vec![8888]));
}

#[test]
fn a_bad_file_holds_up_no_other() {
    let mut bench = Bench::new();
    bench.write_file("bad.yaml", "kind: [");
    bench.start();
    let status = bench.wait_in_sync(1);
    assert!(complaints(&status).contains("bad.yaml:1: "), "{status:#}");
    bench.write(&manifests(9999));
    let status = bench.wait("the new port", |_| bench.fip_ports() == [9999]);
    assert_eq!(source(&status, "manifests")["read"], true);
    assert!(complaints(&status).contains("bad.yaml:1: "), "{status:#}");
}

#[test]
fn external_ips_are_served_by_leave_only() {
    let mut bench = Bench::new();
    let text = manifests(8888).replace("spec:", "spec:\n  externalIPs: [ 101.101.101.1 ]");
    bench.write(&text);
    bench.start();
    let status = bench.wait_in_sync(1);
    let notes = status["reconcile"]["notes"].to_string();
    let denied = "101.101.101.1 is an external IP in no range of --allow-external-ips";
    assert!(notes.contains(denied), "{notes}");
    let intent = &bench.get(SERVICE)["intent"];
    assert!(intent["notes"][0].as_str().unwrap().contains(denied), "{intent}");
    assert_eq!(intent["denied"], json!({"101.101.101.1": intent["notes"][0]}));
    assert_eq!(bench.routes_to("101.101.101.1"), 0);
    bench.stop();
    bench.policy.external_ranges = vec!["101.101.101.0/24".parse().unwrap()];
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.routes_to("101.101.101.1"), 1);
    bench.stop();
    bench.policy.cluster_ranges = vec!["101.101.101.0/28".parse().unwrap()];
    bench.start();
    let notes = bench.wait_in_sync(1)["reconcile"]["notes"].to_string();
    assert!(
        notes.contains("101.101.101.1 is an external IP in 101.101.101.0/28 of --cluster-cidr"),
        "{notes}"
    );
    assert_eq!(bench.routes_to("101.101.101.1"), 0);
}

/// A lone `null`, a bad port, text that is no document: what stands beside them is taken all the same.
#[test]
fn a_wrong_document_holds_up_nothing_else() {
    let wrong = [
        "---\nnull\n",
        "apiVersion: v1\nkind: Service\nmetadata: { name: [ broken\n",
        "apiVersion: v1\nkind: Service\nmetadata: { name: other, namespace: shop }\n\
         spec: { clusterIP: 10.105.0.7, ports: [ { port: 70000, protocol: TCP } ] }\n",
    ];
    for (i, wrong) in wrong.iter().enumerate() {
        // A node that starts with it.
        let mut bench = Bench::new();
        bench.write_file("new.yaml", wrong);
        bench.start();
        bench.wait_in_sync(1);
        assert_eq!(bench.fip_ports(), [8888], "{wrong}");
        assert_eq!(bench.routes_to("10.47.255.237"), 1, "a pod of the node; {wrong}");
        // One on which it appears while another file changes.
        std::fs::remove_file(bench.dir.path().join("manifests/new.yaml")).unwrap();
        bench.write_file("new.yaml", wrong);
        bench.write(&manifests(9999));
        let status = bench.wait("the other file's change", |_| bench.fip_ports() == [9999]);
        // Nothing at all is no fault.
        assert_eq!(complaints(&status).contains("new.yaml"), i > 0, "{status:#}");
    }
}

/// Faults of single things in the node file.
#[test]
fn a_wrong_vif_harms_only_itself() {
    let mut bench = Bench::new();
    let twice = NODE.replace("label: 28", "label: 25");
    bench.write_node("card0", &twice);
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(status["reconcile"]["refused"], 1, "{status:#}");
    assert!(status["reconcile"]["notes"].to_string().contains("label 25"), "{status:#}");
    // One of the two has it, the remote node's pod and the service are served.
    let locals = ["10.47.255.236", "10.47.255.237"].map(|pod| bench.routes_to(pod));
    assert_eq!(locals.iter().sum::<usize>(), 1);
    assert_eq!((bench.routes_to("10.47.255.238"), bench.routes_to("10.105.139.153")), (1, 1));
    bench.write_node("card0", NODE);
    bench.wait("the mended file", |s| s["reconcile"]["refused"] == 0);
    assert_eq!((bench.routes_to("10.47.255.236"), bench.routes_to("10.47.255.237")), (1, 1));
}

/// More backends than a group has slots, of one service among others.
#[test]
fn a_service_that_is_too_large_is_served_in_part_and_holds_up_nothing_else() {
    let mut bench = Bench::new();
    // More than the 1,024 members that the largest group of the card has.
    let pods = || (0..1100).map(|i| (format!("10.20.{}.{}", 9 + i / 250, 1 + i % 250), 1000 + i));
    let labels: String = pods().map(|(pod, label)| format!(", {pod}: {label}")).collect();
    bench.write_node(
        "card0",
        &NODE.replace("10.47.255.238: 43", &format!("10.47.255.238: 43{labels}")),
    );
    let endpoints: String = pods()
        .map(|(pod, _)| format!("  - {{ addresses: [{pod}], conditions: {{ ready: true }} }}\n"))
        .collect();
    let big = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: big, namespace: shop }}\n\
         spec: {{ clusterIP: 172.20.0.77, ports: [{{ port: 8080, targetPort: 80, protocol: TCP }}] }}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{ name: big-1, namespace: shop, labels: {{ kubernetes.io/service-name: big }} }}\n\
         addressType: IPv4\nports: [{{ port: 80, protocol: TCP }}]\nendpoints:\n{endpoints}"
    );
    bench.write_file("big.yaml", &big);
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(bench.fip_ports(), [8888]);
    let notes = status["reconcile"]["notes"].to_string();
    assert!(
        notes.contains("floating IP 172.20.0.77 has 1100 backends, 1024 of them serve"),
        "{notes}"
    );
    let service = bench.get("/v1/services/shop/big");
    assert_eq!(service["routes"][0]["members"].as_array().unwrap().len(), 1024, "{service:#}");
    // A pod of the other service goes: it is no member any more.
    bench.write(&manifests(8888).replace(
        "  - { addresses: [ 10.47.255.238 ], nodeName: cent333, conditions: { ready: true } }\n",
        "",
    ));
    bench.wait("the departure", |_| {
        let members = bench.get(SERVICE)["routes"][0]["members"].as_array().cloned();
        members.is_some_and(|members| {
            members.iter().filter(|member| member["draining"] == false).count() == 1
        })
    });
}
