//! The whole daemon and an API server.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use penstock_kube::Access;
use penstock_kube::fake::Fake;
use serde_json::{Value, json};
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

/// Answers of a port: status and body; none if nobody listens there.
fn ask(port: u16) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let local = serde_json::from_str::<Value>(body).ok()?;
    let weight = format!("x-load-balancing-endpoint-weight: {}", local["localEndpoints"]);
    assert!(head.contains(&weight), "{head}");
    Some((head.split(' ').nth(1)?.parse().ok()?, local))
}

#[track_caller]
fn wait_for(port: u16, expected: Option<(u16, u64, bool)>) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(port);
        let short = answer.as_ref().map(|(status, body)| {
            let healthy = body["serviceProxyHealthy"] == true;
            (*status, body["localEndpoints"].as_u64().unwrap(), healthy)
        });
        if short == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{answer:?} is not {expected:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn load_balancers_are_told_whether_a_pod_is_here() {
    let (mut bench, fake) = bench();
    bench.health_checks = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    // A port that was free, and is taken until the daemon has found that out.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut service = objects(8888).remove(0);
    service["spec"]["type"] = "LoadBalancer".into();
    service["spec"]["externalTrafficPolicy"] = "Local".into();
    service["spec"]["healthCheckNodePort"] = port.into();
    fake.put(service.clone());
    bench.start();
    let status = bench.wait("the port that is taken", |s| {
        let input = s["sources"].as_array().unwrap().iter().find(|s| s["name"] == "health checks");
        input.is_some_and(|input| input["errors"].to_string().contains(&port.to_string()))
    });
    assert_eq!(source(&status, "health checks")["objects"]["ports"], 0);
    drop(taken);
    // One of the two endpoints is a vif of this node.
    wait_for(port, Some((200, 1, true)));
    let name = json!({ "namespace": "ns-user-1", "name": "service-web-clusterip" });
    assert_eq!(ask(port).unwrap().1["service"], name);
    // Who connects and says nothing keeps nobody else from an answer.
    let idle = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let idle: Vec<TcpStream> = (0..300).map(|_| idle()).collect();
    wait_for(port, Some((200, 1, true)));
    drop(idle);
    // A card that is gone serves nobody, whatever is here.
    bench.fake().kill();
    wait_for(port, Some((503, 1, false)));
    bench.fake().revive();
    wait_for(port, Some((200, 1, true)));
    let mut slice = objects(8888).remove(1);
    slice["endpoints"][0]["conditions"]["ready"] = false.into();
    fake.put(slice);
    wait_for(port, Some((503, 0, true)));
    // Without the policy, or the service, nobody answers.
    service["spec"]["externalTrafficPolicy"] = "Cluster".into();
    fake.put(service.clone());
    wait_for(port, None);
    service["spec"]["externalTrafficPolicy"] = "Local".into();
    fake.put(service.clone());
    wait_for(port, Some((503, 0, true)));
    fake.delete(&service);
    wait_for(port, None);
}
