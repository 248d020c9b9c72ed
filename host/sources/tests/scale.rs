//! What a large cluster costs a daemon: the most memory that it ever needs. The only test of its binary, as the kernel counts
//! for the process.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;

use penstock_model::Policy;
use penstock_sources::{Paths, Sources};

const SERVICES: usize = 5_000;
const ENDPOINTS: usize = 50;
const FILES: usize = 50;
const LIMIT_KIB: usize = 150 << 10;

/// Most memory that this process had so far.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn service(text: &mut String, i: usize) {
    let (high, low) = (i / 250, i % 250 + 1);
    write!(
        text,
        "---
apiVersion: v1
kind: Service
metadata: {{ name: s{i}, namespace: shop }}
spec: {{ clusterIP: 172.20.{high}.{low}, ports: [ {{ port: 80, targetPort: 8080 }} ] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: s{i}-1, namespace: shop, labels: {{ kubernetes.io/service-name: s{i} }} }}
addressType: IPv4
ports: [ {{ port: 8080 }} ]
endpoints:
"
    )
    .unwrap();
    for k in 0..ENDPOINTS {
        let pod = i * ENDPOINTS + k;
        writeln!(
            text,
            "- {{ addresses: [ 10.{}.{}.{} ], conditions: {{ ready: true, serving: true }}, nodeName: node{} }}",
            pod >> 16,
            pod >> 8 & 255,
            pod & 255,
            k % 40
        )
        .unwrap();
    }
}

#[tokio::test]
async fn a_large_cluster_needs_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let paths =
        Paths { node: directory.path().join("node"), manifests: directory.path().to_owned() };
    let node =
        "name: na\nfabric: { address: 192.0.2.1/24, mac: \"02:00:c0:00:02:01\" }\nvrfs: []\n";
    fs::write(&paths.node, node).unwrap();
    for file in 0..FILES {
        let mut text = String::new();
        (0..SERVICES).filter(|i| i % FILES == file).for_each(|i| service(&mut text, i));
        fs::write(directory.path().join(format!("{file}.yaml")), text).unwrap();
    }
    let before = peak_kib();
    let sources = Sources::of_files(&paths, Policy::default());
    let mut intents = sources.intents();
    let intent = intents.wait_for(|intent| intent.complete).await.unwrap().clone();
    assert_eq!(intent.balancers.len(), SERVICES);
    let members = intent.balancers.values().map(|b| b.listeners[0].pool.members.len());
    assert_eq!(members.sum::<usize>(), SERVICES * ENDPOINTS);
    let needed = peak_kib() - before;
    assert!(needed < LIMIT_KIB, "{needed} KiB");
    println!("{needed} KiB for {SERVICES} services of {ENDPOINTS} endpoints");
}
