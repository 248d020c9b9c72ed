//! The main job on the kernel's VFIO: the shipped daemon programs the chapter's service into the card; packets go through
//! it; the shipped command reads the flows back.

use anyhow::{Result, ensure};

use super::Site;
use super::node::{Connection, Node, exchange, open};
use crate::guest::FUNCTION;

/// Connections opened; enough that both of two backends get some (odds against: 2^-31).
const CONNECTIONS: u16 = 32;

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut node = Node::start(site)?;
    let list = node.guest.run("penstock card list")?;
    ensure!(list.contains(FUNCTION) && list.contains("vfio-pci"), "penstock card list");
    site.held("the function is bound to vfio-pci by `penstock card bind`");
    let status = node.start_daemon()?;
    site.held(&format!(
        "penstockd, as an unprivileged user, attached to {} and wrote {} operations in {} ms",
        status.device.spec, status.reconcile.last_operations, status.reconcile.last_ms
    ));

    let connections = (0..CONNECTIONS)
        .map(|i| open(&mut node.wires, 40_000 + i))
        .collect::<Result<Vec<Connection>>>()?;
    for round in 0..3u8 {
        for connection in &connections {
            exchange(&mut node.wires, *connection, &[round; 100])?;
        }
    }
    let local = connections.iter().filter(|c| c.local).count();
    ensure!(local > 0 && local < connections.len(), "all connections went to one backend");
    site.held(&format!(
        "{} connections, {local} to the backend on this node, the others by MPLSoUDP; 4 segments each way, every byte right",
        connections.len()
    ));

    let table = node.flows()?;
    for connection in &connections {
        let ports =
            |a, b| table.flows.iter().any(|f| f.source_port == a && f.destination_port == b);
        ensure!(
            ports(connection.client_port, 8888),
            "no flow of client port {}",
            connection.client_port
        );
    }
    let translated = table.flows.iter().filter(|f| f.mapping.is_some()).count();
    ensure!(translated >= local, "{translated} translated flows for {local} connections");
    site.held(&format!("`penstock flow` in the guest shows them: {} entries", table.flows.len()));

    for view in ["flow -l", "nh -l", "vif -l", "rt --dump 2", "mpls --dump", "dropstats", "status"]
    {
        node.guest.run(&format!("penstock {view}"))?;
    }
    node.end_daemon("-TERM")?;
    node.guest.run(&format!("penstock card unbind {FUNCTION}"))?;
    for connection in &connections {
        exchange(&mut node.wires, *connection, b"unbound")?;
    }
    site.held("with the daemon ended and the function unbound, all connections go on");
    let Node { card, guest, mut wires } = node;
    guest.power_off()?;
    for connection in &connections {
        exchange(&mut wires, *connection, b"powered off")?;
    }
    drop(card);
    site.held("and when the node's kernel has powered off");
    Ok(())
}
