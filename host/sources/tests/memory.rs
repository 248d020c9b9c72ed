//! What a file of many documents costs: counted, not timed. The only test of its binary, as all threads count.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::fmt::Write as _;
use std::fs;

use penstock_model::Policy;
use penstock_sources::{Paths, load};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NODE: &str =
    "name: na\nfabric: { address: 192.0.2.1/24, mac: \"02:00:c0:00:02:01\" }\nvrfs: []\n";

struct Cost {
    /// Bytes of the file.
    file: usize,
    /// Bytes that were asked for to read it, those that were given back among them.
    spent: usize,
    /// Bytes that are needed as long as its objects are.
    kept: usize,
}

/// Reads a node file and a file of manifests.
fn cost(node: &str, manifests: &str, sound: bool) -> Cost {
    let directory = tempfile::tempdir().unwrap();
    let paths =
        Paths { node: directory.path().join("node"), manifests: directory.path().to_owned() };
    fs::write(&paths.node, node).unwrap();
    fs::write(directory.path().join("m.yaml"), manifests).unwrap();
    let region = Region::new(ALLOCATOR);
    let intent = load(&paths, Policy::default());
    let change = region.change();
    assert_eq!(intent.is_ok(), sound, "{:?}", intent.err());
    Cost {
        file: node.len() + manifests.len(),
        // What grows in place counts as asked for.
        spent: change.bytes_allocated + change.bytes_reallocated.unsigned_abs(),
        kept: change.bytes_allocated - change.bytes_deallocated,
    }
}

fn service(i: usize, port: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: s{i} }}\nspec: {{ clusterIP: 10.0.0.1, ports: [ {{ port: {port} }} ] }}\n"
    )
}

/// A file of so many documents, each of many lines.
fn documents(count: usize, document: &dyn Fn(usize) -> String) -> String {
    let comment = "#\n".repeat(400);
    (0..count).fold(String::new(), |mut text, i| {
        write!(text, "---\n{comment}{}", document(i)).unwrap();
        text
    })
}

/// A List of so many services, as `kubectl get -o yaml` writes it.
fn list(count: usize, port: &str) -> String {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for i in 0..count {
        let item = service(i, port).replace('\n', "\n  ");
        writeln!(text, "- {}", item.trim_end()).unwrap();
    }
    text
}

/// The same in JSON.
fn json_list(count: usize) -> String {
    let item = |i| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"s{i}\"}}, \"spec\": {{\"clusterIP\": \"10.0.0.1\", \"ports\": [{{\"port\": 80}}]}}}}\n"
        )
    };
    let items: Vec<String> = (0..count).map(item).collect();
    format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}\n", items.join(","))
}

/// A node file with a remote of so many labels, all of them wrong.
fn labels(count: usize) -> String {
    let mut text = format!("{NODE}remotes:\n- name: nb\n  address: 192.0.2.2\n  labels:\n");
    for i in 0..count {
        writeln!(text, "    10.1.{}.{}: 3", i / 250, i % 250 + 1).unwrap();
    }
    text
}

#[test]
fn a_file_costs_in_proportion_to_what_it_holds() {
    let other = |i| format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s{i} }}\n");
    let json = |i| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"p{i}\"}}}}\n"
        )
    };
    let sound: [(&str, &dyn Fn(usize) -> String); 5] = [
        ("services", &|count| documents(count, &|i| service(i, "80"))),
        ("passed over", &|count| documents(count, &other)),
        ("JSON", &|count| documents(count, &json)),
        ("a List", &|count| list(count, "80")),
        ("a JSON List", &|count| json_list(count)),
    ];
    let proportional = |what: &str, (once, four): (usize, usize)| {
        assert!(10 * four < 45 * once, "{what}: {once} bytes, {four} for four times as much");
    };
    for (what, text) in sound {
        let (small, large) = (cost(NODE, &text(300), true), cost(NODE, &text(1_200), true));
        proportional(what, (small.spent, large.spent));
        // Of documents with much that is not looked at, that is not kept. Items of Lists here are nothing but what is.
        let bound = if what.ends_with("List") { 10 } else { 2 } * large.file;
        assert!(large.kept < bound, "{what}: {} kept of {}", large.kept, large.file);
    }
    // Where much is wrong, a file is read some times more to tell the lines, and not once a fault.
    let faulty: [(&str, &dyn Fn(usize) -> Cost); 2] = [
        ("a List of faults", &|count| cost(NODE, &list(count, "eighty"), false)),
        ("a node file of faults", &|count| cost(&labels(count), &list(1, "80"), false)),
    ];
    for (what, cost) in faulty {
        let of = |count| cost(count).spent;
        proportional(what, (of(400), of(1_600)));
    }
}
