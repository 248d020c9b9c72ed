//! Services change and parts fail while connections run.

#![allow(clippy::unwrap_used)]

mod e2e;

use e2e::{CLIENT, LOCAL, LOCAL_IP, NODE_A, NODE_B, PATIENCE, REMOTE, SERVICE, WEB, lab, manifest};
use penstock_lab::download::{Download, Wanted};
use penstock_lab::testbed::{Testbed, wait, with_endpoint, without_endpoint};

const FILE: &str = "service-web-clusterip.yaml";

fn whole() -> String {
    manifest(&format!("chapter/manifests/{FILE}"))
}

fn slow(seconds: usize) -> Wanted<'static> {
    Wanted { client: CLIENT, server: WEB, bytes: 20_000 * seconds, rate: Some(20_000) }
}

fn change(lab: &Testbed, text: &str, members: usize) {
    lab.apply(FILE, text).unwrap();
    lab.wait_members(SERVICE, members, PATIENCE).unwrap();
}

#[test]
fn flows_keep_their_member_while_the_group_grows_and_shrinks() {
    let lab = lab();
    let mut downloads: Vec<Download> = [REMOTE, LOCAL, REMOTE, LOCAL]
        .iter()
        .map(|pod| Download::from_pod(&lab, &slow(15), pod).unwrap())
        .collect();
    let grown = with_endpoint(&whole(), "10.47.255.234", "cent222", "spare-cent222").unwrap();
    change(&lab, &grown, 3);
    let grown = with_endpoint(&grown, "10.47.255.235", "cent333", "spare-cent333").unwrap();
    change(&lab, &grown, 4);
    let shrunk = without_endpoint(&grown, "10.47.255.234").unwrap();
    change(&lab, &shrunk, 3);
    change(&lab, &whole(), 2);
    for download in &mut downloads {
        download.running().unwrap();
    }
    for download in &mut downloads {
        download.finish().unwrap();
    }
}

#[test]
fn a_member_that_is_not_wanted_keeps_its_connections_and_gets_no_new_ones() {
    let lab = lab();
    let ready = "ready: true, serving: true";
    let unready = whole().replacen(ready, "ready: false, serving: false", 1);
    for text in [unready, without_endpoint(&whole(), LOCAL_IP).unwrap()] {
        let mut downloads =
            [LOCAL, REMOTE].map(|pod| Download::from_pod(&lab, &slow(10), pod).unwrap());
        change(&lab, &text, 1);
        for _ in 0..10 {
            let page = lab.curl(CLIENT, &format!("http://{WEB}/"), 30).unwrap();
            assert!(page.contains(REMOTE), "{page}");
        }
        for download in &mut downloads {
            download.finish().unwrap();
        }
        change(&lab, &whole(), 2);
    }
}

#[test]
fn a_killed_daemon_costs_no_packet_and_writes_nothing_when_it_is_back() {
    let lab = lab();
    let mut downloads: Vec<Download> = [REMOTE, LOCAL]
        .iter()
        .map(|pod| Download::from_pod(&lab, &slow(10), pod).unwrap())
        .collect();
    for node in [NODE_A, NODE_B] {
        lab.lab().kill(&format!("{node}/penstockd"), "SIGKILL").unwrap();
        assert!(lab.json(node, &["status"]).is_err());
    }
    // New connections too: the cards need no daemon to forward.
    for _ in 0..4 {
        lab.curl(CLIENT, &format!("http://{WEB}/"), 30).unwrap();
    }
    for node in [NODE_A, NODE_B] {
        lab.lab().restart(&format!("{node}/penstockd")).unwrap();
    }
    lab.wait_ready(PATIENCE).unwrap();
    for node in [NODE_A, NODE_B] {
        let reconcile = wait("a reconcile", PATIENCE, || {
            let status = lab.json(node, &["status"])?;
            let reconcile = status["reconcile"].clone();
            Ok((reconcile["state"] == "in sync").then_some(reconcile))
        })
        .unwrap();
        assert_eq!(reconcile["completed"], reconcile["empty"], "{node}: {reconcile}");
    }
    for download in &mut downloads {
        download.finish().unwrap();
    }
}

#[test]
fn a_bad_manifest_is_named_and_harms_nothing_else() {
    let lab = lab();
    lab.apply("broken.yaml", "kind: Service\nmetadata: {name: [\n").unwrap();
    for node in [NODE_A, NODE_B] {
        wait("the error", PATIENCE, || {
            let status = lab.penstock(node, &["status"])?;
            Ok(status.contains("broken.yaml").then_some(()))
        })
        .unwrap();
    }
    lab.curl(CLIENT, &format!("http://{WEB}/"), 30).unwrap();
    assert_eq!(lab.members(NODE_A, SERVICE).unwrap().len(), 2);
    lab.withdraw("broken.yaml").unwrap();
    for node in [NODE_A, NODE_B] {
        wait("the error is gone", PATIENCE, || {
            let status = lab.penstock(node, &["status"])?;
            Ok((!status.contains("broken.yaml")).then_some(()))
        })
        .unwrap();
    }
}

#[test]
fn a_dead_card_is_reported_and_a_new_one_is_filled() {
    let lab = lab();
    lab.lab().kill("cent333/card", "SIGKILL").unwrap();
    wait("the loss is reported", PATIENCE, || {
        let status = lab.json(NODE_B, &["status"])?;
        let device = &status["device"];
        Ok((device["state"] == "lost" && device["error"].is_string()).then_some(()))
    })
    .unwrap();
    lab.lab().restart("cent333/card").unwrap();
    lab.wait_ready(PATIENCE).unwrap();
    lab.wait_members(SERVICE, 2, PATIENCE).unwrap();
    let mut download = Download::from_pod(&lab, &slow(1), REMOTE).unwrap();
    download.finish().unwrap();
}
