//! Real TCP, UDP and ICMP of the kernel through two Verilated cards.

#![allow(clippy::unwrap_used)]

mod e2e;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::{
    CLIENT, CLIENT_IP, LOCAL, LOCAL_IP, NODE_A, NODE_B, PATIENCE, REMOTE, REMOTE_IP, WEB, lab, run,
};
use penstock_lab::download::{Download, Wanted};
use serde_json::Value;

const TEN_MEGABYTES: usize = 10_000_000;

/// Sends a UDP datagram and prints what comes back, or the kernel's error.
const UDP_CLIENT: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], int(sys.argv[2])))
for n in range(int(sys.argv[3])):
    message = ('datagram %d ' % n).encode() * (n % 80 + 1)
    s.send(message)
    try:
        print('echoed' if s.recv(65536) == message else 'changed')
    except OSError as error:
        print(type(error).__name__)
";

fn download(server: &str, pod: &str) {
    let lab = lab();
    let wanted = Wanted { client: CLIENT, server, bytes: TEN_MEGABYTES, rate: None };
    Download::from_pod(&lab, &wanted, pod).unwrap().finish().unwrap();
}

#[test]
fn ten_megabytes_from_the_other_node_are_byte_exact() {
    download(WEB, REMOTE);
}

#[test]
fn ten_megabytes_from_a_backend_on_the_same_node_are_byte_exact() {
    download(WEB, LOCAL);
}

#[test]
fn pods_reach_each_other_without_a_service() {
    let lab = lab();
    for pod in [LOCAL, REMOTE] {
        let address = if pod == LOCAL { LOCAL_IP } else { REMOTE_IP };
        let (ok, said) = run(&lab, CLIENT, &["ping", "-c", "3", "-i", "0.2", "-W", "10", address]);
        assert!(ok && said.contains(" 0% packet loss"), "{said}");
        let page = lab.curl(CLIENT, &format!("http://{address}/"), 30).unwrap();
        assert_eq!(page, format!("served by pod {pod} at {address}:80\n"));
    }
}

/// 64 connections that are all open at once, each to whichever backend its ports hash to.
#[test]
fn sixty_four_connections_at_once_spread_over_both_backends() {
    let lab = lab();
    let wanted = Wanted { client: CLIENT, server: WEB, bytes: 30_000, rate: Some(10_000) };
    let mut downloads: Vec<Download> =
        (0..64).map(|_| Download::start(&lab, &wanted, None).unwrap()).collect();
    let mut share: BTreeMap<String, u32> = BTreeMap::new();
    for download in &mut downloads {
        *share.entry(download.pod().unwrap()).or_default() += 1;
    }
    for download in &mut downloads {
        download.finish().unwrap();
    }
    // Of 64 fair choices fewer than 12 on one side happen once in 10^7.
    assert!(share.len() == 2 && share.values().all(|count| *count >= 12), "{share:?}");
}

/// On both nodes, with both halves, ten seconds after it was closed; one that is open beside it stays.
#[test]
fn a_closed_connection_leaves_the_flow_tables() {
    let lab = lab();
    let start = |bytes, rate| {
        let wanted = Wanted { client: CLIENT, server: WEB, bytes, rate };
        Download::from_pod(&lab, &wanted, REMOTE).unwrap()
    };
    let mut open = start(1_200_000, Some(20_000));
    let mut closed = start(20_000, None);
    let entries = |download: &Download| {
        let filter = format!("{CLIENT_IP}:{}", download.port().unwrap());
        [NODE_A, NODE_B].map(|node| lab.flows(node, &filter).unwrap())
    };
    closed.finish().unwrap();
    let ended = Instant::now();
    let is_dead = |flow: &Value| flow["tcp"].as_array().unwrap().contains(&Value::from("D"));
    let mut dead = [false; 2];
    loop {
        let seen = entries(&closed);
        for (dead, flows) in dead.iter_mut().zip(&seen) {
            *dead |= flows.len() == 2 && flows.iter().all(is_dead);
        }
        if seen.iter().all(Vec::is_empty) {
            break;
        }
        assert!(ended.elapsed() < PATIENCE, "{seen:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(dead, [true; 2], "it went without having been closed for a while");
    assert!(entries(&open).iter().all(|flows| flows.len() == 2));
    open.finish().unwrap();
}

#[test]
fn udp_is_echoed_by_either_backend() {
    let lab = lab();
    for _ in 0..6 {
        let (_, said) =
            run(&lab, CLIENT, &["python3", "-c", UDP_CLIENT, "10.105.139.200", "7777", "30"]);
        assert_eq!(said.lines().filter(|line| *line == "echoed").count(), 30, "{said}");
    }
}

/// The backend's kernel answers with an ICMP error about the translated packet; the client's kernel only takes it for its
/// connection if address and port in it are those of the service again.
#[test]
fn a_port_unreachable_finds_its_way_back_through_the_translation() {
    let lab = lab();
    for _ in 0..6 {
        let (_, said) =
            run(&lab, CLIENT, &["python3", "-c", UDP_CLIENT, "10.105.139.200", "7778", "1"]);
        assert_eq!(said.trim(), "ConnectionRefusedError");
    }
}

#[test]
fn a_pod_reaches_itself_through_its_own_service() {
    let lab = lab();
    let page = lab.curl("spare-cent222", "http://10.105.139.201:8080/", 30).unwrap();
    assert_eq!(page, "served by pod spare-cent222 at 10.47.255.234:80\n");
    let wanted = Wanted {
        client: "spare-cent222",
        server: "10.105.139.201:8080",
        bytes: 200_000,
        rate: None,
    };
    Download::start(&lab, &wanted, None).unwrap().finish().unwrap();
}

/// The client's card forwards, the backend's card translates; on a node that has both, one card translates.
#[test]
fn translation_is_where_the_backend_is() {
    let lab = lab();
    let wanted = Wanted { client: CLIENT, server: WEB, bytes: 40_000, rate: Some(10_000) };
    let actions = |node: &str, port: u16| -> Vec<String> {
        let flows = lab.flows(node, &format!("{CLIENT_IP}:{port}")).unwrap();
        let mut actions: Vec<String> =
            flows.iter().map(|flow| format!("{}{}", flow["action"], flow["nat"])).collect();
        actions.sort();
        actions
    };
    let nat = [r#""nat"["D","Pd"]"#, r#""nat"["S","Ps"]"#];
    let mut remote = Download::from_pod(&lab, &wanted, REMOTE).unwrap();
    let port = remote.port().unwrap();
    assert_eq!(actions(NODE_A, port), [r#""forward"[]"#, r#""forward"[]"#]);
    assert_eq!(actions(NODE_B, port), nat);
    remote.finish().unwrap();
    let mut local = Download::from_pod(&lab, &wanted, LOCAL).unwrap();
    let port = local.port().unwrap();
    assert_eq!(actions(NODE_A, port), nat);
    assert!(actions(NODE_B, port).is_empty());
    local.finish().unwrap();
}
