//! FRR as router, reached directly.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use penstock_bgp::wire::{Fault, Framer, Kind};
use penstock_bgp::{Family, Phase};

use crate::support::*;

const RESTARTS: &str = " bgp graceful-restart\n bgp graceful-restart restart-time 60\n bgp graceful-restart preserve-fw-state";

/// Pods of [`NODE`], as the router names them.
fn with_pods(pods: std::ops::Range<u8>) -> Vec<String> {
    pods.map(|host| format!("{NODE}:2:10.47.255.{host}/32")).collect()
}

fn pods_of(frr: &Frr) -> Vec<String> {
    frr.routes().into_iter().filter(|prefix| prefix.starts_with("10.169.25.20")).collect()
}

#[test]
fn routes_go_both_ways_change_and_come_again() {
    in_namespace("frr::routes_go_both_ways_change_and_come_again", |folder| {
        let frr = Frr::start(folder, NODE, "");
        let node = Speaker::start(config(NODE), (ROUTER, 179), pods(NODE, 1..4, 100), false);
        let heard = node.wait("the router's network", |heard| heard.learned.len() == 1);
        assert_eq!(shown(&heard), ["64512:1:10.50.0.0/24 100"]);
        // FRR does not know route target constraint.
        assert_eq!(heard.status.families, [Family::Vpn]);
        wait("the pods", || (pods_of(&frr) == with_pods(1..4)).then_some(()));
        let detail = frr.ask(&["show bgp ipv4 vpn 10.47.255.1/32"]);
        for part in ["RT:64512:100 ET:2 ET:11 ET:13", "Remote label: 26"] {
            assert!(detail.contains(part), "{part}: {detail}");
        }
        node.tell(pods(NODE, 2..6, 100));
        wait("other pods", || (pods_of(&frr) == with_pods(2..6)).then_some(()));

        frr.network("network 10.51.0.0/24 rd 64512:1 label 101");
        node.wait("a second network", |heard| heard.learned.len() == 2);
        let router = "router bgp 64512";
        let (vpn, soft) =
            ("address-family ipv4 vpn", format!("clear bgp ipv4 vpn {NODE} soft out"));
        let map = format!("neighbor {NODE} route-map NONE out");
        frr.ask(&["configure terminal", "route-map NONE deny 10", router, vpn, &map, "end", &soft]);
        node.wait("nothing", |heard| heard.learned.is_empty() && heard.status.withdrawn == 2);
        let none = format!("no {map}");
        frr.ask(&["configure terminal", router, vpn, &none, "end", &soft]);
        node.wait("both again", |heard| heard.learned.len() == 2);

        let sent = node.heard().status.sent;
        frr.ask(&[&format!("clear bgp ipv4 vpn {NODE} soft in")]);
        node.wait("told again", |heard| heard.status.sent > sent);
        assert_eq!(node.heard().status.phase, Phase::Established);
        assert_eq!(pods_of(&frr), with_pods(2..6));
    });
}

#[test]
fn a_speaker_that_is_killed_and_started_again_loses_no_route() {
    in_namespace("frr::a_speaker_that_is_killed_and_started_again_loses_no_route", |folder| {
        let frr = Frr::start(folder, NODE, RESTARTS);
        let node = Speaker::start(config(NODE), (ROUTER, 179), pods(NODE, 1..4, 100), false);
        wait("the pods", || (pods_of(&frr).len() == 3).then_some(()));
        node.wait("all of both", |heard| heard.status.told_all && heard.status.ended);
        node.kill();
        let down =
            || frr.ask(&[&format!("show bgp neighbors {NODE}")]).contains("BGP state = Active");
        wait("the session is over", || down().then_some(()));
        assert_eq!(pods_of(&frr), with_pods(1..4));
        let told = penstock_routed::Told { complete: false, ..pods(NODE, 1..2, 100) };
        let node = Speaker::start(config(NODE), (ROUTER, 179), told, true);
        node.wait("established", |heard| heard.status.told == 1 && heard.status.ended);
        assert_eq!(pods_of(&frr), with_pods(1..4));
        node.tell(pods(NODE, 1..3, 100));
        wait("what is not told any more goes", || (pods_of(&frr) == with_pods(1..3)).then_some(()));

        // Its tables were lost this time.
        node.kill();
        wait("the session is over", || down().then_some(()));
        let told =
            penstock_routed::Told { preserved: false, complete: false, ..pods(NODE, 0..0, 100) };
        let node = Speaker::start(config(NODE), (ROUTER, 179), told, true);
        node.wait("established", |heard| heard.status.phase == Phase::Established);
        wait("nothing stays", || pods_of(&frr).is_empty().then_some(()));
    });
}

