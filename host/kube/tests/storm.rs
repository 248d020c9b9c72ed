//! Thousands of random changes, among broken watches, forgotten versions, servers that go away and come back as others, news
//! that are held back: what the card gets in the end is what the last state comes to.

#![allow(clippy::unwrap_used)]

mod support;

use std::net::IpAddr;
use std::time::Duration;

use penstock_compile::{Compiled, compile};
use penstock_kube::Timing;
use penstock_model::{Fragment, Intent, MacAddr, Neighbours, Policy, SourceName};
use penstock_sources::{Merger, Paths, load};
use serde_json::{Value, json};
use support::{Bench, NODE, node, pod, service, slice, timing};

/// Changes of one run.
const STEPS: usize = 6000;

/// Steps after which all is compared, at most.
const CALM: u64 = 60;

/// The node with its pods, and what others announce.
const NODE_FILE: &str = r#"
name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs: [ { id: 2, name: pods } ]
vifs:
  - { id: 7, name: a, pod: { namespace: x, name: a }, address: 10.47.255.1, mac: "02:00:0a:2f:ff:01", vrf: 2, label: 25 }
  - { id: 8, name: b, pod: { namespace: x, name: b }, address: 10.47.255.2, mac: "02:00:0a:2f:ff:02", vrf: 2, label: 26 }
remotes:
  - name: cent333
    address: 10.169.25.21
    labels: { 10.47.255.3: 43, 10.47.255.4: 44, 10.47.255.5: 45 }
"#;

/// A generator of numbers (xorshift64*): the same run each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn byte(&mut self, n: u64) -> u8 {
        u8::try_from(self.below(n)).unwrap() + 1
    }
}

/// An object that may come, change or go.
fn object(chance: &mut Chance) -> Value {
    let name = |chance: &mut Chance| format!("s{}", chance.below(12));
    match chance.below(12) {
        0..=3 => {
            let mut service = service(&name(chance), chance.byte(20));
            let spec = &mut service["spec"];
            match chance.below(12) {
                0 => spec["clusterIP"] = "None".into(),
                1 => *spec = json!({ "type": "ExternalName", "externalName": "a.example" }),
                2 => spec["internalTrafficPolicy"] = "Local".into(),
                3 => spec["sessionAffinity"] = "ClientIP".into(),
                4 => spec["ports"] = json!([ { "name": "", "port": 81, "protocol": "UDP" } ]),
                5 => {
                    let ip = format!("192.0.2.{}", chance.byte(3));
                    service["status"] = json!({ "loadBalancer": { "ingress": [ { "ip": ip } ] } });
                }
                6 => {
                    service["metadata"]["labels"] =
                        json!({ "service.kubernetes.io/service-proxy-name": "x" });
                }
                _ => {}
            }
            service
        }
        4..=8 => {
            let pods: Vec<u8> = (0..chance.below(4)).map(|_| chance.byte(5)).collect();
            let of = name(chance);
            let mut slice = slice(&format!("{of}-{}", chance.below(3)), &of, &pods);
            for endpoint in slice["endpoints"].as_array_mut().unwrap() {
                endpoint["nodeName"] = ["cent222", "cent333"][chance.byte(2) as usize - 1].into();
                match chance.below(5) {
                    0 => endpoint["conditions"] = json!({ "ready": false }),
                    1 => endpoint["conditions"] = json!({ "ready": false, "terminating": true }),
                    2 => {
                        endpoint["hints"] =
                            json!({ "forZones": [ { "name": format!("z{}", chance.below(2)) } ] });
                    }
                    _ => {}
                }
            }
            slice
        }
        9..=10 => {
            let on = ["cent222", "cent333"][chance.byte(2) as usize - 1];
            pod(&format!("p{}", chance.below(6)), on, chance.byte(9))
        }
        _ => node(NODE, &format!("z{}", chance.below(3))),
    }
}

/// What an intent comes to.
fn compiled(intent: &Intent) -> Compiled {
    let other: IpAddr = "10.169.25.21".parse().unwrap();
    let neighbours = Neighbours::unit(other, MacAddr([2, 0, 10, 169, 25, 21]));
    compile(intent, &neighbours)
}

struct Expected {
    dir: tempfile::TempDir,
    paths: Paths,
    node: Fragment,
}

