//! The shipped units under systemd, installed as `docs/hardware.md` says: the bind unit gives the card to VFIO, the daemon's
//! unit runs it in its sandbox. There it must learn the other node's MAC address from the kernel, which it makes ask by a
//! datagram, and tell the service manager the truth, also when the sandbox does not let it.
//!
//! The guest's `eth0` is the node's own interface on the card (`vhost`); behind the fabric this program answers the kernel's
//! ARP for cent333, and nothing else.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use penstock_api::types::Status;

use super::Site;
use super::node::{Connection, Node, OTHER_NODE, OTHER_NODE_MAC, exchange, open};
use crate::card::Kernel;
use crate::guest::{FUNCTION, Guest, Plan};

/// What an installation consists of: content, and where `docs/hardware.md` puts it.
const INSTALLED: [(&str, &str); 4] = [
    (
        include_str!("../../../../packaging/systemd/penstockd.service"),
        "/usr/lib/systemd/system/penstockd.service",
    ),
    (
        include_str!("../../../../packaging/systemd/penstock-bind@.service"),
        "/usr/lib/systemd/system/penstock-bind@.service",
    ),
    (
        include_str!("../../../../packaging/sysusers.d/penstock.conf"),
        "/usr/lib/sysusers.d/penstock.conf",
    ),
    (include_str!("../../../../packaging/etc/penstockd.env"), "/etc/penstock/penstockd.env"),
];
/// The card that the shipped example of the daemon's options names.
const EXAMPLE_FUNCTION: &str = "0000:3b:00.0";
/// The node's interface on the underlay, and its users.
const SET_UP: [&str; 3] = [
    "systemd-sysusers",
    "ip link set eth0 address 02:00:0a:a9:19:14 && ip addr add 10.169.25.20/24 dev eth0 && ip link set eth0 up",
    "systemctl start penstock-bind@$FUNCTION.service",
];
/// Sandboxes in which nothing can be learned, each for a reason of its own: a name, lines of the unit, and what is then told.
const DENIALS: [(&str, &str, &str); 3] = [
    ("IPAddressDeny=any", "IPAddressDeny=any", "can be sent to 10.169.25.21"),
    (
        "RestrictAddressFamilies= without AF_INET",
        "RestrictAddressFamilies=\\nRestrictAddressFamilies=AF_UNIX AF_NETLINK",
        "can be sent to 10.169.25.21",
    ),
    (
        "RestrictAddressFamilies= without AF_NETLINK",
        "RestrictAddressFamilies=\\nRestrictAddressFamilies=AF_UNIX AF_INET",
        "no netlink socket",
    ),
];
const DROP_IN: &str = "/run/systemd/system/penstockd.service.d";
/// For an emulated machine on a loaded one; some seconds on an idle one.
const PATIENCE: Duration = Duration::from_secs(40);
/// Connections opened; enough that both of two backends get some (odds against: 2^-15).
const CONNECTIONS: u16 = 16;

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut node = Node::boot(site, |plan, card| {
        plan.service_manager = true;
        plan.modules = &["virtio_net", "virtio_pci"];
        plan.interfaces = vec![card.port_path("vhost")];
        install(plan);
    })?;
    node.wires = node.card.wires_with(&["fabric", "client", "web"], other_node)?;
    let outcome = under_systemd(site, &mut node);
    if outcome.is_err() {
        // Into the log.
        node.guest.attempt(
            "systemctl --no-pager status penstockd; journalctl --no-pager -o short-monotonic -n 60",
        )?;
    }
    outcome
}

fn under_systemd(site: &Site<'_>, node: &mut Node) -> Result<()> {
    for command in SET_UP {
        node.guest.run(&command.replace("$FUNCTION", FUNCTION))?;
    }
    let list = node.guest.run("penstock card list")?;
    ensure!(list.contains("vfio-pci"), "penstock card list: {list}");
    site.held("the bind unit gave the card to vfio-pci, sysusers made the daemon's user");
    for (name, lines, complaint) in DENIALS {
        denied(node, lines, complaint).with_context(|| format!("with {name}"))?;
        site.held(&format!(
            "with {name}, `systemctl status` and `penstock status` say what is wrong"
        ));
    }
    node.guest.run(&format!("rm -r {DROP_IN} && systemctl daemon-reload"))?;
    node.guest.run("systemctl restart penstockd")?;
    learned(site, node)?;
    killed(site, node)?;
    node.guest.run("systemctl stop penstockd")?;
    Ok(())
}

/// The packaged files, the example's card replaced by this machine's.
fn install(plan: &mut Plan<'_>) {
    for (content, path) in INSTALLED {
        let content = content.replace(EXAMPLE_FUNCTION, FUNCTION);
        plan.files.push((content.into_bytes(), Path::new(path).to_owned()));
    }
}

