//! The follower of the kernel's neighbours against a real kernel, in a network namespace of its own.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use penstock_model::{MacAddr, Neighbours};
use penstockd::health::Health;
use penstockd::neighbour::{Known4, Outlets, follow};
use tokio::sync::watch;
use tokio::time::timeout;

#[test]
fn macs_follow_the_kernel() {
    run_in_a_namespace("within_a_namespace");
}

#[test]
fn a_wrong_mac_is_noticed_and_another_interface_does_not_count() {
    run_in_a_namespace("with_a_peer");
}

#[test]
fn silent_nodes_hold_up_nothing() {
    run_in_a_namespace("with_silent_nodes");
}

/// Runs one of the tests below as root of a new user and network namespace.
fn run_in_a_namespace(test: &str) {
    let own = std::env::current_exe().unwrap();
    let done = Command::new("unshare")
        .arg("--map-root-user")
        .arg("--net")
        .arg(own)
        .args(["--ignored", "--exact", test, "--nocapture"])
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

async fn until(map: &mut watch::Receiver<Option<Neighbours>>, what: &str, wanted: &[(&str, &str)]) {
    let wanted: Neighbours = wanted
        .iter()
        .map(|(ip, mac)| (ip.parse::<std::net::IpAddr>().unwrap(), mac.parse::<MacAddr>().unwrap()))
        .collect();
    let found =
        timeout(Duration::from_secs(20), map.wait_for(|map| map.as_ref() == Some(&wanted))).await;
    let found = found.map(|result| result.is_ok());
    assert!(found.is_ok(), "{what}: {:?} instead of {wanted:?}", map.borrow());
}

#[tokio::test]
#[ignore = "run by macs_follow_the_kernel, which gives it a namespace"]
async fn within_a_namespace() {
    ip("link add vhost0 type veth peer name wire");
    ip("addr add 10.169.25.20/24 dev vhost0");
    ip("link set vhost0 up");
    ip("link set wire up");
    ip("route add 192.168.0.0/24 via 10.169.25.1");
    let (node, gateway_node): (Ipv4Addr, Ipv4Addr) =
        ("10.169.25.21".parse().unwrap(), "192.168.0.204".parse().unwrap());
    let fixed: Known4 =
        [("10.169.25.99".parse().unwrap(), "02:00:00:00:00:99".parse().unwrap())].into();
    let (wanted_tx, wanted) = watch::channel(None);
    let (neighbours, mut map) = watch::channel(None);
    let outlets = Outlets { neighbours, health: Health::default() };
    let task = tokio::spawn(follow(wanted, fixed, outlets));

    assert!(map.borrow().is_none(), "nothing is said before it is known what is wanted");
    wanted_tx.send_replace(Some(BTreeSet::from([node, gateway_node])));
    let always = ("10.169.25.99", "02:00:00:00:00:99");
    until(&mut map, "before anything is resolved", &[always]).await;

    // The datagram made the kernel ask: there is an entry without an address.
    let asked = Command::new("ip").args(["neigh", "show", "dev", "vhost0"]).output().unwrap();
    let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(asked.contains("10.169.25.21") && asked.contains("10.169.25.1 "), "{asked}");

    ip("neigh replace 10.169.25.21 lladdr 02:00:0a:a9:19:15 dev vhost0 nud reachable");
    until(&mut map, "an answer", &[always, ("10.169.25.21", "02:00:0a:a9:19:15")]).await;
    ip("neigh replace 10.169.25.1 lladdr 02:00:0a:a9:19:01 dev vhost0 nud reachable");
    let gateway = ("192.168.0.204", "02:00:0a:a9:19:01");
    until(
        &mut map,
        "a node behind a gateway",
        &[always, ("10.169.25.21", "02:00:0a:a9:19:15"), gateway],
    )
    .await;
    ip("neigh replace 10.169.25.21 lladdr 02:00:0a:a9:19:16 dev vhost0 nud reachable");
    until(&mut map, "another address", &[always, ("10.169.25.21", "02:00:0a:a9:19:16"), gateway])
        .await;

    // A departure keeps the last address, an unwanted node is forgotten.
    ip("neigh del 10.169.25.21 dev vhost0");
    wanted_tx.send_replace(Some(BTreeSet::from([node])));
    until(&mut map, "a departure", &[always, ("10.169.25.21", "02:00:0a:a9:19:16")]).await;

    drop(wanted_tx);
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}

/// More nodes that do not answer than there is room for datagrams to, which the kernel keeps for minutes here.
#[tokio::test]
#[ignore = "run by silent_nodes_hold_up_nothing, which gives it a namespace"]
async fn with_silent_nodes() {
    ip("link add vhost0 type veth peer name wire");
    ip("addr add 10.169.0.1/16 dev vhost0");
    ip("ntable change name arp_cache dev vhost0 retrans 60000");
    ip("link set vhost0 up");
    ip("link set wire up");
    // Few enough for the kernel's table, whose size is not the namespace's.
    let first = u32::from(Ipv4Addr::new(10, 169, 25, 0));
    let wanted = (first..first + 500).map(Ipv4Addr::from).collect();
    let (_wanted, wanted) = watch::channel(Some(wanted));
    let (neighbours, mut map) = watch::channel(None);
    let task = tokio::spawn(follow(
        wanted,
        Known4::new(),
        Outlets { neighbours, health: Health::default() },
    ));
    until(&mut map, "all are asked for", &[]).await;
    ip("neigh replace 10.169.25.21 lladdr 02:00:0a:a9:19:15 dev vhost0 nud permanent");
    until(&mut map, "the one that is known", &[("10.169.25.21", "02:00:0a:a9:19:15")]).await;
    task.abort();
}

/// A process that holds a network namespace; the namespace ends with it.
struct Peer(std::process::Child);

impl Peer {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec sleep 600"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "ready\n");
        Peer(child)
    }

    fn ip(&self, arguments: &str) {
        let pid = self.0.id().to_string();
        let done = Command::new("nsenter")
            .args(["--target", &pid, "--net", "ip"])
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(done.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other node's kernel answers ARP. What the kernel here is told wrongly, it finds out, as it is made to verify it.
#[tokio::test]
#[ignore = "run by a_wrong_mac_is_noticed_and_another_interface_does_not_count"]
async fn with_a_peer() {
    let peer = Peer::start();
    ip(&format!("link add vhost0 type veth peer name wire netns {}", peer.0.id()));
    ip("addr add 10.169.25.20/24 dev vhost0");
    ip("link set vhost0 up");
    ip("link add mgmt0 type veth peer name mgmt1");
    ip("link set mgmt1 up");
    ip("addr add 192.168.7.20/24 dev mgmt0");
    ip("link set mgmt0 up");
    peer.ip("link set wire address 02:00:0a:a9:19:15");
    peer.ip("addr add 10.169.25.21/24 dev wire");
    peer.ip("link set wire up");

    let node: Ipv4Addr = "10.169.25.21".parse().unwrap();
    let other: Ipv4Addr = "192.168.7.21".parse().unwrap();
    let lost: Ipv4Addr = "172.16.0.1".parse().unwrap();
    let (wanted_tx, wanted) = watch::channel(Some(BTreeSet::from([node])));
    let (neighbours, mut map) = watch::channel(None);
    let health = Health::default();
    let mut told = health.subscribe();
    let task = tokio::spawn(follow(wanted, Known4::new(), Outlets { neighbours, health }));
    let right = ("10.169.25.21", "02:00:0a:a9:19:15");
    until(&mut map, "the peer's answer", &[right]).await;

    // The same address on an interface by which nothing goes to the node.
    ip("neigh replace 10.169.25.21 lladdr 02:ff:ff:ff:ff:ff dev mgmt0 nud reachable");
    ip("neigh replace 192.168.7.21 lladdr 02:00:c0:a8:07:15 dev mgmt0 nud permanent");
    wanted_tx.send_replace(Some(BTreeSet::from([node, other])));
    let second = ("192.168.7.21", "02:00:c0:a8:07:15");
    until(&mut map, "another node on that interface", &[right, second]).await;

    ip("neigh replace 10.169.25.21 lladdr 02:aa:bb:cc:dd:ee dev vhost0 nud stale");
    until(&mut map, "what the kernel believes", &[("10.169.25.21", "02:aa:bb:cc:dd:ee"), second])
        .await;
    until(&mut map, "what is right, within 20 s", &[right, second]).await;

    // The other node's card is replaced, and nobody says so.
    peer.ip("link set wire down");
    peer.ip("link set wire address 02:00:0a:a9:19:16");
    peer.ip("link set wire up");
    ip("neigh replace 10.169.25.21 lladdr 02:00:0a:a9:19:15 dev vhost0 nud stale");
    until(&mut map, "the new card", &[("10.169.25.21", "02:00:0a:a9:19:16"), second]).await;

    // A way that is not there is told, and ends nothing; when it is there, it is found.
    wanted_tx.send_replace(Some(BTreeSet::from([node, lost])));
    let complains = |sources: &Vec<penstock_api::types::SourceStatus>| {
        sources.iter().any(|source| source.errors == ["no route to 172.16.0.1"])
    };
    timeout(Duration::from_secs(20), told.wait_for(complains)).await.unwrap().unwrap();
    ip("route add 172.16.0.0/24 via 10.169.25.21");
    let all = [("10.169.25.21", "02:00:0a:a9:19:16"), ("172.16.0.1", "02:00:0a:a9:19:16")];
    until(&mut map, "a node behind a new route", &all).await;

    drop(wanted_tx);
    timeout(Duration::from_secs(5), task).await.unwrap().unwrap();
}
