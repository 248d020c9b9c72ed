//! The resources of the whole daemon.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::Ipv4Addr;
use std::ops::ControlFlow;

use penstock_abi::ring::{EventKind, FlowEnd, FlowEvent};
use penstock_abi::table::{Counter, Flow, FlowStats, Ilm, TCP_ESTABLISHED, TCP_SYN};
use penstock_api::client::{self, ClientError};
use penstock_device::CardEvent;
use penstock_tables::Entry;
use serde_json::{Value, json};
use support::{Bench, NODE, PATIENCE, SERVICE, manifests};

#[test]
fn flows_come_from_the_live_card() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let flow = Flow { valid: true, proto: 6, dnat: true, dpat: true, pair: 7, ..Flow::default() };
    bench.fake().set_entry(4, flow);
    bench.fake().set_entry(9, Flow { valid: true, reverse: true, pair: 7, ..Flow::default() });
    bench.fake().set_entry(4, FlowStats { packets: 5, bytes: 500, tcp: TCP_SYN, last_hit: 0 });
    bench.fake().set_entry(9, FlowStats { tcp: TCP_SYN | TCP_ESTABLISHED, ..FlowStats::default() });
    let listed = &bench.get("/v1/flows")["flows"];
    assert_eq!((&listed[0]["packets"], &listed[0]["nat"]), (&json!(5), &json!(["D", "Pd"])));
    assert_eq!((&listed[0]["partner"], &listed[1]["partner"]), (&json!(9), &json!(4)));
    let none = bench.get("/v1/flows?match=10.105.139.153+%26+proto+udp");
    assert_eq!(none["flows"], json!([]));
    assert_eq!(none["matching"], "[10.105.139.153]:*, Protocol UDP");
    let one = bench.get("/v1/flows/4");
    assert_eq!(one["tcp"], json!(["S", "Sr", "Er"]), "{one:#}");
    for index in [5, u32::MAX] {
        let not_in_use = (404, format!("flow {index} is not in use"));
        assert_eq!(bench.refused(&format!("/v1/flows/{index}")), not_in_use);
    }
}

#[test]
fn what_becomes_of_connections_is_told_to_who_follows() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let (tell, told) = std::sync::mpsc::channel();
    let api = bench.api();
    let follower = std::thread::spawn(move || {
        let query = "/v1/events?events=made,ended,repinned&match=10.105.139.153";
        client::follow(&api, &query, |line| {
            let line: Value = serde_json::from_slice(line).unwrap();
            let last = line["event"] == "ended";
            tell.send(line).unwrap();
            if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    bench.wait("a follower", |status| status["device"]["events"]["followers"] == 1);
    let event = |kind: EventKind, pair, destination: [u8; 4]| {
        CardEvent::Flow(FlowEvent {
            kind: kind as u8,
            pair,
            reason: FlowEnd::Deleted as u8,
            protocol: 6,
            destination: u32::from_be_bytes(destination),
            ..FlowEvent::default()
        })
    };
    let (vip, other) = ([10, 105, 139, 153], [10, 47, 255, 238]);
    bench.fake().tell(event(EventKind::FlowMade, 1, other));
    bench.fake().tell(event(EventKind::FlowMade, 2, vip));
    // Nobody asks for this one.
    bench.fake().tell(event(EventKind::FlowRefused, 0, vip));
    let first = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&first["event"], &first["pair"]), (&json!("made"), &json!(2)), "{first:#}");
    bench.fake().tell(event(EventKind::FlowEnded, 2, vip));
    let second = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (&second["why"], &second["destination"]),
        (&json!("deleted"), &json!("10.105.139.153"))
    );
    follower.join().unwrap().unwrap();
    for query in ["events=born", "sample=3", "match=nonsense%20here", "evnts=made"] {
        let (status, why) = bench.refused(&format!("/v1/events?{query}"));
        assert!(status == 400, "{query}: {status} {why}");
    }
    // Who has hung up is noticed when there is something to tell.
    bench.fake().tell(event(EventKind::FlowMade, 3, vip));
    bench.wait("no follower", |status| status["device"]["events"]["followers"] == 0);
}

