//! The node as an end point, with the kernel's own sockets: probes, services, the API server behind a node's address, a way outside, and
//! a NodePort that the node's nftables translates.
//!
//! Which source address a server sees is stated with each story.
#![allow(clippy::unwrap_used)]

mod e2e;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use e2e::{
    CLIENT, LOCAL, LOCAL_IP, NODE_A, NODE_B, PATIENCE, REMOTE, REMOTE_IP, manifest, root, run,
};
use penstock_lab::client::UpOptions;
use penstock_lab::testbed::{Testbed, wait};

const RANGES: [&str; 6] = [
    "--pod-cidr",
    "10.47.255.0/24",
    "--service-cidr",
    "10.96.0.0/12",
    "--node-cidr",
    "10.169.25.0/24",
];
/// A host outside, behind the underlay's bridge.
const OUTSIDE: &str = "198.51.100.7";

/// Answers each connection with the address that it comes from.
const WHO: &str = "
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    c, a = s.accept()
    c.recv(65536)
    c.sendall(('HTTP/1.0 200 OK\\r\\n\\r\\n%s for %s\\n' % (sys.argv[3], a[0])).encode())
    c.close()
";
/// Sends a datagram and prints whether it comes back.
const ECHO: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b'who is who')
print('echoed' if s.recv(65536) == b'who is who' else 'changed')
";

/// The lab, both of its nodes set up.
fn lab() -> &'static Testbed {
    static LAB: OnceLock<Testbed> = OnceLock::new();
    LAB.get_or_init(|| {
        let own = std::env::current_exe().unwrap();
        // target/debug/deps/e2e_node-0123 -> target/debug
        let folder = own.parent().and_then(Path::parent).unwrap();
        let options = UpOptions {
            name: format!("e2e-node-{}", std::process::id()),
            program: folder.join("penstock-lab"),
            firmware: Some(root().join("target/firmware/penstock-fw.hex")),
            topology: Some(root().join("sim/lab/topology/cluster.yaml")),
            tied: true,
            ..UpOptions::default()
        };
        let lab = penstock_lab::client::Lab::up(&options, |_| {}).unwrap();
        let bed = Testbed::new(lab, folder.join("penstock"));
        let ready = prepare(&bed);
        if let Err(error) = ready {
            panic!("the lab does not get ready: {error:#}\n{}", bed.diagnostics());
        }
        bed
    })
}

fn prepare(bed: &Testbed) -> anyhow::Result<()> {
    bed.wait_ready(PATIENCE)?;
    for file in ["pods.yaml", "service-web-clusterip.yaml"] {
        bed.apply(file, &manifest(&format!("chapter/manifests/{file}")))?;
    }
    bed.apply("kubernetes.yaml", &manifest("e2e/kubernetes.yaml"))?;
    for service in ["service-web-clusterip", "kubernetes", "kube-dns"] {
        bed.wait_members(service, 2, PATIENCE)?;
    }
    for node in [NODE_A, NODE_B] {
        bed.node(node, "setup", &RANGES)?;
        bed.exec(node, &["ip", "route", "replace", "default", "via", "10.169.25.1"])?;
        let who = ["python3", "-c", WHO, "0.0.0.0", "6443", node];
        bed.lab().start(&format!("{node}/apiserver"), node, &who)?;
    }
    // A router with a host behind it, in one.
    let host = format!("{OUTSIDE}/32");
    for line in [&["10.169.25.1/24", "dev", "br0"][..], &[&*host, "dev", "lo"][..]] {
        bed.exec("underlay", &[&["ip", "addr", "replace"], line].concat())?;
    }
    let who = ["python3", "-c", WHO, OUTSIDE, "80", "outside"];
    bed.lab().start("outside/http", "underlay", &who)
}

