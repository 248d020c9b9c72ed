//! The chapter's node cent222 as a virtual machine: the card on VFIO, the daemon, and frames of the pods and of cent333.
//!
//! ```text
//! client 10.47.255.237 -- vif 7 --+------+-- fabric 10.169.25.20 -- cent333 10.169.25.21: backend 10.47.255.238, label 43
//! web    10.47.255.236 -- vif 8 --+ card |
//!                                 +--||--+  service 10.105.139.153:8888 -> port 80 of both backends
//!                                  /dev/vfio in the guest: penstockd, penstock
//! ```

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use penstock_api::types::{ReconcileState, Status};
use penstock_refmodel::packet::{self, Ipv4};
use penstock_refmodel::tunnel::tunnel;
use penstock_views::flow::FlowTable;

use super::Site;
use crate::card::{Card, Wires};
use crate::guest::{FUNCTION, Guest, Plan};

/// Addresses of the chapter.
const CLIENT: u32 = u32::from_be_bytes([10, 47, 255, 237]);
const LOCAL_BACKEND: u32 = u32::from_be_bytes([10, 47, 255, 236]);
const SERVICE: u32 = u32::from_be_bytes([10, 105, 139, 153]);
const SERVICE_PORT: u16 = 8888;
const TARGET_PORT: u16 = 80;
const THIS_NODE: u32 = u32::from_be_bytes([10, 169, 25, 20]);
pub(super) const OTHER_NODE: u32 = u32::from_be_bytes([10, 169, 25, 21]);
const CLIENT_LABEL: u32 = 25;
const REMOTE_BACKEND_LABEL: u32 = 43;
const FABRIC_MAC: u64 = 0x0200_0aa9_1914;
pub(super) const OTHER_NODE_MAC: u64 = 0x0200_0aa9_1915;

/// The card's ports.
const PORTS: [(&str, u8); 4] = [("fabric", 0), ("vhost", 1), ("client", 7), ("web", 8)];

pub(super) const NODE_FILE: &str = include_str!("../../../../tests/manifests/chapter/cent222.yaml");
const PODS: &str = include_str!("../../../../tests/manifests/chapter/manifests/pods.yaml");
const SERVICE_FILE: &str =
    include_str!("../../../../tests/manifests/chapter/manifests/service-web-clusterip.yaml");

/// The daemon's command line, as its service unit has it. A static neighbour, as the guest has no interface on the underlay.
pub(super) const DAEMON: &str = "penstockd --node /etc/penstock/node.yaml --manifests /etc/penstock/manifests \
     --device pci:0000:01:00.0 --static-neighbour 10.169.25.21=02:00:0a:a9:19:15";
/// As whom the daemon runs: nobody special, in the group that owns the function's device file, and without any capability.
pub(super) const UNPRIVILEGED: &str =
    "/usr/bin/setpriv --reuid=990 --regid=990 --clear-groups --bounding-set=-all --no-new-privs --";
/// For the daemon to attach, read back and write: fractions of a second on an idle machine.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(60);

/// The node: card, virtual machine, wires.
pub(super) struct Node {
    pub(super) card: Card,
    pub(super) guest: Guest,
    pub(super) wires: Wires,
}

impl Node {
    /// Starts the card, boots the guest with the shipped programs, and binds the function for the group `penstock`.
    pub(super) fn start(site: &Site<'_>) -> Result<Self> {
        let mut node = Self::start_with(site, |_, _| {})?;
        node.wires = node.card.wires(&PORTS.map(|(name, _)| name))?;
        Ok(node)
    }

