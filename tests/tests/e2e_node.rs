//! The node as an end point, with the kernel's own sockets: probes, services, the API server behind a node's address, a way outside, and
//! a NodePort that the node's nftables translates.
//!
//! Which source address a server sees is stated with each story.
#![allow(clippy::unwrap_used)]

mod e2e;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Child;
use std::sync::OnceLock;

use e2e::{
    CLIENT, LOCAL, LOCAL_IP, NODE_A, NODE_B, PATIENCE, REMOTE, REMOTE_IP, manifest, root, run,
};
use penstock_lab::client::UpOptions;
use penstock_lab::testbed::{Testbed, wait, without_endpoint};

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

/// Three more.
const API_SERVERS: [&str; 3] = ["198.51.100.11", "198.51.100.12", "198.51.100.13"];

/// A program that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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

/// What kube-proxy's iptables mode writes for a NodePort of policy `Cluster` with one endpoint.
const KUBE_PROXY: &str = r#"iptables-nft-restore --noflush <<'RULES'
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-EXT-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m tcp --dport 30081 -j KUBE-EXT-WEB
-A KUBE-EXT-WEB -j KUBE-MARK-MASQ
-A KUBE-EXT-WEB -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -p tcp -m tcp -j DNAT --to-destination POD:8081
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
RULES"#;

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
    for (node, address) in [(NODE_A, "10.169.25.20"), (NODE_B, "10.169.25.21")] {
        bed.node(node, "setup", &RANGES)?;
        bed.exec(node, &["ip", "route", "replace", "default", "via", "10.169.25.1"])?;
        serve(bed, node, (address, 6443), node)?;
    }
    for (pod, address) in [(LOCAL, LOCAL_IP), (REMOTE, REMOTE_IP)] {
        serve(bed, pod, (address, 8081), address)?;
    }
    // A router with hosts behind it, in one.
    bed.exec("underlay", &["ip", "addr", "replace", "10.169.25.1/24", "dev", "br0"])?;
    for host in API_SERVERS.iter().chain([&OUTSIDE]) {
        bed.exec("underlay", &["ip", "addr", "replace", &format!("{host}/32"), "dev", "lo"])?;
    }
    serve(bed, "underlay", (OUTSIDE, 80), "outside")
}

/// Starts a server that tells who asks, and waits for it.
fn serve(bed: &Testbed, place: &str, at: (&str, u16), name: &str) -> anyhow::Result<()> {
    let (address, port) = (at.0, at.1.to_string());
    let who = ["python3", "-c", WHO, address, &port, name];
    bed.lab().start(&format!("{place}/who-{address}-{port}"), place, &who)?;
    let url = format!("http://{address}:{port}/");
    wait(&url, PATIENCE, || bed.curl(place, &url, 5).map(Some)).map(drop)
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

/// Three servers that are no node and no pod: each node leads its own to them through its kernel, which masquerades. So they see the
/// address of the node on which the client is; of the node itself, too, which comes back from its card as the service.
#[test]
fn one_of_three_api_servers_outside_is_killed() {
    let lab = lab();
    let manifest = manifest("e2e/apiservers.yaml");
    let mut servers = API_SERVERS.map(|address| {
        let who = ["python3", "-c", WHO, address, "6443", address];
        (address, Killed(lab.spawn("underlay", &who).unwrap()))
    });
    lab.apply("apiservers.yaml", &manifest).unwrap();
    lab.wait_members("apiservers", 3, PATIENCE).unwrap();
    for node in [NODE_A, NODE_B] {
        let shown = lab.penstock(node, &["explain", "svc", "ns-user-1/apiservers"]).unwrap();
        let maps: BTreeSet<&str> = API_SERVERS
            .iter()
            .map(|address| {
                let becomes = format!("10.96.0.2:443 becomes {address}:6443 by ");
                let (_, map) = shown.split_once(&becomes).unwrap_or_else(|| panic!("{shown}"));
                map.split_whitespace().next().unwrap()
            })
            .collect();
        assert_eq!(maps.len(), 3, "each has its own: {shown}");
    }
    let clients = [(CLIENT, "10.169.25.20"), (REMOTE, "10.169.25.21"), (NODE_A, "10.169.25.20")];
    let seen_by = |client: &str| lab.curl(client, "http://10.96.0.2:443/", 30);
    for (client, node) in clients {
        let mut left: BTreeSet<String> =
            API_SERVERS.iter().map(|server| format!("{server} for {node}\n")).collect();
        wait("all three", PATIENCE, || {
            let page = seen_by(client)?;
            assert!(page.ends_with(&format!(" for {node}\n")), "{client}: {page}");
            left.remove(&page);
            Ok(left.is_empty().then_some(()))
        })
        .unwrap_or_else(|error| panic!("{client}: {left:?} is not reached: {error:#}"));
    }
    let (dead, killed) = &mut servers[1];
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    let refused = run(lab, NODE_A, &["curl", "-sS", "-m", "5", &format!("http://{dead}:6443/")]);
    assert!(!refused.0, "it is still there: {}", refused.1);
    lab.apply("apiservers.yaml", &without_endpoint(&manifest, dead).unwrap()).unwrap();
    lab.wait_members("apiservers", 2, PATIENCE).unwrap();
    for (client, node) in clients {
        let pages: BTreeSet<String> = (0..20).map(|_| seen_by(client).unwrap()).collect();
        let others = API_SERVERS.iter().filter(|server| *server != dead);
        assert_eq!(pages, others.map(|server| format!("{server} for {node}\n")).collect());
    }
    lab.withdraw("apiservers.yaml").unwrap();
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
    let rules = |pod: &str| {
        format!(
            "nft 'add table ip kube-proxy; flush table ip kube-proxy
             add chain ip kube-proxy prerouting {{ type nat hook prerouting priority dstnat; }}
             add chain ip kube-proxy postrouting {{ type nat hook postrouting priority srcnat; }}
             add rule ip kube-proxy prerouting tcp dport 30080 meta mark set 0x4000 dnat to {pod}:8081
             add rule ip kube-proxy postrouting meta mark 0x4000 masquerade'"
        )
    };
    node_port_leads_to_pods(30080, rules);
}

/// The same as kube-proxy's iptables mode writes it, by the `iptables` that is nftables beneath; with its rules for what is forwarded.
#[test]
fn a_node_port_of_iptables_leads_to_local_and_remote_pods() {
    let rules = |pod: &str| KUBE_PROXY.replace("POD", pod);
    node_port_leads_to_pods(30081, rules);
}

/// A NodePort is reached from outside, whichever node its pod is on; `rules` makes the program that leads it to a pod.
fn node_port_leads_to_pods(port: u16, rules: impl Fn(&str) -> String) {
    let lab = lab();
    for pod in [LOCAL_IP, REMOTE_IP] {
        let (ok, said) = run(lab, NODE_A, &["sh", "-c", &rules(pod)]);
        assert!(ok, "{said}");
        let page = lab.curl("underlay", &format!("http://10.169.25.20:{port}/"), 30).unwrap();
        assert_eq!(page, format!("{pod} for 10.169.25.20\n"));
    }
}
