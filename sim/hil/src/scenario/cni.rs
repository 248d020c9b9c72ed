//! Pods by CNI on a stock kernel: the shipped plugin gives two namespaces of the guest interfaces of the card, which is bound to
//! VFIO and kept by the shipped daemon, and makes links under a service tag.
//!
//! ```text
//! client 10.47.255.237 -- vif 7 = tap7 --+------+
//! web    10.47.255.236 -- vif 8 = tap8 --+ card |     the node file has no vifs
//! guest's own namespace   vif 1 = vhost -+------+
//! ```
//!
//! Behind the simulated card's ports there is no shell that would take service tags off, so of such a link only the kernel's side
//! is tried: that it is made as the shell's page says, checked, and taken away.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Site;
use super::node::{DAEMON, Node, UNPRIVILEGED};
use crate::guest::Guest;

const NODE_FILE: &str = r#"name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs:
  - { id: 2, name: pods }
"#;

/// An IPAM plugin of an older version, with an address a container.
const IPAM: &str = r#"#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"supportedVersions":["0.4.0","1.0.0"]}' ;;
ADD) case $CNI_CONTAINERID in client) a=237 ;; web) a=236 ;; *) a=235 ;; esac
  echo "{\"ips\":[{\"address\":\"10.47.255.$a/12\",\"gateway\":\"10.47.255.254\"}]}" ;;
esac
"#;

const PLUGIN: &str = "/opt/cni/bin/penstock-cni";
const NODE_PATH: &str = "/etc/penstock/node.yaml";

fn network(provider: &Value) -> Vec<u8> {
    let network = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "penstock-cni", "vrf": "pods", "vifs": "7-8,20",
        "mtu": 1468, "provider": provider, "ipam": { "type": "addresses" },
        "cni.dev/valid-attachments": [],
    });
    network.to_string().into_bytes()
}

/// Calls the plugin, as a runtime does, for a container whose namespace a process of this name has.
fn call(guest: &mut Guest, command: &str, network: &str, container: &str) -> Result<(i32, Value)> {
    let line = format!(
        "CNI_COMMAND={command} CNI_CONTAINERID={container} CNI_NETNS=/proc/$(cat /run/{container}.pid)/ns/net \
         CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin {PLUGIN} </etc/cni/{network}.json"
    );
    let (code, text) = guest.attempt(&line)?;
    Ok((code, if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? }))
}

fn good(guest: &mut Guest, command: &str, network: &str, container: &str) -> Result<Value> {
    let (code, said) = call(guest, command, network, container)?;
    ensure!(code == 0, "{command} of {container}: {said}");
    Ok(said)
}

/// What a command prints in the namespace of a container.
fn within(guest: &mut Guest, container: &str, command: &str) -> Result<String> {
    guest.run(&format!("nsenter -t $(cat /run/{container}.pid) -n {command}"))
}

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut node = Node::start_with(site, |plan, card| {
        plan.modules = &["virtio_net", "8021q"];
        plan.interfaces = ["client", "web", "vhost"].map(|port| card.port_path(port)).to_vec();
        plan.programs.push(site.program("penstock-cni", PLUGIN));
        plan.programs.push(("/usr/sbin/ip".into(), "/usr/bin/ip"));
        plan.files.retain(|(_, path)| path != Path::new(NODE_PATH));
        let mut file = |content: Vec<u8>, path: &str| plan.files.push((content, path.into()));
        file(NODE_FILE.into(), NODE_PATH);
        file(IPAM.into(), "/opt/cni/bin/addresses");
        let existing = json!({ "type": "existing", "interface": "tap{vif}" });
        file(network(&existing), "/etc/cni/existing.json");
        let tagged = json!({ "type": "service-tag", "netdev": "vhost" });
        file(network(&tagged), "/etc/cni/tagged.json");
    })?;
    let guest = &mut node.guest;
    guest.run("chmod 755 /opt/cni/bin/addresses")?;
    for (name, new) in [("eth0", "tap7"), ("eth1", "tap8"), ("eth2", "vhost")] {
        guest.run(&format!("ip link set {name} down && ip link set {name} name {new}"))?;
    }
    guest.run("ip link set vhost mtu 1500 up")?;
    for container in ["client", "web", "tagged"] {
        guest.run(&format!(
            "unshare -n sleep 100000 </dev/null >/dev/null 2>&1 & echo $! >/run/{container}.pid"
        ))?;
    }
    let (code, said) = call(guest, "STATUS", "existing", "client")?;
    ensure!(code == 1 && said["code"] == 50, "STATUS without a daemon: {said}");
    guest.run(&format!(
        "{UNPRIVILEGED} {DAEMON} --state /run/penstock/state >>/run/penstock/penstockd.log 2>&1 & echo $! >/run/penstockd.pid"
    ))?;
    node.in_sync()?;
    let guest = &mut node.guest;
    good(guest, "STATUS", "existing", "client")?;
    for (container, vif) in [("client", 7), ("web", 8)] {
        let said = good(guest, "ADD", "existing", container)?;
        ensure!(said["interfaces"][0]["mtu"] == 1468, "{said}");
        let view = guest.run(&format!("penstock vif --get {vif}"))?;
        ensure!(view.contains(&format!("pods/{container}")), "{view}");
    }
    site.held("two namespaces have interfaces of the card by ADD, and nobody wrote a vif into the node file");
    within(guest, "client", "ping -c 3 -W 20 10.47.255.236")?;
    site.held("one pings the other through the card as soon as ADD has answered");

    let said = good(guest, "ADD", "tagged", "tagged")?;
    ensure!(said["interfaces"][0]["mtu"] == 1468, "{said}");
    let link = within(guest, "tagged", "/usr/bin/ip -d link show eth0")?;
    ensure!(link.contains("vlan protocol 802.1ad id 20 "), "{link}");
    good(guest, "DEL", "tagged", "tagged")?;
    let left = guest.run("/usr/bin/ip -o link; penstock vif --list")?;
    ensure!(!left.contains("psvif") && !left.contains("pods/tagged"), "{left}");
    site.held("a link under the service tag of its vif is made, and gone after DEL");

    node.end_daemon("-9")?;
    good(&mut node.guest, "DEL", "existing", "web")?;
    let files = node.guest.run("ls /var/lib/cni/penstock")?;
    ensure!(files.trim() == "pods:web:eth0", "{files}");
    node.guest.run(&format!(
        "{UNPRIVILEGED} {DAEMON} --state /run/penstock/state >>/run/penstock/penstockd.log 2>&1 & echo $! >/run/penstockd.pid"
    ))?;
    node.in_sync()?;
    let guest = &mut node.guest;
    good(guest, "GC", "existing", "client")?;
    let left = guest.run("penstock vif --list")?;
    ensure!(!left.contains("pods/"), "{left}");
    site.held(
        "what the daemon could not be told while it was down, GC told it, and took the rest back",
    );
    Ok(())
}
