//! The whole daemon against a card in memory: it programs tables, adopts them after a restart, keeps them when manifests
//! are bad, and says so when the card dies.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::ring::Status as RingStatus;
use penstock_abi::table::*;
use penstock_device::fake::FakeCard;
use penstock_model::Prefix;
use penstock_sources::Paths;
use penstock_tables::{CONFIG_TABLES, Entry};
use penstockd::keep::ServiceManager;
use penstockd::{Config, Daemon};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NODE: &str = r#"
name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs:
  - { id: 2, name: k8s-default-pod-network }
vifs:
  - { id: 7, name: client, pod: { namespace: ns-user-1, name: client }, address: 10.47.255.237, mac: "02:00:0a:2f:ff:ed", vrf: 2, label: 25 }
  - { id: 8, name: web, pod: { namespace: ns-user-1, name: web-1 }, address: 10.47.255.236, mac: "02:00:0a:2f:ff:ec", vrf: 2, label: 28 }
remotes:
  - { name: cent333, address: 10.169.25.21, labels: { 10.47.255.238: 43 } }
"#;

fn manifests(port: u16) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{ name: service-web-clusterip, namespace: ns-user-1 }}
spec:
  clusterIP: 10.105.139.153
  ports: [ {{ name: port1, port: {port}, targetPort: 80, protocol: TCP }} ]
  selector: {{ app: webserver }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-web-clusterip-1
  namespace: ns-user-1
  labels: {{ kubernetes.io/service-name: service-web-clusterip }}
addressType: IPv4
ports: [ {{ name: port1, port: 80, protocol: TCP }} ]
endpoints:
  - {{ addresses: [ 10.47.255.236 ], nodeName: cent222, conditions: {{ ready: true }} }}
  - {{ addresses: [ 10.47.255.238 ], nodeName: cent333, conditions: {{ ready: true }} }}
"#
    )
}

