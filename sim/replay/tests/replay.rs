//! `penstock-replay` with the chapter's client node: captures in, captures and a summary out, the same each time.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use serde_json::Value;

const NODE: &str = r#"
name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs:
  - { id: 2, name: k8s-default-pod-network }
vifs:
  - { id: 7, name: client, pod: { namespace: ns-user-1, name: client }, address: 10.47.255.237, mac: "02:00:0a:2f:ff:ed", vrf: 2, label: 25 }
  - { id: 8, name: web, pod: { namespace: ns-user-1, name: web-1 }, address: 10.47.255.236, mac: "02:00:0a:2f:ff:ec", vrf: 2, label: 28 }
remotes:
  - { name: cent333, address: 10.169.25.21, labels: { 10.47.255.238: 43 } }
"#;

const MANIFESTS: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: service-web-clusterip, namespace: ns-user-1 }
spec:
  clusterIP: 10.105.139.153
  ports: [ { name: port1, port: 8888, targetPort: 80, protocol: TCP } ]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-web-clusterip-1
  namespace: ns-user-1
  labels: { kubernetes.io/service-name: service-web-clusterip }
addressType: IPv4
ports: [ { name: port1, port: 80, protocol: TCP } ]
endpoints:
  - { addresses: [ 10.47.255.236 ], nodeName: cent222, conditions: { ready: true } }
  - { addresses: [ 10.47.255.238 ], nodeName: cent333, conditions: { ready: true } }
"#;

const SYNS: u16 = 40;

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A TCP SYN from the client to port `port` of the service.
fn syn(source_port: u16, port: u16) -> Vec<u8> {
    let mut ip =
        vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 47, 255, 237, 10, 105, 139, 153];
    let check = fold(sum(&ip));
    ip[10..12].copy_from_slice(&check.to_be_bytes());
    let mut tcp = Vec::new();
    tcp.extend(source_port.to_be_bytes());
    tcp.extend(port.to_be_bytes());
    tcp.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let check = fold(sum(&ip[12..20]) + 6 + 20 + sum(&tcp));
    tcp[16..18].copy_from_slice(&check.to_be_bytes());
    let ethernet =
        [0x00, 0x00, 0x5e, 0x00, 0x01, 0x00, 0x02, 0x00, 0x0a, 0x2f, 0xff, 0xed, 0x08, 0x00];
    [&ethernet[..], &ip, &tcp].concat()
}

fn packets(path: &Path) -> Vec<(Duration, Vec<u8>)> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut all = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        all.push((packet.timestamp, packet.data.into_owned()));
    }
    all
}

fn bench() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("manifests")).unwrap();
    std::fs::write(dir.path().join("node.yaml"), NODE).unwrap();
    std::fs::write(dir.path().join("manifests/web.yaml"), MANIFESTS).unwrap();
    let mut writer =
        PcapWriter::new(File::create(dir.path().join("client.pcap")).unwrap()).unwrap();
    for i in 0..SYNS {
        let frame = syn(40_000 + i, 8888);
        let time = Duration::from_secs(1_000) + Duration::from_micros(10) * u32::from(i);
        writer.write_packet(&PcapPacket::new(time, frame.len() as u32, &frame)).unwrap();
    }
    dir
}

