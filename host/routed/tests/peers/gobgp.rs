//! GoBGP as route reflector, and a second speaker behind it as witness of what it passes on.

use std::time::Duration;

use penstock_bgp::{Family, Phase};

use crate::support::*;

const VPN: &str = "l3vpn-ipv4-unicast";
const RESTARTS: &str = "enabled = true\n    restart-time = 60";

/// What the reflector has of [`NODE`]'s pods, if none is stale.
fn of_node(pods: std::ops::Range<u8>) -> Vec<(String, u64, bool)> {
    pods.map(|host| (format!("{NODE}:2:10.47.255.{host}/32"), 25 + u64::from(host), false))
        .collect()
}

#[test]
fn routes_go_both_ways_change_and_come_again() {
    in_namespace("gobgp::routes_go_both_ways_change_and_come_again", |folder| {
        let gobgp = GoBgp::start(folder, &[VPN], "enabled = false", None);
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 1..4, 100), false);
        wait("three pods", || (gobgp.routes() == of_node(1..4)).then_some(()));
        let text = gobgp.ask(&["global", "rib", "-a", "vpnv4"]);
        for part in ["[64512:100]", "MPLS in UDP", "GRE", "MPLS in GRE"] {
            assert!(text.contains(part.trim_matches(['[', ']'])), "{part}: {text}");
        }
        gobgp.route("add", "10.1.1.0/24", 1001);
        let heard = node.wait("a route of the router", |heard| heard.learned.len() == 1);
        assert_eq!(shown(&heard), ["10.169.25.22:7:10.1.1.0/24 1001"]);
        let path = &heard.learned.values().next().unwrap().path.attributes;
        assert_eq!(path.next_hop, ROUTER);
        assert_eq!(path.targets().collect::<Vec<_>>(), [target(100)]);
        assert_eq!(path.extended.iter().find_map(|c| c.tunnel()), Some(2));

        // A label that changes, a pod that goes, one that comes.
        node.tell(pods(NODE, 2..6, 100));
        wait("other pods", || (gobgp.routes()[..4] == of_node(2..6)[..]).then_some(()));
        gobgp.route("add", "10.1.1.0/24", 1002);
        node.wait("another label", |heard| shown(heard) == ["10.169.25.22:7:10.1.1.0/24 1002"]);
        gobgp.route("del", "10.1.1.0/24", 1002);
        node.wait("no route", |heard| heard.learned.is_empty());
    });
}

#[test]
fn what_there_was_no_room_for_is_asked_for_when_there_is() {
    in_namespace("gobgp::what_there_was_no_room_for_is_asked_for_when_there_is", |folder| {
        let gobgp = GoBgp::start(folder, &[VPN], "enabled = false", None);
        let small = penstock_bgp::SessionConfig { most_routes: 4, ..config(NODE) };
        let node = Speaker::start(small, (REFLECTOR, 179), pods(NODE, 0..0, 100), false);
        for net in 1..=6 {
            gobgp.route("add", &format!("10.1.{net}.0/24"), 1000 + net);
        }
        node.wait("two refused", |heard| heard.learned.len() == 4 && heard.status.refused.0 == 2);
        for net in 1..=3 {
            gobgp.route("del", &format!("10.1.{net}.0/24"), 1000 + net);
        }
        let heard = node.wait("the others", |heard| heard.learned.len() == 3);
        node.wait("none refused", |heard| heard.status.refused.0 == 0);
        assert_eq!(heard.status.phase, Phase::Established);
    });
}

#[test]
fn only_routes_of_wanted_targets_are_exchanged() {
    in_namespace("gobgp::only_routes_of_wanted_targets_are_exchanged", |folder| {
        let gobgp = GoBgp::start(folder, &[VPN, "rtc"], "enabled = false", None);
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 1..4, 200), false);
        let heard = node.wait("established", |heard| heard.status.phase == Phase::Established);
        assert_eq!(heard.status.families, [Family::Vpn, Family::RouteTargets]);
        gobgp.route("add", "10.1.1.0/24", 1001);
        node.wait("target 100", |heard| heard.learned.len() == 1);
        // Another node wants 200 only: it has the pods, and not the router's route.
        let told =
            penstock_routed::Told { targets: [target(200)].into(), ..pods(OTHER, 0..0, 200) };
        let other = Speaker::start(config(OTHER), (REFLECTOR, 179), told.clone(), false);
        let heard = other.wait("the pods", |heard| heard.learned.len() == 3);
        assert!(shown(&heard).iter().all(|route| route.starts_with("10.169.25.20:2:")));
        // It wants nothing any more, and everything.
        other.tell(penstock_routed::Told { targets: [].into(), ..told.clone() });
        other.wait("nothing", |heard| heard.learned.is_empty());
        let both = [target(100), target(200)].into();
        other.tell(penstock_routed::Told { targets: both, ..told });
        other.wait("everything", |heard| heard.learned.len() == 4);
    });
}