struct Bench {
    dir: TempDir,
    fake: FakeCard,
    runtime: Runtime,
    daemon: Option<Daemon>,
    external_ranges: Vec<Prefix>,
    cluster_ranges: Vec<Prefix>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("manifests")).unwrap();
        std::fs::write(dir.path().join("node.yaml"), NODE).unwrap();
        let bench = Self {
            dir,
            fake: FakeCard::new(),
            runtime: Runtime::new().unwrap(),
            daemon: None,
            external_ranges: Vec::new(),
            cluster_ranges: Vec::new(),
        };
        bench.write(&manifests(8888));
        bench
    }

    fn write(&self, text: &str) {
        std::fs::write(self.dir.path().join("manifests/web.yaml"), text).unwrap();
    }

    fn api(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    fn config(&self) -> Config {
        let fake = self.fake.clone();
        Config {
            paths: Paths {
                node: self.dir.path().join("node.yaml"),
                manifests: self.dir.path().join("manifests"),
            },
            spec: "fake".to_owned(),
            opener: Arc::new(move || Ok(fake.transport())),
            keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
            api: self.api(),
            static_neighbours: [(
                "10.169.25.21".parse().unwrap(),
                "02:00:0a:a9:19:15".parse().unwrap(),
            )]
            .into(),
            external_ranges: self.external_ranges.clone(),
            cluster_ranges: self.cluster_ranges.clone(),
        }
    }

    fn start(&mut self) {
        let _guard = self.runtime.enter();
        self.daemon = Some(Daemon::start(self.config()).unwrap());
    }

    /// As a crash: all tasks end where they are.
    fn stop(&mut self) {
        self.daemon = None;
        let old = std::mem::replace(&mut self.runtime, Runtime::new().unwrap());
        old.shutdown_timeout(Duration::from_secs(5));
    }

    fn ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(self.api()).unwrap();
        writeln!(stream, "{request}").unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn status(&self) -> Value {
        self.ask(&json!({"version": 1, "op": "status"}))["data"].clone()
    }

    fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status();
            if condition(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what} did not happen: {status:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn wait_in_sync(&self, completed: u64) -> Value {
        self.wait("a reconcile", |s| {
            s["reconcile"]["state"] == "in sync"
                && s["reconcile"]["completed"].as_u64() >= Some(completed)
        })
    }

    fn fip_ports(&self) -> Vec<u16> {
        let keys = self.fake.table(TableId::FipKey);
        let keys = keys.iter().map(|(_, words)| FipKey::unpack(words));
        // Others only mark the backend.
        let vip: Ipv4Addr = "10.105.139.153".parse().unwrap();
        let mut ports: Vec<u16> =
            keys.filter(|key| key.ip == u32::from(vip)).map(|key| key.port).collect();
        ports.sort_unstable();
        ports
    }
}

#[test]
fn it_programs_a_card_and_shows_it() {
    let mut bench = Bench::new();
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(status["node"], "cent222");
    assert_eq!(status["device"]["state"], "attached");
    assert_eq!(status["device"]["card"]["forwarding"], true);
    assert_eq!(status["device"]["card"]["firmware"], "ready");
    assert_eq!(status["pending_neighbours"], json!([]));
    assert_ne!(bench.fake.register(regs::EPOCH), 0);
    assert_eq!(bench.fip_ports(), [8888]);

    let service = json!({"version": 1, "op": "service", "namespace": "ns-user-1", "name": "service-web-clusterip"});
    let service = &bench.ask(&service)["data"];
    assert_eq!(service["routes"][0]["type"], "Composite", "{service:#}");
    assert_eq!(service["routes"][0]["members"].as_array().unwrap().len(), 2, "{service:#}");
    assert_eq!(service["port_maps"][0]["nat_port"], 8888);

    let nh = service["routes"][0]["next_hop"].clone();
    let hops = &bench.ask(&json!({"version": 1, "op": "next_hop", "id": nh}))["data"]["next_hops"];
    assert_eq!(hops.as_array().unwrap().len(), 3, "the composite and its two members: {hops:#}");
    let vifs = &bench.ask(&json!({"version": 1, "op": "vifs", "index": 8}))["data"]["interfaces"];
    assert_eq!(vifs[0]["name"], "web");
}

#[test]
fn flows_come_from_the_live_card() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let flow = Flow {
        valid: true,
        proto: 6,
        dnat: true,
        dpat: true,
        partner_valid: true,
        partner: 9,
        ..Flow::default()
    };
    bench.fake.set_entry(4, flow);
    bench.fake.set_entry(4, FlowStats { packets: 5, bytes: 500, tcp: TCP_SYN, last_hit: 0 });
    bench.fake.set_entry(9, FlowStats { tcp: TCP_SYN | TCP_ESTABLISHED, ..FlowStats::default() });
    let listed = &bench.ask(&json!({"version": 1, "op": "flows"}))["data"]["flows"];
    assert_eq!((&listed[0]["packets"], &listed[0]["nat"]), (&json!(5), &json!(["D", "Pd"])));
    let one = &bench.ask(&json!({"version": 1, "op": "flow", "index": 4}))["data"];
    assert_eq!(one["tcp"], json!(["S", "Sr", "Er"]), "{one:#}");
    let none = bench.ask(&json!({"version": 1, "op": "flow", "index": 5}));
    assert!(none["ok"] == false && none["error"].as_str().unwrap().contains("flow 5"), "{none}");
}

#[test]
fn the_fill_of_the_flow_table_is_in_the_status() {
    use penstock_abi::reason::{CardCounter, DropReason};
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let flows = bench.status()["device"]["flow_table"].clone();
    assert_eq!(flows["refused"], json!([]));
    let in_use = Entry::CardStats(Counter { count: 50_000 });
    bench.fake.set_entry(CardCounter::FlowsInUse as u32, in_use);
    let refused = Entry::DropStats(Counter { count: 7 });
    bench.fake.set_entry(DropReason::FlowQueueFull as u32, refused);
    let flows = bench.status()["device"]["flow_table"].clone();
    assert_eq!(flows["in_use"], 50_000);
    assert_eq!(flows["refused"][0]["reason"], "FlowQueueFull", "{flows:#}");
    let drops = &bench.ask(&json!({"version": 1, "op": "drop_stats"}))["data"]["drops"];
    let of = |reason: &str| drops.as_array().unwrap().iter().find(|d| d["reason"] == reason);
    for reason in ["FlowTableFull", "FlowUnusable", "FlowClash", "EgressOversize", "NotForGateway"]
    {
        assert_eq!(of(reason).unwrap()["count"], 0, "{reason}");
    }
    assert_eq!(of("FlowQueueFull").unwrap()["count"], 7);
}