fn replay(dir: &Path, out: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_penstock-replay"))
        .current_dir(dir)
        .args(["--node", "node.yaml", "--manifests", "manifests", "--out", out])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn syns_reach_both_backends_and_the_same_ones_each_time() {
    let dir = bench();
    for (out, more) in [("a", &[][..]), ("b", &[]), ("c", &["--seed", "7"])] {
        let done = replay(dir.path(), out, &[&["--in", "client=client.pcap"], more].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let read = |out: &str, port: &str| packets(&dir.path().join(out).join(port));
    let summary: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("a/summary.json")).unwrap()).unwrap();
    let (remote, local) = (read("a", "fabric0.pcap"), read("a", "web.pcap"));
    assert_eq!(remote.len() + local.len(), usize::from(SYNS), "{summary:#}");
    assert!(remote.len() > 5 && local.len() > 5, "{} remote, {} local", remote.len(), local.len());
    assert_eq!(summary["ports"]["client"]["in"]["packets"], SYNS);
    assert_eq!(summary["ports"]["web"]["out"]["packets"], local.len());
    assert_eq!(summary["drops"], serde_json::json!({}));
    assert_eq!(summary["flows"]["learned"], SYNS);
    assert_eq!(summary["flows"]["entries"].as_array().unwrap().len(), 2 * usize::from(SYNS));
    for (time, frame) in &local {
        assert_eq!(&frame[30..34], [10, 47, 255, 236], "translated to the backend");
        assert_eq!(&frame[36..38], 80u16.to_be_bytes());
        assert!(
            *time >= Duration::from_secs(1_000) && *time < Duration::from_secs(1_001),
            "{time:?}"
        );
    }
    for (_, frame) in &remote {
        assert_eq!(&frame[36..38], 6635u16.to_be_bytes());
        assert_eq!(frame[42..46][0..3], [0, 2, 0xb1], "label 43, bottom of stack");
        assert_eq!(&frame[62..66], [10, 105, 139, 153], "not translated on the client's node");
    }
    for port in ["fabric0.pcap", "web.pcap", "client.pcap", "vhost0.pcap"] {
        assert_eq!(read("a", port), read("b", port), "{port} is repeatable");
        let bytes = |out| read(out, port).into_iter().map(|(_, frame)| frame).collect::<Vec<_>>();
        assert_eq!(bytes("a"), bytes("c"), "{port} does not depend on pauses");
    }
}

/// Writes `client.pcap` anew: frames at these times.
fn capture(dir: &Path, frames: &[(Duration, Vec<u8>)]) {
    let mut writer = PcapWriter::new(File::create(dir.join("client.pcap")).unwrap()).unwrap();
    for (time, frame) in frames {
        writer.write_packet(&PcapPacket::new(*time, frame.len() as u32, frame)).unwrap();
    }
}

fn summary(dir: &Path, out: &str) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join(out).join("summary.json")).unwrap()).unwrap()
}

/// An ARP request of the client for its gateway.
fn arp() -> Vec<u8> {
    let mac = [0x02, 0x00, 0x0a, 0x2f, 0xff, 0xed];
    let mut frame = [[0xff; 6], mac].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac);
    frame.extend([10, 47, 255, 237, 0, 0, 0, 0, 0, 0, 10, 47, 255, 254]);
    frame.resize(60, 0);
    frame
}

#[test]
fn what_the_firmware_cannot_take_is_counted_once() {
    let dir = bench();
    capture(dir.path(), &[(Duration::from_secs(5), arp())]);
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = summary(dir.path(), "a");
    assert_eq!(summary["drops"], serde_json::json!({"TrapQueueFull": 1}));
    assert_eq!(summary["trapped"], 0);
}

#[test]
fn the_first_frame_waits_for_the_firmware() {
    let image = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/firmware/penstock-fw.hex");
    if !std::fs::exists(image).unwrap() {
        eprintln!(
            "no firmware image at {image}: run `cargo xtask build-firmware`; nothing is tested"
        );
        return;
    }
    let dir = bench();
    let times = [5, 4_000_000_000];
    capture(dir.path(), &times.map(|seconds| (Duration::from_secs(seconds), arp())));
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap", "--firmware", image]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = summary(dir.path(), "a");
    assert_eq!(summary["drops"], serde_json::json!({}));
    assert_eq!((&summary["trapped"], &summary["firmware_tx"]), (&2.into(), &2.into()));
    let answers = packets(&dir.path().join("a/client.pcap"));
    assert_eq!(answers.iter().map(|(time, _)| time.as_secs()).collect::<Vec<_>>(), times);
    for (_, frame) in &answers {
        assert_eq!((&frame[12..14], &frame[20..22]), (&[8, 6][..], &[0, 2][..]), "an ARP reply");
    }
}

#[test]
fn firmware_that_does_not_start_is_an_error() {
    let dir = bench();
    // Jumps to itself for ever.
    std::fs::write(dir.path().join("idle.hex"), "@0\n0000006f\n").unwrap();
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap", "--firmware", "idle.hex"]);
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && text.contains("does not start: not started"), "{text}");
}

