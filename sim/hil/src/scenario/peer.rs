//! An independent check of the wire format: the guest kernel's own MPLS, FOU and GRE, not ours, encapsulate to and
//! decapsulate from the card, and its TCP carries connections across, opened from either side.
//!
//! ```text
//! namespace client (10.47.255.237)   --eth1-- vif 7 --+------+              namespace far: Linux MPLS as the node cent333
//! namespace web    (10.47.255.236:80) -eth2-- vif 8 --+ card +-- fabric --eth0-- 10.169.25.21
//!                                                     +------+                  lo: 10.47.255.238:80, label 43
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Site;
use super::node::{NODE_FILE, Node};

/// Bytes of a download: a few hundred segments.
const BLOB_BYTES: u32 = 300_000;
/// For a download through the simulated card by an emulated machine; some seconds on an idle one.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// The guest's kernel has what a gateway or another node needs.
const MODULES: [&str; 8] = [
    "virtio_net",
    "virtio_pci",
    "mpls_router",
    "mpls_iptunnel",
    "mpls_gso",
    "fou",
    "ipip",
    "ip_gre",
];

/// Everything but the addresses is the kernel's business. MAC addresses are those of the node files; neighbours are static,
/// as no vhost0 answers for the card's node.
const SET_UP: &[&str] = &[
    "for name in far client web; do $IP netns add $name; $IP -n $name link set lo up; done",
    "$IP link set eth0 netns far; $IP link set eth1 netns client; $IP link set eth2 netns web",
    "$IP -n far link set eth0 address 02:00:0a:a9:19:15 mtu 1600 up",
    "$IP -n far addr add 10.169.25.21/24 dev eth0",
    "$IP -n far neigh add 10.169.25.20 lladdr 02:00:0a:a9:19:14 dev eth0",
    "$IP -n far addr add 10.47.255.238/32 dev lo",
    // MPLS in UDP (RFC 7510) by FOU, MPLS in GRE (RFC 4023).
    "$IP netns exec far $IP fou add port 6635 ipproto 137",
    "$IP -n far link add mudp type ipip mode mplsip local 10.169.25.21 remote 10.169.25.20 dev eth0 ttl 64 encap fou encap-sport auto encap-dport 6635",
    "$IP -n far link add mgre type gre local 10.169.25.21 remote 10.169.25.20 dev eth0 ttl 64",
    "$IP -n far link set mudp mtu 1450 up; $IP -n far link set mgre mtu 1450 up",
    "$IP netns exec far sysctl -qw net.mpls.platform_labels=1000 net.mpls.conf.mudp.input=1 net.mpls.conf.mgre.input=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0",
    "for i in mudp mgre eth0 lo; do $IP netns exec far sysctl -qw net.ipv4.conf.$i.rp_filter=0; done",
    "$IP -n far -f mpls route add 43 dev lo",
    "$IP -n client link set eth1 address 02:00:0a:2f:ff:ed mtu 1450 up",
    "$IP -n client addr add 10.47.255.237/32 dev eth1",
    "$IP -n client route add default via 169.254.1.1 dev eth1 onlink",
    "$IP -n client neigh add 169.254.1.1 lladdr 00:00:5e:00:01:00 dev eth1",
    "$IP -n web link set eth2 address 02:00:0a:2f:ff:ec mtu 1450 up",
    "$IP -n web addr add 10.47.255.236/32 dev eth2",
    "$IP -n web route add default via 169.254.1.1 dev eth2 onlink",
    "$IP -n web neigh add 169.254.1.1 lladdr 00:00:5e:00:01:00 dev eth2",
    "mkdir /www; head -c $BYTES /dev/urandom >/www/blob; md5sum </www/blob >/www/sum",
    "for name in far web; do $IP netns exec $name httpd -p 80 -h /www; done",
];

/// A tunnel of the far node: its interface, and what the node file of the card's node calls it.
struct Tunnel {
    interface: &'static str,
    encapsulation: &'static str,
    title: &'static str,
}