#[test]
fn routes_of_a_router_that_is_killed_stay_until_it_is_back() {
    in_namespace("frr::routes_of_a_router_that_is_killed_stay_until_it_is_back", |folder| {
        let frr = Frr::start(folder, NODE, RESTARTS);
        let node = Speaker::start(config(NODE), (ROUTER, 179), pods(NODE, 1..4, 100), false);
        node.wait("its network", |heard| heard.learned.len() == 1 && heard.settled);
        drop(frr);
        node.wait("stale", |heard| heard.status.stale && heard.learned.len() == 1);
        let frr = Frr::start(folder, NODE, RESTARTS);
        node.wait("vouched for", |heard| !heard.status.stale && heard.learned.len() == 1);
        wait("the pods", || (pods_of(&frr).len() == 3).then_some(()));
    });
}

/// Carries bytes between the speaker and the router, and damages what the router announces: its ORIGIN, of the prefix 10.51.0.0/24
/// only.
fn damage(listener: &TcpListener, router: (Ipv4Addr, u16)) {
    for speaker in listener.incoming() {
        let speaker = speaker.unwrap();
        let router = connect_from(OTHER, router);
        let (mut from, mut to) = (speaker.try_clone().unwrap(), router.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        let (mut from, mut to) = (router, speaker);
        thread::spawn(move || {
            let (mut framer, mut part) = (Framer::default(), [0; 4096]);
            while let Ok(count @ 1..) = from.read(&mut part) {
                framer.push(&part[..count]);
                while let Ok(Some((kind, body))) = framer.next_message() {
                    let mut message = vec![0xff; 16];
                    message.extend(u16::try_from(body.len() + 19).unwrap().to_be_bytes());
                    let number = match kind {
                        Kind::Open => 1,
                        Kind::Update => 2,
                        Kind::Notification => 3,
                        Kind::Keepalive => 4,
                        Kind::Refresh => 5,
                    };
                    message.push(number);
                    message.extend(body);
                    let is_it = message.windows(3).any(|octets| octets == [10, 51, 0]);
                    // ORIGIN: well known, transitive, one octet.
                    let origin = message.windows(3).position(|octets| octets == [0x40, 1, 1]);
                    if let (true, Some(at)) = (is_it, origin) {
                        message[at + 3] = 9;
                    }
                    if to.write_all(&message).is_err() {
                        return;
                    }
                }
            }
        });
    }
}

#[test]
fn a_malformed_update_costs_its_route_and_not_the_session() {
    in_namespace("frr::a_malformed_update_costs_its_route_and_not_the_session", |folder| {
        let frr = Frr::start(folder, OTHER, "");
        // The speaker's connections come to FRR from the proxy, which has the other node's address.
        let listener = TcpListener::bind((REFLECTOR, 1179)).unwrap();
        thread::spawn(move || damage(&listener, (ROUTER, 179)));
        let node = Speaker::start(config(NODE), (REFLECTOR, 1179), pods(NODE, 1..4, 100), false);
        node.wait("the first network", |heard| heard.learned.len() == 1);
        frr.network("network 10.51.0.0/24 rd 64512:1 label 101");
        let heard = node.wait("a fault", |heard| !heard.status.faults.is_empty());
        assert_eq!(heard.status.faults, [(Fault::Withdrawn(1), 1)]);
        assert_eq!(shown(&heard), ["64512:1:10.50.0.0/24 100"]);
        frr.network("network 10.52.0.0/24 rd 64512:1 label 102");
        let heard = node.wait("a network after it", |heard| heard.learned.len() == 2);
        assert_eq!((heard.status.phase, heard.status.last_end), (Phase::Established, None));
    });
}