#[test]
fn a_connection_is_ended_by_the_index_of_either_entry() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    bench.fake().set_entry(4, Flow { valid: true, proto: 6, pair: 7, ..Flow::default() });
    bench.fake().set_entry(9, Flow { valid: true, reverse: true, pair: 7, ..Flow::default() });
    bench.fake().set_entry(9, FlowStats { packets: 5, bytes: 500, ..FlowStats::default() });
    let gone: Value = client::delete(&bench.api(), &"/v1/flows/9").unwrap();
    assert_eq!((&gone["pair"], &gone["packets"]), (&json!(7), &json!(5)), "{gone:#}");
    assert_eq!(bench.get("/v1/flows")["flows"], json!([]));
    for index in [4, 9, u32::MAX] {
        let again = client::delete::<Value>(&bench.api(), &format!("/v1/flows/{index}"));
        assert!(matches!(again, Err(ClientError::Refused { status: 404, .. })), "{again:?}");
    }
}

#[test]
fn the_fill_of_the_flow_table_is_in_the_status() {
    use penstock_abi::reason::{CardCounter, DropReason};
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let flows = bench.status()["device"]["flow_table"].clone();
    assert_eq!(flows["refused"], json!([]));
    let in_use = Entry::CardStats(Counter { count: 50_000 });
    bench.fake().set_entry(CardCounter::FlowsInUse as u32, in_use);
    let refused = Entry::DropStats(Counter { count: 7 });
    bench.fake().set_entry(DropReason::FlowQueueFull as u32, refused);
    let status = bench.wait("a reading", |s| s["device"]["flow_table"]["in_use"] == 50_000);
    let flows = &status["device"]["flow_table"];
    assert_eq!(flows["refused"][0]["reason"], "FlowQueueFull", "{flows:#}");
    let drops = &bench.get("/v1/drops")["drops"];
    let of = |reason: &str| drops.as_array().unwrap().iter().find(|d| d["reason"] == reason);
    for reason in ["FlowTableFull", "FlowUnusable", "FlowClash", "EgressOversize", "NotForGateway"]
    {
        assert_eq!(of(reason).unwrap()["count"], 0, "{reason}");
    }
    assert_eq!(of("FlowQueueFull").unwrap()["count"], 7);
}

/// The marks are at 24, 26 and 28 parts of 32.
#[test]
fn the_pressure_on_the_flow_table_is_in_the_status() {
    use penstock_abi::limits::FLOWS;
    use penstock_abi::reason::CardCounter;
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    for (thirty_seconds, pressure) in [(24, 0), (25, 1), (27, 2), (29, 3)] {
        let in_use = u64::from(FLOWS / 32 * thirty_seconds);
        let counter = Entry::CardStats(Counter { count: in_use });
        bench.fake().set_entry(CardCounter::FlowsInUse as u32, counter);
        let status = bench.wait("a reading", |s| s["device"]["flow_table"]["in_use"] == in_use);
        assert_eq!(status["device"]["flow_table"]["pressure"], pressure, "{thirty_seconds}");
    }
}

#[test]
fn what_tunnels_have_of_the_flow_table_is_shown() {
    use penstock_abi::share;
    use penstock_abi::table::FlowShareStats;
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let far = Ipv4Addr::new(10, 169, 25, 21);
    let index = share::of_tunnel(far.into());
    bench.fake().set_entry(index, FlowShareStats { pairs: 12, refused: 3 });
    let seen = bench
        .wait_at("/v1/tunnels", "a reading", |seen| seen["tunnels"][0]["flows"]["pairs"] == 12);
    let tunnel = &seen["tunnels"][0];
    assert_eq!((&tunnel["source"], &tunnel["hw_index"]), (&json!(far), &json!(index)));
    assert_eq!(tunnel["flows"]["new_flow_drops"], 3, "{seen:#}");
}