/// From the node's namespace, as kubelet does. The pods see the node's address.
#[test]
fn the_node_probes_its_pods_and_those_of_others() {
    let lab = lab();
    for (node, pods) in [
        (NODE_A, [LOCAL_IP, "10.47.255.234", REMOTE_IP]),
        (NODE_B, [REMOTE_IP, "10.47.255.235", LOCAL_IP]),
    ] {
        for pod in pods {
            let page = lab.curl(node, &format!("http://{pod}/"), 30).unwrap();
            assert!(page.contains(pod), "{node}: {page}");
        }
    }
}

/// The pods see the node's address.
#[test]
fn the_node_reaches_a_cluster_ip() {
    let lab = lab();
    let pages: BTreeSet<String> =
        (0..30).map(|_| lab.curl(NODE_A, "http://10.105.139.153:8888/", 30).unwrap()).collect();
    let from = |pod: &str| pages.iter().any(|page| page.contains(pod));
    assert!(from(LOCAL) && from(REMOTE), "{pages:?}");
}

/// The API server sees the pod's address.
#[test]
fn pods_of_either_node_reach_the_api_server() {
    let lab = lab();
    for (pod, address) in [(CLIENT, "10.47.255.237"), (REMOTE, REMOTE_IP)] {
        let mut seen = BTreeSet::new();
        wait("both API servers", PATIENCE, || {
            seen.insert(lab.curl(pod, "http://10.96.0.1:443/", 30)?);
            Ok((seen.len() == 2).then_some(()))
        })
        .unwrap();
        assert!(seen.iter().all(|page| page.contains(&format!("for {address}"))), "{seen:?}");
    }
}

/// The API server sees the node's address, or the service's where it is the node's own. The other node's kernel knows a way to this
/// node past the card; its replies must not take it.
#[test]
fn the_node_reaches_the_api_server() {
    let lab = lab();
    let wanted = ["cent333 for 10.169.25.20", "cent222 for 10.96.0.1"];
    let mut seen = BTreeSet::new();
    wait("both API servers", PATIENCE, || {
        let page = lab.curl(NODE_A, "http://10.96.0.1:443/", 30)?;
        seen.insert(wanted.iter().position(|w| page.contains(w)).ok_or(page));
        Ok((seen.len() == 2).then_some(()))
    })
    .unwrap();
    assert!(seen.iter().all(Result::is_ok), "{seen:?}");
}

#[test]
fn names_are_asked_for_by_udp() {
    let lab = lab();
    for place in [CLIENT, REMOTE, NODE_A, NODE_B] {
        let (ok, said) = run(lab, place, &["python3", "-c", ECHO, "10.96.0.10", "53"]);
        assert!(ok && said.trim() == "echoed", "{place}: {said}");
    }
}

/// The host outside sees the node's address: it knows no way back to a pod.
#[test]
fn pods_reach_the_outside_through_their_node() {
    let lab = lab();
    for (pod, node) in [(CLIENT, "10.169.25.20"), (REMOTE, "10.169.25.21")] {
        let page = lab.curl(pod, &format!("http://{OUTSIDE}/"), 30).unwrap();
        assert!(page.contains(&format!("outside for {node}")), "{page}");
    }
}

/// As kube-proxy's nftables mode does it for policy `Cluster`: the node's kernel translates and masquerades. The pod sees the node's
/// address.
#[test]
fn a_node_port_leads_to_local_and_remote_pods() {
    let lab = lab();
    let rules = |pod: &str| {
        format!(
            "add table ip kube-proxy; flush table ip kube-proxy
             add chain ip kube-proxy prerouting {{ type nat hook prerouting priority dstnat; }}
             add chain ip kube-proxy postrouting {{ type nat hook postrouting priority srcnat; }}
             add rule ip kube-proxy prerouting tcp dport 30080 meta mark set 0x4000 dnat to {pod}:80
             add rule ip kube-proxy postrouting meta mark 0x4000 masquerade"
        )
    };
    for pod in [LOCAL_IP, REMOTE_IP] {
        let (ok, said) = run(lab, NODE_A, &["nft", &rules(pod)]);
        assert!(ok, "{said}");
        let page = lab.curl("underlay", "http://10.169.25.20:30080/", 30).unwrap();
        assert!(page.contains(pod), "{page}");
    }
}
