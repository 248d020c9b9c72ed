//! Programs that are not ours read the tunnel packets: tshark and scapy decode what was captured on the underlay and find
//! every checksum right.

#![allow(clippy::unwrap_used)]

mod e2e;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use e2e::{CLIENT, PATIENCE, REMOTE, REMOTE_IP, WEB, lab, root, run};
use penstock_lab::download::{Download, Wanted};
use penstock_lab::testbed::{Testbed, wait};

/// Recomputes all checksums of a capture's tunnel packets and prints `good N` or the first that differs.
const SCAPY: &str = "
import sys
from scapy.all import IP, TCP, UDP, ICMP, Raw, bind_layers, rdpcap
from scapy.contrib.mpls import MPLS
bind_layers(UDP, MPLS, dport=6635)
good = 0
for packet in rdpcap(sys.argv[1]):
    if UDP not in packet or packet[UDP].dport != 6635:
        continue
    outer = packet[IP]
    label = outer[MPLS]
    assert label.s == 1 and outer[UDP].chksum == 0 and outer.ttl == 64, packet.summary()
    inner = label.payload
    assert inner.__class__ is IP, packet.summary()
    for ip in (outer, inner):
        fresh = ip.copy()
        del fresh.chksum
        assert IP(bytes(fresh)).chksum == ip.chksum, packet.show(dump=True)
    for layer in (TCP, ICMP):
        if layer in inner:
            fresh = inner.copy()
            del fresh[layer].chksum
            assert IP(bytes(fresh))[layer].chksum == inner[layer].chksum, packet.show(dump=True)
    assert outer.len == 20 + 8 + 4 + inner.len and outer[UDP].len == outer.len - 20
    good += 1
print('good', good)
";

/// Captures on the underlay while `traffic` runs.
fn capture(lab: &Testbed, file: &Path, traffic: impl FnOnce()) {
    let path = file.to_string_lossy();
    let argv = ["tcpdump", "-i", "br0", "-n", "-U", "--immediate-mode", "-Z", "root", "-w", &path];
    lab.lab().start("underlay/capture", "underlay", &argv).unwrap();
    let log = || -> anyhow::Result<String> {
        let processes = lab.lab().processes()?;
        let capture = processes.into_iter().find(|process| process.name == "underlay/capture");
        Ok(std::fs::read_to_string(capture.unwrap().log)?)
    };
    wait("tcpdump listens", PATIENCE, || Ok(log()?.contains("listening on").then_some(())))
        .unwrap();
    traffic();
    lab.lab().kill("underlay/capture", "SIGINT").unwrap();
}

#[test]
fn independent_decoders_agree_with_the_tunnel_packets() {
    let lab = lab();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tunnel.pcap");
    capture(&lab, &file, || {
        let wanted = Wanted { client: CLIENT, server: WEB, bytes: 100_000, rate: None };
        Download::from_pod(&lab, &wanted, REMOTE).unwrap().finish().unwrap();
        assert!(run(&lab, CLIENT, &["ping", "-c", "2", "-i", "0.2", REMOTE_IP]).0);
    });
    // To the backend's pod with its label; the client's node sends service addresses unchanged. And back to the client.
    let ways = [
        ("10.169.25.20", "10.105.139.153", "43"),
        ("10.169.25.20", "10.47.255.238", "43"),
        ("10.169.25.21", "10.47.255.237", "25"),
    ];
    let ways = ways.map(|(from, to, label)| format!("{from} {to} {label}"));
    assert_eq!(tshark(&file).unwrap(), BTreeSet::from(ways));
    // 100 kB are at least 74 segments of the client's 1360 bytes.
    assert!(scapy(&file).unwrap() > 74);

    spoil(&file);
    assert!(tshark(&file).unwrap_err().contains("tcp checksum"), "tshark sees a wrong byte");
    assert!(scapy(&file).unwrap_err().contains("AssertionError"), "scapy sees a wrong byte");
}

/// Changes a byte near the end of the first long frame of a capture.
fn spoil(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let mut at = 24;
    loop {
        let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        at += 16 + length;
        if length > 1000 {
            bytes[at - 5] ^= 0x10;
            break;
        }
    }
    std::fs::write(file, bytes).unwrap();
}

/// Outer source, inner destination and label of all tunnel packets, or what is wrong with one.
fn tshark(file: &Path) -> Result<BTreeSet<String>, String> {
    let fields = [
        "ip.src",
        "ip.dst",
        "udp.dstport",
        "mpls.label",
        "mpls.bottom",
        "ip.checksum.status",
        "tcp.checksum.status",
        "icmp.checksum.status",
        "frame.protocols",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-Y", "udp.dstport == 6635", "-T", "fields"]);
    command.args(["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut ways = BTreeSet::new();
    for line in text.lines() {
        let values: Vec<&str> = line.split('\t').collect();
        let [sources, destinations, port, label, bottom, ip, tcp, icmp, protocols] = values[..]
        else {
            return Err(format!("not as many fields as asked for: {line}"));
        };
        let check = |what: &str, holds: bool| {
            if holds { Ok(()) } else { Err(format!("{what}: {line}")) }
        };
        check("layers", protocols.starts_with("eth:ethertype:ip:udp:mpls:ip:"))?;
        check("port", port == "6635")?;
        check("bottom of stack", bottom == "1")?;
        check("ip checksums", ip == "1,1")?;
        check("tcp checksum", matches!((tcp, icmp), ("1", "") | ("", "1")))?;
        let from = sources.split(',').next().unwrap_or_default();
        let to = destinations.split(',').next_back().unwrap_or_default();
        ways.insert(format!("{from} {to} {label}"));
    }
    Ok(ways)
}

/// Tunnel packets whose checksums are all right, or what scapy says of the first that is not.
fn scapy(file: &Path) -> Result<u32, String> {
    let output = Command::new("python3")
        .args(["-c", SCAPY])
        .arg(file)
        .env("PYTHONPATH", root().join(".tools/python"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let count = text.trim().strip_prefix("good ").and_then(|count| count.parse().ok());
    count.ok_or_else(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}
