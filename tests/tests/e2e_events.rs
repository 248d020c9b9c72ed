//! What becomes of connections, as an operator sees it while they come and go through two simulated cards.

#![allow(clippy::unwrap_used)]

mod e2e;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use e2e::{CLIENT, CLIENT_IP, NODE_A, NODE_B, PATIENCE, REMOTE, WEB, lab, run};
use penstock_lab::download::{Download, Wanted};
use penstock_lab::testbed::{Testbed, wait};
use serde_json::{Value, json};

const CONNECTIONS: usize = 500;

/// `penstock flow --follow`, which ends with this.
struct Followed {
    process: Child,
    lines: Receiver<String>,
}

impl Followed {
    /// From the time on at which the daemon has it as its only follower.
    fn start(lab: &Testbed, node: &str, arguments: &[&str]) -> Self {
        let followers = |count: u64| {
            wait(&format!("{count} followers"), PATIENCE, || {
                let status = lab.json(node, &["status"])?;
                Ok((status["device"]["events"]["followers"] == count).then_some(()))
            })
            .unwrap();
        };
        // That of another test may not have been noticed to be gone.
        followers(0);
        let mut process = Command::new(lab.program().with_file_name("penstock"))
            .arg("--api")
            .arg(&lab.lab().state().nodes[node].api)
            .args(["flow", "--follow", "-o", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let said = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        followers(1);
        Self { process, lines }
    }

    /// The next event, at last.
    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("an event");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn each_connection_is_told_from_its_beginning_to_its_end() {
    let lab = lab();
    lab.configure(NODE_A, "flowAging: { tcpClosed: 1 }\n").unwrap();
    let followed = Followed::start(&lab, NODE_A, &["--event", "made,ended", "--match", WEB]);
    let (count, program) = (CONNECTIONS.to_string(), lab.program().to_string_lossy().into_owned());
    let argv = [&*program, "connect", WEB, "--count", &count, "--parallel", "16", "--within", "60"];
    let (ok, said) = run(&lab, CLIENT, &argv);
    assert!(ok, "{said}");

    let mut open: BTreeMap<u64, Value> = BTreeMap::new();
    let (mut ends, mut strangers) = (0, 0);
    while ends < CONNECTIONS {
        let event = followed.next();
        let pair = event["pair"].as_u64().unwrap_or_else(|| panic!("{event:#}"));
        if event["event"] == "made" {
            assert_eq!(open.insert(pair, event), None);
            continue;
        }
        assert_eq!(event["event"], "ended", "{event:#}");
        let Some(made) = open.remove(&pair) else {
            // Of a connection of before: another test's download, and what it tried first.
            strangers += 1;
            continue;
        };
        let same = ["source", "source_port", "destination", "member", "interface"];
        assert!(same.iter().all(|name| made[name] == event[name]), "{made:#} {event:#}");
        assert_eq!((&event["why"], &event["source"]), (&json!("aged"), &json!(CLIENT_IP)));
        // Opened, asked, answered and closed, in both directions.
        let packets = &event["counted"]["packets"];
        assert!((0..2).all(|way| packets[way].as_u64() >= Some(3)), "{event:#}");
        let tcp = event["counted"]["tcp"].as_array().unwrap();
        assert!(["S", "Sr", "E", "Er"].iter().all(|seen| tcp.contains(&json!(seen))), "{event:#}");
        // The clocks are held against each other anew for each, so the two differ by a little.
        assert!(event["began"].is_string(), "{event:#}");
        ends += 1;
    }
    assert!(open.is_empty() && strangers < 16, "{strangers} ends without a beginning; {open:#?}");
    let status = lab.json(NODE_A, &["status"]).unwrap();
    assert_eq!(status["device"]["events"]["lost"], 0);
    lab.configure(NODE_A, "").unwrap();
}

#[test]
fn an_operator_ends_a_connection_and_sees_it_begin_anew() {
    let lab = lab();
    let wanted = Wanted { client: CLIENT, server: WEB, bytes: 1 << 30, rate: Some(20_000) };
    let mut download = Download::from_pod(&lab, &wanted, REMOTE).unwrap();
    let filter = format!("{CLIENT_IP}:{}", download.port().unwrap());
    let followed = Followed::start(&lab, NODE_A, &["--event", "made,ended", "--match", &filter]);
    let rate = lab.json(NODE_B, &["flow", "--rate", "--count", "1"]).unwrap();
    assert!(rate["entries"].as_u64() >= Some(2), "{rate:#}");
    let stats = lab.json(NODE_B, &["flow", "--stats", "--count", "1"]).unwrap();
    // The server's node translates it, forth and back.
    assert!(
        stats["nat"].as_u64() >= Some(2)
            && stats["total"]
                == stats["forward"].as_u64().unwrap() + stats["nat"].as_u64().unwrap(),
        "{stats:#}"
    );

    let flows = lab.flows(NODE_A, &filter).unwrap();
    let (index, pair) = (flows[0]["index"].to_string(), &flows[0]["pair"]);
    let gone = lab.json(NODE_A, &["flow", "--delete", &index]).unwrap();
    assert_eq!(&gone["pair"], pair);
    let (ended, made) = (followed.next(), followed.next());
    assert_eq!((&ended["pair"], &ended["why"]), (pair, &json!("deleted")), "{ended:#}");
    assert_eq!(made["event"], "made", "{made:#}");
    let so_far = download.received();
    wait("more of the download", PATIENCE, || Ok((download.received() > so_far).then_some(())))
        .unwrap();
    download.stop().unwrap();
}
