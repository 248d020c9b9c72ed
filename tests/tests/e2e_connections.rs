//! More short connections than the flow table holds, one after another, and a long download beside them.
//!
//! The simulated card has 65,536 entries and is told to keep closed connections for an hour, so that from the 24,577th on each new one has its
//! place because a closed one gives way. `PENSTOCK_SCALE=K` makes K times as many.

#![allow(clippy::unwrap_used)]

mod e2e;

use e2e::{CLIENT, CLIENT_IP, NODE_A, NODE_B, PATIENCE, REMOTE, WEB, lab, run};
use penstock_lab::connect::Connections;
use penstock_lab::download::{Download, Wanted};
use penstock_lab::testbed::{Testbed, wait};
use serde_json::json;

/// Connections, of which the client's card has a pair of entries each.
const CONNECTIONS: usize = 30_000;
/// Open at once.
const PARALLEL: usize = 64;
/// Entries that may be there in the end: the download's, and those that a FIN makes which is sent again after its connection gave way. Nothing
/// follows it, and it goes after four minutes.
const LEFT_MAX: u64 = 40;
/// Drops for want of a place in the flow table.
const REFUSALS: [&str; 4] = ["FlowTableFull", "FlowQueueFull", "FlowClash", "FlowQuota"];

#[test]
fn short_connections_beyond_the_flow_table_are_all_served() {
    let lab = lab();
    let scale = std::env::var("PENSTOCK_SCALE").map_or(1, |scale| scale.parse().unwrap());
    for node in [NODE_A, NODE_B] {
        lab.configure(node, "flowAging: { tcpClosed: 3600 }\n").unwrap();
    }
    // Never as long as all the connections take, however slow the machine is.
    let wanted = Wanted { client: CLIENT, server: WEB, bytes: 1 << 30, rate: Some(20_000) };
    let mut download = Download::from_pod(&lab, &wanted, REMOTE).unwrap();
    let filter = format!("{CLIENT_IP}:{}", download.port().unwrap());
    let its_pairs = || {
        [NODE_A, NODE_B].map(|node| {
            let flows = lab.flows(node, &filter).unwrap();
            flows.iter().map(|flow| flow["pair"].as_u64().unwrap()).collect::<Vec<_>>()
        })
    };
    let (pairs, refused) = (its_pairs(), refusals(&lab));

    let found = connect(&lab, CONNECTIONS * scale);
    println!("{found}first tenth: {:?}\nlast tenth:  {:?}", found.first, found.last);
    let evicted = counted(&lab, NODE_A, "counters", "FlowsEvicted");
    println!("{evicted} of them gave way on {NODE_A}");
    assert_eq!((found.lost, found.broken), (0, 0), "{:?}", found.causes);
    assert_eq!((found.last.opened, found.last.count), (found.first.opened, found.first.count));
    assert!(evicted > 0, "the table was never full");
    assert_eq!(refusals(&lab), refused, "a packet was dropped for want of an entry");

    // As it is without a word in the node file: ten seconds after they were closed.
    for node in [NODE_A, NODE_B] {
        lab.configure(node, "").unwrap();
        wait("the end of closed connections' entries", PATIENCE, || {
            let status = lab.json(node, &["status"])?;
            let in_use = status["device"]["flow_table"]["in_use"].as_u64();
            Ok(in_use.filter(|in_use| *in_use <= LEFT_MAX))
        })
        .unwrap();
    }
    let so_far = download.received();
    wait("more of the download", PATIENCE, || Ok((download.received() > so_far).then_some(())))
        .unwrap();
    // It is the only service's connection that is left, and is seen to pass.
    let top = lab.json(NODE_A, &["top", "--once"]).unwrap();
    let busiest = &top["services"][0];
    assert!(busiest["rate"]["bits"].as_f64().unwrap() > 0.0, "{top}");
    assert_eq!(format!("{}:{}", busiest["address"].as_str().unwrap(), busiest["port"]), WEB);
    assert!(pairs.iter().all(|pairs| pairs.len() == 2), "{pairs:?}");
    assert_eq!(its_pairs(), pairs, "the download's entries did not stay");
    // Nothing is left of those that went: no half, no copy, and no entry that is counted and not there.
    for node in [NODE_A, NODE_B] {
        let flows = &lab.json(node, &["audit"]).unwrap()["flows"];
        assert_eq!((&flows["defects"], &flows["stale"]), (&json!([]), &json!(0)), "{flows}");
        assert_eq!(flows["in_use"], flows["entries"], "{flows}");
    }
    download.stop().unwrap();
}

fn connect(lab: &Testbed, count: usize) -> Connections {
    let (count, parallel) = (count.to_string(), PARALLEL.to_string());
    let program = lab.program().to_string_lossy().into_owned();
    let argv = [&*program, "connect", WEB, "--count", &count, "--parallel", &parallel];
    let (_, said) = run(lab, CLIENT, &[&argv[..], &["--within", "60", "-o", "json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Drops of both cards for want of an entry.
fn refusals(lab: &Testbed) -> Vec<u64> {
    let of = |node| REFUSALS.map(|reason| counted(lab, node, "drops", reason));
    [NODE_A, NODE_B].into_iter().flat_map(of).collect()
}

/// What `dropstats` says of a reason, or of another counter.
fn counted(lab: &Testbed, node: &str, list: &str, reason: &str) -> u64 {
    let drops = lab.json(node, &["dropstats"]).unwrap();
    let named = drops[list].as_array().unwrap().iter();
    named
        .filter(|named| named["reason"] == reason)
        .map(|named| named["count"].as_u64().unwrap())
        .sum()
}