const TUNNELS: [Tunnel; 2] = [
    Tunnel { interface: "mudp", encapsulation: "mplsOverUdp", title: "MPLS over UDP" },
    Tunnel { interface: "mgre", encapsulation: "mplsOverGre", title: "MPLS over GRE" },
];

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut node = Node::start_with(site, |plan, card| {
        plan.modules = &MODULES;
        plan.interfaces = ["fabric", "client", "web"].map(|name| card.port_path(name)).into();
        // busybox's own would do, but for its client, which cannot look up names when it is linked statically.
        plan.programs.push(("/bin/ip".into(), "/usr/bin/ip"));
        plan.programs.push(("/usr/bin/curl".into(), "/usr/bin/curl"));
    })?;
    for command in SET_UP {
        let command =
            command.replace("$IP", "/usr/bin/ip").replace("$BYTES", &BLOB_BYTES.to_string());
        node.guest.run(&command)?;
    }
    node.start_daemon()?;
    for tunnel in &TUNNELS {
        through(site, &mut node, tunnel)?;
    }
    Ok(())
}

/// Connections in both directions through one sort of tunnel.
fn through(site: &Site<'_>, node: &mut Node, tunnel: &Tunnel) -> Result<()> {
    let remote = format!("address: 10.169.25.21\n    encapsulation: {}\n", tunnel.encapsulation);
    let file = NODE_FILE.replace("address: 10.169.25.21\n", &remote);
    ensure!(file != NODE_FILE, "the node file has no such remote");
    node.guest.write("/etc/penstock/node.yaml", &file)?;
    let hop = tunnel.title.replace(" over ", "So").replace("MPLSSo", "MPLSo");
    node.guest.wait_for("the tunnel's next hop", Duration::from_secs(30), |guest| {
        Ok(guest.run("penstock nh -l")?.contains(&hop).then_some(()))
    })?;
    let ip = "/usr/bin/ip";
    for (prefix, label) in [("10.47.255.237/32", 25), ("10.105.139.153/32", 28)] {
        node.guest.run(&format!(
            "{ip} -n far route replace {prefix} encap mpls {label} dev {} src 10.47.255.238",
            tunnel.interface
        ))?;
    }
    let before = packets(node, tunnel.interface)?;
    download(node, "client", "10.47.255.238:80")?;
    site.held(&format!("{}: a pod downloads from the Linux node", tunnel.title));
    download(node, "far", "10.105.139.153:8888")?;
    site.held(&format!(
        "{}: the Linux node downloads from the service behind the card",
        tunnel.title
    ));
    let after = packets(node, tunnel.interface)?;
    let segments = u64::from(BLOB_BYTES) / 1400;
    let (received, sent) = (after.0 - before.0, after.1 - before.1);
    ensure!(
        received >= segments && sent >= segments,
        "{} carried {received} packets in, {sent} out",
        tunnel.interface
    );
    site.held(&format!(
        "{}: Linux decapsulated {received} and encapsulated {sent} packets, every byte of {} right",
        tunnel.title,
        2 * BLOB_BYTES
    ));
    Ok(())
}

/// Downloads the blob in a namespace and compares its digest.
fn download(node: &mut Node, namespace: &str, from: &str) -> Result<()> {
    let command = format!(
        "/usr/bin/ip netns exec {namespace} /usr/bin/curl -sS --noproxy '*' --max-time 50 http://{from}/blob | md5sum | cmp - /www/sum"
    );
    let (code, text) = node.guest.attempt_within(&command, DOWNLOAD_TIMEOUT)?;
    if code != 0 {
        for view in ["flow -l", "dropstats", "nh -l", "vif -l"] {
            node.guest.attempt(&format!("penstock {view}"))?;
        }
        node.guest.attempt("/usr/bin/ip -n far -s link; /usr/bin/ip -n client -s link")?;
    }
    ensure!(code == 0, "download from {from} in {namespace}: {text}");
    Ok(())
}

/// Packets in and out of an interface of the far node.
fn packets(node: &mut Node, interface: &str) -> Result<(u64, u64)> {
    let folder = format!("/sys/class/net/{interface}/statistics");
    let text = node
        .guest
        .run(&format!("/usr/bin/ip netns exec far cat {folder}/rx_packets {folder}/tx_packets"))?;
    let mut numbers = text.split_whitespace().map(str::parse);
    let mut next = || numbers.next().context("a counter")?.context("a number");
    Ok((next()?, next()?))
}
