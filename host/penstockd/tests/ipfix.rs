//! Connections that ended, as a collector that is not ours understands them: nfdump's `nfcapd`.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::ring::{self, EventKind, FlowEnd, FlowEvent};
use penstock_abi::table::{FipMap, TCP_ESTABLISHED, TCP_FIN, TCP_SYN, TableEntry as _, TableId};
use penstock_device::CardEvent;
use serde_json::{Value, json};
use support::{Bench, PATIENCE};

/// A collector that writes into a folder, and says what it gets. It ends with this.
struct Collector {
    process: Child,
    lines: Receiver<String>,
}

impl Collector {
    fn start(folder: &Path, address: SocketAddr) -> Self {
        // By the line, or nothing is heard of it until its end.
        let mut process = Command::new("stdbuf")
            .args(["-oL", "nfcapd", "-E", "-b", &address.ip().to_string()])
            .args(["-p", &address.port().to_string(), "-l"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let said = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let collector = Self { process, lines };
        // Until somebody listens there.
        let deadline = Instant::now() + PATIENCE;
        while UdpSocket::bind(address).is_ok() {
            assert!(
                Instant::now() < deadline,
                "nfcapd, which `cargo xtask setup` installs, does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        collector
    }

    /// Waits until it has so many records, and ends it, which has it write them down.
    fn end_with(mut self, records: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        while seen < records {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("a record");
            seen += usize::from(line.starts_with("Flow Record"));
        }
        Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What it has collected.
fn collected(folder: &Path) -> Vec<Value> {
    let output =
        Command::new("nfdump").arg("-R").arg(folder).args(["-o", "json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_collector_understands_the_ends_of_connections() {
    let folder = tempfile::tempdir().unwrap();
    let free = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let collector = Collector::start(folder.path(), address);
    let mut bench = Bench::new();
    bench.ipfix = Some(address);
    bench.start();
    bench.wait_in_sync(1);
    bench.wait("an exporter", |status| status["device"]["events"]["followers"] == 1);

    // The mapping of the service's member here.
    let tables = bench.fake().table(TableId::FipMap);
    let (map, mapping) = tables
        .into_iter()
        .map(|(index, words)| (index as u16, FipMap::unpack(&words)))
        .find(|(_, mapping)| mapping.valid)
        .unwrap();
    let khz = bench.fake().register(regs::CLOCK_KHZ);
    bench.fake().set_register(regs::TIME_LO, 9 * khz);
    let made = FlowEvent {
        kind: EventKind::FlowMade as u8,
        pair: 77,
        flags: ring::FLOW_EVENT_MAP,
        protocol: 6,
        source: u32::from_be_bytes([10, 47, 255, 237]),
        source_port: 40_000,
        destination: mapping.vip,
        destination_port: mapping.vip_port,
        map,
        time_cycles: u64::from(khz),
        ..FlowEvent::default()
    };
    let seen = TCP_SYN | TCP_ESTABLISHED | TCP_FIN;
    let ended = FlowEvent {
        kind: EventKind::FlowEnded as u8,
        reason: FlowEnd::Aged as u8,
        tcp: seen | seen << 4,
        packets: [6, 5],
        bytes_low: [600, 5_000],
        time_cycles: u64::from(khz) * 8,
        ..made
    };
    // One that nobody has seen begin, of which nothing is known but that it was.
    let silent = FlowEvent {
        kind: EventKind::FlowEnded as u8,
        reason: FlowEnd::Evicted as u8,
        flags: ring::FLOW_EVENT_UNCOUNTED,
        pair: 78,
        protocol: 1,
        source_port: 4711,
        destination_port: 0,
        time_cycles: u64::from(khz) * 7,
        ..made
    };
    for event in [made, ended, silent] {
        bench.fake().tell(CardEvent::Flow(event));
    }
    bench.wait("all events", |status| status["device"]["events"]["taken"] == 3);
    let errors = |status: &Value| {
        let sources = status["sources"].as_array().unwrap().clone();
        sources.into_iter().find(|source| source["name"] == "ipfix card0").unwrap()["errors"]
            .clone()
    };
    assert_eq!(errors(&bench.status()), json!([]));
    collector.end_with(2);

    let all = collected(folder.path());
    let of = |proto: u8| all.iter().find(|flow| flow["proto"] == proto).unwrap();
    let tcp = of(6);
    let socket = |flow: &Value, side: &str| {
        (flow[format!("{side}4_addr")].clone(), flow[format!("{side}_port")].clone())
    };
    assert_eq!(socket(tcp, "src"), (json!("10.47.255.237"), json!(40_000)), "{tcp:#}");
    assert_eq!(socket(tcp, "dst"), (json!("10.105.139.153"), json!(8888)));
    let translated = ["src4_xlt_ip", "src_xlt_port", "dst4_xlt_ip", "dst_xlt_port"];
    let expected = ["10.47.255.237", "40000", "10.47.255.236", "80"];
    assert_eq!(translated.map(|name| tcp[name].as_str().unwrap_or_default()), expected, "{tcp:#}");
    // Without the headers of the frames: 6 and 5 times 14 bytes.
    let counts = ["in_packets", "in_bytes", "out_packets", "out_bytes"].map(|name| &tcp[name]);
    assert_eq!(counts, [&json!(6), &json!(516), &json!(5), &json!(4_930)]);
    assert_eq!(tcp["tcp_flags"], "...A..SF");
    let icmp = of(1);
    assert_eq!(icmp["in_packets"], 0, "{icmp:#}");
    // It was there when the daemon began to follow.
    let (first, last) = (icmp["first"].as_str().unwrap(), icmp["last"].as_str().unwrap());
    assert!(first <= last && first[..4] == last[..4], "{icmp:#}");

    // Nobody listens any more, which is told.
    for taken in 4..6 {
        bench.fake().tell(CardEvent::Flow(ended));
        bench.wait("an event", |status| status["device"]["events"]["taken"] == taken);
    }
    bench.wait("a complaint", |status| errors(status).to_string().contains("refused"));
}
