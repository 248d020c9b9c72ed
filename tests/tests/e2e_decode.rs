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
    tshark(&file);
    scapy(&file);
}

fn tshark(file: &Path) {
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
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let values: Vec<&str> = line.split('\t').collect();
        let [sources, destinations, port, label, bottom, ip, tcp, icmp, protocols] = values[..]
        else {
            panic!("{line}")
        };
        assert!(protocols.starts_with("eth:ethertype:ip:udp:mpls:ip:"), "{line}");
        assert_eq!((port, bottom, ip), ("6635", "1", "1,1"), "{line}");
        assert!(matches!((tcp, icmp), ("1", "") | ("", "1")), "{line}");
        let way = (sources.split(',').next(), destinations.split(',').next_back(), label);
        seen.insert(format!("{way:?}"));
    }
    // To the backend's pod with its label; the client's node sends service addresses unchanged. And back to the client.
    let expected = [
        (Some("10.169.25.20"), Some("10.105.139.153"), "43"),
        (Some("10.169.25.20"), Some("10.47.255.238"), "43"),
        (Some("10.169.25.21"), Some("10.47.255.237"), "25"),
    ];
    assert_eq!(seen, expected.iter().map(|way| format!("{way:?}")).collect(), "{text}");
}

fn scapy(file: &Path) {
    let output = Command::new("python3")
        .args(["-c", SCAPY])
        .arg(file)
        .env("PYTHONPATH", root().join(".tools/python"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let count = text.trim().strip_prefix("good ").and_then(|count| count.parse::<u32>().ok());
    // 100 kB are at least 74 segments of the client's 1360 bytes.
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(count.is_some_and(|count| count > 74), "{text}{errors}");
}
