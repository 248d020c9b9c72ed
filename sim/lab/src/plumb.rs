//! Moves the card's interfaces to where they belong and configures them, by batches of `ip` commands.
//!
//! A card makes all its TAPs in its node's namespace: `fabric0`, `vhost0`, `tapN` for vif N. Afterwards
//!
//! ```text
//! underlay:  br0 -- fab-cent222, fab-cent333, ...     (the cards' fabric ports)
//! cent222:   vhost0 10.169.25.20/24                   (the node's own interface on its card)
//! client:    eth0 10.47.255.237/32, default route via the virtual gateway, on link
//! ```

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use penstock_abi::limits::GATEWAY_MAC;

use crate::process::enter;
use crate::topology::{Node, Pod, PodNetwork, Topology, fabric_interface, mac_of};

/// The card's fabric port, as the card makes it.
pub const FABRIC: &str = "fabric0";
/// The node's own interface on the card.
pub const VHOST: &str = "vhost0";
/// The bridge of the underlay.
pub const BRIDGE: &str = "br0";

/// Name under which the card makes a pod's interface.
#[must_use]
pub fn tap_name(pod: &Pod) -> String {
    format!("tap{}", pod.vif)
}

/// Settings of every namespace before it has interfaces: no IPv6, which the card drops anyway.
#[must_use]
pub fn sysctls() -> Vec<String> {
    ["all", "default"].iter().map(|which| format!("net/ipv6/conf/{which}/disable_ipv6=1")).collect()
}

/// Runs `ip -batch` with `script` in the namespace held by `holder`.
///
/// # Errors
/// `ip` is missing or refuses a command; the error says which.
pub fn ip(holder: u32, script: &str) -> Result<()> {
    let mut child = enter(holder)
        .args(["ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip`")?;
    let mut input = child.stdin.take().context("`ip` has no input")?;
    input.write_all(script.as_bytes()).context("cannot write to `ip`")?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "`ip` refused a command: {}\nof:\n{script}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Commands for the underlay's namespace when it is new.
#[must_use]
pub fn underlay_script(topology: &Topology) -> String {
    let mtu = topology.underlay.mtu;
    format!(
        "link set lo up\nlink add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0\nlink set {BRIDGE} mtu {mtu} up\n"
    )
}

/// Commands for a node's namespace once its card runs: `underlay` and the pods' holders are process ids.
#[must_use]
pub fn node_script(
    topology: &Topology,
    node: &Node,
    underlay: u32,
    pods: &[(&Pod, u32)],
) -> String {
    let mut script = String::from("link set lo up\n");
    script.push_str(&format!(
        "link set {FABRIC} name {} netns {underlay}\n",
        fabric_interface(&node.name)
    ));
    for (pod, holder) in pods {
        script.push_str(&format!("link set {} name eth0 netns {holder}\n", tap_name(pod)));
    }
    let (mtu, address, length) =
        (topology.underlay.mtu, node.address, topology.underlay.prefix_length);
    script.push_str(&format!("link set {VHOST} address {} mtu {mtu} up\n", mac_of(address)));
    script.push_str(&format!("addr replace {address}/{length} dev {VHOST}\n"));
    script
}

/// Commands for the underlay's namespace once a node's fabric port is in it.
#[must_use]
pub fn fabric_script(topology: &Topology, node: &Node) -> String {
    let interface = fabric_interface(&node.name);
    format!("link set {interface} mtu {} master {BRIDGE} up\n", topology.underlay.mtu)
}

/// Commands for a pod's namespace once its interface is in it.
#[must_use]
pub fn pod_script(network: &PodNetwork, pod: &Pod) -> String {
    let mut script = format!(
        "link set lo up\nlink set eth0 address {} mtu {} up\naddr replace {}/32 dev eth0\nroute replace default via {} dev eth0 onlink\n",
        mac_of(pod.address),
        network.mtu,
        pod.address,
        network.gateway
    );
    if network.static_neighbour {
        let [a, b, c, d, e, f] = GATEWAY_MAC;
        let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        script.push_str(&format!(
            "neigh replace {} lladdr {mac} dev eth0 nud permanent\n",
            network.gateway
        ));
    }
    script
}