#[test]
fn routes_of_a_vrf_that_is_not_there_are_an_error() {
    let mut bench = Bench::new();
    let node = NODE.replace("vifs:", "  - { id: 6, name: empty }\nvifs:");
    std::fs::write(bench.dir.path().join("node.yaml"), node).unwrap();
    bench.write("apiVersion: v1\nkind: List\nitems: []\n");
    bench.start();
    bench.wait_in_sync(1);
    let dump = |vrf| bench.ask(&json!({"version": 1, "op": "routes", "vrf": vrf}));
    assert_ne!(dump(2)["data"]["routes"], json!([]));
    let other = dump(9);
    assert!(other["error"].as_str().unwrap().contains("no VRF 9 here; there are: 2, 6"), "{other}");
}

#[test]
fn a_service_that_nobody_answers_for_says_why() {
    let mut bench = Bench::new();
    let text =
        manifests(8888).replace("10.47.255.236", "10.9.9.8").replace("10.47.255.238", "10.9.9.9");
    let (service, slice) = text.split_once("---").unwrap();
    let ask = |bench: &Bench| {
        bench.ask(&json!({"version": 1, "op": "service", "namespace": "ns-user-1", "name": "service-web-clusterip"}))
            ["data"]
            .clone()
    };
    bench.write(service);
    bench.start();
    bench.wait_in_sync(1);
    let none = ask(&bench);
    let why = none["routes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("the service has no endpoints"), "{none:#}");

    let before = bench.status()["reconcile"]["completed"].as_u64().unwrap();
    bench.write(&format!("{service}---{slice}"));
    bench.wait_in_sync(before + 1);
    let unknown = ask(&bench);
    let why = unknown["routes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("none of its 2 endpoints"), "{unknown:#}");
    assert!(unknown["intent"]["notes"].to_string().contains("10.9.9.8"), "{unknown:#}");
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let (writes, epoch) = (bench.fake.writes(), bench.fake.register(regs::EPOCH));
    assert!(writes > 0);
    bench.stop();
    assert_eq!(
        bench.fake.register(regs::CONTROL) & 1,
        1,
        "the end of the daemon leaves the card forwarding"
    );
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(status["reconcile"]["empty"], status["reconcile"]["completed"]);
    assert_eq!((bench.fake.writes(), bench.fake.register(regs::EPOCH)), (writes, epoch));
}

#[test]
fn backends_that_are_not_ready_keep_what_they_have_over_a_restart() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let unready = manifests(8888).replace("ready: true", "ready: false");
    bench.write(&unready);
    let members = |service: &Value| {
        let members = service["data"]["routes"][0]["members"].as_array().cloned();
        members.unwrap_or_default()
    };
    let ask = json!({"version": 1, "op": "service", "namespace": "ns-user-1", "name": "service-web-clusterip"});
    bench.wait("two members that drain", |_| {
        let members = members(&bench.ask(&ask));
        members.len() == 2 && members.iter().all(|member| member["draining"] == true)
    });
    assert_eq!(bench.fip_ports(), [8888]);
    let writes = bench.fake.writes();
    bench.stop();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.fake.writes(), writes);
}

#[test]
fn external_ips_are_served_by_leave_only() {
    let mut bench = Bench::new();
    let text = manifests(8888).replace("spec:", "spec:\n  externalIPs: [ 101.101.101.1 ]");
    bench.write(&text);
    bench.start();
    let status = bench.wait_in_sync(1);
    let notes = status["reconcile"]["notes"].to_string();
    assert!(notes.contains("external IP 101.101.101.1 is in no range"), "{notes}");
    let ask = json!({"version": 1, "op": "service", "namespace": "ns-user-1", "name": "service-web-clusterip"});
    let intent = &bench.ask(&ask)["data"]["intent"];
    assert!(
        intent["notes"][0].as_str().unwrap().starts_with("external IP 101.101.101.1"),
        "{intent}"
    );
    assert_eq!(intent["denied"], json!({"101.101.101.1": intent["notes"][0]}));
    let routes = |bench: &Bench| {
        let routes = bench.fake.table(TableId::HostRoute);
        let address: Ipv4Addr = "101.101.101.1".parse().unwrap();
        let routes = routes.iter().map(|(_, words)| HostRoute::unpack(words));
        routes.filter(|route| route.ip == u32::from(address)).count()
    };
    assert_eq!(routes(&bench), 0);
    bench.stop();
    bench.external_ranges = vec!["101.101.101.0/24".parse().unwrap()];
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(routes(&bench), 1);
    bench.stop();
    bench.cluster_ranges = vec!["101.101.101.0/28".parse().unwrap()];
    bench.start();
    let notes = bench.wait_in_sync(1)["reconcile"]["notes"].to_string();
    assert!(notes.contains("101.101.101.1 is in 101.101.101.0/28 of --cluster-cidr"), "{notes}");
    assert_eq!(routes(&bench), 0);
}

/// Another image, or `penstock card clear`: the card answers as before and holds nothing.
#[test]
fn a_card_that_was_cleared_is_written_anew() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let words = |bench: &Bench| {
        let tables = CONFIG_TABLES.iter();
        tables.map(|&table| bench.fake.table(table)).collect::<Vec<_>>()
    };
    let before = words(&bench);
    bench.fake.clear();
    assert_ne!(words(&bench), before);
    bench.wait("the tables", |s| s["reconcile"]["state"] == "in sync" && words(&bench) == before);
    // A change that comes before anybody looked does not hide it.
    bench.fake.clear();
    bench.write(&manifests(9999));
    bench.wait("the tables and the change", |s| {
        s["reconcile"]["state"] == "in sync"
            && bench.fip_ports() == [9999]
            && words(&bench).iter().map(Vec::len).eq(before.iter().map(Vec::len))
    });
}

#[test]
fn a_change_is_followed_and_a_bad_manifest_changes_nothing() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    bench.write(&manifests(9999));
    bench.wait("the new port", |s| {
        s["reconcile"]["state"] == "in sync" && bench.fip_ports() == [9999]
    });
    let writes = bench.fake.writes();
    let completed = bench.status()["reconcile"]["completed"].as_u64();

    bench.write("kind: Service\nmetadata: [ broken");
    let status = bench.wait("the error", |s| s["sources"][0]["errors"] != json!([]));
    assert!(status["sources"][0]["errors"].to_string().contains("web.yaml"), "{status:#}");
    assert_eq!(status["sources"][0]["read"], true);
    assert_eq!((bench.fake.writes(), bench.fip_ports()), (writes, vec![9999]));

    bench.write(&manifests(7777));
    let status = bench.wait("the mended file", |s| {
        s["sources"][0]["errors"] == json!([]) && bench.fip_ports() == [7777]
    });
    assert_eq!(
        status["reconcile"]["completed"].as_u64(),
        completed.map(|n| n + 1),
        "one reconcile for the mended file, none for the broken one"
    );
    assert_eq!(status["device"]["state"], "attached");
}

