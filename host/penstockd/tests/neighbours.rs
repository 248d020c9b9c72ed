//! The follower of the kernel's neighbours against a real kernel, in a network namespace of its own.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use penstock_model::MacAddr;
use penstockd::neighbour::{Neighbours, follow};
use tokio::sync::watch;
use tokio::time::timeout;

/// Runs the test below as root of a new user and network namespace.
#[test]
fn macs_follow_the_kernel() {
    let own = std::env::current_exe().unwrap();
    let done = Command::new("unshare")
        .arg("--map-root-user")
        .arg("--net")
        .arg(own)
        .args(["--ignored", "--exact", "within_a_namespace", "--nocapture"])
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
        .map(|(ip, mac)| (ip.parse().unwrap(), mac.parse::<MacAddr>().unwrap()))
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
    let fixed: Neighbours =
        [("10.169.25.99".parse().unwrap(), "02:00:00:00:00:99".parse().unwrap())].into();
    let (wanted_tx, wanted) = watch::channel(None);
    let (publish, mut map) = watch::channel(None);
    let task = tokio::spawn(follow(wanted, fixed, publish));

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
