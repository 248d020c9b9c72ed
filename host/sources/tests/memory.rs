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

/// Reads a file of so many documents, each of many lines.
fn cost(documents: usize, document: &dyn Fn(usize) -> String) -> Cost {
    let comment = "#\n".repeat(400);
    let text: String = (0..documents).fold(String::new(), |mut text, i| {
        write!(text, "---\n{comment}{}", document(i)).unwrap();
        text
    });
    let directory = tempfile::tempdir().unwrap();
    let paths =
        Paths { node: directory.path().join("node"), manifests: directory.path().to_owned() };
    fs::write(&paths.node, NODE).unwrap();
    fs::write(directory.path().join("m.yaml"), &text).unwrap();
    let region = Region::new(ALLOCATOR);
    let intent = load(&paths, Policy::default()).unwrap();
    let change = region.change();
    assert!(intent.complete);
    Cost {
        file: text.len(),
        // What grows in place counts as asked for.
        spent: change.bytes_allocated + change.bytes_reallocated.unsigned_abs(),
        kept: change.bytes_allocated - change.bytes_deallocated,
    }
}

#[test]
fn a_file_costs_in_proportion_to_its_documents() {
    let service = |i| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: s{i} }}\nspec: {{ clusterIP: 10.0.0.1, ports: [ {{ port: 80 }} ] }}\n"
        )
    };
    let other = |i| format!("apiVersion: v1\nkind: Secret\nmetadata: {{ name: s{i} }}\n");
    let json = |i| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"p{i}\"}}}}\n"
        )
    };
    let kinds: [(&str, &dyn Fn(usize) -> String); 3] =
        [("services", &service), ("passed over", &other), ("JSON", &json)];
    for (what, document) in kinds {
        let (small, large) = (cost(500, document), cost(2_000, document));
        let (once, four) = (small.spent, large.spent);
        assert!(10 * four < 45 * once, "{what}: {once} bytes, {four} for four times the documents");
        assert!(large.kept < 2 * large.file, "{what}: {} kept of {}", large.kept, large.file);
    }
}
