//! Manifests as client tools write and read them.

use super::super::MAX_FAULTS;
use super::super::tests::{Told, faults_of, told};
use crate::{MAX_DOCUMENT_BYTES, MAX_DOCUMENTS};

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 172.20.0.10
  ports: [ { port: 8080 } ]
";
const SLICE: &str = "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [ { port: 80 } ]
endpoints: [ { addresses: [ 10.20.0.6 ] } ]
";
const SERVICE_JSON: &str = r#"{"apiVersion": "v1", "kind": "Service",
 "metadata": {"name": "web", "namespace": "shop", "annotations": {"a": "\ud83d\ude00 \/"}},
 "spec": {"clusterIP": "172.20.0.10",
  "ports": [{"port": 8080}]}}"#;
const SLICE_JSON: &str = r#"{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
	"metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
	"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.20.0.6"]}]}"#;

fn faults(text: &str) -> String {
    faults_of(&told(text).said).join("\n")
}

#[track_caller]
fn refused(text: &str, place: &str, why: &str) {
    let found = faults(text);
    assert!(found.starts_with(&format!("m.yaml:{place}: ")) && found.contains(why), "{found:?}");
}

#[track_caller]
fn taken(text: &str) -> Told {
    let told = told(text);
    assert_eq!(faults_of(&told.said), [""; 0], "{text}");
    told
}