    /// As [`Node::start`] with changes to the guest, and with nothing plugged into the card's ports but by them.
    pub(super) fn start_with(
        site: &Site<'_>,
        change: impl FnOnce(&mut Plan<'_>, &Card),
    ) -> Result<Self> {
        let mut node = Self::boot(site, change)?;
        node.guest.run(&format!("penstock card bind {FUNCTION} --group penstock"))?;
        Ok(node)
    }

    /// Starts the card and boots the guest with the shipped programs, and leaves the function as the kernel finds it.
    pub(super) fn boot(site: &Site<'_>, change: impl FnOnce(&mut Plan<'_>, &Card)) -> Result<Self> {
        let card = site.card(&PORTS)?;
        let mut plan = Plan::new(site.guest, card.socket());
        plan.programs = vec![
            site.program("penstockd", "/usr/bin/penstockd"),
            site.program("penstock", "/usr/bin/penstock"),
            ("/usr/bin/setpriv".into(), "/usr/bin/setpriv"),
        ];
        plan.files = files();
        change(&mut plan, &card);
        let guest = Guest::boot(&plan, site.folder, site.log)?;
        drop(plan);
        Ok(Self { card, guest, wires: Wires::default() })
    }

    /// Starts the daemon, as an unprivileged user whose only right is the group's device file, and waits until the card
    /// is as the manifests want it.
    pub(super) fn start_daemon(&mut self) -> Result<Status> {
        self.guest.run(&format!(
            "{UNPRIVILEGED} {DAEMON} >>/run/penstock/penstockd.log 2>&1 & echo $! >/run/penstockd.pid"
        ))?;
        self.in_sync()
    }

    /// Waits until the daemon says that the card is in sync.
    pub(super) fn in_sync(&mut self) -> Result<Status> {
        let synced = self.guest.wait_for("the daemon in sync", DAEMON_TIMEOUT, |guest| {
            let (code, text) = guest.attempt("penstock status -o json")?;
            if code != 0 {
                let (ended, _) = guest.attempt("kill -0 $(cat /run/penstockd.pid)")?;
                ensure!(ended == 0, "the daemon has ended");
                return Ok(None);
            }
            let status: Status = serde_json::from_str(&text).context("the status")?;
            Ok((status.reconcile.state == ReconcileState::InSync).then_some(status))
        });
        if synced.is_err() {
            self.guest.attempt("cat /run/penstock/*.log")?;
        }
        synced
    }

    /// The daemon's view of itself and of the card.
    pub(super) fn status(&mut self) -> Result<Status> {
        serde_json::from_str(&self.guest.run("penstock status -o json")?).context("the status")
    }

    /// Flows of the service, read back from the card inside the guest.
    pub(super) fn flows(&mut self) -> Result<FlowTable> {
        let text = self.guest.run("penstock flow --match 10.105.139.153:8888 -o json")?;
        serde_json::from_str(&text).context("the flows")
    }

    /// Sends the daemon a signal that ends it (`-9`, `-TERM`) and waits until it is gone.
    pub(super) fn end_daemon(&mut self, signal: &str) -> Result<()> {
        self.guest.run(&format!("kill {signal} $(cat /run/penstockd.pid)"))?;
        self.guest.wait_for("the daemon's end", DAEMON_TIMEOUT, |guest| {
            let (code, _) = guest.attempt("pidof penstockd")?;
            Ok((code != 0).then_some(()))
        })
    }
}

fn files() -> Vec<(Vec<u8>, std::path::PathBuf)> {
    let file = |text: &str, path: &str| (text.as_bytes().to_vec(), Path::new(path).to_owned());
    vec![
        file(NODE_FILE, "/etc/penstock/node.yaml"),
        file(PODS, "/etc/penstock/manifests/pods.yaml"),
        file(SERVICE_FILE, "/etc/penstock/manifests/service.yaml"),
    ]
}

/// A connection of the client to the service, as the card has decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) client_port: u16,
    /// Whether the backend is on this node.
    pub(super) local: bool,
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

/// Opens a connection: SYN from the client to the service, SYN and ACK back, each checked byte for byte where it leaves.
pub(super) fn open(wires: &mut Wires, client_port: u16) -> Result<Connection> {
    let local = request(wires, client_port, SYN, &[])?;
    let connection = Connection { client_port, local };
    reply(wires, connection, SYN_ACK, &[])?;
    Ok(connection)
}