#[test]
fn routes_of_a_vrf_that_is_not_there_are_an_error() {
    let mut bench = Bench::new();
    let node = NODE.replace("vifs:", "  - { id: 6, name: empty }\nvifs:");
    bench.write_node("card0", &node);
    bench.write("apiVersion: v1\nkind: List\nitems: []\n");
    bench.start();
    bench.wait_in_sync(1);
    assert_ne!(bench.get("/v1/vrfs/2/routes")["routes"], json!([]));
    let (status, why) = bench.refused("/v1/vrfs/9/routes");
    assert!(status == 404 && why.contains("no VRF 9 here; there are: 2, 6"), "{status} {why}");
}

#[test]
fn a_service_that_nobody_answers_for_says_why() {
    let mut bench = Bench::new();
    let text =
        manifests(8888).replace("10.47.255.236", "10.9.9.8").replace("10.47.255.238", "10.9.9.9");
    let (service, slice) = text.split_once("---").unwrap();
    bench.write(service);
    bench.start();
    bench.wait_in_sync(1);
    let none = bench.get(SERVICE);
    let why = none["routes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("the service has no endpoints"), "{none:#}");

    let before = bench.status()["reconcile"]["completed"].as_u64().unwrap();
    bench.write(&format!("{service}---{slice}"));
    bench.wait_in_sync(before + 1);
    let unknown = bench.get(SERVICE);
    let why = unknown["routes"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("none of its 2 endpoints"), "{unknown:#}");
    assert!(unknown["intent"]["notes"].to_string().contains("10.9.9.8"), "{unknown:#}");
}

#[test]
fn what_is_not_there_and_what_makes_no_sense_are_told_apart() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    for (path, status, part) in [
        ("/v1/next-hops/8700", 404, "next hop 8700 is not in use"),
        ("/v1/vifs/9", 404, "vif0/9 is not in use"),
        ("/v1/labels/77", 404, "label 77 is not in use"),
        ("/v1/vrfs/2/routes/lookup?address=192.0.2.1", 404, "no route to 192.0.2.1/32 in VRF 2"),
        ("/v1/services/ns-user-1/webb", 404, "no service ns-user-1/webb is known here"),
        ("/v1/reboot", 404, "there is no resource /v1/reboot"),
        ("/v1/flows?match=10.105.139:80", 400, "`10.105.139:80` is not understood"),
        ("/v1/flows?mtach=10.0.0.1", 400, "mtach"),
        ("/v1/vrfs/2/routes/lookup?address=192.0.2", 400, "address"),
        ("/v1/vrfs/2/routes/lookup?address=192.0.2.1&prefix_len=33", 400, "192.0.2.1/33"),
        ("/v1/vifs/web", 400, "web"),
    ] {
        let (got, why) = bench.refused(path);
        assert!(got == status && why.contains(part), "{path}: {got} {why}");
    }
    let found = bench.get("/v1/vrfs/2/routes/lookup?address=10.105.139.153");
    assert_eq!(found["routes"][0]["address"], "10.105.139.153");
    assert_eq!(bench.get("/v1/labels/25")["labels"].as_array().unwrap().len(), 1);
}

#[test]
fn the_client_asks_for_what_the_daemon_serves() {
    use penstock_api::client::{ClientError, get};
    use penstock_api::paths::{FlowQuery, LookupQuery, Resource};
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let query =
        LookupQuery { address: Ipv4Addr::new(10, 105, 139, 153), prefix_len: 32, card: None };
    let name = |namespace: &str, name: &str| Resource::Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let filter = Some("10.105.139.153:8888 & proto tcp".to_owned());
    for resource in [
        Resource::Status,
        Resource::Flows(FlowQuery::default()),
        Resource::Flows(FlowQuery { filter, card: None }),
        Resource::NextHops,
        Resource::NextHop { id: 0 },
        Resource::Vifs,
        Resource::Vif { id: 8 },
        Resource::Routes { vrf: 2 },
        Resource::Lookup { vrf: 2, query },
        Resource::Labels,
        Resource::Label { label: 25 },
        Resource::Tunnels,
        Resource::Drops,
        Resource::FirmwareTrace,
        Resource::Services,
        name("ns-user-1", "service-web-clusterip"),
    ] {
        let value: Value =
            get(&bench.api(), &resource).unwrap_or_else(|e| panic!("{resource}: {e}"));
        let same = |mut value: Value| {
            // It grows from one answer to the next.
            if let Some(age) = value.pointer_mut("/device/age_ms") {
                *age = json!(0);
            }
            value.to_string()
        };
        assert_eq!(same(value), same(bench.get(&resource.to_string())));
    }
    for (resource, part) in [
        (Resource::Flow { index: 7 }, "flow 7 is not in use"),
        (name("ns/user", "a b?c"), "no service ns/user/a b?c is known here"),
    ] {
        let error = get::<Value>(&bench.api(), &resource).unwrap_err();
        assert!(
            matches!(&error, ClientError::Refused { why, .. } if why.contains(part)),
            "{error}"
        );
    }
}

#[test]
fn an_audit_is_asked_for_by_post_and_mends_what_differs() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.ask("GET", "/v1/audit").0, 405);
    let (status, audit) = bench.ask("POST", "/v1/audit");
    assert_eq!((status, &audit["clean"]), (200, &json!(true)), "{audit:#}");
    assert_eq!(audit["tables"].as_array().unwrap().len(), 15);
    bench.fake().set_entry(25, Ilm::default());
    let (_, audit) = bench.ask("POST", "/v1/audit");
    assert_eq!((&audit["clean"], &audit["operations"]), (&json!(false), &json!(1)), "{audit:#}");
    let labels = audit["tables"].as_array().unwrap().iter().find(|t| t["table"] == "Ilm").unwrap();
    assert_eq!((&labels["differing"], &labels["by"]), (&json!(1), &json!("read_back")));
    let difference = &labels["differences"][0];
    assert!(difference["index"] == 25 && difference["theirs"].is_null(), "{difference:#}");
    assert_eq!(bench.ask("POST", "/v1/audit").1["clean"], true);
    assert_eq!(bench.status()["reconcile"]["last_audit"]["differing"], 0);
    bench.fake().kill();
    bench.wait("the loss", |s| s["reconcile"]["state"] == "failing");
    let (status, why) = bench.ask("POST", "/v1/audit");
    assert!(status == 503 && why["error"].as_str().unwrap().contains("gone"), "{status} {why}");
}