/// Starts the daemon with further lines in its unit, which keep it from learning anything.
fn denied(node: &mut Node, lines: &str, complaint: &str) -> Result<()> {
    node.guest.run(&format!(
        "mkdir -p {DROP_IN} && echo -e '[Service]\\n{lines}' >{DROP_IN}/deny.conf && systemctl daemon-reload"
    ))?;
    node.guest.run("systemctl restart penstockd")?;
    node.guest.wait_for("a word to the service manager", PATIENCE, |guest| {
        let told = status_text(guest)?;
        Ok((told.contains(complaint) && told.starts_with("in sync, but")).then_some(()))
    })?;
    let status = node.status()?;
    ensure!(status.neighbours.is_empty(), "neighbours were learned: {:?}", status.neighbours);
    let mut errors = status.sources.iter().flat_map(|source| &source.errors);
    ensure!(errors.any(|error| error.contains(complaint)), "status: {:?}", status.sources);
    Ok(())
}

/// As shipped: the MAC address comes from the kernel, the remote backend onto the card, and connections reach it.
fn learned(site: &Site<'_>, node: &mut Node) -> Result<()> {
    node.guest.wait_for("the neighbour in `penstock status`", PATIENCE, |guest| {
        let status: Status = serde_json::from_str(&guest.run("penstock status -o json")?)?;
        let other = IpAddr::V4(OTHER_NODE.into());
        let learned = status.neighbours.iter().any(|(ip, _)| *ip == other);
        Ok((learned && status.pending_neighbours.is_empty()).then_some(()))
    })?;
    node.guest.wait_for("both members on the card", PATIENCE, |guest| {
        // A daemon that has just been started again still reads the tables back, and says so.
        let (code, text) = guest.attempt("penstock explain svc ns-user-1/service-web-clusterip")?;
        Ok((code == 0 && text.contains("sub nh count: 2")).then_some(()))
    })?;
    node.guest.wait_for("\"in sync\" in `systemctl status`", PATIENCE, |guest| {
        Ok((status_text(guest)? == "in sync").then_some(()))
    })?;
    site.held("as shipped, the daemon learned the other node's MAC address from the kernel and is in sync");
    let connections = (0..CONNECTIONS)
        .map(|i| open(&mut node.wires, 43_000 + i))
        .collect::<Result<Vec<Connection>>>()?;
    let local = connections.iter().filter(|c| c.local).count();
    ensure!(local > 0 && local < connections.len(), "all connections went to one backend");
    for connection in &connections {
        exchange(&mut node.wires, *connection, b"under systemd")?;
    }
    site.held(&format!(
        "{} connections, {local} to the backend on this node, the others to that address",
        connections.len()
    ));
    Ok(())
}

/// kill -9: systemd has the card's descriptors and starts the daemon again; the kernel resets nothing.
fn killed(site: &Site<'_>, node: &mut Node) -> Result<()> {
    let resets = |status: Status| status.device.card.map(|card| card.flr_count);
    let before = resets(node.status()?);
    let old = node.guest.run("systemctl show -P MainPID penstockd")?;
    node.guest.run("systemctl kill -s KILL penstockd")?;
    node.guest.wait_for("a daemon restarted by systemd", PATIENCE, |guest| {
        let pid = guest.run("systemctl show -P MainPID penstockd")?;
        let (code, _) = guest.attempt("systemctl is-active penstockd")?;
        Ok((code == 0 && pid != old && status_text(guest)? == "in sync").then_some(()))
    })?;
    let after = node.status()?;
    ensure!(after.reconcile.empty == after.reconcile.completed, "the restarted daemon wrote");
    let after = resets(after);
    ensure!(before.is_some() && before == after, "resets: {after:?} after {before:?}");
    site.held("killed with -9, it is started again by systemd, which kept the card: no reset, nothing written");
    Ok(())
}

fn status_text(guest: &mut Guest) -> Result<String> {
    Ok(guest.run("systemctl show -P StatusText penstockd")?.trim().to_owned())
}

/// What the kernel of cent333 does with a frame: answers ARP for its address, takes datagrams to the discard port.
fn other_node(port: &'static str, frame: &[u8]) -> Kernel {
    const ARP: [u8; 2] = [0x08, 0x06];
    const IPV6: [u8; 2] = [0x86, 0xdd];
    const DISCARD_PORT: [u8; 2] = [0, 9];
    if port != "fabric" {
        return Kernel::Passes;
    }
    match frame.get(12..14) {
        Some(kind) if kind == ARP => answer(frame).map_or(Kernel::Takes, Kernel::Answers),
        Some(kind) if kind == IPV6 => Kernel::Takes,
        _ if frame.get(36..38) == Some(&DISCARD_PORT) => Kernel::Takes,
        _ => Kernel::Passes,
    }
}

/// The reply to an ARP request for the other node (RFC 826).
fn answer(frame: &[u8]) -> Option<Vec<u8>> {
    let request = frame.get(14..42)?;
    let is_for_it = request[7] == 1 && request[24..28] == OTHER_NODE.to_be_bytes();
    let mac = &OTHER_NODE_MAC.to_be_bytes()[2..];
    let mut reply = [&request[8..14], mac, &[0x08, 0x06], &request[..6], &[0, 2], mac].concat();
    reply.extend([&OTHER_NODE.to_be_bytes()[..], &request[8..18]].concat());
    reply.resize(60, 0);
    is_for_it.then_some(reply)
}