#[test]
fn a_speaker_that_is_killed_and_started_again_loses_no_route() {
    in_namespace("gobgp::a_speaker_that_is_killed_and_started_again_loses_no_route", |folder| {
        let gobgp = GoBgp::start(folder, &[VPN], RESTARTS, None);
        let witness =
            Speaker::start(config(OTHER), (REFLECTOR, 179), pods(OTHER, 9..10, 100), false);
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 1..4, 100), false);
        witness.wait("the pods", |heard| heard.learned.len() == 3);
        node.wait("told all", |heard| heard.status.told_all && heard.settled);
        node.kill();
        wait("kept as stale", || gobgp.routes().iter().any(|route| route.2).then_some(()));
        // It is back, and its sources are not complete yet: what it does not know of yet stays.
        let some = penstock_routed::Told { complete: false, ..pods(NODE, 1..2, 100) };
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), some, true);
        node.wait("established", |heard| heard.status.told == 1 && heard.status.pending == 0);
        node.wait("the witness's pod", |heard| heard.learned.len() == 1);
        assert_eq!(gobgp.routes().len(), 4);
        node.tell(pods(NODE, 1..4, 100));
        wait("all vouched for", || {
            let routes = gobgp.routes();
            (routes.len() == 4 && routes.iter().all(|route| !route.2)).then_some(())
        });
        let heard = witness.heard();
        assert_eq!((heard.learned.len(), heard.status.withdrawn), (3, 0));
        // What it does not tell any more does go, with the end of its routes.
        node.kill();
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 2..4, 100), true);
        witness
            .wait("one pod fewer", |heard| heard.learned.len() == 2 && heard.status.withdrawn == 1);
        drop(node);
    });
}

#[test]
fn routes_of_a_reflector_that_is_killed_stay_until_it_is_back() {
    in_namespace("gobgp::routes_of_a_reflector_that_is_killed_stay_until_it_is_back", |folder| {
        let gobgp = GoBgp::start(folder, &[VPN], RESTARTS, None);
        gobgp.route("add", "10.1.1.0/24", 1001);
        gobgp.route("add", "10.1.2.0/24", 1002);
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 1..4, 100), false);
        node.wait("two routes", |heard| heard.learned.len() == 2 && heard.settled);
        drop(gobgp);
        node.wait("stale", |heard| heard.status.stale && heard.learned.len() == 2);
        // Back without one of them. GoBGP says of itself that it restarted only if asked to by `-r`; without, it forwarded nothing.
        let gobgp = GoBgp::start(folder, &[VPN], RESTARTS, None);
        gobgp.route("add", "10.1.2.0/24", 1002);
        node.wait("one route", |heard| {
            shown(heard) == ["10.169.25.22:7:10.1.2.0/24 1002"] && !heard.status.stale
        });
        wait("the pods", || (gobgp.routes().len() == 4).then_some(()));
    });
}

#[test]
fn a_reflector_that_stays_away_fades_and_so_does_a_node() {
    in_namespace("gobgp::a_reflector_that_stays_away_fades_and_so_does_a_node", |folder| {
        let restarts = "enabled = true\n    restart-time = 3\n    long-lived-enabled = true";
        let gobgp = GoBgp::start(folder, &[VPN], restarts, Some(60));
        gobgp.route("add", "10.1.1.0/24", 1001);
        // The node's routes outlive its restart time of a second by ten.
        let short = penstock_bgp::SessionConfig {
            restart_time: Duration::from_secs(1),
            long_lived: Some(Duration::from_secs(10)),
            ..config(OTHER)
        };
        let other = Speaker::start(short, (REFLECTOR, 179), pods(OTHER, 1..2, 100), false);
        let node = Speaker::start(config(NODE), (REFLECTOR, 179), pods(NODE, 1..4, 100), false);
        node.wait("a pod and a route", |heard| heard.learned.len() == 2);
        other.kill();
        let heard = node.wait("the other node's pod is stale", |heard| {
            shown(heard).contains(&"10.169.25.21:2:10.47.255.1/32 26 stale".to_owned())
        });
        assert_eq!(heard.learned.len(), 2);
        node.wait("the other node is forgotten", |heard| heard.learned.len() == 1);
        drop(gobgp);
        node.wait("the reflector's route is stale", |heard| {
            shown(heard) == ["10.169.25.22:7:10.1.1.0/24 1001 stale"]
        });
    });
}
