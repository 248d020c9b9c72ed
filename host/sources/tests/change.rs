//! What a change costs while much else stays as it is: counted, not timed. The only test of its binary, as all threads count.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::fmt::Write as _;
use std::fs;

use penstock_model::{Intent, ObjectName, Policy};
use penstock_sources::{Paths, Sources};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NODE: &str =
    "name: na\nfabric: { address: 192.0.2.1/24, mac: \"02:00:c0:00:02:01\" }\nvrfs: []\n";
/// Changes that are made one after the other.
const CHANGES: u8 = 4;

fn service(name: &str, last: u8, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ clusterIP: 10.0.0.{last}, ports: [ {{ port: {port} }} ] }}\n"
    )
}

/// Bytes that are asked for while one service changes, beside so many that are wrong.
async fn cost(wrong: usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let paths =
        Paths { node: directory.path().join("node"), manifests: directory.path().to_owned() };
    fs::write(&paths.node, NODE).unwrap();
    let text = (0..wrong).fold(String::new(), |mut text, i| {
        write!(text, "---\n{}", service(&format!("s{i}"), 9, "eighty")).unwrap();
        text
    });
    fs::write(directory.path().join("wrong.yaml"), text).unwrap();
    let write = |last| {
        let aside = directory.path().join("aside");
        fs::write(&aside, service("one", last, "80")).unwrap();
        fs::rename(aside, directory.path().join("one.yaml")).unwrap();
    };
    write(1);
    let sources = Sources::of_files(&paths, Policy::default());
    let mut intents = sources.intents();
    let has = |intent: &Intent, last: u8| {
        let one = intent.balancers.get(&ObjectName::new("default", "one"));
        let address = one.map(|one| one.floating_ips[0].address.to_string());
        intent.complete && address == Some(format!("10.0.0.{last}"))
    };
    let intent = intents.wait_for(|intent| has(intent, 1)).await.unwrap().clone();
    assert_eq!(intent.findings.len(), wrong);
    let region = Region::new(ALLOCATOR);
    for last in 2..2 + CHANGES {
        write(last);
        intents.wait_for(|intent| has(intent, last)).await.unwrap();
    }
    region.change().bytes_allocated
}

#[tokio::test]
async fn a_change_costs_nothing_for_what_stays_wrong() {
    let (few, many) = (cost(200).await, cost(2_000).await);
    assert!(many < 2 * few, "{few} bytes beside 200 faults, {many} beside ten times as many");
}