/// The text says what `SERVICE` and `SLICE` say.
#[track_caller]
fn served(text: &str) -> Told {
    let told = taken(text);
    let listeners = told.balancers.iter().flat_map(|balancer| &balancer.listeners);
    let found: Vec<_> = listeners.map(|l| (l.port, l.pool.members.len())).collect();
    assert_eq!((found.as_slice(), &*told.findings), ([(8080, 1)].as_slice(), &[][..]), "{text}");
    told
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

fn item(text: &str) -> String {
    format!("-\n{}", indented(text, "  "))
}

fn notes(text: &str) -> String {
    taken(text).said.passed_over().collect::<Vec<_>>().join("\n")
}

#[test]
fn lists_of_one_kind_imply_it() {
    let without_kind =
        |text: &str| text.lines().skip(2).map(|l| format!("{l}\n")).collect::<String>();
    let lists = format!(
        "apiVersion: v1\nkind: ServiceList\nitems:\n{}---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSliceList\nitems:\n{}",
        item(&without_kind(SERVICE)),
        item(&without_kind(SLICE)),
    );
    let said = served(&lists).said;
    assert_eq!((said.seen, said.passed_over().count()), (2, 0));
    // Items may say their kind all the same.
    served(&format!("apiVersion: v1\nkind: ServiceList\nitems:\n{}---\n{SLICE}", item(SERVICE)));
    taken("apiVersion: v1\nkind: ServiceList\nitems: null\n");
    taken("apiVersion: v1\nkind: PodList\n");
    refused("apiVersion: v1\nkind: ServiceList\nitems: 7\n", "1", "items is not a list");
    refused("apiVersion: v1\nkind: List\nitems:\n- 7\n", "4", "items[0]: is not an object");
    refused(
        "apiVersion: v1\nkind: List\nitems:\n- { metadata: {} }\n",
        "4",
        "apiVersion is missing",
    );
}

#[test]
fn a_list_may_hold_lists() {
    let head = "apiVersion: v1\nkind: List\nitems:\n";
    let inner = format!("{head}{}{}", item(SERVICE), item(SLICE));
    served(&format!("{head}{}", item(&inner)));
    served(&format!("{head}{}", item(&format!("{head}{}", item(&inner)))));
}

#[test]
fn faults_in_lists_have_their_own_line() {
    let head = "# first\n---\napiVersion: v1\nkind: List\nitems:\n";
    let bad = SERVICE.replace("port: 8080", "port: eighty");
    let text = format!("{head}{}{}", item(SLICE), item(&bad));
    let line = text.lines().position(|l| l.contains("eighty")).unwrap() + 1;
    refused(
        &text,
        &line.to_string(),
        "items[1].spec.ports[0].port: invalid type: string \"eighty\"",
    );
    let bad = SERVICE.replace("172.20.0.10", "172.20.0.310");
    let text = format!("{head}{}{}", item(SLICE), item(&bad));
    let line = text.lines().position(|l| l.contains("Service")).unwrap();
    refused(&text, &line.to_string(), "items[1]: \"172.20.0.310\" is not an IP");
}

#[test]
fn documents_without_content_are_skipped() {
    for nothing in
        ["null", "~", "Null", "", "# a comment", "\u{feff}", "# Source: x/off.yaml\nnull"]
    {
        served(&format!("---\n{nothing}\n---\n{SERVICE}---\n{nothing}\n---\n{SLICE}"));
    }
    refused("---\nseven\n", "2", "neither an object nor a comment");
    refused(&format!("{SERVICE}---\n- a: 1\n"), "8", "an array and not an object; write a List");
    refused("[{\"apiVersion\": \"v1\", \"kind\": \"Service\"}]", "1", "is an array");
}

#[test]
fn byte_order_marks_are_skipped() {
    served(&format!("\u{feff}{SERVICE}---\n{SLICE}"));
    served(&format!("\u{feff}---\n{SERVICE}---\n{SLICE}"));
    // Two files of another system, one after the other.
    served(&format!("\u{feff}{SERVICE}\u{feff}---\n\u{feff}{SLICE}"));
    served(&format!("\u{feff}{SERVICE_JSON}\u{feff}{SLICE_JSON}"));
    let crlf = format!("\u{feff}---\n{SERVICE}---\n{SLICE}").replace('\n', "\r\n");
    served(&crlf);
    // Where no document can begin, it is refused rather than read as a part of a key.
    assert_ne!(faults(&format!("{SERVICE}\u{feff}{SLICE}")), "");
}

#[test]
fn json_objects_may_follow_one_another() {
    served(&format!("{SERVICE_JSON}{SLICE_JSON}"));
    served(&format!("{SERVICE_JSON}\n{SLICE_JSON}\n"));
    served(&format!("---\n{SERVICE_JSON}\n---\n{SLICE_JSON}\n---\n"));
    served(&format!("{SERVICE_JSON}\n---\n{SLICE}"));
    served(
        &format!("{{apiVersion: v1, kind: List, items: [{SERVICE_JSON}, ]}}\n---\n{SLICE}")
            .replace("\\ud83d\\ude00 \\/", ""),
    );
    let bad =
        format!("# so\n{SERVICE_JSON}\n{}", SLICE_JSON.replace("\"port\": 80", "\"port\": \"80\""));
    refused(&bad, "8", "ports[0].port: invalid type: string \"80\"");
    refused(&format!("{SERVICE_JSON}\n,\n{SLICE_JSON}"), "5", "expected value at line 5 column 1");
}

#[test]
fn merge_keys_are_resolved() {
    let text = format!(
        "apiVersion: v1
kind: List
x-a: &a {{ clusterIP: 172.20.0.99, type: ExternalName }}
x-b: &b
  <<: *a
  type: ClusterIP
x-c: &c {{ type: NodePort, clusterIP: 172.20.0.10 }}
items:
- apiVersion: v1
  kind: Service
  metadata: {{ name: web, namespace: shop }}
  spec:
    clusterIP: 172.20.0.10
    <<: [ *b, *c ]
    ports:
    - &p {{ port: 8080, name: x }}
    - {{ <<: *p, port: 8081, name: y }}
{}",
        item(SLICE)
    );
    let balancers = taken(&text).balancers;
    assert_eq!(balancers[0].floating_ips[0].address.to_string(), "172.20.0.10");
    let listeners: Vec<_> =
        balancers[0].listeners.iter().map(|l| (l.name.as_str(), l.port)).collect();
    assert_eq!(listeners, [("x", 8080), ("y", 8081)]);
    refused("a: { <<: 7 }\n", "1", "merges something that is no mapping");
    refused("a: { <<: [ [] ] }\n", "1", "merges something that is no mapping");
    // What is wrong in something merged stands where the parser cannot say; the document is named.
    let bad = format!(
        "---\nx: &x {{ clusterIP: 7 }}\n{}",
        SERVICE.replace("clusterIP: 172.20.0.10", "<<: *x")
    );
    refused(&bad, "2", "spec.clusterIP: invalid type");
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let bad = SERVICE.replace("spec:\n", "spec:\n  clusterIP: 172.20.0.11\n");
    refused(&format!("---\n---\n{bad}"), "8", "the key \"clusterIP\" is there twice");
    // Also where it would not be looked at: it is not what its author believes.
    let bad = SERVICE.replace("namespace: shop", "annotations: { a: b, \"a\": c }");
    refused(&bad, "3", "metadata.annotations: the key \"a\" is there twice");
    let bad = SERVICE_JSON.replace("\"port\": 8080", "\"port\": 8080,\n \"port\": 8081");
    refused(&bad, "5", "the key \"port\" is there twice");
    refused(
        "apiVersion: apps/v1\nkind: Deployment\nkind: Deployment\n",
        "3",
        "\"kind\" is there twice",
    );
}

#[test]
fn anchors_make_no_large_trees() {
    let mut text = "a0: &a0 [ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 ]\n".to_owned();
    for i in 1..10 {
        let list = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &format!("a{i}: &a{i} [ {list} ]\n");
    }
    assert_ne!(faults(&text), "");
    let wide = format!("a: &a [ {} ]\nb: [ {} ]\n", "1, ".repeat(1000), "*a, ".repeat(1200));
    let found = faults(&wide);
    assert!(found.contains("anchors make more than 1048576 bytes"), "{found}");
    let long = format!("a: &a {}\nb: [ {} ]\n", "x".repeat(10_000), "*a, ".repeat(200));
    assert!(faults(&long).contains("anchors make more"), "{}", faults(&long));
    assert_ne!(faults("a: &a [ *a ]\n"), "");
    assert_ne!(faults(&format!("a: {}{}\n", "[".repeat(1000), "]".repeat(1000))), "");
}

#[test]
fn other_readings_are_refused() {
    // `kubectl` reads this as true, YAML 1.2 as a word.
    refused(
        &SLICE.replace(
            "addresses: [ 10.20.0.6 ]",
            "addresses: [ 10.20.0.6 ], conditions: { ready: yes }",
        ),
        "6",
        "endpoints[0].conditions.ready",
    );
    refused(&SERVICE.replace("port: 8080", "port: 010"), "6", "spec.ports[0].port");
    // A name is a string for the API server.
    refused(&SERVICE.replace("name: web", "name: 7"), "3", "metadata.name: invalid type");
    refused(&SERVICE.replace("kind: Service", "kind: 7"), "1", "kind is not a string");
    refused(&SERVICE.replace("name: web", "name: !secret web"), "3", "the tag");
    refused("%YAML 1.1\n---\na: 1\n", "1", "document start");
}

#[test]
fn what_is_passed_over_is_told_once() {
    let many: String = (0..11)
        .map(|i| {
            format!("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: d{i} }}\n")
        })
        .collect();
    assert_eq!(
        notes(&many),
        "apps/v1 Deployment passed over: d0, d1, d2, d3, d4, d5, d6, d7 and 3 more"
    );
    let text = "apiVersion: v1
kind: List
items:
- { apiVersion: v1, kind: Endpoints, metadata: { name: web, namespace: shop } }
- { apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: { name: web-1 } }
- { apiVersion: x.io/v1, kind: Thing }
---
{ apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSliceList, items: [ { metadata: { name: web-2 } } ] }
---
{ apiVersion: apps/v1, kind: DeploymentList, items: [ 7 ] }
";
    let expected = [
        "apps/v1 DeploymentList passed over: (without name)",
        "discovery.k8s.io/v1beta1 EndpointSlice passed over; discovery.k8s.io/v1 is read: web-1, web-2",
        "v1 Endpoints passed over; discovery.k8s.io/v1 EndpointSlices are read instead: shop/web",
        "x.io/v1 Thing passed over: (without name)",
    ];
    assert_eq!(notes(text), expected.join("\n"));
}

#[test]
fn files_have_limits() {
    let many = "---\nnull\n".repeat(MAX_DOCUMENTS);
    assert_eq!(faults(&many), "");
    refused(
        &format!("{many}---\n{SERVICE}"),
        &(2 * MAX_DOCUMENTS + 2).to_string(),
        "split the file",
    );
    let large =
        format!("---\n{SERVICE}---\na: \"{}\"\n---\n{SLICE}", "x".repeat(MAX_DOCUMENT_BYTES));
    refused(&large, "9", "split it");
    let said = told(&"---\nkind: Service\n".repeat(3 * MAX_FAULTS)).said;
    assert_eq!((said.untold.len(), said.more_untold), (MAX_FAULTS, 2 * MAX_FAULTS));
}

#[test]
fn what_is_wrong_is_refused_by_name_and_the_rest_is_taken() {
    let bad = SERVICE.replace("8080", "eighty").replace("name: web", "name: bad");
    for nameless in ["a: [\n", "kind: [\n", "- 1\n", "7\n", "kind: Service\n"] {
        let said = served(&format!("{SERVICE}---\n{SLICE}")).said;
        assert_eq!((said.refused.len(), said.untold.len(), said.seen), (0, 0, 2));
        let told = told(&format!("{SERVICE}---\n{bad}---\n{nameless}---\n{SLICE}"));
        assert_eq!(told.balancers[0].listeners[0].pool.members.len(), 1);
        let refused: Vec<_> = told.said.refused.keys().map(|key| key.id().to_string()).collect();
        assert_eq!(refused, ["Service shop/bad"]);
        assert_eq!((told.said.untold.len(), told.said.seen), (1, 2), "{nameless}");
    }
}