#[test]
fn each_card_is_asked_for_by_its_name() {
    let mut bench = Bench::of(&["left", "right"]);
    bench.write_node("right", &NODE.replace("10.47.255.237", "10.47.255.239"));
    bench.start();
    for card in ["left", "right"] {
        let path = format!("/v1/status?card={card}");
        let status = bench.wait_at(&path, "a reconcile", |s| s["reconcile"]["state"] == "in sync");
        assert_eq!((&status["card"], &status["cards"]), (&json!(card), &json!(["left", "right"])));
        assert_eq!(status["device"]["spec"], format!("fake:{card}"));
    }
    let client = |card: &str| {
        let route =
            bench.get(&format!("/v1/vrfs/2/routes/lookup?address=10.47.255.237&card={card}"));
        route["routes"][0]["prefix_len"].clone()
    };
    assert_eq!(client("left"), 32);
    let other = "/v1/vrfs/2/routes/lookup?address=10.47.255.237&card=right";
    assert_eq!(bench.refused(other).0, 404);
    // One that is lost is so alone.
    bench.fake().kill();
    let state =
        |card: &str| bench.get(&format!("/v1/status?card={card}"))["reconcile"]["state"].clone();
    bench.wait_at("/v1/status?card=left", "the loss", |s| s["reconcile"]["state"] == "failing");
    assert_eq!(state("right"), "in sync");
    for (path, status, part) in [
        ("/v1/vifs", 400, "say which card is meant; there are: left, right"),
        ("/v1/flows?card=middle", 404, "there is no card middle here"),
        ("/v1/vifs?crad=left", 400, "crad"),
    ] {
        let (got, why) = bench.refused(path);
        assert!(got == status && why.contains(part), "{path}: {got} {why}");
    }
}