#[test]
fn firmware_that_never_sleeps_does_not_make_a_pause_endless() {
    let dir = bench();
    let times = [1, 4_000_000_000].map(Duration::from_secs);
    capture(dir.path(), &times.map(|time| (time, syn(40_000, 8888))));
    // lui a0, 0x80000; lui a1, 0x60000; addi a1, a1, 2; sw a1, 0(a0): FW_STATUS = ready. Then a jump to itself.
    let image = "@20\n80000537\n600005b7\n00258593\n00b52023\n0000006f\n";
    std::fs::write(dir.path().join("busy.hex"), image).unwrap();
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap", "--firmware", "busy.hex"]);
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && text.contains("still busy"), "{text}");
}

#[test]
fn pauses_of_years_and_clocks_set_back_cost_nothing() {
    let dir = bench();
    let times = [0, 0, 1_000, 4_000_000_000, 1, u64::from(u32::MAX)].map(Duration::from_secs);
    let frames: Vec<_> =
        times.iter().enumerate().map(|(i, time)| (*time, syn(40_000 + i as u16, 8888))).collect();
    capture(dir.path(), &frames);
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = summary(dir.path(), "a");
    assert!(summary["cycles"].as_u64().unwrap() < 20_000, "{}", summary["cycles"]);
    assert!(summary["notes"][0].as_str().unwrap().contains("1 time stamps go back"), "{summary:#}");
    let mut left: Vec<u64> = ["fabric0.pcap", "web.pcap"]
        .iter()
        .flat_map(|port| packets(&dir.path().join("a").join(port)))
        .map(|(time, _)| time.as_secs())
        .collect();
    left.sort_unstable();
    let last = u64::from(u32::MAX);
    assert_eq!(left, [0, 0, 1_000, 4_000_000_000, 4_000_000_000, last]);
}

#[test]
fn frames_cut_in_the_capture_are_not_sent() {
    let dir = bench();
    let mut writer =
        PcapWriter::new(File::create(dir.path().join("client.pcap")).unwrap()).unwrap();
    let frame = syn(40_000, 8888);
    for wire_bytes in [54, 1514] {
        writer.write_packet(&PcapPacket::new(Duration::ZERO, wire_bytes, &frame)).unwrap();
    }
    drop(writer);
    let done = replay(dir.path(), "a", &["--in", "client=client.pcap"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && text.contains("cut by the capture's snap length"), "{text}");
    let summary = summary(dir.path(), "a");
    assert_eq!((&summary["in"]["packets"], &summary["cut"]), (&1.into(), &1.into()));
    assert_eq!(summary["drops"], serde_json::json!({}));
}

/// What no listener has is refused, by the firmware that is not here, or dropped; what no service has is dropped.
#[test]
fn what_nobody_serves_is_refused_or_dropped_as_the_options_say() {
    let dir = bench();
    let mut unallocated = syn(40_001, 8888);
    unallocated[33] = 200;
    // The checksums of header and segment, of an address that is 47 more.
    for at in [24, 50] {
        let sum = u32::from(!u16::from_be_bytes([unallocated[at], unallocated[at + 1]])) + 47;
        unallocated[at..at + 2].copy_from_slice(&fold(sum).to_be_bytes());
    }
    for (frame, more, reason) in [
        (syn(40_000, 7777), &[][..], "TrapQueueFull"),
        (syn(40_000, 7777), &["--drop-unserved"], "NoFipPortMap"),
        (unallocated, &["--service-cidr", "10.96.0.0/12"], "Discard"),
    ] {
        capture(dir.path(), &[(Duration::from_secs(5), frame)]);
        let done = replay(dir.path(), "a", &[&["--in", "client=client.pcap"], more].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let summary = summary(dir.path(), "a");
        assert_eq!(summary["drops"], serde_json::json!({ reason: 1 }), "{more:?}");
    }
}

#[test]
fn wrong_input_is_named() {
    let dir = bench();
    let port = replay(dir.path(), "x", &["--in", "clinet=client.pcap"]);
    let text = String::from_utf8_lossy(&port.stderr).into_owned();
    assert!(
        !port.status.success() && text.contains("clinet") && text.contains("client, fabric0"),
        "{text}"
    );
    let file = replay(dir.path(), "x", &["--in", "client=node.yaml"]);
    let text = String::from_utf8_lossy(&file.stderr).into_owned();
    assert!(!file.status.success() && text.contains("node.yaml"), "{text}");
}