#[test]
fn bad_manifests_at_the_start_touch_no_card() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    bench.stop();
    let writes = bench.fake.writes();
    bench.write("kind: Service\nmetadata: [ broken");
    bench.start();
    let status = bench
        .wait("the error", |s| s["sources"][0]["errors"].as_array().is_some_and(|e| !e.is_empty()));
    assert_eq!(status["sources"][0]["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    assert_eq!(bench.fake.writes(), writes);
    bench.write(&manifests(8888));
    bench.wait_in_sync(1);
    assert_eq!(bench.fake.writes(), writes);
}

#[test]
fn files_that_are_gone_by_accident_change_nothing() {
    let mut bench = Bench::new();
    let error = |status: &Value| status["sources"][0]["errors"].to_string();
    bench.start();
    bench.wait_in_sync(1);
    let writes = bench.fake.writes();
    // A shell truncates a file before it writes.
    bench.write("");
    bench.wait("the error", |s| error(s).contains("holds no object, and held 2 before"));
    // A mount is missing when the daemon starts.
    bench.stop();
    let (manifests, away) = (bench.dir.path().join("manifests"), bench.dir.path().join("away"));
    std::fs::rename(&manifests, &away).unwrap();
    bench.start();
    let status = bench.wait("the error", |s| error(s).contains("mount what holds it"));
    assert_eq!(status["sources"][0]["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    // Its mount point is not.
    bench.stop();
    std::fs::create_dir(&manifests).unwrap();
    bench.start();
    let status = bench.wait("the error", |s| error(s).contains("mount what holds them"));
    assert_eq!(status["sources"][0]["read"], false);
    bench.wait("the device", |s| s["device"]["state"] == "attached");
    std::fs::remove_dir(&manifests).unwrap();
    std::fs::rename(&away, &manifests).unwrap();
    bench.write(&self::manifests(8888));
    bench.wait_in_sync(1);
    assert_eq!((bench.fake.writes(), bench.fip_ports()), (writes, vec![8888]));
}

#[test]
fn a_bad_file_holds_up_no_other() {
    let mut bench = Bench::new();
    std::fs::write(bench.dir.path().join("manifests/bad.yaml"), "kind: [").unwrap();
    bench.start();
    let status = bench.wait_in_sync(1);
    assert!(status["sources"][0]["errors"].to_string().contains("bad.yaml:1: "), "{status:#}");
    bench.write(&manifests(9999));
    let status = bench.wait("the new port", |_| bench.fip_ports() == [9999]);
    assert_eq!(status["sources"][0]["read"], true);
    assert!(status["sources"][0]["errors"].to_string().contains("bad.yaml:1: "), "{status:#}");
}

#[test]
fn a_dead_card_is_reported_and_taken_back() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let writes = bench.fake.writes();
    bench.fake.kill();
    let status = bench.wait("the loss", |s| {
        s["device"]["state"] == "lost" && s["reconcile"]["state"] == "failing"
    });
    assert!(status["device"]["error"].as_str().unwrap().contains("gone"), "{status:#}");
    assert_eq!(status["device"]["card"], Value::Null);
    let refused = bench.ask(&json!({"version": 1, "op": "vifs"}));
    assert!(refused["error"].as_str().unwrap().contains("lost"), "{refused}");
    // What changes meanwhile reaches the card when it is back.
    bench.write(&manifests(9999));
    bench.fake.revive();
    bench.wait("the return", |s| {
        s["reconcile"]["state"] == "in sync" && bench.fip_ports() == [9999]
    });
    assert!(bench.fake.writes() > writes);
}

#[test]
fn a_card_that_dies_within_a_plan_is_read_back() {
    let mut bench = Bench::new();
    bench.fake.kill_after(3);
    bench.start();
    bench.wait("the loss", |s| {
        s["device"]["state"] == "lost" && s["reconcile"]["state"] == "failing"
    });
    bench.fake.revive();
    bench.wait_in_sync(1);
    assert_eq!(bench.fip_ports(), [8888]);
    // The card is now what a card that never died would be: another daemon has nothing to write.
    let writes = bench.fake.writes();
    bench.stop();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.fake.writes(), writes);
}

#[test]
fn a_refused_write_is_reported_by_name() {
    let mut bench = Bench::new();
    bench.fake.refuse_writes(Some((TableId::HostRoute, RingStatus::NotPermitted)));
    bench.start();
    let status = bench.wait("the refusal", |s| s["reconcile"]["state"] == "failing");
    assert!(
        status["reconcile"]["last_error"].as_str().unwrap().contains("HostRoute"),
        "{status:#}"
    );
    assert_eq!(status["device"]["state"], "attached");
    bench.fake.refuse_writes(None);
    bench.wait_in_sync(1);
}

#[test]
fn the_socket_is_for_one_daemon_and_its_group() {
    let mut bench = Bench::new();
    bench.start();
    let mode = std::fs::metadata(bench.api()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = {
        let _guard = bench.runtime.enter();
        Daemon::start(bench.config()).err().unwrap().to_string()
    };
    assert!(second.contains("another daemon"), "{second}");
    bench.wait_in_sync(1);
    for (line, why) in [
        ("{\"version\":2,\"op\":\"status\"}", "version 2"),
        ("{\"version\":1,\"op\":\"reboot\"}", "not understood"),
        ("hello", "not understood"),
    ] {
        let mut stream = UnixStream::connect(bench.api()).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains(why), "{answer}");
    }
    bench.stop();
    // A socket that a killed daemon left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(bench.api()).unwrap());
    assert!(bench.api().exists());
    bench.start();
    bench.wait_in_sync(1);
}
