//! The whole daemon against cards in memory: it programs tables, adopts them after a restart, and says so when a card dies.
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use penstock_abi::regs;
use penstock_abi::ring::Status as RingStatus;
use penstock_abi::table::TableId;
use penstock_tables::CONFIG_TABLES;
use penstockd::Daemon;
use serde_json::{Value, json};
use support::{Bench, SERVICE, manifests};

#[test]
fn it_programs_a_card_and_shows_it() {
    let mut bench = Bench::new();
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(status["node"], "cent222");
    assert_eq!(status["device"]["state"], "attached");
    assert_eq!(status["device"]["card"]["forwarding"], true);
    assert_eq!(status["device"]["card"]["firmware"], "ready");
    assert_eq!(status["pending_neighbours"], json!([]));
    assert_ne!(bench.fake().register(regs::EPOCH), 0);
    assert_eq!(bench.fip_ports(), [8888]);

    let service = bench.get(SERVICE);
    assert_eq!(service["routes"][0]["type"], "Composite", "{service:#}");
    assert_eq!(service["routes"][0]["members"].as_array().unwrap().len(), 2, "{service:#}");
    assert_eq!(service["port_maps"][0]["nat_port"], 8888);

    let nh = service["routes"][0]["next_hop"].clone();
    let hops = &bench.get(&format!("/v1/next-hops/{nh}"))["next_hops"];
    assert_eq!(hops.as_array().unwrap().len(), 3, "the composite and its two members: {hops:#}");
    let vifs = &bench.get("/v1/vifs/8")["interfaces"];
    assert_eq!(vifs[0]["name"], "web");
    let services = &bench.get("/v1/services")["services"];
    assert_eq!(services[0], service["intent"]);
}

#[test]
fn a_restart_with_nothing_changed_writes_nothing() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let (writes, epoch) = (bench.fake().writes(), bench.fake().register(regs::EPOCH));
    assert!(writes > 0);
    bench.stop();
    assert_eq!(
        bench.fake().register(regs::CONTROL) & 1,
        1,
        "the end of the daemon leaves the card forwarding"
    );
    bench.start();
    let status = bench.wait_in_sync(1);
    assert_eq!(status["reconcile"]["empty"], status["reconcile"]["completed"]);
    assert_eq!((bench.fake().writes(), bench.fake().register(regs::EPOCH)), (writes, epoch));
}

#[test]
fn backends_that_are_not_ready_keep_what_they_have_over_a_restart() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let unready = manifests(8888).replace("ready: true", "ready: false");
    bench.write(&unready);
    let members = |service: &Value| {
        let members = service["listeners"][0]["way"]["members"].as_array().cloned();
        members.unwrap_or_default()
    };
    bench.wait("two members that drain", |_| {
        let members = members(&bench.get(SERVICE));
        members.len() == 2 && members.iter().all(|member| member["draining"] == true)
    });
    assert_eq!(bench.fip_ports(), [8888]);
    let writes = bench.fake().writes();
    bench.stop();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.fake().writes(), writes);
}

/// Another image, or `penstock card clear`: the card answers as before and holds nothing.
#[test]
fn a_card_that_was_cleared_is_written_anew() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let words = |bench: &Bench| {
        let tables = CONFIG_TABLES.iter();
        tables.map(|&table| bench.fake().table(table)).collect::<Vec<_>>()
    };
    let before = words(&bench);
    bench.fake().clear();
    assert_ne!(words(&bench), before);
    bench.wait("the tables", |s| s["reconcile"]["state"] == "in sync" && words(&bench) == before);
    // A change that comes before anybody looked does not hide it.
    bench.fake().clear();
    bench.write(&manifests(9999));
    bench.wait("the tables and the change", |s| {
        s["reconcile"]["state"] == "in sync"
            && bench.fip_ports() == [9999]
            && words(&bench).iter().map(Vec::len).eq(before.iter().map(Vec::len))
    });
}

#[test]
fn a_dead_card_is_reported_and_taken_back() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let writes = bench.fake().writes();
    bench.fake().kill();
    let status = bench.wait("the loss", |s| {
        s["device"]["state"] == "lost" && s["reconcile"]["state"] == "failing"
    });
    assert!(status["device"]["error"].as_str().unwrap().contains("gone"), "{status:#}");
    assert_eq!(status["device"]["card"], Value::Null);
    let (status, why) = bench.refused("/v1/vifs");
    assert!(status == 503 && why.starts_with("the card is lost: "), "{status} {why}");
    // What changes meanwhile reaches the card when it is back.
    bench.write(&manifests(9999));
    bench.fake().revive();
    bench.wait("the return", |s| {
        s["reconcile"]["state"] == "in sync" && bench.fip_ports() == [9999]
    });
    assert!(bench.fake().writes() > writes);
}

#[test]
fn a_card_that_dies_within_a_plan_is_read_back() {
    let mut bench = Bench::new();
    bench.fake().kill_after(3);
    bench.start();
    bench.wait("the loss", |s| {
        s["device"]["state"] == "lost" && s["reconcile"]["state"] == "failing"
    });
    bench.fake().revive();
    bench.wait_in_sync(1);
    assert_eq!(bench.fip_ports(), [8888]);
    // The card is now what a card that never died would be: another daemon has nothing to write.
    let writes = bench.fake().writes();
    bench.stop();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!(bench.fake().writes(), writes);
}

#[test]
fn a_refused_write_is_reported_by_name() {
    let mut bench = Bench::new();
    bench.fake().refuse_writes(Some((TableId::HostRoute, RingStatus::NotPermitted)));
    bench.start();
    let status = bench.wait("the refusal", |s| s["reconcile"]["state"] == "failing");
    let error = status["reconcile"]["last_error"].as_str().unwrap();
    assert!(error.contains("HostRoute") && error.contains(", which is of "), "{status:#}");
    assert_eq!(status["device"]["state"], "attached");
    bench.fake().refuse_writes(None);
    bench.wait_in_sync(1);
}

#[test]
fn the_socket_is_for_one_daemon_and_its_group() {
    let mut bench = Bench::new();
    bench.start();
    let mode = std::fs::metadata(bench.api()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = {
        let _guard = bench.runtime.enter();
        Daemon::start(bench.config()).err().unwrap().to_string()
    };
    assert!(second.contains("another daemon"), "{second}");
    bench.wait_in_sync(1);
    bench.stop();
    // A socket that a killed daemon left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(bench.api()).unwrap());
    assert!(bench.api().exists());
    bench.start();
    bench.wait_in_sync(1);
}

#[test]
fn the_end_of_a_cards_thread_is_the_end_of_the_daemon() {
    let bench = Bench::of(&["left", "right"]);
    let mut config = bench.config();
    config.cards[1].opener = Arc::new(|| panic!("on purpose"));
    let error = bench.runtime.block_on(async {
        let mut daemon = Daemon::start(config).unwrap();
        tokio::time::timeout(Duration::from_secs(20), daemon.failed()).await.unwrap().unwrap_err()
    });
    let text = format!("{error:#}");
    assert_eq!(text, "the agent of card right ended: the card's thread has ended");
}