/// Sends `data` on a connection both ways and checks that it keeps its backend.
pub(super) fn exchange(wires: &mut Wires, connection: Connection, data: &[u8]) -> Result<()> {
    let local = request(wires, connection.client_port, ACK, data)?;
    ensure!(local == connection.local, "connection {} changed its backend", connection.client_port);
    reply(wires, connection, ACK, data)
}

/// Whether the card forwards no SYN to the service.
pub(super) fn is_silent(wires: &mut Wires, client_port: u16) -> Result<bool> {
    let syn = packet::tcp(CLIENT, SERVICE, client_port, SERVICE_PORT, SYN, &[]);
    wires.send("client", &packet::frame(&syn))?;
    Ok(wires.receive_soon().is_none())
}

/// A segment from the client to the service; says whether it came to the backend on this node.
fn request(wires: &mut Wires, client_port: u16, flags: u8, data: &[u8]) -> Result<bool> {
    let sent = packet::tcp(CLIENT, SERVICE, client_port, SERVICE_PORT, flags, data);
    wires.send("client", &packet::frame(&sent))?;
    let (port, frame) = wires.receive()?;
    match port {
        "web" => {
            let wanted = packet::tcp(CLIENT, LOCAL_BACKEND, client_port, TARGET_PORT, flags, data);
            same(&frame[14..], &routed(wanted), "at the backend")?;
            Ok(true)
        }
        "fabric" => {
            let tunnel =
                tunnel(&frame, OTHER_NODE_MAC, OTHER_NODE).context("not a tunnel packet")?;
            ensure!(tunnel.outer_sip == THIS_NODE, "outer source {:#x}", tunnel.outer_sip);
            let (label, inner) = frame[tunnel.label_at..].split_at(4);
            let label = u32::from_be_bytes([label[0], label[1], label[2], label[3]]);
            ensure!(label >> 8 == REMOTE_BACKEND_LABEL << 4 | 1, "MPLS label word {label:#010x}");
            let macs = packet::ethernet(OTHER_NODE_MAC, FABRIC_MAC, None, 0x0800, &[]);
            same(&frame[..14], &macs, "Ethernet header on the fabric")?;
            same(inner, &routed(sent), "in the tunnel")?;
            Ok(false)
        }
        other => bail!("a request came out of port {other}"),
    }
}

/// The backend's segment to the client, which must see it come from the service.
fn reply(wires: &mut Wires, connection: Connection, flags: u8, data: &[u8]) -> Result<()> {
    let port = connection.client_port;
    let wanted = packet::tcp(SERVICE, CLIENT, SERVICE_PORT, port, flags, data);
    let wanted = if connection.local {
        let sent = packet::tcp(LOCAL_BACKEND, CLIENT, TARGET_PORT, port, flags, data);
        wires.send("web", &packet::frame(&sent))?;
        routed(wanted)
    } else {
        // The other node has translated already.
        let shim = packet::mpls(CLIENT_LABEL, 64);
        let outer = packet::mpls_udp(OTHER_NODE, THIS_NODE, 6635, shim, &wanted.bytes());
        let frame = packet::ethernet(FABRIC_MAC, OTHER_NODE_MAC, None, 0x0800, &outer.bytes());
        wires.send("fabric", &frame)?;
        wanted.bytes()
    };
    let (out, frame) = wires.receive()?;
    ensure!(out == "client", "a reply came out of port {out}");
    same(&frame[14..], &wanted, "at the client")
}

/// A packet after one hop.
fn routed(mut packet: Ipv4) -> Vec<u8> {
    packet.ttl -= 1;
    packet.bytes()
}

fn same(found: &[u8], wanted: &[u8], whereabouts: &str) -> Result<()> {
    // Short frames are padded to Ethernet's minimum.
    let matches = found.len() >= wanted.len() && found[..wanted.len()] == *wanted;
    ensure!(matches, "{whereabouts}: {found:02x?} instead of {wanted:02x?}");
    Ok(())
}