impl Expected {
    fn new(node: Fragment) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manifests = dir.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let paths = Paths { node: dir.path().join("node.yaml"), manifests };
        std::fs::write(&paths.node, NODE_FILE).unwrap();
        Self { dir, paths, node }
    }

    /// The server's objects as manifests, read by another source.
    fn of(&self, bench: &Bench) -> Compiled {
        let mut objects = bench.fake.objects();
        // What the source does not ask for.
        objects.retain(|o| o["kind"] != "Pod" || o["spec"]["nodeName"] == NODE);
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        std::fs::write(self.dir.path().join("manifests/all.json"), list.to_string()).unwrap();
        compiled(&load(&self.paths, Policy::default()).unwrap())
    }

    /// What the source says.
    fn by(&self, fragment: &Fragment) -> Compiled {
        let sources: Vec<SourceName> = vec![self.node.source.clone(), fragment.source.clone()];
        let intent =
            Merger::new(sources, Policy::default()).merge(&[self.node.clone(), fragment.clone()]);
        assert!(intent.complete);
        compiled(&intent)
    }
}

fn same(ours: &Compiled, expected: &Compiled) -> bool {
    ours.desired == expected.desired && ours.advertisements == expected.advertisements
}

/// The fragment of the node file.
async fn node_fragment() -> Fragment {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.yaml");
    std::fs::write(&path, NODE_FILE).unwrap();
    let watch = penstock_sources::node_file::watch(path);
    let mut fragments = watch.fragments();
    let found = fragments.wait_for(|fragment| fragment.complete);
    tokio::time::timeout(Duration::from_secs(60), found).await.unwrap().unwrap().clone()
}

/// Does something to the server. What is done to it is undone before the next calm.
async fn trouble(bench: &mut Bench, chance: &mut Chance) {
    const PLURALS: [&str; 4] = ["services", "endpointslices", "pods", "nodes"];
    let plural = PLURALS[chance.byte(4) as usize - 1];
    match chance.below(12) {
        0..=2 => bench.fake.end_watches(),
        3..=4 => bench.fake.forget(),
        5..=6 => bench.fake.hold(plural, true),
        7 => bench.fake.hold(plural, false),
        8 => bench.fake.refuse(plural, Some(503)),
        9 => bench.fake.refuse(plural, None),
        10 => bench.fake.go_away(),
        _ => {
            // Nobody can tell it from the same one if the silence goes unnoticed: versions are only compared by the server.
            bench.fake.go_away();
            bench.until(|fragment| silent(fragment) == PLURALS.len()).await;
            bench.fake.become_another();
            for _ in 0..chance.below(20) {
                bench.fake.put(object(chance));
            }
            bench.fake.come_back().unwrap();
        }
    }
}

/// Of how many kinds nothing is heard.
fn silent(fragment: &Fragment) -> usize {
    let found = support::findings(fragment).join("\n");
    let kinds = ["Service", "EndpointSlice", "Pod", "Node"];
    kinds
        .iter()
        .filter(|kind| found.contains(&format!("({kind}")) || found.contains(&format!(", {kind}")))
        .count()
}

fn calm(bench: &mut Bench) {
    for plural in ["services", "endpointslices", "pods", "nodes"] {
        bench.fake.hold(plural, false);
        bench.fake.refuse(plural, None);
    }
    if !bench.fake.is_there() {
        bench.fake.come_back().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_are_those_of_the_last_state() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let timing = Timing {
        first_pause: Duration::from_millis(2),
        last_pause: Duration::from_millis(20),
        relist_after: Duration::ZERO,
        ..timing()
    };
    let expected = Expected::new(node_fragment().await);
    let mut bench = Bench::complete(timing, []).await;
    let mut next_calm = CALM;
    for step in 0..STEPS {
        let object = object(&mut chance);
        if chance.one_in(3) {
            bench.fake.delete(&object);
        } else {
            bench.fake.put(object);
        }
        if chance.one_in(8) {
            trouble(&mut bench, &mut chance).await;
        }
        if chance.one_in(4) {
            // The source gets something to do between steps.
            tokio::task::yield_now().await;
        }
        next_calm -= 1;
        if next_calm == 0 || step + 1 == STEPS {
            next_calm = chance.below(CALM) + 1;
            calm(&mut bench);
            let last = expected.of(&bench);
            let reached =
                |fragment: &Fragment| !fragment.stale && same(&expected.by(fragment), &last);
            bench.until(reached).await;
        }
    }
}
